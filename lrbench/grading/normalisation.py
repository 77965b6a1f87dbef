"""The paper's normal form of an answer: LaTeX and words brought to one spelling before comparison.

The rules, and the accidents among them, are those the published numbers were graded with; they are applied in
the order they stand here, since many of them see the result of earlier ones. What is mathematically right is
the business of the exact verdict, not of this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from word2number import w2n

from lrbench.grading.units import without_unit_words

_MATRIX_OPENING = re.compile(r"\\begin\{array\}\{.*?\}")
_TEXT = re.compile(r"\\text\{(.*?)\}", re.DOTALL)
_BOX_COMMAND = re.compile(r"\\mbox\{.*?\}", re.DOTALL)
_ZERO_DECIMALS = re.compile(r"((?<!\d)\d+)\.0*([^\d]|$)")
_BARE_ROOT = re.compile(r"\\sqrt(\w+)")
_INTEGER = re.compile(r"[+-]?\d+")

_VARIABLES = ("x", "y", "z")
_NAMING = tuple(variable + sign for sign in ("=", "\\in", "\\to") for variable in _VARIABLES)


def normalise(answer: str, *, keep_units: bool = False) -> str:
    """The normal form of `answer`; `keep_units` leaves unit words where they are."""
    answer = answer.strip().replace("\n", "").rstrip(".")
    for rule in _RULES_BEFORE_UNITS:
        answer = rule(answer)
    if not keep_units:
        answer = without_unit_words(answer)
    for rule in _RULES_AFTER_UNITS:
        answer = rule(answer)
    return answer


def shorten_relations(answer: str) -> str:
    """The names of the relation signs in their short form; all that is done to a Minerva gold."""
    return answer.replace("\\neq", "\\ne").replace("\\leq", "\\le").replace("\\geq", "\\ge")


def _unify_matrices(answer: str) -> str:
    answer = _MATRIX_OPENING.sub(r"\\begin{pmatrix}", answer)
    return answer.replace("\\end{array}", "\\end{pmatrix}").replace("bmatrix", "pmatrix")


def _unify_commands(answer: str) -> str:
    answer = answer.replace("\\!", "").replace("tfrac", "frac").replace("dfrac", "frac")
    return answer.replace("\\left", "").replace("\\right", "").replace("\\{", "{").replace("\\}", "}")


def _drop_trailing_text(answer: str) -> str:
    before, text, _ = answer.partition("\\text{")
    return before.strip() or answer if text and answer.endswith("}") else answer


def _drop_degrees_and_math_marks(answer: str) -> str:
    for mark in ("^{\\circ}", "^\\circ", "\\$", "$", "\\(", "\\)"):
        answer = answer.replace(mark, "")
    return answer


def _digits_for_number_words(answer: str) -> str:
    if len(answer) > 1000:
        return answer
    try:
        return str(w2n.word_to_num(answer))
    except (ValueError, IndexError, KeyError, TypeError):
        return answer


def _open_text(answer: str) -> str:
    return _TEXT.sub(r"\1", answer)


def _drop_naming(answer: str) -> str:
    for naming in _NAMING:
        answer = answer.replace(naming, "")
    return answer


def _name_the_real_line(answer: str) -> str:
    return answer.replace("(-\\infty,\\infty)", "\\mathbb{R}").replace("\\emptyset", "{}")


def _drop_percent(answer: str) -> str:
    return answer.replace("\\%", "").replace("%", "")


def _lead_with_zero(answer: str) -> str:
    return answer.replace(" .", " 0.").replace("{.", "{0.")


def _unify_infinity(answer: str) -> str:
    if "\\infty" not in answer:
        answer = (
            answer.replace("infinity", "\\infty").replace("inf", "\\infty") if "inf" in answer else answer
        )
    return answer.replace("+\\infty", "\\infty")


def _drop_words(answer: str) -> str:
    answer = answer.replace("and", "").replace("\\mathbf", "")
    return _BOX_COMMAND.sub("", answer)


def _unify_imaginary_unit(answer: str) -> str:
    return answer.replace("j", "i") if "j" in answer and "i" not in answer else answer


def _drop_zero_decimals(answer: str) -> str:
    answer = _ZERO_DECIMALS.sub(r"\1\2", answer)
    return "0" + answer if answer.startswith(".") else answer


def _drop_short_left_side(answer: str) -> str:
    sides = answer.split("=")
    return sides[1] if len(sides) == 2 and len(sides[0]) <= 2 else answer


def _brace_roots(answer: str) -> str:
    return _BARE_ROOT.sub(r"\\sqrt{\1}", answer)


def _drop_spaces(answer: str) -> str:
    return answer.replace(" ", "")


def _brace_fractions(answer: str) -> str:
    r"""Braces around bare arguments: \frac12 is \frac{1}{2}; left alone when one such argument is missing."""
    first, *rest = answer.split("\\frac")
    parts = [first]
    for tail in rest:
        if tail.startswith("{"):
            parts.append(tail)
        elif len(tail) < 2:
            return answer
        elif tail[1] == "{":
            parts.append(f"{{{tail[0]}}}{tail[1:]}")
        else:
            parts.append(f"{{{tail[0]}}}{{{tail[1]}}}{tail[2:]}")
    return "\\frac".join(parts)


def _slash_to_fraction(answer: str) -> str:
    """A whole answer a/b as a fraction, where a and b are integers or hold a root."""
    parts = answer.split("/")
    if len(parts) == 2 and all("sqrt" in part or _INTEGER.fullmatch(part) for part in parts):
        return f"\\frac{{{parts[0]}}}{{{parts[1]}}}"
    return answer


_RULES_BEFORE_UNITS: tuple[Callable[[str], str], ...] = (
    _unify_matrices,
    shorten_relations,
    _unify_commands,
    _drop_trailing_text,
)

_RULES_AFTER_UNITS: tuple[Callable[[str], str], ...] = (
    _drop_degrees_and_math_marks,
    _digits_for_number_words,
    _open_text,
    _drop_naming,
    _name_the_real_line,
    _drop_percent,
    _lead_with_zero,
    _unify_infinity,
    _drop_words,
    _unify_imaginary_unit,
    _drop_zero_decimals,
    _drop_short_left_side,
    _brace_roots,
    _drop_spaces,
    _brace_fractions,
    _slash_to_fraction,
)
