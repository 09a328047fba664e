"""Downloads: resumed after an interruption, renamed only when complete and verified, kept between runs."""

import logging
import os
import re
from pathlib import Path

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential
from tqdm import tqdm

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import read_json, read_text, write_json, write_text
from clseave.foundation.files.hashing import of_file
from clseave.foundation.settings.schema import Download

log = logging.getLogger(__name__)

LARGEST = 1 << 31  # bytes of one file: 20 times SNLI's zip, the largest file that a profile names
CHUNK = 1 << 14  # bytes read at a time: at most this many are lost when a connection breaks
RETRIES = 5  # consecutive attempts without a new byte
LONGEST_PAUSE = 60.0  # seconds
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
# No compression in transfer: its lengths differ from the file's, so it could not be resumed.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "clseave"}


class _TransientError(Exception):
    """A failure that a retry may not meet; `pause` is the delay that the server asks for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0):
        super().__init__(reason)
        self.pause = pause


# The exceptions worth a retry.
PASSING = (
    _TransientError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class _TooLargeError(Exception):
    """A file larger than allowed; the message gives its size."""


def locate(download: Download, source: Path, downloads: Path, timeout: float = 30.0) -> Path:
    """Return the file that the user placed in `source`, or its copy in `downloads`, fetched if missing.

    Instead of a zip, a folder with its content (of the same name, with or without `.zip`) is accepted, without a check
    of its content. UserError when the placed file has another checksum, and as in `fetch`.
    """
    placed = source / download.file
    for folder in (placed, placed.with_suffix("") if placed.suffix == ".zip" else placed):
        if folder.is_dir():
            log.info("%s: taken as it is, without a checksum", folder)
            return folder
    if placed.is_file():
        if download.sha256 and (found := of_file(placed)) != download.sha256:
            raise UserError(
                f"{placed}: sha256 is {found}, expected {download.sha256}: replace the file, "
                "or give its own in the profile"
            )
        return placed
    if download.url is None:
        raise UserError(f"{placed} does not exist and has no url: place the file (or a link to it) there")
    return fetch(download.url, downloads / placed.name, download.sha256, timeout, by_hand=placed)


def fetch(
    url: str,
    path: Path,
    sha256: str | None,
    timeout: float = 30.0,
    *,
    by_hand: Path | None = None,
    pause: float = 1.0,
    largest: int = LARGEST,
) -> Path:
    """Download `url` to `path` unless it exists; a partial download in `path`.part is resumed.

    Without a given `sha256`, the one of the first download is recorded in `path`.sha256 and required from then on.
    `timeout` is for connecting and for each wait for bytes; `pause` is before the first retry and doubles from there,
    both in seconds. UserError when there is no network, the server keeps answering with an error, the file has more
    than `largest` bytes, or its checksum is wrong; the message says where to place the file `by_hand`.
    """
    record = path.with_name(f"{path.name}.sha256")
    expected = sha256 or (_recorded(record) if record.is_file() else None)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        remedy = f"place the file by hand as {by_hand or path}"
        _fetch_part(url, part, timeout, remedy, pause=pause, largest=largest)
        if expected and (found := of_file(part)) != expected:
            _discard(part)
            raise UserError(
                f"{url}: sha256 is {found}, expected {expected}: run again; if it stays so, "
                f"place the right file by hand as {by_hand or path}"
            )
        part.replace(path)
        _discard(part)
    found = of_file(path)
    if expected and found != expected:
        raise UserError(f"{path}: sha256 is {found}, expected {expected}: delete it, and {record.name} if there is one")
    if not sha256 and not record.is_file():
        write_text(record, f"{found}  {path.name}\n")
    return path


def _recorded(record: Path) -> str:
    """Return the SHA-256 that an earlier download recorded. UserError when the record holds something else."""
    found = read_text(record, 1 << 10).split()[:1]
    if not found or not re.fullmatch("[0-9a-f]{64}", found[0]):
        raise UserError(f"{record} holds no SHA-256: delete it, and {record.with_suffix('').name} if there is one")
    return found[0]


def _fetch_part(url: str, part: Path, timeout: float, remedy: str, *, pause: float, largest: int) -> None:
    """Download `part` to its full length, with retries. UserError when that fails."""
    backoff = wait_exponential(pause, max=LONGEST_PAUSE)
    attempts = Retrying(
        retry=retry_if_exception_type(PASSING),
        stop=stop_after_attempt(RETRIES),
        wait=lambda state: max(backoff(state), min(getattr(_error(state), "pause", 0.0), LONGEST_PAUSE)),
        before_sleep=lambda state: log.warning("%s: %s; trying again", url, _reason(_error(state))),
        reraise=True,
    )
    try:
        for attempt in attempts:
            before = _size(part)
            with attempt:
                try:
                    _attempt(url, part, timeout, remedy, largest)
                finally:
                    if _size(part) > before:  # new bytes: start counting the attempts again
                        attempt.retry_state.attempt_number = 1
    except PASSING as error:
        raise UserError(f"cannot fetch {url} ({_reason(error)}): {remedy} and run again") from error
    except _TooLargeError as error:
        _discard(part)  # else the next run would resume it
        raise UserError(f"{url} {error}: look whether the address is right; if it is, {remedy}") from error
    except requests.RequestException as error:
        raise UserError(f"cannot fetch {url} ({_reason(error)}): {remedy}") from error
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror or error}; what is there is kept") from error


def _size(part: Path) -> int:
    """Return the size of a file in bytes; 0 when it does not exist."""
    return part.stat().st_size if part.is_file() else 0


def _error(state: RetryCallState) -> BaseException:
    """Return the exception of a failed attempt."""
    error = state.outcome.exception() if state.outcome else None
    assert error is not None
    return error


def _attempt(url: str, part: Path, timeout: float, remedy: str, largest: int) -> None:
    """Send one request: for the rest of `part` when the server still has the same file, else for all of it."""
    state = part.with_name(f"{part.name}.json")
    validator = _validator(url, part, state)
    have = part.stat().st_size if validator else 0
    headers = HEADERS | ({"Range": f"bytes={have}-", "If-Range": validator} if validator else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{have}":
            return  # complete: the previous run was killed before it renamed the file
        if response.status_code == 416 or (response.status_code == 206 and not _continues(response, have)):
            _discard(part)
            raise _TransientError("the server's answer does not continue the partial download")
        if response.status_code in TRANSIENT:
            asked = response.headers.get("Retry-After", "")
            raise _TransientError(_status(response), float(asked) if asked.isdigit() else 0.0)
        if response.status_code not in (200, 206):
            raise UserError(f"{url} answered {_status(response)}: {remedy}")
        if response.status_code == 200:
            have = 0
            part.unlink(missing_ok=True)  # before the new state: they must never describe different files
            write_json(state, {"url": url, "validator": _strong_validator(response)})
        _receive(response, part, have, largest)


def _receive(response: requests.Response, part: Path, have: int, largest: int) -> None:
    """Append the body of the response to `part`.

    _TransientError when it ends early, _TooLargeError as soon as its size is known to exceed `largest`.
    """
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None
    if total is not None and total > largest:
        raise _TooLargeError(f"sends {total:,} bytes, allowed: {largest:,}")
    bar = tqdm(desc=part.stem, total=total, initial=have, unit="B", unit_scale=True, disable=None)
    with open(part, "ab" if have else "wb") as stream, bar:
        for chunk in response.iter_content(CHUNK):
            if stream.tell() + len(chunk) > largest:  # the header gave no length, or a wrong one
                raise _TooLargeError(f"sends more than the {largest:,} bytes allowed")
            stream.write(chunk)
            bar.update(len(chunk))
        stream.flush()
        os.fsync(stream.fileno())
        size = stream.tell()
    if total is not None and size != total:
        raise _TransientError(f"the connection ended after {size:,} of {total:,} bytes")


def _validator(url: str, part: Path, state: Path) -> str | None:
    """Return the ETag or date of the file that `part` begins; None when the download must start over."""
    if not part.is_file() or not part.stat().st_size or not state.is_file():
        return None
    try:
        known = read_json(state)
    except UserError:
        return None
    if not isinstance(known, dict) or known.get("url") != url:
        return None
    validator = known.get("validator")
    return validator if isinstance(validator, str) and validator.isprintable() else None


def _strong_validator(response: requests.Response) -> str | None:
    """Return the response's ETag, or else its date of modification, or None; a weak ETag does not promise the same
    bytes.
    """
    if "Content-Encoding" in response.headers:
        return None  # the stored bytes are decoded: their positions differ from those in the transfer
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _continues(response: requests.Response, have: int) -> bool:
    """Return whether a partial response starts where `part` ends."""
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _discard(part: Path) -> None:
    """Remove a partial file and its state."""
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason}".strip()


def _reason(error: BaseException) -> str:
    """Return the innermost cause of an exception in one line: requests and urllib3 wrap it several times."""
    cause: BaseException = error
    while isinstance(inner := getattr(cause, "reason", None) or (cause.args[-1] if cause.args else None), Exception):
        cause = inner
    return " ".join(str(cause).split()) or type(cause).__name__
