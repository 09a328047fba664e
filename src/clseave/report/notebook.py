"""Run a notebook with papermill, and write it and its HTML page reproducibly, byte for byte.

The kernel is this interpreter, through a temporary kernel specification: kernels, settings and start-up files of the
user are ignored. Whatever differs between runs (times, paths, random ids, addresses, warnings) is removed afterwards.
The page is a single file that loads nothing.
"""

import json
import logging
import os
import re
import struct
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from PIL import Image

from clseave.foundation.files.hashing import of_bytes

KERNEL = "python3"
OF_STUDY = "table-study_"  # first part of the tags of the tables of studies
FIGURE, TABLE = "figure-", "table-"  # prefixes of the tags that name a cell's figure or table
KEPT = ("tags", "alt")  # of a cell's metadata; `alt` is the alternative text of its picture
PALETTE = 255  # colours of a PNG
START_SECONDS = 300  # a busy machine may start the kernel slowly
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
_HEADING = re.compile(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link".*?</a></h2>', re.DOTALL)
_ANCHOR = re.compile(r'<a class="anchor-link".*?</a>', re.DOTALL)
_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
_OF_THESIS = re.compile(r"^(?:figure|table)-((?:figure|table)_)")
_ANCHOR_OF_THESIS = re.compile(r'id="(table|figure)-([0-9a])-([0-9])([a-d]?)"')
_EXTERNAL = re.compile(
    r"""(?:src|href|srcset|data)\s*=\s*["']?\s*(?:https?:)?//[^\s"'>]*|url\(\s*["']?(?:https?:)?//"""
    r"""|@import|<script|<link(?![^>]*href="data:)""",
    re.IGNORECASE,
)


def fingerprint(folder: Path) -> str:
    """Return 12 hex digits of the SHA-256 over the names and contents of all .py files below a folder, sorted."""
    parts = []
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        name, content = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        parts.append(b"%d %s %d " % (len(name), name, len(content)) + content)
    return of_bytes(b"".join(parts))[:12]


@contextmanager
def own_kernel(source: Path) -> Iterator[None]:
    """Within the block, make this interpreter the only kernel, with `source` on its path and without user settings."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        specification = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"],
            "display_name": "Python 3",
            "language": "python",
        }
        kernel = Path(folder, "kernels", KERNEL)
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
        names = ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        os.environ |= dict.fromkeys(names, folder) | {"JUPYTER_NO_CONFIG": "1", "PYTHONPATH": str(source)}
        os.environ.pop("PYTHONSTARTUP", None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def run(notebook: Path, parameters: Mapping[str, Any], source: Path, without: str) -> NotebookNode:
    """Execute a notebook, but for the cells with the tag `without`, in the current folder.

    papermill's PapermillExecutionError when a cell fails.
    """
    logging.getLogger("papermill").setLevel(logging.WARNING)  # it announces temporary paths
    with own_kernel(source), tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        raw, chosen = Path(folder, "raw.ipynb"), nbformat.read(notebook, as_version=4)
        chosen.cells = [cell for cell in chosen.cells if without not in cell.metadata.get("tags", [])]
        nbformat.write(chosen, raw)
        papermill.execute_notebook(
            raw,
            raw,
            parameters=dict(parameters),
            kernel_name=KERNEL,
            progress_bar=False,
            request_save_on_cell_execute=False,
            start_timeout=START_SECONDS,
        )
        return nbformat.read(raw, as_version=4)


def _clean(output: NotebookNode) -> NotebookNode:
    """Remove addresses and metadata that differ between runs from an output."""
    for kind, text in (output.get("data") or {}).items():
        if isinstance(text, str) and kind.startswith("text/"):
            output["data"][kind] = _ADDRESS.sub("0x0", text)
    if output["output_type"] == "stream":
        output["text"] = _ADDRESS.sub("0x0", output["text"])
    if "metadata" in output:
        output["metadata"] = NotebookNode()
    return output


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Remove from a notebook, in place, what differs between runs of the same code on the same data."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": KERNEL, "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell["metadata"] = NotebookNode({key: cell["metadata"][key] for key in KEPT if key in cell["metadata"]})
        if cell["cell_type"] == "code":
            cell["outputs"] = [_clean(output) for output in cell["outputs"] if output.get("name") != "stderr"]
    return notebook


def few_colours(picture: str) -> str:
    """Reduce a base64 PNG to at most `PALETTE` colours without transparency."""
    with Image.open(BytesIO(b64decode(picture))) as image:
        reduced = image.convert("RGB").quantize(PALETTE, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = BytesIO()
    reduced.save(buffer, "PNG", optimize=True)
    return b64encode(buffer.getvalue()).decode()


def take_figures(notebook: NotebookNode) -> dict[str, dict[str, str]]:
    """Return SVG text and base64 PNG of every cell tagged `figure-NAME`, by name; change the notebook in place.

    SVGs are removed from the notebook, and PNGs reduced in colours: a third of the size, without visible difference.
    """
    figures: dict[str, dict[str, str]] = {}
    for cell in notebook.cells:
        names = [tag.removeprefix(FIGURE) for tag in cell["metadata"].get("tags", []) if tag.startswith(FIGURE)]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            picture = {kind: data[kind] for kind in ("image/png", "image/svg+xml") if kind in data}
            data.pop("image/svg+xml", None)
            if "image/png" in picture:
                picture["image/png"] = data["image/png"] = few_colours(picture["image/png"])
            if names and picture:
                figures[names[0]] = picture
    return figures


def shown(tags: Iterable[str]) -> str:
    """Return the tag `figure-NAME` or `table-NAME` among a cell's tags; empty where it has neither."""
    return next((tag for tag in tags if tag.startswith((FIGURE, TABLE))), "")


def folded(cell: NotebookNode) -> bool:
    """Return whether the page shows a cell folded: as its tags say, and the tables of studies."""
    tags = cell.metadata.get("tags", [])
    return "fold" in tags or shown(tags).startswith(OF_STUDY)


def tags_shown(notebook: NotebookNode) -> list[str]:
    """Return the tags `figure-NAME` and `table-NAME` of all cells."""
    return [tag for cell in notebook.cells if (tag := shown(cell["metadata"].get("tags", [])))]


def anchor(tag: str) -> str:
    """Return the id of a figure or table on the page: `table-4-1` for the thesis's Table 4.1, else the tag itself."""
    return _OF_THESIS.sub(r"\1", tag).replace("_", "-")


def png_size(picture: str) -> tuple[int, int]:
    """Return width and height in pixels of a base64 PNG."""
    width, height = struct.unpack(">II", b64decode(picture)[16:24])
    return width, height


def data_uri(content: bytes) -> str:
    """Return a small file as a data URI, so that the page can offer it without a second file."""
    return f"data:text/plain;charset=utf-8;base64,{b64encode(content).decode()}"


def contents(body: str) -> str:
    """Return links to the page's headings, and to the thesis's tables and figures on it."""
    entries = [f'<li><a href="#{heading}">{text}</a></li>' for heading, text in _HEADING.findall(body)]
    links: dict[str, list[str]] = {"table": [], "figure": []}
    for kind, chapter, number, part in sorted(set(_ANCHOR_OF_THESIS.findall(body))):
        name = f"{chapter.upper()}.{number}{f' ({part})' if part else ''}"
        links[kind].append(f'<a href="#{kind}-{chapter}-{number}{part}">{name}</a>')
    of_thesis = "; ".join(f"{kind.capitalize()}s {', '.join(links[kind])}" for kind in links if links[kind])
    return f"<ul>{''.join(entries)}</ul>" + (f"<p>Of the thesis: {of_thesis}.</p>" if links["table"] else "")


def page(notebook: NotebookNode, template: str, title: str, files: Mapping[str, Mapping[str, bytes]]) -> str:
    """Render the notebook as a single HTML page with a Jinja template. ValueError names the first thing it would load.

    `files` are the files to offer beside each figure or table: contents by name, by the tag of the cell.
    """
    exporter = HTMLExporter(raw_template=template)
    exporter.filters = {"png_size": png_size, "anchor": anchor, "shown": shown, "folded": folded, "data_uri": data_uri}
    resources = {"metadata": {"name": title}, "attached": files}
    body, _ = exporter.from_notebook_node(notebook, resources=resources)
    body = body.replace("<!-- contents -->", contents(body)).replace("<!-- title -->", escape(title))
    body = _TABLE.sub(lambda table: f'<div class="scroll" tabindex="0">{table[0]}</div>', _ANCHOR.sub("", body))
    loads = external(body)
    if loads:
        raise ValueError(f"the page would load {loads[0]!r}: embed it")
    return re.sub(r"\n\s*\n+", "\n", body).strip() + "\n"


def external(body: str) -> list[str]:
    """Return what an HTML page would load from elsewhere, scripts and style sheets included; links are not loaded."""
    return [load for load in _EXTERNAL.findall(body) if not load.lower().startswith("href")]
