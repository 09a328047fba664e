"""One encoder over words and image regions: BERT over `[CLS] words [SEP] regions` (Fei, Yu and Li 2021, 3.1).

Words have BERT's own embeddings. A region has the sum of a linear map of its feature and one of its box, normalised,
with the second segment's embedding; all regions of an image have position 0, as their order means nothing. Every layer
attends over both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertForMaskedLM, PreTrainedTokenizerBase

from clseave.foundation.files.formats import atomic, write_json
from clseave.models.loading import load_layers, load_model, make
from clseave.models.tokens import checked_end, load_tokenizer, pad
from clseave.single_stream.regions import BOX, Batch

WORDS, REGIONS = 0, 1  # BERT's segments
SETTINGS, LAYERS = "single_stream.json", "single_stream.safetensors"


@dataclass(frozen=True)
class Texts:
    """B texts: token `ids` (B, T), `mask` (B, T), 0 at padding, and `positions` (B, T) of the tokens."""

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def with_ids(self, ids: torch.Tensor) -> "Texts":
        """The same texts with other tokens, (B, T), as after masking."""
        return Texts(ids, self.mask, self.positions)

    def __getitem__(self, rows: torch.Tensor) -> "Texts":
        """Some texts, or one of them several times: row numbers (N,)."""
        return Texts(self.ids[rows], self.mask[rows], self.positions[rows])

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[int] | np.ndarray],
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device | str = "cpu",
    ) -> "Texts":
        """Pad token ids with special tokens, and count positions from 0."""
        ids, mask = pad(rows, tokenizer, device)
        return cls(ids, mask, torch.arange(ids.shape[1], device=ids.device).expand(ids.shape))

    @classmethod
    def joined(
        cls,
        first: Sequence[Sequence[int] | np.ndarray],
        second: Sequence[Sequence[int] | np.ndarray],
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device | str = "cpu",
    ) -> "Texts":
        """Pad pairs, `[CLS] first [SEP] second [SEP]`; positions of the second text count from 0 again (XLM's TLM)."""
        rows = [[*one, *other[1:]] for one, other in zip(first, second, strict=True)]
        ids, mask = pad(rows, tokenizer, device)
        places = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        starts = torch.tensor([len(one) for one in first], device=ids.device).unsqueeze(1)
        return cls(ids, mask, torch.where(places >= starts, places - starts, places))


class SingleStream(nn.Module):
    """BERT with a masked-language-model head, whose layers also attend to image regions."""

    def __init__(self, language_model: BertForMaskedLM, tokenizer: PreTrainedTokenizerBase, region_width: int):
        """Add the layers for regions; `region_width` is the size of a feature.

        UserError when tokenizer and model are of different models.
        """
        super().__init__()
        self.language_model, self.tokenizer = language_model, tokenizer
        config = language_model.config
        config.eos_token_id = checked_end(tokenizer, config)
        self.width = int(config.hidden_size)
        self.feature, self.box = nn.Linear(region_width, self.width), nn.Linear(BOX, self.width)
        self.norm = nn.LayerNorm(self.width, eps=config.layer_norm_eps)

    def embed_words(self, ids: torch.Tensor) -> torch.Tensor:
        """Word embeddings without position and segment, (B, T) -> (B, T, W)."""
        return self.language_model.bert.embeddings.word_embeddings(ids)

    def embed_regions(self, regions: Batch) -> torch.Tensor:
        """Embeddings of regions without position and segment, (B, R, V) -> (B, R, W)."""
        return self.norm(self.feature(regions.features) + self.box(regions.boxes))

    def forward(self, texts: Texts, regions: Batch | None = None, words: torch.Tensor | None = None) -> torch.Tensor:
        """Last states of all words and regions, (B, T + R, W); without `regions` of the words alone, (B, T, W).

        `words` (B, T, W) stands in for the word embeddings of the texts. States at padding mean nothing.
        """
        inputs = self.embed_words(texts.ids) if words is None else words
        mask, positions, segments = texts.mask, texts.positions, torch.full_like(texts.ids, WORDS)
        if regions is not None:
            inputs = torch.cat([inputs, self.embed_regions(regions)], dim=1)
            mask = torch.cat([mask, regions.mask], dim=1)
            positions = torch.cat([positions, torch.zeros_like(regions.mask)], dim=1)
            segments = torch.cat([segments, torch.full_like(regions.mask, REGIONS)], dim=1)
        return self.language_model.bert(
            inputs_embeds=inputs, attention_mask=mask, position_ids=positions, token_type_ids=segments
        ).last_hidden_state

    def predict_words(self, states: torch.Tensor) -> torch.Tensor:
        """Logits over the vocabulary, (..., W) -> (..., vocabulary); one output layer for all tasks on words."""
        return self.language_model.cls(states)

    def save(self, folder: Path | str) -> None:
        """Write BERT in Hugging Face layout, and the layers for regions with their sizes."""
        folder = Path(folder)
        self.language_model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("language_model.")}
        with atomic(folder / LAYERS) as temporary:
            save_file(own, temporary)
        write_json(folder / SETTINGS, {"region_width": self.feature.in_features})

    @classmethod
    def load(cls, folder: Path | str) -> "SingleStream":
        """Load a saved encoder, in evaluation mode. UserError when the folder has none."""
        folder = Path(folder)
        bert, tokenizer = load_model(BertForMaskedLM, folder), load_tokenizer(folder)
        made = make(lambda **sizes: cls(bert, tokenizer, **sizes), folder / SETTINGS)
        load_layers(made, folder / LAYERS, beside="language_model")
        return made.eval()

    @classmethod
    def start(cls, mbert: Path | str, region_width: int) -> "SingleStream":
        """A multilingual BERT with new layers for regions, drawn from torch's generator. UserError without a BERT."""
        return cls(load_model(BertForMaskedLM, mbert), load_tokenizer(mbert), region_width)
