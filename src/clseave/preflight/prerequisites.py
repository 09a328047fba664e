"""Fast checks of what settings require: a DVC remote, languages of the translator, suitable local models."""

import logging
from pathlib import Path

from dvc.config import Config, ConfigError

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import read_json
from clseave.foundation.settings.schema import (
    Backbones,
    GoogleTranslation,
    NmtTranslation,
    NoTranslation,
    Params,
    Pretrained,
    Profile,
)
from clseave.models import pretrained
from clseave.translation.google import GoogleBackend

log = logging.getLogger(__name__)


def check(values: Params, profile: Profile, dvc: Path) -> None:
    """Raise UserError for anything that would stop a later stage or a push of its results.

    `dvc` is the folder `.dvc` of the repository.
    """
    require_remote(values.profile, dvc)
    require_languages(values, profile)
    require_models(profile)
    require_evaluations(values, profile)


def require_remote(name: str, dvc: Path) -> None:
    """Raise UserError unless DVC has a remote named like the profile; without a DVC repository none is needed."""
    if not dvc.is_dir():
        return
    try:
        remotes = Config(dvc_dir=str(dvc)).get("remote", {})
    except ConfigError as error:
        raise UserError(f"{dvc / 'config'} cannot be read by DVC: {error}") from error
    if name not in remotes:
        raise UserError(
            f"profile {name}: found no DVC remote of that name, where its outputs are pushed to, but "
            f"{', '.join(remotes) or 'none'}: add one, such as `dvc remote add {name} stores/{name}`"
        )


def require_languages(values: Params, profile: Profile) -> None:
    """Raise UserError for a language that the translation service does not offer."""
    if isinstance(profile.translate, GoogleTranslation):
        for code in values.languages:
            GoogleBackend(profile.translate, code)  # sends no request before it translates


def require_models(profile: Profile) -> None:
    """Raise UserError for a local model that does not suit the stages; warn of a missing one, as its stage may have
    run.
    """
    models: dict[str, Pretrained] = {}
    if not isinstance(profile.backbones, Backbones):
        models["backbones.clip"] = profile.backbones.clip
        if not isinstance(profile.translate, NoTranslation):
            models["backbones.mbert"] = profile.backbones.mbert
    if isinstance(profile.translate, NmtTranslation):
        models["translate.model"] = profile.translate.model
    for key, model in models.items():
        if not model.id.startswith((".", "/")):
            continue
        if (folder := Path(model.id)).is_dir():
            pretrained.require_whole(folder, model)
            pretrained.require_fitting(key, folder, model, profile.align_words.layer)
            if key.startswith("backbones."):
                from clseave.models.tokens import load_fitting  # with torch, seconds that the miniature is spared

                load_fitting(folder)
        else:
            log.warning("%s.id: %s is no folder: its stage needs one, unless it has run", key, model.id)


def require_evaluations(values: Params, profile: Profile) -> None:
    """Raise UserError for an evaluation that a local teacher does not allow."""
    if isinstance(profile.backbones, Backbones):
        return
    path = Path(profile.backbones.clip.id, "config.json")
    if path.is_file():
        pretrained.require_assemblies(profile.backbones.clip.id, read_json(path), values.evaluations)
