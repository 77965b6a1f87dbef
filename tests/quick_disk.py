"""Importing this module has the process write without waiting for the disk.

A run asks some 250 times that what it wrote be on the disk, and waits longer for that than it computes
where its models are tiny. What is written is there for all other processes without it, also after the writer
was killed; only a machine that loses its power would notice, and no test has one.
"""

from __future__ import annotations

import os


def _no_wait(descriptor: int) -> None:
    """As `os.fsync` does: a descriptor that is none is an error."""
    os.fstat(descriptor)


os.fsync = _no_wait
