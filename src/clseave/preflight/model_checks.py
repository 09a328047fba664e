"""Checks that a profile's models and data sets are available, here or on the hub, and suit the stages.

For a model on the hub, only its list of files, config.json and the names of its weights are read: a few kilobytes.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import requests
from huggingface_hub import HfApi, constants, errors, hf_hub_url, try_to_load_from_cache
from huggingface_hub.utils import build_hf_headers

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import parse_json, read_json
from clseave.foundation.rows import training_record
from clseave.foundation.settings.schema import Evaluation, HubRows, Pretrained
from clseave.models import pretrained
from clseave.models.pretrained import TOKENIZERS
from clseave.models.tokens import load_fitting
from clseave.preflight.findings import Finding
from clseave.preflight.needs import root_cause

START = 1 << 20  # bytes at the start of a file of weights that include all names


def judge_model(
    model: Pretrained,
    key: str,
    made: Path,
    profile: Path,
    seconds: float,
    *,
    layer: int | None = None,
    evaluations: Sequence[Evaluation] = (),
) -> Finding:
    """Check that a model is available: in its own folder, in `made`, in the hub's cache, or on the hub at its revision.

    Whatever can be read without its weights must suit the stages: a word aligner's `layer`, a teacher's `evaluations`.
    """
    fix = f"place a copy of its files in a folder, and name that as `{key}.id` in {profile}"
    try:
        if model.id.startswith((".", "/")):
            if not Path(model.id).is_dir():
                return Finding("missing", f"{model.id} is no folder", fix)
            pretrained.require_whole(Path(model.id), model)
            _require_usable(key, Path(model.id), model, layer, evaluations)
            return Finding("ok", f"the folder {model.id}")
        if _was_made(made, model):
            return Finding("ok", f"{made}, of an earlier run")
        if cached := _cached(model):
            _require_usable(key, cached, model, layer, evaluations)
            return Finding("ok", f"{model.id}: in the hub's cache, {constants.HF_HUB_CACHE}")
        look = partial(_require_fitting, key, model, seconds, layer=layer, evaluations=evaluations)
        return _of_hub(model, HfApi().model_info, fix, seconds, look)
    except UserError as error:
        return Finding("missing", str(error), fix)


def _require_usable(
    key: str, folder: Path, model: Pretrained, layer: int | None, evaluations: Sequence[Evaluation]
) -> None:
    """Raise UserError for files of a model that a stage would refuse: configuration, names of weights, tokenizer."""
    pretrained.require_fitting(key, folder, model, layer)
    if key == "backbones.clip":
        pretrained.require_assemblies(model.id, read_json(folder / "config.json"), evaluations)
    if key.startswith("backbones.") and pretrained.has_tokenizer(folder):  # the hub's cache may lack it
        load_fitting(folder)


def _was_made(made: Path, model: Pretrained) -> bool:
    """Return whether a folder holds the output of a run with this model, according to its record if it has one."""
    if not (made / "config.json").is_file():
        return False
    record = training_record.read(made)
    return record is None or (record.origin is not None and record.origin.id == model.id)


def _cached(model: Pretrained) -> Path | None:
    """Return the model's folder in the hub's cache, or None when configuration or weights are missing."""
    config = try_to_load_from_cache(model.id, "config.json", revision=model.revision)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    files = pretrained.weight_files(folder, model.weights)
    return folder if files and all((folder / file).is_file() for file in files) else None


def judge_hub_rows(rows: HubRows, profile: Path, seconds: float) -> Finding:
    """Check that the hub has a data set."""
    return _of_hub(rows, HfApi().dataset_info, f"name another id in {profile}", seconds)


def _of_hub(
    wanted: Pretrained | HubRows,
    info: Callable[..., Any],
    fix: str,
    seconds: float,
    look: Callable[[Any], None] = lambda _: None,
) -> Finding:
    """Check that the hub has a model or data set; `look` receives its information, and raises UserError if it is
    unsuitable.
    """
    where = f"{wanted.id} at {constants.ENDPOINT}"
    try:
        look(info(wanted.id, revision=wanted.revision, timeout=seconds))
    except errors.RevisionNotFoundError:
        return Finding("missing", f"{where}: no revision {wanted.revision}", f"correct it, or {fix}")
    except errors.RepositoryNotFoundError:
        return Finding("missing", f"{where}: no such id, or one that needs a login", f"set HF_TOKEN, or {fix}")
    except UserError:
        raise
    except Exception as error:  # from several libraries; any of them means that it cannot be fetched
        return Finding("missing", f"{where}: {root_cause(error)}", f"connect to the network, or {fix}")
    return Finding("ok", f"to be fetched: {where} answers")


def _require_fitting(
    key: str, model: Pretrained, seconds: float, info: Any, *, layer: int | None, evaluations: Sequence[Evaluation]
) -> None:
    """Raise UserError for a model on the hub that a stage would refuse; what the hub does not tell is not checked."""
    known = {file.rfilename for file in info.siblings or []}
    single, index = pretrained.WEIGHTS[model.weights], pretrained.index_of(model.weights)
    if "config.json" not in known:
        return
    with suppress(requests.RequestException, LookupError, OSError, TypeError, ValueError):
        config = _json(model, "config.json", seconds)
        pretrained.require_kind(key, model.id, config)
        if layer is not None:
            pretrained.require_layers(model.id, config, layer)
        if not known & {single, index}:
            raise UserError(
                f"{model.id} holds no {single}{pretrained.missing_weights_remedy(model.weights, sorted(known))}"
            )
        names = _names(model, seconds) if single in known else _json(model, index, seconds)["weight_map"]
        if key.startswith("backbones.") and not any(fnmatch(file, name) for file in known for name in TOKENIZERS):
            raise UserError(f"{model.id} holds no tokenizer: expected one of {', '.join(TOKENIZERS)}")
        if key == "backbones.clip":
            pretrained.require_teacher(model.id, config, names)
            pretrained.require_assemblies(model.id, config, evaluations)


def _get(model: Pretrained, file: str, seconds: float) -> requests.Response:
    """Return the streaming response for a file of a model."""
    url = hf_hub_url(model.id, file, revision=model.revision)
    response = requests.get(url, headers=build_hf_headers(), timeout=seconds, stream=True)
    response.raise_for_status()
    return response


def _json(model: Pretrained, file: str, seconds: float) -> Any:
    """Return the content of a small JSON file of a model."""
    with _get(model, file, seconds) as response:
        return parse_json(response.text)


def _names(model: Pretrained, seconds: float) -> set[str]:
    """Return the names of the weights, read from the start of their file."""
    with _get(model, pretrained.WEIGHTS[model.weights], seconds) as response:
        return pretrained.names_at_start(next(response.iter_content(START)), model.weights)
