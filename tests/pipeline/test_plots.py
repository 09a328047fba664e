"""`make plots`: the plots of DVC in a page that asks nothing of the network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from browser import Page, needs_chromium

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture
def run(tmp_path):
    """A program run in a DVC repository with one curve, committed twice."""
    names = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def started(*command):
        env = os.environ | names | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "dvc.yaml").write_text("plots:\n- curve.csv: {x: epoch, y: loss}\n")
    started("git", "init", "-q")
    started(sys.executable, "-m", "dvc", "init", "-q")
    for losses in ((3, 2), (3, 1)):
        (tmp_path / "curve.csv").write_text(
            "epoch,loss\n" + "".join(f"{row},{one}\n" for row, one in enumerate(losses))
        )
        started("git", "add", "-A")
        started("git", "commit", "-qm", "a curve")
    return started


@pytest.mark.parametrize(
    ("arguments", "revisions"), [([], ["workspace"]), (["diff", "HEAD~1"], ["HEAD~1", "workspace"])]
)
def test_the_page_draws_each_plot_without_network(run, tmp_path, arguments, revisions):
    assert ".work/plots/index.html" in run(sys.executable, str(ROOT / "tools/plots.py"), *arguments)
    page = tmp_path / ".work/plots/index.html"
    assert "https://cdn" not in page.read_text(encoding="utf-8").partition("</head>")[2]
    with Page(page, 800) as shown:
        drawn = "document.querySelector('.vega-embed canvas, .vega-embed svg')"
        shown.evaluate(
            f"new Promise(done => {{const look = () => {drawn} ? done(true) : setTimeout(look, 50); look()}})"
        )
        assert shown.evaluate("document.querySelectorAll('.vega-embed').length") == 1
        assert [one for one in shown.requests if not one.startswith(("file:", "data:"))] == []
    assert all(f'"rev": "{name}"' in page.read_text(encoding="utf-8") for name in revisions)
