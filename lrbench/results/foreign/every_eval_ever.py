"""Instance files of Every Eval Ever: `ID_samples.jsonl` or `ID.jsonl`, and `ID.json` beside where it is.

`is_correct` is the outcome. A sample that stands under several results of one evaluation (one line for each
metric) is read under one of them; its draws are told apart by `metadata.draw`, which lrbench writes. What was
converted from lm-eval has lm-eval's hash of what was asked, which does not depend on the prompt that the
template of a model makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    text_hash,
)
from lrbench.results.foreign.reader import Glimpse, NoSuchMetricError

_MOST_DIGITS = 10
_NEEDED = ("evaluation_id", "model_id", "evaluation_name", "sample_id", "evaluation")


class EveryEvalEver:
    """The reader of Every Eval Ever's instance files."""

    kind = "Every Eval Ever"
    files = "Every Eval Ever's instance files (.jsonl)"

    def knows(self, glimpse: Glimpse) -> bool:
        """A line names an evaluation, a model and a sample."""
        return set(_NEEDED) <= glimpse.first.keys()

    def read(self, path: Path, metric: str | None) -> list[Measured]:
        """Models on evaluations. See `Reader.read`; a metric is an `evaluation_result_id`."""
        gathering = Gathering(path)
        chosen: dict[str, str | None] = {}
        results: dict[str, dict[str | None, None]] = {}
        version: object = None
        for number, line in read_json_lines(path, constants=True):
            place = f"{path}:{number}"
            if not isinstance(line, dict) or not set(_NEEDED) <= line.keys():
                raise DataError(
                    f"{place}: is no instance of Every Eval Ever; needed are {', '.join(_NEEDED)}"
                )
            version = version or line.get("schema_version")
            benchmark = name_at(place, "evaluation_name", line["evaluation_name"])
            result = line.get("evaluation_result_id")
            result = result if isinstance(result, str) else None
            results.setdefault(benchmark, {})[result] = None
            chosen.setdefault(benchmark, result)
            if result != (metric if metric is not None else chosen[benchmark]):
                continue
            gathering.add(
                place,
                model_called(name_at(place, "model_id", line["model_id"])),
                benchmark,
                _outcome(place, line),
            )
        if metric is not None and not any(metric in found for found in results.values()):
            names = [name for found in results.values() for name in found if name is not None]
            raise NoSuchMetricError(
                f"{path}: has no evaluation_result_id {shown(metric)}; it has "
                f"{', '.join(map(shown, names[:5])) or 'none'}"
            )
        protocol, digest = _beside(path) | {"schema_version": version}, sha256_of(path)

        def origin(_system: str, benchmark: str) -> Origin:
            used = metric if metric is not None else chosen[benchmark]
            others = tuple(name for name in results[benchmark] if name not in (None, used))
            return Origin(self.kind, path, digest, {**protocol, "task": benchmark}, used, others)

        return gathering.measured(origin)


def _outcome(place: str, line: Mapping[str, Any]) -> Outcome:
    evaluation, asked, about = line["evaluation"], line.get("input"), line.get("metadata")
    right = evaluation.get("is_correct") if isinstance(evaluation, dict) else None
    if not isinstance(right, bool):
        raise DataError(f"{place}: `evaluation.is_correct` is not true or false")
    raw = asked.get("raw") if isinstance(asked, dict) else None
    about = about if isinstance(about, dict) else {}
    group, draw = about.get("group"), str(about.get("draw", 0))
    return Outcome(
        item=name_at(place, "sample_id", line["sample_id"]),
        value=float(right),
        draw=int(draw) if draw.isascii() and draw.isdecimal() and len(draw) < _MOST_DIGITS else 0,
        group=name_at(place, "metadata.group", group) if isinstance(group, str) and group.strip() else None,
        text=_text(raw, about.get("doc_hash")),
    )


def _text(raw: object, document: object) -> str | None:
    if isinstance(document, str) and document:
        return document_hash(document)
    return text_hash(raw) if isinstance(raw, str) and raw.strip() else None


def _beside(path: Path) -> dict[str, Any]:
    """How it was measured, as far as the aggregate file beside says."""
    aggregate = path.with_name(f"{path.name.removesuffix('.jsonl').removesuffix('_samples')}.json")
    found = read_json(aggregate) if aggregate.is_file() else {}
    library = found.get("eval_library") if isinstance(found, dict) else None
    library = library if isinstance(library, dict) else {}
    return {"harness": library.get("name"), "harness_version": library.get("version")}
