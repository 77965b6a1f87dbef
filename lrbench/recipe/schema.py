"""The schema of a recipe: every field, its range, its default and its meaning.

All models are frozen and forbid unknown fields. A field marked `Kind.RUNTIME` cannot change what a
stage produces, one marked `Kind.LABEL` is words for people; every other field is part of the
identity of the stages that read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from lrbench.methods.answers import AnyAnswer, Force
from lrbench.methods.changes import AnyChange
from lrbench.methods.fidelity import CORRECTED, AnyFidelity
from lrbench.methods.objectives import AnyObjective
from lrbench.methods.section import Section
from lrbench.methods.selectors import AnySelector
from lrbench.methods.sources import AnySource
from lrbench.methods.targets import AnyTarget
from lrbench.recipe.controlling import with_controls
from lrbench.recipe.kinds import Kind
from lrbench.recipe.measuring import Measure
from lrbench.recipe.measuring_again import with_repeats
from lrbench.recipe.selecting import SelectOn
from lrbench.recipe.training_sources import AnyTraining, TrainingSource, train_label
from lrbench.suites.declaration import AnySuite, NamedTasks

SAFE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
# What no `pair.least_mass` means: below it, the tokens that are not shared hold too much to be left out.
LEAST_MASS = 0.9
# Arithmetic that rounds so little that the rows written beside a row change nothing of it.
EXACT = "float32"
# No count means more, and sizes and times that are worked out from one stay numbers.
LARGEST_COUNT = 10**15

Name = Annotated[str, Field(pattern=SAFE_NAME, max_length=100)]
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
BatchSize = Count | Literal["auto"]
Text = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class ModelReference(Section):
    """Where a model comes from: `embedded/NAME`, a local folder, or a hub id with its revision."""

    model: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"


class Derivation(Section):
    """An amateur made from the expert: its first `layers` layers, taught to write as the expert does.

    It takes `distill_updates` updates towards the expert's distributions along greedy rollouts of the
    training problems. `seed` is apart from the recipe's own, so that runs of several seeds have one amateur.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    source: Annotated[Literal["expert"], Field(alias="from")]
    layers: Count
    distill_updates: Count
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    seed: Seed = 0


class Amateur(Section):
    """A `model`, as the expert has one, or how to `derive` one from the expert."""

    model: Text | None = None
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    derive: Derivation | None = None


class Pair(Section):
    """The two models that are compared token by token.

    `align`: `ids` asks that every token id stands for the same token in both; `tokens` compares the tokens
    that both have, whatever their ids, where those hold at least `least_mass` of both models' probability
    (null: 0.9).
    """

    expert: ModelReference
    amateur: Amateur | None = None
    align: Literal["ids", "tokens"] = "ids"
    least_mass: Annotated[float, Field(gt=0, le=1)] | None = None

    @property
    def needed_mass(self) -> float | None:
        """The probability that shared tokens have to hold; None where ids are compared."""
        if self.align == "ids":
            return None
        return LEAST_MASS if self.least_mass is None else self.least_mass

    @property
    def amateur_name(self) -> str | None:
        """What the amateur is called; one that is derived, by the expert and the layers it keeps."""
        if self.amateur is None:
            return None
        if self.amateur.derive is None:
            return self.amateur.model
        return f"{self.expert.model}, first {self.amateur.derive.layers} layers"


class Data(Section):
    """Training problems: `embedded/FAMILY`, `gsm8k/train`, `math/train`, `hub:OWNER/NAME`, a file, or a list
    of such names and of sources with weights (`lrbench.recipe.training_sources`).

    `problems` of them are taken: the first ones, or a sample drawn with `seed`, which is apart from the
    recipe's own, so that runs of several seeds learn from the same problems. The next `held_out` ones in
    the same order are never learnt from: the perplexity of their solutions is measured while training.
    """

    train: AnyTraining
    problems: Count
    selection: Literal["first", "sample"] = "first"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    held_out: Annotated[int, Field(ge=0, le=LARGEST_COUNT)] = 0

    @property
    def label(self) -> str:
        """What messages call the training data."""
        return train_label(self.train)

    @property
    def sources(self) -> tuple[str | TrainingSource, ...]:
        """Where the problems come from, each as it is written."""
        return (self.train,) if isinstance(self.train, str) else self.train

    @property
    def names(self) -> list[str]:
        """What messages call each source."""
        return [each if isinstance(each, str) else each.name for each in self.sources]

    @property
    def weights(self) -> list[Fraction]:
        """How much of each source is drawn, in proportion."""
        return [Fraction(1) if isinstance(each, str) else each.share for each in self.sources]


class Divergence(Section):
    """Which steps are kept and what is learnt there (paper, sections 3.1 and 3.2).

    `beta`: steps with KL(expert || amateur) > beta, in nats, are kept. `alpha`: a token is plausible
    when its expert probability is at least alpha times the largest one. `alpha_min` is how far down
    scores are stored; any alpha from there up is an exact filter over stored scores.
    """

    alpha: Annotated[float, Field(gt=0, le=1)] = 0.2
    beta: Annotated[float, Field(ge=0)] = 0.4
    alpha_min: Annotated[float, Field(ge=1e-4, le=1)] = 0.05


