"""Which trainings were cut by their budget: those that keep the best epoch, and kept the last of their schedule."""

from collections.abc import Mapping, Sequence
from typing import Any

from clseave.comparison.hyperparameters import Recipe
from clseave.comparison.measured import Named, Training, full_name
from clseave.foundation.settings.schema import ClipVe, Clseave

Row = Mapping[str, Any]


class Budgets(Named, Recipe):
    """What is trained, and for how long at most."""

    mbert_ve: ClipVe


def recipes(values: Budgets) -> dict[str, ClipVe | Clseave]:
    """The settings of every model that trains for epochs and is validated after each."""
    found: dict[str, ClipVe | Clseave] = dict.fromkeys(values.ve_models, values.clip_ve)
    found |= dict.fromkeys((entry.name for entry in values.baselines if entry.kind == "mbert"), values.mbert_ve)
    return found | dict.fromkeys((f"clseave-{code}" for code in values.languages), values.clseave)


def stopped(trained: Training, values: Budgets) -> list[dict[str, Any]]:
    """Epochs kept and run by each model beside those of its schedule; `cut` where a seed kept the last of them.

    A model whose recipe keeps the last epoch in any case is never called cut.
    """
    rows = []
    for model, recipe in recipes(values).items():
        kept = trained.kept[model]
        last = min(recipe.epochs, getattr(recipe, "stop_after", None) or recipe.epochs)
        epochs = "–".join(str(epoch) for epoch in dict.fromkeys((min(kept), max(kept))))
        row = {"model": model, "seeds": len(kept), "kept": epochs, "ran": trained.settled[model]["epochs_run"]}
        row |= {"schedule": recipe.epochs, "cut": recipe.keep == "best" and max(kept) >= last}
        rows.append(row | {"text": f"{epochs} of {recipe.epochs}"})
    return rows


def models_of(values: Budgets) -> dict[str, list[str]]:
    """The models behind each evaluation by its outcome's name: text encoder and head."""
    found = {code: [f"clseave-{code}", "clip_ve"] for code in values.languages}
    for entry in values.evaluations:
        models = [entry.text_encoder.replace("/", "-"), entry.head]
        found |= dict.fromkeys((entry.name, full_name(entry.name, values.languages[0])), models)
    return found


def marked(results: Sequence[Row], rows: Sequence[Row], values: Budgets) -> list[dict[str, Any]]:
    """Results with what is known of their models' epochs: `stopped` of the first that was cut, or of the first."""
    known, models = {row["model"]: row for row in rows}, models_of(values)
    marks = []
    for result in results:
        found = [known[model] for model in models.get(result["evaluation"], []) if model in known]
        first = next((row for row in found if row["cut"]), found[0] if found else None)
        marks.append({**result, "stopped": first and first["text"], "cut": bool(first and first["cut"])})
    return marks
