"""The command `predict`: folders that are no model, texts that deserve no verdict or a doubtful one."""

import json

import pytest
import torch
from tiny_models import PROJECTED, bert, bert_text, tower

from clseave.commands import predict
from clseave.foundation.errors import UserError
from clseave.models.clip_ve import save_head
from clseave.models.head import Head
from clseave.models.student import Student


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """`models/thesis` with CLIP-VE and a student of two seeds; the image tower is a configuration alone."""
    folder = tmp_path_factory.mktemp("models") / "thesis"
    for seed in ("seed0", "seed1"):
        tower().save(folder / "clip_ve" / seed)
        save_head(folder / "clip_ve" / seed, Head(PROJECTED, 4, 0.0), "clip_ve")
        Student(bert(), bert_text(), PROJECTED, "sep").save(folder / "clseave/de" / seed)
    (folder / "clip").mkdir()
    (folder / "clip/config.json").write_text("{}")
    (folder / "autoencoder/seed0").mkdir(parents=True)
    (folder / "autoencoder/seed0/autoencoder.json").write_text("{}")  # a part of a student, no text encoder
    return folder


def run(monkeypatch, model, *texts):
    """The command with a premise of its own making."""
    monkeypatch.setattr(predict, "image_vector", lambda *_: torch.ones(1, PROJECTED))
    options = [part for text in texts for part in ("--text", text)]
    predict.main(["--model", str(model), "--image", "photo.png", *options, "--format", "json"])


def test_a_folder_of_models_names_those_in_it(profile, monkeypatch):
    wanted = [f"{profile}/{name}/seed{seed}" for name in ("clip_ve", "clseave/de") for seed in (0, 1)]
    with pytest.raises(UserError) as caught:
        run(monkeypatch, profile, "Ein Kreis")
    assert str(caught.value) == f"{profile} is no text encoder: name a model in it: {', '.join(wanted)}"
    with pytest.raises(UserError, match=rf"in it: {profile}/clseave/de/seed0, {profile}/clseave/de/seed1$"):
        run(monkeypatch, profile / "clseave", "Ein Kreis")


def test_of_many_models_a_dozen_are_named(tmp_path, monkeypatch):
    for seed in range(14):
        folder = tmp_path / f"clseave/de/seed{seed:02}"
        folder.mkdir(parents=True)
        for name in ("config.json", "student.json"):
            (folder / name).write_text("{}")
    with pytest.raises(UserError, match=r"seed10, [^ ]*seed11 and 2 more$"):
        run(monkeypatch, tmp_path, "Ein Kreis")


def test_a_folder_without_a_text_encoder_is_named(profile, monkeypatch):
    with pytest.raises(UserError, match=r"clip is no text encoder: run the stage that writes it"):
        run(monkeypatch, profile / "clip", "Ein Kreis")


@pytest.mark.parametrize("model", ["clip_ve/seed0", "clseave/de/seed1"])
@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u200e\u202e", "\x00\x07", "\u3164\ufe0f"])
def test_a_text_with_nothing_to_see_gets_no_verdict(profile, monkeypatch, capsys, model, text):
    with pytest.raises(UserError, match="a blank text cannot be encoded"):
        run(monkeypatch, profile / model, "Ein Kreis", text)
    assert capsys.readouterr().out == ""


def test_a_text_of_unknown_tokens_gets_a_verdict_with_a_warning(profile, monkeypatch, capsys, caplog):
    texts = ["ДЖЖ ЩЩ!", "Ein roter Kreis", "Ein Kreis!!!"]
    run(monkeypatch, profile / "clseave/de/seed0", *texts)
    assert [row["text"] for row in json.loads(capsys.readouterr().out)] == texts
    (said,) = caplog.messages
    assert said.startswith("'ДЖЖ ЩЩ!': 100 % of the tokens are unknown to the model")
