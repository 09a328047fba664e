"""Linguistic distances: angles in closed form, the pinned vectors against published values, the cut from the wheel."""

import hashlib
import io
import json
import math
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest

import typology
from clseave.comparison import distances
from clseave.foundation.errors import UserError
from clseave.statistics import significance

THESIS = ["de", "nl", "ja", "zh", "ko"]
ALL = [*THESIS, "ar", "es", "fr", "ru"]


@pytest.fixture(scope="module")
def folder(repo_root):
    return repo_root / "data" / "typology"


@pytest.fixture(scope="module")
def data(folder):
    return distances.read(folder)


@pytest.fixture(scope="module")
def rows(data):
    return {(row["distance"], row["language"]): row for row in distances.table(data, ALL)}


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ([1, 0], [2, 0], 0.0),
        ([1, 0], [0, 3], 1.0),
        ([1, 0], [1, 1], 0.5),
        ([math.sqrt(3), 1], [1, 0], 1 / 3),
        ([0, 0], [1, 0], None),
        ([], [], None),
    ],
)
def test_angle_is_a_share_of_the_right_angle(one, other, wanted):
    found = distances.angle(np.array(one, dtype=float), np.array(other, dtype=float))
    assert found == (None if wanted is None else pytest.approx(wanted, abs=1e-9))


def made(predicted, averages):
    """Typology of two features of syntax and one of phonology."""
    index = ["S_A", "S_B", "P_C"]
    empty = pd.DataFrame({"en": [], "xx": []})
    return distances.Typology(pd.DataFrame(predicted, index), pd.DataFrame(averages, index), empty, empty, empty)


def test_unknown_features_by_hand():
    nan = float("nan")
    vectors = made({"en": [1, 0, 1], "xx": [1, 1, 0]}, {"en": [1, 0, 1], "xx": [0.5, nan, nan]})
    syntax = distances.typological(vectors, "syntactic", "xx")
    assert syntax["recomputed"] == pytest.approx(0.5)  # (1, 0) and (1, 1)
    assert syntax["shared"] == syntax["zeros"] == syntax["average"] == pytest.approx(0)  # S_A only, which both have
    assert syntax["constant"] == pytest.approx(0.5)  # (1, 0) and (1, 1)
    sound = distances.typological(vectors, "phonological", "xx")
    assert (sound["shared"], sound["zeros"], sound["recomputed"]) == (None, None, None)
    every = distances.typological(vectors, "featural", "xx")
    assert every["zeros"] == pytest.approx(0.5) and every["average"] == pytest.approx(0.5)  # (1, 0, 1) and (1, 0, 0)
    assert every["shared"] == pytest.approx(0)


def test_genetic_distance_counts_steps_up():
    families = pd.DataFrame({"en": [1, 1, 1, 0], "xx": [1, 1, 0, 1], "yy": [0, 0, 0, 1], "zz": [1, 0, 0, 0]})
    assert distances.genetic(families, "xx") == pytest.approx(2 / 4)  # itself and its branch, of four steps to the root
    assert distances.genetic(families, "yy") == 1
    assert distances.genetic(families, "zz") == pytest.approx(1 / 2)
    assert distances.genetic(families, "en") == pytest.approx(1 / 4)  # the language itself is below its last group


def test_great_circle_from_distances_to_points():
    def unit(latitude, longitude):
        latitude, longitude = math.radians(latitude), math.radians(longitude)
        return np.array(
            [math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude)]
        )

    points = [(0, 0), (0, 90), (90, 0), (-30, 200), (45, -60)]
    where = {"en": (0, 10), "xx": (0, 55), "yy": (0, 190), "zz": (90, 0)}
    places = pd.DataFrame(
        {name: [math.acos(unit(*point) @ unit(*place)) / math.pi for point in points] for name, place in where.items()},
        index=[f"GC_{latitude}_{longitude}" for latitude, longitude in points],
    )
    found = [distances.geographic(places, name) for name in ("xx", "yy", "zz")]
    assert found == pytest.approx([45 / 180, 1, 90 / 180], abs=1e-6)


def test_the_published_values_are_the_thesis_s(rows):
    # Table 1.1: the sum of each row catches a slip of a digit.
    sums = {name: sum(rows[name, code]["published"] for code in THESIS) for name in distances.DISTANCES}
    assert sums == {
        "featural": pytest.approx(2.6),
        "syntactic": pytest.approx(2.67),
        "genetic": pytest.approx(4.0286),
        "geographic": pytest.approx(2.5),
        "phonological": pytest.approx(2.4976),
        "inventory": pytest.approx(2.6057),
    }
    assert rows["genetic", "fr"]["published"] is None and rows["genetic", "fr"]["note"] == "not in the thesis"


