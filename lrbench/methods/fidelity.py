"""Fidelity to the public scripts of the paper: each of their habits as a hazard that can be switched on.

lrbench does what the paper says. The scripts that were published with it (HKUDS/LightReasoner) differ in
ways that change results; docs/fidelity.md says how. A hazard is one such difference, by itself, so that its
cost can be measured. Each is read by one stage, and is part of that stage's identity when it is on and not
otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from lrbench.methods.arrays import np
from lrbench.methods.component import Component
from lrbench.methods.families import CLASS_MARK
from lrbench.methods.readings import PAIR
from lrbench.methods.steps import Views, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Under this name an identity, and an arm's settings, say which hazards had a part in it.
FIELD = "fidelity"
REFERENCE = "reference"
# What the scripts are published with: rows of a forward, and tokens of a row.
ROWS_PER_BATCH = 8
LONGEST_ROW = 512
WORD, LIST, MAPPING = (f"{CLASS_MARK}{form}" for form in ("word", "list", "mapping"))


@dataclass(frozen=True)
class Hazard:
    """One habit of the scripts: the `stage` that reads it, by its name, and what it does, for people."""

    stage: str
    says: str


class Fidelity(Component):
    """Which habits of the public scripts an arm is made with; none of them by default.

    Written as `corrected` (none), `reference` (all), one hazard's name, a list of names, or a mapping of
    names to true and false.
    """

    word: ClassVar[str] = "corrected"

    stops_of_checkpoint: Annotated[
        bool,
        Hazard("rollouts", "rollouts end at the end tokens of the checkpoint's settings alone"),
    ] = False
    second_bos: Annotated[
        bool, Hazard("rollouts", "prompts begin with what the tokenizer adds, beside what the template wrote")
    ] = False
    distributions_processed: Annotated[
        bool,
        Hazard(
            "scores",
            "the expert's scores pass the checkpoint's processors of generation, the amateur's softmax is "
            "taken in its own dtype, and 1e-12 is added to both",
        ),
    ] = False
    vocabulary_cut: Annotated[
        bool,
        Hazard("scores", "both distributions are cut to the shorter one, unchecked and not renormalised"),
    ] = False
    amateur_retokenised: Annotated[
        bool, Hazard("scores", "the amateur reads prompt and prefix decoded and tokenised again")
    ] = False
    first_step_skipped: Annotated[bool, Hazard("samples", "the first step of a rollout is never kept")] = (
        False
    )
    beta_included: Annotated[bool, Hazard("samples", "a step with a divergence of exactly beta is kept")] = (
        False
    )
    last_column: Annotated[
        bool,
        Hazard("train", "every row of a batch is read at its last column, where short rows hold padding"),
    ] = False
    labels_cut: Annotated[
        bool,
        Hazard("train", "targets and logits end at the tokenizer's size without added tokens"),
    ] = False
    rows_shuffled: Annotated[
        bool,
        Hazard("train", "steps are independent rows in shuffled order, and an epoch ends with what is left"),
    ] = False
    accumulation_summed: Annotated[
        bool, Hazard("train", "the batches of an update are summed and not averaged")
    ] = False
    rows_retokenised: Annotated[
        bool, Hazard("train", "prompt and prefix of a row are decoded and tokenised again")
    ] = False
    rows_truncated: Annotated[
        bool, Hazard("train", f"rows are cut on the right after {LONGEST_ROW} tokens")
    ] = False
    merged_in_bfloat16: Annotated[
        bool, Hazard("evaluate", "the adapter is merged into weights of bfloat16 before it is measured")
    ] = False

    @classmethod
    def of(cls, names: Iterable[str]) -> Fidelity:
        """The fidelity with these hazards."""
        return cls(**dict.fromkeys(names, True))

    @property
    def hazards(self) -> tuple[str, ...]:
        """The names of the hazards that are on, in the order of this class."""
        return tuple(name for name in HAZARDS if getattr(self, name))

    @property
    def is_reference(self) -> bool:
        """Whether all of them are."""
        return len(self.hazards) == len(HAZARDS)

    @property
    def makes_rows(self) -> bool:
        """Whether training is from rows by themselves, and not in another order alone."""
        return bool(self.at("train").hazards) and self.at("train") != Fidelity(rows_shuffled=True)

    @property
    def written(self) -> str | list[str]:
        """As a recipe says it, in its shortest form."""
        names = self.hazards
        if not names:
            return self.word
        if self.is_reference:
            return REFERENCE
        return names[0] if len(names) == 1 else list(names)

    @property
    def label(self) -> str:
        """For people: `reference`, or the hazards joined by `+`."""
        return self.written if isinstance(self.written, str) else "+".join(self.written)

    @property
    def identity(self) -> dict[str, Any]:
        """The hazards that are on; nothing for none."""
        return {FIELD: sorted(self.hazards)} if self.hazards else {}

    def at(self, stage: str) -> Fidelity:
        """What of it the stage of this name reads."""
        return Fidelity.of(name for name in self.hazards if HAZARDS[name].stage == stage)

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        return self.written


def _described() -> Iterator[tuple[str, Hazard]]:
    for name, field in Fidelity.model_fields.items():
        yield from ((name, mark) for mark in field.metadata if isinstance(mark, Hazard))


# Every hazard by its name, in the order in which the stages come.
HAZARDS: Mapping[str, Hazard] = dict(_described())
CORRECTED = Fidelity()


def _of_word(word: str) -> Fidelity:
    if word == REFERENCE:
        return Fidelity.of(HAZARDS)
    return CORRECTED if word == Fidelity.word else Fidelity.of([word])


def _form(value: object) -> str | None:
    if isinstance(value, str):
        return WORD
    if isinstance(value, list | tuple):
        return LIST
    return MAPPING if isinstance(value, Mapping | Fidelity) else None


class _Forms:
    """How a fidelity may be written, as an annotation of a recipe's field; it is swept as a whole."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        word = core_schema.literal_schema([Fidelity.word, REFERENCE, *HAZARDS])
        listed = core_schema.list_schema(core_schema.literal_schema([*HAZARDS]), min_length=1, strict=False)
        return core_schema.tagged_union_schema(
            {
                WORD: core_schema.no_info_after_validator_function(_of_word, word),
                LIST: core_schema.no_info_after_validator_function(Fidelity.of, listed),
                MAPPING: handler(source),
            },
            discriminator=_form,
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "object",
            "properties": {name: {"type": "boolean", "default": False} for name in HAZARDS},
            "words": [Fidelity.word, REFERENCE, *HAZARDS],
            "items": {"enum": [*HAZARDS]},
            "whole": True,
        }


