"""Model cards: a README.md in each model folder, in the Hugging Face format, by the stage that makes the model.

A card says what the model was made from, by which code, with which values, what it reached while it was made, and what
it may be used for. The same run gives the same bytes: no commit, no device, no date, no path of the machine is in it.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.utils import yaml_dump
from pydantic import BaseModel

from clseave import provenance
from clseave.errors import UserError
from clseave.provenance import CARD, GENERATED, OTHER, Standing
from clseave.schema import View
from clseave.storage import write_text

# Arguments of a stage that name what its model is made from, and those among them that are folders of models.
INPUTS = frozenset(
    "text examples images hypotheses english translations translated targets alignments "
    "clip mbert teacher autoencoder".split()
)
BASES = ("clip", "mbert", "teacher", "autoencoder")
# Values that say where and in how much memory the model was computed, not what.
ELSEWHERE = ("device", "max_resident_gb")


@dataclass(frozen=True)
class Model:
    """What is said about all models of one name."""

    title: str
    does: str
    use: str
    task: str = "feature-extraction"  # of the hub
    transformer: bool = True  # whether `transformers` reads the folder by itself


CONTROL = "Comparison only: what is reached without {}."
MODELS = {
    "clip": Model("CLIP", "Both towers.", "The base of CLIP-VE; image vectors.", "zero-shot-image-classification"),
    "mbert": Model("Multilingual BERT", "With its language-model head.", "The base of the students.", "fill-mask"),
    "clip_ve": Model(
        "CLIP-VE",
        "CLIP's text tower and a head, fine-tuned for visual entailment: does an image entail or contradict an English "
        "sentence, or leave it open? The image tower is frozen and stays in the folder of CLIP.",
        "Judging English sentences against images; teacher and head of the CLSEAVE students.",
    ),
    "hypothesis_only": Model("CLIP-VE without images", "The image's vector is zero.", CONTROL.format("the image")),
    "image_only": Model(
        "CLIP-VE without sentences", "A head; the sentence's vector is zero.", CONTROL.format("text"), transformer=False
    ),
    "autoencoder": Model(
        "Multilingual autoencoder",
        "Token states of multilingual BERT to the width of CLIP's text tower and back.",
        "A part of CLTEAVE.",
        transformer=False,
    ),
    "clteave": Model(
        "CLTEAVE student",
        "Multilingual BERT and the autoencoder's encoder, trained word by word to give the token states of CLIP-VE.",
        "Comparison with CLSEAVE; it is built as the thesis describes it, faults included.",
    ),
    "clseave": Model(
        "CLSEAVE student",
        "Multilingual BERT and a projection, trained to give, for the translation of a sentence, the vector that "
        "CLIP-VE gives for the English one. It has no head of its own: that of the CLIP-VE of the same profile and "
        "seed judges its vectors, and no other does.",
        "Visual entailment in one more language without labels in it.",
    ),
    "finetune_baseline": Model(
        "Baseline",
        "A simple or usual way to visual entailment: `kind` and `hypotheses` among the parameters say which.",
        CONTROL.format("the method of the thesis"),
        transformer=False,
    ),
}
TEMPLATE = """---
{{ card_data }}
---

# {{ title }}

{{ does }}

Profile `{{ profile }}`, seed {{ seed }}. Written by the stage `{{ stage }}`: do not edit. `models/README.md` of the
repository says how to load the model, the report what it reaches on test data.

## Intended use

{{ use }}

## Limits

{{ limits }}

## Licence

{{ terms }}

## Figures
{% if figures %}
| Figure | Value |
| --- | --- |
{% for name, value in figures.items() %}| {{ name }} | {{ value }} |
{% endfor %}
Of training, and of the validation data that chose the epoch where there are such: never of test data.
{% else %}
None: nothing was trained here.
{% endif %}
## Data

SHA-256 of all inputs: `{{ data_hash }}`

| Input | SHA-256 |
| --- | --- |
{% for name, digest in inputs.items() %}| {{ name }} | `{{ digest }}` |
{% endfor %}
Of a folder: of what `sha256sum` prints for its files, sorted by path, without cards, hidden files and other languages.
Of all: of such a list.

## Parameters

```yaml
{{ parameters }}
```

## Code

