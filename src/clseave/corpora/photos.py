"""Photos by id: files of a folder, or members of a tar or zip, read as bytes and never extracted to disk.

A photo's id is its file name without suffix, NFC-normalised: 1000092795.jpg is photo 1000092795 of Flickr30k.
"""

import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath

from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from clseave.corpora.prefetch import THREADS, map_ahead
from clseave.foundation.errors import UserError
from clseave.foundation.files.archives import BROKEN, is_link, require_inside, require_size
from clseave.foundation.files.formats import iter_jsonl, write_jsonl, write_text
from clseave.foundation.files.hashing import of_bytes
from clseave.foundation.process import progress
from clseave.foundation.settings.messages import STRICT, one_fault

SUFFIXES = (".jpg", ".jpeg", ".png")
DEEPEST = 3  # levels of folders searched below the folder of photos
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
NAMED = 10  # missing or broken photos that a message lists
REMAKE = "run its stage again (`dvc repro -f -s prepare`, then `dvc repro`)"
REQUEST = (
    "their licence forbids redistribution, so nothing can fetch them: ask for Flickr30k by the form of the "
    "University of Illinois (http://shannon.cs.illinois.edu/DenotationGraph/)"
)

Loader = Callable[[], bytes]  # may be called from any thread


@dataclass(frozen=True, slots=True, config=STRICT)
class Photo:
    """A photo used by examples. `file` is relative to the source folder, or the member's name in `archive`."""

    image_id: str
    archive: str | None
    file: str
    sha256: str
    bytes: int


def write_photos(path: Path, photos: Sequence[Photo]) -> None:
    """Write one photo per line as JSON, sorted by id."""
    write_jsonl(path, (asdict(photo) for photo in sorted(photos, key=lambda photo: photo.image_id)))


def read_photos(path: Path) -> list[Photo]:
    """Read the photos that `write_photos` wrote. UserError when the file holds something else."""
    photos = []
    for number, row in enumerate(iter_jsonl(path), start=1):
        try:
            photo = Photo(**row)
        except ValidationError as error:
            raise UserError(f"{path}:{number}: no list of photos: {one_fault(error)}: {REMAKE}") from error
        require_inside(photo.file, path)
        require_inside(photo.archive or ".", path)
        photos.append(photo)
    return photos


class Collection:
    """Photos in one place; `files` maps ids to names in it. The base class reads the files of a folder."""

    def __init__(self, path: Path, files: dict[str, str] | None = None):
        """List the photos unless `files` is given. UserError: the place cannot be read, or two photos share an id."""
        self.path = path
        try:
            self.files = by_id(path, self.names()) if files is None else files
        except BROKEN as error:
            raise UserError(f"{path} cannot be read ({error}): copy or fetch it again") from error

    def names(self) -> Iterator[str]:
        """Yield the files of the folder and its subfolders, sorted; symlinks to a folder already seen are skipped."""
        seen = {self.path.resolve(), *self.path.resolve().parents}
        pending = [(self.path, 0)]
        for folder, depth in pending:  # the list grows in the loop: breadth-first search
            entries = sorted(folder.iterdir())
            yield from (entry.relative_to(self.path).as_posix() for entry in entries if entry.is_file())
            for entry in entries:
                if depth < DEEPEST and entry.is_dir() and (real := entry.resolve()) not in seen:
                    seen.add(real)
                    pending.append((entry, depth + 1))

    def order(self, ids: Sequence[str]) -> list[str]:
        """Return the ids in the order in which `loaders` yields them."""
        return list(ids)

    def loaders(self, ids: Iterable[str]) -> Iterator[tuple[str, Loader]]:
        """Return each id, in the order of `order`, with a function that reads its bytes, or raises UserError."""
        return ((image_id, partial(self.read, image_id)) for image_id in ids)

    def read(self, image_id: str) -> bytes:
        """Return the bytes of one photo. UserError when it is missing or cannot be read."""
        try:
            return self._read(self.files[image_id])
        except KeyError as error:
            raise UserError(f"{self.path}: no photo {image_id}") from error
        except BROKEN as error:
            raise UserError(f"{self.path}: {self.files[image_id]} cannot be read: {error}") from error

    def _read(self, name: str) -> bytes:
        path = self.path / name
        require_size(path.stat().st_size)
        return path.read_bytes()


class ZipCollection(Collection):
    """Photos that are members of a zip."""

    def names(self) -> Iterator[str]:
        """Yield the names of the members that are files, without symlinks, in the archive's order."""
        self._zip = zipfile.ZipFile(self.path)
        for member in self._zip.infolist():
            if not member.is_dir() and not is_link(member):
                yield member.filename

    def _read(self, name: str) -> bytes:
        require_size(self._zip.getinfo(name).file_size)  # zipfile decompresses no more than this size
        return self._zip.read(name)


