"""Sentences to words, for the word aligner: one method a language, named by `align_words.segmenters` (thesis 3.2.1).

Every word stands in its text as it is, in order, and holds no white space, on which awesome-align would split it.
Characters that nobody sees (control, format) stay inside a word, where a tokenizer drops them, and make none alone.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import regex

from clseave.foundation.visible import visible

# BERT's rule: white space parts words; punctuation and CJK ideographs are words by themselves.
_PUNCTUATION = r"\p{P}$+<=>^`|~"
_IDEOGRAPHS = (
    r"\u4E00-\u9FFF\u3400-\u4DBF\uF900-\uFAFF"
    r"\U00020000-\U0002A6DF\U0002A700-\U0002B73F\U0002B740-\U0002B81F\U0002B820-\U0002CEAF\U0002F800-\U0002FA1F"
)
_BERT = regex.compile(rf"[{_PUNCTUATION}{_IDEOGRAPHS}]|[^\s{_PUNCTUATION}{_IDEOGRAPHS}]+")

Segmenter = Callable[[str], list[str]]


def words(text: str, language: str, segmenters: Mapping[str, str]) -> list[str]:
    """Return the words of a text by its language's segmenter, or by `default`. Empty when nothing in it can be seen.

    ValueError for an unknown segmenter; "gold" is no segmenter of text, but the grammar's own words.
    """
    name = segmenters.get(language, segmenters["default"])
    if name not in _SEGMENTERS:
        raise ValueError(f"no segmenter {name!r}: {', '.join(_SEGMENTERS)}")
    found = (part for word in _SEGMENTERS[name](text) for part in word.split())
    return [word for word in found if visible(word)]


def _bert(text: str) -> list[str]:
    """As BERT's basic tokenizer does, case and accents kept."""
    return _BERT.findall(text)


def _jieba(text: str) -> list[str]:
    """Chinese words of jieba's dictionary, without guesses at unknown ones (HMM); punctuation apart."""
    return list(_load_jieba().cut(text, HMM=False))


def _fugashi(text: str) -> list[str]:
    """Japanese words, as written, of MeCab with UniDic Lite."""
    tagger = _load_fugashi()
    # MeCab ends a sentence at a NUL.
    return [word.surface for part in regex.split(r"[\s\0]+", text) for word in tagger(part)]


@cache
def _load_jieba() -> Any:
    """The dictionary, in half a second. The library would announce it and leave a cache in the temporary folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old escapes and of pkg_resources
        import jieba
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer


@cache
def _load_fugashi() -> Any:
    """MeCab with UniDic Lite, whatever other dictionary is installed."""
    import fugashi
    import unidic_lite

    return fugashi.Tagger(f'-r "{unidic_lite.DICDIR}/mecabrc" -d "{unidic_lite.DICDIR}"')


_SEGMENTERS: dict[str, Segmenter] = {"bert": _bert, "whitespace": str.split, "jieba": _jieba, "fugashi": _fugashi}
