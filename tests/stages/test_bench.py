"""`make bench` on tiny models, when it is interrupted and when something is missing, and the document it writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bench
import contenders
import machine_rates
import numpy as np
import performance
import pytest
import sampling
import torch
import workload
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from clseave.foundation.errors import UserError
from settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def start(folder, *flags, code=0, **environment):
    """The command, with all that it writes in `folder`; returns what it says."""
    command = [sys.executable, str(BENCHMARKS / "bench.py"), "--work", str(folder / "work")]
    command += ["--results", str(folder / "results"), "--document", str(folder / "P.md"), *flags]
    settings = os.environ | {"CLSEAVE_TEST_DATA": ""} | environment
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def found(folder):
    """The one results' file."""
    (path,) = (folder / "results").glob("*.json")
    return json.loads(path.read_text())


def run(seconds, peak=10, **more):
    return {"seconds": seconds, "peak_mb": peak, **more}


def test_medians_and_ratios_by_hand():
    runs = {"as_published": [run(9.0), run(12.0, 30), run(10.0)], "clseave": [run(2.0), run(1.0), run(4.0)]}
    assert performance.summary(runs) == {
        "as_published": {"median_s": 10.0, "ratio": 5.0, "seconds": [9.0, 12.0, 10.0], "peak_mb": 30},
        "clseave": {"median_s": 2.0, "ratio": 1.0, "seconds": [2.0, 1.0, 4.0], "peak_mb": 10},
    }
    alone = performance.summary({"as_published": [run(3.0), run(4.0)]})
    assert (alone["as_published"]["median_s"], alone["as_published"]["ratio"]) == (3.5, None)


@pytest.mark.parametrize(
    ("values", "power"),
    [([3, 30, 300], 1.0), ([5, 500, 50_000], 2.0), ([7, 7, 7], 0.0), ([1, 10, 1], 0.0), ([1, 10, 1000], 1.5)],
)
def test_the_exponent_by_hand(values, power):
    assert performance.exponent([10, 100, 1000], values) == pytest.approx(power, abs=1e-9)


def test_growth_is_read_step_by_step():
    names = [("prepare 40,000 rows", 4.0, 2), ("prepare 10,000 rows", 1.0, 1), ("align_words de 10,000 rows", 9.0, 5)]
    steps = [{"name": name, "seconds": seconds, "peak_mb": peak} for name, seconds, peak in names]
    steps.append({"name": "prepare", "seconds": 100.0, "peak_mb": 9})
    read = performance.growth(steps)
    assert read == {"prepare": [(10_000, 1.0, 1), (40_000, 4.0, 2)], "align_words de": [(10_000, 9.0, 5)]}


def test_the_table_of_growth_judges_the_steeper_exponent():
    """Of 2, 4 and 12 seconds for 1, 2 and 4 rows the fit is 1.29, the last two alone 1.58; one size shows no growth."""
    entries = [("a", 1, 2.0), ("a", 2, 4.0), ("a", 4, 12.0), ("b", 1, 2.0), ("b", 2, 2.0), ("c", 1, 1.0)]
    steps = [{"name": f"{name} {rows} rows", "seconds": seconds, "peak_mb": 7} for name, rows, seconds in entries]
    lines = performance.growth_table({"growth": steps}).splitlines()[2:]
    assert lines[0] == "| `a` | 1 / 2 / 4 | 2 / 4 / 12 | 7 / 7 / 7 | 1.29 | 1.58 | **no** |"
    assert lines[1] == "| `b` | 1 / 2 | 2 / 2 | 7 / 7 | 0.00 | 0.00 | yes |"
    assert len(lines) == 2


def test_rows_are_batches_at_even_distances_of_the_sorted_lengths():
    lengths = np.array([4, 40, 8, 36, 12, 32, 16, 28, 20, 24])
    assert [lengths[row] for row in workload.choose(lengths, 2, 2)] == [12, 16, 28, 32]  # of 5 batches the 2nd and 4th
    assert sorted(workload.choose(lengths, 2, 5)) == list(range(10))
    with pytest.raises(UserError, match="2 batches at hand, 3 wanted: lower the size"):
        workload.choose(lengths, 4, 3)


