"""CLIP's tokenizer with its real vocabulary, which the package open-clip-torch carries, against that package's own.

Of the package only two files are read: the rest of it needs torchvision.
"""

import csv
import gzip
import importlib.metadata
import importlib.util
import json

import pytest

from clseave.models.tokens import encode, end_id, load_tokenizer
from clseave.word_alignment.token_pairs import first_positions

START, END = 49406, 49407


def package_file(name):
    """A file of open-clip-torch, which is not imported; the test is skipped without it."""
    try:
        files = importlib.metadata.files("open-clip-torch") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("open-clip-torch is not installed: `make setup` installs requirements-test.lock")
    return next(file.locate() for file in files if file.name == name)


def characters():
    """The 256 printable characters that stand for bytes, in the order of CLIP's vocabulary."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in kept] + [chr(256 + number) for number in range(256 - len(kept))]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """The tokenizer as the hub publishes it: vocab.json and merges.txt, made from the package's list of merges."""
    lines = gzip.decompress(package_file("bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode().split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]  # the list goes on; CLIP uses this part
    single = characters()
    tokens = [*single, *(one + "</w>" for one in single), *(merge.replace(" ", "") for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (folder / "config.json").write_text(json.dumps({"model_type": "clip"}))
    settings = {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "model_max_length": 77}
    settings |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def reference():
    """open_clip's tokenizer, its module loaded by itself."""
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", package_file("tokenizer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


def test_a_photo_of_a_cat(tokenizer):
    assert tokenizer("a photo of a cat").input_ids == [START, 320, 1125, 539, 320, 2368, END]
    assert (len(tokenizer), tokenizer.model_max_length, end_id(tokenizer)) == (49408, 77, END)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (START, END, END)


@pytest.mark.parametrize(
    "text",
    [
        "A Man's T-shirt, 100% cotton!",
        "two   dogs \t play",
        "café naïve Zürich",
        "don't can't we're I'll you've he'd I'm",
        "1,234.56 metres",
        "emoji 🙂 and 日本語",
        "(a woman) -- 'sings' \"loudly\"...",
    ],
)
def test_ids_equal_open_clips(tokenizer, reference, text):
    assert tokenizer(text).input_ids == [START, *reference.encode(text), END]


def test_the_tokenizer_survives_saving(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again, texts = load_tokenizer(tmp_path), ["A man's bike.", "café 🙂"]
    assert again(texts).input_ids == tokenizer(texts).input_ids
    assert (again.model_max_length, again.pad_token_id) == (77, END)


def test_words_are_found_in_the_ids(tokenizer):
    ids, (positions,) = first_positions(tokenizer, ["A skateboarder jumps ."], [["A", "skateboarder", "jumps", "."]])
    tokens = tokenizer.convert_ids_to_tokens(ids[0])
    assert tokens[0] == "<|startoftext|>" and [tokens[place] for place in positions][::3] == ["a</w>", ".</w>"]
    assert "skateboarder</w>".startswith(tokens[positions[1]].removesuffix("</w>"))


@pytest.mark.needs_data
def test_ids_of_real_captions_equal_open_clips(tokenizer, reference, test_data):
    with open(test_data / "parallel" / "comparable_en-nl.dutchdescriptions_val.tsv", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = [row[f"en{number}"] for row in rows for number in range(1, 6)]
    assert len(texts) == 3500
    # open_clip reads HTML entities (`&amp;`), transformers does not.
    plain = [text for text in texts if "&" not in text]
    assert len(plain) >= 3498
    wanted = [[START, *reference.encode(text), END] for text in plain]
    assert [row.tolist() for row in encode(tokenizer, plain)] == wanted
