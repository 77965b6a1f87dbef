"""Routes of tokens that are learnt: where labels come from, what the network is like, where its bound is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator

from lrbench.methods.continued import Continuing
from lrbench.methods.readings import Reading
from lrbench.methods.section import Section

# What a recipe writes for a router that is all as published.
LEARNT = "learnt"
Rule = Literal["recall", "share", "above"]
RULES: tuple[Rule, ...] = ("recall", "share", "above")
# Of the tokens that lead to another answer, how many have to be routed where nothing else is said.
RECALL = 0.95
# A network of this width learns at this rate, and a narrower one faster in proportion.
WIDEST, LEARNING_RATE = 1024, 5e-5

Count = Annotated[int, Field(ge=1, le=10**15)]


class TokenRouter(Section):
    """A network that says of the token that the arm's own model is about to write how likely it is divergent.

    It reads the own model's last hidden state there, its `top` largest logits and the embedding of the token,
    and learns from what the other model writes to the training problems: a token is divergent where the own
    model would write another one, and the answer is another one when the other model goes on from that, with
    at most `tokens` tokens (null: as many as a rollout may have). Every `stride`-th step is tried, of all no
    more than `cap`. A fifth of the problems is for validation. There a bound is found that routes as many of
    the divergent tokens as `recall` says, or that `share` of all tokens; or chances `above` a number are
    routed. Without any of the three it is a recall of 0.95.

    The network has `layers` blocks of a `width` (null: that of the own model, at most 1024), and learns for
    `epochs` in batches of `batch` steps at `learning_rate` (null: 5e-5 at a width of 1024, and more in
    proportion as it is narrower), which falls to zero.
    """

    recall: Annotated[float, Field(gt=0, le=1)] | None = None
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    above: float | None = None
    tokens: Count | None = None
    stride: Count = 1
    cap: Count | None = None
    top: Count = 100
    layers: Count = 6
    width: Count | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    epochs: Count = 50
    batch: Count = 1024
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4

    @model_validator(mode="before")
    @classmethod
    def _word_alone(cls, value: object) -> object:
        return {} if value == LEARNT else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A recipe may write the word alone, as it may of components."""
        return handler.resolve_ref_schema(handler(core)) | {"words": [LEARNT]}

    @model_validator(mode="after")
    def _one_rule(self) -> TokenRouter:
        given = [name for name in RULES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"`{given[1]}` is given beside `{given[0]}`; a learnt router is bounded by one of `recall`, "
                "`share` and `above`"
            )
        return self

    @property
    def rule(self) -> tuple[Rule, float]:
        """What the bound is found by, and the number of that."""
        found = ((name, getattr(self, name)) for name in RULES)
        return next(((name, value) for name, value in found if value is not None), ("recall", RECALL))

    @property
    def label(self) -> str:
        """For people: `a learnt router says so, share 0.3`."""
        name, value = self.rule
        return f"a learnt router says so, {name} {value:g}"

    @property
    def network(self) -> Mapping[str, Any]:
        """All that decides what the network becomes, given the steps and their labels."""
        return self.model_dump(mode="json", exclude={*RULES, "tokens", "stride", "cap"})

    def continuing(self, reading: Reading) -> Continuing:
        """What is tried for the labels, where `reading` is of the other model and the own one."""
        return Continuing(reading=reading, tokens=self.tokens, stride=self.stride, cap=self.cap)

    def width_for(self, hidden: int) -> int:
        """The width of the network of a model whose hidden states are that wide."""
        return self.width or min(hidden, WIDEST)

    def rate_at(self, width: int) -> float:
        """The first learning rate of a network of that width."""
        return LEARNING_RATE * WIDEST / width if self.learning_rate is None else self.learning_rate
