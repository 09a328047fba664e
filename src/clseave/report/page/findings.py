"""The question of the page and its findings: sentences from the tables, each with its interval or test."""

from collections.abc import Callable, Sequence

import pandas as pd

from clseave.comparison.verdicts import ENGLISH
from clseave.report.narrative import NUMBERS, Run, languages, listed
from clseave.report.tables.result_tables import language_name, signed, whole

MOST = 5
PRACTICE = {"translate_train": "translate-train", "translate_test": "translate-test", "zero_shot": "zero-shot"}
WORD_LEVEL = "clteave"


def _row(run: Run, name: str) -> pd.Series | None:
    """Return the results of one evaluation; None where the run has none."""
    frame = run.table("results")
    rows = frame[frame["evaluation"] == name] if len(frame) else frame
    return rows.iloc[0] if len(rows) and pd.notna(rows.iloc[0]["accuracy"]) else None


def _share(row: pd.Series) -> str:
    """Return an accuracy in percent, with its interval if it has one."""
    text = f"{100 * row['accuracy']:.1f} %"
    if pd.isna(row["accuracy_low"]) or row["accuracy_low"] == row["accuracy_high"]:
        return text
    return f"{text} ({100 * row['accuracy_low']:.1f} to {100 * row['accuracy_high']:.1f})"


def question(run: Run) -> str:
    """Return the question."""
    made = "a generated corpus, whose truth is known" if run.generated() else "a corpus of photos and sentences"
    targets = languages(run.values.languages)
    return (
        f"Can a model that judges sentences about images in English do so in {targets}, without a single label in "
        f"{'that language' if len(run.values.languages) == 1 else 'those languages'}? CLIP-VE, the teacher, is trained "
        f"with labels in English. For each language CLSEAVE trains one student to give a translation the vector that "
        f"the teacher gives the English sentence. This run answers on {made}."
    )


def transfer(run: Run) -> str:
    """Return the accuracies of English and the target languages."""
    english = _row(run, ENGLISH)
    by_language = {code: row for code in run.values.languages if (row := _row(run, code)) is not None}
    if english is None or not by_language:
        return ""
    each = listed([f"{language_name(code)} on {_share(row)}" for code, row in by_language.items()])
    rows = whole(english["rows"])
    return (
        f"**Transfer.** English is right on {_share(english)} of {rows} test rows, {each}; in brackets 95 % intervals."
    )


def differences(run: Run) -> str:
    """Return which languages differ significantly from English."""
    frame = run.table("significance")
    if frame.empty:
        return ""
    pairs = frame[(frame["evaluation"] == ENGLISH) & frame["other"].isin(run.values.languages)].to_dict("records")
    if not pairs:
        return ""

    each = [(str(row["other"]), -row["points"], -row["high"], -row["low"]) for row in pairs]
    separate = [str(row["other"]) for row in pairs if row["significant"]]
    return (
        f"**Differences.** On the same rows, {_differences(each)}. {_verdict(separate)}, by a test that clusters "
        f"rows by image and statement and is corrected for the number of comparisons (Holm); the intervals are not."
    )


def _differences(each: Sequence[tuple[str, float, float, float]]) -> str:
    """Return each language's difference to English in points, with the interval."""
    parts: list[str] = []
    for code, *numbers in each:
        points, low, high = map(signed, numbers)
        by = f"by {points}" if parts else f"differs from English by {points} points"
        parts.append(f"{language_name(code)} {by} ({low} to {high})")
    return listed(parts)


def _verdict(separate: Sequence[str]) -> str:
    """Return which languages differ significantly from English, as a sentence."""
    if not separate:
        return "No language differs significantly from English"
    return f"{languages(separate)} {'differs' if len(separate) == 1 else 'differ'} significantly from English"


def unseen(run: Run) -> str:
    """Return the accuracy on unseen sentences, and which languages differ significantly from English on them."""
    frame, english = run.table("against_english"), _row(run, ENGLISH)
    if english is None or not english.get("rows_unseen") or frame.empty:
        return ""
    chosen = (frame["rows_set"] == "unseen") & frame["evaluation"].isin(run.values.languages)
    rows = frame[chosen].to_dict("records")
    if not rows:
        return ""
    each = [(row["evaluation"], row["points"], row["low"], row["high"]) for row in rows]
    separate = [row["evaluation"] for row in rows if row["significant"]]
    return (
        f"**New sentences.** On the {whole(english['rows_unseen'])} test rows whose sentence is not in the training "
        f"data, English is right on {100 * english['accuracy_unseen']:.1f} %; {_differences(each)}. "
        f"{_verdict(separate)}, by the same test."
    )


