"""Tables of text from rows of numbers: percent, signed points, dashes where nothing was measured.

A `Table` is written as Markdown (GitHub, the report) and as LaTeX (booktabs).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from deep_translator.constants import GOOGLE_LANGUAGES_TO_CODES

from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import INDEPENDENT

Row = Mapping[str, Any]
Text = Callable[[Row], str]
DASH = "–"
# English names by ISO 639 code: Google's, except where its code is another.
NAMES = {code: name.title() for name, code in GOOGLE_LANGUAGES_TO_CODES.items()} | {
    "zh": "Chinese", "he": "Hebrew", "jv": "Javanese",
}  # fmt: skip
METHODS = {
    "translate_test": "translate-test", "translate_train": "translate-train", "zero_shot": "zero-shot mBERT",
    "clip_score": "CLIPScore threshold",
}  # fmt: skip
_LATEX = str.maketrans(
    {
        **{sign: rf"\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "−": "$-$", DASH: "--", "†": r"\dag{}",
        "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\leq$", "\u00a0": "~",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Cells of text below unique headers, the first `left` columns flush left; the caption gives content and unit.

    `notes` are further paragraphs for the reader.
    """

    caption: str
    header: list[str]
    cells: list[list[str]]
    left: int = 1
    notes: tuple[str, ...] = ()

    def noted(self) -> str:
        """Return the Markdown table with its notes below."""
        return self.markdown() + "".join(f"\n{note}\n" for note in self.notes)

    def markdown(self) -> str:
        """Return a Markdown table with padded cells, without the caption."""
        lines = [[text.replace("|", r"\|") for text in line] for line in (self.header, *self.cells)]
        widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(self.header))]
        flush = [column < self.left for column in range(len(widths))]
        rule = ["-" * width if left else "-" * (width - 1) + ":" for width, left in zip(widths, flush, strict=True)]
        padded = [
            [
                text.ljust(width) if left else text.rjust(width)
                for text, width, left in zip(line, widths, flush, strict=True)
            ]
            for line in (lines[0], rule, *lines[1:])
        ]
        return "".join(f"| {' | '.join(line)} |\n" for line in padded)

    def latex(self, name: str) -> str:
        r"""Return a LaTeX table with its caption and the label `tab:name`; it needs \usepackage{booktabs}."""
        frame = pd.DataFrame([[latex_text(text) for text in line] for line in self.cells])
        return frame.to_latex(
            header=[latex_text(text) for text in self.header],
            index=False,
            escape=False,
            column_format="l" * self.left + "r" * (len(self.header) - self.left),
            caption=latex_text(" ".join([self.caption, *self.notes])),
            label=f"tab:{name}",
            position="htbp",
        )


def latex_text(text: str) -> str:
    """Escape LaTeX's special characters and the signs that its fonts lack."""
    return text.translate(_LATEX)


def table(caption: str, rows: Sequence[Row], columns: Mapping[str, Text], left: int = 1) -> Table:
    """Return a table of rows; `columns` maps headers to functions from a row to its text."""
    return Table(caption, list(columns), [[text(row) for text in columns.values()] for row in rows], left)


def language_name(code: str) -> str:
    """Return the English name of a language, or its code."""
    return NAMES.get(code, code)


def label_of(name: str, language: str = "en") -> str:
    """Return the displayed name: "German (CLSEAVE)" for `de`, "German (CLTEAVE, padded)" for `clteave_de_padded`.

    `language` is the language of the evaluated sentences.
    """
    name = name.removeprefix(INDEPENDENT)  # the captions of these tables mention the independent translation
    first, _, rest = name.partition("_")
    if name in NAMES:
        return f"{NAMES[name]} ({'CLIP-VE' if name == 'en' else 'CLSEAVE'})"
    if first == "clteave" and rest[:2] in NAMES:
        return f"{NAMES[rest[:2]]} ({', '.join(['CLTEAVE', *rest.split('_')[1:]])})"
    if name in METHODS:
        return f"{language_name(language)} ({METHODS[name]})"
    return name.replace("_", " ")


def percent(share: float | None) -> str:
    """Format a share of 1: 0.9438 -> "94.4 %"."""
    return DASH if share is None else f"{100 * share:.1f} %"


