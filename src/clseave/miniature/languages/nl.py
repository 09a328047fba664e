"""Dutch: two genders, which the adjective shows in the indefinite singular alone."""

from clseave.miniature.language import GENERIC, Language, by_bound

NOUNS = {
    "circle": ("cirkel", "cirkels"),
    "square": ("vierkant", "vierkanten"),
    "triangle": ("driehoek", "driehoeken"),
    "diamond": ("ruit", "ruiten"),
    GENERIC: ("vorm", "vormen"),
}
COLOURS = {
    "red": ("rood", "rode"),
    "green": ("groen", "groene"),
    "blue": ("blauw", "blauwe"),
    "yellow": ("geel", "gele"),
}
# Common nouns take "de", neuter ones "het".
GENDERS = {"circle": "common", "square": "neuter", "triangle": "common", "diamond": "common", GENERIC: "common"}


def noun_phrase(colour: str, head: str, form: str) -> dict[str, str]:
    """one: with "een"; bare: after "één"; many: plural. Only an indefinite singular het-word leaves out the -e."""
    many = form == "many"
    inflected = many or GENDERS[head] == "common"
    adjective = COLOURS[colour][inflected] if colour else ""
    return {"det": "een" if form == "one" else "", "colour": adjective, "shape": NOUNS[head][many]}


LANGUAGE = Language(
    number=2,
    noun_phrase=noun_phrase,
    genders=GENDERS,
    numbers={1: "één/number", 2: "twee/number", 3: "drie/number"},
    entries={
        "place": {
            "adverb": (
                "linksboven/vertical+horizontal",
                "rechtsboven/vertical+horizontal",
                "linksonder/vertical+horizontal",
                "rechtsonder/vertical+horizontal",
            ),
            "corner": (
                "linkerbovenhoek/vertical+horizontal+corner",
                "rechterbovenhoek/vertical+horizontal+corner",
                "linkeronderhoek/vertical+horizontal+corner",
                "rechteronderhoek/vertical+horizontal+corner",
            ),
        },
        "half": {
            "plain": (
                "bovenste/side helft/half",
                "onderste/side helft/half",
                "linkerhelft/side+half",
                "rechterhelft/side+half",
            )
        },
        "direction": {
            "plain": ("links/direction van/of", "rechts/direction van/of", "boven/direction", "onder/direction")
        },
        "state": {
            "adjective": ("leeg/state", "gevuld/state"),
            "pronoun": ("niets/state", "iets/state"),
            "object": ("geen/state vorm/shape:0", "een/det:0 vorm/shape:0"),
            "every": ("geen/state+every enkel/state+every", "elk/every"),
        },
        "quantifier": {
            "plain": by_bound("minstens/bound", "hoogstens/bound"),
            "more": by_bound(
                "{number} of/bound:or meer/bound:more", "niet/bound:not meer/bound:more dan/bound:than {number}"
            ),
            "verb": ("zijn/be", "zijn/be", "is/be", "zijn/be"),
        },
    },
    templates={
        "object_at": (
            "{np0.one} staat/be in/in de/det:place {place.corner}",
            "het/det:place vak/cell {place.adverb} bevat/contain {np0.one}",
            "{place.adverb} staat/be {np0.one}",
        ),
        "attribute_at": (
            "er/there staat/be {np0.one} in/in de/det:place {place.corner}",
            "{np0.one} bevindt/be zich/be {place.adverb}",
            "in/in het/det:place vak/cell {place.adverb} staat/contain {np0.one}",
        ),
        "emptiness_place": (
            "het/det:place vak/cell {place.adverb} is/be {state.adjective}",
            "{place.adverb} staat/be {state.pronoun}",
            "in/in de/det:place {place.corner} staat/contain {state.object}",
        ),
        "emptiness_half": (
            "beide/both vakken/cell in/in de/det:half {half} zijn/be {state.adjective}",
            "de/det:half hele/whole {half} is/be {state.adjective}",
            "{state.every} vak/cell van/of de/det:half {half} bevat/contain een/det:0 vorm/shape:0",
        ),
        "exists_in_half": (
            "{np0.one} staat/be in/in de/det:half {half}",
            "de/det:half {half} bevat/contain minstens/bound {number} {np0.counted}",
            "er/there staat/be {np0.one} in/in de/det:half {half}",
        ),
        "relation": (
            "{np0.one} staat/be {direction} {np1.one}",
            "{direction} {np1.one} staat/be {np0.one}",
            "{np0.one} ligt/be ergens/somewhere {direction} {np1.one}",
        ),
        "count": (
            "de/det:picture afbeelding/picture bevat/contain {quantifier} {number} {np0.counted}",
            "er/there {quantifier.verb} {quantifier.more} {np0.counted}",
            "het/det:amount aantal/amount {np0.many} is/be {quantifier} {number}",
        ),
    },
)
