"""The model card and the licence of a bundle, from the training records and the test metrics of its models."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment

from clseave.cards import licences
from clseave.cards.licences import OTHER, Standing
from clseave.cards.model_card import GENERATED, MODELS
from clseave.foundation.files.formats import read_json
from clseave.foundation.rows import training_record
from clseave.foundation.rows.training_record import TrainingRecord
from clseave.inference import bundle
from clseave.inference.folders import ENGLISH, Folders, seed_of
from clseave.miniature.grammar import LANGUAGES, express
from clseave.miniature.statements import Fact

CARD, LICENCE = (Path(__file__).with_name(name) for name in ("bundle.md.j2", "licence.txt.j2"))
TASK = "zero-shot-image-classification"
METRICS = ("accuracy", "macro_f1")  # of the model index
SENTENCE = "A sentence in this language"
EXAMPLE = Fact("object_at", ("red circle", "top_left")), 2  # "There is a red circle at the top left"


@dataclass(frozen=True)
class About:
    """What a card says of a bundle: its folders, and the test metrics of its models."""

    name: str
    found: Folders
    rows: Sequence[Mapping[str, Any]]

    def records(self) -> dict[str, TrainingRecord]:
        """The training records of the bundle's models and of those that they derive from, by folder."""
        root = Path(os.path.normpath(self.found.clip.absolute() / "../../.."))  # a record's bases are folders below it
        pending = [path.absolute() for path in (self.found.clip, self.found.head, *self.found.encoders.values())]
        records: dict[str, TrainingRecord] = {}
        while pending:
            folder = pending.pop()
            record = training_record.read(folder)
            if record and training_record.named(folder) not in records:
                records[training_record.named(folder)] = record
                pending += [root / base for base in record.bases]
        return records


def read_metrics(folder: Path, found: Folders) -> list[dict[str, Any]]:
    """The test metrics of the encoders that are a profile's own, with its head and image tower; others have none.

    `folder` is that of the profile's metrics. Rows of a file without results are left out.
    """
    seed = seed_of(found.head)
    profile = found.clip.parent
    if (found.clip, found.head) != (profile / "clip", profile / "clip_ve" / seed):
        return []
    own = {
        language: profile / ("clip_ve" if language == ENGLISH else f"clseave/{language}") / seed
        for language in found.encoders
    }
    files = [folder / seed / f"{one}.json" for one, encoder in found.encoders.items() if encoder == own[one]]
    rows = [read_json(file) for file in files if file.is_file()]
    return [one for one in rows if one["rows"]]


def render(about: About) -> dict[str, str]:
    """The text of the card and of the licence of a bundle, by the file's name."""
    records, places = about.records(), bundle.parts(about.found)
    origins = {place: training_record.read(folder) for place, folder in places.items()}
    standing = licences.derived([licences.of_model(one, records) if one else None for one in origins.values()])
    profile = next((one.profile for one in origins.values() if one), "unknown")
    languages = list(about.found.encoders)
    card = ModelCard.from_template(
        _front_matter(about, profile, standing),
        template_str=CARD.read_text(encoding="utf-8"),
        name=about.name,
        listed=", ".join(languages),
        first=languages[0],
        example=_example(languages[0]) if standing.generated else SENTENCE,
        profile=profile,
        seed=seed_of(about.found.head),
        version=_version(),
        hashes=bundle.HASHES,
        parts={place: _what(place, origins[place]) for place in places},
        english=ENGLISH in languages,
        rows=about.rows,
        limits=standing.limits,
        terms=standing.terms,
    )
    text = Environment(trim_blocks=True, autoescape=False).from_string(LICENCE.read_text(encoding="utf-8"))
    return {"README.md": card.content.strip() + "\n", "LICENSE": text.render(vars(standing)).strip() + "\n"}


def _example(language: str) -> str:
    """A sentence that models of generated images understand."""
    fact, phrasing = EXAMPLE
    return express(fact, language, phrasing).text if language in LANGUAGES else SENTENCE


def _what(place: str, record: TrainingRecord | None) -> str:
    """What lies at a place of a bundle."""
    title = MODELS[record.name].title if record and record.name in MODELS else "A model of unknown origin"
    match place.split("/"):
        case ["clip", *_]:
            return f"{title}: the image tower and its preprocessing"
        case ["clseave", language, _]:
            return f"{title}: the text encoder for {language}"
        case _:
            return f"{title}: the head"


def _version() -> str:
    """The package's version; none in a checkout that was not installed."""
    try:
        return version("clseave")
    except PackageNotFoundError:
        return ""


def _front_matter(about: About, profile: str, standing: Standing) -> ModelCardData:
    """The metadata of the card, with a model index of the test metrics."""
    results = [
        EvalResult(
            task_type=TASK,
            task_name="Visual entailment",
            dataset_type=f"clseave-{profile}",
            dataset_name=f"profile {profile}, {row['language']}",
            dataset_config=row["language"],
            dataset_split="test",
            metric_type=metric.replace("macro_", ""),
            metric_name=metric,
            metric_value=row[metric],
        )
        for row in about.rows
        for metric in METRICS
    ]
    return ModelCardData(
        language=list(about.found.encoders),
        license=standing.licence,
        license_name="see-card" if standing.licence == OTHER else None,
        license_link="LICENSE" if standing.licence == OTHER else None,
        base_model=list(standing.base_models) or None,
        pipeline_tag=TASK,
        tags=["visual-entailment", "clseave", *([GENERATED] if standing.generated else [])],
        metrics=["accuracy", "f1"] if results else None,
        model_name=about.name if results else None,
        eval_results=results or None,
    )
