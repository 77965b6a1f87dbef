"""Workers on a Ray cluster: the bytes of a run alone, whoever of them is killed, and what stops them at once.

The cluster is two nodes of one CPU each on this machine, started as a user would, and shared by the tests.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from experiments.faults.nodes import Nodes, actors, free_port, two_nodes
from lrbench.errors import FieldError, RunError, UserError
from lrbench.pipeline import ray_cluster, ray_workers
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.ray_cluster import Cluster, cluster_of
from lrbench.pipeline.ray_workers import Order, RayWorker, RayWorkers
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.sharing import announced
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.schema import Recipe
from lrbench.results.run_status import statuses
from tests.commands import Command, started
from tests.pipeline.test_workers import contents, recorded, until, with_workers

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed; `make environment` installs it"
)


# How many artifacts were finished when the worker that was left is killed too.
AFTER_THE_NODE = 4


class Watching(Silent):
    """Keeps what is said, and does something whenever an artifact is finished elsewhere."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.then = then
        self.said: list[str] = []
        self.elsewhere = 0

    def end(self, label: str, seconds: float, note: str = "") -> None:
        if note == "another process":
            self.elsewhere += 1
            self.then()

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return with_workers(make_recipe(), 2)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setattr(ray_cluster, "SECONDS_TO_ANSWER", 100.0)
        with two_nodes() as found:
            yield found


def test_where_to_work_is_said_by_name_and_address() -> None:
    assert cluster_of("ray") == Cluster(None)
    assert cluster_of("ray=10.0.0.1:6379") == Cluster("10.0.0.1:6379")
    assert cluster_of("ray=auto") == Cluster("auto")


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("Rya", "--on: nothing is known as 'Rya'; did you mean `ray`?; known: ray, ray=ADDRESS"),
        ("slurm", "--on: nothing is known as 'slurm'; known: ray, ray=ADDRESS"),
        ("ray=", "--on: '' is no address of a Ray cluster; give HOST:PORT"),
        ("ray=ray://10.0.0.1:10001", "is no address of a Ray cluster; give HOST:PORT"),
    ],
)
def test_what_is_no_place_to_work_is_refused(recipe: Recipe, tmp_path: Path, on: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        run_recipe(recipe, tmp_path / "runs", on=on)
    assert message in str(refused.value)
    assert not (tmp_path / "runs").exists()


def test_without_ray_it_is_said_how_to_install_it(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(name: str) -> str:
        raise ray_cluster.PackageNotFoundError(name)

    monkeypatch.setattr(ray_cluster, "version", nowhere)
    with pytest.raises(UserError, match=r"Ray is not installed here; .* `pip install 'lrbench\[ray\]'`"):
        run_recipe(recipe, tmp_path, on="ray")


def test_a_dead_address_is_told_at_once(recipe: Recipe, tmp_path: Path) -> None:
    address = f"127.0.0.2:{free_port()}"
    with pytest.raises(UserError, match=rf"no Ray cluster answers at {address} \(Connection refused\)"):
        run_recipe(recipe, tmp_path, on=f"ray={address}")


def test_a_folder_for_sockets_has_a_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 10)))
    folder = ray_cluster._scratch()
    assert folder.parent == Path("/tmp")
    folder.rmdir()


