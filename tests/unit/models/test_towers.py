"""Teachers other than CLIP: from a checkpoint as it is published to image vectors, sentence vectors and fine-tuning."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny_models import bert_text, clip_text, save_vocabulary, tower, unigram_text
from tokenizers.processors import TemplateProcessing
from torch.nn import functional
from transformers import (
    AltCLIPConfig,
    AltCLIPModel,
    AutoModel,
    BertConfig,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    DistilBertConfig,
    GemmaTokenizer,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from clseave.corpora.images import load_processor, preprocess
from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import Encoder, Evaluation
from clseave.models.pretrained import DUAL_ENCODERS, require_assemblies
from clseave.models.tokens import encode, load_fitting, load_tokenizer, pad
from clseave.models.towers import DualTextTower, ImageTower, TextTower, load_text_tower
from clseave.stages import backbones
from clseave.training.used_embeddings import keep_used_rows, restore_embedding

SHAPE = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {"image_size": 32, "patch_size": 16, **SHAPE}
LENGTH, WIDTH = 40, 12
TEXTS = ["Ein roter Kreis ist oben links", "Der Kreis", "A red circle"]


def siglip_text():
    """As SigLIP's: no token begins a sentence, `</s>` ends it."""
    made = unigram_text().backend_tokenizer.from_str(unigram_text().backend_tokenizer.to_str())
    made.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    names = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names, model_max_length=LENGTH)


def siglip():
    text = {"vocab_size": len(siglip_text()), "max_position_embeddings": LENGTH, "projection_size": 16, **SHAPE}
    config = SiglipConfig(text_config=text, vision_config=VISION)
    return SiglipModel(config), siglip_text(), SiglipImageProcessorPil(size={"height": 32, "width": 32})


def chinese_clip():
    text = {"vocab_size": len(bert_text()), "max_position_embeddings": LENGTH, "pad_token_id": 0, **SHAPE}
    config = ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=WIDTH)
    return (
        ChineseCLIPModel(config),
        bert_text(),
        ChineseCLIPImageProcessorPil(size={"height": 32, "width": 32}, crop_size=32),
    )


def altclip():
    text = {"vocab_size": len(unigram_text()), "max_position_embeddings": LENGTH + 2, "pad_token_id": 1, **SHAPE}
    config = AltCLIPConfig(text_config=text | {"project_dim": 16}, vision_config=VISION, projection_dim=WIDTH)
    return AltCLIPModel(config), unigram_text(), CLIPImageProcessorPil(size=32, crop_size=32)


def pair():
    text = BertConfig(vocab_size=len(bert_text()), max_position_embeddings=LENGTH, **SHAPE)
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        CLIPVisionConfig(**VISION), text, projection_dim=WIDTH
    )
    return VisionTextDualEncoderModel(config), bert_text(), CLIPImageProcessorPil(size=32, crop_size=32)


KINDS = {"siglip": siglip, "chinese_clip": chinese_clip, "altclip": altclip, "vision-text-dual-encoder": pair}


@pytest.fixture(scope="module", params=KINDS)
def teacher(request, tmp_path_factory):
    """The published folder, what the stage `backbones` makes of it, and both features by transformers alone."""
    torch.manual_seed(5)
    model, tokenizer, processor = KINDS[request.param]()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    published, made = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("made")
    for part in (model, tokenizer, processor):
        part.save_pretrained(published)
    backbones.import_clip(Encoder(id=str(published), revision=None, weights="safetensors"), made)
    whole = AutoModel.from_pretrained(published, attn_implementation="eager").eval()
    return SimpleNamespace(kind=request.param, published=published, made=made, whole=whole)


def sentences(folder):
    tokenizer = load_tokenizer(folder)
    return pad(encode(tokenizer, TEXTS), tokenizer)


def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 61, 3), dtype=np.uint8))


def test_every_kind_is_tested():
    assert {*KINDS, "clip"} == set(DUAL_ENCODERS)


def test_sentence_vectors_are_those_of_the_whole_model(teacher):
    ids, mask = sentences(teacher.made)
    found = load_text_tower(teacher.made).eval()
    assert type(found) is DualTextTower
    with torch.no_grad():
        vectors = found(ids, mask)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if teacher.kind == "siglip":  # as it was trained: 40 tokens of which those of padding are seen
            tokenizer = load_tokenizer(teacher.made)
            inputs = tokenizer(TEXTS, padding="max_length", max_length=LENGTH, return_tensors="pt")
            inputs = {"input_ids": inputs["input_ids"]}
        assert torch.allclose(vectors, teacher.whole.get_text_features(**inputs).pooler_output, atol=1e-6)
    assert vectors.shape == (3, found.width) and vectors.std(dim=0).min() > 1e-4


