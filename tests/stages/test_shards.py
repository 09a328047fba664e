"""Stages done in shares: whatever ran before, in whatever order, the stage then ends with the bytes of a plain run."""

import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import test_translate_back as back
from deep_translator import constants
from filelock import FileLock
from test_align_words import CAPTIONS, mbert, translations  # noqa: F401  (a fixture)
from test_align_words import run as align
from test_encode_images import World
from test_translate import arguments, google, start, texts, wait_for
from tiny_translators import ENGLISH, save_m2m100

from clseave.foundation.errors import UserError
from clseave.foundation.process import shards
from clseave.foundation.process.shards import Shard
from clseave.stages import align_words, encode_images, translate, translate_back
from clseave.translation import seq2seq
from clseave.translation.answers import Answers
from clseave.translation.seq2seq import NmtBackend
from clseave.word_alignment.aligner import WordAligner
from translate_server import Service, said, serving

pytestmark = pytest.mark.slow  # several processes at once

ROOT = Path(__file__).resolve().parents[2]


def bytes_of(*paths: Path) -> dict[str, bytes]:
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.iterdir()))]
    return {file.name: file.read_bytes() for file in files}


# What a shard is


@pytest.mark.parametrize(
    "text", ["3/2", "0/0", "0/2", "x", "", "1", "1/", "/2", "-1/2", "1/2/3", "1/10001", " 1/2", "१/२"]
)
def test_a_wrong_shard_is_one_clear_line(text):
    with pytest.raises(UserError, match=r"^--shard: found '.*', expected I/N, the I-th of N shards with I from 1 to N"):
        shards.parse(text)


def test_each_part_belongs_to_one_shard():
    assert shards.parse("2/3") == Shard(2, 3) and str(Shard(2, 3)) == "2/3"
    shares = [shards.share("abcdefg", Shard(number, 3)) for number in (1, 2, 3)]
    assert shares == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert shards.share("ab", None) == ["a", "b"] and shards.share("ab", Shard(3, 3)) == []


@pytest.mark.parametrize("stage", [encode_images, translate, translate_back, align_words])
def test_a_stage_says_so_before_it_asks_for_anything_else(stage):
    with pytest.raises(UserError, match="--shard: found '3/2', expected I/N"):
        stage.main(["--shard", "3/2"])


