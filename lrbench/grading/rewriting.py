"""One plain spelling of LaTeX for the exact verdict, without a change of mathematical meaning."""

from __future__ import annotations

import re
import unicodedata

_SIGNS = str.maketrans(
    {
        "−": "-", "–": "-", "×": "\\times ", "÷": "\\div ", "·": "\\cdot ", "⋅": "\\cdot ", "°": "^\\circ ",
        "π": "\\pi ", "θ": "\\theta ", "∞": "\\infty ", "√": "\\sqrt ", "≤": "\\le ", "≥": "\\ge ",
        "≠": "\\ne ", "≈": "\\approx ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "±": "\\pm ",
        "‐": "-", "‑": "-", "∕": "/", "⁄": "/", "’": "'", "“": '"', "”": '"', "、": ",", "。": ".",
        "\u200b": "", "\u200c": "", "\u200d": "", "\ufeff": "", "\u2060": "", "\u00a0": " ",
    }
)  # fmt: skip

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₙ", "0123456789+-=()aeoxn", strict=True))
_FRACTION_SLASHES = "\u2044\u2215"
_SMALL_FRACTION = re.compile(
    rf"([{''.join(_SUPERSCRIPTS)}]+)[{_FRACTION_SLASHES}]([{''.join(_SUBSCRIPTS)}]+)"
)
_RAISED = re.compile(rf"[{''.join(_SUPERSCRIPTS)}]+")
_LOWERED = re.compile(rf"[{''.join(_SUBSCRIPTS)}]+")
_VULGAR_FRACTION = re.compile(r"[\u00bc-\u00be\u2150-\u215e\u2189]")
_APOSTROPHE = re.compile(r"(?<=\d)['\u2018\u2019\u201b\u02b9\u02bc\u2032\u00b4`](?=\d{3}(?!\d))")
_BRACED_COMMAS = re.compile(r"(?<![\d.,}])([1-9]\d{0,2})((?:\{,\s*\}\d{3})+)(?!\d)")

_TEXT_COMMANDS = r"text|textbf|textit|textrm|textsf|textnormal|textup|emph|mbox|hbox|mathrm|mathsf|rm"
_FONT_COMMANDS = r"mathbf|mathit|mathcal|mathnormal|boldsymbol|bm|pmb|bold|underline|boxed|fbox|framebox|vec"
_ARGUMENT = r"\s*\{((?:[^{}]|\{[^{}]*\})*)\}"

