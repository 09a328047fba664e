"""Which model folders belong together: a text encoder for each language, the head, and CLIP's image tower."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clseave.foundation.errors import UserError
from clseave.foundation.rows.training_record import read
from clseave.models.encoders import MARKS
from clseave.models.hub import snapshot

LISTED = 12  # most folders in a message
ENGLISH = "en"
UNKNOWN = "unknown"  # language of a model without a training record: it takes sentences of any


@dataclass(frozen=True)
class Folders:
    """The folders of one system: a text encoder for each language, the head, the image tower."""

    encoders: dict[str, Path]
    head: Path
    clip: Path


def find(
    model: str | Path,
    languages: Sequence[str] = (),
    head: Path | None = None,
    clip: Path | None = None,
    *,
    seed: int | None = None,
    revision: str = "main",
) -> Folders:
    """Return the folders of a text encoder, of a whole profile, `models/PROFILE`, or of a bundle.

    Of a profile or bundle, the encoders of `languages` (none: of all) with a seed (None: its first): CLIP-VE in
    English, CLSEAVE in the other languages. A bundle may be one of the hub, OWNER/NAME, which is downloaded at
    `revision`. UserError when the folder holds none of them.
    """
    model = _local(str(model), languages, revision)
    if _is_profile(model):
        own = _of_seed(model, seed)
        return Folders(_of_profile(model, own.name, languages), head or own, clip or model / "clip")
    require_encoder(model)
    if seed is not None or len(languages) > 1:
        raise UserError(f"{model} is a single model: name its profile's folder to choose a seed or several languages")
    record = read(model)
    known = record.languages if record and len(record.languages) == 1 else []
    if languages and known and list(languages) != known:
        raise UserError(
            f"{model}: found --language {', '.join(languages)}, but it was trained on {known[0]}: name its profile's "
            "folder to choose among languages"
        )
    own_head, own_clip = (head, clip) if head and clip else head_and_clip(model)
    return Folders({(languages or known or [UNKNOWN])[0]: model}, head or own_head, clip or own_clip)


def _local(model: str, languages: Sequence[str], revision: str) -> Path:
    """A folder as it is; of a model of the hub, the folder of the cache that holds what these languages need.

    OWNER/NAME is of the hub when neither OWNER nor OWNER/NAME exists here; what starts with . / or ~ never is.
    """
    folder, (owner, *rest) = Path(model).expanduser(), model.split("/")
    if folder.exists() and revision != "main":
        raise UserError(f"{model}: found a revision, {revision}, which only a model of the hub has: leave it out")
    if folder.exists() or model.startswith((".", "/", "~")) or len(rest) != 1 or Path(owner).exists():
        return folder
    students = [f"clseave/{language}/*" for language in languages] or ["clseave/*"]
    try:
        return snapshot(model, revision, ["clip/*", "clip_ve/*", *students, "README.md", "LICENSE", "SHA256SUMS"])
    except UserError as error:
        raise UserError(f"{model}: there is no such folder, and as a model of the hub: {error}") from error


def seed_of(folder: Path) -> str:
    """The name of a seed's folder, `seed0` for a folder of another name."""
    return folder.name if folder.name in [path.name for path in _seeds(folder.parent)] else "seed0"


def _is_profile(folder: Path) -> bool:
    return (folder / "clip/config.json").is_file() and bool(_seeds(folder / "clip_ve"))


def _seeds(folder: Path) -> list[Path]:
    """Folders of seeds in ascending order."""
    found = [path for path in folder.glob("seed*") if path.name[4:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[4:]))


def _of_seed(model: Path, seed: int | None) -> Path:
    """CLIP-VE of a seed, or of the first. UserError for a seed that the profile lacks."""
    known = _seeds(model / "clip_ve")
    found = known[:1] if seed is None else [path for path in known if path.name == f"seed{seed}"]
    if not found:
        raise UserError(f"{model}: no seed {seed}; it has {', '.join(path.name[4:] for path in known)}")
    return found[0]


def _of_profile(model: Path, seed: str, languages: Sequence[str]) -> dict[str, Path]:
    """The encoders of a profile by language. UserError for a language that it lacks."""
    english = {ENGLISH: model / "clip_ve" / seed} if (model / "clip_ve" / seed / "config.json").is_file() else {}
    students = sorted(path.parent for path in model.glob(f"clseave/*/{seed}"))
    found = english | {path.name: path / seed for path in students}
    if missing := [language for language in languages if language not in found]:
        raise UserError(f"{model}: no student for {', '.join(missing)}; it has {', '.join(found)}")
    return {language: found[language] for language in languages or found}


def require_encoder(model: Path) -> None:
    """Raise UserError when a folder is not a text encoder; the message lists the encoders below it, if any."""
    if not model.is_dir():
        raise UserError(f"{model}: no such folder: run `dvc pull` or `make reproduce`, or name another model")
    if any((model / mark).is_file() for mark in MARKS):
        return
    marked = {path.parent for mark in MARKS for path in model.glob(f"**/{mark}")}
    found = sorted(str(folder) for folder in marked if (folder / "config.json").is_file())
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    what = (
        f"name a model in it: {', '.join(found[:LISTED])}{more}"
        if found
        else "run the stage that writes it (`dvc repro`)"
    )
    raise UserError(f"{model} is no text encoder: {what}")


def head_and_clip(model: Path) -> tuple[Path, Path]:
    """Return the folders of the head and of CLIP for a model in `models/PROFILE`. UserError when there are none."""
    own = (model / "head.json").is_file()  # CLIP-VE and its controls include a head
    for folder in model.resolve().parents:
        if (folder / "clip" / "config.json").is_file():
            return model if own else folder / "clip_ve" / model.resolve().name, folder / "clip"
    raise UserError(f"{model}: no CLIP beside it: name a folder below models/PROFILE, or give --head and --clip")
