"""Workers on a Ray cluster: another way to start those of `lrbench.pipeline.workers`.

One actor a place, which is a GPU or, where the cluster has none, a CPU. Each plans the recipe for itself and
makes stages on the shared store, with the models that it has loaded. The run itself, the process that a user
has typed, makes none while one of them is at work: it records what they finish, and where all of them have
died goes on alone.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.errors import FieldError, LrbenchError, RunError, UserError, first_line
from lrbench.pipeline.environment import environment
from lrbench.pipeline.estimating.devices import visible_gpus
from lrbench.pipeline.failures import Cause
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.ray_cluster import Cluster, connected
from lrbench.pipeline.requirements import fetched_plan
from lrbench.pipeline.sharing import announced, check_locks, difference
from lrbench.pipeline.watching import place_of
from lrbench.pipeline.workers import settled
from lrbench.recipe.schema import Recipe
from lrbench.results.text import shown
from lrbench.store.store import Store

# A worker imports lrbench from a disk that may be slow, and may have to wait for a device.
SECONDS_TO_START = 120.0
# A machine may see a moment later what another one has written.
SECONDS_TO_SEE = 5.0
# What decides how the work is done, and is not in the recipe.
PASSED_ON = ("OMP_NUM_THREADS", "PYTHONPATH", "LRBENCH_DATA", "HF_HOME", "HF_HUB_OFFLINE")
LISTS_OF_FOLDERS = {"PYTHONPATH", "LRBENCH_DATA", "HF_HOME"}


class UnfitError(UserError):
    """A worker of the cluster cannot do the work as it would be done here; the message says where."""


@dataclass(frozen=True)
class Order:
    """What a worker is told: the run's folder with the note that it left there, and how things are there.

    It works on one `phase` of the recipe's plan; those before are made.
    """

    runs: Path
    note: Path
    folder: Path
    environment: dict[str, str]
    phase: int = 0


class RayWorker:
    """What an actor is: a process of the cluster that works on a recipe."""

    def check(self, order: Order) -> tuple[str, int]:
        """The name of this machine, and the process's number there.

        Raises `UnfitError` where the work would not be done as `order` says.
        """
        here = platform.node()
        if (found := difference(order.environment)) is not None:
            what, there, own = found
            raise UnfitError(
                f"a worker on {here} has {what} {own}, and this run has {there}: work that is shared has to "
                "be done alike. Install the same on all machines of the cluster"
            )
        end = time.monotonic() + SECONDS_TO_SEE
        while not order.note.exists():
            if time.monotonic() > end:
                raise UnfitError(
                    f"a worker on {here} does not see what is in {order.runs}: choose a folder with --runs "
                    "that all machines of the cluster share"
                )
            time.sleep(0.1)
        if not order.folder.is_dir():
            raise UnfitError(
                f"a worker on {here} does not see {order.folder}, which paths of the recipe start from: "
                "run lrbench in a folder that all machines of the cluster share"
            )
        check_locks(order.runs)
        return here, os.getpid()

    def work(self, order: Order, recipe: Recipe) -> dict[str, Cause]:
        """Make stages until nothing is left; what could not be made, by the key of the stage."""
        self.check(order)
        os.chdir(order.folder)
        store = Store(order.runs / "store")
        plan = fetched_plan(recipe, order.runs, store, settled=order.phase > 0)
        with announced(order.runs, recipe.name):
            return settled(plan, store, order.runs, Silent(), order.phase).failed


class RayWorkers:
    """The actors of a run, as it sees them. See `lrbench.pipeline.helpers`."""

    ended_early = ()

    def __init__(self, ray: Any, actors: list[Any], on_gpus: bool, say: Callable[[str], None]) -> None:
        self._ray = ray
        self._actors = actors
        self._say = say
        # What each that is dead would have removed.
        self._watched: list[Path] = []
        # The task of each actor that is under way, and the name of the actor's machine.
        self._at_work: dict[Any, str] = {}
        self._ended: list[str] = []
        self.failed: dict[str, Cause] = {}
        self.is_elsewhere = on_gpus and not visible_gpus()

    def start(self, order: Order, recipe: Recipe) -> None:
        """Have all of them work, once those that are there have been found to be fit.

        Raises `UnfitError` where one is not, and `RunError` where none is there in time.
        """
        found = self._fit(order)
        machines = {place: machine for place, (machine, _) in found.items()}
        self._watched = [
            place_of(order.runs, recipe.name, process, machine) for machine, process in found.values()
        ]
        for place, actor in enumerate(self._actors):
            self._at_work[actor.work.remote(order, recipe)] = machines.get(place, "another machine")
        late = len(self._actors) - len(machines)
        behind = f"; {late} more as soon as there is room for them" if late else ""
        self._say(f"workers on Ray: {_counted(list(machines.values()))}{behind}")

    def _fit(self, order: Order) -> dict[int, tuple[str, int]]:
        """Machine and process of the actors that have started in time, by the place of the actor."""
        asked = {actor.check.remote(order): place for place, actor in enumerate(self._actors)}
        found: dict[int, tuple[str, int]] = {}
        end = time.monotonic() + SECONDS_TO_START
        while asked and (left := end - time.monotonic()) > 0:
            ready, _ = self._ray.wait(list(asked), timeout=left)
            for task in ready:
                place = asked.pop(task)
                try:
                    found[place] = self._ray.get(task)
                except self._ray.exceptions.RayError as error:
                    ours = _as_ours(error)
                    if isinstance(ours, LostError):
                        ours = RunError(f"a worker on Ray cannot be started: {ours}")
                    raise ours from error
        if not found:
            raise RunError(
                f"no worker on Ray has started within {SECONDS_TO_START:.0f} s: all devices of the cluster "
                "may be in use (`ray status` tells)"
            )
        return found

    @property
    def takes_all(self) -> bool:
        """Whether one of them is at work. Raises what ended one that would end every one."""
        if not self._at_work:
            return False
        ended, _ = self._ray.wait(list(self._at_work), num_returns=len(self._at_work), timeout=0)
        for task in ended:
            self._end(task, self._at_work.pop(task))
        if not self._at_work and len(self._ended) == len(self._actors):
            self._all_ended()
        return bool(self._at_work)

    def _end(self, task: Any, machine: str) -> None:
        try:
            self.failed |= self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            ours = _as_ours(error)
            if isinstance(ours, LrbenchError) and not isinstance(ours, UnfitError | LostError):
                raise ours from error
            self._ended.append(str(ours))
            others = len(self._at_work)
            on = (
                f"{others} other{'s go' if others > 1 else ' goes'} on with its work"
                if others
                else "it was the last"
            )
            self._say(f"warning: a worker on {machine} ended early ({ours}); {on}")

    def _all_ended(self) -> None:
        if self.is_elsewhere:
            raise RunError(
                "every worker on Ray has ended early, and there is no GPU here to go on with. What they "
                f"finished is kept, and running again goes on from there. The last one: {self._ended[-1]}"
            )
        # Where the head of the cluster is lost, Ray ends this process a minute later, unless it is let go of.
        self._ray.shutdown()
        self._say("warning: every worker on Ray has ended early; this process goes on alone")

    def made(self, elsewhere: int) -> int:
        """How many stages they made: all that were not made here."""
        return elsewhere

    def stop(self) -> None:
        """End them, if they have not ended."""
        for actor in self._actors:
            with suppress(Exception):
                self._ray.kill(actor)
        for place in self._watched:
            with suppress(OSError):
                place.unlink(missing_ok=True)


class LostError(RunError):
    """A worker's process is gone, or what it raised is nothing of ours."""


