"""Small reports, as `evaluate`, `align_words` and the training stages leave them, for the tests of what reads them."""

import json
from pathlib import Path
from typing import Any

from clseave.foundation.files.formats import write_csv, write_json, write_jsonl
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.params import read_yaml
from clseave.statistics import metrics
from settings import SETTINGS

IMAGES, ROWS = 12, 6  # rows an image
# How many of ten rows each evaluation judges rightly; None: it always answers neutral.
RIGHT = {"en": 9, "de": 8, "ko": 7, "clteave": None, "image_only": 3, "majority": None}
RIGHT |= {"independent_en": 9, "independent_de": 7, "independent_ko": None}
NOT_RUN = {"independent_ko"}  # there are no such hypotheses
INDEPENDENT_ROWS = 18
LANGUAGES = ["de", "ko"]
TRAINED = ("clip_ve", "hypothesis_only", "majority")
REPO = Path(__file__).resolve().parents[2]
TEXTS = (
    "Two dogs run.",
    "Nobody is outside in the cold rain today.",
    "A man sits on a bench near a small tree.",
    "A cat",
)


def write_params(path: Path, seeds: tuple[int, ...], languages: list[str]) -> None:
    """The tests' `params.yaml` cut down to the made evaluations, as JSON, which is YAML."""
    values = read_yaml(SETTINGS / "params.yaml")
    evaluations = [entry for entry in values["evaluations"] if entry["name"] in RIGHT]
    baselines = [entry for entry in values["baselines"] if entry["name"] in RIGHT]
    changes = {"languages": languages, "seeds": list(seeds), "evaluations": evaluations, "baselines": baselines}
    changes["ve_models"] = ["clip_ve", "hypothesis_only"]
    path.write_text(json.dumps(values | changes), encoding="utf-8")


def judge(name: str, number: int, gold: int) -> int:
    """What an evaluation answers to row `number`."""
    right = RIGHT.get(name, 5 + sum(map(ord, name)) % 4)
    return 1 if right is None else gold if number % 10 < right else (gold + 1) % 3


def hypothesis(number: int) -> str:
    """The hypothesis id of row `number`."""
    return f"{number % 20:016x}"


def evaluations(languages: list[str]) -> list[str]:
    """The names of all made evaluations for these languages."""
    others = [name for name in RIGHT if name not in LANGUAGES and name.removeprefix("independent_") not in LANGUAGES]
    return [*others, *languages, *(f"independent_{code}" for code in languages)]


def write_evaluation(folder: Path, name: str, seed: int, known: bool) -> None:
    """Predictions and metrics of one evaluation."""
    independent = name.startswith("independent_")
    rows = [] if name in NOT_RUN else examples(known)[: INDEPENDENT_ROWS if independent else None]
    logits = []
    for number, row in enumerate(rows):
        answer = judge(name, number + seed, LABELS.index(row["label"]))
        logits.append([2.0 if label == answer else 0.5 for label in range(3)])
    predictions = [{"pair_id": row["pair_id"], "logits": scores} for row, scores in zip(rows, logits, strict=True)]
    write_jsonl(folder / f"predictions/seed{seed}/{name}.jsonl", predictions)
    language = name.removeprefix("independent_")
    about = {"name": name, "seed": seed, "set": "independent" if independent else "test", "kernels": "deterministic"}
    about["language"] = language if len(language) == 2 else "de" if name == "clteave" else "en"
    label, kind, seen = ([row[key] for row in rows] for key in ("label", "kind", "seen"))
    summary = metrics.summary(label, logits, kind, seen, name=name, seed=seed) if rows else {"rows": 0}
    write_json(folder / f"metrics/seed{seed}/{name}.json", summary | about)


def write_curves(folder: Path, languages: list[str], seed: int) -> None:
    """Training curves of three epochs."""
    epochs = (1, 2, 3)
    for model in TRAINED:
        rows = [
            {
                "epoch": epoch,
                "train_loss": 1 / epoch,
                "train_accuracy": 0.3 + epoch / 10,
                "dev_loss": 1.1 / epoch,
                "dev_accuracy": 0.3 + epoch / 12,
                "learning_rate": 0.001,
            }
            for epoch in epochs
        ]
        write_csv(folder / f"{model}-seed{seed}.csv", rows)
    for language in languages:
        rows = [
            {
                "epoch": epoch,
                "train_mse": 0.01 / epoch,
                "dev_mse": 0.02 / epoch,
                "dev_mae": 0.1 / epoch,
                "dev_cosine": 0.9,
                "learning_rate": 1.5e-7,
            }
            for epoch in epochs
        ]
        write_csv(folder / f"clseave-{language}-seed{seed}.csv", rows)
    for model in ("autoencoder", "clteave"):
        write_csv(folder / f"{model}-seed{seed}.csv", [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in epochs])


