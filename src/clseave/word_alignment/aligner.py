"""Word alignment with awesome-align and the pipeline's own mBERT, and the alignment error rate.

The package bundles an old copy of transformers and fails silently in several ways: a checkpoint that does not match
gives random weights, a missing layer gives the last one, special ids stay those of the original BERT. Each is checked
here and raises an error. Of another text encoder than BERT, its extraction of word pairs is used on the states that the
present transformers computes.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from awesome_align import modeling
from awesome_align.configuration_bert import BertConfig
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import read_json
from clseave.foundation.rows.records import Alignment
from clseave.models.loading import UNREADABLE, load_text_encoder, make, read_weights
from clseave.models.tokens import in_order, load_tokenizer, word_pieces

SIDES = ("source", "target")
Pairs = list[list[int]]
Encoded = tuple[list[int], list[int]]  # token ids with special tokens, and the word index of each inner token


class WordAligner:
    """awesome-align: token states of one layer, softmax in both directions, pairs above a threshold in both."""

    def __init__(
        self, mbert: Path | str, layer: int, threshold: float, batch_size: int, device: torch.device | str = "cpu"
    ):
        """Load the model from a folder in Hugging Face layout. UserError when awesome-align cannot use it."""
        self.layer, self.threshold, self.batch_size, self.device = layer, threshold, batch_size, device
        self.model: Any
        self.model, self.tokenizer, self.longest = _load(Path(mbert), layer)
        self.first, self.last = self.tokenizer("").input_ids  # [CLS] and [SEP], added to each sentence
        # Global variables of the package, by which it masks special tokens.
        modeling.PAD_ID, modeling.CLS_ID, modeling.SEP_ID = self.tokenizer.pad_token_id, self.first, self.last
        self.model.to(device).eval()
        self.cut = 0  # number of sentences truncated to the model's limit
        # A cache pays off, because a corpus has few distinct words.
        self._pieces = lru_cache(maxsize=100_000)(partial(word_pieces, self.tokenizer))

    def align(
        self, sources: Sequence[list[str]], targets: Sequence[list[str]], advance: Callable[[int], Any] | None = None
    ) -> list[Pairs]:
        """Return the sorted 0-based word pairs of each sentence pair, in order; sentences of similar length share a
        batch.

        `advance` is called with the size of each finished batch. UserError for a sentence without a word.
        """
        encoded = [
            (self._encode(source), self._encode(target)) for source, target in zip(sources, targets, strict=True)
        ]
        order = sorted(range(len(encoded)), key=lambda row: sum(len(ids) for ids, _ in encoded[row]))
        found: list[Pairs] = [[] for _ in encoded]
        for part in in_order(len(order), self.batch_size):
            rows = [order[number] for number in part]
            for row, pairs in zip(rows, self._align_batch([encoded[row] for row in rows]), strict=True):
                found[row] = pairs
            if advance:
                advance(len(rows))
        return found

    def align_part(
        self, sources: Sequence[list[str]], targets: Sequence[list[str]], advance: Callable[[int], Any] | None = None
    ) -> dict[str, str | int]:
        """Pairs of a part of a corpus, as JSON that is quick to read back, and how many of its sentences were cut."""
        cut = self.cut
        pairs = json.dumps(self.align(sources, targets, advance))
        return {"pairs": pairs, "cut": self.cut - cut}

    def _align_batch(self, batch: Sequence[tuple[Encoded, Encoded]]) -> list[Pairs]:
        """Return the word pairs of one batch."""
        left, right = zip(*batch, strict=True)
        pairs = self.model.get_aligned_word(
            self._pad(left),
            self._pad(right),
            [words for _, words in left],
            [words for _, words in right],
            self.device,
            0,
            0,
            align_layer=self.layer,
            softmax_threshold=self.threshold,
            test=True,
        )
        return [sorted([int(i), int(j)] for i, j in row if i >= 0) for row in pairs]

    def _encode(self, words: list[str]) -> Encoded:
        """Return a sentence as model input, truncated to the model's limit. UserError when it has no word."""
        pieces = [(token, number) for number, word in enumerate(words) for token in self._pieces(word)]
        if not pieces:
            raise UserError(f"no word to align in {words!r}")
        self.cut += len(pieces) > self.longest - 2
        pieces = pieces[: self.longest - 2]
        return [self.first, *(token for token, _ in pieces), self.last], [number for _, number in pieces]

    def _pad(self, side: Iterable[Encoded]) -> torch.Tensor:
        """Return padded token ids, (B, T)."""
        return torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(ids) for ids, _ in side], batch_first=True, padding_value=self.tokenizer.pad_token_id
        )


class _Layer(nn.Module):
    """Another text encoder in the place of awesome-align's BERT: its states of one layer."""

    def __init__(self, encoder: PreTrainedModel):
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: torch.Tensor, align_layer: int, attention_mask: torch.Tensor) -> torch.Tensor:
        """States (B, T, W) of a layer, from 1; 0 are the embeddings."""
        found = self.encoder(input_ids=ids, attention_mask=attention_mask.long(), output_hidden_states=True)
        return found.hidden_states[align_layer]


