"""Word pairs as token positions."""

import pytest
import torch
from tiny_models import bert_text, clip_text

from clseave.backbones.vocabulary import bert_tokenizer
from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Alignment, Translation, write_rows
from clseave.models.tokens import pad
from clseave.word_alignment.token_pairs import first_positions, flatten, gather, read_aligned, token_pairs


def pieces(words):
    """A tokenizer that knows `words` as whole and everything else by its letters."""
    return bert_tokenizer([word for word in words for _ in range(50)] + ["x"], 400, 32)


def positions(tokenizer, text, words):
    """Of one text."""
    ids, found = first_positions(tokenizer, [text], [words])
    assert ids.tolist() == [tokenizer(text).input_ids]
    return found[0]


def test_each_word_is_held_by_its_first_sub_word():
    tokenizer = bert_tokenizer(["xy z"], 5 + 6, 16)  # x, y, z inside and at the start: no merge
    assert tokenizer.tokenize("xy z xyz") == ["x", "##y", "z", "x", "##y", "##z"]
    # [CLS] x ##y z x ##y ##z [SEP]
    assert positions(tokenizer, "xy z xyz", ["xy", "z", "xyz"]) == [1, 3, 4]


def test_a_repeated_word_is_found_at_its_own_place():
    tokenizer = bert_tokenizer(["a b"], 5 + 4, 16)
    assert positions(tokenizer, "a b a b", ["a", "b", "a", "b"]) == [1, 2, 3, 4]


def test_clip_counts_from_its_start_token_and_ignores_case():
    tokenizer = clip_text()
    text = "A red circle is in the top left"
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids)
    found = positions(tokenizer, text, text.split())
    assert found[0] == 1 and found == sorted(set(found))
    for word, position in zip(text.split(), found, strict=True):
        assert word.lower().startswith(tokens[position].removesuffix("</w>"))


def test_a_kana_word_inside_a_longer_token_is_held_by_that_token():
    # Han characters are tokens of their own, runs of kana are one WordPiece word.
    tokenizer = pieces(["があります"])
    text = "円があります"
    assert tokenizer.tokenize(text)[1:] == ["があります"]
    # [CLS] 円 があります [SEP]: the words が and あります begin inside one token.
    assert positions(tokenizer, text, ["円", "が", "あります"]) == [1, 2, 2]


@pytest.mark.parametrize("words", [["円", "は"], ["が", "円"], ["円", "円"]])
def test_words_that_are_not_the_texts_are_named(words):
    with pytest.raises(UserError, match="is not in"):
        positions(bert_tokenizer(["円が は"], 60, 16), "円が", words)


def test_a_text_that_is_too_long_is_named():
    tokenizer = bert_tokenizer(["a b"], 5 + 4, 6)  # [CLS], four tokens, [SEP]
    assert positions(tokenizer, "a b a b", ["a", "b", "a", "b"]) == [1, 2, 3, 4]
    with pytest.raises(UserError, match="7 tokens, the model takes 6"):
        positions(tokenizer, "a b a b a", ["a", "b", "a", "b", "a"])


def test_both_sides_of_a_pair_use_their_own_tokenizer():
    translation = Translation("id", "A red circle", "de", "Ein roter Kreis", "gold", "1")
    alignment = Alignment("id", ["A", "red", "circle"], ["Ein", "roter", "Kreis"], [[0, 0], [1, 1], [2, 2], [2, 1]])
    made = token_pairs([(translation, alignment)] * 2, clip_text(), bert_text())
    assert len(made) == 2
    assert made.source.tolist() == [clip_text()("A red circle").input_ids] * 2
    assert made.target.tolist() == [bert_text()("Ein roter Kreis").input_ids] * 2
    source = positions(clip_text(), "A red circle", alignment.source_words)
    target = positions(bert_text(), "Ein roter Kreis", alignment.target_words)
    assert made.source_positions.tolist() == [[source[0], source[1], source[2], source[2]]] * 2
    assert made.target_positions.tolist() == [[target[0], target[1], target[2], target[1]]] * 2


def test_a_character_that_the_tokenizer_drops_is_passed_over():
    tokenizer = bert_tokenizer(["a b"], 5 + 4, 16)
    # BERT's cleaning removes control characters such as the soft hyphen.
    assert tokenizer.tokenize("\u00ada \u00ad b") == ["a", "b"]
    assert positions(tokenizer, "\u00ada \u00ad b", ["\u00ada", "\u00ad", "b"]) == [1, None, 2]


def test_a_pair_with_a_word_of_no_token_is_left_out():
    translation = Translation("id", "red circle", "de", "roter \u00ad Kreis", "files", "1")
    alignment = Alignment("id", ["red", "circle"], ["roter", "\u00ad", "Kreis"], [[0, 0], [0, 1], [1, 2]])
    made = token_pairs([(translation, alignment)], clip_text(), bert_text())
    assert len(made.source_positions[0]) == len(made.target_positions[0]) == 2


@pytest.mark.parametrize("tokenizer", [bert_text(), clip_text()], ids=["bert", "clip"])
def test_padding_is_that_of_the_sides_own_tokenizer(tokenizer):
    rows = [tokenizer("red circle on the left side").input_ids, tokenizer("red").input_ids]
    ids, mask = pad(rows, tokenizer)
    assert set(ids[mask == 0].tolist()) == {tokenizer.pad_token_id}
    assert ids.max() < len(tokenizer)
    assert mask.sum(1).tolist() == [len(row) for row in rows]
    assert bert_text().pad_token_id != clip_text().pad_token_id


def test_gathering_by_hand():
    states = torch.arange(12.0).view(2, 3, 2)  # [[0 1] [2 3] [4 5]], [[6 7] [8 9] [10 11]]
    assert gather(states, [[2, 0], [1]]).tolist() == [[4, 5], [0, 1], [8, 9]]
    assert [index.tolist() for index in flatten([[2, 0], [], [1, 1]])] == [[0, 0, 2, 2], [2, 0, 1, 1]]


def test_nothing_to_gather_gives_no_row():
    assert gather(torch.ones(2, 3, 4), [[], []]).shape == (0, 4)


def aligned(pairs):
    """A sentence of three words and its translation of two."""
    row = Translation("a" * 16, "red circle here", "de", "roter Kreis", "gold", "1")
    return [(row, Alignment("a" * 16, ["red", "circle", "here"], ["roter", "Kreis"], pairs))]


@pytest.mark.parametrize(
    ("words", "terminal", "wanted"), [(True, False, 2), (True, True, 3), (False, True, 1), (False, False, 0)]
)
def test_pairs_of_words_of_the_terminal_tokens_or_both(words, terminal, wanted):
    data = token_pairs(aligned([[0, 0], [1, 1]]), clip_text(), bert_text(), words=words, terminal=terminal)
    assert data.source_positions.lengths.tolist() == data.target_positions.lengths.tolist() == [wanted]
    if terminal:
        source, target = (
            side[0][place[0][-1]]
            for side, place in ((data.source, data.source_positions), (data.target, data.target_positions))
        )
        assert (source, target) == (clip_text().eos_token_id, bert_text().sep_token_id)


def test_sentences_without_a_word_pair_are_read_on_request_only(tmp_path):
    ((row, link),) = aligned([])
    write_rows(tmp_path / "text.jsonl", [row])
    write_rows(tmp_path / "links.jsonl", [link])
    files = tmp_path / "text.jsonl", tmp_path / "links.jsonl", {"a" * 16}
    assert read_aligned(*files) == []
    assert read_aligned(*files, unpaired=True) == [(row, link)]
