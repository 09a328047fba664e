"""SNLI-VE by the official rules, from every form it comes in."""

import gzip
import json
import zipfile

import datasets
import pytest

from clseave.corpora.snli_ve import (
    OFFICIAL_COUNTS,
    _read_list,
    check_counts,
    expected_counts,
    parse,
    read_corpus,
    warn_of_copies,
)
from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import hypothesis_id
from clseave.foundation.settings.schema import Download, HubRows, SnliRows, SnliVeRows

LISTS = {"train_val.lst": ["11", "12", "13", "14"], "test.lst": ["21", "22"]}  # dev: the last one, 14


def row(pair, label="neutral", text="A dog runs.", **more):
    return {"gold_label": label, "sentence1": "A caption.", "sentence2": text, "pairID": pair, **more}


# SNLI's own split of a pair counts for nothing; photos of one split stand in any of its files.
SNLI = {
    "train": [
        row("21.jpg#0r1n"),
        row("12.jpg#1r1e", "entailment", "  A cafe\u0301 is open. "),
        row("vg_len46r5e", "entailment"),
        row("11.jpg#0r1n", "-"),
        row("14.jpg#4r1c", "contradiction", "Nobody."),
    ],
    "dev": [row("11.jpg#3r1c", "contradiction", "A café is open."), row("99.jpg#3r1c", "contradiction")],
    "test": [row("12.jpg#0r1n", text="Snow."), row("14.jpg#0r1n", text="Snow.")],
}


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in rows), encoding="utf-8")  # no last newline


def write_txt(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ["gold_label", "sentence1", "sentence2", "pairID", "label1", "label2"]
    lines = ["\t".join(str(one.get(key, "")) for key in keys) for one in rows]
    path.write_text("\n".join(["\t".join(keys), *lines]) + "\n", encoding="utf-8")


def write_lists(source, lists=LISTS):
    source.mkdir(parents=True, exist_ok=True)
    for name, ids in lists.items():
        (source / name).write_text("\n".join(ids))


def snli_rows(file="snli_1.0.zip", dev_images=1):
    placed = {"url": None, "sha256": None}
    return SnliRows(
        format="snli",
        file=file,
        **placed,
        train_val=Download(file="train_val.lst", **placed),
        test=Download(file="test.lst", **placed),
        dev_images=dev_images,
    )


def place(source, form, snli=SNLI):
    """SNLI in one of its forms, with the lists."""
    write_lists(source)
    write, suffix = (write_txt, ".txt") if "txt" in form else (write_jsonl, ".jsonl")
    packed = ".gz" if "gz" in form else ""
    inner = source / ("snli_1.0/snli_1.0" if form == "nested folder" else "snli_1.0")
    for split, rows in snli.items():
        write(path := inner / f"snli_1.0_{split}{suffix}{packed}", rows)
        if packed:
            path.write_bytes(gzip.compress(path.read_bytes()))
    if "zip" in form:
        with zipfile.ZipFile(source / "snli_1.0.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(inner.iterdir()):
                archive.write(path, f"snli_1.0/{path.name}")
                archive.writestr(f"__MACOSX/snli_1.0/._{path.name}", b"\0macOS")
                path.unlink()
        inner.rmdir()
    return source


@pytest.mark.parametrize(
    "form", ["zip", "folder", "nested folder", "txt zip", "txt folder", "gz zip", "gz folder", "txt gz folder"]
)
def test_the_official_rules(tmp_path, form):
    examples, skipped = read_corpus(snli_rows(), place(tmp_path / "source", form), tmp_path / "downloads")
    found = {
        split: [(one.pair_id, one.image_id, one.label, one.seen) for one in rows] for split, rows in examples.items()
    }
    assert found == {
        # By photo as in the list (11 before 12), then SNLI's train before dev before test.
        "train": [
            ("11.jpg#3r1c", "11", "contradiction", True),
            ("12.jpg#1r1e", "12", "entailment", True),
            ("12.jpg#0r1n", "12", "neutral", True),
        ],
        "dev": [("14.jpg#4r1c", "14", "contradiction", False), ("14.jpg#0r1n", "14", "neutral", True)],
        "test": [("21.jpg#0r1n", "21", "neutral", False)],
    }
    assert skipped == {"no_gold_label": 1, "visual_genome": 1, "photo_in_no_list": 1}


def test_the_text_is_that_of_its_id(tmp_path):
    examples, _ = read_corpus(snli_rows(), place(tmp_path, "folder"), tmp_path)
    composed, decomposed = examples["train"][:2]
    assert composed.hypothesis == decomposed.hypothesis == "A café is open."
    assert composed.hypothesis_id == decomposed.hypothesis_id == hypothesis_id("A café is open.")
    assert composed.kind is None and composed.split == "train"


def test_lines_are_split_at_newlines_alone_and_a_hypothesis_is_one_line(tmp_path):
    snli = SNLI | {"train": [*SNLI["train"], row("11.jpg#0r9n", text="One\u2028two\u0085\tthree\rfour")]}
    examples, _ = read_corpus(snli_rows(), place(tmp_path, "folder", snli), tmp_path)
    assert "One two three four" in {one.hypothesis for one in examples["train"]}


def test_quotes_in_the_tab_separated_form_are_text(tmp_path):
    snli = SNLI | {"train": [*SNLI["train"], row("11.jpg#0r9n", text='A "dog')]}
    examples, _ = read_corpus(snli_rows(), place(tmp_path, "txt folder", snli), tmp_path)
    assert 'A "dog' in {one.hypothesis for one in examples["train"]}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"train_val.lst": ["11", "12", "11"]},
            r"duplicate photo 11: .*train_val\.lst:1 and .*train_val\.lst:3: keep one",
        ),
        ({"test.lst": ["21", "12"]}, r"duplicate photo 12: .*train_val\.lst:2 and .*test\.lst:2: remove"),
        ({"test.lst": ["77"]}, "the test split has no labelled pair"),
        ({"train_val.lst": ["14"]}, "the train split has no labelled pair"),
    ],
)
def test_lists_that_make_no_sense(tmp_path, lists, message):
    place(tmp_path, "folder")
    write_lists(tmp_path, lists)
    with pytest.raises(UserError, match=message):
        read_corpus(snli_rows(), tmp_path, tmp_path / "downloads")


