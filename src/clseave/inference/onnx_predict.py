"""Predict with the ONNX files of this folder: numpy, Pillow, tokenizers and onnxruntime are all that is needed.

  python predict.py --language de photo.png "Oben links ist ein roter Kreis" "Ein zweiter Satz"

Prints a line of JSON for each sentence: its text, and the probability of each label.
"""

import argparse
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent


FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")


@cache
def session(name: str) -> onnxruntime.InferenceSession:
    """One of the models, loaded once."""
    return onnxruntime.InferenceSession(str(HERE / f"{name}.onnx"), providers=["CPUExecutionProvider"])


def run(name: str, **inputs: np.ndarray) -> np.ndarray:
    """The output of one of the models."""
    return np.asarray(session(name).run(None, inputs)[0])


def rgb(path: str) -> Image.Image:
    """An image, upright, in RGB; 16-bit grey is scaled."""
    image = ImageOps.exif_transpose(Image.open(path, formats=FORMATS))
    if image.mode.startswith("I"):
        image = Image.fromarray(((np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def pixels(path: str, settings: dict[str, Any]) -> np.ndarray:
    """An image as CLIP sees it, (1, 3, H, W) float32: resized, cropped in the middle, normalised."""
    image = rgb(path)
    if settings.get("do_resize"):
        size = settings["size"]
        if "shortest_edge" in size:
            wanted = [int(size["shortest_edge"] * side / min(image.size)) for side in image.size]
        else:
            wanted = [size["width"], size["height"]]
        image = image.resize(wanted, settings["resample"])
    if settings.get("do_center_crop"):
        width, height = settings["crop_size"]["width"], settings["crop_size"]["height"]
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    values = np.asarray(image, dtype=np.float32)
    if settings.get("do_rescale"):
        values = values * np.float32(settings["rescale_factor"])
    if settings.get("do_normalize"):
        values = (values - np.float32(settings["image_mean"])) / np.float32(settings["image_std"])
    return values.transpose(2, 0, 1)[None]


def tokens(tokenizer: Tokenizer, text: str, longest: int, long_texts: str) -> np.ndarray:
    """Token ids of a sentence, (1, T), int64. It ends the program when the sentence is blank or too long."""
    ids = tokenizer.encode(text).ids
    if len(ids) == len(tokenizer.encode("").ids):
        sys.exit(f"{text!r} has no words")
    if len(ids) > longest and long_texts != "cut":
        sys.exit(f"{text[:50]!r} has {len(ids)} tokens, allowed {longest}")
    return np.array([ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]]], dtype=np.int64)


def main() -> None:
    """Read the arguments, predict, print."""
    settings = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image")
    parser.add_argument("text", nargs="+")
    parser.add_argument("--language", required=True, choices=list(settings["languages"]))
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(HERE / f"tokenizer-{options.language}.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "[SEP]" in a sentence is text
    rows = [tokens(tokenizer, text, **settings["languages"][options.language]) for text in options.text]
    premise = run("image", pixels=pixels(options.image, settings["image"]))
    for text, ids in zip(options.text, rows, strict=True):
        hypothesis = run(f"text-{options.language}", ids=ids, mask=np.ones_like(ids))
        logits = run("head", hypothesis=hypothesis, premise=premise)[0].astype(np.float64)
        shares = np.exp(logits - logits.max())
        probabilities = dict(zip(settings["labels"], (shares / shares.sum()).tolist(), strict=True))
        sys.stdout.write(json.dumps({"text": text, **probabilities}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
