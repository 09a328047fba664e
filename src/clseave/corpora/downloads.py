"""Files from the network: resumed after a cut, renamed only when complete and as expected, kept between runs."""

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

LARGEST = 1 << 31  # bytes of one file: SNLI's zip, the largest that a profile names, has a twentieth of it
CHUNK = 1 << 14  # bytes read at a time: no more than that is lost when a connection is cut
RETRIES = 5  # attempts in a row that bring no new byte
LONGEST_PAUSE = 60.0  # seconds
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
# What the server sends as it stores it: a compressed transfer has other lengths and cannot be resumed.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "clseave"}


class _TransientError(Exception):
    """A failure that another attempt may not meet; `pause` is what the server asks for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0):
        super().__init__(reason)
        self.pause = pause


# What another attempt may not meet.
PASSING = (
    _TransientError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class _TooLargeError(Exception):
    """A file of more bytes than are allowed; the text says how many."""


def locate(download: Download, source: Path, downloads: Path, timeout: float = 30.0) -> Path:
    """The file that the user placed in `source`, or else its copy in `downloads`, fetched when it is not there yet.

    Of a zip, the unpacked folder (of the same name, with or without `.zip`) serves as well; its content is not
    checked. UserError when the placed file has another checksum, and whenever `fetch` cannot get it.
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
    """Fetch `url` as `path` unless it is there; what a cut transfer left in `path`.part is taken up again.

    Without a cited `sha256` the one found at the first download is kept in `path`.sha256 and holds from then on.
    `timeout` is of connecting and of each wait for bytes; `pause` is before the second attempt and doubles from there,
    both in seconds. UserError: no network, an answer that stays an error, more than `largest` bytes, or a wrong
    checksum; it says where to place the file `by_hand`.
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
    """The SHA-256 that an earlier download left. UserError when the file holds something else."""
    found = read_text(record, 1 << 10).split()[:1]
    if not found or not re.fullmatch("[0-9a-f]{64}", found[0]):
        raise UserError(f"{record} holds no SHA-256: delete it, and {record.with_suffix('').name} if there is one")
    return found[0]


def _fetch_part(url: str, part: Path, timeout: float, remedy: str, *, pause: float, largest: int) -> None:
    """Bring `part` to its full length, in several attempts if need be. UserError when that fails."""
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
                    if _size(part) > before:  # new bytes: the attempts are counted from here on
                        attempt.retry_state.attempt_number = 1
    except PASSING as error:
        raise UserError(f"cannot fetch {url} ({_reason(error)}): {remedy} and run again") from error
    except _TooLargeError as error:
        _discard(part)  # it would only be taken up again
        raise UserError(f"{url} {error}: look whether the address is right; if it is, {remedy}") from error
    except requests.RequestException as error:
        raise UserError(f"cannot fetch {url} ({_reason(error)}): {remedy}") from error
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror or error}; what is there is kept") from error


def _size(part: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    return part.stat().st_size if part.is_file() else 0


def _error(state: RetryCallState) -> BaseException:
    """What a failed attempt raised."""
    error = state.outcome.exception() if state.outcome else None
    assert error is not None
    return error


def _attempt(url: str, part: Path, timeout: float, remedy: str, largest: int) -> None:
    """One request: the rest of `part` when the server still has the same file, else all of it."""
    state = part.with_name(f"{part.name}.json")
    validator = _validator(url, part, state)
    have = part.stat().st_size if validator else 0
    headers = HEADERS | ({"Range": f"bytes={have}-", "If-Range": validator} if validator else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{have}":
            return  # killed between the last byte and the new name
        if response.status_code == 416 or (response.status_code == 206 and not _continues(response, have)):
            _discard(part)
            raise _TransientError("the server's answer does not continue what is there")
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
    """Append the body to `part`. _TransientError when it ends early, _TooLargeError as soon as that is known."""
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None
    if total is not None and total > largest:
        raise _TooLargeError(f"sends {total:,} bytes, allowed: {largest:,}")
    bar = tqdm(desc=part.stem, total=total, initial=have, unit="B", unit_scale=True, disable=None)
    with open(part, "ab" if have else "wb") as stream, bar:
        for chunk in response.iter_content(CHUNK):
            if stream.tell() + len(chunk) > largest:  # it told no length, or a wrong one
                raise _TooLargeError(f"sends more than {largest:,} bytes, which is what is allowed")
            stream.write(chunk)
            bar.update(len(chunk))
        stream.flush()
        os.fsync(stream.fileno())
        size = stream.tell()
    if total is not None and size != total:
        raise _TransientError(f"the connection ended after {size:,} of {total:,} bytes")


def _validator(url: str, part: Path, state: Path) -> str | None:
    """What identifies the file that `part` is the start of; None when it must be fetched from its start."""
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
    """The ETag, or the date of the last change; a weak ETag does not promise the same bytes."""
    if "Content-Encoding" in response.headers:
        return None  # what is kept is decoded: places in it are not places in what is sent
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _continues(response: requests.Response, have: int) -> bool:
    """Whether a partial answer starts where `part` ends."""
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _discard(part: Path) -> None:
    """Remove a partial file and its state."""
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason}".strip()


def _reason(error: BaseException) -> str:
    """The innermost cause, in one line: requests and urllib3 wrap it several times."""
    cause: BaseException = error
    while isinstance(inner := getattr(cause, "reason", None) or (cause.args[-1] if cause.args else None), Exception):
        cause = inner
    return " ".join(str(cause).split()) or type(cause).__name__