class EngineChoice(Section):
    """What completes prompts: `hf` and `vllm` in this process, or a `server` that speaks OpenAI's protocol.

    `url` is the server's address, or a list of those of several, and `served_as` its name for the expert
    (null: the only model it serves); neither can change an output, since every server has to prove that it
    runs the expert.
    """

    name: Literal["hf", "vllm", "server"] = "hf"
    url: Annotated[
        Text | Annotated[tuple[Text, ...], Field(min_length=1, strict=False)] | None, Kind.RUNTIME
    ] = None
    served_as: Annotated[Text | None, Kind.RUNTIME] = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those of all servers."""
        if self.url is None:
            return ()
        return (self.url,) if isinstance(self.url, str) else self.url


class Solutions(Section):
    """How full solutions are sampled for rejection sampling (the `solutions` source)."""

    samples_per_problem: Count = 4
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_new_tokens: Count = 128


class Sampling(Section):
    """How the expert writes: greedy rollouts of at most `max_new_tokens`, and sampled solutions."""

    max_new_tokens: Count = 128
    system_prompt: str | None = None
    solutions: Solutions = Solutions()
    engine: EngineChoice = EngineChoice()


class Lora(Section):
    """The LoRA adapter: rank, scale (alpha / r), dropout, and the modules it is attached to."""

    r: Count = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    target_modules: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = ("q_proj", "v_proj")


class Budget(Section):
    """What an arm may learn from and for how long, besides the number of updates; every limit given holds.

    `tuned_tokens`: the first rollouts that amount to at most that many kept steps. `problems`: the first
    problems that have a kept step. `seconds` of training, after which no update begins. `match` names
    another arm: as much of `on` as it used.
    """

    tuned_tokens: Count | None = None
    problems: Count | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    match: Name | None = None
    on: Literal["updates", "tuned_tokens", "problems", "seconds"] | None = None


class Training(Section):
    """The training budget and optimiser. An update takes whole rollouts or a number of kept steps."""

    updates: Count = 1000
    rollouts_per_update: Count | None = None
    steps_per_update: Count | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-5
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    lora: Lora = Lora()
    budget: Budget = Budget()


class DivergenceOverride(Section):
    """An arm's own thresholds; what is left out or null comes from the recipe."""

    alpha: Annotated[float, Field(gt=0, le=1)] | None = None
    beta: Annotated[float, Field(ge=0)] | None = None


class LoraOverride(Section):
    """An arm's own adapter; what is left out or null comes from the recipe."""

    r: Count | None = None
    alpha: Annotated[float, Field(gt=0)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    target_modules: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None


class TrainingOverride(Section):
    """An arm's own training settings; what is left out or null comes from the recipe.

    A budget that sets anything replaces the recipe's whole budget.
    """

    updates: Count | None = None
    rollouts_per_update: Count | None = None
    steps_per_update: Count | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    max_gradient_norm: Annotated[float, Field(gt=0)] | None = None
    lora: LoraOverride = LoraOverride()
    budget: Budget = Budget()


class ArmDeclaration(Section):
    """One entry of `arms:`: a known arm's name, or a mapping that overrides one, word by word.

    What the words can be is in `lrbench.methods`. It begins from the adapter of the arm `start`, null: from
    the expert.
    """

    name: Name
    like: str | None = None
    source: AnySource | None = None
    selector: AnySelector | None = None
    target: AnyTarget | None = None
    objective: AnyObjective | None = None
    change: AnyChange | None = None
    answer: AnyAnswer | None = None
    fidelity: AnyFidelity | None = None
    start: Name | None = None
    divergence: DivergenceOverride = DivergenceOverride()
    training: TrainingOverride = TrainingOverride()

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class Compare(Section):
    """What the results are about: the arm that is the `subject`, and the arms it is set `against`.

    The first of them is the one that a headline speaks of. What is left out or null is said by the arms:
    the subject is the first like `lightr`, set against the first like `sft`, `base`, and its controls.
    """

    subject: Name | None = None
    against: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)] | None = None


class Evaluation(Section):
    """What is measured: a suite, or those of its benchmarks that `benchmarks` names.

    A suite is one that ships with lrbench, by its name, or one's own: the folder of its `suite.yaml`, or all
    that such a file says (`lrbench.suites.declaration`). Instead of a suite, tasks of `lm_eval` may be named.
    Of each benchmark all items are measured, or the first `limit`, or those whose ids `items` lists.
    `select_on` has the point of every swept arm chosen on training problems, before the suite is measured.
    """

    suite: AnySuite | None = None
    lm_eval: NamedTasks | None = None
    benchmarks: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None
    limit: Count | None = None
    items: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None
    select_on: SelectOn | None = None
    engine: EngineChoice = EngineChoice()


