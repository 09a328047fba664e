"""Cross-lingual cross-modal pre-training of one encoder over words and regions: retrieval, and visual entailment.

Reads:  examples, hypotheses in all languages, images, CLIP, mBERT; the study's settings.
Writes: one `StreamRun`: ranks of the test pool in each language, and answers to the test examples.
Thesis: none. Fei, Yu and Li 2021, Cross-lingual Cross-modal Pretraining for Multimodal Retrieval.
Cost:   about ten minutes.
"""

import shutil
from pathlib import Path

from clseave.foundation.files import hashing
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.rows.records import read_vectors
from clseave.foundation.rows.training_record import digests
from clseave.foundation.settings import params
from clseave.single_stream import settings
from clseave.single_stream.data import Texts, make_regions
from clseave.single_stream.experiment import Experiment, Values
from clseave.single_stream.regions import RegionTable
from clseave.single_stream.results import StreamRun
from clseave.stages.encode_images import list_photos
from clseave.variants.runs import row_key

REGIONS = Path(".work", "regions")  # scratch: made once, and shared by all runs


def main(argv: list[str] | None = None) -> None:
    """Train one variant, search, judge, and write its run; no model is kept."""
    paths = "study params profile examples hypotheses images source vectors clip mbert checkpoints out".split()
    args = cli.parse(argv, __doc__, paths, names=["variant"], numbers=["seed"])
    study = settings.read(args.study / "params.yaml")
    values = params.load(args.params, args.profile, Values)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    variant = study.variant(args.variant)
    texts = Texts.read(args.examples, args.vectors, args.hypotheses, study.languages)
    inputs = {name: getattr(args, name) for name in ("examples", "hypotheses", "vectors", "clip", "mbert")}
    key = hashing.of_text(str((sorted(digests({"clip": args.clip, "vectors": args.vectors}).items()), study.regions)))
    folder = REGIONS / key[:16]
    if not folder.exists():
        collection, photos = list_photos(args.images, args.source, list(read_vectors(args.vectors)[0]))
        make_regions(
            folder, collection, photos, args.clip, values.source, side=study.regions, batch=values.encode_batch,
            device=device,
        )  # fmt: skip
    experiment = Experiment(
        study, variant, args.seed, values, texts, RegionTable(folder, device), args.mbert, inputs, args.checkpoints,
        device,
    )  # fmt: skip
    encoder = experiment.pretrain()
    retrieval = experiment.retrieve(encoder)
    answers = experiment.entail(encoder) if variant.entailment else {}
    code, rows = fingerprint(code_files(__name__)), row_key(texts.examples["test"])
    run = StreamRun(variant.name, args.seed, code, rows, retrieval, answers, experiment.measures)
    with whole_folder(args.out) as made:
        run.write(made / "joint.json")
    shutil.rmtree(args.checkpoints, ignore_errors=True)
