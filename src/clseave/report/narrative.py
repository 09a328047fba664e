"""Sentences of the report about a run, from its settings and tables.

The notebook's own sentences hold for every run, or are about the thesis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from clseave.comparison.thesis_values import is_own
from clseave.comparison.verdicts import ENGLISH, OTHER_CORPUS
from clseave.foundation.settings.schema import (
    INDEPENDENT,
    FileTranslation,
    GoogleTranslation,
    HubBackbones,
    NmtTranslation,
    Report,
    Scenes,
)
from clseave.report.tables.result_tables import language_name, whole

NUMBERS = "no one two three four five six seven eight nine ten".split()
WORDS = (
    "*CLTEAVE* transfers word by word and gives the head its encoder's output; *padded* and *decoder* give it CLIP's "
    "projection of multilingual BERT's state and of the decoder's reconstruction of it."
)
CONTROLS = {
    "hypothesis_only": "*Hypothesis only* sees no image: what it scores above chance needs none.",
    "image_only": "*Image only* sees no sentence: what it scores above chance needs none.",
    "majority": "*Majority* says the most frequent label of train to every row.",
    "clip_score": (
        "The *CLIPScore threshold* reads the label off the cosine of the two vectors of CLIP before any fine-tuning."
    ),
}
IN_PLACE = {  # of CLSEAVE, by evaluation
    "translate_test": "*translate-test* translates the sentence back to English for CLIP-VE",
    "translate_train": "*translate-train* trains multilingual BERT and a head on the labels of translated sentences",
    "zero_shot": "*zero-shot* trains multilingual BERT and a head on English sentences and is given the translation",
}
BACK = "Here the grammar translates back without a fault, though in other words: an upper bound of translate-test."


@dataclass(frozen=True)
class Run:
    """A run's profile, its settings, and the CSV tables of `compare` by name."""

    profile: str
    values: Report
    tables: Mapping[str, pd.DataFrame]

    def table(self, name: str) -> pd.DataFrame:
        """Return a table; empty where the run has none."""
        return self.tables.get(name, pd.DataFrame())

    def evaluations(self) -> list[str]:
        """Return the names of the evaluations that were run."""
        return list(self.table("results").get("evaluation", []))

    def generated(self) -> bool:
        """Return whether the corpus is the miniature."""
        return isinstance(self.values.source, Scenes)

    def own(self) -> bool:
        """Return whether the corpus is rows of the user's."""
        return is_own(self.values.source)

    def comparable(self) -> bool:
        """Return whether the run uses the thesis's corpus."""
        return bool(set(self.table("thesis").get("verdict", [])) - {OTHER_CORPUS})


def number(count: int, noun: str) -> str:
    """Return a count and its noun: "one language", "five languages", "12 languages"."""
    return f"{NUMBERS[count] if count < len(NUMBERS) else f'{count:,}'} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Join names in a list: "German, Dutch and Korean"."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else "none"


def languages(codes: Sequence[str]) -> str:
    """Return the names of languages in a list."""
    return listed([language_name(code) for code in codes])


def corpus(run: Run) -> str:
    """Describe the corpus, and whether the thesis's values are comparable."""
    own = ""
    if run.generated():
        kinds = run.table("kinds")
        of = f" of {number(kinds['kind'].nunique(), 'kind')}" if len(kinds) else ""
        own = (
            f"This run's corpus is **generated**: images of 2 × 2 cells with coloured shapes, some behind a panel, and "
            f"statements{of} in {languages([ENGLISH, *run.values.languages])}, with known translations, word "
            f"alignments and labels. It is a place to check methods against a known truth. "
        )
    if run.own():
        return "This run works on rows and photos of your own. Comparisons with the thesis are left out."
    if run.comparable():
        return "This run works on the thesis's corpus, SNLI-VE over Flickr30k: its numbers are judged by the thesis's."
    return own + (
        "This is not the thesis's corpus, SNLI-VE over Flickr30k: the thesis's values are shown beside ours, and the "
        "verdict reads *other corpus*."
    )


def intervals(run: Run) -> str:
    """Describe what an interval covers, and the number of seeds."""
    seeds, results = run.values.seeds, run.table("results")
    most = int(results["all_seeds"].max()) if "all_seeds" in results else 1
    which = listed([str(seed) for seed in seeds])
    spread = (
        f"The choice of training seed is in it where an evaluation has several seeds (at most {most}); accuracies are "
        f"those of seed{'s' if len(seeds) > 1 else ''} {which}"
        if most > 1
        else f"**Not** the choice of training seed: this run has {number(len(seeds), 'seed')} ({which}), and nothing "
        f"is known of the spread"
    )
    return (
        f"The choice of test images and of statements (95 %): rows that share an image or a statement are not "
        f"independent, so the variance is clustered by both. A dash stands where all images have the same share. "
        f"{spread}.{'' if run.own() else ' The thesis has one run of each model and no interval.'}"
    )


