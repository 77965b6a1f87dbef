"""The most memory that this process was in; a module of its own that adds nothing to what it measures."""

from __future__ import annotations

import re
import resource
import sys
from contextlib import suppress
from pathlib import Path


def most_resident() -> int:
    """The most bytes that this process was in at once, on Linux since it began or its peak was cleared."""
    with suppress(OSError):
        # On Linux `getrusage` begins with the size of the process that started this one.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found is not None:
            return int(found[1]) * 1024
    # macOS counts in bytes, others in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
