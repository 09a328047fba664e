"""Checks of a pre-trained model before its weights are loaded: its kind, and its weight files.

Weights are in a single file, or in several ("shards") with an index of their tensors. Only names and sizes are read, in
milliseconds, without torch and without running code from a file.
"""

import pickletools
import re
import zipfile
from collections.abc import Collection, Iterable
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

from safetensors import SafetensorError, safe_open

from clseave.foundation.errors import UserError
from clseave.foundation.files.archives import BROKEN, require_size
from clseave.foundation.files.formats import parse_json, read_json, require_no_pointer
from clseave.foundation.settings.schema import Evaluation, Pretrained

WEIGHTS = {"safetensors": "model.safetensors", "convert": "pytorch_model.bin"}
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model", "*.spm")
PROJECTED = {
    "chinese_clip": 512,
    "altclip": 768,
    "vision-text-dual-encoder": 512,
}  # default of `projection_dim`
LAYERS = ("encoder_layers", "n_layers", "num_hidden_layers")  # keys of config.json: NLLB, DistilBERT, all others
OTHERS = (".safetensors", ".bin", ".h5", ".msgpack", ".onnx", ".ckpt", ".pt", ".pth", ".gguf")  # suffixes of weights
PICKLES = 4  # number of pickles at the start of an older pytorch_model.bin; the last holds the names


# Names of models by their `model_type` in config.json: what a teacher, a student's text encoder, a translator may be.
DUAL_ENCODERS = {
    "clip": "CLIP",
    "siglip": "SigLIP 2 of a fixed resolution",
    "chinese_clip": "Chinese-CLIP",
    "altclip": "AltCLIP",
    "vision-text-dual-encoder": "a pair of encoders",
}
TEXT_ENCODERS = {
    "bert": "BERT, LaBSE, multilingual-e5-small",
    "xlm-roberta": "XLM-RoBERTa, multilingual-e5",
    "distilbert": "DistilBERT",
    "deberta-v2": "DeBERTa",
    "modernbert": "ModernBERT",
    "m2m_100": "NLLB's encoder",
}
TRANSLATORS = {"m2m_100": "M2M100 or NLLB", "marian": "Marian"}
KINDS = {"backbones.clip": DUAL_ENCODERS, "backbones.mbert": TEXT_ENCODERS, "translate.model": TRANSLATORS}  # by key
TOWERS = {"text_model.": "text tower", "vision_model.": "image tower"}  # of a teacher, by prefix of their weights
PROJECTIONS = {"text_projection.": "projection of texts", "visual_projection.": "projection of images"}  # not SigLIP's


def in_words(kind: dict[str, str]) -> str:
    """Return the names of a table of models with their types."""
    return ", ".join(f"{name} ({type_})" for type_, name in kind.items())


def index_of(weights: str) -> str:
    """Return the file name of the index of sharded weights."""
    return f"{WEIGHTS[weights]}.index.json"


def weight_files(folder: Path, weights: str) -> list[str]:
    """Return the names of the weight files: the single file, else the shards in the index; none without either.

    UserError for an index that names anything but weight files in its folder.
    """
    if (folder / WEIGHTS[weights]).is_file():
        return [WEIGHTS[weights]]
    path = folder / index_of(weights)
    return _shards(path, read_json(path)) if path.is_file() else []


def _shards(path: Path, index: Any) -> list[str]:
    """Return the file names in an index."""
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map or not isinstance(index.get("metadata"), dict):
        raise UserError(f"{path}: expected `metadata` and `weight_map`, the file of each weight: copy it again")
    suffix = PurePath(path.name.removesuffix(".index.json")).suffix
    for name in weight_map.values():
        if not isinstance(name, str) or not re.fullmatch(rf"[\w-][\w.-]*{re.escape(suffix)}", name):
            raise UserError(f"{path}: weight_map: found {name!r}, expected the name of a {suffix} file beside it")
    return sorted(set(weight_map.values()))


def require_weights(name: str, folder: Path, weights: str, known: Collection[str] | None = None) -> list[str]:
    """Return `weight_files`. UserError when there are none, or some are missing.

    `name` is the model's name in messages; `known` are all its files, when the folder has only some of them.
    """
    if not (files := weight_files(folder, weights)):
        known = sorted(known or (path.name for path in folder.iterdir()))
        raise UserError(f"{name} holds no {WEIGHTS[weights]}{missing_weights_remedy(weights, known)}")
    if gone := [file for file in files if not (folder / file).is_file()]:
        raise UserError(f"{name}: {index_of(weights)} names {gone[0]}, which is not there: copy it there too")
    return files


def missing_weights_remedy(weights: str, known: Iterable[str]) -> str:
    """Return the end of a message: the remedy for missing weights of a kind, given the `known` files."""
    known = list(known)
    other = "convert" if weights == "safetensors" else "safetensors"
    for file in (WEIGHTS[other], index_of(other)):
        if file in known:
            return f": say `weights: {other}` to read {file}"
    for kind, file in WEIGHTS.items():
        stem, suffix = PurePath(file).stem, PurePath(file).suffix
        if shards := [name for name in known if re.fullmatch(rf"{stem}-\d+-of-\d+\{suffix}", name)]:
            say = "" if kind == weights else f", and say `weights: {kind}`"
            return f", but weights in shards ({shards[0]}) without {index_of(kind)}: copy that there too{say}"
    both = f"{WEIGHTS['safetensors']} or {WEIGHTS['convert']}, whole or in shards with their index"
    found = ", ".join(name for name in known if name.endswith(OTHERS)) or "no weights at all"
    return f": found {found}, expected {both}"


