"""CLIP-VE with another head or other training examples, and the students of its vectors: which learns word order.

Reads:  examples, hypotheses in all languages, images and their vectors, CLIP, mBERT; the study's languages.
Writes: one `Run` for each language: in English, answers of the teacher (`teacher`); in the others, of a student that is
        trained on the teacher's vectors (`student`).
Thesis: 3.1.2 has one head. Its examples hold no minimal pairs.
Cost:   two minutes for a teacher, half a minute for each student.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPVisionModelWithProjection

from clseave.corpora.direction_swaps import negatives, single, thinned
from clseave.corpora.images import load_processor, read_pixels
from clseave.corpora.patches import patch_states, write_patches
from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import (
    Example,
    Translation,
    distinct_hypotheses,
    examples_with_images,
    iter_rows,
    read_splits,
    read_vectors,
    rows_of,
    write_vectors,
)
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings import params
from clseave.foundation.settings.messages import not_one_of
from clseave.foundation.settings.schema import AnySource, ClipVe, SentenceTransfer
from clseave.models.clip_ve import ClipVE
from clseave.models.encoders import Encoder, embed_texts
from clseave.models.loading import load_model
from clseave.models.matching import HEADS, HeadName, Patches, TokenStates, make_head
from clseave.models.tokens import in_order
from clseave.models.towers import TextTower
from clseave.objectives import distillation
from clseave.objectives.entailment import Entailment, Split, fine_tune, read_examples
from clseave.stages import clseave
from clseave.stages.encode_images import list_photos
from clseave.variants import order_measures, settings
from clseave.variants.runs import Run, row_key, to_digits

PAIRS = ("own", "single", "thinned", "single+swapped")  # which training examples
ENGLISH = "en"  # the teacher's language


class Values(SentenceTransfer):
    """What the study reads of the settings."""

    source: AnySource
    clip_ve: ClipVe


@dataclass(frozen=True)
class Sources:
    """The files and folders that a run reads: `images` and `source` hold the images, `vectors` their vectors."""

    examples: Path
    hypotheses: Path
    images: Path
    source: Path
    vectors: Path
    clip: Path
    mbert: Path

    def rows(self, split: str) -> list[Example]:
        """The examples of a split."""
        return examples_with_images(read_splits(self.examples, [split]), self.vectors)

    def write_patches(self, folder: Path, values: Values, device: torch.device) -> Patches:
        """Encode the patches of all images anew, into a folder."""
        ids = list(read_vectors(self.vectors)[0])
        collection, photos = list_photos(self.images, self.source, ids)
        tower = load_model(CLIPVisionModelWithProjection, self.clip).to(device)
        pixels = read_pixels(collection, photos, load_processor(self.clip), values.encode_batch)
        states = patch_states(tower, pixels, len(photos), values.encode_batch)
        write_patches(folder, [photo.image_id for photo in photos], states)
        return Patches(*states.shape[1:])


@dataclass(frozen=True)
class Training:
    """One variant and seed."""

    sources: Sources
    variant: str
    head: HeadName
    pairs: str
    seed: int
    values: Values
    device: torch.device
    checkpoints: Path
    trained: dict[str, float] = field(default_factory=dict)

    def premises(self) -> tuple[VectorTable, Patches]:
        """What the head sees of each image: its vector, or the states of its patches."""
        folder, patches = self.sources.vectors, Patches(0, 0)
        if self.head in ("attention", "token_attention"):
            folder = self.checkpoints / "patches"
            patches = self.sources.write_patches(folder, self.values, self.device)
        return VectorTable(folder, self.device, self.values.max_resident_gb), patches

    def training_examples(self, examples: list[Example]) -> list[Example]:
        """The training examples that `pairs` names."""
        if self.pairs == "own":
            return examples
        if self.pairs == "thinned":
            return thinned(examples, self.seed)
        kept = single(examples, self.seed)
        return kept + negatives(kept) if self.pairs == "single+swapped" else kept

    def teach(self, images: VectorTable, patches: Patches) -> ClipVE:
        """Fine-tune CLIP's text tower with the head, as `finetune_clip_ve` does."""
        values, chosen = self.values, self.values.clip_ve
        tower = (TokenStates if self.head == "token_attention" else TextTower).load(self.sources.clip)
        torch.manual_seed(self.seed)
        width = int(tower.model.config.projection_dim)
        head = make_head(self.head, width, chosen.hidden, chosen.dropout, patches)
        model = ClipVE(tower, head, "clip_ve").to(self.device)
        train, dev = read_examples(self.sources.examples, self.sources.vectors, chosen.validation, self.seed)
        splits = (self.training_examples(train), dev)
        data, held_out = (Split.of(examples, images, tower.tokenizer) for examples in splits)
        objective = Entailment(
            model, data, held_out, chosen, sampler=values.sampler, encode_batch=values.encode_batch,
            precision=values.precision, compiled=values.compile, seed=self.seed,
        )  # fmt: skip
        inputs = {"examples": self.sources.examples, "images": self.sources.vectors, "clip": self.sources.clip}
        about: dict[str, str | int] = {"seed": self.seed, "head": self.head, "pairs": self.pairs}
        checkpoint = begin(self.checkpoints / "teacher", __name__, inputs, values, self.device, **about)
        curve, kept = fine_tune(objective, checkpoint)
        best = curve[kept - 1]
        self.trained.update(epoch=float(kept), **{name: best[name] for name in ("train_accuracy", "dev_accuracy")})
        return model.eval()

    @torch.no_grad()
    def answers(
        self, encoder: Encoder, model: ClipVE, images: VectorTable, rows: Sequence[Example], texts: Mapping[str, str]
    ) -> np.ndarray:
        """Label ids (N,) that the model's head gives to hypotheses in the encoder's language."""
        wanted = list(dict.fromkeys(row.hypothesis_id for row in rows))
        vectors = embed_texts(encoder, [texts[key] for key in wanted], self.values.encode_batch)
        place = {key: number for number, key in enumerate(wanted)}
        said = rows_of((row.hypothesis_id for row in rows), place, "hypothesis vector")
        seen = rows_of((row.image_id for row in rows), images.rows, "image vector")
        found = []
        for part in in_order(len(rows), self.values.encode_batch):
            hypothesis = vectors[torch.from_numpy(said[part])].to(self.device)
            found.append(model.judge(hypothesis, images[seen[part]]).argmax(1).cpu().numpy())
        return np.concatenate(found)

    def student(self, language: str, model: ClipVE) -> Encoder:
        """Train CLSEAVE in one language on the teacher's vectors."""
        targets, translations = self.checkpoints / "targets", self.sources.hypotheses / f"{language}.jsonl"
        texts = distinct_hypotheses([row for split in ("train", "dev") for row in self.sources.rows(split)])
        vectors = embed_texts(model.tower, list(texts.values()), self.values.encode_batch)
        write_vectors(targets, list(texts), vectors.numpy())
        torch.manual_seed(self.seed)
        sources = (self.sources.examples, translations, targets, self.sources.mbert)
        objective = clseave.prepare(*sources, self.values, seed=self.seed, device=self.device)
        inputs = dict(zip(("examples", "translations", "targets", "mbert"), sources, strict=True))
        checkpoint = begin(self.checkpoints / language, __name__, inputs, self.values, self.device, seed=self.seed)
        distillation.fit(objective, self.values.lr, checkpoint)
        checkpoint.remove()
        return objective.student.eval()

    def run(self, languages: Sequence[str]) -> list[Run]:
        """Train the teacher and its students and judge the test rows."""
        images, patches = self.premises()
        model = self.teach(images, patches)
        rows = {split: self.sources.rows(split) for split in ("train", "test")}
        code, key = fingerprint(code_files(__name__)), row_key(rows["test"])
        runs = []
        for language in languages:
            path = self.sources.hypotheses / f"{language}.jsonl"
            texts = {row.hypothesis_id: row.text for row in iter_rows(path, Translation)}
            way = "teacher" if language == ENGLISH else "student"
            encoder = model.tower if language == ENGLISH else self.student(language, model)
            answers = {way: to_digits(self.answers(encoder, model, images, rows["test"], texts))}
            measures = self.measure(model, images, rows) if language == ENGLISH else {}
            runs.append(Run(self.variant, language, self.seed, code, key, measures, {way: {}}, answers))
        return runs

    def measure(self, model: ClipVE, images: VectorTable, rows: order_measures.Rows) -> dict[str, float]:
        """What training left, minimal pairs of train, probes, and how true the negatives by rule are."""
        found = dict(self.trained)
        if paired := [row for row in rows["train"] if row.pair is not None]:
            answers = self.answers(model.tower, model, images, paired, distinct_hypotheses(paired))
            found["train_swap_accuracy"] = order_measures.swap_accuracy(paired, answers)
        found |= order_measures.measure(model, rows, self.sources.vectors, self.values.source)
        if self.pairs == "single+swapped":
            found |= order_measures.rule(rows["train"], self.values.source, self.seed)
        return found


