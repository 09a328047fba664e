"""CLSEAVE: teach mBERT to give, for a translation, the vector that CLIP-VE gives for the English sentence.

Reads:  train and dev examples, translations of one language, teacher vectors, mBERT. Never an image.
Writes: the student, a curve, metrics of the best epoch.
Thesis: 3.3 (mean squared error, AdamW, linear schedule with 10 % warm-up, [SEP] pooling).
Cost:   about 2 minutes a language.
"""

from clseave import cards, cli, distributed, numerics, params, ranks
from clseave.disk import whole_folder
from clseave.distillation import Pairs, prepare
from clseave.resume import begin
from clseave.schema import SentenceTransfer
from clseave.storage import write_csv, write_json
from clseave.student import Student, load_mbert
from clseave.text import load_tokenizer
from clseave.training import train
from clseave.vectors import VectorTable
from clseave.word_rows import put_back


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation error, save."""
    args = cli.parse(
        argv,
        __doc__,
        "params profile examples translations targets mbert checkpoints out curve metrics".split(),
        numbers=["seed"],
    )
    values = params.load(args.params, args.profile, SentenceTransfer)
    settings = values.clseave
    device = distributed.start(numerics.start_torch(args.seed, values.device, values.kernels))
    tokenizer, teacher = load_tokenizer(args.mbert), VectorTable(args.targets, device, values.max_resident_gb)
    data, dev = (Pairs(args.examples, args.translations, split, tokenizer, teacher) for split in ("train", "dev"))
    student = Student(load_mbert(args.mbert, settings.dropout), tokenizer, teacher.width, settings.pooling).to(device)
    task, optimiser, schedule = prepare(student, data, dev, values, args.seed)
    inputs = {name: getattr(args, name) for name in "examples translations targets mbert".split()}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed)
    epochs, keep, stop = settings.epochs, settings.keep, settings.stop_after
    kept = train(
        task, optimiser, schedule, epochs, settings.patience, keep=keep, stop_after=stop, checkpoint=checkpoint
    )
    distributed.stop()
    if not ranks.first():
        return
    put_back(student)
    rate = float(f"{values.lr * settings.lr_scale:.6g}")
    about = {"seed": args.seed, "lr": rate, "loss": settings.loss, "width": teacher.width}
    about |= numerics.used(device, values.precision)
    figures = {**about, "epoch": kept, "epochs_run": len(task.curve), **task.curve[kept - 1]}
    with whole_folder(args.out) as args.out:
        student.save(args.out)
        cards.write(args, __name__, values, figures, args.translations.stem)
    write_csv(args.curve, task.curve)
    write_json(args.metrics, figures)
    checkpoint.remove()
