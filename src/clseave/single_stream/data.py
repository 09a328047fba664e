"""What the study trains on and judges: regions, captions, texts and examples of a profile, as token ids and rows.

Captions are those that the miniature's grammar makes, of photos the entailed hypotheses. Texts alone and parallel texts
are the training hypotheses and their translations. None of them is of a dev or test example.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPVisionModelWithProjection, PreTrainedTokenizerBase

from clseave.corpora.images import load_processor, read_pixels
from clseave.corpora.patches import patch_states
from clseave.corpora.photos import Collection, Photo
from clseave.foundation.rows.labels import label_id
from clseave.foundation.rows.records import (
    Example,
    Translation,
    distinct_hypotheses,
    examples_with_images,
    iter_rows,
    read_splits,
    require,
    rows_of,
)
from clseave.foundation.settings.schema import SPLITS, Photos, Scenes
from clseave.miniature.world import draw_scenes, image_id
from clseave.models.loading import load_model
from clseave.models.tokens import Ragged, encode
from clseave.single_stream import regions as tables
from clseave.single_stream.pairs import Labelled, Pool
from clseave.single_stream.patches import of_scenes, of_states, standardised
from clseave.single_stream.pretraining import Corpus
from clseave.single_stream.readers.captions import Caption
from clseave.single_stream.regions import RegionTable
from clseave.single_stream.settings import ENGLISH
from clseave.single_stream.world import draw_captions

ENTAILMENT = "entailment"


def make_regions(
    folder: Path,
    collection: Collection,
    photos: Sequence[Photo],
    clip: Path,
    source: Scenes | Photos,
    *,
    side: int,
    batch: int,
    device: torch.device,
) -> None:
    """Write the regions of all images: pooled states of a frozen image tower's patches on a grid of `side` x `side`.

    In the miniature a region is a cell, whose contents are its class.
    """
    tower = load_model(CLIPVisionModelWithProjection, clip).to(device)
    pixels = read_pixels(collection, photos, load_processor(clip), batch)
    states = patch_states(tower, pixels, len(photos), batch)
    ids = [photo.image_id for photo in photos]
    if isinstance(source, Scenes):
        codes = {
            image_id(split, row): scene for split in SPLITS for row, scene in enumerate(draw_scenes(split, source)[0])
        }
        found = of_scenes(states, np.stack([codes[key] for key in ids]))
    else:
        found = of_states(states, side)
    tables.write(folder, zip(ids, standardised(list(found)), strict=True))


@dataclass(frozen=True)
class Texts:
    """Examples of all splits, and the text of each hypothesis by language and id."""

    examples: Mapping[str, list[Example]]  # by split
    texts: Mapping[str, Mapping[str, str]]  # by language and hypothesis id

    @classmethod
    def read(cls, examples: Path, vectors: Path, hypotheses: Path, languages: Sequence[str]) -> "Texts":
        """Read examples with images and the hypotheses of each language. UserError when a translation is missing."""
        rows = {split: examples_with_images(read_splits(examples, [split]), vectors) for split in SPLITS}
        english = {key: text for part in rows.values() for key, text in distinct_hypotheses(part).items()}
        texts = {ENGLISH: english}
        for language in languages:
            if language != ENGLISH:
                path = hypotheses / f"{language}.jsonl"
                texts[language] = {row.hypothesis_id: row.text for row in iter_rows(path, Translation)}
                require(english, texts[language], f"translation in {path}")
        return cls(rows, texts)

    def captions(
        self, split: str, source: Scenes | Photos, languages: Sequence[str], per_image: int, seed: int
    ) -> dict[str, list[Caption]]:
        """Return captions of the images of a split's examples, by language: the grammar's, or of photos the entailed
        hypotheses.
        """
        if isinstance(source, Scenes):
            known = {row.image_id for row in self.examples[split]}
            drawn = draw_captions(split, source, languages, per_image, seed)
            return {language: [row for row in rows if row.image_id in known] for language, rows in drawn.items()}
        counts: dict[str, int] = {}
        entailed = []
        for row in self.examples[split]:
            if row.label == ENTAILMENT and counts.get(row.image_id, 0) < per_image:
                counts[row.image_id] = counts.get(row.image_id, 0) + 1
                entailed.append(row)
        return {
            language: [
                Caption(row.image_id, language, self.texts[language][row.hypothesis_id], split) for row in entailed
            ]
            for language in languages
        }

    def corpus(
        self,
        split: str,
        captions: Sequence[Caption],
        regions: RegionTable,
        languages: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Corpus:
        """Return what a split gives to pre-training: English captions; texts alone in `languages`; their translations
        paired with English, each way. With English alone, pairs of each text with itself stand in, which no task uses.
        """
        keys = list(distinct_hypotheses(self.examples[split]))
        alone = [self.texts[language][key] for language in languages for key in keys]
        others = [language for language in languages if language != ENGLISH]
        pairs = [(self.texts[ENGLISH][key], self.texts[language][key]) for language in others for key in keys]
        pairs += [(second, first) for first, second in pairs]
        pairs = pairs or [(text, text) for text in alone]
        return Corpus(
            captions=encode(tokenizer, [row.text for row in captions]),
            images=rows_of((row.image_id for row in captions), regions.rows, "regions"),
            regions=regions,
            alone=encode(tokenizer, alone),
            first=encode(tokenizer, [first for first, _ in pairs]),
            second=encode(tokenizer, [second for _, second in pairs]),
        )

    def labelled(self, split: str, language: str, regions: RegionTable, tokenizer: PreTrainedTokenizerBase) -> Labelled:
        """Return the examples of a split in a language."""
        rows = self.examples[split]
        keys = list(distinct_hypotheses(rows))
        places = {key: row for row, key in enumerate(keys)}
        return Labelled(
            tokens=encode(tokenizer, [self.texts[language][key] for key in keys]),
            texts=rows_of((row.hypothesis_id for row in rows), places, "text"),
            regions=regions,
            images=rows_of((row.image_id for row in rows), regions.rows, "regions"),
            labels=torch.tensor([label_id(row.label) for row in rows]),
        )


def pool(captions: Sequence[Caption], regions: RegionTable, tokenizer: PreTrainedTokenizerBase) -> Pool:
    """Return captions and their images as what retrieval trains on, or searches."""
    tokens: Ragged = encode(tokenizer, [row.text for row in captions])
    return Pool(tokens, rows_of((row.image_id for row in captions), regions.rows, "regions"), regions)
