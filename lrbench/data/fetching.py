"""Fetching a data set from its source repository, at the pinned commit, in our schema."""

from __future__ import annotations

import ast
import re
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import IO, Any

from lrbench.data.rules import Raw, Row, converted
from lrbench.data.sets import DataSet, ExampleSet, Source
from lrbench.errors import DataError
from lrbench.store.strict_json import strict_json

SECONDS_TO_ANSWER = 30
PROBLEM_FILE = re.compile(r"(?P<subject>[^/]+)/(?P<number>\d+)\.json")


def fetch_rows(data_set: DataSet) -> list[Row]:
    """Every row of `data_set`, in order.

    Raises `DataError` when the source cannot be reached or gives something else.
    """
    folder = data_set.source.path.endswith("/")
    try:
        with download(data_set.source.url) as response:
            raw_rows = list(_folder_rows(response, data_set.source) if folder else _line_rows(response))
        return [
            converted(raw, data_set.benchmark, f"{data_set.benchmark}-{data_set.split}-{number}")
            for number, raw in enumerate(raw_rows)
        ]
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise DataError(f"{data_set.source.url}: cannot be fetched ({error})") from error
    except (ValueError, KeyError, TypeError, IndexError, tarfile.TarError) as error:
        raise DataError(
            f"{data_set.source.url}: is not the {data_set.name} that was expected ({error!r})"
        ) from error


def fetch_examples(examples: ExampleSet) -> list[tuple[str, str]]:
    """The (question, answer) pairs that the source, a Python file, assigns to its benchmark's name.

    The file is read, never run. Raises `DataError` like `fetch_rows`.
    """
    try:
        with download(examples.source.url) as response:
            tree = ast.parse(response.read())
        return next(
            [(str(question), str(answer)) for question, answer in ast.literal_eval(node.value)]
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Subscript)
            and isinstance(node.targets[0].slice, ast.Constant)
            and node.targets[0].slice.value == examples.benchmark
        )
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise DataError(f"{examples.source.url}: cannot be fetched ({error})") from error
    except (ValueError, SyntaxError, TypeError, StopIteration) as error:
        raise DataError(
            f"{examples.source.url}: is not the {examples.name} that was expected ({error!r})"
        ) from error


def download(url: str) -> IO[bytes]:
    """The body of `url` as a stream; the caller closes it."""
    response: IO[bytes] = urllib.request.urlopen(url, timeout=SECONDS_TO_ANSWER)
    return response


def check_reachable(source: Source) -> None:
    """Raise `DataError` unless `source` answers; nothing is downloaded."""
    request = urllib.request.Request(source.url, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER).close()
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise DataError(f"{source.url}: cannot be reached ({error})") from error


def _line_rows(response: IO[bytes]) -> Iterator[Raw]:
    for line in response:
        if line.strip():
            yield strict_json(line.decode("utf-8"))


def _folder_rows(response: IO[bytes], source: Source) -> Iterator[Raw]:
    """The JSON files of a folder within a repository's archive, by subject and file number."""
    found: dict[tuple[str, int], Any] = {}
    with tarfile.open(fileobj=response, mode="r|gz") as archive:
        for member in archive:
            # The archive has one folder around everything, named after repository and commit.
            path = member.name.partition("/")[2]
            file = PROBLEM_FILE.fullmatch(path.removeprefix(source.path))
            if path.startswith(source.path) and file and (opened := archive.extractfile(member)):
                found[file["subject"], int(file["number"])] = strict_json(opened.read().decode("utf-8"))
    for place in sorted(found):
        yield found[place]