def main(argv: list[str] | None = None) -> None:
    """Train one variant, its students in each of the study's languages, and write its runs; no model is kept."""
    reads = list(Sources.__dataclass_fields__)
    paths = ["study", "params", "profile", *reads, "checkpoints", "out"]
    args = cli.parse(
        argv, __doc__, paths, names=["variant", "head", "pairs", "languages"], numbers=["seed"], changes=True
    )
    for name, allowed in (("head", HEADS), ("pairs", PAIRS)):
        if getattr(args, name) not in allowed:
            raise UserError(f"--{name}: {not_one_of(getattr(args, name), allowed)}")
    values = params.load(args.params, args.profile, Values, args.set)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    sources = Sources(**{name: getattr(args, name) for name in reads})
    chosen = {name: getattr(args, name) for name in ("variant", "head", "pairs", "seed", "checkpoints")}
    training = Training(sources, values=values, device=device, **chosen)
    languages = [one for one in settings.read(args.study / "params.yaml").languages if one in args.languages.split("+")]
    if args.head == "token_attention" and languages != [ENGLISH]:
        raise UserError(f"--languages: found {args.languages!r}, allowed with token_attention: {ENGLISH}")
    with whole_folder(args.out) as folder:
        for run in training.run(languages):
            run.write(folder / f"{run.language}.json")
    shutil.rmtree(args.checkpoints, ignore_errors=True)  # vectors of patches and of hypotheses
