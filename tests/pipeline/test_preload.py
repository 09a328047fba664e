"""A stage that starts with its libraries loaded behaves as one that a new interpreter runs: tools/preload."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import preload
from clseave.foundation.process import single_instance

# Small code in place of ours: its one stage imports a library that nothing else here imports.
LIBRARY = "colorsys"
SOURCE = {
    "run.py": "import os\n\n\ndef set_environment():\n    os.environ['PINNED'] = 'yes'\n",
    "clseave/__init__.py": "",
    "clseave/stages/__init__.py": "",
    "clseave/stages/first.py": f"import {LIBRARY}\n",
}
# What a program sees of its surroundings.
PROBE = f"""
import json, logging, os, signal, sys
mask = os.umask(0)
seen = {{
    "argv": sys.argv, "path": sys.path, "environment": dict(os.environ), "folder": os.getcwd(), "umask": mask,
    "parent": os.getppid(), "name": __name__, "stdin": sys.stdin.read(), "handlers": len(logging.getLogger().handlers),
    "own code": sorted(name for name in sys.modules if name.startswith("clseave") or name == "run"),
    "descriptors": sorted(os.listdir("/proc/self/fd")), "executable": sys.executable,
    "signals": [str(signal.getsignal(one)) for one in (1, 2, 13, 15, 17)],
    "blocked": list(signal.pthread_sigmask(0, [])),
}}
print(json.dumps([seen, {LIBRARY!r} in sys.modules, os.environ.get("PINNED")]))
"""
AT_WORK = """
import os, sys, time
from pathlib import Path
print(os.getpid(), flush=True)
end = time.monotonic() + 600
while not Path(sys.argv[1]).exists() and time.monotonic() < end:
    time.sleep(0.01)
"""


def make_source(folder: Path) -> Path:
    for name, text in SOURCE.items():
        (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).write_text(text)
    return folder / "src"


def environment() -> dict[str, str]:
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment in which `python` is the server's."""
    folder = tmp_path_factory.mktemp("served")
    with preload.libraries(make_source(folder), environment(), folder / "log") as changed:
        yield changed
    assert (folder / "log").read_text() == ""


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(served: dict[str, str], tmp_path: Path) -> Start:
    """Start a program text as DVC starts a stage, by default with the libraries loaded."""

    def start(text: str, *words: str, python: str = "python", **more: str) -> "subprocess.Popen[str]":
        (tmp_path / "program.py").write_text(text)
        return subprocess.Popen(
            ["/bin/sh", "-c", " ".join(["exec", python, "program.py", *words])],
            cwd=tmp_path, env=served | more, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


@pytest.fixture(scope="module", autouse=True)
def hang_up() -> Iterator[None]:
    """SIGHUP ends programs that these tests start, also where nohup had it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def gone(process: int, seconds: float = 300) -> bool:
    """Whether a process ends in this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] not in "ZX":
                time.sleep(0.01)
                continue
        return True
    return False


def test_a_program_sees_what_a_new_interpreter_would_show_it(start: Start) -> None:
    found, before = [], os.umask(0o027)
    for python in ("python", sys.executable):
        process = start(PROBE, "a", "'b c'", python=python)
        seen, *loaded = json.loads(process.communicate("typed")[0])
        found.append((seen, loaded))
    os.umask(before)
    (seen, loaded), (wanted, not_loaded) = found
    assert (loaded, not_loaded) == ([True, "yes"], [False, None]), "with the settings that belong to the libraries"
    assert seen["environment"].pop("PINNED") and seen["argv"] == ["program.py", "a", "b c"]
    assert seen == wanted


@pytest.mark.parametrize(
    "text",
    [
        "print('said'); raise SystemExit(3)",
        "import sys; sys.exit('no luck')",
        "1 / 0",
        "import sys; sys.stdout.write('no line end'); sys.stderr.write('neither')",
        "import atexit; atexit.register(print, 'at the end')",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()",
        "import os; os.kill(os.getpid(), 15)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os._exit(7)",
        "open('made.txt', 'w').write('made')",
    ],
)
def test_a_program_ends_as_under_a_new_interpreter(start: Start, tmp_path: Path, text: str) -> None:
    found = []
    for python in ("python", sys.executable):
        process = start(text, python=python)
        out, errors = process.communicate()
        made = tmp_path / "made.txt"
        found.append((process.returncode, out, errors.splitlines()[-1:], made.read_text() if made.exists() else ""))
        made.unlink(missing_ok=True)
    assert found[0] == found[1]


