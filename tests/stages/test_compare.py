"""The stage `compare` on small made reports."""

import csv
import json
import shutil

import pytest
from made_reports import REPO, RIGHT, compare_arguments, make, say_official

from clseave.comparison import measured
from clseave.foundation.errors import UserError
from clseave.foundation.settings import params
from clseave.stages import compare
from settings import SETTINGS


def table(reports, name):
    with open(reports / "tables" / f"{name}.csv", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_tables_of_one_seed(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    wide = json.loads((reports / "metrics.json").read_text())
    assert wide["accuracy"]["clteave_de"] == pytest.approx(1 / 3, abs=1e-6)
    assert wide["aer"] == {"de": 0.1, "ko": 0.2}
    assert {key: sorted(group) for key, group in wide.items() if key != "seeds"} == {
        "accuracy": ["clteave_de", "de", "en", "image_only", "ko", "majority"],
        "accuracy_unseen": ["de", "en", "ko"],
        "loss": ["de", "en", "ko"],
        "swap_accuracy": [],
        "aer": ["de", "ko"],
    }
    assert wide["seeds"] == "0"
    rows = {row["evaluation"]: row for row in table(reports, "results")}
    assert list(rows) == ["en", "de", "ko", "clteave_de", "image_only", "majority"]  # English, languages, the rest
    for name, row in rows.items():
        assert float(row["accuracy"]) == wide["accuracy"][name]
        gap = 100 * (wide["accuracy"][name] - wide["accuracy"]["en"])
        assert float(row["points_vs_en"]) == pytest.approx(gap, abs=1e-3)
        assert float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"])
    assert rows["clteave_de"]["label"] == "German (CLTEAVE)"
    shares = {row["class"]: row["predicted"] for row in table(reports, "classes") if row["evaluation"] == "clteave_de"}
    assert shares == {"contradiction": "0.0", "neutral": "1.0", "entailment": "0.0"}


def test_the_readme_table(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    text = (reports / "results.md").read_text(encoding="utf-8")
    assert (reports / "tables" / "results.md").read_text(encoding="utf-8").endswith(f"\n\n{text}")  # below its caption
    lines = text.splitlines()
    assert len({len(line) for line in lines[: lines.index("")]}) == 1  # the table; below it are its notes
    assert "Intervals cluster the 72 rows by image (12) and by statement (20)" in text
    assert "Seen: 54 rows of 15 statements; unseen: 18 rows of 5 statements." in text
    assert "Thesis" not in text and "other corpus" not in text
    assert "| German (CLTEAVE)  |" in text
    assert "33.3 %" in text


def test_other_corpora_are_never_judged_and_the_thesis_is(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    assert {row["verdict"] for row in table(reports, "thesis")} == {"other corpus"}
    say_official(tmp_path)
    compare.main(compare_arguments(tmp_path, profile="thesis"))
    verdicts = {(row["evaluation"], row["metric"]): row["verdict"] for row in table(reports, "thesis")}
    assert verdicts["clteave_de", "accuracy"] == "OK"
    assert verdicts["de", "accuracy"] == "off"
    assert verdicts["nl", "accuracy"] == "not run"
    assert verdicts["de", "dev_mse"] == "not run"  # the made curves end at epoch 3
    assert verdicts["test", "rows"] == "OK"
    assert verdicts["mean_of_languages", "accuracy"] == "not run"  # two of five languages


def test_curves_are_read_at_the_epoch_of_the_thesis(tmp_path):
    reports = make(tmp_path)
    curve = reports / "curves" / "clseave-de-seed0.csv"
    curve.write_text(curve.read_text() + "9,0.0135,0.0154,0.0916,0.9,0.001\n")
    say_official(tmp_path)
    compare.main(compare_arguments(tmp_path, profile="thesis"))
    verdicts = {(row["evaluation"], row["metric"]): row["verdict"] for row in table(reports, "thesis")}
    assert [verdicts["de", key] for key in ("train_mse", "dev_mse", "dev_mae")] == ["OK"] * 3


def test_seeds_are_averaged(tmp_path):
    reports = make(tmp_path, seeds=(0, 1))
    compare.main(compare_arguments(tmp_path))
    scores = [json.loads((reports / f"metrics/seed{seed}/ko.json").read_text())["accuracy"] for seed in (0, 1)]
    row = {row["evaluation"]: row for row in table(reports, "results")}["ko"]
    assert float(row["accuracy"]) == pytest.approx(sum(scores) / 2, abs=1e-6)
    assert row["seeds"] == "2" and json.loads((reports / "metrics.json").read_text())["seeds"] == "0, 1"
    assert row["all_seeds"] == "2" and "Mean ± sd of 2 seeds" in (reports / "results.md").read_text(encoding="utf-8")
    assert float(row["seeds_sd"]) == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5, abs=1e-6)


def write_seeds(root, **changes):
    """A table of two seeds: the run's own results, and others of a second seed; `changes` replace values of the own."""
    lines = ["seed,evaluation,rows,accuracy,seen,unseen,swap_accuracy"]
    for name in ("en", "de", "ko"):
        own = json.loads((root / f"reports/mini/metrics/seed0/{name}.json").read_text()) | changes
        lines.append(f"0,{name},72,{own['accuracy']},{own['accuracy_seen']},{own['accuracy_unseen']},")
        lines.append(f"1,{name},72,{own['accuracy'] - 0.1},{own['accuracy_seen']},{own['accuracy_unseen']},")
    (root / "reports/seeds").mkdir(exist_ok=True)
    (root / "reports/seeds/mini.csv").write_text("\n".join(lines) + "\n")


def test_more_seeds_are_read_where_they_are_of_the_same_results(tmp_path, caplog):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    before = {row["evaluation"]: row for row in table(reports, "results")}["de"]
    assert before["seeds_mean"] == "" and not (reports / "tables/seeds.csv").exists()
    write_seeds(tmp_path, accuracy=0.5)
    compare.main(compare_arguments(tmp_path))
    (message,) = caplog.messages
    assert "seeds/mini.csv is left out" in message and "`make seeds`" in message
    assert {row["evaluation"]: row for row in table(reports, "results")}["de"] == before
    write_seeds(tmp_path)
    compare.main(compare_arguments(tmp_path))
    rows = {row["evaluation"]: row for row in table(reports, "results")}
    assert float(rows["de"]["seeds_mean"]) == pytest.approx(float(before["accuracy"]) - 0.05, abs=1e-6)
    assert (rows["de"]["all_seeds"], rows["de"]["accuracy"]) == ("2", before["accuracy"])
    assert float(rows["de"]["accuracy_low"]) < float(before["accuracy_low"])
    assert rows["de"]["low_vs_en"] == before["low_vs_en"]  # each seed loses what English loses
    assert [row["gap_sd"] for row in table(reports, "seeds")] == ["", "0.0", "0.0"]
    assert "Mean ± sd of 2 seeds" in (reports / "results.md").read_text(encoding="utf-8")


def test_who_was_cut_by_its_budget_is_marked(tmp_path):
    reports = make(tmp_path)
    path = reports / "training/clseave-ko-seed0.json"
    epochs = params.load(tmp_path / "params.yaml", SETTINGS / "profiles/mini.yaml", compare.Values).clseave.epochs
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epoch": epochs, "epochs_run": epochs}))
    compare.main(compare_arguments(tmp_path))
    cut = {row["model"]: row["cut"] for row in table(reports, "stopped")}
    assert cut == {"clip_ve": "False", "hypothesis_only": "False", "clseave-de": "False", "clseave-ko": "True"}
    text = (reports / "results.md").read_text(encoding="utf-8")
    assert "| Korean (CLSEAVE) † |" in text and "† Cut by its budget" in text and text.count("†") == 2


def test_minimal_pairs_have_a_table(tmp_path):
    reports = make(tmp_path)
    path = tmp_path / "data/mini/examples/test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for number, row in enumerate(rows):  # the first two rows of every image
        row |= {"statement": row["hypothesis_id"], "pair": row["image_id"] if number % 6 < 2 else None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    compare.main(compare_arguments(tmp_path))
    swap = {row["evaluation"]: row for row in table(reports, "swap")}
    # English misses rows 9, 19, 29 ...; the pairs are rows 6 k and 6 k + 1, of which it misses 19 and 49.
    assert (swap["en"]["pairs"], float(swap["en"]["swap_accuracy"])) == ("12", pytest.approx(10 / 12, abs=1e-6))
    assert float(swap["en"]["row_accuracy"]) == pytest.approx(22 / 24, abs=1e-6)
    assert float(swap["majority"]["swap_accuracy"]) == 0.0
    assert json.loads((reports / "metrics.json").read_text())["swap_accuracy"]["en"] == pytest.approx(10 / 12, abs=1e-6)
    assert "of 12 minimal pairs" in (reports / "results.md").read_text(encoding="utf-8")


def test_a_corpus_without_kinds_or_seen_flags(tmp_path):
    reports = make(tmp_path, known=False)
    compare.main(compare_arguments(tmp_path))
    assert not (reports / "tables" / "kinds.csv").exists()
    assert table(reports, "results")[1]["accuracy_unseen"] == ""
    assert json.loads((reports / "metrics.json").read_text())["accuracy_unseen"] == {}


STALE = [
    *("metrics/seed0/nl.json", "metrics/seed1/en.json", "predictions/seed0/nl.jsonl", "metrics/align/nl.json"),
    *("training/clseave-nl-seed0.json", "curves/clseave-nl-seed0.csv", "curves/clteave-de-seed0.csv"),
    *("metrics/seed0/independent_nl.json", "training/clip_score-seed0.json", "curves/backbones-old.csv"),
]


def compared(root):
    """What `compare` writes: bytes by path."""
    compare.main(compare_arguments(root))
    made = [path for name in ("metrics.json", "results.md", "tables") for path in (root / "reports/mini").rglob(name)]
    files = [file for path in made for file in (path.rglob("*") if path.is_dir() else [path])]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def test_stale_files_change_nothing_and_are_counted_in_one_line(tmp_path, caplog):
    make(tmp_path)
    before = compared(tmp_path)
    assert caplog.messages == [] and len(before) > 20
    for name in STALE:
        path = tmp_path / "reports/mini" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("neither JSON nor a table")
    assert compared(tmp_path) == before
    assert [message.partition(" of ")[0] for message in caplog.messages] == [f"{len(STALE)} files"]


CHANGES = {
    "languages: the first": {"languages": ["de"]},
    "languages: the last": {"languages": ["ko"]},
    "languages: another first": {"languages": ["ko", "de"]},
    "a seed less": {"seeds": [0]},
    "the first seed less": {"seeds": [1]},
    "seeds in another order": {"seeds": [1, 0]},
    "no baseline": {"baselines": [], "evaluations": ["en", "clteave", "image_only"]},
    "one evaluation": {"evaluations": ["en"]},
    "a control less": {"ve_models": ["clip_ve"]},
}
EACH_PUSH = ("languages: another first", "the first seed less", "no baseline", "a control less")


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory):
    """Reports of two seeds, compared; read only."""
    root = tmp_path_factory.mktemp("two-seeds")
    make(root, seeds=(0, 1))
    return root, compared(root)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name, marks=() if name in EACH_PUSH else pytest.mark.full)
        for name, changes in CHANGES.items()
    ],
)
def test_a_smaller_run_depends_on_its_own_files_alone(two_seeds, tmp_path, changes):
    """As `dvc exp run -S` changes the settings: compared in place, and in a folder without all other files."""
    usual, before = two_seeds
    root = tmp_path / "in-place"
    shutil.copytree(usual, root)
    values = json.loads((root / "params.yaml").read_text())
    wanted = changes.get("evaluations", RIGHT)
    changed = changes | {"evaluations": [entry for entry in values["evaluations"] if entry["name"] in wanted]}
    (root / "params.yaml").write_text(json.dumps(values | changed))
    in_place = compared(root)
    assert in_place != before
    settings = params.load(root / "params.yaml", SETTINGS / "profiles/mini.yaml", compare.Values)
    folders = [root / "reports/mini" / name for name in ("metrics", "predictions", "training", "curves")]
    for folder, names in measured.expected_files(*folders, settings).items():
        for file in folder.rglob("*.*"):
            if file.relative_to(folder).as_posix() not in names:
                file.unlink()
    assert compared(root) == in_place


