"""What answers at evaluation, and what it reads: the arm's own model, others, and other arms' adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lrbench.methods.answers import OWN, Answer
from lrbench.methods.cache_shift import CacheShift
from lrbench.methods.component import EXPERT
from lrbench.methods.fidelity import CORRECTED, Fidelity
from lrbench.methods.plugins import identity_of
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact

if TYPE_CHECKING:
    from lrbench.evaluation.language_model import Write
    from lrbench.evaluation.traces import LogProbabilities
    from lrbench.pipeline.stages.editing import EditedModel
    from lrbench.pipeline.stages.routers import TrainedRouter
    from lrbench.sampling.engines.answered import Answered
    from lrbench.sampling.engines.base import Decoding, Engine, Request
    from lrbench.sampling.engines.learnt_routing import Watched


# The name under which an evaluation reads the arm's own model where it is the expert with other weights.
EDITED = "edited model"
# And that under which it reads what a route has learnt.
ROUTER = "router"
# A prompt that will be asked, how many tokens it may be completed with, and the seed of that.
Upcoming = tuple[Sequence[int], int, int]


@dataclass(frozen=True)
class Reader:
    """A model that an answer reads: a located one, with an arm's `adapter`, or one that a stage makes."""

    name: str
    model: LocatedModel
    adapter: TrainedAdapter | None = None
    made_by: DerivedAmateur | None = None

    @property
    def inputs(self) -> Mapping[str, TrainedAdapter | DerivedAmateur]:
        """The stages it comes from, by the names under which an evaluation reads them."""
        stages = {f"adapter of {self.name}": self.adapter, f"model {self.name}": self.made_by}
        return {name: stage for name, stage in stages.items() if stage is not None}


@dataclass(frozen=True)
class Answering:
    """What answers: `write` completes prompts, and `likely` says how likely completions are to the model.

    `likely` gives the log-probability, nats, of every token, as `Engine.log_probabilities_of` does.
    """

    write: Write
    likely: LogProbabilities


