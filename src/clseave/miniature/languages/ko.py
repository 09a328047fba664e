"""Korean: a particle is written with its noun, and takes one of two forms after its last letter."""

from clseave.miniature.language import GENERIC, Language, by_bound

# 정사각형 rather than 사각형: a diamond has four corners too.
NOUNS = {"circle": "원", "square": "정사각형", "triangle": "삼각형", "diamond": "마름모", GENERIC: "도형"}
COLOURS = {"red": "빨간", "green": "초록색", "blue": "파란", "yellow": "노란"}
HANGUL_FIRST, HANGUL_LAST, HANGUL_FINALS = 0xAC00, 0xD7A3, 28


def noun_phrase(colour: str, head: str, form: str) -> dict[str, str]:
    """Adnominal colour and noun; the template appends the particle."""
    return {"colour": COLOURS[colour] if colour else "", "shape": NOUNS[head]}


def ends_in_consonant(word: str) -> bool:
    """Return whether the last Hangul syllable ends in a consonant: syllables are ordered by initial, vowel and 28
    finals, of which 0 means none.
    """
    code = ord(word[-1])
    if not HANGUL_FIRST <= code <= HANGUL_LAST:
        raise ValueError(f"{word!r} does not end in a Hangul syllable, so no particle can be chosen")
    return (code - HANGUL_FIRST) % HANGUL_FINALS != 0


LANGUAGE = Language(
    number=4,
    noun_phrase=noun_phrase,
    first_form=ends_in_consonant,
    numbers={1: "한/number 개/classifier", 2: "두/number 개/classifier", 3: "세/number 개/classifier"},
    entries={
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
            "plain": by_bound("적어도/bound", "많아야/bound"),
            "more": by_bound(
                "{number} 이상/bound:or+bound:more +이다/be", "{number} 이하/bound:not+bound:more+bound:than +이다/be"
            ),
        },
    },
    templates={
        "object_at": (
            "{np0} +이|가/case:0 {place} 구석/corner +에/in 있다/be",
            "{place} 칸/cell +에/in {np0} +이|가/case:0 들어/contain 있다/contain",
            "{place} +에/in {np0} +이|가/case:0 있다/be",
        ),
        "attribute_at": (
            "{place} 구석/corner +에/in {np0} +이|가/case:0 있다/be",
            "{np0} +이|가/case:0 {place} +에/in 있다/be",
            "{place} 칸/cell +에/in +는 {np0} +이|가/case:0 있다/contain",
        ),
        "emptiness_place": (
            "{place} 칸/cell +은|는 {state.adjective}",
            "{place} +에/in +는 {state.pronoun}",
            "{place} 구석/corner +에/in +는 {state.object}",
        ),
        "emptiness_half": (
            "{half} +의/in 두/both 칸/cell +은|는 모두/both {state.adjective}",
            "{half} 전체/whole +이|가 {state.adjective}",
            "{half} +의/of {state.every} {state.object}",
        ),
        "exists_in_half": (
            "{np0} +이|가/case:0 {half} +에/in 있다/be",
            "{half} +에/in +는 {np0} +이|가/case:0 적어도/bound {number} 있다/contain",
            "{half} +에/in {np0} +이|가/case:0 있다/be",
        ),
        "relation": (
            "{np0} +이|가/case:0 {np1} +의/of {direction} +에/in 있다/be",
            "{np1} +의/of {direction} +에/in {np0} +이|가/case:0 있다/be",
            "{np0} +이|가/case:0 {np1} +의/of {direction} 어딘가/somewhere +에/in 있다/be",
        ),
        "count": (
            "그림/picture +에/in +는 {np0} +이|가/case:0 {quantifier} {number} 있다/contain",
            "{np0} +은|는 {quantifier.more}",
            "{np0} +의/of 개수/amount +은|는 {quantifier} {number} +이다/be",
        ),
    },
)
