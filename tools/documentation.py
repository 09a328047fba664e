"""Collect the pages of the documentation site: every document of the repository, what it links to, the API reference.

`python tools/documentation.py FOLDER` writes them into FOLDER under their own paths, so that links between them hold;
mkdocs (mkdocs.yml) makes pages of them without network. A link to what is not in the repository, or to a folder without
README.md, is left as text. `make site` does both.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import _path  # noqa: F401
from clseave.foundation.process import interrupts

PAGES = re.compile(
    r"(README|CONTRIBUTING|CHANGELOG)\.md|docs/.*\.md|(benchmarks|data|data/typology|models|reports|studies)/README\.md"
    r"|studies/[^/]+/README\.md|examples/.*/README\.md|reports/mini/results\.md"
)
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)#\s]*)(#[^)\s]*)?\)")
SOURCE = re.compile(r'(?<=src=")([^":]+)(?=")')
LARGEST = 20_000_000  # bytes of a linked file that is copied


def tracked() -> list[str]:
    """Return the files of the repository."""
    done = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True)
    return [name for name in done.stdout.split("\0") if name]


def target(page: str, link: str, files: set[str]) -> str | None:
    """Return the file that a link of a page names, README.md for a folder; None for another place or no such file."""
    path = os.path.normpath(os.path.join(os.path.dirname(page), link))
    found = next((name for name in (path, os.path.join(path, "README.md")) if name in files), None)
    return found if found and Path(found).stat().st_size <= LARGEST else None


def rewritten(page: str, text: str, files: set[str]) -> tuple[str, set[str]]:
    """Return a page's text for the site, and the files that it links to."""
    used: set[str] = set()

    def link(match: re.Match[str]) -> str:
        label, place, anchor = match[1], match[2], match[3] or ""
        if not place or ":" in place:
            return match[0]
        if (found := target(page, place, files)) is None:
            return label if label.startswith("!") else label[1:-1]
        used.add(found)
        return f"{label}({os.path.relpath(found, os.path.dirname(page) or '.')}{anchor})"

    text = LINK.sub(link, text)
    pictures = [found for place in SOURCE.findall(text) if (found := target(page, place, files))]
    return text, used | set(pictures)


def reference(files: Iterable[str]) -> dict[str, str]:
    """Return a page of the API reference for each package of src/clseave, by its place."""
    modules: dict[str, list[str]] = {}
    for name in sorted(files):
        path = Path(name)
        if path.parts[:2] == ("src", "clseave") and path.suffix == ".py" and path.name != "__init__.py":
            modules.setdefault(path.parts[2], []).append(".".join(path.with_suffix("").parts[1:]))
    return {
        f"api/{package}.md": f"# clseave.{package}\n\n" + "\n\n".join(f"::: {name}" for name in names) + "\n"
        for package, names in modules.items()
    }


def collect(folder: Path) -> list[str]:
    """Write all pages and what they link to below `folder`; return the pages."""
    files = set(tracked())
    pages = sorted(name for name in files if PAGES.fullmatch(name))
    shutil.rmtree(folder, ignore_errors=True)
    contents, linked = {}, set[str]()
    for page in pages:
        contents[page], used = rewritten(page, Path(page).read_text(encoding="utf-8"), files)
        linked |= used
    contents |= reference(files)
    for name in linked - set(contents):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, folder / name)
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return sorted(contents)


def main(argv: Sequence[str] | None = None) -> int:
    """Collect the pages and say how many."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    sys.stdout.write(f"{len(collect(parser.parse_args(argv).folder))} pages\n")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
