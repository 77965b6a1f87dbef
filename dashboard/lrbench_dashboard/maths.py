r"""Text that may hold formulas as Markdown that typesets those formulas and can do nothing else.

Everything outside a formula becomes a code span: no markup, link, emoji or directive is read inside one,
neither by the parser nor by what Streamlit does to the text afterwards, which escaping alone would not
stop. A formula is typeset when it is short, plain ASCII, balanced, and uses known commands alone; in
doubt it is shown as the text it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lrbench.results.web.text import visible

LONGEST_FORMULA = 600
LONGEST_TEXT = 20_000
MOST_LINES = 400
DEEPEST = 12

_COMMAND_NAMES = """
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho
sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
frac dfrac tfrac cfrac binom dbinom tbinom sqrt cdot cdots ldots dots vdots ddots times div pm mp ast
star circ bullet le leq leqslant ge geq geqslant lt gt ne neq approx equiv cong sim simeq propto
parallel perp mid nmid in notin ni subset subseteq supset supseteq cup cap setminus emptyset varnothing
forall exists neg land lor to rightarrow Rightarrow leftarrow Leftarrow leftrightarrow Leftrightarrow
longrightarrow implies iff mapsto sum prod int iint oint lim limsup liminf max min sup inf gcd log ln lg
exp sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh det dim ker deg arg Pr bmod pmod mod
infty partial nabla prime angle triangle degree left right middle big Big bigg Bigg bigl bigr Bigl Bigr
biggl biggr langle rangle lfloor rfloor lceil rceil lvert rvert lVert rVert vert Vert text textbf textit
textrm mathrm mathbf mathbb mathcal mathit mathsf mathfrak operatorname boxed overline underline hat
widehat vec bar tilde dot ddot overrightarrow overbrace underbrace quad qquad displaystyle textstyle
limits nolimits begin end hline therefore because square blacksquare
"""
_ENVIRONMENT_NAMES = (
    "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix cases aligned gathered array split smallmatrix"
)
_COMMANDS = frozenset(_COMMAND_NAMES.split())
_ENVIRONMENTS = frozenset(_ENVIRONMENT_NAMES.split())
_SYMBOLS = frozenset(",;:! {}|%\\_&")
_COMMAND = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{([^}]*)\}")
_FENCED = re.compile(
    r"""
    \$\$(?P<double>[^$]{1,600})\$\$
    | (?<![\\$])\$(?=\S)(?P<single>[^$\n]{1,600}?(?<=[^\s\\]))\$(?![\d$])
    | \\\((?P<round>.{1,600}?)\\\)
    | \\\[(?P<square>.{1,600}?)\\\]
    | (?P<box>\\boxed\{)
    """,
    re.VERBOSE | re.DOTALL,
)


class Piece(NamedTuple):
    """A stretch of text, or a formula without its fences; `source` is what stood in the text."""

    source: str
    formula: str | None = None


def with_maths(text: str) -> str:
    """`text` as Markdown, its formulas typeset, one line per line; cut where it is very long."""
    cut = text[:LONGEST_TEXT]
    lines: list[str] = [""]
    for piece in pieces(cut):
        if piece.formula is not None:
            # Two dollars in a row would open a display formula.
            lines[-1] += f" ${piece.formula}$" if lines[-1].endswith("$") else f"${piece.formula}$"
            continue
        first, *rest = piece.source.split("\n")
        lines[-1] += code_span(first)
        lines += [code_span(line) for line in rest]
    shown = "\\\n".join(line or code_span(" ") for line in lines[:MOST_LINES])
    left_out = len(text) > LONGEST_TEXT or len(lines) > MOST_LINES
    return f"{shown}\n\n*… cut; the text view shows more*" if left_out else shown


def pieces(text: str) -> Iterator[Piece]:
    """`text` as formulas that are safe to typeset and the text between them; nothing is left out."""
    done = position = 0
    while match := _FENCED.search(text, position):
        end = _closing(text, match.end()) if match.group("box") else match.end()
        body = None if end is None else _formula(match, text[match.start() : end])
        if end is None or body is None:
            position = match.end()
            continue
        if match.start() > done:
            yield Piece(text[done : match.start()])
        yield Piece(text[match.start() : end], body)
        done = position = end
    if done < len(text):
        yield Piece(text[done:])


def code_span(text: str) -> str:
    """`text`, one line of it, as a code span: fenced by more backticks than it holds, padded by a space."""
    if not text:
        return ""
    shown = "".join(visible(character) for character in text).replace("\n", " ")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    # Markdown takes one space off each end, unless there is nothing but spaces.
    return f"{fence}{shown}{fence}" if not shown.strip(" ") else f"{fence} {shown} {fence}"


def is_safe_formula(formula: str) -> bool:
    """Whether a formula may go to the typesetter."""
    if not 0 < len(formula) <= LONGEST_FORMULA or not formula.isascii() or not formula.isprintable():
        return False
    if any(character in formula for character in "$`#~"):
        return False
    bare = _COMMAND.sub("", formula)
    if "%" in bare or "\\" in bare or formula.endswith("\\") or not _is_balanced(bare):
        return False
    if "&" in bare and "\\begin" not in formula:
        return False
    environments = _ENVIRONMENT.findall(formula)
    if formula.count("\\begin") + formula.count("\\end") != len(environments):
        return False
    return all(name in _ENVIRONMENTS for name in environments) and all(
        name in _COMMANDS or name in _SYMBOLS for name in _COMMAND.findall(formula)
    )


def _formula(match: re.Match[str], source: str) -> str | None:
    """What to typeset for a match, or None where it is better shown as text."""
    inside = source if match.group("box") else next(group for group in match.groups() if group)
    formula = " ".join(inside.split())
    if not is_safe_formula(formula):
        return None
    return f"\\displaystyle {formula}" if match.group("double") or match.group("square") else formula


def _closing(text: str, start: int) -> int | None:
    """Just after the brace that closes the one before `start`."""
    depth = 1
    for position in range(start, min(len(text), start + LONGEST_FORMULA)):
        if text[position - 1] != "\\":
            depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return None


def _is_balanced(bare: str) -> bool:
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if not 0 <= depth <= DEEPEST:
            return False
    return depth == 0
