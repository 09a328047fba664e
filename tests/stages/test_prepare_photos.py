"""`prepare` on a corpus of photos: from SNLI and the lists, from ready-made rows; what it says when something lacks."""

import hashlib
import http.server
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import threading
import zipfile
from functools import partial

import pytest
from ruamel.yaml import YAML

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Example, Translation, hypothesis_id, read_rows, read_splits
from clseave.stages import prepare
from settings import SETTINGS

FILES = {"train": "train.jsonl", "dev": "dev.jsonl", "test": "test.jsonl"}
READY = {
    "kind": "photos",
    "rows": {"format": "snli_ve", "files": FILES},
    "photos": "flickr30k-images",
    "independent": "xvnli",
    "expected_counts": "none",
}


def rows_of(split, photos):
    """Three rows a photo, one hypothesis of which is said of every photo."""
    return [
        {
            "gold_label": label,
            "pairID": f"{photo}.jpg#0r1{label[0]}",
            "sentence2": "Somebody is there." if label == "neutral" else f"{label} {photo}",
            "Flickr30K_ID": str(photo),
        }
        for photo in photos
        for label in ("entailment", "neutral", "contradiction")
    ]


PHOTOS = {"train": [5, 3, 40], "dev": [7], "test": [100, 2]}
CONTENT = {str(photo): random.Random(photo).randbytes(1000 + photo) for split in PHOTOS.values() for photo in split}


class World:
    """A folder with a profile, the user's source folder, and the arguments of `prepare`."""

    def __init__(self, folder, root, source=READY):
        self.folder, self.root, self.source = folder, root, folder / "source"
        yaml = YAML(typ="safe", pure=True)
        profile = yaml.load((SETTINGS / "profiles" / "tiny.yaml").read_text(encoding="utf-8"))
        with open(folder / "photos.yaml", "w", encoding="utf-8") as stream:
            YAML().dump(profile | {"source": source}, stream)
        names = ("examples", "independent", "images", "text", "source", "downloads", "problems")
        paths = {name: folder / name for name in names}
        paths |= {
            "hypotheses": folder / "en.jsonl",
            "counts": folder / "counts.json",
            "profile": folder / "photos.yaml",
        }
        paths["params"] = SETTINGS / "params.yaml"
        self.arguments = [str(part) for name, path in paths.items() for part in (f"--{name}", path)]

    def run(self):
        prepare.main(self.arguments)

    def fail(self):
        """The message of a run as a program, which must exit with 2 and one line."""
        command = [sys.executable, str(self.root / "src" / "run.py"), "prepare", *self.arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 2, done.stderr
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("error: ") and "Traceback" not in done.stderr
        return last.removeprefix("error: ")

    def outputs(self):
        names = ("examples", "independent", "images", "text")
        files = [path for name in names for path in sorted((self.folder / name).rglob("*"))]
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in [*files, self.folder / "en.jsonl", self.folder / "counts.json"]
        }

    def listed(self):
        return [json.loads(line) for line in (self.folder / "images" / "photos.jsonl").read_text().splitlines()]


def place_rows(source):
    source.mkdir(parents=True, exist_ok=True)
    for split, photos in PHOTOS.items():
        lines = [json.dumps(row) for row in rows_of(split, photos)]
        (source / FILES[split]).write_text("\n".join(lines) + "\n")


def place_photos(source, kind="folder", content=CONTENT):
    source.mkdir(parents=True, exist_ok=True)
    path = source / ("flickr30k-images" if kind == "folder" else f"flickr30k-images.{kind}")
    if kind == "folder":
        path.mkdir()
        for image_id, one in content.items():
            (path / f"{image_id}.jpg").write_bytes(one)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for image_id, one in content.items():
                archive.writestr(f"flickr30k-images/{image_id}.jpg", one)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for image_id, one in content.items():
                member = tarfile.TarInfo(f"flickr30k-images/{image_id}.jpg")
                member.size = len(one)
                archive.addfile(member, io.BytesIO(one))
    return path


@pytest.fixture
def world(tmp_path, repo_root):
    made = World(tmp_path, repo_root)
    place_rows(made.source)
    return made