@dataclass(frozen=True)
class AnsweredBy:
    """An `answer` and its `readers`: every model that it reads besides the arm's own, by name.

    `fidelity` may have the arm's own adapter merged into weights of bfloat16, and `edited` is the arm's own
    model where it is the expert with other weights. `router` is what a route has learnt.
    """

    answer: Answer
    readers: tuple[Reader, ...] = ()
    fidelity: Fidelity = CORRECTED
    edited: EditedModel | None = None
    router: TrainedRouter | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """The answer's own, and which weights it reads; nothing for the arm's own model alone."""
        models = {reader.name: model_identity(reader.model) for reader in self.readers}
        read = {"models": models} if models else {}
        changed = {} if self.edited is None else self.edited.edit.identity
        return {**identity_of(self.answer), **read, **self.fidelity.identity, **changed}

    @property
    def inputs(self) -> Mapping[str, TrainedAdapter | DerivedAmateur | EditedModel | TrainedRouter]:
        """The stages that its readers come from, the arm's own model where one makes it, and the router."""
        own = {name: stage for name, stage in {EDITED: self.edited, ROUTER: self.router}.items() if stage}
        return own | {name: stage for reader in self.readers for name, stage in reader.inputs.items()}

    def beside(self, is_trained: bool) -> tuple[LocatedModel, ...]:
        """The models of its readers that are others than the arm's own, which may be trained."""
        is_own = not is_trained and self.edited is None
        return tuple(reader.model for reader in self.readers if not (is_own and reader.name == EXPERT))

    def check(self, workspace: Workspace) -> None:
        """Find out before any work whether all models have the arm's own tokens, id by id.

        Raises `VocabularyMismatchError` where one has not, and `ModelError` where the answer speaks of a
        text as a token that is none.
        """
        from lrbench.models.prompt import single_token

        own = workspace.expert
        for text in self.answer.single_tokens:
            single_token(own.tokenizer, text, own.source.name)
        for reader in self.readers:
            if reader.model.here and reader.model != own.source:
                prove_same_tokens(workspace, reader.model)

    @contextmanager
    def open(
        self,
        workspace: Workspace,
        choice: EngineChoice,
        inputs: Mapping[str, Artifact],
        read: Callable[[str], str | None],
        decoding: Decoding | None = None,
        upcoming: Iterable[Upcoming] = (),
        stop_repeats: int | None = None,
    ) -> Iterator[Answering]:
        """What answers; `read` says what answer a text gives, for those that are put to a vote.

        They are greedy, or sampled as `decoding` says, and cut where they repeat themselves `stop_repeats`
        times. `upcoming` is what will be asked, in about this order.
        """
        from lrbench.models.prompt import render_answer
        from lrbench.sampling.engines.base import GREEDY
        from lrbench.sampling.engines.given import GivenEngine
        from lrbench.sampling.engines.narrowed import NarrowedEngine
        from lrbench.sampling.engines.queue import QueuedEngine
        from lrbench.sampling.engines.voting import how_asked, write_answers

        tokenizer = workspace.expert.tokenizer
        with ExitStack() as stack:
            stops = frozenset(workspace.expert.token_rules.stop_ids)

            def reads(completion: tuple[int, ...]) -> str | None:
                return read(tokenizer.decode([token for token in completion if token not in stops]))

            engine = stack.enter_context(self._engine(workspace, choice, inputs, stop_repeats, reads))
            given = render_answer(tokenizer, self.answer.given) if self.answer.given else []
            if workspace.engines.in_a_queue(choice) and not self.answer.repeats:
                requests = self._requests(engine, upcoming, given)
                queue = QueuedEngine(engine, how_asked(self.answer, decoding or GREEDY), requests)
                engine = stack.enter_context(closing(queue))
            writing = GivenEngine(engine, given) if given else engine
            if self.answer.repeats:
                writing = NarrowedEngine(writing, self.answer.rows_at_once)

            def answers(
                prompts: Sequence[Sequence[int]], max_new_tokens: int, seeds: Sequence[int] = ()
            ) -> list[Answered]:
                chosen = decoding or GREEDY
                return write_answers(writing, self.answer, prompts, max_new_tokens, reads, chosen, seeds)

            yield Answering(answers, writing.log_probabilities_of)

    def _requests(
        self, engine: Engine, upcoming: Iterable[Upcoming], given: Sequence[int]
    ) -> Iterator[Request]:
        """What the engine will be asked for the answers to `upcoming` prompts."""
        from lrbench.sampling.engines.given import after
        from lrbench.sampling.engines.voting import seeds_asked

        for prompt, max_new_tokens, seed in upcoming:
            for own in seeds_asked(self.answer, prompt, seed):
                request = engine.request(prompt, max_new_tokens, own)
                if request is not None and given:
                    request = after(request, given)
                if request is not None:
                    yield request

    @contextmanager
    def _engine(
        self,
        workspace: Workspace,
        choice: EngineChoice,
        inputs: Mapping[str, Artifact],
        stop_repeats: int | None,
        reads: Callable[[tuple[int, ...]], str | None],
    ) -> Iterator[Engine]:
        changed = inputs.get("adapter") or inputs.get(EDITED)
        own = None if changed is None else changed.directory
        if not self.answer.here:
            merged = self.fidelity.merged_in_bfloat16
            with workspace.engines.open(choice, own, merged=merged, stop_repeats=stop_repeats) as engine:
                yield engine
            return
        from lrbench.models.prompt import closing_tokens, render_answer, render_prompt, single_token
        from lrbench.sampling.engines.lockstep import LockstepEngine
        from lrbench.sampling.engines.relays import Speech

        workspace.hold_beside([(reader.model, _folder(reader, inputs)) for reader in self.readers])
        with workspace.expert.with_adapter(own, self.fidelity.merged_in_bfloat16) as model:
            models = {OWN: model}
            for reader in self.readers:
                if reader.name == EXPERT and own is None:
                    models[EXPERT] = model
                else:
                    models[reader.name] = workspace.weights_beside(reader.model, _folder(reader, inputs))
            rules, size = workspace.expert.token_rules, workspace.runtime.batch_size
            rules = replace(rules, stop_repeats=stop_repeats)
            tokenizer, padding = workspace.expert.tokenizer, workspace.engines.padding
            token_of = partial(single_token, tokenizer, name=workspace.expert.source.name)
            speech = None
            if self.answer.in_turns or isinstance(self.answer, CacheShift):
                encode, closing = partial(render_answer, tokenizer), tuple(closing_tokens(tokenizer))
                ask = partial(render_prompt, tokenizer, system_prompt=None)
                speech = Speech(encode, tokenizer.decode, reads, closing, ask)
            with self._watching(model, workspace, inputs) as router:
                yield LockstepEngine(models, self.answer, rules, size, padding, token_of, speech, router)

    @contextmanager
    def _watching(
        self, own: Any, workspace: Workspace, inputs: Mapping[str, Artifact]
    ) -> Iterator[Watched | None]:
        """What the route has learnt beside the arm's own model, where it has learnt anything."""
        if self.router is None:
            yield None
            return
        from lrbench.sampling.engines.learnt_routing import watching
        from lrbench.sampling.routers import read_router

        router = read_router(inputs[ROUTER].file(self.router.keep[0]), workspace.machine.device)
        with watching(router.network, router.bound(self.router.router), own) as watched:
            yield watched


def prove_same_tokens(workspace: Workspace, model: LocatedModel) -> None:
    """Raise `VocabularyMismatchError` where a model has not the expert's tokens, id by id."""
    from lrbench.models.vocabulary import prove_shared_vocabulary

    own, other = workspace.expert, workspace.beside(model)
    prove_shared_vocabulary(own.tokenizer.get_vocab(), own.rows, other.tokenizer.get_vocab(), other.rows)


def _folder(reader: Reader, inputs: Mapping[str, Artifact]) -> Any:
    """Where the adapter is that a reader has on, or the model that a stage has made; None for neither."""
    return next((inputs[name].directory for name in reader.inputs), None)
