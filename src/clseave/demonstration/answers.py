"""What the page shows of predictions: a table with a row for each language, and the image as the model sees it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import shorten

import torch
from PIL import Image, ImageDraw
from transformers import BaseImageProcessor

from clseave.foundation.rows.labels import LABELS
from clseave.inference.entailment import UNKNOWN, Entailment, Failure, Picture, Prediction, Query, Vector, read_image
from clseave.models.tokens import unknown_share
from clseave.report.tables.result_tables import NAMES

SIDE = 384  # pixels of the shown image
FINEST = 16  # patches of a side whose borders are drawn
LONGEST = 300  # characters of a reason
CAPTION = "Probability of each label"
DOUBT = "most of these words are unknown to the model: is this its language?"


@dataclass(frozen=True)
class Answer:
    """What the model says of one sentence, and a doubt or none."""

    text: str
    result: Prediction | Failure
    doubt: str = ""


def language_name(code: str) -> str:
    """The English name of a language, or its code."""
    return NAMES.get(code, code)


def answer(
    model: Entailment, premise: Picture, texts: Mapping[str, str], known: dict[Hashable, Vector]
) -> dict[str, Answer]:
    """Judge a sentence of each language about one image; languages without a sentence are left out.

    `known` are vectors of image files, to which that of `premise` is added.
    """
    asked = {language: text for language, text in texts.items() if text}
    results = model.judge([Query(premise, text, language) for language, text in asked.items()], known)
    found = {}
    for (language, text), result in zip(asked.items(), results, strict=True):
        unknown = isinstance(result, Prediction) and unknown_share(model.encoders[language].tokenizer, text) >= UNKNOWN
        found[language] = Answer(text, result, DOUBT if unknown else "")
    return found


def table(answers: Mapping[str, Answer], gold: str | None) -> str:
    """An HTML table of three probabilities for each language; the most probable label is bold.

    `gold` is the label by the rules of the world, if they decide it.
    """
    if not answers:
        return "<p role='status'>There is no sentence yet.</p>"
    head = "".join(f'<th scope="col">{label}</th>' for label in reversed(LABELS))
    rows = "".join(_row(language, one) for language, one in answers.items())
    rule = f"<p class='rule'>By the rules of the world: <strong>{gold}</strong>.</p>" if gold else ""
    return (
        f"<div role='status'><table class='answers'><caption>{CAPTION}</caption>"
        f"<thead><tr><th scope='col'>language</th>{head}</tr></thead><tbody>{rows}</tbody></table>{rule}</div>"
    )


def _row(language: str, one: Answer) -> str:
    """A row of the table, with the reason where there are no probabilities."""
    name = f"<th scope='row'>{escape(language_name(language))}</th>"
    if isinstance(one.result, Failure):
        reason = escape(shorten(one.result.reason, LONGEST, placeholder=" ..."))
        return f"<tr>{name}<td colspan='{len(LABELS)}' class='failed'>{reason}</td></tr>"
    cells = ""
    for label, share in reversed(one.result.probabilities.items()):
        best = " best" if label == one.result.label else ""
        cells += f"<td style='--share:{100 * share:.1f}%' class='{label}{best}'>{share:.1%}</td>"
    doubt = f"<tr><td colspan='{1 + len(LABELS)}' class='doubt'>{escape(one.doubt)}</td></tr>" if one.doubt else ""
    return f"<tr>{name}{cells}</tr>{doubt}"


def seen(model: Entailment, premise: Picture, names: Sequence[str] = ()) -> Image.Image:
    """The image as the image tower gets it, cropped and resized, with the borders of its patches.

    `names` are written into the patches, in reading order, where there are as many.
    """
    patch = getattr(model.tower.settings, "patch_size", None)
    grid = int(model.tower.settings.image_size) // patch if isinstance(patch, int) else 1
    prepared = _pixels(read_image(premise, model.processor), model.processor)
    shown = prepared.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    draw, step = ImageDraw.Draw(shown), SIDE / grid
    for line in range(1, grid) if grid <= FINEST else ():
        at = round(line * step)
        draw.line([(at, 0), (at, SIDE)], fill="black")
        draw.line([(0, at), (SIDE, at)], fill="black")
    for number, name in enumerate(names if len(names) == grid**2 else ()):
        corner = (number % grid * step + 6, number // grid * step + 4)
        draw.text(corner, name, fill="black", font_size=15, stroke_width=2, stroke_fill="white")
    return shown


def _pixels(prepared: torch.Tensor, processor: BaseImageProcessor) -> Image.Image:
    """The picture of preprocessed pixels (3, H, W): the normalisation undone."""
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (processor.image_mean, processor.image_std))
    levels = ((prepared * deviation + mean) * 255).round().clamp(0, 255)
    return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).numpy())
