"""What looks wrong and is taken, each with its documented treatment; texts that no model takes whole; messages."""

import json
import logging
import os

import pytest
from bad_files import tar_of
from tiny_models import bert_text, clip_text

from clseave.corpora.photos import DEEPEST, open_collection
from clseave.corpora.snli_ve import _read_list, parse, read_file
from clseave.foundation.errors import LONGEST, UserError, one_line
from clseave.foundation.files.formats import LONGEST_LINE, iter_jsonl, read_json
from clseave.foundation.rows.records import hypothesis_id
from clseave.foundation.settings.params import read_yaml
from clseave.models.tokens import encode, end_id, load_tokenizer, set_policy
from clseave.translation.answers import Answer, Answers
from clseave.translation.translators import read_given, translate_hypotheses
from clseave.word_alignment.token_pairs import first_positions

BOM = b"\xef\xbb\xbf"
TABS = "gold_label\tsentence2\tpairID\r\nneutral\tA dog\t1.jpg#0\r\n"


@pytest.mark.parametrize(
    ("name", "content", "read", "wanted"),
    [
        ("a.json", BOM + b'{"a": 1}\r\n', read_json, {"a": 1}),
        ("a.jsonl", BOM + b'{"a": 1}\r\n{"a": 2}', lambda path: list(iter_jsonl(path)), [{"a": 1}, {"a": 2}]),
        ("a.jsonl", json.dumps({"a": "x" * (LONGEST_LINE - 10)}).encode(), lambda path: len(list(iter_jsonl(path))), 1),
        ("a.yaml", BOM + b"a: 1\r\nb: &x [1]\r\nc: *x\r\n", read_yaml, {"a": 1, "b": [1], "c": [1]}),
        ("a.lst", BOM + b"1.jpg\r\n2\r\n", _read_list, ["1", "2"]),
        ("a.jsonl", BOM + b'{"a": 1}\r\n', lambda path: list(read_file(path)), [(1, {"a": 1})]),
        (
            "a.txt",
            BOM + TABS.encode(),
            lambda path: list(read_file(path)),
            [(2, {"gold_label": "neutral", "sentence2": "A dog", "pairID": "1.jpg#0"})],
        ),
        (
            "de.tsv",
            BOM + b"A dog\tEin Hund\r\n",
            lambda path: [one.text for one in read_given(path, "de", ["A dog"], shared=False).values()],
            ["Ein Hund"],
        ),
    ],
    ids=["JSON", "JSON Lines", "longest line", "YAML", "list", "SNLI", "SNLI, tabs", "translations"],
)
def test_a_byte_order_mark_crlf_and_a_missing_last_line_end_belong_to_nothing(tmp_path, name, content, read, wanted):
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == wanted


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("A\tdog\r\nruns\u2028fast\x85now", "A dog runs fast now"),
        (" \u00a0A  dog ", "A  dog"),
        ("Cafe\u0301", "Café"),
        ("\u202ereversed\u202c", "\u202ereversed\u202c"),
        ("zero\u200bwidth\u200d", "zero\u200bwidth\u200d"),
        ("\u0645\u0631\u062d\u0628\u0627", "\u0645\u0631\u062d\u0628\u0627"),
        ("word " * 10_000, ("word " * 10_000).strip()),
        ("bell\x07", "bell\x07"),
    ],
)
def test_a_hypothesis_is_one_line_and_otherwise_as_it_was(text, taken):
    pair = parse({"pairID": "1.jpg#0", "sentence2": text, "gold_label": "neutral"})
    assert pair.hypothesis == taken and hypothesis_id(taken) == hypothesis_id(pair.hypothesis)


@pytest.mark.parametrize("text", ["", " \t\n", "\u200b\u2060\ufeff", "\u202e\u202c", "\x07"])
def test_a_hypothesis_in_which_nothing_can_be_seen_is_left_out(text):
    assert parse({"pairID": "1.jpg#0", "sentence2": text, "gold_label": "neutral"}) == "blank_hypothesis"


def test_corrections_of_english_with_tabs_and_line_breaks_are_found(tmp_path):
    """Such a sentence would never meet its correction: the list of failures holds it with spaces."""
    pair = parse({"pairID": "1.jpg#0", "sentence2": "A\tdog\nruns", "gold_label": "neutral"})
    hypotheses = {hypothesis_id(pair.hypothesis): pair.hypothesis}

    class Silent:
        name, version = "silent", "1"

        def translate(self, texts):
            return (Answer(text, None) for text in texts)

    with Answers(tmp_path, "silent", "1", "de") as answers:
        with pytest.raises(UserError, match="1 of 1 hypotheses have no translation"):
            list(translate_hypotheses(hypotheses, Silent(), answers))
        (listed,) = tmp_path.glob("*.failures.tsv")
        columns = listed.read_text(encoding="utf-8").rstrip("\n").split("\t")
        (tmp_path / "fixes.tsv").write_text("\t".join([*columns[:2], "Ein Hund läuft"]) + "\n", encoding="utf-8")
        (row,) = translate_hypotheses(hypotheses, Silent(), answers, tmp_path / "fixes.tsv")
    assert (row.source, row.text, row.backend) == ("A dog runs", "Ein Hund läuft", "correction")


