"""Generate docs/PERFORMANCE.md from the files in benchmarks/results: medians, ratios, targets, growth."""

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine_rates
import numpy as np

OURS, NOT_RUN = "clseave", "not run"
Results = Mapping[str, Any]
CASES = {
    "clip_ve": "CLIP-VE, one epoch of the rows",
    "clseave": "CLSEAVE, steps of an epoch",
    "align": "word alignment",
    "translate": "translation through a server that takes 50 ms for an answer",
}
CONTENDERS = {
    "as_published": "as published",
    "sentence_transformers": "sentence-transformers",
    "sentence_transformers_own": "sentence-transformers, its own kernels",
    "awesome_align": "`awesome-align` command",
    "awesome_align_own": "`awesome-align` command, its own kernels",
    "one_by_one": "one request for each sentence",
    OURS: "**this repository**",
}
AMOUNTS = {
    "rows": "{:,} rows",
    "batch": "batches of {:,}",
    "steps": "{:,} steps",
    "photos": "{:,} different photos",
    "pairs": "{:,} pairs of sentences",
    "sentences": "{:,} sentences",
}
SIZES = {
    "tiny": "tiny random weights",
    "mini": "the models of profile mini",
    "full": "random weights in the shape of CLIP ViT-B/16 and mBERT",
}
LONGEST = {"photos": ("31,783 photos encoded", 0.5), "clip_ve": ("CLIP-VE, 6 epochs", 3.0),
           "clseave": ("CLSEAVE, 9 epochs, one language", 4.0)}  # fmt: skip
WHOLE = 30.0  # minutes
EXPONENT = 1.05
INTRODUCTION = """# How fast it is

Written by `make bench`: nothing here is typed by hand. What is compared: [benchmarks](../benchmarks/README.md).

All contenders of a case take turns, each in a process of its own with one thread and nothing beside it, on the same
rows, models, batch size and number of steps, and with the same numeric pins; *its own kernels* means without these
pins, as a user would run the tool. Of CLSEAVE's epoch each does some steps: batches at even distances when all are
sorted by width, so chosen that they are as wide as the epoch's on average. Counted is everything from the rows in
their files to the end of the last step: reading, tokenising, decoding photos where a contender does. Not counted:
starting Python, loading models, and steps ahead of the others in a training (CLSEAVE: the same ones; CLIP-VE: one on
the widest batch), which ask the system for the memory that all later steps use again. A ratio is the contender's
median over ours: 2.0 x means that ours takes half the time. That the method is the same is tested, not timed:
`tests/unit/word_alignment/test_as_published.py` compares the losses of fifty steps.
"""

REMOVED = [  # as published, here, the test in tests/unit that holds them equal
    ("each photo decoded and encoded in every step", "once, before training", "test_as_published.py"),
    ("the teacher runs in every step", "once for each English sentence, for all languages", "test_as_published.py"),
    ("each sentence tokenised in every epoch", "once", "test_as_published.py"),
    ("CLIP's texts padded to 77 tokens", "to the longest of the batch", "test_clip_ve.py"),
    ("short and long sentences mixed", "`sampler: bucket`, or `random`", "test_batching.py"),
    (
        "a batch computed as wide as its longest sentence",
        "large ones in parts of like length, on a CPU",
        "test_acceleration.py",
    ),
    ("mBERT's last layer computed for every token", "after its attention for the pooled one", "test_student.py"),
    ("a loader at every step", "vectors in memory, or on the GPU, or mapped", "test_vectors.py"),
    ("every row of the word embeddings trained", "those that occur", "test_used_embeddings.py"),
    ("single precision", "`precision: bfloat16` on a GPU, but for head and loss", "test_acceleration.py"),
    ("one kernel after another", "`compile: true` on a GPU: CUDA graphs of few shapes", "test_acceleration.py"),
    ("training waits for a checkpoint's file", "it goes on", "test_resume.py"),
]

GROWTH = """Corpora of other sizes by `benchmarks/scale.py`. The exponent p fits seconds = c rows^p to all. Starting
Python counts, and makes small corpora look slow and the exponent small: that of the last two sizes depends on it least.

"""


@dataclass(frozen=True)
class Target:
    """A target ratio of our time to one contender's."""

    work: str
    size: str
    case: str
    contender: str
    ratio: float


TARGETS = [
    Target("CLIP-VE step, full-size models, CPU, decoding counted", "full", "clip_ve", "as_published", 12),
    Target("CLSEAVE epoch, full-size models, CPU", "full", "clseave", "as_published", 3),
    Target("CLSEAVE epoch, full-size models, CPU", "full", "clseave", "sentence_transformers", 1.5),
    Target("word alignment, BERT-base shape, CPU", "full", "align", "awesome_align", 1.5),
    Target("translation through a 50 ms server", "full", "translate", "one_by_one", 30),
]