def test_steps_of_an_epoch_at_even_distances_and_their_widths():
    lengths = np.array([4, 40, 8, 36, 12, 32, 16, 28, 20, 24])
    batches = [np.array(rows) for rows in ([1, 3], [0, 2], [4, 6], [5, 7], [8, 9])]  # longest: 40, 8, 16, 32, 24
    assert sampling.evenly("abcde", 2) == [["a", "c"], ["b", "d"]]
    assert [list(rows) for rows in sampling.sampled(batches, lengths, 2)] == [[4, 6], [5, 7]]
    assert [list(rows) for rows in sampling.sampled(batches, lengths, 5)] == [[0, 2], [4, 6], [8, 9], [5, 7], [1, 3]]
    with pytest.raises(UserError, match="5 batches at hand, 6 wanted"):
        sampling.sampled(batches, lengths, 6)
    assert sampling.sampled([[row] for row in range(6)], np.array([1, 2, 3, 4, 5, 21]), 1) == [[4]]  # the mean is 6
    assert sampling.padded(batches, lengths) == 24.0
    assert sampling.padded([np.array([0]), np.array([3, 4, 8])], lengths) == 28.0  # 4 once, 36 three times
    assert sampling.padded(batches, lengths, part=1) == sum(lengths) / 10
    wide = [np.array([0, 1, 2, 3, 4])]  # lengths 4, 8, 12 and 36, 40
    assert sampling.padded(wide, lengths, part=2) == (3 * 12 + 2 * 40) / 5
    assert sampling.padded(wide, lengths, part=3) == 40.0


def test_real_sentences_come_in_orders_of_their_last_words():
    wanted = [("a b c", "x y"), ("d", "u v w"), ("a c b", "y x")]
    assert workload.reordered({"a b c": "x y", "d": "u v w"}) == wanted
    long = workload.reordered({"one two three four": "un deux trois quatre"})
    assert len(long) == workload.ORDERS
    assert long[1:4] == [
        ("one two four three", "un deux quatre trois"),
        ("one three two four", "un trois deux quatre"),
        ("one three four two", "un trois quatre deux"),
    ]


def test_answers_that_differ_are_counted():
    runs = {
        "awesome_align": [run(1.0, answer=[1, 2, 3]), run(1.0, answer=[1, 0, 0])],
        "clseave": [run(1, answer=[1, 2, 3])],
    }
    assert bench.differing(runs) == 2
    runs["awesome_align"] = [run(1.0, answer=[1, 2, 3])]
    assert bench.differing(runs) == 0
    runs["awesome_align"] = [run(1.0, answer=[1, 2])]
    assert bench.differing(runs) == 3


def test_the_work_of_a_tower_is_what_torch_counts():
    config = BertConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, vocab_size=50)
    model = BertModel._from_config(config, attn_implementation="eager", add_pooling_layer=False)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(1, 7, dtype=torch.long))
    assert machine_rates.tower(config.to_dict(), 7) == counter.get_total_flops()
    assert machine_rates.patches({"image_size": 224, "patch_size": 16}) == 197


def test_minutes_of_the_thesis_by_hand():
    per_second = {"photos": 31_783 / 30, "clip_ve": 529_527 * 6 / 120, "clseave": 529_527 * 9 / 180}
    found = {name: {"per_second": rate} for name, rate in per_second.items()}
    assert machine_rates.minutes(found) == pytest.approx({"photos": 0.5, "clip_ve": 2.0, "clseave": 15.0})


def case(name, contenders, **more):
    tokens = {"mean": 9.5, "longest": 20, "different": 1234, "bucket": [11.5, 12.0], "random": [19.0, 18.5]}
    facts = {"of": "words", name: {"rows": 2}, "tokens": tokens}
    return {"size": "full", "device": "cpu", "case": name, "facts": facts, "contenders": contenders, **more}


def test_the_document_says_what_was_measured_and_what_was_not():
    runs = {"as_published": [run(24.0)], "clseave": [run(1.0)]}
    slow = {"sentence_transformers": [run(1.4)], "clseave": [run(1.0)]}
    aligned = {"awesome_align": [run(3.0)], "clseave": [run(1.5)]}
    results = {
        "machine": {"cpu": "A processor", "cores": 2, "memory_gib": 9},
        "versions": {"torch": "2"},
        "cases": [
            case("clip_ve", performance.summary(runs), photos={"photos": 51, "median_s": 7.25}),
            case("clseave", performance.summary(slow), not_run={"sentence_transformers_own": "no network"}),
            case("align", performance.summary(aligned), differing=3),
        ],
    }
    text = performance.render([results], [])
    lines = text.splitlines()
    assert "## A processor, 2 cores, 9 GiB" in lines
    assert any(line.startswith("| CLIP-VE step") and line.endswith("| 12 x | 24.0 x | yes |") for line in lines)
    assert any("against as published | 3 x | not run | – |" in line for line in lines)
    assert any("against sentence-transformers | 1.5 x | 1.4 x | **no** |" in line for line in lines)
    assert "| as published | 24.00 | 24.00 | 24.0 x | 10 |" in lines
    assert "| sentence-transformers, its own kernels | not run | no network | – | – |" in lines
    assert "Ours reads stored vectors of the photos; encoding these 51 photos, once, took 7.25 s." in lines
    assert "**3 answers differ.**" in lines
    assert "A translation has 9.5 tokens on average, the longest 20; 1,234 of mBERT's tokens occur." in lines
    assert any("padded to 11.5 tokens a row" in line and "(18.5)" in line for line in lines)
    assert sum("GPU | " in line and "not run" in line for line in lines) == 4


