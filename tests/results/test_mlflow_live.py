"""A training is seen in MLflow while it works, and becomes its arm's run, or ends as killed."""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.live import Live, trainings
from lrbench.results.mlflow.mirror import Mirroring, forget, mirror
from lrbench.results.mlflow.place import default_tracking_uri
from lrbench.results.run_status import FOLDER, STATUS, RunStatus, StageNow, now
from tests.results.mlflow_contents import contents_of

pytestmark = pytest.mark.usefixtures("empty_place", "quick_stores")

KEY = "b" * 64
PROCESS = 7
LABEL = "adapter of lightr (40 updates)"


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def status(done=2, **changes):
    """A process that has trained for ten seconds and done so many updates."""
    losses = tuple((unit, 1 / unit) for unit in range(1, done + 1))
    # Measured before the first update, and after the second one.
    curves = {"held_out_perplexity": ((0, 9.0), (2, 8.0)), "loss": losses}
    stage = StageNow(LABEL, 40, done, 10.0, None, "", curves, "train", KEY)
    values = {"state": "running", "seen_at": now(), "now": stage} | changes
    return replace(RunStatus("quickstart", "here", PROCESS, False, "running", now(), now(), 5, 1), **values)


def look(runs, live, *found):
    """Let it look while processes say so of themselves."""
    shutil.rmtree(runs / FOLDER, ignore_errors=True)
    (runs / FOLDER).mkdir(parents=True)
    for position, one in enumerate(found):
        (runs / FOLDER / f"{position}.json").write_bytes(STATUS.dump_json(one))
    live.due = 0.0
    live.look()


def client_of(runs):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=default_tracking_uri(runs))
    return client, client.get_experiment_by_name("lrbench").experiment_id


def run_of(runs, name):
    client, experiment = client_of(runs)
    (run,) = client.search_runs([experiment], f"attributes.run_name = '{name}'")
    return run


def test_points_lie_within_the_time_so_far_and_other_stages_and_silent_processes_are_none():
    (training,) = trainings([status(4)])
    perplexities, losses = training.curves
    seen = losses[-1].moment
    assert {point.name for point in losses} == {"training/loss"}
    assert [(point.step, point.value) for point in losses] == [(0, 1.0), (1, 1 / 2), (2, 1 / 3), (3, 1 / 4)]
    assert [point.moment - seen for point in losses] == [-7500, -5000, -2500, 0]
    # Counted in updates done, as the arm's own curve.
    assert [(point.step, point.moment - seen) for point in perplexities] == [(0, -10_000), (2, -5000)]
    assert training.begin == seen - 10_000
    other = replace(status().now, stage="rollouts")
    gone = now() - timedelta(hours=1)
    assert not [
        *trainings([status(now=other), status(now=None), status(seen_at=gone), status(state="failed")])
    ]


@pytest.mark.slow
def test_a_training_at_work_grows_becomes_its_arm_and_equals_a_rebuilt_one(
    tmp_path, arm_record, score_record
):
    runs = tmp_path / "runs"
    mirroring = Mirroring(runs, default_tracking_uri(runs))
    live = Live(runs, mirroring)
    look(runs, live)
    assert not (runs / "mlflow.db").exists()
    for done in (2, 5, 5):
        look(runs, live, status(done))
    client, _ = client_of(runs)
    run = run_of(runs, LABEL)
    history = client.get_metric_history(run.info.run_id, "training/loss")
    history = sorted((point.step, point.timestamp) for point in history)
    assert [step for step, _ in history] == [0, 1, 2, 3, 4]
    perplexities = client.get_metric_history(run.info.run_id, "training/held_out_perplexity")
    assert [(point.step, point.value) for point in perplexities] == [(0, 9.0), (2, 8.0)]
    moments = [run.info.start_time, *(moment for _, moment in history)]
    assert moments == sorted(moments)
    assert (run.info.status, run_of(runs, "quickstart").info.status) == ("RUNNING", "RUNNING")
    # Another arm is recorded while this one, trained by now, is measured.
    look(runs, live, status(now=None))
    ledger = Ledger(runs / "ledger")
    ledger.append([arm_record("base", stages={}), score_record(arm="base")])
    mirroring.bring_up_to_date()
    assert client.get_run(run.info.run_id).info.status == "RUNNING"

    arm = arm_record(curves={"loss": [(update, 2.0) for update in range(40)]}, stages={"train": KEY})
    ledger.append([arm, score_record()])
    mirroring.bring_up_to_date()
    live.end(PROCESS)
    assert client.get_run(run.info.run_id).info.run_name == "lightr seed 0"
    shutil.copytree(runs / "ledger", tmp_path / "again" / "ledger")
    mirror(tmp_path / "again")
    found = contents_of(default_tracking_uri(runs))
    assert found == contents_of(default_tracking_uri(tmp_path / "again"))
    assert {one["status"] for one in found} == {"FINISHED"}


@pytest.mark.slow
def test_a_killed_training_ends_as_killed_and_the_next_attempt_goes_on_with_it(tmp_path):
    live = Live(tmp_path, Mirroring(tmp_path, default_tracking_uri(tmp_path)))
    # Another process is at work on the recipe; one of this machine says so and is no more.
    gone = status(2, process=2**22 + 1, machine=platform.node(), now=None)
    look(tmp_path, live, status(2), status(2, process=8, now=None), gone)
    live.end(PROCESS)
    assert run_of(tmp_path, LABEL).info.status == "RUNNING"
    look(tmp_path, live, status(2), gone)
    live.end(PROCESS)
    assert {run_of(tmp_path, one).info.status for one in (LABEL, "quickstart")} == {"KILLED"}
    look(tmp_path, live, status(3))
    run = run_of(tmp_path, LABEL)
    assert run.info.status == "RUNNING"
    assert run.data.metrics == {"training/loss": 1 / 3, "training/held_out_perplexity": 8.0}
    assert (forget(tmp_path, (), {"another"}), forget(tmp_path, (), {"quickstart"})) == (0, 2)


def test_a_store_that_cannot_be_used_is_let_be_for_a_while(tmp_path):
    (tmp_path / "mlflow.db").mkdir()
    live = Live(tmp_path, Mirroring(tmp_path, default_tracking_uri(tmp_path)))
    look(tmp_path, live, status())
    due = live.due
    live.look()
    live.end(PROCESS)
    assert live.due == due
