"""Linguistic distances from English, recomputed from pinned vectors of URIEL, and compared with the thesis's Table 1.1.

Definitions follow Littell et al. (2017), URIEL and lang2vec, EACL, where that paper gives one. Typological distances
are angles between feature vectors. The thesis used ready-made numbers whose treatment of unknown features is not
documented (Toossi et al. 2024, A Reproducibility Study on Quantifying Language Similarity); several treatments are
computed here, and `table` notes which of them a published value equals.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clseave.comparison import csv_tables
from clseave.foundation.errors import UserError
from clseave.statistics.metrics import rounded

ENGLISH = "en"
RESTORE = "restore it from git"
PLACE = re.compile(r"GC(_-?\d{1,3}(\.\d{1,9})?){2}")  # a fixed point on earth, in degrees
# Prefix of the feature names of each typological distance; "featural" covers all features.
FEATURES = {"featural": "", "syntactic": "S_", "phonological": "P_", "inventory": "INV_"}
DISTANCES = ("featural", "syntactic", "genetic", "geographic", "phonological", "inventory")  # rows of Table 1.1
# The recomputed values that a published value may equal, and their words in a note.
MEANINGS = {
    "recomputed": "recomputed",
    "shared": "known features only",
    "zeros": "unknown features as absent",
    "average": "means of the sources, unknown as absent",
    "constant": "English against a constant vector, as of a language without data",
}


@dataclass(frozen=True)
class Typology:
    """URIEL's vectors, one row per feature and one column per language; Table 1.1 as text, one row per distance."""

    predicted: pd.DataFrame  # 0 or 1; unknown values predicted from similar languages (k nearest neighbours)
    averages: pd.DataFrame  # the share of URIEL's sources that say 1; NaN where no source knows
    families: pd.DataFrame  # 0 or 1: Glottolog's groups that contain the language, at any depth
    places: pd.DataFrame  # distance from fixed points on earth, as a share of the distance to the antipode
    published: pd.DataFrame


def _read(path: Path, *, gaps: bool = False) -> pd.DataFrame:
    """Read a file as text, first column as index. UserError unless all values are in [0, 1] or, with `gaps`, empty."""
    table = csv_tables.read(path, RESTORE, str)
    table = table.set_index(table.columns[0])
    try:
        shares = table.astype(float)
    except ValueError as error:
        raise UserError(f"{path}: expected a number by feature and language: {error}: {RESTORE}") from error
    good = ((shares >= 0) & (shares <= 1)) | (shares.isna() if gaps else False)
    if table.empty or table.index.hasnans or not good.all(axis=None):
        or_empty = ", or nothing," if gaps else ""
        raise UserError(f"{path}: expected numbers from 0 to 1{or_empty} in every row: {RESTORE}")
    return table


def read(folder: Path | str) -> Typology:
    """Read the vectors of `data/typology` (see its README) and Table 1.1. UserError names a missing or faulty file."""
    folder = Path(folder)
    names = ("predicted", "averages", "families", "places")
    vectors = {name: _read(folder / f"{name}.csv", gaps=name == "averages").astype(float) for name in names}
    for name, frame in vectors.items():
        if ENGLISH not in frame or list(frame) != list(vectors["predicted"]):
            raise UserError(f"{folder / f'{name}.csv'}: expected the languages of predicted.csv, {ENGLISH} among them")
    if list(vectors["averages"].index) != list(vectors["predicted"].index):
        raise UserError(f"{folder / 'averages.csv'}: expected the features of predicted.csv, in its order: {RESTORE}")
    if odd := [name for name in vectors["places"].index if not PLACE.fullmatch(name)]:
        raise UserError(f"{folder / 'places.csv'}: found {odd[0]!r}, expected GC_LATITUDE_LONGITUDE: {RESTORE}")
    published = _read(folder / "table_1_1.csv")
    if list(published.index) != list(DISTANCES):
        raise UserError(f"{folder / 'table_1_1.csv'}: expected the rows {', '.join(DISTANCES)}")
    return Typology(**vectors, published=published)


