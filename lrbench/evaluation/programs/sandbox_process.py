"""Runs a program that nobody has looked at, in namespaces of its own and within limits.

Run as a program: it reads one JSON object from its input and writes one to its output.

    {"program": TEXT, "folders": [PATH, ...], "path": [PATH, ...], "limits": {NAME: NUMBER, ...}}
    {"ended": "passed" or "failed" or "timed out" or "out of memory"}, or {"unable": TEXT} without a sandbox

The program is the first process of a namespace, whose end ends all others in it. It has no network and no
capability. Its files are those of `folders`, read only, and a small disk in memory that is gone with it; its
modules are looked for in `path`. What its limits are is said by `Limits` in `running.py`.

It imports nothing of lrbench, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

PASSED, FAILED, TIMED_OUT, OUT_OF_MEMORY = "passed", "failed", "timed out", "out of memory"

# From the kernel's headers, which Python 3.11 does not know.
_NEW_NAMESPACES = (
    0x00020000  # mounts
    | 0x04000000  # the host's name
    | 0x08000000  # shared memory and queues
    | 0x10000000  # users
    | 0x20000000  # processes
    | 0x40000000  # network
)
_NO_SETUID, _NO_DEVICES, _BIND, _RECURSIVE, _PRIVATE = 2, 4, 4096, 16384, 1 << 18
_DETACH = 2
_MOUNT_SETATTR, _AT_WORKING_FOLDER, _AT_RECURSIVE = 442, -100, 0x8000
_READ_ONLY = 1
_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38
_CAPABILITIES_VERSION = 0x20080522

_NOBODY = 65534
_DEVICES = ("null", "zero", "urandom")
_OPEN_FILES = 64

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *arguments: Any) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    _call("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])


def _enter_namespaces() -> bool:
    """Leave the namespaces of the machine; says whether there is a user besides the one who asked.

    Who asks as root runs the program as nobody, since root has no limit of processes. Others have no second
    user to give.
    """
    uid, gid = os.getuid(), os.getgid()
    as_nobody = uid == 0 and _is_mapped("uid_map") and _is_mapped("gid_map")
    nobody = f"{_NOBODY} {_NOBODY} 1\n" if as_nobody else ""
    own = os.getpid()
    waiting, entered = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        # The users of a namespace are mapped from outside, where a capability to do so is.
        code = 1
        try:
            os.close(entered)
            if os.read(waiting, 1):
                if not as_nobody:
                    Path(f"/proc/{own}/setgroups").write_text("deny")
                Path(f"/proc/{own}/uid_map").write_text(f"{uid} {uid} 1\n{nobody}")
                Path(f"/proc/{own}/gid_map").write_text(f"{gid} {gid} 1\n{nobody}")
                code = 0
        finally:
            os._exit(code)
    _call("unshare", _NEW_NAMESPACES)
    os.write(entered, b".")
    if os.waitpid(mapper, 0)[1] != 0:
        raise OSError("users cannot be mapped into a namespace")
    return as_nobody


def _is_mapped(kind: str) -> bool:
    lines = Path(f"/proc/self/{kind}").read_text().splitlines()
    spans = [tuple(map(int, line.split())) for line in lines]
    return any(first <= _NOBODY < first + count for first, _, count in spans)


def _forbid_more_namespaces() -> None:
    """In a namespace of users the program would have capabilities, and more of the kernel to play with."""
    # Settings of the kernel cannot be written in many a container; what was left is left all the same.
    with suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _change_root(folders: list[str], disk_bytes: int) -> None:
    """Put a disk in memory in the place of all files, with nothing on it but `folders` and some devices."""
    # After the change, symbolic links that hold a whole path would lead astray.
    real = {folder: Path(folder).resolve() for folder in folders}
    _mount(None, "/", None, _RECURSIVE | _PRIVATE, None)
    # Any folder will do: what was in it is seen again when the disk is the root.
    disk = Path("/tmp")
    _mount(
        "tmpfs", str(disk), "tmpfs", _NO_SETUID | _NO_DEVICES, f"size={disk_bytes},nr_inodes=4096,mode=755"
    )
    before = disk / "before"
    before.mkdir()
    _call("pivot_root", bytes(disk), bytes(before))
    os.chdir("/")
    before = Path("/before")
    for folder, source in real.items():
        Path(folder).mkdir(parents=True)
        _mount(f"{before}{source}", folder, None, _BIND | _RECURSIVE, None)
        _set_attributes(folder, _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    devices = Path("/dev")
    devices.mkdir()
    for device in _DEVICES:
        (devices / device).touch()
        _mount(f"{before}{devices / device}", str(devices / device), None, _BIND, None)
    _call("umount2", bytes(before), _DETACH)
    before.rmdir()
    own = Path("/tmp")
    own.mkdir(exist_ok=True)
    own.chmod(0o1777)
    os.chdir(own)


def _set_attributes(folder: str, attributes: int) -> None:
    """Of a mount and all that is mounted in it."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    numbers = ctypes.c_long(_MOUNT_SETATTR), ctypes.c_long(_AT_WORKING_FOLDER)
    _call(
        "syscall",
        *numbers,
        os.fsencode(folder),
        ctypes.c_long(_AT_RECURSIVE),
        ctypes.byref(wanted),
        ctypes.c_long(ctypes.sizeof(wanted)),
    )


