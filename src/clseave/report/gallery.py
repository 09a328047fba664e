"""Tables and figures of the report by name, from the files that `compare` wrote.

The notebook calls these functions and computes nothing itself. Where a run has nothing to show, a sentence says why.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from clseave.foundation.settings.schema import Report
from clseave.report import captions, narrative, result_figures, statistics_figures, study_figures, thesis_figures
from clseave.report.page import cards, corpus, findings, studies
from clseave.report.style import NothingToDrawError
from clseave.report.tables.statistics_tables import VIEWS

# The function that draws each figure, and the names of its tables.
FIGURES: dict[str, tuple[Callable[..., Figure], tuple[str, ...]]] = {
    "accuracy": (result_figures.accuracy, ("results",)),
    "languages": (result_figures.languages, ("results",)),
    "confusion": (statistics_figures.confusion, ("confusion",)),
    "seen_unseen": (result_figures.seen_unseen, ("results",)),
    "kinds": (result_figures.kinds, ("kinds",)),
    "swap": (statistics_figures.swap, ("swap",)),
    "predicted_classes": (result_figures.predicted_classes, ("classes",)),
    "alignment": (result_figures.alignment, ("alignment",)),
    "figure_2_1": (thesis_figures.figure_2_1, ("figure_2_1",)),
    "figure_3_2": (thesis_figures.figure_3_2, ("figure_3_2",)),
    "figure_4_1a": (thesis_figures.figure_4_1a, ("figure_4_1",)),
    "figure_4_1b": (thesis_figures.figure_4_1b, ("figure_4_1",)),
    "figure_4_1c": (thesis_figures.figure_4_1c, ("figure_4_1", "counts")),
    "figure_4_1d": (thesis_figures.figure_4_1d, ("figure_4_1", "counts")),
    "backbones": (thesis_figures.backbones, ("backbones",)),
    "significance": (statistics_figures.significance, ("significance",)),
    "reliability": (statistics_figures.reliability, ("reliability",)),
    "slices": (statistics_figures.slices, ("slices",)),
    "consistency": (statistics_figures.consistency, ("consistency",)),
    "fits": (statistics_figures.fits, ("fits",)),
}

TEXTS = {
    **narrative.TEXTS,
    "question": findings.question,
    "findings": findings.findings,
    "panels": findings.panels,
    "kinds": findings.kinds,
}
CARDS = {"world": cards.world, "examples": cards.examples}


class Gallery:
    """Tables, texts and figures of the report of one profile."""

    def __init__(
        self,
        tables: Path,
        profile: str,
        values: Report,
        rows: corpus.Corpus | None = None,
        studies_folder: Path | None = None,
    ):
        """Read the tables' CSV files.

        `rows` are the test rows for the cards, if any; `studies_folder` holds the results of the studies by name.
        """
        self.rows, self.studies_folder = rows, studies_folder
        self.tables = tables
        frames = {path.stem: pd.read_csv(path) for path in sorted(tables.glob("*.csv"))}
        self.run = narrative.Run(profile, values, frames)

    def table(self, name: str) -> Markdown:
        """Return a table with its caption, as `compare` wrote it; empty without one: its figure says why."""
        path = self.tables / f"{name}.md"
        return Markdown(path.read_text(encoding="utf-8") if path.exists() else "")

    def text(self, name: str) -> Markdown:
        """Return a text about this run."""
        return Markdown(TEXTS[name](self.run))

    def cards(self, name: str) -> HTML:
        """Return rows of the test set as cards: `world` or `examples`."""
        return HTML(CARDS[name](self.rows) if self.rows else "")

    def figure(self, name: str, caption: str = "") -> None:
        """Display a figure and its caption: that in `captions.CAPTIONS`, else `caption`."""
        draw, names = FIGURES[name]
        frames = [self.run.tables[table] for table in names if table in self.run.tables]
        try:
            picture = draw(*frames) if len(frames) == len(names) else None
        except NothingToDrawError:
            picture = None
        if picture is None:
            display(Markdown(captions.reason(name, self.run)))
            return
        display(picture)
        display(Markdown(captions.CAPTIONS[name](self.run) if name in captions.CAPTIONS else caption))

    def study_links(self) -> Markdown:
        """Links to the chapters of the studies that were run."""
        return Markdown(studies.links(self.studies_folder))

    def study(self, name: str) -> Markdown:
        """Return the chapter of a study: its answer, and whether it is stale."""
        study = self._study(name)
        return Markdown(study.chapter(self.run) if study else studies.missing(name))

    def study_figure(self, name: str) -> None:
        """Display the accuracy of the study's variants; nothing where it was not run."""
        if study := self._study(name):
            display(study_figures.systems(study.frame("results"), study.about["measure"]))
            display(Markdown(study_figures.CAPTIONS[study.about["measure"]]))

    def study_need(self, name: str) -> None:
        """Accuracy of the study's variants against the pairs they are trained on; nothing where none has fewer."""
        if not (found := self._study(name)):
            return
        with suppress(NothingToDrawError):
            display(study_figures.data_need(found.frame("results")))
            display(Markdown(study_figures.NEED_CAPTION))

    def study_table(self, name: str, kind: str) -> Markdown:
        """Return the `tests` of a study's questions or its `systems`; empty where it was not run."""
        study = self._study(name)
        if not study:
            return Markdown("")
        table = study.tests() if kind == "tests" else study.systems()
        return Markdown(f"{table.caption}\n\n{table.markdown()}")

    def _study(self, name: str) -> studies.Study | None:
        folder = self.studies_folder / name if self.studies_folder else None
        return studies.Study(name, folder) if folder and (folder / "study.json").is_file() else None


def sources(shown: str) -> tuple[str, ...]:
    """Return the names of the CSV files behind a figure or table."""
    return FIGURES[shown][1] if shown in FIGURES else (VIEWS.get(shown, shown),)


def setup(text: Path, language: str) -> Markdown:
    """Return a file of settings, unchanged."""
    return Markdown(f"```{language}\n{text.read_text(encoding='utf-8').strip()}\n```")


def run(profile: str, code: str) -> Markdown:
    """Return profile and code of the run."""
    return Markdown(f"Profile `{profile}`, code `{code}`.")
