"""Contextual word retrieval, by hand."""

import pytest
import torch

from clseave.word_alignment.retrieval import retrieval_accuracy

KEYS = torch.tensor([[1.0, 0], [0, 1], [1, 1]])


def test_the_nearest_state_by_cosine_counts_and_a_word_in_another_sentence_is_the_same_word():
    # By direction all three find key 0: its own for the first, another word for the second, "red" too for the third.
    queries = torch.tensor([[9.0, 1], [5, 0], [4, 1]])
    found = retrieval_accuracy(queries, KEYS, ["red", "circle", "red"])
    assert found == {"word_retrieval": pytest.approx(1 / 3), "word_type_retrieval": pytest.approx(2 / 3)}


def test_the_keys_themselves_are_found_and_one_state_for_all_finds_one():
    assert retrieval_accuracy(KEYS, KEYS, ["a", "b", "c"])["word_retrieval"] == 1
    assert retrieval_accuracy(torch.ones(3, 2), torch.ones(3, 2), ["a", "b", "c"])["word_retrieval"] == pytest.approx(
        1 / 3
    )
