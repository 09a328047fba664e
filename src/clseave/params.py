"""Every value the pipeline takes, its type and its bounds: `params.yaml` and one profile.

YAML is read by the 1.2 rules, so that `4e-05`, which `dvc exp run -S lr=4e-5` writes, is a number.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from clseave.errors import UserError

Positive = Annotated[int, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
TargetLanguage = Literal["de", "nl", "ja", "ko", "zh"]


class Section(BaseModel):
    """A group of values: unknown keys, missing keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Evaluation(Section):
    """One entry of `evaluations`: which text encoder and head judge which hypotheses."""

    name: Name
    text_encoder: Literal["clip_ve", "hypothesis_only", "image_only", "clteave/de", "clseave/de", "clseave/nl",
                          "clseave/ja", "clseave/ko", "clseave/zh"]
    head: Literal["clip_ve", "hypothesis_only", "image_only"]
    hypotheses: Literal["en", "de", "nl", "ja", "ko", "zh"]
    examples: Literal["dev", "test"]
    assembly: Literal["direct", "padded", "decoder"]  # how CLTEAVE makes a sentence vector


class Scenes(Section):
    """The miniature's corpus: how many scenes a split has and what is said about them."""

    kind: Literal["scenes"]
    seed: Natural
    images: dict[Literal["train", "dev", "test"], Positive]
    content_shares: dict[Literal["train", "dev", "test"], Share]  # of all scene contents
    kinds_per_image: Annotated[int, Field(ge=1, le=6)]
    fact_shares: dict[Literal["train", "dev", "test"], Share]  # of each kind's statements
    held_out_rows: Share  # share of dev and test rows that say a statement held out from training
    hard_relations: Share  # share of contradicted relations whose two things are both visible
    empty: Share
    two_panels: Share
    noise: Annotated[int, Field(ge=0, le=60)]
    text_lines: Positive  # per language, for masked language modelling


class Tower(Section):
    """Shape of one small transformer."""

    layers: Positive
    width: Positive
    heads: Positive


class ClipBackbone(Section):
    """Contrastive pre-training of the small CLIP."""

    text: Tower
    vision: Tower
    patch: Positive
    projection: Positive
    vocabulary: Positive
    max_tokens: Positive
    steps: Positive
    batch_size: Positive
    lr: Rate
    weight_decay: Share
    warmup: Share


class MbertBackbone(Section):
    """Masked language modelling of the small multilingual BERT."""

    tower: Tower
    vocabulary: Positive
    max_tokens: Positive
    steps: Positive
    batch_size: Positive
    lr: Rate
    weight_decay: Share
    warmup: Share
    mask: Rate


class Backbones(Section):
    """The pre-trained models: trained here from the corpus."""

    kind: Literal["train"]
    seed: Natural
    clip: ClipBackbone
    mbert: MbertBackbone


class ClipVe(Section):
    """Fine-tuning of CLIP's text tower and the head (thesis 3.1, Table A.1)."""

    text_lr: Rate
    head_lr: Rate
    weight_decay: Share
    schedule: Literal["constant", "linear"]
    warmup: Share
    batch_size: Positive
    rows_per_hypothesis: Positive
    epochs: Positive
    patience: Positive
    dropout: Share
    hidden: Positive


class AutoencoderParams(Section):
    """The multilingual autoencoder (thesis 3.2, Table A.1)."""

    lr: Rate
    weight_decay: Share
    batch_size: Positive
    epochs: Positive


class Clteave(Section):
    """Word-level transfer (thesis 3.2)."""

    lr: Rate
    weight_decay: Share
    batch_size: Positive
    epochs: Positive


class Clseave(Section):
    """Sentence-level transfer (thesis 3.3); its learning rate is `lr` times `lr_scale`."""

    lr_scale: Annotated[float, Field(gt=0)]
    loss: Literal["raw", "normalised"]
    pooling: Literal["sep", "cls", "mean"]
    weight_decay: Share
    dropout: Share
    schedule: Literal["constant", "linear"]
    warmup: Share
    batch_size: Positive
    epochs: Positive
    patience: Positive


class AlignWords(Section):
    """awesome-align's settings (thesis 3.2.1)."""

    layer: Positive
    threshold: Rate
    batch_size: Positive


class Params(Section):
    """`params.yaml`."""

    profile: Name
    lr: Rate
    languages: Annotated[list[TargetLanguage], Field(min_length=1)]
    seeds: Annotated[list[Natural], Field(min_length=1)]
    ve_models: Annotated[list[Literal["clip_ve", "hypothesis_only", "image_only"]], Field(min_length=1)]
    token_languages: list[Literal["de", "nl", "ja", "ko", "zh"]]
    evaluations: Annotated[list[Evaluation], Field(min_length=1)]


