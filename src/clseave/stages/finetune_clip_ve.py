"""Fine-tune CLIP's text tower and the head on English visual entailment, or one of the two blind controls.

Reads:  examples, image vectors, CLIP.
Writes: text tower in Hugging Face layout (none for image_only) and head; curve; metrics of the best epoch.
Thesis: 3.1.2, Eq. 3.1-3.3; the head's details are those of its author's code.
Cost:   about 3 minutes, 1 GiB.
"""

from clseave import cards, cli, numerics, params
from clseave.disk import whole_folder
from clseave.entailment import Split, fine_tune, read_examples
from clseave.fusion import Head
from clseave.resume import begin
from clseave.schema import ClipVe, Training
from clseave.storage import write_csv, write_json
from clseave.teacher import ClipVE, TextTower, save_head
from clseave.vectors import VectorTable


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
    tower = TextTower.load(args.clip)
    model = ClipVE(tower, Head(tower.width, settings.hidden, settings.dropout), args.model).to(device)
    images = VectorTable(args.images, device, values.max_resident_gb)
    splits = read_examples(args.examples, args.images, settings.validation, args.seed)
    data, dev = (Split(examples, images, tower.tokenizer) for examples in splits)
    inputs = {"examples": args.examples, "images": args.images, "clip": args.clip}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed, model=args.model)
    curve, kept = fine_tune(model, data, dev, settings, values, seed=args.seed, checkpoint=checkpoint)
    about = {"seed": args.seed, **numerics.used(device, values.precision), "epoch": kept, "epochs_run": len(curve)}
    figures = {**about, **curve[kept - 1]}
    with whole_folder(args.out) as args.out:
        if args.model != "image_only":  # its tower never ran
            tower.save(args.out)
        save_head(args.out, model.head, model.inputs)
        cards.write(args, __name__, values, figures, "en")
    write_csv(args.curve, curve)
    write_json(args.metrics, figures)
    checkpoint.remove()
