"""Word alignment with awesome-align on the pipeline's own mBERT, and its error rate.

The package bundles an old copy of transformers and fails silently in several ways (a checkpoint that does not match
gives random weights, a layer that does not exist gives the last one, special ids stay those of the original BERT).
Each is checked here, so that a wrong set-up stops.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from awesome_align import modeling
from awesome_align.configuration_bert import BertConfig
from awesome_align.tokenization_bert import BertTokenizer
from safetensors.torch import load_file

from clseave.batches import in_order
from clseave.text import load_tokenizer

Pairs = list[list[int]]


class WordAligner:
    """awesome-align: token states of one layer, softmax over both sides, pairs above a threshold in both."""

    def __init__(self, mbert: Path | str, layer: int, threshold: float, batch_size: int):
        """`mbert` is a folder in Hugging Face layout. ValueError when awesome-align could not use it as it is."""
        self.layer, self.threshold, self.batch_size = layer, threshold, batch_size
        with TemporaryDirectory() as folder:
            _export(Path(mbert), Path(folder))
            config = BertConfig.from_pretrained(folder)
            if config.num_hidden_layers < layer:
                raise ValueError(f"align_words.layer is {layer}, but {mbert} has {config.num_hidden_layers} layers")
            self.tokenizer = BertTokenizer.from_pretrained(folder)
            self.model, loading = modeling.BertForMaskedLM.from_pretrained(
                folder, config=config, output_loading_info=True
            )
        # The language-model heads are not used here, and are tied to the embeddings in newer checkpoints.
        missing = [name for name in loading["missing_keys"] if name.startswith("bert.")]
        if missing:
            raise ValueError(f"{mbert} lacks weights that awesome-align needs: {', '.join(missing[:3])}")
        # Module-level ids of the package; its guide layer masks by them.
        modeling.PAD_ID, modeling.CLS_ID, modeling.SEP_ID = (
            self.tokenizer.pad_token_id,
            self.tokenizer.cls_token_id,
            self.tokenizer.sep_token_id,
        )
        self.model.eval()

    def align(self, sources: Sequence[list[str]], targets: Sequence[list[str]]) -> list[Pairs]:
        """Sorted 0-based word pairs of each sentence pair. ValueError names a sentence without a word."""
        encoded = [
            (self._encode(source), self._encode(target)) for source, target in zip(sources, targets, strict=True)
        ]
        found: list[Pairs] = []
        for rows in in_order(len(encoded), self.batch_size):
            left, right = zip(*(encoded[row] for row in rows), strict=True)
            pairs = self.model.get_aligned_word(
                self._pad(left),
                self._pad(right),
                [words for _, words in left],
                [words for _, words in right],
                "cpu",
                0,
                0,
                align_layer=self.layer,
                softmax_threshold=self.threshold,
                test=True,
            )
            found += [sorted([int(i), int(j)] for i, j in row if i >= 0) for row in pairs]
        return found

    def _encode(self, words: list[str]) -> tuple[list[int], list[int]]:
        """Token ids with special tokens, and the word that each inner token belongs to."""
        pieces = [(token, number) for number, word in enumerate(words) for token in self.tokenizer.tokenize(word)]
        pieces = pieces[: self.tokenizer.max_len - 2]
        if not pieces:
            raise ValueError(f"no word to align in {words!r}")
        ids = self.tokenizer.convert_tokens_to_ids([token for token, _ in pieces])
        return [self.tokenizer.cls_token_id, *ids, self.tokenizer.sep_token_id], [number for _, number in pieces]

    def _pad(self, side: Iterable[tuple[list[int], list[int]]]) -> torch.Tensor:
        """Ids, (B, T)."""
        return torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(ids) for ids, _ in side], batch_first=True, padding_value=self.tokenizer.pad_token_id
        )


def _export(mbert: Path, folder: Path) -> None:
    """Write the checkpoint the way awesome-align reads it: config, vocab.txt, tokenizer settings, a pickled state."""
    tokenizer = load_tokenizer(mbert)
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    # The package lower-cases unless told not to, and reads the length from `max_len`.
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": False, "max_len": min(tokenizer.model_max_length, 512)})
    )
    (folder / "config.json").write_text((mbert / "config.json").read_text())
    torch.save(load_file(mbert / "model.safetensors"), folder / "pytorch_model.bin")


def diagonal(source: Sequence[str], target: Sequence[str]) -> Pairs:
    """The aligner that any other must beat: each source word to the word at the same relative place."""
    if not target:
        return []
    last = max(1, len(source) - 1)
    return [[i, (2 * i * (len(target) - 1) + last) // (2 * last)] for i in range(len(source))]


def alignment_scores(found: Iterable[Pairs], gold: Iterable[Pairs]) -> dict[str, float]:
    """AER, precision and recall over a corpus (Och and Ney 2003), all gold pairs sure:

    AER = 1 - 2 |A and S| / (|A| + |S|).
    """
    hits = made = sure = 0
    for ours, theirs in zip(found, gold, strict=True):
        left, right = {tuple(pair) for pair in ours}, {tuple(pair) for pair in theirs}
        hits, made, sure = hits + len(left & right), made + len(left), sure + len(right)
    if not sure:
        raise ValueError("no gold pair: an alignment error rate needs some")
    return {
        "aer": round(1 - 2 * hits / (made + sure), 6),
        "precision": round(hits / max(1, made), 6),
        "recall": round(hits / sure, 6),
    }