def test_rates_of_a_gpu_become_minutes():
    rate = {"per_second": 529_527 * 9 / 120, "flop": 2e9}
    rates = {"matmul": {"bfloat16": 4e14, "float32": 4e13}, "photos": {"per_second": 31_783 / 15, "flop": 1e9}}
    rates |= {"clip_ve": {"per_second": 529_527 * 6 / 240, "flop": 1e9}, "clseave": rate}
    one = {"size": "full", "device": "cuda", "case": "rates", "facts": {}, "contenders": {}, "rates": rates}
    about = {"cpu": "A", "cores": 1, "memory_gib": 1, "gpu": "Some GPU"}
    lines = performance.render([{"machine": about, "versions": {}, "cases": [one]}], []).splitlines()
    assert "## A, 1 cores, 1 GiB, Some GPU" in lines
    assert "| 31,783 photos encoded, GPU | 0.5 min | 0.2 min | yes |" in lines
    assert "| CLIP-VE, 6 epochs, GPU | 3 min | 4.0 min | **no** |" in lines
    assert "| photos, CLIP-VE and CLSEAVE in five languages, GPU | 30 min | 14.2 min | yes |" in lines
    assert "| CLSEAVE, 9 epochs, one language | 39,715 | 2.0 | 0.199 | 1.986 |" in lines


def test_the_document_is_that_of_the_results():
    """Typed by hand, or left behind by new results, it would say what nobody measured."""
    written = (ROOT / "docs/PERFORMANCE.md").read_text(encoding="utf-8")
    assert written == performance.render(*performance.read(BENCHMARKS / "results")), (
        "run `python benchmarks/bench.py --table-only`"
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The workload of size tiny, with the tests' settings."""
    folder = tmp_path_factory.mktemp("work") / "tiny-cpu"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workload, "ROOT", SETTINGS)
        facts = workload.prepare(folder, "tiny", "cpu", None)
        assert workload.prepare(folder, "tiny", "cpu", None) == facts, "made again, or read otherwise than written"
    return folder


def test_contenders_do_as_many_steps_on_the_same_rows(tiny):
    facts = json.loads((tiny / "facts.json").read_text())["facts"]
    for name in ("clip_ve", "clseave"):
        ours, published = (contenders.CASES[name][who](tiny, 2) for who in ("clseave", "as_published"))
        assert len(ours["epoch_seconds"]) == 2
        assert sum(ours["epoch_seconds"]) < ours["seconds"]
        steps = facts[name]["steps"]
        assert abs(ours["rows"] - facts[name]["batch"] * steps) <= steps  # batches differ by a row
        assert published["steps"] == 2 * steps
        assert published["seconds"] > 0
    batches = sampling.shuffled(10, 4, 2)
    assert [len(batch) for batch in batches] == [4, 4, 2] * 2
    assert all(sorted(np.concatenate(epoch)) == list(range(10)) for epoch in (batches[:3], batches[3:]))
    assert batches[:3] != batches[3:]


def test_word_aligners_agree(tiny):
    ours, theirs = (contenders.CASES["align"][who](tiny, 1)["answer"] for who in ("clseave", "awesome_align"))
    assert ours == theirs
    assert len(ours) == workload.SIZES["tiny"].aligned
    assert all(ours)


@pytest.mark.slow
@pytest.mark.full
def test_the_command_on_tiny_models(tmp_path):
    said = start(tmp_path, "--sizes", "tiny", "--only", "translate", "--repeats", "2")
    assert "one_by_one 2/2" in said
    results = found(tmp_path)
    (one,) = results["cases"]
    assert (one["size"], one["device"], one["case"], one["differing"]) == ("tiny", "cpu", "translate", 0)
    assert {name: len(entry["seconds"]) for name, entry in one["contenders"].items()} == {"clseave": 2, "one_by_one": 2}
    assert one["contenders"]["one_by_one"]["median_s"] > workload.SIZES["tiny"].translated * contenders.LATENCY_S
    assert one["contenders"]["one_by_one"]["ratio"] > 5
    text = (tmp_path / "P.md").read_text()
    assert "The answers are the same." in text
    assert str(tmp_path) not in json.dumps(results) + text
    assert json.loads((tmp_path / f"work/{next((tmp_path / 'results').glob('*')).name}").read_text()) == {}


