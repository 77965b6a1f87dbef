from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from lrbench.grading import Reason, Verdict, grade
from lrbench.grading.pool import WorkerPool
from lrbench.grading.worker import Kind, Outcome

HOSTILE = {
    "tower": "9^{9^{9^9}}",
    "factorials": "((((9!)!)!)!)!",
    "braces": "{" * 100_000,
    "parentheses": "(" * 2500 + "1" + ")" * 2500,
    "fractions": "\\frac{1}{" * 400 + "2" + "}" * 400,
    "digits": "1" * 9000,
    "power": "(x+y+z+1)^{10000}",
    "memory": "2^{2^{40}}",
    "python": "[0]*10**10",
}


@pytest.fixture(scope="module")
def pool() -> WorkerPool:
    pool = WorkerPool(1)
    pool.ask([(Kind.EXACT, "x+1", "1+x")])
    return pool


@pytest.mark.slow
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_wrong_and_ends(answer: str) -> None:
    grade(benchmark="math", completion="\\boxed{x+1}", gold="1+x+y")
    began = os.times()
    verdict = grade(benchmark="math", completion=f"\\boxed{{{answer}}}", gold="x^2+1")
    ended = os.times()
    assert ended.user + ended.system - began.user - began.system < 3
    assert not verdict.correct
    assert not verdict.exact


def test_a_question_that_takes_too_long_times_out_and_the_next_one_is_answered(pool: WorkerPool) -> None:
    tower, simple = (Kind.PAPER, "9^{9^{9^9}}", "5x"), (Kind.EXACT, "2x", "x+x")
    assert pool.ask([tower, simple]) == [Outcome.TIMED_OUT, Outcome.YES]
    assert pool.ask([simple]) == [Outcome.YES]


def bench(body: str) -> list[str]:
    """What a program prints that asks a bench: `busy` and `pause` are at its disposal."""
    program = (
        "import os, signal, threading, time\n"
        "import psutil\n"
        "from lrbench.grading import algebra, worker\n"
        "worker.PROCESSOR_SECONDS, worker.LAST_PROCESSOR_SECONDS = 0.3, 0.8\n"
        "def busy(seconds):\n"
        "    began = time.process_time()\n"
        "    while time.process_time() - began < seconds: pass\n"
        "    return True\n"
        "def pause(seconds):\n"
        "    while not psutil.Process().children(): pass\n"
        "    fork = psutil.Process().children()[0]\n"
        "    fork.suspend(); time.sleep(seconds); fork.resume()\n" + body
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def test_a_fork_that_sleeps_for_ever_is_ended() -> None:
    body = (
        "judge = lambda answer, gold: answer == gold or time.sleep(1000)\n"
        "bench = worker.Bench({'exact': judge}, longest_sleep=0.5)\n"
        "print(bench.judge(['exact', '1', '2']), bench.judge(['exact', '1', '1']))"
    )
    assert bench(body) == ["t", "y"]


def test_a_fork_that_gets_no_processor_for_long_is_waited_for() -> None:
    body = (
        "bench = worker.Bench({'exact': lambda answer, gold: busy(0.2)}, longest_sleep=0.5)\n"
        "threading.Thread(target=pause, args=(3.5,)).start()\n"
        "print(bench.judge(['exact', '1', '2']))"
    )
    assert bench(body) == ["y"]


def test_a_question_is_asked_once_more_with_more_time_before_it_times_out() -> None:
    body = (
        "bench = worker.Bench({'exact': lambda answer, gold: busy(float(answer))})\n"
        "print(bench.judge(['exact', '0.6', '']), bench.judge(['exact', '2', '']))"
    )
    assert bench(body) == ["y", "t"]


def test_a_stopped_worker_gives_the_verdict_it_would_have_given(pool: WorkerPool) -> None:
    """On the clock, the seconds in which nothing ran were the answer's own."""
    worker = psutil.Process(pool.process_ids()[0])
    found: list[Outcome] = []
    slow = (Kind.PAPER, "y^{\\prime}+ry-rx(t)=0+1", "y^{\\prime}+ry-rx(t)=0")
    asking = threading.Thread(target=lambda: found.extend(pool.ask([slow, (Kind.EXACT, "2x", "x+x")])))
    asking.start()
    time.sleep(0.1)
    family = [worker, *worker.children()]
    for process in family:
        process.suspend()
    time.sleep(3)
    for process in family:
        process.resume()
    asking.join(timeout=60)
    assert found == [Outcome.NO, Outcome.YES]


@pytest.mark.parametrize(
    "attack",
    [
        '__import__("os").system("touch {path}")',
        'open("{path}","w")',
        "().__class__.__bases__[0].__subclasses__()",
        'exec("open(chr(97),chr(119))")',
    ],
)
def test_what_an_answer_says_is_never_run(attack: str, tmp_path: Path, pool: WorkerPool) -> None:
    path = tmp_path / "touched"
    answer = attack.replace("{path}", str(path))
    outcomes = pool.ask([(Kind.PAPER, answer, "x+1"), (Kind.EXACT, answer, "x+1")])
    assert Outcome.YES not in outcomes
    assert not path.exists()


def test_a_worker_that_was_killed_is_replaced(pool: WorkerPool) -> None:
    os.kill(pool.process_ids()[0], signal.SIGKILL)
    assert pool.ask([(Kind.PAPER, "x+1", "1+x")]) == [Outcome.YES]


def test_a_verdict_does_not_depend_on_what_was_graded_before() -> None:
    items = [
        ("{M}=\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"),
        ("M+1", "1+M"),
        ("\\mathbf{M} = 3", "M"),
        ("i=5", "i+1"),
        ("x=2", "x+2"),
        ("2i+1", "1+2i"),
        ("4+x", "x+4"),
        ("\\sqrt{8}", "2\\sqrt{2}"),
    ]

    def judged(order: list[int]) -> dict[int, Verdict]:
        return {
            n: grade(benchmark="math", completion=f"\\boxed{{{items[n][0]}}}", gold=items[n][1])
            for n in order
        }

    order = list(range(len(items)))
    first = judged(order)
    for seed in range(3):
        random.Random(seed).shuffle(order)
        assert judged(order) == first


def test_threads_get_the_verdicts_a_single_thread_gets() -> None:
    golds = [f"{n}+x" for n in range(8)]
    expected = [
        grade(benchmark="math", completion=f"\\boxed{{x+{n % 4}}}", gold=gold) for n, gold in enumerate(golds)
    ]
    found: dict[int, Verdict] = {}

    def judge(n: int) -> None:
        found[n] = grade(benchmark="math", completion=f"\\boxed{{x+{n % 4}}}", gold=golds[n])

    threads = [threading.Thread(target=judge, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(8)] == expected


def test_no_process_outlives_a_killed_parent() -> None:
    program = (
        "from lrbench.grading import grade\n"
        "from lrbench.grading.pool import shared_pool\n"
        "grade(benchmark='math', completion='\\\\boxed{x+1}', gold='1+x+y')\n"
        "print(*shared_pool(1).process_ids(), flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    family = [worker, *worker.children(recursive=True)]
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_a_worker_does_not_load_torch(pool: WorkerPool) -> None:
    mapped = {Path(area.path).name for area in psutil.Process(pool.process_ids()[0]).memory_maps()}
    assert not any("torch" in name for name in mapped)


def test_running_out_of_time_is_the_reason_given() -> None:
    verdict = grade(benchmark="math", completion="\\boxed{9^{9^{9^9}}}", gold="x^2")
    assert verdict.reason is Reason.TIMED_OUT
