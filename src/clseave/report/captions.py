"""Captions of figures, and reasons for missing figures, that depend on the run."""

from collections.abc import Callable

from clseave.comparison.thesis_values import OURS, THESIS
from clseave.foundation.settings.schema import HubBackbones
from clseave.report.narrative import Run, languages, listed, number
from clseave.report.result_figures import WORD_LEVEL
from clseave.report.tables.result_tables import whole
from clseave.statistics.slices import LONG, SHORT

NOTHING = "This run has nothing to show here."


def balance(run: Run) -> str:
    """Return the caption of Figure 2.1, with the balance of labels in this run."""
    frame = run.table("figure_2_1")
    splits = frame[frame["dataset"] == OURS].groupby("split", sort=False)["rows"]
    most = listed([f"{100 * rows.max() / max(1, rows.sum()):.1f} % of {split}" for split, rows in splits])
    return (
        f"Figure 2.1 of the thesis: rows by label. In this run the most frequent label has {most}; a guess at random "
        f"is right on one third. The thesis draws its bars without numbers: SNLI's are those of its caption (“about”), "
        f"SNLI-VE's those of its authors' repository."
    )


def rate(run: Run) -> str:
    """Return the caption of Figure 4.1 (a), with whether all students share the learning rate."""
    frame = run.table("figure_4_1").dropna(subset=["learning_rate"])
    same = frame.groupby("epoch")["learning_rate"].nunique().max() == 1
    return (
        f"Figure 4.1 (a): the learning rate{', the same for every language of this run' if same else ''}. The thesis "
        f"prints no numbers of it: linear, with warm-up, over 22 epochs of which it ran 9."
    )


def validation(part: str, error: str, column: str, table: str) -> Callable[[Run], str]:
    """Return the caption of Figure 4.1 (c) or (d), with the languages for which the thesis has a curve."""

    def caption(run: Run) -> str:
        if run.own():
            return f"Validation {error} of each student by epoch."
        frame = run.table("figure_4_1").dropna(subset=["language", column])
        ours, thesis = (set(frame.loc[frame["source"] == source, "language"]) for source in (OURS, THESIS))
        both = [code for code in run.values.languages if code in ours & thesis]
        dashed = f"Dashed: {table} divided by 512, for {languages(both)}." if both else "The thesis has none of these."
        return f"Figure 4.1 ({part}): validation {error}. {dashed}"

    return caption


def steps(run: Run) -> str:
    """Return the caption of the backbones' curves, with the number of steps per point."""
    gaps = run.table("backbones").groupby("backbone")["step"].apply(lambda step: step.diff().fillna(step)).unique()
    return f"Pre-training of the two backbones; each point is the mean of {listed([whole(gap) for gap in gaps])} steps."


def answers(run: Run) -> str:
    """Return the caption of the predicted classes: the models shown, and how to read the figure."""
    names = set(run.table("classes")["evaluation"])
    assemblies = number(sum(name.startswith(WORD_LEVEL) for name in names), "evaluated assembly")
    return (
        f"What English CLIP-VE and {assemblies.replace('assemblys', 'assemblies')} of CLTEAVE answer, beside the gold "
        f"labels. Guessing gives three equal bars, a collapse one; anything between is a vector that the head cannot "
        f"read, judged by what the head happens to prefer."
    )


def slices(run: Run) -> str:
    """Return the caption of the slices, with their definitions."""
    return (
        f"Accuracy on sentences that negate, that hold a number word, and by length in words (short: at most {SHORT}, "
        f"long: at least {LONG})."
    )


def no_seen(run: Run) -> str:
    """Return why there is no figure of seen and unseen sentences."""
    frame = run.table("results")
    if frame.empty:
        return NOTHING
    row = frame.iloc[0]
    if not row["rows_seen"] and not row["rows_unseen"]:
        return "Which sentences were seen is not known for this corpus."
    which = "not seen" if row["rows_unseen"] else "seen"
    return f"Nothing to set side by side: the sentences of all {whole(row['rows'])} test rows were {which} in training."


def no_alignment(run: Run) -> str:
    """Return why there is no error rate of word alignment."""
    return "The true word pairs of this corpus are not known: no error rate."


def no_backbones(run: Run) -> str:
    """Return why there is no curve of pre-training."""
    downloaded = isinstance(run.values.backbones, HubBackbones)
    return "The backbones of this profile are downloaded, not trained here." if downloaded else NOTHING


def no_fits(run: Run) -> str:
    """Return why accuracy is not regressed on any distance."""
    known = run.table("table_1_1")
    known = known[known["language"].isin(run.values.languages)].dropna(subset=["recomputed"])
    counted = number(known["language"].nunique(), "language")
    return f"No fit: it takes three languages with a known distance and different accuracies; this run has {counted}."


CAPTIONS: dict[str, Callable[[Run], str]] = {
    "figure_2_1": balance,
    "figure_4_1a": rate,
    "figure_4_1c": validation("c", "MSE", "dev_mse", "Table A.2"),
    "figure_4_1d": validation("d", "MAE", "dev_mae", "Table A.3"),
    "backbones": steps,
    "predicted_classes": answers,
    "slices": slices,
}
REASONS: dict[str, Callable[[Run], str]] = {
    "seen_unseen": no_seen,
    "kinds": lambda run: "This corpus has no kinds of statement.",
    "predicted_classes": lambda run: "No CLTEAVE model was evaluated in this run.",
    "alignment": no_alignment,
    "backbones": no_backbones,
    "fits": no_fits,
}


def reason(figure: str, run: Run) -> str:
    """Return why a figure is missing."""
    return REASONS[figure](run) if figure in REASONS else NOTHING
