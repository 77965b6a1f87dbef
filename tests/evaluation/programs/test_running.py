"""Programs that nobody has looked at: what they say of themselves, and that nothing of them gets out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrbench.errors import RunError
from lrbench.evaluation.programs import running
from lrbench.evaluation.programs.running import Ended, Limits, missing_sandbox, run_program
from tests.commands import ROOT

LIMITS = Limits(seconds=1, sleeping_seconds=4)

needs_sandbox = pytest.mark.skipif(
    missing_sandbox() is not None, reason=f"there is no sandbox for programs here: {missing_sandbox()}"
)

# Each passes where it can do what it must not.
HARM = {
    "writes where Python is": "import os\nopen(os.path.dirname(os.__file__) + '/written', 'w').write('x')",
    "writes where it was started": "open({outside!r} + '/written', 'w').write('x')",
    "reads a file of the machine": "assert open({secret!r}).read() == 'secret'",
    "reads a variable of the environment": "import os\nassert os.environ['LRBENCH_SECRET'] == 'secret'",
    "finds the variable in memory": (
        "import ctypes\n"
        "found = ctypes.CDLL(None).getenv\n"
        "found.restype = ctypes.c_char_p\n"
        "assert found(b'LRBENCH_SECRET') == b'secret'"
    ),
    "talks to this machine": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)",
    "talks to the world": (
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))"
    ),
    "kills everyone": "import os\nassert [os.kill(number, 9) for number in {alive!r}]",
    "kills its parent and its group": (
        "import os\nos.killpg(0, 9)\nos.kill(os.getppid(), 9)\nos.kill(1, 9)\nos.kill(-1, 9)"
    ),
    "becomes root": "import os\nos.setuid(0)",
    "mounts a disk": (
        "import ctypes\nassert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0"
    ),
    "makes namespaces": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "uses what is open": (
        "import os\n"
        "def is_open(number):\n"
        "    try: return os.fstat(number)\n"
        "    except OSError: return None\n"
        "assert any(map(is_open, range(3, 64)))"
    ),
    "writes more than there is room for": (
        "for number in range(9):\n    open(f'/tmp/{{number}}', 'wb').write(bytes(2**24))"
    ),
    "starts processes without end": (
        "import os\nfor _ in range(50):\n    if os.fork() == 0:\n        while True: pass"
    ),
    "ends before its tests": "import sys\nsys.exit(0)",
    "ends at once before its tests": "import os\nos._exit(0)",
    "lets a fork come to the end": ("import os\nif os.fork():\n    os.wait()\n    raise ValueError\n"),
    "breaks its interpreter": "import ctypes\nctypes.string_at(0)",
}


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@needs_sandbox
@pytest.mark.parametrize("what", HARM)
def test_a_program_cannot_do_harm(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listening: socket.socket
) -> None:
    monkeypatch.setenv("LRBENCH_SECRET", "secret")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    alive = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    program = HARM[what].format(
        outside=str(tmp_path),
        secret=str(secret),
        port=listening.getsockname()[1],
        alive=[alive.pid, os.getpid(), os.getppid()],
    )
    try:
        assert run_program(program, LIMITS) is Ended.FAILED
        assert alive.poll() is None
    finally:
        alive.kill()
        alive.wait()
    assert {path.name for path in tmp_path.iterdir()} == {"secret"}
    assert not Path(os.__file__).with_name("written").exists()
    with pytest.raises(BlockingIOError):
        listening.accept()


@needs_sandbox
@pytest.mark.parametrize(
    ("program", "ended"),
    [
        ("assert 1 + 1 == 2", Ended.PASSED),
        ("assert 1 + 1 == 3", Ended.FAILED),
        ("def broken(:", Ended.FAILED),
        ("open('own', 'w').write('x')\nassert open('own').read() == 'x'", Ended.PASSED),
        # What draws at random is the same whenever it is run.
        ("import random\nassert random.random() == 0.8444218515250481", Ended.PASSED),
        ("import sys\nassert sys.flags.hash_randomization == 0", Ended.PASSED),
        ("if __name__ == '__main__':\n    raise ValueError", Ended.PASSED),
        ("input()", Ended.FAILED),
        ("while True: pass", Ended.TIMED_OUT),
        ("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", Ended.TIMED_OUT),
        ("import time\ntime.sleep(60)", Ended.TIMED_OUT),
        ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", Ended.TIMED_OUT),
        ("x = bytearray(100 * 2**30)", Ended.OUT_OF_MEMORY),
        ("x = []\nwhile True: x.append(bytes(2**20))", Ended.OUT_OF_MEMORY),
    ],
)
def test_it_is_told_how_a_program_ended(program: str, ended: Ended) -> None:
    began = time.monotonic()
    assert run_program(program, LIMITS) is ended
    # On a machine that is busy with other tests.
    assert time.monotonic() - began < LIMITS.sleeping_seconds + 30


@needs_sandbox
def test_the_packages_of_this_python_are_there() -> None:
    assert run_program("import numpy\nassert numpy.ones(3).sum() == 3") is Ended.PASSED


@needs_sandbox
def test_nothing_is_left_of_a_program_that_is_ended() -> None:
    """Its forks would write on into a file if there were one; so they are counted by what is running."""
    mark = f"left-{os.getpid()}"
    naming = f"import ctypes\nctypes.CDLL(None).prctl(15, b'{mark[:15]}', 0, 0, 0)\n"
    ended = run_program(f"{naming}import os\nfor _ in range(2): os.fork()\nwhile True: pass", LIMITS)
    assert ended is Ended.TIMED_OUT
    names = [path.read_text() for path in Path("/proc").glob("[0-9]*/comm") if path.exists()]
    assert not [name for name in names if name.startswith(mark[:15])]


def test_where_the_kernel_gives_no_namespaces_nothing_is_run() -> None:
    """In a namespace of users that may have no others, which is what many a container is like."""
    code = (
        "from lrbench.evaluation.programs.running import missing_sandbox, run_program\n"
        "print(missing_sandbox())\n"
        "try:\n    print(run_program('assert True'))\nexcept Exception as error:\n    print(repr(error))"
    )
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    try:
        done = subprocess.run(
            ["unshare", "-rn", "sh", "-c", forbid, "sh", sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no such namespace can be made here: {error}")
    missing, run = done.stdout.splitlines()
    assert missing.startswith("the kernel gives no namespaces of one's own (unshare: ")
    assert run.startswith('RunError("a program cannot be run, since there is no sandbox for it: the kernel')


def test_elsewhere_than_on_linux_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(running.platform, "system", lambda: "Darwin")
    told = "it is made of namespaces of Linux, and this is Darwin"
    assert missing_sandbox.__wrapped__() == told
    with pytest.raises(RunError, match="there is no sandbox for it"):
        run_program("assert True")