def test_everything_it_leaves(world):
    place_photos(world.source, content=CONTENT | {"999": b"unused"})
    world.run()
    rows = read_splits(world.folder / "examples")
    assert [row.pair_id for row in rows] == [
        row["pairID"] for split, ids in PHOTOS.items() for row in rows_of(split, ids)
    ]
    said = [row for row in rows if row.hypothesis == "Somebody is there."]
    assert all(row.seen == (row.split == "train" or row in said) for row in rows) and len(said) == 6
    english = read_rows(world.folder / "en.jsonl", Translation)
    assert [row.text for row in english] == list(dict.fromkeys(row.hypothesis for row in rows))
    assert all(row.hypothesis_id == hypothesis_id(row.text) and row.backend == "original" for row in english)
    assert world.listed() == [
        {
            "image_id": image_id,
            "archive": None,
            "file": f"flickr30k-images/{image_id}.jpg",
            "sha256": hashlib.sha256(CONTENT[image_id]).hexdigest(),
            "bytes": len(CONTENT[image_id]),
        }
        for image_id in sorted(CONTENT)
    ]
    counts = json.loads((world.folder / "counts.json").read_text())
    assert counts["train"] == {
        "rows": 9,
        "images": 3,
        "hypotheses": 7,
        "labels": {"entailment": 3, "neutral": 3, "contradiction": 3},
        "unseen_rows": 0,
    }
    assert (counts["dev"]["rows"], counts["test"]["unseen_rows"], counts["skipped"]) == (3, 4, {})
    assert counts["independent"] == {"rows": 0, "left_out": {}}
    assert [path.name for path in (world.folder / "independent").iterdir()] == ["examples.jsonl"]
    assert (world.folder / "text").is_dir() and not list((world.folder / "text").iterdir())
    assert not (world.folder / "problems").exists() and not (world.folder / "downloads").exists()


def place_xvnli(source, photos):
    """Rows on these photos in English and French, one a photo."""
    for code in ("en", "fr"):
        lines = [
            json.dumps(
                {
                    "pairID": f"{one}.jpg#9r1n",
                    "Flikr30kID": str(one),
                    "gold_label": "neutral",
                    "sentence2": f"{code} {one}",
                }
            )
            for one in photos
        ]
        (source / "xvnli").mkdir(exist_ok=True)
        (source / "xvnli" / f"{code}.jsonl").write_text("\n".join(lines) + "\n")


def held(world):
    """Splits of the examples' photos, independent photos, and counts."""
    rows = read_splits(world.folder / "examples")
    photos = {split: {row.image_id for row in rows if row.split == split} for split in PHOTOS}
    independent = [row.image_id for row in read_rows(world.folder / "independent/examples.jsonl", Example)]
    return photos, independent, json.loads((world.folder / "counts.json").read_text())


def test_independent_rows_are_those_on_photos_of_test_or_of_no_split(world):
    place_photos(world.source, content=CONTENT | {"55": b"of no split"})
    place_xvnli(world.source, [3, 55, 7, 2])
    world.run()
    photos, independent, counts = held(world)
    assert independent == ["55", "2"] and photos["train"] == {"3", "5", "40"}
    assert counts["independent"] == {"rows": 2, "left_out": {"photo_of_train_or_dev": 2}}
    assert "55" in {row["image_id"] for row in world.listed()}
    texts = {code: read_rows(world.folder / f"independent/{code}.jsonl", Translation) for code in ("en", "fr")}
    assert {code: [row.text for row in rows] for code, rows in texts.items()} == {
        "en": ["en 55", "en 2"],
        "fr": ["fr 55", "fr 2"],
    }
    keys = {row.hypothesis_id for row in read_rows(world.folder / "en.jsonl", Translation)}
    assert not keys & {row.hypothesis_id for row in texts["en"]}, "no stage translates them or trains on them"