class _Extraction(nn.Module):
    """awesome-align's extraction of word pairs, on the states of another text encoder than BERT."""

    get_aligned_word = modeling.BertForMaskedLM.get_aligned_word

    def __init__(self, encoder: PreTrainedModel):
        super().__init__()
        self.bert, self.guide_layer = _Layer(encoder), modeling.BertGuideHead(None)


def _load(mbert: Path, layer: int) -> tuple[nn.Module, PreTrainedTokenizerBase, int]:
    """Return a model with awesome-align's extraction, the folder's tokenizer, and the token limit of both.

    UserError when the folder holds no text encoder that fits.
    """
    found = read_json(mbert / "config.json")
    another = isinstance(found, dict) and found.get("model_type", "bert") != "bert"
    model, config = _other(mbert) if another else _bert(mbert)
    tokenizer = load_tokenizer(mbert)
    if config.num_hidden_layers < layer:
        raise UserError(f"align_words.layer is {layer}, but {mbert} has {config.num_hidden_layers} layers")
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"{mbert}: the tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}")
    if len(tokenizer("").input_ids) != 2:
        raise UserError(f"{mbert}: expected a tokenizer that begins and ends each sentence with a token of its own")
    return model, tokenizer, min(tokenizer.model_max_length, config.max_position_embeddings)


def _other(folder: Path) -> tuple[nn.Module, PreTrainedConfig]:
    """Return awesome-align's extraction on a text encoder of the present transformers."""
    encoder = load_text_encoder(folder)
    return _Extraction(encoder), encoder.config


def _bert(folder: Path) -> tuple[nn.Module, BertConfig]:
    """Return awesome-align's own BERT with a folder's weights."""
    config = make(BertConfig, folder / "config.json")
    weights = read_weights(folder)
    if not any(name.startswith("bert.") for name in weights):  # saved without the language-model head
        weights = {f"bert.{name}": tensor for name, tensor in weights.items()}
    try:
        model, loading = modeling.BertForMaskedLM.from_pretrained(
            None, config=config, state_dict=weights, output_loading_info=True
        )
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder}: config.json and weights make no BERT: {reason}: run its stage again") from error
    # The language-model heads are not used here, and are tied to the embeddings in newer checkpoints.
    missing = [name for name in loading["missing_keys"] if name.startswith("bert.")]
    if missing:
        raise UserError(f"{folder} lacks weights that awesome-align needs: {', '.join(missing[:3])}")
    return model, config


def diagonal(source: Sequence[str], target: Sequence[str]) -> Pairs:
    """Return the baseline alignment: each source word is paired with the target word at the same relative position."""
    if not target:
        return []
    last = max(1, len(source) - 1)
    return [[i, (2 * i * (len(target) - 1) + last) // (2 * last)] for i in range(len(source))]


def alignment_scores(
    found: Iterable[Pairs], sure: Iterable[Pairs], possible: Iterable[Pairs] | None = None
) -> dict[str, float]:
    """Return AER, precision and recall over a corpus (Och and Ney 2003); without `possible`, all gold pairs are sure.

    Sure pairs (S) are possible pairs (P) too: AER = 1 - (|A and S| + |A and P|) / (|A| + |S|), precision = |A and P| /
    |A|, recall = |A and S| / |S|, where A are the pairs found. ValueError without a sure pair.
    """
    sure = list(sure)
    hits = likely = made = wanted = 0
    for ours, certain, maybe in zip(found, sure, sure if possible is None else possible, strict=True):
        pairs, gold = {tuple(pair) for pair in ours}, {tuple(pair) for pair in certain}
        hits, likely = hits + len(pairs & gold), likely + len(pairs & (gold | {tuple(pair) for pair in maybe}))
        made, wanted = made + len(pairs), wanted + len(gold)
    if not wanted:
        raise ValueError("no gold pair: an alignment error rate needs some")
    return {
        "aer": round(1 - (hits + likely) / (made + wanted), 6),
        "precision": round(likely / max(1, made), 6),
        "recall": round(hits / wanted, 6),
    }


def pair_counts(links: Iterable[Alignment]) -> dict[str, Any]:
    """Return statistics that need no gold alignment: sizes, and the shares of words that have a pair."""
    sums = Counter[str]()
    for link in links:
        sums["sentences"] += 1
        sums["sentences_without_pair"] += not link.pairs
        sums["pairs"] += len(link.pairs)
        for side, found in enumerate((link.source_words, link.target_words)):
            sums[f"{SIDES[side]}_words"] += len(found)
            sums[f"{SIDES[side]}_words_aligned"] += len({pair[side] for pair in link.pairs})
    shares = {
        f"{side}_words_aligned": round(sums[f"{side}_words_aligned"] / max(1, sums[f"{side}_words"]), 6)
        for side in SIDES
    }
    return {**sums, **shares}
