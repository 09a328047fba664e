"""Workloads of the contenders in `make bench`: models, rows and photos of one size, in a folder.

CLIP-VE's rows are chosen so that their batches cost as much as those of the whole corpus: its sentences are sorted by
length and cut into batches, of which some are taken at even distances. CLSEAVE gets all pairs, and each contender does
some steps of its epoch (`sampling`), because in the published procedure the width of a batch depends on its longest
sentence.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice, permutations, zip_longest
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "src"), str(HERE)]

from clseave.foundation.process import numerics  # noqa: E402

if __name__ == "__main__":
    numerics.pin()  # before numpy and torch read their environment

import corpus  # noqa: E402
import numpy as np  # noqa: E402
import scale  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from sampling import evenly, padded, sampled, shuffled  # noqa: E402
from transformers import (  # noqa: E402
    BertConfig,
    BertForMaskedLM,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerBase,
)

from clseave.backbones.vocabulary import bert_tokenizer, clip_tokenizer  # noqa: E402
from clseave.corpora.images import decode, load_processor, preprocess  # noqa: E402
from clseave.corpora.photos import open_collection  # noqa: E402
from clseave.foundation.errors import UserError  # noqa: E402
from clseave.foundation.files.formats import read_json, write_json  # noqa: E402
from clseave.foundation.rows.labels import LABELS  # noqa: E402
from clseave.foundation.rows.records import (  # noqa: E402
    Example,
    Translation,
    distinct_hypotheses,
    hypothesis_id,
    read_rows,
    read_splits,
    write_rows,
    write_vectors,
)
from clseave.foundation.settings.schema import SPLITS  # noqa: E402
from clseave.miniature import grammar  # noqa: E402
from clseave.miniature.statements import all_facts  # noqa: E402
from clseave.models.encoders import embed_texts  # noqa: E402
from clseave.models.loading import load_model, read_weights  # noqa: E402
from clseave.models.tokens import encode, load_tokenizer  # noqa: E402
from clseave.models.towers import TextTower  # noqa: E402
from clseave.training.acceleration import PART  # noqa: E402
from clseave.training.batching import LIKE, draw_batches  # noqa: E402

PHOTO = (500, 375)  # width and height of a photo of Flickr30k
CLIP_ENTRIES = 49_408  # of CLIP's own vocabulary
MBERT_IDS = 6000  # entries of the WordPiece that is learnt from the sentences at hand
ORDERS = 16  # of the words of a real sentence, so that there are rows for many of the thesis's batches


@dataclass(frozen=True)
class Size:
    """How much the contenders do: batch size and steps of each training, pairs to align, sentences to translate."""

    profile: str
    clip_ve: tuple[int, int]
    clseave: tuple[int, int]
    aligned: int
    translated: int


SIZES = {
    "tiny": Size("thesis", (8, 2), (16, 2), 24, 60),
    "mini": Size("mini", (512, 4), (64, 16), 500, 500),
    # CLSEAVE's batch is the thesis's; CLIP-VE's is a quarter, as a photo takes a CPU a second or two.
    "full": Size("thesis", (16, 2), (128, 2), 600, 400),
    # The thesis's batches.
    "full-cuda": Size("thesis", (64, 6), (128, 4), 512, 600),
}
TINY = {
    "text": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
             "initializer_factor": 4.0},
    "vision": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
               "patch_size": 16, "image_size": 48, "initializer_factor": 4.0},
    "projection": 16,
    "bert": {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
             "initializer_range": 0.3},
}  # fmt: skip
FULL: dict[str, Any] = {"text": {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8},
                        "vision": {"patch_size": 16, "image_size": 224}, "projection": 512, "bert": {}}  # fmt: skip


@dataclass(frozen=True)
class Material:
    """The available data: rows for CLIP-VE, sentence pairs, the file of each photo, and a description."""

    examples: list[Example]
    pairs: list[tuple[str, str]]
    language: str
    photos: dict[str, Path]
    about: str


def example(number: int, image_id: str, text: str, label: str) -> Example:
    """Return a row of the training set."""
    return Example(f"pair-{number}", image_id, hypothesis_id(text), text, label, "train", None, None)


def real(data: Path) -> Material:
    """Return rows of SNLI-VE with their photos, and hypotheses of XVNLI with human translations into French."""
    names = {path.stem: path for path in sorted((data / "snli_ve_real/flickr30k_images").iterdir())}
    raw = [json.loads(line) for line in (data / "snli_ve_real/snli_ve_train.jsonl").read_text().splitlines()]
    rows = [(row["Flickr30K_ID"], row["sentence2"].strip(), row["gold_label"]) for row in raw]
    rows = [row for row in rows if row[0] in names and row[2] in LABELS]
    sides = [_xvnli(data / f"xvnli/test_first600.{code}.jsonl") for code in ("en", "fr")]
    pairs = {sides[0][key]: sides[1][key] for key in sides[0] if key in sides[1]}
    about = (
        f"rows and photos of SNLI-VE, sentences of XVNLI (English, French), each in up to {ORDERS} orders of its words"
    )
    return Material([example(n, *row) for n, row in enumerate(rows)], reordered(pairs), "fr", names, about)


def reordered(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the pairs, then copies with their last words in other orders: other sentences of equal length."""
    sides = ([islice(permutations(text.split()), ORDERS) for text in pair] for pair in pairs.items())
    orders = [[(" ".join(one), " ".join(other)) for one, other in zip(*both, strict=False)] for both in sides]
    return list({one: other for order in zip_longest(*orders) for one, other in filter(None, order)}.items())


