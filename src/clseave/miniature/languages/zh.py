"""Chinese: words keep their form.

The segmentation keeps 的 with a colour (红色的), so that every colour is one word, and a measure word with its numeral
(一个, 两个); every other particle is a separate word.
"""

from clseave.miniature.language import GENERIC, Language, by_bound

NOUNS = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "diamond": "菱形", GENERIC: "图形"}
COLOURS = {"red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色"}


def noun_phrase(colour: str, head: str, form: str) -> dict[str, str]:
    """one: with 一个; bare: without; compact: the colour also without 的, where another 的 follows the noun."""
    adjective = COLOURS[colour] if colour else ""
    if adjective and form != "compact":
        adjective += "的"
    return {"det": "一个" if form == "one" else "", "colour": adjective, "shape": NOUNS[head]}


LANGUAGE = Language(
    number=5,
    noun_phrase=noun_phrase,
    joiner="",
    numbers={1: "一个/number+classifier", 2: "两个/number+classifier", 3: "三个/number+classifier"},
    entries={
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
            "plain": by_bound("至少/bound", "最多/bound"),
            "more": by_bound(
                "有/be {number} 或/bound:or 更多/bound:more", "不/bound:not 超过/bound:more+bound:than {number}"
            ),
        },
    },
    templates={
        "object_at": (
            "{np0.one} 位于/be+in {place.corner}",
            "{place.side} 的 格子/cell 里/in 有/contain {np0.one}",
            "{place.side} 有/be {np0.one}",
        ),
        "attribute_at": (
            "{place.corner} 有/be {np0.one}",
            "{np0.one} 在/be+in {place.side}",
            "{place.side} 的 格子/cell 里/in 有/contain {np0.one}",
        ),
        "emptiness_place": (
            "{place.side} 的 格子/cell {state.adjective}",
            "{place.side} {state.pronoun}",
            "{place.corner} {state.object}",
        ),
        "emptiness_half": (
            "{half} 的/in 两个/both 格子/cell 都/both {state.adjective}",
            "整个/whole {half} 都/whole {state.whole}",
            "{half} 的/of 每个/every 格子/cell 里/in 都/every {state.object}",
        ),
        "exists_in_half": (
            "{np0.one} 位于/be+in {half}",
            "{half} 至少/bound 有/contain {number} {np0.bare}",
            "{half} 有/be {np0.one}",
        ),
        "relation": (
            "{np0.one} 在/be+in {np1.one} {direction}",
            "{np1.one} {direction} 有/be {np0.one}",
            "{np0.one} 位于/be+in {np1.one} {direction.side} 某处/somewhere",
        ),
        "count": (
            "图片/picture 里/in {quantifier} 有/contain {number} {np0.bare}",
            "{np0.bare} {quantifier.more}",
            "{np0.compact} 的/of 数量/amount {quantifier} 为/be {number}",
        ),
    },
)