def require_whole(folder: Path, model: Pretrained, known: Collection[str] | None = None) -> list[str]:
    """Return the names of the weight files. UserError when the folder lacks weights, configuration or tokenizer."""
    name = f"{model.id} at revision {model.revision}" if model.revision else model.id
    if not (folder / "config.json").is_file():
        raise UserError(f"{name} holds no config.json: not a model in the layout of transformers")
    files = require_weights(name, folder, model.weights, known)
    if not has_tokenizer(folder):
        raise UserError(f"{name} holds no tokenizer: expected one of {', '.join(TOKENIZERS)}")
    for path in sorted(folder.iterdir()):
        require_no_pointer(path)
    return files


def has_tokenizer(folder: Path) -> bool:
    """Return whether a folder has a file of a tokenizer."""
    return any(path for pattern in TOKENIZERS for path in folder.glob(pattern))


def require_kind(key: str, name: str, config: Any) -> None:
    """Raise UserError when config.json describes another kind of model than the profile's key accepts."""
    if not isinstance(config, dict):
        raise UserError(f"{name}: config.json: expected a JSON object, found {type(config).__name__}")
    found, kind = config.get("model_type"), KINDS[key]
    if found is not None and found not in kind:  # the oldest files have no `model_type`
        raise UserError(f"{key}.id: found {name}, a {found} (model_type in config.json), allowed: {in_words(kind)}")


def require_teacher(name: str, config: dict[str, Any], names: Iterable[str]) -> None:
    """Raise UserError when the names of a teacher's weights lack a part."""
    names, needed = tuple(names), TOWERS if config.get("model_type") == "siglip" else TOWERS | PROJECTIONS
    for start, what in needed.items():
        if not any(weight.startswith(start) for weight in names):
            raise UserError(
                f"backbones.clip.id: {name} has no {what} (no weight is named {start}*): name a checkpoint that has one"
            )


def require_assemblies(name: str, config: Any, evaluations: Iterable[Evaluation]) -> None:
    """Raise UserError for an evaluation of CLTEAVE that a teacher does not allow.

    Without CLIP's final norm and projection, a sentence vector can only be the token state itself, if both are as wide.
    """
    kind = config.get("model_type", "clip") if isinstance(config, dict) else "clip"
    if kind == "clip":
        return
    text = config.get("text_config") or {}
    wide = text.get("hidden_size", {"siglip": 768, "chinese_clip": 768, "altclip": 1024}.get(kind))
    width = text.get("projection_size", wide) if kind == "siglip" else config.get("projection_dim", PROJECTED.get(kind))
    allowed = ["direct"] if wide == width else []
    for entry in evaluations:
        if entry.text_encoder == "clteave" and entry.assembly not in allowed:
            raise UserError(
                f"evaluations: {entry.name}: assembly: found {entry.assembly!r}, allowed with the teacher {name}: "
                f"{', '.join(allowed) or 'none'}: leave this evaluation out of params.yaml"
            )


def require_layers(name: str, config: dict[str, Any], layer: int) -> None:
    """Raise UserError when a text encoder has no layer with this number."""
    found = next((config[key] for key in LAYERS if key in config), None)
    if isinstance(found, int) and layer > found:
        raise UserError(f"align_words.layer: found {layer}, allowed with {name}: 1 to {found}")


def weight_names(folder: Path, files: Iterable[str]) -> set[str]:
    """Return the names of the weights in files of a folder. UserError for an unreadable file, such as a torn one."""
    names: set[str] = set()
    for path in (folder / file for file in files):
        require_no_pointer(path)
        try:
            if path.suffix == ".bin":
                names |= _pickled_names(path)
            else:
                with safe_open(path, "np") as weights:
                    names |= set(weights.keys())
        except (SafetensorError, *BROKEN) as error:
            reason = str(error).splitlines() or [type(error).__name__]
            raise UserError(f"{path} holds no readable weights ({reason[0]}): copy it there again") from error
    return names


def _pickled_names(path: Path) -> set[str]:
    """Return all texts in the pickles of a pytorch_model.bin, names of weights included, without running them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = next((name for name in archive.namelist() if PurePath(name).name == "data.pkl"), "data.pkl")
            require_size(archive.getinfo(inside).file_size)
            with archive.open(inside) as stream:
                return _texts(stream)
    with open(path, "rb") as stream:
        return set().union(*(_texts(stream) for _ in range(PICKLES)))


def names_at_start(content: bytes, weights: str) -> set[str]:
    """Return the names of the weights from the first bytes of their file. ValueError when the bytes lack some names."""
    if weights == "safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        return set(parse_json(content[8:end].decode())) - {"__metadata__"}
    if not content.startswith(b"PK"):
        stream = BytesIO(content)
        return set().union(*(_texts(stream) for _ in range(PICKLES)))
    # A zip whose first member is data.pkl, uncompressed: a header of 30 bytes, which gives the lengths of the two texts
    # that follow.
    return _texts(BytesIO(content[30 + sum(int.from_bytes(content[at : at + 2], "little") for at in (26, 28)) :]))


def _texts(stream: Any) -> set[str]:
    """Return the texts in a pickle."""
    return {found for _, found, _ in pickletools.genops(stream) if isinstance(found, str)}


def require_fitting(key: str, folder: Path, model: Pretrained, layer: int | None = None) -> None:
    """Raise UserError for a local model that a stage would reject; `layer` is the layer of word alignment."""
    config = read_json(folder / "config.json")
    require_kind(key, model.id, config)
    if key == "backbones.mbert" and layer is not None:
        require_layers(model.id, config, layer)
    names = weight_names(folder, weight_files(folder, model.weights))
    if key == "backbones.clip":
        require_teacher(model.id, config, names)