def write_training(folder: Path, languages: list[str], seed: int) -> None:
    """What each training stage settled on."""
    kept = {"seed": seed, "lr": 0.001, "epoch": 3, "epochs_run": 3}
    for model in TRAINED:
        write_json(folder / f"{model}-seed{seed}.json", kept)
    errors = {"width": 96, "train_mse": 0.003333, "dev_mse": 0.006667, "dev_mae": 0.033333, "dev_cosine": 0.9}
    for language in languages:
        write_json(folder / f"clseave-{language}-seed{seed}.json", kept | errors | {"loss": "raw"})


def examples(known: bool) -> list[dict[str, Any]]:
    """The test examples as rows; kinds and seen flags where they are known."""
    return [
        {
            "pair_id": f"p{number}",
            "image_id": f"i{number // ROWS}",
            "hypothesis_id": hypothesis(number),
            "hypothesis": TEXTS[number % 20 % len(TEXTS)],
            "label": LABELS[number % 3],
            "split": "test",
            "kind": ("count", "object_at")[number // 3 % 2] if known else None,
            "seen": number % 4 > 0 if known else None,
        }
        for number in range(IMAGES * ROWS)
    ]


def write_corpus(folder: Path, known: bool) -> None:
    """Counts of every split, the test examples, and those of them that are said in other words."""
    sizes = {"rows": 72, "images": 12, "hypotheses": 20, "labels": dict.fromkeys(LABELS, 24), "unseen_rows": 18}
    write_json(folder / "counts.json", {split: sizes for split in ("train", "dev", "test")} | {"skipped": {}})
    write_jsonl(folder / "examples/test.jsonl", examples(known))
    write_jsonl(folder / "independent/examples.jsonl", examples(known)[:INDEPENDENT_ROWS])


def make(root: Path, *, seeds: tuple[int, ...] = (0,), known: bool = True, languages: list[str] = LANGUAGES) -> Path:
    """Everything that `compare` and `report` read, below `root`; returns the reports of profile mini.

    `known` tells kinds of statement and seen flags; without it they are null, as in a corpus that has none.
    """
    reports = root / "reports" / "mini"
    for seed in seeds:
        for name in evaluations(languages):
            write_evaluation(reports, name, seed, known)
        write_curves(reports / "curves", languages, seed)
        write_training(reports / "training", languages, seed)
    for number, language in enumerate(languages):
        write_json(
            reports / f"metrics/align/{language}.json",
            {"aer": 0.1 + number / 10, "aer_diagonal": 0.5, "precision": 0.9, "recall": 0.8, "sentences": 30},
        )
    write_corpus(root / "data/mini", known)
    write_params(root / "params.yaml", seeds, languages)
    return reports


def compare_arguments(root: Path, *, profile: str = "mini", name: str = "mini") -> list[str]:
    """The command line of `compare` for `profile`, on the reports and data called `name` below `root`."""
    reports, data = root / "reports" / name, root / "data" / name
    paths = {
        "params": root / "params.yaml",
        "profile": SETTINGS / f"profiles/{profile}.yaml",
        "metrics": reports / "metrics",
        "predictions": reports / "predictions",
        "training": reports / "training",
        "curves": reports / "curves",
        "counts": data / "counts.json",
        "examples": data / "examples",
        "independent": data / "independent",
        "expected": REPO / "reports/expected.yaml",
        "published": REPO / "reports/published",
        "typology": REPO / "data/typology",
        "seeds-folder": root / "reports/seeds",
        "out-metrics": reports / "metrics.json",
        "out-tables": reports / "tables",
        "out-results": reports / "results.md",
    }
    return [str(part) for name, path in paths.items() for part in (f"--{name}", path)]


def report_arguments(source: Path, *, profile: str = "mini") -> list[str]:
    """The command line of `report` in the folder of the reports, with the notebook and code of `source`."""
    reports = f"reports/{profile}"
    paths = {
        "notebook": source / "notebooks/report.ipynb",
        "template": source / "notebooks/report.html.j2",
        "code": source / "src",
        "reports": reports,
        "studies": "reports/studies",
        "examples": f"data/{profile}/examples",
        "hypotheses": f"data/{profile}/hypotheses",
        "images": f"data/{profile}/images",
        "params": "params.yaml",
        "profile": f"profiles/{profile}.yaml",
        "out-notebook": f"{reports}/report.ipynb",
        "out-html": f"{reports}/report.html",
        "out-figures": f"{reports}/figures",
    }
    return [str(part) for name, path in paths.items() for part in (f"--{name}", path)]


def say_official(folder: Path) -> None:
    """Let the counts of a made corpus be those of SNLI-VE, which alone is compared with the thesis."""
    path = next(folder.rglob("counts.json"))
    counts = json.loads(path.read_text())
    for split, rows in (("train", 529527), ("dev", 17858), ("test", 17901)):
        counts[split]["rows"] = rows
    path.write_text(json.dumps(counts))
