"""Run studies, and take their results into reports/studies and their READMEs.

`python tools/study.py NAME ...` runs studies/NAME/dvc.yaml with what it needs of the main pipeline, two stages at a
time; an interrupted study goes on where it was. Without a name it lists the studies; `--all` runs every one. The
results are then copied to reports/studies/<profile>/NAME, which the report shows, and for the profile mini the answer
is put into the study's README. `--check` runs nothing and says which of these copies are stale.

After a change of code that should move no number, `--confirm` repeats one run of each variant, in turn of another
language and seed, or with `--runs N` at most N of these. Where all give the same bytes, DVC takes the present code and
inputs for those of the results, and the report says how many runs were repeated.

Exit codes: 0 done, 1 a stage failed, a repeated run differs or, with --check, a copy is stale, 2 no such study.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ruamel.yaml import YAML

import _path  # noqa: F401
from clseave.foundation.process import interrupts
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.settings import params
from readme import block

STUDIES, REPORTS = Path("studies"), Path("reports/studies")
CONFIRMED = "confirmed.json"
PUBLISHED = "mini"  # the profile whose answers the READMEs hold


def names() -> list[str]:
    """Return the studies: the folders with a dvc.yaml."""
    return sorted(path.parent.name for path in STUDIES.glob("*/dvc.yaml"))


def copies(name: str, profile: str) -> list[tuple[Path, str]]:
    """Return each file outside the study that follows from its results, with its content; none if it was not run."""
    results = STUDIES / name / profile / "results"
    if not results.is_dir():
        return []
    found = [
        (REPORTS / profile / name / path.name, path.read_text(encoding="utf-8")) for path in sorted(results.iterdir())
    ]
    confirmed = results.parent / CONFIRMED
    if confirmed.exists():
        found.append((REPORTS / profile / name / CONFIRMED, confirmed.read_text(encoding="utf-8")))
    readme = STUDIES / name / "README.md"
    title = readme.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    found.append((REPORTS / profile / name / "title.txt", f"{title}\n"))
    if profile == PUBLISHED:
        answer = (results / "answer.md").read_text(encoding="utf-8")
        found.append((readme, block(readme.read_text(encoding="utf-8"), "answer", answer)))
    return found


def take(name: str, profile: str) -> None:
    """Write the copies."""
    shutil.rmtree(REPORTS / profile / name, ignore_errors=True)
    for path, text in copies(name, profile):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def stale(name: str, profile: str) -> list[Path]:
    """Return the files that do not follow from the study's results."""
    return [
        path for path, text in copies(name, profile) if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def chosen_runs(name: str, profile: str) -> list[tuple[Path, str]]:
    """Return one run of each variant, in turn of another language and seed: its file and its command."""
    settings = params.read_yaml(STUDIES / name / "params.yaml")
    lock = YAML(typ="safe").load(STUDIES / name / "dvc.lock")["stages"]  # longer than settings may be
    commands = {out["path"]: stage["cmd"] for stage in lock.values() for out in stage["outs"]}
    found = []
    for number, variant in enumerate(settings["variants"]):
        own = variant.get("languages", "").split("+")
        languages = [one for one in settings["languages"] if one in own or own == [""]]
        language, seed = (some[number % len(some)] for some in (languages, settings["seeds"]))
        folder = STUDIES / name / profile / "runs" / f"{variant['name']}-seed{seed}"
        joint = folder / "joint.json"
        found.append((joint if joint.exists() else folder / f"{language}.json", commands[folder.as_posix()]))
    return found


def repeat(path: Path, command: str) -> bool:
    """Make a run again elsewhere; return whether it holds the same but for the code's fingerprint."""
    again = Path(".work/confirm", *path.parts[1:])
    settings = params.read_yaml(Path(*path.parts[:2], "params.yaml"))
    if path.stem in settings["languages"]:  # else it is a run of all languages
        settings["languages"] = [path.stem]
        settings["variants"] = [one | {"languages": ""} for one in settings["variants"]]  # the command names them
    study = again.parent.with_name(f"{again.parent.name}-settings")
    study.mkdir(parents=True, exist_ok=True)
    (study / "params.yaml").write_text(json.dumps(settings), encoding="utf-8")
    other = {path.parent.as_posix(): again.parent.as_posix(), Path(*path.parts[:2]).as_posix(): study.as_posix()}
    words = [other.get(word, word) for word in shlex.split(command)]
    if subprocess.run([sys.executable, *words[1:]], check=False, stderr=subprocess.DEVNULL).returncode:
        return False
    first, second = (json.loads(one.read_text(encoding="utf-8")) | {"code": ""} for one in (path, again))
    print(f"{path.parent.name}/{path.name}: {'the same' if first == second else 'DIFFERS'}", flush=True)
    return first == second


def confirm(name: str, profile: str, jobs: int, most: int | None = None) -> bool:
    """Repeat some runs, `most` at most; where all are the same, record it. Return whether they are."""
    every = chosen_runs(name, profile)
    runs = every[:: -(-len(every) // most)] if most else every
    with ThreadPoolExecutor(jobs) as pool:
        if not all(list(pool.map(lambda run: repeat(*run), runs))):
            return False
    subprocess.run(
        [sys.executable, "-m", "dvc", "commit", "-f", "-q", (STUDIES / name / "dvc.yaml").as_posix()], check=True
    )
    total = len(list((STUDIES / name / profile / "runs").rglob("*.json")))
    code = fingerprint(code_files(f"clseave.studies.{name}"))
    text = json.dumps({"code": code, "repeated": len(runs), "runs": total}, indent=2)
    (STUDIES / name / profile / CONFIRMED).write_text(text + "\n", encoding="utf-8")
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Run the studies and take their results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="folders of studies/")
    parser.add_argument("--all", action="store_true", help="every study")
    parser.add_argument("--jobs", type=int, default=2, help="stages at a time (default: 2)")
    parser.add_argument("--check", action="store_true", help="run nothing, say which copies are stale")
    parser.add_argument("--confirm", action="store_true", help="repeat a run of each variant after a change of code")
    parser.add_argument("--runs", type=int, metavar="N", help="with --confirm: repeat N runs at most (default: all)")
    args, flags = parser.parse_known_args(argv)
    known, profile = names(), str(params.read_yaml(Path("params.yaml"))["profile"])
    wanted = known if args.all or (args.check and not args.names) else args.names
    if not wanted:
        print(f"studies: {', '.join(known)}; `make study NAME=...` runs one, `make studies` all")
        return 2
    if unknown := [name for name in wanted if name not in known]:
        print(f"no study {unknown[0]!r}; studies are {', '.join(known)}", file=sys.stderr)
        return 2
    for name in wanted:
        if args.check:
            for path in (found := stale(name, profile)):
                print(f"{path} is stale: run `make study NAME={name}`", file=sys.stderr)
            if found:
                return 1
            continue
        if args.confirm:
            if not confirm(name, profile, args.jobs, args.runs):
                print(f"{name}: runs differ, or failed: run `make study NAME={name}` again", file=sys.stderr)
                return 1
            take(name, profile)
            continue
        (STUDIES / name / profile / CONFIRMED).unlink(missing_ok=True)
        pipeline = (STUDIES / name / "dvc.yaml").as_posix()
        command = [sys.executable, "tools/reproduce.py", "--jobs", str(args.jobs), "--pipeline", pipeline]
        if code := subprocess.run([*command, *flags], check=False).returncode:
            return code
        take(name, profile)
        print(f"{name}: results in {REPORTS / profile / name}; `dvc repro` takes them into the report")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
