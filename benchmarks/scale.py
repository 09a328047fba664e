"""Measure time, memory and disk of the stages on a synthetic corpus of the thesis's size.

    python benchmarks/scale.py FOLDER [--rows 565286] [--bpe FILE] [--growth 10000 40000 160000]
    python benchmarks/scale.py FOLDER --growth-only --growth 10000 40000 160000

FOLDER must be new or empty; it takes 3 GB at full size, and nothing is removed. Each step runs a stage's own command in
a separate process, one after another. The models have real vocabularies and sentence vectors of the real width, but are
tiny otherwise and train for one epoch: only what grows with the corpus is measured. In `align_words` the model is
left out (`without_model.py`), as awesome-align would take hours on a CPU.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "src"), str(HERE)]

from clseave.foundation.process import interrupts, numerics  # noqa: E402

FULL, LANGUAGES = 565_286, ["de", "nl", "ja", "ko", "zh"]
NARROW, WIDE, VECTOR = 16, 24, 512  # widths of the tiny CLIP and the tiny mBERT; of sentence vectors, as in CLIP
GROWING = "prepare translate align_words finetune_clip_ve embed_english clseave".split()
STEPS = "prepare translate align_words finetune_clip_ve embed_english clseave autoencoder clteave evaluate".split()
POLL_S = 0.05


@dataclass
class Step:
    """The cost of one process: seconds, memory in 2**20 bytes, and output in 1e6 bytes.

    `peak_mb` includes pages of mapped files, which the system can drop at any time; `own_mb` excludes them and is
    sampled.
    """

    name: str
    seconds: float
    peak_mb: int
    own_mb: int
    written_mb: dict[str, float] = field(default_factory=dict)


def measure(name: str, command: Sequence[str], folder: Path, written: Sequence[Path] = ()) -> Step:
    """Run a process with its output in a log, and measure it. SystemExit with the end of the log when it fails."""
    log, own, start = folder / "logs" / f"{name.replace(' ', '-')}.txt", 0, time.monotonic()
    log.parent.mkdir(exist_ok=True)
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            own = max(own, own_kb(process.pid))
            time.sleep(POLL_S)
    if ended[1]:
        raise SystemExit(f"{name} failed: {' '.join(command)}\n{log.read_text()[-2000:]}")
    sizes = {path.name: round(size_of(path) / 1e6, 1) for path in written}
    step = Step(name, round(time.monotonic() - start, 1), ended[2].ru_maxrss >> 10, own >> 10, sizes)
    sys.stderr.write(f"{name}: {step.seconds} s, {step.peak_mb} MiB\n")
    return step


def own_kb(pid: int) -> int:
    """Return a process's memory not backed by files, in 2**10 bytes; 0 when it has ended."""
    try:
        found = re.search(r"^RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def generate(folder: Path, rows: int, bpe: Path | None) -> None:
    """Write the source folder, values, image vectors and backbones; a description goes to corpus.json."""
    import corpus

    size, source = corpus.Size.of(rows), folder / "source"
    source.mkdir(parents=True)
    merges = corpus.read_bpe(bpe) if bpe else []
    words = corpus.english_words(merges)
    snli = corpus.snli_rows(size, words)
    corpus.write_snli(source / "snli_1.0.zip", snli, size)
    corpus.write_lists(source, size)
    corpus.write_photos(source / "flickr30k-images.tar", size)
    texts = [str(row["sentence2"]) for row in snli]
    distinct = list(dict.fromkeys(texts))
    del snli
    corpus.write_translations(source / "mt", distinct, LANGUAGES)
    write_values(folder, size)
    tokenizers = {"clip": corpus.clip_text(merges, words), "mbert": corpus.bert_text(words)}
    write_models(folder, tokenizers)
    write_image_vectors(folder, [image_id for ids in corpus.photo_ids(size).values() for image_id in ids])
    lengths = sorted(len(text.split()) for text in texts)
    facts = {
        "rows": size.rows,
        "photos": size.photos,
        "distinct hypotheses": len(distinct),
        "words of a hypothesis": {
            "mean": round(sum(lengths) / len(lengths), 2),
            **{f"{share} %": lengths[len(lengths) * share // 100] for share in (50, 95, 99)},
        },
        "letters of a hypothesis": round(sum(map(len, texts)) / len(texts), 1),
        "entries of the tokenizers": {name: len(tokenizer) for name, tokenizer in tokenizers.items()},
        "CLIP's own BPE": bool(merges),
        "tokens of a text": {"en (CLIP)": corpus.tokens_per_text(tokenizers["clip"], distinct[:5000])}
        | {f"{code} (mBERT)": corpus.tokens_per_text(tokenizers["mbert"], sample(folder, code)) for code in LANGUAGES},
        "written_mb": {path.name: round(size_of(path) / 1e6, 1) for path in sorted(source.iterdir())},
    }
    (folder / "corpus.json").write_text(json.dumps(facts, indent=2) + "\n")


def sample(folder: Path, language: str) -> list[str]:
    """Return the first translations."""
    with open(folder / "source/mt" / f"{language}.tsv", encoding="utf-8") as lines:
        return [line.rstrip("\n").partition("\t")[2] for _, line in zip(range(5000), lines, strict=False)]


def write_values(folder: Path, size: Any) -> None:
    """Write the thesis's profile with the synthetic corpus, and a second one that leaves vectors in their files."""
    from ruamel.yaml import YAML

    yaml = YAML()
    profile = yaml.load(ROOT / "profiles/thesis.yaml")
    rows = profile["source"]["rows"]
    for download in (rows, rows["train_val"], rows["test"]):
        download["url"] = download["sha256"] = None
    rows["dev_images"] = size.photos["dev"]
    profile["source"]["expected_counts"] = "official" if size.official else "none"
    profile["translate"] = {"backend": "files", "folder": "mt", "corrections": None}
    profile["device"], profile["align_words"]["layer"] = "cpu", 1
    for name in ("clip_ve", "autoencoder", "clteave", "clseave"):
        profile[name]["epochs"] = 1
    profile["clseave"]["stop_after"] = None
    (folder / "profiles").mkdir()
    yaml.dump(profile, folder / "profiles/resident.yaml")
    profile["max_resident_gb"] = 0.0
    yaml.dump(profile, folder / "profiles/mapped.yaml")
    values = yaml.load(ROOT / "params.yaml")
    values["profile"], values["languages"] = "resident", LANGUAGES
    yaml.dump(values, folder / "params.yaml")


def write_models(folder: Path, tokenizers: dict[str, Any]) -> None:
    """Write a CLIP text tower and a BERT with real vocabularies and very few weights."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, CLIPTextConfig, CLIPTextModelWithProjection

    torch.manual_seed(0)
    text = tokenizers["clip"]
    special = {"bos_token_id": text.bos_token_id, "eos_token_id": text.eos_token_id, "pad_token_id": text.pad_token_id}
    small = {"num_hidden_layers": 1, "num_attention_heads": 2}
    clip = CLIPTextConfig(
        **small,
        **special,
        vocab_size=len(text),
        hidden_size=NARROW,
        intermediate_size=NARROW,
        projection_dim=VECTOR,
        max_position_embeddings=text.model_max_length,
    )
    bert = BertConfig(
        **small, vocab_size=len(tokenizers["mbert"]), hidden_size=WIDE, intermediate_size=WIDE, pad_token_id=0
    )
    for name, model in (("clip", CLIPTextModelWithProjection(clip)), ("mbert", BertForMaskedLM(bert))):
        model.save_pretrained(folder / "models" / name)
        tokenizers[name].save_pretrained(folder / "models" / name)


def write_image_vectors(folder: Path, ids: list[str]) -> None:
    """Write random image vectors, in the number and width that `encode_images` writes."""
    import numpy as np

    from clseave.foundation.rows.records import write_vectors

    vectors = np.random.default_rng(0).standard_normal((len(ids), VECTOR), dtype=np.float32)
    write_vectors(folder / "image_vectors", ids, vectors)


def stage(
    stage_name: str, /, profile: str = "resident", script: Path = ROOT / "src/run.py", **values: Any
) -> list[str]:
    """Return the command of a stage; paths are relative to the folder in which it runs."""
    values = {"params": "params.yaml", "profile": f"profiles/{profile}.yaml"} | values
    arguments = [part for key, value in values.items() for part in (f"--{key}", str(value))]
    return [sys.executable, str(script), stage_name, *arguments]


def prepare(folder: Path, name: str = "prepare") -> Step:
    """Measure `prepare`: from SNLI's zip, the lists and the photos to examples and hypotheses."""
    command = stage(
        "prepare", examples="examples", hypotheses="hypotheses/en.jsonl", independent="independent", images="images",
        text="text", counts="counts.json", source="source", downloads="downloads", problems="problems",
    )  # fmt: skip
    return measure(name, command, folder, [folder / "examples", folder / "hypotheses/en.jsonl", folder / "images"])


def of_language(folder: Path, name: str, language: str) -> Step:
    """Measure `translate` from files, or `align_words` without its model."""
    if name == "translate":
        out = f"hypotheses/{language}.jsonl"
        command = stage(
            name, language=language, hypotheses="hypotheses/en.jsonl", source="source", store="store", out=out
        )
    else:
        out = f"alignments/{language}.jsonl"
        command = stage(
            name, script=HERE / "without_model.py", language=language,
            translations=f"hypotheses/{language}.jsonl", mbert="models/mbert", out=out,
            metrics=f"align-{language}.json", checkpoints=f"checkpoints/align-{language}",
        )  # fmt: skip
    return measure(f"{name} {language}", command, folder, [folder / out])


def trained(folder: Path, name: str, profile: str = "resident") -> Step:
    """Measure a stage that trains, or uses a trained model."""
    out, language = f"out/{name}-{profile}", LANGUAGES[0]
    common = {"seed": 0, "examples": "examples"}
    one = {"translations": f"hypotheses/{language}.jsonl", "mbert": "models/mbert", "curve": f"{out}.csv"}
    values: dict[str, dict[str, Any]] = {
        "finetune_clip_ve": common | {"model": "clip_ve", "images": "image_vectors", "clip": "models/clip", "out": out}
        | {"curve": f"{out}.csv", "metrics": f"{out}.json"},
        "embed_english": {"hypotheses": "hypotheses/en.jsonl", "teacher": "out/finetune_clip_ve-resident", "out": out},
        "clseave": common | one | {"targets": "out/embed_english-resident", "out": out, "metrics": f"{out}.json"},
        "autoencoder": common | {"hypotheses": "hypotheses", "alignments": "alignments", "mbert": "models/mbert"}
        | {"clip": "models/clip", "out": out, "curve": f"{out}.csv"},
        "clteave": common | one | {"alignments": f"alignments/{language}.jsonl", "out": out}
        | {"teacher": "out/finetune_clip_ve-resident", "autoencoder": "out/autoencoder-resident"},
        "evaluate": common | {"name": language, "set": "test", "assembly": "direct", "images": "image_vectors"}
        | {"english": "hypotheses/en.jsonl", "translated": f"hypotheses/{language}.jsonl", "hypotheses": "translated"}
        | {"independent": "independent", "encoder": "out/clseave-resident"}
        | {"head": "out/finetune_clip_ve-resident", "predictions": f"{out}.jsonl", "metrics": f"{out}.json"},
    }  # fmt: skip
    if name != "evaluate":
        values[name]["checkpoints"] = f"checkpoints/{name}"
    written = folder / (f"{out}.jsonl" if name == "evaluate" else out)
    title = f"{name} {profile}" if name in ("finetune_clip_ve", "clseave") else name
    return measure(title, stage(name, profile, **values[name]), folder, [written])


def all_steps(folder: Path, chosen: Sequence[str], languages: Sequence[str]) -> Iterator[Step]:
    """Yield the measured steps in the order of the pipeline."""
    for name in chosen:
        if name == "prepare":
            yield prepare(folder)
        elif name in ("translate", "align_words"):
            yield from (of_language(folder, name, language) for language in languages)
        else:
            yield trained(folder, name)
            if name in ("finetune_clip_ve", "clseave"):
                yield trained(folder, name, "mapped")


def make_corpus(folder: Path, rows: int, bpe: Path | None) -> Step:
    """Generate the corpus in a separate process, so that its memory does not count."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / "scale.py"), str(folder), "--rows", str(rows), "--generate-only"]
    return measure("(make the corpus)", command + (["--bpe", str(bpe)] if bpe else []), folder)


def machine() -> dict[str, Any]:
    """Return the properties of the machine that determine its speed, without name or path."""
    from clseave.preflight.needs import memory_gb

    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    return {"cpu": found[1] if found else platform.machine(), "cores": cores, "memory_gib": round(memory_gb())}


def table(steps: Sequence[Step]) -> list[str]:
    """Return the steps as lines of a table."""
    lines = [f"{'step':<28}{'seconds':>9}{'peak MiB':>10}{'own MiB':>9}  written, MB"]
    for step in steps:
        written = ", ".join(f"{name} {size:,.1f}" for name, size in step.written_mb.items())
        lines.append(f"{step.name:<28}{step.seconds:>9,.1f}{step.peak_mb:>10,}{step.own_mb:>9,}  {written}")
    return lines


def bpe_file(given: Path | None) -> Path | None:
    """Return the file of CLIP's merges: the one given, or that of an installed open-clip-torch."""
    if given:
        return given.resolve(strict=True)
    spec = importlib.util.find_spec("open_clip")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return next((path for place in folders if (path := Path(place, "bpe_simple_vocab_16e6.txt.gz")).is_file()), None)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=FULL, help="of all three splits")
    parser.add_argument("--growth", type=int, nargs="*", default=[], help="rows of more corpora")
    parser.add_argument("--growth-steps", nargs="*", choices=STEPS, default=GROWING, help="of these, in one language")
    parser.add_argument("--growth-only", action="store_true", help="keep the rest of the results' file as it is")
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS)
    parser.add_argument("--languages", nargs="*", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--bpe", type=Path, help="bpe_simple_vocab_16e6.txt.gz; default: that of open-clip-torch")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results' file")
    parser.add_argument("--generate-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def grow(folder: Path, args: argparse.Namespace, bpe: Path | None) -> list[Step]:
    """Return the steps for corpora of other sizes, in the first language; a step's name includes the rows."""
    found = []
    for rows in args.growth:
        place = folder / f"rows-{rows}"
        make_corpus(place, rows, bpe)
        steps = all_steps(place, args.growth_steps, args.languages[:1])
        found += [replace(step, name=f"{step.name} {rows:,} rows") for step in steps]
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Generate the corpus, run the steps, write the results file, and print the table."""
    args = parse(argv)
    folder, bpe = args.folder.resolve(), bpe_file(args.bpe)
    if args.generate_only:
        numerics.pin()
        return generate(folder, args.rows, bpe)
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"{args.folder} is not empty: name another folder")
    about, versions = machine(), {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")}
    name = re.sub(r"[^a-z0-9]+", "-", f"{about['cpu']} {about['cores']} cores".lower()).strip("-")
    path = args.results / f"scale-{name}.json"
    if args.growth_only and not path.exists():
        raise SystemExit(f"{path} does not exist: measure the whole corpus first, without --growth-only")
    if args.growth_only:
        results = json.loads(path.read_text(encoding="utf-8"))
    else:
        steps = [make_corpus(folder / "whole", args.rows, bpe)]
        steps += all_steps(folder / "whole", args.steps, args.languages)
        corpus = json.loads((folder / "whole/corpus.json").read_text())
        results = {"machine": about, "versions": {"python": platform.python_version(), **versions}}
        results |= {"corpus": corpus, "steps": [asdict(step) for step in steps]}
    growth = grow(folder, args, bpe)
    results["growth"] = [asdict(step) for step in growth]
    args.results.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    shown = [Step(**step) for step in results["steps"]]
    sys.stdout.write("\n".join([*table(shown), *([""] if growth else []), *table(growth)[1:], ""]))


if __name__ == "__main__":
    interrupts.end_in_one_line()
    main()
