"""Components that installed packages offer, under the entry-point group `lrbench.methods`.

A package's metadata say `every_second = "its_module:EverySecond"` there: the word that recipes write, and the
class that it means. Only what is installed is ever looked for; it is imported when a recipe's file is
checked, or a value is none of our own. What is wrong with an offer stops only those who ask for it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from lrbench.methods.component import Component
from lrbench.methods.section import Section

GROUP = "lrbench.methods"
# Under this name an identity, and an arm's settings, say which packages had a part in it.
PLUGINS = "plugins"
# Why a stage is other work than it was, by what differs in its identity.
CHANGED: Mapping[str, str] = {
    "version": "a package whose component it uses has another version",
    "sha256": "the source of a package's component that it uses has changed",
}


class Origin(Section):
    """Where a component comes from that is not ours: a package, and the SHA-256 of the module's source."""

    distribution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$", max_length=100)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Recorded = TypeAdapter(dict[str, dict[str, Origin]])


@dataclass(frozen=True)
class Offer:
    """One entry point of a package: the `word` of the component, or a `problem` that keeps it from use.

    `component` is None where it cannot be imported or is none, and `sha256` empty.
    """

    word: str
    distribution: str
    version: str
    component: type[Component] | None = None
    sha256: str = ""
    problem: str | None = None

    def __str__(self) -> str:
        return f"`{self.word}` of the package {self.distribution} {self.version}"

    @property
    def complaint(self) -> str:
        """What is wrong with it, for whoever asks for it."""
        return f"{self} cannot be used: {self.problem}"


@cache
def installed() -> tuple[Offer, ...]:
    """All offers of the packages that this process finds, by package and word; each is imported once."""
    found: dict[tuple[str, str], Offer] = {}
    for package in distributions():
        for entry in _entries_of(package):
            # Of a package that is there twice the first is the one that is imported.
            if (package.name, entry.name) not in found:
                found[package.name, entry.name] = _imported(entry, package)
    return tuple(sorted(found.values(), key=lambda offer: (offer.distribution.casefold(), offer.word)))


def offered(base: type[Component], taken: Collection[str]) -> tuple[Offer, ...]:
    """The offers that are of the kind `base`, and those that nobody can say of which kind they are.

    One has a problem where its word is among those `taken`, or is also offered by another package.
    """
    ours = [offer for offer in installed() if offer.component is None or issubclass(offer.component, base)]
    return tuple(_unless_taken(offer, taken, ours) for offer in ours)


def kind_of(component: type[Component]) -> str:
    """The arm's word that it is a value of: `selector`, `target` ..."""
    return next(base for base in component.__mro__ if Component in base.__bases__).__name__.lower()


def identity_of(*components: Component) -> dict[str, Any]:
    """What components add to the identity of a stage: their own, and which packages they come from."""
    identity: dict[str, Any] = {}
    for component in components:
        identity |= component.identity
    return identity | plugins_of(*components)


def plugins_of(*components: Component) -> dict[str, Any]:
    """The packages of these components and of those within them, as identities hold them; {} for ours."""
    found: dict[str, dict[str, Any]] = {}
    for component in _within(components):
        offer = _offer_of(type(component))
        if offer is not None:
            origin = Origin(distribution=offer.distribution, version=offer.version, sha256=offer.sha256)
            found.setdefault(kind_of(type(component)), {})[offer.word] = origin.model_dump()
    return {PLUGINS: found} if found else {}


def lacking(recorded: Mapping[str, Any]) -> list[str]:
    """What has to be installed for what was `recorded` in settings or an identity, a sentence for each.

    Nothing where all of it is here as it was.
    """
    try:
        origins = Recorded.validate_python(recorded.get(PLUGINS, {}))
    except ValidationError:
        return ["it does not say which packages its components come from"]
    here = {(offer.word, offer.distribution): offer for offer in installed() if offer.component is not None}
    return [
        said
        for words in origins.values()
        for word, origin in words.items()
        if (said := _difference(word, origin, here.get((word, origin.distribution)))) is not None
    ]


def _difference(word: str, origin: Origin, here: Offer | None) -> str | None:
    what = f"`{word}` is of the package {origin.distribution} {origin.version}"
    remedy = f"install {origin.distribution}=={origin.version}"
    if here is None:
        return f"{what}, which is not installed here; {remedy}"
    if here.version != origin.version:
        return f"{what}, and installed here is {here.version}; {remedy}"
    if here.sha256 != origin.sha256:
        return f"{what}, whose source is not the one installed here under that version; {remedy} as it was"
    return None


def _entries_of(package: Distribution) -> list[EntryPoint]:
    """Its entry points of our group; none of a package that another one of its name hides."""
    # Most packages are passed by without parsing anything of them.
    text = package.read_text("entry_points.txt")
    if text is None or GROUP not in text:
        return []
    try:
        if distribution(package.name).read_text("entry_points.txt") != text:
            return []
        return [entry for entry in package.entry_points if entry.group == GROUP]
    except (PackageNotFoundError, ValueError, KeyError, TypeError):
        return []


def _imported(entry: EntryPoint, package: Distribution) -> Offer:
    offer = Offer(entry.name, package.name, package.version)
    try:
        found = entry.load()
    # Whatever somebody else's module does while it is imported is no reason to end.
    except (Exception, SystemExit) as error:
        problem = f"{entry.value} cannot be imported ({type(error).__name__}: {error})"
        return replace(offer, problem=problem)
    if not (isinstance(found, type) and issubclass(found, Component) and hasattr(found, "word")):
        return replace(offer, problem=f"{entry.value} is no component: no class such as a selector is there")
    if found.word != entry.name:
        problem = f"the word of {entry.value} is `{found.word}`; its entry point has to be called the same"
        return replace(offer, problem=problem)
    source = getattr(sys.modules[found.__module__], "__file__", None)
    try:
        sha256 = hashlib.sha256(Path(source or "").read_bytes()).hexdigest()
    except OSError:
        problem = f"{entry.value} has no file of source that could tell what it does from what it did"
        return replace(offer, problem=problem)
    return replace(offer, component=found, sha256=sha256)


def _unless_taken(offer: Offer, taken: Collection[str], beside: Sequence[Offer]) -> Offer:
    if offer.problem is not None:
        return offer
    if offer.word in taken:
        return replace(offer, problem="lrbench has a component of its own with this word, which is meant")
    usable = [other for other in beside if other.component is not None and other != offer]
    others = [other.distribution for other in usable if other.word == offer.word]
    if others:
        return replace(offer, problem=f"{', '.join(others)} offers the same word; uninstall all but one")
    return offer


def _offer_of(component: type[Component]) -> Offer | None:
    if component.__module__.startswith("lrbench."):
        return None
    return next((offer for offer in installed() if offer.component is component), None)


def _within(value: Any) -> Iterator[Component]:
    """Every component in `value`, itself included."""
    if isinstance(value, Component):
        yield value
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _within(part)
