"""Profile `thesis` through `compare` and `report`, from the made metrics in tests/fixtures: much of it was not run."""

import csv
import json
import re
import shutil

import pytest
from browser import Page, needs_chromium
from made_reports import REPO, compare_arguments, report_arguments

from clseave.foundation.rows.records import Example, Prediction, read_rows
from clseave.stages import compare, report
from clseave.statistics import metrics
from settings import SETTINGS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("thesis_report")]

FIXTURE = REPO / "tests/fixtures/thesis"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The folder in which both stages ran."""
    root = tmp_path_factory.mktemp("thesis") / "root"
    shutil.copytree(FIXTURE, root)
    (root / "profiles").mkdir()
    shutil.copy(SETTINGS / "profiles/thesis.yaml", root / "profiles")
    compare.main(compare_arguments(root, profile="thesis", name="thesis"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        report.main(report_arguments(REPO, profile="thesis"))
    return root


def rows(root, name):
    with open(root / "reports/thesis/tables" / f"{name}.csv", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize(
    "path", sorted((FIXTURE / "reports/thesis/metrics/seed0").glob("*.json")), ids=lambda p: p.stem
)
def test_the_fixture_holds_what_evaluate_would_write(path):
    logits = {
        row.pair_id: row.logits
        for row in read_rows(FIXTURE / "reports/thesis/predictions/seed0" / f"{path.stem}.jsonl", Prediction)
    }
    found = json.loads(path.read_text(encoding="utf-8"))
    about = {key: found[key] for key in ("name", "seed", "set", "language", "kernels")}
    examples = FIXTURE / "data/thesis" / ("examples/test" if about["set"] == "test" else "independent/examples")
    rows = [row for row in read_rows(examples.with_suffix(".jsonl"), Example) if row.pair_id in logits]
    assert [row.pair_id for row in rows] == list(logits)
    label, kind, seen = ([getattr(row, key) for row in rows] for key in ("label", "kind", "seen"))
    scores = [logits[row.pair_id] for row in rows]
    wanted = metrics.summary(label, scores, kind, seen, name=path.stem, seed=0) if rows else {"rows": 0}
    pairs = dict.fromkeys(("swap_pairs", "swap_accuracy", "swap_rows")) if rows else {}
    assert found == wanted | pairs | about


def test_values_are_judged_and_what_is_missing_was_not_run(rendered):
    verdict = {(row["evaluation"], row["metric"]): row["verdict"] for row in rows(rendered, "thesis")}
    assert verdict["train", "rows"] == verdict["de", "accuracy"] == verdict["clteave_de", "accuracy"] == "OK"
    assert verdict["de", "width"] == verdict["de", "epochs_run"] == verdict["de", "dev_mse"] == "OK"
    for name in ("nl", "ja", "zh", "ko", "clteave_de_padded", "clteave_de_decoder", "mean_of_languages"):
        assert verdict[name, "accuracy"] == "not run"
    assert {"OK", "near", "off", "not run"} >= set(verdict.values()) >= {"OK", "off", "not run"}


def test_tables_hold_our_languages_and_those_of_the_thesis(rendered):
    table = {row["language"]: row for row in rows(rendered, "table_4_1")}
    assert list(table) == ["en", "de", "fr", "nl", "ja", "zh", "ko"]
    assert (table["fr"]["thesis_loss"], table["fr"]["verdict_accuracy"]) == ("", "")
    assert (table["ko"]["loss"], table["ko"]["verdict_loss"]) == ("", "not run")
    errors = {row["language"]: row for row in rows(rendered, "errors")}
    assert float(errors["de"]["dev_mse_sum"]) == pytest.approx(0.94 * 7.91, abs=1e-3)  # in the unit of the thesis
    distances = {(row["distance"], row["language"]): row for row in rows(rendered, "table_1_1")}
    assert distances["syntactic", "fr"]["published"] == "" != distances["syntactic", "fr"]["recomputed"]


def test_independent_translations_are_compared_on_the_rows_that_the_test_set_has(rendered):
    table = {row["evaluation"]: row for row in rows(rendered, "independent")}
    assert list(table) == ["independent_en", "independent_fr"]
    assert (table["independent_fr"]["rows"], table["independent_fr"]["rows_shared"]) == ("12", "6")
    assert float(table["independent_en"]["points"]) == 0.0
    assert float(table["independent_fr"]["points"]) == pytest.approx(-100 / 6, abs=1e-4)  # one of the six, by hand
    assert "translate_test" not in {row["evaluation"] for row in rows(rendered, "results")}


def test_the_page_says_why_something_is_missing(rendered):
    body = re.sub(r"<[^>]+>", "", (rendered / "reports/thesis/report.html").read_text(encoding="utf-8"))
    for reason in (
        "The backbones of this profile are downloaded, not trained here.",
        "This corpus has no kinds of statement.",
        "The true word pairs of this corpus are not known: no error rate.",
        "No fit: it takes three languages with a known distance and different accuracies; this run has two languages.",
    ):
        assert reason in body
    assert "French" in body and "yes: neutral" in body
    assert not re.search(r"\bnan\b|None|Traceback", body)


def test_figures_of_the_thesis_are_drawn(rendered):
    names = {path.stem for path in (rendered / "reports/thesis/figures").glob("*.svg")}
    assert names >= {"figure_2_1", "figure_3_2", "figure_4_1a", "figure_4_1b", "figure_4_1c", "figure_4_1d"}


@needs_chromium
def test_the_page_fits_a_telephone(rendered):
    with Page(rendered / "reports/thesis/report.html", 360) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.complaints == []
