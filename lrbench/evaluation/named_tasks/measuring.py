"""Asking a model the items of lm-eval's tasks, and what the tasks make of the answers.

Requests, filters and metrics are lm-eval's; what is done here is to ask for a shard of items and not for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lrbench.data.rules import Row
from lrbench.errors import DataError
from lrbench.evaluation.harness import Item
from lrbench.evaluation.language_model import took_by
from lrbench.evaluation.named_tasks.items import item_id
from lrbench.evaluation.named_tasks.likelihoods import Likelihood
from lrbench.evaluation.named_tasks.loading import FEWSHOT_SEED, named_tasks, quiet
from lrbench.evaluation.named_tasks.named_task import DEFAULT_NEW_TOKENS, WHERE, Judged, NamedTask
from lrbench.evaluation.named_tasks.texts import TaskTexts, endings
from lrbench.evaluation.programs.running import Ended
from lrbench.grading.verdict import Reason
from lrbench.suites.declaration import TasksDeclaration

if TYPE_CHECKING:
    from lrbench.sampling.engines.answered import Answered

Write = Callable[[Sequence[Sequence[int]], int], "list[Answered]"]
Likely = Callable[[Sequence[tuple[Sequence[int], Sequence[int]]]], list[Likelihood]]


class NamedTasksMeasuring:
    """The tasks behind a name, with the requests of all of their items.

    Requests are made for all items that are measured, in order, as in `lm_eval`: worked examples are drawn
    one after the other. `limit` is that of items of each task, None where some are listed. `context` is how
    many tokens the model has positions for, prompt and answer together.
    """

    def __init__(
        self,
        declared: TasksDeclaration,
        name: str,
        limit: int | None,
        texts: TaskTexts,
        stop_ids: Iterable[int],
        context: int,
    ) -> None:
        quiet()
        self.texts = texts
        self.context = context
        self.stop_ids = frozenset(stop_ids)
        self._asked: dict[str, tuple[NamedTask, Any, list[Any]]] = {}
        for task in named_tasks(declared, name, fetch=True):
            self._make_requests(task, declared, limit)

    def _make_requests(self, task: NamedTask, declared: TasksDeclaration, limit: int | None) -> None:
        task.task.set_fewshot_seed(seed=FEWSHOT_SEED)
        task.task.build_all_requests(
            limit=limit,
            rank=0,
            world_size=1,
            system_instruction=declared.system_prompt,
            apply_chat_template=declared.chat_template,
            fewshot_as_multiturn=declared.chat_template,
            chat_template=self.texts.chat if declared.chat_template else None,
            tokenizer_name="",
        )
        requests: dict[int, list[Any]] = defaultdict(list)
        for instance in task.task.instances:
            requests[instance.doc_id].append(instance)
        for place, instances in requests.items():
            ordered = sorted(instances, key=lambda instance: instance.idx)
            self._asked[item_id(task.name, place)] = (task, task.docs[place], ordered)

    def measure(self, rows: Iterable[Row], write: Write, likely: Likely) -> list[Item]:
        """Ask and judge the items that `rows` are."""
        rows = list(rows)
        items: dict[str, Item] = {}
        by_task: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_task[self._asked[row["id"]][0].name].append(row)
        for of_task in by_task.values():
            task = self._asked[of_task[0]["id"]][0]
            found = (
                self._chosen(of_task, likely)
                if task.asks_likelihoods
                else self._written(of_task, task, write)
            )
            items |= {item.id: item for item in found}
        return [items[row["id"]] for row in rows]

    def _chosen(self, rows: list[Row], likely: Likely) -> Iterable[Item]:
        """Items whose answers are chosen by their likelihood."""
        instances = [instance for row in rows for instance in self._asked[row["id"]][2]]
        pairs = [self.texts.pair(*instance.args) for instance in instances]
        found = iter(zip(pairs, likely(pairs), strict=True))
        for row in rows:
            task, doc, own = self._asked[row["id"]]
            asked, answers = zip(*(next(found) for _ in own), strict=True)
            # The last token of a continuation is never read.
            longest = max(len(before) + len(after) - 1 for before, after in asked)
            for instance, answer in zip(own, answers, strict=True):
                instance.resps = [(answer.log, answer.greedy)]
            best = max(range(_choices(task, doc, own)), key=lambda place: answers[place].log)
            context, continuation = own[best].args
            said = continuation if len({instance.args[1] for instance in own}) > 1 else context
            yield _item(
                row,
                task.judge(doc, own),
                task,
                completion=said,
                prediction=str(said).strip(),
                log_likelihoods=[answer.log for answer in answers],
                dropped=max(0, longest - self.context) or None,
            )

    def _written(self, rows: list[Row], task: NamedTask, write: Write) -> Iterable[Item]:
        """Items whose answers are written."""
        own = [self._asked[row["id"]][2][0] for row in rows]
        (most,) = {instance.args[1].get("max_gen_toks", DEFAULT_NEW_TOKENS) for instance in own}
        prompts = [self.texts.ids(instance.args[0]) for instance in own]
        # As lm-eval's own models have it, so that a whole answer always fits.
        room = self.context - int(most)
        dropped = [max(0, len(prompt) - room) if room > 0 else 0 for prompt in prompts]
        answers = write([prompt[cut:] for prompt, cut in zip(prompts, dropped, strict=True)], int(most))
        for row, instance, answered, cut in zip(rows, own, answers, dropped, strict=True):
            until = endings(instance.args[1])
            whole = self.texts.text(answered.completion, [])
            text = self.texts.text(answered.completion, until)
            instance.resps = [text]
            judged = task.judge(self._asked[row["id"]][1], [instance])
            taken = instance.filtered_resps[task.filter]
            if isinstance(taken, list) and len(taken) == 1:
                (taken,) = taken
            stopped = bool(self.stop_ids.intersection(answered.completion[-1:])) or text != whole
            yield _item(
                row,
                judged,
                task,
                completion=text,
                prediction=taken if isinstance(taken, str) else str(taken),
                tokens=len(answered.completion),
                truncated=not stopped,
                dropped=cut or None,
                took=took_by(answered),
            )


def _choices(task: NamedTask, doc: Any, instances: list[Any]) -> int:
    """How many of an item's requests are its choices; further ones ask for those without their context."""
    return len(task.task.doc_to_choice(doc)) if task.kind == "multiple_choice" else len(instances)


def _item(row: Row, judged: Judged, task: NamedTask, **said: Any) -> Item:
    value = judged.measures.get(f"{task.metric},{task.filter}")
    if value not in (0.0, 1.0):
        raise DataError(
            f"{WHERE}: `{task.name}` gives the item {row['id']} {value} for its metric {task.metric}, which "
            "is neither right nor wrong; leave the task out"
        )
    right = bool(value)
    reason = Reason.CORRECT if right else _why_wrong(judged, said)
    return Item(
        id=row["id"],
        problem=row["problem"],
        gold=row["answer"],
        paper=right,
        exact=right,
        reason=str(reason),
        group=row.get("group"),
        measures=judged.measures,
        **({"tokens": 0, "truncated": False} | said),
    )


def _why_wrong(judged: Judged, said: dict[str, Any]) -> Reason:
    if Ended.TIMED_OUT in judged.ended:
        return Reason.TIMED_OUT
    if Ended.OUT_OF_MEMORY in judged.ended:
        return Reason.OUT_OF_MEMORY
    return Reason.TRUNCATED if said.get("truncated") else Reason.NOT_EQUIVALENT
