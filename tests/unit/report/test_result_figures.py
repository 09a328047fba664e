"""Figures: what they show, and that they look the same everywhere."""

import io
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from drawn_texts import outside, overlapping

from clseave.report import result_figures, statistics_figures, study_figures, style, thesis_figures

RESULTS = pd.DataFrame(
    [
        {
            "evaluation": name,
            "label": label,
            "rows": 900,
            "images": 100,
            "accuracy": value,
            "accuracy_low": value - 0.02,
            "accuracy_high": value + 0.02,
            "accuracy_seen": value,
            "accuracy_unseen": unseen,
            "rows_seen": 450,
            "rows_unseen": 450,
        }
        for name, label, value, unseen in (
            ("en", "English (CLIP-VE)", 0.9, 0.9),
            ("de", "German (CLSEAVE)", 0.85, 0.8),
            ("image_only", "image only", 0.33, None),
        )
    ]
)
KINDS = pd.DataFrame(
    [
        {"label": label, "kind": kind, "accuracy": 0.5, "rows": 150}
        for label in ("English", "German")
        for kind in ("count", "exists_in_half")
    ]
)
CLASSES = pd.DataFrame(
    [
        {"evaluation": name, "label": name, "class": label, "rows": 900, "gold": 1 / 3, "predicted": share}
        for name, shares in (("en", (0.3, 0.3, 0.4)), ("clteave_de", (0.0, 1.0, 0.0)))
        for label, share in zip(("contradiction", "neutral", "entailment"), shares, strict=True)
    ]
)
ALIGNMENT = pd.DataFrame([{"language": "de", "aer": 0.1, "aer_diagonal": 0.4, "sentences": 1400}])
LABELS = pd.DataFrame(
    [
        {"dataset": dataset, "split": split, "label": label, "rows": rows}
        for dataset, rows in (("this run", 900), ("SNLI-VE", 176045))
        for split in ("train", "test")
        for label in ("contradiction", "neutral", "entailment")
    ]
)
CLIP_VE = pd.DataFrame(
    {
        "source": ["this run"] * 3 + ["thesis"],
        "epoch": [1, 2, 3, 6],
        "train_loss": [1.0, 0.8, 0.7, 0.5511],
        "dev_loss": [1.0, 0.9, 0.95, 0.663],
        "train_accuracy": [0.4, 0.5, 0.6, 0.7792],
        "dev_accuracy": [0.4, 0.5, 0.5, 0.7289],
        "rows": [450] * 4,
    }
)
EMPTY = {"learning_rate": None, "train_mse": None, "dev_mae": None, "train_mse_low": None, "train_mse_high": None}
STUDENTS = pd.DataFrame(
    [
        {"source": "this run", "language": code, "epoch": epoch, "dev_mse": 0.02 / epoch}
        | EMPTY
        | {"learning_rate": 1e-6, "train_mse": 0.01, "dev_mae": 0.1}
        for code in ("de", "ko")
        for epoch in (1, 2)
    ]
    + [{"source": "thesis", "language": "de", "epoch": 9, "dev_mse": 0.0154} | EMPTY | {"dev_mae": 0.09}]
    + [
        {"source": "thesis", "language": None, "epoch": 9, "dev_mse": None}
        | EMPTY
        | {"train_mse_low": 0.013, "train_mse_high": 0.014}
    ]
)
COUNTS = pd.DataFrame({"split": ["train", "dev"], "hypotheses": [2000, 700]})
STEPS = pd.DataFrame({"backbone": ["clip", "clip", "mbert", "mbert"], "step": [100, 200] * 2, "loss": [4.0, 2.0] * 2})
PAIRS = pd.DataFrame(
    [
        {"label": "German (CLSEAVE)", "other_label": "Dutch (CLSEAVE)", "points": points, "low": points - 1,
         "high": points + 1, "p_holm": p, "significant": p < 0.05 and points > 1, "rows": 900}
        for points, p in ((2.0, 0.001), (2.0, 0.2), (0.5, 0.001))
    ]
)  # fmt: skip
BINS = pd.DataFrame(
    [
        {"label": "German", "low": low, "rows": rows, "confidence": share, "accuracy": share}
        for low, rows, share in ((0.2, 0, None), (0.4, 10, 0.45), (0.9, 90, 0.97))
    ]
)
SLICES = pd.DataFrame(
    [
        {"label": label, "slice": name, "accuracy": 0.5, "rows": 150}
        for label, name in (("English", "all"), ("English", "negation"), ("German", "all"))
    ]
)
SAME = pd.DataFrame(
    [
        {
            "label": "German",
            "rows": 900,
            **{f"same{part}{end}": 0.8 for part in ("", "_right") for end in ("", "_low", "_high")},
        }
    ]
)
SWAPS = pd.DataFrame(
    [
        {"evaluation": code, "label": label, "pairs": 40, "swap_accuracy": 0.5, "swap_low": 0.4, "swap_high": 0.6}
        | {"row_accuracy": 0.75}
        for code, label in (("en", "English (CLIP-VE)"), ("de", "German (CLSEAVE)"), ("majority", "majority"))
    ]
)
SYSTEMS = pd.DataFrame(
    [
        {"title": title, "judged": way, "language": language, "rows": 60, "accuracy": 0.5, "low": 0.4, "high": 0.6}
        for title, way in (("words", "direct"), ("words", "projected"), ("pairs", "direct"), ("CLSEAVE", "direct"))
        for language in ("all", "de")
    ]
)
NEED = pd.DataFrame(
    [
        {"title": title, "judged": "own", "language": language, "share": share, "accuracy": accuracy}
        for title, share, accuracy, languages in (
            ("mBERT", 100, 0.8, ("all", "de", "nl")),
            ("mBERT, 10 % of the pairs", 10, 0.4, ("all", "de")),
            ("e5-small", 100, 0.9, ("all", "de", "nl")),
            ("e5-small, 10 % of the pairs", 10, 0.7, ("all", "de")),
            ("e5-small, German only", 100, 0.5, ("all", "nl")),
            ("random", 100, 0.6, ("all", "de")),
        )
        for language in languages
    ]
)
FITS = pd.DataFrame(
    [
        {"distance": "syntactic", "maker": maker, "r": -0.9, "r_low": -1.0, "r_high": 0.2, "points": 5}
        for maker in ("published", "recomputed")
    ]
)

