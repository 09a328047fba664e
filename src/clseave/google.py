"""Google's translation page through deep-translator's `GoogleTranslator`, many hypotheses a request.

The real service was not contacted when this was written: its page, limits and moods are known from deep-translator's
code and from a server of our own that behaves as that code expects (tests/translate_server.py).
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
from types import FunctionType, SimpleNamespace
from urllib.parse import quote_plus

import requests
from deep_translator import GoogleTranslator
from deep_translator.constants import GOOGLE_LANGUAGES_TO_CODES
from deep_translator.exceptions import RequestError, TooManyRequests, TranslationNotFound

from clseave.answers import CHECKED_LINES, SOURCE, Answer, ServiceError, scrambled, tidy
from clseave.errors import UserError
from clseave.pace import Pace
from clseave.schema import GoogleTranslation

log = logging.getLogger(__name__)

CODES = {"zh": "zh-CN", "he": "iw", "jv": "jw"}  # where the service's code is not ISO 639-1
LIMIT = 5000  # deep-translator refuses texts of this many characters and more
CHUNK, LARGEST_PAGE = 1 << 16, 1 << 23  # bytes; a page with 5,000 characters has some ten thousand
BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 300.0
FEW = 2  # tries more, of what another try seldom mends
PROBE = "A dog runs."  # a sentence that is certainly translated, by a service that translates at all
SCRAMBLED = 3  # batches in a row, after which the service is not trusted with lines any more


class _Refused(Exception):
    """The service answers, but not to this text: another try is no use, another text may be."""


class _Client:
    """One thread's GoogleTranslator: one shared by threads gives answers of one sentence to another, silently.

    The library calls `requests.get` without a time-out and offers no place for one. So its own, unchanged `translate`
    is run with `requests` meaning our `_get`: in a copy of its globals, so that nothing outside this object changes.
    """

    def __init__(self, origin: str, target: str, timeout_s: float):
        self._library = GoogleTranslator(source=origin, target=target)
        self._timeout_s = timeout_s
        theirs = GoogleTranslator.translate
        ours = {**theirs.__globals__, "requests": SimpleNamespace(get=self._get)}
        self._translate = FunctionType(theirs.__code__, ours)
        self.status = 0  # of the last response; 0 without one
        self.retry_after = ""

    def translate(self, text: str) -> str | None:
        """The library's answer: None and "" are its ways to say that there is none."""
        self.status, self.retry_after = 0, ""
        return self._translate(self._library, text)

    def _get(self, url: str, **settings: object) -> requests.Response:
        """`requests.get` with a time-out, and with what the library would lose: line breaks made of tags."""
        response = requests.get(url, timeout=self._timeout_s, stream=True, **settings)  # type: ignore[arg-type]
        self.status, self.retry_after = response.status_code, response.headers.get("Retry-After", "")
        if "charset" not in response.headers.get("Content-Type", ""):
            response.encoding = "utf-8"  # requests would assume Latin-1
        # The library strips each text node and glues them: lines parted by <br> would become one.
        page = b"".join(islice(response.iter_content(CHUNK), LARGEST_PAGE // CHUNK))
        if len(page) >= LARGEST_PAGE:
            raise requests.RequestException(f"a page of {LARGEST_PAGE:,} bytes and more")
        response._content = re.sub(rb"\s*<br\s*/?>\s*", b"\n", page)
        return response


class GoogleBackend:
    """Translates through the web page, resumably: answers are given as they come."""

    name = "google"
    version = version("deep-translator")

    def __init__(self, settings: GoogleTranslation, language: str, origin: str = SOURCE):
        """`language` is the target. UserError names one that the library does not know."""
        self._origin, self._target = (CODES.get(code, code) for code in (origin, language))
        for code, named in ((self._origin, origin), (self._target, language)):
            if code not in GOOGLE_LANGUAGES_TO_CODES.values():
                known = ", ".join(sorted(GOOGLE_LANGUAGES_TO_CODES.values()))
                raise UserError(f"languages: found {named!r}, allowed with translate.backend google: {known}")
        self._settings = settings
        self._local = threading.local()
        self._pace = Pace(settings.requests_per_second)
        self._scrambled = 0  # batches in a row
        self._counting = threading.Lock()
        # A generator of its own: the seeded ones decide results.
        self._random = random.Random()

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """Answers in the order in which they arrive. ServiceError when the service gives none after all retries.

        At an error or Ctrl-C the requests in flight are waited for and their answers given before the exception.
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
        """What the service says to a sentence that is certainly translated."""
        try:
            said = repr(self._try(PROBE))
        except (_Refused, ServiceError) as error:
            said = str(error)
        return f"{PROBE!r} brings {said}"

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Runs of texts whose lines, as they stand in the address, fill `characters`; a longer text alone."""
        batch: list[str] = []
        size = 0
        for text in texts:
            # Counted as sent: an address is limited too, and each sign beyond ASCII takes six or more of its letters.
            length = len(quote_plus(tidy(text) + "\n"))
            if batch and size + length > self._settings.characters:
                yield batch
                batch, size = [], 0
            batch.append(text)
            size += length
        if batch:
            yield batch

    def _ask(self, batch: list[str]) -> tuple[list[Answer], list[list[str]]]:
        """Answers, and smaller batches of what must be asked again."""
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
        with self._counting:
            self._scrambled += 1
            if self._scrambled == SCRAMBLED:
                log.warning("lines came back glued or in another order %d times: one a request from now", SCRAMBLED)

    def _request(self, text: str) -> str | None:
        """The page's answer to one text, after as many tries as it takes. ServiceError, or _Refused, without one."""
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
        """One text, tried again after every error that may pass."""
        if not hasattr(self._local, "client"):
            self._local.client = _Client(self._origin, self._target, self._settings.timeout_s)
        client: _Client = self._local.client
        errors, refusals = 0, 0
        while True:
            self._pace.wait()
            try:
                return client.translate(text)
            except (TooManyRequests, RequestError, TranslationNotFound, requests.RequestException) as error:
                errors, refusals = errors + 1, refusals + _is_refusal(error, client.status)
                said = _describe(error, client.status)
                if refusals > min(FEW, self._settings.retries):
                    raise _Refused(said) from error
                if errors > self._settings.retries:
                    raise ServiceError(f"{said} at the last of {errors} tries") from error
                backoff = min(BACKOFF_S * 2.0 ** (errors - 1), LONGEST_BACKOFF_S) * self._random.uniform(0.5, 1.5)
                self._pace.pause(_asked_pause(client.retry_after, backoff))


def _is_refusal(error: Exception, status: int) -> bool:
    """A page without a translation, or a request that the service will not take (as one too long)."""
    lasting = isinstance(error, RequestError) and 400 <= status < 500 and status != 408
    return lasting or isinstance(error, TranslationNotFound)


def _describe(error: Exception, status: int) -> str:
    if isinstance(error, TranslationNotFound):
        return "a page without a translation (it may ask for consent, or whether a human is there)"
    return f"HTTP status {status}" if status else type(error).__name__


def _asked_pause(header: str, otherwise: float) -> float:
    """Seconds that the service asks to wait, an hour at most: `Retry-After` holds seconds or a date."""
    try:
        seconds = float(header) if header.isdigit() else parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:  # no header, or no date
        return otherwise
    return min(max(seconds, 0.0), 3600.0)
