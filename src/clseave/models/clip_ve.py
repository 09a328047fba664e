"""CLIP-VE: CLIP's text tower and the head; the image tower is frozen and enters as stored vectors (thesis 3.1)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerBase

from clseave.foundation.files.formats import atomic, write_json
from clseave.models.head import Head
from clseave.models.loading import load_layers, load_model, make
from clseave.models.student import Student
from clseave.models.threshold_head import ThresholdHead
from clseave.models.tokens import checked_end, load_tokenizer

VEHead = Head | ThresholdHead
Inputs = Literal["clip_ve", "hypothesis_only", "image_only"]


class TextTower(nn.Module):
    """CLIP's text tower with its projection."""

    def __init__(self, model: CLIPTextModelWithProjection, tokenizer: PreTrainedTokenizerBase):
        """UserError when model and tokenizer disagree on the end token: CLIP would pool the wrong position."""
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        checked_end(tokenizer, model.config)

    @property
    def width(self) -> int:
        """Size of a sentence vector."""
        return int(self.model.config.projection_dim)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Sentence vectors, not normalised: (B, T) ids and mask -> (B, D)."""
        return self.model(input_ids=ids, attention_mask=mask).text_embeds

    def final_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token states of the last layer, before the final norm and the projection: (B, T) -> (B, T, W)."""
        return self.model.text_model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]

    def projected_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token states after the final norm and the projection, (B, T) -> (B, T, D): at [EOS] the sentence vector."""
        states = self.model.text_model.final_layer_norm(self.final_states(ids, mask))
        return self.model.text_projection(states)

    def save(self, folder: Path | str) -> None:
        """Write the tower in Hugging Face layout."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @classmethod
    def load(cls, folder: Path | str) -> "TextTower":
        """Read the tower from its own folder or from a whole CLIP's."""
        return cls(load_model(CLIPTextModelWithProjection, folder), load_tokenizer(folder))


class ClipVE(nn.Module):
    """Text tower and head. `inputs` other than "clip_ve" is a blind control: the other vector is set to zero.

    Baselines have mBERT for a text tower.
    """

    def __init__(self, tower: TextTower | Student, head: nn.Module, inputs: Inputs):
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
