"""Bring the active profile up to date: `dvc repro`, but with several independent stages at a time.

Each stage runs as `dvc --wait-for-lock repro -s NAME`, so DVC decides, runs and records it as usual; this program
chooses the order and starts stages with their libraries loaded (tools/preload). A final plain `dvc repro` must find
nothing to do: the result is the same as with DVC alone. `--pipeline studies/NAME/dvc.yaml` runs a study and the stages
of the main pipeline that it depends on. Unknown flags are passed to dvc, for example `--no-run-cache` or `--force`. A
second run in the same folder waits for the first, and for stages left by a killed one. Files of DVC that a kill has
truncated are repaired first.

Exit codes: 0 all is up to date, 1 a stage failed, 2 the pipeline cannot be read, 130 interrupted.
"""

import argparse
import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO, Any

import _path  # noqa: F401
import preload
import without_git
from clseave.foundation.process import interrupts

LOGS = Path(".work/logs")
LOCK = Path(".work/reproduce.lock")
PIPELINE = "dvc.yaml"
DVC_LOCK, BUSY_PATHS = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
DVC = [sys.executable, "-m", "dvc"]
# Another dvc held a lock for longer than DVC waits: the stage itself is fine, so it is retried.
BUSY = ("is busy, it is being blocked by", "Unable to acquire lock")
TRIES = 5
# DVC's messages around a stage's own output, which are only written to the log.
CHATTER = re.compile(
    r"^(Running stage |> |Updating lock file|Generating lock file|To track the changes|To enable auto staging"
    r"|Use `dvc|\s*git add |\s*dvc config core.autostage|Waiting to acquire lock|Data and pipelines are|Stage '"
    r"|ERROR: failed to reproduce|$)"
)
OUTCOMES = (
    ("Running stage ", "ran"),
    ("is cached - skipping run", "restored"),
    ("didn't change, skipping", "unchanged"),
)
MANY = 3  # from this many stages on, loading the libraries once is faster
PROGRESS_SECONDS = 15.0  # interval between two prints of a progress bar


@dataclass
class Plan:
    """The stages in pipeline order, their needs, the longest chain from each, and those that may have to run."""

    stages: list[str]
    needs: dict[str, set[str]]
    chain: dict[str, int]
    candidates: set[str]


@dataclass
class Running:
    """A running stage."""

    name: str
    process: subprocess.Popen[bytes]
    reader: threading.Thread
    log: Path
    started: float


@dataclass
class State:
    """The state of the run; `outcomes` says for each stage: ran, restored, unchanged or skipped.

    `lock` marks this folder as in use; every dvc inherits it, so it is held until the last of them ends.
    """

    plan: Plan
    flags: list[str]
    jobs: int
    lock: int
    environment: dict[str, str]
    pipeline: str = PIPELINE
    running: list[Running] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    failed: list[Running] = field(default_factory=list)


def say(text: str) -> None:
    """Print a line on standard output."""
    print(text, flush=True)


def take_lock() -> int:
    """Wait until no other run uses this folder; the lock is released when the last process that inherited it ends."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"another run (process {os.pread(handle, 20, 0).decode().strip()}) is at work here: waiting for its end")
        fcntl.flock(handle, fcntl.LOCK_EX)
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def repair_dvc_files() -> None:
    """Repair files that DVC writes in place and a kill may truncate: dvc.lock, and its list of paths in use."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        json.loads(BUSY_PATHS.read_bytes() or b"cut short")
    except FileNotFoundError:
        pass
    except ValueError:
        say(f"{BUSY_PATHS} was cut short by a kill: removed")
        BUSY_PATHS.unlink()
    try:
        # A truncated line may still parse, as another value.
        if DVC_LOCK.exists() and not DVC_LOCK.read_bytes().endswith(b"\n"):
            raise DvcException(f"{DVC_LOCK}: the last line is cut")
        with Repo() as repo:
            repo.index.check_graph()
    except DvcException as error:
        committed = subprocess.run(["git", "show", f"HEAD:./{DVC_LOCK}"], capture_output=True, check=False)
        conflict = DVC_LOCK.exists() and b"\n<<<<<<< " in DVC_LOCK.read_bytes()  # for a person to resolve
        if DVC_LOCK.name not in str(error) or committed.returncode != 0 or conflict:
            raise
        say(f"{DVC_LOCK} was cut short by a kill: taken from the last commit; what ran since is in DVC's cache")
        temporary = DVC_LOCK.with_name(f".{DVC_LOCK.name}.tmp")
        temporary.write_bytes(committed.stdout)
        temporary.replace(DVC_LOCK)


