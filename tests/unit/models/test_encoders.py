"""Whatever turns a hypothesis into a vector."""

import pytest
import torch
from tiny_models import ENGLISH, NARROW, PROJECTED, SENTENCES, WIDE, bert, bert_text, tower

from clseave.foundation.errors import UserError
from clseave.models.clip_ve import save_head
from clseave.models.encoders import embed_texts, load_encoder
from clseave.models.head import Head
from clseave.models.student import Student
from clseave.models.token_student import Autoencoder, TokenStudent
from clseave.models.tokens import encode, pad
from clseave.models.towers import TextTower


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    tower(seed=3).save(folder)
    save_head(folder, Head(PROJECTED, 4, 0.1), "clip_ve")
    return folder


def models():
    torch.manual_seed(6)
    return {
        "student": Student(bert(), bert_text(), PROJECTED, "sep"),
        "tokens": TokenStudent(bert(), bert_text(), Autoencoder(WIDE, NARROW)),
        "tower": tower(seed=3),
    }


@pytest.mark.parametrize(("name", "kind"), [("student", Student), ("tokens", TokenStudent)])
def test_the_files_of_a_folder_say_what_it_holds(tmp_path, teacher, name, kind):
    models()[name].save(tmp_path)
    made = load_encoder(tmp_path, teacher, "direct")
    assert type(made) is kind and not any(module.training for module in made.modules())


def test_clip_ve_is_its_own_encoder(teacher):
    made = load_encoder(teacher, teacher, "direct")
    assert type(made) is TextTower and not any(module.training for module in made.modules())


@pytest.mark.parametrize("assembly", ["direct", "padded", "decoder", "projected"])
def test_the_assembly_and_the_teachers_layers_are_used(tmp_path, teacher, assembly):
    model = models()["tokens"].eval()
    model.save(tmp_path)
    ids, mask = pad(encode(bert_text(), SENTENCES), bert_text())
    wanted = model.assemble(assembly, tower(seed=3))(ids, mask)
    assert torch.equal(load_encoder(tmp_path, teacher, assembly)(ids, mask), wanted)


def test_an_empty_folder_is_named(tmp_path, teacher):
    with pytest.raises(UserError, match=r"holds no text encoder.*dvc repro"):
        load_encoder(tmp_path, teacher, "direct")


@pytest.mark.parametrize("name", ["student", "tokens", "tower"])
@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_vectors_keep_the_order_of_the_texts_whatever_the_batch(name, batch_size):
    model = models()[name].eval()
    texts = ENGLISH + ENGLISH[:1]
    found = embed_texts(model, texts, batch_size)
    for text, vector in zip(texts, found, strict=True):
        alone = model(*pad(encode(model.tokenizer, [text]), model.tokenizer))[0]
        assert torch.allclose(vector, alone, atol=1e-6), text
    assert not found.requires_grad
