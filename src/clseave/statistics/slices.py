"""Accuracy on slices of the test rows, and agreement between languages.

The English hypothesis decides the slice for every language, so that all evaluations have the same rows in it. The
slices are a heuristic: words are looked up, not parsed. Where the corpus has kinds of statements, the kind decides the
slice `counting`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clseave.statistics.clustered import codes, estimate
from clseave.statistics.metrics import rounded

NAMES = ("all", "negation", "counting", "short", "medium", "long")  # in the order of `rows`
COUNT = "count"  # the kind of statement that decides `counting` where kinds are known

# Most words of short, fewest of long hypotheses. The terciles of 2,341 hypotheses of SNLI's dev and test are 6 and 8.
SHORT, LONG = 6, 9

# Explicit negation, which marks contradictions in SNLI: Gururangan et al. (2018), Annotation Artifacts in Natural
# Language Inference Data. Prefixes ("unhappy") and weak words ("hardly", "few") are left out.
NEGATION = frozenset("no not n't cannot nobody none nothing nowhere never neither nor without".split())
_CONTRACTED = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|had|ca|wo|would|could|should|must|need|ai)n'?t", re.ASCII
)  # with or without the apostrophe

# Numbers, and "both", which means two: the quantifiers k, at least k and at most k of Cui, Hershcovich and Søgaard
# (2022), Generalized Quantifiers as a Source of Error in Multilingual NLU Benchmarks. "several", "many", "few", "some"
# and "most" are left out, as they give no number; so are "couple" and "pair", mostly two lovers or one thing.
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
    """Return the lower-case words without punctuation; a hyphen separates words, an apostrophe does not."""
    text = english.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return [word.rstrip("'.,") for word in _WORD.findall(text)]


def _negates(found: Sequence[str]) -> bool:
    """Return whether a word is an explicit negation."""
    return any(word in NEGATION or _CONTRACTED.fullmatch(word) for word in found)


def _counts(found: Sequence[str]) -> bool:
    """Return whether the words give a number: "one" counts unless it is a pronoun ("no one", "one another")."""
    return any(
        word in COUNTING
        or _DIGITS.fullmatch(word)
        or (before, word) in _BOUNDS
        or (word == "one" and before not in _PRONOUN and after != "another")
        for before, word, after in zip(["", *found], found, [*found[1:], ""], strict=False)
    )


def of(english: str, kind: str | None = None) -> set[str]:
    """Return the slices of an English hypothesis: short, medium or long, and negation and counting if they apply.

    Length is in words separated by blanks: short up to `SHORT`, long from `LONG` on. A given `kind` decides `counting`.
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
    """Return the accuracy of each evaluation on all rows and on each non-empty slice, with two-way clustered intervals.

    `hits` are (N,) shares of correct seeds, on the same rows as the N English `texts` with their kinds, `images` and
    `statements`; `labels` are the displayed names. Accuracies are shares of 1. ValueError when sizes differ.
    """
    for name, values in hits.items():
        if not len(values) == len(texts) == len(images):
            raise ValueError(
                f"{name}: {len(values)} hits, {len(texts)} texts, {len(images)} image ids: expected as many"
            )
    known = {text: of(*text) | {"all"} for text in set(texts)}
    members = {part: np.array([part in known[text] for text in texts]) for part in NAMES}
    image, statement = codes(images), codes(statements)
    return [
        {"evaluation": name, "label": labels[name], "slice": part, "rows": int(chosen.sum())}
        | _share(np.asarray(values, dtype=np.float64)[chosen], image[chosen], statement[chosen], "accuracy", "")
        for name, values in hits.items()
        for part, chosen in members.items()
        if chosen.any()
    ]


def _share(
    values: np.ndarray,
    images: Sequence[Any] | np.ndarray,
    statements: Sequence[Any] | np.ndarray,
    key: str,
    prefix: str,
) -> dict[str, float | None]:
    """Return the mean of (N,) values as `key`, its two-way clustered interval as `prefix` + low and high."""
    found = estimate(values, images, statements)
    low, high = found.within(0, 1)
    return {key: rounded(found.value), f"{prefix}low": rounded(low), f"{prefix}high": rounded(high)}


def consistency(
    predicted: Mapping[str, np.ndarray], images: Sequence[str], statements: Sequence[str], gold: np.ndarray
) -> list[dict[str, Any]]:
    """Return the agreement of each language with the first, one row per language, and of all ("all").

    `predicted` are (N,) label ids of one seed on the same rows; the first is the reference (English); `gold` are the N
    gold ids. `same` is the share of rows on which the language predicts the reference's label (for "all": on which all
    languages agree), `same_right` the share on which they agree and are correct, `images_same` the share of images
    with agreement on every row; with 95 % intervals clustered by image and statement. Agreement does not imply
    correctness, and two good models agree often: read it beside `same_right`. Source: Qi, Fernández and Bisazza
    (2023), Cross-Lingual Consistency of Factual Knowledge in Multilingual Language Models.
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
    agree: np.ndarray, correct: np.ndarray, images: Sequence[str], statements: Sequence[str]
) -> dict[str, Any]:
    """Return the shares of `consistency`, from the rows of agreement (N,) and of correct references (N,), bool."""
    keys, image_ids = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    whole = np.bincount(image_ids, weights=~agree, minlength=len(keys)) == 0
    return {
        **_share(agree.astype(np.float64), images, statements, "same", "same_"),
        **_share((agree & correct).astype(np.float64), images, statements, "same_right", "same_right_"),
        "images": len(keys),
        **_share(whole.astype(np.float64), keys, keys, "images_same", "images_same_"),
    }
