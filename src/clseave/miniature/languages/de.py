"""German: three genders, three of its cases, adjectives that show both after an article that does not."""

from clseave.miniature.language import GENERIC, Language, by_bound

NOUNS = {
    "circle": ("Kreis", "Kreise"),
    "square": ("Quadrat", "Quadrate"),
    "triangle": ("Dreieck", "Dreiecke"),
    "diamond": ("Raute", "Rauten"),
    GENERIC: ("Figur", "Figuren"),
}
STEMS = {"red": "rot", "green": "grün", "blue": "blau", "yellow": "gelb"}
# Singular after "ein": article and adjective ending by case and gender (mixed declension).
ARTICLES = {
    "nom": {"masculine": "ein", "neuter": "ein", "feminine": "eine"},
    "acc": {"masculine": "einen", "neuter": "ein", "feminine": "eine"},
    "dat": {"masculine": "einem", "neuter": "einem", "feminine": "einer"},
}
ENDINGS = {
    "nom": {"masculine": "er", "neuter": "es", "feminine": "e"},
    "acc": {"masculine": "en", "neuter": "es", "feminine": "e"},
    "dat": {"masculine": "en", "neuter": "en", "feminine": "en"},
}
GENDERS = {"circle": "masculine", "square": "neuter", "triangle": "neuter", "diamond": "feminine", GENERIC: "feminine"}


def noun_phrase(colour: str, head: str, form: str) -> dict[str, str]:
    """nom, acc, dat: with "ein"; bare: accusative after the numeral one; many: strong plural; genitive: after "der".

    After "ein" the adjective shows gender and case where the article does not (ein roter Kreis, ein rotes Quadrat);
    a plural without article takes -e, one after the definite article -en.
    """
    gender, stem = GENDERS[head], STEMS[colour] if colour else ""
    if form in ("many", "genitive"):
        ending = "e" if form == "many" else "en"
        return {"det": "", "colour": stem and stem + ending, "shape": NOUNS[head][1]}
    case = "acc" if form == "bare" else form
    article = "" if form == "bare" else ARTICLES[case][gender]
    return {"det": article, "colour": stem and stem + ENDINGS[case][gender], "shape": NOUNS[head][0]}


LANGUAGE = Language(
    number=1,
    noun_phrase=noun_phrase,
    ones={"acc": ARTICLES["acc"]},  # höchstens einen Kreis
    contractions={("in", "dem"): "im"},
    genders=GENDERS,
    numbers={1: "eins/number", 2: "zwei/number", 3: "drei/number"},
    entries={
        "place": {
            "nom": (
                "obere/vertical linke/horizontal",
                "obere/vertical rechte/horizontal",
                "untere/vertical linke/horizontal",
                "untere/vertical rechte/horizontal",
            ),
            "dat": (
                "oberen/vertical linken/horizontal",
                "oberen/vertical rechten/horizontal",
                "unteren/vertical linken/horizontal",
                "unteren/vertical rechten/horizontal",
            ),
            "adverb": (
                "oben/vertical links/horizontal",
                "oben/vertical rechts/horizontal",
                "unten/vertical links/horizontal",
                "unten/vertical rechts/horizontal",
            ),
        },
        "half": {
            "nom": (
                "obere/side Hälfte/half",
                "untere/side Hälfte/half",
                "linke/side Hälfte/half",
                "rechte/side Hälfte/half",
            ),
            "dat": (
                "oberen/side Hälfte/half",
                "unteren/side Hälfte/half",
                "linken/side Hälfte/half",
                "rechten/side Hälfte/half",
            ),
        },
        "direction": {
            "plain": ("links/direction von/of", "rechts/direction von/of", "über/direction", "unter/direction")
        },
        "state": {
            "adjective": ("leer/state", "gefüllt/state"),
            "pronoun": ("nichts/state", "etwas/state"),
            "object": ("keine/state Figur/shape:0", "eine/det:0 Figur/shape:0"),
            "every": ("kein/state+every", "jedes/every"),
        },
        "quantifier": {
            "plain": by_bound("mindestens/bound", "höchstens/bound"),
            "more": by_bound(
                "{number.acc} oder/bound:or mehr/bound:more",
                "nicht/bound:not mehr/bound:more als/bound:than {number.acc}",
            ),
        },
    },
    templates={
        "object_at": (
            "{np0.nom} ist/be in/in der/det:place {place.dat} Ecke/corner",
            "das/det:place {place.nom} Feld/cell enthält/contain {np0.acc}",
            "{place.adverb} gibt/be es/there {np0.acc}",
        ),
        "attribute_at": (
            "in/in der/det:place {place.dat} Ecke/corner gibt/be es/there {np0.acc}",
            "{np0.nom} befindet/be sich/be {place.adverb}",
            "in/in dem/det:place {place.dat} Feld/cell liegt/contain {np0.nom}",
        ),
        "emptiness_place": (
            "das/det:place {place.nom} Feld/cell ist/be {state.adjective}",
            "{place.adverb} ist/be {state.pronoun}",
            "in/in der/det:place {place.dat} Ecke/corner ist/contain {state.object}",
        ),
        "emptiness_half": (
            "beide/both Felder/cell in/in der/det:half {half.dat} sind/be {state.adjective}",
            "die/det:half ganze/whole {half.nom} ist/be {state.adjective}",
            "{state.every} Feld/cell der/of+det:half {half.dat} enthält/contain eine/det:0 Figur/shape:0",
        ),
        "exists_in_half": (
            "{np0.nom} ist/be in/in der/det:half {half.dat}",
            "die/det:half {half.nom} enthält/contain mindestens/bound {number.acc} {np0.counted}",
            "es/there gibt/be {np0.acc} in/in der/det:half {half.dat}",
        ),
        "relation": (
            "{np0.nom} ist/be {direction} {np1.dat}",
            "{direction} {np1.dat} gibt/be es/there {np0.acc}",
            "{np0.nom} liegt/be irgendwo/somewhere {direction} {np1.dat}",
        ),
        "count": (
            "das/det:picture Bild/picture enthält/contain {quantifier} {number.acc} {np0.counted}",
            "es/there gibt/be {quantifier.more} {np0.counted}",
            "die/det:amount Anzahl/amount der/of {np0.genitive} beträgt/be {quantifier} {number}",
        ),
    },
)
