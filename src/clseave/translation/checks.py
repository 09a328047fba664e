"""Checks for answers that are evidently not translations: each against its source, and all against each other.

They do not measure the quality of a translation.
"""

import html
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cache

import regex
from ftfy.badness import is_bad

NO_ANSWER, EMPTY, ECHO, NO_LETTERS = "no answer", "empty", "echo of the source", "no letters"
REPEATS, REPEATED = "has the whole source in it", "the same answer as for other sources"

# Markers of a missing value in any letter case, and those that count only in the given letter case.
MARKERS = frozenset(
    "#n/a #na #name? #value? #value #ref #div/0 #num #null #error #spill #calc nan -nan none null nil n/a undefined "
    "missing untranslated error tbd".split()
)
EXACT_MARKERS = frozenset({"NA", "NaT"})
# Sources whose translation may be such a marker: "Zero." is "Null." in German.
MEANT = frozenset("zero nothing none null nil error mistake missing undefined keine keiner keines geen niemand".split())
# Messages that services send with HTTP status 200 instead of a translation.
SERVICE_WORDS = regex.compile(
    r"""<!doctype|<html|error\W{0,2}\d{3}\b
    |\b[45]\d\d\W{1,3}(?:error|internal|service|bad|too|forbidden|not\ found|gateway)
    |(?:server|internal|http|connection)\ error|(?:that['’]?s|there\ was)\ an\ error|error\ occur|try\ again\ later
    |bad\ gateway|your\ computer\ or\ network|automated\ (?:queries|requests)|unusual\ traffic|captcha
    |before\ you\ continue\ to|too\ many\ requests|(?:service|temporarily|currently)\ (?:is\ )?unavailable
    |gateway\ time-?out|request\ timed\ out|quota\ (?:\w+\ ){0,3}exceeded|exceeded\ (?:\w+\ ){0,3}quota
    |(?:rate|request|usage|character|daily|api)\ limit|mymemory\ warning|used\ all\ available|api\ key
    |enable\ javascript|no\ support\ for\ the|no\ translation\ (?:was\ )?found|translation\ (?:failed|error)
    |maximum\ \d+\ char|traceback\ \(most|exception:""",
    regex.IGNORECASE | regex.VERBOSE,
)
ENTITY = regex.compile(r"&\s?#?\s?\w+\s?;|&(?:quot|amp|apos|nbsp|lt|gt)\b", regex.IGNORECASE)
TAG = regex.compile(r"</?[A-Za-z][^<>]*>")
ESCAPE = regex.compile(
    r"""\\(?:u[0-9a-f]{4}|x[0-9a-f]{2}|[nrt"'])|%[c-f][0-9a-f]%[89ab][0-9a-f]|=[c-f][0-9a-f]=[89ab][0-9a-f]"""
    r"""|\p{L}%20\p{L}|^b(?:'.*'|".*")$|^[\[{]\s*["'].*["'\]}]\s*[\]}]$""",
    regex.IGNORECASE,
)
# Letters inside a word that a wrong encoding lost (M?nner) or turned into other signs (l„uft, f¸r).
LOST = regex.compile(
    r"\uFFFD|[\u0080-\u0084\u0086-\u009F]|\p{L}\?+\p{Ll}|\p{Ll}[„‚ƒ†‡ˆ‰¤¦§¬±¶¸¹¼½¾]\p{Ll}|\p{L}[√├┬╠▒]"
)

