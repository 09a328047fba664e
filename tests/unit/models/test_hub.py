"""Models of the hub: fetched from a loopback server by the unmodified library, in a process of its own."""

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import Pretrained
from clseave.models import hub
from clseave.models.hub import fetch
from clseave.models.pretrained import KINDS, WEIGHTS, in_words
from hub_server import REVISION, serve

NAME = "owner/model"
DRIVER = """
import os, sys
os.environ.update(HF_HUB_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")  # as src/run.py does
from clseave.foundation.errors import UserError
from clseave.models.hub import fetch
from clseave.foundation.settings.schema import Pretrained
if len(sys.argv) > 4:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
try:
    print(fetch(Pretrained(id=sys.argv[1], revision=sys.argv[2], weights=sys.argv[3])))
except UserError as error:
    sys.exit(f"error: {error}")
"""
LARGE = 25_000_000  # the library counts a transfer in pieces of 10 MB


def environment(home, endpoint, **more):
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return {**own, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, **more}


def ask(
    home,
    endpoint,
    name=NAME,
    revision=REVISION,
    weights="safetensors",
    *more,
    stderr=subprocess.PIPE,
    driver=DRIVER,
    **variables,
):
    return subprocess.run(
        [sys.executable, "-c", driver, name, revision, weights, *more],
        check=False,
        env=environment(home, endpoint, **variables),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=120,
    )


def failure(done):
    """The message of a run that failed as a user's error does: one line, the last."""
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors"):
        (folder / name).write_bytes(name.encode() * 1000)
    for name in ("modeling.py", "pytorch_model.bin", "README.md", "flax_model.msgpack"):
        (folder / name).write_bytes(b"not wanted")
    return folder


@pytest.fixture
def server(model):
    with serve({NAME: model}) as running:
        yield running


def test_configuration_tokenizer_and_weights_are_fetched_once_and_nothing_else(server, model, tmp_path):
    done = ask(tmp_path / "home", server.url)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    folder = tmp_path / done.stdout.strip()
    wanted = {"config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: (model / name).read_bytes() for name in wanted
    }
    assert REVISION in folder.parts and folder.is_relative_to(tmp_path / "home")
    asked = server.requests.copy()
    assert ask(tmp_path / "home", server.url).stdout == done.stdout
    assert not any("resolve" in path or "large" in path for path in server.requests - asked)
    assert ask(tmp_path / "home", server.url, HF_HUB_OFFLINE="1").stdout == done.stdout


def test_weights_to_convert_are_fetched_in_place_of_safetensors(server, tmp_path):
    done = ask(tmp_path / "home", server.url, weights="convert")
    names = {path.name for path in (tmp_path / done.stdout.strip()).iterdir()}
    assert "pytorch_model.bin" in names and "model.safetensors" not in names and "modeling.py" not in names


def shard(model, name="model.safetensors"):
    """The model's weights in two files and their index; none is whole any more."""
    (model / "model.safetensors").unlink(missing_ok=True)
    (model / "pytorch_model.bin").unlink(missing_ok=True)
    stem, _, suffix = name.rpartition(".")
    files = [f"{stem}-0000{number}-of-00002.{suffix}" for number in (1, 2)]
    for file in files:
        (model / file).write_bytes(file.encode() * 100)
    index = {"metadata": {}, "weight_map": {"a": files[0], "b": files[1], "c": files[0]}}
    (model / f"{name}.index.json").write_text(json.dumps(index))
    return [*files, f"{name}.index.json"]


@pytest.mark.parametrize(("weights", "name"), [("safetensors", "model.safetensors"), ("convert", "pytorch_model.bin")])
def test_weights_in_shards_are_fetched_by_their_index(server, model, tmp_path, weights, name):
    wanted = {"config.json", "vocab.txt", "tokenizer_config.json", *shard(model, name)}
    (model / "model-extra.safetensors").write_bytes(b"not in the index")
    done = ask(tmp_path / "home", server.url, weights=weights)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    folder = tmp_path / done.stdout.strip()
    assert {path.name for path in folder.iterdir()} == wanted
    assert ask(tmp_path / "home", server.url, weights=weights, HF_HUB_OFFLINE="1").stdout == done.stdout
    assert fetch(Pretrained(id=str(model), revision=None, weights=weights)) == model


