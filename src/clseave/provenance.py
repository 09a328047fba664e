"""Where a model comes from: hashes of its data and of its code, and what its origin allows.

The same run gives the same values: no commit, no device, no date, no path of the machine is in them.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from modulefinder import ModuleFinder
from pathlib import Path

from huggingface_hub import ModelCardData

from clseave import hashing
from clseave.schema import Pretrained

SOURCE = Path(__file__).resolve().parents[1]  # the code itself, whose hash is wanted
CARD = "README.md"  # in a model's folder
GENERATED = "generated-data"  # the tag of a model whose corpus is generated
MIT, OTHER, UNKNOWN = "mit", "other", "unknown"  # identifiers of the hub
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# By their authors: CLIP's repository, and the card of multilingual BERT.
LICENCES = {"openai/clip-vit-base-patch16": MIT, "google-bert/bert-base-multilingual-cased": "apache-2.0"}

TOY = (
    "The model knows one toy world: grids of coloured shapes, and the sentences that one grammar says about them. On "
    "any other image or text its answers mean nothing."
)
PHOTOS = (
    "Corpus and translations come from others: their errors and their views of people are in the model. What the "
    "authors of the captions did not see in a photo is not in the labels. Not for decisions about people."
)
FETCHED = "A public model as its authors published it, fetched and saved again: what their card says holds."
NO_CARD = "Not known: the folder of a model that it was made from held no card."
OWN = "MIT, as the repository: trained from scratch on generated data; no third party's weights or data are in it."
OTHERS = (
    "No licence is granted for these weights. They derive from {bases}, and from {data}. Whoever wants to publish them "
    "has to settle the terms of each."
)
PHOTO_DATA = (
    "its corpus: for SNLI-VE that is SNLI (CC BY-SA 4.0), photos of Flickr30k (for research and education only, not to "
    "be passed on) and, for other languages than English, translations under the terms of what translated them"
)


@dataclass(frozen=True)
class Standing:
    """What a model may be used for, by the origin of its weights and data."""

    licence: str  # an identifier of the hub
    terms: str
    limits: str
    generated: bool  # whether its corpus is generated
    base_models: Sequence[str] = ()  # ids of the hub


def of_backbone(fetched: Pretrained | None, *, generated: bool) -> Standing:
    """The standing of a backbone that was trained here (`fetched` is None) or comes from the hub or a folder."""
    if fetched is None:
        return Standing(MIT, OWN, TOY, generated)
    licence = LICENCES.get(fetched.id, UNKNOWN)
    terms = "Not known here: see where it comes from." if licence == UNKNOWN else f"{licence}, by its authors' word."
    return Standing(licence, terms, FETCHED, generated, [] if is_local(fetched.id) else [fetched.id])


def derived(cards: Sequence[ModelCardData | None]) -> Standing:
    """The standing of a model made from models with these cards; None is a model without one."""
    known = [card for card in cards if card is not None]
    if len(known) < len(cards) or any(card.license in (None, UNKNOWN) for card in known):
        return Standing(UNKNOWN, NO_CARD, NO_CARD, generated=False)
    generated = all(GENERATED in (card.tags or []) for card in known)
    ids = sorted({name for card in known for name in card.get("base_model", [])})
    if generated and not ids:
        return Standing(MIT, OWN, TOY, generated)
    terms = OTHERS.format(bases=" and ".join(ids), data="generated data" if generated else PHOTO_DATA)
    return Standing(OTHER, terms, TOY if generated else PHOTOS, generated, ids)


def is_local(model: str) -> bool:
    """Whether a model's id is a folder, not a name of the hub."""
    return model.startswith((".", "/"))


def digest(path: Path | str | list[Path]) -> str:
    """SHA-256 of a file; of a folder, that of the list of its files' hashes by path; or of some files of one folder.

    Cards are left out, and hidden files: DVC writes a .gitignore where it keeps the files of a folder one by one.
    """
    if isinstance(path, list):
        return digest_of_list({file.name: digest(file) for file in path})
    path = Path(path)
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file() and file.name != CARD and file.name[0] != ".")
        return digest_of_list({file.relative_to(path).as_posix(): digest(file) for file in files})
    with open(path, "rb") as stream:
        return hashing.of_stream(stream)


def digest_of_list(digests: Mapping[str, str]) -> str:
    """SHA-256 of what `sha256sum` prints for files of these hashes, sorted by the bytes of their names."""
    lines = (f"{digests[name]}  {name}\n" for name in sorted(digests, key=str.encode))
    return hashing.of_text("".join(lines))


def code_files(module: str) -> list[Path]:
    """The files of `run.py`, of a module of ours and of all that it imports, directly or not, sorted.

    Found in the code, not in what happens to be loaded: the same in a test and in the pipeline.
    """
    finder = ModuleFinder(path=[str(SOURCE)])
    finder.run_script(str(SOURCE / "run.py"))
    finder.import_hook(module)
    return sorted(Path(file) for found in finder.modules.values() if (file := getattr(found, "__file__", None)))


def fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 over what Python reads in files, and their names: 12 hex digits.

    Comments, docstrings and line breaks are no part of it: a model does not depend on them.
    """
    found = []
    for path in sorted(files):
        code = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(code):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        found.append(f"{path.relative_to(SOURCE).as_posix()}\n{ast.dump(code)}\n")
    return hashing.of_text("".join(found))[:12]
