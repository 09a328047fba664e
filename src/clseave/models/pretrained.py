"""What a folder says of a pre-trained model before its weights are loaded: its kind, and the files that hold them.

Weights are one file, or several ("shards") with an index that says which tensor is in which. Only names and sizes are
read here, in milliseconds, without torch and without running anything that a file holds.
"""

import pickletools
import re
import zipfile
from collections.abc import Collection, Iterable
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from clseave.foundation.errors import UserError
from clseave.foundation.files.archives import BROKEN, require_size
from clseave.foundation.files.formats import parse_json, read_json, require_no_pointer
from clseave.foundation.settings.schema import Pretrained

WEIGHTS = {"safetensors": "model.safetensors", "convert": "pytorch_model.bin"}
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model", "*.spm")
OTHERS = (".safetensors", ".bin", ".h5", ".msgpack", ".onnx", ".ckpt", ".pt", ".pth", ".gguf")  # of weights
PICKLES = 4  # that the older form of pytorch_model.bin begins with; the last holds the names


class Kind(NamedTuple):
    """What a stage takes: values of `model_type` in config.json, in words, and how names of needed weights begin."""

    types: tuple[str, ...]
    words: str
    needed: dict[str, str]  # beginning: what it is


KINDS = {  # by key of the profile
    "backbones.clip": Kind(
        ("clip",),
        "CLIP (clip)",
        {
            "text_model.": "text tower",
            "vision_model.": "image tower",
            "text_projection.": "projection of texts",
            "visual_projection.": "projection of images",
        },
    ),
    "backbones.mbert": Kind(("bert",), "BERT (bert)", {"cls.predictions.": "head for masked language modelling"}),
    "translate.model": Kind(("m2m_100", "marian"), "M2M100 or NLLB (m2m_100), Marian (marian)", {}),
}


def index_of(weights: str) -> str:
    """Name of the index of weights in shards."""
    return f"{WEIGHTS[weights]}.index.json"


def weight_files(folder: Path, weights: str) -> list[str]:
    """Names of the files that hold the weights: the single file, else those of the index; none without either.

    UserError for an index that names something else than files of weights beside it.
    """
    if (folder / WEIGHTS[weights]).is_file():
        return [WEIGHTS[weights]]
    path = folder / index_of(weights)
    return _shards(path, read_json(path)) if path.is_file() else []


def _shards(path: Path, index: Any) -> list[str]:
    """Names of the files of an index."""
    found = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(found, dict) or not found or not isinstance(index.get("metadata"), dict):
        raise UserError(f"{path}: expected `metadata` and `weight_map`, the file of each weight: copy it again")
    suffix = PurePath(path.name.removesuffix(".index.json")).suffix
    for name in found.values():
        if not isinstance(name, str) or not re.fullmatch(rf"[\w-][\w.-]*{re.escape(suffix)}", name):
            raise UserError(f"{path}: weight_map: found {name!r}, expected the name of a {suffix} file beside it")
    return sorted(set(found.values()))


def require_weights(name: str, folder: Path, weights: str, known: Collection[str] | None = None) -> list[str]:
    """`weight_files`. UserError when there are none, or some are not there.

    `name` is what the message calls the model; `known` are the files that it has, when the folder lacks some of them.
    """
    if not (files := weight_files(folder, weights)):
        known = sorted(known or (path.name for path in folder.iterdir()))
        raise UserError(f"{name} holds no {WEIGHTS[weights]}{instead(weights, known)}")
    if gone := [file for file in files if not (folder / file).is_file()]:
        raise UserError(f"{name}: {index_of(weights)} names {gone[0]}, which is not there: copy it there too")
    return files


def instead(weights: str, known: Iterable[str]) -> str:
    """What to do without weights of a kind, in view of the files that are there: the end of a sentence."""
    known = list(known)
    other = "convert" if weights == "safetensors" else "safetensors"
    for file in (WEIGHTS[other], index_of(other)):
        if file in known:
            return f": say `weights: {other}` to read {file}"
    for kind, file in WEIGHTS.items():
        stem, suffix = PurePath(file).stem, PurePath(file).suffix
        if shards := [one for one in known if re.fullmatch(rf"{stem}-\d+-of-\d+\{suffix}", one)]:
            say = "" if kind == weights else f", and say `weights: {kind}`"
            return f", but weights in shards ({shards[0]}) without {index_of(kind)}: copy that there too{say}"
    both = f"{WEIGHTS['safetensors']} or {WEIGHTS['convert']}, whole or in shards with their index"
    found = ", ".join(one for one in known if one.endswith(OTHERS)) or "no weights at all"
    return f": found {found}, expected {both}"


