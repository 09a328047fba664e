"""Execute the notebook on the reports and write it as a notebook, an HTML page and figures.

Reads:  the notebook, the page's template, the reports of this profile, counts.json; the code, for its fingerprint
        (SHA-256 over the names and contents of every .py file below `--code`).
Writes: the executed notebook, one HTML page that loads nothing, a PNG and an SVG of every figure.
Thesis: Table 4.1 and Figures 3.2 and 4.1 are what it redraws.
Cost:   about 15 seconds, 0.5 GiB.
"""

import base64
from pathlib import Path

import nbformat

from clseave import cli, notebook
from clseave.storage import atomic, write_text

KEYS = ()
TITLE = "CLSEAVE: report of profile {profile}"


def write_figures(figures: dict[str, dict[str, str]], folder: Path) -> None:
    """One PNG and one SVG a figure."""
    for name, picture in figures.items():
        with atomic(folder / f"{name}.png") as temporary:
            temporary.write_bytes(base64.b64decode(picture["image/png"]))
        write_text(folder / f"{name}.svg", picture["image/svg+xml"].strip() + "\n")


def main(argv: list[str] | None = None) -> None:
    """Run, normalise, write. A failing cell raises, and what an earlier run wrote stays."""
    args = cli.parse(
        argv,
        __doc__,
        ["notebook", "template", "reports", "data", "code", "out-notebook", "out-html", "out-figures"],
        names=["profile-name"],
    )
    parameters = {
        "profile": args.profile_name,
        "reports": args.reports.as_posix(),
        "data": args.data.as_posix(),
        "code": notebook.fingerprint(args.code),
    }
    executed = notebook.normalise(notebook.run(args.notebook, parameters, Path(notebook.__file__).resolve().parents[1]))
    figures = notebook.take_figures(executed)
    body = notebook.page(executed, args.template.read_text(encoding="utf-8"), TITLE.format(profile=args.profile_name))
    write_figures(figures, args.out_figures)
    write_text(args.out_notebook, nbformat.writes(executed) + "\n")
    write_text(args.out_html, body)