def test_a_missing_file_of_snli_is_named(tmp_path):
    place(tmp_path, "folder")
    (tmp_path / "snli_1.0" / "snli_1.0_dev.jsonl").unlink()
    with pytest.raises(UserError, match=r"snli_1\.0: no snli_1\.0_dev\.jsonl and no \.txt"):
        read_corpus(snli_rows(), tmp_path, tmp_path / "downloads")


def test_a_damaged_zip_is_named(tmp_path):
    place(tmp_path, "zip")
    content = (tmp_path / "snli_1.0.zip").read_bytes()
    (tmp_path / "snli_1.0.zip").write_bytes(content[:-30])
    with pytest.raises(UserError, match=r"snli_1\.0\.zip is no whole zip"):
        read_corpus(snli_rows(), tmp_path, tmp_path / "downloads")


# Ready-made rows

READY = {
    "train": [row("11.jpg#0r1n", Flickr30K_ID="11"), row("12.jpg#0r1e", "entailment", "Snow.", Flickr30K_ID="12")],
    "dev": [row("14.jpg#0r1n", Flikr30kID="14.jpg"), row("14.jpg#0r2n", "-", Flikr30kID="14.jpg")],
    "test": [row("21.jpg#0r1n", text="Rain.", Flikr30kID="21")],
}
FILES = SnliVeRows(format="snli_ve", files={"test": "test.jsonl", "train": "train.jsonl", "dev": "dev.jsonl"})


def place_ready(source, **changes):
    for split, rows in (READY | changes).items():
        write_jsonl(source / f"{split}.jsonl", rows)
    return source


def test_ready_made_rows_in_each_schema(tmp_path):
    examples, skipped = read_corpus(FILES, place_ready(tmp_path), tmp_path)
    assert {split: [one.image_id for one in rows] for split, rows in examples.items()} == {
        "train": ["11", "12"],
        "dev": ["14"],
        "test": ["21"],
    }
    assert skipped == {"no_gold_label": 1}
    assert [one.seen for rows in examples.values() for one in rows] == [True, True, True, False]


