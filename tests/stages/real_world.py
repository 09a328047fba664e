"""Real photos and pairs in a folder of their own, and the pipeline's own commands run in it, stage by stage.

Commands are read from dvc.yaml, so what is tested is what `dvc repro` would run. Sentences in the target languages are
real ones, but of other photos: they show that real text goes through, not what a translation would score.
"""

import contextlib
import html
import importlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import UnigramTrainer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from clseave.backbones.vocabulary import bert_tokenizer, clip_tokenizer
from clseave.foundation.settings import params
from settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
PARALLEL = {
    "de": "en-de.flickr30k_val_gmt.tsv",
    "ja": "en-ja.flickr30k_val_gmt.tsv",
    "ko": "en-ko.flickr30k_val_gmt.tsv",
    "zh": "en-zh.flickr30k_val_gmt.tsv",
}
XVNLI = ("ar", "es", "fr", "ru")
SMALL_CLIP = {
    "text": {"vocab_size": 1200, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 2},
    "vision": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
               "patch_size": 16, "image_size": 48},
    "projection": 32,
}  # fmt: skip
MODELS = ("clip_ve", "hypothesis_only", "image_only")


@cache
def pipeline() -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]


def arguments(stage: str, *, first: str = "de", **item: Any) -> tuple[str, list[str]]:
    """The module that a stage's command names, and the command's arguments for one entry of its matrix.

    `first` is the first of `languages`. What starts a stage is python.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] in ("launcher", "languages[0]"):
            return "python" if match[1] == "launcher" else first
        found: Any = item
        for key in match[1].removeprefix("item.").split("."):
            found = found[key]
        return str(found)

    words = shlex.split(
        re.sub(r"\$\{(item\.[\w.]+|profile|launcher|languages\[0\])\}", value, pipeline()[stage]["cmd"])
    )
    assert words[:2] == ["python", "src/run.py"]
    return words[2], words[3:]


def run(folder: Path, stage: str, *, profile: str = "real", **item: Any) -> None:
    """Run one stage in `folder`, in this process."""
    first = json.loads((folder / "params.yaml").read_text())["languages"][0]
    module, argv = arguments(stage, first=first, profile=profile, **item)
    with contextlib.chdir(folder):
        importlib.import_module(f"clseave.stages.{module}").main(argv)


def run_all(folder: Path, languages: Sequence[str], profile: str = "real") -> None:
    """Every stage of the pipeline, in order, seed 0."""
    for stage, items in in_order(json.loads((folder / "params.yaml").read_text()), languages):
        for item in items:
            run(folder, stage, profile=profile, **item)


def in_order(values: dict[str, Any], languages: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Stages with the entries of their matrices."""
    each = [{"language": code, "seed": 0} for code in languages]
    yield "check", [{}]
    yield "prepare", [{}]
    yield "backbones", [{"backbone": name} for name in ("clip", "mbert")]
    yield "encode_images", [{}]
    yield "translate", each
    yield "translate_back", [{}]
    yield "align_words", each
    yield "finetune_clip_ve", [{"model": name, "seed": 0} for name in MODELS]
    yield "finetune_baseline", [{"baseline": entry, "seed": 0} for entry in values["baselines"]]
    yield "embed_english", [{"seed": 0}]
    yield "autoencoder", [{"seed": 0}]
    yield "clteave", [{"seed": 0}]
    yield "clseave", each
    yield "cards", [{}]
    yield (
        "evaluate_clseave",
        [one | {"rows": rows} for rows in pipeline()["evaluate_clseave"]["matrix"]["rows"] for one in each],
    )
    yield "evaluate", [{"evaluation": entry, "seed": 0} for entry in values["evaluations"]]
    yield "compare", [{}]
    yield "report", [{}]


def pairs(data: Path, split: str) -> list[dict[str, Any]]:
    """SNLI-VE rows as their file has them."""
    return [json.loads(line) for line in (data / "snli_ve_real" / f"snli_ve_{split}.jsonl").read_text().splitlines()]


