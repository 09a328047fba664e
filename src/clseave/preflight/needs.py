"""Requirements of a long run, compared with the machine: memory, disk, GPU, DVC remote."""

import os
import re
import socket
import subprocess
import sys
import tarfile
import textwrap
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import requests

from clseave.foundation.settings.schema import Device
from clseave.preflight.findings import Finding, State

SLACK = 0.94  # a machine sold with 16 GiB reports a little less
LISTING = """
import sys
from dvc.repo import Repo
store = Repo().cloud.get_remote_odb(name=sys.argv[1])
try:
    store.fs.ls(store.path)
except FileNotFoundError as error:  # nothing was pushed yet
    if "bucket" in str(error):
        raise
"""


@dataclass(frozen=True)
class Gpu:
    """The GPU as torch sees it: CUDA version of its build (None: CPU only), name and memory (2**30 bytes)."""

    cuda_build: str | None
    name: str | None = None
    memory_gb: float = 0.0
    visible: str | None = None  # CUDA_VISIBLE_DEVICES


def root_cause(error: BaseException) -> str:
    """Return the innermost cause of an error, shortened."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return shortened(str(error)) or type(error).__name__


def shortened(text: str) -> str:
    """Return a text on one line without the memory addresses of objects."""
    return textwrap.shorten(re.sub(r"<[^<>]* object at 0x[^<>]*>[,:]? ?", "", text), 100, placeholder=" ...")


def no_answer(url: str, seconds: float) -> str | None:
    """Return why a URL cannot be fetched, or None. A host that refuses HEAD requests counts as available."""
    try:
        response = requests.head(url, timeout=seconds, allow_redirects=True)
    except requests.RequestException as error:
        return root_cause(error)
    return None if response.ok or response.status_code in (405, 501) else f"answers {response.status_code}"


def unreachable(url: str, seconds: float) -> str | None:
    """Return why no connection to a URL's host, or to its proxy, can be opened, or None. No data is sent."""
    target = urlsplit(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) or url)
    try:
        port = target.port or {"http": 80}.get(target.scheme, 443)
        socket.create_connection((target.hostname or "", port), timeout=seconds).close()
    except OSError as error:
        return root_cause(error)
    return None


def compressed(path: Path) -> bool:
    """Return whether listing the archive's members requires decompressing it: a minute for a tar.gz of Flickr30k."""
    if path.is_dir() or zipfile.is_zipfile(path):
        return False
    try:
        tarfile.open(path, "r:").close()
    except tarfile.TarError:
        return tarfile.is_tarfile(path)
    return False


def memory_gb() -> float:
    """Return the memory of the machine, or of the container if that is less, in 2**30 bytes."""
    total = psutil.virtual_memory().total
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup 2 and 1
        path = Path("/sys/fs/cgroup") / limit
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            total = min(total, int(text))
    return total / 2**30


def judge_memory(gb: float, needed: float) -> Finding:
    """Compare the memory with what the run needs, both in 2**30 bytes."""
    if gb >= needed * SLACK:
        return Finding("ok", f"{gb:.0f} GiB")
    return Finding("missing", f"{gb:.1f} GiB, the run needs {needed:.0f}", "run it on a machine with more memory")


def judge_disk(free: float, made: float, parts: dict[str, float], folder: Path) -> Finding:
    """Compare the free space with the sizes of outputs in `parts`, less what is `made` already; all in 1e9 bytes."""
    needed = max(0.0, sum(parts.values()) - made)
    made_of = ", ".join(f"{name} {size:.1f}" for name, size in parts.items())
    said = f"{free:.0f} GB free, {needed:.0f} GB needed ({made_of}{f'; made {made:.1f}' if made >= 0.1 else ''})"
    if free >= needed:
        return Finding("ok", said)
    return Finding("missing", said, f"make room on the disk of {folder}, or clone the repository to a larger one")


