"""The process in which formulas are compared, so that no answer can take time or memory from the run.

A worker prepares the computer algebra once and lets forks of itself do the judging. The kernel ends a
fork that exceeds its limits, whatever code it is in, and the next item gets a new one in a few
milliseconds. Between items a fork empties the caches of the computer algebra and resets its random
numbers, and it is replaced after some items: the verdict on an item does not depend on the items before
it. A worker ends when its standard input does, and its fork with it.

Only processor time is limited, so that a verdict does not depend on what else the machine does. Busy
neighbours slow caches down and so take a little of it too: a question that was stopped is asked once more, in
a new fork and with twice the time. A fork that sleeps uses no time, and is ended for that; one that waits
for a processor, for memory, or to be continued after it was stopped is not asleep.

Requests and replies are lines of JSON: a list of questions [kind, answer, gold], and a list of one outcome
each.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from enum import StrEnum

PROCESSOR_SECONDS = 1.25
"""Processor time for one question when it is first asked."""

LAST_PROCESSOR_SECONDS = 2 * PROCESSOR_SECONDS
"""Processor time for a question that was stopped and is asked again: when it is stopped again, it is counted
as wrong."""

SLEEPING_SECONDS = 20.0
"""A fork that has slept so long without using a processor will never answer."""

_SECONDS_BETWEEN_LOOKS = 0.25
_MEMORY_BYTES = 1 << 30
_PARENT_CHECK_SECONDS = 2.0
_RECURSION = 2500
_QUESTIONS_PER_FORK = 1000

Judges = dict[str, Callable[[str, str], bool]]
"""The functions that answer each kind of question."""


class Kind(StrEnum):
    """What is asked about an answer and a gold answer."""

    PAPER = "paper"
    EXACT = "exact"


class Outcome(StrEnum):
    """How a question ended; each value is the byte a fork reports it with."""

    YES = "y"
    NO = "n"
    OUT_OF_MEMORY = "m"
    TIMED_OUT = "t"


def main() -> None:
    """Serve requests from standard input until it ends."""
    bench = Bench(_judges())
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    gc.collect()
    gc.freeze()
    print("ready", file=replies, flush=True)
    parent = os.getppid()
    requests = os.fdopen(0, "rb", buffering=0)
    while _request_waits(parent):
        line = requests.readline()
        if not line:
            break
        print(json.dumps([bench.judge(question) for question in json.loads(line)]), file=replies, flush=True)


def _request_waits(parent: int) -> bool:
    """Wait for the next request; False once the process that started this worker is gone."""
    while True:
        if select.select([0], [], [], _PARENT_CHECK_SECONDS)[0]:
            return True
        if os.getppid() != parent:
            return False


def _judges() -> Judges:
    """The functions that answer each kind of question, with everything they need loaded and warm."""
    from lrbench.grading.algebra import prove
    from lrbench.grading.equality import paper_equal
    from lrbench.grading.exact import exact_equal
    from lrbench.grading.formulas import same_formula

    judges: Judges = {
        Kind.PAPER: lambda answer, gold: paper_equal(answer, gold, same_formula),
        Kind.EXACT: lambda answer, gold: exact_equal(answer, gold, prove),
    }
    for judge in judges.values():
        for answer, gold in _WARMING:
            judge(answer, gold)
    return judges


# The parsers grow faster with what they have seen, so they are shown the constructs of ordinary answers.
_WARMING = (
    ("2\\sqrt{3}+\\frac{1}{2}", "\\frac{1}{2}+\\sqrt{12}"),
    ("x^{2}-2x+1", "(x-1)^2"),
    ("\\sin(2x)", "\\cos(x)"),
    ("[0,\\frac{\\pi}{2})", "[0,\\frac{\\pi}{3})"),
    ("\\begin{pmatrix}1\\\\a\\end{pmatrix}", "(1,a)"),
    ("3.5\\times10^{7}", "3.6e7"),
    ("12\\mathrm{~m}", "12"),
    ("\\frac{dy}{dx}=x_{1}+y^{\\prime}", "y^{\\prime}-2x=0"),
    ("\\omega_{0}^{2}e^{-\\lambda t}\\ln(2)", "\\frac{\\pi}{\\sqrt[3]{7}}"),
    ("f(x)=|x-1|", "\\{1,2\\}"),
    ("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "(-\\infty,5)\\cup(7,\\infty)"),
)


class Fork:
    """A fork of the worker, which answers questions until one of them exceeds a limit."""

    def __init__(self, judges: Judges) -> None:
        requests, self._requests = os.pipe()
        self._reports, reports = os.pipe()
        self.asked = 0
        self._process = os.fork()
        if self._process == 0:
            os.close(self._requests)
            os.close(self._reports)
            _serve_in_fork(judges, requests, reports)
        os.close(requests)
        os.close(reports)

    def ask(self, question: list[str], seconds: float, longest_sleep: float) -> Outcome | None:
        """The outcome of a question that may take `seconds` of processor time; None where the fork ended."""
        self.asked += 1
        os.write(self._requests, json.dumps([seconds, question]).encode() + b"\n")
        asleep, used = 0.0, -1.0
        while not select.select([self._reports], [], [], _SECONDS_BETWEEN_LOOKS)[0]:
            sleeps, now_used = _state(self._process)
            asleep = asleep + _SECONDS_BETWEEN_LOOKS if sleeps and now_used == used else 0.0
            used = now_used
            if asleep >= longest_sleep:
                os.kill(self._process, signal.SIGPROF)
        report = os.read(self._reports, 1)
        return Outcome(report.decode()) if report else None

    def end(self) -> Outcome:
        """End the fork; what its end says about the question it did not answer."""
        os.close(self._requests)
        os.close(self._reports)
        _, status = os.waitpid(self._process, 0)
        ended_by_limit = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
        return Outcome.TIMED_OUT if ended_by_limit else Outcome.OUT_OF_MEMORY


def _state(process: int) -> tuple[bool, float]:
    """Whether a child sleeps, and the processor seconds it has used."""
    import psutil

    try:
        child = psutil.Process(process)
        times = child.cpu_times()
        return child.status() == psutil.STATUS_SLEEPING, times.user + times.system
    except psutil.Error:  # it has ended, which its pipe will say
        return False, 0.0


class Bench:
    """Keeps one fork at work and replaces it when it has ended or judged enough."""

    def __init__(self, judges: Judges, longest_sleep: float = SLEEPING_SECONDS) -> None:
        self._judges = judges
        self._longest_sleep = longest_sleep
        self._fork: Fork | None = None

    def judge(self, question: list[str]) -> Outcome:
        """The outcome of a question, which is asked again where processor time ran out."""
        outcome = self._judge_once(question, PROCESSOR_SECONDS)
        return (
            outcome
            if outcome is not Outcome.TIMED_OUT
            else self._judge_once(question, LAST_PROCESSOR_SECONDS)
        )

    def _judge_once(self, question: list[str], seconds: float) -> Outcome:
        fork = self._fork = self._fork or Fork(self._judges)
        outcome = fork.ask(question, seconds, self._longest_sleep)
        if outcome is None or fork.asked >= _QUESTIONS_PER_FORK:
            ending = fork.end()
            self._fork = None
            return outcome or ending
        return outcome


def _serve_in_fork(judges: Judges, requests: int, reports: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        sys.addaudithook(_forbid_effects)
        sys.setrecursionlimit(_RECURSION)
        with os.fdopen(requests, "rb") as lines:
            for line in lines:
                seconds, (kind, answer, gold) = json.loads(line)
                signal.setitimer(signal.ITIMER_PROF, seconds)
                outcome = _outcome(judges[kind], answer, gold)
                signal.setitimer(signal.ITIMER_PROF, 0)
                os.write(reports, outcome.encode())
    finally:
        os._exit(0)


def _forbid_effects(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse whatever could reach beyond the fork: sympy evaluates text, and no answer is trusted."""
    writes = event == "open" and len(arguments) > 1 and str(arguments[1] or "r").strip("rbt") != ""
    if writes or (event.startswith(_EFFECTS) and event not in _HARMLESS):
        raise PermissionError(f"grading: an answer tried to use {event}")


_EFFECTS = (
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "ctypes.",
    "pty.",
    "webbrowser.",
    "urllib.",
    "signal.",
)
_HARMLESS = frozenset({"os.listdir", "os.scandir"})


def _outcome(judge: Callable[[str, str], bool], answer: str, gold: str) -> Outcome:
    from sympy.core.cache import clear_cache
    from sympy.core.random import seed

    from lrbench.grading.algebra import formula

    formula.cache_clear()
    clear_cache()
    seed(0)
    try:
        return Outcome.YES if judge(answer, gold) else Outcome.NO
    except MemoryError:
        return Outcome.OUT_OF_MEMORY
    except Exception:  # an answer that the libraries choke on is not the right answer
        return Outcome.NO


if __name__ == "__main__":
    main()
