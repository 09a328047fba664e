"""Tables as other programs write them: each is written by a real writer, or byte by byte as the program does."""

import csv
import gzip
import tracemalloc

import pandas as pd
import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.files.delimited import read
from clseave.foundation.files.formats import LONGEST_LINE

# What a careless reader changes: quotation marks inside, around and at one end, delimiters, line breaks, inch marks.
ROWS = [
    ["en", "de"],
    ["A good dog.", 'Ein "guter" Hund läuft.'],
    ["Hello.", '"Hallo", sagt er.'],
    ["Stop!", '"Halt!"'],
    ["A pipe, a tap", 'Ein 6" Rohr; ein Hahn'],
    ["Two", "Zwei\nZeilen\tund mehr"],
    ["Plain", "Schlicht"],
]


def cells(path, known=()):
    return [row.cells for row in read(path, known)[1]]


def described(path, known=()):
    return str(read(path, known)[0])


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize(
    ("name", "delimiter", "said"),
    [
        ("a.tsv", "\t", "tab-separated, quoted"),
        ("a.csv", ",", "comma-separated, quoted"),
        ("a.csv", ";", "semicolon-separated, quoted"),
        ("a.csv", "\t", "tab-separated, quoted"),
    ],
)
def test_what_pandas_writes_is_read_as_it_was(tmp_path, name, delimiter, said, quoting):
    pd.DataFrame(ROWS[1:], columns=ROWS[0]).to_csv(tmp_path / name, sep=delimiter, quoting=quoting, index=False)
    assert cells(tmp_path / name) == ROWS and described(tmp_path / name) == said


