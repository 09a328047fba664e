"""What a run of the study leaves: ranks in retrieval and answers to the test examples, small enough for git."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import read_json, write_json
from clseave.foundation.settings.messages import STRICT, one_fault
from clseave.statistics.recall import AT, Ranks

REMEDY = "run the study again: `make study NAME=single_stream`"


@dataclass(frozen=True, config=STRICT)
class Found:
    """Retrieval over the test pool: of each text and of each image a digit, how many of the K of `AT` are below the
    rank of what is right (0: rank 1; 1: up to 5; 2: up to 10; 3: beyond); and the measures.
    """

    texts: str
    images: str
    measures: dict[str, float]

    @classmethod
    def of(cls, ranks: Ranks) -> "Found":
        """Return what is kept of ranks."""
        rounded = {name: round(value, 6) for name, value in ranks.measures().items()}
        return cls(_digits(ranks.images), _digits(ranks.texts), rounded)

    def hits(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which texts (T,) and which images (I,) have what is right among the first `at`."""
        place = AT.index(at)
        return tuple(  # type: ignore[return-value]
            np.frombuffer(part.encode(), dtype=np.uint8) - ord("0") <= place for part in (self.texts, self.images)
        )


def _digits(ranks: np.ndarray) -> str:
    return "".join(str(int(sum(rank > k for k in AT))) for rank in ranks)


@dataclass(frozen=True, config=STRICT)
class StreamRun:
    """One variant and seed: retrieval by language and way, answers to the test examples by way, measures by name.

    The ways of retrieval are languages, and LANGUAGE_translated for English models on texts translated back into
    English. Those of answers are LANGUAGE for a model trained on English labels, and LANGUAGE_trained for one trained
    on labelled translations; a digit is a label's id.
    """

    variant: str
    seed: int
    code: str  # fingerprint of the code that ran
    rows: str  # identifies the test examples and their order
    retrieval: dict[str, Found]
    answers: dict[str, str]
    measures: dict[str, float]

    def write(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, asdict(self))


def read(path: Path) -> StreamRun:
    """Read a run. UserError when the file is missing or is none."""
    try:
        content = read_json(path)
        found = {way: Found(**one) for way, one in content["retrieval"].items()}
        return StreamRun(**content | {"retrieval": found})
    except (TypeError, LookupError, AttributeError, ValidationError) as error:
        reason = one_fault(error) if isinstance(error, ValidationError) else str(error)
        raise UserError(f"{path}: {reason}: {REMEDY}") from error


def read_all(folder: Path, variants: Sequence[str], seeds: Sequence[int], rows: str) -> dict[str, list[StreamRun]]:
    """Return the runs of each variant, one for each seed. UserError for a run of other test examples, or none."""
    found: dict[str, list[StreamRun]] = {}
    for variant in variants:
        for seed in seeds:
            path = folder / f"{variant}-seed{seed}" / "joint.json"
            run = read(path)
            if run.rows != rows:
                raise UserError(f"{path}: its answers are to other test rows: {REMEDY}")
            found.setdefault(variant, []).append(run)
    return found
