"""Google's translation page, against a server on the loopback interface."""

import random
import threading
import time
from collections import Counter
from urllib.parse import quote_plus

import pytest
from deep_translator import GoogleTranslator, constants

from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import GoogleTranslation
from clseave.translation import google
from clseave.translation.answers import Answer, ServiceError
from clseave.translation.google import GoogleBackend, Pace
from translate_server import Service, as_breaks, as_spans, said, serving

WORDS = "a man dog red runs sleeps under the blue tree with two women beside an old boat near water".split()


def sentences(count: int, seed: int = 0) -> list[str]:
    """Distinct sentences with the lengths of SNLI's hypotheses: about 39 characters."""
    rng = random.Random(seed)
    return [f"{' '.join(rng.choices(WORDS, k=rng.randint(3, 11)))} {number}." for number in range(count)]


def settings(**changes) -> GoogleTranslation:
    values = {
        "backend": "google", "characters": 4500, "requests_per_second": 1e6, "threads": 1, "timeout_s": 5.0,
        "retries": 3, "corrections": None,
    }  # fmt: skip
    return GoogleTranslation(**values | changes)


@pytest.fixture
def service(monkeypatch):
    """A server in the place of Google's, and no long waits."""
    monkeypatch.setattr(google, "BACKOFF_S", 0.01)
    with serving(Service()) as running:
        monkeypatch.setitem(constants.BASE_URLS, "GOOGLE_TRANSLATE", running.url)
        yield running


def ask(texts, language="de", **changes) -> list[Answer]:
    return list(GoogleBackend(settings(**changes), language).translate(texts))


def right(texts, target="de") -> list[Answer]:
    return [Answer(text, said(text, target)) for text in texts]


@pytest.mark.parametrize(("origin", "code"), [("de", "de"), ("zh", "zh-CN")])
def test_it_translates_back_into_english(service, origin, code):
    service.origin = code
    texts = sentences(50)
    assert sorted(GoogleBackend(settings(), "en", origin).translate(texts)) == sorted(right(texts, "en"))


def test_a_language_to_translate_from_must_be_known(service):
    with pytest.raises(UserError, match=r"languages: found 'xx', allowed with translate.backend google: .*\bde\b"):
        GoogleBackend(settings(), "en", "xx")


# batches


def test_a_thousand_hypotheses_take_few_requests(service):
    texts = sentences(1000)
    assert ask(texts) == right(texts)
    # 1,000 hypotheses of 39 characters and a line end (three characters in an address) in 4,500 characters.
    assert 35 < sum(map(len, texts)) / len(texts) < 45
    assert len(service.texts) == 10
    assert all(len(quote_plus(text)) <= 4500 for text in service.texts)


def test_an_address_counts_as_it_is_sent(service):
    texts = [f"é{'à' * 100} {number}" for number in range(20)]  # 101 letters, each six characters in an address
    assert sorted(ask(texts)) == sorted(right(texts))
    assert [len(text.split("\n")) for text in service.texts] == [7, 7, 6]


def test_a_sentence_longer_than_a_batch_goes_alone(service):
    texts = ["One.", "word " * 60 + "end", "Two."]
    assert sorted(ask(texts, characters=100)) == sorted(right(texts))
    assert service.texts == texts


def test_what_the_library_refuses_as_too_long_is_a_failure_without_a_request(service):
    long = "x" * 5000
    assert ask([long]) == [Answer(long, None, "too long: 5000 characters, fewer than 5000 are taken")]
    assert service.texts == []
    assert ask(["y" * 4999]) == right(["y" * 4999])


def test_line_breaks_inside_a_hypothesis_become_spaces(service):
    texts = ["A dog\nruns.", "A\r\ncat\u2028 sits."]
    assert ask(texts) == [Answer(texts[0], said("A dog runs.")), Answer(texts[1], said("A cat sits."))]


# lines


def test_lines_parted_by_tags_are_told_apart(service):
    service.layout = as_breaks
    texts = sentences(200)
    assert ask(texts) == right(texts) and len(service.texts) == 2


def test_tags_and_entities_in_an_answer_are_text(service):
    texts = ["A & B <br> C", 'it\'s "x"']
    assert ask(texts) == right(texts)


def test_glued_lines_are_noticed_and_then_asked_for_one_by_one(service, caplog):
    service.layout = as_spans
    texts = sentences(600)
    answers = ask(texts, characters=2000)
    assert sorted(answers) == sorted(right(texts))
    joined = [text for text in service.texts if "\n" in text]
    assert len(joined) == google.SCRAMBLED and len(service.texts) == 600 + google.SCRAMBLED
    assert "lines came back glued or in another order 3 times: one a request from now" in caplog.text


