"""A synthetic corpus of any size in the formats of the real one: SNLI 1.0, lists of photos, photos, translations.

Lengths, repetitions and row sizes are those of real text; the sentences are meaningless, and the photos tiny.
"""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import numpy as np
from PIL import Image
from tokenizers.pre_tokenizers import ByteLevel
from transformers import BertTokenizer, CLIPTokenizer, PreTrainedTokenizerBase

from clseave.backbones.vocabulary import BERT_SPECIALS, CLIP_END, CLIP_START, clip_tokenizer
from clseave.corpora.snli_ve import OFFICIAL_COUNTS
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import SPLITS

SEED = 20240722
ROWS = {"train": 529_527, "dev": 17_858, "test": 17_901}  # thesis, Table 2.1
PHOTOS = {"train": 29_783, "dev": 1_000, "test": 1_000}  # thesis 2.1; the lists of SNLI-VE
SNLI_ROWS = {"train": 550_152, "dev": 10_000, "test": 10_000}  # how SNLI 1.0 itself is cut
NO_GOLD, VISUAL_GENOME = 785, 4_081  # of SNLI's 570,152 pairs; together what SNLI-VE lacks
# Words of a hypothesis: counts in the 2,341 rows of SNLI's dev and test at hand (snli_1.0_{dev,test}.part.jsonl: mean
# 7.54, median 7, 95 % 13, longest 27); premises: mean 14.2.
WORDS = {
    2: 5, 3: 53, 4: 225, 5: 305, 6: 418, 7: 390, 8: 260, 9: 197, 10: 149, 11: 108, 12: 77, 13: 51, 14: 31, 15: 21,
    16: 9, 17: 8, 18: 11, 19: 8, 20: 9, 21: 1, 22: 1, 24: 2, 25: 1, 27: 1,
}  # fmt: skip
PREMISE_WORDS = 14
DISTINCT = 0.9  # distinct hypotheses for each row, about, in SNLI-VE
POPULAR = 5_000  # hypotheses that the others repeat
# Words, or characters where there are no spaces, for each English word: machine translations of Flickr30k captions
# (en-X.flickr30k_val_gmt.tsv); nl: by hand (en-nl.sick_nl.tsv).
RATIOS = {"de": 0.905, "nl": 0.939, "ja": 2.22, "ko": 0.692, "zh": 1.585}
KANA, HAN, HANGUL = (0x3041, 0x3096), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)
KANA_SHARE = 0.65
MBERT_ENTRIES, LEXICON = 119_547, 20_000


@dataclass(frozen=True)
class Size:
    """The numbers of rows, of photos, and of rows in SNLI's own files, for a corpus of a given number of rows."""

    rows: dict[str, int]
    photos: dict[str, int]
    snli: dict[str, int]
    no_gold: int
    visual_genome: int

    @classmethod
    def of(cls, total: int) -> "Size":
        """Return the sizes for `total` rows in SNLI-VE's proportions; the official numbers for the official total."""
        share = total / sum(ROWS.values())
        rows = {split: max(6, round(count * share)) for split, count in ROWS.items()}
        photos = {split: max(2, round(count * share)) for split, count in PHOTOS.items()}
        no_gold, genome = (max(1, round(count * share)) for count in (NO_GOLD, VISUAL_GENOME))
        whole = sum(rows.values()) + no_gold + genome
        snli = {split: round(SNLI_ROWS[split] / sum(SNLI_ROWS.values()) * whole) for split in ("dev", "test")}
        return cls(rows, photos, {"train": whole - sum(snli.values())} | snli, no_gold, genome)

    @property
    def official(self) -> bool:
        """Whether the sizes are those of Table 2.1."""
        return self.rows == ROWS


def syllables(letters: int) -> list[str]:
    """Return syllables (consonant, vowel and perhaps a consonant) in a fixed order."""
    heads, vowels, tails = "bdfghklmnprstvwz", "aeiou", ("", "n", "r", "s", "t")
    return ["".join(parts) for parts in product(heads, vowels, tails)][:letters]


def pseudo_words(seed: int) -> list[str]:
    """Return `LEXICON` distinct words of one to three syllables, short ones first, as frequent words are short."""
    rng, pieces = np.random.default_rng([SEED, seed]), syllables(400)
    words = dict.fromkeys(rng.permutation(pieces).tolist())
    while len(words) < LEXICON:
        count = 2 if len(words) < LEXICON // 3 else 3
        words["".join(rng.choice(pieces, count))] = None
    return list(words)