DRAW = {
    "accuracy": lambda: result_figures.accuracy(RESULTS),
    "seen_unseen": lambda: result_figures.seen_unseen(RESULTS),
    "kinds": lambda: result_figures.kinds(KINDS),
    "predicted_classes": lambda: result_figures.predicted_classes(CLASSES),
    "alignment": lambda: result_figures.alignment(ALIGNMENT),
    "figure_2_1": lambda: thesis_figures.figure_2_1(LABELS),
    "figure_3_2": lambda: thesis_figures.figure_3_2(CLIP_VE),
    "figure_4_1a": lambda: thesis_figures.figure_4_1a(STUDENTS),
    "figure_4_1b": lambda: thesis_figures.figure_4_1b(STUDENTS),
    "figure_4_1c": lambda: thesis_figures.figure_4_1c(STUDENTS, COUNTS),
    "figure_4_1d": lambda: thesis_figures.figure_4_1d(STUDENTS, COUNTS),
    "backbones": lambda: thesis_figures.backbones(STEPS),
    "significance": lambda: statistics_figures.significance(PAIRS),
    "reliability": lambda: statistics_figures.reliability(BINS),
    "swap": lambda: statistics_figures.swap(SWAPS),
    "study": lambda: study_figures.systems(SYSTEMS),
    "need": lambda: study_figures.data_need(NEED),
    "slices": lambda: statistics_figures.slices(SLICES),
    "consistency": lambda: statistics_figures.consistency(SAME),
    "fits": lambda: statistics_figures.fits(FITS),
}


def words(figure):
    """All text of a figure."""
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def svg(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=style.METADATA)
    return buffer.getvalue()


@pytest.mark.parametrize("name", DRAW)
def test_every_figure_has_titles_and_labels(name):
    figure = DRAW[name]()
    assert any(axes.get_title(loc="left") for axes in figure.axes)
    assert any(
        axes.get_xlabel() or axes.get_ylabel() or "percent" in axes.get_title(loc="left") for axes in figure.axes
    )


@pytest.mark.parametrize(
    "name",
    [
        *("accuracy", "seen_unseen", "kinds", "predicted_classes", "alignment", "figure_3_2", "figure_4_1c"),
        *("figure_4_1d", "slices", "consistency", "fits"),
    ],
)
def test_every_measurement_says_how_many_rows_it_has(name):
    assert "n = " in words(DRAW[name]()) or "rows)" in words(DRAW[name]())


