"""Trainings cut short by their budget: they keep the best epoch, and that was the last epoch of the schedule."""

from collections.abc import Mapping, Sequence
from typing import Any

from clseave.comparison.hyperparameters import Recipe
from clseave.comparison.measured import Named, Training, full_name
from clseave.foundation.settings.schema import ClipVe, Clseave

Row = Mapping[str, Any]


class Budgets(Named, Recipe):
    """The settings of all trained models, with their maximum epochs."""

    mbert_ve: ClipVe


def recipes(values: Budgets) -> dict[str, ClipVe | Clseave]:
    """Return the settings of every model that is validated after each epoch, by model."""
    recipe: dict[str, ClipVe | Clseave] = dict.fromkeys(values.ve_models, values.clip_ve)
    recipe |= dict.fromkeys((entry.name for entry in values.baselines if entry.kind == "mbert"), values.mbert_ve)
    return recipe | dict.fromkeys((f"clseave-{code}" for code in values.languages), values.clseave)


def stopped(trained: Training, values: Budgets) -> list[dict[str, Any]]:
    """Return the epochs that each model kept, ran and had scheduled; `cut` if a seed kept the last scheduled epoch.

    A model whose settings always keep the last epoch is never `cut`.
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
    """Return the models of each evaluation, text encoder and head, by the name of its outcome."""
    models = {code: [f"clseave-{code}", "clip_ve"] for code in values.languages}
    for entry in values.evaluations:
        parts = [entry.text_encoder.replace("/", "-"), entry.head]
        models |= dict.fromkeys((entry.name, full_name(entry.name, values.languages[0])), parts)
    return models


def marked(results: Sequence[Row], rows: Sequence[Row], values: Budgets) -> list[dict[str, Any]]:
    """Add `stopped` and `cut` to the results, from the row of `stopped` of the first of their models that was cut, else
    of the first.
    """
    by_model, models = {row["model"]: row for row in rows}, models_of(values)
    marks = []
    for result in results:
        trained = [by_model[model] for model in models.get(result["evaluation"], []) if model in by_model]
        first = next((row for row in trained if row["cut"]), trained[0] if trained else None)
        marks.append({**result, "stopped": first and first["text"], "cut": bool(first and first["cut"])})
    return marks
