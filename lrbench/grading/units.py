"""The unit words that the paper's normal form removes from answers.

The protocol took its list from the answer options of MathQA, so that symbols of measure stand beside
things that are counted there, and single letters go with them: the `a` of `a^2` is lost as the `m` of `3
m` is. The words below are those that the gold answers of the seven benchmarks and known predictions show
to vanish, and the common units of the same kinds.
"""

from __future__ import annotations

import re

_LABELS = (
    "a . | b . | c . | d . | e . | p . m | a . m | q . | rs . | s . | sq . m | sq . cm | cu . m | cu . cm"
)
_LENGTH = "mm | cm | m | km | mt | mtr | meter | metre | inch | inches | feet | ft | mile | yard"
_AREA_AND_VOLUME = (
    "sq | square | cubic | cube | acre | hectare | cc | dm | l | lt | liter | litre | gal | gallon"
)
_MASS = "g | gm | kg | lb"
_TIME = "s | sec | second | min | minute | h | hr | hour | day | month | year | yr | am | pm | noon"
_SPEED_AND_ANGLE = "mph | kmph | kmh | deg | degree"
_MONEY = "rs | rupee | coin | profit | loss | gain"
_COUNTED = "apple | man | men | woman | women | soldier | monkey | toy | tile | pie | mark | round | unit"
_WORDS = (
    "are | as | by | per | percent | way | more | less | increase | decrease | rise | excess | number | ratio"
)
_OTHER = "a | ab | bc | c | d | t | th | st | rd | east | west | prime | pure"

_GROUPS = (
    _LABELS,
    _LENGTH,
    _AREA_AND_VOLUME,
    _MASS,
    _TIME,
    _SPEED_AND_ANGLE,
    _MONEY,
    _COUNTED,
    _WORDS,
    _OTHER,
)

# A full stop in a label stands for any character, as it does in the protocol: `b - 1` loses `b -`.
_UNITS = tuple(unit.strip() for group in _GROUPS for unit in group.split("|"))
_PATTERNS = tuple(re.compile(rf"(^|\W){unit}s?($|\W)") for unit in _UNITS)
_ANY = re.compile(rf"(?:^|\W)(?:{'|'.join(_UNITS)})s?(?:$|\W)")


def without_unit_words(answer: str) -> str:
    """`answer` without unit words that stand between word boundaries; one that is all unit stays."""
    if not _ANY.search(answer):
        return answer
    for _ in range(2):
        for pattern in _PATTERNS:
            answer = pattern.sub(r"\1\2", answer) or answer
    return answer
