"""Whatever the bytes, a reader gives a result or a UserError; whatever the content, what is written is read again.

The inputs are drawn anew for each reader but the same in every run. `HYPOTHESIS_EXAMPLES` draws more or fewer.
"""

import gzip
import io
import json
import os
import tarfile
import unicodedata
import zipfile
from dataclasses import asdict

import numpy as np
import pytest
from bad_files import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save as tensor_bytes
from test_bad_input import ALIGNMENT, EXAMPLE, ONE_TENSOR, PREDICTION, READERS, ROOT, TRANSLATION, line, snli_row
from tiny_models import bert_text, clip_text

from clseave.corpora.images import decode, write_archive
from clseave.corpora.photos import Photo, by_id, open_collection, read_photos, write_photos
from clseave.corpora.snli_ve import Pair, parse
from clseave.foundation.errors import LONGEST, UserError, one_line
from clseave.foundation.files.formats import iter_jsonl, read_json, write_json, write_jsonl
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import (
    Alignment,
    Example,
    Prediction,
    Translation,
    hypothesis_id,
    read_rows,
    read_vectors,
    write_rows,
    write_vectors,
)
from clseave.foundation.settings.schema import SPLITS
from clseave.models.tokens import encode, end_id
from clseave.translation.answers import Answer, Answers, tidy
from clseave.translation.checks import fault
from clseave.word_alignment import segmentation
from settings import SETTINGS

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "20"))
drawn = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
few = settings(drawn, max_examples=max(1, EXAMPLES // 5))

text = st.text(st.characters(exclude_categories=("Cs",)))
line_of_text = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=8,
)


def image_bytes(kind):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(buffer, kind)
    return buffer.getvalue()


def zip_bytes(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("1.jpg", "a/2.png"):
            member = tarfile.TarInfo(name)
            member.size = 9
            archive.addfile(member, io.BytesIO(b"some data"))
    return buffer.getvalue()


def written(write):
    """The bytes that a writer of `bad_files` leaves."""

    class Memory:
        def write_bytes(self, content):
            self.content = content

    memory = Memory()
    write(memory)
    return memory.content


def snli_of(photo):
    return (json.dumps(snli_row(pairID=f"{photo}.jpg#0r1n")) + "\n").encode()


SNLI = snli_of(1)
TABS = b"gold_label\tsentence2\tpairID\nneutral\tA dog\t1.jpg#0\n"
KEY = b'{"backend":"google","version":"1","source":"en","target":"de"}\n'
# A good file for each reader, from which bad ones are made; readers that load a whole model are left to the table.
GOOD = {
    "JSON": b'{"a": [1, 2.5e3, null, true, "\\u00fc\xc3\xbc"]}',
    "JSON Lines": b'{"a": 1}\n{"b": [{"c": "d"}]}\n',
    "examples": line(EXAMPLE).encode(),
    "translations of a stage": line(TRANSLATION).encode(),
    "alignments": line(ALIGNMENT).encode(),
    "predictions": line(PREDICTION).encode(),
    "vectors": written(safetensors(ONE_TENSOR, bytes(24))),
    "ids of vectors": b'["a", "b"]',
    "skipped images": b'{"8": "the file is empty"}',
    "list of photos": b'{"image_id":"4","archive":null,"file":"photos/4.jpg","sha256":"00","bytes":1}\n',
    "zip of photos": zip_bytes(**{"1.jpg": b"x" * 99, "a/2.png": b"y"}),
    "tar of photos": tar_bytes(),
    "tar.gz of photos": gzip.compress(tar_bytes(), mtime=0),
    "a photo": image_bytes("PNG"),
    "SNLI, JSON Lines": SNLI,
    "SNLI, tabs": TABS,
    "SNLI, zip": zip_bytes(
        **{f"snli_1.0_{split}.jsonl": snli_of(number) for number, split in enumerate(SPLITS, start=1)}
    ),
    "lists of SNLI-VE": b"1.jpg\n2.jpg\n",
    "expected counts": b'{"dev": {"rows": 1, "labels": {"neutral": 1}}}',
    "a placed file": b"content",
    "record of a download": b"0" * 64 + b"  file\n",
    "texts": b"red circle|blue square",
    "layers": tensor_bytes({"weight": np.ones((3, 2), np.float32), "bias": np.ones(3, np.float32)}),
    "store of answers": KEY + b'{"source":"A dog","text":"Ein Hund"}\n',
    "a user's translations, JSON Lines": b'{"source":"A dog","text":"Ein Hund"}\n',
    "a user's translations, tabs": b"A dog\tEin Hund\n",
    "a user's translations, commas": b'en,de\nA dog,"Ein ""Hund"" da"\n',
    "a user's translations, compressed": gzip.compress(b'en,de\nA dog,"Ein ""Hund"" da"\n', mtime=0),
    "corrections": b"de\tA dog\tEin Hund\n",
    "params.yaml": (SETTINGS / "params.yaml").read_bytes(),
    "tables of the thesis": (ROOT / "reports" / "published" / "table_2_1.csv").read_bytes(),
    "a training curve": b"epoch,train_loss,learning_rate\n1,0.5,0.001\n2,0.25,1e-05\n",
    "losses of the backbones": b"step,loss,learning_rate\n100,2.5,0.001\n",
    "vectors of languages": (ROOT / "data" / "typology" / "places.csv").read_bytes(),
    "sentences to align": b"a b ||| c d\n",
    "pairs of words": b"1-1 2p2\n",
}
SLOW = {"params.yaml", "tables of the thesis", "texts", "vectors of languages"}


@st.composite
def damaged(draw, content):
    """A file after a few accidents: bytes flipped, put in, taken out, doubled, or its end lost."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(found)))
        match draw(st.sampled_from(["flip", "insert", "cut", "double", "end"])):
            case "flip" if place < len(found):
                found[place] ^= 1 << draw(st.integers(0, 7))
            case "insert":
                found[place:place] = draw(st.binary(max_size=8) | text.map(str.encode))
            case "cut":
                del found[place : place + draw(st.integers(1, 16))]
            case "double":
                found[place:place] = found[place : place + draw(st.integers(1, 64))]
            case "end":
                del found[place:]
    return bytes(found)


def try_to_read(reader, folder, content):
    """A result, or a UserError of one line; and the folder holds what it held."""
    name, read = READERS[reader]
    (folder / name).write_bytes(content)
    try:
        read(folder / name)
    except UserError as error:
        assert str(error).isprintable() and str(error)
    assert [path.name for path in folder.iterdir()] == [name]
    (folder / name).unlink()


@pytest.mark.parametrize("reader", GOOD)
def test_a_good_file_is_read(tmp_path, reader):
    """Otherwise the two tests below would say little."""
    name, read = READERS[reader]
    (tmp_path / name).write_bytes(GOOD[reader])
    if reader in ("a placed file", "record of a download"):  # whose checksum is not that of the content
        with pytest.raises(UserError, match="sha256 is"):
            read(tmp_path / name)
    else:
        read(tmp_path / name)


@pytest.mark.parametrize("reader", GOOD)
def test_any_bytes_are_read_or_refused(tmp_path, reader):
    @settings(few if reader in SLOW else drawn)
    @given(st.binary(max_size=200) | text.map(str.encode))
    def holds(content):
        try_to_read(reader, tmp_path, content)

    holds()


@pytest.mark.parametrize("reader", GOOD)
def test_a_damaged_file_is_read_or_refused(tmp_path, reader):
    @settings(few if reader in SLOW else drawn)
    @given(damaged(GOOD[reader]))
    def holds(content):
        try_to_read(reader, tmp_path, content)

    holds()


@pytest.mark.parametrize("reader", ["examples", "alignments", "list of photos", "SNLI, JSON Lines", "store of answers"])
def test_any_json_is_read_or_refused(tmp_path, reader):
    @drawn
    @given(st.lists(anything, max_size=3), st.dictionaries(st.sampled_from(sorted(asdict(EXAMPLE))), anything))
    def holds(rows, near):
        near = asdict(EXAMPLE) | near
        lines = [json.dumps(row, ensure_ascii=bool(rows)) for row in [*rows, near]]
        try_to_read(reader, tmp_path, "\n".join(lines).encode("utf-8", "surrogatepass"))

    holds()


# What is written is read again.


@drawn
@given(st.dictionaries(text, anything))
def test_json_is_read_as_it_was_written(tmp_path, content):
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    write_jsonl(tmp_path / "a.jsonl", [content, {"a": 1}])
    assert list(iter_jsonl(tmp_path / "a.jsonl")) == [content, {"a": 1}]


finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.lists(text, min_size=1, max_size=4)
rows = {
    Example: st.builds(
        Example, text, text, text, text, st.sampled_from(LABELS), st.sampled_from(SPLITS), st.none() | text,
        st.none() | st.booleans(),
    ),
    Translation: st.builds(Translation, text, text, text, text, text, text),
    Alignment: st.builds(
        Alignment, text, words, words, st.lists(st.just([0, 0]), max_size=2)
    ),
    Prediction: st.builds(Prediction, text, st.lists(finite, min_size=3, max_size=3)),
}  # fmt: skip


@pytest.mark.parametrize("kind", rows, ids=lambda kind: kind.__name__)
def test_rows_are_read_as_they_were_written(tmp_path, kind):
    first = next(iter(kind.__dataclass_fields__))

    @drawn
    @given(st.lists(rows[kind], max_size=4, unique_by=lambda row: getattr(row, first)))
    def holds(made):
        write_rows(tmp_path / "rows.jsonl", made)
        assert read_rows(tmp_path / "rows.jsonl", kind) == made

    holds()


@drawn
@given(st.lists(text, max_size=5, unique=True), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_vectors_are_read_as_they_were_written(tmp_path, ids, width, seed):
    if not ids or not width:  # a file of no byte cannot be mapped, and no stage has no vector
        return
    made = np.random.default_rng(seed).normal(size=(len(ids), width)).astype(np.float32)
    write_vectors(tmp_path, ids, made)
    for resident in (0.0, 1.0):
        index, vectors = read_vectors(tmp_path, resident)
        assert list(index) == ids and np.array_equal(vectors, made)


names = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)


@drawn
@given(st.lists(names, max_size=4, unique=True))
def test_lists_of_photos_are_read_as_they_were_written(tmp_path, ids):
    made = [Photo(image_id, None, f"photos/{image_id}.jpg", "0" * 64, 1) for image_id in sorted(ids)]
    write_photos(tmp_path / "photos.jsonl", made)
    assert read_photos(tmp_path / "photos.jsonl") == made


@few
@given(st.lists(names, min_size=1, max_size=3, unique=True), st.integers(1, 9), st.integers(0, 255))
def test_images_are_read_as_they_were_written(tmp_path, ids, size, value):
    made = [(image_id, np.full((size, size, 3), value, np.uint8)) for image_id in ids]
    write_archive(tmp_path / "archive.zip", made)
    archive = open_collection(tmp_path / "archive.zip")
    assert list(archive.files) == ids
    for image_id, pixels in made:
        assert np.array_equal(np.asarray(decode(archive.read(image_id))), pixels)


@few
@given(st.dictionaries(text, text, max_size=5))
def test_answers_are_read_as_they_were_kept(tmp_path, given_answers):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    with Answers(folder, "fake", "1", "de") as answers:
        for source, answer in given_answers.items():
            answers.add(Answer(source, answer))
    with Answers(folder, "fake", "1", "de") as answers:
        assert answers.texts == given_answers


# What holds of any text.


@drawn
@given(text | st.text())
def test_a_message_is_printable_and_bounded(said):
    shown = str(UserError(said))
    assert shown.isprintable() and len(shown) < LONGEST + 60
    assert one_line(shown) == shown or len(said) > LONGEST


@drawn
@given(text)
def test_a_parsed_hypothesis_is_one_line_with_an_id_of_its_own(said):
    row = {"pairID": "1.jpg#0", "gold_label": "neutral", "sentence2": said}
    try:
        pair = parse(row)
    except ValueError:
        assert "\0" in said
        return
    if not isinstance(pair, Pair):
        assert pair == "blank_hypothesis"
        return
    assert pair.hypothesis == tidy(pair.hypothesis) == unicodedata.normalize("NFC", pair.hypothesis).strip()
    assert len(pair.hypothesis.splitlines()) == 1 and "\t" not in pair.hypothesis
    assert parse(row | {"sentence2": pair.hypothesis}) == pair
    assert hypothesis_id(pair.hypothesis) == hypothesis_id(f" {pair.hypothesis}\n")


@drawn
@given(
    st.lists(text | st.sampled_from(["../1.jpg", "/1.jpg", "a/1.jpg", ".1.jpg", "1.JPG", "a\\1.png", "__MACOSX/1.jpg"]))
)
def test_no_name_in_an_archive_leads_out_of_it(tmp_path, found):
    try:
        kept = by_id(tmp_path, found)
    except UserError:
        return
    for image_id, name in kept.items():
        place = os.path.normpath(tmp_path / name)
        assert place.startswith(f"{tmp_path}/") and "/" not in image_id and image_id not in ("", ".", "..")


@pytest.mark.parametrize("segmenter", ["bert", "whitespace", "jieba", "fugashi"])
def test_words_stand_in_their_text_in_order(segmenter):
    @drawn
    @given(text | st.text("ab ,.-'\t\u3000左上円です한국어\u200b", max_size=30))
    def holds(said):
        found = segmentation.words(said, "xx", {"default": segmenter})
        cursor = 0
        for word in found:
            assert word and not any(sign.isspace() for sign in word)
            cursor = said.index(word, cursor) + len(word)

    holds()


@pytest.mark.parametrize("tokenizer", [bert_text, clip_text], ids=["bert", "clip"])
def test_any_text_is_encoded_with_its_end_or_refused(tokenizer):
    made = tokenizer()
    end = end_id(made)

    @drawn
    @given(st.text(max_size=60))
    def holds(said):
        try:
            (row,) = encode(made, [said]).tolist()
        except UserError:
            return
        assert row[-1] == end and 2 <= len(row) <= made.model_max_length and max(row) < len(made)

    holds()


@drawn
@given(text, st.none() | text, st.sampled_from(["de", "ja", "ko", "zh", "ru", "ar", "en", "xx"]))
def test_an_answer_is_a_translation_or_has_a_fault(source, answer, language):
    reason = fault(source, answer, language)
    assert reason is None or reason.isprintable()
    if reason is None:
        assert answer is not None and any(sign.isalpha() for sign in answer)
