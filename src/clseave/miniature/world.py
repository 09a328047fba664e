"""The miniature world as rows: examples with words, images, texts and captions for pre-training."""

from collections.abc import Iterator, Sequence

import numpy as np

from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import SPLITS, Example, Translation, distinct_hypotheses, hypothesis_id
from clseave.foundation.settings.schema import Scenes
from clseave.miniature.gold import VERSION, reworded
from clseave.miniature.grammar import LANGUAGES, PHRASINGS, caption, express
from clseave.miniature.sampling import Drawer, facts_and_split, scenes_of_split
from clseave.miniature.scenes import render, sample_scenes, split_of
from clseave.miniature.statements import Fact

Saying = tuple[Fact, int]  # a fact and the phrasing that says it


def build_split(
    split: str, source: Scenes, trained: set[str] | None
) -> tuple[list[Example], dict[str, Saying], np.ndarray]:
    """Examples of one split, what each hypothesis says, and the scenes, (N, 4).

    `trained` are the hypothesis ids of the training split (None while building it): they decide `seen`.
    """
    facts, owner = facts_and_split(source.fact_shares, source.seed)
    rng = np.random.default_rng([source.seed, 2, SPLITS.index(split)])
    scenes = scenes_of_split(
        split, source.images[split], source.content_shares, rng, empty=source.empty, two_panels=source.two_panels
    )
    held_out = owner[split] if split != "train" else np.zeros(len(facts), dtype=bool)
    draws = Drawer(scenes, facts, PHRASINGS, rng).draw(
        common=owner["train"],
        held_out=held_out,
        held_out_rows=source.held_out_rows,
        kinds_per_image=source.kinds_per_image,
        hard_relations=source.hard_relations,
    )
    examples: list[Example] = []
    said: dict[str, Saying] = {}
    for row, draw in enumerate(draws):
        fact, label = facts[draw.fact], LABELS[draw.label]
        text = express(fact, "en", draw.phrasing).text
        key, image_id = hypothesis_id(text), f"{split}-{draw.scene:05d}"
        said[key] = (fact, draw.phrasing)
        examples.append(
            Example(
                f"{split}-{row:06d}", image_id, key, text, label, split, fact.kind, trained is None or key in trained
            )
        )
    return examples, said, scenes


def draw_images(split: str, source: Scenes, scenes: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(image id, (32, 32, 3) uint8) of every scene of a split."""
    pixels = render(scenes, np.random.default_rng([source.seed, 3, SPLITS.index(split)]), noise=source.noise)
    return ((f"{split}-{row:05d}", image) for row, image in enumerate(pixels))


def retell(
    examples: Sequence[Example], said: dict[str, Saying], images: int
) -> tuple[list[Example], dict[str, list[Translation]]]:
    """The examples of the first `images` images, and by language (English too) their texts in other words.

    It stands for a second translator: the same facts, in a phrasing that the pipeline's translation does not use there.
    """
    chosen = set(list(dict.fromkeys(row.image_id for row in examples))[:images])
    rows = [row for row in examples if row.image_id in chosen]
    texts = distinct_hypotheses(rows)
    return rows, {
        language: [
            Translation(key, text, language, reworded(*said[key], language), "gold, reworded", VERSION)
            for key, text in texts.items()
        ]
        for language in LANGUAGES
    }


def monolingual_text(said: dict[str, Saying], language: str, count: int, seed: int) -> list[str]:
    """Up to `count` training sentences in one language, drawn for each anew: the texts of two languages share many.

    Where they share a sentence, one is the exact translation of the other, mostly on other lines.
    """
    rng = np.random.default_rng([seed, 4, LANGUAGES.index(language)])
    sayings = list(said.values())
    chosen = rng.permutation(len(sayings))[:count]
    return [express(fact, language, phrasing).text for fact, phrasing in (sayings[row] for row in chosen)]


def caption_draws(seed: int) -> np.random.Generator:
    """What `caption_batches` draws from: its state after a batch is where the next one begins."""
    return np.random.default_rng([seed, 5])


def caption_batches(
    source: Scenes, count: int, size: int, rng: np.random.Generator
) -> Iterator[tuple[list[str], np.ndarray]]:
    """`count` batches of captions and freshly rendered images, (size, 32, 32, 3), of training contents only."""
    for _ in range(count):
        kept: list[np.ndarray] = []
        while len(kept) < size:
            drawn = sample_scenes(size, rng, empty=source.empty, two_panels=source.two_panels)
            kept += [scene for scene in drawn if split_of(scene, source.content_shares) == "train"]
        scenes = np.stack(kept[:size])
        yield [caption(scene) for scene in scenes], render(scenes, rng, noise=source.noise)