# ISO 639 codes by the script of the language; a language with several scripts is listed under each.
LANGUAGES = {
    "Latin": "af ak ay az bm br bs ca ceb co cs cy da de ee en eo es et eu fi fil fo fr fy ga gd gl gn ha haw hmn hr "
    "ht hu id ig ilo is it jv jw kri ku la lb lg ln lt lus lv mg mi ms mt nb nl nn no nso ny oc om pl pt qu rm ro rw "
    "sk sl sm sn so sq sr st su sv sw tk tl tn tr ts tw uz vi wo xh yo zu",
    "Cyrillic": "be bg kk ky mk mn ru sr tg tt uk uz", "Arabic": "ar ckb fa ku ps sd ug ur",
    "Devanagari": "bho doi gom hi mai mr ne sa sd", "Bengali": "as bn mni", "Gurmukhi": "pa", "Gujarati": "gu",
    "Oriya": "or", "Tamil": "ta", "Telugu": "te", "Kannada": "kn", "Malayalam": "ml", "Sinhala": "si", "Thai": "th",
    "Lao": "lo", "Myanmar": "my", "Khmer": "km", "Tibetan": "bo dz", "Georgian": "ka", "Armenian": "hy",
    "Hebrew": "he iw yi", "Greek": "el", "Ethiopic": "am ti", "Thaana": "dv", "Han": "ja yue zh", "Hiragana": "ja",
    "Katakana": "ja", "Hangul": "ko",
}  # fmt: skip
UNRELATED, GROWTH, DIFFERENT, SHARE, ENOUGH = 4, 1 / 40, 3, 0.01, 50  # see `Repetitions`
IDS = regex.compile(r"\d+(?:[:.]\d+)+|\w*\d{5,}\w*")
# Frequent words, which unrelated English sentences share.
COMMON = frozenset(
    "a an the is are was were be being been has have his her their its in on at of with and to for from by there this "
    "that it some".split()
)
KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
WITHOUT_KANA = 12  # largest number of Chinese characters in a Japanese text without kana
LATIN, MOST_LATIN = regex.compile(r"\p{Latin}"), 6  # Latin letters per letter of another script: names may be Latin
# In a language written in Latin letters: letters of another alphabet inside a word (lдuft).
MIXED = regex.compile(r"\p{Latin}[\p{Greek}\p{Cyrillic}\p{Hebrew}\p{Arabic}\p{Thai}]+\p{Latin}")
SPACELESS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")


def fault(source: str, text: str | None, language: str) -> str | None:
    """Return why an answer is evidently not a translation into a language (ISO 639); None for a plausible one.

    Reasons: missing, blank, an echo of the source (up to case and punctuation), damaged, without a letter, or of
    another script or length than a translation has.
    """
    if text is None:
        return NO_ANSWER
    if not text.strip():
        return EMPTY
    said, asked = _letters_and_digits(text), _letters_and_digits(source)
    if said == asked:
        return ECHO
    return (
        damage(source, text)
        or (None if any(sign.isalpha() for sign in text) else NO_LETTERS)
        or (REPEATS if asked in said and len(source.split()) > 2 else None)
        or _foreign(text, language)
        or _length(source, text)
    )


def damage(source: str, text: str) -> str | None:
    """Return why a text is damaged: a marker of a missing value, a service's message, markup, a wrong encoding; or
    None.
    """
    bare = text.strip(" .,!\"'<>[](){}")
    if (bare.casefold() in MARKERS or bare in EXACT_MARKERS) and _letters_and_digits(source) not in MEANT:
        return "marker of a missing value"
    if SERVICE_WORDS.search(text) and not SERVICE_WORDS.search(source):
        return "message of a service"
    for name, pattern in (("an HTML entity", ENTITY), ("an HTML tag", TAG), ("an escape sequence", ESCAPE)):
        for found in pattern.findall(text):
            close = found.replace(" ", "")
            if found not in source and (pattern is not ENTITY or html.unescape(close) != close):
                return f"{name} ({found[:20]!r}), expected plain text"
    if any(wrong(text) and not wrong(source) for wrong in (is_bad, LOST.search)):
        return "characters of a wrong encoding, expected UTF-8"
    return None


def _letters_and_digits(text: str) -> str:
    """Return the letters and digits of a text in lower case; the stripped text when it has none."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", text).casefold())) or text.strip()


@cache
def _letters_of(language: str) -> tuple[regex.Pattern[str], regex.Pattern[str]] | None:
    """Return patterns of a language's letters and of foreign letters (other scripts except Latin); None if unknown."""
    scripts = [script for script, codes in LANGUAGES.items() if language in codes.split()]
    own = "".join(rf"\p{{{script}}}" for script in scripts)
    neutral = own + r"\p{Latin}\p{Common}\p{Inherited}" + (r"\p{Han}" if language == "ko" else "")
    return (regex.compile(f"[{own}]"), regex.compile(rf"[\p{{L}}--[{neutral}]]", regex.V1)) if scripts else None


