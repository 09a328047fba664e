"""Model cards: what the hub's own parser reads in them, that nothing of the machine is in them, and the same bytes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from ruamel.yaml import YAML

from clseave.cards import model_card
from clseave.foundation.errors import UserError
from clseave.foundation.process import fingerprint
from clseave.foundation.rows.training_record import LOCAL, Origin, TrainingRecord
from settings import SETTINGS

ROOT = Path(__file__).resolve().parents[3]
CLIP, MBERT = "openai/clip-vit-base-patch16", "google-bert/bert-base-multilingual-cased"
METRICS = {"lr": 0.0005, "epoch": 2, "epochs_run": 4, "dev_mse": 0.25, "dev_cosine": 0.9, "train_mse": 0.3}
SECTIONS = ["Intended use", "Limits", "Licence", "Figures", "Weights", "Data", "Parameters", "Code"]


def mbert(**changes):
    """The record of a backbone that was trained here."""
    fields = {"name": "mbert", "stage": "backbones", "profile": "mini", "seed": 0, "languages": ["en", "de"]}
    fields |= {"parameters": {"kind": "train"}, "inputs": {"text": "1" * 64}, "metrics": {"train_loss": 0.5}}
    return TrainingRecord(**fields | {"origin": Origin(corpus="scenes")} | changes)


def fetched(name, model, **changes):
    origin = Origin(corpus="photos", id=model, revision="0" * 40)
    return mbert(name=name, profile="thesis", seed=None, languages=["en"], origin=origin, metrics={}, **changes)


def student(**changes):
    fields = {"name": "clseave", "stage": "clseave", "profile": "mini", "seed": 3, "languages": ["de"]}
    fields |= {"parameters": {"lr": 0.0005, "clseave": {"pooling": "sep"}}, "bases": ["models/mini/mbert"]}
    fields |= {"inputs": {"examples": "2" * 64, "mbert": "3" * 64}, "metrics": METRICS}
    return TrainingRecord(**fields | changes)


def card(folder, record, **bases):
    """The card of a model with these weights and that record; `bases` are the records of models/mini/NAME."""
    made = folder / "models/mini/clseave/de/seed3"
    made.mkdir(parents=True, exist_ok=True)
    for name in ("model", "projection"):
        (made / f"{name}.safetensors").write_text(f"weights of the {name}")
    return model_card.render(made, record, {f"models/mini/{name}": one for name, one in bases.items()})


def section(text, title):
    """One section of a card without its heading."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)[1].strip()


def rows(text, title):
    """The table of hashes of a section."""
    return dict(re.findall(r"^\| ([\w. ]+) \| `([0-9a-f]{64})` \|$", section(text, title), re.MULTILINE))


def test_the_hub_reads_the_front_matter(tmp_path):
    data = ModelCard(card(tmp_path, student(), mbert=mbert())).data.to_dict()
    assert {key: data[key] for key in ("language", "license", "library_name", "pipeline_tag", "metrics")} == {
        "language": "de",
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "feature-extraction",
        "metrics": ["mse", "cosine"],
    }
    assert data["tags"] == ["visual-entailment", "clseave", "generated-data"] and "base_model" not in data
    (listed,) = data["model-index"]
    assert listed["name"] == "clseave, profile mini"
    assert [(one["metrics"], one["dataset"]["split"]) for one in listed["results"]] == [
        ([{"type": "mse", "value": 0.25}, {"type": "cosine", "value": 0.9}], "dev")
    ]
    assert ModelCard(card(tmp_path, mbert())).data.language == ["en", "de"]


def test_a_card_says_what_the_record_says(tmp_path):
    text = card(tmp_path, student(), mbert=mbert())
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert all(len(section(text, title)) > 20 for title in SECTIONS)
    assert "Profile `mini`, seed 3. Made by the stage `clseave`." in text
    assert rows(text, "Data") == student().inputs
    assert f"`{fingerprint.digest_of_list(student().inputs)}`" in section(text, "Data").splitlines()[0]
    shown = re.search(r"```yaml\n(.*?)```", section(text, "Parameters"), re.DOTALL)[1]
    assert YAML(typ="safe", pure=True).load(shown) == student().parameters
    figures = re.findall(r"^\| (\w+) \| ([\d.]+) \|$", section(text, "Figures"), re.MULTILINE)
    assert figures == [(name, str(value)) for name, value in METRICS.items()]
    assert "`dvc.lock`" in section(text, "Code") and "`models/mini/clseave/de/seed3`" in section(text, "Code")


