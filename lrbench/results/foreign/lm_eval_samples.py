"""Per-item logs of lm-eval: `samples_TASK_DATE.jsonl`, and `results_DATE.json` beside where it is.

A line is one item under one filter, with the values of the task's metrics. Metrics are named as in lm-eval's
own results, `exact_match,strict-match`. An item's id is its place in the task's data (`doc_id`), and what was
asked is known by lm-eval's hash of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from lrbench.data.json_lines import read_json_lines
from lrbench.errors import DataError
from lrbench.results.foreign.files import read_json, sha256_of
from lrbench.results.foreign.outcomes import (
    Gathering,
    Measured,
    Origin,
    Outcome,
    document_hash,
    model_called,
    name_at,
    shown,
)
from lrbench.results.foreign.reader import Glimpse, NoSuchMetricError

_NAME = re.compile(r"samples_(.+)_(\d{4}-\d\d-\d\dT[^_]+)\.jsonl(?:\.gz)?")


class LmEvalSamples:
    """The reader of lm-eval's per-item logs."""

    kind = "lm-eval"
    files = "lm-eval's samples_*.jsonl"

    def knows(self, glimpse: Glimpse) -> bool:
        """A line has an item's place, its document, and which metrics it has."""
        return {"doc_id", "doc", "metrics"} <= glimpse.first.keys()

    def read(self, path: Path, metric: str | None) -> list[Measured]:
        """One system on one task. See `Reader.read`."""
        beside = _Beside(path)
        lines = [_line(path, number, value) for number, value in read_json_lines(path, constants=True)]
        chosen, others = _choose(path, lines, beside, metric)
        gathering = Gathering(path)
        for line in lines:
            value = line.values.get(chosen)
            if line.has(chosen):
                outcome = Outcome(line.item, value, group=line.group, text=line.text)
                gathering.add(line.place, beside.system, beside.task, outcome)
        origin = Origin(
            format=self.kind,
            path=path,
            sha256=sha256_of(path),
            protocol=beside.protocol(chosen),
            metric=chosen,
            others=others,
            remarks=beside.remarks,
        )
        return gathering.measured(lambda _system, _benchmark: origin)


@dataclass(frozen=True)
class _Line:
    """One item under one filter; `values` are those of its metrics by full name, None where not a number."""

    place: str
    item: str
    filter: str
    group: str | None
    text: str | None
    values: dict[str, float | None]

    def has(self, metric: str) -> bool:
        return metric in self.values


def _line(path: Path, number: int, value: Any) -> _Line:
    place = f"{path}:{number}"
    if not isinstance(value, dict) or "doc_id" not in value or not isinstance(value.get("metrics"), list):
        raise DataError(f"{place}: is not a line of lm-eval's samples (`doc_id`, `metrics`)")
    filter_ = str(value.get("filter", "none"))
    values = {f"{name},{filter_}": _number(value.get(name)) for name in map(str, value["metrics"])}
    doc, digest = value.get("doc"), value.get("doc_hash")
    group = doc.get("group") if isinstance(doc, dict) else None
    return _Line(
        place=place,
        item=name_at(place, "doc_id", value["doc_id"]),
        filter=filter_,
        group=name_at(place, "doc.group", group) if isinstance(group, str | int) and group != "" else None,
        text=document_hash(digest) if isinstance(digest, str) else None,
        values=values,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _choose(
    path: Path, lines: list[_Line], beside: _Beside, metric: str | None
) -> tuple[str, tuple[str, ...]]:
    """The metric that is the outcome, and what others there are that could be.

    It is the first behind the last filter, as for tasks that are measured here (`docs/suites.md`).
    """
    found: dict[str, list[float | None]] = defaultdict(list)
    for line in lines:
        for name, value in line.values.items():
            found[name].append(value)
    usable = [
        name
        for name, values in found.items()
        if all(value is not None and 0 <= value <= 1 for value in values) and not beside.falls(name)
    ]
    if metric is not None:
        named = [name for name in found if metric in (name, name.partition(",")[0])]
        if not named:
            raise NoSuchMetricError(
                f"{path}: has no metric {shown(metric)}; it has {', '.join(map(shown, found)) or 'none'}"
            )
        return named[0], tuple(name for name in usable if name != named[0])
    if not usable:
        raise DataError(
            f"{path}: has no metric whose values say of every item how right it is, from 0 to 1 (it has "
            f"{', '.join(map(shown, found)) or 'none'}); nothing of it can be paired"
        )
    last = usable[-1].partition(",")[2]
    chosen = next(name for name in usable if name.partition(",")[2] == last)
    return chosen, tuple(name for name in usable if name != chosen)


class _Beside:
    """What a log's name and the results beside it say: the system, the task, and how it was measured."""

    def __init__(self, path: Path) -> None:
        match = _NAME.fullmatch(path.name)
        self.task = match[1] if match else path.name.partition(".")[0]
        self._results: Mapping[str, Any] = {}
        self.remarks: tuple[str, ...] = ()
        beside = sorted(path.parent.glob(f"*_{escape(match[2])}.json")) if match else []
        if beside:
            results = read_json(beside[0])
            self._results = results if isinstance(results, dict) else {}
        else:
            self.remarks = (
                f"{path.name}: no results_*.json of the same date beside it, so versions, shots and settings "
                "are not known",
            )
        name = self._results.get("model_name")
        self.system = model_called(name) if isinstance(name, str) and name else _folder_called(path.parent)

    def falls(self, metric: str) -> bool:
        """Whether less of a metric is better."""
        return self._of_task("higher_is_better", {}).get(metric.partition(",")[0]) is False

    def protocol(self, metric: str) -> dict[str, Any]:
        """How the task was measured, as far as the results say; what belongs to the model is left out."""
        config, task = self._mapping("config"), self._of_task("configs", {})
        return {
            "harness": "lm-eval",
            "harness_version": self._results.get("lm_eval_version"),
            "task": self.task,
            "task_version": self._of_task("versions", None),
            "data": [task.get(name) for name in ("dataset_path", "dataset_name", "test_split")],
            "shots": self._of_task("n-shot", None),
            "metric": metric,
            "output_type": task.get("output_type"),
            "generation": task.get("generation_kwargs"),
            "overriding_generation": config.get("gen_kwargs") or None,
            "limit": config.get("limit"),
            "chat_template": None if not self._results else self._results.get("chat_template") is not None,
            "system_prompt": self._results.get("system_instruction_sha"),
        }

    def _mapping(self, name: str) -> Mapping[str, Any]:
        found = self._results.get(name)
        return found if isinstance(found, dict) else {}

    def _of_task(self, name: str, absent: Any) -> Any:
        return self._mapping(name).get(self.task, absent)


def _folder_called(folder: Path) -> str:
    """lm-eval names a folder after its model, with two underscores for what a folder's name cannot hold."""
    name = folder.absolute().name
    return name.rpartition("__")[2] if name.startswith("__") else name.replace("__", "/")