@pytest.mark.parametrize("name", DRAW)
def test_figures_do_not_depend_on_the_users_settings(name):
    before = svg(DRAW[name]())
    mpl.rcParams.update({"font.family": "serif", "axes.titlesize": 30, "svg.hashsalt": None, "lines.linewidth": 9})
    assert svg(DRAW[name]()) == before
    assert b"<dc:date>" not in before


def test_the_font_is_the_one_that_matplotlib_brings():
    style.pin()
    found = Path(mpl.font_manager.findfont("DejaVu Sans")).resolve()
    assert found.is_relative_to(Path(mpl.get_data_path()).resolve())


def test_accuracy_draws_english_and_chance_as_lines():
    axes = result_figures.accuracy(RESULTS).axes[0]
    ends = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    lines = [left for left, right in ends if left == right]
    assert lines == pytest.approx([100 / 3, 90.0])


def test_rows_without_a_seen_score_are_left_out():
    assert [label.get_text() for label in result_figures.seen_unseen(RESULTS).axes[0].get_yticklabels()] == [
        "English",
        "German",
    ]


def test_the_lowest_validation_loss_of_ours_is_marked_and_the_thesis_starred():
    axes = DRAW["figure_3_2"]().axes
    assert any(set(line.get_xdata()) == {2} for line in axes[0].lines)
    stars = [list(map(tuple, points.get_offsets())) for panel in axes for points in panel.collections]
    assert stars == [[(6, 0.5511)], [(6, 0.663)], [(6, pytest.approx(77.92))], [(6, pytest.approx(72.89))]]


def test_bars_of_figure_2_1_are_thousands():
    heights = [bar.get_height() for bar in DRAW["figure_2_1"]().axes[0].patches]
    assert heights == pytest.approx([0.9] * 3 + [176.045] * 3)


def test_curves_of_figure_4_1_are_ours_and_the_thesis_dashed_in_the_same_colour():
    lines = [line for line in DRAW["figure_4_1c"]().axes[0].lines if len(line.get_xdata())]
    (de, thesis, ko) = lines
    assert (list(de.get_ydata()), list(ko.get_ydata()), list(thesis.get_ydata())) == (
        [0.02, 0.01],
        [0.02, 0.01],
        [0.0154],
    )
    assert de.get_color() == thesis.get_color() != ko.get_color()
    assert de.get_linestyle() == "-" != thesis.get_linestyle()
    assert DRAW["figure_4_1c"]().axes[0].get_yscale() == DRAW["figure_4_1d"]().axes[0].get_yscale() == "log"
    (band,) = DRAW["figure_4_1b"]().axes[0].patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.013, 0.014))
    assert "(a) Learning rate, German" in words(DRAW["figure_4_1a"]())


def test_more_languages_than_marks_can_be_drawn():
    many = pd.concat([STUDENTS[:2].assign(language=f"x{number}") for number in range(12)])
    assert len([line for line in thesis_figures.figure_4_1b(many).axes[0].lines if len(line.get_xdata())]) == 12


def test_only_what_the_table_calls_apart_is_filled():
    fills = [line.get_markerfacecolor() for line in DRAW["significance"]().axes[0].lines if line.get_marker() == "o"]
    assert fills == [style.BLUE, "white", "white"]


def test_intervals_of_both_parts_are_drawn_where_they_are_known():
    known = {f"accuracy_{part}_{end}": RESULTS[f"accuracy_{part}"] + shift
             for part in ("seen", "unseen") for end, shift in (("low", -0.25), ("high", 0.05))}  # fmt: skip
    axes = result_figures.seen_unseen(RESULTS.assign(**known)).axes[0]
    drawn = [[[round(x, 6) for x in line[:, 0]] for line in part.get_segments()] for part in axes.collections
             if hasattr(part, "get_segments")]  # fmt: skip
    assert drawn[1:] == [[[65.0, 95.0], [60.0, 90.0]], [[65.0, 95.0], [55.0, 85.0]]]
    assert axes.get_xlim() == pytest.approx((53.0, 97.0))
    assert len(result_figures.seen_unseen(RESULTS).axes[0].collections) == 3  # no interval known: marks and a line


