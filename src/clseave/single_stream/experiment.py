"""One variant and seed of the study: pre-training, retrieval in each language, and visual entailment."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import torch

from clseave.foundation.errors import UserError
from clseave.foundation.process.resume import begin
from clseave.foundation.settings.schema import AnySource, Encoding, Scenes
from clseave.single_stream.data import Texts, pool
from clseave.single_stream.encoder import SingleStream
from clseave.single_stream.pairs import PairEntailment, PairModel, Retrieval
from clseave.single_stream.pretraining import Model, Pretraining, Sizes
from clseave.single_stream.readers.captions import Caption
from clseave.single_stream.regions import RegionTable
from clseave.single_stream.results import Found
from clseave.single_stream.settings import ENGLISH, Optimiser, Study, Variant
from clseave.single_stream.tasks import make_tasks
from clseave.single_stream.world import translate_back
from clseave.statistics.recall import ranks
from clseave.training.loop import Keep, train
from clseave.training.objective import Objective
from clseave.training.optimiser import make_optimiser
from clseave.variants.runs import to_digits

LABELS = 3


class Values(Encoding):
    """What the study reads of the profile."""

    source: AnySource


@dataclass
class Experiment:
    """The trainings of one variant and seed. `inputs` are the files behind them, of which checkpoints are kept."""

    study: Study
    variant: Variant
    seed: int
    values: Values
    texts: Texts
    regions: RegionTable
    mbert: Path
    inputs: dict[str, Path]
    checkpoints: Path
    device: torch.device
    measures: dict[str, float] = field(default_factory=dict)

    def fit(self, name: str, objective: Objective, settings: Optimiser, steps: int, keep: Keep = "best") -> int:
        """Train, keep the best or the last epoch, and return it, from 1."""
        groups = [{"params": objective.model.parameters(), "lr": settings.lr}]
        total = settings.epochs * steps
        optimiser, schedule = make_optimiser(groups, settings.weight_decay, total, settings.warmup, "linear")
        about: dict[str, str | int] = {"seed": self.seed, "variant": self.variant.tasks, "training": name}
        about |= {key: str(value) for key, value in self.study.model_dump().items() if key not in ("variants", "seeds")}
        checkpoint = begin(self.checkpoints / name, __name__, self.inputs, self.values, self.device, **about)
        curve, kept = train(objective, optimiser, schedule, settings.epochs, keep=keep, checkpoint=checkpoint)
        best = curve[kept - 1]
        self.measures |= {f"{name}_{key}": value for key, value in best.items() if key.startswith("dev_")}
        checkpoint.remove()
        return kept

    def captions(self, split: str, per_image: int) -> dict[str, list[Caption]]:
        """Return captions of a split in all languages of the study."""
        return self.texts.captions(split, self.values.source, self.study.languages, per_image, self.seed)

    def pretrain(self) -> SingleStream:
        """Train the encoder on the variant's tasks."""
        settings = self.study.pretraining
        torch.manual_seed(self.seed)
        encoder = SingleStream.start(self.mbert, self.regions.width)
        weights: dict[str, float] = {name: settings.weights[name] for name in self.variant.chosen}
        if "mrc" in weights and self.regions.kinds == 1:
            raise UserError(f"variant {self.variant.name}: found mrc, allowed for regions without classes: other tasks")
        shares = {"word_share": settings.word_share, "region_share": settings.region_share}
        tasks = make_tasks(weights, encoder.width, self.regions.kinds, **shares)
        languages = [ENGLISH] if self.variant.languages == "english" else self.study.languages
        train_on, held_out = (
            self.texts.corpus(
                split,
                self.captions(split, settings.captions_per_image)[ENGLISH],
                self.regions,
                languages,
                encoder.tokenizer,
            )
            for split in ("train", "dev")
        )
        sizes = Sizes(settings.captions, settings.alone, settings.pairs)
        model = Model(encoder, tasks).to(self.device)
        objective = Pretraining(model, train_on, held_out, weights, sizes, steps=settings.steps, seed=self.seed)
        self.fit("pretraining", objective, settings, settings.steps, keep="last")
        return encoder

    def retrieve(self, encoder: SingleStream) -> dict[str, Found]:
        """Fine-tune a copy of the encoder in each language, and search the test pool.

        The English one also searches with the other languages' texts translated into English.
        """
        settings, at_once = self.study.retrieval, self.study.judged_at_once
        captions = {split: self.captions(split, settings.captions_per_image) for split in ("train", "dev", "test")}
        found = {}
        for language in self.study.languages:
            torch.manual_seed(self.seed)
            model = PairModel.scorer(copy.deepcopy(encoder)).to(self.device)
            data, dev, test = (
                pool(captions[split][language], self.regions, encoder.tokenizer) for split in ("train", "dev", "test")
            )
            objective = Retrieval(
                model, data, dev, margin=settings.margin, size=settings.batch, encode_batch=at_once, seed=self.seed
            )
            self.fit(f"retrieval_{language}", objective, settings, len(objective.batches(1)))
            found[language] = Found.of(ranks(*test.scores(model, at_once)))
            if language == ENGLISH:
                for other, translated in self.translated().items():
                    english = pool(translated, self.regions, encoder.tokenizer)
                    found[f"{other}_translated"] = Found.of(ranks(*english.scores(model, at_once)))
        return found

    def translated(self) -> dict[str, list[Caption]]:
        """Return the other languages' test captions translated into English; those of photos have no translator."""
        source, settings = self.values.source, self.study.retrieval
        if not isinstance(source, Scenes):
            return {}
        made = {}
        for language in self.study.languages[1:]:
            rows = translate_back("test", source, language, settings.captions_per_image, self.seed)
            made[language] = [row for row in rows if row.image_id in self.regions.rows]
        return made

    def entail(self, encoder: SingleStream) -> dict[str, str]:
        """Fine-tune on English labels and judge the test examples in each language; and on labelled translations."""
        settings, tokenizer, answers = self.study.entailment, encoder.tokenizer, {}
        test = {
            language: self.texts.labelled("test", language, self.regions, tokenizer)
            for language in self.study.languages
        }
        for language in self.study.languages:
            torch.manual_seed(self.seed)
            model = PairModel.classifier(copy.deepcopy(encoder), settings.hidden, LABELS, settings.dropout)
            data, dev = (self.texts.labelled(split, language, self.regions, tokenizer) for split in ("train", "dev"))
            objective = PairEntailment(
                model.to(self.device), data, dev, size=settings.batch, encode_batch=self.study.judged_at_once,
                seed=self.seed,
            )  # fmt: skip
            self.fit(f"entailment_{language}", objective, settings, len(objective.batches(1)))
            judged = self.study.languages if language == ENGLISH else [language]
            for other in judged:
                rows = test[other]
                logits = model.judge(rows.tokens, rows.texts, rows.regions, rows.images, self.study.judged_at_once)
                name = other if language == ENGLISH else f"{other}_trained"
                answers[name] = to_digits(logits.argmax(1).numpy())
        return answers