Fingerprint `{{ code }}`: of the {{ modules }} modules that the stage imports, without their comments and docstrings.
"""


def write(
    args: Namespace, stage: str, values: View, figures: Mapping[str, Any], languages: str | Sequence[str]
) -> None:
    """Write the card of the model that `args.out` holds.

    `args` are the stage's, of which those in `INPUTS` are read; `stage` is its module's name, `values` its parameters,
    `figures` what it measured, with the seed where the parameters have none; `languages` are the codes of the languages
    that the model was trained on.
    """
    stage_name = stage.rpartition(".")[2]
    name = getattr(args, "model", None) or getattr(args, "backbone", None) or stage_name
    model, files, parameters = MODELS[name], provenance.code_files(stage), _parameters(args, values, name)
    standing, inputs = _standing(args, name, values), _inputs(args, fetched=parameters.get("kind") == "hub")
    profile = args.profile.stem
    results = _results(profile, model, parameters, figures)
    # A backbone's epoch is a line of its curve.
    aside = ("seed", "epoch") if hasattr(values, "backbones") else ("seed",)
    card = ModelCard.from_template(
        _front_matter(f"{name}, profile {profile}", model, standing, results, languages),
        template_str=TEMPLATE,
        **vars(model) | vars(standing),
        profile=profile,
        seed=figures.get("seed", parameters.get("seed", "none")),
        stage=stage_name,
        inputs=inputs,
        data_hash=provenance.digest_of_list(inputs),
        figures={key: value for key, value in figures.items() if key not in aside},
        parameters=yaml_dump(parameters).strip(),
        code=provenance.fingerprint(files),
        modules=len(files),
    )
    write_text(args.out / CARD, card.content.strip() + "\n")


def read(folder: Path | str) -> ModelCardData | None:
    """The front matter of a folder's card; None where there is no card. UserError when it does not parse."""
    path = Path(folder) / CARD
    try:
        return ModelCardData(**ModelCard(path.read_text(encoding="utf-8")).data.to_dict())
    except FileNotFoundError:
        return None
    except Exception as error:  # of UTF-8, of YAML, of the card's own checks: several libraries
        raise UserError(f"{path} is no model card: delete its folder and run the stage that writes it") from error


def _front_matter(
    name: str, model: Model, standing: Standing, results: list[EvalResult], languages: str | Sequence[str]
) -> ModelCardData:
    """What the hub reads."""
    return ModelCardData(
        language=languages if isinstance(languages, str) else list(languages),
        license=standing.licence,
        license_name="see-card" if standing.licence == OTHER else None,
        base_model=list(standing.base_models) or None,
        library_name="transformers" if model.transformer else None,
        pipeline_tag=model.task,
        tags=["visual-entailment", "clseave", *([GENERATED] if standing.generated else [])],
        metrics=[one.metric_type for one in results] or None,
        model_name=name if results else None,
        eval_results=results or None,
    )


def _inputs(args: Namespace, *, fetched: bool) -> dict[str, str]:
    """SHA-256 of each input by its argument's name; of a fetched model its weights as they were saved."""
    if fetched:
        return {"weights as saved here": provenance.digest(args.out / "model.safetensors")}
    paths = {name: one for name, one in sorted(vars(args).items()) if name in INPUTS and isinstance(one, Path | list)}
    return {name: provenance.digest(path) for name, path in paths.items()}


def _parameters(args: Namespace, values: View, name: str) -> dict[str, Any]:
    """The names and values that make the model, as plain objects: of two backbones those of the one that is `name`."""
    plain: dict[str, Any] = {key: value for key, value in vars(args).items() if isinstance(value, str)} | {
        key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for key, value in vars(values).items()
        if key not in ELSEWHERE
    }
    if both := plain.pop("backbones", None):
        plain |= {key: value for key, value in both.items() if key == name or not isinstance(value, dict)}
        if both["kind"] == "hub":  # no corpus is in it; and a folder of this machine is nobody else's
            del plain["source"]
            if provenance.is_local(plain[name]["id"]):
                plain[name]["id"] = "a local folder"
    return plain


def _standing(args: Namespace, name: str, values: View) -> Standing:
    """From the values for a backbone; for what is made from other models, from their cards."""
    if not (hasattr(values, "backbones") and hasattr(values, "source")):
        return provenance.derived([read(getattr(args, key)) for key in BASES if hasattr(args, key)])
    fetched = getattr(values.backbones, name) if values.backbones.kind == "hub" else None
    return provenance.of_backbone(fetched, generated=values.source.kind == "scenes")


def _results(profile: str, model: Model, parameters: Mapping[str, Any], figures: Mapping[str, Any]) -> list[EvalResult]:
    """The validation figures as the hub lists them."""
    split = next(
        (one["validation"] for one in parameters.values() if isinstance(one, dict) and "validation" in one), "dev"
    )
    return [
        EvalResult(
            task_type=model.task,
            dataset_type=f"clseave-{profile}",
            dataset_name=f"profile {profile}",
            dataset_split=split,
            metric_type=key.removeprefix("dev_"),
            metric_value=value,
        )
        for key, value in figures.items()
        if key.startswith("dev_")
    ]