class Profile(Section):
    """`profiles/<name>.yaml`."""

    device: Literal["cpu"]
    sampler: Literal["bucket", "random"]
    source: Scenes
    backbones: Backbones
    encode_batch: Positive
    translate: Literal["gold"]
    align_words: AlignWords
    clip_ve: ClipVe
    autoencoder: AutoencoderParams
    clteave: Clteave
    clseave: Clseave


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML 1.2 mapping. UserError when the file is missing, does not parse or is no mapping."""
    try:
        content = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; profiles are {', '.join(profile_names(Path(path).parent))}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def profile_names(folder: Path) -> list[str]:
    """Names of the profiles in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(params: Path | str, profile: Path | str, keys: tuple[str, ...]) -> SimpleNamespace:
    """The values of `keys`, each validated, from `params.yaml` or the profile, whichever owns the key.

    A stage names the keys it reads, and gets no other: DVC re-runs it when one of them changes.
    """
    values = {}
    for path, model in ((params, Params), (profile, Profile)):
        owned = [key for key in keys if key in model.model_fields]
        if owned:
            content = read_yaml(path)
            values.update({key: _validate(path, model, key, content) for key in owned})
    unknown = set(keys) - set(values)
    if unknown:
        raise KeyError(f"no such key in params.yaml or a profile: {', '.join(sorted(unknown))}")
    return SimpleNamespace(**values)


def check(params: Path | str, profiles: Path | str) -> tuple[Params, Profile]:
    """Validate `params.yaml` and the profile it names, whole. UserError names file, key, value and what is allowed."""
    try:
        values = Params.model_validate(read_yaml(params))
    except ValidationError as error:
        raise UserError(_one_line(params, Params, error)) from error
    allowed = profile_names(Path(profiles))
    if values.profile not in allowed:
        raise UserError(f"{params}: profile: found {values.profile!r}, allowed: {', '.join(allowed)}")
    path = Path(profiles) / f"{values.profile}.yaml"
    try:
        profile = Profile.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(_one_line(path, Profile, error)) from error
    _check_references(params, values)
    _check_shares(path, profile)
    return values, profile


def _check_references(path: Path | str, values: Params) -> None:
    """Names that must be distinct, and models that an evaluation needs."""
    for key in ("languages", "seeds", "ve_models", "token_languages"):
        entries = getattr(values, key)
        for entry in entries:
            if entries.count(entry) > 1:
                raise UserError(f"{path}: {key}: found {entry!r} twice, allowed: each value once")
    made = {*values.ve_models, *(f"clteave/{code}" for code in values.token_languages)}
    made |= {f"clseave/{code}" for code in values.languages}
    names = list(values.languages)
    for number, entry in enumerate(values.evaluations):
        where = f"{path}: evaluations[{number}]"
        if entry.name in names:
            raise UserError(f"{where}.name: found {entry.name!r} twice, allowed: names not used by another entry")
        names.append(entry.name)
        for key in ("text_encoder", "head"):
            if getattr(entry, key) not in made:
                raise UserError(f"{where}.{key}: found {getattr(entry, key)!r}, allowed: {', '.join(sorted(made))}")
        if entry.hypotheses not in {"en", *values.languages}:
            raise UserError(f"{where}.hypotheses: found {entry.hypotheses!r}, allowed: en, {', '.join(values.languages)}")
    for code in values.token_languages:
        if code not in values.languages:
            raise UserError(f"{path}: token_languages: found {code!r}, allowed: {', '.join(values.languages)}")


def _check_shares(path: Path, profile: Profile) -> None:
    """Shares of a whole name every split and sum to one."""
    for key in ("content_shares", "fact_shares", "images"):
        shares = getattr(profile.source, key)
        if set(shares) != {"train", "dev", "test"}:
            raise UserError(f"{path}: source.{key}: found {', '.join(shares)}, allowed: train, dev and test, each once")
        if key != "images" and abs(sum(shares.values()) - 1) > 1e-9:
            raise UserError(f"{path}: source.{key}: found a sum of {sum(shares.values()):g}, allowed: 1")


def _validate(path: Path | str, model: type[Section], key: str, content: dict[str, Any]) -> Any:
    """One key of one file."""
    if key not in content:
        raise UserError(f"{path}: {key}: missing; allowed keys: {', '.join(model.model_fields)}")
    field = model.model_fields[key]
    try:
        annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        return TypeAdapter(annotation).validate_python(content[key], strict=True)
    except ValidationError as error:
        raise UserError(_one_line(path, model, error, (key,))) from error


def _one_line(path: Path | str, model: type[Section], error: ValidationError, prefix: tuple[str, ...] = ()) -> str:
    """The first fault as "file: key: found ..., allowed: ...", and how many more there are."""
    first = error.errors()[0]
    location = prefix + tuple(first["loc"])
    key = ".".join(str(part) for part in location).replace(".[key]", "")
    if first["type"] == "extra_forbidden":
        fault = f"unknown key; allowed keys: {', '.join(_siblings(model, location))}"
    elif first["type"] == "missing":
        fault = f"missing; expected keys: {', '.join(_siblings(model, location))}"
    else:
        message = first["msg"][0].lower() + first["msg"][1:]
        fault = f"found {first['input']!r}, allowed: {message.removeprefix('input should be ')}"
    more = error.error_count() - 1
    return f"{path}: {key}: {fault}" + (f" (and {more} more)" if more else "")


def _siblings(model: type[Section], location: tuple[Any, ...]) -> list[str]:
    """The keys allowed beside the last one of a location."""
    current: Any = model
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        current = current.model_fields[part].annotation
        for inner in getattr(current, "__args__", ()) or ():
            current = inner if isinstance(inner, type) and issubclass(inner, Section) else current
    return list(current.model_fields) if hasattr(current, "model_fields") else []
