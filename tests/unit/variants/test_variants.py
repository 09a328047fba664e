"""A study's settings, its runs and the statistics of its systems."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, Prediction, write_rows, write_vectors
from clseave.studies import summarise
from clseave.variants import runs, settings
from clseave.variants.summary import ALL, Judged, Table


def example(number):
    """Row `number` of six: two images, three statements; rows 4 and 5 are a minimal pair."""
    return Example(
        *(f"p{number}", f"image{number % 2}", f"{number:016x}", "a text", LABELS[number % 3], "test", "place", True),
        statement=f"s{number % 3}",
        pair="m" if number > 3 else None,
    )


ROWS = [example(number) for number in range(6)]
STUDY = {
    "seeds": [0, 1],
    "languages": ["de", "zh"],
    "variants": [{"name": "plain", "title": "as it is", "changes": "clteave.relu=true"}],
    "references": [{"name": "clseave", "title": "CLSEAVE", "predictions": "seed0/{language}.jsonl"}],
    "contrasts": [
        {
            "name": "left",
            "question": "What is left?",
            "system": {"variant": "plain", "judged": "direct"},
            "other": {"variant": "clseave", "judged": "direct"},
        }
    ],
}


def write_study(folder, **changes):
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(json.dumps(STUDY | changes))
    return folder / "params.yaml"


def test_settings_are_read(tmp_path):
    study = settings.read(write_study(tmp_path))
    assert study.variants[0].changes == "clteave.relu=true" and study.contrasts[0].other.variant == "clseave"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": [0]}, r"params.yaml: seed: unknown key; did you mean seeds"),
        ({"seeds": []}, r"seeds: found \[\]"),
        ({"references": []}, r"contrasts.0.other.variant: found 'clseave', allowed: plain"),
        ({"variants": 2 * STUDY["variants"]}, r"variants: found 'plain' twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        settings.read(write_study(tmp_path, **changes))


def run(language="de", seed=0, answers="012012", rows=None):
    key = rows or runs.row_key(ROWS)
    return runs.Run("plain", language, seed, "c0de", key, {"loss": 2.0 + seed}, {"direct": {}}, {"direct": answers})


def test_a_run_is_read_as_it_was_written(tmp_path):
    run().write(tmp_path / "run.json")
    assert runs.read(tmp_path / "run.json") == run()
    (tmp_path / "run.json").write_text('{"variant": "plain"}')
    with pytest.raises(UserError, match=r"run\.json: .*make study"):
        runs.read(tmp_path / "run.json")


def test_a_joint_run_is_one_of_each_language():
    joint = runs.Run("all", "joint", 0, "c0de", "rows", {}, {"en": {}, "de": {}}, {"en": "0", "de": "1", "zh": "2"})
    german = joint.of_language("de")
    assert (german.language, german.answers) == ("de", {"own": "1", "en": "0", "zh": "2"})
    assert german.judged_measures == {"own": {}, "en": {}, "zh": {}}


def test_rows_in_another_order_have_another_key():
    assert runs.row_key(ROWS) != runs.row_key(ROWS[::-1])


def test_answers_are_one_digit_a_row(tmp_path):
    labels = np.array([0, 2, 1])
    assert runs.to_digits(labels) == "021"
    assert runs.from_digits(tmp_path, "021", 3).tolist() == [0, 2, 1]
    for wrong in ("02", "023", "0 1"):
        with pytest.raises(UserError, match="expected 3 answers"):
            runs.from_digits(tmp_path, wrong, 3)


def judged(*answers, seeds=(0, 1)):
    """Answers of both languages: de the first, zh the second."""
    found = {
        language: np.array([[int(digit) for digit in one] for one in rows])
        for language, rows in zip(("de", "zh"), answers, strict=True)
    }
    return Judged("a system", list(seeds), found, {"de": {"loss": [2.0, 3.0]}, "zh": {"loss": [4.0, 5.0]}})


def test_results_by_hand():
    # Gold 012012. de: all right, then the last two wrong; zh: the first three right, twice.
    table = Table({("plain", "direct"): judged(["012012", "012001"], ["012120", "012120"])}, ROWS)
    rows = {row["language"]: row for row in table.results()}
    assert rows["de"]["accuracy"] == pytest.approx((1 + 4 / 6) / 2, abs=1e-6)
    assert rows["de"]["seeds_sd"] == pytest.approx((1 - 4 / 6) / np.sqrt(2), abs=1e-6)
    assert rows["zh"]["accuracy"] == 0.5 and rows["zh"]["seeds_sd"] == 0
    assert rows[ALL]["accuracy"] == pytest.approx((5 / 6 + 1 / 2) / 2, abs=1e-6)
    assert rows["de"]["swap_accuracy"] == 0.5 and rows["zh"]["swap_accuracy"] == 0  # the pair is rows 4 and 5
    assert rows["de"]["loss"] == 2.5 and rows[ALL]["loss"] == 3.5
    assert rows["zh"]["said_entailment"] == rows["zh"]["said_neutral"] == rows["zh"]["said_contradiction"]


def test_a_difference_of_minimal_pairs_by_hand():
    """The last two rows are the one pair: the system has it with both seeds in German, with the first in Chinese."""
    asked = settings.Contrast.model_validate(STUDY["contrasts"][0] | {"measure": "swap_accuracy"})
    systems = {
        ("plain", "direct"): judged(["012012", "210012"], ["012012", "012021"]),
        ("clseave", "direct"): judged(["012120", "012120"], ["012012", "012120"]),
    }
    rows = {row["language"]: row for row in Table(systems, ROWS).contrasts([asked])}
    assert {language: row["points"] for language, row in rows.items()} == {ALL: 50, "de": 100, "zh": 0}
    assert rows["de"]["measure"] == "swap_accuracy"
    alone = [replace(row, pair=None) for row in ROWS]
    assert Table(systems, alone).contrasts([asked]) == []
    assert Table(systems, alone).results()[0]["swap_accuracy"] is None


def test_a_difference_by_hand_and_its_correction():
    study = settings.Study.model_validate(STUDY)
    systems = {
        ("plain", "direct"): judged(["012012"] * 2, ["012012"] * 2),
        ("clseave", "direct"): judged(["012120"], ["012120"], seeds=[0]),
    }
    rows = {row["language"]: row for row in Table(systems, ROWS).contrasts(study.contrasts)}
    assert set(rows) == {ALL, "de", "zh"}
    assert rows[ALL]["points"] == rows["de"]["points"] == 50
    assert rows[ALL]["p_holm"] == rows[ALL]["p"]  # one question for all languages, two for the single ones
    assert rows["de"]["p_holm"] == pytest.approx(min(1, 2 * rows["de"]["p"]), abs=1e-5)


@pytest.fixture
def study(tmp_path):
    """A finished study and the main pipeline's files that it reads."""
    write_study(tmp_path / "study")
    (tmp_path / "study/answer.md.j2").write_text(
        'Right: {{ accuracy("plain", "direct") }}. {{ difference("left", "de") }}.\n'
        '{% if contrast("left").significant %}Significant.{% else %}Not.{% endif %}\n'
        'Others: {{ accuracy("other", "direct") }}, {{ difference("right") }}.\n'
    )
    for language in ("de", "zh"):
        for seed in (0, 1):
            run(language, seed).write(tmp_path / f"runs/plain-seed{seed}/{language}.json")
        (tmp_path / "predictions/seed0").mkdir(parents=True, exist_ok=True)
        logits = [[1.0, 0.0, 0.0] for _ in ROWS]
        predictions = [Prediction(row.pair_id, one) for row, one in zip(ROWS, logits, strict=True)]
        write_rows(tmp_path / f"predictions/seed0/{language}.jsonl", predictions)
    write_rows(tmp_path / "examples/test.jsonl", ROWS)
    write_vectors(tmp_path / "images", [row.image_id for row in ROWS[:2]], np.ones((2, 2), dtype=np.float32))
    return tmp_path


