"""Model cards: what the hub's own parser reads in them, that nothing of the machine is in them, and the same bytes."""

import copy
import os
import re
import subprocess
import sys
from argparse import Namespace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from ruamel.yaml import YAML

from clseave import cards, params, provenance
from clseave.errors import UserError
from settings import SETTINGS
from views import view

ROOT = Path(__file__).resolve().parents[2]
STAGE = "clseave.stages.clseave"
FIGURES = {"seed": 3, "lr": 0.0005, "epoch": 2, "epochs_run": 4, "dev_mse": 0.25, "dev_cosine": 0.9, "train_mse": 0.3}
KEYS = ("lr", "sampler", "clseave", "encode_batch", "device", "max_resident_gb")
TRAINERS = ("autoencoder", "backbones", "clseave", "clteave", "finetune_baseline", "finetune_clip_ve")


@cache
def read_values(profile, keys):
    return params.load(SETTINGS / "params.yaml", SETTINGS / "profiles" / f"{profile}.yaml", view(*keys))


def values(profile="mini", keys=KEYS):
    return copy.deepcopy(read_values(profile, keys))


def backbone(folder, name, profile="mini", **changes):
    """The folder of a backbone with its card."""
    out = folder / f"{profile}-{name}"
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.safetensors").write_bytes(b"weights")
    (folder / "text").mkdir(exist_ok=True)
    (folder / "text" / "en.txt").write_text("a line\n")
    args = Namespace(out=out, backbone=name, text=folder / "text", profile=Path(f"profiles/{profile}.yaml"))
    settings = values(profile, ("source", "backbones"))
    if changes:
        fetched = getattr(settings.backbones, name).model_copy(update=changes)
        backbones = settings.backbones.model_copy(update={name: fetched})
        settings = settings.model_copy(update={"backbones": backbones})
    cards.write(args, "clseave.stages.backbones", settings, {}, "en" if name == "clip" else ["en", "de"])
    return out


def student(folder, mbert, *, profile="mini", settings=None, **figures):
    """The folder of a student of made data, with its card."""
    for name, content in (("examples/train.jsonl", "1"), ("targets/ids.json", "2"), ("de.jsonl", "3")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / name).exists():
            (folder / name).write_text(content)
    args = Namespace(
        out=folder / "student",
        params=folder / "params.yaml",
        profile=folder / f"{profile}.yaml",
        examples=folder / "examples",
        translations=folder / "de.jsonl",
        targets=folder / "targets",
        mbert=mbert,
        checkpoints=folder / "nowhere",
        seed=3,
    )
    args.out.mkdir(exist_ok=True)
    cards.write(args, STAGE, settings or values(profile), FIGURES | figures, "de")
    return args.out


