"""Which pairs and students the study of pre-trained weights has, and what it refuses."""

from itertools import pairwise

import made_e5
import numpy as np
import pytest

from clseave.e5 import checkpoint
from clseave.e5.weights import E5File
from clseave.foundation.errors import UserError
from clseave.foundation.files import hashing
from clseave.foundation.rows.records import Translation, write_rows
from clseave.studies.pretrained import Start, Values, repeated, sample, students
from clseave.variants import settings
from clseave.variants.settings import E5, Variant

SETTINGS = E5(sha256="0" * 64, layers=1, aligner_layer=1)


def test_a_share_of_the_pairs_is_rounded_up_sorted_and_nested():
    assert sample(10, 100, 0).tolist() == list(range(10))
    drawn = [sample(250, share, 3).tolist() for share in (1, 3, 10, 30, 100)]
    assert [len(rows) for rows in drawn] == [3, 8, 25, 75, 250]
    assert all(rows == sorted(set(rows)) for rows in drawn)
    assert all(set(small) < set(large) for small, large in pairwise(drawn))
    assert sample(250, 10, 3).tolist() == drawn[2] != sample(250, 10, 4).tolist()


def test_a_small_share_is_repeated_up_to_thirty_percent():
    assert repeated(np.array([4, 7]), 10).tolist() == [4, 7, 4, 7]
    assert repeated(np.array([1, 4, 7]), 10).tolist() == [1, 4, 7]
    assert repeated(np.arange(10), 10).tolist() == list(range(10))
    assert len(repeated(np.arange(3), 250)) == 75


def test_the_students_of_a_variant():
    assert students("own", "zh+de", ["de", "nl", "zh"]) == [("de", "de"), ("zh", "zh")]
    assert students("own", "zh+de", ["nl", "de"]) == [("de", "de")]
    assert students("en", "nl+zh", ["de", "nl", "zh"]) == [("en", "joint")]


def test_the_languages_of_a_variant():
    made = {"name": "one", "title": "one", "changes": "lr=1"}
    assert Variant(**made).among(["de", "zh"]) == ["de", "zh"]
    assert Variant(**made, languages="zh+nl").among(["de", "nl", "zh"]) == ["nl", "zh"]


def start(tmp_path, kind, chosen=SETTINGS):
    values = Values.model_construct(languages=["de"])
    object.__setattr__(values, "known", lambda language: False)
    return Start(kind, tmp_path / "mbert", tmp_path / "hypotheses", tmp_path / "start", 0, chosen, values)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A tiny file in the place of the package's, and sentences of its pieces."""
    path = made_e5.write(tmp_path / "w.bin")
    monkeypatch.setattr(checkpoint, "packaged", lambda sha256: path)
    for language, text in (("en", "eins"), ("de", "ein Kreis")):
        write_rows(tmp_path / f"hypotheses/{language}.jsonl", [Translation("k", "x", language, text, "gold", "1")])
    return E5File(path)


def test_mbert_starts_as_it_is(tmp_path):
    assert start(tmp_path, "mbert").student() == tmp_path / "mbert"


def test_e5_starts_as_a_checkpoint_of_the_pieces_that_occur_made_once(tmp_path, weights):
    made = start(tmp_path, "e5")
    folder = made.student()
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert made.student() == folder == tmp_path / "start/student" and made.aligner() == (tmp_path / "start/aligner", 1)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert hashing.of_file(folder / "model.safetensors") == hashing.of_file(
        tmp_path / "start/aligner/model.safetensors"
    )


def test_random_weights_are_others_than_the_files(tmp_path, weights):
    one, other = (start(tmp_path / kind, kind) for kind in ("e5", "e5_random"))
    for made in (one, other):
        object.__setattr__(made, "hypotheses", tmp_path / "hypotheses")
    files = [hashing.of_file(made.student() / "model.safetensors") for made in (one, other)]
    assert files[0] != files[1]


def test_another_start_and_settings_without_weights_are_refused(tmp_path):
    with pytest.raises(UserError, match="--student: found 'bert', allowed: mbert, e5, e5_random"):
        start(tmp_path, "bert").student()
    with pytest.raises(UserError, match="names no weights"):
        start(tmp_path, "e5", None).student()


def test_the_committed_settings_have_languages_of_their_own():
    from test_graph import ROOT

    study = settings.read(ROOT / "studies/pretrained/params.yaml")
    own = {one.name: one.among(study.languages) for one in study.variants}
    assert (
        own["e5"] == study.languages and own["e5_from_de"] == ["nl", "ja", "ko", "zh"] and own["e5_3"] == ["de", "zh"]
    )
