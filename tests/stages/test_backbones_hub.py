"""The stage `backbones` with models of a hub: small checkpoints in the form in which the real ones are published."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file
from tiny_models import save_unigram_bert
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForPreTraining,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
)

from clseave.backbones.vocabulary import bert_tokenizer, clip_tokenizer
from clseave.corpora.images import load_processor
from clseave.foundation.errors import UserError
from clseave.models.loading import load_model, load_text_encoder
from clseave.models.tokens import encode, load_tokenizer, pad
from clseave.models.towers import TextTower
from clseave.stages import backbones
from clseave.word_alignment.aligner import WordAligner
from hub_server import REVISION, serve
from settings import SETTINGS

# Models are written, served and fetched; the group shares what is made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("backbones_hub")]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import json, sys; from run import main; sys.exit(max(map(main, json.load(sys.stdin))))"
ENGLISH = ["A man in a red shirt is riding a bike .", "Two dogs play in the grass .", "A woman sings"]
TEXTS = [*ENGLISH, "Ein Mann mit rotem Hemd fährt Rad.", "赤いシャツの男", "한 남자가 자전거를 탄다", "一个男人骑车"]
WIDTH, LAYERS = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}, {"num_hidden_layers": 2}
MEAN = [0.48145466, 0.4578275, 0.40821073]


def publish_clip(folder):
    """As openai/clip-vit-base-patch16 at the pinned revision: pickled weights with an old buffer, old special ids."""
    tokenizer = clip_tokenizer(ENGLISH, 560, 24)
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("model_max_length")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"name_or_path": "./clip_ViT_B_32/"}))
    shape = {**WIDTH, **LAYERS, "projection_dim": 12}
    text = CLIPTextConfig(vocab_size=len(tokenizer), max_position_embeddings=24, **shape)
    vision = CLIPVisionConfig(image_size=32, patch_size=16, **shape)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=12)
    torch.manual_seed(0)
    weights = CLIPModel(config).state_dict()
    weights["text_model.embeddings.position_ids"] = torch.arange(24)[None]
    torch.save(weights, folder / "pytorch_model.bin")
    written = json.loads(config.to_json_string())
    written["text_config"] |= {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_length": 20}
    (folder / "config.json").write_text(json.dumps(written | {"text_config_dict": None, "torch_dtype": "float32"}))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"crop_size": 32, "size": 32, "resample": 3, "image_mean": MEAN, "image_std": [0.25, 0.5, 0.75]})
    )
    return weights


def publish_mbert(folder):
    """As google-bert/bert-base-multilingual-cased: names of its time, a pooler and a head that nothing here reads."""
    tokenizer = bert_tokenizer(TEXTS, 300, 40)
    vocabulary = tokenizer.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "model_max_length": 512}))
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=40, **WIDTH, **LAYERS)
    torch.manual_seed(1)
    weights = BertForPreTraining(config).state_dict()
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value.clone()
        for name, value in weights.items()
        if ".decoder." not in name  # tied to the embeddings
    }
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), "directionality": "bidi"}, default=str))
    return weights


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Folders by id, and the weights in them."""
    folders, weights = {}, {}
    for name, publish in (("owner/clip", publish_clip), ("owner/mbert", publish_mbert)):
        folders[name] = tmp_path_factory.mktemp(name.replace("/", "-"))
        weights[name] = publish(folders[name])
    return folders, weights


def arguments(folder, name, models, **changes):
    """The stage's arguments, with a profile that is the thesis's but for these two models."""
    profile = YAML(typ="safe").load(SETTINGS / "profiles/thesis.yaml")
    for key, weights in (("clip", "convert"), ("mbert", "safetensors")):
        revision = None if str(models[key]).startswith("/") else REVISION
        profile["backbones"][key] = {"id": str(models[key]), "revision": revision, "weights": weights}
    profile["backbones"][name] |= changes
    (folder / "text").mkdir(parents=True, exist_ok=True)
    YAML().dump(profile, folder / "profile.yaml")
    values = {"params": SETTINGS / "params.yaml", "profile": folder / "profile.yaml", "text": folder / "text"}
    values |= {"backbone": name, "out": folder / "models" / name, "curve": folder / f"{name}.csv"}
    values |= {"checkpoints": folder / "checkpoints"}
    return [part for key, value in values.items() for part in (f"--{key}", str(value))]