def test_a_stage_that_ends_before_the_client_goes_on_is_not_run_again(tmp_path: Path, monkeypatch) -> None:
    """The server has answered and closed the connection by the time that the request is on its way."""
    from preload import client

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(1)

        def send(connection: socket.socket, parts: list[bytes], streams: list[int]) -> int:
            sent = connection.sendmsg(parts, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", streams))])
            with listener.accept()[0] as server:
                server.recv(1 << 20)
                server.sendall(b'{"process": 1}\n0\n')
            return sent

        monkeypatch.setattr(socket, "send_fds", send)
        with client.hand_over(tmp_path, ["stage.py"]) as answers:
            assert answers.read() == '{"process": 1}\n0\n'


def test_the_random_states_differ_between_forks(start: Start) -> None:
    text = "import random, uuid, tempfile; print(random.random(), tempfile.mktemp())"
    assert len({start(text).communicate()[0] for _ in range(3)}) == 3


def test_an_interrupt_is_one_line_and_exit_code_130(start: Start) -> None:
    own = f"import sys; sys.path.insert(0, {str(Path(preload.__file__).parents[1])!r})\n"
    process = start(
        f"{own}from clseave.foundation.process import interrupts; interrupts.end_in_one_line()\n{AT_WORK}", "never"
    )
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "interrupted: run the same command again to go on\n")
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_that_ends_the_client_ends_the_stage(start: Start, number: signal.Signals) -> None:
    process = start(AT_WORK, "never")
    stage = int(process.stdout.readline())
    assert stage != process.pid
    process.send_signal(number)
    assert process.wait(300) == -number and gone(stage)
    process.communicate()


def test_a_stage_that_is_killed_kills_its_client(start: Start) -> None:
    process = start(AT_WORK, "never")
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    assert process.wait(300) == -signal.SIGKILL
    process.communicate()


def test_two_at_once_each_with_its_own_files(start: Start, tmp_path: Path) -> None:
    text = (
        "import sys, time; from pathlib import Path; mine, other = sys.argv[1:]; Path(mine).touch()\n"
        "end = time.monotonic() + 600\n"
        "while not Path(other).exists() and time.monotonic() < end: time.sleep(0.01)\n"
        "print(mine, Path(other).exists())\n"
    )
    both = [start(text, *words) for words in (("one", "two"), ("two", "one"))]
    assert [process.communicate()[0] for process in both] == ["one True\n", "two True\n"]


