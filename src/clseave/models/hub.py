"""Models of the Hugging Face hub, fetched at their pinned revision, or local folders in the same layout.

Only configuration, tokenizer and weights are fetched, never code. The library's environment variables apply: HF_HOME
(the cache), HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. Cached files are not fetched again.
"""

import errno
import logging
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import constants, errors, get_cached_repo_tree, snapshot_download
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_fixed
from tqdm import tqdm

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import read_json
from clseave.foundation.files.hashing import of_file
from clseave.foundation.settings.schema import Pretrained
from clseave.models import pretrained
from clseave.models.pretrained import TOKENIZERS, WEIGHTS

log = logging.getLogger(__name__)

TRIES = 3  # of the whole transfer; within a try, the library resumes a broken download
PAUSE_S = 2.0
SETTINGS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    *TOKENIZERS,
)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# An incomplete response, or one of another size than expected (a plain OSError).
BROKEN = (httpx2.TransportError, errors.XetDownloadError, OSError)


class _Bar(tqdm):
    """Progress on a terminal; huggingface_hub's own bars are off in all stages."""

    def __init__(self, *args: Any, **settings: Any):
        super().__init__(*args, **settings | {"disable": not sys.stderr.isatty()})


def fetch(model: Pretrained, patterns: Sequence[str] | None = None, key: str | None = None) -> Path:
    """Return the folder of the model's files; `patterns` replaces `SETTINGS`, to which the weights are added.

    An id that starts with "." or "/" is a local folder, used in place. With `key`, a key of the profile, the kind of
    model is checked before its weights are fetched. UserError, in one line, for an unknown model or revision, another
    kind, weights of the other format, missing access, no network, a broken transfer, a full disk.
    """
    if local := model.id.startswith((".", "/")):
        folder = Path(model.id)
        if not folder.is_dir():
            raise UserError(f"{model.id} is no folder: place a copy of the model there, or name a model of the hub")
    else:
        log.info("%s at %s: fetching what %s lacks", model.id, model.revision, constants.HF_HUB_CACHE)
        settings = [*(SETTINGS if patterns is None else patterns), pretrained.index_of(model.weights)]
        folder = _fetch(settings, model)
    if key and (folder / "config.json").is_file():
        pretrained.require_kind(key, model.id, read_json(folder / "config.json"))
    known = None if local else _listing(model)
    if not local and (files := _weights(folder, model, known)):
        _fetch(files, model)
    for file in pretrained.require_whole(folder, model, known):
        _check_hash((folder / file).resolve())
    return folder


def snapshot(name: str, revision: str, patterns: Sequence[str]) -> Path:
    """Return the folder of a model's files that match, without code, at a branch or commit. UserError as `fetch`."""
    log.info("%s at %s: fetching what %s lacks", name, revision, constants.HF_HUB_CACHE)
    return _fetch(list(patterns), Pretrained.model_construct(id=name, revision=revision, weights="safetensors"))


def _listing(model: Pretrained) -> set[str] | None:
    """Return all files of the model at its revision; None when the hub was not queried, as without network."""
    try:
        return {file.path for file in get_cached_repo_tree(model.id, revision=model.revision)}
    except errors.CachedRepoTreeNotFoundError:
        return None


def _weights(folder: Path, model: Pretrained, known: set[str] | None) -> list[str]:
    """Return the weight files to fetch: the single file if the model has it, else the shards that its index names."""
    single = WEIGHTS[model.weights]
    if known and single in known:
        return [single]
    return pretrained.weight_files(folder, model.weights) or ([] if known else [single])


def _fetch(patterns: list[str], model: Pretrained) -> Path:
    """Download the files that the cache lacks; retry broken transfers."""
    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, BROKEN) and not _final(model, error)),
        stop=stop_after_attempt(TRIES),
        wait=wait_fixed(PAUSE_S),
        before_sleep=partial(_warn, model),
        reraise=True,
    )
    settings = {"allow_patterns": patterns, "ignore_patterns": "*.py", "tqdm_class": _Bar}
    try:
        return Path(retrying(snapshot_download, model.id, revision=model.revision, **settings))
    except (errors.HFValidationError, *BROKEN) as error:
        raise UserError(
            _final(model, error)
            or f"{model.id} from {constants.ENDPOINT}: the transfer broke off {TRIES} times ({_reason(error)}): "
            f"run again, files that are whole are kept in {constants.HF_HUB_CACHE}"
        ) from error


def _warn(model: Pretrained, state: RetryCallState) -> None:
    """Log the reason of a retry."""
    if state.outcome and (error := state.outcome.exception()):
        log.warning("%s: the transfer broke off (%s), trying again", model.id, _reason(error))


def _final(model: Pretrained, error: BaseException) -> str | None:
    """Return the message for an error that a retry cannot fix; None if it may."""
    cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error
    kept, copy = constants.HF_HUB_CACHE, "or place a copy of the model in a folder and name that folder as its id"
    status = cause.response.status_code if isinstance(cause, errors.HfHubHTTPError) else 0
    match cause:
        case errors.HFValidationError():
            fault = "no id of the hub (owner/name), nor a folder (starts with . or /)"
        case errors.RevisionNotFoundError():
            fault = f"no revision {model.revision}: name a commit that the model's page lists"
        case errors.GatedRepoError():
            fault = f"its owner grants access on request: ask there and set HF_TOKEN, {copy}"
        case errors.RepositoryNotFoundError():
            fault = f"no such model, or one that needs a login: check the id, set HF_TOKEN, {copy}"
        case errors.OfflineModeIsEnabled():
            fault = f"HF_HUB_OFFLINE is set and not all of it is in {kept}: unset the variable, {copy}"
        case httpx2.ConnectError() | httpx2.ProxyError() | httpx2.ConnectTimeout():
            fault = f"no connection ({_reason(cause)}): run again with network, {copy}"
        case errors.HfHubHTTPError() if status == 429 or status >= 500:
            fault = f"busy or down ({_reason(cause)}): run again later, {copy}"
        case errors.HfHubHTTPError() | errors.FileMetadataError():
            fault = f"refused ({_reason(cause)}): check HF_TOKEN and HF_ENDPOINT, {copy}"
        case OSError() if cause.errno in NO_ROOM:
            fault = f"no room for its files in {kept}: make room, or set HF_HOME to a folder with more"
        case PermissionError():
            fault = f"{kept} cannot be written: set HF_HOME to a folder of yours"
        case _:
            return None
    return f"{model.id} from {constants.ENDPOINT}: {fault}"


def _reason(error: BaseException) -> str:
    """Return the first line of an error's text, or its name."""
    return (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0]


def _check_hash(path: Path) -> None:
    """Raise UserError when a large file of the hub's cache, which its SHA-256 names, has another SHA-256."""
    if re.fullmatch("[0-9a-f]{64}", path.name):
        if (found := of_file(path)) != path.name:
            raise UserError(f"{path} is damaged (its SHA-256 is {found}): delete it and run again")
