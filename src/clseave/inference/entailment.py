"""Visual entailment from Python: `Entailment.from_pretrained("models/mini").predict(images, texts, languages)`."""

import io
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor

from clseave.corpora.images import BrokenImageError, decode, load_processor, preprocess
from clseave.foundation.errors import UserError, one_line
from clseave.foundation.files.archives import LARGEST
from clseave.foundation.files.formats import read_bytes
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import Assembly
from clseave.inference import folders
from clseave.models.clip_ve import judge, load_head
from clseave.models.encoders import Encoder, embed_texts, load_encoder
from clseave.models.tokens import encode, in_order, unknown_share
from clseave.models.towers import ImageTower

REMEDY = "name a photo that is there"
NOT_IN_PNG = ("CMYK", "YCbCr", "LAB", "HSV")  # modes of Pillow
UNKNOWN = 0.5  # share of unknown tokens that makes a prediction doubtful
IMAGES, SENTENCES = 32, 256  # encoded at a time

Picture = str | Path | Image.Image

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """The label of one hypothesis about one image, and the probability of each label, which sum to 1."""

    text: str
    language: str
    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Failure:
    """Why a row has no prediction."""

    reason: str


Vector = torch.Tensor | Failure
NOTHING = Failure("not encoded")


@dataclass(frozen=True)
class Query:
    """A premise, a hypothesis and the hypothesis's language."""

    image: Picture
    text: str
    language: str


def read_image(picture: Picture, processor: BaseImageProcessor) -> torch.Tensor:
    """Read and preprocess an image, (3, H, W). UserError when it cannot be read."""
    try:
        content = _as_png(picture) if isinstance(picture, Image.Image) else read_bytes(picture, LARGEST, REMEDY)
        return preprocess(processor, decode(content))
    except (BrokenImageError, ValueError) as error:
        raise UserError(f"{picture}: not a readable image: {error}") from error


def _as_png(picture: Image.Image) -> bytes:
    """The bytes of a PNG file, so that an image is read as its file is: upright, and 16-bit grey scaled."""
    buffer = io.BytesIO()
    try:
        exif = picture.getexif()
        (picture.convert("RGB") if picture.mode in NOT_IN_PNG else picture).save(buffer, "PNG", exif=exif)
    except (OSError, SyntaxError) as error:
        raise BrokenImageError(str(error)) from error
    return buffer.getvalue()


