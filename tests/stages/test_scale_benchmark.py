"""The benchmark of size, on a corpus of a few hundred rows: it runs the real stages and measures them."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clseave.foundation.rows.records import Alignment, Translation, read_rows, read_splits, read_vectors

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import corpus  # noqa: E402
import scale  # noqa: E402

ROWS = 400


def run(folder, *arguments, code=0):
    command = [sys.executable, str(BENCHMARKS / "scale.py"), str(folder), *arguments]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def results(folder, *arguments):
    """The results' file, and what was printed."""
    out = run(folder, "--rows", str(ROWS), "--results", str(folder.parent / "results"), *arguments)
    (path,) = (folder.parent / "results").glob("scale-*.json")
    return json.loads(path.read_text()), out


@pytest.mark.slow
def test_the_first_steps(tmp_path):
    folder = tmp_path / "work"
    found, out = results(folder, "--steps", "prepare", "translate", "--languages", "zh")
    assert [step["name"] for step in found["steps"]] == ["(make the corpus)", "prepare", "translate zh"]
    assert all(step["seconds"] > 0 and 20 < step["peak_mb"] < 4000 for step in found["steps"])
    rows = read_splits(folder / "whole/examples")
    assert len(rows) == sum(found["corpus"]["rows"].values()) == sum(corpus.Size.of(ROWS).rows.values())
    assert len({row.hypothesis_id for row in rows}) / len(rows) == pytest.approx(corpus.DISTINCT, abs=0.06)
    (english, chinese) = (read_rows(folder / f"whole/hypotheses/{code}.jsonl", Translation) for code in ("en", "zh"))
    assert [row.hypothesis_id for row in english] == [row.hypothesis_id for row in chinese]
    assert all(set(map(ord, row.text[:-1])) <= set(range(0x4E00, 0xA000)) for row in chinese)
    text = json.dumps(found)
    assert str(tmp_path) not in text
    assert socket.gethostname() not in text
    assert "peak MiB" in out
    assert "is not empty" in run(folder, code=1)
    alone = run(tmp_path / "other", "--growth-only", "--results", str(tmp_path / "nowhere"), code=1)
    assert "measure the whole corpus first" in alone


@pytest.mark.slow
@pytest.mark.full
def test_all_steps(tmp_path):
    folder = tmp_path / "work"
    found, _ = results(
        folder, "--growth", "200", "--growth-steps", "prepare", "translate", "--languages", "de", "nl", "ja", "ko", "zh"
    )
    names = [step["name"].partition(" ")[0] for step in found["steps"]]
    assert list(dict.fromkeys(names[1:])) == scale.STEPS
    assert [step["name"] for step in found["growth"]] == ["prepare 200 rows", "translate de 200 rows"]
    more = ["--growth-only", "--growth", "150", "--growth-steps", "prepare", "--results", str(tmp_path / "results")]
    run(tmp_path / "other", *more)
    (path,) = (tmp_path / "results").glob("scale-*.json")
    again = json.loads(path.read_text())
    assert [step["name"] for step in again.pop("growth")] == ["prepare 150 rows"]
    assert again == {name: part for name, part in found.items() if name != "growth"}
    links = read_rows(folder / "whole/alignments/ja.jsonl", Alignment)
    assert len(links) == len(read_rows(folder / "whole/hypotheses/ja.jsonl", Translation))
    assert all(link.pairs for link in links)
    _, vectors = read_vectors(folder / "whole/out/embed_english-resident")
    assert vectors.shape == (len(links), 512)
    resident, mapped = ((folder / f"whole/out/clseave-{how}.csv").read_text() for how in ("resident", "mapped"))
    assert resident == mapped, "where vectors are read from changes no number"


def test_the_full_size_is_that_of_the_thesis():
    size = corpus.Size.of(scale.FULL)
    assert size.official
    assert (size.rows["train"], size.rows["dev"], size.rows["test"]) == (529_527, 17_858, 17_901)
    assert sum(size.photos.values()) == 31_783
    assert size.snli == corpus.SNLI_ROWS
    assert sum(size.snli.values()) == 570_152
    small = corpus.Size.of(5_653)
    assert sum(small.rows.values()) == pytest.approx(5_653, abs=2)
    assert not small.official


def test_lengths_are_those_of_snli():
    rng = np.random.default_rng(1)
    lengths = corpus.draw_lengths(20_000, rng)
    assert lengths.mean() == pytest.approx(7.54, abs=0.1)
    assert np.percentile(lengths, [50, 95]).tolist() == [7, 13]
    texts = list(corpus.sentences(corpus.pseudo_words(0), lengths[:500], rng))
    assert [len(text.split()) for text in texts] == lengths[:500].tolist()


@pytest.mark.needs_data
def test_the_cited_lengths_are_those_of_the_data(test_data):
    counted: dict[int, int] = {}
    for split in ("dev", "test"):
        for line in (test_data / f"snli_text/snli_1.0_{split}.part.jsonl").read_text(encoding="utf-8").splitlines():
            words = len(json.loads(line)["sentence2"].split())
            counted[words] = counted.get(words, 0) + 1
    assert dict(sorted(counted.items())) == corpus.WORDS


def test_a_step_is_measured(tmp_path):
    held = "import time; block = b'x' * 300_000_000; open('made', 'wb').write(block[:2_000_000]); time.sleep(0.5)"
    start = time.monotonic()
    step = scale.measure("a step", [sys.executable, "-c", held], tmp_path, [tmp_path / "made"])
    assert 0.5 <= step.seconds <= time.monotonic() - start + 0.1
    assert step.peak_mb > 286  # no upper bound: the kernel counts this process too, from which the step was started
    assert 280 < step.own_mb < 400
    assert step.written_mb == {"made": 2.0}
    with pytest.raises(SystemExit, match=r"(?s)bad step failed: .*no such luck"):
        scale.measure("bad step", [sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path)
