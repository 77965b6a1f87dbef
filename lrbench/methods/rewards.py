"""How a model learns from rewards: completions of one problem, each against the others."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lrbench.methods.section import Section


class GroupPolicy(Section):
    """An update draws `problems` problems and has the model in training write `group` answers to each.

    They are written as `sampling.solutions` has it, at `temperature` where that is given. A right answer is
    worth 1, less `length_penalty` times its share of the longest that it could be, and any other 0. `kl` is
    the weight of the divergence from the untrained expert. Of all tokens `entropy_top` are learnt from: the
    share where the model was the least certain.
    """

    group: Annotated[int, Field(ge=2, le=1024)] = 8
    problems: Annotated[int, Field(ge=1, le=10**6)] = 8
    kl: Annotated[float, Field(ge=0, le=100)] = 0.0
    length_penalty: Annotated[float, Field(ge=0, lt=1)] = 0.0
    entropy_top: Annotated[float, Field(gt=0, le=1)] = 1.0
    temperature: Annotated[float, Field(gt=0, le=100)] | None = None

    @property
    def completions(self) -> int:
        """Answers of an update."""
        return self.group * self.problems

    @property
    def sampling(self) -> dict[str, float]:
        """What of `sampling.solutions` it has its own of."""
        own: dict[str, float] = {"samples_per_problem": self.group}
        return own if self.temperature is None else own | {"temperature": self.temperature}

    def reward(self, right: bool, tokens: int, longest: int) -> float:
        """What an answer of so many tokens is worth, of at most `longest`."""
        return 1 - self.length_penalty * tokens / longest if right else 0.0
