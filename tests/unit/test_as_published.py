"""The thesis author's way and ours on the same batches: one loss curve, so that what was removed changed nothing."""

import copy
from dataclasses import replace

import as_published
import contenders
import pytest
import torch
import workload
from transformers import CLIPVisionModelWithProjection

from clseave import params
from clseave.checkpoints import load_model
from clseave.fusion import Head
from clseave.images import load_processor
from clseave.objectives import distillation, entailment
from clseave.objectives.distillation import Distillation, Pairs
from clseave.objectives.entailment import Entailment, Split
from clseave.records import read_splits
from clseave.stages import clseave as stage
from clseave.stages import finetune_clip_ve
from clseave.student import Student, load_mbert
from clseave.teacher import ClipVE, TextTower
from clseave.text import load_tokenizer
from clseave.training import train
from clseave.vectors import VectorTable
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


def values_of(folder, keys, section):
    """The profile's values, random batches, dropout off, and a rate at which tiny models learn.

    With ten times that rate, CLIP-VE's loss is chaotic: the last bit of a sum grows to a visible difference.
    """
    values = params.load(folder / "params.yaml", folder / "profile.yaml", keys)
    values.sampler = "random"
    changes = {"dropout": 0.0, "epochs": EPOCHS, "warmup": 0.0}
    rates = {"text_lr": 1e-4, "head_lr": 1e-4} if section == "clip_ve" else {}
    setattr(values, section, getattr(values, section).model_copy(update=changes | rates))
    return values


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
    args, values = contenders.arguments(folder, "clip_ve"), values_of(folder, finetune_clip_ve.KEYS, "clip_ve")
    torch.manual_seed(1)
    tower = TextTower.load(args.clip)
    model = ClipVE(tower, Head(tower.width, values.clip_ve.hidden, 0.0), "clip_ve")
    theirs = copy.deepcopy(model).train()
    examples = read_splits(args.examples, ["train"])
    data = Split.of(examples, VectorTable(args.images, CPU, 1.0), tower.tokenizer)
    assert len(data.tokens) < len(examples), "no hypothesis is shared: nothing is encoded once instead of twice"
    objective = Entailment(model, data, data, values.clip_ve, **contenders.how(values))
    batches, losses = ours(objective, *entailment.optimiser_for(objective))
    method = as_published.ClipVE(
        theirs.tower,
        load_model(CLIPVisionModelWithProjection, args.clip),
        theirs.head,
        load_processor(args.clip),
        examples=examples,
        photos={path.stem: path for path in (folder / "photos").iterdir()},
    )
    assert method.collate([method[0], method[1]])["ids"].shape == (2, 77)
    optimiser = torch.optim.Adam(method.parameters, values.clip_ve.text_lr)
    compare(losses, list(as_published.train(method, batches, optimiser)))


def test_clseave(folder):
    args, values = contenders.arguments(folder, "clseave"), values_of(folder, stage.KEYS, "clseave")
    settings = values.clseave = values.clseave.model_copy(update={"lr_scale": 20.0, "schedule": "linear"})
    rate = values.lr * settings.lr_scale
    tokenizer, targets = load_tokenizer(args.mbert), VectorTable(args.targets, CPU, 1.0)
    torch.manual_seed(1)
    student = Student(load_mbert(args.mbert, 0.0), tokenizer, targets.width, "sep")
    theirs = copy.deepcopy(student).train()
    data = Pairs.read(args.examples, args.translations, "train", tokenizer, targets)
    objective = Distillation(student, data, data, settings, **contenders.how(values))
    batches, losses = ours(objective, *distillation.optimiser_for(objective, values.lr))
    method = as_published.Clseave(TextTower.load(args.teacher), theirs, contenders.sentences(args))
    adam = torch.optim.AdamW(method.parameters, rate, weight_decay=settings.weight_decay)
    compare(losses, list(as_published.train(method, batches, adam, "linear")))


def test_a_batch_as_published_is_padded_to_its_longest_with_each_tokenizers_own_id(folder):
    args = contenders.arguments(folder, "clseave")
    teacher, tokenizer = TextTower.load(args.teacher), load_tokenizer(args.mbert)
    student = Student(load_mbert(args.mbert, 0.0), tokenizer, teacher.width, "sep")
    method = as_published.Clseave(teacher, student, [("A red circle", "Ein roter Kreis"), ("A", "Ein Kreis ist da")])
    first, second = method[0], method[1]
    batch = method.collate([first, second])
    assert batch["ids0"].shape == batch["mask0"].shape == (2, len(first[0]))
    assert batch["ids0"][1].tolist() == second[0] + [teacher.tokenizer.pad_token_id] * (len(first[0]) - len(second[0]))
    assert batch["mask0"].sum(dim=1).tolist() == [len(first[0]), len(second[0])]
    assert batch["mask1"].sum(dim=1).tolist() == [len(first[1]), len(second[1])]
