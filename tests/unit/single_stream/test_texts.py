"""Sentences of one language and of two: plain files, Moses' format, tables."""

import gzip
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clseave.foundation.errors import UserError
from clseave.single_stream.readers.captions import clean
from clseave.single_stream.readers.texts import Parallel, find_moses, read_aligned, read_pairs, read_sentences

PAIR = ("de", "en")


def write(path, content):
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["de.txt", "de.txt.gz"])
def test_sentences(tmp_path, name, caplog):
    caplog.set_level(logging.INFO)
    path = write(tmp_path / name, "\ufeffEin Hund\tläuft .\r\n\n  Zwei\u2028Katzen \nO\u0308l")
    assert list(read_sentences(path)) == ["Ein Hund läuft .", "Zwei Katzen", "Öl"]
    assert "3 rows; left out: 1 blank" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"gut\nf\xfcr\n", r"a.txt:2: found b'\\xfc', expected UTF-8: save the file as UTF-8"),
        ("a.txt", b"a\n\0\n", "a.txt:2: found a NUL character"),
        ("a.txt", b"\n \n", "a.txt: found no sentence"),
        ("a.csv", b"a\n", "found .csv, expected .txt or .txt.gz"),
    ],
)
def test_malformed_sentences(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message):
        list(read_sentences(write(tmp_path / name, content)))


def test_a_missing_file_and_half_a_gzip(tmp_path):
    with pytest.raises(UserError, match=r"de.txt does not exist: place the file"):
        list(read_sentences(tmp_path / "de.txt"))
    path = write(tmp_path / "a.txt.gz", os.urandom(40).hex() * 40)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match="no whole gzip file"):
        list(read_sentences(path))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("order", ["de-en", "en-de"])
def test_a_corpus_in_the_format_of_moses(tmp_path, suffix, order, caplog):
    caplog.set_level(logging.INFO)
    write(tmp_path / f"MultiUN.{order}.de{suffix}", "Der Rat\n\nDie Kommission\nEnde\n")
    write(tmp_path / f"MultiUN.{order}.en{suffix}", "The council\n\nThe commission\n\n")
    first, second = find_moses(tmp_path, "MultiUN", PAIR)
    assert list(read_aligned(first, second, PAIR)) == [
        Parallel("Der Rat", "The council", PAIR),
        Parallel("Die Kommission", "The commission", PAIR),
    ]
    assert "2 rows; left out: 1 blank, 1 with one side blank" in caplog.text
    with pytest.raises(UserError, match=r"found no two files JESC.en-ja.en and JESC.en-ja.ja \(or ja-en, also .gz\)"):
        find_moses(tmp_path, "JESC", ("en", "ja"))


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("a\nb\nc\nd\n", "a\nb\n", r"x.en:2: found the last line, expected 4 lines as in .*x.de: fetch both"),
        ("a\n", "a\nb", r"x.de:1: found the last line, expected 2 lines as in .*x.en"),
        ("", "a\n", "x.de:0: found the last line, expected 1 lines"),
        ("\n", "a\n", "found no pair of sentences"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path, one, other, message):
    paths = write(tmp_path / "x.de", one), write(tmp_path / "x.en", other)
    with pytest.raises(UserError, match=message):
        list(read_aligned(*paths, PAIR))


@pytest.mark.parametrize(
    "text", ["Ein Hund\tA dog\nKatze\t \n", "id\ten\tde\n1\tA dog\tEin Hund\n2\t\tKatze\n", "DE\tEN\nEin Hund\tA dog\n"]
)
def test_a_table_with_and_without_names_of_languages(tmp_path, text):
    assert list(read_pairs(write(tmp_path / "a.tsv.gz", text), PAIR)) == [Parallel("Ein Hund", "A dog", PAIR)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("en\tja\nA dog\tx\n", "a.tsv:1: found columns en, ja, expected de and en: name the columns"),
        ("a b\tc d\te f\n", "a.tsv:1: found columns a b, c d, e f, expected de and en"),
        ("Ein Hund\tA dog\nKatze\n", "a.tsv:2: found 1 cells, expected 2"),
        ("Ein Hund\tA dog\nKatze\tA\tcat\n", "a.tsv:2: found 3 cells, expected 2"),
        ("de\ten\n", "a.tsv: found no pair of sentences"),
        ("", "found columns none"),
    ],
)
def test_malformed_tables(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        list(read_pairs(write(tmp_path / "a.tsv", text), PAIR))


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_what_is_written_line_by_line_is_read_back(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("moses")
    pairs = [
        tuple(clean(text.replace("\0", "").replace("\ufeff", "")) for text in pair) for pair in [*pairs, ("a", "b")]
    ]
    for code, texts in zip(PAIR, zip(*pairs, strict=True), strict=True):
        write(folder / f"x.{code}", "".join(f"{text}\n" for text in texts))
    found = read_aligned(folder / "x.de", folder / "x.en", PAIR)
    assert [row[:2] for row in found] == [pair for pair in pairs if all(pair)]


@pytest.mark.needs_data
def test_real_pairs_of_several_languages():
    folder = Path(os.environ["CLSEAVE_TEST_DATA"]) / "parallel"
    first = next(read_pairs(folder / "en-de.multi30k_val_human.tsv", PAIR))
    assert first[:2] == (
        "Eine Gruppe von Männern lädt Baumwolle auf einen Lastwagen",
        "A group of men are loading cotton onto a truck",
    )
    for name, language in {"jsick_human": "ja", "flickr8kcn_human": "zh"}.items():
        assert len(list(read_pairs(folder / f"en-{language}.{name}.tsv", ("en", language)))) == 700