@pytest.mark.parametrize(
    ("cell", "key", "published"),
    [
        (("inventory", "nl"), "recomputed", 0.4861),
        (("phonological", "ko"), "recomputed", 0.4638),
        (("genetic", "de"), "recomputed", 0.4286),
        (("genetic", "nl"), "recomputed", 0.6),
        (("inventory", "de"), "zeros", 0.4364),
        (("inventory", "ko"), "zeros", 0.4866),
    ],
)
def test_published_cells_that_come_back_exactly(rows, cell, key, published):
    assert rows[cell]["published"] == published
    assert rows[cell][key] == pytest.approx(published, abs=5.1e-5)
    assert distances.MEANINGS[key] in rows[cell]["note"]


def test_japanese_and_chinese_columns_are_angles_to_a_constant_vector(data, rows):
    assert distances.identical(list(rows.values())) == [("ja", "zh")]
    english = (data.averages["en"].fillna(0) > 0).astype(float)
    for name, published in (("featural", 0.6), ("syntactic", 0.57), ("phonological", 0.5687), ("inventory", 0.5983)):
        part = english[english.index.str.startswith(distances.FEATURES[name])]
        # The cosine between k ones among n and a constant vector is the root of k / n.
        constant = 2 / math.pi * math.acos(math.sqrt(part.sum() / len(part)))
        for language in ("ja", "zh"):
            row = rows[name, language]
            assert row["constant"] == pytest.approx(constant, abs=1e-6)
            assert row["published"] == published == round(constant, len(str(published)) - 2)
            assert distances.MEANINGS["constant"] in row["note"]
            assert row["shared"] is not None  # though URIEL has data for both
    for language in ("ja", "zh"):
        assert rows["geographic", language]["note"] == "the largest distance, as of a language without data"
    assert rows["phonological", "nl"]["note"] == f"equals: {distances.MEANINGS['constant']}"
    assert rows["phonological", "nl"]["shared"] is None  # URIEL knows nothing of Dutch phonology
    assert rows["phonological", "de"]["note"] == "not reproduced"


@pytest.mark.parametrize(
    ("distance", "wanted"),
    [  # of urielplus 1.3.2 with URIEL's own data
        ("featural", [0.4033, 0.4468, 0.5786, 0.4899, 0.5305, 0.4914, 0.4662, 0.4542, 0.4975]),
        ("syntactic", [0.3582, 0.3625, 0.6287, 0.5141, 0.5870, 0.5309, 0.3936, 0.4204, 0.4525]),
        ("phonological", [0.3695, None, 0.5348, 0.4270, 0.4638, 0.4576, 0.2804, 0.4576, 0.2804]),
        ("inventory", [0.4364, 0.4861, 0.5472, 0.4835, 0.4866, 0.4615, 0.5481, 0.4753, 0.5594]),
    ],
)
def test_known_features_give_what_urielplus_gives(rows, distance, wanted):
    found = [rows[distance, language]["shared"] for language in ALL]
    assert [None if value is None else round(value, 4) for value in found] == pytest.approx(wanted, abs=1.01e-4)


def test_places_are_where_the_languages_are(rows):
    # Great circles in kilometres between the places that Glottolog gives, roughly; half the earth's girth is 20,015.
    wanted = {"de": 1060, "nl": 420, "ja": 9350, "ko": 8800, "fr": 590}
    assert {code: 20015 * rows["geographic", code]["recomputed"] for code in wanted} == {
        code: pytest.approx(value, abs=60) for code, value in wanted.items()
    }


def test_correlations_with_the_thesis_s_accuracies(rows):
    accuracies = [73.19, 71.35, 70.82, 69.94, 68.75]  # Table 4.1
    wanted = {"syntactic": -0.96, "genetic": -0.87, "featural": -0.58, "phonological": -0.51, "geographic": -0.46}
    for name, r in (wanted | {"inventory": -0.45}).items():
        found = significance.regression([rows[name, code]["published"] for code in THESIS], accuracies)
        assert found["r"] == pytest.approx(r, abs=0.006)
        assert not found["supports"] and found["sentence"] == "five points support no regression"


