"""What a model may be used for, by where it and its bases come from."""

import pytest

from clseave.cards.licences import derived, of_backbone, of_model
from clseave.foundation.rows.training_record import LOCAL, Origin, TrainingRecord

CLIP, MBERT = "openai/clip-vit-base-patch16", "google-bert/bert-base-multilingual-cased"


def own():
    return of_backbone(Origin(corpus="scenes"))


def fetched(name, corpus="photos"):
    return of_backbone(Origin(corpus=corpus, id=name, revision="0" * 40))


def record(*bases, origin=None):
    return TrainingRecord(
        name="clseave", stage="clseave", profile="mini", seed=0, languages=["de"], parameters={}, inputs={},
        bases=list(bases), origin=origin, metrics={},
    )  # fmt: skip


def test_what_is_trained_here_on_generated_data_is_under_the_licence_of_the_repository():
    made = derived([own(), own()])
    assert (own().licence, made.licence, made.terms, made.base_models) == ("mit", "mit", own().terms, ())
    assert "toy world" in made.limits


@pytest.mark.parametrize(("name", "licence"), [(CLIP, "mit"), (MBERT, "apache-2.0"), ("owner/other", "unknown")])
def test_a_fetched_model_keeps_its_authors_licence(name, licence):
    found = fetched(name)
    assert (found.licence, list(found.base_models)) == (licence, [name])


def test_a_local_folder_is_no_model_of_the_hub():
    found = fetched(LOCAL)
    assert (found.licence, list(found.base_models)) == ("unknown", [])


def test_a_model_of_photos_names_every_owner():
    found = derived([fetched(CLIP), fetched(MBERT)])
    assert (found.licence, found.base_models) == ("other", [MBERT, CLIP])
    for owner in (CLIP, MBERT, "CC BY-SA 4.0", "Flickr30k", "No licence is granted"):
        assert owner in found.terms
    assert found.terms.endswith("the terms of each.")


def test_public_weights_on_generated_data_are_not_ours():
    found = derived([fetched(CLIP, "scenes")])
    assert (found.licence, found.generated, found.base_models) == ("other", True, [CLIP])
    assert "generated data" in found.terms and "SNLI" not in found.terms


@pytest.mark.parametrize("bases", [[], [None], [own(), None], [fetched("owner/other")], [own(), fetched(LOCAL)]])
def test_what_nobody_knows_is_not_passed_on(bases):
    assert derived(bases).licence == "unknown"


def test_a_licence_passes_through_the_bases_of_bases():
    records = {
        "models/x/clip": record(origin=Origin(corpus="photos", id=CLIP, revision="0" * 40)),
        "models/x/mbert": record(origin=Origin(corpus="photos", id=MBERT, revision="0" * 40)),
        "models/x/clip_ve/seed0": record("models/x/clip"),
        "models/x/autoencoder/seed0": record("models/x/clip", "models/x/mbert"),
    }
    student = record("models/x/mbert", "models/x/clip_ve/seed0", "models/x/autoencoder/seed0")
    assert of_model(student, records).base_models == [MBERT, CLIP]
    del records["models/x/clip"]
    assert of_model(student, records).licence == "unknown"


def test_bases_that_lead_back_are_not_known():
    records = {"a": record("b"), "b": record("a"), "c": record("c")}
    assert {of_model(one, records).licence for one in records.values()} == {"unknown"}
