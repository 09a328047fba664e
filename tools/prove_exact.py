"""Run every stage here and under emulated processors without AVX-512, and compare the bytes of all outputs.

    make prove-exact                 # all stages of profile tiny: this machine, an Intel Haswell, an AMD EPYC
    python tools/prove_exact.py --cpus Haswell --languages de --stages clseave
    python tools/prove_exact.py --preload     # as in .ci/full: less than half the processor time

`qemu-x86_64-static` emulates the processors. DVC reads stages and commands from dvc.yaml; they run in copies of this
checkout, without DVC. With `--preload` they are forks of an interpreter that has the libraries loaded
(tools/exact/preloaded.py). Every interpreter is started by a wrapper `python` that is written for each machine
(tools/exact/sitecustomize.py says why). Exit codes: 0 all equal, 1 a difference or a failure, 2 no emulator.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

import _path  # noqa: F401
from clseave.foundation.process import interrupts

ROOT = Path(__file__).resolve().parents[1]
EMULATOR = "qemu-x86_64-static"
INSTALL = "install it with `apt-get install qemu-user-static` (Debian and Ubuntu)"
CPUS = ("Haswell", "EPYC")  # one by Intel and one by AMD, both with AVX2 and without AVX-512
NATIVE = "native"
AVX512 = "from numpy._core._multiarray_umath import __cpu_features__ as found; print(found['AVX512F'])"
FORBIDDEN = "AVX512F"  # numpy's name of a feature that no emulated interpreter may have
CRASH = "qemu: uncaught target signal"  # a crash of the emulator itself, rare and not reproducible
TRIES = 3
SECONDS = 1800  # timeout of a command, as the emulator may also hang
OTHERS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "GIT_", "DVC_")  # prefixes of dropped variables
SERVER = Path(__file__).parent / "exact" / "preloaded.py"
RUNNING: set[subprocess.Popen[bytes]] = set()  # all are killed when one fails, or on Ctrl-C


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml, resolved: its command, its outputs, and the stages it depends on."""

    name: str
    command: str
    outs: tuple[str, ...]
    needs: frozenset[str]
    notebook: bool  # whether it starts a kernel


@dataclass(frozen=True)
class Machine:
    """A copy of the checkout and the environment of its commands; `cpu` is empty for this machine's own processor."""

    name: str
    folder: Path
    cpu: str = ""
    prefix: tuple[str, ...] = ()  # command before the interpreter
    settings: Mapping[str, str] = field(default_factory=dict)  # environment variables
    umask: int = -1
    server: "Server | None" = None  # runs the stages in its forks

    @property
    def tree(self) -> Path:
        """The copy of the checkout."""
        return self.folder / "tree"

    @property
    def processes(self) -> Path:
        """The list in which every interpreter registers."""
        return self.folder / "processes.jsonl"

    @property
    def python(self) -> Path:
        """The wrapper that starts an interpreter."""
        return self.folder / "bin" / "python"


@dataclass
class Server:
    """A process with the libraries loaded (tools/exact/preloaded.py), started on first use."""

    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, machine: Machine, words: Sequence[str], log: Path) -> int:
        """Return the exit code of a script; -1 when its fork was killed, as by a crash of the emulator; 124 on a
        timeout.
        """
        with self.lock:
            self.port = self.port or serve(machine)
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(json.dumps([str(log), *words]).encode() + b"\n")
            try:
                return int(connection.makefile().readline() or -1)
            except TimeoutError:
                return 124


@dataclass(frozen=True)
class Ended:
    """A stage that succeeded: its seconds, and the number of crashes of the emulator before."""

    seconds: float
    crashes: int


class Failed(Exception):
    """A stage failed or outputs differ; the message says which."""


@dataclass
class Progress:
    """The hashes of outputs as `{stage: {machine: {file: hash}}}`, the seconds by machine, the number of crashes."""

    found: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)
    crashes: int = 0


