"""The ledger in other trackers than MLflow: what is kept, that it is kept once, and what may fail."""

from __future__ import annotations

import importlib.util
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from lrbench.errors import RunError, UserError
from lrbench.results.ledger import Ledger
from lrbench.results.mirrors.keeping import mirror_to
from lrbench.results.mirrors.trackio import PROJECT, Trackio
from lrbench.store.keys import stable_hash

CURVES = {"loss": [(0, 0.5), (1, 0.25)], "reward": [(0, 1.0)]}


@dataclass
class Fake:
    """A tracker that keeps runs in memory, by key, and counts how often it was told one."""

    name: str = "Fake"
    place: str = "memory"
    runs: dict = field(default_factory=dict)
    told: int = 0

    def held(self):
        return {key: run.digest for key, (run, _) in self.runs.items()}

    def keep(self, run, recipe):
        self.runs[run.key] = run, recipe
        self.told += 1


@pytest.fixture
def runs(tmp_path, arm_record, score_record):
    ledger = Ledger(tmp_path / "ledger")
    ledger.append([arm_record(curves=CURVES), arm_record("base", stages={})])
    ledger.append([score_record(), score_record(arm="base")])
    return tmp_path


def counts(kept):
    return kept.added, kept.renewed, kept.unchanged


def test_every_arm_and_recipe_is_kept_once_and_anew_when_its_records_grow(runs, score_record):
    fake = Fake()
    first = mirror_to(fake, runs)
    assert counts(first) == (2, 0, 0)
    assert first.sentence == "Fake in memory holds 2 arms: 2 added."
    assert [run.name for run, _ in fake.runs.values()] == ["lightr seed 0", "base seed 0", "quickstart"]
    assert {recipe for _, recipe in fake.runs.values()} == {"quickstart"}
    assert counts(mirror_to(fake, runs)) == (0, 0, 2)
    assert fake.told == 3
    Ledger(runs / "ledger").append([score_record("vary", arm="base")])
    assert counts(mirror_to(fake, runs, ["quickstart"])) == (0, 1, 1)
    # The recipe's run tells of its arms.
    assert fake.told == 5


def test_an_empty_ledger_asks_nothing_of_the_tracker(tmp_path):
    fake = Fake()
    fake.held = pytest.fail
    assert mirror_to(fake, tmp_path).sentence == "Nothing to mirror: the ledger holds no measured arm."


def test_a_recipe_without_results_is_named(runs):
    with pytest.raises(UserError, match=r"no result of other in .*: recipes are named as `lrbench results`"):
        mirror_to(Fake(), runs, ["quickstart", "other"])


def test_a_tracker_that_fails_is_told_of_in_one_line_and_takes_up_what_it_lacks_later(runs):
    fake = Fake()
    keep = fake.keep

    def full(run, recipe):
        if fake.told:
            raise OSError("no space left\non device")
        keep(run, recipe)

    fake.keep = full
    with pytest.raises(RunError, match=r"^Fake in memory could not .*: no space left\. Every result"):
        mirror_to(fake, runs)
    fake.keep = keep
    assert counts(mirror_to(fake, runs)) == (1, 0, 1)


def test_without_the_package_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UserError, match=r"not installed: pip install 'lrbench\[trackio\]'"):
        Trackio(tmp_path)


@pytest.mark.skipif(
    importlib.util.find_spec("trackio") is None, reason="Trackio is an extra: lrbench[trackio]"
)
def test_trackio_has_curves_with_their_times_settings_and_groups_once(runs, monkeypatch, score_record):
    # Trackio reads the variable once, when it is imported: here and nowhere else in this process.
    monkeypatch.setenv("TRACKIO_DIR", str(runs / "trackio"))
    (keeper := Trackio(runs)).held()
    assert counts(mirror_to(keeper, runs)) == (2, 0, 0)
    before = _rows(runs)
    assert counts(mirror_to(keeper, runs)) == (0, 0, 2)
    assert _rows(runs) == before
    from trackio.sqlite_storage import SQLiteStorage

    fake = Fake()
    mirror_to(fake, runs)
    (run,) = (run for run, _ in fake.runs.values() if run.name == "lightr seed 0")
    identity = stable_hash(run.key)[:32]
    logs = SQLiteStorage.get_logs(PROJECT, "quickstart lightr seed 0", run_id=identity)
    losses = [(row["step"], row["training/loss"]) for row in logs if "training/loss" in row]
    assert losses == CURVES["loss"]
    moments = [row["timestamp"] for row in logs]
    assert moments == sorted(moments)
    assert {name for row in logs for name in row} >= {metric.name for metric in run.metrics}
    settings = SQLiteStorage.get_run_config(PROJECT, run_id=identity)
    assert (settings["arm"], settings["_Group"]) == ("lightr", "quickstart")
    assert settings["lrbench.board"].startswith("http://127.0.0.1:8501/provenance?arm=")
    Ledger(runs / "ledger").append([score_record("vary")])
    assert counts(mirror_to(keeper, runs)) == (0, 1, 1)
    assert len({name for name, *_ in _rows(runs)}) == 3


def _rows(runs):
    with closing(sqlite3.connect(runs / "trackio" / f"{PROJECT}.db")) as connection:
        return connection.execute(
            "SELECT run_name, step, timestamp, metrics FROM metrics ORDER BY id"
        ).fetchall()
