"""The page of `make demo` in headless Chromium, with real clicks and keys; nothing is asked of another machine."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from browser import Page, needs_chromium
from PIL import ExifTags, Image
from tiny_profile import save_photos, save_profile

from clseave.demonstration import scenes
from clseave.foundation.rows.training_record import Origin, TrainingRecord
from clseave.inference.entailment import Entailment

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".work/demo/venv/bin/python"
SECONDS = 120  # at most, for the server to start and the page to change
LANGUAGES = {"English": "en", "German": "de", "Japanese": "ja"}
PLACES = ("Top left", "Top right", "Bottom left", "Bottom right")

needs_gradio = pytest.mark.skipif(not PYTHON.exists(), reason="needs the environment of `make demo`")
pytestmark = [pytest.mark.slow, needs_chromium, needs_gradio, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Small models with random weights: one profile of generated scenes, and one of photos."""
    folder = tmp_path_factory.mktemp("models")
    for corpus in ("scenes", "photos"):
        save_profile(folder / corpus)
        TrainingRecord(
            name="clip", stage="backbones", profile="tiny", seed=0, languages=["en"], metrics={}, inputs={},
            parameters={"source": {"noise": 0}}, origin=Origin(corpus=corpus),
        ).write(folder / corpus / "clip")  # fmt: skip
    return folder


