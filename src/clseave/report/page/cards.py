"""Cards of the page as HTML: a picture, a sentence in every language, and each model's prediction."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment

from clseave.foundation.rows.labels import LABELS
from clseave.report.notebook import png_size
from clseave.report.page.corpus import Answers, Case, Corpus, choose_examples, scenes
from clseave.report.tables.result_tables import language_name

TEMPLATE = """\
<div class="cards">
{%- for card in cards %}
<div class="card">
<p class="what">{{ card.title }}</p>
{%- if card.picture %}
<img src="data:image/png;base64,{{ card.picture }}" width="{{ card.size[0] }}" height="{{ card.size[1] }}" \
alt="Test image {{ card.image }}">
{%- endif %}
<p class="gold {{ card.label }}">Gold label: <b>{{ card.label }}</b></p>
<dl>
{%- for line in card.lines %}
<dt>{{ line.language }}</dt><dd><span lang="{{ line.code }}">{{ line.text }}</span>
{%- if line.shares %}<br><span class="said">{{ "✓" if line.right else "✗" }}
{%- for label, share in line.shares %} {{ "<b>" | safe if loop.index0 == line.top }}{{ share }}\
{{ "</b>" | safe if loop.index0 == line.top }}{{ " ·" if not loop.last }}{% endfor %}</span>{% endif %}</dd>
{%- endfor %}
</dl>
</div>
{%- endfor %}
</div>
"""


def _lines(case: Case, texts: Mapping[str, Mapping[str, str]], answers: Answers) -> list[dict[str, Any]]:
    """Return the sentence in each language, with the probabilities of its model where `answers` has them."""
    lines = []
    for code, sentences in texts.items():
        text = sentences.get(case.row.hypothesis_id)
        if text is None:
            continue
        line: dict[str, Any] = {"code": code, "language": language_name(code), "text": text}
        probabilities = answers.get(code, {}).get(case.row.pair_id)
        if probabilities is not None:
            top = int(probabilities.argmax())
            shares = [(label, f"{share:.2f}") for label, share in zip(LABELS, probabilities, strict=True)]
            line |= {"shares": shares, "top": top, "right": LABELS[top] == case.row.label}
        lines.append(line)
    return lines


def render(corpus: Corpus, cases: Sequence[Case], answers: Answers) -> str:
    """Render the cards of some rows."""
    texts = corpus.sentences(cases)
    cards = []
    for case in cases:
        picture = corpus.picture(case.row)
        card: dict[str, Any] = {
            "title": case.title,
            "picture": picture,
            "image": case.row.image_id,
            "label": case.row.label,
        }
        card |= {"size": png_size(picture) if picture else None, "lines": _lines(case, texts, answers)}
        cards.append(card)
    return Environment(autoescape=True).from_string(TEMPLATE).render(cards=cards)


def world(corpus: Corpus) -> str:
    """Return cards of a scene and sentence of each kind."""
    return render(corpus, scenes(corpus), {}) if corpus.rows else "<p>The rows of this run are not at hand.</p>"


def examples(corpus: Corpus) -> str:
    """Return cards of rows with predictions, or why there are none."""
    answers = corpus.answers()
    cases = choose_examples(corpus, answers)
    return render(corpus, cases, answers) if cases else "<p>English or every other language was not judged.</p>"
