"""Negatives made by a rule: an English hypothesis with its direction exchanged for the opposite one.

Yuksekgonul et al. 2023 (NegCLIP, arXiv 2210.01936) exchange words of captions in the same spirit. The label is a guess:
an entailed hypothesis becomes a contradicted one, which need not hold (`studies/heads` measures how often it does).
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


def unpaired(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples without one row, drawn at random, of each minimal pair."""
    rng = np.random.default_rng([seed, 8])
    first = {pair: rng.random() < 0.5 for pair in dict.fromkeys(row.pair for row in examples)}
    known: set[str] = set()
    kept = []
    for row in examples:
        if row.pair is None or first[row.pair] == (row.pair not in known):
            kept.append(row)
        if row.pair is not None:
            known.add(row.pair)
    return kept
