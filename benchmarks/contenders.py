"""Run one contender of `make bench` on one case, in its own process, and write seconds and results as JSON.

    python benchmarks/contenders.py CASE CONTENDER FOLDER OUT [--epochs N] [--own-numerics]

FOLDER is a workload (`workload.prepare`). `clseave` calls the stages' own functions as the stages do. The time includes
everything from reading the rows to the end of the last step (reading, tokenising, batching, steps), but not starting
Python and loading models.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "src"), str(HERE)]

from clseave.foundation.process import interrupts, numerics  # noqa: E402

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LATENCY_S = 0.05  # of the translation server
PHOTOS = 32  # of a batch of the image tower
PER_SECOND = 1 / LATENCY_S  # requests that both clients may send: as many as one at a time can
Measured = dict[str, Any]


@dataclass(frozen=True)
class Inputs:
    """The input files of the stages of one case, in the folder of a workload."""

    examples: Path
    images: Path
    targets: Path
    translations: Path
    clip: Path
    mbert: Path
    teacher: Path
    language: str


def inputs_of(folder: Path, case: str) -> Inputs:
    """Return the input files of a case by the names that the stages use."""
    language = json.loads((folder / "facts.json").read_text())["facts"]["language"]
    return Inputs(
        examples=folder / case,
        images=folder / "image_vectors",
        targets=folder / "teacher_vectors",
        translations=folder / f"translations/{language}.jsonl",
        clip=folder / "models/clip",
        mbert=folder / "models/mbert",
        teacher=folder / "models/teacher",
        language=language,
    )


def steps_of(folder: Path, case: str) -> int:
    """Return the number of steps per epoch that each contender does."""
    return int(json.loads((folder / "facts.json").read_text())["facts"][case]["steps"])


def random_steps(folder: Path) -> list[list[int]]:
    """Return the steps of CLSEAVE's epoch for contenders with random batches, as row numbers, the widest last."""
    found: list[list[int]] = json.loads((folder / "random_steps.json").read_text())
    return found


def start(folder: Path, view: Any) -> tuple[Any, Any]:
    """Return the profile's values and the device, with torch configured as in our stages."""
    from clseave.foundation.settings import params

    values = params.load(folder / "params.yaml", folder / "profile.yaml", view)
    return values, numerics.start_torch(0, values.device, values.kernels)


def how(values: Any) -> dict[str, Any]:
    """Return the arguments of our objectives besides their settings."""
    given = {"sampler": values.sampler, "encode_batch": values.encode_batch, "precision": values.precision}
    return given | {"compiled": values.compile, "seed": 0}


def warmed(steps: Callable[[], object]) -> float:
    """Run untimed warm-up steps, after which memory is allocated and passes are compiled; return their seconds."""
    import torch

    begin = time.perf_counter()
    steps()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def one_step(objective: Any, optimiser: Any, batch: Any) -> None:
    """Run one step of our training."""
    objective.model.train()
    objective.loss(batch).backward()
    optimiser.step()


class Watch:
    """Records when each epoch of our training begins, which is when the loop requests the epoch's batches."""

    def __init__(self, objective: Any, choose: Callable[[Any], Any] | None = None):
        """Observe `objective`, which is trained without validation, as no contender validates.

        `choose` selects the batches to run from those of an epoch; None runs all.
        """
        self.begun: list[float] = []
        self.done: list[Any] = []  # the batches of the last epoch
        self._batches, self._choose = objective.batches, choose
        objective.batches, objective.validate = self._note, dict

    def _note(self, epoch: int) -> Any:
        self.begun.append(time.perf_counter())
        batches = self._batches(epoch)
        self.done = self._choose(batches) if self._choose else batches
        return self.done

    def epochs(self) -> list[float]:
        """Return the seconds of each epoch, at the end of the training."""
        ends = [*self.begun[1:], time.perf_counter()]
        return [round(end - begin, 4) for begin, end in zip(self.begun, ends, strict=True)]