def say(text: str) -> None:
    """Print a line on standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def copy_sources(source: Path, tree: Path, profile: str, languages: Sequence[str]) -> None:
    """Create a git repository with all files that git tracks or would track, except outputs.

    `params.yaml` gets the profile and, unless empty, the languages.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True).stdout.split("\0")
    made = re.compile(r"(store/|dvc\.lock$|(data|models|reports)/(mini|tiny|thesis)/)")
    for name in names:
        if name and not made.match(name) and (source / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, tree / name)
    params = tree / "params.yaml"
    text = re.sub(r"(?m)^profile: \w+$", f"profile: {profile}", params.read_text(encoding="utf-8"))
    if languages:
        lines = "".join(f"- {code}\n" for code in languages)
        text = re.sub(r"(?m)^(languages:.*\n)(?: *- \w+\n)+", lambda match: match[1] + lines, text)
    params.write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)


def read_stages(tree: Path) -> list[Stage]:
    """Return the stages of a checkout in an order in which they can run, as DVC reads dvc.yaml."""
    from dvc.repo import Repo

    from reproduce import sort_stages

    with Repo(str(tree)) as repo:
        own = [stage for stage in repo.index.stages if stage.cmd and stage.path_in_repo == "dvc.yaml"]
        stages = {stage.name: stage for stage in own}
        graph = repo.index.graph
        needs = {name: {dep.name for dep in graph.successors(stage) if dep.cmd} for name, stage in stages.items()}
        return [
            Stage(
                name=name,
                command=stages[name].cmd,
                outs=tuple(sorted(out.def_path for out in stages[name].outs)),
                needs=frozenset(needs[name]),
                notebook=any(dep.def_path.endswith(".ipynb") for dep in stages[name].deps),
            )
            for name in sort_stages(needs)
        ]


def choose(stages: Sequence[Stage], names: Sequence[str]) -> list[Stage]:
    """Return the stages with these names and all stages they depend on; all stages without names.

    Failed for an unknown name.
    """
    known = {stage.name.partition("@")[0] for stage in stages}
    if unknown := sorted(set(names) - known):
        raise Failed(f"--stages: found {', '.join(unknown)}, known: {', '.join(sorted(known))}")
    wanted = {stage.name for stage in stages if not names or stage.name.partition("@")[0] in names}
    for stage in reversed(stages):
        wanted |= stage.needs if stage.name in wanted else set()
    return [stage for stage in stages if stage.name in wanted]


def emulated(folder: Path, cpu: str, preload: bool = False) -> Machine:
    """Return a machine with an emulated processor; the kernel release, `-r`, identifies its processes."""
    prefix = (shutil.which(EMULATOR) or EMULATOR, "-r", release(cpu), "-cpu", cpu)
    return Machine(cpu, folder / cpu, cpu, prefix, server=Server() if preload else None)


def serve(machine: Machine) -> int:
    """Start a machine's server and return its port. Failed when it does not start."""
    log = machine.folder / "server.log"
    for _ in range(TRIES):
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [machine.python, SERVER], cwd=machine.tree, env=environment(machine), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, start_new_session=True, umask=machine.umask,
            )  # fmt: skip
        RUNNING.add(process)
        assert process.stdout is not None
        if line := process.stdout.readline():
            return int(line)
    end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
    raise Failed(f"the server of {machine.name} did not start, its log ends:\n{end}")


def release(cpu: str) -> str:
    """Return the kernel release of an emulated machine."""
    return f"6.1.0-{cpu.lower()}"


def write_wrapper(machine: Machine) -> None:
    """Write the script that all commands find as `python`, and all child processes as `sys.executable`."""
    values = {
        "EXACT_PYTHON": machine.python,
        "EXACT_CPU": machine.cpu,
        "EXACT_RELEASE": release(machine.cpu),
        "EXACT_FORBIDDEN": FORBIDDEN,
        "EXACT_PROCESSES": machine.processes,
    }
    lines = [f"export {name}={shlex.quote(str(value))}" for name, value in values.items()]
    guard = shlex.quote(str(ROOT / "tools" / "exact"))
    lines += [f"export PYTHONPATH={guard}${{PYTHONPATH:+:$PYTHONPATH}}"]
    lines += [f'exec {shlex.join([*machine.prefix, sys.executable])} "$@"']
    machine.python.parent.mkdir(parents=True)
    machine.python.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    machine.python.chmod(0o755)
    (machine.python.parent / "python3").symlink_to("python")


