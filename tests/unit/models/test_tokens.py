"""Text to ids: special tokens, cutting, padding, the end token."""

import copy
import json

import numpy as np
import pytest
import torch
from tiny_models import PROJECTED, bert_text, clip_text, save_unigram_bert, save_vocabulary, tower, unigram_text
from transformers import BertTokenizer

from clseave.foundation.errors import UserError
from clseave.models.pooling import position
from clseave.models.tokens import Ragged, encode, end_id, load_tokenizer, pad, unknown_share, word_pieces
from clseave.word_alignment.token_pairs import first_positions

THREE = pytest.mark.parametrize("tokenizer", [bert_text(), clip_text(), unigram_text()], ids=["bert", "clip", "e5"])
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
@pytest.mark.parametrize(
    "blank", ["", "  ", "\n\t", "\u200b\u00ad", "\u202e\x07", "\u3164", "\ufe0f", "\u2800", "\ufffd"]
)
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
    monkeypatch.setattr("clseave.models.tokens.CHUNK", 3)
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


@THREE
def test_what_is_spelt_like_a_special_token_is_text(tokenizer):
    """The end token stands at the end alone, where the student pools; no other special token but the unknown one."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_max_length = 100
    added = tokenizer("").input_ids
    unknown = tokenizer.unk_token_id if tokenizer.unk_token_id not in added else None
    special = set(tokenizer.all_special_ids) - {unknown}
    spellings = ["[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "<s>", "</s>", "<pad>", "<mask>", "<|endoftext|>"]
    for token in {*spellings, *tokenizer.all_special_tokens}:
        for text in (f"Ein {token} Hund", f"Ein{token}Hund", token, token * 2, token.upper(), f" {token.lower()} a"):
            (row,) = encode(tokenizer, [text]).tolist()
            assert not special.intersection(row[1:-1]) and [row[0], row[-1]] == added, text
            assert position(torch.tensor([row]), added[-1], "sep").tolist() == [len(row) - 1]
            assert word_pieces(tokenizer, text) == row[1:-1]


def test_words_around_a_special_token_keep_their_places():
    tokens = ["[CLS]", *bert_text().tokenize("a ["), "s", "##e", "##p", *bert_text().tokenize("] circle"), "[SEP]"]
    ids, (places,) = first_positions(bert_text(), ["a [sep] circle"], [["a", "[", "sep", "]", "circle"]])
    assert bert_text().convert_ids_to_tokens(ids[0]) == tokens
    assert places == [1, 2, 3, 6, 7]


def test_encoding_leaves_the_tokenizers_files_as_they_are(tmp_path):
    for name, tokenizer in (("bert", bert_text()), ("clip", clip_text()), ("e5", unigram_text())):
        tokenizer.save_pretrained(tmp_path / name)
        again = load_tokenizer(tmp_path / name)
        again.save_pretrained(tmp_path / "before")
        encode(again, ["a [SEP] b", "a </s> b", "<|endoftext|>"])
        again.save_pretrained(tmp_path / "after")
        for path in (tmp_path / "after").iterdir():
            assert path.read_bytes() == (tmp_path / "before" / path.name).read_bytes()
            assert b"split_special_tokens" not in path.read_bytes()


def test_a_text_of_which_nothing_reaches_the_model_is_named():
    strips = BertTokenizer(vocab=bert_text().get_vocab(), do_lower_case=True)
    with pytest.raises(UserError, match="no token is left"):
        encode(strips, ["rot", "\u0301"])


@pytest.mark.parametrize(("lower", "wanted"), [(False, ["Ein", "Kreis"]), (True, ["ein", "kreis"])])
def test_a_vocabulary_alone_needs_a_file_that_says_whether_it_lower_cases(tmp_path, lower, wanted):
    folder = save_vocabulary(tmp_path, {"do_lower_case": lower})
    normaliser = load_tokenizer(folder).backend_tokenizer.normalizer
    assert normaliser.normalize_str("Ein Kreis").split() == wanted


@pytest.mark.parametrize("settings", [None, {}, {"model_max_length": 512}])
def test_a_folder_that_does_not_say_whether_it_lower_cases_is_refused(tmp_path, settings):
    with pytest.raises(UserError, match=r"nothing says whether this BERT lower-cases: expected tokenizer_config\.json"):
        load_tokenizer(save_vocabulary(tmp_path, settings))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("settings", [None, {}])
def test_tokenizer_json_says_it_too(tmp_path, lower, settings):
    """The library would lower-case all the same."""
    BertTokenizer(vocab=bert_text().get_vocab(), do_lower_case=lower).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    save_vocabulary(tmp_path, settings)
    found = load_tokenizer(tmp_path)
    assert found.do_lower_case is lower
    assert found.tokenize("Ein Kreis") == BertTokenizer(vocab=bert_text().get_vocab(), do_lower_case=lower).tokenize(
        "Ein Kreis"
    )
    found.save_pretrained(tmp_path / "again")  # as a trained student saves it
    assert load_tokenizer(tmp_path / "again").do_lower_case is lower


@pytest.mark.parametrize(
    "changed", [{"do_lower_case": True}, {"strip_accents": True}, {"tokenize_chinese_chars": False}]
)
def test_two_files_that_contradict_each_other_are_refused(tmp_path, changed):
    bert_text().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | changed))
    with pytest.raises(UserError, match=r"tokenizer\.json makes .* tokenizer_config\.json .* they disagree"):
        load_tokenizer(tmp_path)


def test_pieces_of_another_kind_of_vocabulary_are_not_read_as_wordpiece(tmp_path):
    """Without its tokenizer's class the library makes a BERT's of it."""
    folder = save_unigram_bert(tmp_path)
    assert encode(load_tokenizer(folder), ["Ein Kreis"]).tolist() == encode(unigram_text(), ["Ein Kreis"]).tolist()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["tokenizer_class"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"tokenizer\.json holds a Unigram vocabulary.*tokenizer_class"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("ДЖЖ", 1),
        ("ДЖЖ ЩЩ", 1),
        ("Ein Kreis", 0),
        ("ДЖЖ Ein ЩЩ Ein", 0.5),
        ("Ein Ein Ein ДЖЖ", 0.25),
        ("Ein!!!", 0),
        ("ДЖЖ Ein ...", 0.5),
        ("!!", 1),
    ],
)
def test_share_of_unknown_tokens_by_hand(text, share):
    assert bert_text().tokenize("Ein") == ["Ein"]
    assert unknown_share(bert_text(), text) == share
    assert "!" not in bert_text().get_vocab()
    assert unknown_share(clip_text(), text) == 0  # bytes are never unknown


def test_a_normaliser_of_several_parts_says_it_too(tmp_path):
    bert_text().save_pretrained(tmp_path)
    whole = json.loads((tmp_path / "tokenizer.json").read_text())
    whole["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, whole["normalizer"]]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    save_vocabulary(tmp_path, {})
    assert load_tokenizer(tmp_path).do_lower_case is False
