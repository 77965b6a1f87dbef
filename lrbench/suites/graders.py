"""The graders: mathematics, an integer in a box, a choice, a text, what a pattern finds, what a judge says.

They own their settings, their version and their verdicts; installed packages add others (docs/suites.md).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from lrbench.embedded.assets import FAMILIES
from lrbench.grading.protocol import LONGEST, MOST_LETTERS, cut_at_stop_strings
from lrbench.grading.verdict import Reason, Verdict
from lrbench.methods.families import Family
from lrbench.suites.grader import Answered, Grader
from lrbench.suites.judging import Judgement
from lrbench.suites.patterns import find_group, why_unusable

_INTEGER = re.compile(r"[+-]?\d{1,40}")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Maths(Grader):
    """Two verdicts on a mathematical answer: the paper's, and what is mathematically right (docs/grading.md).

    `like` names the published benchmark whose rules the paper's verdict follows: `mmlu_stem` reads a choice
    letter, `minerva_math` leaves unit words in answers, and the others differ in next to nothing.
    """

    word: ClassVar[str] = "maths"
    # 2: constants are compared without a tolerance, times are no ratios, the paper's unions are not read up
    # to their first interval, more notations are read, and only processor time is limited.
    version: ClassVar[int] = 2

    use: Literal["maths"] = "maths"
    like: Literal["gsm8k", "math", "svamp", "asdiv", "minerva_math", "olympiadbench", "mmlu_stem"] = "math"

    def grade(self, answered: Answered) -> Verdict:
        """Takes 8 s of processor time at most."""
        from lrbench.grading.judging import grade

        return grade(
            benchmark=self.like,
            completion=answered.completion,
            gold=answered.gold,
            problem=answered.problem,
            truncated=answered.truncated,
        )

    def grade_many(self, answered: Iterable[Answered]) -> Iterator[Verdict]:
        """Several at a time, in worker processes."""
        from lrbench.grading.judging import grade_many

        return grade_many(
            {
                "benchmark": self.like,
                "completion": one.completion,
                "gold": one.gold,
                "problem": one.problem,
                "truncated": one.truncated,
            }
            for one in answered
        )

    def read(self, completion: str) -> str | None:
        """As the paper's protocol reads it."""
        from lrbench.grading.extraction import blind_prediction

        return blind_prediction(self.like, completion)

    def unreadable(self, gold: str, problem: str) -> str | None:
        """Empty, or longer than anything that is compared."""
        return super().unreadable(gold, problem) or (
            f"has more than {LONGEST:,} characters" if len(gold) > LONGEST else None
        )


class Integer(Grader):
    r"""The integer in the last `\boxed{...}`, as the embedded families have it."""

    word: ClassVar[str] = "integer"

    use: Literal["integer"] = "integer"

    def grade(self, answered: Answered) -> Verdict:
        """Wrong where there is no box, or no integer in it."""
        from lrbench.grading.judging import boxed_integer_verdict

        verdict = boxed_integer_verdict(cut_at_stop_strings(answered.completion), answered.gold)
        return verdict.cut_short if answered.truncated else verdict

    def read(self, completion: str) -> str | None:
        """Also outside a box: samples that forgot it have a vote too."""
        from lrbench.grading.extraction import blind_prediction

        return blind_prediction("math", completion)

    def unreadable(self, gold: str, problem: str) -> str | None:
        """Anything but an integer of at most 40 digits."""
        return None if _INTEGER.fullmatch(gold) else "is no whole number"


class Choice(Grader):
    """The letter of one of several choices, or the choice's words where the problem shows the choices.

    Gold is a letter. Choices are shown where the data have them in a field of their own (docs/suites.md).
    """

    word: ClassVar[str] = "choice"

    use: Literal["choice"] = "choice"

    def grade(self, answered: Answered) -> Verdict:
        """By the letter that a reader takes for the answer."""
        from lrbench.grading.choices import exact_choice, letter_of, letters_in

        gold = answered.gold.strip().strip("()").upper()
        letters = letters_in(answered.problem)
        if gold > letters[-1]:
            letters = MOST_LETTERS[: MOST_LETTERS.index(gold) + 1]
        text = answered.completion.strip()
        # A single letter is one choice's letter before it is another one's text.
        words = letter_of(text, answered.problem) if len(text) > 1 else None
        found = words or exact_choice(text, answered.problem, letters)
        verdict = Verdict.single(found, found == gold)
        return verdict.cut_short if answered.truncated else verdict

    def read(self, completion: str) -> str | None:
        """The letter."""
        from lrbench.grading.choices import exact_choice

        return exact_choice(completion.strip())

    def unreadable(self, gold: str, problem: str) -> str | None:
        """No single letter, or none of the choices that the problem shows."""
        from lrbench.grading.choices import OPTIONS, letters_in

        letter = gold.strip().strip("()").upper()
        if len(letter) != 1 or letter not in MOST_LETTERS:
            return f"is no letter from A to {MOST_LETTERS[-1]}"
        letters = letters_in(problem)
        if OPTIONS in problem and letter not in letters:
            return f"is none of the {len(letters)} choices"
        return None


