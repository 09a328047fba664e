"""A model folder whose tokenizer is another model's: refused at load, since its ids are other words."""

import json
import shutil

import pytest
from tiny_models import NARROW, PROJECTED, TEXTS, WIDE, bert, bert_text, clip_text, save_masked_bert, tower
from transformers import BertTokenizer

from clseave.backbones.vocabulary import bert_tokenizer, clip_tokenizer
from clseave.foundation.errors import UserError
from clseave.models.loading import load_text_encoder
from clseave.models.student import Student
from clseave.models.token_student import Autoencoder, TokenStudent
from clseave.models.tokens import end_id, load_tokenizer
from clseave.models.towers import TextTower


def moved_bert_text():
    """The multilingual WordPiece with [SEP] at another id, as in the public model (102)."""
    words = [token for token, _ in sorted(bert_text().get_vocab().items(), key=lambda item: item[1])]
    words[3], words[-1] = words[-1], words[3]
    return BertTokenizer(vocab={word: number for number, word in enumerate(words)}, do_lower_case=False)


MODELS = {
    "student": (lambda: Student(bert(), bert_text(), PROJECTED, "sep"), Student),
    "token student": (lambda: TokenStudent(bert(), bert_text(), Autoencoder(WIDE, NARROW)), TokenStudent),
    "tower": (tower, TextTower),
}
# Each with its end token elsewhere; then with the same end token and more words than the model has.
OTHERS = {
    "student": (moved_bert_text, lambda: bert_tokenizer(TEXTS, 900, 40)),
    "token student": (clip_text, lambda: bert_tokenizer(TEXTS, 900, 40)),
    "tower": (bert_text, None),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_right_tokenizer_loads_and_its_end_is_kept_with_the_model(tmp_path, name):
    make, kind = MODELS[name]
    make().save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["eos_token_id"] == end_id(kind.load(tmp_path).tokenizer)


@pytest.mark.parametrize("name", MODELS)
def test_another_end_token_is_refused_at_load(tmp_path, name):
    make, kind = MODELS[name]
    make().save(tmp_path)
    other = OTHERS[name][0]()
    (tmp_path / "tokenizer.json").unlink()
    other.save_pretrained(tmp_path)
    own = json.loads((tmp_path / "config.json").read_text())["eos_token_id"]
    assert end_id(load_tokenizer(tmp_path)) == end_id(other) != own
    with pytest.raises(UserError) as caught:
        kind.load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the model pools at id {own}, the tokenizer ends sentences with id {end_id(other)}: two models "
        "are mixed: `dvc checkout`, or run the stage that writes them"
    )


@pytest.mark.parametrize("name", ["student", "token student"])
def test_a_larger_vocabulary_with_the_same_end_is_refused_at_load(tmp_path, name):
    make, kind = MODELS[name]
    make().save(tmp_path)
    other = OTHERS[name][1]()
    other.save_pretrained(tmp_path)
    assert end_id(other) == 3 and len(other) > len(bert_text())
    with pytest.raises(
        UserError, match=rf"has {len(other)} tokens, the model {len(bert_text())}: two models are mixed"
    ):
        kind.load(tmp_path)


def test_a_larger_vocabulary_of_a_tower_moves_its_end(tmp_path):
    tower().save(tmp_path)
    clip_tokenizer(TEXTS, 580, 24).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="two models are mixed"):
        TextTower.load(tmp_path)


def test_a_backbone_that_names_no_end_takes_the_tokenizers(tmp_path):
    """The public multilingual BERT is such a one; its students name it from then on."""
    mbert = load_text_encoder(save_masked_bert(tmp_path / "mbert"))
    assert mbert.config.eos_token_id is None
    made = Student(mbert, load_tokenizer(tmp_path / "mbert"), PROJECTED, "sep")
    made.save(tmp_path / "student")
    shutil.rmtree(tmp_path / "mbert")
    assert Student.load(tmp_path / "student").encoder.config.eos_token_id == 3
