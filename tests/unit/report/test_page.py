"""Findings and cards of the page: sentences from tables, rows chosen by their rule."""

import zipfile
from io import BytesIO
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from clseave.foundation.files.formats import write_jsonl
from clseave.report.narrative import Run
from clseave.report.page import cards, corpus, findings


def run(languages, **tables):
    """A run of an own corpus with these tables."""
    values = SimpleNamespace(languages=languages, source=None)
    return Run("own", values, {name: pd.DataFrame(rows) for name, rows in tables.items()})


def result(name, value, **more):
    ends = {"accuracy_low": value - 0.01, "accuracy_high": value + 0.01}
    return {"evaluation": name, "label": name, "rows": 1000, "accuracy": value} | ends | more


def test_a_finding_says_only_what_the_tables_hold():
    text = findings.findings(run(["de"], results=[result("en", 0.9), result("de", 0.875)]))
    assert "1. **Transfer.** English is right on 90.0 % (89.0 to 91.0) of 1,000 test rows, German on 87.5 %" in text
    assert "2. " not in text
    asked = findings.question(run(["de"]))
    assert "that language?" in asked and "generated" not in asked


@pytest.mark.parametrize(("significant", "said"), [(True, "German differs"), (False, "No language differs")])
def test_languages_differ_as_the_table_says(significant, said):
    pair = {"evaluation": "en", "other": "de", "points": 2.5, "low": 0.5, "high": 4.0, "p_holm": 0.01}
    pair["significant"] = significant
    text = findings.differences(run(["de"], significance=[pair]))
    assert f"German differs from English by −2.5 points (−4.0 to −0.5). {said} significantly from English" in text


@pytest.mark.parametrize(
    ("significant", "said"),
    [
        ((True, False), "German differs"),
        ((True, True), "German and Dutch differ"),
        ((False, False), "No language differs"),
    ],
)
def test_new_sentences_are_judged_by_the_corrected_test(significant, said):
    rows = [
        {"evaluation": code, "rows_set": part, "points": -2.0, "low": -3.5, "high": -0.5, "significant": one}
        for part in ("all", "unseen")
        for code, one in zip(("de", "nl"), significant, strict=True)
    ]
    english = result("en", 0.9, rows_unseen=400, accuracy_unseen=0.8)
    text = findings.unseen(run(["de", "nl"], results=[english], against_english=rows))
    assert "On the 400 test rows" in text and "right on 80.0 %" in text
    assert "German differs from English by −2.0 points (−3.5 to −0.5) and Dutch by −2.0 (−3.5 to −0.5)." in text
    assert f" {said} significantly from English, by the same test." in text


def test_new_sentences_are_left_out_where_the_corpus_does_not_know_them():
    assert findings.unseen(run(["de"], results=[result("en", 0.9)])) == ""


def test_word_level_is_set_beside_the_control():
    rows = [result("clteave", 0.35), result("clteave_padded", 0.36), result("hypothesis_only", 0.4)]
    text = findings.word_level(run(["de"], results=rows))
    assert "best of two assemblies of CLTEAVE is right on 36.0 %" in text and "below the 40.0 %" in text
    assert "do not overlap" in text and "cause" not in text


def test_the_worst_and_the_best_kind():
    kinds = [
        {"evaluation": "en", "kind": kind, "rows": 10, "accuracy": share} for kind, share in (("a_b", 0.5), ("c", 1))
    ]
    swap = [{"evaluation": "en", "pairs": 40, "swap_accuracy": 0.5, "swap_low": 0.4, "swap_high": 0.6}]
    text = findings.hard(run(["de"], kinds=kinds, swap=swap))
    assert "least often on *a b* (50.0 % of 10 rows) and most often on *c* (100.0 % of 10 rows)" in text
    assert "Of 40 minimal pairs" in text and "both right in 50.0 % (40.0 to 60.0)." in text


def made(root, *, kind=None, archive=True):
    """Three test rows; English is right on the first two, German on the first."""
    labels = ("entailment", "neutral", "contradiction")
    rows = [
        {"pair_id": f"p{n}", "image_id": f"i{n}", "hypothesis_id": f"h{n}", "hypothesis": "<b> & no", "label": label,
         "split": "test", "kind": kind, "seen": None}
        for n, label in enumerate(labels)
    ]  # fmt: skip
    write_jsonl(root / "examples/test.jsonl", rows)
    answers = {"en": ("entailment", "neutral", "neutral"), "de": ("entailment", "entailment", "neutral")}
    for code, said in answers.items():
        logits = [[float(label == one) for label in ("contradiction", "neutral", "entailment")] for one in said]
        write_jsonl(root / f"seed0/{code}.jsonl", [{"pair_id": f"p{n}", "logits": one} for n, one in enumerate(logits)])
        texts = [
            {
                "hypothesis_id": f"h{n}",
                "source": "s",
                "target": code,
                "text": f"<b> {code}",
                "backend": "b",
                "version": "",
            }
            for n in range(3)
        ]
        write_jsonl(root / f"hypotheses/{code}.jsonl", texts)
    if archive:
        buffer = BytesIO()
        Image.new("RGB", (4, 2)).save(buffer, "PNG")
        (root / "images").mkdir()
        with zipfile.ZipFile(root / "images/archive.zip", "w") as pictures:
            pictures.writestr("i0.png", buffer.getvalue())
    return corpus.load(root / "examples", ["de"], root / "hypotheses", root / "images", root / "seed0")


def test_examples_are_chosen_by_their_rule(tmp_path):
    rows = made(tmp_path, kind="count")
    cases = corpus.choose_examples(rows, rows.answers())
    assert [(case.row.pair_id, case.title) for case in cases] == [
        ("p0", "all are right"),
        ("p1", "English is right, a language is wrong (count)"),
        ("p2", "all are wrong"),
    ]
    body = cards.examples(rows)
    assert body.count("✗") == 3 and body.count("✓") == 3  # e / (e + 2) = 0.58
    assert (
        "<b>0.58</b>" in body and "&lt;b&gt; de" in body and body.count("<img") == 1 and 'width="4" height="2"' in body
    )


def test_a_corpus_of_photos_without_kinds_has_no_picture(tmp_path):
    body = cards.world(made(tmp_path, archive=False))
    assert "<img" not in body and body.count('class="card"') == 3 and 'lang="de"' in body
