"""The dry run for newcomers: real runs in folders of their own, against servers on the loopback."""

import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, constants
from ruamel.yaml import YAML
from safetensors.torch import save_file

from clseave.commands import check_thesis
from clseave.foundation.rows.training_record import Origin, TrainingRecord
from clseave.foundation.settings.schema import Pretrained
from clseave.preflight.findings import WIDTH, Check, Finding, aligned, run_checks
from clseave.preflight.model_checks import judge_model
from clseave.preflight.needs import Gpu, config_line, judge_disk, judge_gpu, judge_memory, judge_remote
from clseave.translation.answers import Answer, Answers
from clseave.translation.user_files import SUFFIXES
from settings import SETTINGS

ARGUMENTS = {
    "params": "params.yaml",
    "profile": "profiles/thesis.yaml",
    "source": "data/thesis/source",
    "downloads": ".work/downloads",
    "models": "models/thesis",
    "store": ".translations/thesis",
}
ARGV = [part for name, value in ARGUMENTS.items() for part in (f"--{name}", value)]
IDS = [str(1000 + number) for number in range(12)]
REVISION = "57c216476eefef5ab752ec549e440a49ae4ae5f3"  # of CLIP in profiles/thesis.yaml


CLIP_NAMES = ["text_model.a", "vision_model.a", "text_projection.weight", "visual_projection.weight"]


def save_names(path, names, **form):
    """A file of weights with these names."""
    tensors = {name: torch.zeros(1) for name in names}
    torch.save(tensors, path, **form) if path.suffix == ".bin" else save_file(tensors, path)


