"""The thesis author's way and ours on the same batches: one loss curve, so that what was removed changed nothing."""

import copy
from dataclasses import replace

import as_published
import contenders
import pytest
import torch
import workload
from transformers import CLIPVisionModelWithProjection

from clseave.corpora.images import load_processor
from clseave.foundation.rows.records import read_splits
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import SentenceTransfer
from clseave.models.clip_ve import ClipVE
from clseave.models.head import Head
from clseave.models.loading import load_model, load_text_encoder
from clseave.models.student import Student
from clseave.models.tokens import load_tokenizer
from clseave.models.towers import TextTower
from clseave.objectives import distillation, entailment
from clseave.objectives.distillation import Distillation, Pairs
from clseave.objectives.entailment import Entailment, Split
from clseave.stages import finetune_clip_ve
from clseave.training.loop import train
from settings import SETTINGS

EPOCHS, STEPS = 7, 8
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny models, 256 rows of which two share each hypothesis, and 128 pairs."""
    folder = tmp_path_factory.mktemp("workload")
    material = workload.made(folder / "source", (60, 48))
    some = material.examples[:128]
    again = [replace(row, pair_id=f"{row.pair_id}-b", image_id=some[n - 5].image_id) for n, row in enumerate(some)]
    material = replace(material, examples=some + again)
    size = workload.Size("thesis", (32, STEPS), (16, STEPS), 4, 4)
    workload.save_models(folder / "models", material, "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workload, "ROOT", SETTINGS)
        workload.write_values(folder, size, "cpu", 2)
    few = replace(material, pairs=material.pairs[:128])
    found = {"language": "de"} | workload.write_data(folder, few, size, "cpu")
    workload.write_json(folder / "facts.json", {"facts": found})
    return folder


def values_of(folder, view, section):
    """The profile's values, random batches, dropout off, and a rate at which tiny models learn.

    With ten times that rate, CLIP-VE's loss is chaotic: the last bit of a sum grows to a visible difference.
    """
    values = params.load(folder / "params.yaml", folder / "profile.yaml", view)
    changes = {"dropout": 0.0, "epochs": EPOCHS, "warmup": 0.0}
    rates = {"text_lr": 1e-4, "head_lr": 1e-4} if section == "clip_ve" else {}
    changed = getattr(values, section).model_copy(update=changes | rates)
    return values.model_copy(update={"sampler": "random", section: changed})


def ours(objective, optimiser, schedule):
    """The batches of our training and the loss of each step."""
    batches, losses, step = [], [], objective.loss

    def noted(batch):
        batches.append(batch.tolist())
        loss = step(batch)
        losses.append(loss.item())
        return loss

    objective.loss, objective.validate = noted, dict
    train(objective, optimiser, schedule, EPOCHS)
    return batches, losses


def compare(losses, published):
    """Equal within 1e-4 of each loss; and a curve that falls, so that the weights did move."""
    assert len(losses) == len(published) == EPOCHS * STEPS >= 50
    assert losses == pytest.approx(published, rel=1e-4)
    assert sum(losses[-STEPS:]) < 0.9 * sum(losses[:STEPS])


@pytest.mark.slow
def test_clip_ve(folder):
    inputs, values = contenders.inputs_of(folder, "clip_ve"), values_of(folder, finetune_clip_ve.Values, "clip_ve")
    torch.manual_seed(1)
    tower = TextTower.load(inputs.clip)
    model = ClipVE(tower, Head(tower.width, values.clip_ve.hidden, 0.0), "clip_ve")
    theirs = copy.deepcopy(model).train()
    examples = read_splits(inputs.examples, ["train"])
    data = Split.of(examples, VectorTable(inputs.images, CPU, 1.0), tower.tokenizer)
    assert len(data.tokens) < len(examples), "no hypothesis is shared: nothing is encoded once instead of twice"
    objective = Entailment(model, data, data, values.clip_ve, **contenders.how(values))
    batches, losses = ours(objective, *entailment.optimiser_for(objective))
    method = as_published.ClipVE(
        theirs.tower,
        load_model(CLIPVisionModelWithProjection, inputs.clip),
        theirs.head,
        load_processor(inputs.clip),
        examples=examples,
        photos={path.stem: path for path in (folder / "photos").iterdir()},
    )
    assert method.collate([method[0], method[1]])["ids"].shape == (2, 77)
    optimiser = torch.optim.Adam(method.parameters, values.clip_ve.text_lr)
    compare(losses, list(as_published.train(method, batches, optimiser)))


def test_clseave(folder):
    inputs, values = contenders.inputs_of(folder, "clseave"), values_of(folder, SentenceTransfer, "clseave")
    settings = values.clseave.model_copy(update={"lr_scale": 20.0, "schedule": "linear"})
    values = values.model_copy(update={"clseave": settings})
    rate = values.lr * settings.lr_scale
    tokenizer, targets = load_tokenizer(inputs.mbert), VectorTable(inputs.targets, CPU, 1.0)
    torch.manual_seed(1)
    student = Student(load_text_encoder(inputs.mbert, 0.0), tokenizer, targets.width, "sep")
    theirs = copy.deepcopy(student).train()
    data = Pairs.read(inputs.examples, inputs.translations, "train", tokenizer, targets)
    objective = Distillation(student, data, data, settings, **contenders.how(values))
    batches, losses = ours(objective, *distillation.optimiser_for(objective, values.lr))
    method = as_published.Clseave(TextTower.load(inputs.teacher), theirs, contenders.sentences(inputs.translations))
    adam = torch.optim.AdamW(method.parameters, rate, weight_decay=settings.weight_decay)
    compare(losses, list(as_published.train(method, batches, adam, "linear")))


def test_a_batch_as_published_is_padded_to_its_longest_with_each_tokenizers_own_id(folder):
    inputs = contenders.inputs_of(folder, "clseave")
    teacher, tokenizer = TextTower.load(inputs.teacher), load_tokenizer(inputs.mbert)
    student = Student(load_text_encoder(inputs.mbert, 0.0), tokenizer, teacher.width, "sep")
    method = as_published.Clseave(teacher, student, [("A red circle", "Ein roter Kreis"), ("A", "Ein Kreis ist da")])
    first, second = method[0], method[1]
    batch = method.collate([first, second])
    assert batch["ids0"].shape == batch["mask0"].shape == (2, len(first[0]))
    assert batch["ids0"][1].tolist() == second[0] + [teacher.tokenizer.pad_token_id] * (len(first[0]) - len(second[0]))
    assert batch["mask0"].sum(dim=1).tolist() == [len(first[0]), len(second[0])]
    assert batch["mask1"].sum(dim=1).tolist() == [len(first[1]), len(second[1])]
