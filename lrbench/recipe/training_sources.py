"""Where training problems come from, as a recipe writes it: one name, or a list of sources with weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from lrbench.data.sets import TRAINING_SETS
from lrbench.data.tables import ENDINGS
from lrbench.methods.families import CLASS_MARK
from lrbench.methods.section import Section
from lrbench.recipe.messages import Path as FieldPath
from lrbench.recipe.nodes import Fields, Items, find
from lrbench.recipe.references import EMBEDDED, HUB, HUB_ID

Words = Annotated[str, Field(min_length=1)]
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
# A name with any other ending is a file of JSON lines, as all were before there were other kinds.
OTHER_ENDINGS = tuple(ending for ending in ENDINGS if not ending.startswith(".jsonl"))
LARGEST_WEIGHT = 10**6
TRAIN_SPLIT = "train"


class ProblemNames(Section):
    """What the fields of a training problem are called; only the `problem` has to be there.

    What is null is `answer`, `solution` and `id` where rows have them; a row without an id is called by its
    number.
    """

    problem: Words = "problem"
    answer: Words | None = None
    solution: Words | None = None
    id: Words | None = None


class TrainingSource(Section):
    """One of several sources of training problems: a `file`, a set that lrbench has (`data`), or one of the
    hub (`hub`: `OWNER/NAME`, or `OWNER/NAME@REVISION`), of which a `split` (null: `train`) of a `config`
    (null: the only one) is read.

    Problems are drawn in proportion to `weight`. `fields` says what the fields of rows are called.
    """

    file: Words | None = None
    data: Words | None = None
    hub: Words | None = None
    split: Words | None = None
    config: Words | None = None
    weight: Annotated[float, Field(gt=0, le=LARGEST_WEIGHT)] = 1.0
    fields: ProblemNames = ProblemNames()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("file", "data", "hub") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "needs one of `file`, `data` and `hub`"
                if not given
                else "takes one of `file`, `data` and `hub`"
            )
        if self.hub is None and (self.split, self.config) != (None, None):
            raise ValueError("`split` and `config` are of data sets of the hub; this is none")
        if self.data is not None and self.fields != ProblemNames():
            raise ValueError("a set that lrbench has needs no `fields`")
        if self.hub is not None:
            wrong = wrong_hub_name(self.hub)
            if wrong is not None:
                raise ValueError(wrong)
        return self

    @property
    def name(self) -> str:
        """What messages call the source."""
        if self.hub is None:
            return self.file or self.data or ""
        part = "/".join(filter(None, (self.config, self.split or TRAIN_SPLIT)))
        return f"{HUB}{self.hub} ({part})"

    @property
    def share(self) -> Fraction:
        """The weight, as exactly as it is written."""
        return Fraction(repr(self.weight))

    @property
    def content(self) -> tuple[object, ...]:
        """What tells it from a source that reads other problems."""
        return self.file, self.data, self.hub, self.split, self.config, self.fields


def wrong_hub_name(name: str) -> str | None:
    """What is wrong with `OWNER/NAME[@REVISION]`, if anything."""
    repository, at, revision = name.partition("@")
    if "/" not in repository or HUB_ID.fullmatch(repository) is None:
        return f"`{name[:80]}` is no data set of the hub; allowed is OWNER/NAME or OWNER/NAME@REVISION"
    if at and REVISION.fullmatch(revision) is None:
        return f"`{revision[:80]}` is no revision; allowed is a commit, a tag or a branch"
    return None


def as_source(written: str) -> TrainingSource:
    """A source that is written as its name alone."""
    if written in TRAINING_SETS or written.startswith(EMBEDDED):
        return TrainingSource(data=written)
    if written.startswith(HUB):
        return TrainingSource(hub=written.removeprefix(HUB))
    return TrainingSource(file=written)


def is_plain_file(written: str | TrainingSource) -> bool:
    """Whether a source is a JSONL file written as its name alone, which has fields of set names."""
    return (
        isinstance(written, str)
        and as_source(written).file is not None
        and not written.lower().endswith(OTHER_ENDINGS)
    )


def training_places(recipe: Fields, place: FieldPath) -> Iterator[FieldPath]:
    """Every place within `data.train`, which is written at `place`, that may name a file or a set."""
    train = find(recipe, place)
    for number, item in enumerate(train.items if isinstance(train, Items) else ()):
        if isinstance(item, Fields):
            yield (*place, number, "file")
            yield (*place, number, "data")
        else:
            yield (*place, number)


def without_folders(train: str | tuple[str | TrainingSource, ...]) -> str | tuple[str | TrainingSource, ...]:
    """Training data without where their files are on one machine."""

    def named(text: str) -> str:
        return text if as_source(text).file is None else Path(text).name

    def without(each: str | TrainingSource) -> str | TrainingSource:
        if isinstance(each, str):
            return named(each)
        return each if each.file is None else each.model_copy(update={"file": named(each.file)})

    return named(train) if isinstance(train, str) else tuple(map(without, train))


def train_label(train: str | Sequence[str | TrainingSource]) -> str:
    """What people and messages call the training data."""
    if isinstance(train, str):
        return train
    sources = [as_source(each) if isinstance(each, str) else each for each in train]
    weighted = any(source.weight != sources[0].weight for source in sources)
    return ", ".join(f"{each.name} (weight {each.weight:g})" if weighted else each.name for each in sources)


_NAME = f"{CLASS_MARK}name"
_LIST = f"{CLASS_MARK}list"
_MAPPING = f"{CLASS_MARK}mapping"
NAMES = "`embedded/FAMILY`, `gsm8k/train`, `math/train`, `hub:OWNER/NAME` or a file"


class _SourceForms:
    """How one of several sources is written: its name, or a mapping."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        forms = {_NAME: _name(), _MAPPING: handler.generate_schema(TrainingSource)}
        return core_schema.tagged_union_schema(forms, discriminator=_form)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler.resolve_ref_schema(handler(TrainingSource.__pydantic_core_schema__))
        fields = ", ".join(found["properties"])
        return {
            "type": "object",
            "properties": found["properties"],
            "whole": True,
            "allowed": f"{NAMES}, or a mapping with the fields {fields}",
        }


AnySource = Annotated[str | TrainingSource, _SourceForms()]


class _TrainForms:
    """How a recipe writes all of its training data: one name, or a list of sources."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        several = handler.generate_schema(Annotated[tuple[AnySource, ...], Field(min_length=1, strict=False)])
        return core_schema.tagged_union_schema({_NAME: _name(), _LIST: several}, discriminator=_form)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        several = handler(schema["choices"][_LIST])
        return {
            "type": "string",
            "minLength": 1,
            "items": several["items"],
            "whole": True,
            "allowed": f"{NAMES}, or a list of sources",
        }


def _name() -> core_schema.CoreSchema:
    return core_schema.no_info_after_validator_function(_checked_name, core_schema.str_schema(min_length=1))


def _checked_name(written: str) -> str:
    wrong = wrong_hub_name(written.removeprefix(HUB)) if written.startswith(HUB) else None
    if wrong is not None:
        raise ValueError(wrong)
    return written


def _form(value: object) -> str | None:
    if isinstance(value, str):
        return _NAME
    if isinstance(value, Mapping | TrainingSource):
        return _MAPPING
    return _LIST if isinstance(value, list | tuple) else None


AnyTraining = Annotated[str | tuple[AnySource, ...], _TrainForms()]
