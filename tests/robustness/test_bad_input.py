"""What is refused, reader by reader and fault by fault, each with its own message; and what is taken, and as what.

Each cell makes the bad file and calls the real reader: it must raise UserError with one printable line, leave nothing
behind, and need no memory that the file could choose. `docs/RELIABILITY.md` counts the cells.
"""

import gzip
import io
import json
import re
import tracemalloc
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_files import (
    POINTER,
    a_folder,
    a_link_to_itself,
    alias_bomb,
    bomb_image,
    cut,
    encrypted_zip,
    holding,
    long_line,
    nothing,
    png,
    program,
    safetensors,
    tar_bomb,
    tar_of,
    zip_bomb,
    zip_of,
)
from PIL import Image
from safetensors.torch import save_file
from tiny_models import bert, bert_config, bert_text, clip_config, save_masked_bert, tower
from transformers import BertModel

from clseave.commands import score_alignment
from clseave.comparison import distances, measured, thesis_values, verdicts
from clseave.corpora import snli_ve
from clseave.corpora.downloads import fetch, locate
from clseave.corpora.images import BrokenImageError, decode, load_processor, processor
from clseave.corpora.photos import open_collection, read_photos
from clseave.foundation.errors import UserError
from clseave.foundation.files.archives import LARGEST
from clseave.foundation.files.formats import LONGEST_LINE, iter_jsonl, read_json
from clseave.foundation.rows.records import (
    Alignment,
    Example,
    Prediction,
    Translation,
    examples_with_images,
    read_rows,
    read_splits,
    read_vectors,
    write_vectors,
)
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Download, HubRows, Pretrained, SnliRows, SnliVeRows
from clseave.inference.entailment import read_image
from clseave.models import hub
from clseave.models.clip_ve import load_head, save_head
from clseave.models.head import Head
from clseave.models.loading import load_layers, load_model, read_weights
from clseave.models.student import Student
from clseave.models.token_student import Autoencoder
from clseave.models.tokens import encode, load_tokenizer
from clseave.models.towers import TextTower
from clseave.translation.answers import Answers
from clseave.translation.translators import read_given
from clseave.word_alignment.aligner import WordAligner
from settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
MEMORY_MB = 40  # that a reader may take for a file of 100 MB that is none of its kind
EXAMPLE = Example("dev-1", "7", "h1", "A dog", "neutral", "dev", None, None)
TRANSLATION = Translation("h1", "A dog", "de", "Ein Hund", "files", "1")
ALIGNMENT = Alignment("h1", ["A"], ["Ein"], [[0, 0]])
PREDICTION = Prediction("dev-1", [0.0, 1.0, 2.0])
DEEP = "[" * 100_000 + "]" * 100_000
HUGE = "9" * 5000


def line(row, **changes):
    """A row as its line, with changed fields; a field changed to `...` is left out."""
    content = {key: value for key, value in (asdict(row) | changes).items() if value is not ...}
    return json.dumps(content) + "\n"


# The readers: a folder and the name of the bad file in it -> whatever the reader makes of it.


def collect(path):
    """All photos of a folder or an archive."""
    collection = open_collection(path)
    return {image_id: load() for image_id, load in collection.loaders(list(collection.files))}


def snli_row(**changes):
    return {"gold_label": "neutral", "sentence2": "A dog.", "pairID": "1.jpg#0r1n"} | changes


def ready_made(path):
    """A corpus whose train split is the bad file."""
    for split in ("dev", "test"):
        row = snli_row(pairID=f"{split}.jpg#0r1n")
        (path.parent / f"{split}.jsonl").write_text(json.dumps(row))
    names = {"train": path.name, "dev": "dev.jsonl", "test": "test.jsonl"}
    made = SnliVeRows(format="snli_ve", files=names)
    try:
        return [one.hypothesis for one in snli_ve.read_corpus(made, path.parent, path.parent)[0]["train"]]
    finally:
        for split in ("dev", "test"):
            (path.parent / f"{split}.jsonl").unlink()


def snli_zip(path):
    """SNLI from a zip, with lists that name one photo a split."""
    for name, ids in (("train_val.lst", "1\n2\n"), ("test.lst", "3\n")):
        (path.parent / name).write_text(ids)
    placed = {"url": None, "sha256": None}
    lists = {key: Download(file=f"{key}.lst", **placed) for key in ("train_val", "test")}
    try:
        return snli_ve.read_corpus(
            SnliRows(format="snli", file=path.name, dev_images=1, **lists, **placed), path.parent, path.parent
        )
    finally:
        for name in ("train_val.lst", "test.lst"):
            (path.parent / name).unlink()


def data_set(path):
    rows = HubRows(
        format="hub", id=f"./{path.name}", revision=None, splits=dict.fromkeys(("train", "dev", "test"), "train")
    )
    return snli_ve.read_corpus(rows, path.parent, path.parent / "downloads")


def store(path):
    """A translator's answers, in the file that they would be in."""
    answers = Answers(path.parent, "google", "1", "de")
    path.rename(answers.path)
    try:
        with answers:
            return answers.texts
    finally:
        answers.path.rename(path)
        answers.path.with_name(f"{answers.path.name}.lock").unlink(missing_ok=True)


def translations(path, shared=False):
    found = read_given(path, "de", ["A dog", "Snow"], shared=shared)
    return [one.text for one in found.values()]


def table(path):
    """The thesis's tables, one of them the bad file."""
    for other in (ROOT / "reports" / "published").glob("*.csv"):
        if other.name != path.name:
            (path.parent / other.name).symlink_to(other)
    try:
        expected = verdicts.parse(params.read_yaml(ROOT / "reports" / "expected.yaml"))
        counts = {split: {"rows": 1} for split in ("train", "dev", "test")}
        return thesis_values.read(path.parent, expected, profile="thesis", counts=counts)
    finally:
        for other in path.parent.glob("*.csv"):
            if other.is_symlink():
                other.unlink()


def typology(path):
    """The vectors of languages, one file of them the bad one."""
    others = [file for file in (ROOT / "data" / "typology").glob("*.csv") if file.name != path.name]
    for other in others:
        (path.parent / other.name).symlink_to(other)
    try:
        return distances.table(distances.read(path.parent), ["de", "ja"])
    finally:
        for other in others:
            (path.parent / other.name).unlink()


def vectors(path):
    """Vectors whose one file is as `write_vectors` leaves it, and the other the bad one."""
    made = path.parent / "made"
    write_vectors(made, ["a", "b"], np.ones((2, 3)))
    other = "ids.json" if path.name != "ids.json" else "vectors.safetensors"
    (made / other).rename(path.parent / other)
    for left in made.iterdir():
        left.unlink()
    made.rmdir()
    try:
        return read_vectors(path.parent)[1].tolist()
    finally:
        (path.parent / other).unlink()


