"""The two small backbones as their settings shape them."""

from small_backbones import CLIP, MBERT
from tiny_models import bert_text, clip_text

from clseave.backbones.pretraining import build_clip, build_mbert


def test_clip_is_shaped_by_the_profile():
    model = build_clip(CLIP, clip_text(), 32)
    text, vision = model.config.text_config, model.config.vision_config
    assert (text.hidden_size, text.num_hidden_layers, text.num_attention_heads, text.intermediate_size) == (8, 1, 2, 32)
    assert (text.vocab_size, text.max_position_embeddings) == (len(clip_text()), 24)
    assert (text.bos_token_id, text.eos_token_id, text.pad_token_id) == (
        clip_text().bos_token_id,
        clip_text().eos_token_id,
        clip_text().pad_token_id,
    )
    assert (vision.image_size, vision.patch_size, vision.hidden_size) == (32, 16, 8)
    assert model.config.projection_dim == text.projection_dim == vision.projection_dim == 6
    assert model.config._attn_implementation == "eager"


def test_mbert_is_shaped_by_the_profile():
    model = build_mbert(MBERT, bert_text())
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size) == (
        8,
        1,
        2,
        32,
    )
    assert (config.vocab_size, config.max_position_embeddings, config.pad_token_id) == (len(bert_text()), 40, 0)
    assert config._attn_implementation == "eager"
