"""The encoder over words and regions: against a plain computation, with padding, saved and loaded."""

import numpy as np
import pytest
import torch
from small_streams import VISUAL, stream, table, texts
from tiny_models import bert_text, save_masked_bert

from clseave.foundation.errors import UserError
from clseave.models.tokens import encode
from clseave.single_stream.encoder import SingleStream, Texts


def test_a_batch_gives_what_each_pair_gives_alone(tmp_path):
    model, regions = stream(), table(tmp_path / "regions")
    sentences = ["Ein roter Kreis ist oben links", "Der Kreis", "A red circle"]
    together = texts(*sentences)
    states = model(together, regions[np.arange(3)])
    width = together.ids.shape[1]
    for row, sentence in enumerate(sentences):
        alone, own = texts(sentence), regions[np.array([row])]
        count = int(own.mask.sum())
        trimmed = type(own)(own.features[:, :count], own.boxes[:, :count], own.classes[:, :count], own.mask[:, :count])
        single = model(alone, trimmed)[0]
        words = alone.ids.shape[1]
        torch.testing.assert_close(states[row, :words], single[:words])
        torch.testing.assert_close(states[row, width : width + count], single[words:])


def test_the_sum_of_embeddings_by_hand(tmp_path):
    model, regions, sentence = stream(), table(tmp_path / "regions")[np.array([0])], texts("Der Kreis")
    bert = model.language_model.bert
    table_, places, segments = (
        getattr(bert.embeddings, name).weight
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")
    )
    seen = torch.nn.functional.layer_norm(
        regions.features[0] @ model.feature.weight.T + model.feature.bias
        + regions.boxes[0] @ model.box.weight.T + model.box.bias,
        (model.width,), model.norm.weight, model.norm.bias, model.norm.eps,
    )  # fmt: skip
    words = table_[sentence.ids[0]] + places[: sentence.ids.shape[1]] + segments[0]
    inputs = bert.embeddings.LayerNorm(torch.cat([words, seen + places[0] + segments[1]]))
    plain = bert.encoder(inputs.unsqueeze(0)).last_hidden_state
    torch.testing.assert_close(model(sentence, regions), plain)


def test_words_see_the_image_and_regions_the_words(tmp_path):
    model, regions = stream(), table(tmp_path / "regions")
    first = model(texts("Der Kreis"), regions[np.array([0])])
    other_image, other_word = (
        model(texts("Der Kreis"), regions[np.array([0])].with_features(torch.ones(1, 3, VISUAL))),
        model(texts("Ein Kreis"), regions[np.array([0])]),
    )
    assert not torch.allclose(first[:, 0], other_image[:, 0]) and not torch.allclose(first[:, -1], other_word[:, -1])
    assert model(texts("Der Kreis")).shape == (1, 5, model.width)


def test_the_order_of_regions_means_nothing(tmp_path):
    model, regions = stream(), table(tmp_path / "regions")[np.array([0])]
    turned = type(regions)(*(getattr(regions, name).flip(1) for name in ("features", "boxes", "classes", "mask")))
    first, second = (model(texts("Der Kreis"), one) for one in (regions, turned))
    torch.testing.assert_close(first[:, :5], second[:, :5])
    torch.testing.assert_close(first[:, 5:], second[:, 5:].flip(1))


def test_a_pair_of_texts_counts_positions_twice():
    tokens = encode(bert_text(), ["Der Kreis", "A red circle"])
    pair = Texts.joined([tokens[0]], [tokens[1]], bert_text())
    assert pair.ids[0].tolist() == [*tokens[0], *tokens[1][1:]]
    assert pair.positions[0].tolist() == [*range(len(tokens[0])), *range(len(tokens[1]) - 1)]


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model, regions = stream(), table(tmp_path / "regions")[np.array([0, 1])]
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    again = SingleStream.load(tmp_path / "model")
    batch = texts("Der Kreis", "A red circle")
    assert torch.equal(again(batch, regions), model(batch, regions)) and not again.training


def test_it_starts_as_a_multilingual_bert(tmp_path):
    save_masked_bert(tmp_path / "mbert")
    model = SingleStream.start(tmp_path / "mbert", VISUAL)
    assert (
        model.language_model.cls.predictions.decoder.weight
        is model.language_model.bert.embeddings.word_embeddings.weight
    )
    with pytest.raises(UserError, match="holds no BertForMaskedLM"):
        SingleStream.start(tmp_path / "nothing", VISUAL)
