"""Cross-checks of names in `params.yaml`: unique, and of models that exist; and files of names no longer in it."""

import logging
from collections.abc import Iterable
from pathlib import Path

from clseave.foundation.errors import UserError
from clseave.foundation.settings.messages import not_one_of
from clseave.foundation.settings.schema import INDEPENDENT, Baseline, Evaluation, Params

log = logging.getLogger(__name__)

FOLDERS = ("clip", "mbert", "autoencoder", "clteave", "clseave")  # model folders with fixed names


def check(path: Path | str, values: Params) -> None:
    """Raise UserError when a name is used twice, or an evaluation names a model that does not exist."""
    for key in ("languages", "seeds", "ve_models"):
        entries = getattr(values, key)
        for entry in entries:
            if entries.count(entry) > 1:
                raise UserError(f"{path}: {key}: found {entry!r} twice, allowed: each value once")
    taken: list[str] = [*values.ve_models, *FOLDERS]
    for number, baseline in enumerate(values.baselines):
        _check_new(f"{path}: baselines.{number}.name", baseline.name, taken)
        _check_baseline(f"{path}: baselines.{number}", baseline)
    heads = {str(name) for name in values.ve_models} | {entry.name for entry in values.baselines}
    made = {"text_encoder": heads - _without_encoder(values) | {"clteave"}, "head": heads}
    made["text_encoder"] |= {f"clseave/{code}" for code in values.languages}
    names = [*values.languages, *(INDEPENDENT + code for code in values.languages)]
    for number, entry in enumerate(values.evaluations):
        where = f"{path}: evaluations.{number}"
        _check_new(f"{where}.name", entry.name, names)
        _check_examples(where, entry)
        for key, allowed in made.items():
            if getattr(entry, key) not in allowed:
                raise UserError(f"{where}.{key}: {not_one_of(getattr(entry, key), sorted(allowed))}")
    wanted = ("en", "clip_ve", "clip_ve", "english", "test")
    if not any(
        (entry.name, entry.text_encoder, entry.head, entry.hypotheses, entry.examples) == wanted
        for entry in values.evaluations
    ):
        raise UserError(
            f"{path}: evaluations: no entry `en` of clip_ve on english test examples, to which all others are compared"
        )


def _without_encoder(values: Params) -> set[str]:
    """Return the models that have a head but no text encoder."""
    return {"image_only"} | {entry.name for entry in values.baselines if entry.kind == "majority"}


def _check_baseline(where: str, entry: Baseline) -> None:
    """Raise UserError when a baseline other than mBERT asks for translated hypotheses, which it would ignore."""
    if entry.kind != "mbert" and entry.hypotheses != "english":
        raise UserError(f"{where}.hypotheses: found {entry.hypotheses!r}, allowed with kind {entry.kind}: english")


def _check_examples(where: str, entry: Evaluation) -> None:
    """Raise UserError when an evaluation's name does not fit its examples, or independent ones are back-translated.

    Independent examples (XVNLI) are never translated back into English.
    """
    independent = entry.examples == "independent"
    if entry.name.startswith(INDEPENDENT) != independent:
        names = f"names that {'' if independent else 'do not '}begin with {INDEPENDENT}"
        raise UserError(f"{where}.name: found {entry.name!r}, allowed with examples {entry.examples}: {names}")
    if independent and entry.hypotheses == "back_translated":
        raise UserError(
            f"{where}.hypotheses: found {entry.hypotheses!r}, allowed with examples independent: english, translated"
        )


def _check_new(where: str, name: str, taken: list[str]) -> None:
    """Raise UserError when a name is in `taken`, by another entry or a folder; else add it."""
    if name in taken:
        raise UserError(f"{where}: found {name!r} twice, allowed: names not used by another entry")
    taken.append(name)


def warn_of_stale(paths: Iterable[Path]) -> None:
    """Log one warning for files of an earlier run that the settings no longer name: no result depends on them."""
    if found := sorted(paths):
        log.warning(
            "%d files of languages, seeds or models that params.yaml does not name are ignored, the first is %s: "
            "`make clean-stale` removes them",
            *(len(found), found[0]),
        )