def test_ready_made_rows_may_be_compressed(tmp_path):
    place_ready(tmp_path)
    for name in FILES.files.values():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    packed = SnliVeRows(format="snli_ve", files={split: f"{name}.gz" for split, name in FILES.files.items()})
    assert read_corpus(packed, tmp_path, tmp_path) == read_corpus(FILES, tmp_path, tmp_path)
    (tmp_path / "train.jsonl.gz").write_bytes((tmp_path / "train.jsonl.gz").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"train.jsonl.gz:\d: cannot be read as a row: Compressed file ended"):
        read_corpus(packed, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            row("1.jpg#0r1n", "maybe", Flickr30K_ID="1"),
            r"label 'maybe' is not one of contradiction, neutral, entailment",
        ),
        (row(" ", Flickr30K_ID="1"), "the pair id is blank"),
        (row("1.jpg#0r1n", text=None, Flickr30K_ID="1"), "sentence2 is None, expected text"),
        (row("1.jpg#0r1n", Flickr30K_ID="../1"), r"photo '\.\./1' is no safe file name"),
        (row("1.jpg#0r1n", Flickr30K_ID=".."), "is no safe file name"),
        (row("1.jpg#0r1n", Flickr30K_ID="a\\b"), "is no safe file name"),
        (row("1.jpg#0r1n", Flickr30K_ID="a\0b"), "is no safe file name"),
        (row("1.jpg#0r1n", Flickr30K_ID=".jpg"), "photo '' is no safe file name"),
        (row("1r1n"), "names no photo"),
        ({"gold_label": "neutral", "sentence2": "A dog."}, "no field pairID or pair_id; found gold_label, sentence2"),
        ([1], "expected a JSON object, found list"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(tmp_path, bad, message):
    place_ready(tmp_path, dev=[*READY["dev"], bad])
    with pytest.raises(UserError, match=rf"dev\.jsonl:3: .*{message}"):
        read_corpus(FILES, tmp_path, tmp_path)


@pytest.mark.parametrize("line", [b"{", b'"text"', b'{"pairID": "\xff"}'])
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    place_ready(tmp_path)
    with open(tmp_path / "dev.jsonl", "ab") as stream:
        stream.write(b"\n" + line)
    with pytest.raises(UserError, match=r"dev\.jsonl:3: cannot be read as a row: "):
        read_corpus(FILES, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("split", "changes", "how"),
    [("test", {}, "in two splits"), ("train", {"sentence2": "Another sentence"}, "with two contents")],
)
def test_both_places_of_a_duplicate_pair_are_named(tmp_path, split, changes, how):
    place_ready(tmp_path, **{split: [*READY[split], READY["train"][0] | changes]})
    places = rf"duplicate pair id 11\.jpg#0r1n: .*/train\.jsonl:1 and .*/{split}\.jsonl:\d+, {how}: keep one"
    with pytest.raises(UserError, match=places):
        read_corpus(FILES, tmp_path, tmp_path)


def test_the_repetition_of_a_row_and_a_row_without_a_sentence_are_left_out_and_counted(tmp_path):
    blanks = [row(f"77.jpg#{n}", text=text, Flickr30K_ID="77") for n, text in enumerate(["", " \t", "\u200b\u00ad"])]
    place_ready(tmp_path)
    examples, skipped = read_corpus(FILES, tmp_path, tmp_path)
    place_ready(tmp_path, train=[*READY["train"], READY["train"][0], *blanks])
    again, left_out = read_corpus(FILES, tmp_path, tmp_path)
    assert again == examples
    assert left_out == skipped | {"repeated_pair": 1, "blank_hypothesis": 3}


def placed(examples):
    return {split: [(one.pair_id, one.image_id) for one in rows] for split, rows in examples.items()}


def test_a_photo_in_two_splits_stays_in_the_earlier_one_and_rows_left_out_are_counted(tmp_path, caplog):
    place_ready(
        tmp_path,
        train=[*READY["train"], row("13.jpg#0r1n", Flickr30K_ID="13")],
        dev=[*READY["dev"], row("12.jpg#9r1n", Flikr30kID="12.JPG")],
        test=[
            *READY["test"],
            *(row(f"{photo}.jpg#8r{n}n", Flikr30kID=photo) for n, photo in enumerate(["13", "11", "14", "11"])),
        ],
    )
    examples, skipped = read_corpus(FILES, tmp_path, tmp_path)
    assert placed(examples) == {
        "train": [("11.jpg#0r1n", "11"), ("12.jpg#0r1e", "12"), ("13.jpg#0r1n", "13")],
        "dev": [("14.jpg#0r1n", "14")],
        "test": [("21.jpg#0r1n", "21")],
    }
    assert skipped == {
        "no_gold_label": 1,
        "dev_rows_on_photos_of_train": 1,
        "test_rows_on_photos_of_train": 3,
        "test_rows_on_photos_of_dev": 1,
    }
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 2 rows of dev are on photos that train also has, the first photo 12: these rows are left out",
        "4 of 5 rows of test are on photos that train and dev also has, the first photo 13: these rows are left out",
    ]


