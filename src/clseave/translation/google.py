"""Google's translation page, several hypotheses per request. Address and language codes come from deep-translator.

Requests and parsing are implemented here, because the library's `translate` has no timeout and no limit on the size of
a page, hides the `Retry-After` header and joins lines separated by <br>. So are retries, because tenacity cannot count
refusals separately from transient errors, and draws its jitter from Python's global random generator, which is seeded.

The real service was never contacted during development: its page and limits are known from the library's code, and
tests use a local server that behaves as that code expects (tests/translate_server.py).
"""

import logging
import random
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from itertools import islice
from urllib.parse import quote_plus

import requests
from bs4 import BeautifulSoup
from deep_translator.constants import BASE_URLS, GOOGLE_LANGUAGES_TO_CODES

from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import GoogleTranslation
from clseave.translation.answers import CHECKED_LINES, SOURCE, Answer, ServiceError, scrambled, tidy
from clseave.translation.rate_limit import Pace

log = logging.getLogger(__name__)

CODES = {"zh": "zh-CN", "he": "iw", "jv": "jw"}  # where the service's code is not ISO 639-1
RESULT = ["t0", "result-container"]  # classes of the element that holds the translation, as in the library
NO_TRANSLATION = "a page without a translation (it may ask for consent, or whether a human is there)"
LIMIT = 5000  # deep-translator refuses texts of this many characters and more
CHUNK, LARGEST_PAGE = 1 << 16, 1 << 23  # bytes; a page with 5,000 characters has about 10,000
BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 300.0
FEW = 2  # retries after a refusal, which a retry seldom fixes
PROBE = "A dog runs."  # any working service translates this sentence
SCRAMBLED = 3  # consecutive scrambled batches, after which each text is sent alone


class _Refused(Exception):
    """The service refuses this text: a retry is useless, but another text may work."""


class _NoAnswer(Exception):
    """No translation came; the message says why. `refusal`: a retry seldom helps. `retry_after`: the header of that
    name.
    """

    def __init__(self, reason: str, *, refusal: bool = False, retry_after: str = ""):
        super().__init__(reason)
        self.refusal, self.retry_after = refusal, retry_after


def _ask_page(origin: str, target: str, text: str, timeout_s: float) -> str | None:
    """Return the page's translation of a stripped text; None when it merely repeats a text without letters and digits.

    _NoAnswer when there is no translation.
    """
    try:
        page = _get({"tl": target, "sl": origin, "q": text}, timeout_s)
    except requests.RequestException as error:
        raise _NoAnswer(type(error).__name__) from error
    # `get_text` strips and joins the text nodes, which would merge lines separated by <br>.
    page = re.sub(r"\s*<br\s*/?>\s*", "\n", page)
    element = BeautifulSoup(page, "html.parser").find("div", class_=RESULT)
    if element is None:
        raise _NoAnswer(NO_TRANSLATION, refusal=True)
    answer = element.get_text(strip=True)
    return None if answer == text and not any(map(str.isalnum, text)) else answer


