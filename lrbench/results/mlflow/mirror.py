"""The ledger mirrored to MLflow: experiment `lrbench`, a run per recipe, nested ones per arm.

The mirror may be deleted at any time: `mirror` makes whatever is missing, and running it again adds
nothing. A run made half-way, or from records that have since grown, is made anew.
"""

from __future__ import annotations

import shlex
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import LedgerError, RunError
from lrbench.recipe.secrets import without_secrets
from lrbench.results.computed import computed_once
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.ledger.following_on import FollowedLedger
from lrbench.results.mlflow.live import (
    KEY,
    PARENT,
    end_stale,
    is_training_of,
    live_key,
    live_runs,
    recipes_at_work,
)
from lrbench.results.mlflow.logged_models import log_model, models_of
from lrbench.results.mlflow.place import (
    DIGEST,
    artifact_folder,
    database_file,
    default_tracking_uri,
    has_store,
    is_server,
    ledger_state,
    note_mirrored,
    require_mlflow,
)
from lrbench.results.mlflow.run_content import (
    METRICS_PER_BATCH,
    PARAMS_PER_BATCH,
    ArmRun,
    RecipeRun,
    RunContent,
    recipe_runs,
)
from lrbench.results.mlflow.times import TRAINING
from lrbench.results.mlflow.tracking_store import LOCK, connect, empty_run, prepare
from lrbench.results.mlflow.views import VIEWS
from lrbench.store.locks import hold

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

EXPERIMENT = "lrbench"
# Opens on runs and their charts; MLflow would guess that it is about conversations.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}

RUNS_PER_PAGE = 1000


