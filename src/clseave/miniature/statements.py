"""What can be said about a scene, and whether it is true: six forms of statement of four kinds, three-valued truth.

A statement is entailed when every way of filling the hidden cells makes it true, contradicted when none does,
neutral when it depends on them. No statement here needs an enumeration of those fillings: each is a monotone
condition on single cells, so it is enough to know which cells surely match and which may (tested against the
enumeration).
"""

from dataclasses import dataclass

import numpy as np

from clseave.foundation.rows.labels import CONTRADICTION, ENTAILMENT, NEUTRAL
from clseave.miniature.scenes import COLOURS, EMPTY, HALVES, HIDDEN, OBJECTS, PLACES, SHAPES

FORMS = ("object_at", "attribute_at", "emptiness", "exists_in_half", "relation", "count")
KINDS = ("place", "half", "relation", "count")  # what a statement is about: one cell, two cells, two things, all cells
DIRECTIONS = {
    "left_of": ("left", "right"),
    "right_of": ("right", "left"),
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
}
QUANTIFIERS = {
    "at_least_two": (2, None),
    "at_least_three": (3, None),
    "at_most_one": (None, 1),
    "at_most_two": (None, 2),
}


@dataclass(frozen=True, order=True)
class Fact:
    """One statement, language-free. `arguments` by form (a description is a colour, a shape, or "colour shape"):

    object_at: description, place · attribute_at: description, place · emptiness: "empty" or "filled", place or half
    · exists_in_half: description, half · relation: description, direction, description · count: quantifier, description
    """

    form: str
    arguments: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Which of `KINDS` the statement is of."""
        match self.form:
            case "object_at" | "attribute_at":
                return "place"
            case "exists_in_half":
                return "half"
            case "emptiness":
                return "half" if self.arguments[1] in HALVES else "place"
        return self.form

    @property
    def topic(self) -> "Fact":
        """What is held out from training together: the fact, or all relations between two things."""
        if self.form != "relation":
            return self
        one, _, other = self.arguments
        return Fact(self.form, tuple(sorted((one, other))))

    def __str__(self) -> str:
        """The fact as one text, the `statement` of an example."""
        return " ".join((self.form, *self.arguments))


def descriptions() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Single attributes ("red", "circle") and whole objects ("red circle")."""
    return COLOURS + SHAPES, tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


def all_facts() -> list[Fact]:
    """Every statement of the miniature, in a fixed order."""
    attributes, objects = descriptions()
    facts = [Fact("object_at", (thing, place)) for thing in objects for place in PLACES]
    facts += [Fact("attribute_at", (attribute, place)) for attribute in attributes for place in PLACES]
    facts += [Fact("emptiness", (state, where)) for state in ("empty", "filled") for where in (*PLACES, *HALVES)]
    facts += [Fact("exists_in_half", (thing, half)) for thing in attributes + objects for half in HALVES]
    for group in (COLOURS, SHAPES, objects):
        facts += [
            Fact("relation", (one, direction, other))
            for one in group
            for direction in DIRECTIONS
            for other in group
            if one != other
        ]
    facts += [Fact("count", (quantifier, thing)) for thing in attributes for quantifier in QUANTIFIERS]
    facts += [Fact("count", (quantifier, thing)) for thing in objects for quantifier in ("at_least_two", "at_most_one")]
    return facts


def _matches(scenes: np.ndarray, description: str) -> np.ndarray:
    """Cells that visibly match, (N, 4) bool."""
    if description == "empty":
        return scenes == EMPTY
    match = scenes < OBJECTS
    for word in () if description == "filled" else description.split():
        if word in COLOURS:
            match = match & (scenes // len(SHAPES) == COLOURS.index(word))
        else:
            match = match & (scenes % len(SHAPES) == SHAPES.index(word))
    return match


def cells_of(where: str) -> tuple[int, ...]:
    """Cell indexes of a place or a half."""
    return HALVES[where] if where in HALVES else (PLACES.index(where),)


def label_scenes(fact: Fact, scenes: np.ndarray) -> np.ndarray:
    """Label of one statement about each scene, (N, 4) codes -> (N,) int8 of `labels` ids."""

    def sure(description: str) -> np.ndarray:
        return _matches(scenes, description)

    def may(description: str) -> np.ndarray:
        return _matches(scenes, description) | (scenes == HIDDEN)

    match fact.form, fact.arguments:
        case "object_at" | "attribute_at" | "exists_in_half", (thing, where):
            true, possible = (cells(thing)[:, cells_of(where)].any(1) for cells in (sure, may))
        case "emptiness", (state, where):
            true, possible = (cells(state)[:, cells_of(where)].all(1) for cells in (sure, may))
        case "relation", (one, direction, other):
            here, there = (cells_of(half) for half in DIRECTIONS[direction])
            true, possible = (cells(one)[:, here].any(1) & cells(other)[:, there].any(1) for cells in (sure, may))
        case "count", (quantifier, thing):
            least, most = QUANTIFIERS[quantifier]
            low, high = sure(thing).sum(1), may(thing).sum(1)
            true, possible = (low >= least, high >= least) if most is None else (high <= most, low <= most)
        case _:
            raise ValueError(f"not a statement of the miniature: {fact}")
    return np.where(true, ENTAILMENT, np.where(possible, NEUTRAL, CONTRADICTION)).astype(np.int8)
