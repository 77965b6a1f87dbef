"""When the paper's protocol holds a prediction and a gold answer for equal.

Both are in normal form. The first rule that applies decides; only the last one needs computer algebra,
which is given as a function, so that the cheap rules can be tried without a worker process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from lrbench.grading.extraction import CHOICE_LETTERS, choice

Symbolic = Callable[[str, str], bool]
"""Whether two formulas, prediction first, are the same by computer algebra."""

_TOLERANCE = 1e-4
# The protocol does not ask that the closing bracket ends the text.
_ENCLOSED = re.compile(r"[(\[].+[)\]]")
_FRACTION = re.compile(r"(-)?(?:\\frac\{(?=-?\d))?(-?\d{1,15}(?:\.\d{1,15})?)(?:\}\{([1-9]\d{0,14})\})?")
_WORD = re.compile(r"[A-DF-HJ-Za-df-hj-z]|[A-Za-z]{2,}")
_MATRIX_OPENING = "\\begin{pmatrix}"
_MATRIX_CLOSING = "\\end{pmatrix}"
_NO_BRACKETS = str.maketrans("", "", "{}()")


def paper_equal(prediction: str | None, gold: str, symbolic: Symbolic) -> bool:
    """Whether the protocol counts `prediction` as right for `gold`."""
    if prediction is None:
        return False
    if prediction.strip().lower() == gold.strip().lower():
        return True
    if len(gold) == 1 and gold in CHOICE_LETTERS and choice(prediction) == gold:
        return True
    ours, theirs = _number(prediction), _number(gold)
    if ours is not None and theirs is not None:
        return _equal_numbers(ours, theirs)
    return bool(prediction) and _equal_structures(prediction.strip(), gold.strip(), symbolic)


def _number(text: str) -> float | None:
    text = text.replace(",", "")
    try:
        return float(text)
    except ValueError:
        pass
    if not text.endswith("%"):
        return None
    try:
        return float(text[:-1].removesuffix("\\")) / 100
    except ValueError:
        return None


def _equal_numbers(prediction: float, gold: float) -> bool:
    """Equal within the tolerance, up to a factor of 100 either way: both may be percentages."""
    return any(math.isclose(form, prediction, rel_tol=_TOLERANCE) for form in (gold / 100, gold, gold * 100))


def _equal_structures(prediction: str, gold: str, symbolic: Symbolic) -> bool:
    if _equal_without_brackets(prediction, gold):
        return True
    enclosed = _ENCLOSED.match(prediction) and _ENCLOSED.match(gold)
    if enclosed and _all_equal(prediction[1:-1].split(","), gold[1:-1].split(","), symbolic):
        return True
    if _is_matrix(prediction) and _is_matrix(gold) and _equal_matrices(prediction, gold, symbolic):
        return True
    ours, theirs = prediction.split("="), gold.split("=")
    if len(ours) == len(theirs) == 2:
        left, right = _difference(ours), _difference(theirs)
        equal = symbolic(left, right) or symbolic(f"-({left})", right)
    elif _names_value(ours) and len(theirs) == 1:
        equal = paper_equal(ours[1], gold, symbolic)
    else:
        equal = _names_value(theirs) and len(ours) == 1 and paper_equal(prediction, theirs[1], symbolic)
    if equal:
        return True
    decided = _decided_without_algebra(prediction, gold)
    return decided if decided is not None else symbolic(prediction, gold)


def _decided_without_algebra(prediction: str, gold: str) -> bool | None:
    """What computer algebra would find for fractions and for words, which it reads as products of letters."""
    ours, theirs = _fraction(prediction), _fraction(gold)
    if ours is not None and theirs is not None:
        return math.isclose(theirs, ours, rel_tol=_TOLERANCE)
    if _WORD.fullmatch(prediction) and _WORD.fullmatch(gold) and sorted(prediction) != sorted(gold):
        return False
    if (ours is not None and _WORD.fullmatch(gold)) or (theirs is not None and _WORD.fullmatch(prediction)):
        return False
    return None


def _fraction(text: str) -> float | None:
    found = _FRACTION.fullmatch(text)
    if not found:
        return None
    sign, numerator, denominator = found.groups()
    value = float(numerator) / float(denominator or 1)
    return -value if sign else value


def _equal_without_brackets(prediction: str, gold: str) -> bool:
    if (prediction[0] + prediction[-1] == "[]" and not gold.startswith("(")) or (
        prediction[0] + prediction[-1] == "()" and not gold.startswith("[")
    ):
        prediction, gold = prediction.strip("[]()"), gold.strip("[]()")
    return prediction.translate(_NO_BRACKETS).lower() == gold.translate(_NO_BRACKETS).lower()


def _all_equal(predictions: list[str], golds: list[str], symbolic: Symbolic) -> bool:
    return len(predictions) == len(golds) and all(
        paper_equal(ours, theirs, symbolic) for ours, theirs in zip(predictions, golds, strict=True)
    )


def _is_matrix(text: str) -> bool:
    return text.startswith(_MATRIX_OPENING) and text.endswith(_MATRIX_CLOSING)


def _equal_matrices(prediction: str, gold: str, symbolic: Symbolic) -> bool:
    ours, theirs = (
        text.removeprefix(_MATRIX_OPENING).removesuffix(_MATRIX_CLOSING).split("\\\\")
        for text in (prediction, gold)
    )
    return len(ours) == len(theirs) and all(
        _all_equal(our_row.split("&"), their_row.split("&"), symbolic)
        for our_row, their_row in zip(ours, theirs, strict=True)
    )


def _names_value(sides: list[str]) -> bool:
    """Whether the sides are those of an equation with a short name on the left."""
    return len(sides) == 2 and len(sides[0].strip()) <= 2


def _difference(sides: list[str]) -> str:
    return f"{sides[0].strip()} - ({sides[1].strip()})"
