"""The stage `report`: one page that loads nothing, the same bytes every time."""

import ast
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from io import BytesIO

import nbformat
import papermill
import pytest
from browser import Page, needs_chromium
from made_reports import compare_arguments, make, report_arguments
from PIL import Image, ImageChops

from clseave.report import gallery, notebook
from clseave.report.tables import statistics_tables
from clseave.stages import compare, report
from settings import SETTINGS

# The notebook is executed; the group shares what is made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]

# Not through src/run.py, which would pin the hash seed.
CALL = "from clseave.stages.report import main; main()"


def place(root, profile="mini"):
    """The profile where the command line names it."""
    (root / "profiles").mkdir(exist_ok=True)
    shutil.copy(SETTINGS / f"profiles/{profile}.yaml", root / "profiles")


def render(root, source, seed):
    """A report on made data."""
    make(root)
    place(root)
    compare.main(compare_arguments(root))
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(source / "src")}
    command = [sys.executable, "-c", CALL, *report_arguments(source)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, repo_root):
    return render(tmp_path_factory.mktemp("run1"), repo_root, "1")


def contents(root):
    reports = root / "reports" / "mini"
    paths = [reports / "report.ipynb", reports / "report.html", *sorted((reports / "figures").iterdir())]
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in paths}


def test_same_bytes(rendered, tmp_path, repo_root):
    """In another folder and with another hash seed."""
    one, other = (contents(root) for root in (rendered, render(tmp_path / "run2", repo_root, "2")))
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_every_figure_is_saved_twice(rendered):
    names = {name.removeprefix("figures/") for name in contents(rendered) if name.startswith("figures/")}
    stems = gallery.FIGURES.keys() - {"backbones", "fits", "swap"}  # nothing of the made reports for these
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg")}


def test_no_time_path_or_address_is_left(rendered):
    for name, content in contents(rendered).items():
        if not name.endswith(".png"):
            text = content.decode()
            assert not re.search(r"/tmp/|/home/|0x[0-9a-f]{6}|20\d\d-\d\d-\d\d", text), name
            assert str(rendered) not in text
            assert sys.prefix not in text


def test_the_page_loads_nothing_and_reads_well(rendered):
    body = contents(rendered)["report.html"].decode()
    assert notebook.external(body) == []
    assert not re.search(r"https?://", body)
    assert body.count('<div class="scroll"') == body.count("<table")
    assert body.count("<img") == body.count('src="data:image/png;base64,') == len(gallery.FIGURES) - 3
    assert not re.search(r'alt="(figure)?"', body)
    anchors = re.findall(r'<li><a href="#([^"]+)">', body)
    assert len(anchors) >= 7
    assert all(f'id="{anchor}"' in body for anchor in anchors)
    assert "yes: neutral" in body  # the collapse of the made CLTEAVE
    assert "Traceback" not in body


def test_the_notebook_is_valid_and_ran(rendered):
    executed = nbformat.read(rendered / "reports/mini/report.ipynb", as_version=4)
    nbformat.validate(executed)
    assert not any(output.output_type == "error" for cell in executed.cells for output in cell.get("outputs", []))


def test_a_corpus_without_kinds_or_seen_flags(tmp_path, repo_root, monkeypatch):
    make(tmp_path, known=False)
    compare.main(compare_arguments(tmp_path))
    place(tmp_path)
    monkeypatch.chdir(tmp_path)
    report.main(report_arguments(repo_root))
    body = (tmp_path / "reports/mini/report.html").read_text(encoding="utf-8")
    assert "Which sentences were seen is not known for this corpus." in body
    assert "This corpus has no kinds of statement." in body