class Pages(ThreadingHTTPServer):
    """Answers each path with a status and headers of `pages`, all others with 404; counts what was asked."""

    daemon_threads = True

    def __init__(self, pages):
        super().__init__(("127.0.0.1", 0), PageHandler)
        self.pages, self.asked = pages, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class PageHandler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        status, headers, body = self.server.pages.get(self.path.partition("?")[0], (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET


@contextmanager
def served(pages):
    server = Pages(pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent():
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture
def clone(tmp_path, repo_root):
    """The files of a fresh clone that the command reads."""
    shutil.copy(SETTINGS / "params.yaml", tmp_path)
    shutil.copytree(SETTINGS / "profiles", tmp_path / "profiles")
    (tmp_path / ".dvc").mkdir()
    shutil.copy(repo_root / ".dvc/config", tmp_path / ".dvc")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def change(clone, **values):
    """Replace values of the thesis's profile, by their dotted keys."""
    yaml = YAML()
    path = clone / ARGUMENTS["profile"]
    profile = yaml.load(path)
    for key, value in values.items():
        *groups, last = key.split("__")
        group = profile
        for name in groups:
            group = group[name]
        group[last] = value
    yaml.dump(profile, path)


def run(clone, repo_root, code, **env):
    """The command as `make check-thesis` starts it, without a network but for the loopback."""
    nowhere = f"http://127.0.0.1:{closed_port()}"
    proxies = {name: nowhere for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
    env = os.environ | proxies | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "HF_HOME": str(clone / "hf")} | env
    done = subprocess.run(
        [sys.executable, str(repo_root / "src/run.py"), "check_thesis", *ARGV],
        cwd=clone,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def findings(output):
    """State and whole text of each topic, what fixes it after " -> "."""
    found, topic = {}, ""
    for line in output.splitlines()[:-2]:
        if not line.startswith(" "):
            topic = line[9:22].strip()
            found[topic] = (line[:9].strip(), line[22:])
        else:
            state, text = found[topic]
            found[topic] = (state, f"{text} {line.strip()}")
    return found


def in_process(clone, monkeypatch, *topics):
    """The findings of some topics only, by the same functions."""
    monkeypatch.chdir(clone)
    places = check_thesis.Places(**{name: Path(value) for name, value in ARGUMENTS.items()})
    found = run_checks([check for check in check_thesis.plan(places) if check.topic in topics], 20)
    return [found[topic] for topic in topics]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def place_lists(clone):
    source = clone / ARGUMENTS["source"]
    source.mkdir(parents=True, exist_ok=True)
    (source / "flickr30k_train_val.lst").write_text("".join(f"{name}.jpg\n" for name in IDS[:9]))
    (source / "flickr30k_test.lst").write_text("".join(f"{name}.jpg\n" for name in IDS[9:]))
    for key in ("train_val", "test"):
        change(clone, **{f"source__rows__{key}__sha256": sha256(source / f"flickr30k_{key}.lst")})
    return source


def place_photos(folder, names=IDS):
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.jpg").write_bytes(b"\xff\xd8")


def place_everything(clone):
    source = place_lists(clone)
    place_photos(source / "flickr30k-images")
    (source / "snli_1.0").mkdir()
    (source / "mt").mkdir()
    for code in ("de", "nl", "ja", "ko", "zh"):
        (source / "mt" / f"{code}.tsv").write_text("A dog\tHund\n")
    (source / "mt" / "de-en.tsv").write_text("Hund\tA dog\n")
    for name in ("clip", "mbert"):
        (clone / "models/thesis" / name).mkdir(parents=True)
        (clone / "models/thesis" / name / "config.json").write_text("{}")
    change(clone, device="cpu", translate={"backend": "files", "folder": "mt", "corrections": None})


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if ".git/" not in str(path))


def test_nothing_is_there_and_no_network(clone, repo_root):
    before = tree(clone)
    output = run(clone, repo_root, 1)
    assert tree(clone) == before, "it must write nothing"
    found = findings(output)
    assert list(found)[:9] == [
        "values", "photos", "rows", "train list", "test list", "XVNLI", "CLIP", "mBERT", "translation",
    ]  # fmt: skip
    assert found["XVNLI"] == ("note", "no XVNLI: no evaluation on translations made by people")
    assert found["values"] == ("ok", "params.yaml and profiles/thesis.yaml")  # though the active profile is mini
    missing = ["photos", "rows", "train list", "test list", "CLIP", "mBERT", "translation"]
    assert [found[topic][0] for topic in missing] == ["missing"] * 7
    assert "form of the University of Illinois" in found["photos"][1]
    link = "mkdir -p data/thesis/source && ln -sfn /path/to/flickr30k-images data/thesis/source/flickr30k-images"
    assert f"      -> {link}\n" in output, "a command stays on one line, to be copied"
    assert "-> place the file by hand as data/thesis/source/snli_1.0.zip" in found["rows"][1]
    assert "-> place the file by hand as data/thesis/source/flickr30k_test.lst" in found["test list"][1]
    assert "openai/clip-vit-base-patch16 at https://huggingface.co: " in found["CLIP"][1]
    assert "name that as `backbones.mbert.id` in profiles/thesis.yaml" in found["mBERT"][1]
    assert found["translation"][1].startswith("google; stored so far: none; https://translate.google.com/m: ")
    assert found["segmenters"] == ("ok", "de bert, nl bert, ja fugashi, ko whitespace, zh jieba")
    assert "results stay on this machine -> to share: dvc remote modify --local thesis" in found["DVC remote"][1]
    assert max(map(len, output.splitlines())) <= WIDTH == 110
    lacking = sum(state == "missing" for state, _ in found.values())
    closing = f"{lacking} of {len(found)} missing: fix them from the top, then run this again."
    assert output.endswith(f"\n\n{closing}\n")


def test_everything_is_there(clone, repo_root):
    place_everything(clone)
    output = run(clone, repo_root, 0)
    found = findings(output)
    assert {state for state, _ in found.values()} == {"ok", "note"}, output
    assert found["photos"][1] == "data/thesis/source/flickr30k-images: 12 photos"
    assert found["rows"][1] == "data/thesis/source/snli_1.0"
    assert found["mBERT"][1] == "models/thesis/mbert, of an earlier run"
    assert found["translation"][1] == "data/thesis/source/mt: de, nl, ja, ko, zh"
    assert found["GPU"][0] == "note"
    assert output.endswith("\n\nNothing is missing: `dvc exp run -S profile=thesis` runs it.\n")


@pytest.mark.slow
def test_hosts_that_never_answer_are_not_waited_for(clone, repo_root):
    with silent() as url:
        change(clone, source__rows__url=f"{url}/snli.zip", device="cpu")
        output = run(clone, repo_root, 1, HF_ENDPOINT=url)
    found = findings(output)
    assert "timed out" in found["rows"][1]
    assert found["CLIP"][0] == "missing"
    assert "timed out" in found["CLIP"][1] or "no answer within 6 s" in found["CLIP"][1]


def test_addresses_and_the_hub_that_answer(clone, repo_root):
    model = "google-bert/bert-base-multilingual-cased"
    revision = YAML().load(clone / ARGUMENTS["profile"])["backbones"]["mbert"]["revision"]
    answer = json.dumps({"id": model, "sha": revision, "siblings": []}).encode()
    pages = {
        "/snli.zip": (200, {}, b"zip"),
        "/train_val": (405, {}, b""),  # takes no HEAD, but is there
        f"/api/models/{model}/revision/{revision}": (200, {"Content-Type": "application/json"}, answer),
        f"/api/models/openai/clip-vit-base-patch16/revision/{REVISION}": (
            404,
            {"X-Error-Code": "RevisionNotFound"},
            b"",
        ),
    }
    with served(pages) as server:
        change(
            clone,
            device="cpu",
            source__rows__url=f"{server.url}/snli.zip",
            source__rows__train_val__url=f"{server.url}/train_val",
            source__rows__test__url=f"{server.url}/gone",
        )
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
            found = findings(run(clone, repo_root, 1, HF_ENDPOINT=server.url, HTTPS_PROXY=address, https_proxy=address))
    assert found["rows"] == ("ok", f"to be fetched: {server.url}/snli.zip answers")
    assert found["train list"][0] == "ok"
    assert found["test list"][0] == "missing"
    assert f"{server.url}/gone: answers 404" in found["test list"][1]
    assert found["mBERT"] == ("ok", f"to be fetched: {model} at {server.url} answers")
    assert f"at {server.url}: no revision {REVISION}" in found["CLIP"][1]
    assert found["translation"] == ("ok", "google; stored so far: none")
    assert not [line for line in server.asked if line.startswith("GET") and "/api/" not in line], "no data is fetched"


def at_hub(clone, config, file, names, **form):
    """The pages of a hub with mBERT at its revision: list of files, config.json and weights of these names."""
    mbert = YAML().load(clone / ARGUMENTS["profile"])["backbones"]["mbert"]
    save_names(clone / file, names, **form)
    content = {"config.json": json.dumps(config).encode(), file: (clone / file).read_bytes()}
    content |= {} if "no_tokenizer" in config else {"vocab.txt": b""}
    listed = {"id": mbert["id"], "sha": mbert["revision"], "siblings": [{"rfilename": name} for name in content]}
    start = f"/{mbert['id']}/resolve/{mbert['revision']}"
    about = f"/api/models/{mbert['id']}/revision/{mbert['revision']}"
    pages = {f"{start}/{name}": (200, {}, body) for name, body in content.items()}
    return pages | {about: (200, {"Content-Type": "application/json"}, json.dumps(listed).encode())}


BERT = {"model_type": "bert", "num_hidden_layers": 12}
WHOLE, HEADLESS = ["bert.a", "cls.predictions.bias"], ["embeddings.a", "pooler.b"]


@pytest.mark.parametrize(
    "case",
    [
        (BERT, "safetensors", WHOLE, "to be fetched: google-bert/bert-base-multilingual-cased at"),
        (BERT, "convert", WHOLE, "to be fetched: google-bert/bert-base-multilingual-cased at"),
        (BERT | {"model_type": "gpt2"}, "safetensors", WHOLE, "a gpt2 (model_type in config.json)"),
        (BERT | {"num_hidden_layers": 6}, "safetensors", WHOLE, "align_words.layer: found 8, allowed with google-bert"),
        (BERT | {"no_tokenizer": 1}, "convert", WHOLE, "holds no tokenizer: expected one of tokenizer.json, vocab"),
        (BERT, "safetensors", HEADLESS, "to be fetched: google-bert/bert-base-multilingual-cased at"),
        (
            BERT | {"model_type": "xlm-roberta"},
            "convert",
            HEADLESS,
            "to be fetched: google-bert/bert-base-multilingual",
        ),
    ],
)
def test_a_model_at_the_hub_is_looked_at_before_it_is_fetched(clone, monkeypatch, case):
    config, weights, names, found = case
    file = {"safetensors": "model.safetensors", "convert": "pytorch_model.bin"}[weights]
    change(clone, device="cpu", backbones__mbert__weights=weights)
    with served(at_hub(clone, config, file, names)) as server:
        line = judged(clone, server.url, monkeypatch)
        state = "ok" if found.startswith("to be fetched") else "missing"
        assert line.state == state and found in line.found, line
        change(clone, backbones__mbert__weights="convert" if weights == "safetensors" else "safetensors")
        line = judged(clone, server.url, monkeypatch)
    if config == BERT:
        assert line.state == "missing" and f": say `weights: {weights}` to read {file}" in line.found
    assert not (clone / "hf").exists(), "nothing is kept"


def judged(clone, endpoint, monkeypatch):
    """What is found of mBERT, with this hub."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(clone / "hf"))
    return in_process(clone, monkeypatch, "mBERT")[0]


def test_a_model_of_an_earlier_run_counts_for_its_own_id_only(clone, monkeypatch):
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: pytest.fail("no network"))
    made = clone / "made"
    made.mkdir()
    (made / "config.json").write_text("{}")
    model = Pretrained(id="owner/bert", revision=REVISION, weights="safetensors")
    settings = (model, "backbones.mbert", made, clone / ARGUMENTS["profile"], 0.1)
    assert judge_model(*settings) == Finding("ok", f"{made}, of an earlier run")
    record = {"name": "mbert", "stage": "backbones", "profile": "thesis", "seed": None, "languages": ["multilingual"]}
    record |= {"parameters": {}, "inputs": {}, "metrics": {}}
    TrainingRecord(**record, origin=Origin(corpus="photos", id="owner/bert", revision=REVISION)).write(made)
    assert judge_model(*settings) == Finding("ok", f"{made}, of an earlier run")
    TrainingRecord(**record, origin=Origin(corpus="photos", id="owner/another", revision=REVISION)).write(made)
    with pytest.raises(pytest.fail.Exception):  # it is looked for at the hub
        judge_model(*settings)


def test_models_in_the_hubs_cache(clone, repo_root):
    folder = clone / "hf/hub/models--openai--clip-vit-base-patch16/snapshots" / REVISION
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_names(folder / "pytorch_model.bin", CLIP_NAMES)
    change(clone, device="cpu", backbones__mbert__id="./mbert-copy")
    found = findings(run(clone, repo_root, 1))
    assert found["CLIP"][0] == "ok"
    assert "in the hub's cache" in found["CLIP"][1]
    assert found["mBERT"][0] == "missing"
    assert "./mbert-copy is no folder" in found["mBERT"][1]


def test_a_broken_profile_stops_no_other_check(clone, repo_root):
    change(clone, align_words__layer="eight", translate__characters=9000, source__photos="/photos")
    found = findings(run(clone, repo_root, 1))
    assert found["values"][0] == "missing"
    assert "profiles/thesis.yaml: translate.characters: found 9000" in found["values"][1]
    assert "and 1 more" in found["values"][1]
    assert found["translation"] == ("note", "not checked: `translate` cannot be read, see `values`")
    assert found["segmenters"][0] == "note"
    assert found["photos"][0] == found["rows"][0] == "missing"
    assert found["memory"][0] == "ok"


def test_values_name_the_users_own_file(clone, monkeypatch):
    (clone / "params.yaml").write_text((clone / "params.yaml").read_text().replace("- nl\n", "- en\n", 1))
    (values,) = in_process(clone, monkeypatch, "values")
    assert values == Finding(
        "missing", "params.yaml: languages.1: found 'en', allowed: target languages; English is the source",
        "correct that line",
    )  # fmt: skip


def test_no_profile_at_all(clone, monkeypatch):
    (clone / ARGUMENTS["profile"]).unlink()
    values, photos, disk = in_process(clone, monkeypatch, "values", "photos", "disk")
    assert values.state == "missing"
    assert "found 'thesis', allowed: mini" in values.found
    assert photos.state == "note"
    assert "GB free" in disk.found


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar"])
def test_photos_are_compared_with_the_lists(clone, monkeypatch, suffix):
    source = place_lists(clone)
    place = source / "flickr30k-images"
    place_photos(place, IDS[:-2])
    if suffix:
        shutil.make_archive(str(place), suffix[1:], place)
        shutil.rmtree(place)
    (found,) = in_process(clone, monkeypatch, "photos")
    assert found.state == "missing"
    where = f"data/thesis/source/flickr30k-images{suffix}"
    assert found.found == f"{where}: 2 of 12 photos are not there, 1010 for one"


def test_photos_without_lists_are_counted(clone, monkeypatch):
    place_photos(clone / ARGUMENTS["source"] / "flickr30k-images")
    (found,) = in_process(clone, monkeypatch, "photos")
    assert found.found == "data/thesis/source/flickr30k-images: 12 photos, Flickr30k has 31,783"
    assert found.state == "missing"


def test_a_compressed_tar_is_not_unpacked(clone, monkeypatch):
    source = place_lists(clone)
    with tarfile.open(source / "flickr30k-images.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("1.jpg"), io.BytesIO())
    (found,) = in_process(clone, monkeypatch, "photos")
    assert found == Finding("ok", "data/thesis/source/flickr30k-images.tar.gz (compressed: not counted)")


def test_a_link_that_leads_nowhere_and_a_broken_archive(clone, monkeypatch):
    source = place_lists(clone)
    (source / "flickr30k-images").symlink_to("/nowhere/flickr30k-images")
    (found,) = in_process(clone, monkeypatch, "photos")
    assert "is a link to /nowhere/flickr30k-images, which does not exist" in found.found
    assert found.fix == "ln -sfn /path/to/flickr30k-images data/thesis/source/flickr30k-images"
    (source / "flickr30k-images").unlink()
    (source / "flickr30k-images.zip").write_bytes(b"PK, but no more")
    (found,) = in_process(clone, monkeypatch, "photos")
    assert found.state == "missing"
    assert "is neither a folder nor a whole tar or zip" in found.found
    assert found.fix == "or name another as `source.photos` in profiles/thesis.yaml"


def test_a_file_with_another_checksum(clone, monkeypatch):
    source = place_lists(clone)
    (source / "flickr30k_test.lst").write_text("another\n")
    train, test = in_process(clone, monkeypatch, "train list", "test list")
    assert train == Finding("ok", "data/thesis/source/flickr30k_train_val.lst")
    assert test.state == "missing"
    found = sha256(source / "flickr30k_test.lst")
    assert test.found.startswith(f"data/thesis/source/flickr30k_test.lst: sha256 is {found}, expected ")
    fix = f"replace the file, or say {found} as `source.rows.test.sha256` in profiles/thesis.yaml"
    assert test.fix == fix  # nobody is told to remove a file of their own
    (source / "snli_1.0.zip").write_bytes(b"another")
    (rows,) = in_process(clone, monkeypatch, "rows")
    assert re.search("^replace the file, or say [0-9a-f]{64} as `source.rows.sha256` in profiles/the", rows.fix)
    (clone / ".work/downloads").mkdir(parents=True)
    (source / "flickr30k_train_val.lst").rename(clone / ".work/downloads/flickr30k_train_val.lst")
    (train,) = in_process(clone, monkeypatch, "train list")
    assert train == Finding("ok", ".work/downloads/flickr30k_train_val.lst")
    (clone / ".work/downloads/flickr30k_train_val.lst").write_text("a damaged copy, which is fetched again\n")
    (train,) = in_process(clone, monkeypatch, "train list")
    assert train.fix == "rm .work/downloads/flickr30k_train_val.lst"


def test_rows_in_other_forms(clone, monkeypatch):
    source = place_lists(clone)
    files = {split: f"{split}.jsonl" for split in ("train", "dev", "test")}
    change(clone, source__rows={"format": "snli_ve", "files": files})
    (source / "dev.jsonl").touch()
    (found,) = in_process(clone, monkeypatch, "rows")
    assert found.found == "not in data/thesis/source: train.jsonl, test.jsonl"
    change(clone, source__rows={"format": "hub", "id": "./rows", "revision": None, "splits": files})
    (found,) = in_process(clone, monkeypatch, "rows")
    assert found == Finding("missing", "the folder data/thesis/source/rows", "place it")


def test_translations_that_are_stored_already(clone, monkeypatch):
    for code, count in (("de", 3), ("ja", 2)):
        with Answers(clone / ARGUMENTS["store"], "google", "1.11.4", code) as answers:
            for number in range(count):
                answers.add(Answer(f"Dog {number}", f"Hund {number}"))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        (found,) = in_process(clone, monkeypatch, "translation")
    assert found == Finding("ok", "google; stored so far: de 3, ja 2")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed_port()}")
    (found,) = in_process(clone, monkeypatch, "translation")
    assert found.state == "missing"
    assert "Connection refused" in found.found


def test_translations_from_files_and_by_a_model(clone, monkeypatch):
    source = place_lists(clone)
    change(clone, translate={"backend": "files", "folder": "mt", "corrections": None})
    (source / "mt").mkdir()
    (source / "mt/ja.jsonl").touch()
    (found,) = in_process(clone, monkeypatch, "translation")
    assert found.found == "data/thesis/source/mt has no file for de, nl, ko, zh, de-en"
    for name in ("de.tsv", "nl.csv", "ko.jsonl.gz", "zh.csv.gz"):
        (source / "mt" / name).touch()
    (found,) = in_process(clone, monkeypatch, "translation")
    assert found.fix == (
        f"place {' or '.join(f'de-en{suffix}' for suffix in SUFFIXES)} there; or set translate.back: false"
    )
    change(clone, translate={"backend": "files", "folder": "mt", "corrections": None, "back": False})
    assert in_process(clone, monkeypatch, "translation")[0].state == "ok"
    model = {"id": "./m2m100", "revision": None, "weights": "safetensors"}
    nmt = {
        "backend": "nmt",
        "model": model,
        "beams": 1,
        "batch_tokens": 9,
        "max_new_tokens": 9,
        "corrections": "own.tsv",
    }
    change(clone, translate=nmt)
    translation, its_model = in_process(clone, monkeypatch, "translation", "its model")
    assert translation.found == "data/thesis/source/own.tsv (translate.corrections) is not there"
    assert its_model.found == "./m2m100 is no folder"
    assert "`translate.model.id`" in its_model.fix


def test_translations_by_people_are_named_by_their_languages(clone, monkeypatch):
    folder = place_lists(clone) / "xvnli"
    folder.mkdir()
    (found,) = in_process(clone, monkeypatch, "XVNLI")
    assert found.state == "missing" and "no en.jsonl and no en/test.jsonl" in found.found
    row = {"pairID": "1.jpg#0r1n", "Flikr30kID": "1", "gold_label": "neutral", "sentence2": "A dog."}
    for code in ("en", "fr"):
        (folder / f"{code}.jsonl").write_text(json.dumps(row) + "\n")
    (found,) = in_process(clone, monkeypatch, "XVNLI")
    assert found == Finding("ok", "data/thesis/source/xvnli: en, fr; 1 photos")


CPU_BUILD, NO_GPU = Gpu(None), Gpu("12.6")


@pytest.mark.parametrize(
    ("gpu", "device", "state", "words", "fix"),
    [
        (
            CPU_BUILD,
            "auto",
            "note",
            "a build for the CPU only; with `device: auto` the run takes the CPU",
            "make setup TORCH_INDEX=",
        ),
        (CPU_BUILD, "cuda", "missing", "a build for the CPU only", "make setup TORCH_INDEX="),
        (NO_GPU, "auto", "note", "a build for CUDA 12.6, but sees no GPU", "nvidia-smi"),
        (NO_GPU, "cuda", "missing", "sees no GPU", "nvidia-smi"),
        (Gpu("12.6", visible=""), "cuda", "missing", "CUDA_VISIBLE_DEVICES is ''", "unset CUDA_VISIBLE_DEVICES"),
        (Gpu("12.6", "Tesla T4", 15.6), "auto", "missing", "Tesla T4 has 16 GiB, the run needs 20", "lower batch_size"),
        (Gpu("12.6", "NVIDIA A10", 22.2), "auto", "ok", "NVIDIA A10, 22 GiB", ""),
        (CPU_BUILD, "cpu", "note", "`device: cpu`", ""),
    ],
)
def test_gpu(gpu, device, state, words, fix):
    found = judge_gpu(gpu, device, 20)
    assert found.state == state
    assert words in found.found
    assert found.fix.startswith(fix)
    assert bool(found.fix) == bool(fix)


def test_memory_and_disk(tmp_path):
    assert judge_memory(15.5, 16).state == "ok"  # sold as 16
    assert judge_memory(7.8, 16).found == "7.8 GiB, the run needs 16"
    parts = {"students": 8.0, "text": 4.0}
    assert judge_disk(12, 0, parts, tmp_path) == Finding("ok", "12 GB free, 12 GB needed (students 8.0, text 4.0)")
    assert judge_disk(9, 3, parts, tmp_path).found == "9 GB free, 9 GB needed (students 8.0, text 4.0; made 3.0)"
    assert judge_disk(8.9, 3, parts, tmp_path).state == "missing"


def test_the_disk_needed_grows_with_languages_and_seeds(clone, monkeypatch):
    def students():
        (found,) = in_process(clone, monkeypatch, "disk")
        return float(found.found.partition("students ")[2].partition(",")[0])

    assert students() == round(2 * 0.71 * 8, 1)  # five languages of CLSEAVE, one of CLTEAVE, two baselines
    (clone / "params.yaml").write_text((clone / "params.yaml").read_text().replace("- 0\n", "- 0\n- 1\n"))
    assert students() == round(2 * 0.71 * 16, 1)


def config(clone, url, name="config"):
    (clone / ".dvc" / name).write_text(f"[core]\n    autostage = false\n['remote \"thesis\"']\n    url = {url}\n")


def test_remote(clone):
    assert judge_remote(clone, "nobody", 5).fix == "dvc remote add nobody stores/nobody"
    with served({"/ours/": (200, {}, b""), "/secret/": (401, {}, b"")}) as server:
        config(clone, f"{server.url}/ours/")
        assert judge_remote(clone, "thesis", 5) == Finding("ok", f".dvc/config:4: {server.url}/ours/ answers")
        config(clone, f"{server.url}/secret/", "config.local")
        found = judge_remote(clone, "thesis", 5)
    assert found.found == f".dvc/config.local:4: {server.url}/secret/: answers 401"
    assert found.fix.startswith("give credentials (dvc remote modify --local thesis ...)")
    config(clone, "../elsewhere", "config.local")
    assert config_line(clone, "thesis") == ("../elsewhere", ".dvc/config.local:4")
    assert judge_remote(clone, "thesis", 5).state == "note"


def test_a_remote_whose_plug_in_is_not_installed(clone):
    config(clone, "oss://bucket/path")
    found = judge_remote(clone, "thesis", 20)
    assert found.state == "missing"
    assert found.found.startswith(".dvc/config:4: oss://bucket/path: ")
    assert "dvc-oss" in found.found
    assert found.fix.endswith("-m pip install 'dvc[oss]'")


def test_checks_stop_neither_each_other_nor_the_program():
    never = threading.Event()
    late = Finding("missing", "no answer within 0 s")
    checks = [
        Check("broken", lambda: Finding("ok", str(1 / 0))),
        Check("slow", lambda: Finding("ok", str(never.wait(30))), late),
        Check("no such need", lambda: None),
        Check("fine", lambda: Finding("ok", "there"), late),
    ]
    found = run_checks(checks, 0.5)
    assert not never.is_set()
    never.set()
    assert list(found) == ["broken", "slow", "fine"]
    assert "ZeroDivisionError: division by zero" in found["broken"].found
    assert found["slow"] == late
    assert found["fine"] == Finding("ok", "there")
    assert aligned(found)[0] == "missing  broken       the check itself failed: ZeroDivisionError: division by zero"
    assert aligned(found)[1] == "      -> report this line"
