"""Objectives: how far the model is from its targets, which is what training makes small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_serializer

from lrbench.methods.component import Component
from lrbench.methods.families import Family
from lrbench.methods.rewards import GroupPolicy
from lrbench.methods.section import Section
from lrbench.methods.targets import Target

# As in GKD (arXiv 2306.13649): KL(target || model), its reverse, and what is half way between them.
BETAS = {"forward": 0.0, "reverse": 1.0, "js": 0.5}
Kind = Literal["forward", "reverse", "js"]
Temperature = Annotated[float, Field(gt=0, le=100)]
Updates = Annotated[int, Field(ge=1, le=10**15)]


@dataclass(frozen=True)
class Distance:
    """How far a model is from one kept step's target, where it is not the plain KL(target || model).

    `own_share` of the target is on the rollout's own token: that is a label and no distribution, so it is
    learnt by its cross-entropy at temperature 1. What is left is a distribution over the stored tokens and,
    as one outcome more, all others; the model's is made into one over the same outcomes, its logarithms
    divided by `temperature`. The divergence of the two, t and p, is KL(t || p) for a `beta` of 0, KL(p || t)
    for 1, and between them beta KL(t || m) + (1 - beta) KL(p || m) with m = beta t + (1 - beta) p.
    """

    beta: float
    temperature: float
    own_share: float = 0.0


class Objective(Component):
    """Base of all objectives.

    `loss` says, for people, what its loss counts.
    """

    loss: ClassVar[str] = "nats per kept step"

    @property
    def policy(self) -> GroupPolicy | None:
        """How the model in training is rewarded for what it writes; None where it learns from targets."""
        return None

    @property
    def rewritten_every(self) -> int | None:
        """After how many updates the model in training writes the rollouts anew; None where it does not."""
        return None

    @property
    def preference(self) -> Preference | None:
        """How strongly the chosen answer of a pair is preferred; None where it learns from no pairs."""
        return None

    @property
    def writes(self) -> bool:
        """Whether the model in training writes what it learns from."""
        return self.policy is not None or self.rewritten_every is not None

    @property
    def counts_the_rest(self) -> bool:
        """Whether targets have to say how much of them is on tokens that are not stored."""
        return False

    def distance(self, target: Target) -> Distance | None:
        """What is made small at a kept step; None for KL(target || model)."""
        return None

    def refusal(self, target: Target) -> str | None:
        """Why it cannot be had with a target; None where it can."""
        return None


class Forward(Objective):
    """The mean over kept steps of KL(target || model); with one token as target, the cross-entropy of SFT."""

    word: ClassVar[str] = "forward"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: adapters had this objective before they could have another."""
        return {}


class Grpo(Objective):
    """Rewards for right answers, each set against those of its group (GRPO, arXiv 2402.03300).

    `grpo` says how much is written for an update, and what is rewarded.
    """

    word: ClassVar[str] = "grpo"
    loss: ClassVar[str] = "mean over tokens of the negative advantage"

    grpo: GroupPolicy

    @property
    def label(self) -> str:
        """How many answers are set against each other."""
        return f"GRPO in groups of {self.grpo.group}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that is said of it."""
        return {"objective": {self.word: self.grpo.model_dump(mode="json")}}

    @property
    def policy(self) -> GroupPolicy:
        """As it is written."""
        return self.grpo