_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\!|\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|therefore|because)(?![a-zA-Z])", ""),
        (r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![a-zA-Z])\.?", ""),
        (r"\\(?:,|;|:|>|quad|qquad|thinspace|enspace|hspace\{[^{}]*\}|phantom\{[^{}]*\})(?![a-zA-Z])|~", " "),
        (r"(?<!\\)\\ ", " "),
        (r"\\(?:[tdc]|nice|s|flat)frac(?![a-zA-Z])", r"\\frac"),
        (r"\\le(?:q|qslant|slant)?(?![a-zA-Z])", r"\\le "),
        (r"\\ge(?:q|qslant|slant)?(?![a-zA-Z])", r"\\ge "),
        (r"\\(?:neq|not=)(?![a-zA-Z])", r"\\ne "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\(?:lbrace|lbrack)(?![a-zA-Z])", r"\\{"),
        (r"\\(?:rbrace|rbrack)(?![a-zA-Z])", r"\\}"),
        (r"\\langle(?![a-zA-Z])", "("),
        (r"\\rangle(?![a-zA-Z])", ")"),
        (r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degree(?![a-zA-Z])", r"^\\circ "),
        (r"\\begin\{(?:[bpvB]|small)?matrix\}|\\begin\{array\}\s*\{[^{}]*\}", r"\\begin{pmatrix}"),
        (r"\\end\{(?:[bpvB]|small)?matrix\}|\\end\{array\}", r"\\end{pmatrix}"),
        (r"\\(?:text)?color\s*\{[a-zA-Z]+\}\s*", ""),
        (r"\\\$|\$|\\[()]|(?<!\\)\\[\[\]]", ""),
        (r"\\mathbb\s*\{?\s*R\s*\}?|\\text\{\s*all real(?: number)?s\s*\}", r"(-\\infty,\\infty)"),
        (r"\\(?:emptyset|varnothing)(?![a-zA-Z])|\\text\{\s*no (?:real )?solutions?\s*\}", r"\\text{none}"),
        (r"\*\*", ""),
        (r"\bnp\.", r"\\"),
        (r"(?<![a-zA-Z\\])(?:inf|infinity|oo)(?![a-zA-Z])", r"\\infty "),
        (r"\{,\s*\}", ","),
        (r"_\s*([a-zA-Z0-9])(?![a-zA-Z0-9])", r"_{\1}"),
        (r"\\cr(?![a-zA-Z])", r"\\\\"),
        (r"\\hline(?![a-zA-Z])", ""),
        (r"\\cancel(?:to)?(?![a-zA-Z])", ""),
    )
)
_TEXT = re.compile(rf"\\(?:{_TEXT_COMMANDS}){_ARGUMENT}")
_FONT = re.compile(rf"\\(?:{_FONT_COMMANDS})(?![a-zA-Z]){_ARGUMENT}")
_FONT_SWITCH = re.compile(rf"\\(?:{_FONT_COMMANDS}|bf|it)(?![a-zA-Z])\s*")
_OPERATOR_NAME = re.compile(rf"\\operatorname\*?{_ARGUMENT}")
_OVER = re.compile(r"\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\\over\b((?:[^{}]|\{[^{}]*\})*)\}")
_OPEN_OVER = re.compile(r"^([^{}]*)\\over\b([^{}]*)$")
_BARE_ROOT = re.compile(r"\\sqrt\s*(\d+|[a-zA-Z])")
_BARE_POWER = re.compile(r"\^\s*(-?\d+)")
_DOUBLED_BACKSLASH = re.compile(r"\\\\(?=[a-zA-Z])")
_OPENING_WORDS = re.compile(r"^(?:the\s+)?(?:final\s+)?answer\s*(?:is)?\s*:?\s*", re.IGNORECASE)
_LEADING = re.compile(
    r"^(?:\s|:|=(?!=)|\\approx|\\sim|\\simeq|\\cong|\\implies|\\Rightarrow|\\to)+(?![a-zA-Z])"
)
_SPACES = re.compile(r"\s+")
_QUOTES = "\"'`"
_LIMIT = 12


def tidy(answer: str) -> str:
    r"""`answer` with one spelling for each sign; words stay marked as \text{...}, since they may be units."""
    answer = _with_plain_digits(answer)
    answer = unicodedata.normalize("NFKC", answer.translate(_SIGNS)).translate(_SIGNS)
    answer = _BRACED_COMMAS.sub(lambda found: re.sub(r"[^\d]", "", found.group()), answer)
    if "\\begin" not in answer:
        answer = _DOUBLED_BACKSLASH.sub(r"\\", answer)
    for pattern, replacement in _REWRITES:
        answer = pattern.sub(replacement, answer)
    answer = _until_stable(_FONT, r"\1", answer)
    answer = _FONT_SWITCH.sub("", answer)
    answer = _until_stable(_OPERATOR_NAME, r"\\text{\1}", answer)
    answer = _until_stable(_TEXT, r"\\text{\1}", answer)
    answer = _OPEN_OVER.sub(r"\\frac{\1}{\2}", _OVER.sub(r"\\frac{\1}{\2}", answer))
    answer = _BARE_ROOT.sub(r"\\sqrt{\1}", answer)
    answer = _BARE_POWER.sub(r"^{\1}", answer)
    answer = brace_fractions(answer)
    return trim(answer)


def _with_plain_digits(answer: str) -> str:
    """Fractions, powers and indices that are one sign as LaTeX, and one apostrophe between thousands.

    Compatibility normalisation alone would run them into the digits before: 2½ into 21/2, 10⁴ into 104.
    """
    answer = _SMALL_FRACTION.sub(
        lambda found: rf"\frac{{{_spelt(found[1], _SUPERSCRIPTS)}}}{{{_spelt(found[2], _SUBSCRIPTS)}}}",
        answer,
    )
    answer = _VULGAR_FRACTION.sub(lambda found: _vulgar_fraction(found.group()), answer)
    answer = _RAISED.sub(lambda found: f"^{{{_spelt(found.group(), _SUPERSCRIPTS)}}}", answer)
    answer = _LOWERED.sub(lambda found: f"_{{{_spelt(found.group(), _SUBSCRIPTS)}}}", answer)
    return _APOSTROPHE.sub("'", answer)


def _spelt(signs: str, letters: dict[str, str]) -> str:
    return "".join(letters[sign] for sign in signs)


def _vulgar_fraction(sign: str) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", sign).split("\u2044")
    return rf"\frac{{{numerator}}}{{{denominator}}}"


def brace_fractions(answer: str) -> str:
    r"""Braces around the bare arguments of fractions: \frac12 and \frac1{2} are \frac{1}{2}."""
    parts = answer.split("\\frac")
    for number, tail in enumerate(parts[1:], start=1):
        tail = tail.lstrip()
        numerator, rest = _first_argument(tail)
        denominator, rest = _first_argument(rest.lstrip())
        parts[number] = f"{{{numerator}}}{{{denominator}}}{rest}" if numerator and denominator else tail
    return "\\frac".join(parts)


def _first_argument(text: str) -> tuple[str, str]:
    """What TeX takes for the first argument in `text`, without its braces, and what follows."""
    if not text.startswith("{"):
        command = re.match(r"\\[a-zA-Z]+|.", text)
        return (command.group(), text[command.end() :]) if command else ("", text)
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:position], text[position + 1 :]
    return "", text


def trim(answer: str) -> str:
    """`answer` without what its ends do not need: quotes, punctuation, "the answer is", braces."""
    answer = _SPACES.sub(" ", answer)
    for _ in range(_LIMIT):
        before = answer
        answer = answer.strip().strip(_QUOTES) if not answer.endswith("\\prime") else answer.strip()
        answer = re.sub(r"(?<![\\.])[.,;:/]$|\\\\$", "", answer)
        answer = _LEADING.sub("", answer)
        answer = _OPENING_WORDS.sub("", answer)
        if re.fullmatch(r"\\text\{[^{}]*\}", answer):
            answer = answer[len("\\text{") : -1]
        if re.match(r"\\text\{\s*the answer is\s*:?\s*\}", answer, re.IGNORECASE):
            answer = answer.partition("}")[2]
        if answer.startswith("{") and _first_argument(answer)[1] == "":
            answer = _first_argument(answer)[0]
        if answer == before:
            break
    return answer


def _until_stable(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    for _ in range(_LIMIT):
        after = pattern.sub(replacement, text)
        if after == text:
            break
        text = after
    return text
