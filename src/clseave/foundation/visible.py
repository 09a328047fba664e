"""Whether a text holds anything to see: the one rule for hypotheses, words and sentences to encode."""

import regex

# Control and format characters, spaces, those that fonts leave blank, and the sign for what could not be decoded.
_SEEN = regex.compile(r"[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800\uFFFD]")


def visible(text: str) -> bool:
    """False for an empty text and one of nothing but spaces, zero-width, control and direction characters."""
    return _SEEN.search(text) is not None
