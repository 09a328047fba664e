"""docs/OWN_DATA.md done word for word: its files, profile `own` with small local models, every stage, a prediction."""

import contextlib
import json
import logging
import re
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image
from real_world import run, run_all, save_pair
from test_graph import ROOT

from clseave import Entailment
from clseave.commands import check_thesis, predict
from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, Prediction, read_rows
from clseave.foundation.settings import params
from settings import SETTINGS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("own_data")]

PAGE = (ROOT / "docs/OWN_DATA.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```csv (\S+)\n(.*?)```", PAGE, flags=re.DOTALL))


def build(folder):
    """A checkout's files, the page's, a photo of noise for each name, and the profile with small models."""
    source = folder / "data/own/source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(content, encoding="utf-8")
    (source / "photos").mkdir()
    generator = np.random.default_rng(0)
    for name in sorted(set(re.findall(r"^(\w+\.jpg),", "\n".join(FILES.values()), flags=re.MULTILINE))):
        Image.fromarray(generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(source / "photos" / name)
    for name in ("src", "notebooks", "data/typology", "reports/published"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / "reports/expected.yaml").write_bytes((ROOT / "reports/expected.yaml").read_bytes())
    profile = params.read_yaml(SETTINGS / "profiles/own.yaml") | {"device": "cpu"}
    for name in ("clip", "mbert"):
        profile["backbones"][name] = {"id": f"./models/local/{name}", "revision": None, "weights": "safetensors"}
    profile["align_words"]["layer"] = 1
    for key in ("clip_ve", "mbert_ve", "autoencoder", "clteave", "clseave"):
        profile[key]["epochs"] = 1
    profile["clseave"]["stop_after"] = None
    (folder / "profiles").mkdir()
    (folder / "profiles/own.yaml").write_text(json.dumps(profile))
    values = params.read_yaml(SETTINGS / "params.yaml") | {"profile": "own", "languages": ["de"]}
    (folder / "params.yaml").write_text(json.dumps(values))
    texts = [cell for content in FILES.values() for line in content.splitlines() for cell in line.split(",")]
    save_pair(folder / "models/local", texts, [])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    build(folder)
    return folder


def checked(folder, capsys):
    """What `make check-data PROFILE=own` prints."""
    options = ["--profile", "profiles/own.yaml", "--source", "data/own/source", "--models", "models/own"]
    with contextlib.chdir(folder), contextlib.suppress(SystemExit):
        check_thesis.main(options)
    return re.sub(r"\n {5,}", " ", capsys.readouterr().out)


def test_the_check_lists_every_faulty_row_and_missing_photo(world, capsys):
    assert re.search(r"ok +rows +train 6, dev 3, test 3\n", checked(world, capsys))
    train, photo = (world / "data/own/source" / name for name in ("train.csv", "photos/beach.jpg"))
    content, pixels = train.read_text(), photo.read_bytes()
    train.write_text(content.replace("entailment", "entailed"))
    photo.unlink()
    text = checked(world, capsys)
    assert (
        "2 rows cannot be used: train.csv:2: label: found 'entailed', allowed: contradiction, neutral, entailment, -;"
        in text
    )
    train.write_text(content)
    text = checked(world, capsys)
    assert "photos: 1 of 4 photos are not there: beach; all of them in .work/problems/own/missing_photos.txt" in text
    photo.write_bytes(pixels[:-200])
    text = checked(world, capsys)
    assert re.search(r"photos: 1 of 4 photos cannot be read: beach.jpg: OSError: image file is truncated", text)
    photo.write_bytes(pixels)
    assert not re.search(r"missing +(values|photos|rows|CLIP|mBERT|translation)", checked(world, capsys))


def test_the_check_lists_sentences_without_a_translation(world, capsys):
    path = world / "data/own/source/translations/de.csv"
    content = path.read_text()
    assert re.search(r"ok +translation +\S+: de, all 12 sentences\n", checked(world, capsys))
    path.write_text(content.replace("Der Bus hat Verspätung.", " ").replace("The beach is empty.", "It is empty."))
    text = checked(world, capsys)
    assert (
        "2 sentences have no translation: de: The bus is late.; de: The beach is empty.; all of them in "
        ".work/problems/own/missing_translations.txt"
    ) in text
    path.write_text(content + "The bus is late.,Der Bus kommt zu spät.\n")
    assert "lines 6 and 14 translate 'The bus is late.' differently" in checked(world, capsys)
    path.write_text(content)


@pytest.fixture
def english(world, tmp_path):
    """A copy of the world whose profile has no translations, without models that English does not need."""
    shutil.copytree(world, tmp_path / "english", symlinks=True)
    folder = tmp_path / "english"
    profile = params.read_yaml(folder / "profiles/own.yaml") | {"translate": {"backend": "none"}}
    (folder / "profiles/own.yaml").write_text(json.dumps(profile))
    shutil.rmtree(folder / "models/local/mbert")
    shutil.rmtree(folder / "data/own/source/translations")
    return folder


def test_english_alone(english, capsys, caplog):
    text = checked(english, capsys)
    assert "note     translation  none: English alone" in text and "mBERT" not in text
    assert not re.search(r"missing +(values|photos|rows|CLIP|translation)", text)
    with pytest.raises(UserError, match="found 'none', with which the profile is for English alone: run"):
        run(english, "check", profile="own")
        run(english, "prepare", profile="own")
        run(english, "translate", profile="own", language="de")
    run(english, "backbones", profile="own", backbone="clip")
    run(english, "encode_images", profile="own")
    run(english, "finetune_clip_ve", profile="own", model="clip_ve", seed=0)
    block = re.search(r"```sh english\n.*?\npython src/run.py predict (.*?)```", PAGE, flags=re.DOTALL)
    caplog.set_level(logging.INFO)
    with contextlib.chdir(english):
        predict.main(shlex.split(block[1].replace("\\\n", " ")))
    rows = [json.loads(line) for line in (english / "predictions.jsonl").read_text().splitlines()]
    right = sum(row["label"] == row["gold_label"] for row in rows)
    assert len(rows) == 3 and f"en: accuracy {100 * right / 3:.1f} % of 3 rows with a label" in caplog.text


def test_the_pages_files_go_through_every_stage_to_a_prediction(world):
    run_all(world, ["de"], profile="own")
    judged = read_rows(world / "reports/own/predictions/seed0/de.jsonl", Prediction)
    examples = read_rows(world / "data/own/examples/test.jsonl", Example)
    assert [row.pair_id for row in examples] == ["test-000001", "test-000002", "test-000003"] and len(judged) == 3
    model = Entailment.from_pretrained(world / "models/own", languages="de")
    (found,) = model.predict(world / "data/own/source/photos/beach.jpg", "Zwei Kinder spielen.")
    assert found.label == LABELS[int(np.argmax(judged[0].logits))]


def test_the_report_of_own_data_compares_nothing_with_the_thesis(world):
    page = (world / "reports/own/report.html").read_text(encoding="utf-8")
    shown = re.sub(r"data:[^\"]*", "", page)
    assert "rows and photos of your own" in shown and "Appendix B: corpus and training" in shown
    compared = re.findall(r"[^.<>]*(?:[Tt]hesis['’]s|[Tt]he thesis|SNLI|other corpus)[^.<>]*", shown)
    assert compared == [" Comparisons with the thesis are left out"]
    assert set(re.findall(r'href="#([^"]+)"', shown)) <= set(re.findall(r'id="([^"]+)"', shown))
    tables = {path.name for path in (world / "reports/own/tables").iterdir()}
    assert {"results.csv", "errors.csv", "counts.csv"} <= tables
    assert not tables & {"table_2_1.csv", "table_4_1.csv", "table_a_1.csv", "table_1_1.csv", "thesis.csv"}
    assert "hesis" not in (world / "reports/own/tables/errors.md").read_text(encoding="utf-8")


def test_the_pages_check_is_a_target_of_the_makefile():
    assert "make check-data PROFILE=own" in PAGE and "check-data:" in (ROOT / "Makefile").read_text()