def test_the_single_file_comes_before_shards_and_these_are_not_fetched(server, model, tmp_path):
    content = (model / "model.safetensors").read_bytes()
    shard(model)
    (model / "model.safetensors").write_bytes(content)
    folder = tmp_path / ask(tmp_path / "home", server.url).stdout.strip()
    assert {path.name for path in folder.glob("*safetensors")} == {"model.safetensors"}


@pytest.mark.parametrize(
    "case",
    [
        (["model.safetensors.index.json"], "convert", ": say `weights: safetensors` to read model.safetensors.index"),
        (["pytorch_model.bin.index.json"], "safetensors", ": say `weights: convert` to read pytorch_model.bin.ind"),
        (
            ["model-00001-of-00002.safetensors"],
            "convert",
            r", but weights in shards \(model-00001-of-00002.safetensors\) without model.safetensors.index.json: "
            "copy that there too, and say `weights: safetensors`$",
        ),
        (["tf_model.h5"], "safetensors", ": found .*tf_model.h5, expected model.safetensors or pytorch_model.bin"),
        ([], "convert", ": found .*, expected model.safetensors or pytorch_model.bin, whole or in shards with their"),
    ],
)  # fmt: skip
def test_no_message_names_weights_that_are_not_there(server, model, tmp_path, case):
    files, weights, message = case
    for name in WEIGHTS.values():
        (model / name).unlink()
    for name in files:
        (model / name).write_text("{}")
    with pytest.raises(UserError) as caught:
        fetch(Pretrained(id=str(model), revision=None, weights=weights))
    for found in (str(caught.value), failure(ask(tmp_path / "home", server.url, weights=weights))):
        assert re.search(f"holds no {WEIGHTS[weights]}{message}", found), found


@pytest.mark.parametrize(
    ("key", "kind", "allowed"),
    [
        ("backbones.mbert", "gpt2", in_words(KINDS["backbones.mbert"])),
        ("backbones.clip", "blip", in_words(KINDS["backbones.clip"])),
        ("translate.model", "t5", "M2M100 or NLLB (m2m_100), Marian (marian)"),
    ],
)
def test_another_kind_of_model_is_refused_before_its_weights_are_fetched(server, tmp_path, key, kind, allowed):
    (server.models[NAME] / "config.json").write_text(json.dumps({"model_type": kind}))
    own = DRIVER.replace("weights=sys.argv[3])", f"weights=sys.argv[3]), key={key!r}")
    found = failure(ask(tmp_path / "home", server.url, driver=own))
    assert found == f"error: {key}.id: found {NAME}, a {kind} (model_type in config.json), allowed: {allowed}"
    assert not any("/large/" in path for path in server.requests)


def test_a_broken_transfer_is_taken_up_where_it_stopped(server, model, tmp_path):
    content = os.urandom(1000) * (LARGE // 1000)
    (model / "model.safetensors").write_bytes(content)
    server.cuts = [12_000_000]
    done = ask(tmp_path / "home", server.url)
    assert (tmp_path / done.stdout.strip() / "model.safetensors").read_bytes() == content
    assert len(server.ranges) == 1 and server.ranges[0].startswith("bytes=") and server.ranges != ["bytes=0-"]


@pytest.mark.slow
def test_a_transfer_that_never_ends_well_is_an_error_and_whole_files_are_kept(server, tmp_path):
    server.short = True
    message = failure(ask(tmp_path / "home", server.url))
    assert f"{NAME} from {server.url}: the transfer broke off {hub.TRIES} times" in message
    assert "run again, files that are whole are kept in" in message
    assert sum(count for path, count in server.requests.items() if path.startswith("GET /large/")) == hub.TRIES
    server.short = False
    server.requests.clear()
    assert ask(tmp_path / "home", server.url).returncode == 0
    fetched = [path for path in server.requests if path.startswith("GET") and "/api/" not in path]
    assert len(fetched) == 1 and fetched[0].startswith("GET /large/")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"revision": "f" * 40}, "no revision f{40}: name a commit"),
        ({"name": "owner/other"}, "no such model, or one that needs a login: check the id, set HF_TOKEN, or place a"),
        ({"name": "no id/at/all"}, r"no id of the hub \(owner/name\), nor a folder"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set and not all of it is in .*: unset the variable, or place a"),
    ],
)
def test_what_the_hub_does_not_have_is_named(server, tmp_path, change, message):
    found = failure(ask(tmp_path / "home", server.url, **change))
    assert re.search(f"^error: {change.get('name', NAME)} from {server.url}: {message}", found), found


