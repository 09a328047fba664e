"""The miniature as rows: examples, images, monolingual texts, captions."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from clseave.foundation.rows.records import SPLITS, hypothesis_id
from clseave.foundation.settings.schema import Scenes
from clseave.miniature import gold
from clseave.miniature.grammar import LANGUAGES, PHRASINGS, caption, express
from clseave.miniature.sampling import facts_and_split
from clseave.miniature.scenes import split_of
from clseave.miniature.statements import KINDS
from clseave.miniature.world import (
    build_split,
    caption_batches,
    caption_draws,
    draw_images,
    monolingual_text,
    paraphrased_examples,
)

SOURCE = Scenes(
    kind="scenes",
    seed=5,
    test_seed=6,
    images={"train": 60, "dev": 20, "test": 20},
    content_shares={"train": 0.7, "dev": 0.1, "test": 0.2},
    kinds_per_image=3,
    held_out={
        "dev": {"place": 21, "half": 21, "relation": 30, "count": 21},
        "test": {"place": 21, "half": 21, "relation": 30, "count": 21},
    },
    empty=0.2,
    two_panels=0.4,
    noise=4,
    independent_images=3,
    text_lines=30,
)
TRAIN, SAID, SCENES = build_split("train", SOURCE, None)
BUILT = {"train": (TRAIN, SAID, SCENES), **{split: build_split(split, SOURCE, set(SAID)) for split in ("dev", "test")}}


@pytest.mark.parametrize("split", SPLITS)
def test_rows_agree_with_themselves(split):
    examples, said, scenes = BUILT[split]
    assert len({row.pair_id for row in examples}) == len(examples) > 100
    assert len(scenes) == SOURCE.images[split]
    for row in examples:
        fact, phrasing = said[row.hypothesis_id]
        assert row.hypothesis == express(fact, "en", phrasing).text
        assert row.hypothesis_id == hypothesis_id(row.hypothesis)
        assert (row.split, row.kind) == (split, fact.kind)
        assert row.image_id.startswith(f"{split}-") and int(row.image_id.split("-")[1]) < len(scenes)


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_balanced_in_every_image_and_kind(split):
    groups = Counter((row.image_id, row.kind, row.label) for row in BUILT[split][0])
    assert all(groups[image, kind, "neutral"] == number for (image, kind, _), number in groups.items())
    assert all(number <= (2 if kind == "relation" else 1) for (_, kind, _), number in groups.items())


@pytest.mark.parametrize("split", SPLITS)
def test_a_minimal_pair_has_the_same_words_in_another_order_and_another_label(split):
    pairs = defaultdict(list)
    for row in BUILT[split][0]:
        if row.pair:
            pairs[row.pair].append(row)
    assert len(pairs) * 3 == sum(row.kind == "relation" for row in BUILT[split][0]) > 0
    for one, other in pairs.values():
        assert one.image_id == other.image_id and one.label != other.label
        assert one.hypothesis != other.hypothesis
        assert sorted(one.hypothesis.lower().split()) == sorted(other.hypothesis.lower().split())


@pytest.mark.parametrize("split", ["dev", "test"])
def test_seen_and_unseen_rows_have_the_same_mix_of_kinds(split):
    facts, owner = facts_and_split(SOURCE.held_out, {"dev": SOURCE.seed, "test": SOURCE.test_seed})
    said = {str(fact) for fact, mine in zip(facts, owner["train"], strict=True) if mine}
    kinds = Counter((row.kind, row.statement in said) for row in BUILT[split][0])
    assert len({kinds[kind, True] for kind in KINDS}) == len({kinds[kind, False] for kind in KINDS}) == 1


def test_all_phrasings_of_a_statement_share_its_name():
    names = {row.statement for row in TRAIN}
    assert names == {str(fact) for fact, _ in SAID.values()} and len(names) < len(SAID)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_seen_says_whether_training_has_the_very_sentence(split):
    trained = {row.hypothesis for row in TRAIN}
    examples = BUILT[split][0]
    assert all(row.seen == (row.hypothesis in trained) for row in examples)
    assert len({row.seen for row in examples}) == 2


def test_every_training_row_is_seen():
    assert all(row.seen is True for row in TRAIN)


def test_training_statements_and_those_introduced_by_dev_and_test_differ():
    said = {split: {fact for fact, _ in BUILT[split][1].values()} for split in SPLITS}
    new = {split: said[split] - said["train"] for split in ("dev", "test")}
    assert new["dev"] and new["test"]
    facts, owner = facts_and_split(SOURCE.held_out, {"dev": SOURCE.seed, "test": SOURCE.test_seed})
    for split in SPLITS:
        others = {fact for row, fact in enumerate(facts) if not owner["train"][row] and not owner[split][row]}
        assert not said[split] & others


def test_no_scene_is_in_two_splits():
    contents = [{tuple(scene) for scene in BUILT[split][2].tolist()} for split in SPLITS]
    assert not contents[0] & contents[1] and not contents[0] & contents[2] and not contents[1] & contents[2]


def test_the_same_source_gives_the_same_rows_and_pixels():
    examples, said, scenes = build_split("dev", SOURCE, set(SAID))
    assert (examples, said) == BUILT["dev"][:2]
    one, again = (dict(draw_images("dev", SOURCE, scenes)) for _ in range(2))
    assert all(np.array_equal(one[key], again[key]) for key in one)
    assert build_split("dev", SOURCE.model_copy(update={"seed": 6}), set(SAID))[0] != examples


def test_the_scenes_of_test_have_a_seed_of_their_own():
    changed = SOURCE.model_copy(update={"test_seed": 7})
    assert not np.array_equal(build_split("test", changed, set(SAID))[2], BUILT["test"][2])
    assert np.array_equal(build_split("dev", changed, set(SAID))[2], BUILT["dev"][2])


def test_images_are_named_as_the_examples_name_them():
    pictures = dict(draw_images("test", SOURCE, BUILT["test"][2]))
    assert {row.image_id for row in BUILT["test"][0]} <= set(pictures) and len(pictures) == 20
    assert {image.shape for image in pictures.values()} == {(32, 32, 3)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_monolingual_texts_hold_training_sentences_only(language):
    lines = monolingual_text(SAID, language, 40, SOURCE.seed)
    allowed = {express(fact, language, phrasing).text for fact, phrasing in SAID.values()}
    assert len(lines) == 40 and set(lines) <= allowed


def test_monolingual_texts_are_not_parallel():
    english = monolingual_text(SAID, "en", 40, SOURCE.seed)
    for language in LANGUAGES[1:]:
        lines = monolingual_text(SAID, language, 40, SOURCE.seed)
        translated = [gold.sentence(text, language).text for text in english]
        assert sum(ours == theirs for ours, theirs in zip(lines, translated, strict=True)) < 5
        assert len(set(translated) - set(lines)) > 5  # the choice differs too, not only its order


def test_a_text_is_no_longer_than_what_there_is_to_say():
    assert len(monolingual_text(SAID, "de", 10**6, 0)) == len(SAID)


def read_in_training(language):
    return {express(fact, language, phrasing).text for fact, phrasing in SAID.values()}


def test_a_second_translator_says_the_same_facts_in_other_words():
    examples, said, _ = BUILT["test"]
    rows, texts = paraphrased_examples(examples, said, 3)
    assert rows == [row for row in examples if row.image_id in {f"test-{number:05d}" for number in range(3)}] != []
    assert set(texts) == set(LANGUAGES)
    for language, translations in texts.items():
        assert [one.hypothesis_id for one in translations] == list(dict.fromkeys(row.hypothesis_id for row in rows))
        for one in translations:
            fact, phrasing = said[one.hypothesis_id]
            assert one.text == express(fact, language, gold.other_phrasing(fact)).text
            assert one.text not in read_in_training(language)
            assert (one.source, one.target) == (express(fact, "en", phrasing).text, language)


@pytest.mark.parametrize(("images", "found"), [(0, 0), (1, 1), (999, None)])
def test_as_many_images_are_reworded_as_are_asked_for(images, found):
    rows, texts = paraphrased_examples(*BUILT["test"][:2], images)
    every = {row.image_id for row in BUILT["test"][0]}
    assert len({row.image_id for row in rows}) == (len(every) if found is None else found)
    assert all(bool(one) == bool(images) for one in texts.values())


def test_captions_describe_the_rendered_training_contents():
    batches = list(caption_batches(SOURCE, 2, 6, caption_draws(1)))
    assert [(len(captions), images.shape) for captions, images in batches] == [(6, (6, 32, 32, 3))] * 2
    assert batches[0][0] != batches[1][0]
    held_out = {caption(scene) for split in ("dev", "test") for scene in BUILT[split][2]}
    assert not held_out & {
        text for captions, _ in caption_batches(SOURCE, 20, 20, caption_draws(1)) for text in captions
    }


def test_captions_name_what_is_drawn_in_reading_order():
    looks = {
        (110,) * 3: "hidden",
        (235,) * 3: "empty",
        (214, 48, 42): "red",
        (52, 160, 68): "green",
        (46, 92, 210): "blue",
        (236, 200, 40): "yellow",
    }
    captions, images = next(caption_batches(SOURCE.model_copy(update={"noise": 0}), 1, 20, caption_draws(2)))
    for text, image in zip(captions, images, strict=True):
        drawn = [looks[tuple(image[row, column].tolist())] for row in (8, 24) for column in (8, 24)]
        assert [word for word in text.lower().replace(",", "").split() if word in looks.values()] == drawn


def test_caption_batches_repeat_by_seed():
    one, again, other = (next(caption_batches(SOURCE, 1, 5, caption_draws(seed)))[0] for seed in (1, 1, 2))
    assert one == again != other


def test_caption_batches_go_on_from_a_state_of_what_they_draw_from():
    rng = caption_draws(1)
    batches = caption_batches(SOURCE, 3, 5, rng)
    next(batches)
    state = rng.bit_generator.state
    wanted = next(batches)
    other = caption_draws(7)
    other.bit_generator.state = state
    captions, images = next(caption_batches(SOURCE, 2, 5, other))
    assert captions == wanted[0] and np.array_equal(images, wanted[1])


def test_every_phrasing_is_used():
    assert {phrasing for _, phrasing in SAID.values()} == set(range(PHRASINGS))


def test_only_contents_of_the_split_are_drawn():
    for split in SPLITS:
        assert {split_of(scene, SOURCE.content_shares) for scene in BUILT[split][2]} == {split}
