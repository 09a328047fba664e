"""Japanese: words keep their form.

The segmentation keeps の with a colour (緑の), so that every colour is one word like 赤い; every other particle is a
separate word.
"""

from clseave.miniature.language import GENERIC, Language, by_bound

# 正方形 rather than 四角形: a diamond has four corners too.
NOUNS = {"circle": "円", "square": "正方形", "triangle": "三角形", "diamond": "ひし形", GENERIC: "図形"}
COLOURS = {"red": "赤い", "green": "緑の", "blue": "青い", "yellow": "黄色い"}


def noun_phrase(colour: str, head: str, form: str) -> dict[str, str]:
    """Adjective and noun, the same in every context; 緑 has no い-adjective and takes の."""
    return {"colour": COLOURS[colour] if colour else "", "shape": NOUNS[head]}


LANGUAGE = Language(
    number=3,
    noun_phrase=noun_phrase,
    joiner="",
    numbers={1: "一つ/number+classifier", 2: "二つ/number+classifier", 3: "三つ/number+classifier"},
    entries={
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
            "plain": by_bound("少なくとも/bound", "多くても/bound"),
            "more": by_bound("{number} 以上/bound:or+bound:more", "{number} 以下/bound:not+bound:more+bound:than"),
            "verb": by_bound("ある/be+contain", "である/be+contain"),
        },
    },
    templates={
        "object_at": (
            "{np0} が/case:0 {place} の 隅/corner に/in ある/be",
            "{place} の マス/cell に/in {np0} が/case:0 入っている/contain",
            "{place} に/in {np0} が/case:0 ある/be",
        ),
        "attribute_at": (
            "{place} の 隅/corner に/in {np0} が/case:0 ある/be",
            "{np0} が/case:0 {place} に/in ある/be",
            "{place} の マス/cell に/in は {np0} が/case:0 ある/contain",
        ),
        "emptiness_place": (
            "{place} の マス/cell は {state.adjective}",
            "{place} に/in は {state.pronoun}",
            "{place} の 隅/corner に/in は {state.object}",
        ),
        "emptiness_half": (
            "{half} の/in マス/cell は 両方とも/both {state.adjective}",
            "{half} 全体/whole が {state.adjective}",
            "{half} の/of どの/every マス/cell に/in も/every {state.object}",
        ),
        "exists_in_half": (
            "{np0} が/case:0 {half} に/in ある/be",
            "{half} に/in は {np0} が/case:0 少なくとも/bound {number} ある/contain",
            "{half} に/in {np0} が/case:0 ある/be",
        ),
        "relation": (
            "{np0} が/case:0 {np1} の/of {direction} に/in ある/be",
            "{np1} の/of {direction} に/in {np0} が/case:0 ある/be",
            "{np0} が/case:0 {np1} の/of {direction} の どこか/somewhere に/in ある/be",
        ),
        "count": (
            "画像/picture の 中 の {np0} は {quantifier} {number} {quantifier.verb}",
            "{np0} は {quantifier.more} {quantifier.verb}",
            "{np0} の/of 数/amount は {quantifier} {number} である/be",
        ),
    },
)
