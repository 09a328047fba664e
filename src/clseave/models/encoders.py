"""Text encoders, loaded from their folders: CLIP-VE's text tower, and the CLSEAVE and CLTEAVE students."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN
from clseave.foundation.files.remedies import restore_command
from clseave.foundation.process import progress
from clseave.foundation.settings.schema import Assembly
from clseave.models.student import Student
from clseave.models.token_student import TokenStudent
from clseave.models.tokens import encode, in_order, pad
from clseave.models.towers import AnyTextTower, load_text_tower

Encoder = AnyTextTower | Student | TokenStudent
MARKS = ("student.json", "autoencoder.json", "head.json")  # each names a class of text encoders by its presence


def load_encoder(folder: Path, teacher: Path, assembly: Assembly) -> Encoder:
    """Load the text encoder of a model folder, in evaluation mode; its files decide the class (`MARKS`).

    `teacher` is CLIP-VE's folder, whose final layers some of CLTEAVE's assemblies use. UserError when the folder has no
    text encoder.
    """
    if (folder / "student.json").exists():
        return Student.load(folder)
    if (folder / "autoencoder.json").exists():
        return TokenStudent.load(folder).assemble(assembly, load_text_tower(teacher)).eval()
    if (folder / "head.json").exists():
        return load_text_tower(folder).eval()
    raise UserError(f"{folder} holds no text encoder: {restore_command(folder, RERUN)}")


@torch.no_grad()
def embed_texts(encoder: Encoder, texts: Sequence[str], batch_size: int) -> torch.Tensor:
    """Return sentence vectors on the CPU, (N, D), not normalised, in the order of the texts.

    Texts are batched by length.
    """
    rows, device = encode(encoder.tokenizer, texts), next(encoder.parameters()).device
    order = np.argsort(rows.lengths, kind="stable")
    vectors = torch.empty(len(rows), encoder.width)
    with progress.bar(desc="sentence vectors", total=len(rows), unit="sentences") as bar:
        for part in in_order(len(order), batch_size):
            inputs = pad([rows[row] for row in order[part]], encoder.tokenizer, device)
            vectors[torch.from_numpy(order[part])] = encoder(*inputs).cpu()
            bar.update(len(part))
    return vectors
