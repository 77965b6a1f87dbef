"""MLflow shows what the ledger holds, can be lost and rebuilt, and never stops a run."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from contextlib import closing

import pytest

from lrbench.errors import LrbenchError, RunError
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow import mirror as mlflow_mirror
from lrbench.results.mlflow.mirror import Mirroring, forget, mirror
from lrbench.results.mlflow.place import DIGEST, default_tracking_uri, is_mirrored
from tests.commands import said_by
from tests.results.mlflow_contents import contents_of

pytestmark = pytest.mark.usefixtures("empty_place", "quick_stores")

CURVE = [(update, 1 / (update + 1)) for update in range(1200)]
STATISTICS = {"divergence": {"mean_kl": 0.3, "kl_histogram": {"edges": [0, 0.1, 1], "counts": [9, 2]}}}

# Rebuilding in a process of its own, as `lrbench rebuild` does: this one may hold the deleted file.
REBUILD = """
import json, sys
from pathlib import Path
from tests.results.mlflow_contents import contents_of
from lrbench.results.mlflow.mirror import mirror
from lrbench.results.mlflow.place import default_tracking_uri
report = mirror(Path(sys.argv[1]))
print("REPORT", json.dumps([report.added, report.renewed, report.unchanged]))
print("CONTENT", json.dumps(contents_of(default_tracking_uri(Path(sys.argv[1])))))
"""


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory, arm_record, score_records):
    """A runs folder with two arms in the ledger, mirrored once."""
    runs = tmp_path_factory.mktemp("runs")
    for arm in ("base", "lightr"):
        trained = arm != "base"
        record = arm_record(
            arm, curves={"loss": CURVE} if trained else {}, statistics=STATISTICS if trained else {}
        )
        Ledger(runs / "ledger").append([record, *score_records({"chain": 50, "vary": 60}, arm=arm)])
    report = mirror(runs)
    return runs, report


@pytest.mark.slow
def test_a_first_mirroring_adds_every_arm_under_its_recipe(mirrored):
    runs, report = mirrored
    assert (report.added, report.renewed, report.unchanged) == (2, 0, 0)
    contents = contents_of(default_tracking_uri(runs))
    assert [(run["name"], run["parent"]) for run in contents] == [
        ("base seed 0", "quickstart"),
        ("lightr seed 0", "quickstart"),
        ("quickstart", None),
    ]
    assert {run["status"] for run in contents} == {"FINISHED"}
    base, lightr, recipe = contents
    assert [run["end"] for run in contents] == [1795169100000] * 3
    assert base["start"] > lightr["start"] == recipe["start"] == 1795168743250
    moments = [moment for *_, moment in lightr["metrics"]["training/loss"]]
    assert lightr["start"] < moments[0] < moments[600] < moments[-1] < lightr["end"]
    assert [model["name"] for model in lightr["models"]] == ["quickstart-lightr"]
    assert lightr["models"][0]["files"] == ["MLmodel"]
    assert recipe["metrics"] == {
        "accuracy/chain": [[0, 0.5, recipe["end"]]],
        "accuracy/vary": [[0, 0.6, recipe["end"]]],
    }


@pytest.mark.slow
def test_everything_is_under_the_runs_folder(mirrored):
    runs, report = mirrored
    assert report.tracking_uri == f"sqlite:///{runs}/mlflow.db"
    assert (runs / "mlflow.db").is_file()
    assert list((runs / "mlflow-artifacts").glob("*/artifacts/plots/loss.png"))


@pytest.mark.slow
def test_curves_longer_than_a_batch_are_whole(mirrored):
    lightr = contents_of(default_tracking_uri(mirrored[0]))[1]
    assert [point[:2] for point in lightr["metrics"]["training/loss"]] == [list(point) for point in CURVE]
    assert lightr["metrics"]["accuracy/chain"][0][1] == 0.5
    assert lightr["params"]["training.updates"] == "60"
    assert lightr["tags"]["lrbench.arm"] == "lightr"


@pytest.mark.slow
def test_a_second_mirroring_changes_nothing(mirrored):
    runs, _ = mirrored
    before = contents_of(default_tracking_uri(runs))
    report = mirror(runs)
    assert (report.added, report.renewed, report.unchanged) == (0, 0, 2)
    assert contents_of(default_tracking_uri(runs)) == before


@pytest.mark.slow
def test_a_run_left_half_made_is_made_anew(mirrored):
    from mlflow.tracking import MlflowClient

    runs, _ = mirrored
    before = contents_of(default_tracking_uri(runs))
    client = MlflowClient(tracking_uri=default_tracking_uri(runs))
    experiment = client.get_experiment_by_name("lrbench").experiment_id
    (run,) = client.search_runs([experiment], "tags.`lrbench.arm` = 'base'")
    client.delete_tag(run.info.run_id, DIGEST)
    report = mirror(runs)
    assert (report.added, report.renewed, report.unchanged) == (0, 1, 1)
    assert contents_of(default_tracking_uri(runs)) == before


@pytest.mark.slow
@pytest.mark.parametrize(("deleted", "outcome"), [("base", (1, 0, 1)), ("", (0, 2, 0))])
def test_a_deleted_run_is_made_anew_and_children_stand_under_a_parent_that_is_there(
    mirrored, deleted, outcome
):
    from mlflow.tracking import MlflowClient

    runs, _ = mirrored
    before = contents_of(default_tracking_uri(runs))
    client = MlflowClient(tracking_uri=default_tracking_uri(runs))
    experiment = client.get_experiment_by_name("lrbench").experiment_id
    wanted = f"tags.`lrbench.arm` = '{deleted}'" if deleted else "tags.`lrbench.kind` = 'recipe'"
    (run,) = client.search_runs([experiment], wanted)
    client.delete_run(run.info.run_id)
    report = mirror(runs)
    assert (report.added, report.renewed, report.unchanged) == outcome
    assert contents_of(default_tracking_uri(runs)) == before


@pytest.mark.slow
def test_a_deleted_store_is_rebuilt_equal_even_after_the_ledger_has_grown_in_steps(
    mirrored, tmp_path, score_record, arm_record
):
    # Not that of the other tests, which come in any order.
    runs = tmp_path / "grown"
    shutil.copytree(mirrored[0], runs)
    ledger = Ledger(runs / "ledger")
    ledger.append([arm_record("sft"), score_record("chain", "1100", arm="sft")])
    assert mirror(runs).added == 1
    ledger.append([score_record("formal", "1000", arm="sft")])
    assert mirror(runs).renewed == 1
    before = contents_of(default_tracking_uri(runs))

    copy = tmp_path / "runs"
    shutil.copytree(runs / "ledger", copy / "ledger")
    output = said_by(REBUILD, copy).splitlines()
    said = dict(line.split(" ", 1) for line in output if line.startswith(("REPORT", "CONTENT")))
    assert json.loads(said["REPORT"]) == [3, 0, 0]
    assert json.loads(said["CONTENT"]) == json.loads(json.dumps(before))


@pytest.mark.slow
def test_what_is_new_is_mirrored_without_asking_for_all_and_beside_another_mirror(
    tmp_path, arm_record, score_record, monkeypatch
):
    ledger, uri = Ledger(tmp_path / "ledger"), default_tracking_uri(tmp_path)
    names = ("base", 'it\'s "odd"', "sft", "lightr")
    for name in names[:2]:
        ledger.append([arm_record(name), score_record(arm=name)])
    first, second = Mirroring(tmp_path, uri), Mirroring(tmp_path, uri)
    for mirroring, outcome in ((first, "added"), (second, "unchanged")):
        assert mirroring.bring_up_to_date()[1] == {outcome: 2}
    with monkeypatch.context() as patched:
        patched.setattr(mlflow_mirror._Store, "_runs", lambda _: pytest.fail("all runs were asked for"))
        ledger.append([arm_record("sft"), score_record(arm="sft")])
        assert first.bring_up_to_date()[1] == {"added": 1, "unchanged": 2}
        assert second.bring_up_to_date()[1] == {"unchanged": 3}
    ledger.append([arm_record("lightr"), score_record(arm="lightr")])
    with monkeypatch.context() as patched:
        patched.setattr(mlflow_mirror._Store, "_finish", lambda *_: 1 / 0)
        with pytest.raises(RunError):
            second.bring_up_to_date()
    # What the second left half-made is made anew by whoever comes next.
    assert first.bring_up_to_date()[1] == {"renewed": 1, "unchanged": 3}
    assert second.bring_up_to_date()[1] == {"unchanged": 4}
    assert sorted(run["name"] for run in contents_of(uri)) == sorted(
        ["quickstart", *(f"{name} seed 0" for name in names)]
    )


@pytest.mark.slow
def test_an_arm_without_scores_waits(mirrored, arm_record):
    runs, _ = mirrored
    Ledger(runs / "ledger").append([arm_record("neither")])
    assert mirror(runs).without_scores == ("quickstart-neither-0",)


def test_an_empty_ledger_makes_no_store(tmp_path):
    report = mirror(tmp_path)
    assert report.added == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_values_are_told_in_batches_and_files_of_a_lost_database_go(
    tmp_path, arm_record, score_records, monkeypatch
):
    from mlflow.tracking import MlflowClient

    calls = []
    log_batch = MlflowClient.log_batch

    def counted(self, *arguments, **options):
        calls.append(options)
        return log_batch(self, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    for one in ("log_param", "log_metric", "set_tag"):
        monkeypatch.setattr(MlflowClient, one, lambda *_, **__: pytest.fail("told one by one"))
    lost = tmp_path / "mlflow-artifacts" / "lost" / "artifacts"
    lost.mkdir(parents=True)
    arm = arm_record(curves={"loss": CURVE})
    Ledger(tmp_path / "ledger").append([arm, *score_records({"chain": 50, "vary": 60})])
    assert mirror(tmp_path).sentence == f"MLflow at sqlite:///{tmp_path}/mlflow.db holds 1 arm: 1 added."
    assert is_mirrored(tmp_path)
    # Parameters; 1200 points of a curve with the other metrics; the recipe's; closing tags of arm and recipe.
    assert len(calls) == 6
    assert not lost.exists()


@pytest.fixture
def recorded(tmp_path, arm_record, score_record):
    """A runs folder whose ledger was never mirrored."""
    Ledger(tmp_path / "ledger").append([arm_record(), score_record()])
    return tmp_path


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def failure(runs, uri=None):
    """The one message of a mirroring that fails."""
    with pytest.raises(LrbenchError) as caught:
        mirror(runs, uri)
    return str(caught.value)


class TestFailures:
    def test_a_server_that_is_down_is_a_message_that_says_what_to_do(self, recorded):
        message = failure(recorded, f"http://127.0.0.1:{closed_port()}")
        assert message.startswith("MLflow at http://127.0.0.1:")
        assert "Every result is safe in the ledger" in message
        assert "`lrbench rebuild`" in message

    def test_a_server_that_never_answers_is_given_up(self, recorded, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            message = failure(recorded, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "could not be brought up to date" in message

    def test_a_password_in_the_address_is_never_shown(self, recorded):
        message = failure(recorded, f"http://me:secret@127.0.0.1:{closed_port()}")
        assert "secret" not in message
        assert "127.0.0.1" in message

    def test_a_store_that_cannot_be_made_is_a_message(self, recorded):
        (recorded / "mlflow.db").mkdir()
        assert "mlflow.db could not be brought up to date" in failure(recorded)

    def test_a_damaged_store_is_a_message_that_says_it_may_be_deleted(self, recorded):
        (recorded / "mlflow.db").write_bytes(b"no database at all, but long enough to look at" * 100)
        message = failure(recorded)
        assert "file is not a database" in message
        assert "a damaged mlflow.db may be deleted" in message

    @pytest.mark.slow
    def test_a_database_that_refuses_is_told_in_its_own_words_once(
        self, recorded, arm_record, score_record, capfd
    ):
        mirror(recorded)
        with closing(sqlite3.connect(recorded / "mlflow.db")) as database:
            database.execute("CREATE TRIGGER no_room BEFORE UPDATE ON runs BEGIN SELECT no_room(); END")
        Ledger(recorded / "ledger").append([arm_record("sft"), score_record(arm="sft")])
        capfd.readouterr()
        told = (
            "could not be brought up to date: no such function: no_room. Every result is safe in the ledger"
        )
        assert told in failure(recorded)
        assert capfd.readouterr() == ("", "")

    def test_an_address_mlflow_does_not_know_is_a_message(self, recorded):
        assert "nonsense://x" in failure(recorded, "nonsense://x")

    def test_a_record_that_cannot_be_shown_is_a_message(self, tmp_path, arm_record, score_record):
        Ledger(tmp_path / "ledger").append([arm_record(statistics={"steps": 10**400}), score_record()])
        message = failure(tmp_path)
        assert message.startswith(f"{tmp_path}/ledger: what it holds cannot be shown in MLflow: ")
        assert "int too large to convert to float" in message
        assert "`lrbench doctor --runs" in message

    def test_a_ledger_that_cannot_be_read_is_a_message_too(self, tmp_path):
        (tmp_path / "ledger" / "scores.jsonl").mkdir(parents=True)
        assert "the ledger: cannot use" in failure(tmp_path)


@pytest.mark.slow
def test_what_is_removed_from_the_ledger_is_deleted_there_and_nothing_else(tmp_path, mirrored):
    runs = tmp_path / "runs"
    shutil.copytree(mirrored[0], runs)
    arms = {arm.arm: arm.arm_id for arm in Ledger(runs / "ledger").read().arms}
    before = [run["name"] for run in contents_of(default_tracking_uri(runs))]
    assert forget(runs, {arms["lightr"]}, ()) == 1
    left = [run["name"] for run in contents_of(default_tracking_uri(runs))]
    assert left == [name for name in before if not name.startswith("lightr")]
    assert forget(runs, arms.values(), {"quickstart", "another"}) == len(left)
    assert contents_of(default_tracking_uri(runs)) == []
    assert forget(tmp_path / "nothing", arms.values(), {"quickstart"}) == 0
    assert not (tmp_path / "nothing").exists()
