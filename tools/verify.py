"""Verify the hashes in dvc.lock of the active profile: in the workspace, the cache and the profile's remote.

DVC trusts the name of a read-only cache file and the modification time of an output, so it misses a corrupted byte.
This program reads every byte, lists what is damaged or missing, and prints the commands that fix it. A remote that is a
folder is read completely, one on the network only with `--network`; other profiles' objects in the cache are hashed
too.

Exit codes: 0 all is sound, 1 something is damaged or missing, 2 nothing could be read.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _path  # noqa: F401
import without_git
from clseave.foundation.files import hashing
from clseave.foundation.process import interrupts

SOUND, DAMAGED, MISSING = "sound", "damaged", "missing"
OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")
EMBEDDED = "mini"  # the profile whose remote is committed in git


class UnreadableError(Exception):
    """The pipeline or a remote cannot be read; the message says why in one line."""


@dataclass(frozen=True)
class Output:
    """An output of a stage as recorded in dvc.lock: its path and its hash (`<md5>.dir` for a folder)."""

    stage: str
    path: str
    name: str
    cached: bool  # in DVC's cache; else in git


@dataclass
class Place:
    """Objects by name, in the cache or a remote. `odb` is DVC's object database; `states` are the results so far."""

    label: str
    odb: Any
    states: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path | None:
        """The folder of the objects, unless they are on the network."""
        return Path(self.odb.path) if self.odb.fs.protocol == "local" else None

    def state(self, name: str) -> str:
        """Return SOUND, DAMAGED or MISSING."""
        if name not in self.states:
            self.states[name] = self._read(name)
        return self.states[name]

    def _read(self, name: str) -> str:
        try:
            with self.odb.fs.open(self.odb.oid_to_path(name), "rb") as stream:
                return SOUND if md5(stream) == name.removesuffix(".dir") else DAMAGED
        except FileNotFoundError:
            return MISSING
        except OSError as error:
            if self.folder is not None and error.strerror:  # a read error of the disk
                return DAMAGED
            raise UnreadableError(f"{self.label} cannot be read: {error}") from error

    def read_all(self) -> int:
        """Hash every object in a folder; return the number of other files there, which a killed DVC may leave."""
        others = 0
        for path in sorted(self.folder.rglob("*")) if self.folder is not None else ():
            name = path.parent.name + path.name
            if path.is_file() and OBJECT.fullmatch(name):
                self.state(name)
            others += path.is_file() and not OBJECT.fullmatch(name)
        return others

    def members(self, name: str) -> dict[str, str] | None:
        """Return the hashes of an output folder's files by path; None when its list is missing or damaged here."""
        if self.state(name) != SOUND:
            return None
        with self.odb.fs.open(self.odb.oid_to_path(name), "rb") as stream:
            return {row["relpath"]: row["md5"] for row in json.load(stream)}

    def path(self, name: str) -> str:
        """Return the path of an object, as a person would type it."""
        return shown(self.odb.oid_to_path(name))


@dataclass
class Fault:
    """What is wrong with an output, line by line, and the command that fixes it."""

    title: str
    lines: list[str]
    fix: str


def md5(stream: Any) -> str:
    """Return the MD5 hash of a file that was just opened, by which DVC names objects."""
    return hashing.of_stream(stream, "md5")


def shown(path: str | Path) -> str:
    """Return a path relative to the working folder if it is in it."""
    path, here = str(path), f"{Path.cwd()}/"
    return path.removeprefix(here)


def workspace(output: Output) -> dict[str, str]:
    """Return the hashes of an output's files in the workspace by path; a single file has the path ''.

    A dangling link counts as missing.
    """
    root = Path(output.path)
    if not output.name.endswith(".dir"):
        return {"": hash_file(root)} if root.is_file() else {}
    return {path.relative_to(root).as_posix(): hash_file(path) for path in sorted(root.rglob("*")) if path.is_file()}


