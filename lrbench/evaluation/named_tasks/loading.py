"""The tasks behind a name, loaded by lm-eval, with everything about them that defines a score."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from lrbench.errors import DataError, first_line
from lrbench.evaluation.named_tasks.code_eval import check_programs, code_eval_of, supplying_code_eval
from lrbench.evaluation.named_tasks.data_folders import folders_as_they_are
from lrbench.evaluation.named_tasks.finding import folders_of
from lrbench.evaluation.named_tasks.named_task import GENERATE, LOGLIKELIHOOD, WHERE, NamedTask
from lrbench.evaluation.named_tasks.replacing import replaced
from lrbench.recipe.references import local_path
from lrbench.suites.declaration import TasksDeclaration

# As `lm_eval` seeds its worked examples unless it is told otherwise.
FEWSHOT_SEED = 1234

_FUNCTION = re.compile(r"!function|^class:", re.MULTILINE)


class AbsentDataError(DataError):
    """The data of a task are not on this machine, and may not or cannot be fetched."""


def named_tasks(declared: TasksDeclaration, name: str, fetch: bool) -> tuple[NamedTask, ...]:
    """The tasks that a name stands for, in lm-eval's order.

    Raises `DataError` for a name that is none, and for a task that cannot be measured, and `AbsentDataError`
    where its data are not here. They are only fetched where `fetch` says so.
    """
    try:
        return _named_tasks(declared, name, fetch=False)
    except AbsentDataError:
        if not fetch:
            raise
    return _named_tasks(declared, name, fetch=True)


@lru_cache
def _named_tasks(declared: TasksDeclaration, name: str, fetch: bool) -> tuple[NamedTask, ...]:
    quiet()
    from lm_eval.tasks import TaskManager

    folders = folders_of(name, declared.include_path)
    own = None if declared.include_path is None else local_path(declared.include_path)
    if own is not None and not declared.allow_code:
        _refuse_code(own, folders)
    manager = TaskManager(include_path=[*map(str, folders)], include_defaults=False)
    entry = manager.task_index.get(name)
    if entry is not None:
        _refuse_as_written(name, entry.cfg or {}, declared)
    with _fetching(fetch), folders_as_they_are(), supplying_code_eval(declared, name):
        try:
            loaded = manager.load([name])["tasks"]
        except DataError:
            raise
        except KeyError as error:
            raise DataError(
                f"{WHERE}: lm-eval cannot load `{name}`: it names {error}, which is not there"
            ) from error
        except Exception as error:
            raise _unloadable(name, error) from error
    tasks = tuple(_checked(label, task, declared, name) for label, task in loaded.items())
    if not tasks:
        raise DataError(f"{WHERE}: `{name}` stands for no task")
    return tasks


def quiet() -> None:
    """What lm-eval logs while it loads is for those who write tasks."""
    for logger in (
        "lm_eval",
        "lm_eval.api.task",
        "lm_eval.evaluator",
        "lm_eval.config.task",
        "lm_eval.tasks._index",
    ):
        logging.getLogger(logger).setLevel(logging.ERROR)


def _checked(label: str, task: Any, declared: TasksDeclaration, name: str) -> NamedTask:
    programs = code_eval_of(task)
    unsafe = getattr(task, "UNSAFE_CODE", False)
    if unsafe or programs is not None:
        check_programs(declared, name)
    if unsafe and programs is None:
        raise DataError(
            f"{WHERE}: `{label}` runs what a model writes by means of its own, and not by the metric "
            "code_eval, which has a sandbox here; leave it out"
        )
    shots = task.config.num_fewshot or 0
    # A task that is said to have none keeps none, as in `lm_eval`.
    if declared.num_fewshot is not None and task.config.num_fewshot != 0:
        shots = declared.num_fewshot
    task.set_config(key="num_fewshot", value=shots)
    found = NamedTask(label, task, shots, programs)
    if found.kind not in (*LOGLIKELIHOOD, GENERATE):
        raise _judges_no_item(label, found.kind)
    if task.config.process_results is None and None in task._metric_fn_list.values():
        raise DataError(
            f"{WHERE}: `{label}` has a metric that lm-eval does not have itself, and none is fetched from "
            "elsewhere; leave it out"
        )
    if getattr(task, "MULTIMODAL", False):
        raise DataError(
            f"{WHERE}: `{label}` shows pictures or sounds, and models are asked texts; leave it out"
        )
    kwargs = task.config.generation_kwargs or {}
    if found.kind == GENERATE and (
        kwargs.get("do_sample") or kwargs.get("temperature") or task.config.repeats > 1
    ):
        raise DataError(f"{WHERE}: `{label}` samples its answers, and here they are greedy; leave it out")
    # What it raises is said before anything else of it is asked.
    assert found.metric
    return found


def _refuse_code(own: Path, folders: list[Path]) -> None:
    for folder in folders:
        if folder == own or own in folder.parents:
            for file in sorted(folder.rglob("*.yaml")):
                if _FUNCTION.search(file.read_text(encoding="utf-8", errors="replace")):
                    raise DataError(
                        f"{file}: names Python code, which would be run to load it; "
                        "`evaluation.lm_eval.allow_code: true` allows that"
                    )


def _refuse_as_written(label: str, config: Mapping[str, Any], declared: TasksDeclaration) -> None:
    """Say of a task what its file says already, before its data are asked for."""
    if config.get("unsafe_code"):
        check_programs(declared, label)
    kind = config.get("output_type", GENERATE)
    if kind not in (*LOGLIKELIHOOD, GENERATE):
        raise _judges_no_item(label, kind)


def _judges_no_item(label: str, kind: str) -> DataError:
    return DataError(
        f"{WHERE}: `{label}` is of the kind {kind}, which says of no item whether it is right; leave it out"
    )


def _unloadable(name: str, error: Exception) -> DataError:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import OfflineModeIsEnabled

    reason = first_line(error)
    absent = (ConnectionError, OfflineModeIsEnabled, DatasetNotFoundError)
    if isinstance(error, absent) or "offline mode" in reason.lower():
        return AbsentDataError(
            f"{WHERE}: the data of `{name}` are not on this machine ({reason}); give access to the network, "
            "or put that data set's files, README.md too, into a folder of its name where lrbench is started"
        )
    return DataError(f"{WHERE}: lm-eval cannot load `{name}`: {type(error).__name__}: {reason}")


@contextmanager
def _fetching(allowed: bool) -> Iterator[None]:
    """Keep data sets from being fetched unless that is `allowed`, and metrics whatever is."""
    import datasets
    import evaluate
    import huggingface_hub

    # A metric of the hub is a program.
    places: list[tuple[Any, str]] = [(evaluate.config, "HF_EVALUATE_OFFLINE")]
    if not allowed:
        places += [(datasets.config, "HF_HUB_OFFLINE"), (huggingface_hub.constants, "HF_HUB_OFFLINE")]
    with ExitStack() as stack:
        for module, name in places:
            stack.enter_context(replaced(module, name, True))
        yield