@pytest.mark.parametrize("dialect", ["excel", "excel-tab", "unix"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_what_csv_writes_is_read_as_it_was(tmp_path, dialect, encoding):
    path = tmp_path / ("a.tsv" if dialect == "excel-tab" else "a.csv")
    with open(path, "w", newline="", encoding=encoding) as stream:
        if encoding == "utf-16-be":
            stream.write("\ufeff")
        csv.writer(stream, dialect).writerows(ROWS)
    assert cells(path) == ROWS


@pytest.mark.parametrize("row", ROWS[1:5])
def test_one_row_of_a_quoted_file_is_enough_where_it_can_be_told(tmp_path, row):
    """Where a sentence itself is in quotation marks, the writer doubles them."""
    with open(tmp_path / "a.tsv", "w", newline="") as stream:
        csv.writer(stream, "excel-tab").writerows([row])
    assert cells(tmp_path / "a.tsv") == [row]


@pytest.mark.parametrize(
    "lines",
    [
        ['Hello.\t"Hallo", sagt er.'],
        ['A pipe\tEin 6" Rohr', 'Stop!\t"Halt!"'],
        ['Stop!\t"Halt!"', "Go!\tGeh!"],
        ['Stop!\t"Halt!"', 'Quick!\t"Schnell!"', "Go!\tGeh!"],
        ['Stop, you!\t"Halt, du!"', 'Go, you!\t"Geh, du!"', "Well, well.\tNun, nun."],
        ['Hello.\t"Hallo.', 'He left.\tEr ging."'],  # a quotation over two lines
        ['"Hello.\t"Hallo.', 'How are you?"\tWie geht es?"'],
        ['6" pipe\t6"-Rohr', '"A" and "B"\t"A" und "B"'],
        ['One\t"', 'Two\t""', "Three\tDrei"],
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotation_marks_of_an_unquoted_file_are_text(tmp_path, lines, end):
    (tmp_path / "a.tsv").write_text(end.join(lines), newline="")
    assert cells(tmp_path / "a.tsv") == [line.split("\t") for line in lines]
    assert described(tmp_path / "a.tsv") == "tab-separated, not quoted"


@pytest.mark.parametrize(
    ("known", "wanted"),
    [({'"Stop!"'}, ['"Stop!"', '"Halt!"']), ({"Stop!"}, ["Stop!", "Halt!"]), ({"Stop!", '"Stop!"'}, None)],
)
def test_a_known_sentence_decides_what_the_file_leaves_open(tmp_path, known, wanted):
    (tmp_path / "a.tsv").write_text('"Stop!"\t"Halt!"\nTwo\tZwei\n')
    assert cells(tmp_path / "a.tsv", known)[0] == (wanted or ['"Stop!"', '"Halt!"'])


def test_excel_quotes_cells_with_a_comma_between_tabs_too(tmp_path):
    (tmp_path / "a.tsv").write_text('One\t"Eins, eins"\r\nTwo\t"Zwei, zwei"\r\nThree\tDrei\r\n', newline="")
    assert cells(tmp_path / "a.tsv") == [["One", "Eins, eins"], ["Two", "Zwei, zwei"], ["Three", "Drei"]]


def test_in_a_quoted_file_a_row_added_by_hand_keeps_its_marks(tmp_path):
    (tmp_path / "a.tsv").write_text('One\t"Ein ""guter"" Hund"\nTwo\tEr sagt "nein".\n')
    assert cells(tmp_path / "a.tsv") == [["One", 'Ein "guter" Hund'], ["Two", 'Er sagt "nein".']]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("sep=;\r\nA man, a dog;Ein Mann\r\n", [["A man, a dog", "Ein Mann"]]),
        ("A man, a dog;Ein Mann, ein Hund\r\nTwo;Zwei\r\n", [["A man, a dog", "Ein Mann, ein Hund"], ["Two", "Zwei"]]),
        ("One,Eins; eins\nTwo,Zwei\n", [["One", "Eins; eins"], ["Two", "Zwei"]]),
        ('One, "Eins, eins"\nTwo, Zwei\n', [["One", "Eins, eins"], ["Two", "Zwei"]]),
        ('Stop!,"Halt!"\n', [["Stop!", "Halt!"]]),
        ('A pipe,Ein 6" Rohr\n', [["A pipe", 'Ein 6" Rohr']]),
    ],
)
def test_csv_in_its_forms(tmp_path, content, wanted):
    (tmp_path / "a.csv").write_text(content, newline="")
    assert cells(tmp_path / "a.csv") == wanted


def test_rows_are_named_by_the_line_on_which_they_begin(tmp_path):
    (tmp_path / "a.csv").write_text('sep=,\nen,de\n\n"One","Eins\nund\n\nmehr"\n,,\n  \nTwo,Zwei\n\n\n')
    assert [row.number for row in read(tmp_path / "a.csv")[1]] == [2, 4, 10]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'One\t"Ein ""guter"" Hund"\nTwo\t"Er sagt "nein"."\n',
            r"a.tsv:2: quotation marks do not match .*: double each",
        ),
        (b'One\t"Ein ""guter"" Hund"\nTwo\t"Er sagt\nThree\tDrei\n', r"a.tsv:2: quotation marks do not match"),
        (b'One\t"Ein \\"guter\\" Hund"\n', r"a.tsv:1: quotation marks do not match .*: double each one"),
        (b"One\tEins\nTwo\tZ\0wei\n", r"a.tsv:2: a NUL character, which no text has: save the file as UTF-8"),
        ("One\tEins\n".encode("utf-16-le"), r"a.tsv:1: a NUL character"),
        ("One\tEins\n".encode("utf-16")[:-1], r"a.tsv:1: not UTF-16: .*: save the file as UTF-8"),
        (b"\xff\xfe" + "One\tE".encode("utf-16-le") + b"\x00\xd8\t\0", r"not UTF-16: .*illegal"),
        (gzip.compress(b"One\tEins\n"), r"a.tsv:1: not UTF-8: .*\(it looks like gzip: let its name end with .gz\)"),
        ("One\tGrün\n".encode("cp1252"), r"a.tsv:1: not UTF-8: .*: save the file as UTF-8"),
        (b"\xff\xfe" + b"x\0" * (LONGEST_LINE + 1), r"a.tsv:1: a line of more than 1,048,576 characters"),
    ],
    ids=[
        "marks",
        "open",
        "backslashes",
        "NUL",
        "UTF-16 without mark",
        "UTF-16 cut",
        "surrogate",
        "gzip",
        "Latin",
        "long",
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        cells(tmp_path / "a.tsv")


def test_compressed_tables_are_read_within_the_limits(tmp_path):
    path = tmp_path / "a.tsv.gz"
    content = gzip.compress(b'One\t"Ein ""guter"" Hund"\n' * 1000)
    path.write_bytes(content)
    assert cells(path) == [["One", 'Ein "guter" Hund']] * 1000
    for damaged in (
        content[: len(content) // 2],
        content[:-8] + b"12345678",
        b"One\tEins\n",
        content[:30] + b"\xff" * 9,
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a.tsv.gz is no whole gzip file \(.*\): copy or fetch it again"):
            cells(path)
    path.write_bytes(gzip.compress(b"\0" * 100_000_000, 1))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="a line of more than"):
            cells(path)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_a_quotation_mark_without_an_end_takes_no_memory(tmp_path):
    (tmp_path / "a.tsv").write_text('One\t"Eins\n' + f"Two\t{'Zwei ' * 2000}\n" * 2_000)
    tracemalloc.start()
    try:
        assert described(tmp_path / "a.tsv") == "tab-separated, not quoted"
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
