"""Word segmentation for the aligner: one method per language, named in `align_words.segmenters` (thesis 3.2.1).

Words appear in the text unchanged and in order, and contain no white space, on which awesome-align would split them.
Invisible characters (control, format) stay inside a word, where a tokenizer drops them, and never form a word.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import regex

from clseave.foundation.visible import visible

# BERT's rule: white space separates words; punctuation marks and CJK ideographs are single words.
_PUNCTUATION = r"\p{P}$+<=>^`|~"
_IDEOGRAPHS = (
    r"\u4E00-\u9FFF\u3400-\u4DBF\uF900-\uFAFF"
    r"\U00020000-\U0002A6DF\U0002A700-\U0002B73F\U0002B740-\U0002B81F\U0002B820-\U0002CEAF\U0002F800-\U0002FA1F"
)
_BERT = regex.compile(rf"[{_PUNCTUATION}{_IDEOGRAPHS}]|[^\s{_PUNCTUATION}{_IDEOGRAPHS}]+")

Segmenter = Callable[[str], list[str]]


def words(text: str, language: str, segmenters: Mapping[str, str]) -> list[str]:
    """Return the words of a text by its language's segmenter, or by `default`; empty without a visible character.

    ValueError for an unknown segmenter; "gold" is not one, as the grammar itself provides the words.
    """
    name = segmenters.get(language, segmenters["default"])
    if name not in _SEGMENTERS:
        raise ValueError(f"no segmenter {name!r}: {', '.join(_SEGMENTERS)}")
    found = (part for word in _SEGMENTERS[name](text) for part in word.split())
    return [word for word in found if visible(word)]


def _bert(text: str) -> list[str]:
    """Split like BERT's basic tokenizer, but keep case and accents."""
    return _BERT.findall(text)


def _jieba(text: str) -> list[str]:
    """Return Chinese words from jieba's dictionary, without guessing unknown ones (HMM); punctuation is separate."""
    return list(_load_jieba().cut(text, HMM=False))


def _fugashi(text: str) -> list[str]:
    """Return Japanese words as written, by MeCab with UniDic Lite."""
    tagger = _load_fugashi()
    # MeCab stops at a NUL character.
    return [word.surface for part in regex.split(r"[\s\0]+", text) for word in tagger(part)]


@cache
def _load_jieba() -> Any:
    """Load jieba's dictionary (half a second), without the library's messages and its cache in the temporary folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about invalid escapes and pkg_resources
        import jieba
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer


@cache
def _load_fugashi() -> Any:
    """Load MeCab with UniDic Lite, even when other dictionaries are installed."""
    import fugashi
    import unidic_lite

    return fugashi.Tagger(f'-r "{unidic_lite.DICDIR}/mecabrc" -d "{unidic_lite.DICDIR}"')


_SEGMENTERS: dict[str, Segmenter] = {"bert": _bert, "whitespace": str.split, "jieba": _jieba, "fugashi": _fugashi}
