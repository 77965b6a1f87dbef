"""The stages of a plan with what each will cost: known facts first, expectations where there are none yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from lrbench.models.fitting import free_on_machine, rows_at_once
from lrbench.models.pieces import TOKENS_PER_FORWARD, chunk_positions
from lrbench.models.source import LocatedModel
from lrbench.pipeline.estimating.costs import (
    BASE_BYTES,
    SECONDS_TO_START,
    WEIGHT_BYTES_PER_SECOND,
    Cost,
    Loaded,
    scoring,
    training,
    writing,
)
from lrbench.pipeline.estimating.devices import Device
from lrbench.pipeline.estimating.history import History, read_history
from lrbench.pipeline.estimating.scheduling import longest_chain, seconds_together
from lrbench.pipeline.estimating.shapes import Shape, shape_of
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.tasks import FirstLayers, Learning, Scoring, Several, Task, Writing
from lrbench.recipe.references import EMBEDDED, model_name
from lrbench.recipe.schema import Runtime
from lrbench.store.artifact import DamageError, read_manifest
from lrbench.store.store import Store

START = "start"
# Stages without a model read and write some megabytes.
SECONDS_WITHOUT_MODEL = 0.05


@dataclass(frozen=True)
class Usual:
    """What is expected of a model as long as nothing was measured: tokens of a prompt and of a solution.

    A shard goes on until its `longest` completion ends, which has about so many times the mean's tokens.
    """

    prompt: int
    solution: int
    longest: float


USUAL = Usual(120, 400, 3.0)
# Greedy and sampled answers to its families, of all models of that world.
USUAL_OF_EMBEDDED = Usual(40, 36, 1.5)


@dataclass(frozen=True)
class StageEstimate:
    """What one stage will take: `tokens` written, or tuned by a training, `exact` or at most so many; None
    where nothing bounds them yet.

    `modelled_seconds` and `modelled_bytes` are those before correction. `seconds` and `bytes` are None where
    a model is unknown; a finished stage takes none. So many `parts` of it can be made at once.
    """

    kind: str
    tokens: int | None
    exact: bool
    finished: bool
    modelled_seconds: float | None
    seconds: float | None
    modelled_bytes: float | None
    bytes: float | None
    rows: int = 0
    parts: int = 1


@dataclass(frozen=True)
class PlanEstimate:
    """What a plan will take on `device`, by the keys of its stages.

    `inputs` are the keys of what each stage needs, and `workers` share the work. `unknown` names the models
    nothing is known of, `float32` those that are loaded in it. `runs` is the number of runs that corrections
    come from, and `corrected` the kinds of stages they tell of.
    """

    device: Device
    stages: dict[str, StageEstimate]
    start: StageEstimate
    unknown: tuple[str, ...]
    float32: tuple[str, ...]
    runs: int
    corrected: frozenset[str]
    inputs: Mapping[str, tuple[str, ...]]
    workers: int

    @property
    def waiting(self) -> list[StageEstimate]:
        """The estimates of what is not finished."""
        return [stage for stage in self.stages.values() if not stage.finished]

    @property
    def checked(self) -> frozenset[str]:
        """The kinds of stages to be made that earlier runs tell of."""
        return self.corrected & {stage.kind for stage in self.waiting}

    @property
    def seconds(self) -> float | None:
        """Of the whole run by all its workers, start included; None where a stage's are unknown."""
        work = _sum([self.start.seconds, *(stage.seconds for stage in self.waiting)])
        if work is None or self.workers == 1:
            return work
        together = seconds_together(self._each, self.inputs, self.workers, self.parts)
        return (self.start.seconds or 0.0) + together

    @property
    def longest_chain(self) -> float:
        """Seconds, start included, that more workers would not save; of stages that something is known of."""
        return (self.start.seconds or 0.0) + longest_chain(self._each, self.inputs, self.parts)

    @property
    def parts(self) -> dict[str, int]:
        """In how many parts each stage can be made, by key."""
        return {key: stage.parts for key, stage in self.stages.items()}

    @property
    def _each(self) -> dict[str, float]:
        return {key: stage.seconds or 0.0 for key, stage in self.stages.items() if not stage.finished}

    @property
    def bytes(self) -> float | None:
        """The most memory that a worker holds at once; None where a stage's is unknown."""
        found = [stage.bytes for stage in [self.start, *self.waiting]]
        return None if None in found else max(size for size in found if size is not None)


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


