"""Querying a translator: each answer is checked and cached as it arrives, and failures are reported."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from clseave.foundation.errors import UserError
from clseave.foundation.process import progress
from clseave.translation.answers import SOURCE, Answer, Answers, ServiceError, tidy
from clseave.translation.checks import REPEATED, Repetitions, fault

log = logging.getLogger(__name__)

NAMED, QUOTED = 3, 80  # failures that a message quotes; characters of each


class Translator(Protocol):
    """Translates English texts into one target language.

    Optional methods: `share`, when an answer may depend on the texts translated together (as `NmtBackend.share`);
    `place`, when translations come from a file; `probe`, when the service may block requests: it reports the service's
    answer to a sentence that has a translation for certain.
    """

    name: str
    version: str  # everything that determines its answers; never a path or a date

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """Yield an answer for each text, as it arrives, in any order. ServiceError when the rest cannot be translated
        now.
        """
        ...


def check_kept(answers: Answers) -> None:
    """Withdraw cached answers that are not translations, so that they are requested again: earlier versions checked
    less.
    """
    language, kept, repetitions = answers.key["target"], len(answers.texts), Repetitions(len(answers.texts))
    refused = {}
    for source, text in answers.texts.items():
        repetitions.add(source, text)
        if reason := fault(source, text, language):
            refused[source] = reason
    for group in repetitions.repeated():
        refused |= dict.fromkeys(group, REPEATED)
    if refused:
        source, reason = next(iter(refused.items()))
        log.warning(
            "%s: %d of %d kept answers are no translations and will be asked for again, as %r for %r (%s)",
            answers.path, len(refused), kept, answers.texts[source][:QUOTED], source[:QUOTED], reason,
        )  # fmt: skip
    for source, reason in refused.items():
        answers.withdraw(source, reason)


def ask(translator: Translator, texts: Sequence[str], answers: Answers, total: int) -> None:
    """Request the missing translations and store each answer as it arrives.

    UserError when the translator gives up, the user interrupts it, or one answer came for too many different texts.
    """
    target, start = answers.key["target"], total - len(texts)
    if answers.kept:
        log.info("%s: %d of %d translations are there, asking %s for the rest", target, start, total, translator.name)
    repetitions = Repetitions(max(total, len(answers.texts) + len(texts)))
    for source, text in answers.texts.items():
        repetitions.add(source, text)
    coming = translator.translate(texts)
    try:
        with progress.bar(total=total, initial=start, desc=f"translation into {target}", unit="hypotheses") as bar:
            for answer in coming:
                checked = _checked(answer, translator, target)
                answers.add(checked)
                bar.update()
                judged = answer.reason is None and checked.text
                if judged and repetitions.add(answer.source, judged) and answers.kept:
                    break  # spare a service requests in vain; of a file, list all faulty lines
    except (ServiceError, KeyboardInterrupt) as error:
        what = f"{translator.name} gave up: {error}" if isinstance(error, ServiceError) else "stopped"
        done = total - sum(text not in answers.texts for text in texts)
        raise UserError(
            f"{what}. {done} of {total} translations into {target} are kept in {answers.path}: run again to go on"
        ) from error
    if groups := repetitions.repeated():
        _refuse_repeated(translator, groups, answers, texts, total)


def _checked(answer: Answer, translator: Translator, language: str) -> Answer:
    """Return an answer on one line, with the reason when it is not a translation."""
    text, reason = None if answer.text is None else tidy(answer.text), answer.reason
    if reason is None and (reason := fault(answer.source, text, language)):
        reason = _place(translator, answer.source) + reason
    return Answer(answer.source, text, reason)


def _place(translator: Translator, text: str) -> str:
    """Return the file and line of a text as a prefix of a reason; empty for a translator that reads no file."""
    place: str = translator.place(text) if hasattr(translator, "place") else ""
    return place


def _refuse_repeated(
    translator: Translator, groups: list[dict[str, str]], answers: Answers, asked: Sequence[str], total: int
) -> None:
    """Withdraw answers given to too many different texts, list them, probe the translator, and raise UserError."""
    repeated = {source: text for group in groups for source, text in group.items()}
    for source in repeated.keys() & answers.texts.keys():
        answers.withdraw(source, REPEATED)
        answers.reasons[source] = _place(translator, source) + REPEATED
    path = answers.list_failures(
        {text: answers.reasons[text] for text in (*asked, *repeated) if text in answers.reasons}
    )
    sources = max(map(list, groups), key=len)
    named = ", ".join(repr(source[:QUOTED]) for source in sources[:NAMED]) + (" ..." if len(sources) > NAMED else "")
    probed = f" {translator.probe()}." if hasattr(translator, "probe") else ""
    right = (
        ", or, where the text is right, write it in place of each reason and let translate.corrections name the file"
    )
    raise UserError(
        f"{len(repeated)} of {total} hypotheses have no translation into {answers.key['target']}: {translator.name} "
        f"gave {repeated[sources[-1]][:QUOTED]!r} for {named}, too different to have one translation.{probed} None is "
        f"kept, all stand in {path}: run again when that is fixed{right if answers.key['source'] == SOURCE else ''}"
    )


def tell_failures(failures: Mapping[str, str], answers: Answers, total: int, keep_english: bool) -> None:
    """List the texts without a translation and raise UserError, or log a warning with `keep_english`."""
    path = answers.list_failures(failures)
    if failures and keep_english:
        log.warning("%d of %d hypotheses have no translation and stay as they are: %s", len(failures), total, path)
    elif failures:
        named = ", ".join(f"{text!r} ({reason})" for text, reason in islice(failures.items(), NAMED))
        raise UserError(
            f"{len(failures)} of {total} hypotheses have no translation into {answers.key['target']}: {named}"
            f"{' ...' if len(failures) > NAMED else ''}. All stand in {path}: write a translation in place of each "
            "reason (also where the answer is right, as the English of a name), let translate.corrections name the "
            "file, in the source folder, and run again; or set translate.untranslated: keep_english"
        )
