"""The one exception for a user's own mistakes: `process.entry` prints it as one line and exits with 2."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

LONGEST, HEAD = 2000, 1500  # characters of a message, and how many of a longer one come from its beginning


class UserError(Exception):
    """Something the user can fix. The message says what was found, what is expected and what to do.

    Messages quote files, so what they quote cannot break the line, turn the writing's direction or hide itself.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(text: str) -> str:
    """Text with everything that cannot be seen written as its escape; the middle of a long one is left out."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    if len(text) <= LONGEST:
        return text
    tail = LONGEST - HEAD
    return f"{text[:HEAD]} [{len(text) - LONGEST:,} characters left out] {text[-tail:]}"


def nearest(found: Any, known: Iterable[str]) -> str | None:
    """The known word that is most like the one found, if one is like it; capitals do not count."""
    words = {word.lower(): word for word in known}
    return next((words[word] for word in get_close_matches(str(found).lower(), words, 1)), None)


def did_you_mean(found: Any, known: Iterable[str]) -> str:
    """The end of a message on a word that is not known; empty when no known word is like it."""
    word = nearest(found, known)
    return f"; did you mean {word}?" if word else ""
