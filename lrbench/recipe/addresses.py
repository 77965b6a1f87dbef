"""Addresses of servers as a recipe may hold them: recorded wherever a recipe is, so without secrets."""

from __future__ import annotations

from urllib.parse import urlsplit

from lrbench.recipe.messages import excerpt

KEY_ADVICE = "give the bare address, and the key in the variable LRBENCH_API_KEY"


def unusable_address(url: str) -> str | None:
    """Why `url` is not the address of a server, in words that repeat no secret of it; else None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    if "@" in url or "?" in url or "#" in url:
        # What of such an address is the secret cannot be known, so none of it is shown.
        return f"an address with a password, key or query in it would be recorded; {KEY_ADVICE}"
    if parts is None or parts.scheme not in ("http", "https") or not host or not _is_plain(url):
        return f"{excerpt(url)}: not the address of a server; give one such as http://127.0.0.1:8000"
    return None


def _is_plain(url: str) -> bool:
    """`urlsplit` drops tabs and line ends, and takes blanks: another address than the one that is shown."""
    return url.isascii() and url.isprintable() and " " not in url and "\\" not in url
