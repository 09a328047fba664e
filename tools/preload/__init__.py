"""Start stages without loading their libraries each time: a server has them loaded and forks for each stage.

`libraries` starts the server (server.py) and yields an environment for starting stages. Its PATH begins with a folder
whose `python` (client.py) sends the command to the server and exits when the stage exits. Commands that the server
cannot run exactly as a new interpreter would are run by a new interpreter. The server exits after the process that
started it, when all its stages have ended.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def libraries(source: Path, environment: Mapping[str, str], log: Path) -> Iterator[dict[str, str]]:
    """Run a server with the libraries that the code in `source` imports; its errors go to `log`.

    Yield `environment` with the server's `python` first on PATH. Commands wait until the libraries are loaded.
    """
    folder = Path(tempfile.mkdtemp(prefix="preload-"))
    python = folder / "python"
    command = shlex.join([sys.executable, "-I", "-S", str(HERE / "client.py"), str(folder), sys.executable])
    python.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    changed = {**environment, "PATH": os.pathsep.join([str(folder), environment.get("PATH", os.defpath)])}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        server = subprocess.Popen(
            [sys.executable, HERE / "server.py", folder, source.resolve()],
            env=changed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
        )  # fmt: skip
    assert server.stdin is not None and server.stdout is not None
    server.stdout.readline()  # sent once the server listens
    try:
        yield changed
    finally:
        server.stdin.close()
        server.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