def hash_file(path: Path) -> str:
    """Return the hash of a file, or a text that is not a hash when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return md5(stream)
    except OSError as error:
        return f"unreadable ({error.strerror})"


def folder_name(members: dict[str, str]) -> str:
    """Return DVC's name of a folder with these files."""
    rows = [{"md5": members[path], "relpath": path} for path in sorted(members)]
    return hashing.of_text(json.dumps(rows, sort_keys=True), "md5") + ".dir"


def wrong_files(output: Output, wanted: dict[str, str] | None) -> dict[str, str]:
    """Return what is wrong in the workspace, by path in the output; without `wanted`, for the output as a whole."""
    found = workspace(output)
    if wanted is None:
        name = folder_name(found) if output.name.endswith(".dir") else found.get("")
        return {} if name == output.name else {"": "differs from dvc.lock" if found else MISSING}
    odd = {path: MISSING if path not in found else "differs from dvc.lock" for path in wanted}
    odd = {path: word for path, word in odd.items() if found.get(path) != wanted[path]}
    return odd | dict.fromkeys(sorted(found.keys() - wanted.keys()), "does not belong there")


def examine(output: Output, cache: Place, remote: Place | None) -> list[Fault]:
    """Return the faults of an output: at most one here, and one in its remote."""
    places = [cache, *([remote] if remote else [])] if output.cached else []
    folder = output.name.endswith(".dir")
    listings = (place.members(output.name) for place in places) if folder else iter([{"": output.name}])
    wanted = next((listing for listing in listings if listing is not None), None)
    names = sorted({output.name, *(wanted or {}).values()})
    files = wrong_files(output, wanted)
    title = f"{output.path} ({output.stage})"
    lines = [f"workspace: {Path(output.path, path)}: {word}" for path, word in files.items()]
    if not output.cached:
        return [Fault(title, lines, f"git restore {shlex.quote(output.path)}")] if lines else []
    here = [name for name in names if cache.state(name) != SOUND]
    lines += [f"cache: {cache.path(name)}: {cache.state(name)}" for name in here]
    faults = [Fault(title, lines, fix_here(output, files, here, cache, remote))] if lines else []
    there = [name for name in names if remote and remote.state(name) != SOUND]
    if remote and there:
        lines = [f"{remote.label}: {remote.path(name)}: {remote.state(name)}" for name in there]
        faults.append(Fault(title, lines, fix_there(output, there, cache, remote)))
    return faults


def fix_here(output: Output, files: dict[str, str], objects: list[str], cache: Place, remote: Place | None) -> str:
    """Return commands that remove damaged files and restore them: from cache, remote or workspace, or by computing."""
    odd = [str(Path(output.path, path)) for path, word in files.items() if word != MISSING]
    odd += [cache.path(name) for name in objects if cache.state(name) == DAMAGED]
    path = shlex.quote(output.path)
    if not objects:
        again = f"dvc checkout {path}"
    elif remote and all(remote.state(name) == SOUND for name in objects):
        again = f"dvc pull {path}"
    elif not files:
        again = f"dvc commit {output.stage}"
    else:
        again = f"dvc repro --force --single-item {output.stage}"
    return " && ".join([*([f"rm -rf {shlex.join(odd)}"] if odd else []), again])


def fix_there(output: Output, objects: list[str], cache: Place, remote: Place) -> str:
    """Return commands that restore objects in the remote: from git when it is committed there, else from the cache.

    A push would not suffice: when a folder's list is in the remote, DVC assumes that its files are too.
    """
    paths = [remote.path(name) for name in objects]
    if remote.label == f"remote {EMBEDDED}":
        return f"git restore {shlex.join(paths)}" if in_git(paths) else "make publish"
    if remote.folder is None:
        paths = sorted({*paths, remote.path(output.name)})
        return f"delete {' and '.join(paths)} if they are there, then dvc push {shlex.quote(output.path)}"
    copies = [f"install -D -m 644 {shlex.join([cache.path(name), remote.path(name)])}" for name in objects]
    return " && ".join(copies)