class _Divergent(Objective):
    """What divergences have in common, however they are written."""

    @property
    def written(self) -> tuple[Kind, float]:
        """The divergence and the temperature."""
        raise NotImplementedError

    @property
    def rewritten_every(self) -> int | None:
        """As `online` has it."""
        online: int | None = getattr(self, "online", None)
        return online

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        # One way to write it, whichever of the two it was.
        del handler
        return dict(self.identity) or Forward.word

    @property
    def label(self) -> str:
        """Which, at what temperature, and how often rollouts are written anew."""
        kind, temperature = self.written
        tempered = "" if temperature == 1 else f" at temperature {temperature:g}"
        online = "" if self.rewritten_every is None else f", online every {self.rewritten_every}"
        return f"{kind}{tempered}{online}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The divergence and the temperature, where it is not the plain one, and what is written anew."""
        kind, temperature = self.written
        own = {"divergence": kind, "temperature": temperature} if self.counts_the_rest else {}
        return own if self.rewritten_every is None else own | {"online": self.rewritten_every}

    @property
    def counts_the_rest(self) -> bool:
        """It does, unless it is what arms did before they could choose."""
        return self.written != (Forward.word, 1)

    def distance(self, target: Target) -> Distance | None:
        """None where it is the plain one."""
        kind, temperature = self.written
        return Distance(BETAS[kind], temperature, target.own_share) if self.counts_the_rest else None

    def refusal(self, target: Target) -> str | None:
        """Own tokens are no distribution, and the reverse is infinite where a target has nothing."""
        if not self.counts_the_rest:
            return None
        if target.own_share == 1:
            return (
                "the target is the rollout's own token alone, which is learnt by its cross-entropy at "
                "temperature 1 whatever the divergence; add a part that is a distribution, or leave the "
                "objective out"
            )
        if self.written[0] == "reverse" and not target.covers:
            return (
                f"KL(model || target) is infinite where the target ({target.label}) gives nothing to a token "
                "that the model may write; allowed is a target with a `soft` part, or the divergence `js`"
            )
        return None


class Divergence(_Divergent):
    """The mean over kept steps of another divergence of model and target, or at another `temperature`.

    `forward` is KL(target || model), `reverse` KL(model || target), and `js` the mean of both divergences
    from the even mixture of the two (GKD, arXiv 2306.13649, with weight 0.5). The model's logarithms are
    divided by `temperature`; the target has one of its own. No factor of its square is multiplied in.
    With `online` the model in training writes the rollouts again every so many updates.
    """

    word: ClassVar[str] = "diverging"

    divergence: Kind
    temperature: Temperature = 1.0
    online: Updates | None = None

    @property
    def written(self) -> tuple[Kind, float]:
        """As a recipe says."""
        return self.divergence, self.temperature


class Tempered(_Divergent):
    """KL(target || model) at another `temperature`: the shorter way to write `Divergence` of it."""

    word: ClassVar[str] = "tempered"

    temperature: Temperature
    online: Updates | None = None

    @property
    def written(self) -> tuple[Kind, float]:
        """As a recipe says."""
        return "forward", self.temperature


class Online(_Divergent):
    """KL(target || model) along rollouts that the model in training writes again every `online` updates."""

    word: ClassVar[str] = "rewritten"

    online: Updates

    @property
    def written(self) -> tuple[Kind, float]:
        """The plain one."""
        return "forward", 1.0


class Preference(Section):
    """Settings of DPO: `beta` is how much of what the model began as it keeps."""

    beta: Annotated[float, Field(gt=0, le=1000)] = 0.1


class Dpo(Objective):
    """Direct preference optimisation (arXiv 2305.18290): chosen answers more likely than rejected ones.

    The loss of a pair is -log sigmoid(beta ((log p(chosen) - log r(chosen)) - (log p(rejected) -
    log r(rejected)))), with r the model as the training begins.
    """

    word: ClassVar[str] = "dpo"
    loss: ClassVar[str] = "mean over pairs of -log sigmoid(margin)"

    dpo: Preference

    @property
    def label(self) -> str:
        """With its beta."""
        return f"DPO with beta {self.dpo.beta:g}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that is said of it."""
        return {"objective": {self.word: self.dpo.model_dump(mode="json")}}

    @property
    def preference(self) -> Preference:
        """As it is written."""
        return self.dpo


OBJECTIVES: tuple[type[Objective], ...] = (Forward, Divergence, Tempered, Online, Grpo, Dpo)

OBJECTIVE = Family(
    OBJECTIVES, base=Objective, closed="the loss and its gradient are computed by lrbench's own training loop"
)
AnyObjective = Annotated[Objective, OBJECTIVE]
