"""Where a model comes from: hashes of its data and of its code.

The same run gives the same values: no commit, no device, no date, no path of the machine is in them.
"""

import ast
from collections.abc import Iterable, Mapping
from modulefinder import ModuleFinder
from pathlib import Path

from clseave.foundation.files import hashing

SOURCE = Path(__file__).resolve().parents[3]  # the code itself, whose hash is wanted
RECORD = "training.json"  # in a model's folder: how it was made
ASIDE = (RECORD, "README.md")  # no part of a folder's hash: what is said about a model
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_local(model: str) -> bool:
    """Whether a model's id is a folder, not a name of the hub."""
    return model.startswith((".", "/"))


def digest(path: Path | str | list[Path]) -> str:
    """SHA-256 of a file; of a folder, that of the list of its files' hashes by path; or of some files of one folder.

    Records of trainings and cards are left out, and hidden files: DVC writes a .gitignore where it keeps the files of a
    folder one by one.
    """
    if isinstance(path, list):
        return digest_of_list({file.name: digest(file) for file in path})
    path = Path(path)
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file() and file.name not in ASIDE and file.name[0] != ".")
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