def test_what_listens_and_is_no_cluster_is_told_soon(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "SECONDS_TO_ANSWER", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.2", 0))
        silent.listen()
        address = f"127.0.0.2:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match="something listens there, and does not answer within 1 s"):
            run_recipe(recipe, tmp_path, on=f"ray={address}")


@pytest.fixture
def order(recipe: Recipe, tmp_path: Path) -> Iterator[Order]:
    """What a worker on the machine of the run is told."""
    with announced(tmp_path / "runs", recipe.name) as note:
        yield Order(tmp_path / "runs", note, tmp_path, ray_workers.environment())


def changed(order: Order, **fields: Any) -> Order:
    return Order(**{name: getattr(order, name) for name in Order.__dataclass_fields__} | fields)


@pytest.mark.parametrize("what", ["lrbench", "torch", "transformers", "commit"])
def test_a_worker_with_another_version_is_unfit(order: Order, what: str) -> None:
    other = order.environment | {what: "0.0.1"}
    with pytest.raises(
        UserError, match=rf"has {what} \S+, and this run has 0\.0\.1: work that is shared has"
    ):
        RayWorker().check(changed(order, environment=other))


def test_a_worker_that_does_not_see_the_store_is_unfit(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "SECONDS_TO_SEE", 0.2)
    RayWorker().check(order)
    elsewhere = tmp_path / "elsewhere" / "note.json"
    with pytest.raises(
        UserError, match=r"does not see what is in .*runs: choose a folder with --runs that all"
    ):
        RayWorker().check(changed(order, note=elsewhere))
    with pytest.raises(UserError, match=r"does not see .*nowhere, which paths of the recipe start from"):
        RayWorker().check(changed(order, folder=tmp_path / "nowhere"))


class Room:
    """A cluster as Ray tells of it."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self._nodes = nodes

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": resources} for resources in self._nodes]


def at(recipe: Recipe, **runtime: Any) -> Recipe:
    return recipe.model_copy(update={"runtime": recipe.runtime.__class__(**runtime)})


def test_there_is_a_worker_for_every_gpu_or_as_many_as_are_asked_for(recipe: Recipe) -> None:
    here = Cluster("10.0.0.1:6379")
    gpus = Room({"CPU": 64.0, "GPU": 8.0}, {"CPU": 64.0, "GPU": 4.0}, {"CPU": 8.0})
    cpus = Room({"CPU": 2.0}, {"CPU": 1.0})
    places = ray_workers._places
    assert places(gpus, here, at(recipe)) == ({"num_gpus": 1, "num_cpus": 0}, 12, True)
    assert places(gpus, here, at(recipe, processes=8)) == ({"num_gpus": 8, "num_cpus": 0}, 1, True)
    assert places(gpus, here, at(recipe, workers=3)) == ({"num_gpus": 1, "num_cpus": 0}, 3, True)
    assert places(gpus, here, at(recipe, device="cpu", workers=4)) == ({"num_cpus": 1}, 4, False)
    assert places(cpus, here, at(recipe, workers=3)) == ({"num_cpus": 1}, 3, False)
    with pytest.raises(
        FieldError, match=r"workers: found 4, but the Ray cluster at 10\.0\.0\.1:6379 has room for 3"
    ):
        places(cpus, here, at(recipe, workers=4))
    with pytest.raises(
        FieldError, match=r"workers: found 13, but .* has room for 12, at 1 GPU on one machine"
    ):
        places(gpus, here, at(recipe, workers=13))
    with pytest.raises(FieldError, match=r"processes: .* has room for 0, at 9 GPUs on one machine each"):
        places(gpus, here, at(recipe, processes=9))
    with pytest.raises(FieldError, match=r"device: found cuda, but .* has no GPU; set it to auto or cpu"):
        places(cpus, here, at(recipe, device="cuda"))


class Lost(Room):
    """A cluster whose workers cannot be reached any more."""

    def __init__(self) -> None:
        super().__init__()
        self.exceptions = importlib.import_module("ray").exceptions
        self.is_left = False

    def wait(self, tasks: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        return tasks, []

    def get(self, task: Any) -> None:
        raise self.exceptions.ActorUnavailableError("Socket closed", None)

    def shutdown(self) -> None:
        self.is_left = True


@pytest.mark.parametrize("on_gpus", [False, True])
def test_where_all_are_lost_a_run_lets_go_of_ray_and_goes_on_unless_it_cannot_do_the_work(
    on_gpus: bool,
) -> None:
    said: list[str] = []
    ray = Lost()
    workers = RayWorkers(ray, [object(), object()], on_gpus, said.append)
    workers._at_work = {"first": "one", "second": "two"}
    if on_gpus:
        with pytest.raises(
            RunError, match=r"no GPU here to go on with\. What .* it cannot be reached any more"
        ):
            _ = workers.takes_all
        return
    assert not workers.takes_all
    assert ray.is_left
    assert said == [
        "warning: a worker on one ended early (it cannot be reached any more); 1 other goes on with its work",
        "warning: a worker on two ended early (it cannot be reached any more); it was the last",
        "warning: every worker on Ray has ended early; this process goes on alone",
    ]


@pytest.mark.slow
def test_a_cluster_of_two_nodes_makes_the_bytes_and_records_of_one_process(
    recipe: Recipe, runs: Path, tmp_path: Path, nodes: Nodes, capfd: pytest.CaptureFixture[str]
) -> None:
    watching = Watching()
    report = run_recipe(recipe, tmp_path, watching, on=f"ray={nodes.address}")
    stages = plan_recipe(recipe, tmp_path).stages
    assert not report.failures, [failure.details for failure in report.failures]
    assert (report.worked, report.cached) == (len(stages), 0)
    assert watching.elsewhere == len(stages)
    assert [line for line in watching.said if "Ray" in line] == [
        f"workers on Ray: 2 on {os.uname().nodename}"
    ]
    assert capfd.readouterr() == ("", "")
    assert contents(recipe, tmp_path) == contents(recipe, runs)
    assert recorded(tmp_path) == recorded(runs)
    # A worker that is ended may have written its own a last time.
    (status,) = [found for found in statuses(tmp_path) if not found.worker]
    assert (status.state, status.finished) == ("finished", len(stages))
    again = run_recipe(recipe, tmp_path, on=f"ray={nodes.address}")
    assert (again.worked, again.cached) == (0, len(stages))


# A machine with other work answers late.
PATIENT = """
from lrbench.cli import main
from lrbench.pipeline import ray_cluster
ray_cluster.SECONDS_TO_ANSWER = 100.0
main()
"""


def has_made(runs: Path, command: Command) -> list[Path]:
    """The artifacts that a command has made, which goes on."""
    assert command.process.is_alive(), command.end()
    return list(runs.glob("store/*/*/manifest.json"))


def are_gone(processes: list[int]) -> bool:
    return not any(Path(f"/proc/{process}").exists() for process in processes)


@pytest.mark.slow
def test_what_is_wrong_with_the_recipe_for_all_is_raised_as_it_is_alone(
    make_recipe: Callable[..., Recipe], tmp_path: Path, nodes: Nodes
) -> None:
    recipe = make_recipe(arms=["lightr"], divergence={"beta": 500.0})
    report = run_recipe(recipe, tmp_path, on=f"ray={nodes.address}")
    alone = run_recipe(recipe, tmp_path / "alone")
    assert alone.failures
    assert [str(failure) for failure in report.failures] == [str(failure) for failure in alone.failures]


@pytest.mark.slow
def test_a_run_that_is_killed_takes_its_workers_along_and_goes_on_when_typed_again(
    recipe: Recipe, runs: Path, tmp_path: Path, nodes: Nodes
) -> None:
    path, shared = tmp_path / "tiny.yaml", tmp_path / "shared"
    # One that is left behind would be found as well as two.
    recipe = with_workers(recipe, 1)
    path.write_text(resolved_yaml(recipe))
    words = ["run", path, "--runs", shared, "--on", f"ray={nodes.address}"]
    with started(*words, code=PATIENT, LRBENCH_MLFLOW="off") as command:
        until(lambda: has_made(shared, command))
        at_work = nodes.actors
        command.process.kill()
        command.process.join()
    assert at_work
    until(lambda: are_gone(at_work))
    report = run_recipe(recipe, shared, on=f"ray={nodes.address}")
    assert report.cached
    assert contents(recipe, shared) == contents(recipe, runs)
    assert recorded(shared) == recorded(runs)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder of a short name, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_an_interruption_ends_workers_and_the_cluster_that_was_started_for_them(
    recipe: Recipe, tmp_path: Path, scratch: Path
) -> None:
    path, shared, place = tmp_path / "tiny.yaml", tmp_path / "shared", scratch
    data = recipe.data.model_copy(update={"problems": 400})
    path.write_text(resolved_yaml(with_workers(recipe, 1).model_copy(update={"data": data})))
    words = ["run", path, "--runs", shared, "--on", "ray"]
    with started(*words, code=PATIENT, LRBENCH_MLFLOW="off", TMPDIR=str(place)) as command:
        until(lambda: has_made(shared, command))
        assert command.process.pid is not None
        assert list(place.glob("lrbench-ray-*"))
        at_work = actors(command.process.pid)
        # The one of the two that Ray would take for itself.
        os.kill(command.process.pid, signal.SIGTERM)
        ended = command.end()
    assert ended.returncode == 130, ended.stderr
    assert "Stopped. Everything finished is kept in" in ended.stderr
    assert "--on ray" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert at_work
    until(lambda: are_gone(at_work))
    assert not list(place.glob("lrbench-ray-*"))


@pytest.mark.slow
def test_a_cluster_of_another_version_is_told_before_any_work(
    recipe: Recipe, tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray._private.utils.compute_version_info", lambda: ("2.59.0", "3.11.7"))
    with pytest.raises(UserError, match=r"127\.0\.0\.2:\d+ is of another version: .*2\.60\.0.*2\.59\.0"):
        run_recipe(recipe, tmp_path, on=f"ray={nodes.address}")
    assert not list((tmp_path / "store").glob("*/*/manifest.json"))


@pytest.mark.slow
def test_more_workers_than_the_cluster_has_room_for_are_refused_before_any_work(
    recipe: Recipe, tmp_path: Path, nodes: Nodes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FieldError, match=r"runtime\.workers: found 5, but .* has room for 2"):
        run_recipe(with_workers(recipe, 5), tmp_path, on=f"ray={nodes.address}")
    assert not list((tmp_path / "store").glob("*/*/manifest.json"))
    assert capfd.readouterr() == ("", "")


# The last of all: after it the cluster has one node.
@pytest.mark.slow
def test_a_node_that_is_lost_then_the_other_worker_too_are_told_of_and_the_run_goes_on_alone(
    recipe: Recipe, runs: Path, tmp_path: Path, nodes: Nodes, capfd: pytest.CaptureFixture[str]
) -> None:
    def lose() -> None:
        if watching.elsewhere == 1:
            nodes.end(nodes.processes[-1])
            # The worker of the head, which goes on with the other's work.
            (left,) = nodes.actors
            at_work.append(left)
        elif watching.elsewhere == AFTER_THE_NODE:
            printed.append(capfd.readouterr())
            os.kill(at_work[0], signal.SIGKILL)

    at_work: list[int] = []
    printed: list[tuple[str, str]] = []
    watching = Watching(lose)
    assert not run_recipe(recipe, tmp_path, watching, on=f"ray={nodes.address}").failures
    # That a node is lost may be known later than that a process is.
    first, second, alone = [line for line in watching.said if line.startswith("warning")]
    assert "1 other goes on with its work" in first
    assert "it was the last" in second
    assert "ended early (its worker process has died)" in first + second
    assert alone == "warning: every worker on Ray has ended early; this process goes on alone"
    assert printed == [("", "")]
    assert contents(recipe, tmp_path) == contents(recipe, runs)
    assert recorded(tmp_path) == recorded(runs)
