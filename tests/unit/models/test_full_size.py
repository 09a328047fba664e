"""CLIP ViT-B/16 and mBERT at full size with random weights, from the configurations that the hub publishes (2.2)."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import bert_text
from transformers import BertConfig, BertForMaskedLM, BertModel, CLIPConfig, CLIPModel, CLIPTextModelWithProjection

from clseave.models.head import Head, fuse
from clseave.models.loading import load_model, load_text_encoder
from clseave.models.student import Student
from clseave.word_alignment.aligner import WordAligner

TOWER = {
    "attention_dropout": 0.0,
    "hidden_act": "quick_gelu",
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-05,
    "num_hidden_layers": 12,
    "projection_dim": 512,
}
# The fields of openai/clip-vit-base-patch16 that give it its shape, with the special ids of its time.
CLIP = {
    "architectures": ["CLIPModel"],
    "initializer_factor": 1.0,
    "logit_scale_init_value": 2.6592,
    "model_type": "clip",
    "projection_dim": 512,
    "text_config": TOWER
    | {
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
        "hidden_size": 512,
        "intermediate_size": 2048,
        "max_position_embeddings": 77,
        "model_type": "clip_text_model",
        "num_attention_heads": 8,
        "vocab_size": 49408,
    },
    "text_config_dict": None,
    "vision_config": TOWER
    | {
        "hidden_size": 768,
        "image_size": 224,
        "intermediate_size": 3072,
        "model_type": "clip_vision_model",
        "num_attention_heads": 12,
        "patch_size": 16,
    },
    "vision_config_dict": {"patch_size": 16},
}
# Those of google-bert/bert-base-multilingual-cased.
MBERT = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 119547,
}


@pytest.fixture
def big_folder(tmp_path):
    """A folder for checkpoints of 700 MB, which pytest would keep."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def read(kind, folder, content):
    """A configuration as it is read from a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    return kind.from_pretrained(folder)


def shapes(kind, config, **settings):
    """Shape of every weight, without making one."""
    with torch.device("meta"):
        model = kind._from_config(config, attn_implementation="eager", **settings)
    return {name: tuple(value.shape) for name, value in model.named_parameters()}, model


def size(shapes_of):
    return sum(torch.Size(shape).numel() for shape in shapes_of.values())


def test_clip_has_the_published_number_of_weights_under_the_published_names(tmp_path):
    config = read(CLIPConfig, tmp_path, CLIP)
    found, _ = shapes(CLIPModel, config)
    assert size(found) == 149_620_737
    wanted = {
        "logit_scale": (),
        "text_projection.weight": (512, 512),
        "visual_projection.weight": (512, 768),
        "text_model.embeddings.token_embedding.weight": (49408, 512),
        "text_model.embeddings.position_embedding.weight": (77, 512),
        "text_model.encoder.layers.0.self_attn.q_proj.weight": (512, 512),
        "text_model.encoder.layers.11.mlp.fc1.weight": (2048, 512),
        "text_model.final_layer_norm.bias": (512,),
        "vision_model.embeddings.class_embedding": (768,),
        "vision_model.embeddings.patch_embedding.weight": (768, 3, 16, 16),
        "vision_model.embeddings.position_embedding.weight": (197, 768),
        "vision_model.pre_layrnorm.weight": (768,),
        "vision_model.encoder.layers.11.layer_norm2.weight": (768,),
        "vision_model.post_layernorm.weight": (768,),
    }
    assert {name: found.get(name) for name in wanted} == wanted
    # 16 tensors a layer, 12 layers, two towers; embeddings, final norms, projections, the scale.
    assert len(found) == 2 * 12 * 16 + (2 + 2) + (3 + 2 + 2) + 2 + 1


def test_mbert_has_the_published_number_of_weights_under_the_published_names(tmp_path):
    config = read(BertConfig, tmp_path, MBERT)
    with_pooler, _ = shapes(BertModel, config)
    assert size(with_pooler) == 177_853_440
    ours, _ = shapes(BertModel, config, add_pooling_layer=False)
    assert size(ours) == 177_853_440 - 768 * 769
    masked, _ = shapes(BertForMaskedLM, config)
    wanted = {
        "bert.embeddings.word_embeddings.weight": (119547, 768),
        "bert.embeddings.position_embeddings.weight": (512, 768),
        "bert.embeddings.token_type_embeddings.weight": (2, 768),
        "bert.embeddings.LayerNorm.weight": (768,),
        "bert.encoder.layer.0.attention.self.query.weight": (768, 768),
        "bert.encoder.layer.11.intermediate.dense.weight": (3072, 768),
        "cls.predictions.transform.dense.weight": (768, 768),
        "cls.predictions.bias": (119547,),
    }
    assert {name: masked.get(name) for name in wanted} == wanted
    assert {name for name in masked if name.startswith("bert.")} == {f"bert.{name}" for name in ours}


def test_the_head_and_the_students_own_layers_have_the_thesis_sizes(tmp_path):
    """2048 -> 128 -> 128 -> 3 on the fused vectors of 512 (3.1.2); LayerNorm and 768 -> 512 without bias (3.3.1)."""
    head = Head(width=512, hidden=128, dropout=0.1)
    linear = [tuple(layer.weight.shape) for layer in head.modules() if isinstance(layer, torch.nn.Linear)]
    assert linear == [(128, 2048), (128, 128), (3, 128)]
    assert fuse(torch.rand(2, 512), torch.rand(2, 512)).shape == (2, 2048)
    assert head.eval()(torch.rand(2, 512), torch.rand(2, 512)).shape == (2, 3)
    _, model = shapes(BertModel, read(BertConfig, tmp_path, MBERT), add_pooling_layer=False)
    student = Student(model, bert_text(), 512, "sep")
    added = {name: tuple(value.shape) for name, value in student.named_parameters() if not name.startswith("encoder.")}
    assert added == {"norm.weight": (768,), "norm.bias": (768,), "projection.weight": (512, 768)}


@pytest.mark.slow
def test_clip_runs_and_survives_saving_at_full_size(big_folder):
    torch.manual_seed(0)
    model = CLIPModel._from_config(read(CLIPConfig, big_folder / "config", CLIP), attn_implementation="eager").eval()
    ids = torch.tensor([[49406, 320, 1125, 539, 320, 2368, 49407, 49407], [49406, 2368, 49407] + [49407] * 5])
    pixels = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        texts = model.get_text_features(input_ids=ids).pooler_output
        images = model.get_image_features(pixel_values=pixels).pooler_output
    assert texts.shape == images.shape == (2, 512) and texts.isfinite().all() and images.isfinite().all()
    model.save_pretrained(big_folder / "clip")
    stored = load_file(big_folder / "clip/model.safetensors")
    assert stored.keys() == model.state_dict().keys() and sum(v.numel() for v in stored.values()) == 149_620_737
    again = load_model(CLIPModel, big_folder / "clip")
    assert all(torch.equal(value, stored[name]) for name, value in again.state_dict().items())
    # The text tower by itself, as CLIP-VE trains it: 63,165,952 weights with the projection.
    tower = load_model(CLIPTextModelWithProjection, big_folder / "clip")
    assert sum(value.numel() for value in tower.parameters()) == 63_165_952 + 512 * 512
    with torch.no_grad():
        assert torch.equal(tower(input_ids=ids).text_embeds, texts)


@pytest.mark.slow
@pytest.mark.full
def test_mbert_runs_as_student_and_as_aligner_at_full_size(big_folder):
    torch.manual_seed(0)
    config = read(BertConfig, big_folder / "config", MBERT)
    BertForMaskedLM._from_config(config, attn_implementation="eager").save_pretrained(big_folder / "mbert")
    bert_text().save_pretrained(big_folder / "mbert")
    student = Student(load_text_encoder(big_folder / "mbert"), bert_text(), 512, "sep").eval()
    rows = bert_text()(["Ein roter Kreis ist oben links", "Der Kreis"], padding=True, return_tensors="pt")
    with torch.no_grad():
        vectors = student(rows.input_ids, rows.attention_mask)
        assert vectors.shape == (2, 512) and vectors.isfinite().all()
        student.save(big_folder / "student")
        assert torch.equal(Student.load(big_folder / "student")(rows.input_ids, rows.attention_mask), vectors)
    aligner = WordAligner(big_folder / "mbert", layer=8, threshold=1e-3, batch_size=2)
    (pairs,) = aligner.align([["A", "red", "circle"]], [["Ein", "roter", "Kreis"]])
    assert pairs and all(0 <= i < 3 and 0 <= j < 3 for i, j in pairs)
