"""Loading a transformers model from a folder: from disk only, with every weight found."""

import pickle
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from clseave.errors import UserError

Model = TypeVar("Model", bound=PreTrainedModel)

# What a file that is no checkpoint, a damaged one, or a pickle that would run code makes the libraries raise.
UNREADABLE = (OSError, ValueError, TypeError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError)


def load_model(kind: type[Model], folder: Path | str, **settings: Any) -> Model:
    """A model in evaluation mode. UserError when the folder holds none, or lacks a weight that would stay random."""
    try:
        model, report = kind.from_pretrained(
            folder, attn_implementation="eager", local_files_only=True, output_loading_info=True, **settings
        )
    except OSError as error:
        raise UserError(f"{folder} holds no {kind.__name__}: run the stage that writes it (`dvc repro`)") from error
    except UNREADABLE as error:
        raise UserError(f"{folder} holds no readable {kind.__name__}: {_reason(error)}") from error
    if missing := sorted(report["missing_keys"]):
        raise UserError(f"{folder} lacks {len(missing)} weights of {kind.__name__}, the first {missing[0]}")
    return model.eval()


def read_weights(folder: Path | str) -> dict[str, torch.Tensor]:
    """All tensors of a folder by name: `model.safetensors`, else `pytorch_model.bin`, of which weights only are read.

    UserError when there is neither, or the file does not hold weights.
    """
    path = Path(folder, "model.safetensors")
    try:
        if path.exists():
            return load_file(path)
        path = path.with_name("pytorch_model.bin")
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds neither model.safetensors nor pytorch_model.bin") from error
    except UNREADABLE as error:
        raise UserError(f"{path} holds no readable weights: {_reason(error)}") from error


def load_layers(module: nn.Module, path: Path | str, *, beside: str | None = None) -> None:
    """Fill a module from a safetensors file, but for the weights below `beside`, which another file holds.

    UserError when the file cannot be read or does not fit the module.
    """
    try:
        missing, odd = module.load_state_dict(load_file(path), strict=False)
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read into its model: {_reason(error)}: run its stage again") from error
    missing = [name for name in missing if beside is None or not name.startswith(f"{beside}.")]
    if odd or missing:
        raise UserError(f"{path} is of another model: {[*odd, *missing][0]} does not fit: run its stage again")


def _reason(error: Exception) -> str:
    """One line without the libraries' advice, which is to lower the guard."""
    text = str(error).strip()
    if isinstance(error, pickle.UnpicklingError):
        return "its pickle is damaged, or holds more than weights and could run code"
    if "ignore_mismatched_sizes" in text:
        return "weights of other sizes than its config.json says"
    return (text.splitlines() or [type(error).__name__])[0]