@dataclass(frozen=True)
class MirrorReport:
    """What a mirroring did. Counts are of arm runs; `without_scores` names arms not measured yet."""

    tracking_uri: str
    added: int
    renewed: int
    unchanged: int
    without_scores: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The report for people."""
        counts = {"added": self.added, "made anew": self.renewed, "already there": self.unchanged}
        total = sum(counts.values())
        if not total:
            return "Nothing to mirror: the ledger holds no measured arm."
        done = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        waiting = len(self.without_scores)
        more = f"; {waiting} not measured yet" if waiting else ""
        return f"MLflow at {self.tracking_uri} holds {total} {'arm' if total == 1 else 'arms'}: {done}{more}."


def mirror(runs: Path, tracking_uri: str | None = None) -> MirrorReport:
    """Bring MLflow up to date with the ledger of the `runs` folder.

    Raises:
        LedgerError: the ledger cannot be read.
        RunError: MLflow cannot be written, or a record cannot be shown in it; the message says why.
        UserError: MLflow is not installed.
    """
    require_mlflow("mirroring the ledger")
    uri = tracking_uri or default_tracking_uri(runs)
    mirroring = Mirroring(runs, uri)
    contents, outcomes = mirroring.bring_up_to_date()
    measured = {score.arm_id for score in contents.scores}
    return MirrorReport(
        tracking_uri=without_secrets(uri),
        added=outcomes["added"],
        renewed=outcomes["renewed"],
        unchanged=outcomes["unchanged"],
        without_scores=tuple(arm.arm_id for arm in contents.arms if arm.arm_id not in measured),
    )


def forget(runs: Path, arm_ids: Collection[str], recipes: Collection[str]) -> int:
    """Delete in MLflow the runs of these arms and recipes; how many there were. None where there is no store.

    Raises `RunError` when MLflow cannot be written.
    """
    if not has_store(runs):
        return 0
    uri = default_tracking_uri(runs)
    unwanted = {f"recipe/{recipe}" for recipe in recipes}
    try:
        with hold(runs / "ledger" / LOCK):
            prepare(uri, runs)
            store = _Store(uri, runs)
            found = [
                run
                for key, run in (store.present or {}).items()
                if key in unwanted or key.partition("/")[0] in arm_ids or is_training_of(run, recipes)
            ]
            for run in found:
                store.delete(run)
    except Exception as error:
        raise RunError(explanation(uri, error)) from error
    return len(found)


class Mirroring:
    """The mirror of a runs folder at `uri`, brought up to date again and again.

    The first time all of the ledger and of the store is looked at, later what is new in the ledger and the
    runs that it is about. What somebody deletes in MLflow meanwhile is made again by the next first time.
    """

    def __init__(self, runs: Path, uri: str) -> None:
        self._runs = runs
        self._uri = uri
        self._ledger = FollowedLedger(Ledger(runs / "ledger"))
        self._store: _Store | None = None
        self._client: tuple[MlflowClient, str, int | None] | None = None

    def bring_up_to_date(self) -> tuple[LedgerContents, Counter[str]]:
        """Mirror what is new; returns the ledger's contents, and how many arms' runs came to what.

        Raises `LedgerError` and `RunError` as `mirror` does; then the next time is a first one again.
        """
        try:
            with computed_once(self._runs / "ledger"):
                return self._bring_up_to_date()
        except BaseException:
            self._ledger, self._store = FollowedLedger(Ledger(self._runs / "ledger")), None
            raise

    @contextmanager
    def store(self) -> Iterator[tuple[MlflowClient, str]]:
        """A client of the store, made where absent, and our experiment; nobody else mirrors meanwhile."""
        with hold(self._runs / "ledger" / LOCK):
            prepare(self._uri, self._runs)
            if self._client is None or self._client[2] != _database(self._uri):
                client = connect(self._uri)
                self._client = client, _experiment(client, self._uri, self._runs), _database(self._uri)
            yield self._client[:2]

    def _bring_up_to_date(self) -> tuple[LedgerContents, Counter[str]]:
        try:
            if self._store is not None and not self._store.stands(self._uri):
                self._store = None
            state = ledger_state(self._runs, self._uri)
            contents, changed = self._ledger.look()
            recipes = recipe_runs(contents, None if self._store is None else changed)
        except LedgerError:
            raise
        except Exception as error:
            raise RunError(
                f"{self._runs / 'ledger'}: what it holds cannot be shown in MLflow: {_reason(error)}. "
                f"`lrbench doctor --runs {shlex.quote(str(self._runs))}` looks it over"
            ) from error
        outcomes: Counter[str] = Counter()
        # Without a result there is nothing to show, and no store is made.
        if recipes:
            try:
                with hold(self._runs / "ledger" / LOCK):
                    prepare(self._uri, self._runs)
                    self._store = self._store or _Store(self._uri, self._runs)
                    outcomes.update(self._store.bring_up_to_date(recipes))
                note_mirrored(self._runs, state)
            except Exception as error:
                raise RunError(explanation(self._uri, error)) from error
        return contents, outcomes


class _Store:
    """An MLflow store, its experiment made where absent, and what it holds of ours."""

    def __init__(self, uri: str, runs: Path) -> None:
        self.client = connect(uri)
        self.experiment = _experiment(self.client, uri, runs)
        self._runs_folder = runs
        self._live: dict[str, Run] = {}
        self.present: dict[str, Run] | None = {
            run.data.tags[KEY]: run for run in self._runs() if KEY in run.data.tags
        }
        # What was made or seen whole here: digest and parent, by key.
        self._whole: dict[str, tuple[str, str]] = {}
        self._uri = uri
        self._database = _database(uri)

    def stands(self, uri: str) -> bool:
        """Whether it is still the store that was looked at, as far as its file says."""
        return self._database == _database(uri)

    def bring_up_to_date(self, recipes: Iterable[RecipeRun]) -> list[str]:
        """See to it that the recipes' runs are as they should be: `added`, `renewed` or `unchanged` each."""
        self._live = live_runs(self.client, self.experiment)
        outcomes = [outcome for recipe in recipes for outcome in self._recipe(recipe)]
        self.present = None
        if self._live:
            end_stale(self.client, self._live.values(), recipes_at_work(self._runs_folder))
        return outcomes

    def _recipe(self, recipe: RecipeRun) -> list[str]:
        """What each of the recipe's runs came to.

        The parent is completed in place, since children refer to it, and after them: it tells of them all.
        """
        parent = self._found(recipe.key) or self._create(recipe, {})
        if parent.data.tags.get(DIGEST) != recipe.digest:
            parent = self._emptied(parent, recipe, {})
        outcomes = [self._child(child, str(parent.info.run_id)) for child in recipe.children]
        if parent.data.tags.get(DIGEST) != recipe.digest:
            self._finish(parent, recipe)
        return outcomes

    def _child(self, child: ArmRun, parent: str) -> str:
        wanted = (child.digest, parent)
        if self._whole.get(child.key) == wanted:
            return "unchanged"
        old = self._found(child.key)
        if old is not None:
            tags = old.data.tags
            if tags.get(DIGEST) == child.digest:
                self._whole[child.key] = wanted
                if tags.get(PARENT) == parent:
                    return "unchanged"
                # Nested in a parent since deleted it would be shown nowhere.
                self.client.log_batch(old.info.run_id, tags=_tags({PARENT: parent}))
                return "renewed"
            self.delete(old)
        run = self._adopted(child, parent) or self._create(child, {PARENT: parent})
        for params in _batches(child.params.items(), PARAMS_PER_BATCH):
            self.client.log_batch(run.info.run_id, params=_params(params))
        self.client.log_inputs(run.info.run_id, datasets=_datasets(child))
        log_model(self.client, self.experiment, run.info.run_id, child)
        self._finish(run, child)
        self._whole[child.key] = wanted
        return "added" if old is None else "renewed"

    def _found(self, key: str) -> Run | None:
        """The run of this key: one of those `present` at first, later asked for, since others mirror too."""
        if self.present is not None:
            return self.present.get(key)
        quote = next((mark for mark in "'\"" if mark not in key), None)
        if quote is None or "\\" in key:
            runs = list(self._runs())
        else:
            runs = self.client.search_runs([self.experiment], f"tags.`{KEY}` = {quote}{key}{quote}")
        return next((run for run in runs if run.data.tags.get(KEY) == key), None)

    def _create(self, content: RunContent, more_tags: dict[str, str]) -> Run:
        return self.client.create_run(
            self.experiment,
            start_time=content.begin,
            tags={**content.tags, KEY: content.key, **more_tags},
            run_name=content.name,
        )

    def _finish(self, run: Run, content: RecipeRun | ArmRun) -> None:
        """Add the files, end the run, and say last that it is whole; a parent's tags may have changed."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in content.artifacts.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self.client.log_artifacts(run.info.run_id, folder)
        for metrics in _batches(content.metrics, METRICS_PER_BATCH):
            self.client.log_batch(run.info.run_id, metrics=_metrics(metrics))
        self.client.set_terminated(run.info.run_id, "FINISHED", content.end)
        self.client.log_batch(run.info.run_id, tags=_tags({**content.closing_tags, DIGEST: content.digest}))

    def _adopted(self, child: ArmRun, parent: str) -> Run | None:
        """What the arm's training was shown as while it worked, now the arm's run; None where it was not."""
        live = self._live.pop(live_key(child.arm.stages.get(TRAINING)), None)
        if live is None:
            return None
        more = {KEY: child.key, PARENT: parent}
        run = self._emptied(live, child, more)
        self.client.update_run(run.info.run_id, name=child.name)
        self.client.log_batch(run.info.run_id, tags=_tags(child.tags | more))
        return run

    def _emptied(self, run: Run, content: RunContent, more_tags: dict[str, str]) -> Run:
        """The run without what was measured, to be measured anew; another one where the store keeps all."""
        if not run.data.metrics and run.info.start_time == content.begin:
            return run
        if (file := database_file(self._uri)) is not None:
            empty_run(file, run.info.run_id, content.begin)
            return run
        self.delete(run)
        return self._create(content, more_tags)

    def delete(self, run: Run) -> None:
        """Delete the run and the models that came out of it."""
        for model in models_of(self.client, self.experiment, run.info.run_id):
            self.client.delete_logged_model(model.model_id)
        self.client.delete_run(run.info.run_id)

    def _runs(self) -> Iterator[Run]:
        token = None
        while True:
            page = self.client.search_runs([self.experiment], max_results=RUNS_PER_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _experiment(client: MlflowClient, uri: str, runs: Path) -> str:
    """Our experiment in the store, made where absent, with the views that its pages open on."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        location = None if is_server(uri) else artifact_folder(uri, runs).as_uri()
        return str(client.create_experiment(EXPERIMENT, location, tags=EXPERIMENT_TAGS | VIEWS))
    if found.lifecycle_stage != "active":
        client.restore_experiment(found.experiment_id)
    for name, value in VIEWS.items():
        if found.tags.get(name) != value:
            client.set_experiment_tag(found.experiment_id, name, value)
    return str(found.experiment_id)


