"""English, the source: the number of a noun is all that changes."""

from clseave.miniature.language import GENERIC, Language, by_bound

NOUNS = {
    "circle": ("circle", "circles"),
    "square": ("square", "squares"),
    "triangle": ("triangle", "triangles"),
    "diamond": ("diamond", "diamonds"),
    GENERIC: ("shape", "shapes"),
}


def noun_phrase(colour: str, head: str, form: str) -> dict[str, str]:
    """one: "a red circle"; bare: "red circle" (after a numeral); many: "red circles"."""
    return {"det": "a" if form == "one" else "", "colour": colour, "shape": NOUNS[head][form == "many"]}


LANGUAGE = Language(
    number=0,
    noun_phrase=noun_phrase,
    numbers={1: "one/number", 2: "two/number", 3: "three/number"},
    entries={
        "place": {
            "plain": (
                "top/vertical left/horizontal",
                "top/vertical right/horizontal",
                "bottom/vertical left/horizontal",
                "bottom/vertical right/horizontal",
            )
        },
        "half": {
            "plain": ("top/side half/half", "bottom/side half/half", "left/side half/half", "right/side half/half")
        },
        "direction": {"plain": ("left/direction of/of", "right/direction of/of", "above/direction", "below/direction")},
        "state": {
            "adjective": ("empty/state", "filled/state"),
            "pronoun": ("nothing/state", "something/state"),
            "object": ("no/state shape/shape:0", "a/det:0 shape/shape:0"),
            "every": ("no/state+every", "each/every"),
        },
        "quantifier": {
            "plain": by_bound("at/bound least/bound", "at/bound most/bound"),
            "more": by_bound(
                "{number} or/bound:or more/bound:more", "no/bound:not more/bound:more than/bound:than {number}"
            ),
            "verb": ("are/be", "are/be", "is/be", "are/be"),
        },
    },
    templates={
        "object_at": (
            "{np0.one} is/be in/in the/det:place {place} corner/corner",
            "the/det:place {place} cell/cell contains/contain {np0.one}",
            "there/there is/be {np0.one} at/in the/det:place {place}",
        ),
        "attribute_at": (
            "there/there is/be {np0.one} in/in the/det:place {place} corner/corner",
            "{np0.one} is/be at/in the/det:place {place}",
            "the/det:place {place} cell/cell holds/contain {np0.one}",
        ),
        "emptiness_place": (
            "the/det:place {place} cell/cell is/be {state.adjective}",
            "there/there is/be {state.pronoun} at/in the/det:place {place}",
            "the/det:place {place} corner/corner contains/contain {state.object}",
        ),
        "emptiness_half": (
            "both/both cells/cell in/in the/det:half {half} are/be {state.adjective}",
            "the/det:half whole/whole {half} is/be {state.adjective}",
            "{state.every} cell/cell of/of the/det:half {half} contains/contain a/det:0 shape/shape:0",
        ),
        "exists_in_half": (
            "{np0.one} is/be in/in the/det:half {half}",
            "the/det:half {half} contains/contain at/bound least/bound {number} {np0.counted}",
            "there/there is/be {np0.one} in/in the/det:half {half}",
        ),
        "relation": (
            "{np0.one} is/be {direction} {np1.one}",
            "{direction} {np1.one} there/there is/be {np0.one}",
            "{np0.one} lies/be somewhere/somewhere {direction} {np1.one}",
        ),
        "count": (
            "the/det:picture picture/picture contains/contain {quantifier} {number} {np0.counted}",
            "there/there {quantifier.verb} {quantifier.more} {np0.counted}",
            "the/det:amount number/amount of/of {np0.many} is/be {quantifier} {number}",
        ),
    },
)