def clip_ve_ours(folder: Path, epochs: int) -> Measured:
    """Measure the stage `finetune_clip_ve` with stored image vectors; the time to compute them is measured as well."""
    from clseave.foundation.rows.records import read_splits
    from clseave.foundation.rows.vectors import VectorTable
    from clseave.models.clip_ve import ClipVE
    from clseave.models.head import Head
    from clseave.models.towers import TextTower
    from clseave.objectives.entailment import Entailment, Split, optimiser_for
    from clseave.stages import finetune_clip_ve
    from clseave.training.loop import train

    inputs = inputs_of(folder, "clip_ve")
    values, device = start(folder, finetune_clip_ve.Values)
    settings = values.clip_ve
    once = encode_photos(folder, device)
    tower = TextTower.load(inputs.clip)
    model = ClipVE(tower, Head(tower.width, settings.hidden, settings.dropout), "clip_ve").to(device)
    begin = time.perf_counter()
    images = VectorTable(inputs.images, device, values.max_resident_gb)
    data = Split.of(read_splits(inputs.examples, ["train"]), images, tower.tokenizer)
    objective = Entailment(model, data, data, settings, **how(values))
    optimiser, schedule = optimiser_for(objective)
    batch = max(objective.batches(1), key=lambda rows: int(data.lengths[rows].max()))
    begin += warmed(lambda: one_step(objective, optimiser, batch))
    watch = Watch(objective)
    train(objective, optimiser, schedule, settings.epochs, stop_after=epochs)
    seconds, rows = time.perf_counter() - begin, len(data.premise)
    return {
        "seconds": seconds,
        "epoch_seconds": watch.epochs(),
        "rows": rows,
        "tokens": int(data.lengths.sum()),
        **once,
    }


def encode_photos(folder: Path, device: Any, passes: int = 1) -> Measured:
    """Measure the encoding of the case's photos by the functions of the stage `encode_images`.

    They decode ahead in threads.
    """
    from clseave.corpora import photos
    from clseave.corpora.image_parts import encode
    from clseave.corpora.images import load_processor, read_pixels
    from clseave.models.tokens import in_order
    from clseave.models.towers import ImageTower

    tower = ImageTower.load(folder / "models/clip").to(device)
    collection = photos.open_collection(folder / "photos")
    rows = photos.describe(collection, sorted(collection.files), None)
    for _ in range(passes):  # of several the last is measured: a GPU is slow at first
        begin = time.perf_counter()
        pixels = read_pixels(collection, rows, load_processor(folder / "models/clip"), PHOTOS)
        for batch in in_order(len(rows), PHOTOS):
            ids, ready = [rows[row].image_id for row in batch], [next(pixels) for _ in batch]
            encode(tower, ids, ready, folder / "part")
        seconds = time.perf_counter() - begin
    return {"photos": len(rows), "photos_seconds": seconds}


def clip_ve_as_published(folder: Path, epochs: int) -> Measured:
    """Measure CLIP-VE as the thesis's author trained it."""
    import as_published
    import torch
    from sampling import shuffled
    from transformers import CLIPVisionModelWithProjection

    from clseave.corpora.images import load_processor
    from clseave.foundation.rows.records import read_splits
    from clseave.models.head import Head
    from clseave.models.loading import load_model
    from clseave.models.towers import TextTower
    from clseave.stages import finetune_clip_ve

    inputs = inputs_of(folder, "clip_ve")
    values, device = start(folder, finetune_clip_ve.Values)
    settings = values.clip_ve
    tower = TextTower.load(inputs.clip).to(device)
    vision = load_model(CLIPVisionModelWithProjection, inputs.clip).to(device)
    head = Head(tower.width, settings.hidden, settings.dropout).to(device)
    files = {path.stem: path for path in (folder / "photos").iterdir()}
    begin = time.perf_counter()
    method = as_published.ClipVE(
        tower.train(),
        vision,
        head.train(),
        load_processor(inputs.clip),
        examples=read_splits(inputs.examples, ["train"]),
        photos=files,
    )
    optimiser = torch.optim.Adam(method.parameters, settings.text_lr)
    batches = shuffled(len(method), settings.batch_size, epochs)
    begin += warmed(lambda: list(as_published.train(method, batches[:1], optimiser)))
    steps = len(list(as_published.train(method, batches, optimiser)))
    return {"seconds": time.perf_counter() - begin, "steps": steps}


