"""Linguistic distances from English, recomputed from pinned vectors of URIEL: the thesis's Table 1.1 beside them.

Definitions are those of Littell et al. (2017), URIEL and lang2vec, EACL, where that paper gives one. The typological
ones are angles between vectors of features; the thesis took ready-made numbers whose treatment of unknown features
is not documented (Toossi et al. 2024, A Reproducibility Study on Quantifying Language Similarity), so that several are
computed here, and `table` says which of them a published value equals.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
# Feature names of each typological distance start so; "featural" is over all of them.
FEATURES = {"featural": "", "syntactic": "S_", "phonological": "P_", "inventory": "INV_"}
DISTANCES = ("featural", "syntactic", "genetic", "geographic", "phonological", "inventory")  # rows of Table 1.1
# What a published value may equal, and how a note says so.
MEANINGS = {
    "recomputed": "recomputed",
    "shared": "known features only",
    "zeros": "unknown features as absent",
    "average": "means of the sources, unknown as absent",
    "constant": "English against a constant vector, as of a language without data",
}


@dataclass(frozen=True)
class Typology:
    """URIEL's vectors, one row a feature and one column a language, and Table 1.1 as text, one row a distance."""

    predicted: pd.DataFrame  # 0 or 1, unknown ones filled in from similar languages (k nearest neighbours)
    averages: pd.DataFrame  # the share of URIEL's sources that say 1, NaN where none knows
    families: pd.DataFrame  # 0 or 1: Glottolog's groups that hold the language, at any depth
    places: pd.DataFrame  # distance from fixed points on earth, as a share of the distance to the antipode
    published: pd.DataFrame


def _read(path: Path, *, gaps: bool = False) -> pd.DataFrame:
    """One file as text, its first column as index. UserError unless all are shares of 1, or with `gaps` absent."""
    table = csv_tables.read(path, RESTORE, str)
    table = table.set_index(table.columns[0])
    try:
        shares = table.astype(float)
    except ValueError as error:
        raise UserError(f"{path}: expected a number by feature and language: {error}: {RESTORE}") from error
    good = ((shares >= 0) & (shares <= 1)) | (shares.isna() if gaps else False)
    if table.empty or table.index.hasnans or not good.all(axis=None):
        nothing = ", or nothing," if gaps else ""
        raise UserError(f"{path}: expected numbers from 0 to 1{nothing} in every row: {RESTORE}")
    return table


def read(folder: Path | str) -> Typology:
    """The vectors of `data/typology` (see its README) and Table 1.1. UserError names a file that is missing or bad."""
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


def angle(one: np.ndarray, other: np.ndarray) -> float | None:
    """Angle between two vectors without negative numbers, as a share of the right angle: 1 when they share nothing.

    None when one of them is empty or all zeros. It is one minus the angular similarity.
    """
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(2 / np.pi * np.arccos(min(1.0, float(one @ other) / lengths))) if lengths else None


def typological(typology: Typology, distance: str, language: str) -> dict[str, float | None]:
    """The angle between the features of English and of a language, by what is done about unknown ones and the sources.

    `recomputed` takes unknown features as predicted. The others do not predict: a feature is there when any source says
    so, and `shared` leaves out what is unknown of one (as URIEL+ does, Khan et al. 2025), `zeros` counts it as absent;
    `average` does so with the sources' means; `constant` is the angle from English to a vector of equal numbers.
    """
    rows = typology.predicted.index.str.startswith(FEATURES[distance])
    filled, means = typology.predicted[rows], typology.averages[rows][[ENGLISH, language]]
    known = (means > 0).where(means.notna()).astype(float)
    both, zeros, average = known.dropna(), known.fillna(0), means.fillna(0)
    pairs = {"recomputed": filled, "shared": both, "zeros": zeros, "average": average}
    angles = {key: angle(frame[ENGLISH].to_numpy(), frame[language].to_numpy()) for key, frame in pairs.items()}
    return angles | {"constant": angle(zeros[ENGLISH].to_numpy(), np.ones(len(zeros)))}


def genetic(families: pd.DataFrame, language: str) -> float:
    """Steps from a language up to the first group that holds English too, as a share of the steps up to the root.

    Above the largest families stands one root. It is measured from the other language, as the thesis's values are.
    """
    mine, english = families[language] > 0, families[ENGLISH] > 0
    depth = int(mine.sum()) + 1
    return 1 - int((mine & english).sum()) / depth


def geographic(places: pd.DataFrame, language: str) -> float:
    """Great-circle distance of a language's place from English's, as a share of the distance to the antipode.

    `places` gives distances from points named GC_latitude_longitude. The cosine of such a distance is the point's unit
    vector times the place's, so that least squares finds the place.
    """
    latitude, longitude = np.radians([[float(part) for part in name.split("_")[1:]] for name in places.index]).T
    points = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], 1)
    cosines = np.cos(np.pi * places[[ENGLISH, language]].to_numpy())
    english, other = np.linalg.lstsq(points, cosines, rcond=None)[0].T
    nearness = float(english @ other / np.linalg.norm(english) / np.linalg.norm(other))
    return float(np.arccos(np.clip(nearness, -1, 1)) / np.pi)


def _values(typology: Typology, distance: str, language: str) -> dict[str, float | None]:
    """All keys of `MEANINGS`, not rounded; None where there is no such number."""
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
    """Whether a value rounds to a published one, which has at least one decimal ("0" is 0.0)."""
    decimals = max(1, len(published.partition(".")[2]))
    return value is not None and round(value, decimals) == float(published)


def _note(published: str | None, values: dict[str, float | None]) -> str:
    """What a published value is."""
    if published is None:
        return "not in the thesis"
    if found := [meaning for key, meaning in MEANINGS.items() if _equals(published, values[key])]:
        return f"equals: {'; '.join(found)}"
    return "the largest distance, as of a language without data" if float(published) == 1 else "not reproduced"


def table(typology: Typology, languages: Sequence[str]) -> list[dict[str, Any]]:
    """One row a distance and language: the published value, what is recomputed, the keys of `MEANINGS`, and a note.

    `published` is None where the thesis has no such language, the others where there is no vector for it. Distances
    are shares of 1; thesis Table 1.1.
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
    """Pairs of languages whose published values are the same in every row of `table`."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        if row["published"] is not None:
            columns.setdefault(row["language"], []).append(row["published"])
    names = list(columns)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    return [(one, other) for one, other in pairs if columns[one] == columns[other]]
