"""Fine-tune CLIP's text tower and the head on English visual entailment, or one of the two blind controls.

Reads:  examples, image vectors, CLIP.
Writes: text tower in Hugging Face layout (none for image_only) and head; curve; metrics of the best epoch.
Thesis: 3.1.2, Eq. 3.1-3.3; the head's details are those of its author's code.
Cost:   about 3 minutes, 1 GiB.
"""

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_csv, write_json
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.training_record import TrainingRecord, digests, named, plain
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import ClipVe, Training
from clseave.models.clip_ve import ClipVE, save_head
from clseave.models.head import Head
from clseave.models.towers import load_text_tower
from clseave.objectives.entailment import Entailment, Split, fine_tune, read_examples


class Values(Training):
    """What the stage reads of the settings."""

    clip_ve: ClipVe


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation loss, save."""
    paths = "params profile examples images clip checkpoints out curve metrics".split()
    args = cli.parse(argv, __doc__, paths, names=["model"], numbers=["seed"])
    values = params.load(args.params, args.profile, Values)
    settings = values.clip_ve
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    tower = load_text_tower(args.clip)
    head = Head(tower.width, settings.hidden, settings.dropout)
    model = ClipVE(tower, head, args.model).to(device)
    images = VectorTable(args.images, device, values.max_resident_gb)
    splits = read_examples(args.examples, args.images, settings.validation, args.seed)
    data, dev = (Split.of(examples, images, tower.tokenizer) for examples in splits)
    objective = Entailment(
        model, data, dev, settings, sampler=values.sampler, encode_batch=values.encode_batch,
        precision=values.precision, compiled=values.compile, seed=args.seed,
    )  # fmt: skip
    inputs = {"examples": args.examples, "images": args.images, "clip": args.clip}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed, model=args.model)
    curve, kept = fine_tune(objective, checkpoint)
    used = numerics.summary(device, values.precision)
    metrics = {**used, "epoch": kept, "epochs_run": len(curve), **curve[kept - 1]}
    with whole_folder(args.out) as folder:
        if args.model != "image_only":  # its tower never ran
            tower.save(folder)
        save_head(folder, head, model.inputs)
        TrainingRecord(
            name=args.model, stage="finetune_clip_ve", profile=args.profile.stem, seed=args.seed, languages=["en"],
            parameters=plain(values, model=args.model), validation=settings.validation, metrics=metrics,
            inputs=digests(inputs), bases=[named(args.clip)],
        ).write(folder)  # fmt: skip
    write_csv(args.curve, curve)
    write_json(args.metrics, {"seed": args.seed, **metrics})
    checkpoint.remove()