def _drop_privileges(as_nobody: bool) -> None:
    if as_nobody:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _limit(limits: dict[str, int], as_nobody: bool) -> None:
    # Whoever shares the user is counted too: the process that waits for the program.
    own = 0 if as_nobody else 1
    for kind, most in {
        resource.RLIMIT_CPU: limits["seconds"],
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NPROC: limits["processes"] + own,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _close_files() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    # Whoever starts this process hands on nothing else, and few more were opened since.
    os.closerange(3, _OPEN_FILES)


def _follow(said: mmap.mmap, asked: dict[str, Any], as_nobody: bool) -> None:
    """What the first process of the namespace does: become powerless, and then the program."""
    try:
        # Out of the group of the process that waits, which a signal to one's own group reaches.
        os.setsid()
        _close_files()
        _drop_privileges(as_nobody)
        # A change of user forgets it.
        _call("prctl", _DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        _limit(asked["limits"], as_nobody)
    except OSError as error:
        said.write(f"unable {error}".encode())
        os._exit(0)
    sys.path[:] = asked["path"]
    random.seed(0)
    ended = PASSED
    try:
        exec(asked["program"], {})
    except MemoryError:
        ended = OUT_OF_MEMORY
    except BaseException:  # such as SystemExit: the tests did not come to their end
        ended = FAILED
    # A fork of the program comes by here too.
    if os.getpid() == 1:
        said.write(ended.encode())
    os._exit(0)


def _outcome(asked: dict[str, Any], as_nobody: bool) -> dict[str, str]:
    # Shared memory, because no file that the program could write is open to it.
    said = mmap.mmap(-1, mmap.PAGESIZE)
    first = os.fork()
    if first == 0:
        _follow(said, asked, as_nobody)
    waited = False

    def stop(*_: object) -> None:
        nonlocal waited
        waited = True
        os.kill(first, signal.SIGKILL)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, asked["limits"]["sleeping_seconds"])
    _, status, used = os.wait4(first, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    text = said[:].rstrip(b"\0").decode()
    if text.startswith("unable"):
        return {"unable": text.removeprefix("unable ")}
    if text:
        return {"ended": text}
    if waited:
        return {"ended": TIMED_OUT}
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        # Nothing in the namespace can send that to its first process: the kernel did, at the limit of time or
        # because the machine has no memory left. It limits time by ticks, and says better what was used.
        over = used.ru_utime + used.ru_stime > asked["limits"]["seconds"] / 2
        return {"ended": TIMED_OUT if over else OUT_OF_MEMORY}
    return {"ended": FAILED}


def _main() -> None:
    asked = json.load(sys.stdin)
    try:
        as_nobody = _enter_namespaces()
        _call("prctl", _DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        _forbid_more_namespaces()
        _change_root(asked["folders"], asked["limits"]["disk_bytes"])
        answer = _outcome(asked, as_nobody)
    except OSError as error:
        answer = {"unable": error.strerror or str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main()
