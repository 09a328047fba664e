"""Deterministic sub-word vocabularies learnt from text.

The trainers of the `tokenizers` package order their pieces by a hash map, so their ids differ from run to run. Here
pairs are merged by count, ties broken by spelling, and the result is given to the Hugging Face tokenizers.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import pairwise

from tokenizers.pre_tokenizers import ByteLevel
from transformers import BertTokenizer, CLIPTokenizer

CLIP_START, CLIP_END = "<|startoftext|>", "<|endoftext|>"
BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

Pieces = tuple[str, ...]
Pair = tuple[str, str]


def learn_merges(words: Counter[Pieces], count: int, joiner: str = "") -> list[Pair]:
    """Return up to `count` merges of adjacent pieces, most frequent first; fewer when every word is one piece.

    `joiner` marks a piece inside a word ("##" in WordPiece) and is removed where two pieces are merged.
    """
    spelt = [(pieces, frequency) for pieces, frequency in words.items()]
    counts: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)  # the words that contain a pair, or did before a merge
    for row, (pieces, frequency) in enumerate(spelt):
        for pair in pairwise(pieces):
            counts[pair] += frequency
            places[pair].add(row)
    heap = [(-number, pair) for pair, number in counts.items()]  # also holds outdated counts, which are skipped
    heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < count:
        number, best = heappop(heap)
        if counts[best] != -number:
            continue
        merges.append(best)
        changed: set[Pair] = set()
        for row in places.pop(best):
            pieces, frequency = spelt[row]
            spelt[row] = (_merge(pieces, best, joiner), frequency)
            for pair in pairwise(pieces):
                counts[pair] -= frequency
                changed.add(pair)
            for pair in pairwise(spelt[row][0]):
                counts[pair] += frequency
                places[pair].add(row)
                changed.add(pair)
        for pair in changed:
            if counts[pair]:
                heappush(heap, (-counts[pair], pair))
    return merges


def _merge(pieces: Pieces, pair: Pair, joiner: str) -> Pieces:
    """Return the pieces with each occurrence of a pair merged, from left to right."""
    joined, position = [], 0
    while position < len(pieces):
        if pieces[position : position + 2] == pair:
            joined.append(pair[0] + pair[1].removeprefix(joiner))
            position += 2
        else:
            joined.append(pieces[position])
            position += 1
    return tuple(joined)


def clip_tokenizer(texts: Iterable[str], size: int, max_tokens: int) -> CLIPTokenizer:
    """Return byte-level BPE with `size` entries, CLIP's two special tokens as the last ids. ValueError when too few."""
    bytes_ = sorted(ByteLevel.alphabet())
    base = bytes_ + [f"{byte}</w>" for byte in bytes_]
    if size < len(base) + 2:
        raise ValueError(f"a byte-level vocabulary needs at least {len(base) + 2} entries, got {size}")
    splitter = CLIPTokenizer(vocab={CLIP_START: 0, CLIP_END: 1}, merges=[]).backend_tokenizer
    words: Counter[Pieces] = Counter()
    for text in texts:
        for word, _ in splitter.pre_tokenizer.pre_tokenize_str(splitter.normalizer.normalize_str(text)):
            words[(*word[:-1], f"{word[-1]}</w>")] += 1
    merges = learn_merges(words, size - len(base) - 2)
    pieces = base + list(dict.fromkeys("".join(pair) for pair in merges))
    vocabulary = {piece: row for row, piece in enumerate([*pieces, CLIP_START, CLIP_END])}
    return CLIPTokenizer(vocab=vocabulary, merges=[pair for pair in merges], model_max_length=max_tokens)


def bert_tokenizer(texts: Iterable[str], size: int, max_tokens: int) -> BertTokenizer:
    """Return cased WordPiece of at most `size` entries, CJK split by character, [PAD] = 0. ValueError when too few."""
    splitter = BertTokenizer(vocab={token: row for row, token in enumerate(BERT_SPECIALS)}, do_lower_case=False)
    backend = splitter.backend_tokenizer
    words: Counter[Pieces] = Counter()
    for text in texts:
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
            words[(word[0], *(f"##{character}" for character in word[1:]))] += 1
    characters = sorted({piece for pieces in words for piece in pieces})
    # Each character is a piece at the start of a word and inside it, so any word of known characters can be encoded.
    base = sorted(
        {
            *characters,
            *(piece.removeprefix("##") for piece in characters),
            *(f"##{piece.removeprefix('##')}" for piece in characters),
        }
    )
    room = size - len(base) - len(BERT_SPECIALS)
    if room < 0:
        raise ValueError(f"a WordPiece vocabulary of this text needs {size - room} entries, got {size}")
    merges = learn_merges(words, room, joiner="##")
    pieces = dict.fromkeys([*BERT_SPECIALS, *base, *(left + right.removeprefix("##") for left, right in merges)])
    vocabulary = {piece: row for row, piece in enumerate(pieces)}
    return BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=max_tokens)
