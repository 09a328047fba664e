"""Where the order of words is lost: what linear probes read from either side, and what training pairs are learnt.

The probes need to know what a sentence says and what an image shows, so that only a generated world has all of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from clseave.corpora.direction_swaps import negatives, single
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, distinct_hypotheses, read_vectors
from clseave.foundation.settings.schema import AnySource, Scenes
from clseave.miniature import gold, world
from clseave.miniature.statements import DIRECTIONS, label_scenes
from clseave.models.clip_ve import ClipVE
from clseave.models.encoders import embed_texts
from clseave.models.towers import TextTower
from clseave.statistics import metrics, swaps
from clseave.statistics.probes import probe

BATCH = 500
Rows = Mapping[str, Sequence[Example]]  # by split


def swap_accuracy(examples: Sequence[Example], answers: np.ndarray) -> float:
    """The share of minimal pairs whose two rows are both answered rightly, from the rows' label ids (N,)."""
    gold_ids = metrics.gold_ids([row.label for row in examples])
    return float(swaps.summary(answers == gold_ids, [row.pair for row in examples])["swap_accuracy"])


def relations(examples: Sequence[Example]) -> dict[str, tuple[str, str, str]]:
    """Of each relation among the hypotheses, by id: first thing, direction, second thing."""
    found = {}
    for row in examples:
        if row.kind == "relation" and row.statement is not None:
            words = row.statement.split()[1:]
            at = next(place for place, word in enumerate(words) if word in DIRECTIONS)
            found[row.hypothesis_id] = (" ".join(words[:at]), words[at], " ".join(words[at + 1 :]))
    return found


def probe_texts(tower: TextTower, rows: Rows) -> dict[str, float]:
    """What probes read from the vectors of test relations whose sentence train lacks, as shares of these.

    `probe_direction`: the direction; `probe_statement`: both things and the direction. `probe_order`: of those where
    both things are read, first and second as they are and not exchanged: a vector that holds the words without their
    order has a half at most, and less where train says the two the other way round.
    """
    said = {split: relations(rows[split]) for split in ("train", "test")}
    said["test"] = {key: parts for key, parts in said["test"].items() if key not in said["train"]}
    if not all(said.values()):
        return {}
    vectors = {}
    for split, found in said.items():
        english = distinct_hypotheses(rows[split])
        vectors[split] = embed_texts(tower, [english[key] for key in found], BATCH).numpy()
    trained, tested = (np.array(list(found.values())) for found in said.values())  # (N, 3), (M, 3)
    read = np.stack([probe(vectors["train"], trained[:, part], vectors["test"]) for part in range(3)], axis=1)
    kept = (read[:, ::2] == tested[:, ::2]).all(1)
    exchanged = (read[:, ::2] == tested[:, ::-2]).all(1)
    return {
        "probe_direction": float((read[:, 1] == tested[:, 1]).mean()),
        "probe_statement": float((read == tested).all(1).mean()),
        "probe_order": float(kept.sum() / max(1, (kept | exchanged).sum())),
    }


def probe_images(vectors: Path, source: AnySource) -> dict[str, float]:
    """Share of the cells of test images whose content a probe reads from the image vector; empty for photos."""
    if not isinstance(source, Scenes):
        return {}
    place, table = read_vectors(vectors)
    given, wanted = [], []
    for split in ("train", "test"):
        scenes, _ = world.draw_scenes(split, source)
        keys = [world.image_id(split, number) for number in range(len(scenes))]
        encoded = np.array([key in place for key in keys])
        given.append(table[[place[key] for key in keys if key in place]])
        wanted.append(scenes[encoded])
    cells = [
        probe(given[0], wanted[0][:, cell].astype(str), given[1]) == wanted[1][:, cell].astype(str)
        for cell in range(wanted[0].shape[1])
    ]
    return {"probe_cells": float(np.mean(cells))}


def measure(model: ClipVE, rows: Rows, vectors: Path, source: AnySource) -> dict[str, float]:
    """All probes that the corpus allows."""
    assert isinstance(model.tower, TextTower)
    tower = TextTower(model.tower.model, model.tower.tokenizer)
    return probe_texts(tower, rows) | probe_images(vectors, source)


def rule(examples: Sequence[Example], source: AnySource, seed: int) -> dict[str, float]:
    """Share of the negatives made by the rule that the world agrees with; empty for photos."""
    if not isinstance(source, Scenes):
        return {}
    scenes, _ = world.draw_scenes("train", source)
    number = {world.image_id("train", row): row for row in range(len(scenes))}
    right = [
        LABELS[label_scenes(gold.facts_by_sentence()[row.hypothesis][0], scenes[[number[row.image_id]]])[0]]
        == row.label
        for row in negatives(single(examples, seed))
    ]
    return {"rule_negatives": float(len(right)), "rule_true": float(np.mean(right))}