def translations(run: Run) -> str:
    """Describe the source of the translations in training and test."""
    made = run.values.translate
    same = "Test sentences come from the same place as those of training, so that accuracy is agreement on them"
    corrected = f", after the corrections in `{made.corrections}`" if made.corrections else ""
    if isinstance(made, NmtTranslation):
        text = f"Machine translations by `{made.model.id}`{corrected}. {same}"
    elif isinstance(made, GoogleTranslation):
        text = f"Machine translations by Google's service{corrected}. {same}"
    elif isinstance(made, FileTranslation):
        text = f"From the files in `{made.folder}`{corrected}; who made them, this report does not know. {same}"
    else:
        text = f"The grammar of the miniature makes them, without a fault. {same}"
    codes = targets(run.table("independent"))
    return f"{text}. " + (
        f"Translations by others are judged too, in {languages(codes)}."
        if codes
        else "Translations by others are not judged in this run."
    )


def selection(run: Run) -> str:
    """Describe how epochs were selected, and whether the settings were chosen on test accuracies."""
    kept = {"best": "the epoch with the best validation", "last": "its last epoch"}
    rows = {"dev": "dev rows", "train_fifth": "a random fifth of train"}[run.values.clip_ve.validation]
    text = (
        f"CLIP-VE keeps {kept[run.values.clip_ve.keep]} and is validated on {rows}; CLSEAVE keeps "
        f"{kept[run.values.clseave.keep]} and is validated on dev sentences. No test row takes part."
    )
    seen = " The recipe of profile `mini`, however, was chosen with its test accuracies in sight: they may be too high."
    return text + (seen if run.profile == "mini" else "")


def worth(run: Run) -> str:
    """Return a list of the limits of the numbers."""
    points = {
        "Whose corpus": corpus,
        "What an interval covers": intervals,
        "Translations": translations,
        "Selection": selection,
    }
    return "\n".join(f"- **{title}.** {text(run)}" for title, text in points.items())


def methods(run: Run) -> str:
    """Describe the evaluated controls and alternatives to CLSEAVE."""
    names = run.evaluations()
    sentences = [WORDS] if any(name.startswith("clteave") for name in names) else []
    sentences += [text for name, text in CONTROLS.items() if name in names]
    if found := [text for name, text in IN_PLACE.items() if name in names]:
        first = language_name(run.values.languages[0])
        sentences.append(f"What a practitioner would try in place of CLSEAVE, for {first}: {'; '.join(found)}.")
    if "translate_test" in names and run.generated():
        sentences.append(BACK)
    return "\n".join(f"- {sentence}" for sentence in sentences)


def independent(run: Run) -> str:
    """Describe the independent translations, and how many of their English sentences occur in train."""
    frame = run.table("independent")
    if not targets(frame):
        return "This run has no translations by others."
    source = run.values.source
    whose = "another phrasing of the same grammar"
    if not isinstance(source, Scenes):
        whose = f"those of the folder `{source.independent}`"
    first = frame.iloc[0]
    seen = ""
    if first["rows_seen"]:
        seen = (
            f" The English sentence of {whole(first['rows_seen'])} of the {whole(first['rows'])} rows occurs in train"
        )
        seen += ", often with this phrasing of it." if run.generated() else "."
    text = f"Here the other translations are {whose}, in {languages(targets(frame))}.{seen}"
    if first["evaluation"].endswith(f"_{ENGLISH}"):
        text += " English is judged too, so that the difference to it tells what the language costs, not the wording."
    return text


def targets(frame: pd.DataFrame) -> list[str]:
    """Return the languages of the table of independent translations, without English."""
    codes = [name.removeprefix(INDEPENDENT) for name in frame.get("evaluation", [])]
    return [code for code in codes if code != ENGLISH]


def training(run: Run) -> str:
    """Describe optimiser and weight decay of each model beside the thesis's, from Table A.1."""
    table = run.table("table_a_1").set_index("hyperparameter").fillna("0")
    optimiser, decay = table.loc["Optimizer"], table.loc["Weight decay"]
    models = {"clip_ve": "CLIP-VE", "clseave": "CLSEAVE", "autoencoder": "the autoencoder"}
    parts = [
        f"{name}, {optimiser[f'{key}_thesis']} in the thesis and {optimiser[key]} with weight decay {decay[key]} here"
        for key, name in models.items()
    ]
    return (
        f"The optimisers are: {'; '.join(parts)}. Without weight decay AdamW does the same as Adam; with it they "
        f"differ."
    )


def backbones(run: Run) -> str:
    """Describe the source of CLIP and multilingual BERT."""
    made = run.values.backbones
    if isinstance(made, HubBackbones):
        return f"The backbones are downloaded: `{made.clip.id}` and `{made.mbert.id}`."
    return "The backbones are trained here: a small CLIP on images and captions, a small multilingual BERT on text."


def distances(run: Run) -> str:
    """Describe how little can be concluded about distances from so few languages."""
    frame = run.table("fits")
    if frame.empty:
        return ""
    points, choices = int(frame["points"].max()), frame["distance"].nunique()
    quantile = float(stats.t.ppf(0.975, points - 2))
    least = quantile / (quantile**2 + points - 2) ** 0.5
    return (
        f"Here a fit has at most {number(points, 'point')}, one a language. With so many, a correlation must exceed "
        f"{least:.2f} before it would pass an uncorrected test at 5 %, and with {number(choices, 'distance')} to "
        f"choose from, one of them may look good by chance. The intervals below say how much is excluded."
    )


TEXTS: dict[str, Callable[[Run], str]] = {
    "worth": worth,
    "methods": methods,
    "independent": independent,
    "training": training,
    "backbones": backbones,
    "distances": distances,
}
