"""Model cards in the Hugging Face format, from training records and hashes of the weights.

A card names the inputs and parameters of a model, its validation metrics, and its licence and limits. It is
reproducible: it contains no commit, device, date or path of the machine.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.utils import yaml_dump

from clseave.cards import licences
from clseave.cards.licences import OTHER, Standing
from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN
from clseave.foundation.process.fingerprint import RECORD, digest, digest_of_list
from clseave.foundation.rows import training_record
from clseave.foundation.rows.training_record import TrainingRecord
from clseave.foundation.settings.messages import not_one_of
from clseave.foundation.settings.references import warn_of_stale
from clseave.foundation.settings.schema import Baseline, Languages, Seeds, VeModels, View

log = logging.getLogger(__name__)


class Values(View):
    """The settings that determine which models exist."""

    baselines: list[Baseline]
    languages: Languages
    seeds: Seeds
    ve_models: VeModels


TEMPLATE = Path(__file__).with_name("card.md.j2")
GENERATED = "generated-data"  # tag on the hub for models with a generated corpus
WEIGHTS = ("*.safetensors", "head.json")  # the model's own files; head.json holds the thresholds of a simple head


@dataclass(frozen=True)
class Model:
    """The part of a card shared by all models of one name."""

    title: str
    does: str
    use: str
    task: str = "feature-extraction"  # name of the task on the hub
    transformer: bool = True  # whether `transformers` can load the folder


CONTROL = "Comparison only: what is reached without {}."
MODELS = {
    "clip": Model("CLIP", "Both towers.", "The base of CLIP-VE; image vectors.", "zero-shot-image-classification"),
    "mbert": Model("Multilingual BERT", "With its language-model head.", "The base of the students.", "fill-mask"),
    "clip_ve": Model(
        "CLIP-VE",
        "CLIP's text tower and a head, fine-tuned for visual entailment: does an image entail or contradict an English "
        "sentence, or leave it open? The image tower is frozen and stays in the folder of CLIP.",
        "Judging English sentences against images; teacher and head of the CLSEAVE students.",
    ),
    "hypothesis_only": Model("CLIP-VE without images", "The image's vector is zero.", CONTROL.format("the image")),
    "image_only": Model(
        "CLIP-VE without sentences", "A head; the sentence's vector is zero.", CONTROL.format("text"), transformer=False
    ),
    "autoencoder": Model(
        "Multilingual autoencoder",
        "Token states of multilingual BERT to the width of CLIP's text tower and back.",
        "A part of CLTEAVE.",
        transformer=False,
    ),
    "clteave": Model(
        "CLTEAVE student",
        "Multilingual BERT and the autoencoder's encoder, trained word by word to give the token states of CLIP-VE.",
        "Comparison with CLSEAVE; it is built as the thesis describes it, faults included.",
    ),
    "clseave": Model(
        "CLSEAVE student",
        "Multilingual BERT and a projection, trained to give, for the translation of a sentence, the vector that "
        "CLIP-VE gives for the English one. It has no head of its own: that of the CLIP-VE of the same profile and "
        "seed judges its vectors, and no other does.",
        "Visual entailment in one more language without labels in it.",
    ),
    "finetune_baseline": Model(
        "Baseline",
        "A simple or usual way to visual entailment: `kind` and `hypotheses` among the parameters say which.",
        CONTROL.format("the method of the thesis"),
        transformer=False,
    ),
}


def folders(models: Path, values: Values) -> dict[str, Path]:
    """Return the folder of every model in the settings, by the name of its card."""
    single = [*values.ve_models, *(entry.name for entry in values.baselines), "autoencoder", "clteave"]
    trained = {name: models / name for name in single}
    trained |= {f"clseave-{code}": models / "clseave" / code for code in values.languages}
    seeded = {f"{name}-seed{seed}": path / f"seed{seed}" for name, path in trained.items() for seed in values.seeds}
    return {name: models / name for name in ("clip", "mbert")} | seeded


def read(models: Path, values: Values) -> dict[str, tuple[Path, TrainingRecord]]:
    """Return folder and record of every model in the settings, by the name of its card.

    Warn once of models without a record, and once of records that the settings do not name. UserError lists missing
    folders.
    """
    wanted = folders(models, values)
    if missing := [folder for folder in wanted.values() if not folder.is_dir()]:
        raise UserError(f"missing, `dvc repro` makes them: {', '.join(map(str, missing))}")
    warn_of_stale(set(models.rglob(RECORD)) - {folder / RECORD for folder in wanted.values()})
    found = {name: (folder, training_record.read(folder)) for name, folder in wanted.items()}
    if bare := [folder for folder, record in found.values() if record is None]:
        log.warning("no card for %d models without %s, the first is %s: %s", len(bare), RECORD, bare[0], RERUN)
    return {name: (folder, record) for name, (folder, record) in found.items() if record is not None}


def render(folder: Path, record: TrainingRecord, records: Mapping[str, TrainingRecord]) -> str:
    """Return the card of the model in `folder`; `records` are those of all models, by `training_record.named`.

    UserError when this version does not know the model of the record.
    """
    if record.name not in MODELS:
        raise UserError(f"{folder / RECORD}: name: {not_one_of(record.name, list(MODELS))}: {RERUN}")
    model, standing = MODELS[record.name], licences.of_model(record, records)
    weights = {path.name: digest(path) for pattern in WEIGHTS for path in sorted(folder.glob(pattern))}
    card = ModelCard.from_template(
        _front_matter(model, standing, record),
        template_str=TEMPLATE.read_text(encoding="utf-8"),
        **vars(model) | vars(standing),
        profile=record.profile,
        seed="none" if record.seed is None else record.seed,
        stage=record.stage,
        folder=training_record.named(folder),
        inputs=record.inputs,
        data_hash=digest_of_list(record.inputs),
        figures=record.metrics,
        weights=weights,
        parameters=yaml_dump(record.parameters).strip(),
    )
    return card.content.strip() + "\n"


def _front_matter(model: Model, standing: Standing, record: TrainingRecord) -> ModelCardData:
    """Return the metadata of a card that the hub reads."""
    results = _results(model, record)
    return ModelCardData(
        language=record.languages[0] if len(record.languages) == 1 else record.languages,
        license=standing.licence,
        license_name="see-card" if standing.licence == OTHER else None,
        base_model=list(standing.base_models) or None,
        library_name="transformers" if model.transformer else None,
        pipeline_tag=model.task,
        tags=["visual-entailment", "clseave", *([GENERATED] if standing.generated else [])],
        metrics=[result.metric_type for result in results] or None,
        model_name=f"{record.name}, profile {record.profile}" if results else None,
        eval_results=results or None,
    )


def _results(model: Model, record: TrainingRecord) -> list[EvalResult]:
    """Return the validation metrics in the hub's format."""
    return [
        EvalResult(
            task_type=model.task,
            dataset_type=f"clseave-{record.profile}",
            dataset_name=f"profile {record.profile}",
            dataset_split=record.validation,
            metric_type=key.removeprefix("dev_"),
            metric_value=value,
        )
        for key, value in record.metrics.items()
        if key.startswith("dev_")
    ]
