"""The miniature's examples: balanced by label in every split, kind and image, and nearly so in every statement.

For one image and one kind, one entailed, one neutral and one contradicted statement are drawn, so that neither the
kind nor the image tells the label. Among the statements that fit, the one least used with that label is taken, so
that the statement alone tells little either. Some statements are held out: training never says them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clseave.foundation.rows.labels import CONTRADICTION, LABELS
from clseave.miniature.scenes import sample_scenes, split_of
from clseave.miniature.statements import KINDS, Fact, all_facts, both_visible, label_scenes

BALANCE = 20  # how much more an even use of a statement's labels counts than an even use of statements


@dataclass(frozen=True)
class Draw:
    """One example before it has words: row numbers of its scene and fact, a phrasing, a label id."""

    scene: int
    fact: int
    phrasing: int
    label: int


def scenes_of_split(
    split: str, count: int, shares: dict[str, float], rng: np.random.Generator, *, empty: float, two_panels: float
) -> np.ndarray:
    """Draw `count` scenes, (count, 4), whose content belongs to `split`."""
    kept: list[np.ndarray] = []
    while len(kept) < count:
        drawn = sample_scenes(count, rng, empty=empty, two_panels=two_panels)
        kept += [scene for scene in drawn if split_of(scene, shares) == split]
    return np.stack(kept[:count])


def split_facts(facts: list[Fact], shares: dict[str, float], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Which facts each split may introduce, (F,) bool by split: `shares` of every kind, at least one each."""
    owner = np.empty(len(facts), dtype=object)
    for kind in KINDS:
        members = rng.permutation([row for row, fact in enumerate(facts) if fact.kind == kind])
        dev = max(1, round(shares["dev"] * len(members)))
        test = max(1, round(shares["test"] * len(members)))
        owner[members[:dev]], owner[members[dev : dev + test]], owner[members[dev + test :]] = "dev", "test", "train"
    return {split: owner == split for split in shares}


class Drawer:
    """Draws the examples of one split. `usage` counts, per statement and label, how often it was taken."""

    def __init__(self, scenes: np.ndarray, facts: list[Fact], phrasings: int, rng: np.random.Generator):
        """Label every statement on every scene once: (N, F) int8, a few bytes per pair."""
        self.rng, self.phrasings, self.kinds = rng, phrasings, np.array([fact.kind for fact in facts])
        self.truth = np.stack([label_scenes(fact, scenes) for fact in facts], axis=1)
        self.hard = np.zeros_like(self.truth, dtype=bool)
        for column, fact in enumerate(facts):
            if fact.kind == "relation":
                self.hard[:, column] = both_visible(fact, scenes)
        self.usage = np.zeros((len(facts), len(LABELS)), dtype=np.int64)

    def triple(self, scene: int, kind: str, allowed: np.ndarray, hard: bool) -> list[Draw] | None:
        """One draw per label for this image and kind, or None when some label has no statement."""
        draws = []
        for label in range(len(LABELS)):
            fits = allowed & (self.kinds == kind) & (self.truth[scene] == label)
            if hard and kind == "relation" and label == CONTRADICTION:
                fits &= self.hard[scene]
            candidates = np.flatnonzero(fits)
            if not len(candidates):
                return None
            used = self.usage[candidates]
            excess = used[:, label] - used.mean(axis=1)  # a statement that is rarely true must not be mostly false
            score = used[:, label] + BALANCE * excess + self.rng.random(len(candidates))
            fact = int(candidates[score.argmin()])
            draws.append(Draw(scene, fact, int(self.usage[fact, label] % self.phrasings), label))
        for draw in draws:
            self.usage[draw.fact, draw.label] += 1
        return draws

    def draw(
        self,
        *,
        common: np.ndarray,
        held_out: np.ndarray,
        held_out_rows: float,
        kinds_per_image: int,
        hard_relations: float,
    ) -> Iterator[Draw]:
        """All examples: kinds in turn, so that each has the same number of images where it can."""
        turn = {kind: 0 for kind in KINDS}
        for scene in range(len(self.truth)):
            order = sorted(KINDS, key=lambda kind: turn[kind] + self.rng.random())
            made = 0
            for kind in order:
                pools = (held_out, common) if self.rng.random() < held_out_rows else (common, held_out)
                hard = self.rng.random() < hard_relations
                tries = (
                    self.triple(scene, kind, pool, level)
                    for pool in pools
                    if pool.any()
                    for level in dict.fromkeys((hard, False))
                )
                triple = next((found for found in tries if found), None)
                if triple:
                    yield from triple
                    turn[kind] += 1
                    made += 1
                if made == kinds_per_image:
                    break


def facts_and_split(shares: dict[str, float], seed: int) -> tuple[list[Fact], dict[str, np.ndarray]]:
    """All facts, and which split may introduce each."""
    facts = all_facts()
    return facts, split_facts(facts, shares, np.random.default_rng([seed, 1]))
