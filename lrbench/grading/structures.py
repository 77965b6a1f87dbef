"""The outer shape of an answer: lists, tuples, intervals, unions, matrices, equations and inequalities."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\\begin\{[^{}]*\}|\\end\{[^{}]*\}|\\text\{[^{}]*\}|\\\\|\\[{}]|\\[a-zA-Z]+|[a-zA-Z]+|<=|>=|."
    , re.DOTALL
)  # fmt: skip
_OPENING = frozenset({"(", "[", "{", "\\{", "\\lfloor", "\\lceil"})
_CLOSING = frozenset({")", "]", "}", "\\}", "\\rfloor", "\\rceil"})
_LIST_SEPARATORS = frozenset({",", ";", "and", "or"})
_RELATIONS = {"<": "<", "\\le": "<=", "<=": "<=", ">": ">", "\\ge": ">=", ">=": ">="}
_MATRIX = re.compile(r"\(?\s*\\begin\{pmatrix\}(.*)\\end\{pmatrix\}\s*\)?", re.DOTALL)

DEEPEST = 60
"""Brackets nested deeper than this are left unread."""


@dataclass(frozen=True, slots=True)
class Bracketed:
    """Parts between one pair of brackets: `opening` and `closing` are one of ( [ { and ) ] }."""

    opening: str
    closing: str
    parts: tuple[str, ...]


def split_list(text: str) -> list[str]:
    """The parts of a list that stands without brackets; one part where it is none."""
    parts = split(text, _LIST_SEPARATORS)
    return [part for part in parts if part.strip()] if len(parts) > 1 else parts


def split(text: str, separators: frozenset[str]) -> list[str]:
    """`text` cut at those `separators` that stand outside all brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in _TOKEN.findall(text):
        word = token[len("\\text{") : -1].strip() if token.startswith("\\text{") else token
        depth += opens(token) - closes(token)
        if depth == 0 and word in separators:
            parts.append([])
        else:
            parts[-1].append(token)
    return ["".join(part).strip() for part in parts]


def opens(token: str) -> bool:
    return token in _OPENING or token.startswith("\\begin")


def closes(token: str) -> bool:
    return token in _CLOSING or token.startswith("\\end")


def depth(text: str) -> int:
    """How deep the brackets of `text` are nested at most."""
    level = deepest = 0
    for token in _TOKEN.findall(text):
        level += opens(token) - closes(token)
        deepest = max(deepest, level)
    return deepest


def bracketed(text: str) -> Bracketed | None:
    """The list between the brackets that enclose all of `text`; None where no one pair does."""
    tokens = _TOKEN.findall(text.strip())
    if len(tokens) < 2 or tokens[0].lstrip("\\") not in "([{" or tokens[-1].lstrip("\\") not in ")]}":
        return None
    level = 0
    for position, token in enumerate(tokens):
        level += opens(token) - closes(token)
        if level == 0 and position < len(tokens) - 1:
            return None
    if level != 0:
        return None
    inside = "".join(tokens[1:-1]).strip()
    return Bracketed(tokens[0].lstrip("\\"), tokens[-1].lstrip("\\"), tuple(split_list(inside)))


def matrix(text: str) -> tuple[tuple[str, ...], ...] | None:
    """The entries of a matrix, row by row."""
    found = _MATRIX.fullmatch(text.strip())
    if not found or "\\begin" in found.group(1):
        return None
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", found.group(1)) if row.strip()]
    return tuple(tuple(entry.strip() for entry in row.split("&")) for row in rows)


def sides(text: str) -> list[str]:
    """The sides of an equation; one side where there is no equals sign."""
    return split(text, frozenset({"="}))


def inequality(text: str) -> tuple[list[str], list[str]] | None:
    """The terms of a chain of inequalities and the signs between them, each of < <= > >=."""
    terms: list[list[str]] = [[]]
    signs: list[str] = []
    level = 0
    for token in _TOKEN.findall(text):
        level += opens(token) - closes(token)
        if level == 0 and token in _RELATIONS:
            signs.append(_RELATIONS[token])
            terms.append([])
        else:
            terms[-1].append(token)
    return (["".join(term).strip() for term in terms], signs) if signs else None
