"""Start stages without loading their libraries each time: one process has them loaded and forks for each stage.

`libraries` starts that process (server.py) and gives the environment for what starts stages: its PATH begins with a
folder whose `python` (client.py) hands a command to the server and ends as the stage ends. What the server cannot run
as a new interpreter would run it, a new interpreter runs. The server ends with the process that started it, once its
stages have ended.
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
    """For the block, a server with the libraries that the code in the folder `source` imports; its errors go to `log`.

    Gives `environment` with the server's `python` first on PATH. Commands wait for it until the libraries are loaded.
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
    server.stdout.readline()  # it listens
    try:
        yield changed
    finally:
        server.stdin.close()
        server.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
