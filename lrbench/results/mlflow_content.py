"""What MLflow shows of the ledger: records in, the content of runs out. No MLflow and no I/O here.

A recipe is a parent run; an arm under one protocol is its child. Equal records give equal content,
byte for byte, so that a rebuilt store says what the lost one said.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from lrbench.evaluation.statistics import macro_average
from lrbench.results.plots import kl_histogram_plot, loss_plot
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.store.keys import stable_hash

# Raised whenever what is mirrored changes, so that older runs are made anew.
VERSION = 1

# MLflow cuts longer values silently (3.17: param values 6000, tag values 8000, names 250 characters).
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_NAME = 250

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.\-]")


@dataclass(frozen=True)
class Metric:
    """One value of a metric at a step."""

    name: str
    value: float
    step: int


@dataclass(frozen=True)
class RunContent:
    """All that MLflow is told about one run. `moment` is in milliseconds since 1970, in UTC.

    `key` identifies the run among those of its kind; `digest` changes whenever any of the content does.
    """

    key: str
    name: str
    moment: int
    tags: dict[str, str]
    source: tuple[ArmRecord | ScoreRecord, ...]

    @cached_property
    def digest(self) -> str:
        """Hash of the records that the content is made from, and of how it is made."""
        return stable_hash([VERSION, self.key, *(record.model_dump_json() for record in self.source)])


class RecipeRun(RunContent):
    """The parent run: one recipe as resolved."""

    @property
    def artifacts(self) -> dict[str, bytes]:
        """Path -> content of the files kept with the run."""
        (arm,) = self.source
        assert isinstance(arm, ArmRecord)
        return {"recipe.yaml": arm.recipe_yaml.encode()}


@dataclass(frozen=True)
class ArmRun(RunContent):
    """The child run: one arm under one protocol."""

    arm: ArmRecord
    scores: tuple[ScoreRecord, ...]

    @property
    def params(self) -> dict[str, str]:
        """The arm's settings by dotted name, shortened to what MLflow holds."""
        leaves = dict(
            _leaves(
                {
                    "recipe": self.arm.recipe,
                    "arm": self.arm.arm,
                    "seed": self.arm.seed,
                    "expert": self.arm.expert,
                    "amateur": self.arm.amateur,
                    **self.arm.settings,
                }
            )
        )
        params: dict[str, str] = {}
        for name, value in leaves.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            params.setdefault(safe_name(name), shorten(text, LONGEST_PARAM))
        return params

    @property
    def metrics(self) -> list[Metric]:
        """Curves by update; costs, statistics and scores at step 0. Only finite values."""
        return [metric for metric in self._all_metrics if math.isfinite(metric.value)]

    @property
    def non_finite(self) -> tuple[str, ...]:
        """Names of metrics with a NaN or infinite value, which MLflow would turn into another number."""
        return tuple(sorted({m.name for m in self._all_metrics if not math.isfinite(m.value)}))

    @property
    def artifacts(self) -> dict[str, bytes]:
        """Path -> content of the files kept with the run."""
        files = {
            "recipe.yaml": self.arm.recipe_yaml.encode(),
            "environment.json": _pretty(self.arm.environment),
            "settings.json": _pretty(self.arm.settings),
            "ledger/arm.json": self.arm.model_dump_json(indent=1).encode() + b"\n",
            "ledger/scores.jsonl": b"".join(s.model_dump_json().encode() + b"\n" for s in self.scores),
        }
        loss = [point for point in self.arm.curves.get("loss", []) if math.isfinite(point[1])]
        if loss:
            files["plots/loss.png"] = loss_plot(loss)
        histogram = self.arm.statistics.get("divergence", {}).get("kl_histogram")
        if histogram:
            files["plots/kl_histogram.png"] = kl_histogram_plot(histogram["edges"], histogram["counts"])
        return files

    @cached_property
    def _all_metrics(self) -> list[Metric]:
        curves = [
            Metric(safe_name(f"training.{name}"), value, update)
            for name, points in self.arm.curves.items()
            for update, value in points
        ]
        costs = self.arm.costs.model_dump() | {"seconds_total": sum(self.arm.costs.seconds.values())}
        numbers = {"costs": costs, **self.arm.statistics} | dict(self._accuracies())
        final = [
            Metric(safe_name(name), float(value), 0)
            for name, value in _leaves(numbers)
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        return curves + final

    def _accuracies(self) -> Iterator[tuple[str, dict[str, float]]]:
        for score in self.scores:
            if score.n:
                yield (
                    score.benchmark,
                    {
                        "accuracy": score.correct / score.n,
                        "accuracy_exact": score.correct_exact / score.n,
                        "correct": score.correct,
                        "n": score.n,
                    },
                )
        if set(self.scores[0].suite_protocol) == {score.benchmark for score in self.scores if score.n}:
            average = macro_average(tuple((score.correct, score.n) for score in self.scores))
            interval = average.interval
            yield "average", {"accuracy": average.value, "low": interval.low, "high": interval.high}


def recipe_run(arm: ArmRecord) -> RecipeRun:
    """The parent of `arm`'s runs."""
    return RecipeRun(
        key=f"{arm.recipe}/{arm.recipe_hash}",
        name=shorten(arm.recipe, LONGEST_NAME),
        moment=_milliseconds(arm.recorded_at),
        tags=_tags({"kind": "recipe", "recipe": arm.recipe, "recipe_hash": arm.recipe_hash}),
        source=(arm,),
    )


def arm_runs(arm: ArmRecord, scores: Iterable[ScoreRecord]) -> list[ArmRun]:
    """One run for each protocol that `arm` was measured under; none for an arm without scores."""
    by_protocol: dict[tuple[str, str], dict[str, ScoreRecord]] = {}
    for score in sorted(scores, key=lambda score: score.recorded_at):
        protocol = (score.suite, stable_hash(score.suite_protocol))
        by_protocol.setdefault(protocol, {})[score.benchmark] = score
    runs = []
    for (suite, protocol_hash), latest in sorted(by_protocol.items()):
        order = next(iter(latest.values())).suite_protocol
        ordered = tuple(latest[benchmark] for benchmark in order if benchmark in latest)
        runs.append(_arm_run(arm, suite, protocol_hash, ordered))
    return runs


def safe_name(name: str) -> str:
    """`name` with what MLflow forbids in names replaced."""
    return _FORBIDDEN.sub("_", name)[:LONGEST_NAME]


def shorten(text: str, longest: int) -> str:
    """`text`, cut where it is longer, the last character then being an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _arm_run(arm: ArmRecord, suite: str, protocol_hash: str, scores: tuple[ScoreRecord, ...]) -> ArmRun:
    run = ArmRun(
        key=f"{arm.arm_id}/{suite}/{protocol_hash}",
        name=shorten(f"{arm.arm} seed {arm.seed}", LONGEST_NAME),
        moment=_milliseconds(arm.recorded_at),
        tags={},
        source=(arm, *scores),
        arm=arm,
        scores=scores,
    )
    keys = {f"key.{stage}": key for stage, key in arm.stages.items()}
    keys |= {f"key.evaluation.{score.benchmark}": score.evaluation_key for score in scores}
    values = {
        "kind": "arm",
        "arm": arm.arm,
        "arm_id": arm.arm_id,
        "expert": arm.expert,
        "amateur": arm.amateur or "",
        "recipe": arm.recipe,
        "recipe_hash": arm.recipe_hash,
        "seed": str(arm.seed),
        "suite": suite,
        "protocol": protocol_hash,
        "non_finite": ", ".join(run.non_finite),
        **keys,
    }
    run.tags.update(_tags(values))
    return run


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    """Tags under our own prefix; what is empty is left out."""
    return {safe_name(f"lrbench.{name}"): shorten(text, LONGEST_TAG) for name, text in values.items() if text}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _leaves(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def _pretty(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
