"""Extract the files of data/typology from lang2vec's wheel: typological vectors of our languages, a few kilobytes.

`pip download --no-deps lang2vec==1.1.2`, then `python tools/typology.py lang2vec-1.1.2-py3-none-any.whl` rewrites the
files; `--check` only reports whether they are current. For maintainers: the pipeline reads the files, not the wheel.
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import _path  # noqa: F401
from clseave.foundation.process import interrupts

SHA256 = "bc43eddce15175ee1561c8a0566f56e42019d5987ea6c2890770a1b5d1f48fa4"  # lang2vec-1.1.2-py3-none-any.whl
FOLDER = Path("data/typology")
LANGUAGES = ("en", "de", "nl", "ja", "zh", "ko", "ar", "es", "fr", "ru")


def columns(wheel: zipfile.ZipFile, name: str) -> tuple[list[str], np.ndarray]:
    """Return the feature names (F,) of an array in the wheel, and our languages' values (F, languages, sources)."""
    codes = json.loads(wheel.read("lang2vec/data/letter_codes.json"))
    array = np.load(io.BytesIO(wheel.read(f"lang2vec/data/{name}.npz")), allow_pickle=False)
    known = {str(code): row for row, code in enumerate(array["langs"])}
    values = array["data"][[known[codes[language]] for language in LANGUAGES]]
    return [str(feature) for feature in array["feats"]], values.swapaxes(0, 1)


def table(features: Sequence[str], values: np.ndarray) -> str:
    """Return a CSV table of (F, languages) values: one row per feature, empty where a value is unknown (negative)."""
    lines = [",".join(["feature", *LANGUAGES])]
    for feature, row in zip(features, values, strict=True):
        if "," in feature or '"' in feature:
            raise ValueError(f"a feature's name would need quotes: {feature}")
        lines.append(",".join([feature, *("" if value < 0 else f"{value:.6g}" for value in row)]))
    return "\n".join(lines) + "\n"


def extract(wheel: zipfile.ZipFile) -> dict[str, str]:
    """Return file contents by name: predicted features, means over sources, families of any language, locations."""
    names, known = columns(wheel, "feature_averages")
    filled_names, filled = columns(wheel, "feature_predictions")
    if names != filled_names:
        raise ValueError("predicted and averaged features differ in their names")
    families, members = columns(wheel, "family_features")
    shared = [row for row in range(len(families)) if members[row].max() > 0]
    places, distances = columns(wheel, "geocoord_features")
    return {
        "predicted.csv": table(names, filled[:, :, 0]),
        "averages.csv": table(names, known[:, :, 0]),
        "families.csv": table([families[row] for row in shared], members[shared, :, 0]),
        "places.csv": table(places, distances[:, :, 0]),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the files and return 0, with --check 1 when one is out of date; 2 for another wheel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="lang2vec-1.1.2-py3-none-any.whl")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--check", action="store_true", help="change nothing, return 1 when stale")
    args = parser.parse_args(argv)
    if not args.wheel.is_file():
        parser.error(f"{args.wheel} is not there: pip download --no-deps lang2vec==1.1.2")
    found = hashlib.sha256(args.wheel.read_bytes()).hexdigest()
    if found != SHA256:
        sys.stderr.write(f"{args.wheel}: SHA-256 {found}, expected {SHA256}: take lang2vec 1.1.2's wheel\n")
        return 2
    with zipfile.ZipFile(args.wheel) as wheel:
        contents = extract(wheel)
    paths = {args.folder / name: content for name, content in contents.items()}
    stale = [path for path, text in paths.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not args.check:
        args.folder.mkdir(parents=True, exist_ok=True)
        for path in stale:
            path.write_text(paths[path], encoding="utf-8", newline="\n")
    elif stale:
        sys.stderr.write(f"stale: {' '.join(map(str, stale))}\n")
        return 1
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
