"""Every way lrbench stops on purpose.

The command line prints the message of an `LrbenchError` and exits with its `exit_code`; any other
exception is a bug of ours. A message says what was found, where, and what to do about it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class LrbenchError(Exception):
    """Base of all errors below; never raised itself."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # Otherwise another process would call the class with the message, whatever its parameters are.
        return _again, (type(self), self.args), vars(self)


class UserError(LrbenchError):
    """Something the user gave cannot be used. The run has not begun; mend the input and repeat."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe file does not say a valid experiment. Every problem of the file is in the message."""


class FieldError(UserError):
    """A field of a valid recipe asks for what is not here: a device, or layers that the expert has not.

    `path` is the field's and `found` its value; set it to what there is, or run the recipe elsewhere.
    """

    def __init__(self, path: tuple[str | int, ...], found: object, reason: str) -> None:
        super().__init__(f"{'.'.join(map(str, path))}: {reason}")
        self.path = path
        self.found = found
        self.reason = reason


class ModelError(UserError):
    """A model cannot be found, read or trusted. Check its name, folder or revision."""


class VocabularyMismatchError(ModelError):
    """Expert and amateur do not share a vocabulary. Choose an amateur of the expert's family."""


class DataError(UserError):
    """A problem set is missing or malformed. The message names the file and line."""


class TooFewProblemsError(FieldError, DataError):
    """A recipe asks for more problems than its set has. The message says how many there are."""


class ProgramsError(FieldError, DataError):
    """A task runs programs that a model writes. Allow that, or measure where there is a sandbox for them."""


class RunError(LrbenchError):
    """A run that had begun cannot go on. Finished stages stay; running again continues from them."""


class ServerGoneError(RunError):
    """A server of completions cannot be reached any more. Start it again; finished shards stay."""


class NonFiniteLossError(RunError):
    """The training loss became NaN or infinite. The message names the batch that caused it."""


class NothingKeptError(RunError):
    """An arm has nothing to learn from. The message says what was seen and which settings would keep some."""


class PromptsChangedError(RunError):
    """A library builds prompts otherwise than it did for earlier stages. Go back to it, or start over."""


class IncompleteRunError(RunError):
    """All that could be done is done, and some could not. The message lists it; mend that and run again."""


class StoreError(RunError):
    """The artifact store cannot be written or read, for example because the disk is full."""


class DiskFullError(StoreError):
    """The disk or quota is full at `path`. Free some space and run again; committed files stay."""

    def __init__(self, path: Path, space: str) -> None:
        super().__init__(
            f"cannot write {path}: the disk or quota is full ({space}). "
            "Free some space and run again; committed files stay and are not made again."
        )
        self.path = path


class LedgerError(RunError):
    """The ledger cannot be written. No result is lost: the evaluation artifact keeps it."""


class InterruptedRunError(LrbenchError):
    """The user pressed Ctrl-C. Finished shards stay; running again continues from them."""

    exit_code = 130


class OutputError(LrbenchError):
    """What a command prints cannot be written, for example because the disk is full. Print it elsewhere."""


class OutputClosedError(OutputError):
    """The reader of the output, such as `head`, has seen enough."""


def _again(kind: type[LrbenchError], args: tuple[Any, ...]) -> LrbenchError:
    return kind.__new__(kind, *args)


def first_line(error: BaseException) -> str:
    """The first line of what a library's error says, or its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