def summary(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return all times, the median and its ratio to our median for each contender; None when ours was not run."""
    medians = {name: statistics.median(run["seconds"] for run in some) for name, some in runs.items()}
    ours = medians.get(OURS)
    return {
        name: {
            "median_s": round(medians[name], 4),
            "ratio": round(medians[name] / ours, 3) if ours else None,
            "seconds": [round(run["seconds"], 4) for run in some],
            "peak_mb": max(run["peak_mb"] for run in some),
        }
        for name, some in runs.items()
    }


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the power p that fits values = c * sizes**p best, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def growth(steps: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float, int]]]:
    """Return rows, seconds and peak MiB of each step, sorted by rows, from entries like "prepare 10,000 rows"."""
    found: dict[str, list[tuple[int, float, int]]] = {}
    for step in steps:
        if match := re.fullmatch(r"(.+) ([\d,]+) rows", step["name"]):
            found.setdefault(match[1], []).append((int(match[2].replace(",", "")), step["seconds"], step["peak_mb"]))
    return {name: sorted(rows) for name, rows in found.items()}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], rest: str = "---:") -> str:
    """Return a Markdown table; columns from the second on are right-aligned, or as `rest` says."""
    lines = [head, ["---"] + [rest] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def find(results: Results, size: str, device: str, case: str) -> Mapping[str, Any] | None:
    """Return the measurements of a case, or None."""
    same = (one for one in results["cases"] if (one["size"], one["device"], one["case"]) == (size, device, case))
    return next(same, None)


def verdict(reached: bool) -> str:
    """Return the word for a target that was reached or missed."""
    return "yes" if reached else "**no**"


def targets(results: Results) -> str:
    """Return each target with the measurement and whether it was reached; `not run` without a measurement."""
    rows = []
    for one in TARGETS:
        case = find(results, one.size, "cpu", one.case)
        found = case and case["contenders"].get(one.contender)
        ratio = found["ratio"] if found else None
        measured = f"{ratio:.1f} x" if ratio else NOT_RUN
        against = CONTENDERS[one.contender]
        reached = verdict(ratio >= one.ratio) if ratio else "–"
        rows.append([f"{one.work}, against {against}", f"{one.ratio:g} x", measured, reached])
    rates = find(results, "full", "cuda", "rates")
    found = rates and rates["rates"]
    for name, (work, most) in LONGEST.items():
        minutes = machine_rates.SIZES[name] / found[name]["per_second"] / 60 if found else None
        rows.append(_time(f"{work}, GPU", most, minutes))
    whole = sum(machine_rates.minutes(found).values()) if found else None
    rows.append(_time("photos, CLIP-VE and CLSEAVE in five languages, GPU", WHOLE, whole))
    return table(["work", "target", "measured", "reached"], rows)


def _time(work: str, most: float, minutes: float | None) -> list[str]:
    """Return a row for a target in minutes."""
    measured = NOT_RUN if minutes is None else f"{minutes:.1f} min"
    return [work, f"{most:g} min", measured, "–" if minutes is None else verdict(minutes <= most)]


def one_case(case: Mapping[str, Any]) -> str:
    """Return the contenders of a case, slowest first, and the data they worked on."""
    facts, rows = case["facts"], []
    for name, one in sorted(case["contenders"].items(), key=lambda item: -item[1]["median_s"]):
        times = ", ".join(f"{value:.2f}" for value in one["seconds"])
        ratio = "–" if one["ratio"] is None or name == OURS else f"{one['ratio']:.1f} x"
        rows.append([CONTENDERS[name], f"{one['median_s']:.2f}", times, ratio, f"{one['peak_mb']:,}"])
    rows += [[CONTENDERS[name], NOT_RUN, why, "–", "–"] for name, why in case.get("not_run", {}).items()]
    work = ", ".join(AMOUNTS[name].format(value) for name, value in sorted(facts[case["case"]].items(), key=_place))
    title = f"### {CASES[case['case']]}: {SIZES[case['size']]}, {case['device']}\n\n"
    text = f"{title}{_sentence(facts['of'])} {_sentence(work)}\n"
    if case["case"] == "clseave":
        text += widths(facts["tokens"])
    if case.get("photos"):
        seconds, count = case["photos"]["median_s"], case["photos"]["photos"]
        text += (
            f"Ours reads stored vectors of the photos; encoding these {count:,} photos, once, took {seconds:.2f} s.\n"
        )
    if "differing" in case:
        same = "The answers are the same." if not case["differing"] else f"**{case['differing']:,} answers differ.**"
        text += same + "\n"
    return text + "\n" + table(["contender", "median, s", "each, s", "ratio", "peak MiB"], rows)


def widths(tokens: Mapping[str, Any]) -> str:
    """Return the lengths of a case's translations and the widths of its batches, in words."""
    (ours, all_ours), (theirs, all_theirs) = tokens["bucket"], tokens["random"]
    return (
        f"A translation has {tokens['mean']} tokens on average, the longest {tokens['longest']}; "
        f"{tokens['different']:,} of mBERT's tokens occur.\n"
        f"The steps taken are padded to {ours} tokens a row in batches of like length (all batches of the epoch: "
        f"{all_ours}), to {theirs} in random ones ({all_theirs}).\n"
    )


def _place(item: tuple[str, int]) -> int:
    return list(AMOUNTS).index(item[0])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def rates(case: Mapping[str, Any]) -> str:
    """Return the machine's rate of matrix products, and the share that our stages reach."""
    found, rows = case["rates"], []
    product = found["matmul"]
    for name, (work, _) in LONGEST.items():
        per_second, done = found[name]["per_second"], found[name]["per_second"] * found[name]["flop"]
        minutes = machine_rates.SIZES[name] / per_second / 60
        shares = [f"{done / product[kind]:.3f}" for kind in ("bfloat16", "float32")]
        rows.append([work, f"{per_second:,.0f}", f"{minutes:.1f}", *shares])
    text = f"### Rates: {SIZES[case['size']]}, {case['device']}\n\n"
    edge = machine_rates.EDGE[case["device"]]
    text += (
        f"The product of two matrices of {edge:,} x {edge:,}: "
        f"{product['bfloat16'] / 1e12:,.1f} TFLOP/s in bfloat16, {product['float32'] / 1e12:,.1f} in float32.\n"
        "Padding does not count as work. Minutes are computed from the rate, for the numbers of the thesis.\n\n"
    )
    return text + table(["work", "photos or pairs/s", "minutes", "share of bfloat16", "share of float32"], rows)


def growth_table(results: Results) -> str:
    """Return seconds and memory by number of rows, and the fitted exponent, of each step."""
    rows = []
    for name, points in growth(results.get("growth", [])).items():
        if len(points) < 2:
            continue  # no growth to see
        sizes, seconds, peaks = zip(*points, strict=True)
        powers = [exponent(sizes, seconds), exponent(sizes[-2:], seconds[-2:])]
        cells = [" / ".join(f"{value:,g}" for value in values) for values in (sizes, seconds, peaks)]
        rows.append([f"`{name}`", *cells, *(f"{power:z.2f}" for power in powers), verdict(max(powers) <= EXPONENT)])
    return table(["step", "rows", "seconds", "peak MiB", "exponent", "of the last two", f"at most {EXPONENT}"], rows)


def machine_name(results: Results) -> str:
    """Return a description of the machine."""
    about = results["machine"]
    gpu = f", {about['gpu']}" if about.get("gpu") else ""
    return f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB{gpu}"


def versions(results: Results) -> str:
    """Return a line with the versions."""
    return "Versions: " + ", ".join(f"{name} {value}" for name, value in results["versions"].items()) + "."


def render(measured: Sequence[Results], scales: Sequence[Results]) -> str:
    """Return the document: a section for each machine, and one for growth."""
    rows = [[was, now, f"`{test}`"] for was, now, test in REMOVED]
    head = ["as published", "here", "equal by, in `tests/unit`"]
    parts = [INTRODUCTION, f"## What was removed\n\n{table(head, rows, '---')}"]
    empty: Results = {"cases": []}
    if not measured:
        parts.append("## Targets\n\n" + targets(empty))
    for results in measured:
        parts.append(f"## {machine_name(results)}\n\n{wrapped(versions(results))}\n\n{targets(results)}")
        for case in results["cases"]:
            parts.append(rates(case) if case["case"] == "rates" else one_case(case))
        if not any(case["device"] == "cuda" for case in results["cases"]):
            parts.append(f"### GPU\n\nThe same cases and rates on a GPU: {NOT_RUN}.\n")
    for results in scales:
        if results.get("growth"):
            title = f"## Growth: {machine_name(results)}\n\n"
            text = GROWTH
            parts.append(title + text + growth_table(results))
    return "\n".join(parts)


def wrapped(text: str, width: int = 120) -> str:
    """Return the text wrapped to at most `width` characters per line."""
    import textwrap

    return textwrap.fill(text, width)


def read(folder: Path) -> tuple[list[Results], list[Results]]:
    """Return the results of `make bench`, and those of scale.py."""
    both: tuple[list[Results], list[Results]] = ([], [])
    for path in sorted(folder.glob("*.json")):
        both[path.name.startswith("scale-")].append(json.loads(path.read_text(encoding="utf-8")))
    return both
