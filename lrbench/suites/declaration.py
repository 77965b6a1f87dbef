"""What a suite's `suite.yaml` says, and a recipe that has a suite of its own."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from lrbench.methods.families import CLASS_MARK
from lrbench.methods.section import Section
from lrbench.suites.data_names import EXAMPLE_SETS, item_sets
from lrbench.suites.graders import AnyGrader
from lrbench.suites.shipped import SHIPPED

PROBLEM = "{problem}"
OWN = "own"
MOST_EXAMPLES = 1000
# Not more than any prompt has room for; a file of such texts is something else.
LONGEST_TEXT = 100_000
LARGEST_COUNT = 10**15

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Words = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
# Once is no repetition.
Times = Annotated[int, Field(ge=2, le=1000)]


class FieldNames(Section):
    """What the fields of a file's rows are called. `id` and `group` may be missing in them.

    `problem` is what is asked and `answer` the gold answer. `id` tells items apart (null: `id` where there
    is one, else the row's number). `group` says which items belong together, such as variations of one
    problem. `choices` is a list of a question's options: they are shown as lettered choices behind the
    problem, and the answer is then a letter, an option's text, or a number that counts options from 0.
    """

    problem: Words = "problem"
    answer: Words = "answer"
    id: Words | None = None
    group: Words | None = None
    choices: Words | None = None


class ExampleNames(Section):
    """What the fields of worked examples are called; the `answer` is what is shown behind the problem."""

    problem: Words = "problem"
    answer: Words = "answer"


class ExamplesDeclaration(Section):
    """The first `count` worked examples of a `file`, or of a set that lrbench knows (`data`)."""

    file: Words | None = None
    data: Words | None = None
    count: Annotated[int, Field(ge=1, le=MOST_EXAMPLES)]
    fields: ExampleNames = ExampleNames()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _check_source(self.file, self.data, EXAMPLE_SETS)
        return self


class BenchmarkDeclaration(Section):
    """One benchmark: its items, and the `grader` of its answers.

    Items are those of a `file` (JSON lines, a JSON array, CSV or Parquet, with rows of these `fields`) or of
    a set that lrbench knows (`data`). What is left out of `prompt`, `system_prompt`, `examples`,
    `max_new_tokens`, `stop` and `stop_repeats` is the suite's. `task` is what protocols call the benchmark
    (null: its name).
    """

    file: Words | None = None
    data: Words | None = None
    grader: AnyGrader
    fields: FieldNames = FieldNames()
    prompt: Words | None = None
    system_prompt: Words | None = None
    examples: ExamplesDeclaration | None = None
    max_new_tokens: Count | None = None
    stop: Annotated[tuple[Words, ...], Field(strict=False)] | None = None
    stop_repeats: Times | None = None
    task: Name | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _check_source(self.file, self.data, item_sets())
        _check_prompt(self.prompt)
        return self


class SuiteDeclaration(Section):
    """Benchmarks that are measured together; what stands beside them is said of all.

    `name` is what boards and the ledger call the suite. `prompt` is the text of a user's turn, in which
    `{problem}` stands for the problem (null: the problem alone), `examples` come before it in the same
    turn, and `system_prompt` stands before all. An answer has at most `max_new_tokens` (null: 512), and ends
    before any text of `stop`. It is cut where it has written the same tokens `stop_repeats` times in a row
    (null: never; `lrbench.sampling.engines.repetition`).
    """

    name: Name = OWN
    benchmarks: Annotated[dict[Name, BenchmarkDeclaration], Field(min_length=1)]
    prompt: Words | None = None
    system_prompt: Words | None = None
    examples: ExamplesDeclaration | None = None
    max_new_tokens: Count | None = None
    stop: Annotated[tuple[Words, ...], Field(strict=False)] = ()
    stop_repeats: Times | None = None
    task_version: Count = 1

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @model_validator(mode="after")
    def _usable_prompt(self) -> Self:
        _check_prompt(self.prompt)
        return self


class TasksDeclaration(Section):
    """Tasks of lm-eval by their names: its own, or those of task files in the folder `include_path`.

    A name may be that of a group or a tag, which stands for all of its tasks. `num_fewshot` is as
    `lm_eval --num_fewshot` has it (null: the task's own), and so are `chat_template` and `system_prompt`.
    `allow_code` says that Python code in a folder of one's own may be run, and programs that a model writes,
    those in a sandbox.
    """

    tasks: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    num_fewshot: Annotated[int, Field(ge=0, le=MOST_EXAMPLES)] | None = None
    include_path: Words | None = None
    chat_template: bool = False
    system_prompt: Words | None = None
    allow_code: bool = False


def _check_source(file: str | None, data: str | None, known: tuple[str, ...]) -> None:
    if (file is None) == (data is None):
        raise ValueError(
            "needs one of `file` and `data`" if file is None else "takes one of `file` and `data`"
        )
    if data is not None and data not in known:
        meant = get_close_matches(data, known, n=1)
        hint = f"; did you mean `{meant[0]}`?" if meant else ""
        raise ValueError(f"there is no set `{data[:60]}`, known are {', '.join(known)}{hint}")


def _check_prompt(prompt: str | None) -> None:
    if prompt is not None and PROBLEM not in prompt:
        raise ValueError(f"the prompt has no `{PROBLEM}`, in whose place the problem is put")


_NAMED = f"{CLASS_MARK}name"
_DECLARED = f"{CLASS_MARK}mapping"


class _Forms:
    """How a recipe writes a suite, as an annotation of its field: a name, or all that `suite.yaml` says.

    A folder is read while the recipe is loaded, and stands in the recipe as what its `suite.yaml` says.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.tagged_union_schema(
            {
                _NAMED: core_schema.str_schema(min_length=1),
                _DECLARED: handler.generate_schema(SuiteDeclaration),
            },
            discriminator=_form,
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler.resolve_ref_schema(handler(SuiteDeclaration.__pydantic_core_schema__))
        fields = ", ".join(found["properties"])
        known = ", ".join(f"`{name}`" for name in SHIPPED)
        return {
            "type": "object",
            "properties": found["properties"],
            "whole": True,
            "allowed": f"{known}, the folder of a suite, or a mapping with the fields {fields}",
        }


class _Whole:
    """Says of a recipe's field that it is swept as a whole, and what its fields are."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler.resolve_ref_schema(handler(schema))
        fields = ", ".join(found["properties"])
        return {
            "type": "object",
            "properties": found["properties"],
            "whole": True,
            "allowed": f"a mapping with the fields {fields}",
        }


def _form(value: object) -> str | None:
    if isinstance(value, str):
        return _NAMED
    return _DECLARED if isinstance(value, Mapping | SuiteDeclaration) else None


AnySuite = Annotated[str | SuiteDeclaration, _Forms()]
NamedTasks = Annotated[TasksDeclaration, _Whole()]
