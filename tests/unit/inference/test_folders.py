"""Which model folders are taken together."""

import pytest
from tiny_profile import save_profile

from clseave.foundation.errors import UserError
from clseave.inference.folders import find, head_and_clip


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return save_profile(tmp_path_factory.mktemp("models") / "tiny")


def test_a_profile_has_an_encoder_for_each_language_of_its_first_seed(profile):
    found = find(profile)
    assert found.encoders == {"en": profile / "clip_ve/seed0"} | {
        language: profile / f"clseave/{language}/seed0" for language in ("de", "ja")
    }
    assert (found.head, found.clip) == (profile / "clip_ve/seed0", profile / "clip")
    assert list(find(profile, ["ja"]).encoders) == ["ja"]
    with pytest.raises(UserError, match=r"no student for fr; it has en, de, ja$"):
        find(profile, ["fr"])


def test_a_model_says_its_language_and_takes_the_head_of_its_seed(profile):
    found = find(profile / "clseave/de/seed1")
    assert found.encoders == {"de": profile / "clseave/de/seed1"} and found.head == profile / "clip_ve/seed1"
    with pytest.raises(UserError, match="found --language ja, but it was trained on de"):
        find(profile / "clseave/de/seed1", ["ja"])
    chosen = find(profile / "clseave/de/seed1", (), profile / "a", profile / "b")
    assert (chosen.head, chosen.clip) == (profile / "a", profile / "b")


def test_a_folder_of_models_names_those_in_it(profile):
    wanted = [f"{profile}/clseave/{language}/seed{seed}" for language in ("de", "ja") for seed in (0, 1)]
    with pytest.raises(UserError) as caught:
        find(profile / "clseave")
    assert str(caught.value) == f"{profile}/clseave is no text encoder: name a model in it: {', '.join(wanted)}"


def test_of_many_models_a_dozen_are_named(tmp_path):
    for seed in range(14):
        folder = tmp_path / f"clseave/de/seed{seed:02}"
        folder.mkdir(parents=True)
        for name in ("config.json", "student.json"):
            (folder / name).write_text("{}")
    with pytest.raises(UserError, match=r"seed10, [^ ]*seed11 and 2 more$"):
        find(tmp_path)


def test_a_folder_without_a_text_encoder_is_named(profile, tmp_path):
    with pytest.raises(UserError, match=r"clip is no text encoder: run the stage that writes it"):
        find(profile / "clip")
    with pytest.raises(UserError, match="no such folder"):
        find(tmp_path / "absent")


def test_a_model_with_a_head_of_its_own_takes_that(tmp_path):
    for name in ("clip", "clip_ve/seed0", "hypothesis_only/seed0", "clseave/de/seed0"):
        (tmp_path / "mini" / name).mkdir(parents=True)
    (tmp_path / "mini/clip/config.json").write_text("{}")
    for name in ("clip_ve", "hypothesis_only"):
        (tmp_path / f"mini/{name}/seed0/head.json").write_text("{}")
    folder = tmp_path / "mini"
    assert head_and_clip(folder / "hypothesis_only/seed0") == (folder / "hypothesis_only/seed0", folder / "clip")
    assert head_and_clip(folder / "clseave/de/seed0") == (folder / "clip_ve/seed0", folder / "clip")
    with pytest.raises(UserError, match="no CLIP beside it"):
        head_and_clip(tmp_path)
