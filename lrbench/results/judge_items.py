"""Suites for judges, made from graded completions: is this answer right, or which of these two is?

What a judge is shown was written by evaluated arms and graded here, so its gold answers are verdicts. Items
are balanced: as many right answers as wrong ones, and pairs are asked in both orders.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrbench.errors import UserError
from lrbench.evaluation.graded_items import DRAW
from lrbench.grading.judgements import FIRST, RIGHT, SECOND, WRONG
from lrbench.results.inspection import Inspector
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.store.canonical import stable_hash

SINGLE_PROMPT = (
    "Here are a question and an answer to it.\n\n{problem}\n\n"
    'Is the answer right? Think, and end with "right" or "wrong".'
)
PAIR_PROMPT = (
    "Here are a question and two answers to it, of which one is right.\n\n{problem}\n\n"
    'Which answer is right? Think, and end with "A" or "B".'
)


@dataclass(frozen=True)
class Shown:
    """A graded completion that judges can be shown: of which score, of which item and draw."""

    completion: str
    score: ScoreRecord
    item: str
    draw: int

    @property
    def source(self) -> dict[str, Any]:
        """Where it comes from, as items say it."""
        return {
            "arm_id": self.score.arm_id,
            "benchmark": self.score.benchmark,
            "item": self.item,
            "draw": self.draw,
        }


@dataclass
class Pool:
    """Completions to each question, those that are right apart from those that are wrong.

    `left_out` counts what judges are not shown, by why.
    """

    right: dict[str, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    wrong: dict[str, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    left_out: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def counts(self) -> str:
        """For people: how many there are of both, and what was left out."""
        right, wrong = (sum(map(len, side.values())) for side in (self.right, self.wrong))
        left = "".join(f", {count} {why} left out" for why, count in self.left_out.items())
        return f"{right} right answers and {wrong} wrong ones{left}"


@dataclass
class _Text:
    """A text that can be `shown` to a question, and the `verdicts` on it wherever it was written to its end.

    `is_choice` says that it was not written but the likeliest of what was given.
    """

    shown: Shown
    is_choice: bool
    verdicts: set[bool] = field(default_factory=set)

    @property
    def why_not(self) -> str | None:
        """Why judges are not shown it; None where they can be."""
        if not self.shown.completion or self.is_choice:
            return "without a text"
        if not self.verdicts:
            return "cut short"
        return None if len(self.verdicts) == 1 else "judged in two ways"


def pool_of(results: Iterable[tuple[ArmRecord, Sequence[ScoreRecord]]], inspector: Inspector) -> Pool:
    """All that judges can be shown of these results, every text once to each question.

    An answer that was cut is known by its end; one on which verdicts differ has no one gold answer.
    """
    found: dict[tuple[str, str], _Text] = {}
    for _, scores in results:
        for score in scores:
            for row in inspector.answers(score):
                completion, problem = row["completion"].strip(), row["problem"]
                shown = Shown(completion, score, row["id"], row.get(DRAW, 0))
                judged = found.setdefault((problem, completion), _Text(shown, "log_likelihoods" in row))
                if not row["truncated"]:
                    judged.shown = judged.shown if judged.verdicts else shown
                    judged.verdicts |= {row["paper"], row["exact"]}
    pool = Pool()
    for (problem, _), judged in found.items():
        if why := judged.why_not:
            pool.left_out[why] += 1
        else:
            side = pool.right if True in judged.verdicts else pool.wrong
            side[problem].append(judged.shown)
    return pool


def single_items(pool: Pool, count: int | None, seed: int) -> list[dict[str, Any]]:
    """As many right answers as wrong ones, at most `count` of each, no two alike verdicts to one question.

    Raises `UserError` where there are none of one of them.
    """
    sides = []
    for verdict, side in ((RIGHT, pool.right), (WRONG, pool.wrong)):
        chosen = [(problem, _first(problem, shown, seed)) for problem, shown in side.items()]
        sides.append([(problem, verdict, shown) for problem, shown in _shuffled(chosen, seed, verdict)])
    each = min(map(len, sides)) if count is None else min(count, *map(len, sides))
    if not each:
        which = RIGHT if not sides[0] else WRONG
        raise UserError(
            f"there are {pool.counts}: none is {which}, so a judge that always says the same would be right; "
            "name another result besides"
        )
    drawn = _shuffled([item for side in sides for item in side[:each]], seed, "order")
    groups = {problem: number for number, (problem, _, _) in enumerate(drawn)}
    return [
        {
            "id": f"judge-{number}",
            "problem": f"Question:\n{problem}\n\nAnswer:\n{shown.completion}",
            "answer": verdict,
            "group": f"question-{groups[problem]}",
            "of": [shown.source],
        }
        for number, (problem, verdict, shown) in enumerate(drawn)
    ]


def paired_items(pool: Pool, count: int | None, seed: int) -> list[dict[str, Any]]:
    """A right and a wrong answer to one question, at most `count` such pairs, each in both orders.

    The right answer stands first in the first item of a group, and second in the other. Raises `UserError`
    where no question has both.
    """
    both = [problem for problem in pool.right if problem in pool.wrong]
    if not both:
        raise UserError(
            f"there are {pool.counts}, and no question has both, so there are no pairs; name a second result "
            "on the same benchmark, or one whose answers were sampled (measure.samples)"
        )
    chosen = [
        (problem, _first(problem, pool.right[problem], seed), _first(problem, pool.wrong[problem], seed))
        for problem in both
    ]
    items = []
    for number, (problem, right, wrong) in enumerate(_shuffled(chosen, seed, "pairs")[:count]):
        for place, (gold, first, second) in enumerate(((FIRST, right, wrong), (SECOND, wrong, right))):
            items.append(
                {
                    "id": f"pair-{number}-{place}",
                    "problem": f"Question:\n{problem}\n\nAnswer {FIRST}:\n{first.completion}\n\n"
                    f"Answer {SECOND}:\n{second.completion}",
                    "answer": gold,
                    "group": f"pair-{number}",
                    "of": [first.source, second.source],
                }
            )
    return items


def provenance(
    results: Iterable[tuple[ArmRecord, Sequence[ScoreRecord]]], asked: Mapping[str, Any], pool: Pool
) -> dict[str, Any]:
    """From which evaluations items were made, and how: everything that makes them again."""
    return {
        "made_from": [
            {
                "recipe": arm.recipe,
                "arm": arm.arm,
                "seed": arm.seed,
                "point": arm.point,
                "arm_id": arm.arm_id,
                "expert": arm.expert,
                "expert_weights": score.expert_weights,
                "benchmark": score.benchmark,
                "evaluation": score.evaluation_key,
                "protocol": score.protocol_hash,
                "answers": score.answers_hash,
            }
            for arm, scores in results
            for score in scores
        ],
        "chosen": dict(asked),
        "left_out": dict(pool.left_out),
    }


def write_suite(
    folder: Path, name: str, items: Sequence[Mapping[str, Any]], pairs: bool, made: Mapping[str, Any]
) -> None:
    """`suite.yaml`, its items, and `provenance.json` into an empty folder."""
    import yaml

    column = "pairs" if pairs else "judge"
    benchmark = {
        "file": f"{column}.jsonl",
        "grader": {"use": "judgement", "of": "pair"} if pairs else "judgement",
        "fields": {"group": "group"},
        "prompt": PAIR_PROMPT if pairs else SINGLE_PROMPT,
    }
    suite = {"name": name, "max_new_tokens": 512, "benchmarks": {column: benchmark}}
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    (folder / f"{column}.jsonl").write_text(lines, encoding="utf-8")
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False), encoding="utf-8")
    told = {**made, "items": stable_hash([dict(item) for item in items])}
    (folder / "provenance.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _first(problem: str, shown: Sequence[Shown], seed: int) -> Shown:
    return min(shown, key=lambda one: stable_hash([seed, problem, one.completion]))


def _shuffled(drawn: Sequence[Any], seed: int, what: str) -> list[Any]:
    """In an order that depends on the seed and on what each is."""

    def place(one: Any) -> str:
        texts = [part.completion if isinstance(part, Shown) else part for part in one]
        return stable_hash([seed, what, texts])

    return sorted(drawn, key=place)


def scores_on(
    scores: Iterable[ScoreRecord], arm: ArmRecord, benchmarks: Sequence[str]
) -> Iterator[ScoreRecord]:
    """The arm's scores on these benchmarks, on all where none is given."""
    return (
        score
        for score in scores
        if score.arm_id == arm.arm_id and (not benchmarks or score.benchmark in benchmarks)
    )