class Runtime(Section):
    """How the work is done on this machine; nothing here can change what a stage produces, but for
    `batch_size` where the expert is of bfloat16 or float16: scores of such a model are of one batch size.

    `data_root` is a folder of the public data sets, whose content is verified (null: LRBENCH_DATA, or
    fetched once). At most `batch_size` prompts are completed at once (auto: as many as memory has room for).
    Training takes `tokens_per_forward` at once (null: by device), may keep fewer activations
    (`gradient_checkpointing`), may be compiled by torch, and may be done by several `processes`. Stages that
    do not need each other may be made by several `workers` at once. With a `queue` free rows take prompts of
    the next shard (null: by device). vLLM captures its forwards as `cuda_graphs` where it runs on CUDA, and
    splits the model's layers over `tensor_parallel` devices.
    """

    data_root: Annotated[str, Field(min_length=1)] | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count | None = None
    batch_size: BatchSize = 64
    updates_between_saves: Count = 20
    tokens_per_forward: Count | None = None
    gradient_checkpointing: bool = False
    compile: bool = False
    processes: Count = 1
    workers: Count = 1
    queue: bool | None = None
    cuda_graphs: bool = True
    tensor_parallel: Count = 1

    @property
    def devices(self) -> int:
        """How many CUDA devices a worker takes."""
        return max(self.processes, self.tensor_parallel)

    def in_a_queue(self, engine: EngineChoice, on_cpu: bool) -> bool:
        """Whether prompts of the next shard take the places that become free.

        On a CPU a row costs as much in a small batch as in a large one, and shards that are batches of their
        own are written the same, bit for bit, whatever a kill has left of them.
        """
        return self.queue if self.queue is not None else engine.name != "hf" or not on_cpu


class Sweep(Section):
    """Settings to try one after the other: every combination of a `grid`, or the `points` listed.

    Fields are named by their dotted path, such as `divergence.alpha`, those of an arm by the arm's name,
    such as `arms.lightr.training.updates`. Any field can be swept that can change a result; seeds have a
    list of their own.
    """

    grid: (
        Annotated[
            dict[str, Annotated[tuple[Any, ...], Field(min_length=1, strict=False)]], Field(min_length=1)
        ]
        | None
    ) = None
    points: (
        Annotated[
            tuple[Annotated[dict[str, Any], Field(min_length=1)], ...], Field(min_length=1, strict=False)
        ]
        | None
    ) = None


class Controls(Section):
    """The arms that a claim for the arm `of` has to be held against, added to those declared.

    `prefill` is the word that the answers of one control begin with, `forced` the answer of another, in which
    decisions are taken for the expert. Where only the arm is said, its name alone may be written.
    """

    of: Name
    prefill: Text | None = None
    forced: Force | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"of": value} if isinstance(value, str) else value


class Recipe(Section):
    """One declared experiment: one YAML file in `recipes/`.

    `models` are those there are besides the pair, under names by which arms speak of them. `seeds` and
    `sweep` stand for a recipe per seed and point, which share all work that is the same for several.
    `fidelity` is that of every trained arm that says none of its own. `measure` asks for several
    sampled answers to every item, for how sure answers say they are, for traces, and for what is forgotten.
    `controls` adds the arms that a claim has to be held against (`lrbench.recipe.controlling`). `compare`
    says what the results are about (`lrbench.recipe.comparing`), and `claims` what they are expected to show
    (`lrbench.recipe.claims`); neither can change a result.
    """

    name: Annotated[Name, Kind.LABEL]
    description: Annotated[str, Kind.LABEL] = ""
    seed: Seed = 0
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False)] | None = None
    pair: Pair
    models: dict[Name, ModelReference] | None = None
    data: Data
    divergence: Divergence = Divergence()
    sampling: Sampling = Sampling()
    training: Training
    fidelity: AnyFidelity = CORRECTED
    arms: Annotated[tuple[ArmDeclaration, ...], Field(min_length=1, strict=False)]
    sweep: Sweep | None = None
    evaluation: Evaluation
    measure: Measure | None = None
    controls: Annotated[Controls | None, Kind.LABEL] = None
    compare: Annotated[Compare, Kind.LABEL] = Compare()
    claims: Annotated[tuple[str, ...], Field(strict=False), Kind.LABEL] = ()
    runtime: Annotated[Runtime, Kind.RUNTIME] = Runtime()

    @model_validator(mode="before")
    @classmethod
    def _with_added_arms(cls, value: Any) -> Any:
        return with_repeats(with_controls(value)) if isinstance(value, Mapping) else value

    @property
    def second(self) -> Evaluation | None:
        """How the suite of `measure.forgetting` is measured, where there is one: as the first, and whole."""
        if self.measure is None or self.measure.forgetting is None:
            return None
        first = self.evaluation
        return Evaluation(suite=self.measure.forgetting, limit=first.limit, engine=first.engine)

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """All that is measured of every arm."""
        return (self.evaluation,) if self.second is None else (self.evaluation, self.second)