def text(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


def section(folder, title):
    """One section of a card without its heading."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text(folder), re.DOTALL | re.MULTILINE)[1].strip()


def test_the_hub_reads_the_front_matter(tmp_path):
    card = ModelCard(text(student(tmp_path, backbone(tmp_path, "mbert"))))
    data = card.data.to_dict()
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


def test_a_card_names_data_code_values_figures_and_seed(tmp_path):
    made = student(tmp_path, backbone(tmp_path, "mbert"))
    assert "Profile `mini`, seed 3. Written by the stage `clseave`" in text(made)
    rows = dict(re.findall(r"^\| (\w+) \| `([0-9a-f]{64})` \|$", section(made, "Data"), re.MULTILINE))
    inputs = {"examples": "examples", "targets": "targets", "translations": "de.jsonl", "mbert": "mini-mbert"}
    assert rows == {name: provenance.digest(tmp_path / path) for name, path in inputs.items()}
    assert f"`{provenance.digest_of_list(rows)}`" in section(made, "Data").splitlines()[0]
    yaml = re.search(r"```yaml\n(.*?)```", section(made, "Parameters"), re.DOTALL)[1]
    shown = YAML(typ="safe", pure=True).load(yaml)
    assert shown["lr"] == values().lr and shown["clseave"] == values().clseave.model_dump(mode="json")
    assert "| epoch | 2 |" in section(made, "Figures") and "| seed" not in section(made, "Figures")
    assert provenance.fingerprint(provenance.code_files(STAGE)) in section(made, "Code")


def test_every_model_of_the_pipeline_has_its_words(tmp_path):
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    named = YAML(typ="safe", pure=True).load(SETTINGS / "params.yaml")
    names = set()
    for stage, content in stages.items():
        for out in content.get("outs", []):
            if next(iter(out)).startswith("models/"):
                chosen = content["matrix"].get("model", content["matrix"].get("backbone", [stage]))
                names |= set(named[chosen[2:-1]] if isinstance(chosen, str) else chosen)
    assert names == set(cards.MODELS)
    sections = ("Intended use", "Limits", "Licence", "Figures", "Data", "Parameters", "Code")
    made = student(tmp_path, backbone(tmp_path, "mbert"))
    assert re.findall(r"^## (.*)$", text(made), re.MULTILINE) == list(sections)
    assert all(len(section(made, title)) > 20 for title in sections)


@pytest.mark.parametrize("stage", TRAINERS)
def test_every_input_of_a_stage_is_hashed(stage):
    content = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"][stage]
    given = re.findall(r"--([\w-]+) (\S+)", content["cmd"])
    deps = [dep for dep in content["deps"] if dep.split("/")[0] in ("data", "models") and "checked.txt" not in dep]
    hashed = [path for name, path in given if name in cards.INPUTS and "/" in path]
    assert sorted(hashed) == sorted(deps) and deps
    models = [name for name, path in given if path in deps and path.startswith("models/")]
    assert set(models) <= set(cards.BASES)


def test_no_machine_and_no_time_in_a_card(tmp_path):
    made = text(student(tmp_path, backbone(tmp_path, "mbert")))
    for odd in (str(tmp_path), str(ROOT), "/tmp", os.uname().nodename, "device:", "commit", "nowhere"):
        assert odd not in made, odd
    assert not re.search(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b|[0-9]{2}:[0-9]{2}:[0-9]{2}", made)


def test_where_it_was_computed_changes_no_byte(tmp_path):
    one = student(tmp_path / "a", backbone(tmp_path / "a", "mbert"))
    elsewhere = values().model_copy(update={"device": "cuda", "max_resident_gb": 0.5})
    other = student(tmp_path / "b", backbone(tmp_path / "b", "mbert"), settings=elsewhere)
    assert text(one) == text(other)


PROCESS = """
import sys
from pathlib import Path
import test_cards
folder = Path(sys.argv[1])
test_cards.student(folder, test_cards.backbone(folder, "mbert"))
"""


def test_another_process_another_hash_seed_and_another_folder_give_the_same_bytes(tmp_path):
    made = []
    for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/Lima")):
        folder = tmp_path / f"run {seed}"
        folder.mkdir()
        paths = os.pathsep.join([str(ROOT / name) for name in ("src", "tests", "tests/unit")])
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "PYTHONPATH": paths}
        subprocess.run([sys.executable, "-c", PROCESS, folder], cwd=folder, env=environment, check=True)
        made.append([text(folder / "student"), text(folder / "mini-mbert")])
    assert made[0] == made[1]


@pytest.mark.parametrize("change", ["data", "parameter", "figure", "base"])
def test_a_card_shows_what_changed(tmp_path, change):
    mbert = backbone(tmp_path, "mbert")
    before, settings = text(student(tmp_path, mbert)), values()
    if change == "data":
        (tmp_path / "de.jsonl").write_text("another translation")
    if change == "base":
        (mbert / "model.safetensors").write_bytes(b"other weights")
    if change == "parameter":
        settings = settings.model_copy(update={"lr": 2 * settings.lr})
    after = text(student(tmp_path, mbert, settings=settings, **({"epoch": 1} if change == "figure" else {})))
    lines = [(one, other) for one, other in zip(before.splitlines(), after.splitlines(), strict=True) if one != other]
    assert len(lines) == (2 if change in ("data", "base") else 1)


def test_a_reworded_card_of_the_base_changes_no_data_hash(tmp_path):
    mbert = backbone(tmp_path, "mbert")
    before = text(student(tmp_path, mbert))
    (mbert / "README.md").write_text(text(mbert) + "\nOne more line.\n")
    assert text(student(tmp_path, mbert)) == before


def test_a_backbone_shows_its_own_values_only(tmp_path):
    shown = section(backbone(tmp_path, "clip"), "Parameters")
    assert "seed: 0" in shown and "vision:" in shown and "mask:" not in shown and "source:" in shown


def test_a_fetched_backbone_names_its_source_licence_and_weights(tmp_path):
    made = backbone(tmp_path, "clip", "thesis")
    data = ModelCard(text(made)).data
    assert (data.license, data.base_model) == ("mit", ["openai/clip-vit-base-patch16"])
    assert "revision: 57c216476eefef5ab752ec549e440a49ae4ae5f3" in section(made, "Parameters")
    assert provenance.digest(made / "model.safetensors") in section(made, "Data")
    assert "None: nothing was trained here." in section(made, "Figures") and "seed none" in text(made)
    assert "source:" not in section(made, "Parameters")  # the corpus is not in it


@pytest.mark.parametrize("folder", ["/somewhere/of/mine", "./models/local/clip"])
def test_a_local_backbone_does_not_tell_its_folder(tmp_path, folder):
    made = backbone(tmp_path, "clip", "thesis", id=folder)
    assert folder not in text(made) and "id: a local folder" in text(made)
    assert ModelCard(text(made)).data.license == "unknown"


def test_a_student_of_the_thesis_inherits_from_its_base(tmp_path):
    made = student(tmp_path, backbone(tmp_path, "mbert", "thesis"), profile="thesis")
    data = ModelCard(text(made)).data
    assert (data.license, data.license_name) == ("other", "see-card")
    assert data.base_model == ["google-bert/bert-base-multilingual-cased"] and "generated-data" not in data.tags
    assert "CC BY-SA 4.0" in section(made, "Licence") and "toy world" not in text(made)


def test_a_base_without_a_card_is_not_known(tmp_path):
    (tmp_path / "bare").mkdir()
    made = student(tmp_path, tmp_path / "bare")
    assert ModelCard(text(made)).data.license == "unknown" and "held no card" in section(made, "Limits")


@pytest.mark.parametrize(
    "content", [b"---\nlicense: [\n---\n", b"---\n- a list\n---\n", b"\xff\xfe", b"---\nmodel-index: 7\n---\n"]
)
def test_a_damaged_card_is_the_users_error(tmp_path, content):
    mbert = backbone(tmp_path, "mbert")
    (mbert / "README.md").write_bytes(content)
    with pytest.raises(UserError, match=r"README\.md is no model card: delete its folder"):
        student(tmp_path, mbert)


def test_a_random_fifth_of_train_is_not_called_dev(tmp_path):
    settings = values("thesis", ("clip_ve",))
    assert settings.clip_ve.validation == "dev"
    fifth = SimpleNamespace(clip_ve=settings.clip_ve.model_copy(update={"validation": "train_fifth"}))
    for one, name in ((settings, "dev"), (fifth, "train_fifth")):
        args = Namespace(out=tmp_path, model="clip_ve", profile=Path("thesis.yaml"), clip=backbone(tmp_path, "clip"))
        cards.write(args, "clseave.stages.finetune_clip_ve", one, {"seed": 0, "dev_accuracy": 0.5}, "en")
        (result,) = ModelCard(text(tmp_path)).data.eval_results
        assert (result.dataset_split, result.metric_type, result.metric_value) == (name, "accuracy", 0.5)


def test_a_baseline_says_which_one_it_is(tmp_path):
    for kind in ("majority", "mbert"):
        args = Namespace(
            out=tmp_path,
            kind=kind,
            hypotheses="translated",
            translated=tmp_path / "de.jsonl",
            profile=Path("mini.yaml"),
            clip=backbone(tmp_path, "clip"),
            mbert=backbone(tmp_path, "mbert"),
        )
        (tmp_path / "de.jsonl").write_text("a row")
        cards.write(args, "clseave.stages.finetune_baseline", SimpleNamespace(), {"seed": 1, "epoch": 1}, "de")
        assert section(tmp_path, "Parameters") == f"```yaml\nhypotheses: translated\nkind: {kind}\n```"
        assert set(re.findall(r"^\| (\w+) \| `", section(tmp_path, "Data"), re.MULTILINE)) == {
            "clip",
            "mbert",
            "translated",
        }


def test_the_epoch_of_a_backbone_is_no_figure(tmp_path):
    args = Namespace(out=tmp_path, backbone="mbert", text=tmp_path, profile=Path("mini.yaml"))
    cards.write(
        args, "clseave.stages.backbones", values("mini", ("source", "backbones")), {"epoch": 7, "lr": 0.5}, "en"
    )
    assert "| lr | 0.5 |" in section(tmp_path, "Figures") and "| epoch" not in section(tmp_path, "Figures")
