"""How a model was made: `training.json`, which a training leaves in its model's folder. Model cards are made from it.

The same run gives the same bytes: no code, commit, device, date or path of the machine is in it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN, read_json, write_text
from clseave.foundation.process.fingerprint import RECORD, digest, is_local
from clseave.foundation.settings.schema import Backbones, Origins, View

ELSEWHERE = ("device", "max_resident_gb")  # values that say where and in how much memory it was computed, not what
LOCAL = "a local folder"  # instead of a path of this machine


class Origin(BaseModel):
    """Where a backbone comes from. It was trained here, from scratch, when `id` is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: Literal["scenes", "photos"]  # of the profile; scenes are generated
    id: str | None = None  # of the hub, or `LOCAL`
    revision: str | None = None


class TrainingRecord(BaseModel):
    """What a model was made of, with which values, and what it reached meanwhile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # a key of `cards.model_card.MODELS`
    stage: str
    profile: str
    seed: int | None  # None: nothing was drawn
    languages: list[str]  # codes; `multilingual` for a fetched model of many
    parameters: dict[str, Any]
    inputs: dict[str, str]  # SHA-256 by the input's role
    bases: list[str] = []  # models that its weights come from, as `named` writes their folders
    origin: Origin | None = None  # of a backbone, which has no base
    validation: str = "dev"  # the examples that chose the epoch
    metrics: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write `training.json`; parameters and metrics keep their order."""
        write_text(folder / RECORD, json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n")


def read(folder: Path | str) -> TrainingRecord | None:
    """The record in a model's folder; None where there is none, as in one made by hand. UserError for a bad one."""
    path = Path(folder) / RECORD
    if not path.exists():
        return None
    try:
        return TrainingRecord.model_validate(read_json(path), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise UserError(f"{path}: {where}: {first['msg']}: delete the folder, then {RERUN}") from error


def named(folder: Path) -> str:
    """A model's folder without what lies above `models`: `models/mini/clip`; the name alone of one elsewhere."""
    parts = folder.parts
    above = max((place for place, part in enumerate(parts) if part == "models"), default=len(parts) - 1)
    return Path(*parts[above:]).as_posix()


def digests(inputs: Mapping[str, Path | list[Path]]) -> dict[str, str]:
    """SHA-256 of each input, by its name."""
    return {name: digest(inputs[name]) for name in sorted(inputs)}


def plain(values: View, **names: str) -> dict[str, Any]:
    """The names and values that make a model, as plain objects; not those that the settings leave at their default."""
    return names | values.model_dump(mode="json", exclude=set(ELSEWHERE), exclude_unset=True)


def of_backbone(
    name: str,
    profile: str,
    spoken: Sequence[str],
    *,
    settings: Origins,
    text: Path,
    folder: Path,
    curve: Sequence[Mapping[str, float]],
) -> TrainingRecord:
    """The record of `clip` or `mbert`, whose files lie in `folder`; `spoken` are the languages of the texts.

    The input of a fetched model is its weights as they were saved: the corpus is no part of it.
    """
    source, backbones = settings.source, settings.backbones
    own = getattr(backbones, name).model_dump(mode="json")
    if isinstance(backbones, Backbones):
        seed, languages = backbones.seed, ["en"] if name == "clip" else list(spoken)
        parameters = {"source": source.model_dump(mode="json"), "kind": "train", "seed": seed, name: own}
        inputs, origin = {"text": digest(text)}, Origin(corpus=source.kind)
    else:
        own["id"] = LOCAL if is_local(own["id"]) else own["id"]
        seed, languages = None, ["en" if name == "clip" else "multilingual"]
        parameters = {"kind": "hub", name: own}
        inputs = {"weights as saved here": digest(folder / "model.safetensors")}
        origin = Origin(corpus=source.kind, id=own["id"], revision=own["revision"])
    return TrainingRecord(
        name=name,
        stage="backbones",
        profile=profile,
        seed=seed,
        languages=languages,
        parameters={"backbone": name} | parameters,
        inputs=inputs,
        origin=origin,
        # The epoch of a curve's row is no epoch here: a row stands for some steps.
        metrics={key: value for key, value in (curve[-1] if curve else {}).items() if key != "epoch"},
    )
