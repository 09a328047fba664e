"""Scenes that a visitor of the page arranges or draws, and the sentences that the grammar has about them."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from PIL import Image

from clseave.foundation.rows.labels import LABELS
from clseave.miniature.gold import facts_by_sentence
from clseave.miniature.grammar import LANGUAGES, express
from clseave.miniature.scenes import render, sample_scenes
from clseave.miniature.statements import Fact, all_facts, descriptions, label_scenes

CONTENTS = (*descriptions()[1], "empty", "hidden")  # in the order of cell codes
SPREAD = {"empty": 0.2, "two_panels": 0.4}  # of a scene that is drawn at random, as in profile `mini`


def codes(contents: Sequence[str]) -> np.ndarray:
    """The cell codes of four contents in reading order, (1, 4) int8. ValueError for a content that is none."""
    return np.array([[CONTENTS.index(content) for content in contents]], dtype=np.int8)


def picture(contents: Sequence[str], noise: int) -> Image.Image:
    """Draw four contents as the miniature's images are drawn; the same contents give the same pixels."""
    scene = codes(contents)
    pixels = render(scene, np.random.default_rng(scene[0].tolist()), noise=noise)
    return Image.fromarray(pixels[0])


def shuffled(rng: np.random.Generator) -> list[str]:
    """The four contents of a scene drawn at random."""
    scene = sample_scenes(1, rng, **SPREAD)[0]
    return [CONTENTS[code] for code in scene]


def statements() -> list[str]:
    """Every statement of the miniature as an English sentence, in the grammar's first phrasing."""
    return list(dict.fromkeys(express(fact, "en", 0).text for fact in all_facts()))


@cache
def _facts() -> dict[tuple[str, str], tuple[Fact, int]]:
    """Fact and phrasing by language and sentence; the first, where two facts have the same sentence."""
    found: dict[tuple[str, str], tuple[Fact, int]] = {}
    for fact, phrasing in facts_by_sentence().values():
        for language in LANGUAGES:
            found.setdefault((language, express(fact, language, phrasing).text), (fact, phrasing))
    return found


def normal(text: str) -> str:
    """A sentence as the grammar writes it: single spaces, a capital first, no final full stop."""
    text = " ".join(text.split()).rstrip(".。")
    return text[:1].upper() + text[1:]


def translations(text: str, language: str) -> dict[str, str]:
    """The sentence in every language of the grammar; empty when the grammar does not generate it."""
    if (language, normal(text)) not in _facts():
        return {}
    fact, phrasing = _facts()[language, normal(text)]
    return {other: express(fact, other, phrasing).text for other in LANGUAGES} | {language: text}


def gold_label(text: str, language: str, contents: Sequence[str]) -> str | None:
    """The label of a sentence about a scene by the rules of the world; None for a sentence that they do not know."""
    if (language, normal(text)) not in _facts():
        return None
    return LABELS[int(label_scenes(_facts()[language, normal(text)][0], codes(contents))[0])]


def shared_label(texts: Mapping[str, str], contents: Sequence[str]) -> str | None:
    """The gold label of sentences by language; None when there are none, or when they have several labels."""
    labels = {gold_label(text, language, contents) for language, text in texts.items() if text}
    return labels.pop() if len(labels) == 1 else None


def statement_about(contents: Sequence[str], rng: np.random.Generator) -> str:
    """A statement drawn at random, each label with the same probability. The hidden cells allow all three."""
    wanted = LABELS[int(rng.integers(len(LABELS)))]
    known = statements()
    order = [known[row] for row in rng.permutation(len(known))]
    return next((text for text in order if gold_label(text, "en", contents) == wanted), order[0])