def signed(points: float | None) -> str:
    """Format a difference in points: -1.82 -> "−1.8"; zero has no sign."""
    if points is None:
        return DASH
    text = f"{points:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def span(low: float | None, high: float | None) -> str:
    """Format an interval of points: "−2.5 to −1.1"; a dash if it has no width."""
    return DASH if low is None or high is None or low == high else f"{signed(low)} to {signed(high)}"


def span_of(row: Row, key: str = "accuracy") -> str:
    """Format the interval of a share in percent: "72.5–73.8"; its ends are the columns `key`_low and `key`_high.

    It is a dash if the interval has no width, as when every image has the same share.
    """
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    return DASH if low is None or high is None or low == high else f"{100 * low:.1f}–{100 * high:.1f}"


def number(value: float | None, digits: int = 4) -> str:
    """Format a number with significant digits."""
    return DASH if value is None else f"{value:.{digits}g}"


def fixed(value: float | None, digits: int) -> str:
    """Format a number with decimals, as many in each cell of a column."""
    return DASH if value is None else f"{value:.{digits}f}"


def whole(value: float | None) -> str:
    """Format a count: 17901 -> "17,901"."""
    return DASH if value is None else f"{value:,.0f}"


def mean_sd(mean: float | None, sd: float | None) -> str:
    """Format mean and standard deviation of shares, in percent: "89.2 ± 0.2"."""
    return DASH if mean is None or sd is None else f"{100 * mean:.1f} ± {100 * sd:.1f}"


def p_value(p: float | None) -> str:
    """Format a p-value with three decimals, never as 0."""
    return DASH if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def kinds(rows: Sequence[Row]) -> Table:
    """Accuracy by evaluation (down) and kind of statement (across)."""
    score = {(row["label"], row["kind"]): row["accuracy"] for row in rows}
    columns: dict[str, Text] = {"Text": lambda row: row["label"]}

    def of(kind: str) -> Text:
        return lambda row: percent(score.get((row["label"], kind)))

    columns |= {kind.replace("_", " "): of(kind) for kind in dict.fromkeys(row["kind"] for row in rows)}
    labels = [{"label": label} for label in dict.fromkeys(row["label"] for row in rows)]
    return table("Test accuracy by kind of statement.", labels, columns)


def alignment(rows: Sequence[Row]) -> Table:
    """Alignment error rates of the aligner and of the diagonal."""
    columns: dict[str, Text] = {
        "Language": lambda row: language_name(row["language"]),
        "AER": lambda row: percent(row["aer"]),
        "AER of the diagonal": lambda row: percent(row["aer_diagonal"]),
        "Precision": lambda row: percent(row["precision"]),
        "Recall": lambda row: percent(row["recall"]),
        "Sentences": lambda row: whole(row["sentences"]),
        "English words with a pair": lambda row: percent(row["source_words_aligned"]),
        "Target words with a pair": lambda row: percent(row["target_words_aligned"]),
    }
    columns = {name: text for name, text in columns.items() if any(text(row) != DASH for row in rows)}
    caption = "Word alignment: error rate (AER), precision, recall where true pairs are known, else words with a pair."
    return table(caption, rows, columns)


def counts(rows: Sequence[Row]) -> Table:
    """Numbers of rows, images, distinct sentences and labels of every split."""
    columns: dict[str, Text] = {
        "Split": lambda row: row["split"],
        "Rows": lambda row: whole(row["rows"]),
        "Images": lambda row: whole(row["images"]),
        "Sentences": lambda row: whole(row["hypotheses"]),
        "Rows, unseen sentence": lambda row: whole(row["unseen_rows"]),
    }

    def of(label: str) -> Text:
        return lambda row: whole(row[label])

    columns |= {label.capitalize(): of(label) for label in LABELS}
    return table("The corpus of this run. Sentences are distinct English hypotheses.", rows, columns)


def settings(rows: Sequence[Row]) -> Table:
    """Training summary of every model."""
    columns: dict[str, Text] = {
        "Model": lambda row: row["model"],
        "Values": lambda row: row["values"],
    }
    return table("What each training settled on, and its errors at the epoch that it kept.", rows, columns, left=2)