def test_swap_accuracy_is_drawn_for_english_languages_and_the_two_that_cannot_know():
    axes = DRAW["swap"]().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["English", "German"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[50.0, 50.0], [75.0, 75.0]]


def test_a_study_has_a_mark_for_each_way_of_judging_and_a_line_for_the_main_pipeline():
    axes = DRAW["study"]().axes[0]
    marks = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [list(line.get_xdata()) for line in marks] == [[50.0, 50.0], [50.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["words", "pairs"]
    assert "CLSEAVE" in words(axes.figure)


def test_an_empty_bin_is_not_drawn():
    (points,) = DRAW["reliability"]().axes[0].collections
    assert points.get_offsets().tolist() == [[45.0, 45.0], [97.0, 97.0]]


def test_data_need_has_a_line_for_each_model_with_several_shares_over_their_shared_languages():
    (axes,) = DRAW["need"]().axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines[:-1]}
    assert lines == {"mBERT": [[10, 40], [100, 80]], "e5-small": [[10, 70], [100, 90]]}
    assert axes.get_xscale() == "log"


def test_a_slice_that_an_evaluation_lacks_stays_empty():
    assert [text.get_text() for text in DRAW["slices"]().axes[0].texts] == ["50", "50", "50"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: result_figures.accuracy(RESULTS.iloc[:0]),
        lambda: result_figures.seen_unseen(RESULTS.assign(accuracy_unseen=None)),
        lambda: result_figures.alignment(ALIGNMENT.assign(aer=None)),
        lambda: result_figures.predicted_classes(CLASSES[CLASSES["evaluation"] == "en"]),
        lambda: thesis_figures.figure_4_1b(STUDENTS.assign(train_mse=None)),
    ],
)
def test_nothing_to_draw_is_its_own_error(draw):
    with pytest.raises(style.NothingToDrawError, match="nothing to draw: no row"):
        draw()


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="nothing to draw: no column accuracy_low"):
        result_figures.accuracy(RESULTS.drop(columns="accuracy_low"))


@pytest.mark.parametrize("name", DRAW)
def test_no_text_is_printed_over_another_or_cut_off(name):
    figure = DRAW[name]()
    assert (overlapping(figure), outside(figure)) == ([], [])


@pytest.mark.parametrize("english", [0.2, 1 / 3, 0.35, 0.5, 1.0])
def test_english_near_chance_keeps_both_names_legible(english):
    near = RESULTS.assign(accuracy=english, accuracy_low=english, accuracy_high=english)
    assert overlapping(result_figures.accuracy(near)) == []


def test_many_languages_and_many_rows_keep_their_names_legible():
    many = pd.concat([ALIGNMENT.assign(language=code) for code in ("de", "nl", "ja", "ko", "zh", "ar", "es", "ru")])
    kinds = pd.concat([KINDS.assign(kind=kind, rows=1_234_567) for kind in "abcdef"]).drop_duplicates(["label", "kind"])
    labels = LABELS.assign(rows=1_234_567)
    for figure in (result_figures.alignment(many), result_figures.kinds(kinds), thesis_figures.figure_2_1(labels)):
        assert overlapping(figure) == []


def test_curves_of_languages_that_were_not_run_are_not_drawn():
    only = STUDENTS[(STUDENTS["language"] == "ko") | (STUDENTS["source"] == "thesis")]
    figure = thesis_figures.figure_4_1c(only, COUNTS)
    assert len([line for line in figure.axes[0].lines if len(line.get_xdata())]) == 1
    assert "thesis" not in words(figure)


def test_a_heat_map_of_few_kinds_is_as_narrow_as_a_figure_beside_another():
    kinds = pd.concat([KINDS.assign(kind=kind) for kind in "abcdef"]).drop_duplicates(["label", "kind"])
    assert [result_figures.kinds(table).get_figwidth() for table in (KINDS, kinds)] == [style.HALF, style.WIDTH + 0.4]


def test_long_titles_of_variants_stand_apart():
    titles = ("word and terminal pairs, linear, targets after the projection, and more of it", "word pairs, ReLU")
    many = pd.concat([SYSTEMS.replace("words", f"{title} {number}") for title in titles for number in range(2)])
    assert overlapping(study_figures.systems(many)) == []


def test_gold_labels_are_bars_and_strike_through_no_number():
    axes = DRAW["predicted_classes"]().axes[0]
    assert "gold labels" in words(axes.figure) and not axes.collections