def find_gpu() -> Gpu:
    """Return the first GPU that torch sees."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    build = torch.version.cuda or getattr(torch.version, "hip", None)
    with warnings.catch_warnings(action="ignore"):  # "found no NVIDIA driver": reported by `judge_gpu`
        available = torch.cuda.is_available()
    if not available:
        return Gpu(build, visible=visible)
    seen = torch.cuda.get_device_properties(0)
    return Gpu(build, seen.name, seen.total_memory / 2**30, visible)


def judge_gpu(gpu: Gpu, device: Device, needed: float) -> Finding:
    """Check that torch can use a GPU with `needed` 2**30 bytes, or say why not; with `auto` the CPU is used instead."""
    if device == "cpu":
        return Finding("note", "not used: the profile says `device: cpu`, which takes many times longer")
    absent: State = "missing" if device == "cuda" else "note"
    instead = "" if device == "cuda" else "; with `device: auto` the run takes the CPU, which is many times slower"
    if gpu.cuda_build is None:
        return Finding(
            absent,
            f"this torch is a build for the CPU only{instead}",
            "make setup TORCH_INDEX=<index of torch's CUDA builds>   (pytorch.org, Get Started, names it)",
        )
    if gpu.name is None and gpu.visible is not None:
        hidden = f"torch (CUDA {gpu.cuda_build}) sees no GPU, and CUDA_VISIBLE_DEVICES is {gpu.visible!r}{instead}"
        return Finding(absent, hidden, "unset CUDA_VISIBLE_DEVICES   (or name a GPU that nvidia-smi lists)")
    if gpu.name is None:
        found = f"torch is a build for CUDA {gpu.cuda_build}, but sees no GPU{instead}"
        fix = f"nvidia-smi   (shows whether GPU and driver are there; the driver must support CUDA {gpu.cuda_build})"
        return Finding(absent, found, fix)
    if gpu.memory_gb < needed * SLACK:
        fix = "lower batch_size of clip_ve, clteave and clseave in the profile, or take a larger GPU"
        return Finding("missing", f"{gpu.name} has {gpu.memory_gb:.0f} GiB, the run needs {needed:.0f}", fix)
    return Finding("ok", f"{gpu.name}, {gpu.memory_gb:.0f} GiB")


def config_line(root: Path, remote: str) -> tuple[str, str] | None:
    """Return the `url` of a DVC remote, and the file and line that define it; config.local overrides config."""
    for name in ("config.local", "config"):
        path = root / ".dvc" / name
        inside = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else [], 1):
            key, _, value = line.partition("=")
            if line.strip().startswith("["):
                inside = re.fullmatch(rf"""\[['"]?remote\s+["']{remote}["']['"]?\]""", line.strip()) is not None
            elif inside and key.strip() == "url":
                return value.strip().strip("\"'"), f".dvc/{name}:{number}"
    return None


def judge_remote(root: Path, remote: str, seconds: float) -> Finding:
    """Check that the profile's DVC remote is usable: a local folder always, any other when its files can be listed."""
    known = config_line(root, remote)
    elsewhere = f"dvc remote modify --local {remote} url s3://bucket/path"
    if known is None:
        return Finding("missing", f".dvc/config names no remote {remote}", f"dvc remote add {remote} stores/{remote}")
    url, line = known
    scheme = url.partition("://")[0] if "://" in url else ""
    if not scheme:
        return Finding(
            "note", f"{line}: {url} is a local folder: results stay on this machine", f"to share: {elsewhere}"
        )
    reason = no_answer(url, seconds) if scheme in ("http", "https") else no_listing(root, remote, seconds)
    if reason is None:
        return Finding("ok", f"{line}: {url} answers")
    if "requires" in reason:  # DVC's message for a missing plug-in
        return Finding("missing", f"{line}: {url}: {reason}", f"{sys.executable} -m pip install 'dvc[{scheme}]'")
    fix = f"give credentials (dvc remote modify --local {remote} ...), or another place: {elsewhere}"
    return Finding("missing", f"{line}: {url}: {reason}", fix)


def no_listing(root: Path, remote: str, seconds: float) -> str | None:
    """Return why DVC cannot list a remote, or None; tried in a process that is stopped after `seconds`."""
    command = [sys.executable, "-c", LISTING, remote]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:.0f} s"
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return shortened(last.partition(": ")[2] or last) if done.returncode else None
