"""The documentation site: its pages, that every link on them leads to a file of the site, and its table of contents."""

import re

import pytest
from ruamel.yaml import YAML
from test_graph import ROOT

import documentation

FILES = {"README.md", "docs/A.md", "docs/B.md", "data/README.md", "data/x.csv", "pictures/p.png"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "pages"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder, documentation.collect(folder)


def test_links_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    text = (
        "[b](B.md#part) [data](../data) [table](../data/x.csv) [gone](C.md) [web](https://a.org/x) [here](#top) "
        "![p](../pictures/p.png) ![no](no.png)"
    )
    wanted = (
        "[b](B.md#part) [data](../data/README.md) [table](../data/x.csv) gone [web](https://a.org/x) [here](#top) "
        "![p](../pictures/p.png) ![no]"
    )
    used = {"docs/B.md", "data/README.md", "data/x.csv", "pictures/p.png"}
    assert documentation.rewritten("docs/A.md", text, FILES) == (wanted, used)


def test_the_reference_has_a_page_for_each_package():
    names = ["src/clseave/models/head.py", "src/clseave/models/__init__.py", "src/clseave/a/b/c.py", "tools/x.py"]
    assert documentation.reference(names) == {
        "api/a.md": "# clseave.a\n\n::: clseave.a.b.c\n",
        "api/models.md": "# clseave.models\n\n::: clseave.models.head\n",
    }


def test_every_link_of_every_page_leads_to_a_file_of_the_site(site):
    folder, pages = site
    broken = []
    for page in pages:
        path = folder / page
        for match in documentation.LINK.finditer(path.read_text(encoding="utf-8")):
            place = match[2]
            if place and ":" not in place and not (path.parent / place).is_file():
                broken.append(f"{page}: {place}")
    assert broken == [] and len(pages) > 30


def test_the_table_of_contents_names_pages_and_every_package(site):
    _, pages = site
    named = re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2])
    assert set(named) <= set(pages)
    assert {page for page in pages if page.startswith(("api/", "docs/"))} <= set(named)
    studies = {page for page in pages if page.startswith("studies/")}
    assert studies <= set(named)


def test_the_site_asks_nothing_of_the_network():
    config = YAML(typ="safe").load(ROOT / "mkdocs.yml")
    assert config["theme"]["font"] is False and config["strict"] is True
    assert set(config) & {"extra_javascript", "extra_css", "repo_url"} == set()
