"""Markdown for people."""

import pytest

from clseave.report.tables import result_tables


@pytest.mark.parametrize(
    ("points", "text"), [(-1.82, "−1.8"), (0.02, "0.0"), (-0.04, "0.0"), (1.25, "+1.2"), (None, "–")]
)
def test_signed(points, text):
    assert result_tables.signed(points) == text


def test_percent_and_spans():
    assert result_tables.percent(0.73186) == "73.2 %"
    assert result_tables.percent(None) == "–"
    assert result_tables.span(-2.5, 0.31) == "−2.5 to +0.3"
    assert result_tables.span(None, 1.0) == "–"


def test_markdown_is_padded_and_aligned():
    rows = [{"name": "German", "value": 1}, {"name": "x", "value": 22}]
    columns = {"Text": lambda row: row["name"], "Value": lambda row: str(row["value"])}
    assert result_tables.table("", rows, columns).markdown() == (
        "| Text   | Value |\n| ------ | ----: |\n| German |     1 |\n| x      |    22 |\n"
    )


def test_kinds_go_across():
    rows = [
        {"label": "English", "kind": "count", "accuracy": 0.5},
        {"label": "English", "kind": "object_at", "accuracy": 1.0},
        {"label": "German", "kind": "count", "accuracy": 0.25},
    ]
    lines = result_tables.kinds(rows).markdown().splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["Text", "count", "object at"]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == ["German", "25.0 %", "–"]


def test_a_bar_inside_a_cell_is_no_column():
    assert result_tables.Table("", ["A"], [["x|y"]]).markdown().splitlines()[-1] == r"| x\|y |"


def test_latex_is_booktabs_with_every_special_character_written_out():
    table = result_tables.Table(
        "100 % of A_1", ["Text & more", "Value"], [["a_b {c} ~ ^ # $", "−1.5–2 %"], [r"\x", "±3"]]
    )
    assert table.latex("table_4_1").splitlines() == [
        r"\begin{table}[htbp]",
        r"\caption{100 \% of A\_1}",
        r"\label{tab:table_4_1}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Text \& more & Value \\",
        r"\midrule",
        r"a\_b \{c\} \textasciitilde{} \textasciicircum{} \# \$ & $-$1.5--2 \% \\",
        r"\textbackslash{}x & $\pm$3 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_numbers_for_people():
    assert (result_tables.whole(17901), result_tables.whole(None)) == ("17,901", "–")
    assert (result_tables.fixed(0.65501, 4), result_tables.fixed(None, 4)) == ("0.6550", "–")
    assert result_tables.span_of({"accuracy_low": 0.7251, "accuracy_high": 0.738}) == "72.5–73.8"
    assert result_tables.span_of({"same_low": None, "same_high": 1.0}, "same") == "–"


def test_an_interval_without_width_is_none():
    assert result_tables.span_of({"accuracy_low": 1 / 3, "accuracy_high": 1 / 3}) == result_tables.span(0.0, 0.0) == "–"


def test_languages_of_other_corpora_have_names():
    assert [result_tables.language_name(code) for code in ("fr", "es", "ru", "ar", "it", "he", "xx")] == [
        *("French", "Spanish", "Russian", "Arabic", "Italian", "Hebrew", "xx")
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("en", "English (CLIP-VE)"),
        ("de", "German (CLSEAVE)"),
        ("nl", "Dutch (CLSEAVE)"),
        ("zh", "Chinese (CLSEAVE)"),
        ("ja", "Japanese (CLSEAVE)"),
        ("clteave_de", "German (CLTEAVE)"),
        ("clteave_de_padded", "German (CLTEAVE, padded)"),
        ("hypothesis_only", "hypothesis only"),
        ("clteave", "clteave"),
        ("independent_ko", "Korean (CLSEAVE)"),
        ("independent_en", "English (CLIP-VE)"),
        ("majority", "majority"),
        ("clip_score", "English (CLIPScore threshold)"),
    ],
)
def test_labels(name, label):
    assert result_tables.label_of(name) == label


@pytest.mark.parametrize(
    ("name", "language", "label"),
    [
        ("translate_test", "de", "German (translate-test)"),
        ("translate_train", "fr", "French (translate-train)"),
        ("zero_shot", "xx", "xx (zero-shot mBERT)"),
        ("ko", "de", "Korean (CLSEAVE)"),
    ],
)
def test_a_baseline_s_label_names_the_language_of_its_sentences(name, language, label):
    assert result_tables.label_of(name, language) == label
