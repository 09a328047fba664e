"""Every kind of value that makes no sense is refused in one line: file, key, what was found, what is allowed."""

import copy
import json
import re
from functools import cache

import pytest
from pydantic import ValidationError

from clseave.foundation.errors import UserError
from clseave.foundation.settings import params, schema
from clseave.foundation.settings.messages import settings_fault
from settings import SETTINGS, committed
from views import view

DELETE = object()
read_yaml = cache(params.read_yaml)


@pytest.fixture
def files(tmp_path):
    """Copies of the tests' files as JSON, which is YAML, with changes at dotted keys."""
    values = read_yaml(SETTINGS / "params.yaml")
    profile = read_yaml(SETTINGS / "profiles" / "mini.yaml")

    def write(changes=None):
        both = {"params": copy.deepcopy(values), "profile": copy.deepcopy(profile)}
        for key, value in (changes or {}).items():
            *path, last = key.split("/")
            here = both
            for part in path:
                here = here[int(part) if part.isdigit() else part]
            last = int(last) if last.isdigit() else last
            if value is DELETE:
                del here[last]
            else:
                here[last] = value
        (tmp_path / "profiles").mkdir(exist_ok=True)
        for name, content in zip(("params.yaml", "profiles/mini.yaml"), both.values(), strict=True):
            text = json.dumps(content).replace("NaN", ".nan").replace("Infinity", ".inf")  # as YAML spells them
            (tmp_path / name).write_text(text)
        return tmp_path / "params.yaml", tmp_path / "profiles"

    return write


def complaint(files, changes):
    with pytest.raises(UserError) as caught:
        params.check(*files(changes))
    message = str(caught.value)
    assert "\n" not in message and "errors.pydantic.dev" not in message
    return message


def test_the_values_pass(files):
    values, profile = params.check(*files())
    assert (values.profile, values.lr, profile.source.kinds_per_image) == ("mini", 1e-4, 3)


@pytest.fixture
def thesis(tmp_path):
    """`check` on profile `thesis` with one value changed."""

    def run(path=(), value=None):
        values = read_yaml(SETTINGS / "params.yaml") | {"profile": "thesis"}
        profile = copy.deepcopy(read_yaml(SETTINGS / "profiles" / "thesis.yaml"))
        here = profile
        for key in path[:-1]:
            here = here[key]
        if path:
            here[path[-1]] = value
        (tmp_path / "profiles").mkdir(exist_ok=True)
        (tmp_path / "params.yaml").write_text(json.dumps(values))
        (tmp_path / "profiles" / "thesis.yaml").write_text(json.dumps(profile))
        return params.check(tmp_path / "params.yaml", tmp_path / "profiles")

    return run


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        (("source", "rows", "format"), "csv", "source.rows.format: found 'csv', allowed: snli, snli_ve, table, hub"),
        (("source", "rows", "dev_images"), 0, "source.rows.dev_images: found 0"),
        (("source", "rows", "sha256"), "abc", "source.rows.sha256: found 'abc'"),
        (("source", "rows", "test", "url"), 7, "source.rows.test.url: found 7"),
        (("source", "rows"), {"format": "snli_ve", "files": {"train": "a"}}, "source.rows.files: found train,"),
        (("backbones", "clip", "revision"), "main", "backbones.clip.revision: found 'main'"),
        (("backbones", "clip", "revision"), None, "backbones.clip.revision: found none, allowed: the 40 hex digits"),
        (("translate",), {"backend": "gold"}, "translate.backend: found 'gold', allowed with source.kind photos"),
        (("align_words", "segmenters", "ja"), "gold", "align_words.segmenters: found 'gold', allowed with"),
        (("source", "rows"), {"format": "hub", "id": "a/b", "revision": None,
                               "splits": {"train": "t", "dev": "d", "test": "e"}}, "source.rows.revision: found none"),
        (("source", "rows"), {"format": "hub", "id": "./a", "revision": None,
                               "splits": {"train": "t", "dev": "t", "test": "e"}},
         "source.rows.splits: found 't' for two splits, allowed: another one for each split"),
        (("source", "rows"), {"format": "snli_ve", "files": {"train": "a", "dev": "b", "test": "a"}},
         "source.rows.files: found 'a' for two splits"),
        (("clip_ve", "keep"), "first", "clip_ve.keep: found 'first'"),
        (("translate", "back"), "no", "translate.back: found 'no'"),
        (("source", "independent_held_out"), True, "source.expected_counts: found 'official', allowed with"),
    ],
)  # fmt: skip
def test_a_bad_value_of_the_thesis_profile_is_named(thesis, path, value, part):
    with pytest.raises(UserError) as caught:
        thesis(path, value)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_the_thesis_profile_takes_languages_that_the_grammar_does_not_know(thesis, tmp_path):
    _, profile = thesis()
    assert profile.source.rows.dev_images == 1000 and profile.clseave.lr_scale == 1.0
    text = (tmp_path / "params.yaml").read_text().replace('"languages": ["de"', '"languages": ["fr", "de"')
    (tmp_path / "params.yaml").write_text(text)
    assert params.check(tmp_path / "params.yaml", tmp_path / "profiles")[0].languages[0] == "fr"


