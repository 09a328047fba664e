"""The type and the bounds of every value: one class per group of `params.yaml` and the profiles."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

STEPS_PER_LINE = 100  # of pre-training: one row of its curve
BYTE_VOCABULARY = 2 * 256 + 2  # the least a byte-level vocabulary holds: bytes, bytes that end a word, two specials

Positive = Annotated[int, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Sampler = Literal["bucket", "random"]
TargetLanguage = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
# One process, or torchrun with options: letters, digits and what names, numbers and addresses are made of.
Launcher = Annotated[str, StringConstraints(pattern=r"^(python|torchrun( [\w.:,=/-]+)+)$")]
Gigabytes = Annotated[float, Field(ge=0)]
Languages = Annotated[list[TargetLanguage], Field(min_length=1)]
Seeds = Annotated[list[Natural], Field(min_length=1)]
VeModels = Annotated[list[Literal["clip_ve", "hypothesis_only", "image_only"]], Field(min_length=1)]
Device = Literal["cpu", "cuda", "auto"]
Weights = Literal["safetensors", "convert"]
Kernels = Literal["deterministic", "fast"]  # of a GPU
Assembly = Literal["direct", "padded", "decoder", "projected"]  # how CLTEAVE makes a sentence vector
Pooling = Literal["sep", "cls", "mean", "highest"]  # which token's state is the sentence's
StudentLoss = Literal["raw", "normalised", "infonce", "raw+infonce"]
Targets = Literal["states", "projected"]  # the teacher's token states before or after its final norm and projection
Precision = Literal["float32", "bfloat16"]  # of the text encoder's passes in training on a GPU
Kind = Literal["place", "half", "relation", "count"]  # of the miniature's statements
HeldOut = dict[Literal["dev", "test"], dict[Kind, Positive]]  # numbers of statements; of relations, pairs of things
SPLITS = ("train", "dev", "test")
INDEPENDENT = "independent_"  # first part of the names of evaluations on independent examples, and of no others


class Section(BaseModel):
    """A group of values: unknown keys, missing keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Baseline(Section):
    """One entry of `baselines`: what is trained beside CLIP-VE, and the hypotheses that it learns from."""

    name: Name
    kind: Literal["majority", "clip_score", "mbert"]
    hypotheses: Literal["english", "translated"]


class Evaluation(Section):
    """One entry of `evaluations`: which text encoder and head judge which hypotheses.

    `translated` and `back_translated` are of the first of `languages`. `independent` examples come with translations
    that are not the pipeline's.
    """

    name: Name
    text_encoder: str  # a model folder; `params.check` knows which ones the other keys make
    head: str
    hypotheses: Literal["english", "translated", "back_translated"]
    examples: Literal["test", "independent"]
    assembly: Assembly


Evaluations = Annotated[list[Evaluation], Field(min_length=1)]


class Scenes(Section):
    """The miniature's corpus: how many scenes a split has and what is said about them."""

    kind: Literal["scenes"]
    seed: Natural
    test_seed: Natural  # of the scenes of test, and of the statements held out for it
    images: dict[str, Positive]
    content_shares: dict[str, Share]  # of all scene contents
    kinds_per_image: Annotated[int, Field(ge=1, le=5)]
    held_out: HeldOut  # what training never says
    empty: Share
    two_panels: Share
    noise: Annotated[int, Field(ge=0, le=60)]
    independent_images: Natural  # of the test split, whose statements are also said in other words
    text_lines: Positive  # per language, for masked language modelling


class Download(Section):
    """A file that the user may place in the profile's source folder; without it, it is fetched from `url`."""

    file: str
    url: str | None
    sha256: Sha256 | None  # None: computed and recorded at the first download


class SnliRows(Download):
    """SNLI 1.0 as a zip, or a folder of the same files, split by the official lists of images."""

    format: Literal["snli"]
    train_val: Download
    test: Download
    dev_images: Positive  # the last images of the train_val list


class SnliVeRows(Section):
    """Ready-made JSON Lines, a file for each split: SNLI-VE, its early schema, or XVNLI."""

    format: Literal["snli_ve"]
    files: dict[str, str]


