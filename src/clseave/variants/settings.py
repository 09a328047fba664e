"""The settings of a study: `studies/<name>/params.yaml`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from clseave.foundation.errors import UserError
from clseave.foundation.settings.messages import not_one_of, settings_fault
from clseave.foundation.settings.params import read_yaml
from clseave.foundation.settings.schema import Languages, Name, Section, Seeds

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
    pairs: str = ""  # `word_level`: which word pairs are trained on; `objectives`: which texts; `heads`: which examples
    head: str = ""  # `heads`: what matches hypothesis and premise


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


class Study(Section):
    """A study's languages, seeds and variants, and the questions that are put to them."""

    seeds: Seeds
    languages: Languages
    variants: Annotated[list[Variant], Field(min_length=1)]
    references: list[Reference]
    contrasts: list[Contrast]
    measure: Measure = "accuracy"  # of the figure


def read(path: Path) -> Study:
    """Read and check a study's settings. UserError names key, value and what is allowed."""
    try:
        study = Study.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(settings_fault(path, Study, error)) from error
    known = [one.name for one in study.variants] + [one.name for one in study.references]
    if repeated := [name for name in known if known.count(name) > 1]:
        raise UserError(f"{path}: variants: found {repeated[0]!r} twice, allowed: a name of its own for each")
    for number, contrast in enumerate(study.contrasts):
        for side in ("system", "other"):
            if (found := getattr(contrast, side).variant) not in known:
                raise UserError(f"{path}: contrasts.{number}.{side}.variant: {not_one_of(found, known)}")
    return study
