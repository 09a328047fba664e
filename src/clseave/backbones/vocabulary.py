"""Sub-word vocabularies learnt from text, the same in every process.

The trainers of the `tokenizers` package order their pieces by a hash map, so the ids differ from run to run. Here
pairs are merged by count, ties by spelling; the result is handed to the ordinary Hugging Face tokenizers.
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
    """Return the `count` most frequent merges of neighbouring pieces, in order; fewer when every word is one piece.

    `joiner` is what marks a piece inside a word ("##" of WordPiece): it is dropped where two pieces meet.
    """
    spelt = [(pieces, frequency) for pieces, frequency in words.items()]
    counts: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)  # the words that hold a pair, or once did
    for row, (pieces, frequency) in enumerate(spelt):
        for pair in pairwise(pieces):
            counts[pair] += frequency
            places[pair].add(row)
    heap = [(-number, pair) for pair, number in counts.items()]  # holds old counts too, which are passed over
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
    """Replace each occurrence of a pair, from left to right."""
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
    """Byte-level BPE of `size` entries with CLIP's two special tokens as the last ids. ValueError when too small."""
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
    """Cased WordPiece of at most `size` entries, CJK split by character, [PAD] = 0."""
    splitter = BertTokenizer(vocab={token: row for row, token in enumerate(BERT_SPECIALS)}, do_lower_case=False)
    backend = splitter.backend_tokenizer
    words: Counter[Pieces] = Counter()
    for text in texts:
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
            words[(word[0], *(f"##{character}" for character in word[1:]))] += 1
    characters = sorted({piece for pieces in words for piece in pieces})
    # Every character both opens and continues a word, so that no new combination of known characters is unknown.
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
    pieces = dict.fromkeys([*BERT_SPECIALS, *base, *(one + other.removeprefix("##") for one, other in merges)])
    vocabulary = {piece: row for row, piece in enumerate(pieces)}
    return BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=max_tokens)
