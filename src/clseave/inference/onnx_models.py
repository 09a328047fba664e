"""ONNX files of a bundle: image tower, text encoders and head; `onnx_predict.py` predicts with them.

Of the packages of the extra `onnx`, `onnxscript` writes the files and `onnxruntime` checks them against torch.
"""

import logging
import shutil
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from clseave.foundation.errors import UserError, one_line
from clseave.foundation.files.formats import write_json
from clseave.foundation.rows.labels import LABELS
from clseave.inference.entailment import Entailment
from clseave.models.clip_ve import judge
from clseave.models.encoders import Encoder
from clseave.models.pooling import pool_mean, position
from clseave.models.student import Student
from clseave.models.tokens import POLICY, pad

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4  # of a logit or an element of a vector
SCRIPT = Path(__file__).with_name("onnx_predict.py")


class ImageVectors(nn.Module):
    """Preprocessed images (B, 3, H, W) -> vectors (B, D)."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower = tower

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors, not normalised."""
        return self.tower(pixels)


class StudentVectors(nn.Module):
    """As `Student.forward`, with the last layer computed for every token, so that the batch's size stays free."""

    def __init__(self, student: Student):
        super().__init__()
        self.student = student

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Sentence vectors, not normalised: (B, T) ids and mask -> (B, D)."""
        one = self.student
        states = one.norm(one.encoder(input_ids=ids, attention_mask=mask).last_hidden_state)  # (B, T, W)
        if one.pooling == "cls":
            return one.projection(states[:, 0])
        if (at := position(ids, one.end, one.pooling)) is None:
            return one.projection(pool_mean(states, mask))
        return one.projection(states.gather(1, at[:, None, None].expand(-1, -1, states.shape[2]))[:, 0])


class Logits(nn.Module):
    """Hypothesis and premise vectors, two (B, D) -> logits (B, 3)."""

    def __init__(self, model: Entailment):
        super().__init__()
        self.head, self.inputs = model.head, model.inputs

    def forward(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        """Logits in the order of `labels.LABELS`."""
        return judge(self.head, self.inputs, hypothesis, premise)


def require_packages() -> None:
    """UserError when a package of the extra is not installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise UserError(f"--onnx needs {', '.join(missing)}: `pip install {' '.join(missing)}`, or 'clseave[onnx]'")


def write(folder: Path, model: Entailment) -> None:
    """Write image tower, head, text encoders, tokenizers and the script into a new folder, and check all against torch.

    UserError when torch cannot write one, and when a file's results differ from torch's by more than `TOLERANCE`.
    """
    folder.mkdir()
    for library in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(library).setLevel(logging.ERROR)
    size = model.tower.settings.image_size
    batch = Dim("batch")
    torch.manual_seed(0)
    pixels = torch.randn(2, model.tower.settings.num_channels, size, size)
    premise = _save(folder / "image.onnx", ImageVectors(model.tower), {"pixels": pixels}, "vector", ({0: batch},))
    sentences = {}
    for language, encoder in model.encoders.items():
        save_encoder(folder / f"text-{language}.onnx", encoder)
        encoder.tokenizer.backend_tokenizer.save(str(folder / f"tokenizer-{language}.json"))
        policy = encoder.tokenizer.init_kwargs.get(POLICY, "stop")
        sentences[language] = {"longest": encoder.tokenizer.model_max_length, "long_texts": policy}
    pair = {"hypothesis": premise.flip(1), "premise": premise}
    _save(folder / "head.onnx", Logits(model), pair, "logits", ({0: batch}, {0: batch}))
    image = model.processor.to_dict()
    write_json(folder / "settings.json", {"labels": list(LABELS), "languages": sentences, "image": image})
    shutil.copyfile(SCRIPT, folder / "predict.py")


def save_encoder(path: Path, encoder: Encoder) -> None:
    """Write a text encoder, of which batch and length are free: (B, T) ids and mask -> (B, D)."""
    ids, mask = pad(_examples(encoder), encoder.tokenizer)
    shape = {0: Dim("batch"), 1: Dim("length", max=encoder.tokenizer.model_max_length)}
    wrapped = StudentVectors(encoder) if isinstance(encoder, Student) else encoder
    _save(path, wrapped, {"ids": ids, "mask": mask}, "vector", (shape, shape))


def _examples(encoder: Encoder) -> list[list[int]]:
    """Ids of two sentences of different length."""
    *start, end = encoder.tokenizer("").input_ids
    words = sorted(set(encoder.tokenizer.get_vocab().values()) - set(encoder.tokenizer.all_special_ids))
    return [[*start, *words[:count], end] for count in (1, 4)]


@torch.no_grad()
def _save(path: Path, model: nn.Module, inputs: dict[str, torch.Tensor], output: str, shapes: Any) -> torch.Tensor:
    """Write a model; return torch's output for the inputs, which the file must give too, also for one row of them."""
    import onnxruntime

    model.eval()
    given = tuple(inputs.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = torch.onnx.export(
                model, given, dynamo=True, verbose=False, input_names=list(inputs), output_names=[output],
                dynamic_shapes=shapes,
            )  # fmt: skip
        except torch.onnx.errors.OnnxExporterError as error:
            raise UserError(f"{path.name}: torch cannot write this model as ONNX: {one_line(str(error))}") from error
    assert made is not None
    made.save(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = model(*given)
    for rows in (slice(None), slice(1)):
        found = session.run(None, {name: value[rows].numpy() for name, value in inputs.items()})[0]
        gap = float((torch.from_numpy(found) - wanted[rows]).abs().max())
        if not gap <= TOLERANCE:
            raise UserError(f"{path.name} differs from torch by {gap:.1e}, allowed {TOLERANCE:.0e}: not written")
    return wanted
