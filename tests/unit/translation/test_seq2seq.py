"""Translation by a model: M2M100, NLLB and Marian in miniature, trained, saved and loaded as those of the hub."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from tiny_translators import DUTCH, ENGLISH, GERMAN, save_m2m100, save_marian, save_nllb
from transformers import BertConfig, BertModel, T5Config, T5ForConditionalGeneration

from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import NmtTranslation, Pretrained
from clseave.translation.answers import Answer
from clseave.translation.seq2seq import NmtBackend, _direction, _tokens, batches_by_length

TABLES = {"de": GERMAN, "nl": DUTCH}


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory) -> Path:
    return save_m2m100(tmp_path_factory.mktemp("m2m100") / "model")


@pytest.fixture(scope="module")
def marian(tmp_path_factory) -> Path:
    return save_marian(tmp_path_factory.mktemp("marian") / "model")


def settings(folder: Path, weights: str = "safetensors", **changes) -> NmtTranslation:
    model = Pretrained(id=str(folder), revision=None, weights=weights)
    values = {
        "backend": "nmt", "model": model, "beams": 1, "batch_tokens": 200, "max_new_tokens": 50, "corrections": None,
    }  # fmt: skip
    return NmtTranslation(**values | changes)


def ask(folder: Path, language: str = "de", texts=ENGLISH, **changes) -> dict[str, Answer]:
    answers = list(NmtBackend(settings(folder, **changes), language, "cpu").translate(texts))
    assert sorted(answer.source for answer in answers) == sorted(texts)
    return {answer.source: answer for answer in answers}


def learnt(language: str) -> dict[str, Answer]:
    return {source: Answer(source, text) for source, text in TABLES[language].items()}


@pytest.mark.parametrize("language", ["de", "nl"])
def test_m2m100_gives_what_it_has_learnt_in_the_language_asked_for(m2m100, language):
    assert ask(m2m100, language) == learnt(language)


def test_m2m100_translates_back_into_english(tmp_path):
    folder = save_m2m100(tmp_path / "model", back=True)
    for language, table in TABLES.items():
        backend = NmtBackend(settings(folder), "en", "cpu", language)
        assert {(one.source, one.text) for one in backend.translate(list(table.values()))} == {
            (text, english) for english, text in table.items()
        }
    with pytest.raises(UserError, match=r"languages: found 'xx', allowed with .*; or set translate.back: false"):
        list(NmtBackend(settings(folder), "en", "cpu", "xx").translate(["Ein Hund rennt."]))


def test_a_model_of_one_direction_cannot_translate_back(marian):
    said = "; this Marian model translates one way only, or set translate.back: false"
    with pytest.raises(UserError, match=rf"found 'en', allowed with {marian}: de{said}"):
        list(NmtBackend(settings(marian), "en", "cpu", "de").translate(["Ein Hund rennt."]))


def test_a_model_of_one_direction_that_names_no_language_goes_from_english_only(marian, tmp_path):
    folder = Path(shutil.copytree(marian, tmp_path / "unnamed"))
    known = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(known | {"source_lang": None, "target_lang": None}))
    assert ask(folder, "de") == learnt("de")
    with pytest.raises(UserError, match=r"allowed with .*its settings name none.*one way only, or set translate\.back"):
        list(NmtBackend(settings(folder), "en", "cpu", "de").translate(["Ein Hund rennt."]))


@pytest.mark.slow
def test_nllb_is_told_where_a_text_comes_from(tmp_path):
    folder = save_nllb(tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    signs = tokenizer.convert_tokens_to_ids(["nld_Latn", "eng_Latn"])
    assert _direction(tokenizer, "m2m_100", ("nl", "en"), "x") == ("", {"forced_bos_token_id": signs[1]})
    assert tokenizer("een").input_ids[0] == signs[0]


def test_marian_gives_what_it_has_learnt(marian):
    assert ask(marian) == learnt("de")


@pytest.mark.parametrize("codes", [("deu", "nld"), ("de", "nl")])
def test_marian_with_several_targets_is_told_the_language(tmp_path, codes):
    folder = save_marian(tmp_path / "model", codes)
    assert ask(folder, "de") == learnt("de")
    assert ask(folder, "nl") == learnt("nl")
    with pytest.raises(UserError, match=rf"languages: found 'ja', allowed with {folder}: {codes[0]}, {codes[1]}"):
        ask(folder, "ja")


def test_nllb_is_told_the_language_by_its_own_codes(tmp_path):
    folder = save_nllb(tmp_path / "model")
    assert ask(folder, "de") == learnt("de")
    assert ask(folder, "nl") == learnt("nl")


@pytest.mark.parametrize("beams", [1, 3])
def test_the_size_of_a_batch_does_not_matter(m2m100, beams):
    texts = [*ENGLISH, "A dog.", "The man runs outside and a woman sleeps.", "Two dogs and two cats and two men."]
    alone, few, together = (ask(m2m100, texts=texts, batch_tokens=size, beams=beams) for size in (1, 40, 10_000))
    assert alone == few == together


def test_the_order_of_the_texts_does_not_matter(m2m100):
    assert ask(m2m100, texts=ENGLISH[::-1]) == ask(m2m100, texts=ENGLISH)


def test_answers_come_batch_by_batch(m2m100):
    answers = NmtBackend(settings(m2m100, batch_tokens=1), "de", "cpu").translate(ENGLISH)
    assert next(answers).source == "A dog and a cat sleep outside."  # the longest
    answers.close()


def test_line_breaks_are_spaces_for_the_model(m2m100):
    assert ask(m2m100, texts=[" A dog\nruns.\n"])[" A dog\nruns.\n"].text == GERMAN["A dog runs."]


@pytest.mark.parametrize("kind", ["m2m100", "marian"])
@pytest.mark.parametrize("beams", [1, 2])
def test_a_translation_that_does_not_end_is_a_failure(kind, beams, request):
    folder = request.getfixturevalue(kind)  # Marian's own settings force an end
    answer = ask(folder, texts=["A dog and a cat sleep."], max_new_tokens=4, beams=beams)
    assert {one.reason for one in answer.values()} == {"cut off: no end after 4 tokens"}


def test_a_text_longer_than_the_model_takes_is_a_failure(m2m100):
    long = "A dog runs. " * 30
    answers = ask(m2m100, texts=[long, *ENGLISH])
    assert answers[long].text is None and "tokens, the model takes 64" in answers[long].reason
    assert {text: answers[text] for text in ENGLISH} == learnt("de")


def test_more_tokens_than_positions_are_the_user_s_error(m2m100):
    with pytest.raises(UserError, match=r"translate.max_new_tokens: found 64, allowed: less than 64"):
        ask(m2m100, max_new_tokens=64)


def test_batches_are_cut_by_their_padded_length():
    lengths = {"a": 3, "bb": 9, "c": 4, "d": 4, "eee": 30}
    assert list(batches_by_length(lengths, 12)) == [["eee"], ["bb"], ["c", "d", "a"]]
    assert list(batches_by_length({}, 12)) == []


def test_nothing_is_loaded_when_nothing_is_asked_for(tmp_path, marian):
    shutil.copytree(marian, tmp_path / "model")
    backend = NmtBackend(settings(tmp_path / "model"), "de", "cpu")
    shutil.rmtree(tmp_path / "model")
    assert list(backend.translate([])) == []


# what the answers are kept under


def version(folder: Path, **changes) -> str:
    return NmtBackend(settings(folder, **changes), "de", "cpu").version


def test_the_version_is_the_model_s_content_and_how_it_is_decoded(tmp_path, marian):
    first = version(marian)
    assert (
        first.startswith("local@")
        and f" beams=1 max_new_tokens=50 float32 transformers={transformers.__version__}" in first
    )
    assert str(marian) not in first
    shutil.copytree(marian, tmp_path / "copy")
    assert version(tmp_path / "copy") == first == version(marian, batch_tokens=7)
    assert len({first, version(marian, beams=2), version(marian, max_new_tokens=51)}) == 3
    weights = tmp_path / "copy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    changed = version(tmp_path / "copy")
    (tmp_path / "copy" / "config.json").write_text("{}")
    assert len({first, changed, version(tmp_path / "copy")}) == 3


def test_a_model_of_the_hub_has_its_revision_as_version():
    """Without fetching it: the answers may all be there."""
    model = Pretrained(id="facebook/m2m100_418M", revision="0" * 40, weights="safetensors")
    found = version(Path("unused"), model=model)
    assert found == (
        f"facebook/m2m100_418M@{'0' * 40} beams=1 max_new_tokens=50 float32 transformers={transformers.__version__}"
    )


# models that will not do


def test_pickled_weights_are_read_when_the_profile_says_so(tmp_path, marian):
    from safetensors.torch import load_file

    folder = tmp_path / "model"
    shutil.copytree(marian, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert ask(folder, weights="convert") == learnt("de")


@pytest.mark.parametrize(
    ("language", "message"),
    [("xx", "languages: found 'xx', allowed with .*: af, am, ar, "), ("en-GB", "languages: found 'en-GB', allowed")],
)
def test_a_language_that_the_model_lacks_is_the_user_s_error(m2m100, language, message):
    with pytest.raises(UserError, match=message):
        ask(m2m100, language)


def test_a_model_for_another_language_is_the_user_s_error(marian):
    with pytest.raises(UserError, match=rf"languages: found 'nl', allowed with {marian}: de"):
        ask(marian, "nl")


def test_a_model_of_another_type_is_the_user_s_error(tmp_path, marian):
    shutil.copytree(marian, tmp_path / "bert")
    BertModel(
        BertConfig(hidden_size=8, intermediate_size=8, num_attention_heads=1, num_hidden_layers=1)
    ).save_pretrained(tmp_path / "bert")
    with pytest.raises(UserError, match=r"found .*bert, a bert \(model_type in config.json\), allowed: M2M100 or NLLB"):
        ask(tmp_path / "bert")
    shutil.copytree(marian, tmp_path / "t5")
    config = T5Config(d_model=8, d_ff=8, d_kv=8, num_heads=1, num_layers=1, vocab_size=300, n_positions=64)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    with pytest.raises(UserError, match=r"found .*t5, a t5 .*, allowed: M2M100 or NLLB \(m2m_100\), Marian \(marian\)"):
        ask(tmp_path / "t5")


@pytest.mark.parametrize("gone", ["source.spm", "vocab.json"])
def test_a_tokenizer_with_a_file_missing_is_the_user_s_error(tmp_path, marian, gone):
    shutil.copytree(marian, tmp_path / "model")
    (tmp_path / "model" / gone).unlink()
    with pytest.raises(UserError, match="has no usable tokenizer"):
        ask(tmp_path / "model")


def test_missing_weights_are_the_user_s_error(tmp_path, marian):
    from safetensors.torch import load_file, save_file

    shutil.copytree(marian, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    weights = load_file(path)
    del weights["model.encoder.layers.0.fc1.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights of AutoModelForSeq2SeqLM, the first .*fc1.weight"):
        ask(tmp_path / "model")


def test_code_that_comes_with_a_model_is_not_run(tmp_path, marian):
    folder = tmp_path / "model"
    shutil.copytree(marian, folder)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSeq2SeqLM": "own.Own", "AutoConfig": "own.Own", "AutoTokenizer": "own.Own"}
    (folder / "config.json").write_text(json.dumps(config))
    assert ask(folder) == learnt("de")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["m2m100", "marian", "marian of two languages", "nllb"])
def test_special_tokens_and_signs_of_languages_in_a_text_are_text(tmp_path, monkeypatch, name):
    monkeypatch.setattr("tiny_translators.learn", lambda *_: None)
    save = {"m2m100": save_m2m100, "marian": save_marian, "nllb": save_nllb}
    folder = save[name](tmp_path / "model") if name in save else save_marian(tmp_path / "model", ("deu", "nld"))
    prefix = "" if name in save else ">>deu<< "
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def count(text):
        tokens = tokenizer.convert_ids_to_tokens(_tokens(tokenizer, prefix, [text]).input_ids[0])
        return sum(
            token in (*tokenizer.all_special_tokens, ">>deu<<", ">>nld<<") and token != "<unk>" for token in tokens
        )

    known = count("A dog runs.")
    for token in (*tokenizer.all_special_tokens, ">>nld<<", ">>deu<<", "__de__", "deu_Latn"):
        for text in (f"{token} A dog", f"A {token} dog", f"A dog{token}", f" {token}"):
            assert count(text) == known, text
    assert _tokens(tokenizer, prefix, ["A dog runs."]).input_ids == [tokenizer(f"{prefix}A dog runs.").input_ids]