def clseave_ours(folder: Path, epochs: int) -> Measured:
    """Measure the stage `clseave`."""
    import numpy as np
    from sampling import sampled

    from clseave.foundation.rows.vectors import VectorTable
    from clseave.foundation.settings.schema import SentenceTransfer
    from clseave.models.loading import load_text_encoder
    from clseave.models.student import Student
    from clseave.models.tokens import load_tokenizer
    from clseave.objectives.distillation import Distillation, Pairs, optimiser_for
    from clseave.training.acceleration import PART
    from clseave.training.loop import train

    inputs = inputs_of(folder, "clseave")
    values, device = start(folder, SentenceTransfer)
    settings = values.clseave
    tokenizer = load_tokenizer(inputs.mbert)
    width = VectorTable(inputs.targets, device, values.max_resident_gb).width
    student = Student(load_text_encoder(inputs.mbert, settings.dropout), tokenizer, width, settings.pooling).to(device)
    begin = time.perf_counter()
    teacher = VectorTable(inputs.targets, device, values.max_resident_gb)
    data = Pairs.read(inputs.examples, inputs.translations, "train", tokenizer, teacher)
    objective = Distillation(student, data, data, settings, **how(values))
    optimiser, schedule = optimiser_for(objective, values.lr)
    lengths, part = data.tokens.lengths, PART if device.type == "cpu" else None

    def some(batches: Sequence[np.ndarray]) -> Any:
        return sampled(batches, lengths, steps_of(folder, "clseave"), part)

    begin += warmed(lambda: [one_step(objective, optimiser, batch) for batch in some(objective.batches(1))])
    watch = Watch(objective, some)
    train(objective, optimiser, schedule, settings.epochs, stop_after=epochs)
    seconds, done = time.perf_counter() - begin, np.concatenate(watch.done)
    return {
        "seconds": seconds,
        "epoch_seconds": watch.epochs(),
        "rows": len(done),
        "tokens": int(lengths[done].sum()),
    }


def sentences(translations: Path) -> list[tuple[str, str]]:
    """Return pairs of English sentences and their translations."""
    from clseave.foundation.rows.records import Translation, read_rows

    return [(row.source, row.text) for row in read_rows(translations, Translation)]


def clseave_as_published(folder: Path, epochs: int) -> Measured:
    """Measure CLSEAVE as the thesis's author trained it."""
    import as_published
    import torch

    from clseave.foundation.settings.schema import SentenceTransfer
    from clseave.models.loading import load_text_encoder
    from clseave.models.student import Student
    from clseave.models.tokens import load_tokenizer
    from clseave.models.towers import TextTower

    inputs = inputs_of(folder, "clseave")
    values, device = start(folder, SentenceTransfer)
    settings, rate = values.clseave, values.lr * values.clseave.lr_scale
    teacher = TextTower.load(inputs.teacher).to(device)
    bert = load_text_encoder(inputs.mbert, settings.dropout)
    student = Student(bert, load_tokenizer(inputs.mbert), teacher.width, "sep").to(device).train()
    begin = time.perf_counter()
    method = as_published.Clseave(teacher, student, sentences(inputs.translations))
    optimiser = torch.optim.AdamW(method.parameters, rate, weight_decay=settings.weight_decay)
    batches = random_steps(folder)
    begin += warmed(lambda: list(as_published.train(method, batches, optimiser)))
    steps = len(list(as_published.train(method, batches * epochs, optimiser, settings.schedule, settings.warmup)))
    return {"seconds": time.perf_counter() - begin, "steps": steps}


def clseave_sentence_transformers(folder: Path, epochs: int) -> Measured:
    """Measure sentence-transformers, imported from the folder where `bench.py` installed it."""
    sys.path.append(str(folder.parent / "packages"))
    import with_sentence_transformers as library

    from clseave.foundation.rows.records import hypothesis_id, read_vectors
    from clseave.foundation.settings.schema import SentenceTransfer

    inputs = inputs_of(folder, "clseave")
    values, device = start(folder, SentenceTransfer)
    rows, vectors = read_vectors(inputs.targets)
    model = library.make_model(inputs.mbert, vectors.shape[1], values.clseave.dropout, device.type)
    pairs = sentences(inputs.translations)
    some = random_steps(folder)
    rate = values.lr * values.clseave.lr_scale

    def train(batches: Sequence[list[int]], epochs: int) -> int:
        """Train on batches of row numbers for some epochs; return the number of steps."""
        used = [pairs[row] for batch in batches for row in batch]
        labels = [vectors[rows[hypothesis_id(english)]].tolist() for english, _ in used]
        return library.train(model, [text for _, text in used], labels, values.clseave, rate=rate, epochs=epochs)

    warmed(lambda: train(some, 1))
    begin = time.perf_counter()
    steps = train(some, epochs)
    return {"seconds": time.perf_counter() - begin, "steps": steps}