def test_a_photo_that_is_held_out_of_train_stays_in_test(tmp_path):
    place_ready(tmp_path, test=[*READY["test"], row("12.jpg#8r1n", Flikr30kID="12")])
    examples, skipped = read_corpus(FILES, tmp_path, tmp_path, held_out={"12"})
    assert [image_id for _, image_id in placed(examples)["test"]] == ["21", "12"]
    assert skipped == {"no_gold_label": 1, "photo_held_out": 1}


def test_a_split_whose_photos_are_all_in_an_earlier_split_is_refused(tmp_path):
    place_ready(tmp_path, test=[row("12.jpg#8r1n", Flikr30kID="12"), row("14.jpg#8r1n", Flikr30kID="14")])
    message = "^2 of 2 rows of test are on photos that train and dev also has, the first photo 12: expected splits that"
    with pytest.raises(UserError, match=message):
        read_corpus(FILES, tmp_path, tmp_path)


def test_copies_of_a_photo_in_two_splits_are_counted(caplog):
    owner = {"11": "train", "12": "train", "14": "dev", "21": "test", "22": "test"}
    warn_of_copies(owner, {"11": "a", "12": "a", "14": "b", "21": "c", "22": "d", "99": "b"})
    assert not caplog.records
    warn_of_copies(owner, {"11": "a", "12": "a", "14": "b", "21": "b", "22": "a"})
    found = "photos with the same bytes as one of an earlier split: 2, the first 21 of test (the same as 14 of dev)"
    assert [record.getMessage() for record in caplog.records] == [found]


def test_half_a_character_is_refused():
    with pytest.raises(ValueError, match="surrogates not allowed"):
        parse(row("1.jpg#0r1n", text="a \udc80 dog", Flickr30K_ID="1"))


def test_a_list_may_begin_with_a_byte_order_mark_but_is_utf_8(tmp_path):
    (tmp_path / "list").write_text("\ufeff11.jpg\n12.jpg\n", encoding="utf-8")
    assert _read_list(tmp_path / "list") == ["11", "12"]
    (tmp_path / "list").write_text("11.jpg\n", encoding="utf-16")
    with pytest.raises(UserError, match=r"list is not UTF-8 text.*looks like UTF-16"):
        _read_list(tmp_path / "list")


def test_a_missing_file_says_where_to_place_it(tmp_path):
    place_ready(tmp_path)
    (tmp_path / "dev.jsonl").unlink()
    with pytest.raises(UserError, match=r"dev\.jsonl does not exist: place the file"):
        read_corpus(FILES, tmp_path, tmp_path)


# The hub


def hub_rows(place, revision=None):
    splits = {"train": "train", "dev": "validation", "test": "test"}
    return HubRows(format="hub", id=place, revision=revision, splits=splits)


COLUMNS = {
    "train": {"filename": ["11.jpg", "12.jpg"], "hypothesis": ["A dog.", "Snow."], "label": [1, 0]},
    "validation": {"filename": ["14.jpg", "14.jpg"], "hypothesis": ["A dog.", "Rain."], "label": [2, -1]},
    "test": {"filename": ["21.jpg"], "hypothesis": ["Rain."], "label": [1]},
}
NAMED = datasets.ClassLabel(names=["entailment", "neutral", "contradiction"])


