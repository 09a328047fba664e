"""Translators behind one protocol: English texts in, answers out as they arrive, each cached with its backend."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from clseave.foundation.errors import UserError
from clseave.foundation.process import shards
from clseave.foundation.rows.records import Translation, hypothesis_id
from clseave.foundation.settings import schema
from clseave.miniature import gold
from clseave.translation import user_files
from clseave.translation.answers import SOURCE, UNFINISHED, Answer, Answers
from clseave.translation.asking import Translator, ask, check_kept, tell_failures
from clseave.translation.checks import NO_ANSWER, damage
from clseave.translation.user_files import Given, file_hash, read_given

log = logging.getLogger(__name__)

MISSING = "missing"


class Translating(schema.View):
    """The settings from which a translator is made."""

    translate: schema.AnyTranslation
    device: schema.Device


class GoldTranslator:
    """Reference translations by the generated corpus's own grammar."""

    name = "gold"
    version = gold.VERSION

    def __init__(self, language: str, origin: str = SOURCE):
        """Set up translation from or into English; `language` is the target."""
        self.origin, self.language = origin, language

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """Yield the same statement in the target language. UserError for a sentence that the grammar cannot produce."""
        return (Answer(text, gold.translate(text, self.origin, self.language)) for text in texts)


class FileTranslator:
    """Translations from a user's file LANGUAGE.SUFFIX, one of `SUFFIXES`; back-translations from LANGUAGE-en.SUFFIX."""

    name = "files"

    def __init__(self, folder: Path, language: str, origin: str = SOURCE):
        """Find the file. UserError when the folder holds none, or several."""
        name = language if origin == SOURCE else f"{origin}-{language}"
        found = user_files.find(folder, name)
        if len(found) != 1:
            names = " and ".join(path.name for path in found)
            names = names or f"none of {', '.join(f'{name}{suffix}' for suffix in user_files.SUFFIXES)}"
            hint = "" if origin == SOURCE else f" into {language}; or set translate.back: false"
            raise UserError(f"{folder}: found {names}, expected one of them, translating all hypotheses{hint}")
        self._path, self._language, self._origin = found[0], language, origin
        self._given: dict[str, Given] = {}
        self.version = file_hash(self._path)

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """Yield the file's translations in the order of `texts`."""
        self._given = read_given(self._path, self._language, texts, shared=False, origin=self._origin)
        for text in texts:
            line = self._given.get(hypothesis_id(text))
            yield Answer(text, None, MISSING) if line is None else Answer(text, line.text)

    def place(self, text: str) -> str:
        """Return file and line of a translated text, as a prefix of a reason."""
        return f"{self._path.name}:{self._given[hypothesis_id(text)].number}: "


def make_translator(
    settings: schema.AnyTranslation, language: str, source: Path, device: str, origin: str = SOURCE
) -> Translator:
    """Return the backend that a profile names, from or into English.

    `source` is the folder of the user's files, `device` that of a model.
    """
    match settings:
        case schema.GoogleTranslation():
            from clseave.translation.google import GoogleBackend  # imported here: each backend has own libraries

            return GoogleBackend(settings, language, origin)
        case schema.NmtTranslation():
            from clseave.translation.seq2seq import NmtBackend

            return NmtBackend(settings, language, device, origin)
        case schema.FileTranslation():
            return FileTranslator(source / settings.folder, language, origin)
        case schema.NoTranslation():
            raise UserError(
                "translate.backend: found 'none', with which the profile is for English alone: run "
                "`dvc repro finetune_clip_ve`, or name where translations come from"
            )
    return GoldTranslator(language, origin)


def translate_hypotheses(
    hypotheses: Mapping[str, str],
    translator: Translator,
    answers: Answers,
    corrections: Path | None = None,
    *,
    keep_english: bool = False,
) -> Iterator[Translation]:
    """Return one row per distinct hypothesis, in the given order; `hypotheses` are English texts by id.

    Corrections take precedence. Cached answers are not requested again, except failures. UserError when hypotheses have
    no translation, the backend gives up, or the user stops it (answers so far are kept), and when one answer came for
    too many different texts (`Repetitions`). With `keep_english`, a hypothesis without a translation stays in English,
    in a row whose backend is "untranslated".
    """
    language = answers.key["target"]
    corrected = {} if corrections is None else _corrections(corrections, language, hypotheses)
    open_texts = _open_texts(hypotheses, corrected)
    check_kept(answers)
    ask(translator, [text for text in open_texts if text not in answers.texts], answers, len(hypotheses))
    failures = {text: answers.reasons.get(text, NO_ANSWER) for text in open_texts if text not in answers.texts}
    tell_failures(failures, answers, len(hypotheses), keep_english)
    by_hand = "" if corrections is None else file_hash(corrections)

    def row(key: str, text: str) -> Translation:
        if key in corrected:
            return Translation(key, text, language, corrected[key].text, "correction", by_hand)
        if text in failures:
            return Translation(key, text, language, text, "untranslated", translator.version)
        return Translation(key, text, language, answers.texts[text], translator.name, translator.version)

    return (row(key, text) for key, text in hypotheses.items())


def translate_share(
    hypotheses: Mapping[str, str],
    translator: Translator,
    answers: Answers,
    corrections: Path | None,
    shard: shards.Shard,
) -> None:
    """Cache the answers to a shard's texts; `translate_hypotheses` then uses them and requests failures once more.

    Does nothing for a translator whose answers are not cached. UserError when the backend gives up.
    """
    if not answers.kept:
        log.info("%s needs no shards: the stage itself translates at once", translator.name)
        return
    corrected = {} if corrections is None else _corrections(corrections, answers.key["target"], hypotheses)
    own = getattr(translator, "share", shards.share)(_open_texts(hypotheses, corrected), shard)
    check_kept(answers)
    ask(translator, [text for text in own if text not in answers.texts], answers, len(own))
    if failed := sum(text not in answers.texts for text in own):
        log.warning("shard %s: %d of %d hypotheses have no translation yet", shard, failed, len(own))


def _open_texts(hypotheses: Mapping[str, str], corrected: Mapping[str, Given]) -> list[str]:
    """Return the texts to translate, without duplicates: in another language two hypotheses may have the same text."""
    return list(dict.fromkeys(text for key, text in hypotheses.items() if key not in corrected))


def _corrections(path: Path, language: str, hypotheses: Mapping[str, str]) -> dict[str, Given]:
    """Return a user's corrections. UserError for one that is blank or damaged, or still holds the reason of a failure.

    Script, length and repetition are not checked: a person's correction is trusted.
    """
    lines = read_given(path, language, hypotheses.values(), shared=True)
    sources = {hypothesis_id(text): text for text in hypotheses.values()}
    for key, line in lines.items():
        if not line.text or line.text.startswith(UNFINISHED.strip()):
            raise UserError(f"{path}:{line.number}: found {line.text!r}, expected a translation")
        if reason := damage(sources[key], line.text):
            raise UserError(f"{path}:{line.number}: found {line.text[:80]!r}: {reason}")
    return lines