def test_the_program_says_it_in_one_line():
    command = [sys.executable, str(ROOT / "src/run.py"), "translate", "--shard", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --shard: found 'x', expected I/N")


# Images


def encode(world: World, *shard: str) -> dict[str, bytes]:
    encode_images.main([*world.arguments(), *(word for one in shard for word in ("--shard", one))])
    return {} if shard else bytes_of(world.folder / "out")


@pytest.fixture
def world(tmp_path, repo_root) -> World:
    return World(tmp_path, repo_root, count=18)  # five batches of four or fewer


@pytest.fixture
def plain(world) -> dict[str, bytes]:
    encode_images.main(world.arguments(out=world.folder / "plain"))
    return bytes_of(world.folder / "plain")


@pytest.mark.parametrize("order", [["1/3", "2/3", "3/3"], ["3/3", "1/3", "3/3", "2/3"], ["2/3"], ["1/2", "3/3"]])
def test_images_of_shards_in_any_order_and_of_none(world, plain, order, caplog):
    for one in order:
        encode(world, one)
        assert not (world.folder / "out").exists()
    done = {index for one in order for index in range(5) if shards.parse(one).has(index)}
    with caplog.at_level(logging.INFO):
        assert encode(world) == plain
    assert f"{len(done)} of 5 batches are there" in caplog.text
    assert list((world.folder / "checkpoints").iterdir()) == []


def test_images_that_shards_read_are_not_read_again(world, plain):
    for one in ("2/2", "1/2"):
        encode(world, one)
    shutil.rmtree(world.photos)
    assert encode(world) == plain


def test_images_of_shards_on_two_machines_whose_folders_are_put_together(world, plain):
    for one in ("1/2", "2/2"):
        encode_images.main([*world.arguments(checkpoints=world.folder / one[0]), "--shard", one])
        shutil.copytree(world.folder / one[0], world.folder / "checkpoints", dirs_exist_ok=True)
    shutil.rmtree(world.photos)
    assert encode(world) == plain


def test_images_of_shards_at_once_and_one_killed(tmp_path, repo_root):
    world = World(tmp_path, repo_root, count=160)
    encode_images.main(world.arguments(out=world.folder / "plain"))
    begin = [sys.executable, str(repo_root / "src/run.py"), "encode_images", *world.arguments(), "--shard"]
    running = [subprocess.Popen([*begin, one], stderr=subprocess.PIPE, text=True) for one in ("1/2", "2/2")]
    wait_for(lambda: len(world.parts()) >= 2 or any(one.poll() is not None for one in running), 60)
    running[0].send_signal(signal.SIGKILL)
    assert running[0].wait(60) == -signal.SIGKILL, "it had ended before"
    assert running[1].wait(60) == 0
    for one in running:
        one.communicate()
    assert 20 <= len(world.parts()) < 40
    encode(world, "1/2")
    assert len(world.parts()) == 40
    shutil.rmtree(world.photos)
    assert encode(world) == bytes_of(world.folder / "plain")


def test_a_shard_that_is_at_work_is_not_started_twice_nor_overtaken(world, plain):
    encode(world, "1/2")
    lock = world.folder / "checkpoints" / "shard-1-of-2.lock"
    with FileLock(lock, timeout=0):
        for other in (["1/2"], []):
            with pytest.raises(UserError, match=r"shard-1-of-2\.lock: this shard is at work: wait for its end"):
                encode(world, *other)
        encode(world, "2/2")  # another one may
    assert encode(world) == plain


def test_broken_images_of_a_shard_are_told_by_the_stage(world):
    (world.photos / f"{world.ids[0]}.jpg").write_bytes(b"no photo")
    world.list()
    encode(world, "1/2")
    with pytest.raises(UserError, match="1 of 18 images are broken"):
        encode(world)


# Words


@pytest.fixture
def chunked(monkeypatch):
    """Chunks of three sentences, and the sizes of those that were aligned."""
    sizes, one = [], WordAligner.align
    monkeypatch.setattr(align_words, "CHUNK", 3)

    def counted(self, sources, targets, advance):
        sizes.append(len(sources))
        return one(self, sources, targets, advance)

    monkeypatch.setattr(WordAligner, "align", counted)
    return sizes


def sentences() -> list:
    pairs = [
        (f"{number} {en} {'very ' * 20 * (number % 3)}", text) for number in range(7) for en, text in CAPTIONS["de"]
    ]
    return translations(pairs, "de")  # fourteen: five chunks, some texts too long


def align_share(folder: Path, words, shard: str) -> None:
    files = ("translations", "in.jsonl"), ("out", "out.jsonl"), ("metrics", "metrics.json"), ("profile", "profile.yaml")
    named = [
        part for name, file in (*files, ("checkpoints", "checkpoints")) for part in (f"--{name}", str(folder / file))
    ]
    align_words.main([*named, "--params", "none", "--mbert", str(words), "--language", "de", "--shard", shard])


@pytest.mark.parametrize("order", [["2/2", "1/2"], ["3/3", "1/3"]])
def test_words_of_shards_in_any_order_and_one_missing(tmp_path, mbert, chunked, caplog, order):  # noqa: F811
    for name in ("plain", "shared"):
        (tmp_path / name).mkdir()
    wanted = align(tmp_path / "plain", "de", sentences(), mbert)
    warning, files = caplog.messages[-1], ("out.jsonl", "metrics.json")
    assert "sentences are longer" in warning
    for file in ("in.jsonl", "profile.yaml"):
        shutil.copy(tmp_path / "plain" / file, tmp_path / "shared")
    chunked.clear()
    for one in order:
        align_share(tmp_path / "shared", mbert, one)
    assert not any((tmp_path / "shared" / file).exists() for file in files)
    done = len(chunked)
    assert done == sum(shards.parse(one).has(number) for one in order for number in range(5))
    assert align(tmp_path / "shared", "de", sentences(), mbert) == wanted and caplog.messages[-1] == warning
    assert len(chunked) == 5, "the stage did what no shard had done, and nothing else"
    assert bytes_of(*(tmp_path / "shared" / file for file in files)) == bytes_of(
        *(tmp_path / "plain" / file for file in files)
    )
    assert not (tmp_path / "shared" / "checkpoints").exists()


def test_words_of_a_shard_leave_what_others_keep_and_write(tmp_path, mbert, chunked):  # noqa: F811
    wanted = align(tmp_path, "de", sentences(), mbert)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    others = [
        folder / "0123456789abcdef-000000001.pt",
        folder / ".feed-000000002.pt.77.tmp",
    ]  # of another key; being written
    for path in others:
        path.write_text("x")
    align_share(tmp_path, mbert, "1/2")
    assert all(path.exists() for path in others)
    assert align(tmp_path, "de", sentences(), mbert) == wanted and not folder.exists()


# Translation


def lines(service: Service) -> list[str]:
    return sorted(line for text in service.texts for line in text.split("\n"))


def test_translations_of_shards_at_once_one_killed_and_one_missing(tmp_path):
    english, slow = texts(120), threading.Event()
    with serving(Service(delay_s=lambda number: 0.0 if slow.is_set() else 0.04), tls=tmp_path) as service:
        words = arguments(tmp_path, google(characters=100, threads=1), english)
        running = [start(tmp_path, [*words, "--shard", one], service) for one in ("1/3", "2/3")]
        wait_for(lambda: len(service.answered) >= 12 or any(one.poll() is not None for one in running), 60)
        running[0].send_signal(signal.SIGKILL)
        slow.set()
        assert running[1].wait(60) == 0, running[1].communicate()
        for one in running:
            one.communicate()
        asked = len(lines(service))
        assert 40 < asked < 80, "the first had ended before"
        again = start(tmp_path, [*words, "--shard", "1/3"], service)
        assert again.wait(60) == 0, again.communicate()
        again.communicate()
        in_flight = len(lines(service)) - 80
        assert 0 <= in_flight <= 4, "more than the request in flight was asked again"
        assert set(lines(service)) == set(english[0::3] + english[1::3]) and not (tmp_path / "de.jsonl").exists()
        before = len(lines(service))
        stage = start(tmp_path, words, service)
        assert stage.wait(60) == 0, stage.communicate()
        stage.communicate()
        assert len(lines(service)) - before == 40, "the stage asks for the missing share only"
        plain = tmp_path / "plain"
        plain.mkdir()
        (plain / "ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
        whole = start(plain, arguments(plain, google(), english), service)
        assert whole.wait(60) == 0, whole.communicate()
        whole.communicate()
    assert (tmp_path / "de.jsonl").read_bytes() == (plain / "de.jsonl").read_bytes()


def test_a_stage_does_not_overtake_a_shard_that_translates(tmp_path):
    key = ("google", "1", "de")
    with Answers(tmp_path, *key, shard=Shard(1, 2)), Answers(tmp_path, *key, shard=Shard(2, 2)):
        for shard in (None, Shard(1, 2)):
            with pytest.raises(UserError, match=r"shard-1-of-2\.jsonl: another run is using it"):
                Answers(tmp_path, *key, shard=shard).__enter__()


def test_another_number_of_shards_finds_what_the_first_left(tmp_path, monkeypatch):
    with serving(Service()) as service:
        monkeypatch.setitem(constants.BASE_URLS, "GOOGLE_TRANSLATE", service.url)
        words = arguments(tmp_path, google(), texts(12))
        translate.main([*words, "--shard", "2/4"])
        translate.main([*words, "--shard", "1/2"])
        translate.main([*words, "--shard", "2/2"])
        translate.main(words)
    assert lines(service) == sorted(texts(12))
    assert len(json.loads(f"[{','.join((tmp_path / 'de.jsonl').read_text().splitlines())}]")) == 12


def test_what_a_shard_could_not_have_translated_is_asked_for_once_more(tmp_path, monkeypatch, caplog):
    echo = lambda lines, target: [line if line == "Tokyo" else said(line, target) for line in lines]  # noqa: E731
    with serving(Service(translate=echo)) as service:
        monkeypatch.setitem(constants.BASE_URLS, "GOOGLE_TRANSLATE", service.url)
        words = arguments(tmp_path, google(), ["One.", "Tokyo", "Two.", "Three."])
        translate.main([*words, "--shard", "2/2"])
        assert "shard 2/2: 1 of 2 hypotheses have no translation yet" in caplog.text
        with pytest.raises(UserError, match=r"1 of 4 hypotheses have no translation into de: 'Tokyo' \(echo"):
            translate.main(words)
    assert lines(service) == ["One.", "Three.", "Tokyo", "Tokyo", "Two."]


def test_translations_that_cost_nothing_need_no_shards(tmp_path, caplog):
    words = arguments(tmp_path, "device: cpu\ntranslate: {backend: gold}\n", ["There is a red circle."])
    with caplog.at_level(logging.INFO):
        translate.main([*words, "--shard", "1/2"])
    assert "gold needs no shards" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["en.jsonl", "params.yaml", "profile.yaml"]


def test_translations_back_in_shards(tmp_path, monkeypatch):
    with serving(Service(origin="de")) as service:
        monkeypatch.setitem(constants.BASE_URLS, "GOOGLE_TRANSLATE", service.url)
        plain = tmp_path / "plain"
        plain.mkdir()
        rows = back.run(plain, back.GOOGLE)
        main, shared = translate_back.main, tmp_path / "shared"
        shared.mkdir()

        def in_shards(words):
            for number in (2, 1):
                main([*words, "--shard", f"{number}/2"])
                assert not (shared / "back.jsonl").exists()
            service.texts.clear()
            main(words)

        monkeypatch.setattr(translate_back, "main", in_shards)
        assert back.run(shared, back.GOOGLE) == rows and service.texts == []
    assert (shared / "back.jsonl").read_bytes() == (plain / "back.jsonl").read_bytes()


def test_a_models_batches_are_the_same_in_shards(tmp_path, monkeypatch):
    """An answer may depend on the padding of its batch, so a shard takes whole batches of the plain run."""
    folder, seen = save_m2m100(tmp_path / "model"), []
    generate = NmtBackend._generate

    def noted(self, model, inputs, start):
        seen.append(inputs.input_ids.tolist())
        return generate(self, model, inputs, start)

    monkeypatch.setattr(seq2seq.NmtBackend, "_generate", noted)
    profile = (
        f"device: cpu\ntranslate: {{backend: nmt, model: {{id: {folder}, revision: null, weights: safetensors}}, "
        "beams: 1, batch_tokens: 20, max_new_tokens: 50, corrections: null}\n"
    )
    batches, outputs = {}, {}
    for name, order in {"plain": [], "all": ["2/2", "1/2"], "missing": ["3/3", "1/3"]}.items():
        (tmp_path / name).mkdir()
        words = arguments(tmp_path / name, profile, ENGLISH)
        for one in order:
            translate.main([*words, "--shard", one])
        translate.main(words)
        batches[name], outputs[name] = sorted(seen), (tmp_path / name / "de.jsonl").read_bytes()
        seen.clear()
    assert len(batches["plain"]) > 3 and batches["all"] == batches["missing"] == batches["plain"]
    assert len(set(outputs.values())) == 1


# The command


@pytest.fixture
def pipeline(tmp_path) -> Path:
    """A DVC repository with stages that write down how they were called."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/run.py").write_text("import sys; print(*sys.argv[1:], sep='|'); sys.exit(7)\n")
    (tmp_path / "dvc.yaml").write_text(
        """
stages:
  prepare:
    matrix: {profile: ["${profile}"]}
    cmd: python src/run.py prepare
  encode_images:
    matrix: {profile: ["${profile}"]}
    cmd: >-
      python src/run.py encode_images --out data/${item.profile}/x
      --name "two words"
  translate:
    matrix: {profile: ["${profile}"], language: [de, nl]}
    cmd: python src/run.py translate --language ${item.language}
"""
    )
    (tmp_path / "params.yaml").write_text("profile: tiny\n")
    (tmp_path / "below").mkdir()
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def command(root: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "src/run.py"), "shard", *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_the_command_adds_the_shard_to_what_dvc_would_run(pipeline):
    """And its exit code is the stage's."""
    called = "encode_images|--out|data/tiny/x|--name|two words|--shard|1/4"
    assert command(pipeline, "encode_images@tiny", "1/4") == (7, called, "")
    assert command(pipeline / "below", "encode_images", "1/4") == (7, called, "")
    assert command(pipeline, "translate@tiny-nl", "2/2")[:2] == (7, "translate|--language|nl|--shard|2/2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("translate", "1/4"),
            "error: stage: found 'translate', expected one of translate@tiny-de, translate@tiny-nl: ",
        ),
        (("prepare", "1/4"), "error: stage: found 'prepare', expected one of encode_images@tiny, translate@tiny-de"),
        (("encode_images@mini", "1/4"), "error: stage: found 'encode_images@mini', expected one of encode_images@tiny"),
        (("encode_images", "5/4"), "error: --shard: found '5/4', expected I/N"),
    ],
)
def test_the_command_says_what_it_could_do(pipeline, words, said):
    code, output, errors = command(pipeline, *words)
    assert code == 2 and output == "" and errors.startswith(said) and "\n" not in errors


def test_the_command_needs_a_pipeline(pipeline):
    (pipeline / "dvc.yaml").write_text("stages: 3\n")
    code, _, errors = command(pipeline, "translate", "1/2")
    assert code == 2 and errors.startswith("error: dvc.yaml cannot be read: ") and "\n" not in errors
