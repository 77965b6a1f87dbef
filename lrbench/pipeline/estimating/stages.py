"""The stages of a plan with what each will cost: known facts first, expectations where there are none yet."""

from __future__ import annotations

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
from lrbench.pipeline.estimating.shapes import Shape, shape_of
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.evaluation import ITEMS_PER_SHARD, BenchmarkScore
from lrbench.pipeline.stages.rollouts import PROBLEMS_PER_SHARD, CheckedSolutions, RolloutSource
from lrbench.pipeline.stages.samples import ROLLOUTS_PER_SHARD, ArmSamples, PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.recipe.references import EMBEDDED
from lrbench.recipe.schema import Training
from lrbench.store.artifact import DamageError, read_manifest
from lrbench.store.store import Store

START = "start"
# What is expected as long as nothing was measured.
PROMPT_TOKENS = 120
SOLUTION_TOKENS = 400
EMBEDDED_PROMPT_TOKENS = 30
EMBEDDED_SOLUTION_TOKENS = 24
SHARE_RIGHT = 0.5
SHARE_KEPT = 0.2
# Stages without a model read and write some megabytes.
SECONDS_WITHOUT_MODEL = 0.05
# Of one update of a derived amateur.
DISTILLED_ROLLOUTS = 4
# The statistic of a finished stage that counts its completions.
ROWS = ("sampled_solutions", "n", "rollouts")


