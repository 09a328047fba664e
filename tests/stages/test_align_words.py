"""The stage `align_words` on real captions, which no grammar made: words, counts, long texts, messages."""

import csv
import json
import logging

import pytest
import torch
from ruamel.yaml import YAML
from transformers import BertConfig, BertForMaskedLM

from clseave.backbones.vocabulary import bert_tokenizer
from clseave.foundation.errors import UserError
from clseave.foundation.process import progress
from clseave.foundation.process.shards import Shard
from clseave.foundation.rows.records import Alignment, Translation, hypothesis_id, read_rows, write_rows
from clseave.miniature import gold
from clseave.models.tokens import load_tokenizer
from clseave.stages import align_words
from clseave.word_alignment.aligner import WordAligner
from clseave.word_alignment.segmentation import words
from clseave.word_alignment.token_pairs import first_positions

SEGMENTERS = {"default": "bert", "ja": "fugashi", "zh": "jieba", "ko": "whitespace"}
CAPTIONS = {
    "de": [
        ("Two dogs run.", "Zwei Hunde rennen."),
        ("A man in a red shirt rides a bike.", "Ein Mann fährt, im roten Hemd, Rad."),
    ],
    "ja": [("Two dogs run.", "二匹の犬が走る。"), ("A woman\u3000sings.", "女の人が\u3000歌う。")],
    "ko": [("Two dogs run.", "개 두 마리가 달린다."), ("A woman sings.", "한 여자가\u00a0노래한다.")],
    "zh": [("Two dogs run.", "两只狗在奔跑。"), ("A man in a T-shirt sits.", "一个穿T恤的男人坐着。")],
}
LONGEST = 32


@pytest.fixture(scope="module")
def mbert(tmp_path_factory):
    """Random weights and a vocabulary of the captions' characters."""
    folder = tmp_path_factory.mktemp("mbert")
    texts = [text for rows in CAPTIONS.values() for pair in rows for text in pair]
    tokenizer = bert_tokenizer(texts, 400, LONGEST)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=LONGEST, initializer_range=0.3, **shape)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def translations(pairs, language):
    return [Translation(hypothesis_id(en), en, language, text, "files", "1") for en, text in pairs]


def run(folder, language, rows, mbert, **changes):
    """Rows and metrics of the stage; `changes` are values of `align_words`."""
    settings = {"layer": 2, "threshold": 0.05, "batch_size": 2, "segmenters": SEGMENTERS} | changes
    YAML().dump({"device": "cpu", "kernels": "deterministic", "align_words": settings}, folder / "profile.yaml")
    write_rows(folder / "in.jsonl", rows)
    files = {"params": "none", "profile": "profile.yaml", "translations": "in.jsonl", "out": "out.jsonl"}
    files = {name: folder / file for name, file in (files | {"metrics": "metrics.json"}).items()}
    values = {**files, "mbert": mbert, "language": language, "checkpoints": folder / "checkpoints"}
    align_words.main([part for name, value in values.items() for part in (f"--{name}", str(value))])
    return read_rows(files["out"], Alignment), json.loads(files["metrics"].read_text())


@pytest.mark.parametrize("language", CAPTIONS)
def test_words_are_the_segmenters_and_pairs_are_the_aligners(tmp_path, mbert, language):
    rows = translations(CAPTIONS[language], language)
    links, metrics = run(tmp_path, language, rows, mbert)
    assert [link.hypothesis_id for link in links] == [row.hypothesis_id for row in rows]
    for row, link in zip(rows, links, strict=True):
        assert link.source_words == words(row.source, "en", SEGMENTERS)
        assert link.target_words == words(row.text, language, SEGMENTERS)
    sources, targets = [link.source_words for link in links], [link.target_words for link in links]
    assert [link.pairs for link in links] == WordAligner(mbert, 2, 0.05, 1).align(sources, targets)
    pairs = [(row, *pair) for row, link in enumerate(links) for pair in link.pairs]
    left, right = (sum(map(len, side)) for side in (sources, targets))
    assert metrics == {
        "seed": 0,
        "sentences": 2,
        "sentences_without_pair": sum(not link.pairs for link in links),
        "pairs": len(pairs),
        "source_words": left,
        "target_words": right,
        "source_words_aligned": round(len({(row, i) for row, i, _ in pairs}) / left, 6),
        "target_words_aligned": round(len({(row, j) for row, _, j in pairs}) / right, 6),
    }


@pytest.mark.parametrize("language", CAPTIONS)
def test_every_word_is_found_in_its_text_by_the_tokens(tmp_path, mbert, language):
    """What CLTEAVE and the autoencoder need."""
    rows = translations(CAPTIONS[language], language)
    links, _ = run(tmp_path, language, rows, mbert)
    tokenizer = load_tokenizer(mbert)
    for texts, sides in (
        ([row.source for row in rows], [link.source_words for link in links]),
        ([row.text for row in rows], [link.target_words for link in links]),
    ):
        _, positions = first_positions(tokenizer, texts, sides)
        assert all(None not in row and row == sorted(row) for row in positions)


def test_words_without_a_pair_are_counted(tmp_path, mbert):
    links, metrics = run(tmp_path, "de", translations(CAPTIONS["de"], "de"), mbert, threshold=0.999)
    assert metrics["pairs"] == sum(len(link.pairs) for link in links) < metrics["sentences"] * 4
    assert metrics["sentences_without_pair"] == sum(not link.pairs for link in links)
    assert 0 <= metrics["source_words_aligned"] < 1


