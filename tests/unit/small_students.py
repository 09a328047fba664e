"""The inputs of the stages `clseave` and `clteave` on random models of a few thousand weights, and their commands."""

import json
from pathlib import Path

import numpy as np
import torch
from tiny_models import NARROW, PROJECTED, WIDE, clip_text, save_masked_bert, tower

from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Alignment, Example, Translation, hypothesis_id, write_rows, write_vectors
from clseave.foundation.settings import params
from clseave.miniature.grammar import align, express
from clseave.miniature.statements import all_facts
from clseave.models.token_student import Autoencoder
from settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
ROWS = {"train": 203, "dev": 20, "test": 3}


def make(folder: Path, *, dropout: float, **changes: dict) -> Path:
    """A folder with all that both stages read; `changes` are of the profile `tiny`, group by group."""
    sayings = {}
    for fact in all_facts()[::2]:
        english, german = express(fact, "en", 0), express(fact, "de", 0)
        if len(clip_text()(english.text).input_ids) <= clip_text().model_max_length:
            sayings[hypothesis_id(english.text)] = (english, german)
    sayings = dict(list(sayings.items())[: sum(ROWS.values())])
    keys = list(sayings)
    assert len(keys) == sum(ROWS.values())
    splits = np.repeat(list(ROWS), list(ROWS.values()))
    for split in ROWS:
        write_rows(
            folder / f"examples/{split}.jsonl",
            [
                Example(key, "image", key, sayings[key][0].text, LABELS[0], split, None, None)
                for key, found in zip(keys, splits, strict=True)
                if found == split
            ],
        )
    write_rows(
        folder / "de.jsonl",
        [Translation(key, one.text, "de", other.text, "gold", "1") for key, (one, other) in sayings.items()],
    )
    write_rows(
        folder / "aligned.jsonl",
        [
            Alignment(key, list(one.words), list(other.words), [list(pair) for pair in align(one, other)])
            for key, (one, other) in sayings.items()
        ],
    )
    write_vectors(folder / "targets", keys, np.random.default_rng(5).normal(size=(len(keys), PROJECTED)))
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    save_masked_bert(folder / "mbert", **rates)
    tower(initializer_factor=1.0).save(folder / "teacher")
    torch.manual_seed(3)
    (folder / "autoencoder").mkdir()
    Autoencoder(WIDE, NARROW).save(folder / "autoencoder")
    values = params.read_yaml(SETTINGS / "params.yaml") | {"profile": "small"}
    (folder / "params.yaml").write_text(json.dumps(values))
    profile = params.read_yaml(SETTINGS / "profiles/tiny.yaml")
    profile["clseave"] |= {"dropout": dropout, "batch_size": 20, "epochs": 5, "patience": None}
    profile["clteave"] |= {"batch_size": 20, "epochs": 5}
    for group, change in changes.items():
        profile[group] |= change
    (folder / "small.yaml").write_text(json.dumps(profile))
    return folder


def argv(folder: Path, stage: str, out: str) -> list[str]:
    """The arguments of `clseave` or `clteave`, whose outputs begin with `out`."""
    given = {
        "params": "params.yaml",
        "profile": "small.yaml",
        "examples": "examples",
        "translations": "de.jsonl",
        "mbert": "mbert",
        "checkpoints": f"{out}-unfinished",
        "out": f"{out}/{stage}",
        "curve": f"{out}.csv",
    }
    if stage == "clseave":
        given |= {"targets": "targets", "metrics": f"{out}.json"}
    else:
        given |= {"alignments": "aligned.jsonl", "teacher": "teacher", "autoencoder": "autoencoder"}
    return [word for name, path in given.items() for word in (f"--{name}", str(folder / path))] + ["--seed", "0"]