def test_a_gated_model_says_how_to_get_it(server, tmp_path):
    server.gated.add(NAME)
    found = failure(ask(tmp_path / "home", server.url))
    assert "its owner grants access on request: ask there and set HF_TOKEN, or place a copy of the model in a" in found


def test_a_server_that_refuses_is_quoted(server, tmp_path):
    server.status = 403
    found = failure(ask(tmp_path / "home", server.url))
    assert "refused (Client error '403 Forbidden'" in found and "check HF_TOKEN and HF_ENDPOINT" in found


def test_a_revision_without_safetensors_names_the_other_choice(server, model, tmp_path):
    (model / "model.safetensors").unlink()
    found = failure(ask(tmp_path / "home", server.url))
    assert f"{NAME} at revision {REVISION} holds no model.safetensors: say `weights: convert` to read" in found


def test_a_full_disk_is_named(server, tmp_path):
    found = failure(ask(tmp_path / "home", server.url, NAME, REVISION, "safetensors", "15000"))
    assert f"no room for its files in {tmp_path}/home/hub: make room, or set HF_HOME" in found


def test_a_damaged_file_in_the_cache_is_named(server, tmp_path):
    folder = tmp_path / ask(tmp_path / "home", server.url).stdout.strip()
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    assert f"{blob} is damaged" in failure(ask(tmp_path / "home", server.url))


def test_progress_is_shown_to_a_person_only(server, model, tmp_path):
    (model / "model.safetensors").write_bytes(bytes(LARGE))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    done = ask(tmp_path / "home", server.url, stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0 and "25.0MB / 25.0MB" in shown, shown
    assert ask(tmp_path / "other", server.url).stderr == ""


@pytest.mark.slow
def test_no_network_is_named_with_what_to_do(tmp_path):
    found = failure(ask(tmp_path / "home", "http://127.0.0.1:9"))  # the library tries for 20 seconds
    assert f"{NAME} from http://127.0.0.1:9: no connection ([Errno 111] Connection refused): run again with" in found
    assert "or place a copy of the model in a folder and name that folder as its id" in found


@pytest.mark.slow
@pytest.mark.full
def test_a_hub_that_is_down_is_quoted(server, tmp_path):
    server.status = 503
    found = failure(ask(tmp_path / "home", server.url))
    assert "busy or down (Server error '503 Service Unavailable'" in found and "run again later" in found


@pytest.mark.parametrize("weights", ["safetensors", "convert"])
def test_a_local_folder_is_used_as_it_is(model, monkeypatch, weights):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    assert fetch(Pretrained(id=str(model), revision=None, weights=weights)) == model
    monkeypatch.chdir(model.parent)
    assert fetch(Pretrained(id="./model", revision=None, weights=weights)).samefile(model)


@pytest.mark.parametrize(
    ("gone", "weights", "message"),
    [
        ("config.json", "safetensors", "holds no config.json: not a model in the layout of transformers"),
        (
            "model.safetensors",
            "safetensors",
            "holds no model.safetensors: say `weights: convert` to read pytorch_model",
        ),
        ("pytorch_model.bin", "convert", "holds no pytorch_model.bin: say `weights: safetensors` to read model.safe"),
        ("vocab.txt", "safetensors", "holds no tokenizer: expected one of tokenizer.json, vocab.json, vocab.txt"),
    ],
)
def test_a_local_folder_that_lacks_a_file_is_named(model, gone, weights, message):
    (model / gone).unlink()
    with pytest.raises(UserError, match=f"^{model} {message}"):
        fetch(Pretrained(id=str(model), revision=None, weights=weights))


def test_a_local_folder_that_is_not_there_is_named(tmp_path):
    shutil.rmtree(tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path} is no folder: place a copy of the model there"):
        fetch(Pretrained(id=str(tmp_path), revision=None, weights="safetensors"))
