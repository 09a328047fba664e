"""The words and sentence patterns of the miniature's six languages, from which `grammar` builds sentences.

A pattern is a row of tokens separated by spaces:

`word/concept+concept`   a word and its language-independent concepts (no slash: no concept)
`+suffix/concept`        appended to the word before it; of `+이|가` the first form follows a final consonant
`{slot}`, `{slot.form}`  the entry of a table below for the fact's argument, or a noun phrase (`np0`, `np1`)

Phrasing k of a kind is the same construction in every language that has it. The Japanese and Chinese segmentation keeps
の and 的 with a colour (緑の, 红色的), so that every colour is one word like 赤い, and a measure word with its numeral
(一个, 两个); every other particle is a separate word.
"""

# The noun for an object of which only the colour is given: "a red shape".
GENERIC = "shape"

# Nouns: (singular, plural) where the language inflects for number, else a single form.
ENGLISH_NOUNS = {
    "circle": ("circle", "circles"),
    "square": ("square", "squares"),
    "triangle": ("triangle", "triangles"),
    "diamond": ("diamond", "diamonds"),
    GENERIC: ("shape", "shapes"),
}
GERMAN_NOUNS = {
    "circle": ("Kreis", "Kreise"),
    "square": ("Quadrat", "Quadrate"),
    "triangle": ("Dreieck", "Dreiecke"),
    "diamond": ("Raute", "Rauten"),
    GENERIC: ("Figur", "Figuren"),
}
DUTCH_NOUNS = {
    "circle": ("cirkel", "cirkels"),
    "square": ("vierkant", "vierkanten"),
    "triangle": ("driehoek", "driehoeken"),
    "diamond": ("ruit", "ruiten"),
    GENERIC: ("vorm", "vormen"),
}
# 正方形 and 정사각형 rather than 四角形 and 사각형: a diamond has four corners too.
JAPANESE_NOUNS = {"circle": "円", "square": "正方形", "triangle": "三角形", "diamond": "ひし形", GENERIC: "図形"}
KOREAN_NOUNS = {"circle": "원", "square": "정사각형", "triangle": "삼각형", "diamond": "마름모", GENERIC: "도형"}
CHINESE_NOUNS = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "diamond": "菱形", GENERIC: "图形"}

GENDERS = {
    "de": {"circle": "masculine", "square": "neuter", "triangle": "neuter", "diamond": "feminine", GENERIC: "feminine"},
    # Common nouns take "de", neuter ones "het".
    "nl": {"circle": "common", "square": "neuter", "triangle": "common", "diamond": "common", GENERIC: "common"},
}

GERMAN_STEMS = {"red": "rot", "green": "grün", "blue": "blau", "yellow": "gelb"}
DUTCH_COLOURS = {
    "red": ("rood", "rode"),
    "green": ("groen", "groene"),
    "blue": ("blauw", "blauwe"),
    "yellow": ("geel", "gele"),
}
JAPANESE_COLOURS = {"red": "赤い", "green": "緑の", "blue": "青い", "yellow": "黄色い"}
KOREAN_COLOURS = {"red": "빨간", "green": "초록색", "blue": "파란", "yellow": "노란"}
CHINESE_COLOURS = {"red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色"}

# German singular after "ein": article and adjective ending by case and gender (mixed declension).
GERMAN_ARTICLES = {
    "nom": {"masculine": "ein", "neuter": "ein", "feminine": "eine"},
    "acc": {"masculine": "einen", "neuter": "ein", "feminine": "eine"},
    "dat": {"masculine": "einem", "neuter": "einem", "feminine": "einer"},
}
GERMAN_ENDINGS = {
    "nom": {"masculine": "er", "neuter": "es", "feminine": "e"},
    "acc": {"masculine": "en", "neuter": "es", "feminine": "e"},
    "dat": {"masculine": "en", "neuter": "en", "feminine": "en"},
}