def test_a_language_that_the_grammar_cannot_say_needs_another_segmenter(files):
    changes = {
        "params/languages": ["de", "xx"],
        "profile/translate": {"backend": "files", "folder": "mt", "corrections": None},
    }
    message = complaint(files, changes)
    assert "mini.yaml: align_words.segmenters: found 'gold' for the language 'xx' of" in message
    assert "allowed with gold: de, ja, ko, nl, zh; others: bert, whitespace, jieba, fugashi" in message
    assert params.check(*files(changes | {"profile/align_words/segmenters": {"default": "gold", "xx": "bert"}}))
    assert "found 'gold' for the language 'xx'" in complaint(
        files, changes | {"profile/align_words/segmenters": {"default": "bert", "xx": "gold"}}
    )


def test_a_local_folder_needs_no_revision(thesis):
    folder = {"id": "./clip", "revision": None, "weights": "safetensors"}
    assert thesis(("backbones", "clip"), folder)[1].backbones.clip.id == "./clip"


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "of the tests"])
@pytest.mark.parametrize("profile", ["mini", "tiny", "thesis"])
def test_every_profile_validates(tmp_path, profile, shipped):
    (tmp_path / "profiles").mkdir()
    for name in ("params.yaml", f"profiles/{profile}.yaml"):
        text = committed(name) if shipped else (SETTINGS / name).read_text()
        (tmp_path / name).write_text(re.sub(r"(?m)^profile: \w+$", f"profile: {profile}", text))
    assert params.check(tmp_path / "params.yaml", tmp_path / "profiles")[0].profile == profile


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        # Wrong types.
        ("params/lr", "fast", ["params.yaml: lr:", "found 'fast'", "a valid number"]),
        ("params/lr", "1e-4", ["params.yaml: lr:", "found '1e-4'", "a valid number"]),
        ("params/lr", True, ["params.yaml: lr:", "found True", "a valid number"]),
        ("params/lr", None, ["params.yaml: lr:", "found None"]),
        ("params/launcher", 4, ["params.yaml: launcher:", "found 4", "a valid string"]),
        ("params/launcher", "torchrun", ["params.yaml: launcher:", "found 'torchrun'", "python, or torchrun and its"]),
        ("params/launcher", "python; true", ["params.yaml: launcher:", "found 'python; true'", "--nproc-per-node 4"]),
        ("params/seeds", [True], ["params.yaml: seeds.0:", "found True", "a valid integer"]),
        ("params/seeds", [0.5], ["params.yaml: seeds.0:", "found 0.5", "a valid integer"]),
        ("params/seeds", ["0"], ["params.yaml: seeds.0:", "found '0'", "a valid integer"]),
        ("params/seeds", 0, ["params.yaml: seeds:", "found 0", "a valid list"]),
        ("params/languages", "de", ["params.yaml: languages:", "found 'de'", "a valid list"]),
        ("params/profile", 3, ["params.yaml: profile:", "found 3", "a valid string"]),
        ("profile/clip_ve/epochs", True, ["mini.yaml: clip_ve.epochs:", "found True", "a valid integer"]),
        ("profile/clip_ve/epochs", 2.0, ["mini.yaml: clip_ve.epochs:", "found 2.0", "a valid integer"]),
        ("profile/source/images/train", "many", ["mini.yaml: source.images.train:", "found 'many'", "a valid integer"]),
        ("profile/backbones/clip/text/width", "96", ["mini.yaml: backbones.clip.text.width:", "found '96'"]),
        ("profile/clip_ve", 3, ["mini.yaml: clip_ve:", "found 3"]),
        # Out of bounds.
        ("params/lr", 0, ["params.yaml: lr:", "found 0", "greater than 0"]),
        ("params/lr", 1.0, ["params.yaml: lr:", "found 1.0", "less than 1"]),
        ("params/seeds", [-1], ["params.yaml: seeds.0:", "found -1", "greater than or equal to 0"]),
        ("params/seeds", [], ["params.yaml: seeds:", "found []", "at least 1"]),
        ("params/languages", [], ["params.yaml: languages:", "found []", "at least 1"]),
        ("params/evaluations", [], ["params.yaml: evaluations:", "found []", "at least 1"]),
        ("profile/clseave/dropout", 1.5, ["mini.yaml: clseave.dropout:", "found 1.5", "less than or equal to 1"]),
        ("profile/clseave/lr_scale", 0, ["mini.yaml: clseave.lr_scale:", "found 0", "greater than 0"]),
        ("profile/clip_ve/epochs", 0, ["mini.yaml: clip_ve.epochs:", "found 0", "greater than 0"]),
        (
            "profile/source/kinds_per_image",
            7,
            ["mini.yaml: source.kinds_per_image:", "found 7", "less than or equal to 5"],
        ),
        ("profile/source/noise", 61, ["mini.yaml: source.noise:", "found 61", "less than or equal to 60"]),
        ("profile/source/content_shares/dev", -0.1, ["mini.yaml: source.content_shares.dev:", "found -0.1"]),
        # Unknown names.
        ("params/profile", "huge", ["params.yaml: profile:", "found 'huge'", "allowed: mini"]),
        ("params/profile", "../mini", ["params.yaml: profile:", "found '../mini'"]),
        (
            "params/languages",
            ["de", "xx"],
            ["params.yaml: languages.1:", "found 'xx'", "allowed with", "mini.yaml: de, ja, ko, nl, zh"],
        ),
        ("params/languages", ["en", "de"], ["params.yaml: languages.0:", "found 'en'"]),
        ("params/ve_models", ["clip"], ["params.yaml: ve_models.0:", "found 'clip'", "'clip_ve'"]),
        ("profile/sampler", "sorted", ["mini.yaml: sampler:", "found 'sorted'", "'bucket' or 'random'"]),
        ("profile/translate", "google", ["mini.yaml: translate:", "found 'google'", "a valid dictionary"]),
        ("profile/translate/backend", "bing", ["translate.backend: found 'bing', allowed: gold, google, nmt, files"]),
        ("profile/translate/threads", 4, ["translate.threads: unknown key; allowed keys: backend"]),
        ("profile/translate", {"backend": "files", "folder": "x"}, ["translate.corrections: missing; expected keys"]),
        ("profile/source/kind", DELETE, ["source.kind: found None, allowed: scenes, photos"]),
        ("profile/source/seed", "x", ["mini.yaml: source.seed: found 'x'"]),
        ("profile/device", "gpu", ["mini.yaml: device: found 'gpu'", "'cpu', 'cuda' or 'auto'"]),
        ("profile/align_words/segmenters", {"default": "x"}, ["align_words.segmenters.default: found 'x'"]),
        ("profile/align_words/segmenters", {"ja": "gold"}, ["align_words.segmenters: no `default`"]),
        ("profile/clseave/stop_after", 0, ["clseave.stop_after: found 0", "greater than 0"]),
        (
            "profile/clip_ve/schedule",
            "cosine",
            ["mini.yaml: clip_ve.schedule:", "found 'cosine'", "'constant' or 'linear'"],
        ),
        (
            "profile/clseave/pooling",
            "max",
            ["mini.yaml: clseave.pooling:", "found 'max'", "'sep', 'cls', 'mean' or 'highest'"],
        ),
        ("params/evaluations/0/text_encoder", "clip", ["params.yaml: evaluations.0.text_encoder:", "found 'clip'"]),
        (
            "params/evaluations/0/examples",
            "train",
            ["params.yaml: evaluations.0.examples:", "found 'train'", "'test' or 'independent'"],
        ),
        ("params/evaluations/0/name", "My name", ["params.yaml: evaluations.0.name:", "found 'My name'"]),
        # Unknown keys.
        (
            "params/learning_rate",
            1,
            ["params.yaml: learning_rate:", "unknown key", "allowed keys: profile, lr, languages"],
        ),
        ("profile/clseave/momentum", 1, ["mini.yaml: clseave.momentum:", "unknown key", "lr_scale, loss, temperature"]),
        (
            "profile/backbones/clip/text/depth",
            1,
            ["mini.yaml: backbones.clip.text.depth:", "unknown key", "layers, width, heads"],
        ),
        ("profile/source/images/validation", 9, ["mini.yaml: source.images", "validation", "train, dev and test"]),
        (
            "params/evaluations/0/colour",
            1,
            ["params.yaml: evaluations.0.colour:", "unknown key", "name, text_encoder, head"],
        ),
        # Missing keys.
        ("params/seeds", DELETE, ["params.yaml: seeds: missing", "profile, lr, languages, seeds"]),
        ("profile/clip_ve/epochs", DELETE, ["mini.yaml: clip_ve.epochs: missing", "epochs, patience"]),
        (
            "profile/source/images/dev",
            DELETE,
            ["mini.yaml: source.images:", "found train, test", "train, dev and test"],
        ),
        ("params/evaluations/1/head", DELETE, ["params.yaml: evaluations.1.head: missing"]),
        # Values that do not fit each other.
        ("params/languages", ["de", "de"], ["params.yaml: languages:", "found 'de' twice", "each value once"]),
        ("params/seeds", [1, 0, 1], ["params.yaml: seeds:", "found 1 twice", "each value once"]),
        ("params/evaluations/1/name", "en", ["params.yaml: evaluations.1.name:", "found 'en' twice"]),
        ("params/evaluations/1/name", "ko", ["params.yaml: evaluations.1.name:", "found 'ko' twice"]),
        (
            "params/ve_models",
            ["clip_ve", "image_only"],
            ["params.yaml: evaluations.8.text_encoder:", "found 'hypothesis_only'"],
        ),
        ("params/baselines", [], ["params.yaml: evaluations.5.text_encoder:", "found 'translate_train'", "clteave"]),
        ("params/baselines/1/name", "majority", ["params.yaml: baselines.1.name:", "found 'majority' twice"]),
        ("params/baselines/1/name", "clip_ve", ["params.yaml: baselines.1.name:", "found 'clip_ve' twice"]),
        ("params/baselines/1/name", "clseave", ["params.yaml: baselines.1.name:", "found 'clseave' twice"]),
        (
            "params/baselines/1/kind",
            "bert",
            ["params.yaml: baselines.1.kind:", "found 'bert'", "'clip_score' or 'mbert'"],
        ),
        (
            "params/baselines/1/hypotheses",
            "translated",
            ["params.yaml: baselines.1.hypotheses:", "found 'translated'", "allowed with kind clip_score: english"],
        ),
        (
            "params/evaluations/1/text_encoder",
            "majority",
            [
                "params.yaml: evaluations.1.text_encoder:",
                "found 'majority'",
                "allowed: clip_score, clip_ve, clseave/de",
            ],
        ),
        ("params/evaluations/1/hypotheses", "de", ["evaluations.1.hypotheses:", "found 'de'", "'back_translated'"]),
        (
            "params/evaluations/1/name",
            "independent_en",
            ["params.yaml: evaluations.1.name:", "allowed with examples test"],
        ),
        ("params/evaluations/11/name", "independent_ko", ["evaluations.11.name:", "found 'independent_ko' twice"]),
        ("params/evaluations/11/name", "xvnli", ["evaluations.11.name:", "found 'xvnli'", "begin with independent_"]),
        (
            "params/evaluations/11/hypotheses",
            "back_translated",
            ["params.yaml: evaluations.11.hypotheses:", "allowed with examples independent: english, translated"],
        ),
        ("params/evaluations/0/hypotheses", "translated", ["params.yaml: evaluations: no entry `en` of clip_ve on"]),
        ("profile/mbert_ve", DELETE, ["mini.yaml: mbert_ve: missing"]),
        ("profile/source/independent_images", -1, ["mini.yaml: source.independent_images:", "found -1"]),
        (
            "profile/source/content_shares/dev",
            0.3,
            ["mini.yaml: source.content_shares:", "found a sum of 1.2", "allowed: 1"],
        ),
        ("profile/source/held_out/dev", {"place": 1}, ["mini.yaml: source.held_out.dev:", "found place", "each once"]),
        ("profile/source/held_out/train", {"place": 1}, ["mini.yaml: source.held_out.train", "found 'train'"]),
        ("profile/source/held_out/test/count", 0, ["mini.yaml: source.held_out.test.count:", "found 0"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_value_is_named(files, key, value, parts):
    message = complaint(files, {key: value})
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("model", ["clseave/ko", "clseave/zh"])
def test_an_evaluation_must_not_name_a_model_that_is_not_trained(files, model):
    changes = {"params/languages": ["de", "ja"], "params/evaluations/0/text_encoder": model}
    assert f"evaluations.0.text_encoder: found '{model}', allowed: " in complaint(files, changes)


@pytest.mark.parametrize("languages", [["ja"], ["zh", "de"]])
def test_the_languages_change_by_that_line_alone(files, languages):
    assert params.check(*files({"params/languages": languages}))[0].languages == languages


def test_further_faults_are_counted(files):
    assert complaint(files, {"params/lr": "fast", "params/seeds": []}).endswith("(and 1 more fault)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["params/lr", "profile/clip_ve/dropout", "profile/clseave/lr_scale"])
def test_a_number_that_is_not_finite_is_refused(files, key, value):
    assert key.split("/")[-1] in complaint(files, {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("profile/backbones/clip/text/heads", 5),  # of a width of 96
        ("profile/backbones/mbert/tower/heads", 5),
        ("profile/backbones/clip/steps", 50),  # a row of the curve is 100 steps: none would be trained
        ("profile/backbones/mbert/steps", 150),  # 50 of them would not be run
        ("profile/backbones/clip/vocabulary", 513),  # a byte-level vocabulary has 514 entries before any merge
        (
            "profile/backbones/clip/projection",
            64,
        ),  # CLTEAVE's direct assembly gives vectors as wide as the text tower, 96
        ("profile/align_words/layer", 4),  # of 3
    ],
)
def test_shapes_that_cannot_be_built_are_refused_before_any_work(files, key, value):
    assert ".".join(key.split("/")[1:]) in complaint(files, {key: value})


def test_the_rate_that_dvc_writes_is_a_number(tmp_path):
    # `dvc exp run -S lr=4e-5` writes 4e-05, which YAML 1.1 reads as text.
    text = (SETTINGS / "params.yaml").read_text().replace("lr: 1.0e-4", "lr: 4e-05")
    assert "lr: 4e-05\n" in text
    (tmp_path / "params.yaml").write_text(text)
    values, _ = params.check(tmp_path / "params.yaml", SETTINGS / "profiles")
    assert values.lr == 4e-05
    assert params.load(tmp_path / "params.yaml", SETTINGS / "profiles" / "mini.yaml", view("lr")).lr == 4e-05


def test_a_whole_number_is_a_number(files):
    assert params.check(*files({"profile/clseave/lr_scale": 10}))[1].clseave.lr_scale == 10.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: [1", "not YAML"),
        ("lr: 1\nlr: 2\n", "not YAML"),
        ("- a\n", "expected keys and values, found"),
        ("", "expected keys and values, found NoneType"),
        ("a: \xff", "params.yaml"),
    ],
)
def test_what_is_no_mapping_is_named_in_one_line(tmp_path, text, message):
    (tmp_path / "params.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=message) as caught:
        params.check(tmp_path / "params.yaml", SETTINGS / "profiles")
    assert "\n" not in str(caught.value) and "params.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"params\.yaml: no such file"):
        params.check(tmp_path / "params.yaml", tmp_path)


def test_a_missing_profile_lists_those_there_are(files):
    path, folder = files()
    with pytest.raises(UserError, match=r"huge\.yaml: no such file; profiles are mini"):
        params.load(path, folder / "huge.yaml", view("sampler"))


def test_a_stage_gets_the_keys_it_names_and_no_other(files):
    path, folder = files()
    values = params.load(path, folder / "mini.yaml", view("lr", "sampler", "clseave"))
    assert set(vars(values)) == {"lr", "sampler", "clseave"} and values.clseave.pooling == "sep"
    with pytest.raises(ValueError, match="frozen"):
        values.lr = 1.0


@pytest.mark.parametrize(
    ("key", "value", "keys"),
    [
        ("params/lr", "fast", ("lr",)),
        ("params/lr", 1.0, ("lr",)),
        ("params/languages", [], ("languages",)),
        ("profile/clseave/dropout", 2.0, ("clseave",)),
        ("profile/clseave/colour", 1, ("clseave",)),
        ("profile/encode_batch", True, ("encode_batch",)),
        ("profile/backbones/clip/text/width", DELETE, ("backbones",)),
    ],
)
def test_a_stage_says_of_its_own_keys_what_check_says(files, key, value, keys):
    path, folder = files({key: value})
    with pytest.raises(UserError) as caught:
        params.load(path, folder / "mini.yaml", view(*keys))
    assert str(caught.value) == complaint(files, {key: value})


def test_a_stage_does_not_mind_what_it_does_not_read(files):
    path, folder = files({"params/lr": "fast", "profile/source": DELETE})
    assert params.load(path, folder / "mini.yaml", view("seeds", "sampler")).seeds == [0]


def test_a_key_that_a_stage_reads_and_the_file_lacks_is_named(files):
    path, folder = files({"profile/sampler": DELETE})
    with pytest.raises(UserError, match=r"mini\.yaml: sampler: missing"):
        params.load(path, folder / "mini.yaml", view("sampler"))


def test_values_cannot_be_changed(files):
    values, profile = params.check(*files())
    with pytest.raises(ValueError, match="frozen"):
        values.lr = 1.0
    with pytest.raises(ValueError, match="frozen"):
        profile.clseave.epochs = 1


def test_english_must_be_evaluated_as_all_others_are_compared_to_it(files):
    assert "no entry `en` of clip_ve on en" in complaint(files, {"params/evaluations/0/name": "english"})


def test_a_missing_params_file_does_not_speak_of_profiles(tmp_path):
    with pytest.raises(UserError) as error:
        params.read_yaml(tmp_path / "params.yaml")
    assert str(error.value) == f"{tmp_path / 'params.yaml'}: no such file"


@pytest.mark.parametrize(
    ("where", "wrong", "right"),
    [
        ("params/lr", "lrr", "lr"),
        ("params/lr", "LR", "lr"),
        ("params/evaluations/3/head", "hed", "head"),
        ("params/baselines/0/kind", "kinds", "kind"),
        ("profile/clip_ve", "clipve", "clip_ve"),
        ("profile/clip_ve/epochs", "epocs", "epochs"),
        ("profile/clip_ve/batch_size", "batchsize", "batch_size"),
        ("profile/source/kinds_per_image", "kind_per_image", "kinds_per_image"),
        ("profile/source/kind", "kindd", "kind"),
        ("profile/translate/backend", "backends", "backend"),
        ("profile/backbones/clip/text/width", "widht", "width"),
    ],
)
def test_a_misspelt_key_is_one_fault_and_names_the_nearest(files, where, wrong, right):
    path, profiles = files()
    path = path if where.startswith("params") else profiles / "mini.yaml"
    content = json.loads(path.read_text())
    here = content
    *groups, last = where.split("/")[1:]
    for group in groups:
        here = here[int(group) if group.isdigit() else group]
    here[wrong] = here.pop(last)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        params.check(profiles.parent / "params.yaml", profiles)
    key = ".".join([*groups, wrong])
    assert str(caught.value).startswith(f"{path}: {key}: unknown key; did you mean {right}?; allowed keys: ")
    assert "more fault" not in str(caught.value)


def test_an_unknown_key_comes_before_other_faults_and_each_fault_counts_once(files):
    changes = {"params/seeds": [-1, -2], "params/lr": DELETE, "params/lrr": 1, "params/nonsense": 1}
    message = complaint(files, changes)
    assert "params.yaml: lrr: unknown key; did you mean lr?" in message
    assert message.endswith("(and 3 more faults)"), "nonsense and two seeds; the missing lr is the unknown lrr"


def test_an_unknown_key_like_no_other_has_no_suggestion(files):
    assert "zzz: unknown key; allowed keys: profile, lr," in complaint(files, {"params/zzz": 1})
    assert "7: unknown key; allowed keys: profile, lr," in complaint(files, {"params/7": 1})


def test_a_stage_names_the_misspelt_key_too(files):
    path, profiles = files({"params/lr": DELETE, "params/lrr": 1})
    with pytest.raises(UserError, match=r"params.yaml: lrr: unknown key; did you mean lr\?; allowed keys: profile, lr"):
        params.load(path, profiles / "mini.yaml", view("lr"))
    path, profiles = files({"params/lr": DELETE, "params/nonsense": 1})
    with pytest.raises(UserError, match=r"params.yaml: lr: missing; allowed keys: profile, lr"):
        params.load(path, profiles / "mini.yaml", view("lr"))


@pytest.mark.parametrize(
    ("where", "value", "meant"),
    [
        ("params/profile", "mni", "mini"),
        ("params/evaluations/0/head", "clip_v", "clip_ve"),
        ("params/evaluations/0/hypotheses", "englsh", "english"),
        ("params/ve_models/0", "clip-ve", "clip_ve"),
        ("profile/translate/backend", "Google", "google"),
        ("profile/source/kind", "photo", "photos"),
        ("profile/clip_ve/keep", "bst", "best"),
    ],
)
def test_a_misspelt_word_names_the_nearest_that_is_allowed(files, where, value, meant):
    message = complaint(files, {where: value})
    assert f"found {value!r}, allowed: " in message and message.endswith(f"; did you mean {meant}?"), message


def test_a_key_that_must_be_quoted_says_so():
    columns = {"image": "photo", "hypothesis": "text", "label": "label", "id": None}
    with pytest.raises(ValidationError) as raised:
        schema.TableRows(format="table", files={"train": "a.csv"}, columns=columns, labels={2: "entailment"})
    message = settings_fault("own.yaml", schema.TableRows, raised.value)
    assert 'labels.2: found the key 2, allowed: text; write it in quotes, "2"' in message
