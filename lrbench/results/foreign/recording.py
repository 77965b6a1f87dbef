"""Outcomes of result files as records of the ledger: an arm for every system, a score for every benchmark.

Imported records say so in their protocols and settings, so they never stand on a board with what was measured
here, and nothing looks for what they were made from. A protocol holds what the files say of how was measured,
and a hash of what was asked where they say it; the files' own hashes belong to the arm.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from lrbench.errors import DataError, UserError
from lrbench.recipe.claims import parse_claim
from lrbench.recipe.messages import did_you_mean
from lrbench.recipe.schema import SAFE_NAME, Compare
from lrbench.results.foreign.outcomes import Measured, Outcome, shown
from lrbench.results.foreign.pairing import draws_of, whole_draws
from lrbench.results.foreign.reading import System, read_systems, source_of
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.records import IMPORTED, ArmRecord, Costs, RecipeRecord, ScoreRecord, items_hash
from lrbench.results.text import plain
from lrbench.store.keys import canonical_json, stable_hash
from lrbench.store.locks import hold

DEFAULT_NAME = "imported"
LOCK = ".import.lock"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Imported:
    """What an import added: `new` records, of these systems under `name`; `remarks` are for the reader."""

    name: str
    arms: tuple[str, ...]
    benchmarks: tuple[str, ...]
    new: int
    remarks: tuple[str, ...]


def import_files(
    files: Iterable[str],
    runs: Path,
    name: str = DEFAULT_NAME,
    metric: str | None = None,
    claims: Sequence[str] = (),
) -> Imported:
    """Put the systems of result files into the ledger of `runs`, under `name` as under a recipe's.

    The first system that was imported under a name is what the others are set against. What is there already
    is not added again. `claims` are judged as those of a recipe are, together with earlier ones of `name`.

    Raises `UserError` for a name or claim that cannot be, `DataError` for files that cannot be read, and
    `LedgerError` where the ledger cannot be written.
    """
    if not re.fullmatch(SAFE_NAME, name):
        raise UserError(f"--as {shown(name)}: allowed is a letter or digit, then letters, digits and . _ -")
    for claim in claims:
        try:
            parse_claim(claim)
        except ValueError as error:
            raise UserError(f"--claim: {error}") from error
    files = list(files)
    systems = named(read_systems(map(source_of, files), metric))
    ledger, now = Ledger(runs / "ledger"), datetime.now(UTC).isoformat(timespec="seconds")
    # What a name means is read and then written: two imports at once must not forget one another's systems.
    with hold(ledger.folder / LOCK):
        contents = ledger.read()
        records = list(records_of(systems, name, now))
        arms = [record for record in records if isinstance(record, ArmRecord)]
        declared = _declared(contents, name, arms, claims, _command(files, name, metric, claims), now)
        # The recipe first, as a run does it: an arm that no recipe means would look lost.
        new = ledger.declare(declared) + ledger.append(records)
    remarks = dict.fromkeys(remark for system in systems for remark in (*system.remarks, *_left_out(system)))
    benchmarks = dict.fromkeys(benchmark for system in systems for benchmark in system.benchmarks)
    return Imported(name, tuple(arm.arm for arm in arms), tuple(benchmarks), new, tuple(remarks))


def _command(files: Sequence[str], name: str, metric: str | None, claims: Sequence[str]) -> str:
    """What a user types to do the same."""
    words = ["lrbench", "import", *files, "--as", name]
    words += [] if metric is None else ["--metric", metric]
    command = shlex.join([*words, *(word for claim in claims for word in ("--claim", claim))])
    # Names of files need not be text.
    return command.encode("utf-8", "backslashreplace").decode()


def records_of(systems: Sequence[System], name: str, now: str) -> Iterator[ArmRecord | ScoreRecord]:
    """The records of systems that go by names a recipe's arms could have.

    Systems measured in the same way are of one evaluation: where one lacks a benchmark, it is missing.
    """
    written = declaration_yaml(name, [system.name for system in systems])
    protocols = {
        system.name: {benchmark: _protocol(found) for benchmark, found in system.benchmarks.items()}
        for system in systems
    }
    formats = dict.fromkeys(protocol[IMPORTED] for own in protocols.values() for protocol in own.values())
    together = {format_: _together(protocols, format_) for format_ in formats}
    for system in systems:
        own = protocols[system.name]
        files = {benchmark: found.origin.sha256 for benchmark, found in system.benchmarks.items()}
        arm_id = stable_hash([IMPORTED, name, system.name, files, own])[:16]
        origins = [found.origin for found in system.benchmarks.values()]
        yield ArmRecord(
            arm_id=arm_id,
            recipe=name,
            recipe_hash=stable_hash(written),
            recipe_yaml=written,
            arm=system.name,
            seed=None,
            expert=IMPORTED,
            amateur=None,
            settings={IMPORTED: {"files": files}},
            costs=Costs(),
            stages={},
            environment={
                "called in its files": plain(system.called),
                "format": ", ".join(dict.fromkeys(origin.format for origin in origins)),
                "harness": ", ".join(dict.fromkeys(map(_harness, own.values()))),
                "files": ", ".join(dict.fromkeys(plain(origin.path.name) for origin in origins)),
            },
            recorded_at=now,
        )
        for benchmark, found in system.benchmarks.items():
            outcomes = whole_draws(found)
            draws = _draws(outcomes.values())
            yield ScoreRecord(
                arm_id=arm_id,
                recipe=name,
                arm=system.name,
                seed=None,
                expert=IMPORTED,
                expert_weights=IMPORTED,
                suite=f"{IMPORTED} {found.origin.format}",
                benchmark=benchmark,
                protocol=own[benchmark],
                protocol_hash=stable_hash(own[benchmark]),
                suite_protocol=together[found.origin.format][system.name],
                items_hash=items_hash(list(outcomes)),
                paper=draws[0],
                exact=draws[0],
                draws=draws if len(draws) > 1 else None,
                groups=_groups([of_item[0].group for of_item in outcomes.values()]),
                evaluation_key=f"{IMPORTED}:{found.origin.sha256}",
                seconds=0.0,
                recorded_at=now,
            )


def declaration_yaml(name: str, arms: Sequence[str]) -> str:
    """What stands where a recipe's text would: the name and its arms, as far as a board reads them."""
    written = yaml.safe_dump(
        {"name": name, "arms": [{"name": arm} for arm in arms]}, sort_keys=False, width=10_000
    )
    return f"# Imported with `lrbench import`; no recipe to run.\n{written}"