@dataclass
class Estimator:
    """Estimates the stages of one plan on one device, from what the store and earlier runs know."""

    plan: Plan
    store: Store
    device: Device
    history: History
    _known: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    def estimate(self) -> PlanEstimate:
        """Of every stage, and of the start."""
        stages = {stage.key: self._stage(stage) for stage in self.plan.stages}
        waiting = any(not stage.finished for stage in stages.values())
        unknown = [model.name for model in self._models if self._loaded(model) is None]
        runs = self.history.runs
        corrected = frozenset(kind for run in runs for kind in run.work)
        return PlanEstimate(
            self.device,
            stages,
            self._start(waiting),
            tuple(unknown),
            tuple(model_name(model.name) for model in self._models if model.dtype == "float32"),
            len(runs),
            corrected,
            {stage.key: tuple(needed.key for needed in stage.inputs.values()) for stage in self.plan.stages},
            self.plan.recipe.runtime.workers,
        )

    def _parts(self, stage: Stage, task: Task | None) -> int:
        """As many as the stage has; in a queue none of those that would be under way at once."""
        model = self._loaded(task.model) if isinstance(task, Writing) else None
        if not isinstance(task, Writing) or model is None or not self._is_queued(task):
            return stage.parts
        at_once = self._batch_size(model, _usual(task.model).prompt + task.most)
        return max(1, min(stage.parts, task.rows // at_once))

    def _is_queued(self, task: Writing) -> bool:
        return task.queueing and self.plan.recipe.runtime.in_a_queue(task.engine, self.device.is_cpu)

    @cached_property
    def _continuing(self) -> frozenset[str]:
        """The stages that go on in the queue of one before them."""
        found: set[str] = set()
        for arm in self.plan.arms:
            waiting: dict[str, Stage] = {}
            for stage in arm.stages():
                if self.statistics(stage) is not None or stage.key in waiting:
                    continue
                before = sum(stage.follows(other) for other in waiting.values())
                # Beside other workers a stage has one that follows it.
                if before and (self.plan.recipe.runtime.workers == 1 or before % 2):
                    found.add(stage.key)
                waiting[stage.key] = stage
        return frozenset(found)

    @cached_property
    def _models(self) -> tuple[LocatedModel, ...]:
        found = [model for arm in self.plan.arms for model in (arm.expert, arm.amateur) if model is not None]
        return tuple(dict.fromkeys(found))

    def _start(self, waiting: bool) -> StageEstimate:
        loaded = [model for model in map(self._loaded, self._models) if model is not None]
        weights = sum(model.weights for model in loaded)
        seconds = SECONDS_TO_START + weights / WEIGHT_BYTES_PER_SECOND if waiting else 0.0
        return self._corrected(START, 0, True, Cost(seconds, 0.0))

    def _stage(self, stage: Stage) -> StageEstimate:
        statistics = self.statistics(stage)
        tokens, exact = stage.tokens(self)
        task = stage.task(self)
        if isinstance(task, Writing) and stage.key in self._continuing:
            task = replace(task, continues=True)
        cost = self._cost(task)
        if statistics is not None:
            modelled = None if cost is None else cost.seconds
            rows = stage.completions(statistics)
            return StageEstimate(kind_of(stage), tokens, True, True, modelled, 0.0, 0.0, 0.0, rows)
        corrected = self._corrected(kind_of(stage), tokens, exact, cost)
        return replace(corrected, parts=self._parts(stage, task))

    def _corrected(self, kind: str, tokens: int | None, exact: bool, cost: Cost | None) -> StageEstimate:
        if cost is None:
            return StageEstimate(kind, tokens, exact, False, None, None, None, None)
        seconds = cost.seconds * self.history.speed(kind).factor
        modelled = cost.bytes + BASE_BYTES["cpu" if self.device.is_cpu else "cuda"]
        held = modelled * self.history.memory().factor
        return StageEstimate(kind, tokens, exact, False, cost.seconds, seconds, modelled, held)

    def statistics(self, stage: Stage) -> dict[str, Any] | None:
        """What a finished stage measured; None where it is not finished."""
        if stage.key not in self._known:
            try:
                manifest = read_manifest(self.store.root / stage.name / stage.key, stage.name, stage.key)
                self._known[stage.key] = manifest["statistics"]
            except (DamageError, OSError):
                self._known[stage.key] = None
        return self._known[stage.key]

    def usual(self, stage: Stage, model: LocatedModel) -> float:
        """Tokens of a completion: those of earlier runs, or what is usual."""
        return self.history.written(kind_of(stage), model.name) or _usual(model).solution

    def _cost(self, task: Task | None) -> Cost | None:
        """Seconds and bytes of the uncorrected model; None where a model is unknown."""
        match task:
            case Writing():
                return self._writing(task)
            case Scoring():
                return self._scoring(task)
            case Learning():
                return self._learning(task)
            case Several():
                costs = [self._cost(each) for each in task.tasks]
                known = [cost for cost in costs if cost is not None]
                if len(known) < len(costs):
                    return None
                return Cost(sum(cost.seconds for cost in known), max(cost.bytes for cost in known))
        return Cost(SECONDS_WITHOUT_MODEL, 0.0)

    def _writing(self, task: Writing) -> Cost | None:
        """What all models that read the tokens take, one after the other."""
        models = [self._loaded(model) for model in (task.model, *task.beside)]
        known = [model for model in models if model is not None]
        if len(known) < len(models):
            return None
        costs = [self._writing_of(task, model) for model in known]
        return Cost(sum(cost.seconds for cost in costs), sum(cost.bytes for cost in costs))

    def _writing_of(self, task: Writing, model: Loaded) -> Cost:
        usual = _usual(task.model)
        queued = self._is_queued(task)
        together = max(1, task.rows) if queued else task.per_shard
        most_at_once = self._batch_size(model, usual.prompt + task.most)
        at_once = min(most_at_once, together, max(1, task.rows))
        is_continued = queued and task.continues
        return writing(
            model,
            rows=task.rows,
            # Rows that the stage before has left free take its prompts, and there is no end to wait for.
            shards=0 if is_continued else ceil(task.rows / together),
            batches=task.rows / most_at_once
            if is_continued
            else batches(task.rows, together, task.narrowed(at_once)),
            prompt=usual.prompt + task.given,
            written=task.mean,
            longest=min(float(task.most), usual.longest * (task.given + task.mean)),
            engine="hf" if task.engine.name == "hf" else "vllm",
        )

    def _batch_size(self, model: Loaded, tokens: int) -> int:
        """Rows of `tokens` that are written at once."""
        declared = self.plan.recipe.runtime.batch_size
        if declared != "auto":
            return declared
        memory = self.device.memory
        free = (free_on_machine() if memory is None else memory) - model.weights
        device = "cpu" if self.device.is_cpu else "cuda"
        return rows_at_once(model.widths, tokens=tokens, free=free, device=device)

    def _scoring(self, task: Scoring) -> Cost | None:
        models = [model for model in map(self._loaded, task.models) if model is not None]
        if len(models) < len(task.models):
            return None
        length = _usual(task.models[0]).prompt + task.steps
        at_once, positions = self._pieces(models[0])
        of_shard = ceil(min(task.rollouts, task.per_shard) * length / at_once)
        return scoring(
            models,
            tokens=task.rollouts * length,
            steps=task.rollouts * task.steps,
            at_once=min(at_once, task.per_shard * length),
            positions=positions,
            forwards=of_shard * ceil(task.rollouts / task.per_shard),
        )

    def _learning(self, task: Learning) -> Cost | None:
        model = self._loaded(task.model)
        if model is None:
            return None
        at_once, positions = self._pieces(model)
        runtime = self.plan.recipe.runtime if task.as_declared else Runtime()
        cost = training(
            model,
            updates=task.updates,
            tokens=task.rollouts * (_usual(task.model).prompt + task.steps),
            kept=task.kept,
            at_once=runtime.tokens_per_forward or at_once,
            positions=positions,
            rank=task.rank,
            checkpointing=runtime.gradient_checkpointing,
            rereadings=task.rereadings,
        )
        seconds = cost.seconds / runtime.processes
        return Cost(seconds if task.seconds is None else min(seconds, task.seconds), cost.bytes)

    def _pieces(self, model: Loaded) -> tuple[int, int]:
        """Tokens of a forward and positions of a chunk."""
        at_once = TOKENS_PER_FORWARD["cpu" if self.device.is_cpu else "cuda"]
        return at_once, chunk_positions(model.shape.vocabulary)

    def _loaded(self, model: LocatedModel) -> Loaded | None:
        made = self._made.get(model.identity)
        shape = shape_of(model) if made is None else _shape_of_first(made)
        return None if shape is None else Loaded(shape, model.dtype, self.device)

    @cached_property
    def _made(self) -> dict[str, FirstLayers]:
        """The models that stages make, by identity."""
        found = (stage.model_made for stage in self.plan.stages)
        return {made.identity: made for made in found if made is not None}


def _shape_of_first(made: FirstLayers) -> Shape | None:
    """The shape of a model that is another's first layers."""
    whole = shape_of(made.model)
    if whole is None:
        return None
    left_out = whole.body * (whole.layers - made.layers) // whole.layers
    return replace(whole, layers=made.layers, parameters=whole.parameters - left_out)


def kind_of(stage: Stage) -> str:
    """The stages that are corrected alike: by name, and by engine where they write."""
    return stage.name if stage.engine_choice is None else f"{stage.name} {stage.engine_choice.name}"


def batches(rows: int, per_shard: int, batch_size: int) -> int:
    """Batches of `rows` that are written shard by shard; none has rows of two."""
    whole, rest = divmod(rows, per_shard)
    return whole * ceil(per_shard / batch_size) + ceil(rest / batch_size)


def _usual(model: LocatedModel) -> Usual:
    return USUAL_OF_EMBEDDED if model.name.startswith(EMBEDDED) else USUAL


def estimate_plan(plan: Plan, runs: Path, device: Device) -> PlanEstimate:
    """What `plan` will take on `device`, corrected by what runs recorded under `runs` took on it."""
    expert = shape_of(plan.arms[0].expert)
    history = History() if expert is None else read_history(runs, device.name, expert.parameters)
    return Estimator(plan, Store(runs / "store"), device, history).estimate()
