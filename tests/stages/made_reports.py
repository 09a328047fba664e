"""Small reports, as `evaluate`, `align_words` and the training stages leave them, for the tests of what reads them."""

import json
from pathlib import Path

from clseave import metrics
from clseave.labels import LABELS
from clseave.params import read_yaml
from clseave.storage import write_csv, write_json, write_jsonl

IMAGES, ROWS = 12, 6  # rows an image
# How many of ten rows each evaluation judges rightly; None: it always answers neutral.
RIGHT = {"en": 9, "de": 8, "ko": 7, "clteave_de": None, "image_only": 3}
LANGUAGES = ["de", "ko"]
REPO = Path(__file__).resolve().parents[2]
TEXTS = (
    "Two dogs run.",
    "Nobody is outside in the cold rain today.",
    "A man sits on a bench near a small tree.",
    "A cat",
)


def write_params(path: Path, seeds: tuple[int, ...]) -> None:
    """The committed `params.yaml` cut down to the made evaluations, as JSON, which is YAML."""
    values = read_yaml(REPO / "params.yaml")
    evaluations = [entry for entry in values["evaluations"] if entry["name"] in RIGHT]
    models = ["clip_ve", "hypothesis_only"]
    changes = {"languages": LANGUAGES, "seeds": list(seeds), "evaluations": evaluations, "ve_models": models}
    path.write_text(json.dumps(values | changes), encoding="utf-8")


def judge(name: str, number: int, gold: int) -> int:
    """What an evaluation answers to row `number`."""
    right = RIGHT[name]
    return 1 if right is None else gold if number % 10 < right else (gold + 1) % 3


def hypothesis(number: int) -> str:
    """The hypothesis id of row `number`."""
    return f"{number % 20:016x}"


def write_evaluation(folder: Path, name: str, seed: int, known: bool) -> None:
    """Predictions and metrics of one evaluation."""
    rows = []
    for number in range(IMAGES * ROWS):
        gold = number % 3
        answer = judge(name, number + seed, gold)
        rows.append(
            {
                "pair_id": f"p{number}",
                "image_id": f"i{number // ROWS}",
                "hypothesis_id": hypothesis(number),
                "gold": LABELS[gold],
                "logits": [2.0 if label == answer else 0.5 for label in range(3)],
                "kind": ("count", "object_at")[number // 3 % 2] if known else None,
                "seen": number % 4 > 0 if known else None,
            }
        )
    write_jsonl(folder / f"predictions/seed{seed}/{name}.jsonl", rows)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    write_json(
        folder / f"metrics/seed{seed}/{name}.json",
        metrics.summary(
            columns["gold"],
            columns["logits"],
            columns["kind"],
            columns["seen"],
            columns["image_id"],
            name=name,
            seed=seed,
        ),
    )


def write_curves(folder: Path, languages: list[str], seed: int) -> None:
    """Training curves of three epochs."""
    epochs = (1, 2, 3)
    for model in ("clip_ve", "hypothesis_only"):
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
    for model in ("autoencoder", "clteave-de"):
        write_csv(folder / f"{model}-seed{seed}.csv", [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in epochs])


def write_training(folder: Path, languages: list[str], seed: int) -> None:
    """What each training stage settled on."""
    kept = {"seed": seed, "lr": 0.001, "epoch": 3, "epochs_run": 3}
    for model in ("clip_ve", "hypothesis_only"):
        write_json(folder / f"{model}-seed{seed}.json", kept)
    errors = {"width": 96, "train_mse": 0.003333, "dev_mse": 0.006667, "dev_mae": 0.033333, "dev_cosine": 0.9}
    for language in languages:
        write_json(folder / f"clseave-{language}-seed{seed}.json", kept | errors | {"loss": "raw"})


def write_corpus(folder: Path) -> None:
    """Counts of every split, and the test examples."""
    sizes = {"rows": 72, "images": 12, "hypotheses": 20, "labels": dict.fromkeys(LABELS, 24), "unseen_rows": 18}
    write_json(folder / "counts.json", {split: sizes for split in ("train", "dev", "test")} | {"skipped": {}})
    rows = (
        {
            "pair_id": f"p{number}",
            "image_id": f"i{number // ROWS}",
            "hypothesis_id": hypothesis(number),
            "hypothesis": TEXTS[number % 20 % len(TEXTS)],
            "label": LABELS[number % 3],
            "split": "test",
            "kind": None,
            "seen": None,
        }
        for number in range(IMAGES * ROWS)
    )
    write_jsonl(folder / "examples/test.jsonl", rows)


def make(root: Path, *, seeds: tuple[int, ...] = (0,), known: bool = True) -> Path:
    """Everything that `compare` and `report` read, below `root`; returns the reports of profile mini.

    `known` tells kinds of statement and seen flags; without it they are null, as in a corpus that has none.
    """
    reports = root / "reports" / "mini"
    for seed in seeds:
        for name in RIGHT:
            write_evaluation(reports, name, seed, known)
        write_curves(reports / "curves", LANGUAGES, seed)
        write_training(reports / "training", LANGUAGES, seed)
    for number, language in enumerate(LANGUAGES):
        write_json(
            reports / f"metrics/align/{language}.json",
            {"aer": 0.1 + number / 10, "aer_diagonal": 0.5, "precision": 0.9, "recall": 0.8, "sentences": 30},
        )
    write_corpus(root / "data/mini")
    write_params(root / "params.yaml", seeds)
    return reports


def compare_arguments(root: Path, *, profile: str = "mini", name: str = "mini") -> list[str]:
    """The command line of `compare` for `profile`, on the reports and data called `name` below `root`."""
    reports, data = root / "reports" / name, root / "data" / name
    paths = {
        "params": root / "params.yaml",
        "profile": REPO / f"profiles/{profile}.yaml",
        "metrics": reports / "metrics",
        "predictions": reports / "predictions",
        "training": reports / "training",
        "curves": reports / "curves",
        "counts": data / "counts.json",
        "examples": data / "examples",
        "expected": REPO / "reports/expected.yaml",
        "published": REPO / "reports/published",
        "typology": REPO / "data/typology",
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