@dataclass(frozen=True)
class StageEstimate:
    """What one stage will take: `tokens` written, or tuned by a training, `exact` or at most so many; None
    where nothing bounds them yet.

    `modelled_seconds` and `modelled_bytes` are those before correction. `seconds` and `bytes` are None where
    a model is unknown; a finished stage takes none.
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


@dataclass(frozen=True)
class PlanEstimate:
    """What a plan will take on `device`, by the keys of its stages.

    `unknown` names the models nothing is known of, `runs` is the number of runs that corrections come from,
    and `corrected` the kinds of stages they tell of.
    """

    device: Device
    stages: dict[str, StageEstimate]
    start: StageEstimate
    unknown: tuple[str, ...]
    runs: int
    corrected: frozenset[str]

    @property
    def waiting(self) -> list[StageEstimate]:
        """The estimates of what is not finished."""
        return [stage for stage in self.stages.values() if not stage.finished]

    @property
    def seconds(self) -> float | None:
        """Of the whole run, start included; None where a stage's are unknown."""
        return _sum([self.start.seconds, *(stage.seconds for stage in self.waiting)])

    @property
    def bytes(self) -> float | None:
        """The most memory held at once; None where a stage's is unknown."""
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
        return PlanEstimate(self.device, stages, self._start(waiting), tuple(unknown), len(runs), corrected)

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
        tokens, exact = self._tokens(stage)
        cost = self._cost(stage)
        if statistics is not None:
            modelled = None if cost is None else cost.seconds
            rows = next((statistics[name] for name in ROWS if name in statistics), 0)
            return StageEstimate(kind_of(stage), tokens, True, True, modelled, 0.0, 0.0, 0.0, rows)
        return self._corrected(kind_of(stage), tokens, exact, cost)

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

    def _tokens(self, stage: Stage) -> tuple[int | None, bool]:
        """New tokens of a stage that writes, tuned tokens of one that trains; and whether exactly so many."""
        found = self.statistics(stage)
        if isinstance(stage, TrainedAdapter):
            return (int(found["tuned_tokens"]), True) if found else self._tuned(stage)
        if found is None or stage.engine_choice is None:
            return stage.most_tokens, stage.most_tokens == 0
        return int(found.get("sampled_tokens", found["tokens"])), True

    def _tuned(self, stage: TrainedAdapter) -> tuple[int | None, bool]:
        training, samples = stage.training, self.statistics(stage.samples)
        updates = None if training.steps_per_update is None else stage.size * training.steps_per_update
        if samples is None:
            steps = stage.samples.rollouts.most_tokens or None
            return _least(steps, updates, training.budget.tuned_tokens), False
        kept = _least(int(samples["kept_steps"]), updates, training.budget.tuned_tokens)
        if training.budget.model_dump(exclude_none=True):
            return kept, False
        rollouts = (self.statistics(stage.samples.rollouts) or {}).get("rollouts")
        once = rollouts is not None and stage.size * (training.rollouts_per_update or 0) >= rollouts
        return kept, updates is not None or once

    def _cost(self, stage: Stage) -> Cost | None:
        """Seconds and bytes of the uncorrected model; None where a model is unknown."""
        if isinstance(stage, PairScores):
            return self._scoring(stage)
        if isinstance(stage, TrainedAdapter):
            return self._training(stage)
        if isinstance(stage, DerivedAmateur):
            return self._deriving(stage)
        if stage.engine_choice is not None and isinstance(stage, RolloutSource | BenchmarkScore):
            return self._writing(stage)
        return Cost(SECONDS_WITHOUT_MODEL, 0.0)

    def _writing(self, stage: RolloutSource | BenchmarkScore) -> Cost | None:
        model = self._loaded(stage.expert)
        if model is None or stage.engine_choice is None:
            return None
        rows = stage.size
        per_shard = ITEMS_PER_SHARD if isinstance(stage, BenchmarkScore) else PROBLEMS_PER_SHARD
        most = stage.most_tokens // max(1, rows)
        if isinstance(stage, CheckedSolutions):
            samples = stage.sampling.solutions.samples_per_problem
            rows, per_shard, most = rows * samples, per_shard * samples, most // samples
        prompt = _usual(stage.expert)[0]
        return writing(
            model,
            rows=rows,
            shards=ceil(rows / per_shard),
            batches=batches(rows, per_shard, self._batch_size(model, prompt + most)),
            prompt=prompt,
            written=self._mean_written(stage),
            most=most,
            engine="hf" if stage.engine_choice.name == "hf" else "vllm",
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

    def _mean_written(self, stage: RolloutSource | BenchmarkScore) -> float:
        """Tokens of a completion: those there are, those of earlier runs, or what is usual."""
        found = self.statistics(stage)
        if isinstance(stage, CheckedSolutions):
            most = stage.sampling.solutions.max_new_tokens
            rows = found and found["sampled_solutions"]
        elif isinstance(stage, BenchmarkScore):
            most, rows = stage.suite.max_new_tokens, found and found["n"]
        else:
            # A data set's own solutions may be of any length.
            most = stage.sampling.max_new_tokens if stage.engine_choice else _usual(stage.expert)[1]
            rows = found and found["rollouts"]
        if found and rows:
            return float(found.get("sampled_tokens", found["tokens"]) / rows)
        usual = self.history.written(kind_of(stage), stage.expert.name) or _usual(stage.expert)[1]
        return float(min(most, usual))

    def _rollouts(self, stage: Stage) -> tuple[float, float]:
        """How many rollouts a source gives, and the steps of one."""
        found = self.statistics(stage)
        if found and found["rollouts"]:
            return found["rollouts"], found["tokens"] / found["rollouts"]
        if isinstance(stage, CheckedSolutions):
            samples = stage.size * stage.sampling.solutions.samples_per_problem
            return samples * SHARE_RIGHT, self._mean_written(stage)
        assert isinstance(stage, RolloutSource)
        return stage.size, self._mean_written(stage)

    def _scoring(self, stage: PairScores) -> Cost | None:
        expert, amateur = self._loaded(stage.expert), self._loaded(stage.amateur)
        if expert is None or amateur is None:
            return None
        rollouts, steps = self._rollouts(stage.rollouts)
        length = _usual(stage.expert)[0] + steps
        at_once, positions = self._pieces(expert)
        per_shard = ceil(min(rollouts, ROLLOUTS_PER_SHARD) * length / at_once)
        return scoring(
            expert,
            amateur,
            tokens=rollouts * length,
            steps=rollouts * steps,
            at_once=min(at_once, ROLLOUTS_PER_SHARD * length),
            positions=positions,
            forwards=per_shard * ceil(rollouts / ROLLOUTS_PER_SHARD),
        )

    def _training(self, stage: TrainedAdapter) -> Cost | None:
        model = self._loaded(stage.expert)
        if model is None:
            return None
        rollouts, steps = self._rollouts(stage.samples.rollouts)
        kept = max(1.0, self._kept(stage.samples) / max(1.0, rollouts))
        per_update = _rollouts_per_update(stage.training, kept, rollouts)
        at_once, positions = self._pieces(model)
        runtime = self.plan.recipe.runtime
        cost = training(
            model,
            updates=stage.size,
            tokens=per_update * (_usual(stage.expert)[0] + steps),
            kept=per_update * kept,
            at_once=runtime.tokens_per_forward or at_once,
            positions=positions,
            rank=stage.training.lora.r,
            checkpointing=runtime.gradient_checkpointing,
        )
        longest = stage.training.budget.seconds
        seconds = cost.seconds / runtime.processes
        return Cost(seconds if longest is None else min(seconds, longest), cost.bytes)

    def _deriving(self, stage: DerivedAmateur) -> Cost | None:
        """About what training the expert costs: the expert is read, and fewer layers learn."""
        model = self._loaded(stage.expert)
        if model is None:
            return None
        _, steps = self._rollouts(stage.rollouts)
        at_once, positions = self._pieces(model)
        return training(
            model,
            updates=stage.size,
            tokens=DISTILLED_ROLLOUTS * (_usual(stage.expert)[0] + steps),
            kept=DISTILLED_ROLLOUTS * steps,
            at_once=at_once,
            positions=positions,
            rank=0,
            checkpointing=False,
        )

    def _kept(self, samples: ArmSamples) -> float:
        found = self.statistics(samples)
        if found is not None:
            return float(found["kept_steps"])
        rollouts, steps = self._rollouts(samples.rollouts)
        return rollouts * steps * (SHARE_KEPT if samples.ingredients.selector == "kl" else 1.0)

    def _pieces(self, model: Loaded) -> tuple[int, int]:
        """Tokens of a forward and positions of a chunk."""
        at_once = TOKENS_PER_FORWARD["cpu" if self.device.is_cpu else "cuda"]
        return at_once, chunk_positions(model.shape.vocabulary)

    def _loaded(self, model: LocatedModel) -> Loaded | None:
        made = (stage for stage in self._derived if stage.amateur("", "").identity == model.identity)
        derived = next(made, None)
        shape = shape_of(model) if derived is None else self._shortened(derived)
        return None if shape is None else Loaded(shape, model.dtype, self.device)

    @cached_property
    def _derived(self) -> tuple[DerivedAmateur, ...]:
        return tuple(stage for stage in self.plan.stages if isinstance(stage, DerivedAmateur))

    def _shortened(self, derived: DerivedAmateur) -> Shape | None:
        """The shape of an amateur that is an expert's first layers."""
        whole = shape_of(derived.expert)
        if whole is None:
            return None
        left_out = whole.body * (whole.layers - derived.derivation.layers) // whole.layers
        return replace(whole, layers=derived.derivation.layers, parameters=whole.parameters - left_out)


def kind_of(stage: Stage) -> str:
    """The stages that are corrected alike: by name, and by engine where they write."""
    return stage.name if stage.engine_choice is None else f"{stage.name} {stage.engine_choice.name}"


def batches(rows: int, per_shard: int, batch_size: int) -> int:
    """Batches of `rows` that are written shard by shard; none has rows of two."""
    whole, rest = divmod(rows, per_shard)
    return whole * ceil(per_shard / batch_size) + ceil(rest / batch_size)


def _usual(model: LocatedModel) -> tuple[int, int]:
    """Tokens of a prompt and of a solution."""
    if model.name.startswith(EMBEDDED):
        return EMBEDDED_PROMPT_TOKENS, EMBEDDED_SOLUTION_TOKENS
    return PROMPT_TOKENS, SOLUTION_TOKENS


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _rollouts_per_update(training: Training, kept: float, rollouts: float) -> float:
    if training.rollouts_per_update is not None:
        return min(float(training.rollouts_per_update), rollouts)
    return max(1.0, (training.steps_per_update or 1) / kept)


def estimate_plan(plan: Plan, runs: Path, device: Device) -> PlanEstimate:
    """What `plan` will take on `device`, corrected by what runs recorded under `runs` took on it."""
    expert = shape_of(plan.arms[0].expert)
    history = History() if expert is None else read_history(runs, device.name, expert.parameters)
    return Estimator(plan, Store(runs / "store"), device, history).estimate()
