"""Photos by id, from a folder, a tar or a zip."""

import hashlib
import io
import json
import os
import tarfile
import threading
import time
import unicodedata
import zipfile

import pytest

from clseave.corpora.photos import (
    Photo,
    by_id,
    describe,
    find,
    open_collection,
    read_photos,
    reopen,
    require_photos,
    write_photos,
)
from clseave.corpora.prefetch import map_ahead
from clseave.foundation.errors import UserError

# Not in the order of their ids; suffixes of any case; one below the others; what macOS and others leave behind.
FILES = {
    "photos/30.jpg": b"thirty" * 1000,
    "photos/4.JPG": b"four",
    "photos/more/200.jpeg": b"two hundred",
    "photos/5.png": b"five",
    "photos/._4.JPG": b"macOS",
    "photos/readme.txt": b"text",
    "photos/.hidden/4.jpg": b"hidden",
    "__MACOSX/photos/5.png": b"macOS",
}
PHOTO = {"image_id": "4", "archive": None, "file": "4.jpg", "sha256": "0", "bytes": 4}
IDS = ["30", "4", "200", "5"]
CONTENT = {"30": b"thirty" * 1000, "4": b"four", "200": b"two hundred", "5": b"five"}


def make(source, kind, files=FILES):
    """The files as a folder or an archive of the given kind in `source`; its path."""
    source.mkdir(exist_ok=True)
    if kind == "folder":
        for name, content in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(content)
        return source / "photos"
    path = source / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("photos/", b"")
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if kind in ("tar.gz", "tgz") else "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