def require_whole(folder: Path, model: Pretrained, known: Collection[str] | None = None) -> list[str]:
    """Names of the files of weights. UserError when the folder lacks them, a configuration or a tokenizer."""
    name = f"{model.id} at revision {model.revision}" if model.revision else model.id
    if not (folder / "config.json").is_file():
        raise UserError(f"{name} holds no config.json: not a model in the layout of transformers")
    files = require_weights(name, folder, model.weights, known)
    if not any(path for pattern in TOKENIZERS for path in folder.glob(pattern)):
        raise UserError(f"{name} holds no tokenizer: expected one of {', '.join(TOKENIZERS)}")
    for path in sorted(folder.iterdir()):
        require_no_pointer(path)
    return files


def require_kind(key: str, name: str, config: Any) -> None:
    """UserError when the content of config.json is of another kind of model than the profile's key takes."""
    if not isinstance(config, dict):
        raise UserError(f"{name}: config.json: expected a JSON object, found {type(config).__name__}")
    found, kind = config.get("model_type"), KINDS[key]
    if found is not None and found not in kind.types:  # the oldest files do not say it
        raise UserError(f"{key}.id: found {name}, a {found} (model_type in config.json), allowed: {kind.words}")


def is_headless(config: Any) -> bool:
    """Whether a BERT was saved without its language-model head, which pre-training has and no stage uses."""
    return isinstance(config, dict) and config.get("architectures") == ["BertModel"]


def require_needed(key: str, name: str, config: Any, names: Iterable[str]) -> None:
    """UserError when something that the stages load is not among the names of weights."""
    names = tuple(names)
    for start, what in KINDS[key].needed.items():
        if key == "backbones.mbert" and is_headless(config):
            continue
        if not any(one.startswith(start) for one in names):
            raise UserError(
                f"{key}.id: {name} has no {what} (no weight is named {start}*): name a checkpoint that has one"
            )


def require_layers(name: str, config: dict[str, Any], layer: int) -> None:
    """UserError when a BERT has no layer of that number."""
    if isinstance(found := config.get("num_hidden_layers"), int) and layer > found:
        raise UserError(f"align_words.layer: found {layer}, allowed with {name}: 1 to {found}")


def weight_names(folder: Path, files: Iterable[str]) -> set[str]:
    """Names of the weights in files of a folder. UserError for one that cannot be read, as when its end is missing."""
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
    """All texts in the pickle of a pytorch_model.bin, which is read and never run; the names are among them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = next((name for name in archive.namelist() if PurePath(name).name == "data.pkl"), "data.pkl")
            require_size(archive.getinfo(inside).file_size)
            with archive.open(inside) as stream:
                return _texts(stream)
    with open(path, "rb") as stream:
        return set().union(*(_texts(stream) for _ in range(PICKLES)))


def names_at_start(content: bytes, weights: str) -> set[str]:
    """Names of the weights in the first bytes of their file. ValueError when they do not hold all names."""
    if weights == "safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        return set(parse_json(content[8:end].decode())) - {"__metadata__"}
    if not content.startswith(b"PK"):
        stream = BytesIO(content)
        return set().union(*(_texts(stream) for _ in range(PICKLES)))
    # A zip, whose first member is data.pkl, not compressed: 30 bytes and two texts of the lengths that these give.
    return _texts(BytesIO(content[30 + sum(int.from_bytes(content[at : at + 2], "little") for at in (26, 28)) :]))


def _texts(stream: Any) -> set[str]:
    """Texts in one pickle."""
    return {found for _, found, _ in pickletools.genops(stream) if isinstance(found, str)}


def require_fitting(key: str, folder: Path, model: Pretrained, layer: int | None = None) -> None:
    """All that can be known of a model at hand. UserError for one that a stage would refuse; `layer`: the aligner's."""
    config = read_json(folder / "config.json")
    require_kind(key, model.id, config)
    if key == "backbones.mbert" and layer is not None:
        require_layers(model.id, config, layer)
    require_needed(key, model.id, config, weight_names(folder, weight_files(folder, model.weights)))