def test_a_card_and_a_model_can_be_matched_by_the_weights(tmp_path):
    text, made = card(tmp_path, student(), mbert=mbert()), tmp_path / "models/mini/clseave/de/seed3"
    names = ["model.safetensors", "projection.safetensors"]
    assert rows(text, "Weights") == {name: fingerprint.digest(made / name) for name in names}
    (made / "model.safetensors").unlink()
    (made / "projection.safetensors").unlink()
    (made / "head.json").write_text("{}")
    text = model_card.render(made, student(), {})
    assert rows(text, "Weights") == {"head.json": fingerprint.digest(made / "head.json")}


def test_every_model_of_the_pipeline_has_its_words():
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    named = YAML(typ="safe", pure=True).load(SETTINGS / "params.yaml")
    names = set()
    for stage, content in stages.items():
        for out in content.get("outs", []):
            if next(iter(out)).startswith("models/"):
                chosen = content["matrix"].get("model", content["matrix"].get("backbone", [stage]))
                names |= set(named[chosen[2:-1]] if isinstance(chosen, str) else chosen)
    assert names == set(model_card.MODELS)


def test_no_machine_and_no_time_in_a_card(tmp_path):
    made = card(tmp_path, student(), mbert=mbert())
    for odd in (str(tmp_path), str(ROOT), "/tmp", os.uname().nodename, "device:"):
        assert odd not in made, odd
    assert not re.search(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b|[0-9]{2}:[0-9]{2}:[0-9]{2}", made)


PROCESS = """
import sys
from pathlib import Path
from test_model_card import card, mbert, student
text = card(Path(sys.argv[1]), student(), mbert=mbert())
sys.stdout.buffer.write(text.encode())
"""


def test_another_process_another_hash_seed_and_another_folder_give_the_same_bytes(tmp_path):
    made = []
    for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/Lima")):
        folder = tmp_path / f"run {seed}"
        folder.mkdir()
        paths = os.pathsep.join([str(ROOT / name) for name in ("src", "tests", "tests/unit", "tests/unit/cards")])
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "PYTHONPATH": paths}
        command = [sys.executable, "-c", PROCESS, folder]
        made.append(subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True).stdout)
    assert made[0] == made[1] == card(tmp_path, student(), mbert=mbert()).encode()


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"inputs": {"examples": "2" * 64, "mbert": "4" * 64}}, 2),  # the input, and the hash of all
        ({"parameters": {"lr": 0.001, "clseave": {"pooling": "sep"}}}, 1),
        ({"metrics": METRICS | {"epoch": 1}}, 1),
    ],
)
def test_a_card_shows_what_changed(tmp_path, changes, count):
    before, after = (card(tmp_path, one, mbert=mbert()).splitlines() for one in (student(), student(**changes)))
    assert sum(one != other for one, other in zip(before, after, strict=True)) == count


def test_a_fetched_backbone_names_its_source_licence_and_weights(tmp_path):
    text = card(tmp_path, fetched("clip", CLIP, parameters={"clip": {"id": CLIP, "revision": "0" * 40}}))
    data = ModelCard(text).data
    assert (data.license, data.base_model) == ("mit", [CLIP])
    assert f"revision: '{'0' * 40}'" in section(text, "Parameters")
    assert "None: nothing was trained here." in section(text, "Figures") and "seed none" in text


def test_a_local_backbone_is_under_no_known_licence(tmp_path):
    data = ModelCard(card(tmp_path, fetched("clip", LOCAL))).data
    assert data.license == "unknown" and "base_model" not in data.to_dict()


def test_a_student_of_the_thesis_inherits_from_its_base(tmp_path):
    text = card(tmp_path, student(profile="thesis"), mbert=fetched("mbert", MBERT))
    data = ModelCard(text).data
    assert (data.license, data.license_name) == ("other", "see-card")
    assert data.base_model == [MBERT] and "generated-data" not in data.tags
    assert "CC BY-SA 4.0" in section(text, "Licence") and "toy world" not in text


def test_a_base_without_a_record_is_not_known(tmp_path):
    text = card(tmp_path, student())
    assert ModelCard(text).data.license == "unknown" and "is not known" in section(text, "Limits")


def test_a_random_fifth_of_train_is_not_called_dev(tmp_path):
    for name in ("dev", "train_fifth"):
        record = student(name="clip_ve", validation=name, metrics={"dev_accuracy": 0.5})
        (result,) = ModelCard(card(tmp_path, record, mbert=mbert())).data.eval_results
        assert (result.dataset_split, result.metric_type, result.metric_value) == (name, "accuracy", 0.5)


def test_a_model_that_this_version_does_not_know_is_named(tmp_path):
    with pytest.raises(UserError, match=r"seed3/training\.json: name: found 'clsaeve', allowed: .*mean clseave\?"):
        card(tmp_path, student(name="clsaeve"))
