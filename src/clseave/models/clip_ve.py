"""CLIP-VE: CLIP's text tower and the head; the image tower is frozen and enters as stored vectors (thesis 3.1)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import save_file
from torch import nn

from clseave.foundation.files.formats import atomic, write_json
from clseave.models.head import Head, ThresholdHead
from clseave.models.loading import load_layers, make
from clseave.models.student import Student
from clseave.models.towers import AnyTextTower

VEHead = Head | ThresholdHead
Inputs = Literal["clip_ve", "hypothesis_only", "image_only"]


class ClipVE(nn.Module):
    """Text tower and head. `inputs` other than "clip_ve" is a blind control: the other vector is set to zero.

    Baselines have mBERT for a text tower.
    """

    def __init__(self, tower: AnyTextTower | Student, head: nn.Module, inputs: Inputs):
        super().__init__()
        self.tower, self.head, self.inputs = tower, head, inputs

    def encode(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Hypothesis vectors, (B, T) -> (B, D); zeros, without running the tower, when the control sees none.

        `forward` runs in the place of the tower's own.
        """
        if self.inputs == "image_only":
            return torch.zeros(len(ids), self.tower.width, device=ids.device)
        return (forward or self.tower)(ids, mask)

    def judge(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        """Logits of hypothesis and premise vectors, two (B, D) -> (B, 3)."""
        return judge(self.head, self.inputs, hypothesis, premise)


def judge(head: nn.Module, inputs: Inputs, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
    """Logits with the input a control must not see set to zero: two (B, D) -> (B, 3)."""
    if inputs == "image_only":
        hypothesis = torch.zeros_like(hypothesis)
    if inputs == "hypothesis_only":
        premise = torch.zeros_like(premise)
    return head(hypothesis, premise)


def save_head(folder: Path | str, head: VEHead, inputs: Inputs) -> None:
    """Write `head.json` and, for a trained one, `head.safetensors`."""
    folder = Path(folder)
    if isinstance(head, Head):
        with atomic(folder / "head.safetensors") as temporary:
            save_file(head.state_dict(), temporary)
    write_json(folder / "head.json", {"inputs": inputs, **head.config})


def load_head(folder: Path | str) -> tuple[VEHead, Inputs]:
    """Read a head in evaluation mode, and which inputs it may see."""
    head, inputs = make(_head_of, Path(folder) / "head.json")
    if isinstance(head, Head):
        load_layers(head, Path(folder) / "head.safetensors")
    return head.eval(), inputs


def _head_of(*, inputs: Inputs, **config: Any) -> tuple[VEHead, Inputs]:
    """A head of the given shape, and its inputs. ValueError for inputs that there are none of."""
    if inputs not in get_args(Inputs):
        raise ValueError(f"inputs {inputs!r}: expected one of {', '.join(get_args(Inputs))}")
    return (ThresholdHead if "thresholds" in config else Head)(**config), inputs
