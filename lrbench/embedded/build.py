"""Make the embedded world from nothing: problem sets, tokenizer, all models and their cards.

`python -m lrbench.embedded.build` trains the models side by side, one process and one thread each. The
result is laid down beside the present files and renamed into place at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from filelock import FileLock

from lrbench.embedded import assets
from lrbench.embedded.plans import PLANS, PretrainingPlan
from lrbench.errors import InterruptedRunError, LrbenchError, RunError, StoreError

PARTS = ("models", "problems")
CHECKSUMS = "checksums.json"
UNFINISHED = ".build-"


def build(output: Path, force: bool = False, plans: Sequence[PretrainingPlan] = PLANS) -> bool:
    """Build everything into `output` and return True, or return False when it is already there.

    Args:
        output: folder that gets `models/`, `problems/` and `checksums.json`.
        force: build even though the files there match their checksums.
        plans: the models to train.

    Raises:
        StoreError: the folder cannot be written. What was there before is still there.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / ".build.lock"):
            _recover(output)
            if not force and is_complete(output):
                return False
            with tempfile.TemporaryDirectory(dir=output, prefix=UNFINISHED) as temporary:
                fresh = Path(temporary)
                _make(fresh, plans)
                for part in PARTS:
                    _swap(fresh / part, output / part)
                (fresh / CHECKSUMS).replace(output / CHECKSUMS)
    except OSError as error:
        raise StoreError(
            f"cannot write the embedded world to {output}: {error.strerror or error}; "
            "free space or give another folder with --output"
        ) from error
    return True


def is_complete(output: Path) -> bool:
    """Whether every file that `checksums.json` lists is there with the bytes it had when built."""
    try:
        recorded = json.loads((output / CHECKSUMS).read_text())
        return bool(recorded == checksums(output))
    except (OSError, ValueError):
        return False


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every built file by its path below `folder`."""
    files = sorted(file for part in PARTS for file in (folder / part).rglob("*") if file.is_file())
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


def _make(folder: Path, plans: Sequence[PretrainingPlan]) -> None:
    from lrbench.embedded.problem_sets import write_problem_sets

    for part in PARTS:
        (folder / part).mkdir()
    write_problem_sets(folder / "problems")
    print("problem sets written", flush=True)
    _train_side_by_side(plans, folder / "models")
    (folder / CHECKSUMS).write_text(json.dumps(checksums(folder), indent=2) + "\n")


def _train_side_by_side(plans: Sequence[PretrainingPlan], folder: Path) -> None:
    """Train every model in a process of its own, as many at a time as there are cores, the longest first."""
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_make_model, args=(plan, folder / plan.name), name=plan.name)
        for plan in sorted(plans, key=lambda plan: plan.work, reverse=True)
    ]
    waiting = list(processes)
    running: list[SpawnProcess] = []
    try:
        while waiting or running:
            while waiting and len(running) < len(os.sched_getaffinity(0)):
                running.append(waiting.pop(0))
                running[-1].start()
            wait([process.sentinel for process in running])
            running = [process for process in running if process.is_alive()]
    finally:
        for process in running:
            process.terminate()
            process.join()
    unfinished = [process.name for process in processes if process.exitcode]
    if unfinished:
        raise RunError(
            f"training of {', '.join(unfinished)} ended early; where no reason stands above, the system most "
            "likely ran out of memory. The files that were there before are unchanged; build again"
        )


def _make_model(plan: PretrainingPlan, folder: Path) -> None:
    """Train one model and save it with tokenizer and card; runs in a process of its own."""
    # Ctrl-C reaches every process of a terminal; the parent answers it for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch
    from transformers.utils import logging

    from lrbench.embedded.corpus import documents
    from lrbench.embedded.model_card import model_card
    from lrbench.embedded.pretrain import BATCH_SIZE, new_model, pretrain
    from lrbench.embedded.tokenizer import document_ids, train_tokenizer

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    tokenizer = train_tokenizer(
        (
            text
            for document in documents(plan.tokenizer.text)
            for text in (f"user\n{document.prompt}", f"assistant\n{document.answer}")
        ),
        plan.tokenizer.tokens,
    )
    encoded = document_ids(tokenizer, [(text.prompt, text.answer) for text in documents(plan.text)])
    tokens = sum(len(prompt) + len(answer) for prompt, answer in encoded)
    model = new_model(plan, tokenizer)
    losses = pretrain(model, plan, encoded, lambda line: print(line, flush=True))
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Decoding is the caller's business; a file of defaults would only hide it.
    (folder / "generation_config.json").unlink()
    card = model_card(plan, model.num_parameters(), tokens, len(losses), BATCH_SIZE)
    (folder / "README.md").write_text(card)
    for file in folder.iterdir():
        file.chmod(0o644)


def _swap(fresh: Path, present: Path) -> None:
    previous = _previous(present)
    if present.exists():
        present.rename(previous)
    fresh.rename(present)
    shutil.rmtree(previous, ignore_errors=True)


def _recover(output: Path) -> None:
    """Bring back what a build killed between its two renames had set aside, and sweep up after it."""
    for unfinished in output.glob(f"{UNFINISHED}*"):
        shutil.rmtree(unfinished)
    for part in PARTS:
        present, previous = output / part, _previous(output / part)
        if previous.exists() and not present.exists():
            previous.rename(present)
        shutil.rmtree(previous, ignore_errors=True)


def _previous(present: Path) -> Path:
    return present.with_name(f".{present.name}-previous")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lrbench.embedded.build", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=assets.ROOT, help="folder to build into (default: the package)"
    )
    parser.add_argument("--force", action="store_true", help="build even when nothing is missing or changed")
    given = parser.parse_args(arguments)
    try:
        built = build(given.output, given.force)
    except KeyboardInterrupt:
        stopped = InterruptedRunError("stopped; the files that were there before are unchanged")
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    except LrbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"built {given.output}" if built else f"{given.output} is complete; --force builds it anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