KINDS = ["folder", "tar", "tar.gz", "tgz", "zip"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_gives_the_same_photos(tmp_path, kind):
    collection = open_collection(make(tmp_path / "source", kind))
    assert {image_id: collection.read(image_id) for image_id in collection.files} == CONTENT
    wanted = ["5", "30", "4"]
    assert {image_id: load() for image_id, load in collection.loaders(wanted)} == {key: CONTENT[key] for key in wanted}
    assert [image_id for image_id, _ in collection.loaders(wanted)] == collection.order(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_stands_for_a_folder_or_any_archive_of_it(tmp_path, kind):
    path = make(tmp_path / "source", kind)
    assert find(tmp_path / "source", "photos") == path == find(tmp_path / "source", path.name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_listed_is_found_again(tmp_path, kind):
    source = tmp_path / "source"
    path = make(source, kind)
    photos = describe(open_collection(path), IDS, source)
    write_photos(tmp_path / "photos.jsonl", photos)
    listed = read_photos(tmp_path / "photos.jsonl")
    assert [photo.image_id for photo in listed] == sorted(IDS)
    for photo in listed:
        content = CONTENT[photo.image_id]
        assert (photo.sha256, photo.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
        assert photo.archive == (None if kind == "folder" else path.name)
        assert photo.file.removeprefix("./").startswith("photos/") and str(tmp_path) not in photo.file
    again = reopen(source, listed)
    assert {image_id: load() for image_id, load in again.loaders(IDS)} == CONTENT


def test_a_tar_is_read_in_its_own_order_and_a_zip_in_any(tmp_path):
    assert open_collection(make(tmp_path, "tar.gz")).order(["5", "4", "30"]) == ["30", "4", "5"]
    assert open_collection(make(tmp_path, "zip")).order(["5", "4", "30"]) == ["5", "4", "30"]


def test_names_of_photos_are_compared_in_one_normal_form(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Küche.jpg")
    assert by_id(tmp_path, [decomposed]) == {"K\u00fcche": decomposed}
    with pytest.raises(UserError, match="are both photo K\u00fcche: keep one"):
        by_id(tmp_path, [decomposed, "K\u00fcche.jpg"])


@pytest.mark.parametrize("kind", KINDS)
def test_one_id_for_two_photos_is_refused(tmp_path, kind):
    files = FILES | {"photos/more/4.png": b"another"}
    with pytest.raises(UserError, match=r"4\.JPG and .*4\.png are both photo 4: keep one of them"):
        open_collection(make(tmp_path, kind, files))


def test_links_in_archives_are_no_photos(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("1.jpg", tarfile.SYMTYPE), ("2.jpg", tarfile.LNKTYPE), ("3.jpg", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    link = zipfile.ZipInfo("1.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("3.jpg", b"")
    assert list(open_collection(tmp_path / "a.tar").files) == list(open_collection(tmp_path / "a.zip").files) == ["3"]


@pytest.mark.parametrize("name", ["../1.jpg", "/1.jpg", "a/../../1.jpg", "a\\1.jpg"])
def test_unsafe_names_in_archives_are_refused(tmp_path, name):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(UserError, match="is no safe file name"):
        open_collection(tmp_path / "a.tar")


def test_links_to_photos_and_to_their_folder_are_followed(tmp_path):
    real = make(tmp_path / "elsewhere", "folder")
    (tmp_path / "source").mkdir()
    os.symlink(real, tmp_path / "source" / "photos")
    photos = describe(open_collection(find(tmp_path / "source", "photos")), IDS, tmp_path / "source")
    assert {photo.file for photo in photos} == {
        f"photos/{name}" for name in ("30.jpg", "4.JPG", "more/200.jpeg", "5.png")
    }


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_truncated_archive_is_named(tmp_path, kind):
    path = make(tmp_path, kind, {f"{number}.jpg": os.urandom(5000) for number in range(20)})
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(UserError, match=rf"photos\.{kind} .*copy or fetch it again"):
        open_collection(path)


def test_a_damaged_member_is_named(tmp_path):
    path = make(tmp_path, "zip")
    path.write_bytes(path.read_bytes().replace(b"two hundred", b"two hundrex"))
    with pytest.raises(UserError, match=r"photos\.zip: photos/more/200\.jpeg cannot be read: Bad CRC"):
        open_collection(path).read("200")


def test_no_photos_at_all_says_where_to_place_them_and_where_to_ask(tmp_path):
    with pytest.raises(UserError) as caught:
        find(tmp_path / "source", "flickr30k-images")
    message = str(caught.value)
    assert f"{tmp_path}/source/flickr30k-images does not exist" in message and "\n" not in message
    for hint in (
        "link",
        "flickr30k-images.tar.gz",
        "licence forbids redistribution",
        "form of the University of Illinois",
    ):
        assert hint in message
    for name in ("/photos", "../photos"):
        with pytest.raises(UserError, match="allowed: a name in"):
            find(tmp_path, name)


def test_photos_that_are_gone_again_are_missed(tmp_path):
    with pytest.raises(UserError, match=r"photos\.zip does not exist: place the photos there again"):
        reopen(tmp_path, [Photo("4", "photos.zip", "4.jpg", "", 1)])
    with pytest.raises(UserError, match=r"photos/4\.jpg cannot be read: .*No such file"):
        reopen(tmp_path, [Photo("4", None, "photos/4.jpg", "", 1)]).read("4")


def test_missing_photos_are_counted_and_listed(tmp_path):
    collection = open_collection(make(tmp_path / "source", "folder"))
    with pytest.raises(UserError) as caught:
        require_photos(collection, [*IDS, *(str(number) for number in range(1000, 1012))], tmp_path / "problems")
    listing = tmp_path / "problems" / "missing_photos.txt"
    assert listing.read_text().split() == [str(number) for number in range(1000, 1012)]
    first = ", ".join(str(number) for number in range(1000, 1010))
    assert f"12 photos are missing (4 found), the first {first}; all of them in {listing}" in str(caught.value)
    require_photos(collection, IDS, tmp_path / "problems")
    assert not listing.exists()


def test_a_file_that_is_neither_folder_nor_archive(tmp_path):
    (tmp_path / "photos").write_text("text")
    with pytest.raises(UserError, match="neither a folder nor a whole tar or zip"):
        open_collection(tmp_path / "photos")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image_id": "4"}, "archive: missing field"),
        (PHOTO | {"colour": 1}, "colour: unknown field"),
        (PHOTO | {"bytes": "1"}, "bytes: found '1', expected a valid integer"),
    ],
)
def test_another_list_of_photos_is_refused(tmp_path, row, message):
    (tmp_path / "photos.jsonl").write_text(f"{json.dumps(PHOTO)}\n{json.dumps(row)}\n")
    with pytest.raises(UserError, match=rf"photos\.jsonl:2: no list of photos: {message}: run its stage again"):
        read_photos(tmp_path / "photos.jsonl")


def test_threads_keep_the_order_and_do_not_run_away():
    started, taken, lead = [], 0, 0

    def slow(number):
        started.append(number)
        time.sleep(0.002 * (number % 3))
        return number

    for expected, found in enumerate(map_ahead(slow, range(60), 5)):
        assert found == expected
        taken += 1
        lead = max(lead, len(started) - taken)
    assert taken == 60 and lead <= 6


def test_an_error_in_a_thread_comes_out_in_its_place():
    def fail(number):
        if number == 3:
            raise UserError("third")
        return number

    found, before = [], threading.active_count()
    with pytest.raises(UserError, match="third"):
        for one in map_ahead(fail, range(10), 4):
            found.append(one)
    assert found == [0, 1, 2] and threading.active_count() == before
