"""The stage `translate_back`: the test hypotheses of one language, back into English."""

from pathlib import Path

import pytest
from deep_translator import constants

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import SPLITS, Example, Translation, hypothesis_id, read_rows, write_rows
from clseave.miniature import gold
from clseave.stages import translate_back
from translate_server import Service, said, serving

GERMAN = {"A dog.": "Ein Hund.", "The dog.": "Ein Hund.", "Tokyo": "Tokyo", "Only in train.": "Nur im Training."}
FILES = "backend: files, folder: made, corrections: null"
GOOGLE = (
    "backend: google, characters: 4500, requests_per_second: 1000.0, threads: 2, timeout_s: 10.0, retries: 1, "
    "corrections: null"
)


def run(folder: Path, translate: str, table=GERMAN, tested=("A dog.", "Tokyo", "The dog.", "A dog.")):
    """Run the stage on test examples of these hypotheses and give its rows as texts."""
    (folder / "profile.yaml").write_text(f"device: cpu\ntranslate: {{{translate}}}\n")
    (folder / "params.yaml").write_text("profile: profile\n")
    for split in SPLITS:
        texts = tested if split == "test" else [next(reversed(table))]
        write_rows(
            folder / f"examples/{split}.jsonl",
            [
                Example(f"{split}{n}", "i", hypothesis_id(text), text, "neutral", split, None, None)
                for n, text in enumerate(texts)
            ],
        )
    rows = [Translation(hypothesis_id(text), text, "de", german, "made", "1") for text, german in table.items()]
    write_rows(folder / "de.jsonl", rows)
    names = {"params": "params.yaml", "profile": "profile.yaml", "translations": "de.jsonl", "out": "back.jsonl"}
    names |= {name: name for name in ("examples", "source", "store")}
    words = [word for name, path in names.items() for word in (f"--{name}", str(folder / path))]
    translate_back.main([*words, "--language", "de"])
    found = read_rows(folder / "back.jsonl", Translation)
    assert all(row.target == "en" for row in found)
    return [(row.hypothesis_id, row.source, row.text, row.backend) for row in found]


def row(english, text, backend):
    return (hypothesis_id(english), GERMAN[english], text, backend)


def test_files_are_named_by_both_languages(tmp_path):
    (tmp_path / "source/made").mkdir(parents=True)
    (tmp_path / "source/made/de-en.tsv").write_text("Ein Hund.\tSome dog.\nTokyo\tTokyo\n")
    assert run(tmp_path, FILES) == [
        row("A dog.", "Some dog.", "files"),
        row("Tokyo", "Tokyo", "untranslated"),  # the same in both: no reason to stop
        row("The dog.", "Some dog.", "files"),
    ]


def test_without_a_file_it_says_what_may_be_done(tmp_path):
    (tmp_path / "source/made").mkdir(parents=True)
    (tmp_path / "source/made/en.tsv").write_text("Ein Hund.\tA dog.\n")
    with pytest.raises(UserError, match=r"found none of de-en.jsonl, .* into en; or set translate.back: false"):
        run(tmp_path, FILES)
    assert not (tmp_path / "back.jsonl").exists()


def test_the_service_is_asked_for_the_other_direction_once_for_each_sentence(tmp_path, monkeypatch):
    with serving(Service(origin="de")) as service:
        monkeypatch.setitem(constants.BASE_URLS, "GOOGLE_TRANSLATE", service.url)
        found = run(tmp_path, GOOGLE)
        assert found == run(tmp_path, GOOGLE)
    assert found == [row(text, said(GERMAN[text], "en"), "google") for text in ("A dog.", "Tokyo", "The dog.")]
    assert service.texts == ["Ein Hund.\nTokyo"]  # the second run found the answers that the first one kept
    (kept,) = (tmp_path / "store").glob("*.jsonl")
    assert kept.name.endswith(".de-en.jsonl") and '"source":"de","target":"en"' in kept.read_text()


def test_a_profile_can_do_without(tmp_path):
    assert run(tmp_path, f"{GOOGLE}, back: false") == []
    assert (tmp_path / "back.jsonl").read_bytes() == b"" and not (tmp_path / "store").exists()


def test_the_grammar_says_the_test_hypotheses_in_other_words(tmp_path):
    english = sorted(gold.facts_by_sentence())[::97]
    table = {text: gold.sentence(text, "de").text for text in english}
    found = run(tmp_path, "backend: gold", table, english[:-1])
    assert [(key, text) for key, _, text, _ in found] == [
        (hypothesis_id(text), gold.back(table[text], "de")) for text in english[:-1]
    ]
    assert not {text for _, _, text, _ in found} & set(english[:-1]) and not (tmp_path / "store").exists()


def test_a_test_hypothesis_without_a_translation_is_named(tmp_path):
    with pytest.raises(UserError, match=f"no translation in .*de.jsonl for id {hypothesis_id('A cat.')}"):
        run(tmp_path, "backend: gold", tested=("A cat.",))
