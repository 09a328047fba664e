"""Markdown for people."""

import pytest

from clseave import tables


@pytest.mark.parametrize(
    ("points", "text"), [(-1.82, "−1.8"), (0.02, "0.0"), (-0.04, "0.0"), (1.25, "+1.2"), (None, "–")]
)
def test_signed(points, text):
    assert tables.signed(points) == text


def test_percent_and_spans():
    assert tables.percent(0.73186) == "73.2 %"
    assert tables.percent(None) == "–"
    assert tables.span(-2.5, 0.31) == "−2.5 to +0.3"
    assert tables.span(None, 1.0) == "–"


def test_markdown_is_padded_and_aligned():
    rows = [{"name": "German", "value": 1}, {"name": "x", "value": 22}]
    text = tables.markdown(rows, {"Text": lambda row: row["name"], "Value": lambda row: str(row["value"])})
    assert text == ("| Text   | Value |\n| ------ | ----: |\n| German |     1 |\n| x      |    22 |\n")


def test_kinds_go_across():
    rows = [
        {"label": "English", "kind": "count", "accuracy": 0.5},
        {"label": "English", "kind": "object_at", "accuracy": 1.0},
        {"label": "German", "kind": "count", "accuracy": 0.25},
    ]
    lines = tables.kinds(rows).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["Text", "count", "object at"]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == ["German", "25.0 %", "–"]


def test_settings_keep_numbers_and_names_only():
    assert "lr: 0.001 · seed: 0" in tables.settings({"clseave": {"seed": 0, "lr": 0.001, "curve": [1, 2]}})