def _xvnli(path: Path) -> dict[str, str]:
    """Return hypotheses by the id of their pair."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["pairID"]: row["sentence2"].strip() for row in rows}


def made(folder: Path, size: tuple[int, int] = PHOTO) -> Material:
    """Return sentences of the miniature's grammar, and generated photos of a size."""
    facts = all_facts()
    english, german = ([grammar.express(fact, code, 0).text for fact in facts] for code in ("en", "de"))
    rng, photos = np.random.default_rng(0), {}
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(60):
        coarse = rng.integers(0, 255, (15, 20, 3), dtype=np.uint8)
        path = folder / f"{1_000_092_795 + number}.jpg"
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        photos[path.stem] = path
    rows = zip(english, cycle(photos), cycle(LABELS), strict=False)
    examples = [example(n, image_id, text, label) for n, (text, image_id, label) in enumerate(rows)]
    pairs = list(dict(zip(english, german, strict=True)).items())
    return Material(examples, pairs, "de", photos, "sentences of the miniature (English, German), generated photos")


def miniature(folder: Path) -> Material:
    """Return the committed results of profile mini. UserError when they are missing."""
    source, models = ROOT / "data/mini", ROOT / "models/mini"
    needed = [source / name for name in ("examples/train.jsonl", "hypotheses/de.jsonl", "images/archive.zip")]
    needed += [models / name / "config.json" for name in ("clip", "mbert", "clip_ve/seed0")]
    if missing := [path for path in needed if not path.exists()]:
        raise UserError(f"{missing[0].relative_to(ROOT)}: not there, expected the results of profile mini: `make pull`")
    examples = read_splits(source / "examples", ["train"])[:: len(SPLITS)]
    pairs = {row.source: row.text for row in read_rows(source / "hypotheses/de.jsonl", Translation)}
    wanted = dict.fromkeys(row.image_id for row in examples)
    folder.mkdir(parents=True, exist_ok=True)
    photos = {}
    archive = open_collection(source / "images/archive.zip")
    for image_id in wanted:
        photos[image_id] = folder / f"{image_id}.png"
        decode(archive.read(image_id)).save(photos[image_id])
    return Material(examples, list(pairs.items()), "de", photos, "data and models of profile mini (English, German)")