NUMBERS = {
    "en": {1: "one/number", 2: "two/number", 3: "three/number"},
    "de": {1: "eins/number", 2: "zwei/number", 3: "drei/number"},
    "nl": {1: "één/number", 2: "twee/number", 3: "drie/number"},
    "ja": {1: "一つ/number+classifier", 2: "二つ/number+classifier", 3: "三つ/number+classifier"},
    "ko": {1: "한/number 개/classifier", 2: "두/number 개/classifier", 3: "세/number 개/classifier"},
    "zh": {1: "一个/number+classifier", 2: "两个/number+classifier", 3: "三个/number+classifier"},
}

# Entries by language, slot and form, each in the order of `ORDER[slot]`.
ORDER = {
    "place": ("top_left", "top_right", "bottom_left", "bottom_right"),
    "half": ("top", "bottom", "left", "right"),
    "direction": ("left_of", "right_of", "above", "below"),
    "state": ("empty", "filled"),
    "quantifier": ("at_least_two", "at_least_three", "at_most_one", "at_most_two"),
}


def _bounds(least: str, most: str) -> tuple[str, str, str, str]:
    """Return the entries of the four quantifiers when they differ by the bound only."""
    return least, least, most, most


ENTRIES: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {
    "en": {
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
            "plain": _bounds("at/bound least/bound", "at/bound most/bound"),
            "more": _bounds(
                "{number} or/bound:or more/bound:more", "no/bound:not more/bound:more than/bound:than {number}"
            ),
            "verb": ("are/be", "are/be", "is/be", "are/be"),
        },
    },
    "de": {
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
            "plain": _bounds("mindestens/bound", "höchstens/bound"),
            "more": _bounds(
                "{number.acc} oder/bound:or mehr/bound:more",
                "nicht/bound:not mehr/bound:more als/bound:than {number.acc}",
            ),
        },
    },
    "nl": {
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
            "plain": _bounds("minstens/bound", "hoogstens/bound"),
            "more": _bounds(
                "{number} of/bound:or meer/bound:more", "niet/bound:not meer/bound:more dan/bound:than {number}"
            ),
            "verb": ("zijn/be", "zijn/be", "is/be", "zijn/be"),
        },
    },
    "ja": {
        "place": {
            "plain": (
                "左上/vertical+horizontal",
                "右上/vertical+horizontal",
                "左下/vertical+horizontal",
                "右下/vertical+horizontal",
            )
        },
        "half": {"plain": ("上半分/side+half", "下半分/side+half", "左半分/side+half", "右半分/side+half")},
        "direction": {"plain": ("左/direction", "右/direction", "上/direction", "下/direction")},
        "state": {
            "adjective": ("空/state である/be", "埋まっている/state+be"),
            "pronoun": ("何も/state ない/state+be", "何か/state が ある/be"),
            "object": ("図形/shape:0 が/case:0 ない/state+contain", "図形/shape:0 が/case:0 ある/contain"),
        },
        "quantifier": {
            "plain": _bounds("少なくとも/bound", "多くても/bound"),
            "more": _bounds("{number} 以上/bound:or+bound:more", "{number} 以下/bound:not+bound:more+bound:than"),
            "verb": _bounds("ある/be+contain", "である/be+contain"),
        },
    },
    "ko": {
        "place": {
            "plain": (
                "왼쪽/horizontal 위/vertical",
                "오른쪽/horizontal 위/vertical",
                "왼쪽/horizontal 아래/vertical",
                "오른쪽/horizontal 아래/vertical",
            )
        },
        "half": {
            "plain": ("위쪽/side 절반/half", "아래쪽/side 절반/half", "왼쪽/side 절반/half", "오른쪽/side 절반/half")
        },
        "direction": {"plain": ("왼쪽/direction", "오른쪽/direction", "위쪽/direction", "아래쪽/direction")},
        "state": {
            "adjective": ("비어/state 있다/be", "채워져/state 있다/be"),
            "pronoun": ("아무것도/state 없다/state+be", "무언가/state +이|가 있다/be"),
            "object": ("도형/shape:0 +이|가/case:0 없다/state+contain", "도형/shape:0 +이|가/case:0 있다/contain"),
            "every": ("어느/every 칸/cell +에/in +도/every", "모든/every 칸/cell +에/in"),
        },
        "quantifier": {
            "plain": _bounds("적어도/bound", "많아야/bound"),
            "more": _bounds(
                "{number} 이상/bound:or+bound:more +이다/be", "{number} 이하/bound:not+bound:more+bound:than +이다/be"
            ),
        },
    },
    "zh": {
        "place": {
            "side": (
                "左上方/vertical+horizontal",
                "右上方/vertical+horizontal",
                "左下方/vertical+horizontal",
                "右下方/vertical+horizontal",
            ),
            "corner": (
                "左上角/vertical+horizontal+corner",
                "右上角/vertical+horizontal+corner",
                "左下角/vertical+horizontal+corner",
                "右下角/vertical+horizontal+corner",
            ),
        },
        "half": {"plain": ("上半部分/side+half", "下半部分/side+half", "左半部分/side+half", "右半部分/side+half")},
        "direction": {
            "plain": ("左边/direction", "右边/direction", "上方/direction", "下方/direction"),
            "side": ("左侧/direction", "右侧/direction", "上方/direction", "下方/direction"),
        },
        "state": {
            "adjective": ("是/be 空的/state", "不/state 是/be 空的/state"),
            "pronoun": ("什么/state 都/state 没有/state+be", "有/be 东西/state"),
            "object": ("没有/state+contain 图形/shape:0", "有/contain 一个/det:0 图形/shape:0"),
            # For a half, 不是空的 could mean "not entirely empty"; 填满 cannot.
            "whole": ("是/be 空的/state", "填满/state 了"),
        },
        "quantifier": {
            "plain": _bounds("至少/bound", "最多/bound"),
            "more": _bounds(
                "有/be {number} 或/bound:or 更多/bound:more", "不/bound:not 超过/bound:more+bound:than {number}"
            ),
        },
    },
}