def make_plan(force: bool, pipeline: str = PIPELINE) -> Plan:
    """Read DVC's stage graph and status. DvcException when dvc.yaml or params.yaml cannot be parsed.

    The plan has the stages of a dvc.yaml and their dependencies in other files; `force` applies to its own stages only.
    A stage is a candidate when DVC calls it changed, or when it depends on a candidate; all others are skipped, to save
    the start of a dvc for each.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        graph = repo.index.graph
        own = [stage for stage in repo.index.stages if stage.cmd and stage.path_in_repo == pipeline]
        wanted, frontier = set(own), list(own)
        while frontier:
            new = {stage for stage in graph.successors(frontier.pop()) if stage.cmd} - wanted
            wanted |= new
            frontier += new
        stages = [stage for stage in repo.index.stages if stage in wanted]
        needs = {stage.addressing: {dep.addressing for dep in graph.successors(stage) if dep.cmd} for stage in stages}
        changed = set(repo.status([pipeline], with_deps=pipeline != PIPELINE))
        if force:
            changed |= {stage.addressing for stage in own}
    order = sort_stages(needs)
    candidates: set[str] = set()
    for name in order:
        if name in changed or needs[name] & candidates:
            candidates.add(name)
    return Plan(order, needs, chain_lengths(order, needs), candidates)


def sort_stages(needs: dict[str, set[str]]) -> list[str]:
    """Return the names with every stage after those it needs, in the same order in every run."""
    return list(TopologicalSorter({name: sorted(before) for name, before in needs.items()}).static_order())


def chain_lengths(order: Sequence[str], needs: dict[str, set[str]]) -> dict[str, int]:
    """Return the number of stages on the longest chain that starts with each stage: the longest runs first."""
    chain = dict.fromkeys(order, 1)
    for name in reversed(order):
        for before in needs[name]:
            chain[before] = max(chain[before], chain[name] + 1)
    return chain


def ready_stages(state: State) -> list[str]:
    """Return the stages whose needs are met and that have not been started, longest chain first."""
    busy = {running.name for running in state.running}
    ready = [
        name
        for name in state.plan.stages
        if name not in state.outcomes and name not in busy and state.plan.needs[name] <= set(state.outcomes)
    ]
    return sorted(ready, key=lambda name: -state.plan.chain[name])  # stable: ties keep the pipeline's order


def child_environment() -> dict[str, str]:
    """Return the environment with the interpreter's folder first on PATH, as stage commands use plain `python`."""
    folder = str(Path(sys.executable).parent)
    return os.environ | {
        "PATH": os.pathsep.join([folder, os.environ.get("PATH", os.defpath)]),
        "SHELL": "/bin/sh",
        "PYTHONUNBUFFERED": "1",
    }


def surroundings(load: bool) -> contextlib.AbstractContextManager[dict[str, str]]:
    """Return a context with the environment of every dvc; with `load`, stages start with their libraries loaded."""
    source = Path("src")
    if load and (source / "clseave").is_dir():
        return preload.libraries(source, child_environment(), LOGS / "preload.log")
    return contextlib.nullcontext(child_environment())