def _get(query: dict[str, str], timeout_s: float) -> str:
    """Return the content of the page. _NoAnswer, or requests.RequestException, when there is none."""
    with requests.get(BASE_URLS["GOOGLE_TRANSLATE"], params=query, timeout=timeout_s, stream=True) as response:
        if not response.ok:
            status = response.status_code
            refusal = 400 <= status < 500 and status not in (408, 429)
            raise _NoAnswer(
                f"HTTP status {status}", refusal=refusal, retry_after=response.headers.get("Retry-After", "")
            )
        page = b"".join(islice(response.iter_content(CHUNK), LARGEST_PAGE // CHUNK))
        if len(page) >= LARGEST_PAGE:
            raise requests.RequestException(f"a page of {LARGEST_PAGE:,} bytes and more")
        named = "charset" in response.headers.get("Content-Type", "")
        encoding = response.encoding if named else None  # requests would assume Latin-1
        try:
            return page.decode(encoding or "utf-8", "replace")
        except LookupError:  # unknown name of an encoding
            return page.decode("utf-8", "replace")


class GoogleBackend:
    """Translates through the web page and yields answers as they arrive, so that a run can be resumed."""

    name = "google"
    version = version("deep-translator")

    def __init__(self, settings: GoogleTranslation, language: str, origin: str = SOURCE):
        """Set up a translation into `language`. UserError for a language that the library does not know."""
        self._origin, self._target = (CODES.get(code, code) for code in (origin, language))
        for code, named in ((self._origin, origin), (self._target, language)):
            if code not in GOOGLE_LANGUAGES_TO_CODES.values():
                known = ", ".join(sorted(GOOGLE_LANGUAGES_TO_CODES.values()))
                raise UserError(f"languages: found {named!r}, allowed with translate.backend google: {known}")
        self._settings = settings
        self._pace = Pace(settings.requests_per_second)
        self._scrambled = 0  # consecutive scrambled batches
        self._counting = threading.Lock()
        # A separate random generator for jitter, as drawing from the seeded ones would change results.
        self._random = random.Random()

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """Yield answers as they arrive. ServiceError when the service does not answer after all retries.

        On an error or Ctrl-C, wait for the requests in flight and yield their answers before raising.
        """
        todo = deque(self._batches(texts))
        flying: set[Future[tuple[list[Answer], list[list[str]]]]] = set()
        with ThreadPoolExecutor(self._settings.threads) as pool:
            try:
                while todo or flying:
                    while todo and len(flying) < self._settings.threads:
                        flying.add(pool.submit(self._ask, todo.popleft()))
                    for future in wait(flying, return_when=FIRST_COMPLETED).done:
                        answers, rest = future.result()
                        flying.discard(future)
                        todo.extendleft(reversed(rest))
                        yield from answers
            except (ServiceError, KeyboardInterrupt):
                self._pace.stopped.set()
                for future in wait(flying).done:
                    if future.exception() is None:
                        yield from future.result()[0]
                raise
            finally:
                self._pace.stopped.set()

    def probe(self) -> str:
        """Return a description of the service's answer to a sentence that has a translation for certain."""
        try:
            said = repr(self._try(PROBE))
        except (_Refused, ServiceError) as error:
            said = str(error)
        return f"{PROBE!r} brings {said}"

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yield batches of texts whose URL-encoded lines fill `characters`; a longer text alone."""
        batch: list[str] = []
        size = 0
        for text in texts:
            # Counted URL-encoded: URLs are limited too, and each character beyond ASCII takes six or more of theirs.
            length = len(quote_plus(tidy(text) + "\n"))
            if batch and size + length > self._settings.characters:
                yield batch
                batch, size = [], 0
            batch.append(text)
            size += length
        if batch:
            yield batch

    def _ask(self, batch: list[str]) -> tuple[list[Answer], list[list[str]]]:
        """Return the answers for a batch, and smaller batches of texts that must be sent again."""
        alone, middle = [[text] for text in batch], (len(batch) + 1) // 2
        halves = [batch[:middle], batch[middle:]]
        if len(batch) > 1 and self._scrambled >= SCRAMBLED:
            return [], alone
        sent = [tidy(text) for text in batch]
        try:
            answer = self._request("\n".join(sent))
        except _Refused as error:
            return ([Answer(batch[0], None, str(error))], []) if len(batch) == 1 else ([], halves)
        lines = [answer] if len(batch) == 1 else [None] * len(batch) if answer is None else answer.split("\n")
        if scrambled(sent, lines):
            self._distrust()
            return [], alone
        if len(lines) != len(batch):
            return [], halves
        if len(batch) >= CHECKED_LINES:
            self._scrambled = 0
        return [Answer(text, line) for text, line in zip(batch, lines, strict=True)], []

    def _distrust(self) -> None:
        """Count a scrambled batch; warn when texts are sent alone from now on."""
        with self._counting:
            self._scrambled += 1
            if self._scrambled == SCRAMBLED:
                log.warning("lines came back glued or in another order %d times: one a request from now", SCRAMBLED)

    def _request(self, text: str) -> str | None:
        """Return the page's answer to one text, after retries. _Refused or ServiceError when there is none."""
        if len(text) >= LIMIT:
            raise _Refused(f"too long: {len(text)} characters, fewer than {LIMIT} are taken")
        try:
            return self._try(text)
        except _Refused as error:
            try:
                self._try(PROBE)
            except _Refused as again:
                raise ServiceError(f"{again}, also for {PROBE!r}: it is blocking this address") from error
            raise

    def _try(self, text: str) -> str | None:
        """Return the page's answer to one text, with a retry after every transient error."""
        errors, refusals = 0, 0
        while True:
            self._pace.wait()
            try:
                return _ask_page(self._origin, self._target, text, self._settings.timeout_s)
            except _NoAnswer as error:
                errors, refusals = errors + 1, refusals + error.refusal
                if refusals > min(FEW, self._settings.retries):
                    raise _Refused(str(error)) from error
                if errors > self._settings.retries:
                    raise ServiceError(f"{error} at the last of {errors} tries") from error
                backoff = min(BACKOFF_S * 2.0 ** (errors - 1), LONGEST_BACKOFF_S) * self._random.uniform(0.5, 1.5)
                self._pace.pause(_asked_pause(error.retry_after, backoff))


def _asked_pause(header: str, otherwise: float) -> float:
    """Return the seconds given by the `Retry-After` header (a number or a date), at most an hour; else `otherwise`."""
    try:
        seconds = float(header) if header.isdigit() else parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:  # no header, or no date
        return otherwise
    return min(max(seconds, 0.0), 3600.0)