def choose(lengths: np.ndarray, batch: int, steps: int) -> list[int]:
    """Return row numbers of `steps` batches, taken at even distances from all batches of rows sorted as for training.

    UserError when there are too few rows.
    """
    order = np.argsort(-(-lengths // LIKE), kind="stable")
    parts = np.array_split(order, len(order) // batch)
    choices = evenly(parts, steps)
    return [int(row) for part in choices[len(choices) // 2] for row in part[:batch]]


def save_models(folder: Path, material: Material, size: str) -> None:
    """Write CLIP and mBERT with random weights: small ones for size tiny, else with the published sizes."""
    shape: dict[str, Any] = TINY if size == "tiny" else FULL
    english = [row.hypothesis for row in material.examples] + [one for one, _ in material.pairs]
    bpe = scale.bpe_file(None) if size != "tiny" else None
    clip_words = corpus.clip_text(corpus.read_bpe(bpe), []) if bpe else clip_tokenizer(english, 900, 77)
    bert_words = bert_tokenizer(english + [other for _, other in material.pairs], MBERT_IDS, 512)
    torch.manual_seed(0)
    clip = CLIPModel(_clip_config(clip_words, shape, len(clip_words) if size == "tiny" else CLIP_ENTRIES))
    ids = len(bert_words) if size == "tiny" else corpus.MBERT_ENTRIES
    mbert = BertForMaskedLM(BertConfig(vocab_size=ids, pad_token_id=0, **shape["bert"]))
    for name, model, tokenizer in (("clip", clip, clip_words), ("mbert", mbert, bert_words)):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    edge = clip.config.vision_config.image_size
    CLIPImageProcessorPil(size={"shortest_edge": edge}, crop_size={"height": edge, "width": edge}).save_pretrained(
        folder / "clip"
    )
    (folder / "teacher").symlink_to("clip")


def _clip_config(tokenizer: PreTrainedTokenizerBase, shape: Mapping[str, Any], ids: int) -> CLIPConfig:
    """Return the configuration with the tokenizer's special ids."""
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    width = shape["projection"]
    text = CLIPTextConfig(vocab_size=ids, projection_dim=width, max_position_embeddings=77, **special, **shape["text"])
    vision = CLIPVisionConfig(projection_dim=width, **shape["vision"])
    return CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=width)


def link_models(folder: Path) -> None:
    """Link the models of profile mini."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in (("clip", "clip"), ("mbert", "mbert"), ("teacher", "clip_ve/seed0")):
        (folder / name).symlink_to(ROOT / "models/mini" / place)


def save_for_awesome_align(mbert: Path, folder: Path) -> None:
    """Write the weights of mBERT in the format that awesome-align's own loader reads."""
    folder.mkdir()
    tokenizer = load_tokenizer(mbert)
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}\n')
    shutil.copy(mbert / "config.json", folder)
    torch.save(read_weights(mbert), folder / "pytorch_model.bin")


def write_values(folder: Path, size: Size, device: str, layers: int) -> None:
    """Write params.yaml, and the profile with the benchmark's batch sizes and one epoch."""
    from ruamel.yaml import YAML

    yaml = YAML()
    profile = yaml.load(ROOT / f"profiles/{size.profile}.yaml")
    profile["device"], profile["sampler"] = device, "bucket"
    profile["kernels"] = "fast" if device == "cuda" else "deterministic"
    profile["clip_ve"]["batch_size"], profile["clseave"]["batch_size"] = size.clip_ve[0], size.clseave[0]
    profile["align_words"]["layer"] = min(8, layers)
    profile["align_words"]["segmenters"] = {"default": "bert"}
    yaml.dump(profile, folder / "profile.yaml")
    shutil.copy(ROOT / "params.yaml", folder)


@torch.no_grad()
def write_arrays(folder: Path, photos: Mapping[str, Path], english: Sequence[str]) -> None:
    """Write outputs of earlier stages: a vector for each photo, and the teacher's for each English sentence."""
    numerics.start_torch(0, "cpu")
    vision = load_model(CLIPVisionModelWithProjection, folder / "models/clip")
    processor = load_processor(folder / "models/clip")
    vectors = []
    for path in photos.values():
        with Image.open(path) as picture:
            pixels = preprocess(processor, picture.convert("RGB"))
        vectors.append(vision(pixel_values=pixels[None]).image_embeds[0].numpy())
    write_vectors(folder / "image_vectors", list(photos), np.stack(vectors))
    teacher = TextTower.load(folder / "models/teacher").eval()
    write_vectors(
        folder / "teacher_vectors", [hypothesis_id(text) for text in english], embed_texts(teacher, english, 64).numpy()
    )


def write_data(folder: Path, material: Material, size: Size, device: str) -> dict[str, Any]:
    """Write rows, photos and pairs of each case; return their statistics."""
    clip_lengths = encode(load_tokenizer(folder / "models/clip"), [row.hypothesis for row in material.examples]).lengths
    rows = [material.examples[row] for row in choose(clip_lengths, *size.clip_ve)]
    (folder / "photos").mkdir()
    used = {row.image_id: material.photos[row.image_id] for row in rows}
    for image_id, path in used.items():
        shutil.copy(path, folder / "photos" / f"{image_id}{path.suffix}")
    write_rows(folder / "clip_ve/train.jsonl", rows)
    sentences = [example(n, "none", english, LABELS[n % 3]) for n, (english, _) in enumerate(material.pairs)]
    write_rows(folder / "clseave/train.jsonl", sentences)
    for name, some in (("translations", material.pairs), ("to_align", material.pairs[: size.aligned])):
        told = [Translation(hypothesis_id(a), a, material.language, b, "given", "1") for a, b in some]
        write_rows(folder / name / f"{material.language}.jsonl", told)
    write_json(folder / "to_translate.json", [english for english, _ in material.pairs][: size.translated])
    write_arrays(folder, used, list(distinct_hypotheses(sentences).values()))
    tokens = encode(load_tokenizer(folder / "models/mbert"), [other for _, other in material.pairs])
    part = None if device == "cuda" else PART
    write_json(folder / "random_steps.json", random_steps(tokens.lengths, *size.clseave))
    return {
        "of": material.about,
        "clip_ve": {"rows": len(rows), "batch": size.clip_ve[0], "steps": size.clip_ve[1], "photos": len(used)},
        "clseave": {"rows": len(material.pairs), "batch": size.clseave[0], "steps": size.clseave[1]},
        "align": {"pairs": min(size.aligned, len(material.pairs))},
        "translate": {"sentences": min(size.translated, len(material.pairs))},
        "tokens": tokens_of(tokens.lengths, *size.clseave, part) | {"different": len(np.unique(tokens.values))},
    }


def random_steps(lengths: np.ndarray, batch: int, steps: int) -> list[list[int]]:
    """Return row numbers of the steps for contenders with random batches, the widest step last."""
    return [list(rows) for rows in sampled(shuffled(len(lengths), batch), lengths, steps)]


def tokens_of(lengths: np.ndarray, batch: int, steps: int, part: int | None) -> dict[str, Any]:
    """Return the lengths of translations and the padded widths of each kind of batch, in its sample and in an epoch.

    With `part`, our batches run in sub-batches of at least that many rows.
    """
    even, random = draw_batches(lengths, batch, "bucket", [0, 1]), shuffled(len(lengths), batch)
    widths = {
        "bucket": [padded(some, lengths, part) for some in (sampled(even, lengths, steps, part), even)],
        "random": [padded(some, lengths) for some in (random_steps(lengths, batch, steps), random)],
    }
    return {
        "mean": round(float(lengths.mean()), 2),
        "longest": int(lengths.max()),
        **{name: [round(width, 1) for width in both] for name, both in widths.items()},
    }


def prepare(folder: Path, name: str, device: str, data: Path | None) -> dict[str, Any]:
    """Make the folder of a size, or reuse one that was made in the same way; return its statistics.

    `data` is a folder of real photos and sentences; None: synthetic ones.
    """
    size = SIZES["full-cuda" if (name, device) == ("full", "cuda") else name]
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    wanted = {"size": json.loads(json.dumps(asdict(size))), "device": device, "code": code, "real": bool(data)}
    facts = folder / "facts.json"
    if facts.exists() and (known := read_json(facts))["set_up"] == wanted:
        write_values(folder, size, device, _layers(folder))  # the profile may have changed since
        return dict(known["facts"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if name == "mini":
        material = miniature(folder / "source")
        link_models(folder / "models")
    else:
        material = real(data) if data and name != "tiny" else made(folder / "source")
        save_models(folder / "models", material, name)
    save_for_awesome_align(folder / "models/mbert", folder / "models/awesome_align")
    write_values(folder, size, device, _layers(folder))
    found = {"language": material.language} | write_data(folder, material, size, device)
    write_json(facts, {"set_up": wanted, "facts": found})
    return found


def _layers(folder: Path) -> int:
    """Return the number of mBERT's layers."""
    return int(read_json(folder / "models/mbert/config.json")["num_hidden_layers"])


def main(argv: Sequence[str]) -> int:
    """Run `workload.py FOLDER SIZE DEVICE [DATA]`: make the folder; return 2, with a message, when data are missing."""
    try:
        prepare(Path(argv[0]), argv[1], argv[2], Path(argv[3]) if argv[3:] else None)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