class Columns(Section):
    """Names of the columns of the user's own rows."""

    image: str  # a photo's file name
    hypothesis: str
    label: str
    id: str | None  # None: pairs are numbered

    def names(self) -> list[str]:
        """The columns that a file has."""
        return [name for name in (self.image, self.hypothesis, self.label, self.id) if name is not None]


class TableRows(Section):
    """The user's own rows: CSV, TSV or JSON Lines, a file for each split."""

    format: Literal["table"]
    files: dict[str, str]
    columns: Columns
    # What the label column says for each label, where it is not the label's name; "-": no label, the row is left out.
    labels: dict[str, Literal["entailment", "neutral", "contradiction", "-"]] = Field(default_factory=dict)


class HubRows(Section):
    """A data set of the Hugging Face hub, or a local one by its path; `splits` gives its name for each of ours."""

    format: Literal["hub"]
    id: str
    revision: Revision | None
    splits: dict[str, str]


class Photos(Section):
    """A corpus of photos: SNLI-VE over Flickr30k. Files are named relative to the profile's source folder."""

    kind: Literal["photos"]
    rows: Annotated[SnliRows | SnliVeRows | TableRows | HubRows, Field(discriminator="format")]
    photos: str  # a folder, a tar or a zip
    independent: str | None  # a folder of test rows in human translations (XVNLI), LANGUAGE.jsonl; it may be absent
    independent_held_out: bool = False  # train and dev do without its photos; else its rows on those are not judged
    expected_counts: str  # "official", "none", or a JSON file


AnySource = Annotated[Scenes | Photos, Field(discriminator="kind")]


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


class Pretrained(Section):
    """A model of the Hugging Face hub at a pinned revision, or (when `id` starts with "." or "/") a local folder."""

    id: str
    revision: Revision | None
    weights: Weights  # convert: read pytorch_model.bin, weights only, where no other is


class Encoder(Pretrained):
    """A text encoder, and what becomes of a text with more tokens than it takes."""

    long_texts: Literal["stop", "cut"] = "stop"  # cut: its beginning is kept, and a log line counts such texts


class HubBackbones(Section):
    """The pre-trained models: fetched."""

    kind: Literal["hub"]
    clip: Encoder
    mbert: Encoder


AnyBackbones = Annotated[Backbones | HubBackbones, Field(discriminator="kind")]


class GoldTranslation(Section):
    """The grammar's own translations, which lack none and need no correction."""

    backend: Literal["gold"]
    untranslated: ClassVar[Literal["stop"]] = "stop"
    back: ClassVar[bool] = True
    corrections: ClassVar[None] = None


class Untranslated(Section):
    """What becomes of hypotheses without a translation: an echo, an empty answer, one without letters."""

    untranslated: Literal["stop", "keep_english"] = "stop"  # keep_english: the row says so, and all are listed
    back: bool = True  # also from the first language to English, for the baseline translate-test


class GoogleTranslation(Untranslated):
    """Google's translation page: several hypotheses a request, a line each."""

    backend: Literal["google"]
    characters: Annotated[int, Field(gt=0, lt=5000)]  # of one request, as sent in the address
    requests_per_second: Annotated[float, Field(gt=0)]  # of all threads together
    threads: Positive
    timeout_s: Annotated[float, Field(gt=0)]
    retries: Natural
    corrections: str | None  # a file of translations that come before the service's; its rows name their language


class NmtTranslation(Untranslated):
    """A sequence-to-sequence model of `transformers`."""

    backend: Literal["nmt"]
    model: Pretrained
    beams: Positive
    batch_tokens: Positive  # of the English side, padding counted
    max_new_tokens: Positive
    corrections: str | None


class FileTranslation(Untranslated):
    """Translations someone already has: LANGUAGE.tsv, or another of `user_files.SUFFIXES`, in a folder."""

    backend: Literal["files"]
    folder: str
    corrections: str | None