def beside_model(path, kind):
    """A model's folder in which one file is the bad one."""
    model = path.parent / "model"
    if kind == "student":
        Student(bert(), bert_text(), 6, "sep").save(model)
    elif kind == "head":
        save_head(model, Head(6, 4, 0.0), "clip_ve")
    elif kind == "autoencoder":
        Autoencoder(16, 8).save(model)
    elif kind == "tower":
        tower().save(model)
    elif kind == "clip":
        tower().save(model)
        processor(32).save_pretrained(model)
    else:
        save_masked_bert(model)
    (model / path.name).unlink(missing_ok=True)
    if path.exists():
        path.rename(model / path.name)
    calls = {
        "student": Student.load,
        "head": load_head,
        "autoencoder": Autoencoder.load,
        "tower": TextTower.load,
        "clip": load_processor,
        "mbert": lambda folder: load_model(BertModel, folder, add_pooling_layer=False),
        "tokenizer": load_tokenizer,
        "weights": read_weights,
        "aligner": lambda folder: WordAligner(folder, 1, 0.1, 2),
        "hub": lambda folder: hub.fetch(Pretrained(id=str(folder), revision=None, weights="safetensors")),
    }
    try:
        return calls[kind](model)
    finally:
        if (model / path.name).exists():
            (model / path.name).rename(path)
        for left in sorted(model.rglob("*"), reverse=True):
            left.unlink() if left.is_file() else left.rmdir()
        model.rmdir()


def layers(path):
    return load_layers(torch.nn.Linear(2, 3), path)


def text(path):
    """Texts of a file to token ids, by BERT's tokenizer of 40 tokens."""
    return encode(bert_text(), path.read_text(encoding="utf-8", errors="surrogateescape").split("|")).tolist()


def photo(path):
    try:
        return decode(path.read_bytes()).size
    except BrokenImageError as error:  # a photo's fault is counted, or ends the stage: `images.require_sound`
        raise UserError(str(error)) from error


def seen(path):
    return read_image(path, processor(32))


def hash_record(path):
    (path.parent / "file").write_bytes(b"content")
    try:
        return fetch("http://127.0.0.1:9/file", path.parent / "file", None)
    finally:
        (path.parent / "file").unlink()


def placed(path):
    return locate(Download(file=path.name, url=None, sha256="0" * 64), path.parent, path.parent)


def checked(path):
    return params.check(path, SETTINGS / "profiles")


READERS = {
    "JSON": ("a.json", read_json),
    "JSON Lines": ("a.jsonl", lambda path: list(iter_jsonl(path))),
    "examples": ("dev.jsonl", lambda path: read_splits(path.parent, ["dev"])),
    "translations of a stage": ("de.jsonl", lambda path: read_rows(path, Translation)),
    "alignments": ("de.jsonl", lambda path: read_rows(path, Alignment)),
    "predictions": ("en.jsonl", lambda path: read_rows(path, Prediction)),
    "vectors": ("vectors.safetensors", vectors),
    "ids of vectors": ("ids.json", vectors),
    "skipped images": ("skipped.json", lambda path: examples_with_images([EXAMPLE], path.parent)),
    "list of photos": ("photos.jsonl", read_photos),
    "folder of photos": ("photos", collect),
    "zip of photos": ("photos.zip", collect),
    "tar of photos": ("photos.tar", collect),
    "tar.gz of photos": ("photos.tar.gz", collect),
    "a photo": ("1.jpg", photo),
    "a photo to judge": ("1.jpg", seen),
    "CLIP's preprocessing": ("preprocessor_config.json", partial(beside_model, kind="clip")),
    "SNLI, JSON Lines": ("train.jsonl", ready_made),
    "SNLI, tabs": ("train.txt", ready_made),
    "SNLI, zip": ("snli.zip", snli_zip),
    "lists of SNLI-VE": ("test.lst", snli_ve._read_list),
    "expected counts": ("counts.json", lambda path: snli_ve.expected_counts(path.name, path.parent)),
    "a data set": ("data", data_set),
    "a placed file": ("snli.zip", placed),
    "record of a download": ("file.sha256", hash_record),
    "a tokenizer": ("tokenizer.json", partial(beside_model, kind="tokenizer")),
    "settings of a tokenizer": ("tokenizer_config.json", partial(beside_model, kind="tokenizer")),
    "texts": ("texts", text),
    "weights of a model": ("model.safetensors", partial(beside_model, kind="mbert")),
    "configuration of a model": ("config.json", partial(beside_model, kind="mbert")),
    "configuration of CLIP's text tower": ("config.json", partial(beside_model, kind="tower")),
    "weights, safetensors": ("model.safetensors", partial(beside_model, kind="weights")),
    "weights, pickled": ("pytorch_model.bin", lambda path: read_weights(path.parent)),
    "layers": ("layers.safetensors", layers),
    "a student": ("student.json", partial(beside_model, kind="student")),
    "a head": ("head.json", partial(beside_model, kind="head")),
    "an autoencoder": ("autoencoder.json", partial(beside_model, kind="autoencoder")),
    "mBERT for awesome-align": ("config.json", partial(beside_model, kind="aligner")),
    "a local model": ("model.safetensors", partial(beside_model, kind="hub")),
    "store of answers": ("answers", store),
    "a user's translations, JSON Lines": ("de.jsonl", translations),
    "a user's translations, tabs": ("de.tsv", translations),
    "a user's translations, commas": ("de.csv", translations),
    "a user's translations, compressed": ("de.csv.gz", translations),
    "corrections": ("fixes.tsv", partial(translations, shared=True)),
    "params.yaml": ("params.yaml", checked),
    "tables of the thesis": ("table_2_1.csv", table),
    "a training curve": ("m-seed0.csv", lambda path: measured.read_curve(path.parent, "m", [0])),
    "losses of the backbones": ("backbones-clip.csv", lambda path: measured.read_steps(path.parent)),
    "vectors of languages": ("places.csv", typology),
    "sentences to align": ("text", score_alignment.read_text),
    "pairs of words": ("gold", lambda path: list(score_alignment.read_pairs(path, score_alignment.GOLD, 1, None))),
}

PLACES = (ROOT / "data" / "typology" / "places.csv").read_text()
LONG = f"a line of more than {LONGEST_LINE:,} bytes, expected a row on each line"
TINY_STUDENT = '{"width": 6, "pooling": "sep"}'
ONE_TENSOR = '{"vectors":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'


