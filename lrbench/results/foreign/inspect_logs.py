"""Logs of inspect_ai: `.eval` archives and `.json` files.

An item is a sample by its id, a draw one of its epochs. What a scorer says is read as inspect_ai itself turns
it into a number: C and true are right, P is half right, I, N and false are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from lrbench.errors import DataError
from lrbench.results.foreign.files import ZIP_MAGIC, Archive, read_json, sha256_of
from lrbench.results.foreign.outcomes import (
    Gathering,
    Measured,
    Origin,
    Outcome,
    model_called,
    name_at,
    shown,
    text_hash,
)
from lrbench.results.foreign.reader import Glimpse, NoSuchMetricError

_HEADER = "header.json"
_SAMPLES = "samples/"
_WORDS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_TRUTHS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


class InspectLogs:
    """The reader of inspect_ai's logs."""

    kind = "inspect_ai"
    files = "inspect_ai's .eval and .json logs"

    def knows(self, glimpse: Glimpse) -> bool:
        """An archive, or JSON that begins as a log does."""
        if glimpse.head.startswith(ZIP_MAGIC):
            return True
        return glimpse.path.suffix == ".json" and all(
            field in glimpse.head for field in (b'"version"', b'"status"', b'"eval"')
        )

    def read(self, path: Path, metric: str | None) -> list[Measured]:
        """One model on one task. See `Reader.read`; a metric is a scorer, or `SCORER/KEY` of one value."""
        log, samples = _log_of(path)
        spec = _mapping(log, "eval")
        task, model = spec.get("task"), spec.get("model")
        if not isinstance(task, str) or not isinstance(model, str):
            raise DataError(f"{path}: does not name its task and its model, so it is no log of inspect_ai")
        system, benchmark = model_called(model), name_at(str(path), "eval.task", task)
        gathering, names = Gathering(path), _scores_named(log)
        chosen = metric
        for place, sample in samples:
            scores = _scores(sample)
            names = names or tuple(scores)
            chosen = chosen or next(iter(names), None)
            outcome = Outcome(
                item=name_at(place, "id", sample.get("id")),
                value=_value(place, scores, chosen),
                draw=_draw(sample),
                group=_group(place, sample),
                text=text_hash(_asked(sample)),
            )
            gathering.add(place, system, benchmark, outcome)
        if metric is not None and names and metric.partition("/")[0] not in names:
            known = ", ".join(map(shown, names))
            raise NoSuchMetricError(f"{path}: has no scorer {shown(metric)}; it has {known}")
        status = log.get("status")
        origin = Origin(
            format=self.kind,
            path=path,
            sha256=sha256_of(path),
            protocol=_protocol(log, spec, chosen),
            metric=chosen,
            others=tuple(name for name in names if chosen is None or name != chosen.partition("/")[0]),
            remarks=()
            if status == "success"
            else (f"{path.name}: its status is {shown(str(status))}, so not all of its items are there",),
        )
        return gathering.measured(lambda _system, _benchmark: origin)


def _log_of(path: Path) -> tuple[Mapping[str, Any], Iterator[tuple[str, Mapping[str, Any]]]]:
    """The log without its samples, and the samples with their places."""
    if path.suffix != ".json":
        archive = Archive(path)
        if _HEADER not in archive.names:
            archive.close()
            raise DataError(
                f"{path}: has no {_HEADER}: it is no log of inspect_ai, or of an evaluation that did not end"
            )
        log = archive.json(_HEADER)
        samples = _members(path, archive)
    else:
        log = read_json(path)
        listed = log.get("samples") if isinstance(log, dict) else None
        samples = _entries(path, listed if isinstance(listed, list) else [])
    if not isinstance(log, dict):
        raise DataError(f"{path}: is no log of inspect_ai")
    return log, samples


def _members(path: Path, archive: Archive) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with closing(archive):
        for name in archive.names:
            if name.startswith(_SAMPLES) and name.endswith(".json"):
                yield _sample(f"{path}, {name}", archive.json(name))


def _entries(path: Path, samples: list[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, sample in enumerate(samples):
        yield _sample(f"{path}, samples[{number}]", sample)


def _sample(place: str, sample: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(sample, dict) or "id" not in sample:
        raise DataError(f"{place}: is no sample of inspect_ai (`id` is missing)")
    return place, sample


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _scores_named(log: Mapping[str, Any]) -> tuple[str, ...]:
    """The scorers, in the order of the log's results."""
    scores = _mapping(log, "results").get("scores")
    named = [score.get("scorer") for score in scores or [] if isinstance(score, dict)]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def _scores(sample: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(sample, "scores")


def _value(place: str, scores: Mapping[str, Any], chosen: str | None) -> float | None:
    """What the chosen scorer says of a sample; None where it has no score, as of one that failed."""
    scorer, _, key = (chosen or "").partition("/")
    value = _mapping(scores, scorer).get("value")
    if isinstance(value, dict):
        if key not in value:
            keys = ", ".join(shown(f"{scorer}/{name}") for name in value)
            raise DataError(f"{place}: {shown(scorer)} gives several values; name one with --metric: {keys}")
        value = value[key]
    if value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        found = _WORDS.get(value, _TRUTHS.get(value.lower()))
        if found is not None:
            return found
        try:
            return float(value)
        except ValueError:
            pass
    raise DataError(f"{place}: {shown(scorer)} says {shown(str(value))}, which is no outcome from 0 to 1")


def _draw(sample: Mapping[str, Any]) -> int:
    epoch = sample.get("epoch")
    return epoch - 1 if isinstance(epoch, int) and epoch > 0 else 0


def _group(place: str, sample: Mapping[str, Any]) -> str | None:
    group = _mapping(sample, "metadata").get("group")
    return name_at(place, "metadata.group", group) if isinstance(group, str) and group.strip() else None


def _asked(sample: Mapping[str, Any]) -> str:
    """What was asked: the input, of a conversation what was said in it, and the choices."""
    asked = sample.get("input")
    said = asked if isinstance(asked, list) else [{"content": asked}]
    parts = [str(message.get("content")) for message in said if isinstance(message, dict)]
    choices = sample.get("choices")
    return "\n".join([*parts, *(map(str, choices) if isinstance(choices, list) else ())])


def _protocol(log: Mapping[str, Any], spec: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    """How it was measured, as far as the log says."""
    config, data = _mapping(spec, "config"), _mapping(spec, "dataset")
    steps = _mapping(log, "plan").get("steps")
    return {
        "harness": "inspect_ai",
        "harness_version": _mapping(spec, "packages").get("inspect_ai"),
        "task": spec.get("task"),
        "task_version": spec.get("task_version"),
        "task_arguments": _mapping(spec, "task_args"),
        "data": data.get("name"),
        "metric": metric,
        "epochs": config.get("epochs"),
        "limit": config.get("limit"),
        "generation": _mapping(spec, "model_generate_config"),
        "solver": [
            {"name": step.get("solver"), "arguments": step.get("params")}
            for step in (steps if isinstance(steps, list) else [])
            if isinstance(step, dict)
        ],
    }
