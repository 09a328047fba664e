"""Figures: what they show, and that they look and weigh the same everywhere."""

import io

import matplotlib as mpl
import pandas as pd
import pytest

from clseave import figures

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
ALIGNMENT = pd.DataFrame([{"label": "German", "aer": 0.1, "aer_diagonal": 0.4, "sentences": 1400}])
CLIP_VE = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [1.0, 0.8, 0.7],
        "dev_loss": [1.0, 0.9, 0.95],
        "train_accuracy": [0.4, 0.5, 0.6],
        "dev_accuracy": [0.4, 0.5, 0.5],
    }
)
STUDENT = pd.DataFrame({"epoch": [1, 2], "dev_mse": [0.02, 0.004]})
BACKBONE = pd.DataFrame({"step": [100, 200], "loss": [4.0, 2.0]})

DRAW = {
    "accuracy": lambda: figures.accuracy(RESULTS),
    "seen_unseen": lambda: figures.seen_unseen(RESULTS),
    "kinds": lambda: figures.kinds(KINDS),
    "clip_ve_curves": lambda: figures.clip_ve_curves(CLIP_VE, 450),
    "student_curves": lambda: figures.student_curves({"German": STUDENT, "Dutch": STUDENT}, 700),
    "predicted_classes": lambda: figures.predicted_classes(CLASSES, ["en", "clteave_de"]),
    "alignment": lambda: figures.alignment(ALIGNMENT),
    "backbone_curves": lambda: figures.backbone_curves(BACKBONE, BACKBONE),
}


def words(figure):
    """All text of a figure."""
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def svg(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=figures.METADATA)
    return buffer.getvalue()


@pytest.mark.parametrize("name", DRAW)
def test_every_figure_has_titles_and_labels(name):
    figure = DRAW[name]()
    assert any(axes.get_title(loc="left") for axes in figure.axes)
    assert any(
        axes.get_xlabel() or axes.get_ylabel() or "percent" in axes.get_title(loc="left") for axes in figure.axes
    )


@pytest.mark.parametrize(
    "name", ["accuracy", "seen_unseen", "kinds", "clip_ve_curves", "student_curves", "predicted_classes", "alignment"]
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
    figures.pin()
    assert mpl.font_manager.findfont("DejaVu Sans").startswith(mpl.get_data_path())


def test_accuracy_draws_english_and_chance_as_lines():
    axes = figures.accuracy(RESULTS).axes[0]
    ends = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    lines = [left for left, right in ends if left == right]
    assert lines == pytest.approx([100 / 3, 90.0])


def test_rows_without_a_seen_score_are_left_out():
    assert [label.get_text() for label in figures.seen_unseen(RESULTS).axes[0].get_yticklabels()] == [
        "English (CLIP-VE)",
        "German (CLSEAVE)",
    ]


def test_the_lowest_validation_loss_is_marked():
    assert any(set(line.get_xdata()) == {2} for line in DRAW["clip_ve_curves"]().axes[0].lines)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.accuracy(RESULTS.iloc[:0]), "no row"),
        (lambda: figures.accuracy(RESULTS.drop(columns="accuracy_low")), "no column accuracy_low"),
        (lambda: figures.seen_unseen(RESULTS.assign(accuracy_unseen=None)), "no row"),
        (lambda: figures.student_curves({}, 1), "no student"),
    ],
)
def test_nothing_to_draw_is_an_error(draw, message):
    with pytest.raises(ValueError, match=f"nothing to draw: {message}"):
        draw()