class _Texts(Grader):
    """What graders of texts have in common: white space never counts, and what else does not is said.

    `ignore_case`, `ignore_punctuation` and `ignore_articles` (a, an, the) leave those out on both sides.
    """

    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_articles: bool = False

    def _plain(self, text: str) -> str:
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = text.translate(_PUNCTUATION)
        if self.ignore_articles:
            text = re.sub(_ARTICLES.pattern, " ", text, flags=re.IGNORECASE)
        return " ".join(text.split())

    def unreadable(self, gold: str, problem: str) -> str | None:
        """Nothing left of it once it is compared."""
        return None if self._plain(gold) else "is empty, or holds nothing that is compared"


class Text(_Texts):
    r"""A text that has to be the gold one.

    `take` is what of a completion is compared: all of it, its first or last line that is not empty, what is
    in its last `\boxed{...}`, or its `answer` as the exact verdict of `maths` finds it.
    """

    word: ClassVar[str] = "text"

    use: Literal["text"] = "text"
    take: Literal["all", "first_line", "last_line", "box", "answer"] = "all"

    def grade(self, answered: Answered) -> Verdict:
        """By the text that is taken."""
        found = self.read(answered.completion)
        verdict = Verdict.single(found, found == self._plain(answered.gold))
        return verdict.cut_short if answered.truncated else verdict

    def read(self, completion: str) -> str | None:
        """The text that is taken, as it is compared."""
        from lrbench.grading.answers import exact_answer
        from lrbench.grading.extraction import last_box

        lines = [line for line in completion.splitlines() if line.strip()]
        taken: str | None
        match self.take:
            case "all":
                taken = completion
            case "box":
                taken = last_box(completion)
            case "answer":
                taken = exact_answer(completion)
            case _:
                taken = lines[0 if self.take == "first_line" else -1] if lines else None
        return self._plain(taken or "") or None


class Regex(_Texts):
    """What the first group of `pattern` finds, in its last match, or in its `first` one.

    `compare` holds it against the gold answer as a text or as a number, for which thousands may be set apart
    by commas. Patterns are Python's; one that searches a completion for more than 5 seconds finds nothing.
    """

    word: ClassVar[str] = "regex"

    use: Literal["regex"]
    pattern: Annotated[str, Field(min_length=1, max_length=1000)]
    match: Literal["first", "last"] = "last"
    compare: Literal["text", "number"] = "text"

    @model_validator(mode="after")
    def _usable(self) -> Self:
        why = why_unusable(self.pattern, "the answer")
        if why is not None:
            raise ValueError(f"the pattern of `regex` {why}")
        return self

    def grade(self, answered: Answered) -> Verdict:
        """By what the pattern finds."""
        try:
            found = self._found(answered.completion)
        except TimeoutError:
            return Verdict(None, correct=False, exact=False, reason=Reason.TIMED_OUT)
        verdict = Verdict.single(found, found is not None and self._same(found, answered.gold))
        return verdict.cut_short if answered.truncated else verdict

    def read(self, completion: str) -> str | None:
        """What the pattern finds; a number in one way of writing it."""
        try:
            found = self._found(completion)
        except TimeoutError:
            return None
        number = None if found is None or self.compare == "text" else _number(found)
        return found if number is None else str(number.normalize())

    def unreadable(self, gold: str, problem: str) -> str | None:
        """Where numbers are compared, anything that is none."""
        if self.compare == "number":
            return "is no number" if _number(gold) is None else None
        return super().unreadable(gold, problem)

    def _found(self, completion: str) -> str | None:
        return find_group(self.pattern, completion, first=self.match == "first")

    def _same(self, found: str, gold: str) -> bool:
        if self.compare == "text":
            return self._plain(found) == self._plain(gold)
        first, second = _number(found), _number(gold)
        return first is not None and first == second


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.replace(",", "").strip().strip("$%"))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


class TaskMetric(Grader):
    """What a task of lm-eval says of its own answers, which is judged where they are asked and never anew."""

    word: ClassVar[str] = "lm_eval"

    def grade(self, answered: Answered) -> Verdict:
        """Nothing: a completion alone does not say what the task's metric needs."""
        raise NotImplementedError("lm-eval's tasks judge their own answers")

    def read(self, completion: str) -> str | None:
        """All of it."""
        return completion.strip() or None


GRADERS: tuple[type[Grader], ...] = (Maths, Integer, Choice, Text, Regex, Judgement)

GRADER = Family(GRADERS, by="use", base=Grader)
AnyGrader = Annotated[SerializeAsAny[Grader], GRADER]


def checker_of(problem_set: str) -> Grader:
    """What training problems of a set are checked by: a family of the embedded world, or a published one."""
    return Integer() if problem_set in FAMILIES else Maths.model_validate({"like": problem_set})
