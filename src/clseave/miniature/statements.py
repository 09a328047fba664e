"""Statements about a scene and their labels: six forms of four kinds.

A statement is entailed when it is true for all contents of the hidden cells, contradicted when it is true for none, and
neutral otherwise. The contents need not be enumerated: each statement is a monotone condition on single cells, so it is
enough to know which cells certainly match and which may match (tests compare with the enumeration).
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
    """One language-independent statement. `arguments` by form (a description is a colour, a shape, or "colour shape"):

    object_at: description, place · attribute_at: description, place · emptiness: "empty" or "filled", place or half
    · exists_in_half: description, half · relation: description, direction, description · count: quantifier, description
    """

    form: str
    arguments: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The kind of the statement, one of `KINDS`."""
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
        """The unit that is held out from training: the fact, or all relations between two things."""
        if self.form != "relation":
            return self
        first, _, second = self.arguments
        return Fact(self.form, tuple(sorted((first, second))))

    def __str__(self) -> str:
        """Return the fact as text, the `statement` of an example."""
        return " ".join((self.form, *self.arguments))


def descriptions() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return single attributes ("red", "circle") and whole objects ("red circle")."""
    return COLOURS + SHAPES, tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


def all_facts() -> list[Fact]:
    """Return every statement of the miniature, in a fixed order."""
    attributes, objects = descriptions()
    facts = [Fact("object_at", (thing, place)) for thing in objects for place in PLACES]
    facts += [Fact("attribute_at", (attribute, place)) for attribute in attributes for place in PLACES]
    facts += [Fact("emptiness", (state, where)) for state in ("empty", "filled") for where in (*PLACES, *HALVES)]
    facts += [Fact("exists_in_half", (thing, half)) for thing in attributes + objects for half in HALVES]
    for group in (COLOURS, SHAPES, objects):
        facts += [
            Fact("relation", (first, direction, second))
            for first in group
            for direction in DIRECTIONS
            for second in group
            if first != second
        ]
    facts += [Fact("count", (quantifier, thing)) for thing in attributes for quantifier in QUANTIFIERS]
    facts += [Fact("count", (quantifier, thing)) for thing in objects for quantifier in ("at_least_two", "at_most_one")]
    return facts


def _matches(scenes: np.ndarray, description: str) -> np.ndarray:
    """Return which cells visibly match a description, (N, 4) bool."""
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
    """Return the cell indices of a place or a half."""
    return HALVES[where] if where in HALVES else (PLACES.index(where),)


def label_scenes(fact: Fact, scenes: np.ndarray) -> np.ndarray:
    """Label a statement about each scene, (N, 4) codes -> (N,) int8 of `labels` ids."""

    def sure(description: str) -> np.ndarray:
        return _matches(scenes, description)

    def may(description: str) -> np.ndarray:
        return _matches(scenes, description) | (scenes == HIDDEN)

    match fact.form, fact.arguments:
        case "object_at" | "attribute_at" | "exists_in_half", (thing, where):
            true, possible = (cells(thing)[:, cells_of(where)].any(1) for cells in (sure, may))
        case "emptiness", (state, where):
            true, possible = (cells(state)[:, cells_of(where)].all(1) for cells in (sure, may))
        case "relation", (first, direction, second):
            left, right = (cells_of(half) for half in DIRECTIONS[direction])
            true, possible = (cells(first)[:, left].any(1) & cells(second)[:, right].any(1) for cells in (sure, may))
        case "count", (quantifier, thing):
            least, most = QUANTIFIERS[quantifier]
            low, high = sure(thing).sum(1), may(thing).sum(1)
            true, possible = (low >= least, high >= least) if most is None else (high <= most, low <= most)
        case _:
            raise ValueError(f"not a statement of the miniature: {fact}")
    return np.where(true, ENTAILMENT, np.where(possible, NEUTRAL, CONTRADICTION)).astype(np.int8)
