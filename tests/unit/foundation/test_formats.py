"""Files: whole or not at all, the same bytes for the same content."""

import os

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import (
    atomic,
    iter_jsonl,
    read_json,
    write_csv,
    write_json,
    write_jsonl,
    write_text,
)


class Fault(Exception):
    pass


def rows_that_fail():
    yield {"a": 1}
    raise Fault


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_jsonl(path, rows_that_fail()),
        lambda path: write_json(path, {"a": object()}),
        lambda path: write_csv(path, [{"a": 1}, {"b": 2}]),
        lambda path: write_csv(path, []),
        lambda path: write_text(path, "\ud800"),  # not UTF-8
    ],
    ids=["jsonl", "json", "csv keys", "csv empty", "text"],
)
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, write):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises((Fault, TypeError, ValueError)):
        write(path)
    assert os.listdir(tmp_path) == ["file"] and path.read_text() == "old"


def test_a_block_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(Fault), atomic(tmp_path / "new" / "file") as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path / "new"  # the same file system, so that the rename is atomic
        raise Fault
    assert os.listdir(tmp_path) == []


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["file"]


def test_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_json_is_sorted_readable_and_ends_with_a_line(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, "ü"], "a": {"d": 1.5, "c": None}})
    assert (tmp_path / "a.json").read_bytes().decode() == (
        '{\n  "a": {\n    "c": null,\n    "d": 1.5\n  },\n  "b": [\n    1,\n    "ü"\n  ]\n}\n'
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_json(path, {"b": 0.1, "a": {"z": 1, "y": 2}}),
        lambda path: write_jsonl(path, [{"b": 0.1, "a": "円"}] * 3),
        lambda path: write_csv(path, [{"b": 0.1, "a": 2}] * 3),
    ],
    ids=["json", "jsonl", "csv"],
)
def test_the_same_content_has_the_same_bytes(tmp_path, write):
    for name in ("one", "two"):
        write(tmp_path / name)
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes() and b"\r" not in content


def test_the_order_of_keys_in_memory_does_not_matter_for_json(tmp_path):
    write_json(tmp_path / "one", {"a": 1, "b": 2})
    write_json(tmp_path / "two", {"b": 2, "a": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_lines_keep_the_order_of_their_keys(tmp_path):
    write_jsonl(tmp_path / "rows", [{"b": 1, "a": "ü"}])
    assert (tmp_path / "rows").read_bytes().decode() == '{"b":1,"a":"ü"}\n'
    assert list(iter_jsonl(tmp_path / "rows")) == [{"b": 1, "a": "ü"}]


def test_csv_by_hand(tmp_path):
    write_csv(tmp_path / "a.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": "a,b"}])
    assert (tmp_path / "a.csv").read_bytes() == b'epoch,loss\n1,0.5\n2,"a,b"\n'


@pytest.mark.parametrize("read", [read_json, lambda path: list(iter_jsonl(path))])
def test_a_missing_file_is_named_with_what_to_do(tmp_path, read):
    with pytest.raises(UserError, match=r"gone does not exist: .*dvc repro"):
        read(tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "file is not JSON"), ("", "file is not JSON"), ("{'a': 1}", "file is not JSON")]
)
def test_broken_json_is_named(tmp_path, text, message):
    (tmp_path / "file").write_text(text)
    with pytest.raises(UserError, match=message):
        read_json(tmp_path / "file")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b'{"a": 1}\n{"a"\n', "file:2: not a JSON object"),
        (b"[1]\n", "file:1: expected a JSON object, found list"),
        (b'{"a": 1}\n\n', "file:2: not a JSON object"),
        (b"\xff\n", "file:1: not a JSON object"),
    ],
)
def test_a_broken_line_is_named(tmp_path, lines, message):
    (tmp_path / "file").write_bytes(lines)
    with pytest.raises(UserError, match=message):
        list(iter_jsonl(tmp_path / "file"))