def test_a_batch_that_comes_back_in_another_order_is_asked_for_one_by_one(service):
    def turn(lines, target):
        return [said(line, target) for line in (reversed(lines) if len(lines) > 1 else lines)]

    service.translate = turn
    texts = sentences(300)
    assert sorted(ask(texts)) == sorted(right(texts))
    assert len(service.texts) == 300 + google.SCRAMBLED


def test_a_lost_line_halves_the_batch_until_it_fits(service):
    service.translate = lambda lines, target: [
        said(line, target) for line in lines if len(lines) == 1 or not line.startswith("LOST")
    ]
    texts = sentences(63)
    texts.insert(40, "LOST one.")
    assert sorted(ask(texts)) == sorted(right(texts))
    # 64 lines: the half with the lost line, six times, and its other half each time.
    assert [len(text.split("\n")) for text in service.texts] == [64, 32, 32, 16, 8, 8, 4, 2, 1, 1, 2, 4, 16]


def test_a_line_too_many_halves_the_batch(service):
    service.translate = lambda lines, target: [said(line, target) for line in lines] + ["extra"] * (len(lines) == 5)
    texts = sentences(5)
    assert sorted(ask(texts)) == sorted(right(texts)) and len(service.texts) == 3


def test_an_empty_or_echoed_line_marks_itself_only(service):
    service.translate = lambda lines, target: [
        {"EMPTY.": "", "Tokyo.": "Tokyo."}.get(line, said(line, target)) for line in lines
    ]
    texts = ["One.", "EMPTY.", "Two.", "Tokyo.", "Three."]
    expected = [said("One."), "", said("Two."), "Tokyo.", said("Three.")]
    assert [(answer.source, answer.text) for answer in ask(texts)] == list(zip(texts, expected, strict=True))
    assert len(service.texts) == 1


def test_the_library_s_none_is_no_answer(service):
    service.translate = lambda lines, target: lines  # an echo without a letter: the library gives None
    assert ask(["...", "!!!"]) == [Answer("...", None), Answer("!!!", None)]


def test_utf_8_is_read_as_such_when_the_page_does_not_say_so(service):
    service.content_type = "text/html"
    assert ask(["naïve"]) == right(["naïve"])


# threads


def test_threads_never_mix_answers_up(service):
    service.delay_s = lambda number: (number % 7) / 1000
    texts = sentences(2000)
    answers = ask(texts, characters=200, threads=8)
    assert len(answers) == 2000 and sorted(answers) == sorted(right(texts))
    assert len(service.texts) > 300


def test_the_rate_holds_for_all_threads_together(service):
    ask(sentences(12), characters=10, threads=6, requests_per_second=20)
    gaps = [after - before for before, after in zip(service.times, service.times[1:], strict=False)]
    assert len(service.times) == 12 and service.times[-1] - service.times[0] > 11 / 20 - 0.05
    assert min(gaps) > 0.02


def test_answers_come_while_others_are_asked_for(service):
    answers = GoogleBackend(settings(characters=10), "de").translate(["First one.", "Second one."])
    assert next(answers) == Answer("First one.", said("First one."))
    assert service.texts == ["First one."]
    answers.close()
    assert service.texts == ["First one."]


# faults


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut", "reset", "captcha"])
def test_a_passing_fault_is_tried_again(service, fault):
    service.fault = lambda number, text: fault if number < 2 else None
    assert ask(["One.", "Two."]) == right(["One.", "Two."])
    assert len(service.texts) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("429", "HTTP status 429 at the last of 4 tries"),
        ("500", "HTTP status 500 at the last of 4 tries"),
        ("reset", "ConnectionError at the last of 4 tries"),
    ],
)
def test_a_lasting_fault_ends_the_run_and_what_was_answered_is_given(service, fault, words):
    service.fault = lambda number, text: fault if number >= 3 else None
    got = []
    with pytest.raises(ServiceError, match=words):
        for answer in GoogleBackend(settings(characters=10), "de").translate(sentences(9)):
            got.append(answer)
    assert got == right(sentences(9)[:3]) and len(service.texts) == 3 + 4


def test_a_page_without_translations_for_all_ends_the_run_after_few_tries(service):
    service.fault = lambda number, text: "captcha"
    with pytest.raises(ServiceError, match=r"a page without a translation .*, also for 'A dog runs.'"):
        ask(["One.", "Two."], retries=8)
    assert service.texts == ["One.\nTwo."] * 3 + [google.PROBE] * 3


@pytest.mark.parametrize("fault", ["captcha", "400", "413"])
def test_one_sentence_that_the_service_refuses_costs_no_other(service, fault):
    service.fault = lambda number, text: fault if "poison" in text else None
    texts = ["One.", "A poison.", "Two.", "Three."]
    answers = {answer.source: answer for answer in ask(texts)}
    assert answers["A poison."].text is None and answers["A poison."].reason
    assert [answers[text] for text in ("One.", "Two.", "Three.")] == right(["One.", "Two.", "Three."])