def read_bpe(path: Path) -> list[tuple[str, str]]:
    """Return the merges of CLIP's vocabulary from the file published by its authors."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = stream.read().split("\n")[1 : 49152 - 256 - 2 + 1]
    return [(first, second) for first, second in (line.split() for line in lines)]


def english_words(merges: list[tuple[str, str]]) -> list[str]:
    """Return words that are single tokens in CLIP's vocabulary, frequent ones first; pseudo-words without merges."""
    found = [word[:-4] for word in map("".join, merges) if word.endswith("</w>")]
    return [word for word in found if word.isascii() and word.isalpha() and len(word) > 1][:LEXICON] or pseudo_words(0)


def clip_text(merges: list[tuple[str, str]], words: list[str]) -> CLIPTokenizer:
    """Return CLIP's own tokenizer; without its merges, a small byte-level one."""
    if not merges:
        return clip_tokenizer(words[:300], 900, 512)
    single = sorted(ByteLevel.alphabet())
    entries = [*single, *(f"{sign}</w>" for sign in single), *map("".join, merges), CLIP_START, CLIP_END]
    vocabulary = {entry: row for row, entry in enumerate(entries)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def signs(span: tuple[int, int]) -> list[str]:
    """Return all characters of a range."""
    return [chr(code) for code in range(span[0], span[1] + 1)]


def bert_text(english: list[str]) -> BertTokenizer:
    """Return a WordPiece as large as mBERT's: letters, CJK, Hangul, syllables, English words, frequent pseudo-words."""
    letters = [chr(code) for code in range(33, 127)] + signs(KANA) + signs(HANGUL)
    pieces = [*letters, *syllables(400)]
    frequent = [word for seed in (1, 2) for word in pseudo_words(seed)[:4000]]
    entries = dict.fromkeys(
        [*BERT_SPECIALS, *signs(HAN), *pieces, *(f"##{piece}" for piece in pieces), *english, *frequent]
    )
    entries |= dict.fromkeys(word.capitalize() for word in (*english, *frequent))
    entries |= dict.fromkeys(f"[unused{number}]" for number in range(max(0, MBERT_ENTRIES - len(entries))))
    vocabulary = {entry: row for row, entry in enumerate(entries)}
    return BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=512)


def sentences(words: list[str], lengths: np.ndarray, rng: np.random.Generator) -> Iterator[str]:
    """Yield sentences of given lengths, with word frequencies by Zipf's law."""
    weights = 1 / (np.arange(len(words)) + 2.7)
    drawn = rng.choice(len(words), int(lengths.sum()), p=weights / weights.sum())
    start = 0
    for length in lengths.tolist():
        text = " ".join(words[row] for row in drawn[start : start + length].tolist())
        yield f"{text[0].upper()}{text[1:]}."
        start += length