def align_ours(folder: Path, epochs: int) -> Measured:
    """Measure the stage `align_words`: reading, segmentation, alignment, writing."""
    from clseave.foundation.process.resume import Parts, key_of
    from clseave.foundation.rows.records import Translation, iter_rows, write_rows
    from clseave.stages import align_words as stage
    from clseave.word_alignment.aligner import WordAligner

    inputs = inputs_of(folder, "align")
    values, device = start(folder, stage.Values)
    settings, out = values.align_words, folder / "aligned.jsonl"
    translations = folder / f"to_align/{inputs.language}.jsonl"
    aligner = WordAligner(inputs.mbert, settings.layer, settings.threshold, settings.batch_size, device)
    begin = time.perf_counter()
    key = key_of(stage.__name__, {"translations": translations}, values, device, language=inputs.language)
    parts = Parts(folder / "checkpoints", key)
    rows = iter_rows(translations, Translation)
    write_rows(out, stage.align_rows(rows, inputs.language, settings.segmenters, aligner, parts))
    seconds = time.perf_counter() - begin
    parts.remove()
    return {"seconds": seconds, "answer": [json.loads(line)["pairs"] for line in out.read_text().splitlines()]}


def align_awesome_align(folder: Path, epochs: int) -> Measured:
    """Measure the `awesome-align` command on the same words, in one process, from the moment its model is loaded."""
    from clseave.foundation.rows.records import Translation, read_rows
    from clseave.foundation.settings import params
    from clseave.stages import align_words
    from clseave.word_alignment import segmentation

    inputs = inputs_of(folder, "align")
    settings = params.load(folder / "params.yaml", folder / "profile.yaml", align_words.Values)
    values, source, out = settings.align_words, folder / "to_align.txt", folder / "awesome_align.txt"
    codes, lines = ("en", inputs.language), []
    for row in read_rows(folder / f"to_align/{inputs.language}.jsonl", Translation):
        sides = [
            segmentation.words(text, code, values.segmenters)
            for code, text in zip(codes, (row.source, row.text), strict=True)
        ]
        lines.append(" ||| ".join(" ".join(words) for words in sides))
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    flags = {"data_file": source, "output_file": out, "model_name_or_path": folder / "models/awesome_align"}
    flags |= {"align_layer": values.layer, "softmax_threshold": values.threshold, "batch_size": values.batch_size}
    command = [str(Path(sys.executable).parent / "awesome-align"), "--num_workers", "0"]
    command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    seconds = seconds_after("Loading the dataset", command + ["--no_cuda"] * (settings.device == "cpu"), folder)
    found = [[pair.split("-") for pair in line.split()] for line in out.read_text(encoding="utf-8").splitlines()]
    return {"seconds": seconds, "answer": [sorted([int(i), int(j)] for i, j in pairs) for pairs in found]}


def seconds_after(sign: str, command: Sequence[str], folder: Path) -> float:
    """Return the seconds from the line with `sign` in a program's output to its end. SystemExit when it fails."""
    begin, said = 0.0, []
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=unbuffered, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        for line in program.stdout or ():
            said.append(line)
            if sign in line and not begin:
                begin = time.perf_counter()
    if program.returncode or not begin:
        raise SystemExit(f"{command[0]} failed, or never said {sign!r}:\n{''.join(said)[-2000:]}")
    return time.perf_counter() - begin


