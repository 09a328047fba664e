"""Parts of the test rows by what their English hypothesis says, and whether languages agree about an image.

A slice is decided by the English text for every language, so that all evaluations have the same rows in it. Words are
looked up, not parsed: the slices are a heuristic. Where the corpus knows the kind of each statement, that decides what
counts, so that no slice contradicts a kind.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clseave.statistics.clustered import codes, estimate
from clseave.statistics.metrics import rounded

NAMES = ("all", "negation", "counting", "short", "medium", "long")
COUNT = "count"  # the kind of statement that decides `counting` where kinds are known  # the order of `rows`

# Words: short at most, long at least. The thirds of 2,341 hypotheses of SNLI's dev and test end at 6 and 8 words.
SHORT, LONG = 6, 9

# Explicit negation, which marks contradictions in SNLI: Gururangan et al. (2018), Annotation Artifacts in Natural
# Language Inference Data. Prefixes ("unhappy") and weak words ("hardly", "few") are left out.
NEGATION = frozenset("no not n't cannot nobody none nothing nowhere never neither nor without".split())
_CONTRACTED = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|had|ca|wo|would|could|should|must|need|ai)n'?t", re.ASCII
)  # with its apostrophe or, as people type, without

# Numbers, and "both", which says two: the quantifiers k, at least k and at most k of Cui, Hershcovich and Søgaard
# (2022), Generalized Quantifiers as a Source of Error in Multilingual NLU Benchmarks. "several", "many", "few", "some"
# and "most" fix no number and are left out; so are "couple" and "pair", which mostly name two lovers or one thing.
COUNTING = frozenset(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million dozen "
    "dozens zero both exactly".split()
)
_BOUNDS = {("at", "least"), ("at", "most")}
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*", re.ASCII)  # "3" and "1,000", not "3rd"
_PRONOUN = frozenset("no the this that any every each some another which".split())  # before "one"
_WORD = re.compile(r"[a-z0-9][a-z0-9'.,]*", re.ASCII)


def words(english: str) -> list[str]:
    """Lower-case words without punctuation; a hyphen parts two words, an apostrophe does not."""
    text = english.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return [word.rstrip("'.,") for word in _WORD.findall(text)]


def _negates(found: Sequence[str]) -> bool:
    """Whether a word denies."""
    return any(word in NEGATION or _CONTRACTED.fullmatch(word) for word in found)


def _counts(found: Sequence[str]) -> bool:
    """Whether a word or two fix a number: "one" does unless it is a pronoun ("no one", "the one", "one another")."""
    return any(
        word in COUNTING
        or _DIGITS.fullmatch(word)
        or (before, word) in _BOUNDS
        or (word == "one" and before not in _PRONOUN and after != "another")
        for before, word, after in zip(["", *found], found, [*found[1:], ""], strict=False)
    )


def of(english: str, kind: str | None = None) -> set[str]:
    """The slices of an English hypothesis: one of short, medium and long, and negation or counting where they fit.

    Length is in words between blanks: short up to `SHORT`, long from `LONG` on. A known `kind` says whether it counts.
    """
    found, length = words(english), len(english.split())
    slices = {"short" if length <= SHORT else "long" if length >= LONG else "medium"}
    counts = _counts(found) if kind is None else kind == COUNT
    return slices | ({"negation"} if _negates(found) else set()) | ({"counting"} if counts else set())


def rows(
    hits: Mapping[str, np.ndarray],
    texts: Sequence[tuple[str, str | None]],
    images: Sequence[str],
    statements: Sequence[str],
    labels: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Accuracy of each evaluation on all rows and on each slice that has one, with its two-way clustered interval.

    `hits` are (N,) shares of right seeds, on the same rows as the N English `texts` with their kinds, `images` and
    `statements`; `labels` is what a reader sees. Shares of 1. ValueError when sizes differ.
    """
    for name, values in hits.items():
        if not len(values) == len(texts) == len(images):
            raise ValueError(
                f"{name}: {len(values)} hits, {len(texts)} texts, {len(images)} image ids: expected as many"
            )
    known = {text: of(*text) | {"all"} for text in set(texts)}
    members = {one: np.array([one in known[text] for text in texts]) for one in NAMES}
    image, statement = codes(images), codes(statements)
    return [
        {"evaluation": name, "label": labels[name], "slice": one, "rows": int(chosen.sum())}
        | _share(np.asarray(values, dtype=np.float64)[chosen], image[chosen], statement[chosen], "accuracy", "")
        for name, values in hits.items()
        for one, chosen in members.items()
        if chosen.any()
    ]


def _share(
    values: np.ndarray,
    images: Sequence[Any] | np.ndarray,
    statements: Sequence[Any] | np.ndarray,
    key: str,
    prefix: str,
) -> dict[str, float | None]:
    """Mean of (N,) values and its two-way clustered interval, as `key`, `prefix` + low and high."""
    found = estimate(values, images, statements)
    low, high = found.within(0, 1)
    return {key: rounded(found.value), f"{prefix}low": rounded(low), f"{prefix}high": rounded(high)}


def consistency(
    predicted: Mapping[str, np.ndarray], images: Sequence[str], statements: Sequence[str], gold: np.ndarray
) -> list[dict[str, Any]]:
    """Whether languages say the same about the same rows: one row for each but the first, and one, "all", for all.

    `predicted` are (N,) label ids of one seed on the same rows; the first is the reference (English); `gold` are the N
    true ids. `same` is the share of rows on which the language predicts as the reference does (for "all":
    on which all languages agree), `same_right` the share on which they agree and are right, `images_same` the share of
    images about which they agree on every row; with 95 % intervals clustered by image and statement. Agreement says
    nothing of being right, and two good models agree often: read it beside `same_right`. Source: consistency across
    languages as in Qi, Fernández and Bisazza (2023), Cross-Lingual Consistency of Factual Knowledge in Multilingual
    Language Models.
    ValueError when sizes differ or there is no second evaluation.
    """
    names = list(predicted)
    if len(names) < 2:
        raise ValueError(f"{len(names)} evaluation: consistency compares at least two")
    table = np.stack([predicted[name] for name in names])
    if not table.shape[1] == len(images) == len(gold):
        raise ValueError(
            f"{table.shape[1]} predictions, {len(images)} image ids, {len(gold)} gold ids: expected as many"
        )
    agree = {name: table[row] == table[0] for row, name in enumerate(names)} | {"all": (table == table[0]).all(0)}
    return [
        {"evaluation": name, "rows": len(gold), **_agreement(agree[name], table[0] == gold, images, statements)}
        for name in [*names[1:], "all"]
    ]


def _agreement(
    agree: np.ndarray, right: np.ndarray, images: Sequence[str], statements: Sequence[str]
) -> dict[str, Any]:
    """The shares of `consistency` of (N,) agreement with a reference that is (N,) right."""
    keys, place = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    whole = np.bincount(place, weights=~agree, minlength=len(keys)) == 0
    return {
        **_share(agree.astype(np.float64), images, statements, "same", "same_"),
        **_share((agree & right).astype(np.float64), images, statements, "same_right", "same_right_"),
        "images": len(keys),
        **_share(whole.astype(np.float64), keys, keys, "images_same", "images_same_"),
    }
