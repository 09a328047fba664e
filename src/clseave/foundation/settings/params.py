"""Reading and checking the values the pipeline takes: `params.yaml` and one profile.

YAML is read by the 1.2 rules, so that `4e-05`, which `dvc exp run -S lr=4e-5` writes, is a number.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from clseave.foundation.errors import UserError, did_you_mean, nearest
from clseave.foundation.files.formats import read_text
from clseave.foundation.settings import changes as changing
from clseave.foundation.settings import references
from clseave.foundation.settings.messages import not_one_of, require_few, settings_fault, unknown_key
from clseave.foundation.settings.schema import (
    SPLITS,
    STEPS_PER_LINE,
    Backbones,
    HubBackbones,
    HubRows,
    Kind,
    NmtTranslation,
    Params,
    Photos,
    Pretrained,
    Profile,
    Scenes,
    Section,
    SnliVeRows,
    TableRows,
    View,
)

LARGEST = 1 << 20  # bytes of a file
# A module for each language that the miniature's grammar speaks; not imported: packages import only those above them.
GRAMMARS = Path(__file__).parents[2] / "miniature" / "languages"
Values = TypeVar("Values", bound=View)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML 1.2 mapping. UserError when the file is missing, does not parse, is no mapping or is a trap."""
    if not Path(path).exists():
        folder = Path(path).parent
        names = profile_names(folder)
        like = did_you_mean(Path(path).stem, names)
        hint = f"; profiles are {', '.join(names)}{like}" if folder.name == "profiles" else ""
        raise UserError(f"{path}: no such file{hint}")
    text = read_text(path, LARGEST)
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except RecursionError as error:
        raise UserError(f"{path}: not YAML: nested too deeply") from error
    except (YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values, found {type(content).__name__}")
    require_few(path, content)
    return content


def profile_names(folder: Path) -> list[str]:
    """Names of the profiles in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def gold_languages() -> list[str]:
    """Codes of the languages that the miniature's grammar speaks beside English, the source."""
    return sorted(path.stem for path in GRAMMARS.glob("*.py") if path.stem not in ("__init__", "en"))


def load(params: Path | str, profile: Path | str, view: type[Values], changes: Sequence[str] = ()) -> Values:
    """The values of the fields of `view`, each validated, from `params.yaml` or the profile, whichever owns the key.

    A stage's view names the keys it reads, and it gets no other: DVC re-runs it when one of them changes. `changes` are
    of the form `key.key=value`; UserError for one of a key that the view does not have.
    """
    values = {}
    changing.require_known(changes, list(view.model_fields))
    for path, model in ((params, Params), (profile, Profile)):
        owned = [key for key in view.model_fields if key in model.model_fields]
        if owned:
            content = changing.apply(read_yaml(path), changes)
            values.update({key: _validate(path, model, key, content) for key in owned})
    return view.model_validate(values)


def check(params: Path | str, profiles: Path | str) -> tuple[Params, Profile]:
    """Validate `params.yaml` and the profile it names, whole. UserError names file, key, value and what is allowed."""
    try:
        values = Params.model_validate(read_yaml(params))
    except ValidationError as error:
        raise UserError(settings_fault(params, Params, error)) from error
    allowed = profile_names(Path(profiles))
    if values.profile not in allowed:
        raise UserError(f"{params}: profile: {not_one_of(values.profile, allowed)}")
    path = Path(profiles) / f"{values.profile}.yaml"
    try:
        profile = Profile.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(settings_fault(path, Profile, error)) from error
    _check_kinds(path, profile)
    _check_languages(params, values, path, profile)
    references.check(params, values)
    if isinstance(profile.source, Scenes):
        _check_shares(path, profile.source)
    else:
        _check_photos(path, profile.source)
    if isinstance(profile.backbones, Backbones):
        _check_shapes(path, profile.backbones, profile.align_words.layer)
    else:
        _check_revisions(path, profile.backbones, profile.translate)
    return values, profile


def _check_kinds(path: Path, profile: Profile) -> None:
    """The miniature's own tools know its own sentences only."""
    if isinstance(profile.source, Scenes):
        return
    backend, gold = profile.translate.backend, "gold" in profile.align_words.segmenters.values()
    for key, found, wrong, allowed in (
        ("backbones.kind", profile.backbones.kind, isinstance(profile.backbones, Backbones), "hub"),
        ("translate.backend", backend, backend == "gold", "google, nmt, files, none"),
        ("align_words.segmenters", "gold", gold, "bert, whitespace, jieba, fugashi"),
    ):
        if wrong:
            raise UserError(f"{path}: {key}: found {found!r}, allowed with source.kind photos: {allowed}")


def _check_languages(params: Path | str, values: Params, path: Path, profile: Profile) -> None:
    """A language that the translator speaks, and a segmenter for each."""
    spoken = gold_languages()
    for number, code in enumerate(values.languages):
        if code == "en":
            raise UserError(
                f"{params}: languages.{number}: found 'en', allowed: target languages; English is the source"
            )
        if profile.translate.backend == "gold" and code not in spoken:
            known = ", ".join(spoken)
            raise UserError(f"{params}: languages.{number}: found {code!r}, allowed with {path}: {known}")
    segmenters = profile.align_words.segmenters
    if "default" not in segmenters:
        raise UserError(f"{path}: align_words.segmenters: no `default`, which languages without an entry take")
    for code in values.languages:
        if segmenters.get(code, segmenters["default"]) == "gold" and code not in spoken:
            raise UserError(
                f"{path}: align_words.segmenters: found 'gold' for the language {code!r} of {params}, "
                f"allowed with gold: {', '.join(spoken)}; others: bert, whitespace, jieba, fugashi"
            )


def _check_shares(path: Path, source: Scenes) -> None:
    """Shares of a whole name every split and sum to one."""
    for key in ("content_shares", "images"):
        shares = getattr(source, key)
        _check_splits(path, f"source.{key}", shares)
        if key != "images" and abs(sum(shares.values()) - 1) > 1e-9:
            raise UserError(f"{path}: source.{key}: found a sum of {sum(shares.values()):g}, allowed: 1")
    for split in ("dev", "test"):
        found = source.held_out.get(split, {})
        if set(found) != set(get_args(Kind)):
            allowed = f"{', '.join(get_args(Kind))}, each once"
            raise UserError(
                f"{path}: source.held_out.{split}: found {', '.join(found) or 'nothing'}, allowed: {allowed}"
            )


def _check_splits(path: Path, key: str, found: dict[str, Any]) -> None:
    """A mapping names every split; where it gives names of files or of a data set's splits, each another one."""
    if set(found) != set(SPLITS):
        raise UserError(f"{path}: {key}: found {', '.join(found)}, allowed: train, dev and test, each once")
    names = [value for value in found.values() if isinstance(value, str)]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{path}: {key}: found {repeated[0]!r} for two splits, allowed: another one for each split")


def _check_photos(path: Path, source: Photos) -> None:
    """Where the rows of each split come from, and what may be held out of them."""
    if source.independent_held_out and source.expected_counts == "official":
        raise UserError(
            f"{path}: source.expected_counts: found 'official', allowed with source.independent_held_out: none, a file"
        )
    if isinstance(source.rows, SnliVeRows | TableRows):
        _check_splits(path, "source.rows.files", source.rows.files)
    if isinstance(source.rows, HubRows):
        _check_splits(path, "source.rows.splits", source.rows.splits)
        _check_pinned(path, "source.rows", source.rows)


def _check_revisions(path: Path, backbones: HubBackbones, translate: Section) -> None:
    """What comes from a hub is pinned."""
    models: dict[str, Pretrained] = {"backbones.clip": backbones.clip, "backbones.mbert": backbones.mbert}
    if isinstance(translate, NmtTranslation):
        models["translate.model"] = translate.model
    for key, model in models.items():
        _check_pinned(path, key, model)


def _check_pinned(path: Path, key: str, entry: Pretrained | HubRows) -> None:
    """A hub's id has a revision; a local folder needs none."""
    if not entry.id.startswith((".", "/")) and entry.revision is None:
        raise UserError(f"{path}: {key}.revision: found none, allowed: the 40 hex digits of a commit of {entry.id}")


def _check_shapes(path: Path, backbones: Backbones, layer: int) -> None:
    """Sizes that fit each other, which a model would otherwise find out much later."""
    clip, mbert = backbones.clip, backbones.mbert
    for name, tower in (("clip.text", clip.text), ("clip.vision", clip.vision), ("mbert.tower", mbert.tower)):
        if tower.width % tower.heads:
            found = f"found {tower.heads}, allowed: a divisor of the width {tower.width}"
            raise UserError(f"{path}: backbones.{name}.heads: {found}")
    for name, steps in (("clip", clip.steps), ("mbert", mbert.steps)):
        if steps % STEPS_PER_LINE:
            raise UserError(f"{path}: backbones.{name}.steps: found {steps}, allowed: multiples of {STEPS_PER_LINE}")
    if clip.projection != clip.text.width:  # CLTEAVE's direct assembly takes one for the other, as in CLIP B/16
        found = f"found {clip.projection}, allowed: the text tower's width {clip.text.width}"
        raise UserError(f"{path}: backbones.clip.projection: {found}")
    if layer > mbert.tower.layers:
        raise UserError(f"{path}: align_words.layer: found {layer}, allowed: 1 to {mbert.tower.layers}")


def _validate(path: Path | str, model: type[Section], key: str, content: dict[str, Any]) -> Any:
    """One key of one file."""
    if key not in content:
        if misspelt := nearest(key, [str(name) for name in content if name not in model.model_fields]):
            raise UserError(f"{path}: {misspelt}: {unknown_key(misspelt, list(model.model_fields))}")
        raise UserError(f"{path}: {key}: missing; allowed keys: {', '.join(model.model_fields)}")
    field = model.model_fields[key]
    try:
        extras = [*field.metadata, *([Field(discriminator=field.discriminator)] if field.discriminator else [])]
        annotation: Any = Annotated[field.annotation, *extras] if extras else field.annotation
        return TypeAdapter(annotation).validate_python(content[key], strict=True)
    except ValidationError as error:
        raise UserError(settings_fault(path, model, error, (key,))) from error
