"""A bundle: one system in one folder, which predicts where nothing else of the repository is.

It has the layout of models/PROFILE: `clip` with the image tower only, `clip_ve/SEED` with the head (and the text tower,
if English is in it), `clseave/LANGUAGE/SEED` with a student for each other language.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, ModelCard, constants, errors

from clseave.foundation.errors import UserError, one_line
from clseave.foundation.files.formats import write_text
from clseave.foundation.files.hashing import of_file
from clseave.foundation.process.fingerprint import RECORD
from clseave.inference.folders import ENGLISH, UNKNOWN, Folders, seed_of
from clseave.models.towers import ImageTower

HASHES = "SHA256SUMS"  # as `sha256sum` writes it and `sha256sum -c` checks it
HEAD = ("head.json", "head.safetensors")
PROCESSOR = ("preprocessor_config.json", "processor_config.json")
LEFT_OUT = shutil.ignore_patterns(".*", "README.md")
OPEN = "mit"  # the licence of what anybody may publish


def parts(found: Folders) -> dict[str, Path]:
    """The folders of a system by their place in a bundle. UserError for one that cannot be in a bundle."""
    if UNKNOWN in found.encoders:
        raise UserError(f"{found.encoders[UNKNOWN]}: its language is not known: say --language")
    seed = seed_of(found.head)
    places = {"clip": found.clip, f"clip_ve/{seed}": found.head}
    for language, encoder in found.encoders.items():
        if (encoder / "autoencoder.json").exists():
            raise UserError(f"{encoder}: CLTEAVE students need all of CLIP-VE, and cannot be exported")
        places[f"clip_ve/{seed}" if language == ENGLISH else f"clseave/{language}/{seed}"] = encoder
    return places


def write(folder: Path, found: Folders) -> None:
    """Copy the models of a system into a new folder."""
    for place, source in parts(found).items():
        if place == "clip":
            ImageTower.load(source).save(folder / place)
            _copy(source, folder / place, (*PROCESSOR, RECORD))
        elif place.startswith("clseave") or ENGLISH in found.encoders:
            shutil.copytree(source, folder / place, ignore=LEFT_OUT)
        else:
            (folder / place).mkdir(parents=True)
            _copy(source, folder / place, (RECORD,))
        if place.startswith("clip_ve"):
            _copy(found.head, folder / place, HEAD)


def _copy(source: Path, target: Path, names: Sequence[str]) -> None:
    """Copy those of the files that are there."""
    for name in names:
        if (source / name).is_file():
            shutil.copy2(source / name, target / name)


def write_hashes(folder: Path) -> None:
    """Write the SHA-256 of every file of a bundle."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    write_text(folder / HASHES, "".join(f"{of_file(folder / name)}  {name}\n" for name in files if name != HASHES))


def push(folder: Path, name: str, *, private: bool) -> str:
    """Make the repository `name` (OWNER/NAME) of the hub hold a bundle and nothing else; return its address.

    It is made if there is none. The login is that of `hf auth login`, or HF_TOKEN. UserError in one line, also when it
    would publish weights that may not be published, or replace what is no bundle.
    """
    if not (folder / HASHES).is_file():
        raise UserError(f"{folder} is no bundle: give --model to write one")
    if name.count("/") != 1:
        raise UserError(f"--push {name}: expected OWNER/NAME of a repository of the hub")
    if not private and (licence := ModelCard.load(folder / "README.md").data.license) != OPEN:
        raise UserError(
            f"{folder / 'README.md'}: licence {licence}: these weights may not be for everybody: push with --private, "
            "or settle the terms and upload the folder by `hf upload`"
        )
    try:
        return _upload(folder, name, private=private)
    except errors.HFValidationError as error:
        raise UserError(f"--push {name}: expected OWNER/NAME of a repository of the hub") from error
    except errors.HfHubHTTPError as error:
        refused = error.response is not None and error.response.status_code in (401, 403)
        remedy = "log in by `hf auth login` with a token that may write to it" if refused else "wait a little"
        raise UserError(f"{constants.ENDPOINT} refused {name}: {one_line(str(error))}: {_again(remedy)}") from error
    except (OSError, ValueError, httpx2.TransportError) as error:
        reason = f"{constants.ENDPOINT}: {name} could not be written: {one_line(str(error))}"
        raise UserError(f"{reason}: {_again('look at the cause')}") from error


def _again(first: str) -> str:
    return f"{first}, then push what is written: the same command without --model"


def _upload(folder: Path, name: str, *, private: bool) -> str:
    """Upload to a repository that is new, empty, or holds a bundle; UserError for another."""
    api = HfApi()
    address = api.create_repo(name, private=private, exist_ok=True)
    if private and not api.repo_info(name).private:
        raise UserError(f"{address} exists and is public, --private makes new repositories only private")
    present = set(api.list_repo_files(name)) - {".gitattributes", "README.md"}
    if present and HASHES not in present:
        raise UserError(f"{address} holds something else than a bundle: name another repository")
    message = "Bundle for visual entailment"
    api.upload_folder(repo_id=name, folder_path=folder, delete_patterns="*", commit_message=message)
    return str(address)