def environment(machine: Machine) -> dict[str, str]:
    """Return this process's environment with the machine's settings and its wrapper first on PATH."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OTHERS)}
    return {
        **kept,
        **machine.settings,
        "PATH": os.pathsep.join([str(machine.python.parent), os.environ.get("PATH", os.defpath)]),
    }


def run(machine: Machine, stage: Stage) -> Ended:
    """Run a stage's command in a machine's copy, with a retry after a crash of the emulator. Failed when it fails."""
    started = time.monotonic()
    log = machine.folder / "logs" / f"{stage.name}.log"
    log.parent.mkdir(exist_ok=True)
    for crashes in range(TRIES):
        code = start(machine, stage.command, log)
        output = log.read_text(encoding="utf-8", errors="replace")
        if code == 0:
            return Ended(time.monotonic() - started, crashes)
        if CRASH not in output:
            break
        for out in stage.outs:  # as DVC does before each run
            shutil.rmtree(machine.tree / out, ignore_errors=True)
            (machine.tree / out).unlink(missing_ok=True)
    end = "\n".join(output.splitlines()[-20:])
    raise Failed(f"{stage.name} on {machine.name}: exit code {code}, its log {log} ends:\n{end}")


def start(machine: Machine, command: str, log: Path) -> int:
    """Run a command and return its exit code; after `SECONDS` it is killed with its children, with code 124."""
    if machine.server is not None:
        python, *words = shlex.split(command)
        if python != "python" or not words:
            raise Failed(f"--preload runs commands that start with `python SCRIPT`, found: {command}")
        return machine.server.run(machine, words, log)
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=machine.tree, env=environment(machine), stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, start_new_session=True, umask=machine.umask,
        )  # fmt: skip
        RUNNING.add(process)
        try:
            return process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            stop(process)
            RUNNING.discard(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and everything it started, if it is still running."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def hashes(tree: Path, outs: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of every file of a stage's outputs, by its path in the checkout."""
    files = [
        path for out in outs for path in ([tree / out] if (tree / out).is_file() else sorted((tree / out).rglob("*")))
    ]
    return {
        path.relative_to(tree).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def first_difference(found: Mapping[str, dict[str, str]]) -> str:
    """Return the first file, by name, that differs between the first machine and another; empty when all are equal."""
    first, *others = found
    for file in sorted(set().union(*found.values())):
        for other in others:
            expected, actual = (found[name].get(file, "absent") for name in (first, other))
            if expected != actual:
                return f"{file}: {expected} on {first}, {actual} on {other}"
    return ""


def run_all(machines: Sequence[Machine], stages: Sequence[Stage], jobs: int) -> Progress:
    """Run every stage on every machine, `jobs` at a time. Failed at the first failure or difference."""
    progress = Progress()
    nodes = {(stage.name, machine.name): (stage, machine) for stage in stages for machine in machines}
    order = TopologicalSorter(
        {node: [(before, node[1]) for before in sorted(stage.needs)] for node, (stage, _) in nodes.items()}
    )
    order.prepare()
    running: dict[Future[Ended], tuple[str, str]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while order.is_active():
                for node in order.get_ready():
                    stage, machine = nodes[node]
                    running[pool.submit(run, machine, stage)] = node
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    node = running.pop(future)
                    book(progress, *nodes[node], future.result(), len(machines))
                    order.done(node)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(RUNNING):
                stop(process)
    return progress


def book(progress: Progress, stage: Stage, machine: Machine, ended: Ended, machines: int) -> None:
    """Record a stage that ended, and compare its outputs once all machines have run it. Failed for the first
    difference.
    """
    written = hashes(machine.tree, stage.outs)
    if not written:
        raise Failed(f"{stage.name} on {machine.name}: it wrote none of {', '.join(stage.outs)}")
    found = progress.found.setdefault(stage.name, {})
    found[machine.name] = written
    progress.seconds[machine.name] += round(ended.seconds)
    progress.crashes += ended.crashes
    again = f", started again {ended.crashes} times because the emulator crashed" if ended.crashes else ""
    say(f"  {stage.name} on {machine.name}: {ended.seconds:.0f} s{again}")
    if len(found) == machines:
        if difference := first_difference(found):
            raise Failed(f"{stage.name}: the first output that differs is {difference}")
        say(f"{stage.name}: {len(written)} files equal")


def check_processes(machine: Machine, stages: Sequence[Stage]) -> int:
    """Return the number of registered interpreters of a machine.

    Failed when a stage or a notebook's kernel is missing among them.
    """
    rows = [json.loads(line) for line in machine.processes.read_text(encoding="utf-8").splitlines()]
    lines = Counter(shlex.join(row["argv"]) for row in rows)
    wanted = Counter(shlex.join(shlex.split(stage.command)[1:]) for stage in stages)
    if missing := wanted - lines:
        raise Failed(f"{machine.name}: no emulated interpreter ran {next(iter(missing))}")
    kernels = sum("ipykernel_launcher" in row["argv"] for row in rows)
    notebooks = sum(stage.notebook for stage in stages)
    if kernels < notebooks:
        raise Failed(f"{machine.name}: {kernels} kernels for {notebooks} notebooks: the others ran without the wrapper")
    if any(row["cpu"] != machine.cpu for row in rows):
        raise Failed(f"{machine.name}: an interpreter of another machine signed its list")
    return len(rows)


def has_avx512() -> bool:
    """Return whether numpy finds AVX-512 on this machine."""
    answer = subprocess.run([sys.executable, "-c", AVX512], capture_output=True, text=True, check=True).stdout
    return answer.strip() == "True"


def compare(
    machines: Sequence[Machine],
    source: Path,
    profile: str,
    languages: Sequence[str],
    *,
    names: Sequence[str],
    jobs: int,
) -> None:
    """Copy the checkout to each machine, run the stages everywhere, compare their outputs, and report.

    `names` are the stages to run, none for all; `jobs` is the number of commands at a time. Failed for a failure or
    difference.
    """
    for machine in machines:
        write_wrapper(machine)
        copy_sources(source, machine.tree, profile, languages)
    stages = choose(read_stages(machines[0].tree), names)
    say(f"{profile}: {len(stages)} stages on {', '.join(machine.name for machine in machines)}")
    progress = run_all(machines, stages, jobs)
    for machine in machines:
        count = check_processes(machine, stages)
        say(f"{machine.name}: {len(stages)} stages, {count} interpreters, {progress.seconds[machine.name]} s")
    if progress.crashes:
        say(f"the emulator crashed {progress.crashes} times; what it ran was started again")
    files = sum(len(found[machines[0].name]) for found in progress.found.values())
    say(f"exact: {files} files of {len(stages)} stages have the same bytes on {len(machines)} machines")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command-line arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", default="tiny")
    parser.add_argument("--languages", nargs="*", default=[], help="instead of those of params.yaml")
    parser.add_argument(
        "--stages", nargs="*", default=[], help="only these, by their names in dvc.yaml, and all before"
    )
    parser.add_argument("--cpus", nargs="+", default=CPUS, help=f"names that `{EMULATOR} -cpu help` lists")
    parser.add_argument("--preload", action="store_true", help="stages are forks of one interpreter a machine: faster")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="commands at a time")
    parser.add_argument("--source", type=Path, default=ROOT, help="the checkout to prove")
    parser.add_argument("--work", type=Path, default=ROOT / ".work" / "exact", help="folder for the copies; emptied")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Prove that the outputs are equal; return an exit code as in the module's docstring."""
    args = parse(argv)
    args.work = args.work.resolve()
    shutil.rmtree(args.work, ignore_errors=True)
    if not shutil.which(EMULATOR):
        say(f"error: found no {EMULATOR}, which shows the stages another processor: {INSTALL}")
        return 2
    native = has_avx512()
    here = Machine(NATIVE, args.work / NATIVE, server=Server() if args.preload else None)
    try:
        machines = [here, *(emulated(args.work, cpu, args.preload) for cpu in args.cpus)]
        compare(machines, args.source, args.profile, args.languages, names=args.stages, jobs=args.jobs)
    except Failed as error:
        say(f"NOT EXACT: {error}")
        return 1
    if not native:
        say("note: this machine has no AVX-512 itself, so nothing was compared with it: run this where it is present")
    shutil.rmtree(args.work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