def angle(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the angle between two non-negative vectors as a share of the right angle: 1 when they are orthogonal.

    It is 1 minus the angular similarity; None when a vector is empty or all zeros.
    """
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(2 / np.pi * np.arccos(min(1.0, float(first @ second) / lengths))) if lengths else None


def typological(typology: Typology, distance: str, language: str) -> dict[str, float | None]:
    """Return the angles between the features of English and of a language, by treatment of unknown features.

    `recomputed` uses predicted values for unknown features. The others do not predict, and a feature is 1 when any
    source says so: `shared` drops features unknown in either language (as URIEL+, Khan et al. 2025), `zeros` counts
    them as absent, and `average` too, with means over the sources. `constant` is the angle from English to a constant
    vector.
    """
    rows = typology.predicted.index.str.startswith(FEATURES[distance])
    filled, means = typology.predicted[rows], typology.averages[rows][[ENGLISH, language]]
    known = (means > 0).where(means.notna()).astype(float)
    both, zeros, average = known.dropna(), known.fillna(0), means.fillna(0)
    pairs = {"recomputed": filled, "shared": both, "zeros": zeros, "average": average}
    angles = {key: angle(frame[ENGLISH].to_numpy(), frame[language].to_numpy()) for key, frame in pairs.items()}
    return angles | {"constant": angle(zeros[ENGLISH].to_numpy(), np.ones(len(zeros)))}


def genetic(families: pd.DataFrame, language: str) -> float:
    """Return the steps from a language up to the first group shared with English, as a share of the steps to the root.

    All families share one root. Steps are counted from the other language, not from English, as in the thesis.
    """
    groups, english = families[language] > 0, families[ENGLISH] > 0
    depth = int(groups.sum()) + 1
    return 1 - int((groups & english).sum()) / depth


def geographic(places: pd.DataFrame, language: str) -> float:
    """Return the great-circle distance between the places of a language and of English, as a share of the distance to
    the antipode.

    `places` holds distances from points named GC_latitude_longitude. The cosine of a distance is the dot product of the
    unit vectors of point and place, so least squares recovers the place.
    """
    latitude, longitude = np.radians([[float(part) for part in name.split("_")[1:]] for name in places.index]).T
    points = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], 1)
    cosines = np.cos(np.pi * places[[ENGLISH, language]].to_numpy())
    english, other = np.linalg.lstsq(points, cosines, rcond=None)[0].T
    nearness = float(english @ other / np.linalg.norm(english) / np.linalg.norm(other))
    return float(np.arccos(np.clip(nearness, -1, 1)) / np.pi)


def _values(typology: Typology, distance: str, language: str) -> dict[str, float | None]:
    """Return a value for each key of `MEANINGS`, not rounded; None where there is no number."""
    values: dict[str, float | None] = dict.fromkeys(MEANINGS)
    if language in typology.predicted:
        if distance in FEATURES:
            values |= typological(typology, distance, language)
        elif distance == "genetic":
            values["recomputed"] = genetic(typology.families, language)
        else:
            values["recomputed"] = geographic(typology.places, language)
    return values


def _equals(published: str, value: float | None) -> bool:
    """Return whether a value rounds to a published one, which has at least one decimal ("0" is 0.0)."""
    decimals = max(1, len(published.partition(".")[2]))
    return value is not None and round(value, decimals) == float(published)


def _note(published: str | None, values: dict[str, float | None]) -> str:
    """Return which recomputed values a published value equals, in words."""
    if published is None:
        return "not in the thesis"
    if found := [meaning for key, meaning in MEANINGS.items() if _equals(published, values[key])]:
        return f"equals: {'; '.join(found)}"
    return "the largest distance, as of a language without data" if float(published) == 1 else "not reproduced"


def table(typology: Typology, languages: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per distance and language: the published value, the keys of `MEANINGS`, and a note.

    `published` is None for a language that the thesis lacks, the keys of `MEANINGS` for a language without vectors.
    Distances are shares of 1; thesis Table 1.1.
    """
    rows = []
    for distance in DISTANCES:
        for language in languages:
            text = typology.published.at[distance, language] if language in typology.published else None
            values = _values(typology, distance, language)
            rows.append(
                {"distance": distance, "language": language, "published": None if text is None else float(text)}
                | {key: rounded(value) for key, value in values.items()}
                | {"note": _note(text, values)}
            )
    return rows


def identical(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the pairs of languages whose published values are equal in every row of `table`."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        if row["published"] is not None:
            columns.setdefault(row["language"], []).append(row["published"])
    names = list(columns)
    return [(first, second) for first, second in combinations(names, 2) if columns[first] == columns[second]]