def test_folders_in_folders_are_looked_into_but_not_for_ever(tmp_path):
    place = tmp_path / "photos"
    for depth in range(DEEPEST + 2):
        place.mkdir()
        (place / f"{depth}.jpg").write_bytes(b"")
        place /= "more"
    assert list(open_collection(tmp_path / "photos").files) == [str(depth) for depth in range(DEEPEST + 1)]


@pytest.mark.parametrize("target", [".", "..", "../..", "folder", "loop"])
def test_a_link_that_leads_back_adds_no_photo_twice(tmp_path, target):
    photos = tmp_path / "a" / "photos"
    (photos / "folder").mkdir(parents=True)
    (photos / "1.jpg").write_bytes(b"")
    (photos / "folder" / "2.jpg").write_bytes(b"")
    (photos / "loop").symlink_to(target)
    assert open_collection(photos).files == {"1": "1.jpg", "2": "folder/2.jpg"}


def test_pipes_and_dangling_links_are_no_photos(tmp_path):
    os.mkfifo(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").symlink_to("nothing")
    (tmp_path / "3.jpg").write_bytes(b"")
    assert list(open_collection(tmp_path).files) == ["3"]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6"], ids=["hard link", "link", "device", "disk", "pipe"])
def test_what_is_no_file_in_a_tar_is_passed_over(tmp_path, kind):
    tar_of({"1.jpg": b""}, link="/etc/passwd", kind=kind)(tmp_path / "a.tar")
    assert open_collection(tmp_path / "a.tar").files == {}


@pytest.mark.parametrize("tokenizer", [bert_text, clip_text], ids=["bert", "clip"])
def test_a_long_text_is_cut_where_that_was_chosen_and_the_choice_is_saved(tmp_path, caplog, tokenizer):
    tokenizer().save_pretrained(tmp_path / "stop")
    made = load_tokenizer(tmp_path / "stop")
    made.save_pretrained(tmp_path / "before")
    set_policy(made, "stop")  # which is what a tokenizer does that says nothing: its bytes stay
    made.save_pretrained(tmp_path / "after")
    for path in (tmp_path / "before").iterdir():
        assert path.read_bytes() == (tmp_path / "after" / path.name).read_bytes()
    set_policy(made, "cut")
    made.save_pretrained(tmp_path / "cut")
    loaded = load_tokenizer(tmp_path / "cut")
    longest = loaded.model_max_length
    texts = ["red circle", "red " * 10_000, "red " * (longest - 2)]
    with caplog.at_level(logging.WARNING, "clseave.models.tokens"):
        short, cut, whole = encode(loaded, texts).tolist()
    ours = [record.getMessage() for record in caplog.records if record.name == "clseave.models.tokens"]
    assert ours == [f"1 of 3 texts are longer than {longest} tokens: their ends are left out"]
    assert cut == whole and len(whole) == longest and cut[-1] == end_id(loaded) and cut[:2] == short[:2]
    with pytest.raises(UserError, match=rf"10002 tokens, the model takes {longest}: 'red red"):
        encode(load_tokenizer(tmp_path / "stop"), texts)


def test_words_beyond_the_cut_have_no_position(tmp_path):
    made = bert_text()
    made.save_pretrained(tmp_path)
    made = load_tokenizer(tmp_path)
    set_policy(made, "cut")
    words = ["red"] * 60
    ids, positions = first_positions(made, [" ".join(words)], [words])
    assert ids.lengths.tolist() == [40]
    assert positions[0] == [*range(1, 39), *[None] * 22]  # [CLS] is at 0, [SEP] at 39


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, Grüße, 左上", "plain text, Grüße, 左上"),
        ("two\nlines\tand a tab", r"two\nlines\tand a tab"),
        ("turned \u202earound\u202c, zero\u200bwidth", r"turned \u202earound\u202c, zero\u200bwidth"),
        ("half \ud800, bell \x07, \x1b[2J", r"half \ud800, bell \x07, \x1b[2J"),
    ],
)
def test_a_message_is_one_line_in_which_everything_can_be_seen(text, shown):
    assert str(UserError(text)) == one_line(text) == shown


def test_a_message_is_not_as_long_as_what_it_quotes():
    said = str(UserError("start " + "x" * 1_000_000 + " end"))
    assert said.startswith("start x") and said.endswith("x end") and "characters left out" in said
    assert len(said) < LONGEST + 50