@pytest.mark.parametrize("form", ["parquet", "saved"])
def test_a_data_set_with_class_labels_and_without_pair_ids(tmp_path, form):
    made = datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict({**columns, "image": [b"not read"] * len(columns["label"])}).cast_column(
                "label", NAMED
            )
            for split, columns in COLUMNS.items()
        }
    )
    if form == "saved":
        made.save_to_disk(tmp_path / "ve")
    else:
        for split, table in made.items():
            table.to_parquet(tmp_path / "ve" / f"{split}-00000-of-00001.parquet")
    examples, skipped = read_corpus(hub_rows("./ve"), tmp_path, tmp_path / "downloads")
    assert [(one.pair_id, one.image_id, one.label) for rows in examples.values() for one in rows] == [
        ("train-000001", "11", "neutral"),
        ("train-000002", "12", "entailment"),
        ("dev-000001", "14", "contradiction"),
        ("test-000001", "21", "neutral"),
    ]
    assert skipped == {"no_gold_label": 1}
    rows = hub_rows("./ve")
    rows = rows.model_copy(update={"splits": rows.splits | {"dev": "train"}})
    with pytest.raises(UserError, match="2 of 2 rows of dev are on photos that train also has, the first photo 11"):
        read_corpus(rows, tmp_path, tmp_path / "downloads")


def test_a_data_set_with_the_names_of_snli_ve(tmp_path):
    for split, name in (("train", "train"), ("dev", "validation"), ("test", "test")):
        same = [
            {"Flickr30K_ID": parse(one | {"gold_label": "neutral"}).image_id, "note": 1} | one for one in READY[split]
        ]
        write_jsonl(
            tmp_path / "ve" / f"{name}.jsonl",
            [{key: value for key, value in one.items() if key != "Flikr30kID"} for one in same],
        )
    examples, skipped = read_corpus(hub_rows(str(tmp_path / "ve")), tmp_path / "source", tmp_path / "downloads")
    again, _ = read_corpus(FILES, place_ready(tmp_path / "ready"), tmp_path)
    assert examples == again and skipped == {"no_gold_label": 1}


@pytest.mark.parametrize("place", ["./absent", "./empty"])
def test_a_data_set_that_cannot_be_loaded_is_named(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=rf"{place[2:]}, split train, cannot be loaded: ") as caught:
        read_corpus(hub_rows(place), tmp_path, tmp_path / "downloads")
    assert "\n" not in str(caught.value)


# Counts


def counts(**changes):
    made = {
        split: {"rows": wanted.rows, "images": 1, "labels": dict(wanted.labels)}
        for split, wanted in OFFICIAL_COUNTS.items()
    }
    for split, change in changes.items():
        made[split] |= change
    return made


def test_the_official_counts_add_up_and_pass(tmp_path):
    assert {split: sum(wanted.labels.values()) for split, wanted in OFFICIAL_COUNTS.items()} == {
        "train": 529_527,
        "dev": 17_858,
        "test": 17_901,
    }
    assert all(sum(wanted.labels.values()) == wanted.rows for wanted in OFFICIAL_COUNTS.values())
    check_counts(counts(), expected_counts("official", tmp_path))
    check_counts(counts(train={"rows": 3}), expected_counts("none", tmp_path))


def test_a_difference_names_the_split_and_both_numbers(tmp_path):
    found = counts(train={"rows": 529_526}, test={"labels": {"entailment": 5973, "neutral": 5963}})
    with pytest.raises(UserError) as caught:
        check_counts(found, expected_counts("official", tmp_path))
    assert str(caught.value).endswith(
        "train rows 529,526, expected 529,527; test neutral 5,963, expected 5,964; test contradiction 0, expected 5,964"
    )