class Server:
    """`run.py demo` in a process of its own, and its address."""

    def __init__(self, model, folder):
        self.model, self.log = model, folder / "log"

    def __enter__(self):
        command = [PYTHON, ROOT / "src/run.py", "demo", "--model", self.model, "--port", "0"]
        with open(self.log, "w") as stream:
            self.process = subprocess.Popen(command, stderr=stream, stdout=stream, cwd=self.log.parent)
        try:
            self.address = wait_for(self._address)
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *error):
        self.end()

    def _address(self):
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text())
        return found and found[0] + "/"

    def end(self):
        """End it as Ctrl-C does; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(SECONDS)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    with Server(models / "scenes", tmp_path_factory.mktemp("served")) as started:
        yield started


def wait_for(ask):
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + SECONDS
    while not (found := ask()):
        assert time.monotonic() < end, "the page did not change"
        time.sleep(0.1)
    return found


class Visitor:
    """What a person does on the page."""

    def __init__(self, page):
        self.page = page
        wait_for(lambda: "Upload a photo" in self.text())
        if "Shuffle the scene" in self.text():  # then a first scene and sentence are drawn
            wait_for(self.rows)

    def place_of(self, expression):
        """The middle of an element, scrolled into view, as soon as it stands still."""
        middle = (
            f"(() => {{const e = {expression}; e.scrollIntoView({{block: 'nearest', behavior: 'instant'}}); "
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]})()"
        )
        places = [self.page.evaluate(middle)]
        while len(places) < 3 or len({tuple(place) for place in places[-3:]}) > 1:
            time.sleep(0.1)
            places.append(self.page.evaluate(middle))
        return dict(zip("xy", places[-1], strict=True))

    def click(self, expression):
        place = self.place_of(expression)
        for kind in ("mousePressed", "mouseReleased"):
            self.page.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key):
        code = {"Enter": 13, "Tab": 9, "ArrowDown": 40}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def field(self, label):
        """The list or the text box with this label."""
        return (
            f"(document.querySelector('input[aria-label={json.dumps(label)}]') ?? "
            f"[...document.querySelectorAll('label')].find(e => e.innerText.trim() === {label!r})"
            ".querySelector('textarea'))"
        )

    def value(self, label):
        return self.page.evaluate(f"{self.field(label)}.value")

    def open(self, label):
        """Open a list; a click may miss it while the page is laid out anew."""

        def is_open():
            return self.page.evaluate(f"{self.field(label)}.getAttribute('aria-expanded') === 'true'")

        def opened():
            if not is_open():
                self.click(self.field(label))
            return is_open()

        wait_for(opened)

    def choose(self, label, option):
        """Choose an option of a list with the mouse."""
        self.open(label)
        options = "[...document.querySelectorAll('[role=option]')]"
        self.click(f"{options}.find(e => e.getAttribute('aria-label') === {option!r})")
        wait_for(lambda: self.value(label) == option)

    def type(self, label, text):
        self.click(self.field(label))
        self.page.evaluate(f"{self.field(label)}.select()")
        self.page.call("Input.insertText", text=text)
        self.press("Enter")

    def rows(self):
        """The cells of the table of answers by language."""
        return dict(
            self.page.evaluate(
                "[...document.querySelectorAll('.answers tbody tr')].map(r => [r.cells[0].innerText, "
                "[...r.cells].slice(1).map(c => c.innerText)])"
            )
        )

    def text(self):
        return self.page.evaluate("document.body.innerText")


def shown(predictions):
    """The cells of the table for these predictions."""
    languages = {code: name for name, code in LANGUAGES.items()}
    return {
        languages[one.language]: [f"{share:.1%}" for share in reversed(one.probabilities.values())]
        for one in predictions
    }


def test_a_scene_is_arranged_and_a_typed_sentence_judged_in_all_languages(server, models):
    contents = ["red circle", "empty", "hidden", "blue square"]
    with Page(server.address, 1200) as page:
        visitor = Visitor(page)
        for label, content in zip(PLACES, contents, strict=True):
            visitor.choose(label, content)
        german = "Oben links gibt es einen roten Kreis"
        visitor.type("German", german)
        wait_for(lambda: visitor.value("Japanese") == "左上に赤い円がある")
        texts = {language: visitor.value(name) for name, language in LANGUAGES.items()}
        assert texts == {code: scenes.translations(german, "de")[code] for code in LANGUAGES.values()}
        model = Entailment.from_pretrained(models / "scenes")
        wanted = model.predict(scenes.picture(contents, 0), list(texts.values()), list(texts))
        wait_for(lambda: visitor.rows() == shown(wanted))
        assert "By the rules of the world: entailment." in visitor.text()
        visitor.type("German", "Ein Hund rennt")  # the grammar has no such sentence
        wait_for(lambda: "By the rules" not in visitor.text())
        assert visitor.value("English") == texts["en"] and list(visitor.rows()) == list(LANGUAGES)
        assert [one for one in page.requests if not one.startswith((server.address, "data:", "blob:"))] == []
        assert page.complaints == []


def test_the_page_is_used_by_keyboard_and_fits_a_phone(server):
    with Page(server.address, 390) as page:
        visitor = Visitor(page)
        for label in PLACES:
            visitor.choose(label, "empty")
        page.evaluate(f"{visitor.field(PLACES[0])}.focus()")
        visitor.press("ArrowDown")
        visitor.press("Enter")
        wait_for(lambda: visitor.value(PLACES[0]) != "empty")
        visitor.choose(PLACES[0], "empty")
        focused = "document.activeElement.innerText?.trim()"
        page.evaluate(f"{visitor.field(PLACES[-1])}.focus()")
        for _ in range(10):
            visitor.press("Tab")
            if page.evaluate(focused) == "Shuffle the scene":
                break
        visitor.press("Enter")
        wait_for(lambda: "hidden" in [visitor.value(label) for label in PLACES])  # as every drawn scene has
        before = visitor.value("English")
        for _ in range(10):
            visitor.press("Tab")
            if page.evaluate(focused) == "Another sentence":
                break
        visitor.press("Enter")
        wait_for(lambda: visitor.value("English") != before)
        wait_for(lambda: list(visitor.rows()) == list(LANGUAGES))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.querySelector('img').alt") == "the premise"


def test_a_sentence_is_picked_from_the_list_by_typing_a_part_of_it(server):
    with Page(server.address, 1200) as page:
        visitor = Visitor(page)
        visitor.open("Pick one")
        page.evaluate(f"{visitor.field('Pick one')}.select()")
        for letter in "most one blue diam":
            for kind in ("keyDown", "keyUp"):
                page.call("Input.dispatchKeyEvent", type=kind, key=letter, text=letter if kind == "keyDown" else "")
        option = "[...document.querySelectorAll('[role=option]')]"
        wait_for(lambda: page.evaluate(f"{option}.length") == 1)
        visitor.click(f"{option}[0]")
        wait_for(lambda: visitor.value("German") == "Das Bild enthält höchstens eine blaue Raute")


def upload(page, path):
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


@pytest.mark.parametrize("profile", ["scenes", "photos"])
def test_a_photo_is_uploaded_and_judged_and_what_is_no_photo_is_refused(profile, models, tmp_path):
    text, photo = "There is a red circle at the top left", tmp_path / "turned"  # neither upright nor with a suffix
    with Image.open(save_photos(tmp_path, 1)[0]) as image:
        exif = image.getexif()
        exif[ExifTags.Base.Orientation] = 6
        image.resize((60, 40)).save(photo, "JPEG", exif=exif)
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo.read_bytes()[:60])
    with Server(models / profile, tmp_path) as here, Page(here.address, 1200) as page:
        visitor = Visitor(page)
        assert (profile == "scenes") == ("Shuffle the scene" in visitor.text())
        upload(page, photo)
        wait_for(lambda: page.evaluate("!!document.querySelector('img')") and "By the rules" not in visitor.text())
        visitor.type("English", text)
        (wanted,) = Entailment.from_pretrained(models / profile, languages="en").predict(photo, text)
        wait_for(lambda: visitor.rows().get("English") == shown([wanted])["English"])
        upload(page, broken)
        wait_for(lambda: "Not a readable image" in visitor.text())
        assert here.end() in (0, 130, -signal.SIGINT)  # with the page open
    assert "Traceback" not in here.log.read_text() and "rror" not in here.log.read_text()


def test_only_this_machine_is_answered(server):
    other = requests.get(server.address, headers={"Host": "evil.example"}, timeout=SECONDS)
    assert other.status_code == 400
    here = requests.get(server.address, timeout=SECONDS)
    assert here.status_code == 200 and "default-src 'self'" in here.headers["Content-Security-Policy"]


def test_a_taken_port_and_a_model_that_is_not_there_are_one_line(server, models, tmp_path):
    port = server.address.rstrip("/").rpartition(":")[2]
    for arguments, message in (
        (["--model", str(models / "scenes"), "--port", port], f"error: port {port}: Address already in use"),
        (["--port", "99999"], "error: port 99999: bind(): port must be 0-65535"),
        (["--port", "0", "--model", "./models/none"], "error: models/none: no such folder"),
    ):
        done = subprocess.run(
            [PYTHON, ROOT / "src/run.py", "demo", *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 2 and done.stderr.startswith(message) and done.stderr.count("\n") == 1, done.stderr


def test_without_gradio_the_command_says_what_to_install(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "src/run.py", "demo"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2 and done.stderr.startswith("error: Gradio cannot be loaded"), done.stderr