def _foreign(text: str, language: str) -> str | None:
    """Return why the letters do not fit the language; None when they do, or for a language that is not in the table."""
    if (patterns := _letters_of(language)) is None:
        return None
    own, others = (len(pattern.findall(text)) for pattern in patterns)
    if own == 0 or 3 * others > own or len(LATIN.findall(text)) > MOST_LATIN * own:
        return f"not in the script of {language!r}"
    if patterns[0].search("a") and MIXED.search(text):
        return "letters of two scripts in one word"
    if language == "ja" and not KANA.search(text) and _is_chinese(text):
        return "Chinese in place of Japanese"
    return None


def _is_chinese(text: str) -> bool:
    """Return whether a text without kana has non-Japanese characters, or too many in a row for a name or a date."""
    found = regex.findall(r"\p{Han}+", text)
    known = "".join(found).encode("cp932", "ignore").decode("cp932")
    return max(map(len, found)) > WITHOUT_KANA or known != "".join(found)


def _length(source: str, text: str) -> str | None:
    """Return why a text is too long or too short for a translation; None when it is neither.

    In 11,560 real pairs the length of a translation is between a third and three times that of its source.
    """
    before, after = _width(source), _width(text)
    if after > 12 * before + 140:
        return f"too long: {after} letters for {before}"
    if before > 10 * after + 30:
        return f"too short: {after} letters for {before}"
    return None


def _width(text: str) -> int:
    """Return the length, where a Chinese character, a kana or a Korean syllable counts as three letters."""
    return len(text) + 2 * len(SPACELESS.findall(text))


class Repetitions:
    """Finds answers that were given to too many different sources, as answers arrive.

    Paraphrases share a translation ("A man is outside.", "A guy is outdoors."), the more the larger the corpus. An
    answer is refused when its sources include either of two sets. One has `UNRELATED` sources, or `GROWTH` times the
    square root of the total if that is more, no two of which share a word. The other has `DIFFERENT` sources, or a
    share `SHARE` of the total if that is more (but at most `ENOUGH`), no two of which share half of their words. Of
    1,024 real hypotheses in four languages, no answer has more than two sources.
    """

    def __init__(self, total: int):
        """Set the limits for `total` sources."""
        self._unrelated = max(UNRELATED, GROWTH * total**0.5)
        self._different = min(max(DIFFERENT, SHARE * total), ENOUGH)
        self._sources: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def add(self, source: str, text: str) -> bool:
        """Record an answer; return whether too many different sources have it by now."""
        sources = self._sources[_without_ids(source, text)]
        sources[source] = text
        return self._too_many(sources)

    def repeated(self) -> list[dict[str, str]]:
        """Return the groups of answers by source that were given to too many different sources."""
        return [sources for sources in self._sources.values() if self._too_many(sources)]

    def _too_many(self, sources: Collection[str]) -> bool:
        """Return whether these sources are too different to share one translation."""
        return len(sources) >= DIFFERENT and (
            _apart(sources, 0.0, self._unrelated) >= self._unrelated
            or _apart(sources, 0.49, self._different) >= self._different
        )


def _without_ids(source: str, text: str) -> str:
    """Return an answer without numbers and times that its source lacks: messages of a service contain such ids."""
    return IDS.sub(lambda found: found[0] if found[0] in source else "#", text).casefold().strip(" .!?")


def _apart(sources: Iterable[str], overlap: float, enough: float) -> int:
    """Return the number of sources no two of which share more than `overlap` of their words, counted up to `enough`."""
    kept: list[frozenset[str]] = []
    for source in sources:
        words = _words(source)
        if words and all(_unlike(words, others, overlap) for others in kept):
            kept.append(words)
            if len(kept) >= enough:
                break
    return len(kept)


def _unlike(words: frozenset[str], others: frozenset[str], overlap: float) -> bool:
    """Return whether two sets of words overlap by at most `overlap`, or, if overlap is allowed, differ in a number."""
    numbers = overlap > 0 and any(word.isdigit() for word in words ^ others)
    return numbers or len(words & others) <= overlap * len(words | others)


def _words(text: str) -> frozenset[str]:
    """Return the words a sentence is about: numbers, characters, and the first letters of words, so "runs" is
    "running".
    """
    words = regex.findall(r"\p{N}+|[\p{Han}\p{Katakana}]|\p{L}+", text.casefold())
    return frozenset(word if word.isdigit() else word[:3] for word in words if word not in COMMON)