class NoTranslation(Section):
    """No translations: English alone, of which the teacher learns."""

    backend: Literal["none"]
    untranslated: ClassVar[Literal["stop"]] = "stop"
    back: ClassVar[bool] = False
    corrections: ClassVar[None] = None


AnyTranslation = Annotated[
    GoldTranslation | GoogleTranslation | NmtTranslation | FileTranslation | NoTranslation,
    Field(discriminator="backend"),
]


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
    keep: Literal["best", "last"]
    validation: Literal["dev", "train_fifth"]
    dropout: Share
    hidden: Positive


class AutoencoderParams(Section):
    """The multilingual autoencoder (thesis 3.2, Table A.1)."""

    lr: Rate
    weight_decay: Share
    batch_size: Positive
    epochs: Positive


class Clteave(Section):
    """Word-level transfer (thesis 3.2), and what differs in the variants that explain its failure."""

    lr: Rate
    weight_decay: Share
    batch_size: Positive
    epochs: Positive
    word_pairs: bool  # aligned words: the thesis's only pairs
    terminal_pair: bool  # the tokens that end the two sentences, [EOS] and [SEP]
    relu: bool  # of the encoder, whose output cannot be negative with it
    targets: Targets

    @model_validator(mode="after")
    def _some_pair(self) -> "Clteave":
        if not (self.word_pairs or self.terminal_pair):
            raise ValueError("found word_pairs and terminal_pair false, allowed: at least one of them true")
        return self


class Lora(Section):
    """Adapters in the place of all of the text encoder's weights (Hu et al. 2022)."""

    rank: Positive
    alpha: Positive  # what they add is scaled by alpha / rank
    dropout: Share


class Clseave(Section):
    """Sentence-level transfer (thesis 3.3); its learning rate is `lr` times `lr_scale`."""

    lr_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    loss: StudentLoss
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # of the contrastive losses
    infonce_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # of the second term of `raw+infonce`
    pooling: Pooling
    weight_decay: Share
    dropout: Share
    schedule: Literal["constant", "linear"]
    warmup: Share
    batch_size: Positive
    epochs: Positive
    stop_after: Positive | None
    patience: Positive | None
    keep: Literal["best", "last"]
    lora: Lora | None = None  # None: all weights of the text encoder are trained


class AlignWords(Section):
    """awesome-align's settings (thesis 3.2.1)."""

    layer: Positive
    threshold: Rate
    batch_size: Positive
    segmenters: dict[str, Literal["gold", "bert", "whitespace", "jieba", "fugashi"]]  # by language; and "default"


class View(Section):
    """Values that a stage reads, by their names in `Params` and `Profile` and of the same types."""


class Processor(View):
    """What computes, and by which kernels."""

    device: Device
    kernels: Kernels


class Encoding(Processor):
    """Passes without training: how many rows at a time."""

    encode_batch: Positive


class Training(Encoding):
    """What the stages that train on image or teacher vectors share."""

    precision: Precision
    compile: bool
    sampler: Sampler
    max_resident_gb: Gigabytes


class SentenceTransfer(Training):
    """What CLSEAVE learns with."""

    lr: Rate
    clseave: Clseave


class Corpus(View):
    """Where the examples and images come from."""

    source: AnySource


class Origins(Corpus):
    """Where the corpus and the pre-trained models come from."""

    backbones: AnyBackbones


class Report(Origins):
    """What the report's sentences are made from."""

    languages: Languages
    seeds: Seeds
    translate: AnyTranslation
    clip_ve: ClipVe
    clseave: Clseave


class Params(Section):
    """`params.yaml`."""

    profile: Name
    lr: Rate
    languages: Languages
    seeds: Seeds
    launcher: Launcher  # of the stages that several processes can share
    ve_models: VeModels
    baselines: list[Baseline]
    evaluations: Evaluations


class Profile(Origins, Training):
    """`profiles/<name>.yaml`."""

    skip_broken: bool
    translate: AnyTranslation
    align_words: AlignWords
    clip_ve: ClipVe
    mbert_ve: ClipVe  # the same of baselines with mBERT for CLIP's text tower
    autoencoder: AutoencoderParams
    clteave: Clteave
    clseave: Clseave