def launch(name: str, command: Sequence[str], lock: int, environment: dict[str, str]) -> Running:
    """Start a dvc in its own process group, so that an interrupt reaches its children only through this program."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name.replace('/', '.')}.log"
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        pass_fds=(lock,),
    )
    assert process.stdout is not None
    reader = threading.Thread(target=stream, args=(name, process.stdout, log), daemon=True)
    reader.start()
    return Running(name, process, reader, log, time.monotonic())


def stream(name: str, source: IO[bytes], log: Path) -> None:
    """Copy a stage's output to its log, and print it line by line with the stage's name as prefix."""
    shown = time.monotonic()
    pending = b""
    with log.open("wb") as out:
        while block := source.read1(65536):  # type: ignore[attr-defined]
            out.write(block)
            out.flush()
            *lines, pending = re.split(rb"(?<=[\r\n])", pending + block)
            for line in lines:
                bar = line.endswith(b"\r")
                if bar and time.monotonic() - shown < PROGRESS_SECONDS:
                    continue
                shown = time.monotonic() if bar else shown
                show(name, line)
    show(name, pending)


def show(name: str, line: bytes) -> None:
    """Print a line of a stage unless it is a message of DVC."""
    text = line.decode(errors="replace").strip("\r\n")
    text = text.rsplit("\r", 1)[-1].removeprefix("\x1b[A").removeprefix(f"{name}: ").rstrip()
    if not CHATTER.match(text):
        say(f"  {name} | {text}")


def record_end(state: State, done: Running) -> None:
    """Record the end of a stage: its outcome, a failure, or a retry when only a lock was in the way."""
    done.reader.join()
    state.running.remove(done)
    output = done.log.read_text(encoding="utf-8", errors="replace")
    count = f"[{len(state.outcomes) + 1}/{len(state.plan.stages)}]"
    if done.process.returncode == 0:
        outcome = next((word for mark, word in OUTCOMES if mark in output), "unchanged")
        state.outcomes[done.name] = outcome
        state.seconds[done.name] = round(time.monotonic() - done.started, 1)
        say(f"{count} {done.name}: {outcome}, {state.seconds[done.name]:.1f} s")
    elif any(mark in output for mark in BUSY) and state.tries[done.name] < TRIES:
        say(f"{count} {done.name}: another dvc was busy, trying again")
        time.sleep(1)
    else:
        state.failed.append(done)
        say(f"{count} {done.name}: FAILED after {time.monotonic() - done.started:.1f} s")
        if state.running:
            say(f"waiting for {', '.join(running.name for running in state.running)} to end; Ctrl-C stops them")


def run_stages(state: State) -> None:
    """Run the candidates, at most `jobs` at a time. After a failure no stage is started; running ones may finish."""
    while True:
        for name in ready_stages(state) if not state.failed else []:
            if name not in state.plan.candidates:
                state.outcomes[name] = "skipped"
            elif len(state.running) < state.jobs:
                state.tries[name] = state.tries.get(name, 0) + 1
                say(f"      {name}: started")
                command = [*DVC, "--wait-for-lock", "repro", "-s", *state.flags, name]
                state.running.append(launch(name, command, state.lock, state.environment))
        ended = [running for running in state.running if running.process.poll() is not None]
        for running in ended:
            record_end(state, running)
        if not state.running and (state.failed or not ready_stages(state)):
            return
        if not ended:
            time.sleep(0.05)


def stop(running: Sequence[Running]) -> None:
    """Terminate stages and everything they started; kill what is left after ten seconds."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for stage in running:
            try:
                os.killpg(stage.process.pid, sign)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(stage.process.poll() is None for stage in running):
            time.sleep(0.05)


def run_and_verify(state: State, summary: Path) -> bool | None:
    """Run the stages and verify; return whether all is up to date, None when interrupted. Nothing runs afterwards."""
    final: list[Running] = []
    try:
        run_stages(state)
        return not state.failed and verify(final, state)
    except KeyboardInterrupt:
        say("\ninterrupted: ending the running stages")
        stop([*state.running, *final])
        return None
    finally:
        write_summary(summary, state)


