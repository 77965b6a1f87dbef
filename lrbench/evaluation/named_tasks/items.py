"""The items of named tasks: what is asked and what is right, as far as a text says it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from lrbench.data.access import row_line
from lrbench.data.rules import Row
from lrbench.evaluation.items import ItemSet, choose_items
from lrbench.evaluation.named_tasks.loading import named_tasks
from lrbench.evaluation.named_tasks.named_task import NamedTask
from lrbench.recipe.schema import Evaluation
from lrbench.suites.declaration import TasksDeclaration
from lrbench.suites.suite import Benchmark

HARNESS = "lm-eval"


def chosen_items(benchmark: Benchmark, wanted: Evaluation, data_root: str | None, fetch: bool) -> ItemSet:
    """The items of a benchmark that are measured; data of lm-eval's tasks are fetched if `fetch` says so.

    Raises `DataError` as `choose_items` and `named_tasks` do.
    """
    if benchmark.tasks is None:
        return choose_items(benchmark, data_root, wanted.limit, wanted.items)
    return task_items(benchmark.tasks, benchmark.name, wanted.limit, wanted.items, fetch)


def task_items(
    declared: TasksDeclaration, name: str, limit: int | None, listed: tuple[str, ...] | None, fetch: bool
) -> ItemSet:
    """The items of the tasks behind a name: of every task the first `limit`, or those `listed`, or all.

    Raises `DataError` as `named_tasks` does.
    """
    tasks = named_tasks(declared, name, fetch)
    wanted = None if listed is None else frozenset(listed)
    rows: list[Row] = []
    whole, chosen = hashlib.sha256(), hashlib.sha256()
    left_out = False
    for task in tasks:
        for place, (row, line) in enumerate(_rows(task, grouped=len(tasks) > 1)):
            whole.update(line)
            if (limit is None or place < limit) and (wanted is None or row["id"] in wanted):
                rows.append(row)
                chosen.update(line)
            elif wanted is None:
                left_out = True
    return ItemSet(
        name,
        tuple(rows),
        tuple(row["id"] for row in rows),
        data_hash=whole.hexdigest(),
        items_hash=chosen.hexdigest(),
        limit=limit if left_out else None,
        listed=listed is not None,
        facts=_facts(tasks),
    )


def item_id(task: str, place: int) -> str:
    """What an item is called: its task, and its number from 0 among the task's."""
    return f"{task}-{place}"


def _facts(tasks: tuple[NamedTask, ...]) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "harness": f"{HARNESS} {version('lm_eval')}",
        "tasks": {task.name: dict(task.facts) for task in tasks},
        "max_new_tokens": max(task.most_new_tokens for task in tasks),
    }


def _rows(task: NamedTask, grouped: bool) -> Iterator[tuple[Row, bytes]]:
    for place, doc in enumerate(task.docs):
        row = Row(
            id=item_id(task.name, place), problem=asked(task, doc), answer=right(task, doc), solution=None
        )
        if grouped:
            row["group"] = task.name
        content = json.dumps(doc, sort_keys=True, default=str).encode()
        yield row, row_line(row) + content + b"\n"


def asked(task: NamedTask, doc: Any) -> str:
    """What an item asks, without worked examples; its choices where they are what it asks about."""
    text = task.task.doc_to_text(doc)
    if isinstance(text, str):
        return text
    # Several contexts and one continuation: the contexts are the choices.
    return "\n".join(map(str, task.task.doc_to_choice(doc)))


def right(task: NamedTask, doc: Any) -> str:
    """The right answer: for choices its text, or its number where it has none."""
    target = task.task.doc_to_target(doc)
    if task.kind == "multiple_choice":
        choices = task.task.doc_to_choice(doc)
        named = target if isinstance(target, list) else [target]
        if all(isinstance(place, int) and 0 <= place < len(choices) for place in named):
            return " | ".join(str(choices[place]) for place in named)
    return target if isinstance(target, str) else json.dumps(target, default=str)
