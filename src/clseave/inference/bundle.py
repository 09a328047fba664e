"""A bundle: one system in one folder, which predicts where nothing else of the repository is.

It has the layout of models/PROFILE: `clip` with the image tower only, `clip_ve/SEED` with the head (and the text tower,
if English is in it), `clseave/LANGUAGE/SEED` with a student for each other language.
"""

import shutil
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, errors
from transformers import CLIPVisionModelWithProjection

from clseave.foundation.errors import UserError, one_line
from clseave.foundation.files.formats import write_text
from clseave.foundation.files.hashing import of_file
from clseave.foundation.process.fingerprint import RECORD
from clseave.inference.folders import ENGLISH, UNKNOWN, Folders
from clseave.models.loading import load_model

HASHES = "SHA256SUMS"  # as `sha256sum` writes it and `sha256sum -c` checks it
HEAD = ("head.json", "head.safetensors")
PROCESSOR = ("preprocessor_config.json", "processor_config.json")
LEFT_OUT = shutil.ignore_patterns(".*", "README.md")


def write(folder: Path, found: Folders) -> None:
    """Copy the models of a system into a new folder. UserError when a model's language is not known."""
    if UNKNOWN in found.encoders:
        raise UserError(f"{found.encoders[UNKNOWN]}: its language is not known: say --language")
    seed = found.head.name
    load_model(CLIPVisionModelWithProjection, found.clip).save_pretrained(folder / "clip")
    _copy(found.clip, folder / "clip", (*PROCESSOR, RECORD))
    head = folder / "clip_ve" / seed
    for language, encoder in found.encoders.items():
        target = head if language == ENGLISH else folder / "clseave" / language / seed
        shutil.copytree(encoder, target, ignore=LEFT_OUT)
    head.mkdir(parents=True, exist_ok=True)
    _copy(found.head, head, (*HEAD, RECORD))


def _copy(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Copy those of the files that are there."""
    for name in names:
        if (source / name).is_file():
            shutil.copy2(source / name, target / name)


def write_hashes(folder: Path) -> None:
    """Write the SHA-256 of every file of a bundle."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    write_text(folder / HASHES, "".join(f"{of_file(folder / name)}  {name}\n" for name in files if name != HASHES))


def push(folder: Path, name: str, *, private: bool) -> str:
    """Make the repository `name` (owner/name) of the hub hold the bundle and nothing else; return its address.

    It is made if there is none. The login is that of `hf auth login`, or HF_TOKEN. UserError in one line.
    """
    api = HfApi()
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=folder, delete_patterns="*", commit_message="Bundle for visual entailment"
        )
    except errors.HFValidationError as error:
        raise UserError(f"--push {name}: expected OWNER/NAME of a repository of the hub") from error
    except errors.HfHubHTTPError as error:
        refused = error.response is not None and error.response.status_code in (401, 403)
        remedy = "log in by `hf auth login` with a token that may write to it" if refused else "run again later"
        raise UserError(f"{constants.ENDPOINT} refused {name}: {one_line(str(error))}: {remedy}") from error
    except (OSError, ValueError, httpx2.TransportError) as error:
        raise UserError(f"{constants.ENDPOINT}: {name} could not be written: {one_line(str(error))}") from error
    return str(address)