def test_counts_from_a_file(tmp_path):
    (tmp_path / "counts.json").write_text('{"dev": {"images": 2, "labels": {"neutral": 5960}}}')
    with pytest.raises(UserError, match=r"expected_counts: dev images 1, expected 2$"):
        check_counts(counts(), expected_counts("counts.json", tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"source\.expected_counts: .*counts\.json does not exist: place the file there; or say"),
        ("{", r"counts\.json: .*invalid json"),
        ('{"dev": {"row": 1}}', r"counts\.json: dev\.row: extra inputs are not permitted"),
        ('{"val": {"rows": 1}}', r"source\.expected_counts: found split 'val', allowed: train, dev, test"),
    ],
)
def test_a_file_of_counts_that_makes_no_sense(tmp_path, content, message):
    if content:
        (tmp_path / "counts.json").write_text(content)
    with pytest.raises(UserError, match=message):
        check_counts(counts(), expected_counts("counts.json", tmp_path))


# Real rows


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def real_snli(test_data, tmp_path_factory):
    """SNLI as far as it is at hand, with the official lists."""
    source, text = tmp_path_factory.mktemp("snli"), test_data / "snli_text"
    (source / "snli_1.0").mkdir()
    for split, name in (
        ("train", "snli_1.0_train.sample.jsonl"),
        ("dev", "snli_1.0_dev.part.jsonl"),
        ("test", "snli_1.0_test.part.jsonl"),
    ):
        (source / "snli_1.0" / f"snli_1.0_{split}.jsonl").symlink_to(text / name)
    for name, file in (("train_val.lst", "flickr30k_train_val.lst"), ("test.lst", "flickr30k_test.lst")):
        (source / name).symlink_to(test_data / "snli_ve_real" / file)
    return source, read_corpus(snli_rows(dev_images=1000), source, source)


@pytest.mark.needs_data
def test_real_rows_are_rebuilt_from_snli(test_data, real_snli):
    folder = test_data / "snli_ve_real"
    found = {one.pair_id: one for rows in real_snli[1][0].values() for one in rows}
    sources = dict(line.split("\t")[::4] for line in (folder / "index.tsv").read_text().splitlines()[1:])
    rebuilt = {pair for pair, source in sources.items() if source in ("snli_dev", "snli_test", "snli_train_sample")}
    dash = {one["pairID"] for one in lines(folder / "snli_ve_dash_rows.jsonl")}
    compared = set()
    for split in ("train", "dev", "test"):
        for wanted in lines(folder / f"snli_ve_{split}.jsonl"):
            if wanted["pairID"] in rebuilt:
                one = found[wanted["pairID"]]
                assert (one.split, one.image_id, one.label) == (split, wanted["Flickr30K_ID"], wanted["gold_label"])
                assert one.hypothesis == wanted["sentence2"].strip()
                compared.add(one.pair_id)
    assert compared == rebuilt - dash and len(compared) > 300
    assert len(dash) == 3 and not dash & set(found)


@pytest.mark.needs_data
def test_real_rows_come_in_the_official_order(test_data, real_snli):
    """The same rules in the order in which the official generator applies them, in a few lines."""
    source, (examples, skipped) = real_snli
    pool = [one for split in ("train", "dev", "test") for one in lines(source / f"snli_1.0/snli_1.0_{split}.jsonl")]
    kept = [one for one in pool if one["gold_label"] != "-" and "vg_" not in one["pairID"]]
    by_photo = {}
    for one in kept:
        by_photo.setdefault(one["captionID"].split(".jpg#")[0], []).append(one)
    train_val, test = ((source / name).read_text().split() for name in ("train_val.lst", "test.lst"))
    for split, ids in (("train", train_val[:-1000]), ("dev", train_val[-1000:]), ("test", test)):
        wanted = [one["pairID"] for image_id in ids for one in by_photo.get(image_id, [])]
        assert wanted and [one.pair_id for one in examples[split]] == wanted
    assert skipped["no_gold_label"] == len(pool) - len(kept) == 36
    assert sum(map(len, examples.values())) + sum(skipped.values()) == len(pool) == 2351