def _database(uri: str) -> int | None:
    """What tells the database of a sqlite address from one that was made anew in its place."""
    file = database_file(uri)
    return None if file is None or not file.exists() else file.stat().st_ino


def _tags(tags: dict[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(name, value) for name, value in tags.items()]


def _params(pairs: list[tuple[str, str]]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, value) for name, value in pairs]


def _metrics(metrics: list[Any]) -> list[Any]:
    from mlflow.entities import Metric

    return [Metric(metric.name, metric.value, metric.moment, metric.step) for metric in metrics]


def _datasets(child: ArmRun) -> list[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(found.name, found.digest, source_type="lrbench", source=found.source),
            [InputTag("mlflow.data.context", found.use)],
        )
        for found in child.datasets
    ]


def _batches(items: Any, size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def explanation(uri: str, error: Exception) -> str:
    """What to tell a person when MLflow at `uri` failed with `error`; holds no password."""
    return (
        f"MLflow at {without_secrets(uri)} could not be brought up to date: {_reason(error)}. "
        "Every result is safe in the ledger: mend the cause (a damaged mlflow.db may be deleted), then "
        "`lrbench rebuild` mirrors them."
    )


def _reason(error: Exception) -> str:
    """The first line of what it says, or of the database's own words, which SQLAlchemy has below others."""
    told: BaseException | None = error
    while told is not None and not isinstance(getattr(told, "orig", None), Exception):
        told = told.__cause__ or told.__context__
    said = str(error if told is None else getattr(told, "orig", None)).strip()
    return without_secrets((said.splitlines() or [type(error).__name__])[0])[:300]
