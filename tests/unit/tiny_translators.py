"""Translators of a few thousand weights that have learnt a dozen sentences by heart, in the layout of the hub."""

import io
import json
from pathlib import Path

import pytest
import sentencepiece
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
)

from clseave.foundation.process import numerics

PAIRS = [
    ("A dog runs.", "Ein Hund rennt.", "Een hond rent."),
    ("A cat sleeps.", "Eine Katze schläft.", "Een kat slaapt."),
    ("Two men are outside.", "Zwei Männer sind draußen.", "Twee mannen zijn buiten."),
    ("A woman eats.", "Eine Frau isst.", "Een vrouw eet."),
    ("The man is old.", "Der Mann ist alt.", "De man is oud."),
    (
        "A dog and a cat sleep outside.",
        "Ein Hund und eine Katze schlafen draußen.",
        "Een hond en een kat slapen buiten.",
    ),
    ("Nobody runs.", "Niemand rennt.", "Niemand rent."),
    ("The old woman is outside.", "Die alte Frau ist draußen.", "De oude vrouw is buiten."),
]
ENGLISH = [pair[0] for pair in PAIRS]
GERMAN = dict(zip(ENGLISH, (pair[1] for pair in PAIRS), strict=True))
DUTCH = dict(zip(ENGLISH, (pair[2] for pair in PAIRS), strict=True))
SHAPE = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "dropout": 0.0,
    "attention_dropout": 0.0, "activation_dropout": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0,
    "init_std": 0.1, "max_position_embeddings": 64,
}  # fmt: skip


def pieces(folder: Path, name: str, lines: list[str]) -> list[str]:
    """Train a sentence-piece model, write it, and give its pieces without the special ones."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=90, hard_vocab_limit=False, minloglevel=2
    )
    (folder / name).write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [processor.id_to_piece(number) for number in range(3, len(processor))]


def learn(model, batches: list[dict[str, torch.Tensor]]) -> None:
    """Train until every word is known by heart."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(500):
        losses = [model(**batch).loss for batch in batches]
        sum(losses).backward()
        optimiser.step()
        optimiser.zero_grad()
        if max(losses) < 0.02:
            return
    pytest.fail(f"the tiny translator did not learn its sentences: {losses}")


def batch_of(tokenizer, sources: list[str], targets: list[str], start: int | None = None) -> dict[str, torch.Tensor]:
    """Inputs and labels; with `start`, a translation begins with the token of its language, which is not learnt."""
    inputs = dict(tokenizer(sources, text_target=targets, padding=True, return_tensors="pt"))
    labels = inputs["labels"]
    if start is not None:
        inputs["decoder_input_ids"] = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)
    inputs["labels"] = labels.masked_fill(labels == tokenizer.pad_token_id, -100)
    inputs["labels"][:, : 0 if start is None else 1] = -100
    return inputs


def save_m2m100(folder: Path, *, back: bool = False) -> Path:
    """Into German and Dutch, by the token that the translation starts with; or from both `back` into English."""
    folder.mkdir()
    vocabulary = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *pieces(folder, "spm.model", [text for pair in PAIRS for text in pair]),
    ]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(vocabulary)}))
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"), src_lang="en")
    numerics.start_torch(0, "cpu")
    model = M2M100ForConditionalGeneration(M2M100Config(vocab_size=len(vocabulary) + 108, **SHAPE))
    batches = []
    for language, known in (("de", GERMAN), ("nl", DUTCH)):
        tokenizer.src_lang, tokenizer.tgt_lang = (language, "en") if back else ("en", language)
        sides = (ENGLISH, list(known.values()))
        batches.append(batch_of(tokenizer, *(sides[::-1] if back else sides), start=2))
    learn(model, batches)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "spm.model").unlink()
    return folder


def save_marian(folder: Path, codes: tuple[str, ...] = (), target: str = "de") -> Path:
    """Into German; with `codes`, also into Dutch, by the first word of the English."""
    folder.mkdir()
    english = pieces(folder, "source.spm", ENGLISH)
    others = pieces(folder, "target.spm", [text for pair in PAIRS for text in pair[1:]])
    signs = [f">>{code}<<" for code in codes]
    vocabulary = ["</s>", "<unk>", *dict.fromkeys([*signs, *english, *others]), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(vocabulary)}))
    names = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    tokenizer = MarianTokenizer(*names, source_lang="en", target_lang=target, model_max_length=64)
    pad = len(vocabulary) - 1
    config = MarianConfig(
        vocab_size=len(vocabulary), pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0, forced_eos_token_id=0,
        bos_token_id=0, **SHAPE,
    )  # fmt: skip
    numerics.start_torch(0, "cpu")
    model = MarianMTModel(config)
    tables = (GERMAN, DUTCH)
    learn(
        model,
        [
            batch_of(tokenizer, [f"{sign} {text}".strip() for text in ENGLISH], [table[text] for text in ENGLISH])
            for sign, table in zip(signs or [""], tables, strict=False)
        ],
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_nllb(folder: Path) -> Path:
    """Into German and Dutch, by the language tokens of NLLB."""
    folder.mkdir()
    signs = sorted({sign for pair in PAIRS for text in pair for sign in text.replace(" ", "▁")} | {"▁"})
    vocabulary = {piece: number for number, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *signs])}
    tokenizer = NllbTokenizer(vocab=vocabulary, merges=[], src_lang="eng_Latn", model_max_length=64)
    numerics.start_torch(0, "cpu")
    model = M2M100ForConditionalGeneration(M2M100Config(vocab_size=len(tokenizer), **SHAPE))
    batches = []
    for language, known in (("deu_Latn", GERMAN), ("nld_Latn", DUTCH)):
        tokenizer.tgt_lang = language
        batches.append(batch_of(tokenizer, ENGLISH, list(known.values()), start=2))
    learn(model, batches)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
