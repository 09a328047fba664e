"""Provenance of a model: hashes of its data and of its code.

They are reproducible: they depend on no commit, device, date or path of the machine.
"""

import ast
from collections.abc import Iterable, Mapping
from modulefinder import ModuleFinder
from pathlib import Path

from clseave.foundation.files import hashing

SOURCE = Path(__file__).resolve().parents[3]  # the folder of the source code
RECORD = "training.json"  # in a model's folder: how the model was trained
ASIDE = (RECORD, "README.md")  # descriptions of a model, excluded from a folder's hash
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_local(model: str) -> bool:
    """Return whether a model's id is a local folder rather than a name on the hub."""
    return model.startswith((".", "/"))


def digest(path: Path | str | list[Path]) -> str:
    """Return the SHA-256 of a file, of a folder (over its files' hashes and paths), or of a list of files in one
    folder.

    Training records, cards and hidden files are excluded: DVC writes a .gitignore where it tracks files one by one.
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
    """Return the SHA-256 of what `sha256sum` prints for files with these hashes, sorted by the bytes of their names."""
    lines = (f"{digests[name]}  {name}\n" for name in sorted(digests, key=str.encode))
    return hashing.of_text("".join(lines))


def code_files(module: str) -> list[Path]:
    """Return the files of `run.py`, of a module of this package and of everything it imports, directly or not, sorted.

    They are found by static analysis, not among the loaded modules, so that tests and the pipeline give the same list.
    """
    finder = ModuleFinder(path=[str(SOURCE)])
    finder.run_script(str(SOURCE / "run.py"))
    finder.import_hook(module)
    return sorted(Path(file) for found in finder.modules.values() if (file := getattr(found, "__file__", None)))


def fingerprint(files: Iterable[Path]) -> str:
    """Return 12 hexadecimal digits of the SHA-256 over the names and syntax trees of files.

    Comments, docstrings and line breaks do not count, as a model does not depend on them.
    """
    found = []
    for path in sorted(files):
        code = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(code):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        found.append(f"{path.relative_to(SOURCE).as_posix()}\n{ast.dump(code)}\n")
    return hashing.of_text("".join(found))[:12]
