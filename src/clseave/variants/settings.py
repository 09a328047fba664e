"""The settings of a study: `studies/<name>/params.yaml`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from clseave.foundation.errors import UserError
from clseave.foundation.settings.messages import not_one_of, settings_fault
from clseave.foundation.settings.params import read_yaml
from clseave.foundation.settings.schema import Languages, Name, Positive, Section, Seeds, Sha256

Measure = Literal["accuracy", "swap_accuracy"]  # shares of the rows, or of the minimal pairs, that are right


class System(Section):
    """What is judged: a variant, by one of the ways in which it makes predictions."""

    variant: str
    judged: str


class Variant(Section):
    """One setting of a study. `changes` are values of the profile, as `--set` takes them."""

    name: Name
    title: str  # in tables
    changes: str
    # What is trained on: `word_level` word pairs; `objectives`, `pretrained` texts; `heads` examples.
    pairs: str = ""
    head: str = ""  # `heads`: what matches hypothesis and premise
    student: Literal["", "mbert", "e5", "e5_random"] = ""  # `pretrained`: what the student starts as
    share: Annotated[int, Field(ge=1, le=100)] = 100  # `pretrained`: percent of the pairs that are trained on
    languages: str = ""  # of its runs, joined by +; empty: the study's

    def among(self, languages: Sequence[str]) -> list[str]:
        """Those of the study's languages that it has runs of."""
        own = self.languages.split("+")
        return [one for one in languages if not self.languages or one in own]


class Reference(Section):
    """Predictions of the main pipeline that are compared with the variants."""

    name: Name
    title: str
    predictions: str  # path below reports/<profile>/predictions, with {language}


class Contrast(Section):
    """A question that the difference of two systems answers."""

    name: Name
    question: str
    system: System
    other: System
    measure: Measure = "accuracy"


class E5(Section):
    """Which weights of multilingual-e5-small are read, and how many of its layers."""

    sha256: Sha256  # of the package's file
    layers: Positive  # of the student: the first of 12
    aligner_layer: Positive  # whose states align words


class Study(Section):
    """A study's languages, seeds and variants, and the questions that are put to them."""

    seeds: Seeds
    languages: Languages
    variants: Annotated[list[Variant], Field(min_length=1)]
    references: list[Reference]
    contrasts: list[Contrast]
    measure: Measure = "accuracy"  # of the figure
    e5: E5 | None = None  # of `pretrained`


def read(path: Path) -> Study:
    """Read and check a study's settings. UserError names key, value and what is allowed."""
    try:
        study = Study.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(settings_fault(path, Study, error)) from error
    known = [one.name for one in study.variants] + [one.name for one in study.references]
    if repeated := [name for name in known if known.count(name) > 1]:
        raise UserError(f"{path}: variants: found {repeated[0]!r} twice, allowed: a name of its own for each")
    for variant in study.variants:
        if not variant.among(study.languages):
            allowed = f"allowed: with one at least of {', '.join(study.languages)}"
            raise UserError(f"{path}: variants: {variant.name}: languages: found {variant.languages!r}, {allowed}")
    for number, contrast in enumerate(study.contrasts):
        for side in ("system", "other"):
            if (found := getattr(contrast, side).variant) not in known:
                raise UserError(f"{path}: contrasts.{number}.{side}.variant: {not_one_of(found, known)}")
    return study
