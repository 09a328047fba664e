"""The miniature's captions: what is where in a scene, in every language, without any statement that is held out."""

from collections.abc import Iterator, Sequence

import numpy as np

from clseave.foundation.rows.records import SPLITS
from clseave.foundation.settings.schema import Scenes
from clseave.miniature.gold import back, other_phrasing
from clseave.miniature.grammar import PHRASINGS, express
from clseave.miniature.language import load
from clseave.miniature.sampling import facts_and_split
from clseave.miniature.scenes import COLOURS, EMPTY, HIDDEN, PLACES, SHAPES
from clseave.miniature.statements import Fact
from clseave.miniature.world import draw_scenes, image_id, seed_of
from clseave.single_stream.readers.captions import Caption

SAID = 3  # most cells that a caption tells of


def allowed_facts(source: Scenes) -> frozenset[Fact]:
    """Return the statements that training may say: those held out neither for dev nor for test."""
    facts, owner = facts_and_split(source.held_out, {name: seed_of(name, source) for name in SPLITS})
    return frozenset(fact for fact, free in zip(facts, owner["train"], strict=True) if free)


def cell_facts(scene: Sequence[int], allowed: frozenset[Fact]) -> list[Fact]:
    """Return a true statement about each cell of a scene that is not hidden, as far as they are allowed."""
    found = []
    for place, code in zip(PLACES, (int(code) for code in scene), strict=True):
        if code == HIDDEN:
            continue
        thing = f"{COLOURS[code // len(SHAPES)]} {SHAPES[code % len(SHAPES)]}" if code < EMPTY else ""
        fact = Fact("object_at", (thing, place)) if thing else Fact("emptiness", ("empty", place))
        if fact in allowed:
            found.append(fact)
    return found


def say_facts(split: str, source: Scenes, per_image: int, seed: int) -> Iterator[tuple[str, list[tuple[Fact, int]]]]:
    """Yield image id and facts with their phrasings of `per_image` captions of each scene of a split.

    A caption tells of up to `SAID` cells in random order, each in a phrasing that is not reserved for the independent
    translations. Scenes of which nothing may be said have no captions.
    """
    allowed, rng = allowed_facts(source), np.random.default_rng([seed, 13, SPLITS.index(split)])
    for row, scene in enumerate(draw_scenes(split, source)[0]):
        facts = cell_facts(scene, allowed)
        for _ in range(per_image if facts else 0):
            chosen = [facts[place] for place in rng.permutation(len(facts))[:SAID]]
            draws = rng.integers(PHRASINGS - 1, size=len(chosen))
            said = [(fact, _phrasing(fact, int(draw))) for fact, draw in zip(chosen, draws, strict=True)]
            yield image_id(split, row), said


def _phrasing(fact: Fact, draw: int) -> int:
    """Return one of the phrasings that are not reserved."""
    return (other_phrasing(fact) + 1 + draw) % PHRASINGS


def draw_captions(
    split: str, source: Scenes, languages: Sequence[str], per_image: int, seed: int
) -> dict[str, list[Caption]]:
    """Return `per_image` captions of each scene of a split, by language; the same in all languages."""
    joiners = {code: language.joiner for code, language in load().items()}
    made: dict[str, list[Caption]] = {language: [] for language in languages}
    for image, said in say_facts(split, source, per_image, seed):
        for language in languages:
            text = joiners[language].join(express(fact, language, phrasing).text for fact, phrasing in said)
            made[language].append(Caption(image, language, text, split))
    return made


def translate_back(split: str, source: Scenes, language: str, per_image: int, seed: int) -> list[Caption]:
    """Return the captions of a language translated into English, sentence by sentence, by the grammar."""
    made = []
    for image, said in say_facts(split, source, per_image, seed):
        sentences = (back(express(fact, language, phrasing).text, language) for fact, phrasing in said)
        made.append(Caption(image, "en", " ".join(sentences), split))
    return made
