"""Checks of the user's own rows, photos and files of translations, whole, before any stage reads them."""

from collections import Counter
from collections.abc import Collection as Sized
from collections.abc import Iterable, Sequence
from pathlib import Path

from clseave.corpora import own_rows, snli_ve
from clseave.corpora.images import BrokenImageError, decode
from clseave.corpora.own_rows import NAMED, Tables
from clseave.corpora.photos import Collection, Loader
from clseave.corpora.prefetch import THREADS, map_ahead
from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import write_text
from clseave.foundation.process import progress
from clseave.foundation.rows.records import hypothesis_id
from clseave.foundation.settings.schema import FileTranslation
from clseave.preflight.findings import Finding
from clseave.translation import user_files

PROBLEMS = Path(".work/problems")  # a folder for each profile, with lists of what is wrong with its data


def judge_rows(tables: Tables, profile: Path) -> Finding:
    """Count the rows of each split, or name all that is wrong with them."""
    try:
        own_rows.require_sound(tables.faults, PROBLEMS / profile.stem)
        examples, left_out = snli_ve.to_corpus(tables.pairs, Counter(tables.skipped), ())
    except UserError as error:
        return Finding("missing", str(error), f"correct the rows, or `source.rows` in {profile}")
    said = ", ".join(f"{split} {len(some):,}" for split, some in examples.items())
    return Finding("ok", said + "".join(f"; left out: {name} {count:,}" for name, count in left_out.items()))


def judge_photos(photos: Collection, wanted: Sized[str], profile: Path, *, skip_broken: bool) -> Finding:
    """Look for the photos of the rows, and open each of them; a broken one is no fault with `skip_broken`."""
    listings, count = PROBLEMS / profile.stem, len(wanted)
    if absent := sorted(set(wanted) - set(photos.files)):
        found = _listed(absent, listings / "missing_photos.txt")
        said = f"{photos.path}: {len(absent):,} of {count:,} photos are not there: {found}"
        return Finding("missing", said, "copy them there, as .jpg or .png, at most three folders deep")
    broken = [f"{photos.files[name]}: {reason}" for name, reason in _opened(photos, wanted) if reason]
    if broken:
        found = _listed(broken, listings / "broken_photos.txt")
        said = f"{photos.path}: {len(broken):,} of {count:,} photos cannot be read: {found}"
        if skip_broken:
            return Finding("note", f"{said}; their rows are left out (skip_broken)")
        return Finding("missing", said, f"replace them, or set skip_broken: true in {profile}")
    return Finding("ok", f"{photos.path}: {count:,} photos of the rows, all can be read")


def _opened(photos: Collection, wanted: Sized[str]) -> Iterable[tuple[str, str]]:
    """Yield the id of each photo and the reason why it cannot be decoded, or "", in the order of their place."""

    def reason(loader: tuple[str, Loader]) -> tuple[str, str]:
        try:
            decode(loader[1]())
        except (BrokenImageError, UserError) as error:
            return loader[0], str(error)
        return loader[0], ""

    with progress.bar(desc="photos opened", total=len(wanted), unit="photos", leave=False) as bar:
        for found in map_ahead(reason, photos.loaders(photos.order(sorted(wanted))), 4 * THREADS):
            bar.update()
            yield found


def judge_translations(
    tables: Tables, settings: FileTranslation, source: Path, languages: Sequence[str], profile: Path
) -> Finding:
    """Look for the translation of every hypothesis in the user's files, one for each language, and corrections."""
    try:
        lacking, count = _untranslated(tables, settings, source, languages)
    except UserError as error:
        return Finding("missing", str(error), "correct that file")
    if not lacking:
        return Finding("ok", f"{source / settings.folder}: {', '.join(languages)}, all {count:,} sentences")
    found = _listed(lacking, PROBLEMS / profile.stem / "missing_translations.txt")
    said = f"{source / settings.folder}: {len(lacking):,} sentences have no translation: {found}"
    if settings.untranslated == "keep_english":
        return Finding("note", f"{said}; they stay in English (untranslated: keep_english)")
    return Finding("missing", said, f"add them, or set translate.untranslated: keep_english in {profile}")


def _untranslated(
    tables: Tables, settings: FileTranslation, source: Path, languages: Sequence[str]
) -> tuple[list[str], int]:
    """Return the sentences without a translation, each after its language, and the number of distinct hypotheses."""
    texts = list(dict.fromkeys(pair.hypothesis for pairs in tables.pairs.values() for pair in pairs))
    known: dict[str, dict[str, str]] = {}
    lacking: list[str] = []
    for language in languages:
        (path,) = user_files.find(source / settings.folder, language)
        given = user_files.read_given(path, language, texts, shared=False)
        if settings.corrections:
            given |= user_files.read_given(source / settings.corrections, language, texts, shared=True)
        known[language] = {key: line.text for key, line in given.items()}
        lacking += [f"{language}: {text}" for text in texts if not known[language].get(hypothesis_id(text), "").strip()]
    first = languages[0]
    if settings.back:
        test = (known[first].get(hypothesis_id(pair.hypothesis)) for pair in tables.pairs["test"])
        wanted = list(dict.fromkeys(text for text in test if text))
        (path,) = user_files.find(source / settings.folder, f"{first}-en")
        back = user_files.read_given(path, "en", wanted, shared=False, origin=first)
        lacking += [f"{first}-en: {text}" for text in wanted if hypothesis_id(text) not in back]
    return lacking, len(texts)


def _listed(lines: Sequence[str], path: Path) -> str:
    """Write all lines to a file; return the first and the name of the file."""
    write_text(path, "\n".join(lines) + "\n")
    return f"{'; '.join(lines[:NAMED])}; all of them in {path}"