def test_image_vectors_are_those_of_the_whole_model(teacher):
    processor = load_processor(teacher.made)
    pixels = preprocess(processor, picture())[None]
    theirs = type(processor).from_pretrained(teacher.published)(picture(), return_tensors="pt").pixel_values
    assert torch.equal(pixels, theirs) and pixels.shape == (1, 3, 32, 32)
    found = ImageTower.load(teacher.made)
    with torch.no_grad():
        assert torch.allclose(found(pixels), teacher.whole.get_image_features(pixels).pooler_output, atol=1e-6)
    assert found(pixels).shape == (1, found.width) and found.width == load_text_tower(teacher.made).width


def test_each_side_is_saved_alone_and_gives_the_same_vectors(teacher, tmp_path):
    sides = load_text_tower(teacher.made).eval(), ImageTower.load(teacher.made)
    inputs = sentences(teacher.made), (torch.rand(2, 3, 32, 32),)
    for number, (side, given) in enumerate(zip(sides, inputs, strict=True)):
        side.save(folder := tmp_path / str(number))
        names = load_file(folder / "model.safetensors")
        assert not any(name.startswith("vision_" if number == 0 else "text_") for name in names)
        again = load_text_tower(folder).eval() if number == 0 else ImageTower.load(folder)
        with torch.no_grad():
            assert torch.equal(again(*given), side(*given))


def test_a_missing_weight_of_the_own_side_is_named(teacher, tmp_path):
    side = load_text_tower(teacher.made)
    name = next(name for name, _ in side.model.named_parameters() if name.startswith("text_model."))
    path = tmp_path / "model.safetensors"
    side.save(tmp_path)
    weights = load_file(path)
    path.unlink()
    from safetensors.torch import save_file

    save_file({key: value for key, value in weights.items() if key != name}, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=rf"lacks 1 weights of \w+, the first {name}"):
        load_text_tower(tmp_path)


def test_the_text_side_is_trained_on_the_used_words_alone(teacher):
    side = load_text_tower(teacher.made).eval()
    rows = encode(side.tokenizer, TEXTS)
    inputs = pad(rows, side.tokenizer)
    before = side(*inputs)
    words = keep_used_rows(side, [rows], side.tokenizer.pad_token_id)
    assert torch.equal(side(*inputs), before)
    functional.mse_loss(side(*inputs), torch.ones_like(before)).backward()
    assert words.weight.grad.abs().sum() > 0
    with torch.no_grad():
        words.weight += torch.randn_like(words.weight)
    after = side(*inputs).detach()
    restore_embedding(side)
    assert torch.allclose(side(*inputs), after, atol=1e-6) and not torch.allclose(after, before, atol=1e-3)


def test_token_states_of_any_teacher_can_be_learned(teacher):
    """CLTEAVE learns the states of any teacher; to project them as CLIP does needs CLIP."""
    side = load_text_tower(teacher.made).eval()
    ids, mask = sentences(teacher.made)
    with torch.no_grad():
        states = side.final_states(ids, mask)
        assert states.shape == (*ids.shape, side.states_width)
        short = int(mask[1].sum())
        alone = side.final_states(ids[1:2, :short], mask[1:2, :short])
        assert torch.allclose(alone[0], states[1, :short], atol=1e-5)
    with pytest.raises(UserError, match=rf"clteave.targets: found 'projected', allowed with {teacher.kind}: states"):
        side.projected_states(ids, mask)
    with pytest.raises(UserError, match=r"found another teacher than CLIP, whose final norm and projection are needed"):
        TextTower.load(teacher.made)


def test_the_configuration_has_the_tokenizers_end_token(teacher):
    text = json.loads((teacher.made / "config.json").read_text())["text_config"]
    assert text["eos_token_id"] == load_tokenizer(teacher.made)("").input_ids[-1]
    assert load_tokenizer(teacher.made).model_max_length == LENGTH