def test_a_failing_cell_fails_and_leaves_the_old_report(tmp_path, repo_root, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "src").mkdir()
    kernel = {"name": "python3", "display_name": "", "language": "python"}
    broken = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("raise ValueError('no such table')")], metadata={"kernelspec": kernel}
    )
    nbformat.write(broken, tmp_path / "notebooks/report.ipynb")
    (tmp_path / "notebooks/report.html.j2").write_text("")
    old = make(tmp_path) / "report.html"
    old.write_text("old")
    place(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(papermill.PapermillExecutionError, match="no such table"):
        report.main(report_arguments(tmp_path))
    assert old.read_text() == "old"
    assert not (tmp_path / "reports/mini/report.ipynb").exists()


def test_the_committed_notebook_holds_calls_and_prose_only(repo_root):
    source = nbformat.read(repo_root / "notebooks/report.ipynb", as_version=4)
    code = [cell for cell in source.cells if cell.cell_type == "code"]
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1
    assert not any(cell.outputs or cell.execution_count for cell in code)
    for cell in code[3:]:  # after parameters, path and set-up
        (statement,) = ast.parse(cell.source).body
        assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call), cell.source
        assert all(isinstance(argument, ast.Constant | ast.Name) for argument in statement.value.args), cell.source


def test_every_figure_and_table_is_shown_once_under_its_own_name(repo_root):
    source = nbformat.read(repo_root / "notebooks/report.ipynb", as_version=4)
    for left_out in ("thesis", "own"):
        cells = [cell for cell in source.cells if left_out not in cell.metadata.get("tags", [])]
        shown = notebook.tags_shown(nbformat.v4.new_notebook(cells=cells))
        assert len(set(shown)) == len(shown)
    tags = notebook.tags_shown(source)
    tags = [tag for tag in tags if "-study_" not in tag]  # tests/pipeline/test_studies.py looks for these
    figures = {tag.removeprefix("figure-") for tag in tags if tag.startswith("figure-")}
    shown = {tag.removeprefix("table-") for tag in tags if tag.startswith("table-")}
    assert figures == set(gallery.FIGURES)
    assert shown == statistics_tables.RENDER.keys() - {"reliability"}  # which its figure shows
    for cell in source.cells:
        if tag := notebook.shown(cell.metadata.get("tags", [])):
            assert f'"{tag.partition("-")[2].removeprefix("study_").partition("-")[0]}"' in cell.source
            assert not tag.startswith("figure-") or cell.metadata["alt"]


def test_every_figure_links_to_the_numbers_that_it_draws(rendered):
    """The links hold the files themselves, so that they work where only the page is."""
    reports = rendered / "reports/mini"
    figures = re.findall(r'<figure class="plot.*?</figure>', (reports / "report.html").read_text("utf-8"), re.DOTALL)
    assert len(figures) == len(gallery.FIGURES) - 3
    for figure in figures:
        links = re.findall(r'<a download="([^"]+)" href="data:text/plain;charset=utf-8;base64,([^"]+)">', figure)
        assert links, figure[:200]
        for name, content in links:
            assert b64decode(content) == (reports / "tables" / name).read_bytes()


def test_contents_name_the_tables_and_figures_of_the_thesis(rendered):
    body = (rendered / "reports/mini/report.html").read_text(encoding="utf-8")
    found = re.search(r"<p>Of the thesis: (.*?)</p>", body)[1]
    assert re.sub(r"<[^>]+>", "", found) == (
        "Tables 1.1, 2.1, 4.1, A.1, A.2, A.3; Figures 2.1, 3.2, 4.1 (a), 4.1 (b), 4.1 (c), 4.1 (d)."
    )
    assert all(f'id="{place}"' in body for place in re.findall(r'href="#([^"]+)"', found))


def test_the_parameters_of_the_run_stand_on_the_page(rendered):
    body = (rendered / "reports/mini/report.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", body)
    assert "lr_scale: 10.0" in text and "ve_models" in text