def in_git(paths: Sequence[str]) -> bool:
    """Return whether git tracks all of these files."""
    command = ["git", "ls-files", "--error-unmatch", "--", *paths]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unreferenced(cache: Place, outputs: Sequence[Output]) -> Iterator[Fault]:
    """Yield damaged objects of the cache that belong to no output of this profile, or only to a damaged folder."""
    named = {output.name for output in outputs}
    for output in outputs:
        named |= set((cache.members(output.name) or {}).values()) if output.name.endswith(".dir") else set()
    for name, state in sorted(cache.states.items()):
        if state == DAMAGED and name not in named:
            line = f"cache: {cache.path(name)}: {state}"
            yield Fault("of another run or profile", [line], f"rm -f {shlex.quote(cache.path(name))}")


def read_outputs(repo: Any) -> tuple[list[Output], int]:
    """Return the recorded outputs of the active pipeline, in order, and the number of outputs not recorded yet."""
    outs = [(stage, out) for stage in repo.index.stages for out in stage.outs]
    known = [
        Output(stage.addressing, shown(out.fs_path), out.hash_info.value, bool(out.use_cache))
        for stage, out in outs
        if out.hash_info
    ]
    return known, len(outs) - len(known)


def open_remote(repo: Any, outputs: Sequence[Output], network: bool) -> tuple[Place | None, str]:
    """Return the profile's remote, or the reason why it is not read: missing, never pushed to, or on the network."""
    profile = outputs[0].stage.partition("@")[2].split("-")[0] if outputs else ""
    if profile not in repo.config["remote"]:
        return None, f"profile {profile} has no remote"
    place = Place(f"remote {profile}", repo.cloud.get_remote_odb(profile))
    if place.folder is not None and not place.folder.is_dir():
        return None, f"nothing was pushed to {place.label} yet"
    if place.folder is None and not network:
        return None, f"{place.label} is on the network: --network reads it too"
    return place, ""


def verify(network: bool) -> tuple[list[Fault], str]:
    """Return all faults, and a summary of what was read, in one line.

    Raises:
        UnreadableError: when the pipeline cannot be parsed, DVC is running already, or the remote does not respond.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo() as repo, repo.lock:
            outputs, unknown = read_outputs(repo)
            cache = Place("cache", repo.cache.local)
            others = cache.read_all()
            remote, note = open_remote(repo, outputs, network)
            others += remote.read_all() if remote else 0
            if not cache.states and not any(Path(output.path).exists() for output in outputs if output.cached):
                faults = [Fault("workspace and cache", ["no cached output is here: a fresh clone?"], "make pull")]
            else:
                faults = [fault for output in outputs for fault in examine(output, cache, remote)]
                faults += unreferenced(cache, outputs)
    except LockError as error:
        raise UnreadableError("another dvc is at work here: wait for it, then run again") from error
    except DvcException as error:
        raise UnreadableError(" ".join(str(error).split())) from error
    counts = [f"{len(outputs)} outputs", f"{len(cache.states)} objects in the cache"]
    counts += [f"{len(remote.states)} in {remote.label}"] if remote else [note]
    counts += [f"{unknown} outputs not in dvc.lock yet"] if unknown else []
    counts += [f"{others} files that are no objects, as a killed run leaves them"] if others else []
    return faults, ", ".join(counts)


def main(argv: Sequence[str] | None = None) -> int:
    """Verify and report; return an exit code as in the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", action="store_true", help="also read a remote on the network, object by object")
    args = parser.parse_args(argv)
    without_git.allow_without_git()
    try:
        faults, counts = verify(args.network)
    except UnreadableError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    for fault in faults:
        print("\n  ".join([f"{fault.title}:", *fault.lines, f"fix: {fault.fix}"]))
    if faults:
        print(f"verify: {len(faults)} faults ({counts}): run the commands after `fix:`, from the top, and again")
        return 1
    print(f"verify: sound ({counts})")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
