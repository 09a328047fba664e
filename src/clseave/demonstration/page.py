"""The page: a scene or a photo, a sentence in each language, and a table of probabilities. Gradio draws it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from clseave.corpora.images import FORMATS, BrokenImageError, decode
from clseave.demonstration import answers, scenes
from clseave.inference.entailment import Entailment, Picture, Vector
from clseave.inference.folders import UNKNOWN
from clseave.miniature.scenes import PLACES

TITLE = "Visual entailment in several languages"
QUESTION = (
    "Does the picture **entail** the sentence, **contradict** it, or neither (**neutral**)? Everything is computed on "
    "this machine."
)
KEPT = 50  # photos whose vectors are kept
STYLE = """
.answers {width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums}
.answers caption {text-align: left; padding-bottom: .3em}
.answers.answers th, .answers.answers td {
  padding: .35em .5em; border: 0; border-bottom: 1px solid var(--border-color-primary); text-align: right
}
.answers .failed {overflow-wrap: anywhere}
.answers.answers th:first-child, .answers.answers .failed, .answers.answers .doubt {text-align: left}
.answers td[style] {background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share))}
.answers .entailment {--bar: #7cc48a88} .answers .neutral {--bar: #a9b4c288} .answers .contradiction {--bar: #e5938888}
.answers .best {font-weight: bold}
@media (max-width: 500px) {.answers.answers th, .answers.answers td {padding: .3em .25em; font-size: .85em}}
"""
Update = dict[Any, Any]  # new values by component


@dataclass
class Page:
    """The components of the page, and what they do. `noise` is that of the generated images, None for photos alone."""

    model: Entailment
    noise: int | None
    rng: np.random.Generator
    texts: dict[str, gr.Textbox] = field(default_factory=dict)
    cells: list[gr.Dropdown] = field(default_factory=list)
    known: dict[Hashable, Vector] = field(default_factory=dict)  # vectors of photos

    def build(self) -> gr.Blocks:
        """Lay out the page."""
        with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
            gr.Markdown(f"# {TITLE}\n\n{QUESTION}")
            with gr.Row():
                with gr.Column():
                    self._premise()
                with gr.Column():
                    self._hypotheses()
            self._connect(blocks)
        return blocks

    def _premise(self) -> None:
        """The picture, as a scene to arrange or a photo to upload, and what the model sees of it."""
        gr.Markdown("## Picture, as the model sees it")
        self.premise = gr.State(None)  # the contents of a scene, or the path of a photo
        self.seen = gr.Image(
            show_label=False, interactive=False, buttons=[], container=False, width=answers.SIDE, format="png",
            alt_text="the premise",
        )  # fmt: skip
        if self.noise is not None:
            with gr.Group():
                for row in (PLACES[:2], PLACES[2:]):
                    with gr.Row():
                        self.cells += [
                            gr.Dropdown(list(scenes.CONTENTS), label=_shown(place), min_width=140, filterable=False)
                            for place in row
                        ]
            self.shuffle = gr.Button("Shuffle the scene")
        self.upload = gr.UploadButton("Upload a photo")

    def _hypotheses(self) -> None:
        """A list of sentences, the answer, and a text box for each language."""
        gr.Markdown("## Sentence")
        if self.noise is not None:
            self.statement = gr.Dropdown(scenes.statements(), label="Pick one", filterable=True)
            self.another = gr.Button("Another sentence")
        self.answer = gr.HTML()
        several = " in one of these languages" if len(self.model.languages) > 1 else ""
        gr.Markdown(f"{'Or type' if self.noise is not None else 'Type'} one{several} and press Enter:")
        for language in self.model.languages:
            attributes = gr.InputHTMLAttributes(lang="und" if language == UNKNOWN else language)
            self.texts[language] = gr.Textbox(label=answers.language_name(language), html_attributes=attributes)
        self.judge = gr.Button("Judge these sentences", variant="primary")

    def _connect(self, blocks: gr.Blocks) -> None:
        """Say what each component does."""
        inputs = {self.premise, *self.texts.values()}
        shown = [self.premise, self.seen, self.answer, *self.cells, *self.texts.values()]

        def on(event: Callable[..., Any], act: Callable[..., Update], *more: Any) -> None:
            # One at a time: each sees the premise that the one before left, and tokenizers are not safe in two threads.
            event(
                act, {*inputs, *more}, [*shown, *more], concurrency_id="page", concurrency_limit=1,
                trigger_mode="multiple", api_visibility="private",
            )  # fmt: skip

        on(self.judge.click, self.on_judge)
        on(self.upload.upload, self.on_upload, self.upload)
        for language, box in self.texts.items():
            on(box.submit, partial(self.on_typed, language))
        if self.noise is None:
            return
        on(self.shuffle.click, self.on_shuffle)
        for cell in self.cells:
            on(cell.input, self.on_arranged, *self.cells)
        on(self.statement.input, self.on_picked, self.statement)
        on(self.another.click, self.on_another, self.statement)
        on(blocks.load, self.on_open, self.statement)

    def on_open(self, given: Update) -> Update:
        """Begin with a scene and a sentence."""
        return self._with_statement(given, self._drawn())

    def on_shuffle(self, given: Update) -> Update:
        """Draw another scene."""
        return self.changed(given, self._drawn())

    def on_arranged(self, given: Update) -> Update:
        """Show the scene that the visitor has arranged."""
        return self.changed(given, {self.premise: [given[cell] for cell in self.cells]})

    def on_upload(self, given: Update) -> Update:
        """Take a photo as the premise."""
        try:
            decode(Path(given[self.upload]).read_bytes())
        except BrokenImageError as error:
            reason = f"Not a readable image ({', '.join(FORMATS)}): {error}."
            return {self.answer: f"<p role='status'>{escape(reason)}</p>"}
        return self.changed(given, {self.premise: given[self.upload]})

    def on_picked(self, given: Update) -> Update:
        """Put the sentence into every language."""
        return self.changed(given, self._in_all_languages(given[self.statement] or "", "en"))

    def on_another(self, given: Update) -> Update:
        """Draw a sentence, whose label in a scene is each of the three with the same probability."""
        return self._with_statement(given, {})

    def on_typed(self, language: str, given: Update) -> Update:
        """Take a typed sentence, in the other languages too where the grammar has its translation."""
        return self.changed(given, self._in_all_languages(given[self.texts[language]] or "", language))

    def on_judge(self, given: Update) -> Update:
        """Judge the sentences as they are."""
        return self.changed(given, {})

    def changed(self, given: Update, changes: Update) -> Update:
        """The changes, and what they make of the image and the answer. What stays is not sent: it may be in use."""
        now = given | changes
        texts = {language: " ".join((now[box] or "").split()) for language, box in self.texts.items()}
        premise, names, gold = now[self.premise], [], None
        if premise is None:
            return changes | {self.answer: "<p role='status'>Upload a photo first.</p>"}
        picture: Picture = Path(premise) if isinstance(premise, str) else scenes.picture(premise, self.noise or 0)
        if isinstance(premise, list):
            names, gold = [_shown(place) for place in PLACES], scenes.shared_label(texts, premise)
        if len(self.known) > KEPT:
            self.known.clear()
        made: Update = {self.answer: answers.table(answers.answer(self.model, picture, texts, self.known), gold)}
        if self.premise in changes:
            made[self.seen] = answers.seen(self.model, picture, names)
        return changes | made

    def _with_statement(self, given: Update, changes: Update) -> Update:
        """Draw a sentence, about a random scene where the premise is a photo."""
        premise = (given | changes)[self.premise]
        text = scenes.statement_about(premise if isinstance(premise, list) else scenes.shuffled(self.rng), self.rng)
        return self.changed(given, changes | self._in_all_languages(text, "en")) | {self.statement: text}

    def _drawn(self) -> Update:
        """A new scene, and its contents in the lists."""
        contents = scenes.shuffled(self.rng)
        return {self.premise: contents} | dict(zip(self.cells, contents, strict=True))

    def _in_all_languages(self, text: str, language: str) -> Update:
        """The sentence in each text box; without a translation, no change of the other boxes."""
        found = scenes.translations(text, language) if self.noise is not None else {}
        return {box: found.get(code, text) for code, box in self.texts.items()} if found else {}


def _shown(place: str) -> str:
    return place.replace("_", " ").capitalize()
