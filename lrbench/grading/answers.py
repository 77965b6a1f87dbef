"""Which part of a completion is its answer, for the exact verdict.

Where the paper's protocol knows boxes and three phrases, this reading also takes an answer that is
announced in other words, leaves out what a runaway completion goes on to invent, and joins boxes that
together make a list.
"""

from __future__ import annotations

import re

_RUNAWAY = re.compile(r"\n[ \t\r]*\n\s{0,10}(?:Question|Problem|Human|User|Next question|Q)\b\s*[:.]")
_LONGEST = 5000
_LONGEST_LINE = 200
_LONGEST_JOINT = 40
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*")
_MINERVA = re.compile(r"final answer is \$((?:(?!final answer is).)+?)\$\. I hope", re.DOTALL)
_BETWEEN_BOXES = re.compile(
    r"(?:[\s$]|\\[()])*(?:,|;|,?\s*(?:\\text\{)?\s*(?:and|or)\s*\}?)(?:[\s$]|\\[()])*"
)

# The later kind of announcement is only looked for where the earlier kind does not occur.
_ANNOUNCEMENTS = (
    re.compile(
        r"(?:final answer\**\s*(?:is|:)|\banswer(?:,[^,.\n]{1,30},)?\s+(?:is|would be|should be|must be|was)"
        r"(?!\s+(?:not|no)\b)|\banswer\**\s*(?:[:=]|\s-\s)|(?:^|[.!?}]\s)[ \t]*A[ \t]*:|####|答案是)\s*:?",
        re.IGNORECASE | re.MULTILINE,
    ),
    re.compile(r"\b(?:result\s+is|comes\s+to|equals|we\s+(?:obtain|get|find|have))\b\s*:?", re.IGNORECASE),
)
_MATHS = re.compile(
    r"\$\$(.+?)\$\$|\$((?:\\\$|[^$])+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]|\*\*(.+?)\*\*", re.DOTALL
)
_JOINED_MATHS = re.compile(r"\s*(?:,|;|and|or|\\text\{ ?(?:and|or) ?\})?\s*")
_SENTENCE_END = re.compile(r"(?<!\bp)(?<!\bm)\.(?=\s+[A-Z(\\$]|\s*$)|。|\n\s*\n|(?<=[^\\&])\n(?!\s*[-\d\\&])")
_CLAUSE_END = re.compile(r",\s+(?:as|which|since|because|so|where|that|and so)\s")
_EQUALS_LAST = re.compile(r"=\s*((?:[^=\n.]|\.\d)+?)\s*\.?\s*$")
_NUMBER = re.compile(r"[-−]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*\\?%)?|[-−]?\.\d+")


def exact_answer(text: str) -> str | None:
    """The answer a reader takes from a completion (cut at its stop strings), as written; None without one."""
    text = _without_runaway(text)
    minerva = _MINERVA.search(text)
    if minerva:
        return minerva.group(1)
    boxed = boxed_answer(text)
    if boxed is not None:
        return boxed
    for announcement in _ANNOUNCEMENTS:
        for found in reversed(list(announcement.finditer(text))):
            answer = _announced(text[found.end() : found.end() + _LONGEST])
            if answer:
                return answer
    last_line = text.rstrip().rpartition("\n")[2][-_LONGEST_LINE:]
    equation = _EQUALS_LAST.search(last_line)
    if equation:
        return equation.group(1)
    numbers = _NUMBER.findall(text)
    return numbers[-1] if numbers else None


def boxed_answer(text: str) -> str | None:
    """What stands in the last box that is not empty; boxes joined by a comma or a conjunction make a list."""
    joined: list[str] = []
    start = len(text)
    for box in reversed(list(_BOX.finditer(text))):
        content, end = _content(text, box.end())
        if not joined and content.strip():
            joined, start = [content.strip()], box.start()
        elif (
            joined
            and 0 <= start - end <= _LONGEST_JOINT
            and content.strip()
            and _BETWEEN_BOXES.fullmatch(text[end:start])
        ):
            joined, start = [content.strip(), *joined], box.start()
        elif joined:
            break
    return ", ".join(joined) if joined else None


def _without_runaway(text: str) -> str:
    """The completion up to where it starts a question of its own, unless nothing stands before that."""
    found = _RUNAWAY.search(text)
    return text[: found.start()] if found and text[: found.start()].strip() else text


def _content(text: str, start: int) -> tuple[str, int]:
    """The argument that starts at `start`, and where it ends; an open brace runs to the end of the text."""
    if not text.startswith("{", start):
        argument = re.compile(r"[^$\n]*").match(text, start)
        return (argument.group(), argument.end()) if argument else ("", start)
    depth = 0
    for brace in re.compile(r"(?<!\\)[{}]").finditer(text, start):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[start + 1 : brace.start()], brace.end()
    return text[start + 1 :], len(text)


def _announced(tail: str) -> str:
    """The answer at the start of what follows an announcement: a formula in math mode, or the sentence."""
    tail = re.sub(r"^[\s:*]*(?:is\b)?[\s:]*", "", tail)
    formula = _MATHS.match(tail)
    if formula and formula.group().startswith("$$") is tail.startswith("$$"):
        return _joined_formulas(tail, formula)
    end = _SENTENCE_END.search(tail)
    sentence = tail[: end.start()] if end else tail
    clause = _CLAUSE_END.search(sentence)
    return (sentence[: clause.start()] if clause else sentence).strip(" *")


def _joined_formulas(tail: str, formula: re.Match[str]) -> str:
    """The formulas that follow one another as a list: `$1$, $2$ and $3$`."""
    parts = []
    following: re.Match[str] | None = formula
    while following:
        parts.append(next(group for group in following.groups() if group is not None))
        end = following.end()
        joint = _JOINED_MATHS.match(tail, end)
        following = _MATHS.match(tail, joint.end()) if joint and joint.group().strip() else None
    return ", ".join(parts)
