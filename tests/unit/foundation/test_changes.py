"""Values that a command line changes."""

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.settings import params
from clseave.foundation.settings.changes import apply, parse, require_known
from clseave.foundation.settings.schema import Clteave, Processor
from settings import SETTINGS

FILES = SETTINGS / "params.yaml", SETTINGS / "profiles/mini.yaml"


class Values(Processor):
    clteave: Clteave


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("clteave.relu=false", (["clteave", "relu"], False)),
        ("lr=4e-05", (["lr"], 4e-05)),
        ("a.b.c=x=y", (["a", "b", "c"], "x=y")),
        ("seeds=[0, 1]", (["seeds"], [0, 1])),
        ("a=", (["a"], None)),
    ],
)
def test_keys_and_a_yaml_value(text, wanted):
    assert parse(text) == wanted


@pytest.mark.parametrize("text", ["relu", "=1", "a..b=1", "a=[1"])
def test_other_forms_are_refused(text):
    with pytest.raises(UserError, match="--set"):
        parse(text)


def test_a_change_leaves_the_content_as_it_is_and_ignores_keys_of_other_files():
    content = {"a": {"b": 1, "c": 2}}
    assert apply(content, ["a.b=3", "x.y=1"]) == {"a": {"b": 3, "c": 2}}
    assert content == {"a": {"b": 1, "c": 2}}


def test_a_key_inside_a_plain_value_is_refused():
    with pytest.raises(UserError, match="b cannot be set inside 1"):
        apply({"a": 1}, ["a.b=2"])


def test_a_key_that_nothing_reads_is_refused():
    with pytest.raises(UserError, match="lrr is not read here; allowed: lr"):
        require_known(["lrr=1"], ["lr"])


def test_changed_values_are_validated_like_those_of_the_file():
    assert params.load(*FILES, Values, ["clteave.relu=false"]).clteave.relu is False
    assert params.load(*FILES, Values).clteave.relu is True
    with pytest.raises(UserError, match=r"clteave\.relu: found 3, allowed"):
        params.load(*FILES, Values, ["clteave.relu=3"])
    with pytest.raises(UserError, match="unknown key"):
        params.load(*FILES, Values, ["clteave.reluu=true"])
    with pytest.raises(UserError, match="clteave: found word_pairs and terminal_pair false, allowed: at least one"):
        params.load(*FILES, Values, ["clteave.word_pairs=false"])
