"""The settings of the study: `studies/single_stream/params.yaml`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from clseave.foundation.errors import UserError
from clseave.foundation.settings.messages import not_one_of, settings_fault
from clseave.foundation.settings.params import read_yaml
from clseave.foundation.settings.schema import Name, Positive, Rate, Section, Seeds, Share, TargetLanguage
from clseave.single_stream.tasks import NAMES
from clseave.single_stream.tasks import Name as Task

ENGLISH = "en"


class Variant(Section):
    """A pre-training: its tasks, the languages of its texts, and whether it is fine-tuned on visual entailment too."""

    name: Name
    title: str  # in tables
    tasks: str  # joined by +
    languages: Literal["english", "all"]  # of texts alone; parallel texts need all
    entailment: bool

    @property
    def chosen(self) -> list[Task]:
        """The tasks in their usual order."""
        return [name for name in NAMES if name in self.tasks.split("+")]


class Optimiser(Section):
    """How something is trained: AdamW with a linear schedule."""

    lr: Rate
    weight_decay: Share
    warmup: Share
    epochs: Positive


class Pretraining(Optimiser):
    """Pre-training; an epoch has `steps` steps, each with rows of all three sources."""

    steps: Positive
    captions: Positive  # rows of a step
    alone: Positive
    pairs: Positive
    captions_per_image: Positive
    word_share: Share  # of masked words
    region_share: Share  # of masked regions
    weights: dict[Task, Annotated[float, Field(gt=0)]]  # of the tasks' losses


class Retrieval(Optimiser):
    """Fine-tuning for retrieval, in each language."""

    batch: Positive  # texts, all of which are scored with all their images
    margin: Rate
    captions_per_image: Positive


class Entailment(Optimiser):
    """Fine-tuning on visual entailment."""

    batch: Positive
    hidden: Positive
    dropout: Share


class Study(Section):
    """Seeds, languages, variants and trainings."""

    seeds: Seeds
    languages: Annotated[list[TargetLanguage], Field(min_length=2)]  # English first
    regions: Positive  # side of the grid of regions
    judged_at_once: Positive  # pairs of a pass without training
    pretraining: Pretraining
    retrieval: Retrieval
    entailment: Entailment
    variants: Annotated[list[Variant], Field(min_length=1)]

    def variant(self, name: str) -> Variant:
        """The variant of a name. UserError for an unknown one."""
        known = {one.name: one for one in self.variants}
        if name not in known:
            raise UserError(f"--variant: {not_one_of(name, list(known))}")
        return known[name]


def read(path: Path) -> Study:
    """Read and check the settings. UserError names key, value and what is allowed."""
    try:
        study = Study.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(settings_fault(path, Study, error)) from error
    if study.languages[0] != ENGLISH or _repeated(study.languages):
        raise UserError(f"{path}: languages: found {', '.join(study.languages)}, allowed: {ENGLISH} first, each once")
    if twice := _repeated([one.name for one in study.variants]):
        raise UserError(f"{path}: variants: found {twice!r} twice, allowed: a name of its own for each")
    for number, variant in enumerate(study.variants):
        where = f"{path}: variants.{number}.tasks"
        for name in variant.tasks.split("+"):
            if name not in NAMES:
                raise UserError(f"{where}: {not_one_of(name, NAMES)}")
            if name not in study.pretraining.weights:
                raise UserError(f"{path}: pretraining.weights: no {name!r}, which variant {variant.name} names")
        if variant.languages == "english" and {"tlm", "cltr"} & set(variant.chosen):
            raise UserError(f"{where}: found {variant.tasks!r}, allowed with languages english: mlm, mrc, cmtr")
        if "mlm" not in variant.chosen:
            raise UserError(f"{where}: found {variant.tasks!r}, allowed: mlm and others; it trains the output layer")
    return study


def _repeated(names: Sequence[str]) -> str | None:
    """Return a name that is there twice."""
    return next((name for name in names if names.count(name) > 1), None)