def verify(final: list[Running], state: State) -> bool:
    """Run plain `dvc repro` and return whether it succeeds; report any stage that it still ran."""
    check = launch("dvc-repro", [*DVC, "--wait-for-lock", "repro", state.pipeline], state.lock, state.environment)
    final.append(check)
    check.process.wait()
    check.reader.join()
    output = check.log.read_text(encoding="utf-8", errors="replace")
    late = re.findall(r"Running stage '([^']+)'", output)
    if late:
        say(f"note: the last `dvc repro` still ran {', '.join(late)}")
    if check.process.returncode != 0:
        say(f"dvc repro failed, see {check.log}\n{tail(check.log)}")
    return check.process.returncode == 0


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, indented."""
    text = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    return "\n".join(f"    {line}" for line in [line for line in text if line.strip()][-lines:])


def report_failure(failed: Sequence[Running]) -> None:
    """Print what failed and the end of its log."""
    for stage in failed:
        say(f"\nstage {stage.name} failed; its output is in {stage.log}, which ends:\n{tail(stage.log)}")


def report_results(profile: str) -> None:
    """Print the results table and the path of the report."""
    folder = Path("reports") / profile
    table = folder / "results.md"
    if table.is_file():
        say("\n" + table.read_text(encoding="utf-8").strip())
    if (folder / "report.html").is_file():
        say(f"\nreport: {folder / 'report.html'}")


def write_summary(path: Path, state: State) -> None:
    """Write the outcome of each stage as JSON."""
    rows: dict[str, Any] = {
        name: {"outcome": state.outcomes.get(name, "not reached"), "seconds": state.seconds.get(name, 0.0)}
        for name in state.plan.stages
    }
    for stage in state.failed:
        rows[stage.name]["outcome"] = "failed"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def read_profile() -> str:
    """Return the active profile's name."""
    from ruamel.yaml import YAML

    return str(YAML(typ="safe", pure=True).load(Path("params.yaml"))["profile"])


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return this program's arguments and those for dvc."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--jobs", type=int, default=2, help="stages at a time (default: 2)")
    parser.add_argument("--pipeline", default=PIPELINE, help="file that lists the stages (default: %(default)s)")
    parser.add_argument("--summary", type=Path, default=LOGS / "summary.json", help="file for each stage's outcome")
    parser.add_argument("--no-preload", dest="preload", action="store_false", help="each stage loads its libraries")
    args, flags = parser.parse_known_args(argv)
    if args.jobs < 1:
        parser.error("--jobs: at least 1")
    return args, flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run, verify and report; return an exit code as in the module's docstring."""
    from dvc.exceptions import DvcException

    args, flags = parse(argv)
    started = time.monotonic()
    lock = take_lock()
    try:
        without_git.allow_without_git()
        repair_dvc_files()
        plan = make_plan(bool({"-f", "--force"} & set(flags)), args.pipeline)
        profile = read_profile()
    except (DvcException, OSError, KeyError) as error:
        print(f"cannot read the pipeline: {error}", file=sys.stderr)
        return 2
    say(f"{profile}: {len(plan.candidates)} of {len(plan.stages)} stages to look at, {args.jobs} at a time")
    for sign in (signal.SIGINT, signal.SIGTERM):  # also where the parent shell had it ignored
        signal.signal(sign, signal.default_int_handler)
    with surroundings(args.preload and len(plan.candidates) >= MANY) as environment:
        state = State(plan, flags, args.jobs, lock, environment, args.pipeline)
        good = run_and_verify(state, args.summary)
    if good is None:
        return 130
    report_failure(state.failed)
    if good:
        if args.pipeline == PIPELINE:
            report_results(profile)
        ran = sum(outcome == "ran" for outcome in state.outcomes.values())
        say(f"up to date: {ran} stages ran, in {time.monotonic() - started:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