def with_server(ask: Callable[[list[str]], list[str | None]], folder: Path) -> Measured:
    """Measure the translation of the case's sentences by a server in its own process."""
    from deep_translator import constants

    texts = json.loads((folder / "to_translate.json").read_text(encoding="utf-8"))
    command = [sys.executable, str(HERE / "slow_server.py"), str(LATENCY_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        constants.BASE_URLS["GOOGLE_TRANSLATE"] = server.stdout.readline().strip()
        begin = time.perf_counter()
        answer = ask(texts)
        seconds = time.perf_counter() - begin
        server.communicate()
    return {"seconds": seconds, "answer": answer}


def translate_ours(folder: Path, epochs: int) -> Measured:
    """Measure the backend `google` with the settings of profile thesis, except the rate limit."""
    from clseave.foundation.settings import params
    from clseave.foundation.settings.schema import GoogleTranslation
    from clseave.translation.google import GoogleBackend
    from clseave.translation.translators import Translating

    settings = params.load(folder / "params.yaml", ROOT / "profiles/thesis.yaml", Translating).translate
    assert isinstance(settings, GoogleTranslation)
    settings = settings.model_copy(update={"requests_per_second": PER_SECOND})

    def ask(texts: list[str]) -> list[str | None]:
        found = {answer.source: answer.text for answer in GoogleBackend(settings, "de").translate(texts)}
        return [found[text] for text in texts]

    return with_server(ask, folder)


def translate_one_by_one(folder: Path, epochs: int) -> Measured:
    """Measure deep-translator as in its documentation: one request per sentence, one after another."""
    from deep_translator import GoogleTranslator

    def ask(texts: list[str]) -> list[str | None]:
        translator = GoogleTranslator(source="en", target="de")
        return [translator.translate(text) for text in texts]

    return with_server(ask, folder)


def rates(folder: Path, epochs: int) -> Measured:
    """Measure this machine's matrix products per second, and the share of that rate that our stages reach.

    The first epoch is excluded.
    """
    import machine_rates as machine

    from clseave.foundation.files.formats import read_json
    from clseave.foundation.settings import schema

    _, device = start(folder, schema.Processor)
    found: Measured = {"matmul": {name: machine.matmul(name, device) for name in ("bfloat16", "float32")}}
    photos = encode_photos(folder, device, epochs)
    configs = {name: read_json(folder / f"models/{name}/config.json") for name in ("clip", "mbert")}
    work = machine.tower(configs["clip"]["vision_config"], machine.patches(configs["clip"]["vision_config"]))
    found["photos"] = {"per_second": photos["photos"] / photos["photos_seconds"], "flop": work}
    for name, run, shape in (
        ("clip_ve", clip_ve_ours, configs["clip"]["text_config"]),
        ("clseave", clseave_ours, configs["mbert"]),
    ):
        done = run(folder, epochs)
        seconds = statistics.median(done["epoch_seconds"][1:] or done["epoch_seconds"])
        work = machine.TRAINED * machine.tower(shape, done["tokens"] / done["rows"])
        found[name] = {"per_second": done["rows"] / seconds, "flop": work}
    return {"seconds": sum(machine.minutes(found).values()) * 60, **found}


CASES: dict[str, dict[str, Callable[[Path, int], Measured]]] = {
    "clip_ve": {"as_published": clip_ve_as_published, "clseave": clip_ve_ours},
    "clseave": {
        "as_published": clseave_as_published,
        "sentence_transformers": clseave_sentence_transformers,
        "clseave": clseave_ours,
    },
    "align": {"awesome_align": align_awesome_align, "clseave": align_ours},
    "translate": {"one_by_one": translate_one_by_one, "clseave": translate_ours},
    "rates": {"clseave": rates},
}


def main(argv: Sequence[str] | None = None) -> None:
    """Set the numeric environment before torch is imported, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case")
    parser.add_argument("contender")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--own-numerics", action="store_true", help="the library's own choice of kernels, one thread")
    args = parser.parse_args(argv)
    os.environ.update(
        TRANSFORMERS_VERBOSITY="error", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1", NO_PROXY="127.0.0.1"
    )
    if args.own_numerics:
        os.environ.update(ONE_THREAD)
    else:
        numerics.pin()
    measured = CASES[args.case][args.contender](args.folder.resolve(), args.epochs)
    used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    args.out.write_text(json.dumps(measured | {"peak_mb": used >> 10}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    interrupts.end_in_one_line()
    main()
