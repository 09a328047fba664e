"""Loading of transformers models and layers from local folders, with all weights required."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedModel

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN, cannot_read, read_json, require_no_pointer
from clseave.foundation.files.remedies import restore_command
from clseave.models.pretrained import WEIGHTS, is_headless, require_weights, weight_files

Model = TypeVar("Model", bound=PreTrainedModel)

# Errors of the libraries for a damaged file, a file that is not a checkpoint, and a pickle that would run code.
UNREADABLE = (
    *(OSError, ValueError, TypeError, EOFError, RuntimeError, LookupError, AttributeError, ArithmeticError),
    *(AssertionError, SafetensorError, pickle.UnpicklingError, StrictDataclassError),
)
FILES = ("config.json", "*.safetensors", "*.bin", "tokenizer.json", "vocab.*")


def load_model(kind: type[Model], folder: Path | str, **settings: Any) -> Model:
    """Load a model in evaluation mode. UserError when the folder has no such model, or lacks some of its weights.

    By default weights are read from safetensors files and must be float32; `settings` may override both (`dtype`).
    """
    require_files(folder)
    if getattr(kind, "config_class", None) is BertConfig:
        require_bert(folder)
    try:
        model, report = kind.from_pretrained(
            folder,
            attn_implementation="eager",
            local_files_only=True,
            output_loading_info=True,
            **{"use_safetensors": True} | settings,
        )
    except OSError as error:
        raise UserError(f"{folder} holds no {kind.__name__}: {restore_command(folder, RERUN)}") from error
    except UNREADABLE as error:
        raise UserError(f"{folder} holds no readable {kind.__name__}: {_reason(error)}") from error
    if missing := sorted(report["missing_keys"]):
        raise UserError(f"{folder} lacks {len(missing)} weights of {kind.__name__}, the first {missing[0]}")
    if "dtype" not in settings and model.dtype != torch.float32:
        raise UserError(f"{folder} holds weights of {model.dtype}, expected torch.float32: run its stage again")
    return model.eval()


def load_bert(folder: Path | str, **settings: Any) -> BertForMaskedLM | BertModel:
    """Load a multilingual BERT, with its language-model head unless its configuration names BertModel."""
    if is_headless(_config(folder)):
        return load_model(BertModel, folder, add_pooling_layer=False, **settings)
    return load_model(BertForMaskedLM, folder, **settings)


def require_files(folder: Path | str) -> None:
    """Raise UserError when a file of a model is a pointer of Git LFS, as in a clone without its large files."""
    for path in (path for pattern in FILES for path in Path(folder).glob(pattern)):
        require_no_pointer(path)


def require_bert(folder: Path | str) -> None:
    """Raise UserError when a folder's configuration names another architecture than BERT."""
    if (kind := _config(folder).get("model_type", "bert")) != "bert":
        raise UserError(
            f"{folder}/config.json: found a model of type {kind!r}, expected 'bert', on which word alignment and the "
            "students are built: name a multilingual BERT (mBERT, LaBSE, multilingual-e5-small)"
        )


def _config(folder: Path | str) -> dict[str, Any]:
    """Return a model's configuration; empty if it cannot be read, which loading the model will report."""
    try:
        content = read_json(Path(folder, "config.json"))
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}


def read_weights(folder: Path | str) -> dict[str, torch.Tensor]:
    """Read all tensors of a folder by name, from `model.safetensors`, else `pytorch_model.bin` (weights only).

    Each may be in shards, which its index names. UserError when there is neither, or a file holds no weights.
    """
    folder = Path(folder)
    require_files(folder)
    kind = next((kind for kind in WEIGHTS if weight_files(folder, kind)), None)
    if kind is None:
        remedy = restore_command(folder / WEIGHTS["safetensors"], RERUN)
        raise UserError(f"{folder} holds neither model.safetensors nor pytorch_model.bin: {remedy}")
    weights: dict[str, torch.Tensor] = {}
    for name in require_weights(str(folder), folder, kind):
        weights |= _read_file(folder / name)
    return weights


def _read_file(path: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a file by name. UserError when it holds no weights."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
            raise ValueError("it holds no tensors by name")
        return content
    except UNREADABLE as error:
        raise UserError(f"{path} holds no readable weights: {_reason(error)}") from error


def load_layers(module: nn.Module, path: Path | str, *, beside: str | None = None) -> None:
    """Load the weights of a module from a safetensors file, except those of its part `beside`, stored elsewhere.

    UserError when the file cannot be read or does not match the module.
    """
    path = Path(path)
    require_no_pointer(path)
    try:
        weights, own = load_file(path), module.state_dict()
        for name, tensor in weights.items():
            if name in own and tensor.dtype != own[name].dtype:
                raise ValueError(f"{name} is of {tensor.dtype}, expected {own[name].dtype}")
        missing, odd = module.load_state_dict(weights, strict=False)
    except FileNotFoundError as error:
        raise cannot_read(path, error) from error
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read into its model: {_reason(error)}: run its stage again") from error
    missing = [name for name in missing if beside is None or not name.startswith(f"{beside}.")]
    if odd or missing:
        raise UserError(f"{path} is of another model: {[*odd, *missing][0]} does not fit: run its stage again")


Made = TypeVar("Made")


def make(kind: Callable[..., Made], path: Path | str) -> Made:
    """Call `kind` with the content of a JSON file as keyword arguments. UserError when they do not match."""
    try:
        return kind(**read_json(path))
    except UNREADABLE as error:
        raise UserError(f"{path} does not describe a model of ours ({_reason(error)}): run its stage again") from error


def _reason(error: Exception) -> str:
    """Return the first line of the error, without hints such as `ignore_mismatched_sizes=True`."""
    text = str(error).strip()
    if isinstance(error, pickle.UnpicklingError):
        return "its pickle is damaged, or holds more than weights and could run code"
    if "ignore_mismatched_sizes" in text:
        return "weights of other sizes than its config.json says"
    return (text.splitlines() or [type(error).__name__])[0]
