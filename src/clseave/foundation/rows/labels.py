"""The one label map. The order is that of the thesis author's head: contradiction 0, neutral 1, entailment 2."""

LABELS = ("contradiction", "neutral", "entailment")
CONTRADICTION, NEUTRAL, ENTAILMENT = range(3)


def label_id(name: str) -> int:
    """Id of a label name; ValueError names what is allowed."""
    if name not in LABELS:
        raise ValueError(f"label {name!r} is not one of {', '.join(LABELS)}")
    return LABELS.index(name)
