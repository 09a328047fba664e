"""Text to ids: special tokens, cutting, padding, the end token."""

import copy

import numpy as np
import pytest
import torch
from tiny_models import PROJECTED, bert_text, clip_text, tower

from clseave.errors import UserError
from clseave.text import Ragged, encode, end_id, load_tokenizer, pad

TOKENIZERS = pytest.mark.parametrize("tokenizer", [bert_text(), clip_text()], ids=["bert", "clip"])


def test_the_end_token_of_each_tokenizer():
    assert end_id(bert_text()) == bert_text().sep_token_id == 3
    assert end_id(clip_text()) == clip_text().eos_token_id == len(clip_text()) - 1


def test_a_tokenizer_that_ends_otherwise_raises():
    class Cut:
        sep_token_id, eos_token_id = 3, None

        def __call__(self, text):
            return type("Output", (), {"input_ids": [2, 7]})

    with pytest.raises(ValueError, match="id 7, its end token is 3"):
        end_id(Cut())


@TOKENIZERS
def test_a_text_that_is_too_long_is_named_and_never_cut(tokenizer):
    with pytest.raises(UserError, match=f"82 tokens, the model takes {tokenizer.model_max_length}: 'red circle"):
        encode(tokenizer, ["red", "red circle " * 40])
    assert [row[-1] for row in encode(tokenizer, ["red", "red circle"])] == [end_id(tokenizer)] * 2


@TOKENIZERS
@pytest.mark.parametrize("blank", ["", "  ", "\n\t"])
def test_a_blank_text_is_named(tokenizer, blank):
    with pytest.raises(UserError, match="blank"):
        encode(tokenizer, ["red", blank])


def test_no_text_gives_no_row():
    assert encode(bert_text(), []).tolist() == []


def test_rows_of_unequal_length_come_back_as_they_were():
    rows = [[5, 6, 7], [], [8], [-1, 2**31 - 1]]
    table = Ragged.of(rows)
    assert len(table) == 4 and table.lengths.tolist() == [3, 0, 1, 2]
    assert table.tolist() == rows and table[3].tolist() == rows[3] and [row.tolist() for row in table] == rows
    assert table.values.dtype == np.int32 and Ragged.joined([table, table]).tolist() == rows * 2
    with pytest.raises(IndexError):
        table[4]


@TOKENIZERS
def test_texts_are_encoded_the_same_in_chunks(tokenizer, monkeypatch):
    texts = [f"red circle {'blue ' * (number % 3)}left" for number in range(7)]
    whole = encode(tokenizer, texts).tolist()
    monkeypatch.setattr("clseave.text.CHUNK", 3)
    assert encode(tokenizer, texts).tolist() == whole == tokenizer(texts).input_ids


def test_padding_by_hand():
    ids, mask = pad([[5, 6, 7, 8, 9], [4]], bert_text())
    assert ids.tolist() == [[5, 6, 7, 8, 9], [4, 0, 0, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert ids.dtype == mask.dtype == torch.long


def test_no_batch_is_wider_than_the_model():
    # CLIP takes 77 tokens: any more would be more positions than it has.
    tokenizer = copy.deepcopy(clip_text())
    tokenizer.model_max_length = 7
    rows = [[*[5] * 6, end_id(tokenizer)], [end_id(tokenizer)]]
    ids, mask = pad(rows, tokenizer)
    assert ids.shape == (2, 7)
    assert tower(max_position_embeddings=7)(ids, mask).shape == (2, PROJECTED)


def test_a_token_equal_to_the_padding_id_is_not_masked():
    # CLIP pads with its end token: the mask must come from the length.
    tokenizer = clip_text()
    rows = encode(tokenizer, ["red circle on the left", "red"])
    _, mask = pad(rows, tokenizer)
    assert mask.sum(1).tolist() == [len(row) for row in rows]


@TOKENIZERS
def test_a_saved_tokenizer_gives_the_same_ids(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    texts = ["A red circle", "Ein blaues Quadrat", "左上に赤い円"]
    assert encode(again, texts).tolist() == encode(tokenizer, texts).tolist()
    assert (again.model_max_length, again.pad_token_id) == (tokenizer.model_max_length, tokenizer.pad_token_id)


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(UserError, match="no tokenizer"):
        load_tokenizer(tmp_path / "nothing")