@pytest.mark.needs_data
def test_the_tab_separated_form_holds_the_same_rows(test_data, real_snli, tmp_path):
    source, (examples, _) = real_snli
    write_lists(tmp_path, {name: (source / name).read_text().split() for name in LISTS})
    (tmp_path / "snli_1.0").mkdir()
    for split, name in (("dev", "dev"), ("test", "test")):
        (tmp_path / "snli_1.0" / f"snli_1.0_{split}.txt").symlink_to(
            test_data / f"snli_text/snli_1.0_{name}.sample.txt"
        )
    for split in ("train",):
        (tmp_path / "snli_1.0" / f"snli_1.0_{split}.jsonl").symlink_to(source / f"snli_1.0/snli_1.0_{split}.jsonl")
    known = {one.pair_id: one for rows in examples.values() for one in rows}
    with pytest.raises(UserError, match="the dev split has no labelled pair"):  # of so few rows; each is parsed before
        read_corpus(snli_rows(dev_images=1000), tmp_path, tmp_path)
    header, *rows = (line.split("\t") for line in (tmp_path / "snli_1.0/snli_1.0_dev.txt").read_text().splitlines())
    for cells in rows:
        pair = parse(dict(zip(header, cells, strict=True)))
        if not isinstance(pair, str):
            assert known[pair.pair_id].hypothesis == pair.hypothesis and known[pair.pair_id].label == pair.label


@pytest.mark.needs_data
def test_ready_made_real_rows_in_their_three_schemas(test_data, tmp_path):
    for name, place in (
        ("train.jsonl", "snli_ve_real/snli_ve_train.jsonl"),
        ("dev.jsonl", "snli_ve_real/variant_schema_sample.jsonl"),
        ("test.jsonl", "xvnli/test_first600.en.jsonl"),
    ):
        (tmp_path / name).symlink_to(test_data / place)
    ours = {wanted["pairID"] for wanted in lines(tmp_path / "train.jsonl")}
    shared = ours & {wanted["pairID"] for wanted in lines(tmp_path / "test.jsonl") + lines(tmp_path / "dev.jsonl")}
    assert shared  # the corpora overlap, and a pair must not be trained on and tested with
    with pytest.raises(
        UserError, match=r"duplicate pair id .*/train\.jsonl:\d+ and .*/(dev|test)\.jsonl:\d+, in two splits"
    ):
        read_corpus(FILES, tmp_path, tmp_path)
    (tmp_path / "train.jsonl").unlink()
    write_jsonl(
        tmp_path / "train.jsonl",
        [one for one in lines(test_data / "snli_ve_real/snli_ve_train.jsonl") if one["pairID"] not in shared],
    )
    examples, skipped = read_corpus(FILES, tmp_path, tmp_path)
    assert {split: len(rows) for split, rows in examples.items()} == {"train": 481 - len(shared), "dev": 3, "test": 594}
    assert skipped == {"no_gold_label": 6}
    assert all(one.image_id.isdigit() for rows in examples.values() for one in rows)


@pytest.mark.needs_data
def test_all_522_real_pairs_are_read(test_data):
    files = {split: f"snli_ve_{split}.jsonl" for split in ("train", "dev", "test")}
    folder = test_data / "snli_ve_real"
    examples, skipped = read_corpus(SnliVeRows(format="snli_ve", files=files), folder, folder)
    assert [len(rows) for rows in examples.values()] == [481, 17, 24] and skipped == {}
    photos = {path.stem for path in (folder / "flickr30k_images").iterdir()}
    assert {one.image_id for rows in examples.values() for one in rows} == photos and len(photos) == 170


@pytest.mark.needs_data
@pytest.mark.parametrize("language", ["ar", "en", "es", "fr", "ru"])
def test_xvnli_has_the_same_pairs_in_every_language(test_data, tmp_path, language):
    (tmp_path / "train.jsonl").symlink_to(test_data / f"xvnli/fewshot_train_48.{language}.jsonl")
    rows = lines(test_data / f"xvnli/test_first600.{language}.jsonl")
    write_jsonl(tmp_path / "dev.jsonl", rows[:300])
    write_jsonl(tmp_path / "test.jsonl", rows[300:])
    examples, skipped = read_corpus(FILES, tmp_path, tmp_path)
    assert sum(map(len, examples.values())) == 168 + 600 - 11 and skipped == {"no_gold_label": 11}