def test_chunks_and_batches_change_nothing(tmp_path, mbert, monkeypatch):
    pairs = [(f"{en} {'very ' * number}fast", text) for number in range(5) for en, text in CAPTIONS["de"]]
    rows = translations(pairs, "de")
    wanted = run(tmp_path, "de", rows, mbert)
    monkeypatch.setattr(align_words, "CHUNK", 3)
    assert run(tmp_path, "de", rows, mbert, batch_size=7) == wanted


@pytest.mark.parametrize(
    ("kept", "shard", "rows"),
    [((), None, 7), ((0, 2), None, 3), ((), Shard(1, 2), 4), ((), Shard(2, 2), 3), ((1,), Shard(2, 2), 0)],
)
def test_rows_still_to_align_are_counted_by_chunks(monkeypatch, kept, shard, rows):
    """Seven rows in chunks of three: chunks 0, 1 and 2 have 3, 3 and 1."""
    monkeypatch.setattr(align_words, "CHUNK", 3)
    assert align_words.count_rows(7, kept, shard) == rows
    assert align_words.count_rows(0, kept, shard) == 0


def test_progress_lines_count_the_sentences_that_are_aligned(tmp_path, mbert, monkeypatch, caplog):
    """Batches of two, each a line: of five sentences two, four and five are done."""
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    pairs = [(f"{en} {'very ' * number}fast", text) for number in range(3) for en, text in CAPTIONS["de"]][:5]
    with caplog.at_level(logging.INFO):
        run(tmp_path, "de", translations(pairs, "de"), mbert)
    lines = [text for text in caplog.messages if text.startswith("word pairs de: ")]
    counts = [text.split()[3] for text in lines]
    assert list(dict.fromkeys(counts)) == ["0", "2", "4", "5"] and all(" of 5 sentences, " in text for text in lines)


def test_a_killed_run_is_taken_up_at_the_chunk_that_was_not_done(tmp_path, mbert, monkeypatch, caplog):
    pairs = [*CAPTIONS["de"], *((f"{en} {'very ' * 60}fast", text) for en, text in CAPTIONS["de"])]
    rows = translations([(f"{number} {en}", text) for number in range(3) for en, text in pairs], "de")
    monkeypatch.setattr(align_words, "CHUNK", 5)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    wanted = run(tmp_path / "whole", "de", rows, mbert)
    warning = caplog.messages[-1]
    assert "6 sentences are longer" in warning
    align, sizes = WordAligner.align, []

    def fails_at_the_third(self, sources, targets, advance):
        sizes.append(len(sources))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return align(self, sources, targets, advance)

    monkeypatch.setattr(WordAligner, "align", fails_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", "de", rows, mbert)
    assert not (tmp_path / "cut" / "out.jsonl").exists()
    with caplog.at_level(logging.INFO):
        assert run(tmp_path / "cut", "de", rows, mbert) == wanted
    assert sizes == [5, 5, 2, 2], "two chunks were done before"
    assert "found 2 parts of an earlier run" in caplog.text and caplog.messages[-1] == warning
    assert not (tmp_path / "cut" / "checkpoints").exists()


def test_a_text_that_is_too_long_is_cut_with_a_word_of_warning(tmp_path, mbert, caplog):
    with caplog.at_level(logging.WARNING):
        (link,), _ = run(tmp_path, "de", translations([("dogs " * 60, "Hunde " * 60)], "de"), mbert)
    assert len(link.source_words) == 60 and max(i for i, _ in link.pairs) < LONGEST
    assert "2 sentences are longer than mBERT takes: their last words have no pair" in caplog.text


@pytest.mark.parametrize(
    ("en", "text", "shown"), [("A dog.", "\u200b \u3000", r"'\\u200b \\u3000' \(ja\)"), ("\ufeff", "犬", r"\(en\)")]
)
def test_a_text_without_a_word_is_named_before_any_work(tmp_path, mbert, en, text, shown):
    rows = translations([*CAPTIONS["ja"], (en, text)], "ja")
    with pytest.raises(UserError, match=rf"hypothesis {hypothesis_id(en)}: no word in .*{shown}: translate it again"):
        run(tmp_path, "ja", rows, tmp_path / "no model")
    assert not (tmp_path / "out.jsonl").exists()


def test_the_grammars_words_are_scored_only_when_both_sides_are_its_own(tmp_path, mbert):
    english = next(iter(gold.facts_by_sentence()))
    rows = translations([(english, gold.sentence(english, "de").text)], "de")
    _, scored = run(tmp_path, "de", rows, mbert, segmenters={"default": "gold"})
    assert set(scored) == {"seed", "aer", "precision", "recall", "aer_diagonal", "sentences"}
    _, counted = run(tmp_path, "de", rows, mbert, segmenters={"default": "gold", "en": "bert"})
    assert "aer" not in counted and counted["sentences"] == 1


@pytest.mark.needs_data
@pytest.mark.parametrize("language", ["de", "ja", "ko", "zh"])
def test_real_captions_go_through(tmp_path, mbert, test_data, language):
    path = test_data / "parallel" / f"en-{language}.flickr30k_val_gmt.tsv"
    with open(path, encoding="utf-8", newline="") as lines:
        pairs = [(row["en"], row[language]) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    rows = translations(pairs[:120], language)
    links, metrics = run(tmp_path, language, rows, mbert, batch_size=8)
    assert metrics["sentences"] == len(links) == 120 and metrics["source_words_aligned"] > 0
    for row, link in zip(rows, links, strict=True):
        assert "".join(link.target_words) == "".join(row.text.split())