@contextmanager
def working_on_ray(
    cluster: Cluster, recipe: Recipe, note: Path, waiting: int, phase: int, say: Callable[[str], None]
) -> Iterator[RayWorkers]:
    """Workers on `cluster` that make the stages of `recipe` while the block records them; they end with it.

    They are those of one `phase` of its plan.

    `note` is what this process has left in the runs folder. There are no more workers than can have one of
    the `waiting` parts of stages each. Raises `UserError` where the cluster, or one of its machines, does
    not allow the work, and `RunError` where none can be started.
    """
    runs = note.parent.parent.resolve()
    order = Order(runs, note.resolve(), Path.cwd(), environment(), phase)
    with connected(cluster, min(recipe.runtime.workers, waiting)) as ray:
        each, count, on_gpus = _places(ray, cluster, recipe)
        kind = ray.remote(**each, runtime_env={"env_vars": _passed_on()})(RayWorker)
        workers = RayWorkers(ray, [kind.remote() for _ in range(min(count, waiting))], on_gpus, say)
        try:
            workers.start(order, alone(recipe))
            yield workers
        finally:
            workers.stop()


def alone(recipe: Recipe) -> Recipe:
    """The recipe as one process of several works on it, each of which has devices of its own."""
    return recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"workers": 1})})