def hard(run: Run) -> str:
    """Return the kinds of statement with English's lowest and highest accuracy, and its accuracy on minimal pairs."""
    frame = run.table("kinds")
    frame = frame[frame["evaluation"] == ENGLISH] if len(frame) else frame
    parts = []
    if len(frame) > 1:
        worst, best = (frame.loc[frame["accuracy"].agg(pick)] for pick in ("idxmin", "idxmax"))
        said = [
            f"*{str(row['kind']).replace('_', ' ')}* ({100 * row['accuracy']:.1f} % of {whole(row['rows'])} rows)"
            for row in (worst, best)
        ]
        parts.append(
            f"Of the kinds of statement, English is right least often on {said[0]} and most often on {said[1]}; no "
            f"test compares them."
        )
    swaps = run.table("swap")
    for row in swaps[swaps["evaluation"] == ENGLISH].to_dict("records") if len(swaps) else []:
        ends = f"{100 * row['swap_low']:.1f} to {100 * row['swap_high']:.1f}"
        parts.append(
            f"Of {whole(row['pairs'])} minimal pairs, two sentences with the same words in another order, English has "
            f"both right in {100 * row['swap_accuracy']:.1f} % ({ends})."
        )
    return f"**What is hard.** {' '.join(parts)}" if parts else ""


def word_level(run: Run) -> str:
    """Return the accuracy of word-level transfer beside the control without images."""
    models = [row for name in run.evaluations() if name.startswith(WORD_LEVEL) and (row := _row(run, name)) is not None]
    if not models:
        return ""
    best = max(models, key=lambda row: row["accuracy"])
    control = _row(run, "hypothesis_only")
    beside = ""
    if control is not None:
        clear = best["accuracy_high"] < control["accuracy_low"] or control["accuracy_high"] < best["accuracy_low"]
        side = "below" if best["accuracy"] < control["accuracy"] else "not below"
        beside = f", {side} the {_share(control)} of a model that sees no image; the 95 % intervals " + (
            "do not overlap" if clear else "overlap"
        )
    best_of = f"The best of {NUMBERS[len(models)]} assemblies of CLTEAVE" if len(models) > 1 else "CLTEAVE"
    return f"**Word by word.** {best_of} is right on {_share(best)}{beside}."


def practice(run: Run) -> str:
    """Return the accuracies of alternatives to CLSEAVE in the first language."""
    first = run.values.languages[0]
    student = _row(run, first)
    alternatives = {text: row for name, text in PRACTICE.items() if (row := _row(run, name)) is not None}
    if student is None or not alternatives:
        return ""
    each = listed([f"{text} on {_share(row)}" for text, row in alternatives.items()])
    return f"**Alternatives.** In {language_name(first)}, CLSEAVE is right on {_share(student)}; {each}."


def panels(run: Run) -> str:
    """Explain grey panels, where the images are generated."""
    if not run.generated():
        return ""
    return (
        "A generated image has 2 × 2 cells. A **grey panel hides** the cells below it: a statement is *entailed* if it "
        "is true whatever they hold, *contradicted* if it is false whatever they hold, and else *neutral*."
    )


def kinds(run: Run) -> str:
    """What the kinds of statement ask for, where there are some."""
    if not len(run.table("kinds")):
        return ""
    names = [f"*{str(kind).replace('_', ' ')}*" for kind in dict.fromkeys(run.table("kinds")["kind"])]
    return (
        f"Each statement is of a known kind: {listed(names)}. The first plot has English, each language and, where it "
        f"was run, the model that sees no image; a table in Appendix C has all models."
    )


FINDINGS: tuple[Callable[[Run], str], ...] = (transfer, differences, unseen, hard, word_level, practice)


def findings(run: Run) -> str:
    """The first five findings that this run's tables hold, as Markdown."""
    found = [text for make in FINDINGS if (text := make(run))][:MOST]
    return "\n".join(f"{place}. {text}" for place, text in enumerate(found, start=1))
