"""Loading of transformers models and layers from local folders, with all weights required."""

import inspect
import pickle
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel
from transformers.models.m2m_100 import modeling_m2m_100
from transformers.utils import logging as library_logging

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN, cannot_read, read_json, require_no_pointer
from clseave.foundation.files.remedies import restore_command
from clseave.models.pretrained import DUAL_ENCODERS, TEXT_ENCODERS, WEIGHTS, in_words, require_weights, weight_files

Model = TypeVar("Model", bound=PreTrainedModel)

# Errors of the libraries for a damaged file, a file that is not a checkpoint, and a pickle that would run code.
UNREADABLE = (
    *(OSError, ValueError, TypeError, EOFError, RuntimeError, LookupError, AttributeError, ArithmeticError),
    *(AssertionError, SafetensorError, pickle.UnpicklingError, StrictDataclassError),
)
CLASSES: dict[str, type[PreTrainedModel]] = {  # by `model_type`
    "clip": transformers.CLIPModel,
    "siglip": transformers.SiglipModel,
    "chinese_clip": transformers.ChineseCLIPModel,
    "altclip": transformers.AltCLIPModel,
    "vision-text-dual-encoder": transformers.VisionTextDualEncoderModel,
    "bert": transformers.BertModel,
    "xlm-roberta": transformers.XLMRobertaModel,
    "distilbert": transformers.DistilBertModel,
    "deberta-v2": transformers.DebertaV2Model,
    "modernbert": transformers.ModernBertModel,
    "m2m_100": modeling_m2m_100.M2M100Encoder,
}
RATES = (  # of dropout, in the configurations of text encoders
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "activation_dropout"),
    *("embedding_dropout", "mlp_dropout"),
)
FILES = ("config.json", "*.safetensors", "*.bin", "tokenizer.json", "vocab.*")


def load_model(kind: type[Model], folder: Path | str, *, may_lack: tuple[str, ...] = (), **settings: Any) -> Model:
    """Load a model in evaluation mode. UserError when the folder has no such model, or lacks some of its weights.

    By default weights are read from safetensors files and must be float32; `settings` may override both (`dtype`).
    Modules of names in `may_lack` may have no weights.
    """
    require_files(folder)
    settings = {"attn_implementation": "eager", "local_files_only": True, "use_safetensors": True} | settings
    verbosity = library_logging.get_verbosity()
    try:
        library_logging.set_verbosity_error()  # the library would list unused weights
        model, report = kind.from_pretrained(folder, output_loading_info=True, **settings)
    except OSError as error:
        raise UserError(f"{folder} holds no {kind.__name__}: {restore_command(folder, RERUN)}") from error
    except UNREADABLE as error:
        raise UserError(f"{folder} holds no readable {kind.__name__}: {_reason(error)}") from error
    finally:
        library_logging.set_verbosity(verbosity)
    if missing := sorted(name for name in report["missing_keys"] if name.split(".")[0] not in may_lack):
        raise UserError(f"{folder} lacks {len(missing)} weights of {kind.__name__}, the first {missing[0]}")
    if "dtype" not in settings and model.dtype != torch.float32:
        raise UserError(f"{folder} holds weights of {model.dtype}, expected torch.float32: run its stage again")
    return model.eval()


def load_text_encoder(folder: Path | str, dropout: float | None = None, **settings: Any) -> PreTrainedModel:
    """Load a text encoder of one of the kinds in `TEXT_ENCODERS`, without pooler and heads.

    `dropout` sets all its dropout rates; None keeps those of its configuration. Called with `input_ids` and
    `attention_mask`, (B, T), the encoder returns `last_hidden_state`, (B, T, W). UserError when the folder has none.
    """
    kind = _class_of(folder, TEXT_ENCODERS, "bert")
    nllb = kind is modeling_m2m_100.M2M100Encoder
    whole = nllb and _config(folder).get("architectures") != [kind.__name__]  # as published, with a decoder
    if dropout is not None:
        settings |= {rate: dropout for rate in RATES if hasattr(kind.config_class(), rate)}
    if nllb:
        settings["encoder_layerdrop"] = 0.0
    elif "add_pooling_layer" in inspect.signature(kind).parameters:
        settings["add_pooling_layer"] = False
    model = load_model(transformers.M2M100Model if whole else kind, folder, **settings)
    return model.get_encoder() if whole else model


def _class_of(folder: Path | str, known: Container[str], default: str) -> type[PreTrainedModel]:
    """Return the class of the model that config.json describes. UserError for one that is not `known`."""
    if (found := _config(folder).get("model_type", default)) not in known:
        allowed = in_words({type_: name for type_, name in (DUAL_ENCODERS | TEXT_ENCODERS).items() if type_ in known})
        raise UserError(f"{folder}/config.json: found a model of type {found!r}, allowed: {allowed}")
    return CLASSES[found]


def is_clip(folder: Path | str) -> bool:
    """Return whether a folder holds CLIP or one of its towers; a folder without a configuration counts as CLIP."""
    return str(_config(folder).get("model_type", "clip")) in ("clip", "clip_text_model", "clip_vision_model")


def load_dual_encoder(folder: Path | str, *, may_lack: tuple[str, ...] = (), **settings: Any) -> PreTrainedModel:
    """Load a dual encoder of one of the kinds in `DUAL_ENCODERS`, as `load_model` does.

    UserError when the folder has no such model.
    """
    with torch.random.fork_rng(devices=[]):  # the library draws missing weights at random
        return load_model(_class_of(folder, DUAL_ENCODERS, "clip"), folder, may_lack=may_lack, **settings)


def require_files(folder: Path | str) -> None:
    """Raise UserError when a file of a model is a pointer of Git LFS, as in a clone without its large files."""
    for path in (path for pattern in FILES for path in Path(folder).glob(pattern)):
        require_no_pointer(path)


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
