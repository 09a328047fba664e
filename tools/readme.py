"""Update the generated parts of README.md: the results table and the picture of the pipeline.

`python tools/readme.py` rewrites the blocks between the markers; `--check` only reports whether they are current.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import _path  # noqa: F401
from clseave.foundation.process import interrupts

RESULTS = Path("reports/mini/results.md")
README = Path("README.md")
# The boxes of the picture and the stages in each. The arrows are derived from dvc.yaml.
BOXES = {
    "prepare": ("check", "prepare"),
    "backbones": ("backbones",),
    "encode images": ("encode_images",),
    "translate, align words": ("translate", "translate_back", "align_words"),
    "CLIP-VE": ("finetune_clip_ve", "embed_english"),
    "CLSEAVE, CLTEAVE, baselines": ("clseave", "autoencoder", "clteave", "finetune_baseline"),
    "evaluate": ("evaluate_clseave", "evaluate"),
    "report": ("cards", "compare", "report"),
}
Graph = dict[str, set[str]]  # node -> its direct successors


def block(text: str, name: str, content: str) -> str:
    """Replace the text between the markers of `name`. ValueError when a marker is missing."""
    start, end = f"<!-- {name}: generated -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"README.md lacks the markers {start.strip()} and {end}")
    return f"{before}{start}{content.strip()}\n{end}{after}"


def stage_graph() -> Graph:
    """Return the graph of the stages in dvc.yaml, with one node per matrix, as DVC prints it."""
    command = [sys.executable, "-m", "dvc", "dag", "--dot", "--collapse-foreach-matrix"]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # Stages of studies have a path and a colon in their names.
    graph: Graph = {name: set() for name in re.findall(r'^"([^":]+)";$', drawn, flags=re.MULTILINE)}
    for stage, successor in re.findall(r'^"([^":]+)" -> "([^":]+)";$', drawn, flags=re.MULTILINE):
        graph[stage].add(successor)
    return graph


def box_graph(stages: Graph, boxes: dict[str, tuple[str, ...]]) -> Graph:
    """Return the boxes with an arrow wherever a stage of one box depends on a stage of another.

    ValueError for stages that are not in exactly one box, or do not exist in dvc.yaml.
    """
    placed = [stage for members in boxes.values() for stage in members]
    wrong = {stage for stage in {*stages, *placed} if stage not in stages or placed.count(stage) != 1}
    if wrong:
        raise ValueError(f"BOXES must hold each stage of dvc.yaml once: correct {', '.join(sorted(wrong))}")
    box_of = {stage: box for box, members in boxes.items() for stage in members}
    return {
        box: {box_of[after] for stage in members for after in stages[stage]} - {box} for box, members in boxes.items()
    }


def reachable(graph: Graph, start: str) -> set[str]:
    """Return all nodes reachable from `start` by at least one arrow."""
    found: set[str] = set()
    frontier = set(graph[start])
    while frontier:
        found |= frontier
        frontier = {after for node in frontier for after in graph[node]} - found
    return found


def without_shortcuts(graph: Graph) -> Graph:
    """Return the graph without arrows implied by a longer path (its transitive reduction). It must have no cycle."""
    return {
        node: {after for after in afters if not any(after in reachable(graph, other) for other in afters)}
        for node, afters in graph.items()
    }


def picture(stages: Graph) -> str:
    """Return the boxes and their arrows as a Mermaid diagram."""
    graph = without_shortcuts(box_graph(stages, BOXES))
    number = {box: f"box{position}" for position, box in enumerate(BOXES, start=1)}
    nodes = [f'    {number[box]}["{box.replace(", ", "<br/>")}"]' for box in BOXES]
    arrows = [f"    {number[box]} --> {number[after]}" for box in BOXES for after in BOXES if after in graph[box]]
    return "\n".join(["```mermaid", "flowchart LR", *nodes, *arrows, "```"])


def refresh(text: str) -> str:
    """Return the README's text with the current results and picture."""
    text = block(text, "pipeline", picture(stage_graph()))
    return block(text, "results", RESULTS.read_text(encoding="utf-8"))


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the README and return 0, or 2 when that fails; with --check return 1 when it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, return 1 when stale")
    check = parser.parse_args(argv).check
    old = README.read_text(encoding="utf-8")
    try:
        new = refresh(old)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if check and new != old:
        sys.stderr.write("README.md is stale: run `make readme`\n")
        return 1
    if not check:
        README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