def test_a_stage_ends_when_its_dvc_is_killed(served: dict[str, str], tmp_path: Path) -> None:
    source = str(Path(single_instance.__file__).parents[3])
    (tmp_path / "program.py").write_text(
        f"import os, sys; from pathlib import Path; sys.path.insert(0, {source!r})\n"
        "from clseave.foundation.process import single_instance\n"
        "single_instance.ensure_single(os.environ, Path('locks'))\n"
        f"{AT_WORK}"
    )
    for shell in ("python program.py never", "python program.py never; true"):
        command = f"import os, subprocess; subprocess.run(['/bin/sh', '-c', {shell!r}], "
        command += f"env=os.environ | {{{single_instance.VARIABLE!r}: 'a stage'}})"
        dvc = subprocess.Popen([sys.executable, "-c", command], cwd=tmp_path, env=served, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        stage = int(dvc.stdout.readline())
        assert not gone(stage, 0.2)
        dvc.kill()
        dvc.wait()
        assert gone(stage), "an orphan goes on"
        dvc.stdout.close()


def run_probe(tmp_path: Path, environment: dict[str, str], stdin: int = subprocess.DEVNULL) -> tuple[bool, str]:
    """Whether a program had the library loaded, and what was said beside."""
    (tmp_path / "program.py").write_text(f"import sys; print({LIBRARY!r} in sys.modules)")
    done = subprocess.run(["/bin/sh", "-c", "python program.py"], cwd=tmp_path, env=environment, stdin=stdin,
                          capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout == "True\n", done.stderr


def test_another_value_of_a_variable_that_libraries_read_starts_a_new_interpreter(tmp_path: Path) -> None:
    with preload.libraries(make_source(tmp_path), environment(), tmp_path / "log") as served:
        later = {"DVC_STAGE": "a", "CLSEAVE_CHECKPOINT_SECONDS": "0"}
        assert run_probe(tmp_path, served | later) == (True, "")
        loaded, said = run_probe(tmp_path, served | {"OMP_NUM_THREADS": "77"})
        assert not loaded and said == "note: OMP_NUM_THREADS differ: stages load their libraries themselves\n"
        assert run_probe(tmp_path, {**served, "PYTHONHASHSEED": "7"}) == (False, ""), "it is said once"


def test_a_terminal_gets_a_new_interpreter(served: dict[str, str], tmp_path: Path) -> None:
    """Libraries and Python itself ask whether they write to one when they load."""
    main, other = pty.openpty()
    assert run_probe(tmp_path, served, stdin=other) == (False, "")
    os.close(main)
    os.close(other)


def test_without_the_server_a_new_interpreter_does_the_work(tmp_path: Path) -> None:
    with preload.libraries(make_source(tmp_path), environment(), tmp_path / "log") as served:
        (server,) = servers(tmp_path)
        process = subprocess.Popen([Path(served["PATH"].partition(":")[0], "python"), make(tmp_path, AT_WORK), "never"],
                                   env=served, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)  # fmt: skip
        stage = int(process.stdout.readline())
        os.kill(server, signal.SIGKILL)
        assert gone(stage) and process.wait(300) == -signal.SIGKILL, "it takes its stages along"
        process.stdout.close()
        loaded, said = run_probe(tmp_path, served)
        assert not loaded and said.startswith("note: the server with the loaded libraries does not answer")
        assert run_probe(tmp_path, served) == (False, "")


def test_code_that_cannot_be_imported_is_left_to_the_stage(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    (source / "clseave/stages/first.py").write_text("import nothing_of_this_name\n")
    with preload.libraries(source, environment(), tmp_path / "log") as served:
        loaded, said = run_probe(tmp_path, served)
    assert not loaded and said.startswith("note: the server with the loaded libraries ")
    assert "No module named 'nothing_of_this_name'" in (tmp_path / "log").read_text()


def make(folder: Path, text: str) -> str:
    (folder / "program.py").write_text(text)
    return str(folder / "program.py")


def servers(folder: Path) -> list[int]:
    """Servers for the code below a folder, their forks not counted."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")
            if any(word.endswith("preload/server.py") for word in words) and f"{folder}/src" in words:
                found.append(int(process.name))
    return found


def test_the_server_ends_with_its_parent_and_after_its_last_stage(tmp_path: Path) -> None:
    make_source(tmp_path)
    make(tmp_path, AT_WORK)
    parent = (
        f"import os, subprocess, sys, time; sys.path.insert(0, {str(Path(preload.__file__).parents[1])!r})\n"
        "import preload; from pathlib import Path\n"
        "with preload.libraries(Path('src'), os.environ, Path('log')) as served:\n"
        "    print(served['PATH'].partition(':')[0], flush=True)\n"
        "    command = ['/bin/sh', '-c', 'python program.py over; echo $? > code']\n"
        "    subprocess.run(command, env=served, stdin=subprocess.DEVNULL)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    folder, stage = Path(process.stdout.readline().strip()), int(process.stdout.readline())
    (server,) = set(servers(tmp_path)) - {stage}
    process.kill()
    process.wait()
    assert not gone(stage, 0.3), "a stage that a killed run left at work goes on"
    (tmp_path / "over").touch()
    assert gone(server) and not folder.exists()
    process.stdout.close()
    end = time.monotonic() + 300  # the shell writes it when the stage has ended
    while not (tmp_path / "code").exists() or (tmp_path / "code").read_text() != "0\n":
        assert time.monotonic() < end, "the client does not end as its stage did"
        time.sleep(0.01)