def test_a_slow_answer_is_given_up(service):
    over = threading.Event()
    service.delay_s = lambda number: 0.0 * over.wait(60) if number == 0 else 0.0
    assert ask(["One."], timeout_s=1.0) == right(["One."])
    over.set()
    assert service.texts == ["One."] * 2


def test_the_pause_that_the_service_asks_for_is_kept_by_all_threads(service, monkeypatch):
    full, known = threading.Event(), threading.Event()
    pause = Pace.pause
    monkeypatch.setattr(Pace, "pause", lambda self, seconds: (pause(self, seconds), known.set()))
    service.fault, service.retry_after = lambda number, text: "429" if number == 0 else None, "1"
    service.delay_s = lambda number: _in_flight(number, full, known)
    ask(sentences(8), characters=10, threads=4)
    late = [moment for moment in service.times if moment - service.times[0] >= 1.0]
    assert len(service.times) == 9 and len(late) == 5


def _in_flight(number: int, full: threading.Event, known: threading.Event) -> float:
    """Of the first four requests: the first is answered once all are there, the others when `known` is set."""
    if number == 3:
        full.set()
    if number < 4:
        (full if number == 0 else known).wait(30)
    return 0.0


def test_a_date_to_come_back_at_is_understood():
    assert google._asked_pause("Wed, 21 Oct 2015 07:28:00 GMT", 9.0) == 0.0
    assert google._asked_pause("Wed, 21 Oct 2215 07:28:00 GMT", 9.0) == 3600.0
    assert google._asked_pause("7", 9.0) == 7.0
    assert google._asked_pause("soon", 9.0) == google._asked_pause("", 9.0) == 9.0


def test_pauses_grow_twofold_with_jitter(service, monkeypatch):
    pauses = []
    monkeypatch.setattr(Pace, "pause", lambda self, seconds: pauses.append(seconds))
    service.fault = lambda number, text: "500" if number < 6 else None
    state = random.getstate()
    ask(["One."], retries=6)
    assert random.getstate() == state
    assert len(pauses) == 6
    for power, pause in enumerate(pauses):
        assert 0.5 <= pause / (0.01 * 2**power) <= 1.5
    assert len({pause / 2**power for power, pause in enumerate(pauses)}) == 6


def test_an_interrupt_gives_what_is_in_flight_and_passes_on(service):
    backend, got = GoogleBackend(settings(characters=10, threads=2, timeout_s=30.0), "de"), []

    def interrupted(number: int) -> float:
        """The second request interrupts; both are answered when the backend has stopped."""
        if number == 1:
            time.sleep(0.2)  # until the backend waits for both
            signal_self()
        return 0.0 * backend._pace.stopped.wait(30)

    service.delay_s = interrupted
    with pytest.raises(KeyboardInterrupt):
        for answer in backend.translate(sentences(50)):
            got.append(answer)
    assert sorted(got) == sorted(right(sentences(50)[:2])) and len(service.texts) == 2


def test_an_interrupt_does_not_wait_for_the_end_of_a_pause(service):
    service.fault, service.retry_after = lambda number, text: "429", "60"
    threading.Timer(0.3, signal_self).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask(sentences(50), characters=10, threads=4)
    assert time.monotonic() - start < 30


def signal_self() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGINT)


# the library


def test_each_answer_is_the_library_s(service):
    """The same pages, read by deep-translator's own `translate`."""
    answers = {"One.": "Eins.", "Two.": " Zwei & <drei> ", "Tokyo": "Tokyo", "...": "...", "Three.": ""}
    service.translate = lambda lines, target: [answers[line] for line in lines]
    library = GoogleTranslator(source="en", target="de")
    assert [answer.text for answer in ask(answers, characters=1)] == [library.translate(text) for text in answers]
    assert service.texts == [*answers] * 2


def test_languages_by_the_service_s_codes(service):
    seen = Counter()
    service.translate = lambda lines, target: seen.update([target]) or [said(line, target) for line in lines]
    for language in ("de", "nl", "ja", "ko", "zh", "he", "fr"):
        ask(["One."], language)
    assert list(seen) == ["de", "nl", "ja", "ko", "zh-CN", "iw", "fr"]


def test_a_language_that_google_lacks_is_the_user_s_error():
    with pytest.raises(UserError, match=r"languages: found 'xx', allowed with translate.backend google: af, ak, am, "):
        GoogleBackend(settings(), "xx")


def test_the_version_is_the_library_s():
    assert GoogleBackend.version == "1.11.4"