def small(folder, *flags):
    """The command in this process."""
    words = ["--work", str(folder / "work"), "--results", str(folder), "--sizes", "tiny", *flags]
    return bench.Bench(bench.parse(words))


def test_without_sentence_transformers_the_others_run(tmp_path, capsys):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/packages").write_text("no folder: nothing can be installed here")
    command = small(tmp_path)
    command.install()
    assert "the others run without it" in capsys.readouterr().err
    runs = {"as_published": [run(2.0)], "clseave": [run(1.0)]}
    command.keep(case("clseave", {}) | {"size": "tiny"}, runs)
    text = performance.render(*performance.read(tmp_path))
    assert text.count("| sentence-transformers, its own kernels | not run | it could not be installed") == 1
    assert text.count("| sentence-transformers | not run | it could not be installed") == 1


@pytest.mark.slow
@pytest.mark.full
def test_sentence_transformers_does_the_same_steps(tiny):
    """Where pip finds no packages, the command says so and leaves it out."""
    command = small(tiny.parent.parent)
    command.work = tiny.parent
    command.install()
    if command.absent:
        assert set(command.absent.values()) == {bench.MISSING}
        return
    facts = json.loads((tiny / "facts.json").read_text())["facts"]["clseave"]
    found = command.one(tiny, "clseave", "sentence_transformers_own", 2)
    assert found["steps"] == 2 * facts["steps"]
    assert found["seconds"] > 0


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    asked, facts = [], {"of": "words", "translate": {"sentences": 2}}

    def one(self, folder, case, name, epochs):
        asked.append(name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return run(float(len(asked)), answer=["a"])

    monkeypatch.setattr(bench.Bench, "one", one)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path, "--repeats", "2").measure("tiny", "cpu", "translate", facts)
    assert not list(tmp_path.glob("*.json"))
    small(tmp_path, "--repeats", "2").measure("tiny", "cpu", "translate", facts)
    assert asked == ["one_by_one", "clseave", "one_by_one", "one_by_one", "clseave"]  # in turn; the third was cut short
    (path,) = tmp_path.glob("*.json")
    (kept,) = json.loads(path.read_text())["cases"]
    assert kept["contenders"]["one_by_one"]["seconds"] == [1.0, 4.0]
    assert kept["contenders"]["clseave"]["seconds"] == [2.0, 5.0]
    small(tmp_path, "--repeats", "2").measure(
        "tiny", "cpu", "translate", facts
    )  # complete: the next call measures anew
    assert len(asked) == 9
    other = small(tmp_path, "--repeats", "2")
    assert other.set_up(facts) != other.set_up(facts | {"of": "other words"})


def test_missing_results_of_mini_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(workload, "ROOT", tmp_path)
    with pytest.raises(UserError, match=r"^data/mini/examples/train\.jsonl: not there, .*: `make pull`$"):
        workload.miniature(tmp_path / "source")


def test_wrong_arguments():
    with pytest.raises(SystemExit):
        bench.parse(["--repeats", "0"])
    with pytest.raises(SystemExit):
        bench.parse(["--only", "nothing"])


@pytest.mark.slow
def test_rates_as_on_a_gpu(tiny):
    """On tiny models and the CPU; bfloat16 and the GPU's size of a matrix only change numbers."""
    rates = contenders.CASES["rates"]["clseave"](tiny, 3)
    assert rates["matmul"]["float32"] > 1e8
    assert all(rates[name]["per_second"] > 0 and rates[name]["flop"] > 1e4 for name in performance.LONGEST)
    text = performance.rates({"size": "tiny", "device": "cpu", "rates": rates})
    assert text.count("\n| ") == 2 + len(performance.LONGEST)
    assert rates["seconds"] == pytest.approx(60 * sum(machine_rates.minutes(rates).values()))


def test_a_failing_program_is_quoted(tmp_path):
    with pytest.raises(SystemExit, match=r"(?s)failed, or never said 'Loading':.*no such luck"):
        contenders.seconds_after("Loading", [sys.executable, "-c", "print('no such luck')"], tmp_path)
