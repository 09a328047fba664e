"""Asking a translator: each answer is checked and kept as it comes, and failures are told."""

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

    A translator whose answers depend on which texts it is given together has `share` too, as `NmtBackend.share`;
    one of a file has `place`, and one that may be blocked has `probe`, which says what a certain sentence brings.
    """

    name: str
    version: str  # what decides its answers; never a path or a date

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """An answer for each text, as it comes, in any order. ServiceError when the rest cannot be had for now."""
        ...


def check_kept(answers: Answers) -> None:
    """Drop the kept answers that are no translations, so that they are asked for again: earlier runs checked less."""
    language, kept, repetitions = answers.key["target"], len(answers.texts), Repetitions(len(answers.texts))
    refused = {}
    for source, text in answers.texts.items():
        repetitions.add(source, text)
        if reason := fault(source, text, language):
            refused[source] = reason
    for group in repetitions.found():
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
    """Ask for what is not known, and keep each answer as it comes."""
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
                    break  # a service is not asked in vain; of a file all lines are listed
    except (ServiceError, KeyboardInterrupt) as error:
        what = f"{translator.name} gave up: {error}" if isinstance(error, ServiceError) else "stopped"
        done = total - sum(text not in answers.texts for text in texts)
        raise UserError(
            f"{what}. {done} of {total} translations into {target} are kept in {answers.path}: run again to go on"
        ) from error
    if groups := repetitions.found():
        _refuse_repeated(translator, groups, answers, texts, total)


def _checked(answer: Answer, translator: Translator, language: str) -> Answer:
    """Return an answer on one line, with the reason if it is no translation."""
    text, reason = None if answer.text is None else tidy(answer.text), answer.reason
    if reason is None and (reason := fault(answer.source, text, language)):
        reason = _place(translator, answer.source) + reason
    return Answer(answer.source, text, reason)


def _place(translator: Translator, text: str) -> str:
    place: str = translator.place(text) if hasattr(translator, "place") else ""
    return place


def _refuse_repeated(
    translator: Translator, groups: list[dict[str, str]], answers: Answers, asked: Sequence[str], total: int
) -> None:
    """Withdraw what was answered to too many different texts, list it, ask a certain sentence, and raise UserError."""
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
    """UserError, or with `keep_english` a warning, counts those without a translation and says where all stand."""
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