def tensors(**named):
    return lambda path: save_file(named, path, metadata={"format": "pt"})


def params_with(old, new):
    """The tests' params.yaml with one text replaced."""

    def write(path):
        content = (SETTINGS / "params.yaml").read_text(encoding="utf-8")
        assert old in content
        path.write_text(content.replace(old, new, 1), encoding="utf-8")

    return write


def parquet(**columns):
    import datasets

    def write(path):
        features = columns.pop("features", None)
        datasets.Dataset.from_dict(columns, features=features).to_parquet(path / "train.parquet")

    return lambda path: (path.mkdir(), write(path))


def folder_of(files):
    def write(path):
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)

    return write


def torn_jpeg():
    buffer = io.BytesIO()
    Image.effect_noise((99, 99), 50).save(buffer, "JPEG")
    return buffer.getvalue()[:-500]


def half(path):
    bert_config(dtype="float16").save_pretrained(path.parent)


def other_end(path):
    clip_config(eos_token_id=5).save_pretrained(path.parent)


# reader, fault, what writes the file, what the message says
REFUSED = [
    ("JSON", "missing", nothing, r"a\.json does not exist: run the stage that writes it"),
    ("JSON", "a folder", a_folder, r"a\.json is a folder, expected a file: move it away"),
    ("JSON", "a link to itself", a_link_to_itself, "is a link that leads back to itself: remove it"),
    ("JSON", "empty", holding(""), r"a\.json is not JSON: Expecting value"),
    ("JSON", "invalid UTF-8", holding(b'{"a": "\xff"}'), r"a\.json is not UTF-8 text: .*byte 0xff.*save it as UTF-8"),
    ("JSON", "UTF-16", holding('{"a": 1}'.encode("utf-16")), r"is not UTF-8 text: .*\(it looks like UTF-16\)"),
    ("JSON", "NUL bytes", holding(b'{"a": 1}\0'), "is not JSON: Extra data"),
    ("JSON", "NaN", holding('{"a": NaN}'), "is not JSON: NaN is not allowed in JSON"),
    ("JSON", "infinity", holding('{"a": -Infinity}'), "is not JSON: -Infinity is not allowed in JSON"),
    (
        "JSON",
        "a number too large",
        holding('{"a": 1e999}'),
        "is not JSON: 1e999 is too large for a floating-point number",
    ),
    ("JSON", "a huge whole number", holding(HUGE), "is not JSON: a whole number of thousands of digits"),
    ("JSON", "deep nesting", holding(DEEP), "is not JSON: nested too deeply"),
    ("JSON", "a key twice", holding('{"a": 1, "a": 2}'), "is not JSON: duplicate key 'a'"),
    ("JSON", "lone surrogates", holding(r'{"a": "\ud800"}'), "is not JSON: .*surrogates not allowed"),
    ("JSON", "a pointer of Git LFS", holding(POINTER), "is not JSON"),
    ("JSON Lines", "missing", nothing, r"a\.jsonl does not exist: run the stage that writes it"),
    ("JSON Lines", "a folder", a_folder, r"a\.jsonl is a folder, expected a file"),
    ("JSON Lines", "a 100 MB line", long_line(b'{"a": "'), rf"a\.jsonl:1: {LONG}"),
    ("JSON Lines", "invalid UTF-8", holding(b'{"a": 1}\n\xff\n'), r"a\.jsonl:2: not a JSON object: .*byte 0xff"),
    ("JSON Lines", "UTF-16", holding('{"a": 1}'.encode("utf-16")), r"a\.jsonl:1: .*\(it looks like UTF-16\)"),
    ("JSON Lines", "NUL bytes", holding(b'{"a": "\0"}\n'), r"a\.jsonl:1: not a JSON object: Invalid control character"),
    ("JSON Lines", "a list", holding("[1]\n"), r"a\.jsonl:1: expected a JSON object, found list"),
    ("JSON Lines", "a scalar", holding("1\n"), r"a\.jsonl:1: expected a JSON object, found int"),
    ("JSON Lines", "NaN", holding('{"a": NaN}\n'), r"a\.jsonl:1: not a JSON object: NaN is not allowed in JSON"),
    ("JSON Lines", "deep nesting", holding(DEEP), r"a\.jsonl:1: not a JSON object: nested too deeply"),
    ("JSON Lines", "a huge whole number", holding(f'{{"a": {HUGE}}}'), "a whole number of thousands of digits"),
    ("JSON Lines", "lone surrogates", holding(r'{"a": "\udc80"}'), r"a\.jsonl:1: .*surrogates not allowed"),
    ("JSON Lines", "a key twice", holding('{"a": 1, "a": 1}'), r"a\.jsonl:1: .*duplicate key 'a'"),
    ("JSON Lines", "a pointer of Git LFS", holding(POINTER), r"a pointer of Git LFS, .*run `git lfs pull`"),
    ("examples", "an empty split", holding(""), r"dev\.jsonl: no row in it: run the stage that writes it"),
    (
        "examples",
        "a duplicate id",
        holding(line(EXAMPLE) * 2),
        r"duplicate pair_id dev-1: .*dev\.jsonl:1 and .*dev\.jsonl:2: keep one",
    ),
    ("examples", "a label outside the set", holding(line(EXAMPLE, label="maybe")), r":1: label 'maybe' is not one of"),
    ("examples", "a row of another split", holding(line(EXAMPLE, split="test")), "dev-1 is of the test split"),
    ("examples", "a wrong type", holding(line(EXAMPLE, pair_id=1)), r":1: pair_id: found 1, expected a valid string"),
    (
        "examples",
        "a missing field",
        holding(line(EXAMPLE, label=...)),
        ":1: missing or unknown field of Example: label",
    ),
    ("examples", "an extra field", holding(line(EXAMPLE, note=1)), ":1: missing or unknown field of Example: note"),
    (
        "examples",
        "invisible characters",
        holding(line(EXAMPLE, label="neutral\u202e")),
        r"label 'neutral\\u202e' is not",
    ),
    (
        "translations of a stage",
        "a duplicate id",
        holding(line(TRANSLATION) * 2),
        r"duplicate hypothesis_id h1: .*\.jsonl:1 and .*\.jsonl:2: keep one",
    ),
    (
        "translations of a stage",
        "a wrong type",
        holding(line(TRANSLATION, text=None)),
        ":1: text: found None, expected a",
    ),
    ("translations of a stage", "a 100 MB line", long_line(b"{"), LONG),
    (
        "alignments",
        "a pair beyond the words",
        holding(line(ALIGNMENT, pairs=[[0, 7]])),
        r":1: pair \[0, 7\] of sentences of 1",
    ),
    ("alignments", "a negative pair", holding(line(ALIGNMENT, pairs=[[-1, 0]])), r":1: pair \[-1, 0\] of sentences"),
    ("alignments", "a pair of three", holding(line(ALIGNMENT, pairs=[[0, 0, 0]])), r":1: pair \[0, 0, 0\] of"),
    (
        "alignments",
        "a wrong type",
        holding(line(ALIGNMENT, pairs=[[0, 0.0]])),
        r"pairs\.0\.1: found 0\.0, expected a valid int",
    ),
    (
        "predictions",
        "a wrong type",
        holding(line(PREDICTION, logits="012")),
        ":1: logits: found '012', expected a valid list",
    ),
    (
        "predictions",
        "a number too large",
        holding('{"pair_id":"1","logits":[0,0,1e999]}'),
        "1e999 is too large for a floating-point number",
    ),
    ("vectors", "missing", nothing, r"vectors\.safetensors does not exist: run the stage"),
    ("vectors", "a folder", a_folder, r"vectors\.safetensors is a folder, expected a file"),
    ("vectors", "empty", holding(""), r"vectors\.safetensors holds no vectors: delete its folder"),
    ("vectors", "a header beyond the file", safetensors("{}", size=1 << 60), "holds no vectors"),
    ("vectors", "a header that is a list", safetensors("[]"), "holds no vectors"),
    (
        "vectors",
        "another dtype",
        safetensors(ONE_TENSOR.replace("F32", "F64").replace("24", "48"), b"\0" * 48),
        "holds F64, expected float32",
    ),
    (
        "vectors",
        "another tensor",
        safetensors(ONE_TENSOR.replace("vectors", "weights"), b"\0" * 24),
        "holds no vectors",
    ),
    ("vectors", "bytes after the tensor", safetensors(ONE_TENSOR, b"\0" * 25), "holds no vectors"),
    ("vectors", "one axis", safetensors(ONE_TENSOR.replace("[2,3]", "[6]"), b"\0" * 24), "holds no vectors"),
    (
        "vectors",
        "a negative shape",
        safetensors(ONE_TENSOR.replace("[2,3]", "[-2,-3]"), b"\0" * 24),
        "holds no vectors",
    ),
    (
        "vectors",
        "a shape too large",
        safetensors(ONE_TENSOR.replace("[2,3]", "[2,3000000000]"), b"\0" * 24),
        "holds no vec",
    ),
    (
        "vectors",
        "a place outside",
        safetensors(ONE_TENSOR.replace("[0,24]", "[-8,16]"), b"\0" * 24),
        "holds no vectors",
    ),
    ("vectors", "a truncated file", safetensors(ONE_TENSOR, b"\0" * 20), "holds no vectors"),
    (
        "vectors",
        "a pointer of Git LFS",
        holding(POINTER),
        "is a pointer of Git LFS, not the file itself: run `git lfs pull`",
    ),
    (
        "vectors",
        "no dtype",
        safetensors(ONE_TENSOR.replace("dtype", "etype"), b"\0" * 24),
        "holds no vectors: delete its folder",
    ),
    ("ids of vectors", "a scalar", holding("3"), r"ids\.json: expected a list of distinct ids"),
    ("ids of vectors", "a wrong type", holding("[1, 2]"), r"ids\.json: expected a list of distinct ids"),
    ("ids of vectors", "a duplicate id", holding('["a", "a"]'), r"ids\.json: expected a list of distinct ids"),
    ("ids of vectors", "an id too many", holding('["a", "b", "c"]'), "3 ids for 2 vectors: delete the folder"),
    ("skipped images", "a list", holding('["7"]'), r"skipped\.json: found list, expected a reason for each id"),
    (
        "skipped images",
        "nothing left",
        holding('{"7": "empty"}'),
        "none of 1 examples of dev is left, all images were skipped",
    ),
    (
        "list of photos",
        "a missing field",
        holding('{"image_id": "4"}\n'),
        r"photos\.jsonl:1: no list of photos: archive",
    ),
    ("list of photos", "an extra field", holding('{"id":1}'), r"photos\.jsonl:1: no list of photos"),
    (
        "list of photos",
        "a path that leads out",
        holding('{"image_id":"4","archive":null,"file":"../../etc/4.jpg","sha256":"","bytes":1}'),
        r"photos\.jsonl: '\.\./\.\./etc/4\.jpg' is no safe file name",
    ),
    (
        "list of photos",
        "an absolute path",
        holding('{"image_id":"4","archive":"/etc/a.zip","file":"4.jpg","sha256":"","bytes":1}'),
        r"'/etc/a\.zip' is no safe file name",
    ),
    ("folder of photos", "missing", nothing, r"photos is neither a folder nor a whole tar or zip|cannot be read"),
    ("folder of photos", "a link to itself", a_link_to_itself, "photos .*cannot be read|neither a folder"),
    (
        "folder of photos",
        "two files for one id",
        folder_of({"1.jpg": b"", "a/1.png": b""}),
        r"1\.jpg and a/1\.png are both photo 1",
    ),
    (
        "zip of photos",
        "a truncated archive",
        cut(zip_of({"1.jpg": b"x" * 999}), 0.6),
        r"photos\.zip .*: copy or fetch it again",
    ),
    ("zip of photos", "a path that leads out", zip_of({"../1.jpg": b""}), r"'\.\./1\.jpg' is no safe file name"),
    ("zip of photos", "an absolute path", zip_of({"/etc/1.jpg": b""}), "'/etc/1.jpg' is no safe file name"),
    (
        "zip of photos",
        "a zip bomb",
        zip_bomb("1.jpg", LARGEST // 1_000_000 + 10),
        r"1\.jpg cannot be read: .* bytes, more than",
    ),
    ("zip of photos", "encryption", encrypted_zip("1.jpg"), r"1\.jpg cannot be read: .*encrypted"),
    (
        "tar of photos",
        "a truncated archive",
        cut(tar_of({"1.jpg": b"x" * 20_000}), 0.5),
        r"photos\.tar .*copy or fetch it again",
    ),
    ("tar of photos", "a path that leads out", tar_of({"a/../../1.jpg": b""}), "is no safe file name"),
    ("tar of photos", "an absolute path", tar_of({"/1.jpg": b""}), "'/1.jpg' is no safe file name"),
    ("tar of photos", "a bomb", tar_bomb("1.jpg"), r"photos\.tar cannot be read .*copy or fetch it again"),
    (
        "tar of photos",
        "noise",
        holding(bytes(range(256)) * 40),
        r"photos\.tar is neither a folder nor a whole tar or zip",
    ),
    ("tar of photos", "a pointer of Git LFS", holding(POINTER), r"photos\.tar is neither a folder nor a whole tar"),
    (
        "tar.gz of photos",
        "a truncated archive",
        cut(tar_of({"1.jpg": bytes(range(256)) * 99}, "w:gz"), 0.6),
        "copy or fetch it again",
    ),
    ("a photo", "empty", holding(""), "the file is empty"),
    ("a photo", "a decompression bomb", holding(bomb_image()), "DecompressionBombError|more than 89,478,485"),
    (
        "a photo",
        "a header that lies",
        holding(png(2**31 - 1, 2**31 - 1)),
        "DecompressionBombError|more than 89,478,485",
    ),
    ("a photo", "a truncated file", holding(torn_jpeg()), "OSError: image file is truncated"),
    ("a photo", "noise", holding(b"\0" * 100), r"not an image of a known kind; starts with b'\\x00"),
    (
        "a photo",
        "a PostScript program",
        holding(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        "not an image of a known",
    ),
    ("a photo", "a pointer of Git LFS", holding(POINTER), "a pointer of Git LFS, .*run `git lfs pull`"),
    ("a photo to judge", "missing", nothing, r"1\.jpg does not exist: name a photo that is there"),
    ("a photo to judge", "a folder", a_folder, r"1\.jpg is a folder, expected a file"),
    ("a photo to judge", "a decompression bomb", holding(bomb_image()), r"1\.jpg: not a readable image: "),
    (
        "CLIP's preprocessing",
        "missing",
        nothing,
        r"preprocessor_config\.json does not exist, which describes how this model preprocesses photos",
    ),
    ("CLIP's preprocessing", "empty", holding(""), r"preprocessor_config\.json cannot prepare a photo: "),
    ("CLIP's preprocessing", "a list", holding("[]"), "cannot prepare a photo: "),
    ("CLIP's preprocessing", "a wrong type", holding('{"size": "large", "image_mean": 3}'), "cannot prepare a photo: "),
    ("CLIP's preprocessing", "a pointer of Git LFS", holding(POINTER), "is a pointer of Git LFS"),
    ("SNLI, JSON Lines", "missing", nothing, r"train\.jsonl does not exist: place the file"),
    ("SNLI, JSON Lines", "a folder", a_folder, r"train\.jsonl is a folder, expected a file"),
    ("SNLI, JSON Lines", "an empty split", holding(""), "the train split has no labelled pair: check the files"),
    ("SNLI, JSON Lines", "a 100 MB line", long_line(b'{"gold_label": "'), rf"train\.jsonl:1: {LONG}"),
    (
        "SNLI, JSON Lines",
        "a label outside the set",
        holding(json.dumps(snli_row(gold_label="yes"))),
        r":1: label 'yes' is not one",
    ),
    (
        "SNLI, JSON Lines",
        "a duplicate id",
        holding("\n".join(json.dumps(snli_row(sentence2=one)) for one in "AB")),
        r"duplicate pair id .*train\.jsonl:1 and .*train\.jsonl:2, with two contents: keep one",
    ),
    (
        "SNLI, JSON Lines",
        "an id that is a path",
        holding(json.dumps(snli_row(Flickr30K_ID="../../x"))),
        r"photo '\.\./\.\./x' is no safe",
    ),
    (
        "SNLI, JSON Lines",
        "NUL bytes",
        holding(json.dumps(snli_row(sentence2="A \0 dog"))),
        ":1: the hypothesis holds a NUL character",
    ),
    (
        "SNLI, JSON Lines",
        "lone surrogates",
        holding(json.dumps(snli_row(sentence2="A \ud800"))),
        ":1: .*surrogates not allowed",
    ),
    (
        "SNLI, JSON Lines",
        "an invisible id",
        holding(json.dumps(snli_row(pairID="1.jpg#\u200b"))),
        r"the pair id '1\.jpg#\\u200b' holds",
    ),
    (
        "SNLI, JSON Lines",
        "a wrong type",
        holding(json.dumps(snli_row(sentence2=["A"]))),
        r":1: sentence2 is \['A'\], expected text",
    ),
    ("SNLI, JSON Lines", "a missing field", holding('{"a": 1}'), ":1: no field pairID or pair_id; found a"),
    ("SNLI, JSON Lines", "deep nesting", holding(DEEP), ":1: cannot be read as a row: nested too deeply"),
    ("SNLI, JSON Lines", "invalid UTF-8", holding(b'{"a": "\xff"}'), ":1: cannot be read as a row: .*byte 0xff"),
    (
        "SNLI, tabs",
        "a tab in a sentence",
        holding("gold_label\tsentence2\tpairID\nneutral\tA\tdog\t1.jpg#0\n"),
        r":2: .*4 cells for 3 columns",
    ),
    ("SNLI, tabs", "a column twice", holding("label\tlabel\n"), r":1: .*two columns are named 'label'"),
    ("SNLI, tabs", "a blank line", holding("gold_label\tsentence2\tpairID\n\n"), ":2: no field pairID"),
    ("SNLI, tabs", "a 100 MB line", long_line(), rf"train\.txt:1: {LONG}"),
    ("SNLI, tabs", "no header", holding("neutral\tA dog\t1.jpg#0r1n\n"), "the train split has no labelled pair"),
    (
        "SNLI, zip",
        "a truncated archive",
        cut(zip_of({"snli_1.0/snli_1.0_train.jsonl": b"{}" * 99}), 0.5),
        r"snli\.zip is no whole zip",
    ),
    (
        "SNLI, zip",
        "a missing member",
        zip_of({"../snli_1.0_train.jsonl": b"{}"}),
        r"no snli_1\.0_train\.jsonl and no \.txt",
    ),
    ("SNLI, zip", "a zip bomb", zip_bomb("snli_1.0_train.jsonl", 300), LONG),
    (
        "SNLI, zip",
        "encryption",
        encrypted_zip("snli_1.0_train.jsonl"),
        "snli_1.0_train.jsonl:0: cannot be read as a row: .*encrypted",
    ),
    ("SNLI, zip", "a pointer of Git LFS", holding(POINTER), r"snli\.zip is no whole zip"),
    ("lists of SNLI-VE", "missing", nothing, r"test\.lst does not exist: place the list there"),
    (
        "lists of SNLI-VE",
        "a duplicate id",
        holding("1.jpg\n1.jpg\n"),
        r"duplicate photo 1: .*test\.lst:1 and .*test\.lst:2: keep one",
    ),
    (
        "lists of SNLI-VE",
        "an id that is a path",
        holding("../../x.jpg"),
        r"found '\.\./\.\./x', expected the name of a photo",
    ),
    ("lists of SNLI-VE", "NUL bytes", holding(b"1\0.jpg"), r"found '1\\x00', expected the name of a photo"),
    (
        "lists of SNLI-VE",
        "UTF-16",
        holding("1.jpg".encode("utf-16")),
        r"test\.lst is not UTF-8 text.*looks like UTF-16",
    ),
    ("expected counts", "missing", nothing, r"source\.expected_counts: .*counts\.json does not exist"),
    ("expected counts", "a list", holding("[]"), r"counts\.json: : input should be an object"),
    (
        "expected counts",
        "a wrong type",
        holding('{"dev": {"rows": "1"}}'),
        r"counts\.json: dev\.rows: input should be a valid int",
    ),
    ("expected counts", "deep nesting", holding(DEEP), r"counts\.json: : invalid json: recursion limit"),
    ("a data set", "missing", nothing, r"data, split train, cannot be loaded: "),
    ("a data set", "noise", folder_of({"train.parquet": b"no parquet"}), "split train, cannot be loaded: "),
    (
        "a data set",
        "a wrong type",
        parquet(pairID=[1], sentence2=["A"], label=["neutral"]),
        "data/train:1: pairID is 1, expected text",
    ),
    (
        "a data set",
        "a label outside the set",
        parquet(pairID=["1.jpg#0"], sentence2=["A"], label=["odd"]),
        "data/train:1: label 'odd'",
    ),
    ("a data set", "no known column", parquet(a=[1]), r"\./data: no column of a pair; found a"),
    (
        "a placed file",
        "another checksum",
        holding("x"),
        r"snli\.zip: sha256 is 2d71.*, expected 0000.*: replace the file",
    ),
    ("a placed file", "missing", nothing, r"snli\.zip does not exist and has no url: place the file"),
    ("record of a download", "empty", holding(""), r"file\.sha256 holds no SHA-256: delete it"),
    ("record of a download", "noise", holding("not a hash"), r"file\.sha256 holds no SHA-256: delete it"),
    ("record of a download", "invalid UTF-8", holding(b"\xff"), r"file\.sha256 is not UTF-8 text"),
    ("a tokenizer", "missing", nothing, "no tokenizer there: run the stage that writes this model"),
    ("a tokenizer", "empty", holding(""), "no tokenizer there: run the stage that writes this model"),
    ("a tokenizer", "a list", holding("[]"), "no tokenizer there: run the stage that writes this model"),
    ("a tokenizer", "a pointer of Git LFS", holding(POINTER), "no tokenizer there: run the stage"),
    (
        "settings of a tokenizer",
        "code of its own",
        holding('{"tokenizer_class":"Own","auto_map":{"AutoTokenizer":["own.Own",null]}}'),
        "no tokenizer there|names no padding",
    ),
    ("settings of a tokenizer", "a list", holding("[]"), "no tokenizer there"),
    (
        "texts",
        "10,000 words",
        holding("red " * 10_000),
        r"10002 tokens, the model takes 40: 'red red .* characters left out\] .*long_texts: cut",
    ),
    ("texts", "a blank one", holding("red|  "), "a blank text cannot be encoded: '  '"),
    ("texts", "lone surrogates", holding(b"red \xff"), r"'red \\udcff' holds a lone surrogate, expected text in UTF-8"),
    ("weights of a model", "missing", nothing, "holds no BertModel: run the stage"),
    ("weights of a model", "a truncated header", safetensors("{}", size=100), "holds no readable BertModel: "),
    (
        "weights of a model",
        "another shape",
        tensors(**{"embeddings.word_embeddings.weight": torch.zeros(2, 2)}),
        "holds no readable BertModel|lacks",
    ),
    ("weights of a model", "a pointer of Git LFS", holding(POINTER), r"model\.safetensors is a pointer of Git LFS"),
    ("configuration of a model", "empty", holding(""), "holds no BertModel"),
    (
        "configuration of a model",
        "another dtype",
        half,
        r"holds weights of torch\.float16, expected torch\.float32",
    ),
    ("configuration of a model", "a list", holding("[]"), "holds no readable BertModel: "),
    (
        "configuration of a model",
        "a wrong type",
        holding('{"model_type":"bert","hidden_size":"wide"}'),
        "holds no readable BertModel: ",
    ),
    (
        "configuration of a model",
        "heads that do not divide",
        holding('{"model_type":"bert","hidden_size":16,"num_attention_heads":3}'),
        "holds no readable BertModel: ",
    ),
    ("configuration of CLIP's text tower", "another end token", other_end, "pools at id 5"),
    (
        "weights, safetensors",
        "a list for a header",
        safetensors("[]"),
        r"model\.safetensors holds no readable weights: ",
    ),
    (
        "weights, pickled",
        "a pickle that runs code",
        program,
        r"pytorch_model\.bin holds no readable weights: its pickle is damaged, or",
    ),
    (
        "weights, pickled",
        "no tensors",
        lambda path: torch.save([1, 2], path),
        "holds no readable weights: it holds no tensors by name",
    ),
    (
        "weights, pickled",
        "a truncated file",
        cut(lambda path: torch.save({"a": torch.ones(999)}, path), 0.5),
        "holds no readable weights: ",
    ),
    ("weights, pickled", "a pointer of Git LFS", holding(POINTER), r"pytorch_model\.bin is a pointer of Git LFS"),
    (
        "layers",
        "another dtype",
        tensors(weight=torch.ones(3, 2).half(), bias=torch.ones(3)),
        r"weight is of torch\.float16, expected torch",
    ),
    (
        "layers",
        "another shape",
        tensors(weight=torch.ones(2, 2), bias=torch.ones(3)),
        "cannot be read into its model: ",
    ),
    (
        "layers",
        "an extra tensor",
        tensors(weight=torch.ones(3, 2), bias=torch.ones(3), more=torch.ones(1)),
        "is of another model: more",
    ),
    ("layers", "a truncated header", safetensors("{}", size=99), "cannot be read into its model: "),
    ("a student", "missing", nothing, r"student\.json does not exist: run the stage"),
    (
        "a student",
        "an extra field",
        holding('{"width": 6, "pooling": "sep", "more": 1}'),
        r"student\.json does not describe a model of ours",
    ),
    (
        "a student",
        "a value outside the set",
        holding('{"width": 6, "pooling": "max"}'),
        "pooling 'max' is not one of sep, cls, mean",
    ),
    ("a student", "a wrong type", holding('{"width": "6", "pooling": "sep"}'), "does not describe a model of ours"),
    ("a head", "a scalar", holding("3"), r"head\.json does not describe a model of ours"),
    (
        "a head",
        "a missing field",
        holding('{"width": 6, "hidden": 4, "dropout": 0.0}'),
        "does not describe a model of ours .*inputs",
    ),
    (
        "a head",
        "a value outside the set",
        holding('{"inputs":"both","width":6,"hidden":4,"dropout":0.0}'),
        "inputs 'both': expected one of",
    ),
    (
        "an autoencoder",
        "a huge whole number",
        holding('{"wide": 1000000000000, "narrow": 1000000000000}'),
        "does not describe a model of ours",
    ),
    ("mBERT for awesome-align", "empty", holding(""), r"config\.json is not JSON: Expecting value"),
    ("mBERT for awesome-align", "a list", holding("[]"), "does not describe a model of ours"),
    (
        "mBERT for awesome-align",
        "other sizes",
        holding('{"vocab_size": 10, "hidden_size": 16, "num_attention_heads": 2}'),
        "config.json and weights make no BERT",
    ),
    ("a local model", "missing", nothing, r"holds no model\.safetensors: found no weights at all"),
    ("a local model", "a pointer of Git LFS", holding(POINTER), r"model\.safetensors is a pointer of Git LFS"),
    (
        "store of answers",
        "another key",
        holding('{"backend":"nmt"}\n'),
        r":1: found \{'backend': 'nmt'\}, expected .*move the file away",
    ),
    (
        "store of answers",
        "a wrong type",
        holding('{"backend":"google","version":"1","source":"en","target":"de"}\n{"source":1}\n'),
        r":2: found \{'source': 1\}, expected an answer",
    ),
    ("store of answers", "a list", holding("[]\n"), ":1: expected a JSON object, found list"),
    (
        "a user's translations, JSON Lines",
        "missing",
        nothing,
        r"de\.jsonl does not exist: expected a file of translations",
    ),
    (
        "a user's translations, JSON Lines",
        "a wrong type",
        holding('{"source":"A dog","text":1}'),
        ":1: found .*expected source, text",
    ),
    ("a user's translations, JSON Lines", "a 100 MB line", long_line(b"{"), LONG),
    (
        "a user's translations, JSON Lines",
        "lone surrogates",
        holding(r'{"source":"A dog","text":"\ud800"}'),
        ":1: .*surrogates",
    ),
    (
        "a user's translations, tabs",
        "a column too many",
        holding("A dog\tEin\tHund\tda\n"),
        ":1: found 4 columns, expected English and",
    ),
    (
        "a user's translations, tabs",
        "another language",
        holding("fr\tA dog\tUn chien\n"),
        ":1: found target 'fr', expected 'de'",
    ),
    (
        "a user's translations, tabs",
        "two that differ",
        holding("A dog\tHund\nA dog\tKatze\n"),
        "lines 1 and 2 translate 'A dog' differently",
    ),
    ("a user's translations, tabs", "invalid UTF-8", holding(b"A dog\t\xff\n"), ":1: not UTF-8: "),
    ("a user's translations, tabs", "a 100 MB line", long_line(), LONG),
    (
        "a user's translations, tabs",
        "quotation marks that do not match",
        holding('A dog\t"Ein ""Hund"""\nSnow\t"Viel "Schnee"."\n'),
        ":2: quotation marks do not match .*: double each one within a quoted cell",
    ),
    ("a user's translations, tabs", "a NUL", holding("A dog\tEin\0Hund\n"), ":1: a NUL character, which no text has"),
    ("a user's translations, commas", "a 100 MB line", long_line(b'A dog,"'), LONG),
    ("a user's translations, commas", "a column", holding("A dog\n"), ":1: found 1 columns, .* comma-separated, not"),
    (
        "a user's translations, commas",
        "UTF-16, cut",
        holding("A,B".encode("utf-16")[:-1]),
        ":1: not UTF-16: .* as UTF-8",
    ),
    (
        "a user's translations, compressed",
        "no gzip",
        holding("A dog,Ein Hund"),
        "gz is no whole gzip file .Not a gzipped",
    ),
    (
        "a user's translations, compressed",
        "a 100 MB line",
        holding(gzip.compress(b"A dog," + b" " * 100_000_000, 1)),
        f"gz:1: {LONG}",
    ),
    (
        "a user's translations, compressed",
        "its end cut off",
        holding(gzip.compress(b"A dog,Ein Hund\n")[:-9]),
        "gz is no whole gzip file .Compressed file ended",
    ),
    (
        "corrections",
        "no language",
        holding("A dog\tEin Hund\n"),
        ":1: found language None, expected code, English, translation",
    ),
    ("params.yaml", "missing", nothing, r"params\.yaml: no such file"),
    ("params.yaml", "a folder", a_folder, r"params\.yaml is a folder, expected a file"),
    ("params.yaml", "empty", holding(""), "expected keys and values, found NoneType"),
    ("params.yaml", "a list", holding("- 1\n"), "expected keys and values, found list"),
    (
        "params.yaml",
        "a key twice",
        holding("profile: mini\nprofile: tiny\n"),
        'not YAML: .*found duplicate key "profile"',
    ),
    ("params.yaml", "tabs", holding("profile:\n\t- mini\n"), "not YAML: .*cannot start any token"),
    ("params.yaml", "an alias bomb", holding(alias_bomb()), "more than 10,000 values, an alias .* counted each time"),
    ("params.yaml", "an alias of itself", holding("languages: &a [*a]\n"), "more than 10,000 values"),
    ("params.yaml", "deep nesting", holding("[" * 2000), "not YAML: nested too deeply"),
    ("params.yaml", "a huge whole number", holding(f"lr: {HUGE}\n"), "not YAML: "),
    (
        "params.yaml",
        "an object of Python",
        holding("lr: !!python/object/apply:os.mkdir [ran]\n"),
        "not YAML: could not determine a constructor",
    ),
    ("params.yaml", "invalid UTF-8", holding(b"profile: \xff\n"), "is not UTF-8 text: .*save it as UTF-8"),
    ("params.yaml", "NUL bytes", holding(b"profile: mini\0\n"), "not YAML: "),
    ("params.yaml", "a 100 MB line", long_line(b"a: "), "holds more than 1,048,576 bytes"),
    ("params.yaml", "two documents", holding("a: 1\n---\nb: 2\n"), "not YAML: .*single document"),
    (
        "params.yaml",
        "capitals",
        params_with("\n- de\n", "\n- DE\n"),
        "found 'DE', allowed: a language code of two or three small letters, such as de",
    ),
    (
        "params.yaml",
        "a path for a name",
        params_with("profile: mini", "profile: ../mini"),
        "found '../mini', allowed: small letters, digits and _",
    ),
    (
        "tables of the thesis",
        "missing",
        nothing,
        r"table_2_1\.csv does not exist: it holds values of the thesis; `git restore",
    ),
    ("tables of the thesis", "empty", holding(""), r"table_2_1\.csv is no table: No columns to parse"),
    (
        "tables of the thesis",
        "a row too long",
        holding("split,snli,snli_ve\ntrain,1,2,3\ntrain,1,2,3,4\n"),
        "is no table: .*tokeniz",
    ),
    ("tables of the thesis", "a missing row", holding("split,snli,snli_ve\ntrain,1,2\n"), "no row 'dev'"),
    (
        "tables of the thesis",
        "a missing column",
        holding("split,snli\ntrain,1\n"),
        "no column 'snli_ve', expected split, snli, snli_ve",
    ),
    ("a training curve", "missing", nothing, r"m-seed0\.csv does not exist: run the stage that writes it"),
    ("a training curve", "a folder", a_folder, r"m-seed0\.csv is a folder, expected a file"),
    ("a training curve", "empty", holding(""), r"m-seed0\.csv is no table: No columns to parse.*: run the stage"),
    ("a training curve", "no row", holding("epoch,loss\n"), r"m-seed0\.csv: no row in it: run the stage"),
    ("a training curve", "invalid UTF-8", holding(b"epoch,loss\n1,\xff\n"), r"m-seed0\.csv is not UTF-8 text"),
    ("a training curve", "a pointer of Git LFS", holding(POINTER), r"no column 'epoch', found version https://git-lfs"),
    ("a training curve", "a 100 MB line", long_line(b"epoch"), "holds more than 16,777,216 bytes"),
    ("a training curve", "a text", holding("epoch,loss\n1,0.5\n2,low\n"), "row 2, loss: found low, expected a number"),
    ("a training curve", "NaN", holding("epoch,loss\n1,nan\n"), "row 1, loss: found nan, expected a number"),
    ("a training curve", "infinity", holding("epoch,loss\n1,-inf\n"), "row 1, loss: found -inf, expected a number"),
    (
        "a training curve",
        "a truth value",
        holding("epoch,loss\n1,True\n"),
        "row 1, loss: found True, expected a number",
    ),
    ("a training curve", "a huge whole number", holding(f"epoch,loss\n1,{HUGE}\n"), "row 1, loss: found (inf|9+)"),
    ("a training curve", "a row cut short", holding("epoch,a,b\n1,2,3\n2,0"), "row 2, b: found nan, expected a number"),
    ("a training curve", "a row too long", holding("epoch,a\n1,2,3\n"), r"more values than .* names \(epoch, a\)"),
    ("a training curve", "a later row too long", holding("epoch,a\n1,2\n1,2,3\n"), "is no table: .*tokeniz.*run the"),
    (
        "a training curve",
        "a column twice",
        holding("epoch,a,a\n1,2,3\n"),
        "the columns epoch, a, a, expected a name of",
    ),
    ("a training curve", "no epoch", holding("step,loss\n1,2\n"), "no column 'epoch', found step, loss"),
    (
        "a training curve",
        "half an epoch",
        holding("epoch,loss\n1.5,2\n"),
        r"found the epochs 1\.5, expected 1, 2 \.\.\.",
    ),
    ("a training curve", "an epoch twice", holding("epoch,loss\n1,2\n1,2\n"), r"found the epochs 1, 1, expected 1, 2"),
    ("losses of the backbones", "empty", holding(""), r"backbones-clip\.csv is no table: No columns to parse"),
    ("losses of the backbones", "no step", holding("loss\n1\n"), "no column 'step', found loss"),
    ("losses of the backbones", "a text", holding("step,loss\n1,x\n"), "row 1, loss: found x, expected a number"),
    ("vectors of languages", "missing", nothing, r"places\.csv does not exist: restore it from git"),
    ("vectors of languages", "NUL bytes", holding(b"feature,en\nA,\0\n"), r"places\.csv: expected "),
    (
        "vectors of languages",
        "no place",
        holding(PLACES.replace("GC_-83_42", "GC_-83_x")),
        "found 'GC_-83_x', expected GC_LATITUDE_LONGITUDE",
    ),
    (
        "vectors of languages",
        "another language",
        holding("feature,en,xx\nA,1,0\n"),
        "expected the languages of predicted.csv, en among them",
    ),
    (
        "sentences to align",
        "a missing side",
        holding("a b\n"),
        ":1: expected `source words \\|\\|\\| target words`, found 'a b'",
    ),
    ("sentences to align", "invalid UTF-8", holding(b"a ||| b\n\xff\n"), ":2: not UTF-8 text"),
    ("sentences to align", "a 100 MB line", long_line(b"a ||| "), LONG),
    ("sentences to align", "empty", holding(""), "text: no line in it, expected one per sentence"),
    ("pairs of words", "a huge whole number", holding(f"1-{HUGE}\n"), ":1: found '1-999.*, expected pairs"),
    ("pairs of words", "an index of zero", holding("0-1\n"), ":1: found '0-1', expected indexes from 1 on"),
]


def cell(entry):
    return pytest.param(*entry, id=f"{entry[0]}: {entry[1]}")


@pytest.mark.parametrize(("reader", "fault", "write", "message"), [cell(entry) for entry in REFUSED])
def test_what_is_refused(tmp_path, monkeypatch, reader, fault, write, message):  # noqa: PLR0917 -- a cell's own
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    folder = tmp_path / "given"
    folder.mkdir()
    name, read = READERS[reader]
    write(folder / name)
    before = sorted(folder.rglob("*"))
    if "100 MB" in fault:
        tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            read(folder / name)
        if tracemalloc.is_tracing():
            assert tracemalloc.get_traced_memory()[1] < MEMORY_MB * 1_000_000
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    assert re.search(message, said), said
    assert said.isprintable() and len(said) < 2100  # one line, and nothing hidden in it
    assert [path for path in sorted(folder.rglob("*")) if "downloads" not in path.parts] == before
    assert not (tmp_path / "ran").exists()


def test_the_table_is_as_large_as_the_documents_say():
    cells = Counter((reader, fault) for reader, fault, *_ in REFUSED)
    assert max(cells.values()) == 1 and len(cells) >= 60
    assert {reader for reader, _ in cells} == set(READERS)
    assert len({message for *_, message in REFUSED}) >= 60
