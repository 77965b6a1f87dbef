"""How a model writes that need not be the expert: with which engine, in which tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrbench.errors import ModelError
from lrbench.methods.writers import Acceptance
from lrbench.pipeline.stages.answering import Reader
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact

if TYPE_CHECKING:
    from lrbench.pipeline.holding.model import HeldModel
    from lrbench.sampling.engines.base import Engine


@contextmanager
def writing(
    writer: Reader, workspace: Workspace, choice: EngineChoice, inputs: Mapping[str, Artifact]
) -> Iterator[Engine]:
    """The expert's engines, with an adapter on or without; for another model one in this process."""
    folder = next((inputs[name].directory for name in writer.inputs), None)
    if writer.model == workspace.expert.source:
        with workspace.engines.open(choice, folder) as engine:
            yield engine
        return
    from lrbench.sampling.engines.transformers import TransformersEngine

    held = workspace.held(writer.model)
    if folder is not None:
        held.place(folder)
    rules, size = spoken(writer, workspace).token_rules, workspace.runtime.batch_size
    try:
        yield TransformersEngine(held.weights, rules, size, workspace.engines.padding)
    finally:
        workspace.let_go(writer.model)


@contextmanager
def judged_writing(
    readers: tuple[Reader, Reader], rule: Acceptance, workspace: Workspace, inputs: Mapping[str, Artifact]
) -> Iterator[Engine]:
    """A writer whose every token the second of the `readers` takes, or draws itself, in this process."""
    from lrbench.sampling.engines.accepting import JUDGE, WRITER, Accepted
    from lrbench.sampling.engines.lockstep import LockstepEngine

    places = {
        reader.name: next((inputs[name].directory for name in reader.inputs), None) for reader in readers
    }
    workspace.hold_beside([(reader.model, places[reader.name]) for reader in readers])

    def weights(reader: Reader) -> Any:
        plain = reader.model == workspace.expert.source and places[reader.name] is None
        if plain:
            return workspace.expert.weights
        return workspace.weights_beside(reader.model, places[reader.name])

    answer = Accepted(above=rule.above, tries=rule.tries, top=rule.top)
    # Whoever ends it, it ends.
    stops = {stop for reader in readers for stop in spoken(reader, workspace).turn_marks.stops}
    rules = replace(workspace.expert.token_rules, stop_ids=tuple(sorted(stops)))
    models = {name: weights(reader) for name, reader in zip((WRITER, JUDGE), readers, strict=True)}
    try:
        size, padding = workspace.runtime.batch_size, workspace.engines.padding
        yield LockstepEngine(models, answer, rules, size, padding)
    finally:
        workspace.hold_beside(())


def spoken(writer: Reader, workspace: Workspace) -> HeldModel:
    """The model whose tokens the writer has: its own, or the expert's where a stage makes it of that."""
    return workspace.held(writer.model) if writer.model.here else workspace.expert


def has_expert_s_tokens(writer: Reader, workspace: Workspace) -> bool:
    """Whether every id stands for the same token in the writer and in the expert."""
    own = spoken(writer, workspace)
    return own is workspace.expert or own.has_tokens_of(workspace.expert)


def checks_of(writer: Reader, workspace: Workspace, system_prompt: str | None) -> Iterator[Check]:
    """Whether a writer can be built, and shows problems in its own template."""
    model = writer.model
    if not model.here or model == workspace.expert.source:
        return
    held = workspace.held(model)
    yield Check(About.AMATEUR, model, held.check)

    def check_template() -> None:
        from lrbench.models.prompt import check_prompts

        check_prompts(model.name, held.tokenizer, [system_prompt])

    yield Check(About.TEMPLATE, (model, system_prompt), check_template)


def check_of_tokens(writer: Reader, workspace: Workspace, what: str, instead: str) -> Check:
    """Whether a model has the expert's tokens; `what` it cannot do otherwise, and what to do `instead`."""

    def check() -> None:
        if not has_expert_s_tokens(writer, workspace):
            raise ModelError(
                f"{writer.model.name} has other tokens than {workspace.expert.source.name}, so it cannot "
                f"{what}; {instead}"
            )

    return Check(About.TOKENS, (writer.model, what), check)


def title(writer: Reader, names: Mapping[str, str]) -> str:
    """What messages call a writer; the name of the arm whose adapter it has stands for its title."""
    called = model_name(writer.model.name)
    if writer.adapter is None:
        return called
    return f"{called} with {names.get(writer.adapter.arm, writer.adapter.arm)}"