def test_a_language_without_vectors_has_no_distance(data):
    for row in distances.table(data, ["it"]):
        assert {row[key] for key in ("published", *distances.MEANINGS)} == {None}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("places.csv", None, "places.csv does not exist: restore it from git"),
        ("places.csv", b"feature,en,de\n\xff", "places.csv is not UTF-8 text"),
        ("places.csv", "", "places.csv is no table: No columns to parse from file: restore it from git"),
        ("predicted.csv", "feature,en,de\nS_A,1,\n", "predicted.csv: expected numbers from 0 to 1 in every row"),
        (
            "averages.csv",
            "feature,en,de\nS_A,1,-1\n",
            "averages.csv: expected numbers from 0 to 1, or nothing, in every",
        ),
        ("averages.csv", ("S_SVO,", "S_XXX,"), "averages.csv: expected the features of predicted.csv, in its order"),
        ("families.csv", "feature,en,de\n", "families.csv: expected numbers from 0 to 1 in every row"),
        ("table_1_1.csv", ("featural,0.4", "featural,x"), "table_1_1.csv: expected a number by feature and language"),
        ("averages.csv", "feature,en,de\nS_A,1,much\n", "averages.csv: expected a number by feature and language"),
        ("families.csv", "feature,en,de\nF_A,1,0\n", "families.csv: expected the languages of predicted.csv"),
        ("table_1_1.csv", "distance,de\nfeatural,0.4\n", "table_1_1.csv: expected the rows featural, syntactic"),
    ],
)
def test_a_bad_file_is_named(folder, tmp_path, name, content, message):
    copy = tmp_path / "typology"
    shutil.copytree(folder, copy)
    if content is None:
        (copy / name).unlink()
    elif isinstance(content, tuple):
        text = (copy / name).read_text(encoding="utf-8")
        assert text.count(content[0]) == 1
        (copy / name).write_text(text.replace(*content), encoding="utf-8")
    else:
        (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        distances.read(copy)


@pytest.fixture
def wheel(tmp_path):
    """A wheel in lang2vec's layout: our ten languages and one more, three features."""
    codes = {code: f"{code}x" for code in typology.LANGUAGES}
    langs = np.array(["zzz", *codes.values()])

    def arrays(feats, values):
        held = io.BytesIO()
        np.savez(held, langs=langs, feats=np.array(feats), data=np.array(values)[:, :, None], sources=np.array(["one"]))
        return held.getvalue()

    width = len(langs)
    path = tmp_path / "made.whl"
    with zipfile.ZipFile(path, "w") as made_wheel:
        inside = "lang2vec/data/"
        made_wheel.writestr(inside + "letter_codes.json", json.dumps(codes))
        flags = [[row % 2, -1.0 if row == 3 else 0.25] for row in range(width)]
        made_wheel.writestr(inside + "feature_averages.npz", arrays(["S_A", "P_B"], flags))
        made_wheel.writestr(inside + "feature_predictions.npz", arrays(["S_A", "P_B"], [[1.0, 0.0]] * width))
        kin = [[1.0, float(row == 0)] for row in range(width)]
        made_wheel.writestr(inside + "family_features.npz", arrays(["F_ALL", "F_OTHER"], kin))
        made_wheel.writestr(
            inside + "geocoord_features.npz", arrays(["GC_0_0"], [[0.5 + row / 100] for row in range(width)])
        )
    return path


def test_the_cut_holds_our_languages_only(wheel):
    with zipfile.ZipFile(wheel) as opened:
        files = typology.extract(opened)
    header = "feature,en,de,nl,ja,zh,ko,ar,es,fr,ru\n"
    assert files == {
        "predicted.csv": header + "S_A,1,1,1,1,1,1,1,1,1,1\nP_B,0,0,0,0,0,0,0,0,0,0\n",
        "averages.csv": header + "S_A,1,0,1,0,1,0,1,0,1,0\nP_B,0.25,0.25,,0.25,0.25,0.25,0.25,0.25,0.25,0.25\n",
        "families.csv": header + "F_ALL,1,1,1,1,1,1,1,1,1,1\n",
        "places.csv": header + "GC_0_0,0.51,0.52,0.53,0.54,0.55,0.56,0.57,0.58,0.59,0.6\n",
    }


def test_another_wheel_is_refused(wheel, tmp_path, capsys):
    assert typology.main([str(wheel), "--folder", str(tmp_path / "out")]) == 2
    assert (
        f"SHA-256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}, expected {typology.SHA256}"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_files_are_written_once_and_checked(wheel, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(typology, "SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    call = [str(wheel), "--folder", str(tmp_path / "out")]
    assert typology.main([*call, "--check"]) == 1
    assert typology.main(call) == 0
    assert typology.main([*call, "--check"]) == 0
    (tmp_path / "out" / "places.csv").write_text("feature,en\n", encoding="utf-8")
    capsys.readouterr()
    assert typology.main([*call, "--check"]) == 1
    assert capsys.readouterr().err == f"stale: {tmp_path / 'out' / 'places.csv'}\n"


def test_the_readme_names_the_wheel_and_each_file(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert typology.SHA256 in text
    assert [path.name for path in folder.glob("*.csv") if f"`{path.name}`" not in text] == []
