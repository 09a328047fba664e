"""The miniature's examples: labels are balanced in every split, kind and image, and nearly so in every statement.

An entailed, a neutral and a contradicted statement are drawn for an image and a kind, so that neither image nor kind
predicts the label. Among the possible statements the least used with that label is taken, so that the statement alone
predicts little either.

The three relations of an image are about the same two things, and two of them are a minimal pair: the same words with
the two things swapped, and another label. To a model that ignores directions and word order, the three rows are equal.

Some statements are held out from training. Dev and test have equally many rows of each kind, both of statements in
training and of held-out statements.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import HeldOut
from clseave.miniature.scenes import sample_scenes, split_of
from clseave.miniature.statements import DIRECTIONS, KINDS, Fact, all_facts, label_scenes

BALANCE = 20  # weight of balanced labels in a statement, relative to balanced use of statements
RELATIONS_PER_IMAGE = 2  # less than half of the images have three relations with three labels


@dataclass(frozen=True)
class Draw:
    """One example without words: row numbers of its scene and fact, the turn that chooses a phrasing, a label id.

    `paired` is true for the two rows of a minimal pair.
    """

    scene: int
    fact: int
    turn: int
    label: int
    paired: bool = False


Triple = tuple[Draw, Draw, Draw]


def scenes_of_split(
    split: str, count: int, shares: dict[str, float], rng: np.random.Generator, *, empty: float, two_panels: float
) -> np.ndarray:
    """Draw `count` scenes, (count, 4), whose content belongs to `split`."""
    kept: list[np.ndarray] = []
    while len(kept) < count:
        drawn = sample_scenes(count, rng, empty=empty, two_panels=two_panels)
        kept += [scene for scene in drawn if split_of(scene, shares) == split]
    return np.stack(kept[:count])


def split_facts(facts: list[Fact], held_out: HeldOut, seeds: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return which facts each split introduces, (F,) bool by split.

    `held_out` gives the number of topics of each kind for each split but train. They are drawn evenly from the forms of
    that kind, with the split's seed; train introduces all other topics. UserError when no topic would be left.
    """
    owner = {topic: "train" for topic in dict.fromkeys(fact.topic for fact in facts)}
    for split, numbers in held_out.items():
        rng = np.random.default_rng([seeds[split], 1])
        for kind, number in numbers.items():
            free = [topic for topic in owner if topic.kind == kind and owner[topic] == "train"]
            if number >= len(free):
                raise UserError(f"source.held_out.{split}.{kind}: found {number}, allowed: less than {len(free)}")
            owner |= dict.fromkeys(_evenly(free, number, rng), split)
    return {split: np.array([owner[fact.topic] == split for fact in facts]) for split in ("train", *held_out)}


def _evenly(topics: list[Fact], number: int, rng: np.random.Generator) -> list[Fact]:
    """Return `number` random topics, in proportion to the strata (form, and number of words of the descriptions)."""
    strata = [(topic.form, *(len(word.split()) for word in topic.arguments)) for topic in topics]
    sizes, drawn = Counter(strata), Counter[tuple[object, ...]]()
    position = {}
    for row in rng.permutation(len(topics)):
        position[row] = (drawn[strata[row]] + rng.random()) / sizes[strata[row]]
        drawn[strata[row]] += 1
    return [topics[row] for row in sorted(position, key=position.__getitem__)[:number]]


