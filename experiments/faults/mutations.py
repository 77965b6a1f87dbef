"""Recipes that nobody should write: shipped ones with something changed, and ones made to hurt."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from experiments.faults.strange import CLAIM_WORDS, EXTENDED, FIELDS, SCALARS, VALUES
from experiments.faults.subject import RECIPE

RECIPES = Path(__file__).parents[2] / "recipes"
FILE = "recipe.yaml"


@dataclass(frozen=True)
class Fuzzed:
    """A recipe as bytes, the files beside it, and overrides for `plan`."""

    sort: str
    data: bytes
    beside: dict[str, bytes] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Write all its files; returns the recipe's."""
        for name, data in {**self.beside, FILE: self.data}.items():
            (folder / name).write_bytes(data)
        return folder / FILE


def shipped() -> list[str]:
    """The texts that are changed: the campaign's own recipe, and each that ships, with what it extends."""
    return [RECIPE, *(path.read_text() for path in sorted(RECIPES.rglob("*.yaml")))]


def fuzzed(seed: int, number: int) -> Fuzzed:
    """The recipe of this number; the same for equal arguments."""
    chance = Random(f"{seed}-{number}")
    make = chance.choice((_values, _values, _values, _structure, _structure, _text, _text, _bytes, _hurting))
    made = make(chance)
    overrides = tuple(_override(chance) for _ in range(chance.choice((0, 0, 1, 3))))
    beside = {"quickstart.yaml": (RECIPES / "quickstart.yaml").read_bytes(), **made.beside}
    return Fuzzed(made.sort, made.data, beside, overrides)


def _tree(chance: Random) -> Any:
    return yaml.safe_load(chance.choice((RECIPE, RECIPE, *shipped())))


def _written(chance: Random, tree: Any) -> bytes:
    """The tree as YAML in one of its styles."""
    text = yaml.safe_dump(
        tree, allow_unicode=chance.random() < 0.5, default_flow_style=chance.random() < 0.2, sort_keys=False
    )
    return text.encode("utf-8", "surrogatepass")


def _values(chance: Random) -> Fuzzed:
    """One to three fields get values that they should not have."""
    tree = _tree(chance)
    for _ in range(chance.choice((1, 1, 2, 3))):
        _put(tree, chance.choice(FIELDS).split("."), _value(chance))
    return Fuzzed("values", _written(chance, tree))


def _value(chance: Random) -> Any:
    kind = chance.random()
    if kind < 0.75:
        return copy.deepcopy(chance.choice(VALUES))
    if kind < 0.85:
        return " ".join(chance.choices(CLAIM_WORDS, k=chance.randint(1, 8)))
    if kind < 0.95:
        return [copy.deepcopy(chance.choice(VALUES)) for _ in range(chance.randint(1, 5))]
    return {str(chance.choice(FIELDS)): [copy.deepcopy(chance.choice(VALUES))] for _ in range(3)}


def _put(tree: Any, path: list[str], value: Any) -> None:
    for name in path[:-1]:
        step: Any = int(name) if isinstance(tree, list) and name.isdigit() else name
        if isinstance(tree, list) and (not isinstance(step, int) or step >= len(tree)):
            return
        inner = tree[step] if isinstance(tree, list) else tree.get(step)
        if not isinstance(inner, dict | list):
            inner = {}
            tree[step] = inner
        tree = inner
    if isinstance(tree, dict):
        tree[path[-1]] = value
    elif tree:
        tree[0] = value


def _structure(chance: Random) -> Fuzzed:
    """Names misspelt, taken away, added, doubled, moved or wrapped."""
    tree = _tree(chance)
    for _ in range(chance.choice((1, 2, 4))):
        owner = chance.choice([node for node in _mappings(tree) if node] or [{"a": 1}])
        name = chance.choice(list(owner))
        act = chance.randrange(6)
        if act == 0:
            owner[_misspelt(chance, str(name))] = owner.pop(name)
        elif act == 1:
            del owner[name]
        elif act == 2:
            owner[chance.choice(("lr", "epochs", "\x1b[5m", "", 1, None, True, "name.x", "a b"))] = 1
        elif act == 3:
            owner[name] = [owner[name]] * chance.randint(1, 3)
        elif act == 4:
            chance.choice(list(_mappings(tree)))[name] = copy.deepcopy(owner[name])
        else:
            owner[name] = {name: owner[name]}
    return Fuzzed("structure", _written(chance, tree))


def _mappings(node: Any) -> list[dict[Any, Any]]:
    if isinstance(node, dict):
        return [node, *(found for value in node.values() for found in _mappings(value))]
    return [found for value in node for found in _mappings(value)] if isinstance(node, list) else []


def _misspelt(chance: Random, name: str) -> str:
    place = chance.randrange(len(name) + 1)
    return (
        name[:place]
        + chance.choice(("", "x", "_", "-", " ", "é", "\t"))
        + name[place + chance.randrange(2) :]
    )


def _text(chance: Random) -> Fuzzed:
    """A shipped text with lines changed, doubled, swapped, cut or replaced by YAML's own surprises."""
    lines = chance.choice((RECIPE, *shipped())).splitlines()
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(lines))
        act = chance.randrange(7)
        if act == 0:
            lines.insert(place, lines[place])
        elif act == 1:
            other = chance.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        elif act == 2:
            lines[place] = " " * chance.randrange(9) + lines[place].strip()
        elif act == 3:
            lines[place] = "\t" + lines[place]
        elif act == 4:
            name, colon, _ = lines[place].partition(":")
            lines[place] = f"{name}{colon or ':'} {chance.choice(SCALARS)}"
        elif act == 5:
            lines.insert(place, chance.choice(("---", "...", "%YAML 9.9", "- x", "x", "? y", "<<: *a", "#")))
        else:
            del lines[place]
            lines = lines or [""]
    end = chance.choice(("\n", "\n", "\r\n", "\r", "\u2028"))
    return Fuzzed("text", end.join(lines).encode())


