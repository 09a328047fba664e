"""Repeat all trainings with more seeds, and write reports/seeds/<profile>.csv, which the stage `compare` reads.

The runs are made in .work/seeds, a clone of the last commit that shares DVC's cache with this folder: cached results
are restored, and an interrupted run resumes. `--seeds` replaces the clone's `seeds`.

Exit codes: 0 the table is written, 1 a stage failed, 2 the folder has changes that are not committed.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _path  # noqa: F401
from clseave.foundation.files.formats import write_csv
from clseave.foundation.process import interrupts
from clseave.foundation.settings import params

COPY = Path(".work/seeds")
COLUMNS = {  # columns of the table, with their names in an evaluation's metrics
    "rows": "rows",
    "accuracy": "accuracy",
    "seen": "accuracy_seen",
    "unseen": "accuracy_unseen",
    "swap_accuracy": "swap_accuracy",
}


def with_seeds(text: str, seeds: Sequence[int]) -> str:
    """Replace `seeds` in the text of params.yaml. ValueError when it has no such list."""
    changed, found = re.subn(
        r"(?m)^(seeds:[^\n]*\n)(?:- \d+\n)+", lambda match: match[1] + "".join(f"- {seed}\n" for seed in seeds), text
    )
    if found != 1:
        raise ValueError("params.yaml: expected one list `seeds`, a line for each")
    return changed


def rows_of(metrics: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row for each seed and evaluation with predictions, from the metrics of the stage `evaluate`."""
    rows = []
    for seed in seeds:
        for path in sorted((metrics / f"seed{seed}").glob("*.json")):
            score = json.loads(path.read_text(encoding="utf-8"))
            if score["rows"]:
                values = {name: score.get(key) for name, key in COLUMNS.items()}
                rows.append({"seed": seed, "evaluation": path.stem} | values)
    return rows


def prepare(copy: Path, seeds: Sequence[int]) -> None:
    """Update the clone to the last commit, with this folder's cache and the given seeds."""
    if not (copy / ".git").exists():
        subprocess.run(["git", "clone", "--quiet", ".", str(copy)], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    for command in (
        ["git", "fetch", "--quiet", "origin"],
        ["git", "reset", "--quiet", "--hard", head],
        [sys.executable, "-m", "dvc", "config", "--local", "cache.dir", str(Path(".dvc/cache").resolve())],
    ):
        subprocess.run(command, cwd=copy, check=True)
    # Restore the committed results that are in DVC's cache; all others are computed again.
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "--quiet"], cwd=copy, check=False, capture_output=True)
    settings = copy / "params.yaml"
    settings.write_text(with_seeds(settings.read_text(encoding="utf-8"), seeds), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--jobs", type=int, default=2, help="stages at a time (default: 2)")
    args = parser.parse_args(argv)
    changes = ["git", "diff", "--quiet", "HEAD", "--", "src", "params.yaml", "profiles", "dvc.yaml"]
    if subprocess.run(changes, check=False).returncode:
        print("seeds: commit the changes in src, params.yaml, profiles and dvc.yaml first", file=sys.stderr)
        return 2
    prepare(COPY, args.seeds)
    command = [sys.executable, "tools/reproduce.py", "--jobs", str(args.jobs)]
    if subprocess.run(command, cwd=COPY, check=False).returncode:
        return 1
    profile = str(params.read_yaml(Path("params.yaml"))["profile"])
    write_csv(Path("reports/seeds") / f"{profile}.csv", rows_of(COPY / "reports" / profile / "metrics", args.seeds))
    print(f"seeds: wrote reports/seeds/{profile}.csv; `dvc repro` takes it into tables and report")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
