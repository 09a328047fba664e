"""The command `score_alignment`: counted by hand, against published alignments, with a model, and its messages."""

import csv
import gzip
import json
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM

from clseave.backbones.vocabulary import bert_tokenizer
from clseave.commands import score_alignment
from clseave.foundation.errors import UserError

TEXT = "das ist ein Hund ||| this is a dog\nja ||| yes , yes\n"
GOLD = "1-1 2-2 4-4 3p3\n1-1 1p3\n"
FOUND = "0-0 2-2 3-1\n0-0 0-2\n"
# A 5, S 4, P 6; A and S: 0-0 and 0-0; A and P: these, 2-2 and 0-2.
SCORES = {"aer": round(1 - (2 + 4) / (5 + 4), 6), "precision": 0.8, "recall": 0.5}
SIZES = {"sentences": 2, "found": 5, "sure": 4, "possible": 2}


@pytest.fixture
def files(tmp_path):
    for name, content in (("text", TEXT), ("gold", GOLD), ("found", FOUND)):
        (tmp_path / name).write_text(content)
    return tmp_path


def options(folder, *more, **files):
    return [*(part for name, file in files.items() for part in (f"--{name}", str(folder / file))), *more]


def test_scores_by_hand(files, capsys):
    score_alignment.main(options(files, "--format", "json", found="found", gold="gold"))
    assert json.loads(capsys.readouterr().out) == SCORES | SIZES
    score_alignment.main(options(files, found="found", gold="gold", text="text"))
    assert capsys.readouterr().out.split("\n") == [
        "aer           33.33 %",
        "precision     80.00 %",
        "recall        50.00 %",
        "sentences           2",
        "found               5",
        "sure                4",
        "possible            2",
        "",
    ]


def test_gold_counts_from_one_and_what_is_found_from_zero(files, capsys):
    (files / "same").write_text("0-0 1-1 3-3\n0-0\n")
    score_alignment.main(options(files, "--format", "json", found="same", gold="gold"))
    assert json.loads(capsys.readouterr().out) == {**SIZES, "found": 4, "aer": 0.0, "precision": 1.0, "recall": 1.0}


def counted(found, gold):
    """AER again, line by line, in another way: membership instead of sets of pairs."""
    made = sure = hits = likely = 0
    for ours, theirs in zip(found.read_text().splitlines(), gold.read_text().splitlines(), strict=True):
        truth = theirs.split()
        sure += sum("-" in pair for pair in truth)
        for pair in ours.split():
            left, right = (int(number) + 1 for number in pair.split("-"))
            made += 1
            hits += f"{left}-{right}" in truth
            likely += f"{left}-{right}" in truth or f"{left}p{right}" in truth
    return 1 - (hits + likely) / (made + sure)


@pytest.mark.needs_data
@pytest.mark.parametrize(("pair", "lines", "published"), [("jaen", 291, 0.374), ("zhen", 225, 0.134)])
def test_published_alignments_have_their_published_error(test_data, capsys, pair, lines, published):
    """awesome-align's README gives 37.4 and 13.4 % for the whole files, of which these are the first halves."""
    folder = test_data / "word_alignment_gold"
    names = {"found": f"{pair}.awesome-align.out", "gold": f"{pair}.gold", "text": f"{pair}.src-tgt"}
    score_alignment.main(options(folder, "--format", "json", **names))
    scores = json.loads(capsys.readouterr().out)
    assert scores["aer"] == pytest.approx(counted(folder / names["found"], folder / names["gold"]), abs=1e-6)
    assert scores["sentences"] == lines and scores["aer"] == pytest.approx(published, abs=0.02)


@pytest.fixture(scope="module")
def mbert(tmp_path_factory):
    """A model whose token states are its embeddings, near enough: equal words align."""
    folder = tmp_path_factory.mktemp("mbert")
    tokenizer = bert_tokenizer([TEXT], 120, 16)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=16, initializer_range=0.3, **shape)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_aligns_and_is_scored(files, mbert, capsys):
    (files / "twins").write_text("ein Hund ja ||| ein Hund ja\nja ||| ja\n")
    (files / "truth").write_text("1-1 2-2 3-3\n1-1\n")
    more = ["--mbert", str(mbert), "--layer", "1", "--threshold", "0.3", "--device", "cpu", "--format", "json"]
    score_alignment.main(options(files, *more, text="twins", gold="truth"))
    assert json.loads(capsys.readouterr().out)["recall"] == 1.0


