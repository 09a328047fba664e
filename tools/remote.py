"""`dvc pull` or `dvc push` of the active profile, followed by one line that explains a failure of the remote.

DVC's own output comes first. A remote on the network is contacted before DVC starts, because DVC's clients retry for
minutes when no server responds. A pull that fails leaves each output unchanged or complete.

Exit codes: 0 all was transferred, 1 something was not, 2 the pipeline or the remote's settings cannot be read.
"""

import argparse
import json
import logging
import re
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import _path  # noqa: F401
import without_git
from clseave.foundation.process import interrupts

PATIENCE = 10.0  # seconds to wait for a connection
PORTS = {"http": 80, "https": 443}
# Patterns in error messages of the libraries that DVC uses, by their meaning.
REFUSED = re.compile(
    r"\b(?:401|403)\b|Unauthorized|Forbidden|Access ?Denied|credentials|InvalidAccessKey|SignatureDoesNotMatch"
    r"|(?:Expired|Invalid)Token|TokenRefresh|Permission ?denied",
    re.IGNORECASE,
)
SILENT = re.compile(
    r"could not connect|cannot connect|failed to connect|connection (?:refused|reset|closed|was closed)"
    r"|time(?:d )?out|name (?:or service|resolution)|unreachable|disconnected",
    re.IGNORECASE,
)
NO_BUCKET = re.compile(r"NoSuchBucket|bucket does not exist", re.IGNORECASE)
READ_ONLY = re.compile(r"\b(?:405|501)\b|Method Not Allowed|Unsupported method", re.IGNORECASE)
NOT_THERE = re.compile(
    r"missing|failed to download|failed to pull|not found|\b404\b|corrupted|does not exist|"
    r"Checkout failed|failed to load",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Remote:
    """The active profile's remote: its name, its URL, and the URL of its server if it has one of its own."""

    name: str
    url: str
    server: str | None

    def __str__(self) -> str:
        return f"remote {self.name} ({self.url})"


class Errors(logging.Handler):
    """A logging handler that collects errors with the exceptions that caused them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a record."""
        error = record.exc_info[1] if record.exc_info else None
        self.texts.append(record.getMessage())
        while error is not None:
            self.texts.append(f"{type(error).__name__}: {error}")
            error = error.__cause__ or error.__context__


def read_remote() -> Remote:
    """Return the remote named like the active profile. DvcException, OSError or KeyError when there is none."""
    from dvc.repo import Repo
    from ruamel.yaml import YAML

    with Repo() as repo, open(f"{repo.root_dir}/params.yaml", encoding="utf-8") as stream:
        name = str(YAML(typ="safe", pure=True).load(stream)["profile"])
        settings = repo.config["remote"][name]
    url = str(settings["url"])
    server = settings.get("endpointurl") or (url if url.startswith(("http:", "https:")) else None)
    return Remote(name, without_password(url), server)


def without_password(url: str) -> str:
    """Return a URL without its password, so that it can be printed."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url)


def call(server: str) -> str:
    """Return why a server cannot be reached; empty when it can."""
    parts = urlsplit(server)
    try:
        port = parts.port or PORTS.get(parts.scheme, 443)
        socket.create_connection((parts.hostname or "", port), PATIENCE).close()
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    return ""


def explain(remote: Remote, action: str, said: str) -> str:
    """Return one line for the user: the cause, as far as DVC's messages tell it, and what to do."""
    local = f"dvc remote modify --local {remote.name}"
    if NO_BUCKET.search(said):
        return f"{remote} has no such bucket: make it, or correct the address with `{local} url ...`"
    if READ_ONLY.search(said) and action == "push":
        return f"{remote} takes no uploads: it is for reading, or wants another method (`{local} method PUT`)"
    if REFUSED.search(said):
        return (
            f"{remote} refused, for want of the right credentials or permissions: give them with `{local} "
            "access_key_id ...` and `secret_access_key ...` (S3; or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or "
            "`auth basic`, `user ...` and `password ...` (HTTP); never without --local"
        )
    if SILENT.search(said):
        return f"{remote} does not answer: check the address, the network and the server, then run again"
    if NOT_THERE.search(said) and action == "pull":
        return (
            f"{remote} lacks objects, or holds damaged ones, named above: run `make verify VERIFY_FLAGS=--network` and "
            "`make push` where they were made, or compute them here (`make reproduce`); what did arrive is whole"
        )
    return f"{remote}: {action} failed, for the reason above"


def not_arrived() -> list[str]:
    """Return outputs with objects missing in the cache: a pull drops damaged objects and may still succeed."""
    from dvc.repo import Repo

    from verify import read_outputs

    found = []
    with Repo() as repo:
        cache = repo.cache.local
        for output in read_outputs(repo)[0]:
            names, listed = {output.name}, Path(cache.oid_to_path(output.name))
            if output.name.endswith(".dir") and listed.is_file():
                names |= {row["md5"] for row in json.loads(listed.read_text(encoding="utf-8"))}
            if output.cached and not all(Path(cache.oid_to_path(name)).is_file() for name in names):
                found.append(output.path)
    return found


def run_dvc(action: str, flags: Sequence[str]) -> tuple[int, str]:
    """Run DVC in this process, so that its progress bars work; return its exit code and the errors it logged."""
    from dvc.cli import main as dvc

    errors = Errors()
    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).addHandler(errors)
    return dvc([action, *flags]), "\n".join(errors.texts)


def main(argv: Sequence[str] | None = None) -> int:
    """Pull or push; return an exit code as in the module's docstring. Unknown flags are passed to DVC."""
    from dvc.exceptions import DvcException

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("action", choices=["pull", "push"])
    args, flags = parser.parse_known_args(argv)
    try:
        without_git.allow_without_git()
        remote = read_remote()
    except (DvcException, OSError, KeyError) as error:
        print(f"{args.action}: no remote can be read: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if remote.server and (reason := call(remote.server)):
        print(f"{args.action}: {remote} does not answer at {remote.server}: {reason}: ", end="", file=sys.stderr)
        print("check the address, the network and the server, then run again", file=sys.stderr)
        return 1
    code, said = run_dvc(args.action, flags)
    if not code and args.action == "pull" and not flags and (lost := not_arrived()):
        code, said = 1, f"missing: {', '.join(lost)}"
        print(f"ERROR: {said}", file=sys.stderr)
    if code:
        print(f"{args.action}: {explain(remote, args.action, said)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