def test_a_photo_of_two_splits_is_judged_on_no_row_of_test(world, caplog):
    extra = [row | {"pairID": f"again {row['pairID']}"} for row in rows_of("test", [3])]
    lines = [json.dumps(row) for row in (*extra, *rows_of("test", PHOTOS["test"]))]
    (world.source / FILES["test"]).write_text("\n".join(lines) + "\n")
    place_photos(world.source, content=CONTENT | {"2": CONTENT["7"]})
    world.run()
    rows = read_splits(world.folder / "examples", ["test"])
    assert {row.image_id for row in rows} == {"100", "2"} and len(rows) == 6
    counts = json.loads((world.folder / "counts.json").read_text())
    assert counts["skipped"] == {"test_rows_on_photos_of_train": 3} and counts["test"]["rows"] == 6
    said = [record.getMessage() for record in caplog.records]
    assert "3 of 9 rows of test are on photos that train also has, the first photo 3: these rows are left out" in said
    copies = "photos with the same bytes as one of an earlier split: 1, the first 2 of test (the same as 7 of dev)"
    assert copies in said


def test_photos_of_independent_rows_can_be_held_out_of_train_and_dev(tmp_path, repo_root):
    world = World(tmp_path, repo_root, READY | {"independent_held_out": True})
    place_rows(world.source)
    place_photos(world.source)
    place_xvnli(world.source, [3, 2])
    world.run()
    photos, independent, counts = held(world)
    assert photos == {"train": {"5", "40"}, "dev": {"7"}, "test": {"100", "2"}}
    assert independent == ["3", "2"]
    assert counts["skipped"] == {"photo_held_out": 3} and counts["train"]["rows"] == 6
    assert counts["independent"] == {"rows": 2, "left_out": {"photo_of_train_or_dev": 0}}


def test_a_photo_of_an_independent_row_that_is_missing_is_named(world):
    place_photos(world.source)
    place_xvnli(world.source, [55, 2])
    with pytest.raises(UserError, match=r"1 photos are missing \(6 found\), the first 55;"):
        world.run()


def test_the_bytes_are_the_same_again_and_hold_no_path(world):
    place_photos(world.source)
    world.run()
    before = world.outputs()
    world.run()
    assert world.outputs() == before and len(before) == 7
    assert not [name for name in before if str(world.folder).encode() in (world.folder / name).read_bytes()]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_photos_in_an_archive_have_the_same_content(tmp_path, repo_root, kind):
    listed = {}
    for form in ("folder", kind):
        (tmp_path / form).mkdir()
        made = World(tmp_path / form, repo_root)
        place_rows(made.source)
        place_photos(made.source, form)
        made.run()
        listed[form] = made.listed()
    assert {row["archive"] for row in listed[kind]} == {f"flickr30k-images.{kind}"}
    without_place = [[{**row, "archive": None} for row in rows] for rows in listed.values()]
    assert without_place[0] == without_place[1]


@pytest.mark.slow
def test_a_missing_folder_of_photos_is_said_before_anything_else(world):
    message = world.fail()
    assert f"{world.source / 'flickr30k-images'} does not exist: place there the folder of photos or a link" in message
    assert "University of Illinois" in message
    assert not (world.folder / "examples").exists()


@pytest.mark.slow
def test_missing_photos_are_listed_in_a_file(world):
    place_photos(world.source, content={"5": CONTENT["5"], "3": CONTENT["3"]})
    message = world.fail()
    listing = world.folder / "problems" / "missing_photos.txt"
    assert "4 photos are missing (2 found), the first 100, 2, 40, 7; all of them in" in message
    assert listing.read_text().split() == ["100", "2", "40", "7"]
    for image_id in ("100", "2", "40", "7"):
        (world.source / "flickr30k-images" / f"{image_id}.JPG").write_bytes(CONTENT[image_id])
    world.run()
    assert not listing.exists() and len(world.listed()) == 6