@needs_chromium
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_in_a_browser(rendered, width):
    with Page(rendered / "reports/mini/report.html", width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "horizontal scrolling"
        images = page.evaluate(
            "[...document.images].map(i => [i.complete && i.naturalWidth, i.getAttribute('width'),"
            " i.getAttribute('height'), i.naturalHeight, i.alt.length])"
        )
        assert len(images) == len(gallery.FIGURES) - 3
        assert all(str(one[0]) == one[1] and str(one[3]) == one[2] and one[4] > 10 for one in images)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "horizontal scrolling when unfolded"
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []


@needs_chromium
def test_the_browser_sees_what_is_wrong_with_a_page(tmp_path):
    """Port 9 of this machine is closed: the request is made and fails."""
    path = tmp_path / "page.html"
    path.write_text(
        '<meta name="viewport" content="width=device-width"><div style="width: 2000px">wide</div>'
        '<script>fetch("http://127.0.0.1:9/x").catch(() => 0); console.error("oh"); null.x</script>'
    )
    with Page(path, 360) as page:
        page.evaluate('fetch("http://127.0.0.1:9/x").catch(() => 0).then(() => true)')
        assert page.evaluate("document.documentElement.scrollWidth") >= 2000
        assert "http://127.0.0.1:9/x" in page.requests
        assert any("oh" in one for one in page.complaints) and any("TypeError" in one for one in page.complaints)


def test_own_kernel_restores_the_environment(tmp_path):
    before = dict(os.environ)
    with notebook.own_kernel(tmp_path):
        assert os.environ["PYTHONPATH"] == str(tmp_path)
        assert os.environ["JUPYTER_CONFIG_DIR"] != before.get("JUPYTER_CONFIG_DIR")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("tag", "place"),
    [
        ("table-table_4_1", "table-4-1"),
        ("figure-figure_4_1a", "figure-4-1a"),
        ("table-table_a_2_per_element", "table-a-2-per-element"),
        ("figure-seen_unseen", "figure-seen-unseen"),
        ("table-thesis", "table-thesis"),
    ],
)
def test_anchors(tag, place):
    assert notebook.anchor(tag) == place


def test_contents_link_headings_and_what_is_the_thesis_s():
    body = (
        '<h2 id="Results">Results<a class="anchor-link" href="#Results">¶</a></h2>'
        '<figure id="table-a-2-per-element"><figure id="table-a-1"><figure id="table-4-1"><figure id="figure-4-1b">'
    )
    assert notebook.contents(body) == (
        '<ul><li><a href="#Results">Results</a></li></ul><p>Of the thesis: Tables <a href="#table-4-1">4.1</a>, '
        '<a href="#table-a-1">A.1</a>; Figures <a href="#figure-4-1b">4.1 (b)</a>.</p>'
    )


def test_a_png_with_few_colours_keeps_its_size_and_look():
    gradient = Image.merge("RGB", [Image.linear_gradient("L").resize((60, 40))] * 3)
    buffer = BytesIO()
    gradient.save(buffer, "PNG")
    reduced = notebook.few_colours(b64encode(buffer.getvalue()).decode())
    assert notebook.png_size(reduced) == (60, 40)
    with Image.open(BytesIO(b64decode(reduced))) as image:
        assert image.mode == "P" and len(image.getcolors()) <= notebook.PALETTE
        assert max(high for _, high in ImageChops.difference(image.convert("RGB"), gradient).getextrema()) <= 4


def test_fingerprint_is_of_names_and_contents(tmp_path):
    (tmp_path / "a.py").write_text("1")
    first = notebook.fingerprint(tmp_path)
    (tmp_path / "note.txt").write_text("x")
    assert notebook.fingerprint(tmp_path) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert notebook.fingerprint(tmp_path) != first


@pytest.mark.parametrize(
    "element",
    [
        '<img src="https://example.org/x.png">',
        "<img src='//example.org/x.png'>",
        "<script>1</script>",
        '<link rel="stylesheet" href="x.css">',
        '<link rel="icon" href="https://example.org/x.ico">',
        "<style>@import 'x.css'</style>",
        "<b style='background: url(https://a.b/c)'>",
    ],
)
def test_what_a_page_would_load_is_found(element):
    assert notebook.external(f"<p>{element}</p>")


@pytest.mark.parametrize(
    "element",
    [
        '<a href="https://example.org">link</a>',
        '<img src="data:image/png;base64,AA==">',
        '<link rel="icon" href="data:,">',
    ],
)
def test_links_and_embedded_pictures_are_fine(element):
    assert notebook.external(f"<p>{element}</p>") == []
