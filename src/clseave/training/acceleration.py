"""How a text encoder runs in training steps.

On a GPU: bfloat16 autocast, compiled, with few shapes. On the CPU none of this is both faster and bit-exact across
processors; large batches are split into sub-batches of similar length instead, which saves padding.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from clseave.foundation.settings.schema import Precision
from clseave.models.student import Student
from clseave.models.towers import AnyTextTower

# Lengths to which compiled batches are padded: each is compiled, and recorded as a CUDA graph, once.
LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096)
PART = 32  # smallest sub-batch on the CPU: below it, the overhead of more calls outweighs the saved padding

TextEncoder = AnyTextTower | Student
Forward = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def for_training(
    encoder: TextEncoder, device: torch.device, *, precision: Precision, compiled: bool, rows: int
) -> Forward:
    """Return the forward function of training steps: ids and mask (B, T) -> vectors (B, D) in single precision.

    `rows` is the size of the largest batch.
    """
    if device.type == "cpu":
        return lambda ids, mask: in_parts(encoder, ids, mask)
    return accelerate(encoder, precision, compiled=compiled, rows=rows, mode="reduce-overhead")


def in_parts(encoder: Forward, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the encoder's vectors, (B, T) -> (B, D), computed in sub-batches of similar length.

    Each sub-batch is cut to its longest row.
    """
    if (count := len(ids) // PART) < 2:
        return encoder(ids, mask)
    lengths = mask.sum(dim=1)
    order = lengths.argsort(stable=True)
    parts = [(rows, int(lengths[rows].max())) for rows in order.tensor_split(count)]
    return torch.cat([encoder(ids[rows, :width], mask[rows, :width]) for rows, width in parts])[order.argsort()]


def accelerate(encoder: TextEncoder, precision: Precision, *, compiled: bool, rows: int, **options: Any) -> Forward:
    """Return the accelerated forward function, for any device; `options` go to `torch.compile`.

    Mode "reduce-overhead" records CUDA graphs.
    """
    longest = encoder.tokenizer.model_max_length
    if compiled:
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 2 * len(LENGTHS))
    call: Any = torch.compile(encoder, dynamic=False, **options) if compiled else encoder

    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        count = len(ids)
        if compiled:
            ids, mask = fit(ids, mask, rows, longest)
            torch.compiler.cudagraph_mark_step_begin()  # the vectors of the previous step may be overwritten
        # Autocast keeps normalisation layers in single precision; loss and head are computed outside.
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            vectors = call(ids, mask)
        return vectors[:count].float()

    return forward


def fit(ids: torch.Tensor, mask: torch.Tensor, rows: int, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad a batch, two (B, T), to one of a few shapes: (`rows`, a length of `LENGTHS` or `longest`).

    Rows are added by repeating the first one, columns by repeating the last one with mask 0.
    """
    width = min(longest, next(length for length in (*LENGTHS, longest) if length >= ids.shape[1]))
    extra, again = width - ids.shape[1], max(0, rows - len(ids))
    ids, mask = torch.cat([ids, ids[:, -1:].expand(-1, extra)], dim=1), functional.pad(mask, (0, extra))
    return torch.cat([ids, ids[:1].expand(again, -1)]), torch.cat([mask, mask[:1].expand(again, -1)])