@pytest.mark.parametrize(
    "missing",
    [
        *("metrics/seed0/ko.json", "predictions/seed0/en.jsonl", "training/clseave-de-seed0.json"),
        *("metrics/seed0/independent_ko.json", "training/majority-seed0.json", "curves/majority-seed0.csv"),
    ],
)
def test_a_missing_file_is_named(tmp_path, missing):
    reports = make(tmp_path)
    (reports / missing).unlink()
    with pytest.raises(UserError, match=f"missing, `dvc repro` makes them: .*{missing}"):
        compare.main(compare_arguments(tmp_path))


def test_hidden_files_do_not_count(tmp_path):
    reports = make(tmp_path)
    (reports / "metrics" / ".gitignore").write_text("/x\n")
    compare.main(compare_arguments(tmp_path))


def test_twice_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        make(tmp_path / name)
        compare.main(compare_arguments(tmp_path / name))
    first, second = (
        {
            path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert first == second


def test_every_table_and_figure_of_the_thesis_has_its_files(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    for number in ("1_1", "2_1", "4_1", "a_1", "a_2", "a_3"):
        for ending in ("csv", "md", "tex"):
            assert (reports / "tables" / f"table_{number}.{ending}").stat().st_size > 100
    for name in ("figure_2_1", "figure_3_2", "figure_4_1"):
        assert "thesis" in {row["source"] for row in table(reports, name)} or name == "figure_2_1"


def test_our_values_stand_beside_the_published(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    rows = {row["language"]: row for row in table(reports, "table_4_1")}
    assert list(rows) == ["en", "de", "ko", "nl", "ja", "zh"]  # ours, then those of the thesis alone
    assert (rows["de"]["thesis_loss"], rows["de"]["thesis_accuracy"]) == ("0.6761", "73.19")
    assert float(rows["en"]["accuracy"]) == json.loads((reports / "metrics.json").read_text())["accuracy"]["en"]
    assert rows["nl"]["accuracy"] == ""
    sizes = {row["split"]: row for row in table(reports, "table_2_1")}
    assert (sizes["test"]["ours"], sizes["total"]["ours"], sizes["total"]["snli_ve"]) == ("72", "216", "565286")
    labels = [row for row in table(reports, "figure_2_1") if row["dataset"] == "this run"]
    assert {row["rows"] for row in labels} == {"24"}


def test_errors_are_per_element_and_in_the_unit_of_the_thesis(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    rows = {(row["language"], row["epoch"]): row for row in table(reports, "table_a_2")}
    assert (rows["de", "2"]["ours"], rows["de", "2"]["ours_sum"]) == ("0.01", "0.96")  # times our width of 96
    assert (rows["de", "9"]["thesis_sum"], rows["de", "9"]["thesis"]) == ("7.91", "0.015449")  # by the thesis's 512
    assert rows["de", "9"]["ours"] == "" and rows["nl", "9"]["ours"] == ""
    assert {row["verdict"] for row in rows.values()} == {"other corpus"}
    text = (reports / "tables/table_a_2.md").read_text(encoding="utf-8")
    assert "summed over the elements of a vector (96 or 512)" in text
    assert "| Dutch    | this run | not run |" in text


def test_a_learning_rate_is_not_rounded_away(tmp_path):
    reports = make(tmp_path, seeds=(0, 1))
    compare.main(compare_arguments(tmp_path))
    rows = [row for row in table(reports, "figure_4_1") if row["source"] == "this run"]
    assert {row["learning_rate"] for row in rows} == {"1.5e-07"}


def test_on_the_corpus_of_the_thesis_every_epoch_is_judged(tmp_path):
    reports = make(tmp_path)
    curve = reports / "curves" / "clseave-de-seed0.csv"
    curve.write_text(curve.read_text() + "8,0.0135,0.0167,0.0916,0.9,0.001\n9,0.0135,0.0154,0.12,0.9,0.001\n")
    say_official(tmp_path)
    compare.main(compare_arguments(tmp_path, profile="thesis"))
    mse, mae = (
        {(row["language"], row["epoch"]): row["verdict"] for row in table(reports, name)}
        for name in ("table_a_2", "table_a_3")
    )
    assert (mse["de", "8"], mse["de", "9"], mse["de", "1"], mse["nl", "9"]) == ("OK", "OK", "off", "not run")
    assert (mae["de", "8"], mae["de", "9"]) == ("OK", "off")


def test_a_collapse_is_flagged(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    rows = {row["evaluation"]: row for row in table(reports, "results")}
    assert rows["clteave_de"]["constant"] == "neutral"
    assert rows["en"]["constant"] == ""
    assert "yes: neutral" in (reports / "tables/quality.md").read_text(encoding="utf-8")


def test_statistics_are_of_the_same_rows(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    pairs = {(row["evaluation"], row["other"]): row for row in table(reports, "significance")}
    assert set(pairs) == {("en", "de"), ("en", "ko"), ("de", "ko")}
    # German is wrong wherever English is, and on every tenth row more: 72 rows hold 7 such.
    assert (pairs["en", "de"]["b"], pairs["en", "de"]["c"]) == ("7", "0")
    assert float(pairs["en", "de"]["mcnemar_p"]) == pytest.approx(2 * 0.5**7, abs=1e-6)
    gaps = {row["evaluation"]: row for row in table(reports, "against_english") if row["rows_set"] == "all"}
    for end, other in (("low", "high"), ("high", "low")):  # the same difference, from the other side
        assert float(gaps["de"][end]) == pytest.approx(-float(pairs["en", "de"][other]), abs=2e-6)
    assert {row["slice"] for row in table(reports, "slices")} >= {"all", "negation", "counting"}
    same = {row["evaluation"]: float(row["same"]) for row in table(reports, "consistency")}
    assert same["de"] == pytest.approx(65 / 72, abs=1e-6)
    assert sum(int(row["rows"]) for row in table(reports, "reliability") if row["evaluation"] == "ko") == 72


def test_independent_translations_stand_beside_the_pipeline_s_own(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    rows = {row["evaluation"]: row for row in table(reports, "independent")}
    assert list(rows) == ["independent_en", "independent_de"]  # Korean was not run
    assert {(row["rows"], row["images"], row["rows_shared"]) for row in rows.values()} == {("18", "3", "18")}
    # Of 18 rows English misses 9; German misses 8, 9, 18 in the test set, here 7, 8, 9, 17.
    assert float(rows["independent_en"]["points"]) == 0.0
    assert float(rows["independent_en"]["accuracy"]) == pytest.approx(17 / 18, abs=1e-6)
    assert float(rows["independent_de"]["accuracy"]) == pytest.approx(14 / 18, abs=1e-6)
    assert float(rows["independent_de"]["points"]) == pytest.approx(100 * (14 - 16) / 18, abs=1e-4)
    for name in ("results", "classes", "confusion", "kinds", "slices", "reliability"):
        assert not any(row["evaluation"].startswith("independent") for row in table(reports, name)), name
    text = (reports / "tables/independent.md").read_text(encoding="utf-8")
    assert "Rows that the test set has" not in text  # all of them: a column that repeats Rows
    assert "| German (CLSEAVE)" in text
    wide = json.loads((reports / "metrics.json").read_text())["accuracy"]
    assert not any(name.startswith("independent") for name in wide)


def test_a_run_without_independent_translations_has_no_such_table(tmp_path):
    reports = make(tmp_path)
    (tmp_path / "data/mini/independent/examples.jsonl").write_text("")
    for path in reports.rglob("independent_*"):
        content = json.loads(path.read_text()) | {"rows": 0} if path.suffix == ".json" else None
        path.write_text("" if content is None else json.dumps(content))
    compare.main(compare_arguments(tmp_path))
    assert not list((reports / "tables").glob("independent*"))
    assert len(table(reports, "results")) == 6


def test_two_languages_are_too_few_for_a_fit(tmp_path):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path))
    assert not (reports / "tables" / "fits.csv").exists()


@pytest.mark.parametrize("fault", ["gone", "column"])
def test_a_broken_published_table_is_named(tmp_path, fault):
    make(tmp_path)
    folder = tmp_path / "published"
    shutil.copytree(REPO / "reports/published", folder)
    path = folder / "table_4_1.csv"
    if fault == "gone":
        path.unlink()
    else:
        path.write_text("language,loss\nen,1\n")
    arguments = compare_arguments(tmp_path)
    arguments[arguments.index("--published") + 1] = str(folder)
    expected = "does not exist: it holds values" if fault == "gone" else "no column 'accuracy'"
    with pytest.raises(UserError, match=f"table_4_1.csv.*{expected}"):
        compare.main(arguments)