class TarCollection(Collection):
    """Photos that are members of a tar, compressed or not, which is read once from start to end."""

    def names(self) -> Iterator[str]:
        """Yield the names of the members that are files, without symlinks, in the archive's order."""
        with tarfile.open(self.path) as archive:
            yield from (member.name for member in archive if member.isreg())

    def order(self, ids: Sequence[str]) -> list[str]:
        """Return the ids in the archive's order."""
        wanted = set(ids)
        return [image_id for image_id in self.files if image_id in wanted]

    def loaders(self, ids: Iterable[str]) -> Iterator[tuple[str, Loader]]:
        """Yield each id with a function that returns its bytes, already read, in the archive's order."""
        wanted = {self.files[image_id]: image_id for image_id in ids}
        try:
            with tarfile.open(self.path, "r|*") as archive:
                for member in archive:
                    if member.name in wanted and (stream := archive.extractfile(member)):
                        require_size(member.size)
                        yield wanted.pop(member.name), partial(bytes, stream.read())
                    if not wanted:
                        return
                raise EOFError(f"{len(wanted)} members are gone")
        except BROKEN as error:
            raise UserError(f"{self.path} cannot be read ({error}): copy or fetch it again") from error

    def _read(self, name: str) -> bytes:
        with tarfile.open(self.path) as archive:
            require_size(archive.getmember(name).size)
            stream = archive.extractfile(name)
            assert stream is not None  # `names` yields regular files only
            return stream.read()


def by_id(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the names of photos by id, without other and hidden files. UserError: unsafe name, id of two photos."""
    files: dict[str, str] = {}
    for name in names:
        parts = PurePosixPath(name)
        if parts.suffix.lower() not in SUFFIXES:
            continue
        require_inside(name, path)
        if "__MACOSX" in parts.parts or any(part.startswith(".") for part in parts.parts):
            continue
        image_id = unicodedata.normalize("NFC", parts.stem)
        if image_id in files:
            raise UserError(f"{path}: {files[image_id]} and {name} are both photo {image_id}: keep one of them")
        files[image_id] = name
    return files


def find(source: Path, name: str) -> Path:
    """Return the folder or archive `name` in `source`, also found with the suffix of a tar or zip.

    UserError when there is none; the message says how to obtain the photos.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UserError(f"source.photos: found {name!r}, allowed: a name in {source}, where a link may lead elsewhere")
    for path in (source / name, *(source / f"{name}{suffix}" for suffix in ARCHIVES)):
        if path.exists():
            return path
    raise UserError(
        f"no photos: {source / name} does not exist: place there the folder of photos or a link to it, "
        f"or a tar or zip beside it ({name}.tar.gz, {name}.zip); {REQUEST}"
    )


def open_collection(path: Path, files: dict[str, str] | None = None) -> Collection:
    """Return the collection of a folder (`files` replace the search), tar or zip. UserError when it is none of them."""
    if path.is_dir():
        return Collection(path, files)
    if zipfile.is_zipfile(path):
        return ZipCollection(path)
    try:
        if tarfile.is_tarfile(path):
            return TarCollection(path)
    except BROKEN as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    raise UserError(f"{path} is neither a folder nor a whole tar or zip of photos: copy or fetch it again")


def reopen(source: Path, photos: Sequence[Photo]) -> Collection:
    """Return the collection that `photos` were described from. UserError when it no longer exists."""
    if not photos:
        return Collection(source, {})
    archive = photos[0].archive
    if not (path := source / archive if archive else source).exists():
        raise UserError(f"{path} does not exist: place the photos there again; {REQUEST}")
    return open_collection(path, None if archive else {photo.image_id: photo.file for photo in photos})


def require_photos(collection: Collection, wanted: Iterable[str], problems: Path) -> None:
    """Raise UserError when photos are missing: how many, the first ten, and the file in `problems` that lists all."""
    listing = problems / "missing_photos.txt"
    missing = sorted(set(wanted) - set(collection.files))
    if not missing:
        listing.unlink(missing_ok=True)
        return
    write_text(listing, "\n".join(missing) + "\n")
    raise UserError(
        f"{collection.path}: {len(missing):,} photos are missing ({len(collection.files):,} found), the first "
        f"{', '.join(missing[:NAMED])}; all of them in {listing}: add them and run again"
    )


def describe(collection: Collection, ids: Sequence[str], source: Path | None) -> list[Photo]:
    """Return name, hash and size of photos; the names are relative to `source`, or to the collection when it is None.

    UserError when photos cannot be read; it lists the first ten.
    """
    inside = collection.path.relative_to(source).as_posix() if source else None
    folder = collection.path.is_dir()

    def hashed(loader: tuple[str, Loader]) -> Photo | str:
        image_id, load = loader
        name = collection.files[image_id]
        try:
            content = load()
        except UserError as error:
            return str(error)
        file = (PurePosixPath(inside or ".") / name).as_posix() if folder else name
        return Photo(image_id, None if folder else inside, file, of_bytes(content), len(content))

    rows = map_ahead(hashed, collection.loaders(collection.order(ids)), 4 * THREADS)
    found = list(progress.bar(rows, desc="photos", total=len(ids), unit="photos"))
    if unreadable := [one for one in found if isinstance(one, str)]:
        raise UserError(f"{len(unreadable)} photos cannot be read: {'; '.join(unreadable[:NAMED])}")
    return [one for one in found if isinstance(one, Photo)]
