"""What the report says about a run follows its data: other languages, seeds, translations and corpora."""

import json
import re
import shutil
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from made_reports import REPO, compare_arguments, make

from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Report
from clseave.report import captions, gallery, narrative
from clseave.report.page import findings
from clseave.stages import compare
from settings import SETTINGS

sys.path.append(str(REPO / "tests/unit"))
from drawn_texts import outside, overlapping

MODEL = {"id": "facebook/m2m100_418M", "revision": "0" * 40, "weights": "convert"}
NMT = {"backend": "nmt", "model": MODEL, "beams": 1, "batch_tokens": 64, "max_new_tokens": 8, "corrections": None}
RUNS = {
    "four languages": {"languages": ["de", "nl", "fr", "xx"]},
    "one language": {"languages": ["de"]},
    "two seeds": {"seeds": (0, 3)},
    "unknown kinds": {"known": False},
}


def show(root, profile="mini", name="mini", **changes):
    """The gallery of the reports below `root`, with some values of the profile changed."""
    path = root / f"{profile}.yaml"
    values = params.read_yaml(SETTINGS / f"profiles/{profile}.yaml")
    path.write_text(json.dumps(values | changes), encoding="utf-8")
    loaded = params.load(root / "params.yaml", path, Report)
    return gallery.Gallery(root / "reports" / name / "tables", profile, loaded)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Folders of made reports by the name of the run, made when they are asked for."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("run") / "root"
            if name == "thesis":
                shutil.copytree(REPO / "tests/fixtures/thesis", made[name])
                compare.main(compare_arguments(made[name], profile="thesis", name="thesis"))
            else:
                made[name].mkdir()
                make(made[name], **RUNS[name])
                compare.main(compare_arguments(made[name]))
        return made[name]

    return get


def test_four_languages(roots):
    run = show(roots("four languages")).run
    assert "in English, German, Dutch, French and xx, with" in narrative.corpus(run)
    assert "at most three points" in narrative.distances(run)  # nothing is known of xx
    assert "must exceed 1.00 before" in narrative.distances(run)  # 12.71 / sqrt(12.71² + 1) = 0.997
    assert captions.CAPTIONS["figure_4_1c"](run).endswith("Dashed: Table A.2 divided by 512, for German and Dutch.")
    assert "one evaluated assembly of CLTEAVE" in captions.answers(run)


def test_one_language(roots):
    run = show(roots("one language")).run
    assert "in English and German, with" in narrative.corpus(run)
    assert narrative.distances(run) == ""
    assert captions.reason("fits", run).endswith("this run has one language.")


def test_seeds(roots):
    assert "(at most 2); accuracies are those of seeds 0 and 3." in narrative.intervals(show(roots("two seeds")).run)
    assert "one seed (0)" in narrative.intervals(show(roots("one language")).run)
    assert "**Not** the choice of training seed" in narrative.intervals(show(roots("one language")).run)


def test_an_interval_of_several_known_seeds_covers_them():
    """Seeds may be known from elsewhere than this run: the table counts them."""
    values = SimpleNamespace(seeds=[0], source=None)
    told = narrative.intervals(narrative.Run("own", values, {"results": pd.DataFrame({"all_seeds": [3, 1]})}))
    assert "several seeds (at most 3); accuracies are those of seed 0" in told and "**Not**" not in told


@pytest.mark.parametrize(
    ("translate", "said"),
    [
        ({"backend": "gold"}, "The grammar of the miniature makes them"),
        ({"backend": "files", "folder": "mine", "corrections": None}, "From the files in `mine`; who made them"),
        ({"backend": "files", "folder": "mine", "corrections": "c.tsv"}, "after the corrections in `c.tsv`"),
        (NMT, "Machine translations by `facebook/m2m100_418M`"),
        (None, "Machine translations by Google's service"),  # as in profile thesis
    ],
)
def test_translations_are_those_of_the_profile(roots, translate, said):
    changes = {"translate": translate} if translate else {}
    text = narrative.translations(show(roots("thesis"), "thesis", "thesis", **changes).run)
    assert said in text and text.endswith("Translations by others are judged too, in French.")
    assert translate is None or "Google" not in text