def test_pickled_weights_are_read_on_request(files, mbert, tmp_path, capsys):
    other = tmp_path / "pickled"
    other.mkdir()
    for path in mbert.iterdir():
        if path.suffix == ".json":
            (other / path.name).write_bytes(path.read_bytes())
    torch.save(load_file(mbert / "model.safetensors"), other / "pytorch_model.bin")
    printed = []
    for folder, weights in ((mbert, "safetensors"), (other, "convert")):
        more = ["--mbert", str(folder), "--weights", weights, "--layer", "1", "--device", "cpu"]
        score_alignment.main(options(files, *more, text="text", gold="gold"))
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    with pytest.raises(UserError, match="safetensors: say `weights: convert`"):
        score_alignment.main(options(files, "--mbert", str(other), text="text", gold="gold"))


def test_a_sentence_that_the_model_cannot_hold_is_said(files, mbert, capsys):
    (files / "long").write_text(f"{'ja ' * 30}||| yes\n")
    (files / "truth").write_text("1-1\n")
    more = ["--mbert", str(mbert), "--layer", "1", "--device", "cpu"]
    score_alignment.main(options(files, *more, text="long", gold="truth"))
    assert "1 sentences exceed the model's limit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gold", "1-1\n2-x\n", r"gold:2: found '2-x', expected pairs `i-j` or `ipj`"),
        ("gold", "1-1\n0-1\n", r"gold:2: found '0-1', expected indexes from 1 on"),
        ("gold", "5-1\n1-1\n", r"gold:1: found '5-1', but the sentences have 4 and 4 words"),
        ("gold", "1-1\n1p4\n", r"gold:2: found '1p4', but the sentences have 1 and 3 words"),
        ("gold", "1-1\n", r"gold: 1 lines for 2 sentences: expected as many"),
        ("gold", "1p1\n\n", r"gold: no sure pair \(`i-j`\) in it: an alignment error rate needs some"),
        ("gold", "", r"gold: no line in it, expected one per sentence"),
        ("found", "0-0\n1p1\n", r"found:2: found '1p1', expected pairs `i-j`$"),
        ("found", "0-0\n0-3\n", r"found:2: found '0-3', but the sentences have 1 and 3 words"),
        ("text", "a b ||| c\na b c\n", r"text:2: expected `source words \|\|\| target words`, found 'a b c'"),
        ("text", "a ||| \nb ||| c\n", r"text:1: expected `source words"),
        ("text", "a ||| b ||| c\nb ||| c\n", r"text:1: expected `source words"),
    ],
)
def test_a_line_that_does_not_fit_is_named(files, name, content, message):
    (files / name).write_text(content)
    with pytest.raises(UserError, match=message):
        score_alignment.main(options(files, "--strict", found="found", gold="gold", text="text"))


@pytest.mark.parametrize(
    ("gold", "said"),
    [  # a source word, a target word, a possible pair, several
        ("1-1 2-2 4-4 3p3 5-1\n1-1 1p3\n", r"gold:1: found '5-1', but the sentences have 4 and 4 words; 1 of 7 pairs"),
        ("1-1 2-2 4-4 3p3\n1-4 1-1 1p3\n", r"gold:2: found '1-4', but the sentences have 1 and 3 words; 1 of 7 pairs"),
        ("1-1 2-2 4-4 3p3\n1-1 2p1 1p3\n", r"gold:2: found '2p1', but the sentences have 1 and 3 words; 1 of 7 pairs"),
        ("9-9 1-1 2-2 4-4 3p3\n1-1 1p3 9-1 1p9\n", r"gold:1: found '9-9', but .*; 3 of 9 pairs lie beyond their"),
    ],
)
def test_gold_pairs_beyond_the_sentences_are_left_out_and_counted(files, capsys, caplog, gold, said):
    (files / "gold").write_text(gold)
    more = {"found": "found", "gold": "gold", "text": "text"}
    score_alignment.main(options(files, "--format", "json", **more))
    assert json.loads(capsys.readouterr().out) == SCORES | SIZES
    (record,) = caplog.records
    assert re.search(said, record.getMessage()) and record.levelname == "WARNING"
    with pytest.raises(UserError, match=said.partition("; ")[0]):
        score_alignment.main(options(files, "--strict", **more))


def test_a_found_pair_beyond_the_sentences_stops_without_strict_too(files):
    (files / "found").write_text("0-0\n0-3\n")
    with pytest.raises(UserError, match="found:2: found '0-3', but the sentences have 1 and 3 words"):
        score_alignment.main(options(files, found="found", gold="gold", text="text"))


def test_a_gold_of_other_sentences_alone_is_refused(files):
    (files / "gold").write_text("9-9\n9-9\n")
    with pytest.raises(UserError, match="no sure pair"):
        score_alignment.main(options(files, found="found", gold="gold", text="text"))


SIDES = [[side.strip() for side in line.split("|||")] for line in TEXT.splitlines()]