def _places(ray: Any, cluster: Cluster, recipe: Recipe) -> tuple[dict[str, int], int, bool]:
    """What each worker needs of the cluster, how many there are to be, and whether they work on GPUs.

    On GPUs there is one worker for every `runtime.devices` of a machine, unless `runtime.workers` says how
    many; on CPUs there are as many as that says. Raises `FieldError` where the cluster has no room for them.
    """
    runtime = recipe.runtime
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = [] if runtime.device == "cpu" else [int(found.get("GPU", 0)) for found in resources]
    if sum(gpus) == 0 and runtime.device == "cuda":
        raise FieldError(
            ("runtime", "device"), "cuda", f"found cuda, but {cluster} has no GPU; set it to auto or cpu"
        )
    on_gpus = sum(gpus) > 0
    size = runtime.devices if on_gpus else 1
    room = sum(
        count // size for count in (gpus if on_gpus else [int(found.get("CPU", 0)) for found in resources])
    )
    what = "GPU" if on_gpus else "CPU"
    has = f"{cluster} has room for {room}, at {size} {what}{'s' * (size > 1)} on one machine each"
    if room == 0:
        field = "workers" if not on_gpus else "processes" if runtime.processes == size else "tensor_parallel"
        raise FieldError(("runtime", field), getattr(runtime, field), f"{has}")
    is_said = not on_gpus or "workers" in runtime.model_fields_set
    if is_said and runtime.workers > room:
        raise FieldError(
            ("runtime", "workers"),
            runtime.workers,
            f"found {runtime.workers}, but {has}; set it to {room} or fewer",
        )
    each = {"num_gpus": size, "num_cpus": 0} if on_gpus else {"num_cpus": size}
    return each, runtime.workers if is_said else room, on_gpus


def _passed_on() -> dict[str, str]:
    """The variables that decide how a worker works, as they are here."""
    found = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    for name in LISTS_OF_FOLDERS & found.keys():
        folders = found[name].split(os.pathsep)
        found[name] = os.pathsep.join(str(Path(folder).absolute()) for folder in folders if folder)
    return found


def _as_ours(error: Any) -> Exception:
    """What ended a worker, as an error of ours with one line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, LrbenchError):
        return cause
    if isinstance(cause, Exception):
        return LostError(shown(repr(cause)))
    if type(error).__name__ == "ActorUnavailableError":
        return LostError("it cannot be reached any more")
    lines = [line.strip() for line in str(error).splitlines()]
    said = next((line for line in lines if line.startswith("The actor is dead because ")), None)
    if said is None:
        missing = next((line for line in lines if line.startswith("ModuleNotFoundError")), None)
        if missing is not None:
            return UnfitError(
                f"the workers cannot import lrbench ({missing}): install it alike on all machines of the "
                "cluster, where the Python of `ray start` finds it"
            )
        return LostError(shown(first_line(error)))
    return LostError(
        shown(said.removeprefix("The actor is dead because ").split(". ")[0].split(" Worker exit")[0])
    )


def _counted(machines: list[str]) -> str:
    return ", ".join(f"{machines.count(name)} on {name}" for name in dict.fromkeys(machines))
