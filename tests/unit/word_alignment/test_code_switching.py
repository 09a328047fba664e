"""Code-switched sentences, by hand."""

import numpy as np

from clseave.foundation.rows.records import Alignment
from clseave.word_alignment.code_switching import code_switched

# "there is" are both aligned with "gibt"; "es" has no partner.
ROW = Alignment("a", ["there", "is", "a", "circle"], ["es", "gibt", "einen", "Kreis"], [[0, 1], [1, 1], [2, 2], [3, 3]])


class Draws:
    """Gives numbers in turn."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)


def test_chosen_words_are_replaced_and_others_stay():
    assert code_switched(ROW, 0.5, Draws(0.9, 0.9, 0.1, 0.9)) == "there is einen circle"
    assert code_switched(ROW, 0.5, Draws(0.9, 0.9, 0.9, 0.4)) == "there is a Kreis"


def test_a_partner_of_two_words_is_said_once():
    assert code_switched(ROW, 0.5, Draws(0.1, 0.1, 0.9, 0.9)) == "gibt a circle"


def test_share_none_and_all():
    generator = np.random.default_rng(0)
    assert code_switched(ROW, 0.0, generator) == "there is a circle"
    assert code_switched(ROW, 1.0, generator) == "gibt einen Kreis"


def test_several_partners_come_in_their_order_and_a_word_without_one_stays():
    row = Alignment("a", ["not", "red"], ["ne", "pas"], [[0, 1], [0, 0]])
    assert code_switched(row, 1.0, np.random.default_rng(0)) == "ne pas red"
