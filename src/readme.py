"""Refresh what README.md shows from files: the results table and the picture of the pipeline.

`python src/readme.py` rewrites the blocks between the markers; `--check` only tells whether they are current.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from clseave import interrupts

RESULTS = Path("reports/mini/results.md")
README = Path("README.md")


def block(text: str, name: str, content: str) -> str:
    """The text with what stands between the markers of `name` replaced. ValueError when a marker is missing."""
    start, end = f"<!-- {name}: generated -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"README.md lacks the markers {start.strip()} and {end}")
    return f"{before}{start}{content.strip()}\n{end}{after}"


def refresh(text: str) -> str:
    """README with the current results and picture."""
    picture = [sys.executable, "-m", "dvc", "dag", "--md", "--collapse-foreach-matrix"]
    drawn = subprocess.run(picture, check=True, capture_output=True, text=True).stdout
    text = block(text, "pipeline", drawn)
    return block(text, "results", RESULTS.read_text(encoding="utf-8"))


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite, or with --check return 1 when the README is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, return 1 when stale")
    check = parser.parse_args(argv).check
    old = README.read_text(encoding="utf-8")
    new = refresh(old)
    if check and new != old:
        sys.stderr.write("README.md is stale: run `make readme`\n")
        return 1
    if not check:
        README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