def test_counts_that_differ_stop_it(tmp_path, repo_root):
    world = World(tmp_path, repo_root, READY | {"expected_counts": "official"})
    place_rows(world.source)
    place_photos(world.source)
    with pytest.raises(
        UserError, match=r"counts differ .*: train rows 9, expected 529,527; train entailment 3, expected"
    ):
        world.run()
    assert not (world.folder / "examples").exists()
    world = World(tmp_path, repo_root, READY | {"expected_counts": "counts.json"})
    (world.source / "counts.json").write_text('{"train": {"rows": 9, "labels": {"neutral": 3}}, "dev": {"images": 1}}')
    world.run()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield tmp_path / "served", f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def snli_source(folder, url, checksums=True):
    """SNLI and the lists as a server has them, and the section that names them."""
    with zipfile.ZipFile(folder / "snli_1.0.zip", "w") as archive:
        for split, other in (("train", "test"), ("dev", "train"), ("test", "dev")):  # SNLI's splits are not ours
            rows = [
                {key: value for key, value in row.items() if key != "Flickr30K_ID"}
                for row in rows_of(other, PHOTOS[other])
            ]
            archive.writestr(f"snli_1.0/snli_1.0_{split}.jsonl", "\n".join(map(json.dumps, rows)))
    (folder / "train_val.lst").write_text("5\n3\n40\n7")
    (folder / "test.lst").write_text("100\n2\n")

    def download(name):
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        return {"file": name, "url": f"{url}/{name}", "sha256": digest if checksums else None}

    rows = {"format": "snli", **download("snli_1.0.zip"), "dev_images": 1}
    rows |= {"train_val": download("train_val.lst"), "test": download("test.lst")}
    return READY | {"rows": rows}


@pytest.mark.parametrize("checksums", [True, False])
def test_snli_is_downloaded_once_and_gives_the_same_examples(tmp_path, repo_root, server, checksums):
    world = World(tmp_path, repo_root, snli_source(*server, checksums=checksums))
    place_photos(world.source)
    world.run()
    before = world.outputs()
    rows = read_splits(world.folder / "examples")
    assert [row.pair_id for row in rows] == [
        row["pairID"] for split, ids in PHOTOS.items() for row in rows_of(split, ids)
    ]
    kept = sorted(path.name for path in (world.folder / "downloads").iterdir())
    files = ["snli_1.0.zip", "test.lst", "train_val.lst"]
    assert kept == (files if checksums else sorted([*files, *(f"{name}.sha256" for name in files)]))
    for path in server[0].iterdir():
        path.unlink()
    world.run()
    assert world.outputs() == before


def test_a_file_that_cannot_be_downloaded_says_where_to_place_it(tmp_path, repo_root, server):
    world = World(tmp_path, repo_root, snli_source(*server))
    place_photos(world.source)
    os.rename(server[0] / "test.lst", tmp_path / "test.lst")
    with pytest.raises(UserError, match=r"test\.lst answered 404 .*: place the file by hand as .*/source/test\.lst"):
        world.run()
    os.rename(tmp_path / "test.lst", world.source / "test.lst")
    world.run()
    assert sorted(path.name for path in (world.folder / "downloads").iterdir()) == ["snli_1.0.zip", "train_val.lst"]


@pytest.mark.needs_data
@pytest.mark.parametrize("linked", [True, False])
def test_the_real_rows_and_photos(test_data, tmp_path, repo_root, linked):
    real = test_data / "snli_ve_real"
    counts = {split: {"rows": rows} for split, rows in (("train", 481), ("dev", 17), ("test", 24))}
    files = {split: f"snli_ve_{split}.jsonl" for split in FILES}
    source = {"rows": {"format": "snli_ve", "files": files}, "expected_counts": "counts.json"}
    world = World(tmp_path, repo_root, READY | source)
    world.source.mkdir()
    (world.source / "counts.json").write_text(json.dumps(counts))
    for name in files.values():
        (world.source / name).symlink_to(real / name)
    if linked:
        (world.source / "flickr30k-images").symlink_to(real / "flickr30k_images")
    else:
        with zipfile.ZipFile(world.source / "flickr30k-images.zip", "w") as archive:
            for path in (real / "flickr30k_images").iterdir():
                archive.write(path, f"flickr30k-images/{path.name}")
    world.run()
    rows = read_splits(world.folder / "examples")
    assert len(rows) == 522 and len(world.listed()) == 170
    for row in world.listed()[::20]:
        content = (real / "flickr30k_images" / f"{row['image_id']}.jpg").read_bytes()
        assert (row["sha256"], row["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