def summarised(folder):
    names = {"study": "study", "runs": "runs", "references": "predictions"}
    names |= {"examples": "examples", "images": "images", "out": "results"}
    summarise.main([word for name, path in names.items() for word in (f"--{name}", str(folder / path))])
    return folder / "results"


def test_a_study_is_summarised(study):
    results = summarised(study)
    assert (results / "answer.md").read_text().startswith("Right: 100.0 %. +66.7 points")
    assert "Others: (not run), (not run)." in (results / "answer.md").read_text()
    about = json.loads((results / "study.json").read_text())
    assert about["code"] == ["c0de"] and about["seeds"] == [0, 1]
    lines = (results / "results.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3 and lines[1].startswith("plain,direct,as it is,all,2,6,1,1.0")


def test_a_question_about_a_system_without_runs_is_left_out_and_named(caplog):
    table = Table({("plain", "direct"): judged(["012012"] * 2, ["012012"] * 2)}, ROWS)
    question = settings.Contrast.model_validate(
        STUDY["contrasts"][0] | {"other": {"variant": "plain", "judged": "own"}}
    )
    assert table.contrasts([question]) == []
    assert caplog.messages == ["contrast left: left out, plain is judged direct, not own"]


def test_a_joint_variant_is_read_from_one_run_for_all_languages(study):
    one = {"name": "all", "title": "one for all", "changes": "clteave.relu=true"}
    write_study(study / "study", variants=[*STUDY["variants"], one])
    for seed in (0, 1):
        answers = {"en": "012012", "de": "012012", "zh": "000000"}
        ways = {way: {} for way in answers}
        key = runs.row_key(ROWS)
        runs.Run("all", "joint", seed, "c0de", key, {}, ways, answers).write(study / f"runs/all-seed{seed}/joint.json")
    rows = list(csv.DictReader((summarised(study) / "results.csv").read_text().splitlines()))
    own = {row["language"]: row["accuracy"] for row in rows if (row["variant"], row["judged"]) == ("all", "own")}
    assert own["de"] == "1.0" and float(own["zh"]) == pytest.approx(1 / 3, abs=1e-6)


def test_a_run_of_other_rows_or_none_is_refused(study):
    run(rows="another").write(study / "runs/plain-seed0/de.json")
    with pytest.raises(UserError, match="other test rows"):
        summarised(study)
    (study / "runs/plain-seed0/de.json").unlink()
    with pytest.raises(UserError, match=r"plain-seed0/de\.json"):
        summarised(study)