@pytest.mark.parametrize(
    ("name", "head", "order"),
    [
        ("text.tsv", ["de", "en"], (0, 1)),
        ("text.tsv", ["target", "source"], (1, 0)),
        ("text.tsv", None, (0, 1)),
        ("text.csv", None, (0, 1)),
        ("text.csv", ["id", "de", "en"], (None, 0, 1)),
    ],
)
def test_the_text_may_be_a_table(files, capsys, name, head, order):
    rows = [["7" if side is None else sides[side] for side in order] for sides in SIDES]
    with open(files / name, "w", newline="") as stream:
        csv.writer(stream, "excel-tab" if name.endswith(".tsv") else "excel").writerows([head] * bool(head) + rows)
    assert score_alignment.read_text(files / name) == score_alignment.read_text(files / "text")
    score_alignment.main(options(files, "--format", "json", found="found", gold="gold", text=name))
    assert json.loads(capsys.readouterr().out) == SCORES | SIZES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("das\tthis\nein\n", r"text.tsv:2: expected a source and a target sentence, found \['ein'\] \(tab-separated"),
        ("1\tdas\tthis\n", r"text.tsv:1: expected a source and a target sentence, found \['1', 'das', 'this'\]"),
        ("de\ten\n", r"text.tsv: no sentence in it, expected one per row"),
    ],
)
def test_a_table_without_two_sides_is_named(files, content, message):
    (files / "text.tsv").write_text(content)
    with pytest.raises(UserError, match=message):
        score_alignment.read_text(files / "text.tsv")


def test_blank_lines_at_the_end_are_no_sentences(files, capsys):
    for name in ("text", "gold", "found"):
        (files / name).write_text((files / name).read_text() + "\n \n")
    score_alignment.main(options(files, "--format", "json", found="found", gold="gold", text="text"))
    assert json.loads(capsys.readouterr().out) == SCORES | SIZES


def test_compressed_files_are_read(files, capsys):
    for name in ("text", "gold", "found"):
        (files / f"{name}.gz").write_bytes(gzip.compress((files / name).read_bytes()))
    score_alignment.main(options(files, "--format", "json", found="found.gz", gold="gold.gz", text="text.gz"))
    assert json.loads(capsys.readouterr().out) == SCORES | SIZES


def test_files_of_unequal_length_are_named_without_a_text_too(files):
    (files / "found").write_text("0-0\n")
    with pytest.raises(UserError, match=r"found has 1 lines, .*gold 2: expected as many"):
        score_alignment.main(options(files, found="found", gold="gold"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--mbert", "nowhere"], "--mbert: nowhere is no folder; a model of the hub is named ID@REVISION"),
        (["--mbert", "owner/name@main"], "--mbert: found revision 'main', expected the 40 hex digits of a commit"),
        (["--mbert", "x", "--layer", "0"], "--layer and --batch-size are at least 1"),
        (["--mbert", "x", "--threshold", "1"], "--threshold lies between 0 and 1"),
    ],
)
def test_options_that_make_no_sense_are_named(files, more, message):
    with pytest.raises(UserError, match=re.escape(message)):
        score_alignment.main(options(files, *more, text="text", gold="gold"))


def test_a_model_needs_a_text(files, mbert):
    with pytest.raises(UserError, match="--mbert needs --text"):
        score_alignment.main(options(files, "--mbert", str(mbert), gold="gold"))


def test_a_layer_that_the_model_does_not_have_is_named(files, mbert):
    with pytest.raises(UserError, match=r"layer is 8, but .* has 1 layers"):
        score_alignment.main(options(files, "--mbert", str(mbert), text="text", gold="gold"))


def test_a_missing_file_is_named(files):
    with pytest.raises(UserError, match=f"^{files}/nothing does not exist: name a file that is there$"):
        score_alignment.main(options(files, found="nothing", gold="gold"))


@pytest.mark.slow
def test_it_is_a_command_of_run_py(files, repo_root):
    def run(*arguments):
        command = [sys.executable, "src/run.py", *arguments]
        return subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)

    assert re.search(r"commands:\n(.*\n)*  score_alignment ", run("--help").stdout)
    (files / "gold").write_text(GOLD.replace("1p3", "1p3 2-1"))
    done = run("score_alignment", *options(files, "--format", "json", found="found", gold="gold", text="text"))
    assert (done.returncode, json.loads(done.stdout)) == (0, SCORES | SIZES)
    said = "gold:2: found '2-1', but the sentences have 1 and 3 words; 1 of 7 pairs lie beyond their sentences and are"
    assert done.stderr == f"{files}/{said} left out\n"
    done = run("score_alignment", *options(files, "--strict", found="found", gold="gold", text="text"))
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith(f"error: {files}/gold:2: found '2-1'")
