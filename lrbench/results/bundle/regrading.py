"""Grading every completion of a bundle again, and holding its problems and gold answers against the data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict

from lrbench.data.access import is_here, row_line
from lrbench.data.rules import Row
from lrbench.embedded.assets import EARLIER_ITEMS
from lrbench.evaluation.graded_items import DRAW, VOTE
from lrbench.evaluation.items import ItemSet, choose_items
from lrbench.evaluation.protocol import Recorded, recorded_benchmark
from lrbench.evaluation.traces import first_right
from lrbench.grading import Reason, Verdict
from lrbench.methods.answers import OWN
from lrbench.recipe.selecting import VALIDATION
from lrbench.results.answers import Answers
from lrbench.results.bundle.findings import Findings
from lrbench.results.records import items_hash
from lrbench.suites.data_names import public_set
from lrbench.suites.grader import Answered, Grader
from lrbench.suites.graders import TaskMetric


class Trace(BaseModel):
    """What an answer's tokens say, as `evaluation.traces.Tracing` gives it."""

    model_config = ConfigDict(strict=True, frozen=True)

    nll: float
    scored: int
    first_right: int | None
    weighed_nll: float | None = None
    weight: float | None = None


class GradedItem(BaseModel):
    """One line of an evaluation's files, as `evaluation.harness.Item` writes it."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: str
    problem: str
    completion: str
    gold: str
    prediction: str | None
    paper: bool
    exact: bool
    reason: str
    tokens: int
    truncated: bool
    group: str | None = None
    # Of several draws of an item, which it is, and what it votes for.
    draw: int | None = None
    vote: str | None = None
    measures: dict[str, float] | None = None
    # What it took, where it was not the arm's own model alone with one pass for each token.
    written: int | None = None
    passes: dict[str, int] | None = None
    origins: dict[str, int] | None = None
    trace: Trace | None = None


@dataclass
class Regraded:
    """What the items of one evaluation come to when they are graded here.

    `protocol` and `chosen_hash` are those of the evaluation's identity; `rows` are its items as its
    data had them.
    """

    protocol: Mapping[str, Any]
    chosen_hash: str
    ids: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    samples: int | None = None
    completions: int = 0
    paper: int = 0
    exact: int = 0
    tokens: int = 0
    truncated: int = 0
    written: int = 0
    plain: bool = True
    passes: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)

    @cached_property
    def recorded(self) -> Recorded:
        """What the protocol says of its benchmark."""
        return recorded_benchmark(self.protocol)

    @property
    def benchmark(self) -> str:
        """The benchmark that the protocol is of."""
        return self.recorded.name

    @property
    def grader(self) -> Grader:
        """What the protocol's answers are judged by."""
        return self.recorded.grader

    @property
    def is_of_tasks(self) -> bool:
        """Whether answers are those to tasks of lm-eval, which only the tasks can judge."""
        return isinstance(self.grader, TaskMetric)

    @property
    def items_hash(self) -> str:
        """As in a score's record."""
        return items_hash(self.ids)

    @property
    def took(self) -> Mapping[str, Any]:
        """What answers took, as in the evaluation's manifest; nothing where all are plain."""
        if self.plain:
            return {}
        return {"written": self.written, "passes": dict(self.passes), "origins": dict(self.origins)}

    @property
    def statistics(self) -> dict[str, Any]:
        """As in the evaluation's manifest."""
        return {
            **self.took,
            **({} if self.samples is None else {"samples": self.samples}),
            "n": len(self.ids),
            "paper": self.paper,
            "exact": self.exact,
            "tokens": self.tokens,
            "truncated": self.truncated,
        }

    def take(self, where: str, data: bytes, findings: Findings) -> None:
        """Grade one file of items, and note every verdict that is not the recorded one."""
        findings.compare(where, "the grader's version", self.protocol["grader_version"], self.grader.version)
        items = [GradedItem.model_validate(json.loads(line)) for line in data.decode().split("\n")[:-1]]
        for number, (item, verdict) in enumerate(zip(items, self._verdicts(items), strict=True), start=1):
            self.completions += 1
            if not item.draw:
                self.ids.append(item.id)
                self.rows.append(_row(item))
            if item.draw is not None:
                self.samples = max(self.samples or 0, item.draw + 1)
            self.tokens += item.tokens
            self.truncated += item.truncated
            alone = {OWN: item.tokens}
            self.plain = self.plain and item.passes is None
            self.written += item.tokens if item.written is None else item.written
            self.passes.update(alone if item.passes is None else item.passes)
            self.origins.update(alone if item.origins is None else item.origins)
            if verdict is None:
                findings.add(f"{where}:{number}", f"{item.id} cannot be graded")
                continue
            self.paper += verdict.correct
            self.exact += verdict.exact
            self._count(f"{where}:{number}", item, verdict, findings)
            recorded = (item.prediction, item.paper, item.exact, item.reason)
            graded = (verdict.prediction, verdict.correct, verdict.exact, str(verdict.reason))
            if recorded != graded:
                findings.add(
                    f"{where}:{number}",
                    f"{item.id} is recorded as {_words(recorded)}, graded as {_words(graded)}",
                )

    def _count(self, where: str, item: GradedItem, verdict: Verdict, findings: Findings) -> None:
        """Take the verdict for the outcomes, and hold what a draw votes for against what is read in it."""
        row = item.model_dump(include={"id", "group", "completion"}) | {
            "paper": verdict.correct,
            "exact": verdict.exact,
        }
        if item.draw is not None:
            vote = self.grader.read(item.completion)
            findings.compare(where, f"the vote of {item.id}", item.vote, vote)
            row |= {DRAW: item.draw, VOTE: vote}
        if item.trace is not None:
            ever = first_right(self.grader, item.completion, item.gold, item.problem, right=verdict.correct)
            findings.compare(
                where,
                f"whether {item.id} was ever right",
                item.trace.first_right is not None,
                ever is not None,
            )
            row |= item.model_dump(include={"tokens", "truncated", "trace"})
        try:
            self.answers.take(row)
        except ValueError as error:
            findings.add(where, str(error))

    def check_data(self, where: str, data: BenchmarkData, findings: Findings) -> None:
        """Hold ids, problems and gold answers against the benchmark's data, where they are here."""
        if self.recorded.data is None and not self.is_of_tasks:
            self._check_own(where, findings)
        chosen = data.items(self)
        if chosen is None:
            return
        findings.compare(where, "the benchmark's data", self.protocol["data"], chosen.data_hash)
        findings.compare(where, "the hash of the chosen items", self.chosen_hash, chosen.items_hash)
        rows = list(chosen)
        if self.ids != [row["id"] for row in rows]:
            findings.add(where, f"its items are not those that {self.benchmark} has under this protocol")
            return
        for row, found in zip(rows, self.rows, strict=True):
            if (row["problem"], row["answer"]) != (found["problem"], found["answer"]):
                findings.add(where, f"problem or gold answer of {row['id']} is not that of the data set")

    def _check_own(self, where: str, findings: Findings) -> None:
        """Hold the items of a file of somebody's own against the hashes that the protocol has of that file.

        Hashes are of all that such items have; of a file that was measured in part, only that part is here.
        """
        digest = hashlib.sha256(b"".join(map(row_line, self.rows))).hexdigest()
        findings.compare(where, "the hash of the chosen items", self.chosen_hash, digest)
        if self.protocol["limit"] is None and self.protocol["items"] is None:
            findings.compare(where, "the benchmark's data", self.protocol["data"], digest)

    def _recorded_verdict(self, item: GradedItem) -> Verdict | None:
        """What the number says that the task's metric gave; None where that is neither right nor wrong."""
        task = item.id.rpartition("-")[0]
        value = (item.measures or {}).get(self.protocol["tasks"][task]["metric"])
        if value not in (0.0, 1.0):
            return None
        right = bool(value)
        return Verdict(item.prediction, right, right, Reason.CORRECT if right else Reason(item.reason))

    def _verdicts(self, items: Sequence[GradedItem]) -> Iterator[Verdict | None]:
        if self.is_of_tasks:
            return map(self._recorded_verdict, items)
        questions = [Answered(item.completion, item.gold, item.problem, item.truncated) for item in items]
        try:
            return iter(list(self.grader.grade_many(questions)))
        except Exception:
            # Something among them is no answer at all, such as a gold that is no number: find which.
            return (_verdict(self.grader, question) for question in questions)


