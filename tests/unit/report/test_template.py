"""The page of a small made notebook: what is folded, how wide a figure is, where the contents stand."""

import re
from base64 import b64encode
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from clseave.report import notebook

TEMPLATE = Path(__file__).parents[3] / "notebooks/report.html.j2"
TABLE = "A caption\n\n| a | b |\n|---|---|\n| 1 | 2 |"


def shown(tags, data, **metadata):
    """A cell that has been run."""
    output = nbformat.v4.new_output("display_data", data)
    return nbformat.v4.new_code_cell("show()", outputs=[output], metadata={"tags": tags} | metadata)


def page(*cells):
    """The body of the page of these cells."""
    made = nbformat.v4.new_notebook(cells=list(cells))
    body = notebook.page(made, TEMPLATE.read_text(encoding="utf-8"), "A page", {})
    return re.search(r"<body>(.*)</body>", body, re.DOTALL)[1]


@pytest.mark.parametrize(
    ("tags", "folded"),
    [
        (["table-study_pooling-tests"], True),
        (["table-study_pooling-systems"], True),
        (["table-seeds", "fold"], True),
        (["table-results"], False),
    ],
)
def test_tables_of_studies_are_folded(tags, folded):
    body = page(shown(tags, {"text/markdown": TABLE}, alt="Table: what it has"))
    assert body.count("<table") == 1
    assert ("<details><summary>Table: what it has</summary>" in body) == folded
    assert "<details open" not in body


def test_a_study_that_was_not_run_leaves_no_empty_fold():
    assert "<details" not in page(shown(["table-study_pooling-tests"], {"text/markdown": ""}))


def test_the_contents_stand_between_what_opens_the_page_and_its_first_chapter():
    title, chapter = (nbformat.v4.new_markdown_cell(text) for text in ("# Title", "## Chapter"))
    body = page(title, shown([], {"text/markdown": "1. A finding."}), chapter, nbformat.v4.new_markdown_cell("## Next"))
    places = [body.index(text) for text in ("Title", "A finding.", "<nav", "<h2")]
    assert places == sorted(places) and body.count("<nav") == 1
    assert re.findall(r'<li><a href="#([^"]+)">', body) == ["Chapter", "Next"]


def test_letters_in_figures_are_of_one_size():
    """The widest that a figure gets follows from its own width."""
    widths = []
    for pixels in (470, 940):
        buffer = BytesIO()
        Image.new("RGB", (pixels, 10)).save(buffer, "PNG")
        body = page(shown(["figure-kinds"], {"image/png": b64encode(buffer.getvalue()).decode()}, alt="A figure"))
        widths.append(float(re.search(r"max-width: ([0-9.]+)rem", body)[1]))
    assert widths == [20.0, 40.0]
