"""One variant of the study on the smallest world: pre-trained, searched, judged; the same bytes again."""

import contextlib
import json

import numpy as np
import pytest
from real_world import run
from ruamel.yaml import YAML
from test_graph import ROOT

from clseave.foundation.rows.records import Example, read_rows
from clseave.foundation.settings import params
from clseave.single_stream.results import read, read_all
from clseave.studies import single_stream
from clseave.variants.runs import row_key
from settings import SETTINGS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("single_stream")]

SMALL = {
    "pretraining": {"epochs": 2, "steps": 3, "captions": 8, "alone": 4, "pairs": 4, "captions_per_image": 1},
    "retrieval": {"epochs": 1},
    "entailment": {"epochs": 1},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Profile `tiny` up to its image vectors and German translations, and the study with few steps."""
    folder = tmp_path_factory.mktemp("stream")
    (folder / "profiles").mkdir()
    profile = params.read_yaml(SETTINGS / "profiles/tiny.yaml")
    (folder / "profiles/tiny.yaml").write_text(json.dumps(profile))
    values = params.read_yaml(SETTINGS / "params.yaml") | {"profile": "tiny", "languages": ["de"]}
    (folder / "params.yaml").write_text(json.dumps(values))
    study = YAML(typ="safe").load(ROOT / "studies/single_stream/params.yaml") | {
        "languages": ["en", "de"],
        "seeds": [0],
    }
    for key, changes in SMALL.items():
        study[key] |= changes
    (folder / "study").mkdir()
    YAML().dump(study, folder / "study/params.yaml")
    for stage, items in (
        ("check", [{}]),
        ("prepare", [{}]),
        ("backbones", [{"backbone": "clip"}, {"backbone": "mbert"}]),
        ("encode_images", [{}]),
        ("translate", [{"language": "de"}]),
    ):
        for item in items:
            run(folder, stage, profile="tiny", **item)
    return folder


def trained(folder, variant, out):
    """Run a variant; its run."""
    data = "data/tiny"
    options = {
        "study": "study", "params": "params.yaml", "profile": "profiles/tiny.yaml", "examples": f"{data}/examples",
        "hypotheses": f"{data}/hypotheses", "images": f"{data}/images", "source": f"{data}/source",
        "vectors": f"{data}/image_vectors", "clip": "models/tiny/clip", "mbert": "models/tiny/mbert", "out": out,
        "variant": variant, "seed": "0",
    }  # fmt: skip
    with contextlib.chdir(folder):
        single_stream.main([word for name, value in options.items() for word in (f"--{name}", value)])
    return read(folder / out / "joint.json")


def test_a_variant_is_trained_searched_and_judged(world):
    found = trained(world, "full", "runs/full-seed0")
    examples = read_rows(world / "data/tiny/examples/test.jsonl", Example)
    assert found.rows == row_key(examples)
    assert set(found.answers) == {"en", "de", "de_trained"}
    assert {len(answers) for answers in found.answers.values()} == {len(examples)}
    assert set(found.retrieval) == {"en", "de", "de_translated"}
    for one in found.retrieval.values():
        texts, images = one.hits(10)
        assert one.measures["text_to_image_r10"] == pytest.approx(texts.mean(), abs=1e-6)
        assert one.measures["image_to_text_r10"] == pytest.approx(images.mean(), abs=1e-6)
        assert np.all(one.hits(1)[0] <= texts)
    assert {"pretraining_dev_cmtr", "retrieval_de_dev_miss", "entailment_en_dev_accuracy"} <= set(found.measures)
    assert read_all(world / "runs", ["full"], [0], found.rows) == {"full": [found]}
    assert not (world / ".work/checkpoints/runs").exists() or not list((world / ".work/checkpoints/runs").iterdir())


def test_a_variant_without_entailment_leaves_no_answers_and_repeats(world):
    first, again = (trained(world, "no_cmtr", f"runs/{name}-seed0") for name in ("first", "again"))
    assert first == again and not first.answers and "pretraining_dev_cmtr" not in first.measures
    assert len(list((world / ".work/regions").iterdir())) == 1, "regions are made once"