AnyFidelity = Annotated[Fidelity, _Forms()]
_WRITTEN: TypeAdapter[Fidelity] = TypeAdapter(AnyFidelity)


def read_fidelity(written: object) -> Fidelity:
    """The fidelity that a dumped one stands for. Raises `ValueError` where there is none."""
    return _WRITTEN.validate_python(written)


def kept_as_scripted(
    fidelity: Fidelity, kept_N: NDArray[np.bool_], views: Views, threshold: float | None
) -> NDArray[np.bool_]:
    """(N,) what is kept of the steps in `views` where a selector keeps `kept_N`.

    `threshold` is the selector's, of the pair's divergence in nats; None where it goes by something else.
    """
    if fidelity.beta_included and threshold is not None:
        kl_N = column(views[PAIR], "kl")
        kept_N = kept_N | (kl_N == kl_N.dtype.type(threshold))
    if fidelity.first_step_skipped:
        kept_N = kept_N & (next(iter(views.values())).step > 0)
    return kept_N


def why_scripted(fidelity: Fidelity, step: Views, threshold: float | None) -> str | None:
    """What a hazard and no selector decided about the one step in `step`; None where none did."""
    steps = next(iter(step.values()))
    if fidelity.first_step_skipped and steps.step[0] == 0:
        return "Not kept: this arm skips the first step, as the public scripts do."
    if fidelity.beta_included and threshold is not None:
        kl = column(step[PAIR], "kl")[0]
        if kl == kl.dtype.type(threshold):
            return f"Kept: KL is exactly β {threshold:g}, which this arm includes, as the public scripts do."
    return None
