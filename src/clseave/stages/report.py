"""Execute the notebook on the tables and write it as a notebook, an HTML page and figures.

Reads:  the notebook, the page's template, the tables and predictions of this profile, results of studies, the test
        examples, their translations and generated images; `params.yaml` and the profile, to show them; the
        code, for its fingerprint (SHA-256 over the names and contents of every .py file below `--code`).
Writes: the executed notebook, one HTML page that loads nothing, a PNG and an SVG of every figure.
Thesis: Tables 1.1, 2.1, 4.1, A.1, A.2, A.3; Figures 2.1, 3.2, 4.1.
Cost:   about 20 seconds, 0.5 GiB.
"""

import base64
from collections.abc import Iterable
from pathlib import Path

import nbformat

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_text
from clseave.foundation.process import cli
from clseave.report import gallery, notebook

STUDY = "study_"  # prefix of the names in tags: study_NAME, study_NAME-tests, study_NAME-systems
TABLES = {"": "results", "tests": "contrasts", "systems": "results", "need": "results"}
THESIS, OWN = "thesis", "own"  # tags of cells that compare with the thesis; of those that stand in for them
TITLE = "CLSEAVE: report of profile {profile}"
PATHS = (
    "notebook template reports studies examples hypotheses images params profile code out-notebook out-html out-figures"
).split()


def write_figures(figures: dict[str, dict[str, str]], folder: Path) -> None:
    """Write a PNG and an SVG of each figure."""
    with whole_folder(folder) as made:
        made.mkdir()
        for name, picture in figures.items():
            (made / f"{name}.png").write_bytes(base64.b64decode(picture["image/png"]))
            write_text(made / f"{name}.svg", picture["image/svg+xml"].strip() + "\n")


def attached(tags: Iterable[str], tables: Path, studies: Path) -> dict[str, dict[str, bytes]]:
    """Return the CSV files behind every figure and table, and the LaTeX of tables, by the tag of their cell."""
    files = {}
    for tag in tags:
        kind, _, name = tag.partition("-")
        if name.startswith(STUDY):
            study, _, table = name.removeprefix(STUDY).partition("-")
            path = studies / study / f"{TABLES[table]}.csv"
            files[tag] = {path.name: path.read_bytes()} if path.exists() else {}
            continue
        paths = [tables / f"{source}.csv" for source in gallery.sources(name)]
        paths += [tables / f"{name}.tex"] if kind == "table" else []
        files[tag] = {path.name: path.read_bytes() for path in paths if path.exists()}
    return files


def main(argv: list[str] | None = None) -> None:
    """Run, normalise, write. A failing cell raises before anything is written."""
    args = cli.parse(argv, __doc__, PATHS)
    parameters = {
        "profile": args.profile.stem,
        "reports": args.reports.as_posix(),
        "studies": (args.studies / args.profile.stem).as_posix(),
        "examples": args.examples.as_posix(),
        "hypotheses": args.hypotheses.as_posix(),
        "images": args.images.as_posix(),
        "params": args.params.as_posix(),
        "settings": args.profile.as_posix(),
        "code": notebook.fingerprint(args.code),
    }
    # The stage `compare` leaves this table out for the user's own rows.
    compared = (args.reports / "tables/thesis.csv").exists()
    source = Path(notebook.__file__).resolve().parents[2]
    executed = notebook.normalise(notebook.run(args.notebook, parameters, source, OWN if compared else THESIS))
    figures = notebook.take_figures(executed)
    files = attached(notebook.tags_shown(executed), args.reports / "tables", args.studies / args.profile.stem)
    title = TITLE.format(profile=args.profile.stem)
    body = notebook.page(executed, args.template.read_text(encoding="utf-8"), title, files)
    write_figures(figures, args.out_figures)
    write_text(args.out_notebook, nbformat.writes(executed) + "\n")
    write_text(args.out_html, body)