class BenchmarkData:
    """The items that the data sets of this machine hold; nothing is fetched."""

    def __init__(self) -> None:
        self.compared: set[str] = set()
        self.absent: set[str] = set()
        self._known: dict[tuple[object, ...], ItemSet] = {}

    def items(self, measured: Regraded) -> ItemSet | None:
        """What `measured` should have been measured on; None where the data set is not on this machine.

        Items that an earlier version shipped are not here any more.
        """
        benchmark, protocol, known = measured.benchmark, measured.protocol, measured.recorded.shipped
        if known is None:
            kind = "a file of its own, held against its hash"
            if measured.is_of_tasks:
                kind = "a task of lm-eval"
            elif protocol["suite"] == VALIDATION:
                kind = "problems on which points are chosen, held against their hash"
            self.absent.add(f"{benchmark} ({kind})")
            return None
        if protocol["data"] in EARLIER_ITEMS.get(benchmark, ()):
            self.absent.add(f"{benchmark} of an earlier version")
            return None
        if (published := public_set(known.data)) is not None and not is_here(published, None):
            self.absent.add(benchmark)
            return None
        self.compared.add(benchmark)
        listed = tuple(measured.ids) if protocol["items"] is not None else None
        key = (known.data, protocol["limit"], listed)
        if key not in self._known:
            self._known[key] = choose_items(known, None, protocol["limit"], listed)
        return self._known[key]


def _row(item: GradedItem) -> Row:
    row = Row(id=item.id, problem=item.problem, answer=item.gold, solution=None)
    if item.group is not None:
        row["group"] = item.group
    return row


def _verdict(grader: Grader, question: Answered) -> Verdict | None:
    try:
        return grader.grade(question)
    except Exception:  # what a question that is none raises is up to the grader's parsers
        return None


def _words(verdict: tuple[str | None, bool, bool, str]) -> str:
    prediction, paper, exact, reason = verdict
    return f"paper {int(paper)}, exact {int(exact)}, answer {prediction!r}, {reason}"