def test_clips_own_tower_is_as_before(tmp_path):
    tower().save(tmp_path)
    assert type(load_text_tower(tmp_path)) is TextTower
    ids, mask = pad(encode(clip_text(), ["A red circle"]), clip_text())
    with torch.no_grad():
        assert torch.equal(load_text_tower(tmp_path).eval()(ids, mask), tower()(ids, mask))


def test_an_evaluation_that_a_teacher_does_not_allow_is_named(teacher):
    """The thesis's three assemblies of CLTEAVE with CLIP, with others only states that are as wide as vectors."""
    entry = {"text_encoder": "clteave", "head": "clip_ve", "hypotheses": "translated", "examples": "test"}
    rows = [Evaluation(name=name, assembly=name, **entry) for name in ("direct", "padded")]
    config = json.loads((teacher.published / "config.json").read_text())
    require_assemblies("a clip", {"model_type": "clip"}, rows)
    allowed = "direct" if teacher.kind == "siglip" else "none"
    for row in rows if allowed == "none" else rows[1:]:
        with pytest.raises(UserError, match=rf"{row.name}: assembly: found '{row.name}', allowed with .*: {allowed}: "):
            require_assemblies("theirs", config, [row])
    require_assemblies("theirs", {"model_type": "siglip"}, rows[:1])
    for kind in ("chinese_clip", "altclip"):  # as published, where defaults are left out
        with pytest.raises(UserError, match="allowed with the teacher theirs: none"):
            require_assemblies("theirs", {"model_type": kind, "text_config": {}}, rows[:1])


def gemma(folder, **names):
    """The tokenizer that SigLIP 2 is published with: its class says nothing of case."""
    letters = [chr(code) for code in range(33, 127)] + ["▁"]
    vocabulary = {token: row for row, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *letters])}
    made = GemmaTokenizer(vocab=vocabulary, merges=[])
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single=names.get("template", "$A <eos>"), special_tokens=[("<eos>", 1), ("<bos>", 2)]
    )
    made.save_pretrained(folder)
    text = {"vocab_size": len(vocabulary), "max_position_embeddings": LENGTH, "projection_size": 16, **SHAPE}
    SiglipConfig(text_config=text, vision_config=VISION).save_pretrained(folder)
    return folder


def test_siglip_2_reads_lower_case(tmp_path):
    tokenizer = load_fitting(gemma(tmp_path / "hub"))
    assert tokenizer("A Red").input_ids == tokenizer("a red").input_ids
    assert tokenizer("").input_ids == [1] and tokenizer("a").input_ids[-1] == 1
    tokenizer.save_pretrained(tmp_path / "own")
    SiglipConfig().save_pretrained(tmp_path / "own")
    again = load_tokenizer(tmp_path / "own")
    assert again("A Red").input_ids == tokenizer("a red").input_ids and again.is_fast


def test_siglip_without_its_way_of_beginning_sentences_is_refused(tmp_path):
    with pytest.raises(UserError, match="begins sentences with a token, which SigLIP was not trained with"):
        load_fitting(gemma(tmp_path, template="<bos> $A <eos>"))


def test_chinese_clip_is_published_without_its_case_and_reads_lower_case(tmp_path):
    save_vocabulary(tmp_path, None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "chinese_clip"}))
    tokenizer = load_fitting(tmp_path)
    assert tokenizer("EIN ROTER").input_ids == tokenizer("ein roter").input_ids


def test_a_pair_whose_text_side_does_not_pool_is_refused_at_once(tmp_path):
    sizes = {"n_layers": 1, "n_heads": 2, "dim": 16, "hidden_dim": 32}
    text = DistilBertConfig(vocab_size=len(bert_text()), max_position_embeddings=LENGTH, **sizes)
    parts = CLIPVisionConfig(**VISION), text
    config = VisionTextDualEncoderConfig.from_vision_text_configs(*parts, projection_dim=WIDTH)
    for part in (VisionTextDualEncoderModel(config), bert_text(), CLIPImageProcessorPil(size=32, crop_size=32)):
        part.save_pretrained(tmp_path / "hub")
    with pytest.raises(UserError, match="a side of it gives no vector: expected two encoders that pool"):
        backbones.import_clip(Encoder(id=str(tmp_path / "hub"), revision=None, weights="safetensors"), tmp_path / "out")


def test_a_half_is_loaded_without_drawing_a_number(teacher, tmp_path):
    load_text_tower(teacher.made).save(tmp_path)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    load_text_tower(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