TEMPLATES: dict[str, dict[str, tuple[str, str, str]]] = {
    "object_at": {
        "en": (
            "{np0.one} is/be in/in the/det:place {place} corner/corner",
            "the/det:place {place} cell/cell contains/contain {np0.one}",
            "there/there is/be {np0.one} at/in the/det:place {place}",
        ),
        "de": (
            "{np0.nom} ist/be in/in der/det:place {place.dat} Ecke/corner",
            "das/det:place {place.nom} Feld/cell enthält/contain {np0.acc}",
            "{place.adverb} gibt/be es/there {np0.acc}",
        ),
        "nl": (
            "{np0.one} staat/be in/in de/det:place {place.corner}",
            "het/det:place vak/cell {place.adverb} bevat/contain {np0.one}",
            "{place.adverb} staat/be {np0.one}",
        ),
        "ja": (
            "{np0} が/case:0 {place} の 隅/corner に/in ある/be",
            "{place} の マス/cell に/in {np0} が/case:0 入っている/contain",
            "{place} に/in {np0} が/case:0 ある/be",
        ),
        "ko": (
            "{np0} +이|가/case:0 {place} 구석/corner +에/in 있다/be",
            "{place} 칸/cell +에/in {np0} +이|가/case:0 들어/contain 있다/contain",
            "{place} +에/in {np0} +이|가/case:0 있다/be",
        ),
        "zh": (
            "{np0.one} 位于/be+in {place.corner}",
            "{place.side} 的 格子/cell 里/in 有/contain {np0.one}",
            "{place.side} 有/be {np0.one}",
        ),
    },
    "attribute_at": {
        "en": (
            "there/there is/be {np0.one} in/in the/det:place {place} corner/corner",
            "{np0.one} is/be at/in the/det:place {place}",
            "the/det:place {place} cell/cell holds/contain {np0.one}",
        ),
        "de": (
            "in/in der/det:place {place.dat} Ecke/corner gibt/be es/there {np0.acc}",
            "{np0.nom} befindet/be sich/be {place.adverb}",
            "im/in+det:place {place.dat} Feld/cell liegt/contain {np0.nom}",
        ),
        "nl": (
            "er/there staat/be {np0.one} in/in de/det:place {place.corner}",
            "{np0.one} bevindt/be zich/be {place.adverb}",
            "in/in het/det:place vak/cell {place.adverb} staat/contain {np0.one}",
        ),
        "ja": (
            "{place} の 隅/corner に/in {np0} が/case:0 ある/be",
            "{np0} が/case:0 {place} に/in ある/be",
            "{place} の マス/cell に/in は {np0} が/case:0 ある/contain",
        ),
        "ko": (
            "{place} 구석/corner +에/in {np0} +이|가/case:0 있다/be",
            "{np0} +이|가/case:0 {place} +에/in 있다/be",
            "{place} 칸/cell +에/in +는 {np0} +이|가/case:0 있다/contain",
        ),
        "zh": (
            "{place.corner} 有/be {np0.one}",
            "{np0.one} 在/be+in {place.side}",
            "{place.side} 的 格子/cell 里/in 有/contain {np0.one}",
        ),
    },
    "emptiness_place": {
        "en": (
            "the/det:place {place} cell/cell is/be {state.adjective}",
            "there/there is/be {state.pronoun} at/in the/det:place {place}",
            "the/det:place {place} corner/corner contains/contain {state.object}",
        ),
        "de": (
            "das/det:place {place.nom} Feld/cell ist/be {state.adjective}",
            "{place.adverb} ist/be {state.pronoun}",
            "in/in der/det:place {place.dat} Ecke/corner ist/contain {state.object}",
        ),
        "nl": (
            "het/det:place vak/cell {place.adverb} is/be {state.adjective}",
            "{place.adverb} staat/be {state.pronoun}",
            "in/in de/det:place {place.corner} staat/contain {state.object}",
        ),
        "ja": (
            "{place} の マス/cell は {state.adjective}",
            "{place} に/in は {state.pronoun}",
            "{place} の 隅/corner に/in は {state.object}",
        ),
        "ko": (
            "{place} 칸/cell +은|는 {state.adjective}",
            "{place} +에/in +는 {state.pronoun}",
            "{place} 구석/corner +에/in +는 {state.object}",
        ),
        "zh": (
            "{place.side} 的 格子/cell {state.adjective}",
            "{place.side} {state.pronoun}",
            "{place.corner} {state.object}",
        ),
    },
    "emptiness_half": {
        "en": (
            "both/both cells/cell in/in the/det:half {half} are/be {state.adjective}",
            "the/det:half whole/whole {half} is/be {state.adjective}",
            "{state.every} cell/cell of/of the/det:half {half} contains/contain a/det:0 shape/shape:0",
        ),
        "de": (
            "beide/both Felder/cell in/in der/det:half {half.dat} sind/be {state.adjective}",
            "die/det:half ganze/whole {half.nom} ist/be {state.adjective}",
            "{state.every} Feld/cell der/of+det:half {half.dat} enthält/contain eine/det:0 Figur/shape:0",
        ),
        "nl": (
            "beide/both vakken/cell in/in de/det:half {half} zijn/be {state.adjective}",
            "de/det:half hele/whole {half} is/be {state.adjective}",
            "{state.every} vak/cell van/of de/det:half {half} bevat/contain een/det:0 vorm/shape:0",
        ),
        "ja": (
            "{half} の/in マス/cell は 両方とも/both {state.adjective}",
            "{half} 全体/whole が {state.adjective}",
            "{half} の/of どの/every マス/cell に/in も/every {state.object}",
        ),
        "ko": (
            "{half} +의/in 두/both 칸/cell +은|는 모두/both {state.adjective}",
            "{half} 전체/whole +이|가 {state.adjective}",
            "{half} +의/of {state.every} {state.object}",
        ),
        "zh": (
            "{half} 的/in 两个/both 格子/cell 都/both {state.adjective}",
            "整个/whole {half} 都/whole {state.whole}",
            "{half} 的/of 每个/every 格子/cell 里/in 都/every {state.object}",
        ),
    },
    "exists_in_half": {
        "en": (
            "{np0.one} is/be in/in the/det:half {half}",
            "the/det:half {half} contains/contain at/bound least/bound {number} {np0.counted}",
            "there/there is/be {np0.one} in/in the/det:half {half}",
        ),
        "de": (
            "{np0.nom} ist/be in/in der/det:half {half.dat}",
            "die/det:half {half.nom} enthält/contain mindestens/bound {number.acc} {np0.counted}",
            "es/there gibt/be {np0.acc} in/in der/det:half {half.dat}",
        ),
        "nl": (
            "{np0.one} staat/be in/in de/det:half {half}",
            "de/det:half {half} bevat/contain minstens/bound {number} {np0.counted}",
            "er/there staat/be {np0.one} in/in de/det:half {half}",
        ),
        "ja": (
            "{np0} が/case:0 {half} に/in ある/be",
            "{half} に/in は {np0} が/case:0 少なくとも/bound {number} ある/contain",
            "{half} に/in {np0} が/case:0 ある/be",
        ),
        "ko": (
            "{np0} +이|가/case:0 {half} +에/in 있다/be",
            "{half} +에/in +는 {np0} +이|가/case:0 적어도/bound {number} 있다/contain",
            "{half} +에/in {np0} +이|가/case:0 있다/be",
        ),
        "zh": (
            "{np0.one} 位于/be+in {half}",
            "{half} 至少/bound 有/contain {number} {np0.bare}",
            "{half} 有/be {np0.one}",
        ),
    },
    "relation": {
        "en": (
            "{np0.one} is/be {direction} {np1.one}",
            "{direction} {np1.one} there/there is/be {np0.one}",
            "{np0.one} lies/be somewhere/somewhere {direction} {np1.one}",
        ),
        "de": (
            "{np0.nom} ist/be {direction} {np1.dat}",
            "{direction} {np1.dat} gibt/be es/there {np0.acc}",
            "{np0.nom} liegt/be irgendwo/somewhere {direction} {np1.dat}",
        ),
        "nl": (
            "{np0.one} staat/be {direction} {np1.one}",
            "{direction} {np1.one} staat/be {np0.one}",
            "{np0.one} ligt/be ergens/somewhere {direction} {np1.one}",
        ),
        "ja": (
            "{np0} が/case:0 {np1} の/of {direction} に/in ある/be",
            "{np1} の/of {direction} に/in {np0} が/case:0 ある/be",
            "{np0} が/case:0 {np1} の/of {direction} の どこか/somewhere に/in ある/be",
        ),
        "ko": (
            "{np0} +이|가/case:0 {np1} +의/of {direction} +에/in 있다/be",
            "{np1} +의/of {direction} +에/in {np0} +이|가/case:0 있다/be",
            "{np0} +이|가/case:0 {np1} +의/of {direction} 어딘가/somewhere +에/in 있다/be",
        ),
        "zh": (
            "{np0.one} 在/be+in {np1.one} {direction}",
            "{np1.one} {direction} 有/be {np0.one}",
            "{np0.one} 位于/be+in {np1.one} {direction.side} 某处/somewhere",
        ),
    },
    "count": {
        "en": (
            "the/det:picture picture/picture contains/contain {quantifier} {number} {np0.counted}",
            "there/there {quantifier.verb} {quantifier.more} {np0.counted}",
            "the/det:amount number/amount of/of {np0.many} is/be {quantifier} {number}",
        ),
        "de": (
            "das/det:picture Bild/picture enthält/contain {quantifier} {number.acc} {np0.counted}",
            "es/there gibt/be {quantifier.more} {np0.counted}",
            "die/det:amount Anzahl/amount der/of {np0.genitive} beträgt/be {quantifier} {number}",
        ),
        "nl": (
            "de/det:picture afbeelding/picture bevat/contain {quantifier} {number} {np0.counted}",
            "er/there {quantifier.verb} {quantifier.more} {np0.counted}",
            "het/det:amount aantal/amount {np0.many} is/be {quantifier} {number}",
        ),
        "ja": (
            "画像/picture の 中 の {np0} は {quantifier} {number} {quantifier.verb}",
            "{np0} は {quantifier.more} {quantifier.verb}",
            "{np0} の/of 数/amount は {quantifier} {number} である/be",
        ),
        "ko": (
            "그림/picture +에/in +는 {np0} +이|가/case:0 {quantifier} {number} 있다/contain",
            "{np0} +은|는 {quantifier.more}",
            "{np0} +의/of 개수/amount +은|는 {quantifier} {number} +이다/be",
        ),
        "zh": (
            "图片/picture 里/in {quantifier} 有/contain {number} {np0.bare}",
            "{np0.bare} {quantifier.more}",
            "{np0.compact} 的/of 数量/amount {quantifier} 为/be {number}",
        ),
    },
}