def safe_name(name: str) -> str:
    """`name` as an arm or a benchmark is called in recipes and claims, such as `Qwen-Qwen3-8B`."""
    safe = _UNSAFE.sub("-", name).strip("-._")[:_LONGEST_NAME]
    return safe or f"unnamed-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def named(systems: Iterable[System]) -> list[System]:
    """The systems by names that a recipe's arms could have, and so their benchmarks.

    Raises `DataError` where two would be called alike.
    """
    found: dict[str, System] = {}
    for system in systems:
        called = safe_name(system.name)
        if called in found:
            raise DataError(
                f"{system.place}: its system would be called {shown(called)} here, and so would that of "
                f"{found[called].place}; call one of them otherwise: NAME={system.place}"
            )
        found[called] = replace(system, name=called, benchmarks=_named_benchmarks(system))
    return list(found.values())


def _named_benchmarks(system: System) -> dict[str, Measured]:
    benchmarks: dict[str, Measured] = {}
    for benchmark, found in system.benchmarks.items():
        called = safe_name(benchmark)
        if called in benchmarks:
            raise DataError(
                f"{found.origin.path}: {shown(benchmark)} and {shown(benchmarks[called].benchmark)} would "
                f"both be called {shown(called)} here; import them under two names (--as)"
            )
        benchmarks[called] = found
    return benchmarks


def _protocol(found: Measured) -> dict[str, Any]:
    origin = found.origin
    draws = max(len(outcomes) for outcomes in draws_of(found).values())
    return {
        IMPORTED: origin.format,
        **({"samples": draws} if draws > 1 else {}),
        **{name: value for name, value in origin.protocol.items() if value is not None},
        "data": _asked(found.outcomes),
    }


