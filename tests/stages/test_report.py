"""The stage `report`: one page that loads nothing, the same bytes every time."""

import os
import re
import subprocess
import sys

import nbformat
import papermill
import pytest
from made_reports import compare_arguments, make

from clseave import notebook
from clseave.stages import compare, report

# Not through src/run.py, which would pin the hash seed.
CALL = "from clseave.stages.report import main; main()"
OUTPUTS = ("report.ipynb", "report.html", "figures")


def arguments(root, source, reports="reports/mini"):
    paths = {
        "notebook": source / "notebooks/report.ipynb",
        "template": source / "notebooks/report.html.j2",
        "code": source / "src",
        "reports": reports,
        "data": "data/mini",
        "out-notebook": f"{reports}/report.ipynb",
        "out-html": f"{reports}/report.html",
        "out-figures": f"{reports}/figures",
    }
    return ["--profile-name", "mini", *(str(part) for name, path in paths.items() for part in (f"--{name}", path))]


def run(root, source, seed):
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(source / "src")}
    return subprocess.Popen(
        [sys.executable, "-c", CALL, *arguments(root, source)],
        cwd=root,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory, repo_root):
    """Two reports on the same data, in other folders and with other hash seeds."""
    roots = [tmp_path_factory.mktemp(f"run{number}") for number in (1, 2)]
    for root in roots:
        make(root)
        compare.main(compare_arguments(root, repo_root / "reports/expected.yaml"))
    for process in [run(root, repo_root, seed) for root, seed in zip(roots, ("1", "2"), strict=True)]:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return roots


def contents(root):
    reports = root / "reports" / "mini"
    paths = [reports / "report.ipynb", reports / "report.html", *sorted((reports / "figures").iterdir())]
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in paths}


def test_same_bytes(two):
    one, other = (contents(root) for root in two)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_every_figure_is_saved_twice(two):
    names = {name.removeprefix("figures/") for name in contents(two[0]) if name.startswith("figures/")}
    stems = {"accuracy", "seen_unseen", "kinds", "clip_ve_curves", "student_curves", "predicted_classes", "alignment"}
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg")}


def test_no_time_path_or_address_is_left(two):
    for root in two:
        for name, content in contents(root).items():
            if not name.endswith(".png"):
                text = content.decode()
                assert not re.search(r"/tmp/|/home/|0x[0-9a-f]{6}|20\d\d-\d\d-\d\d", text), name
                assert str(root) not in text
                assert sys.prefix not in text


def test_the_page_loads_nothing_and_reads_well(two):
    body = contents(two[0])["report.html"].decode()
    assert notebook.external(body) == []
    assert not re.search(r"https?://", body)
    assert body.count('<div class="scroll"') == body.count("<table")
    assert body.count("<img") == body.count('src="data:image/png;base64,') == 7
    assert not re.search(r'alt="(figure)?"', body)
    anchors = re.findall(r'<li><a href="#([^"]+)">', body)
    assert len(anchors) >= 8
    assert all(f'id="{anchor}"' in body for anchor in anchors)
    assert "German (CLTEAVE) answers <em>neutral</em> on 100.0 % of the rows" in body
    assert "Traceback" not in body


def test_the_notebook_is_valid_and_ran(two):
    executed = nbformat.read(two[0] / "reports/mini/report.ipynb", as_version=4)
    nbformat.validate(executed)
    assert not any(output.output_type == "error" for cell in executed.cells for output in cell.get("outputs", []))


def test_a_corpus_without_kinds_or_seen_flags(tmp_path, repo_root, monkeypatch):
    make(tmp_path, known=False)
    compare.main(compare_arguments(tmp_path, repo_root / "reports/expected.yaml"))
    monkeypatch.chdir(tmp_path)
    report.main(arguments(tmp_path, repo_root))
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
    monkeypatch.chdir(tmp_path)
    with pytest.raises(papermill.PapermillExecutionError, match="no such table"):
        report.main(arguments(tmp_path, tmp_path))
    assert old.read_text() == "old"
    assert not (tmp_path / "reports/mini/report.ipynb").exists()


def test_the_committed_notebook_is_without_outputs_and_short(repo_root):
    source = nbformat.read(repo_root / "notebooks/report.ipynb", as_version=4)
    code = [cell for cell in source.cells if cell.cell_type == "code"]
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert max(len(cell.source.splitlines()) for cell in code) <= 10


def test_own_kernel_restores_the_environment(tmp_path):
    before = dict(os.environ)
    with notebook.own_kernel(tmp_path):
        assert os.environ["PYTHONPATH"] == str(tmp_path)
        assert os.environ["JUPYTER_CONFIG_DIR"] != before.get("JUPYTER_CONFIG_DIR")
    assert dict(os.environ) == before


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
        "<style>@import 'x.css'</style>",
        "<b style='background: url(https://a.b/c)'>",
    ],
)
def test_what_a_page_would_load_is_found(element):
    assert notebook.external(f"<p>{element}</p>")


@pytest.mark.parametrize(
    "element", ['<a href="https://example.org">link</a>', '<img src="data:image/png;base64,AA==">']
)
def test_links_and_embedded_pictures_are_fine(element):
    assert notebook.external(f"<p>{element}</p>") == []