def sentences(data: Path, language: str) -> list[str]:
    """Real sentences of one language: captions, or hypotheses of XVNLI."""
    if language in XVNLI:
        return [row["sentence2"] for row in xvnli(data, language)]
    lines = (data / "parallel" / PARALLEL[language]).read_text(encoding="utf-8").splitlines()[1:]
    return [html.unescape(line.split("\t")[2]) for line in lines]  # some have entities, as they were published


def xvnli(data: Path, language: str) -> list[dict[str, Any]]:
    """Rows of XVNLI as its file has them."""
    lines = (data / "xvnli" / f"test_first600.{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def profile_values(splits: Iterable[str], changes: dict[str, Any]) -> dict[str, Any]:
    """Profile thesis with the user's own files for everything that would be fetched."""
    profile = params.read_yaml(SETTINGS / "profiles" / "thesis.yaml")
    profile |= {
        "device": "cpu",
        "source": {
            "kind": "photos",
            "rows": {"format": "snli_ve", "files": {split: f"{split}.jsonl" for split in splits}},
            "photos": "photos",
            "independent": "xvnli",
            "expected_counts": "none",
        },
        "backbones": {
            "kind": "hub",
            "clip": {"id": "./local/clip", "revision": None, "weights": "safetensors"},
            "mbert": {"id": "./local/mbert", "revision": None, "weights": "safetensors"},
        },
        "translate": {"backend": "files", "folder": "translations", "corrections": None},
    }
    for key, value in changes.items():
        profile[key] = profile[key] | value if isinstance(value, dict) else value
    return profile


def place(source: Path, data: Path, languages: Sequence[str], rows: dict[str, int]) -> None:
    """Fill a source folder as a user would: pairs of each split, a link to the photos, translations, XVNLI.

    Of XVNLI, the rows whose photos are here.
    """
    (source / "translations").mkdir(parents=True)
    (source / "photos").symlink_to(data / "snli_ve_real/flickr30k_images")
    hypotheses = []
    for split, count in rows.items():
        chosen = pairs(data, split)[:count]
        (source / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
        hypotheses += [row["sentence2"].strip() for row in chosen]
    for language in languages:
        texts = sentences(data, language)
        lines = {text: texts[number % len(texts)] for number, text in enumerate(dict.fromkeys(hypotheses))}
        table = "".join(f"{text}\t{other}\n" for text, other in lines.items())
        (source / "translations" / f"{language}.tsv").write_text(table, encoding="utf-8")
        back = {other: text for text, other in reversed(lines.items())}
        table = "".join(f"{other}\t{text}\n" for other, text in back.items())
        (source / "translations" / f"{language}-en.tsv").write_text(table, encoding="utf-8")
    (source / "xvnli").mkdir()
    here = {path.stem for path in (source / "photos").iterdir()}
    for language in ("en", *XVNLI):
        chosen = [json.dumps(row) for row in xvnli(data, language) if row["Flikr30kID"] in here]
        (source / "xvnli" / f"{language}.jsonl").write_text("\n".join(chosen) + "\n")


def build(folder: Path, data: Path, languages: Sequence[str], rows: dict[str, int], changes: dict[str, Any]) -> None:
    """Parameters, the user's files and the repository's, but for the models' folders `clip` and `mbert`."""
    values = params.read_yaml(SETTINGS / "params.yaml") | {"profile": "real", "languages": list(languages)}
    (folder / "profiles").mkdir(parents=True)
    (folder / "params.yaml").write_text(json.dumps(values))
    (folder / "profiles" / "real.yaml").write_text(json.dumps(profile_values(rows, changes)))
    for name in ("src", "notebooks", "data/typology", "reports/published"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / "reports/expected.yaml").write_bytes((ROOT / "reports/expected.yaml").read_bytes())
    place(folder / "data/real/source", data, languages, rows)


def shorten_report(folder: Path, cells: int = 7) -> None:
    """A report of its first cells, with a text and a figure: it takes long for all that it shows."""
    source = folder / "notebooks"
    source.unlink()
    source.mkdir()
    whole = json.loads((ROOT / "notebooks/report.ipynb").read_text(encoding="utf-8"))
    (source / "report.ipynb").write_text(json.dumps(whole | {"cells": whole["cells"][:cells]}), encoding="utf-8")
    (source / "report.html.j2").write_bytes((ROOT / "notebooks/report.html.j2").read_bytes())


def clip_config(tokenizer: PreTrainedTokenizerBase, **shape: Any) -> CLIPConfig:
    """CLIP ViT-B/16 as published (the default of `transformers` but for the patch), or smaller."""
    text = {"vocab_size": 49408, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1} | shape.get("text", {})
    vision = {"patch_size": 16, "image_size": 224} | shape.get("vision", {})
    width = shape.get("projection", 512)
    return CLIPConfig(
        text_config=CLIPTextConfig(projection_dim=width, **text).to_dict(),
        vision_config=CLIPVisionConfig(projection_dim=width, **vision).to_dict(),
        projection_dim=width,
    )


def save_models(folder: Path, data: Path, languages: Sequence[str], *, full_size: bool) -> None:
    """Random weights in the layout of the hub: the published shapes, or small ones."""
    english = [row["sentence2"] for split in ("train", "dev", "test") for row in pairs(data, split)]
    others = [text for code in languages for text in sentences(data, code)]
    save_pair(folder / "local", english, others, full_size=full_size)


def save_pair(folder: Path, english: Sequence[str], others: Sequence[str], *, full_size: bool = False) -> None:
    """CLIP and BERT with the words of these sentences, in the folders `clip` and `mbert`."""
    clip_words, bert_words = clip_tokenizer(english, 1200, 77), bert_tokenizer([*english, *others], 6000, 512)
    torch.manual_seed(0)
    clip = CLIPModel(clip_config(clip_words, **({} if full_size else SMALL_CLIP)))
    shape = {} if full_size else {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
                                  "num_attention_heads": 2}  # fmt: skip
    mbert = BertForMaskedLM(BertConfig(vocab_size=119547 if full_size else 6000, **shape))
    size = clip.config.vision_config.image_size
    for name, model, tokenizer in (("clip", clip, clip_words), ("mbert", mbert, bert_words)):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size}).save_pretrained(
        folder / "clip"
    )


