"""The data of the miniature world: examples with texts, images, and texts and captions for pre-training."""

from collections.abc import Iterator, Sequence

import numpy as np

from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import SPLITS, Example, Translation, distinct_hypotheses, hypothesis_id
from clseave.foundation.settings.schema import Scenes
from clseave.miniature.gold import VERSION, other_phrasing, pipeline_phrasing
from clseave.miniature.grammar import LANGUAGES, caption, express
from clseave.miniature.sampling import Drawer, Triple, facts_and_split, same_mix, scenes_of_split
from clseave.miniature.scenes import render, sample_scenes, split_of
from clseave.miniature.statements import Fact

Saying = tuple[Fact, int]  # a fact and its phrasing


def seed_of(split: str, source: Scenes) -> int:
    """Return the seed of a split's scenes and of the statements that it introduces; test has its own seed."""
    return source.test_seed if split == "test" else source.seed


def draw_scenes(split: str, source: Scenes) -> tuple[np.ndarray, np.random.Generator]:
    """The scenes of one split, (N, 4), in the order of their image ids, and what its statements are drawn with next."""
    rng = np.random.default_rng([seed_of(split, source), 2, SPLITS.index(split)])
    shape = {"empty": source.empty, "two_panels": source.two_panels}
    return scenes_of_split(split, source.images[split], source.content_shares, rng, **shape), rng


def image_id(split: str, number: int) -> str:
    """The id of the image of a split's scene, counted from 0."""
    return f"{split}-{number:05d}"


def draw_split(split: str, source: Scenes) -> tuple[list[Triple], list[Fact], np.ndarray]:
    """Draw the triples of a split; return them, all facts, and the scenes (N, 4)."""
    facts, owner = facts_and_split(source.held_out, {name: seed_of(name, source) for name in SPLITS})
    scenes, rng = draw_scenes(split, source)
    held_out = owner[split] if split != "train" else np.zeros(len(facts), dtype=bool)
    drawn = Drawer(scenes, facts, rng).draw(
        common=owner["train"], held_out=held_out, kinds_per_image=source.kinds_per_image
    )
    return [triple for _, triple in drawn] if split == "train" else same_mix(drawn, facts), facts, scenes


def build_split(
    split: str, source: Scenes, trained: set[str] | None
) -> tuple[list[Example], dict[str, Saying], np.ndarray]:
    """Return the examples of a split, fact and phrasing by hypothesis id, and the scenes (N, 4).

    `trained` are the hypothesis ids of the training split, which decide `seen`; None for the training split itself.
    """
    triples, facts, scenes = draw_split(split, source)
    examples: list[Example] = []
    said: dict[str, Saying] = {}
    for number, triple in enumerate(triples):
        for draw in triple:
            fact = facts[draw.fact]
            phrasing = pipeline_phrasing(fact, draw.turn)
            text = express(fact, "en", phrasing).text
            key = hypothesis_id(text)
            said[key] = (fact, phrasing)
            examples.append(
                Example(
                    f"{split}-{len(examples):06d}", image_id(split, draw.scene), key, text, LABELS[draw.label], split,
                    fact.kind, seen=trained is None or key in trained, statement=str(fact),
                    pair=f"{split}-pair-{number:05d}" if draw.paired else None,
                )
            )  # fmt: skip
    return examples, said, scenes


def draw_images(split: str, source: Scenes, scenes: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (image id, (32, 32, 3) uint8) of every scene of a split."""
    pixels = render(scenes, np.random.default_rng([seed_of(split, source), 3, SPLITS.index(split)]), noise=source.noise)
    return ((image_id(split, row), image) for row, image in enumerate(pixels))


def paraphrased_examples(
    examples: Sequence[Example], said: dict[str, Saying], images: int
) -> tuple[list[Example], dict[str, list[Translation]]]:
    """Return the examples of the first `images` images, and their paraphrased texts by language, English included.

    They represent a second translator: the same facts in the phrasing that is reserved for this, which no training
    contains.
    """
    chosen = set(list(dict.fromkeys(row.image_id for row in examples))[:images])
    rows = [row for row in examples if row.image_id in chosen]
    return rows, {
        language: [
            Translation(key, text, language, express(fact, language, phrasing).text, "gold, reworded", VERSION)
            for key, text in distinct_hypotheses(rows).items()
            for fact, phrasing in [(said[key][0], other_phrasing(said[key][0]))]
        ]
        for language in LANGUAGES
    }


def monolingual_text(said: dict[str, Saying], language: str, count: int, seed: int) -> list[str]:
    """Return up to `count` random training sentences in one language.

    Languages are drawn independently but share many sentences: exact translations, mostly on different lines.
    """
    rng = np.random.default_rng([seed, 4, LANGUAGES.index(language)])
    sayings = list(said.values())
    chosen = rng.permutation(len(sayings))[:count]
    return [express(fact, language, phrasing).text for fact, phrasing in (sayings[row] for row in chosen)]


def caption_draws(seed: int) -> np.random.Generator:
    """Return the generator for `caption_batches`; its state after a batch is enough to go on from there."""
    return np.random.default_rng([seed, 5])


def caption_batches(
    source: Scenes, count: int, size: int, rng: np.random.Generator
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield `count` batches of captions and newly rendered images, (size, 32, 32, 3), of training scenes only."""
    for _ in range(count):
        kept: list[np.ndarray] = []
        while len(kept) < size:
            drawn = sample_scenes(size, rng, empty=source.empty, two_panels=source.two_panels)
            kept += [scene for scene in drawn if split_of(scene, source.content_shares) == "train"]
        scenes = np.stack(kept[:size])
        yield [caption(scene) for scene in scenes], render(scenes, rng, noise=source.noise)