def draw_lengths(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return numbers of words for `count` hypotheses."""
    weights = np.array(list(WORDS.values()), dtype=float)
    return rng.choice(list(WORDS), count, p=weights / weights.sum())


def hypotheses(count: int, words: list[str], rng: np.random.Generator) -> list[str]:
    """Return a hypothesis for each row; a tenth repeats popular ones."""
    new = list(sentences(words, draw_lengths(round(count * DISTINCT), rng), rng))
    popular = min(POPULAR, len(new))
    weights = 1 / (np.arange(popular) + 1.0)
    again = rng.choice(popular, count - len(new), p=weights / weights.sum())
    texts = new + [new[row] for row in again.tolist()]
    return [texts[row] for row in rng.permutation(count).tolist()]


def translate(text: str, language: str, rng: np.random.Generator, words: list[str]) -> str:
    """Return a made-up translation of similar length."""
    count = max(1, round(len(text.split()) * RATIOS[language]))
    if language in ("de", "nl"):
        text = " ".join(words[row] for row in (rng.zipf(1.3, count) % len(words)).tolist())
        return f"{text[0].upper()}{text[1:]}."
    if language == "ko":
        drawn = rng.integers(*HANGUL, (count, 3)).tolist()
        return " ".join("".join(map(chr, word)) for word in drawn) + "."
    han = rng.integers(*HAN, count)
    kana = rng.integers(*KANA, count)
    drawn = np.where(rng.random(count) < (KANA_SHARE if language == "ja" else 0), kana, han).tolist()
    return "".join(map(chr, drawn)) + "。"


def photo_ids(size: Size) -> dict[str, list[str]]:
    """Return photo ids for each split, numbers as long as Flickr's."""
    ids = [str(1_000_092_795 + 1_009 * number) for number in range(sum(size.photos.values()))]
    rows = iter(ids)
    return {split: list(islice(rows, size.photos[split])) for split in SPLITS}


def split_labels(split: str, size: Size, rng: np.random.Generator) -> list[str]:
    """Return the labels of a split, in the official numbers or equal shares."""
    official = OFFICIAL_COUNTS[split].labels
    if size.official:
        labels = [label for label, count in official.items() for _ in range(count)]
    else:
        labels = [LABELS[row % 3] for row in range(size.rows[split])]
    return [labels[row] for row in rng.permutation(len(labels)).tolist()]


def snli_rows(size: Size, words: list[str]) -> list[dict[str, object]]:
    """Return all rows of SNLI in random order: of the three splits, without a gold label, and of Visual Genome."""
    rng = np.random.default_rng([SEED, 1])
    plan = [
        (photo, row, label)
        for split, photos in photo_ids(size).items()
        for row, label in enumerate(split_labels(split, size, rng))
        for photo in [photos[row % len(photos)]]
    ]
    names = [(f"{photo}.jpg#{row % 5}r{row}{label[0]}", label) for photo, row, label in plan]
    some = [photo for photo, _, _ in plan[: size.no_gold]]
    names += [(f"{photo}.jpg#0r{row}x", "-") for row, photo in enumerate(some)]
    names += [(f"vg_len{row}r1n", "neutral") for row in range(size.visual_genome)]
    premises = list(sentences(words, np.full(997, PREMISE_WORDS), rng))
    texts = hypotheses(len(names), words, rng)
    order = rng.permutation(len(names)).tolist()
    return [snli_row(*names[row], premises[row % len(premises)], texts[row]) for row in order]


def snli_row(pair_id: str, label: str, premise: str, hypothesis: str) -> dict[str, object]:
    """Return a row with all fields of SNLI 1.0, including the parses, which are most of its bytes."""
    row: dict[str, object] = {
        "annotator_labels": [label.replace("-", "neutral")] * 5,
        "captionID": pair_id.partition("r")[0],
        "gold_label": label,
        "pairID": pair_id,
    }
    for number, text in ((1, premise), (2, hypothesis)):
        parts = text.split()
        row[f"sentence{number}"] = text
        row[f"sentence{number}_binary_parse"] = " ".join(f"( {part} )" for part in parts)
        row[f"sentence{number}_parse"] = f"(ROOT {' '.join(f'(NP (NN {part}))' for part in parts)})"
    return row


def write_snli(path: Path, rows: list[dict[str, object]], size: Size) -> None:
    """Write SNLI 1.0's zip: three files of JSON Lines."""
    rest = iter(rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for split, count in size.snli.items():
            with archive.open(f"snli_1.0/snli_1.0_{split}.jsonl", "w") as raw, io.TextIOWrapper(raw, "utf-8") as lines:
                for row in islice(rest, count):
                    lines.write(json.dumps(row) + "\n")


def write_lists(folder: Path, size: Size) -> None:
    """Write the two lists of photos; dev is the end of the first."""
    ids = photo_ids(size)
    for name, listed in (("train_val", ids["train"] + ids["dev"]), ("test", ids["test"])):
        text = "".join(f"{image_id}.jpg\n" for image_id in listed)
        (folder / f"flickr30k_{name}.lst").write_text(text, encoding="utf-8")


def write_photos(path: Path, size: Size) -> None:
    """Write a tar with a tiny photo for each id."""
    rng, contents = np.random.default_rng([SEED, 2]), []
    for _ in range(16):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(buffer, "JPEG")
        contents.append(buffer.getvalue())
    with tarfile.open(path, "w") as archive:
        for number, image_id in enumerate(image_id for ids in photo_ids(size).values() for image_id in ids):
            content = contents[number % len(contents)]
            member = tarfile.TarInfo(f"flickr30k-images/{image_id}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_translations(folder: Path, texts: Iterable[str], languages: list[str]) -> None:
    """Write LANGUAGE.tsv for each language, with a line per distinct hypothesis."""
    texts = list(texts)
    folder.mkdir(exist_ok=True)
    for number, language in enumerate(languages, start=1):
        rng, words = np.random.default_rng([SEED, 3, number]), pseudo_words(number)
        with open(folder / f"{language}.tsv", "w", encoding="utf-8", newline="\n") as lines:
            lines.writelines(f"{text}\t{translate(text, language, rng, words)}\n" for text in texts)


def tokens_per_text(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> float:
    """Return the mean number of tokens per text, special tokens included."""
    return round(float(np.mean([len(row) for row in tokenizer(texts).input_ids])), 2)