def run(folder, names, url, **changes):
    """`src/run.py` on one backbone after the other in one program, with a hub of the test's and a cache of its own."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    models = {"clip": "owner/clip", "mbert": "owner/mbert"}
    calls = [["backbones", *arguments(folder, name, models, **changes)] for name in names]
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import json, sys; from run import main; sys.exit(max(map(main, json.load(sys.stdin))))",
        ],
        input=json.dumps(calls),
        check=False,
        cwd=ROOT,
        env={**own, "HF_ENDPOINT": url, "HF_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=120,
    )


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(folder).iterdir())}


@pytest.fixture(scope="module")
def imported(published, tmp_path_factory):
    """Both models as the stage leaves them, fetched from a loopback hub."""
    folder = tmp_path_factory.mktemp("imported")
    with serve(published[0]) as hub:
        done = run(folder, ("clip", "mbert"), hub.url)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    said = [f"owner/{name} at {REVISION}: fetching what {folder}/home/hub lacks" for name in ("clip", "mbert")]
    assert done.stderr.splitlines() == said
    return folder


def test_clip_keeps_its_weights_as_float32_safetensors(imported, published):
    before, after = published[1]["owner/clip"], load_file(imported / "models/clip/model.safetensors")
    assert after.keys() == before.keys() - {"text_model.embeddings.position_ids"}
    assert all(value.dtype == torch.float32 and torch.equal(value, before[name]) for name, value in after.items())
    assert set(hashes(imported / "models/clip")) >= {"config.json", "tokenizer.json", "preprocessor_config.json"}
    assert not list((imported / "models/clip").glob("*.bin"))


def test_clips_text_tower_pools_at_the_end_token(imported, published):
    """With the ids that the hub gives, `TextTower` would refuse the model."""
    tower = TextTower.load(imported / "models/clip").eval()
    whole = load_model(CLIPModel, imported / "models/clip")
    rows = encode(tower.tokenizer, ENGLISH)
    ids, mask = pad(rows, tower.tokenizer)
    with torch.no_grad():
        states = tower.model.text_model(input_ids=ids, attention_mask=mask).last_hidden_state
        wanted = torch.stack([states[row, len(ids_of) - 1] for row, ids_of in enumerate(rows)])
        projected = wanted @ published[1]["owner/clip"]["text_projection.weight"].T
        assert torch.allclose(tower(ids, mask), projected, atol=1e-6)
        features = whole.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
    assert torch.allclose(features, projected, atol=1e-6)
    assert (tower.width, tower.tokenizer.model_max_length) == (12, 24)


def test_clips_preprocessing_is_the_published_one(imported, published):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 61, 3), dtype=np.uint8))
    theirs = CLIPImageProcessorPil.from_pretrained(published[0]["owner/clip"])
    ours = load_processor(imported / "models/clip")
    assert (ours.size, ours.crop_size, ours.image_std) == (
        {"shortest_edge": 32},
        {"height": 32, "width": 32},
        (0.25, 0.5, 0.75),
    )
    assert torch.equal(*(part(picture, return_tensors="pt").pixel_values for part in (ours, theirs)))


@pytest.mark.parametrize(("name", "longest"), [("clip", 24), ("mbert", 40)])
def test_tokenizers_give_the_published_ids_and_know_the_models_length(imported, published, name, longest):
    ours = load_tokenizer(imported / "models" / name)
    theirs = AutoTokenizer.from_pretrained(published[0][f"owner/{name}"])
    texts = ENGLISH if name == "clip" else TEXTS
    assert ours(texts).input_ids == theirs(texts).input_ids
    if name == "mbert":  # CLIP's unknown token is its end token
        assert all(theirs.unk_token_id not in row for row in theirs(texts).input_ids)
    assert ours.model_max_length == longest


def test_mbert_is_read_by_the_student_and_by_the_aligner(imported, published):
    before, folder = published[1]["owner/mbert"], imported / "models/mbert"
    student = load_text_encoder(folder).state_dict()
    aligner = WordAligner(folder, 2, 1e-3, 4)
    for state in (student, aligner.model.bert.state_dict()):
        shared = {name for name in state if f"bert.{name}" in before and "position_ids" not in name}
        assert len(shared) == len(student) > 30
        assert all(torch.equal(state[name], before[f"bert.{name}"]) for name in shared)
    stored = load_file(folder / "model.safetensors")
    assert "embeddings.LayerNorm.weight" in stored and not any("gamma" in name for name in stored)
    assert not any("pooler" in name or "seq_relationship" in name for name in stored)
    (pairs,) = aligner.align([["Two", "dogs"]], [["一", "个", "男"]])
    assert pairs == sorted(pairs) and pairs


def test_the_curve_has_its_columns_and_no_row(imported):
    for name in ("clip", "mbert"):
        curve = pd.read_csv(imported / f"{name}.csv")
        assert list(curve) == ["step", "loss", "learning_rate"] and curve.empty


@pytest.mark.parametrize("name", ["clip", "mbert"])
def test_a_local_folder_gives_the_same_bytes_again_and_again(imported, published, tmp_path, name):
    models = {key: published[0][f"owner/{key}"] for key in ("clip", "mbert")}
    for number in (1, 2):
        backbones.main(arguments(tmp_path / str(number), name, models))
    one, other = (hashes(tmp_path / number / "models" / name) for number in "12")
    fetched = hashes(imported / "models" / name)
    assert one == other
    assert {file for file in one if one[file] != fetched[file]} == {"training.json"}  # the id of the hub
    made = tmp_path / "1/models" / name
    text = "".join(path.read_text() for path in made.glob("*.json"))
    assert str(tmp_path) not in text and "/tmp" not in text and "owner" not in text


def test_what_is_not_to_be_had_is_one_line_and_nothing_is_written(published, tmp_path):
    with serve(published[0]) as hub:
        done = run(tmp_path, ("mbert",), hub.url, revision="f" * 40)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: owner/mbert from {hub.url}: no revision {'f' * 40}: name a")
    assert not any((tmp_path / "models").rglob("*")) and not (tmp_path / "mbert.csv").exists()


def test_a_local_folder_without_the_weights_asked_for_is_named(published, tmp_path):
    models = {key: published[0][f"owner/{key}"] for key in ("clip", "mbert")}
    with pytest.raises(UserError, match="safetensors: say `weights: convert` to read pytorch"):
        backbones.main(arguments(tmp_path, "clip", models, weights="safetensors"))
    assert not any((tmp_path / "models").rglob("*")) and not (tmp_path / "clip.csv").exists()


def copy(source, target):
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize(("name", "weights"), [("mbert", "safetensors"), ("clip", "convert")])
def test_weights_in_shards_give_the_same_bytes(imported, published, tmp_path, name, weights):
    folder = copy(published[0][f"owner/{name}"], tmp_path / "shards")
    path = next(folder.glob("model.safetensors" if weights == "safetensors" else "pytorch_model.bin"))
    tensors = load_file(path) if weights == "safetensors" else torch.load(path)
    index = {"metadata": {}, "weight_map": {}}
    for number, own in enumerate((sorted(tensors)[::2], sorted(tensors)[1::2]), start=1):
        shard = f"{path.stem}-0000{number}-of-00002{path.suffix}"
        part = {key: tensors[key] for key in own}
        if weights == "safetensors":
            save_file(part, folder / shard, metadata={"format": "pt"})
        else:
            torch.save(part, folder / shard)
        index["weight_map"] |= dict.fromkeys(own, shard)
    path.unlink()
    (folder / f"{path.name}.index.json").write_text(json.dumps(index))
    backbones.main(arguments(tmp_path / "out", name, {"clip": folder, "mbert": folder}))
    made, fetched = (hashes(place / "models" / name) for place in (tmp_path / "out", imported))
    assert {file for file in made if made[file] != fetched[file]} == {"training.json"}  # the id of the hub


def test_a_tokenizer_of_another_model_is_named(published, tmp_path):
    folder = copy(published[0]["owner/mbert"], tmp_path / "mixed")
    (folder / "vocab.txt").write_text((folder / "vocab.txt").read_text() + "mehr\nnoch\n")
    with pytest.raises(UserError, match=r"mixed: the tokenizer has \d+ tokens, the model \d+"):
        backbones.main(arguments(tmp_path / "out", "mbert", {"clip": folder, "mbert": folder}))
    assert not any((tmp_path / "out/models").rglob("*"))


def test_a_checkpoint_that_lacks_a_weight_is_named(published, tmp_path):
    folder = copy(published[0]["owner/mbert"], tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    weights.pop("bert.encoder.layer.1.attention.self.key.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"part lacks 1 weights of BertModel, the first encoder.layer.1"):
        backbones.main(arguments(tmp_path / "out", "mbert", {"clip": folder, "mbert": folder}))


def test_a_bert_that_does_not_say_whether_it_lower_cases_is_refused(published, tmp_path):
    folder = copy(published[0]["owner/mbert"], tmp_path / "silent")
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match=r"silent: nothing says whether this BERT lower-cases: expected tokenizer_con"):
        backbones.main(arguments(tmp_path / "out", "mbert", {"clip": folder, "mbert": folder}))
    assert not any((tmp_path / "out/models").rglob("*"))


def test_a_bert_without_heads_and_with_sentencepieces_serves_student_and_aligner(tmp_path):
    """As multilingual-e5-small."""
    (tmp_path / "e5").mkdir()
    folder = save_unigram_bert(tmp_path / "e5")
    backbones.main(arguments(tmp_path, "mbert", {"clip": folder, "mbert": folder}))
    made = tmp_path / "models/mbert"
    assert load_text_encoder(made).config.eos_token_id == 2
    text = ["Ein", "roter", "Kreis"]
    assert encode(load_tokenizer(made), [" ".join(text)]).tolist() == [WordAligner(made, 2, 0.001, 2)._encode(text)[0]]
