"""Whether an answer is mathematically right: the exact verdict.

An answer and a gold answer are taken apart into lists, tuples, intervals, equations and quantities, and
their innermost parts compared as exact numbers. What remains is a pair of formulas, and whether those
are equal is a question for computer algebra, which is given as a function so that most answers need
none.

Equal means equal: no tolerance, except that a decimal of six digits or more may stand for the irrational
number or fraction it is the rounding of. Order matters in tuples and not in lists, open ends differ from
closed ones.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Protocol

from lrbench.grading import structures
from lrbench.grading.numerals import decimal_places, is_decimal, number, with_decimal_point
from lrbench.grading.quantities import Quantity, quantity, without_unit
from lrbench.grading.rewriting import tidy, trim


class Prove(Protocol):
    """Computer algebra: whether two formulas are equal, or proportional by a constant."""

    def __call__(self, answer: str, gold: str, *, proportional: bool = False) -> bool: ...


LONGEST = 2000
"""Answers with more characters than this are only compared as text."""

_MOST_PARTS = 60
_DIGITS_OF_A_ROUNDING = 6
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*(?:([ap])\.?\s*m\b\.?)?", re.IGNORECASE)
_TIME_OR_RATIO = re.compile(r"(?:0|[1-9]\d?):[1-9]\d")
_BASE = re.compile(r"\(?([0-9A-Za-z]+)\)?\s*_\s*\{?\s*(\d{1,2})\s*\}?")
_RATIO_SIGN = re.compile(r"\s*(?::|\\text\{\s*to\s*\}|\bto\b)\s*")
_HOURS = 24
_NAME = re.compile(
    r"(?:\\text\{[^{}]*\}|\\frac\{d[^{}]*\}\{d[^{}]*\}|\\?[a-zA-Z]+(?:\s+[a-zA-Z]{2,})*)"
    r"(?:\s*_\s*(?:\{[^{}]*\}|\w))?(?:'|\^\s*\{?\s*\\prime\s*\}?)*\s*(?:\([^()=]*\))?"
    r"|\(\s*[a-zA-Z](?:\s*,\s*[a-zA-Z])*\s*\)"
)
_DERIVATIVE = re.compile(
    r"([a-zA-Z])(?:'|\^\{\\prime\})|\\dot\{?([a-zA-Z])\}?|\\frac\{d([a-zA-Z])\}\{d[a-zA-Z]\}"
)
_MEMBERSHIP = re.compile(r"^\\?[a-zA-Z]+(?:_\{?\w+\}?)?\s*\\in(?![a-zA-Z])\s*")
_WORDS = re.compile(r"[a-zA-Z]{2,}(?:(?:[\s.']+|(?<=[a-zA-Z]{3})-(?=[a-zA-Z]{3}))[a-zA-Z]+)*[.']?")
_ARTICLE = re.compile(r"\b(?:the|an?)\b\s+", re.IGNORECASE)
_SUBSCRIPT_CALL = re.compile(r"\b([A-Za-z])\s*\(\s*(\d)\s*\)")


def exact_equal(answer: str, gold: str, prove: Prove) -> bool:
    """Whether `answer`, as written in a completion, is mathematically the same as `gold`."""
    if _squeezed(answer) == _squeezed(gold):
        return True
    if max(len(answer), len(gold)) > LONGEST:
        return False
    ours, theirs = tidy(answer), tidy(gold)
    if max(structures.depth(ours), structures.depth(theirs)) > structures.DEEPEST:
        return False
    return _Comparison(prove).equal(_without_membership(ours), _without_membership(theirs))


def _squeezed(text: str) -> str:
    return re.sub(r"[\s$]|\\[,;:! ]", "", text).rstrip(".")


def _without_membership(text: str) -> str:
    return _MEMBERSHIP.sub("", text)


class _Comparison:
    """The rules, each of which decides (True, False) or leaves the decision to the next (None)."""

    def __init__(self, prove: Prove) -> None:
        self.prove = prove

    def equal(self, answer: str, gold: str) -> bool:
        answer, gold = _unwrapped(answer), _unwrapped(gold)
        if _squeezed(answer) == _squeezed(gold):
            return True
        if not answer or not gold:
            return False
        rules = (
            self.clocks,
            self.quantities,
            self.bases,
            self.matrices,
            self.unions,
            self.lists,
            self.brackets,
            self.inequalities,
            self.equations,
            self.ratios,
            self.words,
        )
        for rule in rules:
            decision = rule(answer, gold)
            if decision is not None:
                return decision
        return self.formulas(answer, gold)

    def clocks(self, answer: str, gold: str) -> bool | None:
        """Times of the day, which are no ratios: 1:15 is not 2:30, and 3:05 is neither 3:5 nor 0.6.

        Only 22:26 for 11:13, where one does not name five, ten or more minutes, may be a ratio after all.
        """
        ours, theirs = _clock(answer), _clock(gold)
        if ours is not None and theirs is not None:
            return True if ours == theirs else None if _are_odd_minutes(answer, gold) else False
        for text, clock, other in ((answer, ours, gold), (gold, theirs, answer)):
            if (
                clock is not None
                and not _TIME_OR_RATIO.fullmatch(text)
                and (_ratio(other) or quantity(other))
            ):
                return False
        return None

    def quantities(self, answer: str, gold: str) -> bool | None:
        """Numbers, with or without a unit or percent sign."""
        ours, theirs = quantity(answer), quantity(gold)
        if theirs is None and ours is not None:
            theirs = _with_decimal_comma(gold)
        if theirs is None:
            return self.rounding_of_formula(answer, gold)
        if ours is None:
            ours = _with_decimal_comma(answer, whole=theirs.value.denominator == 1)
        if ours is None:
            return None
        return _same_quantity(ours, theirs) or _is_rounding(answer, theirs.value, gold)

    def rounding_of_formula(self, answer: str, gold: str) -> bool | None:
        """A bare decimal for a formula counts where it is a long enough rounding; algebra sees to that."""
        if is_decimal(answer) and structures.split_list(gold) == [gold]:
            if not _formula_like(gold) or len(structures.sides(gold)) > 1:
                return None
            return self.prove(answer, gold)
        return None

    def bases(self, answer: str, gold: str) -> bool | None:
        """Numerals with their base as a subscript."""
        ours, theirs = _BASE.fullmatch(answer), _BASE.fullmatch(gold)
        if not ours or not theirs:
            return None
        values = [_in_base(*found.groups()) for found in (ours, theirs)]
        return values[0] == values[1] if None not in values else None

    def matrices(self, answer: str, gold: str) -> bool | None:
        """Matrices, entry by entry; a column may stand for a tuple."""
        ours, theirs = structures.matrix(answer), structures.matrix(gold)
        if theirs is None and ours is not None:
            tuple_ = structures.bracketed(gold)
            if tuple_ and all(len(row) == 1 for row in ours) and len(tuple_.parts) > 1:
                return self.all_equal([row[0] for row in ours], list(tuple_.parts))
        if ours is None or theirs is None:
            return None
        return [len(row) for row in ours] == [len(row) for row in theirs] and all(
            self.all_equal(list(our_row), list(their_row))
            for our_row, their_row in zip(ours, theirs, strict=True)
        )

    def unions(self, answer: str, gold: str) -> bool | None:
        """Unions and intersections of intervals and sets, in any order."""
        for sign in ("\\cup", "\\cap"):
            theirs = structures.split(gold, frozenset({sign}))
            if len(theirs) > 1:
                ours = structures.split(answer, frozenset({sign}))
                if len(ours) == 1:
                    ours = structures.split(answer, frozenset({"or"}))
                return self.same_parts(ours, theirs)
        if len(structures.split(answer, frozenset({"\\cup", "\\cap"}))) > 1:
            return False
        return None

    def lists(self, answer: str, gold: str) -> bool | None:
        """Several answers in any order, with or without braces; the sign of plus or minus counts as two."""
        ours, theirs = _listed(answer), _listed(gold)
        if len(theirs) == 1 and len(ours) == 1:
            return None
        if len(theirs) == 1:
            tuple_ = structures.bracketed(gold)
            if tuple_ and tuple_.opening == "(" and len(tuple_.parts) == len(ours):
                return self.all_equal(ours, list(tuple_.parts))
            return False
        enclosed = structures.bracketed(answer)
        if len(ours) == 1 and enclosed and enclosed.opening + enclosed.closing in ("()", "[]"):
            ours = list(enclosed.parts)
        return self.same_parts(ours, theirs)

    def brackets(self, answer: str, gold: str) -> bool | None:
        """Tuples and intervals: order and kinds of brackets matter."""
        theirs = structures.bracketed(gold)
        if theirs is None or len(theirs.parts) < 2:
            return None
        ours = structures.bracketed(answer) or _interval_of_inequality(answer)
        if ours is None:
            return None if len(structures.sides(answer)) > 1 else False
        same_kind = (ours.opening, ours.closing) == (theirs.opening, theirs.closing)
        if not same_kind and (len(theirs.parts) == 2 or ours.opening == "{"):
            return False
        return self.all_equal(list(ours.parts), list(theirs.parts))

    def inequalities(self, answer: str, gold: str) -> bool | None:
        """Inequalities, also against the interval they describe."""
        ours, theirs = structures.inequality(answer), structures.inequality(gold)
        if theirs is None:
            return False if ours is not None else None
        described = _interval_of_inequality(gold)
        if ours is None:
            interval = structures.bracketed(answer)
            if described is None or interval is None:
                return False
            same_kind = (interval.opening, interval.closing) == (described.opening, described.closing)
            return same_kind and self.all_equal(list(interval.parts), list(described.parts))
        written = _interval_of_inequality(answer)
        if described and written and _variable(ours[0]) == _variable(theirs[0]):
            same_kind = (written.opening, written.closing) == (described.opening, described.closing)
            return same_kind and self.all_equal(list(written.parts), list(described.parts))
        if len(ours[1]) == len(theirs[1]) == 1:
            return self.single_inequalities(ours, theirs)
        return ours[1] == theirs[1] and self.all_equal(ours[0], theirs[0])

    def single_inequalities(
        self, ours: tuple[list[str], list[str]], theirs: tuple[list[str], list[str]]
    ) -> bool:
        left, right = (_less_than(*terms_and_signs) for terms_and_signs in (ours, theirs))
        return left[1] == right[1] and self.prove(left[0], right[0])

    def equations(self, answer: str, gold: str) -> bool | None:
        """Equations: named values by their value, others by whether one is a multiple of the other."""
        ours, theirs = structures.sides(answer), structures.sides(gold)
        if len(ours) == len(theirs) == 1:
            return None
        if len(theirs) == 1:
            return self.value_of(ours, gold)
        if len(ours) == 1:
            return bool(_NAME.fullmatch(theirs[0])) and self.equal(answer, theirs[-1])
        same_name = _name(ours[0]) == _name(theirs[0]) or _word_named(ours[0]) or _word_named(theirs[0])
        if same_name and self.equal(ours[-1], theirs[-1]):
            return True
        if len(ours) != 2 or len(theirs) != 2:
            return self.all_equal(ours, theirs)
        if all(_formula_like(side) for side in ours + theirs):
            left, right = (f"({first})-({second})" for first, second in (ours, theirs))
            return self.prove(left, right, proportional=True)
        return self.same_parts(ours, theirs)

    def value_of(self, ours: list[str], gold: str) -> bool:
        """The value an equation gives to a name, on either side, or that a calculation ends with."""
        if _NAME.fullmatch(ours[-1]) and not _NAME.fullmatch(ours[0]) and len(ours) == 2:
            return self.equal(ours[0], gold)
        is_named = bool(_NAME.fullmatch(ours[0]))
        is_calculation = not re.search(r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])", ours[0]) and len(ours[0]) > 0
        return (is_named or is_calculation) and self.equal(ours[-1], gold)

    def ratios(self, answer: str, gold: str) -> bool | None:
        """Ratios by their proportions; one of two numbers also as the fraction it stands for."""
        ours, theirs = _ratio(answer), _ratio(gold)
        if ours is None and theirs is None:
            return None
        ours, theirs = ours or _fraction(answer), theirs or _fraction(gold)
        if ours is None or theirs is None:
            return None
        return len(ours) == len(theirs) and all(
            ours[0] * other == first * theirs[0] for first, other in zip(ours, theirs, strict=True)
        )

    def words(self, answer: str, gold: str) -> bool | None:
        """Answers in words: letter case, articles and punctuation aside."""
        ours, theirs = _plain_words(answer), _plain_words(gold)
        if not _WORDS.fullmatch(theirs):
            return False if _WORDS.fullmatch(ours) and len(ours) > 3 and not _formula_like(ours) else None
        return _same_words(ours, theirs)

    def formulas(self, answer: str, gold: str) -> bool:
        """What is left is for computer algebra, first without units."""
        bare = without_unit(answer), without_unit(gold)
        if bare != (answer, gold) and self.equal(*bare):
            return True
        if not (_formula_like(answer) and _formula_like(gold)):
            return False
        return self.prove(*_with_same_calls(answer, gold))

    def all_equal(self, answers: list[str], golds: list[str]) -> bool:
        return len(answers) == len(golds) and all(map(self.equal, answers, golds))

    def same_parts(self, answers: list[str], golds: list[str]) -> bool:
        """Whether the parts are the same in some order."""
        if len(answers) != len(golds) or len(golds) > _MOST_PARTS:
            return False
        open_golds = list(golds)
        for answer in answers:
            same = [gold for gold in open_golds if _squeezed(gold) == _squeezed(answer)]
            match = same[0] if same else next((gold for gold in open_golds if self.equal(answer, gold)), None)
            if match is None:
                return False
            open_golds.remove(match)
        return True


def _unwrapped(text: str) -> str:
    """`text` without brackets that hold a single thing."""
    text = trim(text)
    for _ in range(structures.DEEPEST):
        inside = structures.bracketed(text)
        if (
            inside is None
            or len(inside.parts) != 1
            or inside.opening + inside.closing not in ("()", "[]", "{}")
        ):
            break
        text = trim(inside.parts[0])
    return text


def _listed(text: str) -> list[str]:
    if number(text) is not None:
        return [text]
    inside = structures.bracketed(text)
    parts = list(inside.parts) if inside and inside.opening == "{" else structures.split_list(text)
    return [form for part in parts for form in _both_signs(part)]


def _both_signs(text: str) -> tuple[str, ...]:
    if "\\pm" not in text and "\\mp" not in text:
        return (text,)
    plus = re.sub(r"\\pm(?![a-zA-Z])", "+", re.sub(r"\\mp(?![a-zA-Z])", "-", text))
    minus = re.sub(r"\\pm(?![a-zA-Z])", "-", re.sub(r"\\mp(?![a-zA-Z])", "+", text))
    return plus, minus


def _same_quantity(ours: Quantity, theirs: Quantity) -> bool:
    if theirs.is_percent and not ours.is_percent:
        return ours.value in (theirs.value, theirs.value / 100)
    if ours.is_percent and not theirs.is_percent:
        return ours.value / 100 == theirs.value
    return ours.value == theirs.value


def _is_rounding(answer: str, value: Fraction, gold: str) -> bool:
    """Whether `answer` is a long enough rounding of a fraction."""
    ours = number(answer)
    digits, places = decimal_places(answer)
    if ours is None or digits < _DIGITS_OF_A_ROUNDING or not places or is_decimal(gold):
        return False
    return 2 * abs(ours - value) <= Fraction(1, 10**places)


def _with_decimal_comma(text: str, *, whole: bool = True) -> Quantity | None:
    """The number in a text that has a comma before its decimals, where `whole` may it be one without."""
    plain = with_decimal_point(text, whole=whole)
    return quantity(plain) if plain is not None else None


def _in_base(digits: str, base: str) -> int | None:
    try:
        return int(digits, int(base))
    except ValueError:
        return None


def _interval_of_inequality(text: str) -> structures.Bracketed | None:
    """The interval of the one variable an inequality is about: 0 <= x < 1 is [0, 1)."""
    chain = structures.inequality(text)
    if chain is None:
        return None
    terms, signs = chain
    if signs[0].startswith(">"):
        terms, signs = terms[::-1], [sign.replace(">", "<") for sign in signs[::-1]]
    if any(sign.startswith(">") for sign in signs):
        return None
    variable = _variable(terms)
    if variable is None:
        return None
    if len(terms) == 3 and terms[1] == variable:
        opening, closing = "[" if signs[0] == "<=" else "(", "]" if signs[1] == "<=" else ")"
        return structures.Bracketed(opening, closing, (terms[0], terms[2]))
    if len(terms) != 2:
        return None
    if terms[0] == variable:
        return structures.Bracketed("(", "]" if signs[0] == "<=" else ")", ("-\\infty", terms[1]))
    return structures.Bracketed("[" if signs[0] == "<=" else "(", ")", (terms[0], "\\infty"))


def _variable(terms: list[str]) -> str | None:
    names = [term for term in terms if _NAME.fullmatch(term) and term != "\\infty"]
    return names[0] if len(names) == 1 else None


def _less_than(terms: list[str], signs: list[str]) -> tuple[str, str]:
    """An inequality as the difference that is negative, and its sign."""
    lesser, greater = terms if signs[0].startswith("<") else terms[::-1]
    return f"({lesser})-({greater})", signs[0].replace(">", "<")


def _clock(text: str) -> tuple[int, bool] | None:
    """A time of the day in seconds, and whether it may also be that time in the other half of the day."""
    found = _CLOCK.fullmatch(_plain_words(text))
    if not found or int(found[1]) > _HOURS:
        return None
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    half = found[4]
    if half and hour <= _HOURS // 2:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return (hour * 60 + minute) * 60 + second, not half and 1 <= hour <= _HOURS // 2


def _are_odd_minutes(*texts: str) -> bool:
    """Whether all could be ratios, and one is no time that people name often."""
    return all(map(_TIME_OR_RATIO.fullmatch, texts)) and any(int(text[-1]) % 5 for text in texts)


def _ratio(text: str) -> tuple[Fraction, ...] | None:
    """The terms of a ratio, the first not zero, nor all of the others."""
    terms = [number(term) for term in _RATIO_SIGN.split(text)]
    known = tuple(term for term in terms if term is not None)
    return known if 1 < len(terms) == len(known) and known[0] and any(known[1:]) else None


def _fraction(text: str) -> tuple[Fraction, ...] | None:
    value = number(text)
    return (value, Fraction(1)) if value else None


def _name(side: str) -> str:
    """The left side of an equation, with one spelling for a derivative."""
    name = _squeezed(side)
    derivative = _DERIVATIVE.fullmatch(name)
    return "derivative of " + next(filter(None, derivative.groups())) if derivative else name


def _word_named(side: str) -> bool:
    return bool(re.fullmatch(r"\\text\{[^{}]*\}|[a-zA-Z]{3,}(?:\s+[a-zA-Z]+)*", side.strip()))


def _plain_words(text: str) -> str:
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    return re.sub(r"\s+", " ", text).strip().strip("()\"'`.,*").strip()


def _same_words(ours: str, theirs: str) -> bool:
    left, right = (re.sub(r"[^a-z0-9]", "", _ARTICLE.sub("", text).lower()) for text in (ours, theirs))
    return left == right


def _formula_like(text: str) -> bool:
    """Whether a text could be a formula for computer algebra: no sentence, hardly a long word."""
    bare = re.sub(r"\\[a-zA-Z]+|\{[a-zA-Z]+\}", " ", text)
    words = [word for word in re.findall(r"[a-zA-Z]{4,}", bare) if word.lower() not in _FUNCTIONS]
    return (
        bool(text)
        and len(text) <= LONGEST
        and (not words or (bool(re.search(r"[=+*/^_]|\d", bare)) and len(words) < 3))
    )


_FUNCTIONS = frozenset(["sqrt", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"])


def _with_same_calls(answer: str, gold: str) -> tuple[str, str]:
    """A value such as I(0) written as I_0 where the other side writes it so."""
    for name, argument in _SUBSCRIPT_CALL.findall(answer + " " + gold):
        if re.search(rf"{name}_\{{?{argument}\}}?", answer + " " + gold):
            call = re.compile(rf"\b{name}\s*\(\s*{argument}\s*\)")
            answer, gold = (call.sub(f"{name}_{{{argument}}}", text) for text in (answer, gold))
    return answer, gold
