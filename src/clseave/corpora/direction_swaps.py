"""Negatives made by a rule: an English hypothesis with its direction exchanged for the opposite one.

Yuksekgonul et al. 2023 (NegCLIP, arXiv 2210.01936) exchange words of captions to the same end. The label is a guess: an
entailed hypothesis becomes a contradicted one, which need not hold (`studies/heads` measures how often it does). The
opposite direction says the same as the two things exchanged: such negatives stand for the other row of a minimal pair.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clseave.foundation.rows.records import Example, hypothesis_id

OPPOSITES = {
    "left of": "right of", "above": "below", "over": "under", "in front of": "behind", "inside": "outside",
}  # fmt: skip
_ALL = OPPOSITES | {second: first for first, second in OPPOSITES.items()}
_PATTERN = re.compile(r"\b(" + "|".join(map(re.escape, _ALL)) + r")\b", re.IGNORECASE)


def swap_direction(text: str) -> str | None:
    """The text with its only direction exchanged for the opposite; None where it has none or several."""
    found = _PATTERN.findall(text)
    if len(found) != 1:
        return None
    opposite = _ALL[found[0].lower()]
    return _PATTERN.sub(opposite.capitalize() if found[0][0].isupper() else opposite, text)


def negatives(examples: Sequence[Example]) -> list[Example]:
    """One contradicted example for each entailed one whose direction can be exchanged, of the same image."""
    made = []
    for row in examples:
        text = swap_direction(row.hypothesis) if row.label == "entailment" else None
        if text is not None:
            said = replace(row, hypothesis=text, hypothesis_id=hypothesis_id(text), statement=None, pair=None)
            made.append(replace(said, pair_id=f"{row.pair_id}-swapped", label="contradiction"))
    return made


def single(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples with one row, drawn at random, of each image's rows of the kind that has minimal pairs."""
    rng = np.random.default_rng([seed, 8])
    return _keeping(examples, {int(rng.choice(rows)) for rows in _groups(examples)})


def thinned(examples: Sequence[Example], seed: int) -> list[Example]:
    """As many examples as `single` keeps, with minimal pairs: all such rows of some images, drawn at random."""
    rng, groups = np.random.default_rng([seed, 9]), _groups(examples)
    kept: list[int] = []
    for number in rng.permutation(len(groups)):
        if len(kept) + len(groups[number]) <= len(groups):
            kept += groups[number]
    return _keeping(examples, set(kept))


def _groups(examples: Sequence[Example]) -> list[list[int]]:
    """Row numbers of the kind that has minimal pairs, for each image with such a pair."""
    paired = {(row.image_id, row.kind): list[int]() for row in examples if row.pair is not None}
    for number, row in enumerate(examples):
        if (row.image_id, row.kind) in paired:
            paired[row.image_id, row.kind].append(number)
    return list(paired.values())


def _keeping(examples: Sequence[Example], kept: set[int]) -> list[Example]:
    """The examples without the rows of all groups but `kept`."""
    grouped = {number for rows in _groups(examples) for number in rows}
    return [row for number, row in enumerate(examples) if number not in grouped or number in kept]
