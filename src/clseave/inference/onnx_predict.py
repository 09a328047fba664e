"""Predict with the ONNX files of this folder: numpy, Pillow, tokenizers and onnxruntime are all that is needed.

  python predict.py --language de photo.png "Oben links ist ein roter Kreis" "Ein zweiter Satz"

Prints a line of JSON for each sentence: its text, and the probability of each label.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent


def run(name: str, **inputs: np.ndarray) -> np.ndarray:
    """The output of one of the models."""
    session = onnxruntime.InferenceSession(str(HERE / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def pixels(path: str, settings: dict[str, Any]) -> np.ndarray:
    """An image as CLIP sees it, (1, 3, H, W) float32: upright, resized, cropped in the middle, normalised."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if settings["do_resize"]:
        size = settings["size"]
        if "shortest_edge" in size:
            scale = size["shortest_edge"] / min(image.size)
            wanted = [size["shortest_edge"] if side == min(image.size) else int(scale * side) for side in image.size]
        else:
            wanted = [size["width"], size["height"]]
        image = image.resize(wanted, settings["resample"])
    if settings["do_center_crop"]:
        width, height = settings["crop_size"]["width"], settings["crop_size"]["height"]
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    values = np.asarray(image, dtype=np.float32)
    if settings["do_rescale"]:
        values = values * np.float32(settings["rescale_factor"])
    if settings["do_normalize"]:
        values = (values - np.float32(settings["image_mean"])) / np.float32(settings["image_std"])
    return values.transpose(2, 0, 1)[None]


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
    longest = settings["languages"][options.language]["longest"]
    premise = run("image", pixels=pixels(options.image, settings["image"]))
    for text in options.text:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        if ids.shape[1] > longest:
            sys.exit(f"{text[:50]!r} has {ids.shape[1]} tokens, allowed {longest}")
        hypothesis = run(f"text-{options.language}", ids=ids, mask=np.ones_like(ids))
        logits = run("head", hypothesis=hypothesis, premise=premise)[0].astype(np.float64)
        shares = np.exp(logits - logits.max())
        probabilities = dict(zip(settings["labels"], (shares / shares.sum()).tolist(), strict=True))
        sys.stdout.write(json.dumps({"text": text, **probabilities}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
