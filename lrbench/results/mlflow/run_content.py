"""What MLflow and others show of the ledger: records in, the content of runs out. No MLflow, no I/O here.

A recipe, by its name, is a parent run; an arm under one protocol is its child. Equal records give equal
content, byte for byte, so that a rebuilt store says what the lost one said. docs/mlflow.md lists every name.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from lrbench.recipe.secrets import without_secrets
from lrbench.results.board import Board, build_boards
from lrbench.results.curves import curve_title
from lrbench.results.declarations import standing
from lrbench.results.ledger import LedgerContents
from lrbench.results.mlflow.item_tables import ITEMS, TAGS, items_table
from lrbench.results.mlflow.summary import Summary, summary_of
from lrbench.results.mlflow.times import moment_of, training_of, work_on
from lrbench.results.plots import Series, accuracy_plot, curve_plot, kl_histogram_plot
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rows import Cell, Row, average_of
from lrbench.results.uses import ArmsInUse, Uses
from lrbench.results.variations import PLAIN, Variation, variations
from lrbench.store.keys import stable_hash

# Raised whenever what is mirrored changes, so that older runs are made anew.
VERSION = 8

# MLflow cuts longer values silently (3.17: param values 6000, tag values 8000, names 250 characters) and
# refuses longer names and digests of data sets (500 and 36).
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_NAME = 250
LONGEST_DATASET_NAME = 500
LONGEST_DIGEST = 32
# What one call of its log_batch may hold.
PARAMS_PER_BATCH = 100
METRICS_PER_BATCH = 1000

AVERAGE = "average"
DRAWN_CURVES = ("loss", "reward", "held_out_perplexity")
# Where `lrbench dashboard` answers unless it is given another port.
BOARD = "http://127.0.0.1:8501"

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.\-]")


@dataclass(frozen=True)
class Metric:
    """One value of a metric at a step, and when it was measured."""

    name: str
    value: float
    step: int
    moment: int


@dataclass(frozen=True)
class DatasetInput:
    """What a run read: named and identified, not copied. `use` is `training` or `evaluation`."""

    name: str
    digest: str
    use: str
    source: str


@dataclass(frozen=True)
class RunContent:
    """All that MLflow is told about one run, from `begin` to `end`: milliseconds since 1970, in UTC.

    `key` identifies the run among those of its kind; `digest` changes whenever any of the content does.
    """

    key: str
    digest: str
    name: str
    begin: int
    end: int
    tags: dict[str, str]

    @property
    def params(self) -> dict[str, str]:
        """Settings by name: none, unless the run is of one arm."""
        return {}

    @property
    def closing_tags(self) -> dict[str, str]:
        """All tags: also those that take as long to find as what they close."""
        return self.tags


@dataclass(frozen=True)
class RecipeRun(RunContent):
    """The parent run: what a recipe's name stands for, and how the arms compare that it means.

    `declared` is what the recipe says, where anybody recorded it; `children` are all arms ever made under
    its name.
    """

    recipe_yaml: str
    declared: tuple[RecipeRecord, ...]
    arms: tuple[ArmRecord, ...]
    scores: tuple[ScoreRecord, ...]
    children: tuple[ArmRun, ...]

    @property
    def artifacts(self) -> dict[str, bytes]:
        """Path -> content of the files kept with the run."""
        boards = self._boards
        files = {
            "recipe.yaml": _text(self.recipe_yaml),
            "board.md": boards_to_markdown(boards).encode(),
            "board.csv": boards_to_csv(boards).encode(),
        }
        for position, board in enumerate(boards):
            series = [
                Series(_arm_name(row, row.variant), [row.on(column) for column in board.columns])
                for row in board.rows
            ]
            suffix = f"_{position + 1}" if position else ""
            files[f"plots/accuracy{suffix}.png"] = accuracy_plot(board.columns, series)
        return files

    @property
    def closing_tags(self) -> dict[str, str]:
        """Also whom the summary is about."""
        return self.tags | _tags({"subject": self.summary.subject, "baseline": self.summary.baseline})

    @property
    def metrics(self) -> list[Metric]:
        """Every arm's mean over its seeds and difference to a baseline, and the subject's own accuracies."""
        return [
            Metric(_joined(name.split("/"), "/"), value, 0, self.end)
            for name, value in self.summary.numbers.items()
        ]

    @cached_property
    def summary(self) -> Summary:
        """What the arms came to, in a few numbers."""
        return summary_of(self._boards, self.tags["lrbench.recipe"])

    @cached_property
    def _boards(self) -> tuple[Board, ...]:
        return build_boards(self.arms, self.scores, self.declared)


@dataclass(frozen=True)
class ArmRun(RunContent):
    """The child run: one arm under one protocol. `behind` are the arms whose adapters it reads."""

    arm: ArmRecord
    scores: tuple[ScoreRecord, ...]
    behind: tuple[ArmRecord, ...] = ()

    @property
    def params(self) -> dict[str, str]:
        """The arm's settings by dotted name, shortened to what MLflow holds. What is not set is left out."""
        values = {
            "recipe": self.arm.recipe,
            "arm": self.arm.arm,
            "seed": self.arm.seed,
            "expert": self.arm.expert,
            "amateur": self.arm.amateur,
            **self.arm.settings,
        }
        params: dict[str, str] = {}
        for names, value in _leaves(values):
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                params.setdefault(_joined(names, "."), shorten(without_secrets(text), LONGEST_PARAM))
        return params

    @property
    def metrics(self) -> list[Metric]:
        """Curves by update; costs, statistics and scores at step 0. Only finite values."""
        return [metric for metric in self._all_metrics if math.isfinite(metric.value)]

    @property
    def datasets(self) -> list[DatasetInput]:
        """The training problems and the items of each benchmark."""
        inputs = [
            _dataset(
                f"{score.suite}/{score.benchmark}",
                "evaluation",
                {"data": score.protocol.get("data"), "items": score.n, "items_hash": score.items_hash},
            )
            for score in self.scores
        ]
        data = self.arm.settings.get("data")
        if data:
            inputs.insert(0, _dataset(str(data.get("train")), "training", data))
        return inputs

    @property
    def artifacts(self) -> dict[str, bytes]:
        """Path -> content of the files kept with the run."""
        boards = build_boards([self.arm, *self.behind], self.scores)
        files = {
            "recipe.yaml": _text(self.arm.recipe_yaml),
            "environment.json": _pretty(self.arm.environment),
            "settings.json": _pretty(self.arm.settings),
            "board.md": boards_to_markdown(boards).encode(),
            "board.csv": boards_to_csv(boards).encode(),
            "ledger/arm.json": _text(self.arm.model_dump_json(indent=1) + "\n"),
            "ledger/scores.jsonl": _text("".join(score.model_dump_json() + "\n" for score in self.scores)),
            ITEMS: items_table(self.scores),
        }
        for name in DRAWN_CURVES:
            finite = [point for point in self.arm.curves.get(name, []) if math.isfinite(point[1])]
            if finite:
                files[f"plots/{name}.png"] = curve_plot(curve_title(name, self.arm), finite)
        histogram = self.arm.statistics.get("divergence", {}).get("kl_histogram")
        if histogram:
            files["plots/kl_histogram.png"] = kl_histogram_plot(histogram["edges"], histogram["counts"])
        return files

    @property
    def non_finite(self) -> tuple[str, ...]:
        """Names of metrics with a NaN or infinite value, which MLflow would turn into another number."""
        return tuple(sorted({m.name for m in self._all_metrics if not math.isfinite(m.value)}))

    @cached_property
    def uses(self) -> Uses:
        """What the arm uses besides the pair, and what its answers took."""
        return self._in_use.of(self.arm, self.scores)

    @cached_property
    def _in_use(self) -> ArmsInUse:
        return ArmsInUse([self.arm, *self.behind])

    @cached_property
    def _all_metrics(self) -> list[Metric]:
        training = training_of(self.arm, self.scores)
        updates = self.arm.costs.updates or len(self.arm.curves.get("loss", ()))
        curves = [
            Metric(curve_metric(name), value, update, moment_of(name, update, updates, training))
            for name, points in self.arm.curves.items()
            for update, value in points
        ]
        taken = self._in_use.costs(self.arm)
        costs = {} if taken is None else taken.model_dump()
        if taken is not None:
            costs["seconds"] |= {"total": sum(taken.seconds.values())}
        flat = {name: value for name, value in self.arm.statistics.items() if not isinstance(value, Mapping)}
        deep = {name: value for name, value in self.arm.statistics.items() if isinstance(value, Mapping)}
        numbers = {
            **deep,
            "statistics": flat,
            "costs": costs,
            "answers": self.uses.fields | self.uses.memory_fields,
        }
        numbers |= self._accuracies()
        final = [
            Metric(_joined(names, "/"), float(value), 0, self.end)
            for names, value in _leaves(numbers)
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        return curves + final

    def _accuracies(self) -> dict[str, dict[str, float]]:
        """Kind of number -> benchmark or average -> value: MLflow draws what begins alike side by side."""
        found: dict[str, dict[str, float]] = defaultdict(dict)
        measured = [score for score in self.scores if score.n]
        if set(self.scores[0].suite_protocol) == {score.benchmark for score in measured}:
            average = average_of([Cell(score) for score in measured])
            found["accuracy"][AVERAGE] = average.value
            found["accuracy_low"][AVERAGE] = average.interval.low
            found["accuracy_high"][AVERAGE] = average.interval.high
        for score in measured:
            accuracy = Cell(score).accuracy
            found["accuracy"][score.benchmark] = accuracy.value
            found["accuracy_low"][score.benchmark] = accuracy.interval.low
            found["accuracy_high"][score.benchmark] = accuracy.interval.high
            found["accuracy_exact"][score.benchmark] = score.correct_exact / score.n
            found["correct"][score.benchmark] = score.correct
            found["items"][score.benchmark] = score.n
        return dict(found)


def recipe_runs(contents: LedgerContents, of: Collection[str] | None = None) -> list[RecipeRun]:
    """Every measured recipe, or those `of` these names, with its arms' runs, in the order recorded.

    A recipe's runs say nothing that depends on other recipes.
    """
    declared = standing(contents.recipes)
    arms = [arm for arm in contents.arms if of is None or arm.recipe in of]
    wanted = {arm.arm_id for arm in arms}
    scores: dict[str, list[ScoreRecord]] = defaultdict(list)
    for score in contents.scores:
        if score.arm_id in wanted:
            scores[score.arm_id].append(score)
    weights = {arm_id: found[-1].expert_weights for arm_id, found in scores.items()}
    varied = variations(arms, weights)
    in_use = ArmsInUse(arms)
    by_recipe: dict[str, list[ArmRecord]] = defaultdict(list)
    for arm in arms:
        if arm.arm_id in scores:
            by_recipe[arm.recipe].append(arm)
    return [_recipe_run(declared.get(name), arms, scores, varied, in_use) for name, arms in by_recipe.items()]


def arm_runs(
    arm: ArmRecord, scores: Iterable[ScoreRecord], variant: str = "", behind: Sequence[ArmRecord] = ()
) -> list[ArmRun]:
    """One run for each protocol that `arm` was measured under; none for an arm without scores.

    `variant` is what sets the arm apart from others of its name; `behind` are the arms whose adapters it
    reads.
    """
    by_protocol: dict[tuple[str, str], dict[str, ScoreRecord]] = {}
    for score in sorted(scores, key=lambda score: score.recorded_at):
        protocol = (score.suite, stable_hash(score.suite_protocol))
        by_protocol.setdefault(protocol, {})[score.benchmark] = score
    runs = []
    for (suite, protocol_hash), latest in sorted(by_protocol.items()):
        order = next(iter(latest.values())).suite_protocol
        ordered = tuple(latest[benchmark] for benchmark in order if benchmark in latest)
        runs.append(_arm_run(arm, suite, protocol_hash, ordered, variant, tuple(behind)))
    return runs


def safe_name(name: str) -> str:
    """`name` with what MLflow forbids in names replaced."""
    return _FORBIDDEN.sub("_", name)[:LONGEST_NAME]


def curve_metric(name: str) -> str:
    """What the metric is called that a curve of training becomes."""
    return _joined(("training", name), "/")


def shorten(text: str, longest: int) -> str:
    """`text`, cut where it is longer, the last character then being an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _recipe_run(
    declared: RecipeRecord | None,
    arms: Sequence[ArmRecord],
    scores: Mapping[str, list[ScoreRecord]],
    varied: Mapping[str, Variation],
    in_use: ArmsInUse,
) -> RecipeRun:
    """The run of the recipe that made `arms`; nobody may have said what it means, or means none of them."""
    source = declared or arms[-1]
    meant = [arm for arm in arms if declared is not None and arm.arm_id in declared.arm_ids] or arms
    children = tuple(
        child
        for arm in arms
        for child in arm_runs(
            arm, scores[arm.arm_id], varied.get(arm.arm_id, PLAIN).words, in_use.behind(arm)
        )
    )
    key = f"recipe/{source.recipe}"
    declaration = "" if declared is None else declared.model_dump_json()
    tags = {
        "kind": "recipe",
        "recipe": source.recipe,
        "recipe_hash": source.recipe_hash,
        "command": "" if declared is None else declared.command,
        "claims": "" if declared is None else "\n".join(declared.claims),
    }
    return RecipeRun(
        key=key,
        digest=stable_hash([VERSION, key, declaration, *(child.digest for child in children)]),
        name=shorten(source.recipe, LONGEST_NAME),
        begin=min(child.begin for child in children),
        end=max(child.end for child in children),
        tags=_tags(tags) | _on_the_board("the board", "", recipe=source.recipe),
        recipe_yaml=source.recipe_yaml,
        declared=() if declared is None else (declared,),
        arms=tuple(meant),
        scores=tuple(score for arm in meant for score in scores[arm.arm_id]),
        children=children,
    )


def _arm_run(
    arm: ArmRecord,
    suite: str,
    protocol_hash: str,
    scores: tuple[ScoreRecord, ...],
    variant: str,
    behind: tuple[ArmRecord, ...],
) -> ArmRun:
    key = f"{arm.arm_id}/{suite}/{protocol_hash}"
    records = [record.model_dump_json() for record in (arm, *scores, *behind)]
    work = work_on(arm, scores)
    run = ArmRun(
        key=key,
        # An arm gets namesakes after it was mirrored.
        digest=stable_hash([VERSION, key, *records, *filter(None, [variant])]),
        name=shorten(_arm_name(arm, variant), LONGEST_NAME),
        begin=work.begin,
        end=work.end,
        tags={},
        arm=arm,
        scores=scores,
        behind=behind,
    )
    keys = {f"key.{stage}": key for stage, key in arm.stages.items()}
    keys |= {f"key.evaluate.{score.benchmark}": score.evaluation_key for score in scores}
    values = {
        "kind": "arm",
        "arm": arm.arm,
        "arm_id": arm.arm_id,
        "expert": arm.expert,
        "amateur": arm.amateur or "",
        "recipe": arm.recipe,
        "recipe_hash": arm.recipe_hash,
        "seed": "" if arm.seed is None else str(arm.seed),
        "point": _point_words(arm.point),
        "variant": variant,
        "suite": suite,
        "protocol": protocol_hash,
        "uses_labels": "" if run.uses.labels is None else "yes" if run.uses.labels else "no",
        "other_models": ", ".join(run.uses.other_models or ()),
        "reads_arms": ", ".join(run.uses.arms),
        "non_finite": ", ".join(run.non_finite),
        **{f"environment.{name}": str(value) for name, value in arm.environment.items()},
        **keys,
    }
    run.tags.update(_tags(values))
    run.tags.update(TAGS)
    run.tags.update(_on_the_board("where it comes from", "provenance", arm=arm.arm_id))
    return run


def _on_the_board(what: str, page: str, **tokens: str) -> dict[str, str]:
    """A tag and a description that lead to a page of the dashboard, in the state that the tokens ask for."""
    address = f"{BOARD}/{page}?{urlencode({name: without_secrets(value) for name, value in tokens.items()})}"
    return {
        "lrbench.board": shorten(address, LONGEST_TAG),
        "mlflow.note.content": f"On the board: [{what}]({address}), while `lrbench dashboard` serves it.",
    }


def _dataset(name: str, use: str, identity: Mapping[str, Any]) -> DatasetInput:
    """A data set with a digest of our own, over all that says which rows were read."""
    return DatasetInput(
        name=shorten(without_secrets(name), LONGEST_DATASET_NAME),
        digest=stable_hash([name, dict(identity)])[:LONGEST_DIGEST],
        use=use,
        source=without_secrets(json.dumps(identity, ensure_ascii=False, sort_keys=True)),
    )


def _arm_name(arm: ArmRecord | Row, variant: str) -> str:
    """What tells an arm from the others of its recipe, for people."""
    seed = "" if arm.seed is None else f"seed {arm.seed}"
    return " ".join(filter(None, [arm.arm, seed, _point_words(arm.point), variant]))


def _point_words(point: Mapping[str, Any]) -> str:
    return " ".join(f"{field}={value}" for field, value in point.items())


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    """Tags under our own prefix; what is empty is left out."""
    return {
        safe_name(f"lrbench.{name}"): shorten(without_secrets(text), LONGEST_TAG)
        for name, text in values.items()
        if text
    }


def _leaves(value: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _leaves(item, (*above, name))
        else:
            yield (*above, name), item


def _joined(names: Iterable[str], separator: str) -> str:
    return separator.join(map(safe_name, names))[:LONGEST_NAME]


def _text(text: str) -> bytes:
    return without_secrets(text).encode()


def _pretty(value: Mapping[str, Any]) -> bytes:
    return _text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
