"""The chapters of the studies: what was asked and answered, and whether it still belongs to this run."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.report.narrative import Run, listed
from clseave.report.tables.result_tables import Table, Text, language_name, p_value, percent, signed, table

ALL = "all"


@dataclass(frozen=True)
class Study:
    """One study's results, as `make study` left them; they may be those of another run or of older code."""

    name: str
    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """Seeds, languages and the code's fingerprints."""
        return json.loads((self.folder / "study.json").read_text(encoding="utf-8"))

    @cached_property
    def confirmed(self) -> dict[str, Any]:
        """Which later code gave the same bytes for some runs; empty where none was tried."""
        path = self.folder / "confirmed.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def frame(self, name: str) -> pd.DataFrame:
        """The table `results` or `contrasts`."""
        return pd.read_csv(self.folder / f"{name}.csv")

    @property
    def title(self) -> str:
        """The heading of its README."""
        return (self.folder / "title.txt").read_text(encoding="utf-8").strip()

    @property
    def anchor(self) -> str:
        """Where its chapter begins on the page."""
        return f"study-{self.name.replace('_', '-')}"

    def chapter(self, run: Run) -> str:
        """Heading, answer, and what is stale of it, as Markdown."""
        heading = f'<a id="{self.anchor}"></a>\n\n### {self.title}\n\n'
        answer = (self.folder / "answer.md").read_text(encoding="utf-8").strip()
        seeds = f"{len(self.about['seeds'])} seeds" if len(self.about["seeds"]) > 1 else "one seed"
        made = f"{seeds}; {listed([language_name(code) for code in self.about['languages']])}"
        repeated = self.confirmed
        if repeated:
            made += (
                f"; {repeated['repeated']} of its {repeated['runs']} runs were repeated with later code and gave the "
                "same bytes"
            )
        told = f"*Study `studies/{self.name}`: {made}.*"
        if reasons := self.stale(run):
            told += f" **Older than this page: {listed(reasons)}; `make study NAME={self.name}` makes it again.**"
        return f"{heading}{answer}\n\n{told}"

    def stale(self, run: Run) -> list[str]:
        """What of the study is not of this run: its code, or the predictions that it compares with."""
        found = []
        known = [self.confirmed["code"]] if self.confirmed else self.about["code"]
        if known != [fingerprint(code_files(f"clseave.studies.{self.name}"))]:
            found.append("its code has changed")
        results, frame = run.table("results"), self.frame("results")
        own = dict(zip(results["evaluation"], results["accuracy"], strict=True)) if len(results) else {}
        rows = frame[(frame["variant"] == "clseave") & (frame["language"] != ALL)]
        if any(own.get(row["language"]) != row["accuracy"] for row in rows.to_dict("records")):
            found.append("the main pipeline's results have changed")
        return found

    def tests(self) -> Table:
        """The questions over all languages, and in how many single languages they differ significantly."""
        frame = self.frame("contrasts")
        single = frame[frame["language"] != ALL].groupby("contrast")["significant"]
        found = {name: f"{rows.sum()} of {len(rows)}" for name, rows in single}
        columns: dict[str, Text] = {
            "Question": lambda row: row["question"],
            "Measure": lambda row: row["measure"].replace("_", " "),
            "Points": lambda row: signed(row["points"]),
            "95 % interval": lambda row: f"{signed(row['low'])} to {signed(row['high'])}",
            "p (Holm)": lambda row: p_value(row["p_holm"]),
            "Significant": lambda row: "yes" if row["significant"] else "no",
            "Significant in": lambda row: found.get(row["contrast"], "–"),
        }
        caption = (
            "Differences over all languages in points, with intervals clustered by image and statement that hold the "
            "variance of the seeds; p by Holm's correction over the questions. Last: in how many of the single "
            "languages the difference is significant, corrected over questions and languages."
        )
        return table(caption, frame[frame["language"] == ALL].to_dict("records"), columns)

    def systems(self) -> Table:
        """Accuracy and measures of every system over all languages."""
        frame = self.frame("results")
        rows = frame[frame["language"] == ALL].to_dict("records")
        languages = [code for code in dict.fromkeys(frame["language"]) if code != ALL]
        by_language = {(row["variant"], row["judged"], row["language"]): row for row in frame.to_dict("records")}

        def of(code: str) -> Text:
            return lambda row: percent(by_language.get((row["variant"], row["judged"], code), {}).get("accuracy"))

        columns: dict[str, Text] = {
            "Variant": lambda row: row["title"],
            "Judged": lambda row: row["judged"],
            "All": lambda row: percent(row["accuracy"]),
            "95 % interval": lambda row: f"{percent(row['low'])} to {percent(row['high'])}",
            **{code: of(code) for code in languages},
            "Swap": lambda row: percent(row["swap_accuracy"]),
        }
        caption = "Accuracy of each variant by the way of judging, and swap accuracy: means over the seeds."
        return table(caption, rows, columns, left=2)


def missing(name: str) -> str:
    """What stands in the place of a study that was not run with this profile."""
    return f"*The study `studies/{name}` was not run with this profile: `make study NAME={name}` does it.*"


def links(folder: Path | None) -> str:
    """What the studies are, and a link to the chapter of each that was run."""
    found = [Study(path.parent.name, path.parent) for path in sorted(folder.glob("*/study.json"))] if folder else []
    if not found:
        return "No study was run with this profile; Appendix A says how to run one."
    listed_links = [f"- [{study.title}](#{study.anchor})" for study in found]
    return "\n".join(["Appendix A has the answers, figures and tests of:", "", *listed_links])