def save_other_models(folder: Path, data: Path, languages: Sequence[str]) -> None:
    """A small SigLIP and a small XLM-RoBERTa with random weights, in the layout of the hub."""
    english = [row["sentence2"] for split in ("train", "dev", "test") for row in pairs(data, split)]
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    teacher_words = unigram(english, "$A </s>", eos_token="</s>")
    text = {"vocab_size": len(teacher_words), "max_position_embeddings": 64, "projection_size": 32, **shape}
    vision = {"patch_size": 16, "image_size": 48, **shape}
    student_words = unigram(
        english + [text for code in languages for text in sentences(data, code)], "<s> $A </s>",
        bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
    )  # fmt: skip
    torch.manual_seed(0)
    teacher = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    config = XLMRobertaConfig(vocab_size=len(student_words), max_position_embeddings=514, **shape)
    student = XLMRobertaForMaskedLM(config)
    for name, model, tokenizer in (("clip", teacher, teacher_words), ("mbert", student, student_words)):
        model.save_pretrained(folder / "local" / name)
        tokenizer.save_pretrained(folder / "local" / name)
    SiglipImageProcessorPil(size={"height": 48, "width": 48}).save_pretrained(folder / "local/clip")


def unigram(texts: Sequence[str], template: str, **names: str) -> PreTrainedTokenizerFast:
    """SentencePiece's pieces with XLM-RoBERTa's special tokens."""
    made = Tokenizer(Unigram())
    made.pre_tokenizer = Metaspace()
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = UnigramTrainer(vocab_size=2000, special_tokens=specials, unk_token="<unk>", show_progress=False)
    made.train_from_iterator(texts, trainer)
    made.post_processor = TemplateProcessing(single=template, special_tokens=[("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", **names)
