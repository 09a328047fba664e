"""The type and the bounds of every value: one class per group of `params.yaml` and the profiles."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

STEPS_PER_LINE = 100  # of pre-training: one row of its curve
BYTE_VOCABULARY = 2 * 256 + 2  # the least a byte-level vocabulary holds: bytes, bytes that end a word, two specials

Positive = Annotated[int, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Sampler = Literal["bucket", "random"]
TargetLanguage = Literal["de", "nl", "ja", "ko", "zh"]


class Section(BaseModel):
    """A group of values: unknown keys, missing keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Evaluation(Section):
    """One entry of `evaluations`: which text encoder and head judge which hypotheses."""

    name: Name
    text_encoder: str  # a model folder; `params.check` knows which ones the other keys make
    head: str
    hypotheses: str
    examples: Literal["test"]
    assembly: Literal["direct", "padded", "decoder"]  # how CLTEAVE makes a sentence vector


class Scenes(Section):
    """The miniature's corpus: how many scenes a split has and what is said about them."""

    kind: Literal["scenes"]
    seed: Natural
    images: dict[str, Positive]
    content_shares: dict[str, Share]  # of all scene contents
    kinds_per_image: Annotated[int, Field(ge=1, le=6)]
    fact_shares: dict[str, Share]  # of each kind's statements
    held_out_rows: Share  # how often dev and test prefer statements held out from training
    hard_relations: Share  # how often a contradicted relation names two things that are both visible
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
    vocabulary: Annotated[int, Field(ge=BYTE_VOCABULARY)]
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

    lr_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
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
    token_languages: list[TargetLanguage]
    evaluations: Annotated[list[Evaluation], Field(min_length=1)]


class Profile(Section):
    """`profiles/<name>.yaml`."""

    sampler: Sampler
    source: Scenes
    backbones: Backbones
    encode_batch: Positive
    translate: Literal["gold"]
    align_words: AlignWords
    clip_ve: ClipVe
    autoencoder: AutoencoderParams
    clteave: Clteave
    clseave: Clseave
