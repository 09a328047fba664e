"""Hyperparameters beside the thesis's Table A.1, and the rows of every table and figure of training."""

from collections.abc import Mapping
from typing import Any

from clseave.comparison import thesis_values
from clseave.comparison.measured import Training, settings
from clseave.comparison.thesis_values import Published, Row
from clseave.foundation.settings.schema import AutoencoderParams, ClipVe, Clseave, Rate, View

STUDENT_LOSSES = {
    "raw": "MSE",
    "normalised": "MSE of unit vectors",
    "infonce": "InfoNCE",
    "raw+infonce": "MSE and InfoNCE",
}


class Recipe(View):
    """The settings of the models in Table A.1."""

    lr: Rate
    clip_ve: ClipVe
    clseave: Clseave
    autoencoder: AutoencoderParams


def hyperparameters(thesis: Published, values: Recipe, trained: Training) -> list[dict[str, Any]]:
    """Return Table A.1 with our settings beside the thesis's."""
    ve, student, coder = values.clip_ve, values.clseave, values.autoencoder
    rates = dict.fromkeys((short(ve.text_lr), short(ve.head_lr)))
    models: dict[str, ClipVe | Clseave | AutoencoderParams] = {"clip_ve": ve, "clseave": student, "autoencoder": coder}
    ours = {
        "Learning rate": {
            "clip_ve": " (text), ".join(rates) + (" (head)" if len(rates) > 1 else ""),
            "clseave": short(values.lr * student.lr_scale),
            "autoencoder": short(coder.lr),
        },
        "Weight decay": {name: short(model.weight_decay) for name, model in models.items()},
        "Batch": {name: str(model.batch_size) for name, model in models.items()},
        "Epochs": epochs(values, trained),
        "Loss function": {
            "clip_ve": "CrossEntropy",
            "clseave": STUDENT_LOSSES[student.loss],
            "autoencoder": "MSE",
        },
        "Optimizer": dict.fromkeys(models, "AdamW"),
    }
    return [
        {"hyperparameter": row["hyperparameter"]}
        | {key: value for name in models for key, value in pair(name, ours[row["hyperparameter"]], row).items()}
        for row in thesis.tables["table_a_1"]
    ]


def epochs(values: Recipe, trained: Training) -> dict[str, str]:
    """Return, in words, how many epochs each model ran, and which was kept."""
    clip_ve = trained.settled["clip_ve"]
    ran = sorted({row["epochs_run"] for row in trained.of_students().values()})
    return {
        "clip_ve": f"{clip_ve['epochs_run']:g}, kept {clip_ve['epoch']:g}, at most {values.clip_ve.epochs}",
        "clseave": f"{'–'.join(f'{number:g}' for number in {ran[0]: 0, ran[-1]: 0})}, at most {values.clseave.epochs}",
        "autoencoder": str(len(trained.autoencoder)),
    }


def pair(name: str, ours: Mapping[str, str], row: Row) -> dict[str, str | None]:
    """Return our value of a model's setting and the thesis's."""
    return {name: ours.get(name), f"{name}_thesis": row[name]}


def short(value: float) -> str:
    """Format a setting without leading zeros in the exponent: 1e-06 -> "1e-6"."""
    return f"{value:g}".replace("e-0", "e-")


def contents(
    thesis: Published, trained: Training, values: Recipe, counts: Mapping[str, Row]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table and figure of training, by its name."""
    rows = counts["dev"]["rows"] if values.clip_ve.validation == "dev" else counts["train"]["rows"] // 5
    return {
        "table_a_1": hyperparameters(thesis, values, trained),
        "figure_3_2": [row | {"rows": rows} for row in thesis_values.clip_ve(thesis, trained.clip_ve)],
        "figure_4_1": thesis_values.students(thesis, trained.students),
        "errors": thesis_values.kept_errors(thesis, trained.of_students()),
        "settings": settings(trained.settled),
    } | {
        name: thesis_values.errors(thesis, metric, trained.students, trained.widths())
        for metric, name in thesis_values.ERRORS.items()
    }
