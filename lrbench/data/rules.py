"""From a row as its source gives it to ours: a problem, its answer and its reference solution.

The problem is the text a model is asked, the answer is the gold answer before any normalisation. The
rules are those of the evaluation behind the published numbers, the Qwen2.5-Math toolkit, so that a
score means the same (docs/benchmarks.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict

Raw = Mapping[str, Any]


class Row(TypedDict):
    """One problem of a data set. `solution` is None where the set has none.

    A `group` is what rows have in common that belong together, where somebody has said so.
    """

    id: str
    problem: str
    answer: str
    solution: str | None
    group: NotRequired[str]


Rule = Callable[[Raw], tuple[str, str, str | None]]

# An answer that is one of these words tells the model between which two words it may choose.
WORD_PAIRS = {
    "yes": " (Yes or No)",
    "no": " (Yes or No)",
    "true": " (True or False)",
    "false": " (True or False)",
}
UNIT = re.compile(r"\(.*?\)")
LINE_BREAK = re.compile(r"\n\s*")


def gsm8k(raw: Raw) -> tuple[str, str, str]:
    """The answer stands after `####`, the worked solution before it."""
    solution, _, answer = raw["answer"].rpartition("####")
    return raw["question"], answer.strip(), solution.strip()


def boxed(raw: Raw) -> tuple[str, str, str]:
    """MATH and Minerva: the answer is the content of the solution's last box, on one line."""
    answer = LINE_BREAK.sub("", last_box(raw["solution"]).strip())
    return raw["problem"], answer.removeprefix(":").removesuffix(".").removesuffix("/"), raw["solution"]


def svamp(raw: Raw) -> tuple[str, str, str]:
    """The body, closed by a full stop, and the question; the solution is an equation."""
    body = raw["Body"].strip()
    end = "" if body.endswith(".") else "."
    return f"{body}{end} {raw['Question'].strip()}", str(raw["Answer"]), raw["Equation"]


def asdiv(raw: Raw) -> tuple[str, str, str]:
    """Body and question; the answer without its unit in parentheses; the solution is a formula."""
    problem = f"{raw['body'].strip()} {raw['question'].strip()}"
    return problem, UNIT.sub("", raw["answer"]).strip(), raw["formula"].strip()


def olympiadbench(raw: Raw) -> tuple[str, str, str]:
    """The first final answer without dollar signs; a problem may have several solutions."""
    return raw["question"], raw["final_answer"][0].strip("$"), "\n\n".join(raw["solution"])


def mmlu_stem(raw: Raw) -> tuple[str, str, None]:
    """The question and its four lettered choices; the answer is a letter."""
    choices = " ".join(
        f"({letter}) {str(choice).strip()}" for letter, choice in zip("ABCD", raw["choices"], strict=True)
    )
    return f"{raw['question'].strip()}\nAnswer Choices: {choices}", "ABCD"[raw["answer"]], None


RULES: dict[str, Rule] = {
    "gsm8k": gsm8k,
    "math": boxed,
    "svamp": svamp,
    "asdiv": asdiv,
    "minerva_math": boxed,
    "olympiadbench": olympiadbench,
    "mmlu_stem": mmlu_stem,
}


def converted(raw: Raw, benchmark: str, row_id: str) -> Row:
    """The row of `benchmark` that `raw` stands for. A missing field raises `KeyError`."""
    problem, answer, solution = RULES[benchmark](raw)
    hint = WORD_PAIRS.get(answer.lower(), "")
    return {"id": row_id, "problem": (problem + hint).strip(), "answer": answer, "solution": solution}


def last_box(text: str) -> str:
    """What the last box holds: to its closing brace, or without braces to the next dollar sign."""
    content = text.rpartition("boxed")[2]
    if not content.startswith("{"):
        return content.partition("$")[0].strip()
    depth = 0
    for place, letter in enumerate(content):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return content[1:place]
    return content[1:]
