"""The chapters of the studies: answer, staleness, tables."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from clseave.report.page import studies

CODE = "abcdef012345"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Two systems and a question, in two languages."""
    monkeypatch.setattr(studies, "code_files", lambda module: [module])
    monkeypatch.setattr(studies, "fingerprint", lambda files: CODE if files == ["clseave.studies.pooling"] else "")
    (tmp_path / "title.txt").write_text("Which token\n")
    (tmp_path / "answer.md").write_text("It is the end.\n")
    (tmp_path / "study.json").write_text(
        json.dumps({"seeds": [0, 1], "languages": ["de", "zh"], "measure": "accuracy", "code": [CODE]})
    )
    common = {"seeds": 2, "low": 0.4, "high": 0.6, "swap_accuracy": 0.25}
    rows = [
        {"variant": name, "judged": "direct", "title": name, "language": code, "accuracy": 0.5} | common
        for name in ("sep", "clseave")
        for code in ("all", "de", "zh")
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    questions = [
        {
            "contrast": "cls",
            "question": "[CLS]?",
            "measure": "swap_accuracy",
            "language": code,
            "points": -1.25,
            "low": -2.0,
            "high": -0.5,
        }
        | {"p": 0.01, "p_holm": 0.02, "significant": code != "zh"}
        for code in ("all", "de", "zh")
    ]
    pd.DataFrame(questions).to_csv(tmp_path / "contrasts.csv", index=False)
    return studies.Study("pooling", tmp_path)


def run(accuracy=0.5):
    frame = pd.DataFrame({"evaluation": ["de", "zh"], "accuracy": [accuracy, 0.5]})
    return SimpleNamespace(table=lambda name: frame)


def test_a_chapter_of_the_same_run(study):
    heading = '<a id="study-pooling"></a>\n\n### Which token\n\n'
    assert study.chapter(run()) == f"{heading}It is the end.\n\n*Study `studies/pooling`: 2 seeds; German and Chinese.*"


def test_links_lead_to_the_chapters_of_the_studies_that_were_run(study, tmp_path):
    (tmp_path / "runs").mkdir()
    study.folder.joinpath("study.json").rename(tmp_path / "runs/study.json")
    study.folder.joinpath("title.txt").rename(tmp_path / "runs/title.txt")
    (tmp_path / "not_run").mkdir()
    (tmp_path / "runs").rename(tmp_path / "word_level")
    text = studies.links(tmp_path)
    assert text.count("](#") == 1 and text.endswith("- [Which token](#study-word-level)")


@pytest.mark.parametrize("folder", ["missing", None])
def test_without_a_study_there_are_no_links(folder, tmp_path):
    assert "No study was run" in studies.links(folder and tmp_path / folder)


def test_other_code_and_other_results_are_said(study):
    study.about["code"] = ["another"]
    text = study.chapter(run(accuracy=0.6))
    assert "**Older than this page: its code has changed and the main pipeline's results have changed; " in text
    assert "`make study NAME=pooling` makes it again.**" in text


def test_runs_repeated_with_later_code_count_for_all(study):
    study.about["code"] = ["another"]
    (study.folder / "confirmed.json").write_text(json.dumps({"code": CODE, "repeated": 2, "runs": 12}))
    text = study.chapter(run())
    assert "2 of its 12 runs were repeated with later code and gave the same bytes" in text and "Older" not in text


def test_tables(study):
    assert study.tests().cells == [["[CLS]?", "swap accuracy", "−1.2", "−2.0 to −0.5", "0.020", "yes", "1 of 2"]]
    assert study.systems().cells[0] == ["sep", "direct", "50.0 %", "40.0 % to 60.0 %", "50.0 %", "50.0 %", "25.0 %"]


def test_a_question_without_a_single_language_has_none_apart(study):
    frame = study.frame("contrasts")
    frame[frame["language"] == "all"].to_csv(study.folder / "contrasts.csv", index=False)
    assert study.tests().cells[0][-1] == "–"


def test_a_study_that_was_not_run_says_how():
    assert "make study NAME=pooling" in studies.missing("pooling")
