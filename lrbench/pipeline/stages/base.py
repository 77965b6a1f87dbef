"""What a stage is: a name, an identity, inputs, the work that makes its artifact, and what it says of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

from lrbench.models.source import LocatedModel
from lrbench.models.turn_marks import check_loaded
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.tasks import FirstLayers, Known, Task
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.store.keys import stage_key
from lrbench.store.parts import Helping

# The name under which a stage reads the artifact of one of its `earlier_keys`.
EARLIER = "earlier"


class Stage(ABC):
    """One unit of pipeline work. Two stages with equal keys are the same work.

    `version` rises whenever the same identity would give another output, and `changes` says why it did, in
    words that end a sentence beginning "made again, since". In the same words `own_fields` says why a field
    of the identity may have changed that lrbench decides and no recipe does, and `new_fields` why one counts
    that was not there at first.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    changes: ClassVar[Mapping[int, str]] = {}
    own_fields: ClassVar[Mapping[str, str]] = {}
    new_fields: ClassVar[Mapping[str, str]] = {}

    # What it is

    @property
    @abstractmethod
    def label(self) -> str:
        """What the stage makes, for people."""

    def label_under(self, names: Mapping[str, str]) -> str:
        """As `label`, with the arm called by what `names` has under its title: the same for alike stages."""
        return self.label

    def label_of_all(self, alike: Sequence[Stage], names: Mapping[str, str]) -> str:
        """What they make together, where a line of a plan stands for all stages `alike`, this one among them.

        `names` are those of `label_under`.
        """
        return self.label_under(names)

    def line_under(self, names: Mapping[str, str]) -> str:
        """The same for stages that a line of a plan stands for."""
        return self.label_under(names)

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Every fact, besides the inputs, that can change the output; JSON values."""

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The stages whose artifacts this one reads, by the name it reads them under."""
        return {}

    @property
    def behind(self) -> Mapping[str, Stage]:
        """Stages behind the inputs whose artifacts this one reads too, by name; the inputs decide which."""
        return {}

    @cached_property
    def key(self) -> str:
        """The address of the artifact in the store."""
        return stage_key(
            self.name, self.version, self.identity, {name: stage.key for name, stage in self.inputs.items()}
        )

    @property
    def earlier_keys(self) -> tuple[str, ...]:
        """Keys of artifacts that this one can be made from with less work; `work` gets one as `EARLIER`."""
        return ()

    def follows(self, other: Stage) -> bool:
        """Whether what answers `other` answers this one too, so that its prompts can be in the same queue."""
        return False

    @property
    def engine_choice(self) -> EngineChoice | None:
        """The engine the stage writes with, where it does."""
        return None

    @property
    def prompts(self) -> tuple[tuple[LocatedModel, str | None], ...]:
        """Every model that is asked something, with the system prompt that it is asked under."""
        return ()

    @property
    def learnt_under(self) -> tuple[str | None, ...]:
        """The system prompts of what it writes to be learnt from, where it does."""
        return ()

    @property
    def measured_under(self) -> tuple[str | None, ...]:
        """The system prompts that its suite has answers measured under, where it measures any."""
        return ()

    @property
    def model_made(self) -> FirstLayers | None:
        """The model that the stage makes, where it makes one."""
        return None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for people about what the stage would make, where there is something to know."""
        return ()

    # What would stop it

    def check_files(self) -> None:  # noqa: B027 - most stages can be made with any model
        """Raise `FieldError` where files of models already show that the stage cannot be made.

        Reads configs and no weights. What is not here is not fetched, and nothing is said of it.
        """

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Everything that can be found out before any work, beside what other stages find out for all."""
        yield Check(About.DEVICE, None, lambda: workspace.machine.device)
        yield Check(About.EXPERT, None, workspace.expert.check)
        if self.engine_choice is not None:
            yield Check(
                About.ENGINE, self.engine_choice, partial(workspace.engines.check, self.engine_choice)
            )
        if not self.prompts:
            return
        expert = workspace.expert
        yield Check(About.TOKENIZER, None, lambda: check_loaded(expert.source, expert.tokenizer))

        def check_template(system_prompt: str | None) -> None:
            from lrbench.models.prompt import check_prompts

            check_prompts(expert.source.name, expert.tokenizer, [system_prompt])

        for system_prompt in dict.fromkeys([None, *(prompt for _, prompt in self.prompts)]):
            yield Check(About.TEMPLATE, system_prompt, partial(check_template, system_prompt))

    def check(self, artifacts: Mapping[str, Artifact]) -> None:  # noqa: B027 - most stages can always try
        """Raise `RunError` where what is made already shows that the stage cannot be; loads no model.

        `artifacts` holds, by their keys, those of all stages behind this one.
        """

    # What it costs

    @property
    @abstractmethod
    def size(self) -> int:
        """How many units of work the stage has, for the progress bar."""

    @property
    def most_tokens(self) -> int:
        """Upper bound of the tokens that models write, for `plan`."""
        return 0

    def task(self, known: Known) -> Task | None:
        """What models will have to do; None for a stage that needs none."""
        return None

    def tokens(self, known: Known) -> tuple[int | None, bool]:
        """New tokens of a stage that writes, tuned ones of one that trains; and whether exactly so many.

        None where nothing bounds them yet.
        """
        found = known.statistics(self)
        if found is None or self.engine_choice is None:
            return self.most_tokens, self.most_tokens == 0
        return self.written(found), True

    def completions(self, statistics: Mapping[str, Any]) -> int:
        """How many completions the artifact with these statistics counts."""
        return 0

    def problems_asked(self, statistics: Mapping[str, Any]) -> int:
        """Of how many problems these completions are."""
        return self.size

    def problems_drawn(self, statistics: Mapping[str, Any]) -> int | None:
        """How often a problem was drawn, where each can be drawn again; None where each is asked once."""
        return None

    def written(self, statistics: Mapping[str, Any]) -> int:
        """The tokens of these completions, those that were sampled and not kept included."""
        return 0

    # How it is made

    @abstractmethod
    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit every file of the artifact to `draft` and return its statistics (JSON values).

        Files committed by an earlier, interrupted attempt are in the draft already.
        """

    @property
    def parts(self) -> int:
        """In how many parts several processes may make it at once."""
        return 1

    def take_part(self, helping: Helping) -> bool:
        """Take a part to `help` the process with that is at work on it; False where none is left."""
        return False

    def help(  # noqa: B027 - of most stages nothing can be taken
        self, helping: Helping, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> None:
        """Make what was taken, and more as long as there is some, and hand it over."""

    @property
    def keep(self) -> tuple[str, ...] | None:
        """The files of the finished artifact; None keeps every committed file."""
        return None
