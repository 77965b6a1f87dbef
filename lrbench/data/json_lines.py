"""Reading JSONL files, plain or gzipped, one line at a time; a mistake is told with its place."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrbench.errors import DataError


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The number (from 1) and the value of every line of `path` that is not blank.

    A name that ends in `.gz` is decompressed on the way. Raises `DataError` for a file that cannot be
    read, and for a line that is not UTF-8 text or not JSON.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            start = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _value(path, number, start, line)
                start += len(line)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: is not a whole gzip file ({error}); get it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _value(path: Path, number: int, start: int, line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is not UTF-8 text (byte {start + error.start}); save it as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{number}:{error.colno}: is not valid JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, and nesting of thousands of levels.
        raise DataError(f"{path}:{number}: is JSON that cannot be read here ({error})") from error