class Entailment:
    """An image tower, a head, and a text encoder for each language."""

    def __init__(self, found: folders.Folders, *, assembly: Assembly = "direct", device: str | torch.device = "cpu"):
        """Load the models of these folders. UserError when one holds none."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.encoders: dict[str, Encoder] = {
            language: load_encoder(folder, found.head, assembly).to(self.device)
            for language, folder in found.encoders.items()
        }
        self.head, self.inputs = load_head(found.head)
        self.tower = ImageTower.load(found.clip).to(self.device)
        self.processor = load_processor(found.clip)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        languages: str | Sequence[str] = (),
        head: str | Path | None = None,
        clip: str | Path | None = None,
        assembly: Assembly = "direct",
        revision: str = "main",
        device: str | torch.device = "cpu",
    ) -> "Entailment":
        """Load a text encoder's folder, or a profile's, `models/PROFILE`, with the students of `languages` (none: all).

        A bundle of `clseave export` is loaded as a profile is, from a folder or, by OWNER/NAME, from the hub at a
        `revision`. `head` and `clip` are taken from the same profile where they are not given; `assembly` is of
        CLTEAVE. UserError when a folder holds no such model.
        """
        paths = [Path(path) if path is not None else None for path in (head, clip)]
        languages = [languages] if isinstance(languages, str) else languages
        found = folders.find(model, languages, *paths, revision=revision)
        return cls(found, assembly=assembly, device=device)

    @property
    def languages(self) -> list[str]:
        """The languages that can be judged."""
        return list(self.encoders)

    def predict(
        self,
        images: Picture | Sequence[Picture],
        texts: str | Sequence[str],
        languages: str | Sequence[str] | None = None,
    ) -> list[Prediction]:
        """Judge N hypotheses: one image and one language for all, or one for each.

        Images are files or PIL images, each encoded once. `languages` may be left out where only one is loaded.
        UserError names the first image or text that cannot be judged; ValueError when the numbers differ.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        pictures = [images] * len(texts) if isinstance(images, str | Path | Image.Image) else list(images)
        if languages is None and len(self.encoders) > 1:
            raise ValueError(f"say in which language each text is: one of {', '.join(self.encoders)}")
        if languages is None or isinstance(languages, str):
            languages = [languages or self.languages[0]] * len(texts)
        if not len(pictures) == len(texts) == len(languages):
            raise ValueError(
                f"{len(pictures)} images, {len(texts)} texts, {len(languages)} languages: expected as many"
            )
        queries = [Query(*row) for row in zip(pictures, texts, languages, strict=True)]
        results: list[Prediction] = []
        for row in self.judge(queries):
            if isinstance(row, Failure):
                raise UserError(row.reason)
            results.append(row)
        return results

    @torch.no_grad()
    def judge(
        self, queries: Sequence[Query], known: dict[Hashable, Vector] | None = None
    ) -> list[Prediction | Failure]:
        """Judge each row by itself: one that cannot be judged does not stop the others.

        `known` are vectors of images from earlier calls; those of this one are added.
        """
        premises = self._premises([query.image for query in queries], {} if known is None else known)
        hypotheses = self._hypotheses(queries)
        pairs = list(zip(hypotheses, premises, strict=True))
        sound = [pair for pair in pairs if all(isinstance(one, torch.Tensor) for one in pair)]
        shares = iter(self._probabilities(sound))
        results: list[Prediction | Failure] = []
        for query, pair in zip(queries, pairs, strict=True):
            failures = [one for one in pair if isinstance(one, Failure)]
            results.append(failures[0] if failures else _prediction(query, next(shares)))
        return results

    def _probabilities(self, pairs: Sequence[tuple[Any, ...]]) -> list[list[float]]:
        """Three probabilities for each pair of a hypothesis vector and a premise vector."""
        if not pairs:
            return []
        hypotheses, premises = (torch.stack(side) for side in zip(*pairs, strict=True))
        return judge(self.head, self.inputs, hypotheses, premises).softmax(dim=1).tolist()

    def _premises(self, pictures: Sequence[Picture], known: dict[Hashable, Vector]) -> list[Vector]:
        """A vector (D,) for each image; each distinct one is encoded once. Of files, `known` keeps it."""
        keys = [id(one) if isinstance(one, Image.Image) else str(one) for one in pictures]
        todo = [(key, one) for key, one in dict(zip(keys, pictures, strict=True)).items() if key not in known]
        found: dict[Hashable, Vector] = {}
        for part in in_order(len(todo), IMAGES):
            pixels = {todo[row][0]: self._pixels(todo[row][1]) for row in part}
            found |= {key: one for key, one in pixels.items() if isinstance(one, Failure)}
            sound = {key: one for key, one in pixels.items() if not isinstance(one, Failure)}
            if sound:
                vectors = self.tower(torch.stack(list(sound.values())).to(self.device)).cpu()
                found |= dict(zip(sound, vectors, strict=True))
        known |= {key: vector for key, vector in found.items() if isinstance(key, str)}
        return [found.get(key, known.get(key, NOTHING)) for key in keys]

    def _pixels(self, picture: Picture) -> Vector:
        """The preprocessed image, (3, H, W), or why there is none."""
        try:
            return read_image(picture, self.processor)
        except UserError as error:
            return Failure(str(error))

    def _hypotheses(self, queries: Sequence[Query]) -> list[Vector]:
        """A vector (D,) for each hypothesis; each distinct one of a language is encoded once."""
        found: dict[tuple[str, str], Vector] = {}
        for language in dict.fromkeys(query.language for query in queries):
            texts = list(dict.fromkeys(query.text for query in queries if query.language == language))
            encoder = self.encoders.get(language, self.encoders.get(folders.UNKNOWN))
            if encoder:
                vectors = self._embed(encoder, texts)
            else:
                reason = f"no text encoder for the language {language!r}; loaded: {', '.join(self.encoders)}"
                vectors = [Failure(reason)] * len(texts)
            found |= {(language, text): vector for text, vector in zip(texts, vectors, strict=True)}
        return [found[query.language, query.text] for query in queries]

    def _embed(self, encoder: Encoder, texts: list[str]) -> list[Vector]:
        """A vector (D,) for each text, or why it has none."""
        found: dict[str, Vector] = {text: one for text in texts if (one := _fault(encoder, text))}
        sound = [text for text in texts if text not in found]
        if sound:
            found |= dict(zip(sound, embed_texts(encoder, sound, SENTENCES), strict=True))
        for text in sound:
            if (share := unknown_share(encoder.tokenizer, text)) >= UNKNOWN:
                log.warning(
                    "%s: %.0f %% of the tokens are unknown to the model, so its prediction means little: is this the "
                    "model's language?",
                    one_line(repr(text)),
                    100 * share,
                )
        return [found[text] for text in texts]


def _fault(encoder: Encoder, text: str) -> Failure | None:
    """Why a text cannot be encoded."""
    try:
        encode(encoder.tokenizer, [text])
    except UserError as error:
        return Failure(str(error))
    return None


def _prediction(query: Query, shares: Sequence[float]) -> Prediction:
    """The prediction of three probabilities."""
    probabilities = dict(zip(LABELS, shares, strict=True))
    return Prediction(query.text, query.language, LABELS[int(np.argmax(shares))], probabilities)
