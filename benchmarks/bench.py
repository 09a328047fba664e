"""Compare our stages with the usual alternatives, in one run on this machine: `make bench`.

    python benchmarks/bench.py [--repeats 3] [--only clseave align] [--sizes mini full] [--device cpu]

The contenders of a case alternate (A B C A B C), each in its own process with one thread. Results are written to
benchmarks/results/MACHINE.json when a case is complete, and docs/PERFORMANCE.md is generated from all files there. An
interrupted run resumes if code, versions and sizes are unchanged. About 50 minutes on two idle cores: keep the machine
free of other work. CLSEAVE_TEST_DATA may name a folder of real photos and sentences.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "src"), str(HERE)]

import performance  # noqa: E402
import scale  # noqa: E402

from clseave.foundation.files.formats import read_json, write_json, write_text  # noqa: E402
from clseave.foundation.process import interrupts  # noqa: E402

ENTRANTS = {
    "clip_ve": ["as_published", "clseave"],
    "clseave": ["as_published", "sentence_transformers", "sentence_transformers_own", "clseave"],
    "align": ["awesome_align", "awesome_align_own", "clseave"],
    "translate": ["one_by_one", "clseave"],
    "rates": ["clseave"],
}
OWN = "_own"  # ends the name of a contender that runs without our numeric pins
TRAINING, ALL = ("clip_ve", "clseave"), ("clip_ve", "clseave", "align", "translate")
PLAN = {("mini", "cpu"): TRAINING, ("full", "cpu"): ALL, ("full", "cuda"): ("rates", *TRAINING), ("tiny", "cpu"): ALL}
EPOCHS = {"cpu": 1, "cuda": 10}
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "awesome-align", "deep-translator")
MISSING = "it could not be installed: pip finds no packages here, or not these"


class Bench:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace):
        """Identify the machine, and load the results of an interrupted run."""
        self.args, self.work = args, args.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.machine = scale.machine() | ({"gpu": gpu} if (gpu := gpu_name()) else {})
        words = f"{self.machine['cpu']} {self.machine['cores']} cores {self.machine.get('gpu', '')}"
        self.name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
        self.partial = self.work / f"{self.name}.json"
        self.runs: dict[str, Any] = read_json(self.partial) if self.partial.exists() else {}
        self.absent: dict[str, str] = {}  # contenders that cannot run, and why

    def versions(self) -> dict[str, str]:
        """Return the versions of Python and all packages that compute."""
        known = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
        pins = (HERE / "requirements.txt").read_text(encoding="utf-8")
        found = re.search(r"^sentence-transformers==(.+)$", pins, re.MULTILINE)
        return known | {"sentence-transformers": found[1] if found else ""}

    def install(self) -> None:
        """Install sentence-transformers into a separate folder; if that fails, the other contenders run without it."""
        folder, pins = self.work / "packages", HERE / "requirements.txt"
        stamp = folder / ".stamp"
        wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        say("installing sentence-transformers beside the environment")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--no-deps", "--upgrade", "--retries", "1", "--target", str(folder), "-r", str(pins)]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            self.absent |= dict.fromkeys(("sentence_transformers", "sentence_transformers" + OWN), MISSING)
            return say(f"sentence-transformers: {MISSING}; the others run without it")
        stamp.write_text(wanted)

    def prepare(self, size: str, device: str) -> dict[str, Any] | None:
        """Prepare the folder of a size and return its facts; None, with a message, when something is missing."""
        say(f"{size} on {device}: models and rows")
        data = os.environ.get("CLSEAVE_TEST_DATA", "")
        command = [sys.executable, str(HERE / "workload.py"), str(self.folder(size, device)), size, device]
        done = subprocess.run(command + [data] * bool(data), capture_output=True, text=True, check=False)
        if done.returncode == 2:
            return say(done.stderr.strip().splitlines()[-1])
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        return dict(read_json(self.folder(size, device) / "facts.json")["facts"])

    def folder(self, size: str, device: str) -> Path:
        """Return the folder with rows and models of a size."""
        return self.work / f"{size}-{device}"

    def measure(self, size: str, device: str, case: str, facts: Mapping[str, Any]) -> None:
        """Run all repeats of a case, with the contenders alternating, then add it to the results."""
        key = f"{size} {device} {case} {self.set_up(facts)}"
        runs = self.runs.setdefault(key, {})
        entrants = [name for name in ENTRANTS[case] if name not in self.absent and name not in self.args.skip]
        for repeat in range(1, self.args.repeats + 1):
            for name in entrants:
                if len(runs.setdefault(name, [])) >= repeat:
                    continue
                found = self.one(self.folder(size, device), case, name, EPOCHS[device])
                runs[name].append(found)
                write_json(self.partial, self.runs)
                say(f"{size} {device} {case} {name} {repeat}/{self.args.repeats}: {found['seconds']:.2f} s")
        self.keep({"size": size, "device": device, "case": case, "facts": facts}, runs)
        del self.runs[key]
        write_json(self.partial, self.runs)

    def one(self, folder: Path, case: str, name: str, epochs: int) -> dict[str, Any]:
        """Run one contender once. SystemExit with the end of its output if it fails; earlier results are kept."""
        out = folder / "measured.json"
        command = [sys.executable, str(HERE / "contenders.py"), case, name.removesuffix(OWN), str(folder), str(out)]
        command += ["--epochs", str(epochs)] + ["--own-numerics"] * name.endswith(OWN)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{case}: {name} failed:\n{(done.stdout + done.stderr)[-3000:]}")
        return dict(json.loads(out.read_text(encoding="utf-8")))

    def set_up(self, facts: Mapping[str, Any]) -> str:
        """Return 16 hexadecimal digits that identify all a time depends on: code, versions, machine, rows."""
        code = [*sorted(HERE.glob("*.py")), *sorted((ROOT / "src/clseave").rglob("*.py"))]
        code += sorted((ROOT / "profiles").glob("*.yaml"))
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in code]
        text = json.dumps([hashes, self.versions(), self.machine, facts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def keep(self, about: dict[str, Any], runs: Mapping[str, list[dict[str, Any]]]) -> None:
        """Write a complete case to the results file, replacing its previous entry."""
        case = about | {"contenders": performance.summary(runs)}
        if "answer" in runs[performance.OURS][0]:
            case["differing"] = differing(runs)
            if case["differing"]:
                say(f"{case['case']}: {case['differing']} answers differ from those of another contender")
        ours = runs[performance.OURS]
        if "photos" in ours[0] and case["case"] == "clip_ve":
            seconds = statistics.median(run["photos_seconds"] for run in ours)
            case["photos"] = {"photos": ours[0]["photos"], "median_s": round(seconds, 4)}
        if case["case"] == "rates":
            case["rates"] = {name: ours[-1][name] for name in ("matmul", *performance.LONGEST)}
        case["not_run"] = {name: why for name, why in self.absent.items() if name in ENTRANTS[case["case"]]}
        path = self.args.results / f"{self.name}.json"
        old = read_json(path)["cases"] if path.exists() else []
        same = ("size", "device", "case")
        cases = [one for one in old if [one[name] for name in same] != [case[name] for name in same]] + [case]
        places = {(*place, one): n for n, (place, one) in enumerate((p, c) for p, some in PLAN.items() for c in some)}
        cases.sort(key=lambda one: places.get((one["size"], one["device"], one["case"]), len(places)))
        write_json(path, {"machine": self.machine, "versions": self.versions(), "cases": cases})

    def run(self) -> None:
        """Run every requested case."""
        for (size, device), cases in PLAN.items():
            wanted = [case for case in cases if not self.args.only or case in self.args.only]
            if size not in self.args.sizes or device not in self.args.device or not wanted:
                continue
            if device == "cuda" and "gpu" not in self.machine:
                say("cuda: torch sees no GPU here; its rows stay `not run`")
                continue
            if "clseave" in wanted:
                self.install()
            if facts := self.prepare(size, device):
                for case in wanted:
                    self.measure(size, device, case, facts)


def differing(runs: Mapping[str, list[dict[str, Any]]]) -> int:
    """Return the largest number of answers in any run that differ from ours."""
    ours = runs[performance.OURS][0]["answer"]
    others = [run["answer"] for some in runs.values() for run in some]
    if any(len(other) != len(ours) for other in others):
        return len(ours)
    return max(sum(one != mine for one, mine in zip(other, ours, strict=True)) for other in others)


def gpu_name() -> str | None:
    """Return the name of the GPU that torch sees, or None."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def say(line: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="of each contender (default 3)")
    parser.add_argument("--only", nargs="+", choices=list(ENTRANTS), default=[], help="cases; default: all")
    parser.add_argument("--sizes", nargs="+", choices=sorted({size for size, _ in PLAN}), default=["mini", "full"])
    parser.add_argument("--device", nargs="+", choices=["cpu", "cuda"], default=["cpu", "cuda"])
    names = sorted({name for some in ENTRANTS.values() for name in some} - {performance.OURS})
    parser.add_argument("--skip", nargs="+", choices=names, default=[], help="contenders to leave out")
    parser.add_argument("--work", type=Path, default=ROOT / ".work/bench", help="models and rows, 3 GB")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results' files")
    parser.add_argument("--document", type=Path, default=ROOT / "docs/PERFORMANCE.md")
    parser.add_argument("--table-only", action="store_true", help="write the document from the results' files")
    args = parser.parse_args(argv)
    if args.repeats < 1:
        parser.error(f"--repeats: found {args.repeats}, expected 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, then write the document."""
    args = parse(argv)
    args.results.mkdir(parents=True, exist_ok=True)
    if not args.table_only:
        Bench(args).run()
    write_text(args.document, performance.render(*performance.read(args.results)))
    say(f"written: {args.document.name}")


if __name__ == "__main__":
    interrupts.end_in_one_line()
    main()
