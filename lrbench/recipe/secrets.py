"""Secrets struck out of what is shown or recorded: passwords and keys of addresses and of the environment.

A library repeats an address in its own way, cut in pieces or percent-encoded. So beside what looks like the
secret part of an address, the very secrets that this process was given are looked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
ADDRESS_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY")
SECRET_NAME = re.compile(r"(?:^|_)(?:TOKEN|KEY|PASSWORD|PASSWD|PASSPHRASE|SECRET|COOKIE)$", re.IGNORECASE)
# Shorter ones would be found in words that are none; what looks like a secret goes however short it is.
SHORTEST_VALUE = 6
SHORTEST_PART = 4

# What stands between `//` and the last `@` of an address, what follows its question mark, and the fragment
# where there can be one: in the address of a file, `#` is part of a name.
_USER = re.compile(r"(?<=://)(?:[^/\s'\"]*|[^/:@\s'\"]*:[^\s'\"]*)@")
_QUERY = re.compile(r"((?:://|\burl: )[^\s'\"?]*\?)[^\s'\"]+")
_FRAGMENT = re.compile(r"(https?://[^\s'\"#]*#)[^\s'\"]+")
_HEADER = re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9+/._~=-]{6,}")


def without_secrets(text: str) -> str:
    """`text` with user names, passwords and the queries of addresses replaced by asterisks.

    Wherever they stand, so are the values of variables such as `HF_TOKEN`, and the secret parts of the
    addresses in `MLFLOW_TRACKING_URI` and the like.
    """
    text = _QUERY.sub(rf"\1{MASK}", _USER.sub(f"{MASK}@", text))
    text = _FRAGMENT.sub(rf"\1{MASK}", text)
    text = _HEADER.sub(rf"\1 {MASK}", text)
    for secret in _given(*_environment()):
        text = text.replace(secret, MASK)
    return text


def _environment() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Values of variables that are secrets, and of variables that are addresses."""
    named = [name for name in os.environ if _may_hold_secrets(name)]
    secret = tuple(os.environ[name] for name in named if SECRET_NAME.search(name))
    addresses = (os.environ[name] for name in named if name.upper() in ADDRESS_VARIABLES)
    return secret, tuple(address for address in addresses if "://" in address)


# Every cell of a table is looked through, and the names of variables hardly ever change.
@cache
def _may_hold_secrets(variable: str) -> bool:
    return SECRET_NAME.search(variable) is not None or variable.upper() in ADDRESS_VARIABLES


@lru_cache(maxsize=8)
def _given(values: tuple[str, ...], addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Every spelling of every secret, the longest first, so that no part of one is left."""
    found = {value for value in values if len(value) >= SHORTEST_VALUE}
    for address in addresses:
        found.update(part for part in _parts(address) if len(part) >= SHORTEST_PART)
    spelt = {spelling for part in found for spelling in _spellings(part)}
    return tuple(sorted(spelt, key=len, reverse=True))


def _parts(address: str) -> Iterator[str]:
    """What may be secret of an address; `urlsplit` would stumble over passwords that are not encoded."""
    rest = address.partition("://")[2]
    user, at, place = rest.rpartition("@")
    if at:
        yield user
        yield from user.split(":", 1)[1:]
    _, mark, fragment = (place if at else rest).partition("#")
    if mark:
        yield fragment
    _, mark, query = (place if at else rest).partition("?")
    if mark:
        yield query
        for setting in re.split("[&;#]", query):
            yield setting
            yield setting.partition("=")[2]


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    for plain in (unquote(secret), unquote_plus(secret)):
        if len(plain) >= SHORTEST_PART:
            yield from (plain, quote(plain), quote(plain, safe=""), quote_plus(plain))