def _asked(outcomes: Sequence[Outcome]) -> str | None:
    """Identity of what was asked; None where the file does not say it of every item."""
    texts = {outcome.item: outcome.text for outcome in outcomes}
    return None if None in texts.values() else stable_hash(texts)


def _harness(protocol: Mapping[str, Any]) -> str:
    name, version = protocol.get("harness"), protocol.get("harness_version")
    return " ".join(str(part) for part in (name, version) if part is not None) or "not said"


def _together(
    protocols: Mapping[str, Mapping[str, Mapping[str, Any]]], format_: str
) -> dict[str, dict[str, str]]:
    """System -> the protocols of its evaluation, of files of one format.

    They are those of all systems that contradict it on no benchmark.
    """
    groups: list[tuple[dict[str, str], list[str]]] = []
    for system, own in protocols.items():
        hashes = {
            benchmark: stable_hash(protocol)
            for benchmark, protocol in own.items()
            if protocol[IMPORTED] == format_
        }
        for found, members in groups:
            if all(found.get(benchmark, hash_) == hash_ for benchmark, hash_ in hashes.items()):
                found.update(hashes)
                members.append(system)
                break
        else:
            groups.append((dict(hashes), [system]))
    return {system: dict(sorted(found.items())) for found, members in groups for system in members}


def _draws(outcomes: Collection[Sequence[Outcome]]) -> tuple[str, ...]:
    """One `0` or `1` per item for every draw, of which each item has as many."""
    count = len(next(iter(outcomes), ()))
    return tuple(
        "".join("1" if of_item[draw].value else "0" for of_item in outcomes) for draw in range(count)
    ) or ("",)


def _groups(named: Sequence[str | None]) -> tuple[int, ...] | None:
    """The number of every item's group; an item without one is a group by itself."""
    if not any(named):
        return None
    numbers: dict[str | int, int] = {}
    return tuple(
        numbers.setdefault(place if name is None else name, len(numbers)) for place, name in enumerate(named)
    )


def _left_out(system: System) -> Iterator[str]:
    for benchmark, found in system.benchmarks.items():
        silent = len({outcome.item for outcome in found.outcomes}) - len(whole_draws(found))
        if silent:
            where = f"{shown(benchmark)} of {shown(system.name)}"
            yield f"{where}: left out are {silent} items without a verdict, or with fewer answers than others"


def _declared(
    contents: LedgerContents,
    name: str,
    arms: Sequence[ArmRecord],
    claims: Sequence[str],
    command: str,
    now: str,
) -> RecipeRecord:
    """What `name` means from now on: what was imported under it so far, and `arms`."""
    earlier = [record for record in contents.recipes if record.recipe == name]
    by_id = {record.arm_id: record for record in contents.arms}
    known = [by_id[arm_id] for arm_id in earlier[-1].arm_ids if arm_id in by_id] if earlier else []
    if earlier and not all(record.imported for record in known):
        raise UserError(
            f"{shown(name)} is the name of a recipe that was run here; import under another name with --as"
        )
    meant = list({record.arm_id: record for record in (*known, *arms)}.values())
    names = list(dict.fromkeys(record.arm for record in meant))
    for claim in map(parse_claim, claims):
        for name_ in (claim.first, claim.second):
            if name_ not in names:
                raise UserError(f"--claim: {shown(name_)} is no system of {name}{did_you_mean(name_, names)}")
    written = declaration_yaml(name, names)
    said = dict.fromkeys([*(earlier[-1].claims if earlier else ()), *claims])
    return RecipeRecord(
        recipe=name,
        recipe_hash=stable_hash(canonical_json([written, list(said)])),
        recipe_yaml=written,
        arm_ids=tuple(record.arm_id for record in meant),
        claims=tuple(said),
        compare=Compare(against=(names[0],)) if len(names) > 1 else Compare(),
        command=command,
        recorded_at=now,
    )
