"""Limits that the system sets to a process, told with their names, their values and what to do."""

from __future__ import annotations

import errno
import os
import resource

# Libraries repeat the system's words, and drop its numbers.
_TOO_MANY_FILES = os.strerror(errno.EMFILE)


def limit_reached(error: BaseException) -> str:
    """What to say where `error`, or what it was raised from, is a limit of this process; else empty."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno == errno.ENFILE:
            return f"{os.strerror(errno.ENFILE)}: close what else is running, and repeat"
        if isinstance(cause, OSError) and cause.errno == errno.EFBIG:
            return _file_too_large()
        if _TOO_MANY_FILES in str(cause):
            return _too_many_files()
        cause = cause.__cause__ or cause.__context__
    return ""


def _too_many_files() -> str:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        f"too many open files: this process may have {most:,} open at once; raise the limit "
        "(`ulimit -n 4096`) and repeat"
    )


def _file_too_large() -> str:
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most == resource.RLIM_INFINITY:
        return "file too large: the file system takes none of this size; use another folder, and repeat"
    return (
        f"file too large: this process may write {most:,} bytes into one file; raise the limit "
        "(`ulimit -f unlimited`) and repeat"
    )