def _bytes(chance: Random) -> Fuzzed:
    """A shipped text with bytes flipped, taken away or put in; other encodings."""
    data = bytearray(chance.choice((RECIPE, *shipped())).encode())
    for _ in range(chance.choice((1, 3, 20))):
        place = chance.randrange(len(data))
        act = chance.randrange(4)
        if act == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif act == 1:
            del data[place : place + chance.randrange(1, 40)]
            data = data or bytearray(b"\n")
        elif act == 2:
            data[place:place] = chance.choice(
                (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[2J", b"\xc2\x85", b"\t")
            )
        else:
            data[place:place] = bytes(chance.randrange(256) for _ in range(4))
    encoded = chance.random()
    if encoded < 0.05:
        return Fuzzed("bytes", data.decode("utf-8", "replace").encode("utf-16"))
    return Fuzzed("bytes", b"\xef\xbb\xbf" + bytes(data) if encoded < 0.1 else bytes(data))


def _hurting(chance: Random) -> Fuzzed:
    """Small texts that stand for much, or for themselves."""
    most = chance.choice((3, 30, 300))
    laughs = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, min(most, 12)))
    grid = {
        f: [n / 100 for n in range(1, most)]
        for f in ("divergence.alpha", "divergence.beta", "training.learning_rate")
    }
    swept = yaml.safe_dump({**yaml.safe_load(RECIPE), "sweep": {"grid": grid}}).encode()
    seeded = yaml.safe_dump({**yaml.safe_load(RECIPE), "seeds": list(range(most))}).encode()
    chain = {f"e{n}.yaml": f"extends: e{n + 1}.yaml\n".encode() for n in range(most)}
    deep_mapping = "".join(f"{' ' * n}a:\n" for n in range(most))
    makers: tuple[tuple[str, bytes, dict[str, bytes]], ...] = (
        ("laughs", f"x0: &x0 [a]\n{laughs}\n{RECIPE}".encode(), {}),
        (
            "laughs as a description",
            f"x0: &x0 [a]\n{laughs}\ndescription: *x{min(most, 12) - 1}\n".encode(),
            {},
        ),
        ("itself", f"{RECIPE}\ndescription: &a [*a]\n".encode(), {}),
        ("itself as a mapping", b"&a\nname: *a\npair: *a\n", {}),
        ("deep list", RECIPE.replace("name: tiny", "name: " + "[" * most * 30).encode(), {}),
        ("deep mapping", (RECIPE + deep_mapping).encode(), {}),
        ("deep flow", ("name: " + "{a: " * most * 30).encode(), {}),
        ("wide sweep", swept, {}),
        ("many seeds", seeded, {}),
        (
            "many arms",
            yaml.safe_dump({**yaml.safe_load(RECIPE), "arms": ["lightr"] * most * 10}).encode(),
            {},
        ),
        (
            "many claims",
            yaml.safe_dump({**yaml.safe_load(RECIPE), "claims": ["lightr > sft"] * most * 10}).encode(),
            {},
        ),
        ("extends itself", f"extends: {FILE}\n".encode() + RECIPE.encode(), {}),
        (
            "extends in a circle",
            b"extends: a.yaml\n",
            {"a.yaml": b"extends: b.yaml\n", "b.yaml": b"extends: a.yaml\n"},
        ),
        ("extends a chain", b"extends: e0.yaml\n", {**chain, f"e{most}.yaml": RECIPE.encode()}),
        (
            "extends nothing",
            f"extends: {chance.choice(EXTENDED)}\n".encode(),
            {},
        ),
        (
            "extends what is broken",
            b"extends: a.yaml\n",
            {"a.yaml": chance.choice((b"\xff", b"[", b"", b"- 1", b"a: [", b"\x00"))},
        ),
        (
            "interpolates in a circle",
            f"{RECIPE}\ndescription: ${{name}}\n".replace("name: tiny", "name: ${description}").encode(),
            {},
        ),
        ("interpolates deep", (RECIPE + "description: " + "${" * most + "}" * most + "\n").encode(), {}),
        ("interpolates much", (RECIPE + 'description: "' + "${name}" * most * 100 + '"\n').encode(), {}),
        ("long key", ("? " + "a" * most * 100 + "\n: 1\n" + RECIPE).encode(), {}),
        ("complex key", ("? [a, {b: c}]\n: 1\n" + RECIPE).encode(), {}),
        ("much space", (" " * most * 1000 + "\n" * most * 100 + RECIPE).encode(), {}),
        ("nothing", b"", {}),
        ("only a comment", b"# nothing", {}),
        ("a number", b"7", {}),
        ("a list", b"- 7", {}),
        ("two documents", (RECIPE + "---\n" + RECIPE).encode(), {}),
        ("a study", b"title: x\ntable: ablations\neditions: {}\n", {}),
        ("long number", RECIPE.replace("updates: 4", "updates: " + "9" * most * 30).encode(), {}),
    )
    return Fuzzed("hurting", *makers[chance.randrange(len(makers))][1:])


def _override(chance: Random) -> str:
    key = chance.choice(
        (*FIELDS, "", "=", "nobody", "a..b", "arms.lightr.training.updates", "\x1b[1m", "seed.x", "-x")
    )
    value = chance.choice((*SCALARS, "1", "0.5", "[1,2]", "{a: 1}", "", "null", "embedded/peer"))
    return f"{key}{chance.choice(('=', '=', '=', '=', '', '+=', '=='))}{value}"
