"""What libraries log and warn, made harmless: they repeat addresses, names and answers as they are."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from typing import Any

from lrbench.results.text import shown


def guard_logs() -> None:
    """Have every line that is logged from now on, every warning and traceback, go through `shown`.

    What a later version of a library will do otherwise is left out, unless warnings are asked for
    (`python -W`, PYTHONWARNINGS): nobody who runs a recipe can do anything about it.
    """
    logging.setLogRecordFactory(_Record)
    warnings.formatwarning = _formatted
    if not sys.warnoptions:
        warnings.simplefilter("ignore", FutureWarning)


class _Record(logging.LogRecord):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if self.exc_info and self.exc_info[0] is not None:
            # Formatters take the text that is there.
            self.exc_text = shown("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"))

    def getMessage(self) -> str:  # noqa: N802 - the name is that of the standard library
        return shown(super().getMessage())


_format = warnings.formatwarning


def _formatted(*given: Any, **named: Any) -> str:
    return shown(_format(*given, **named))