def test_whose_corpus(roots):
    assert "works on the thesis's corpus" in narrative.corpus(show(roots("thesis"), "thesis", "thesis").run)
    own = narrative.corpus(narrative.Run("own", show(roots("thesis"), "thesis", "thesis").run.values, {}))
    assert own.startswith("This is not the thesis's corpus") and "generated" not in own


def test_seen_and_unseen_as_the_table_says(roots):
    known = show(roots("one language")).run
    table = known.table("results")
    for seen, unseen, said in (
        (0, 72, "the sentences of all 72 test rows were not seen in training"),
        (72, 0, "the sentences of all 72 test rows were seen in training"),
        (0, 0, "Which sentences were seen is not known"),
    ):
        run = narrative.Run("own", known.values, {"results": table.assign(rows_seen=seen, rows_unseen=unseen)})
        assert said in captions.reason("seen_unseen", run)
    assert "not known" in captions.reason("seen_unseen", show(roots("unknown kinds")).run)


def test_kinds_and_methods_are_said_only_where_they_are(roots):
    run = show(roots("unknown kinds")).run
    assert findings.kinds(run) == "" and "kinds in" not in narrative.corpus(run)
    assert "Hypothesis only" not in narrative.methods(run) and "Image only" in narrative.methods(run)
    assert "zero-shot" not in narrative.methods(run)


def test_weight_decay_is_that_of_the_run(roots):
    thesis, mini = show(roots("thesis"), "thesis", "thesis").run, show(roots("one language")).run
    assert "CLIP-VE, Adam in the thesis and AdamW with weight decay 0 here" in narrative.training(thesis)
    assert "CLIP-VE, Adam in the thesis and AdamW with weight decay 0.01 here" in narrative.training(mini)
    assert "CLSEAVE, AdamW in the thesis" in narrative.training(mini)


def test_the_share_of_sentences_by_others_that_train_has(roots):
    assert "of 13 of the 18 rows occurs in train" in narrative.independent(show(roots("one language")).run)
    thesis = narrative.independent(show(roots("thesis"), "thesis", "thesis").run)
    assert "the folder `xvnli`, in French." in thesis and "grammar" not in thesis
    nobody = narrative.Run("own", show(roots("thesis"), "thesis", "thesis").run.values, {})
    assert narrative.independent(nobody) == "This run has no translations by others."


def test_points_of_the_backbones_are_as_far_apart_as_their_steps(roots):
    values = show(roots("one language")).run.values
    steps = pd.DataFrame({"backbone": ["clip", "clip", "mbert"], "step": [50, 100, 50]})
    assert "the mean of 50 steps" in captions.steps(narrative.Run("own", values, {"backbones": steps}))


@pytest.mark.parametrize("name", [*RUNS, "thesis"])
def test_no_text_of_a_figure_is_printed_over_another_or_cut_off(roots, name):
    tables = show(roots(name), *(("thesis", "thesis") if name == "thesis" else ())).run.tables
    faults = {}
    for figure in (
        "accuracy",
        "seen_unseen",
        "predicted_classes",
        "significance",
        "consistency",
        "figure_4_1c",
        "fits",
    ):
        draw, names = gallery.FIGURES[figure]
        if all(one in tables for one in names) and (figure, name) != ("seen_unseen", "unknown kinds"):
            drawn = draw(*(tables[one] for one in names))
            faults[figure] = overlapping(drawn) + outside(drawn)
    assert len(faults) > 4 and not any(faults.values()), faults


def test_the_notebook_and_its_sentences_name_each_other():
    """Every text of `narrative` is shown, and what the prose of the notebook says holds for any number of languages."""
    cells = json.loads((REPO / "notebooks/report.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert set(re.findall(r'show\.text\("(\w+)"\)', code)) == set(gallery.TEXTS)
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for claim in (
        "Five languages are",
        "six languages",
        "test sentences are machine",
        "every stage uses",
        "Every table",
    ):
        assert claim not in prose