class Drawer:
    """Draws the examples of one split. `usage` counts the draws by statement and label, (F, 3)."""

    def __init__(self, scenes: np.ndarray, facts: list[Fact], rng: np.random.Generator):
        """Label every statement on every scene once, (N, F) int8."""
        self.rng, self.kinds = rng, np.array([fact.kind for fact in facts])
        self.truth = np.stack([label_scenes(fact, scenes) for fact in facts], axis=1)
        self.usage = np.zeros((len(facts), len(LABELS)), dtype=np.int64)
        self.swaps = _swaps(facts)

    def score(self) -> np.ndarray:
        """Return the cost of each statement with each label, (F, 3): the cheapest is taken."""
        # A statement that is rarely true must not be mostly false.
        excess = self.usage - self.usage.mean(axis=1, keepdims=True)
        return self.usage + BALANCE * excess + self.rng.random(len(self.usage))[:, None]

    def triple(self, scene: int, kind: str, allowed: np.ndarray) -> Triple | None:
        """Return one draw per label for an image and kind, or None when a label has no statement."""
        if kind == "relation":
            return self.relations(scene, allowed)
        draws = []
        score = self.score()
        for label in range(len(LABELS)):
            candidates = np.flatnonzero(allowed & (self.kinds == kind) & (self.truth[scene] == label))
            if not len(candidates):
                return None
            fact = int(candidates[score[candidates, label].argmin()])
            draws.append(Draw(scene, fact, int(self.usage[fact, label]), label))
        return self.use(draws)

    def relations(self, scene: int, allowed: np.ndarray) -> Triple | None:
        """Return three relations of two things, with three labels, two of them a minimal pair; None if there are none.

        `swaps` (T, 4, 2) are the facts by topic, direction and order of the two things.
        """
        labels = self.truth[scene][self.swaps]  # (T, 4, 2)
        score = np.take_along_axis(self.score(), self.truth[scene][:, None], axis=1)[:, 0]  # (F,)
        costs = np.where(allowed[self.swaps], score[self.swaps], np.inf)
        by_label = np.stack([np.where(labels == label, costs, np.inf).reshape(len(costs), -1) for label in range(3)])
        third = 3 - labels.sum(axis=2)  # (T, 4): the label that is missing from a pair with two different labels
        pairs = np.where(labels[..., 0] != labels[..., 1], costs.sum(axis=2), np.inf)  # (T, 4)
        whole = pairs + np.take_along_axis(by_label.min(axis=2).T, np.clip(third, 0, 2), axis=1)
        topic, direction = np.unravel_index(whole.argmin(), whole.shape)
        if not np.isfinite(whole[topic, direction]):
            return None
        pair = [int(fact) for fact in self.swaps[topic, direction]]
        label = int(third[topic, direction])
        last = int(self.swaps[topic].reshape(-1)[by_label[label, topic].argmin()])
        turn = int(self.usage[pair].sum())  # both rows of a pair have the same phrasing
        draws = [Draw(scene, fact, turn, int(self.truth[scene, fact]), paired=True) for fact in pair]
        return self.use([*draws, Draw(scene, last, int(self.usage[last, label]), label)])

    def use(self, draws: Iterable[Draw]) -> Triple:
        """Count the draws and return them in the order of the labels."""
        first, second, third = sorted(draws, key=lambda draw: draw.label)
        for draw in (first, second, third):
            self.usage[draw.fact, draw.label] += 1
        return first, second, third

    def draw(self, *, common: np.ndarray, held_out: np.ndarray, kinds_per_image: int) -> Iterator[tuple[bool, Triple]]:
        """Yield triples, and whether their statements are held out: `kinds_per_image` an image, rarest kinds first."""
        made = {(kind, unseen): 0 for kind in KINDS for unseen in (True, False)}
        for scene in range(len(self.truth)):
            limits = {kind: RELATIONS_PER_IMAGE if kind == "relation" else 1 for kind in KINDS}
            for _ in range(kinds_per_image):
                drawn = self.rarest(scene, made, limits, {True: held_out, False: common})
                if drawn is None:
                    break
                kind, unseen, triple = drawn
                made[kind, unseen] += 1
                limits[kind] -= 1
                yield unseen, triple

    def rarest(
        self, scene: int, made: Mapping[tuple[str, bool], int], limits: dict[str, int], pools: Mapping[bool, np.ndarray]
    ) -> tuple[str, bool, Triple] | None:
        """Return a triple of the least drawn kind that is possible for this image and within `limits`."""
        for kind, unseen in sorted(made, key=lambda key: made[key] + self.rng.random()):
            if limits[kind] and pools[unseen].any() and (triple := self.triple(scene, kind, pools[unseen])):
                return kind, unseen, triple
        return None


def _swaps(facts: list[Fact]) -> np.ndarray:
    """Return the row numbers of the relations by topic, direction and order of the two things, (T, 4, 2)."""
    rows = {fact: row for row, fact in enumerate(facts) if fact.form == "relation"}
    topics = dict.fromkeys(fact.topic for fact in rows)
    return np.array(
        [
            [
                [
                    rows[Fact("relation", (first, direction, second))],
                    rows[Fact("relation", (second, direction, first))],
                ]
                for direction in DIRECTIONS
            ]
            for first, second in (topic.arguments for topic in topics)
        ]
    )


def same_mix(drawn: Iterable[tuple[bool, Triple]], facts: list[Fact]) -> list[Triple]:
    """Drop the last triples of the more frequent kinds, so that all kinds are equally frequent, separately for held-out
    and other statements.
    """
    triples = list(drawn)
    keys = [(unseen, facts[triple[0].fact].kind) for unseen, triple in triples]
    numbers = Counter(keys)
    least = {unseen: min(numbers[unseen, kind] for kind in KINDS) for unseen in (True, False)}
    kept, counted = [], Counter[tuple[bool, str]]()
    for key, (unseen, triple) in zip(keys, triples, strict=True):
        counted[key] += 1
        if counted[key] <= least[unseen]:
            kept.append(triple)
    return kept


def facts_and_split(held_out: HeldOut, seeds: Mapping[str, int]) -> tuple[list[Fact], dict[str, np.ndarray]]:
    """Return all facts, and which of them each split introduces."""
    facts = all_facts()
    return facts, split_facts(facts, held_out, seeds)
