"""The model card and the licence of a bundle, from the training records and the test metrics of its models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment

from clseave.cards import licences
from clseave.cards.licences import OTHER, Standing
from clseave.cards.model_card import GENERATED
from clseave.foundation.files.formats import read_json
from clseave.foundation.process.fingerprint import RECORD
from clseave.foundation.rows import training_record
from clseave.foundation.rows.training_record import TrainingRecord
from clseave.inference.bundle import HASHES

CARD, LICENCE = (Path(__file__).with_name(name) for name in ("bundle.md.j2", "licence.txt.j2"))
TASK = "zero-shot-image-classification"
METRICS = ("accuracy", "macro_f1")  # of the model index
SENTENCE = "A sentence in this language"
EXAMPLES = {
    "en": "There is a red circle at the top left",
    "de": "Oben links ist ein roter Kreis",
    "nl": "Linksboven is een rode cirkel",
    "ja": "左上に赤い円があります",
    "ko": "왼쪽 위에 빨간 원이 있습니다",
    "zh": "左上角有一个红色的圆形",
}


@dataclass(frozen=True)
class About:
    """What a card says of a bundle: the languages in it, where its profile's models are, and its test metrics."""

    name: str
    languages: Sequence[str]
    models: Path
    seed: str
    rows: Sequence[Mapping[str, Any]]

    def records(self) -> dict[str, TrainingRecord]:
        """The training records of the profile's models, by folder."""
        folders = [path.parent for path in sorted(self.models.rglob(RECORD))]
        return {training_record.named(one): record for one in folders if (record := training_record.read(one))}


def read_metrics(folder: Path, languages: Sequence[str]) -> list[dict[str, Any]]:
    """The test metrics of the languages that have some; rows of a file without results are left out."""
    files = [folder / f"{language}.json" for language in languages]
    found = [read_json(file) for file in files if file.is_file()]
    return [one for one in found if one["rows"]]


def render(folder: Path, about: About) -> dict[str, str]:
    """The text of the card and of the licence of a bundle's folder, by the file's name."""
    records = about.records()
    marks = [path for mark in ("config.json", "head.json") for path in folder.rglob(mark)]
    parts = sorted({path.parent.relative_to(folder).as_posix() for path in marks})
    origins = [records.get(training_record.named(about.models / part)) for part in parts]
    standing = licences.derived([licences.of_model(one, records) if one else None for one in origins])
    profile = next((one.profile for one in origins if one), "unknown")
    first = about.languages[0]
    card = ModelCard.from_template(
        _front_matter(about, profile, standing),
        template_str=CARD.read_text(encoding="utf-8"),
        name=about.name,
        listed=", ".join(about.languages),
        first=first,
        example=EXAMPLES.get(first, SENTENCE) if standing.generated else SENTENCE,
        profile=profile,
        seed=about.seed,
        version=_version(),
        hashes=HASHES,
        parts={part: _what(part, english="en" in about.languages) for part in parts},
        rows=about.rows,
        limits=standing.limits,
        terms=standing.terms,
    )
    text = Environment(trim_blocks=True, autoescape=False).from_string(LICENCE.read_text(encoding="utf-8"))
    return {"README.md": card.content.strip() + "\n", "LICENSE": text.render(vars(standing)).strip() + "\n"}


def _what(part: str, *, english: bool) -> str:
    kind, *rest = part.split("/")
    if kind == "clip":
        return "CLIP's image tower and its preprocessing"
    if kind == "clip_ve":
        return "CLIP-VE: the head" + (", and the text encoder for English" if english else "")
    return f"CLSEAVE student: the text encoder for {rest[0]}"


def _version() -> str:
    try:
        return version("clseave")
    except PackageNotFoundError:  # a checkout that was not installed
        return "unknown"


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
        language=list(about.languages),
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
