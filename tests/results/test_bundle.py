"""A bundle holds what is behind a table; verifying it finds every flip and every edited score."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.embedded.assets import model_folder
from lrbench.errors import RunError, UserError
from lrbench.evaluation.items import choose_items
from lrbench.evaluation.protocol import protocol
from lrbench.grading import grade
from lrbench.models.source import folder_identity
from lrbench.recipe.arms import resolve_arms
from lrbench.recipe.identity import recipe_hash, resolved_yaml
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle import archive, verifying
from lrbench.results.bundle.archive import Entry, is_sealed, read_archive, write_archive
from lrbench.results.bundle.contents import (
    INDENT,
    INDEX,
    TABLES_VERSION,
    bundle_by_name,
    rendered_tables,
    write_bundle,
)
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.identity import arm_id, arm_settings, training_identity
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.records import ArmRecord, Costs, RecipeRecord, ScoreRecord, items_hash
from lrbench.store.artifact import INDENT as MANIFEST_INDENT
from lrbench.store.canonical import seal, stable_hash, unseal
from lrbench.store.keys import FileHashes, stage_key
from lrbench.store.store import Store
from lrbench.suites.suite import shipped_suite

NOW = "2026-11-20T10:00:00+00:00"
ENVIRONMENT = {"python": "3.11", "device": "cpu"}
EXPERT, AMATEUR = (
    {"weights": folder_identity(model_folder(name), FileHashes()), "dtype": "float32"}
    for name in ("expert", "amateur")
)
CURVES = {"loss": [[1, 2.5], [2, 2.0]]}
BENCHMARKS = ("multi_step", "choice")
ITEMS = 4
EMBEDDED7 = shipped_suite("embedded7")

Files = dict[str, bytes]


def add_artifact(
    store: Store,
    stage: str,
    identity: dict[str, Any],
    inputs: dict[str, str],
    files: Files,
    **statistics: int,
) -> str:
    key = stage_key(stage, 1, identity, inputs)
    with store.lock(stage, key):
        draft = store.draft(stage, 1, key, identity, inputs)
        for name, data in files.items():
            draft.commit(name, partial(Path.write_bytes, data=data), 0.5)
        draft.finish(statistics, environment=ENVIRONMENT)
    return key


def graded_rows(benchmark: str, right: int) -> list[dict[str, Any]]:
    """Items of which the first `right` are answered well."""
    rows = []
    for place, row in enumerate(choose_items(EMBEDDED7[benchmark], None, ITEMS)):
        answer = row["answer"] if place < right else str(int(row["answer"]) + 1)
        completion = f"so \\boxed{{{answer}}}"
        verdict = grade(
            benchmark=benchmark, completion=completion, gold=row["answer"], problem=row["problem"]
        )
        rows.append(
            {
                "id": row["id"],
                "problem": row["problem"],
                "completion": completion,
                "gold": row["answer"],
                "prediction": verdict.prediction,
                "paper": verdict.correct,
                "exact": verdict.exact,
                "reason": str(verdict.reason),
                "tokens": 7,
                "truncated": False,
            }
        )
    return rows


def item_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def item_statistics(rows: list[dict[str, Any]]) -> dict[str, int]:
    counts = {name: sum(row[name] for row in rows) for name in ("paper", "exact", "tokens", "truncated")}
    return {"n": len(rows)} | counts


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the arms base and lightr, as a run leaves it, without models."""
    runs = tmp_path_factory.mktemp("bundle") / "runs"
    store, ledger = Store(runs / "store"), Ledger(runs / "ledger")
    recipe = Recipe.model_validate(
        {
            "name": "small",
            "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
            "data": {"train": "embedded/multi_step", "problems": 8},
            "training": {"updates": 2, "rollouts_per_update": 4},
            "arms": ["base", "lightr"],
            "evaluation": {"suite": "embedded7", "benchmarks": BENCHMARKS, "limit": ITEMS},
        }
    )
    lightr = resolve_arms(recipe)[1]
    rollouts = add_artifact(
        store,
        "rollouts",
        {
            "expert": EXPERT,
            "texts": "t" * 64,
            "system_prompt": None,
            "max_new_tokens": recipe.sampling.max_new_tokens,
            "engine": "hf",
        },
        {},
        {"part.parquet": b"r"},
        rollouts=8,
        tokens=90,
    )
    scores = add_artifact(
        store,
        "scores",
        {"expert": EXPERT, "amateur": AMATEUR, "alpha_min": 0.05},
        {"rollouts": rollouts},
        {"s": b"s"},
        rollouts=8,
        steps=90,
    )
    samples = add_artifact(
        store,
        "samples",
        {"selector": "kl", "target": "contrast", "alpha": 0.2, "beta": 0.4},
        {"rollouts": rollouts, "scores": scores},
        {"steps.parquet": b"k"},
        kept_steps=30,
    )
    train = add_artifact(
        store,
        "train",
        {"expert": EXPERT, "training": training_identity(lightr.training), "seed": 0},
        {"samples": samples},
        {"adapter.safetensors": b"a", "curves.json": json.dumps(CURVES).encode()},
        updates=2,
        tuned_tokens=30,
        trained_steps=40,
        problems=6,
    )
    made = {"rollouts": rollouts, "scores": scores, "samples": samples, "train": train}
    for arm, stages, right in (("base", {}, (1, 2)), ("lightr", made, (3, 2))):
        ledger.append(recorded_arm(store, recipe, arm, stages, right))
    arm_ids = tuple(identity_of(recipe, stages) for stages in ({}, made))
    ledger.append(
        [
            RecipeRecord(
                recipe="small",
                recipe_hash=recipe_hash(recipe),
                recipe_yaml=resolved_yaml(recipe),
                arm_ids=arm_ids,
                claims=(),
                command="lrbench run small.yaml",
                recorded_at=NOW,
            )
        ]
    )
    return runs


def identity_of(recipe: Recipe, stages: dict[str, str]) -> str:
    model = stages.get("train") or stable_hash(EXPERT)
    return arm_id(recipe.name, "lightr" if stages else "base", {}, model)


def recorded_arm(
    store: Store, recipe: Recipe, arm: str, stages: dict[str, str], right: tuple[int, ...]
) -> list[ArmRecord | ScoreRecord]:
    trained = bool(stages)
    own_id, seed = identity_of(recipe, stages), 0 if trained else None
    resolved = {found.name: found for found in resolve_arms(recipe)}[arm]
    made = {stage: store.look(stage, key) for stage, key in stages.items()}
    records: list[ArmRecord | ScoreRecord] = [
        ArmRecord(
            arm_id=own_id,
            recipe=recipe.name,
            recipe_hash=recipe_hash(recipe),
            recipe_yaml=resolved_yaml(recipe),
            arm=arm,
            seed=seed,
            expert="embedded/expert",
            amateur="embedded/amateur" if trained else None,
            settings=arm_settings(recipe, resolved, "t" * 64),
            costs=Costs(
                updates=2 if trained else 0,
                tuned_tokens=30 if trained else 0,
                trained_steps=40 if trained else 0,
                learnt_problems=6 if trained else 0,
                sampled_problems=8 if trained else 0,
                sampled_tokens=90 if trained else 0,
                seconds={stage: round(found.seconds, 3) for stage, found in made.items() if found},
            ),
            statistics=dict(
                chain.from_iterable(found.statistics.items() for found in made.values() if found)
            ),
            curves=CURVES if trained else {},
            stages=stages,
            environment=ENVIRONMENT,
            recorded_at=NOW,
        )
    ]
    chosen = {benchmark: choose_items(EMBEDDED7[benchmark], None, ITEMS) for benchmark in BENCHMARKS}
    protocols = {
        benchmark: protocol(EMBEDDED7[benchmark], items, engine="hf", dtype="float32", batch_size=64)
        for benchmark, items in chosen.items()
    }
    for benchmark, count in zip(BENCHMARKS, right, strict=True):
        rows = graded_rows(benchmark, count)
        identity = {
            "expert": EXPERT,
            "protocol": protocols[benchmark],
            "items": chosen[benchmark].items_hash,
        }
        inputs = {"adapter": stages["train"]} if trained else {}
        files = {"part-00000.jsonl": item_lines(rows[:3]), "part-00001.jsonl": item_lines(rows[3:])}
        key = add_artifact(store, "evaluate", identity, inputs, files, **item_statistics(rows))
        found = store.look("evaluate", key)
        assert found is not None
        records.append(
            ScoreRecord(
                arm_id=own_id,
                recipe=recipe.name,
                arm=arm,
                seed=seed,
                expert="embedded/expert",
                expert_weights=EXPERT["weights"],
                suite="embedded7",
                benchmark=benchmark,
                protocol=protocols[benchmark],
                protocol_hash=stable_hash(protocols[benchmark]),
                suite_protocol={name: stable_hash(value) for name, value in protocols.items()},
                items_hash=items_hash([row["id"] for row in rows]),
                paper="".join(str(int(row["paper"])) for row in rows),
                exact="".join(str(int(row["exact"])) for row in rows),
                evaluation_key=key,
                seconds=found.seconds,
                tokens=found.statistics["tokens"],
                written=found.statistics.get("written", found.statistics["tokens"]),
                passes=found.statistics.get("passes"),
                recorded_at=NOW,
            )
        )
    return records


@pytest.fixture(scope="module")
def bundle(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / "small.tar.gz"
    write_bundle(["small"], finished, path)
    return path


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "runs")


@pytest.fixture
def files(bundle: Path) -> Files:
    return dict(read_archive(bundle))


def packed(path: Path, files: Files, entries: list[Entry] | None = None) -> Path:
    """A bundle of `files` as they are, under a seal that holds."""
    with path.open("wb") as file:
        write_archive(file, entries or [Entry.of(name, data) for name, data in files.items()])
    return path


def with_new_index(files: Files) -> Files:
    """`files` with an index that fits them."""
    rest = {name: data for name, data in sorted(files.items()) if name != INDEX}
    index = unseal(files[INDEX], INDENT)
    index["files"] = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in rest.items()
    ]
    return {INDEX: seal(index, INDENT).encode()} | rest


def edit_ledger(files: Files, name: str, number: int, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a record of the ledger, with a checksum that fits it."""
    lines = files[f"ledger/{name}"].splitlines()
    record = json.loads(lines[number])["record"]
    edit(record)
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.sha256(body).hexdigest().encode()
    lines[number] = b'{"sha256": "%s", "record": %s}' % (digest, body)
    files[f"ledger/{name}"] = b"\n".join(lines) + b"\n"


def edit_manifest(files: Files, folder: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest, with a content hash and a checksum that fit it."""
    manifest = unseal(files[f"{folder}/manifest.json"], MANIFEST_INDENT)
    edit(manifest)
    content = {name: manifest[name] for name in ("stage", "key", "statistics", "files")}
    manifest["content_hash"] = stable_hash(content)
    files[f"{folder}/manifest.json"] = seal(manifest, MANIFEST_INDENT).encode()


def edit_items(files: Files, number: int, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the items behind a score, and everything that is derived from them: the perfect forgery."""
    score = json.loads(files["ledger/scores.jsonl"].splitlines()[number])["record"]
    folder = f"stages/evaluate/{score['evaluation_key']}"
    parts = [name for name in sorted(files) if name.startswith(f"{folder}/part")]
    rows = [json.loads(line) for name in parts for line in files[name].splitlines()]
    edit(rows)
    files[parts[0]], files[parts[1]] = item_lines(rows[:3]), item_lines(rows[3:])

    def statistics_and_hashes(manifest: dict[str, Any]) -> None:
        manifest["statistics"] |= item_statistics(rows)
        for record in manifest["files"]:
            data = files[f"{folder}/{record['name']}"]
            record |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def outcomes(record: dict[str, Any]) -> None:
        record["items_hash"] = items_hash([row["id"] for row in rows])
        record["tokens"] = record["written"] = sum(row["tokens"] for row in rows)
        for verdict in ("paper", "exact"):
            record[verdict] = "".join(str(int(row[verdict])) for row in rows)

    edit_manifest(files, folder, statistics_and_hashes)
    edit_ledger(files, "scores.jsonl", number, outcomes)
    draw_tables(files)


def draw_tables(files: Files) -> None:
    """Tables that fit the records."""
    arms = [json.loads(line)["record"] for line in files["ledger/arms.jsonl"].splitlines()]
    scores = [json.loads(line)["record"] for line in files["ledger/scores.jsonl"].splitlines()]
    made, measured = map(ArmRecord.model_validate, arms), map(ScoreRecord.model_validate, scores)
    files |= rendered_tables(LedgerContents(tuple(made), tuple(measured), broken=()), None)


def test_a_bundle_is_verified_where_nothing_else_is(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(bundle, elsewhere / "b.tar.gz")
    monkeypatch.chdir(elsewhere)
    found = verify_bundle(Path("b.tar.gz"))
    assert found.findings == ()
    assert (found.arms, found.scores, found.completions, found.stages, found.tables) == (2, 4, 16, 8, 2)
    assert found.compared == tuple(sorted(BENCHMARKS))
    assert "Not shown by any of this: that the models wrote these completions" in str(found)
    assert [path.name for path in elsewhere.iterdir()] == ["b.tar.gz"]


def test_equal_results_give_equal_bundles(finished: Path, bundle: Path, tmp_path: Path) -> None:
    write_bundle(["small"], finished, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == bundle.read_bytes()


def test_ordinary_tools_read_a_bundle(bundle: Path, files: Files) -> None:
    with tarfile.open(bundle) as opened:
        assert opened.getnames() == list(files)
        assert {member.mtime for member in opened} == {0}


def test_its_ledger_lines_are_those_of_the_ledger(finished: Path, files: Files) -> None:
    for name in ("recipes.jsonl", "arms.jsonl", "scores.jsonl"):
        assert files[f"ledger/{name}"] == (finished / "ledger" / name).read_bytes()


def test_a_flip_of_any_byte_breaks_the_seal(bundle: Path, tmp_path: Path) -> None:
    data = bundle.read_bytes()
    broken = tmp_path / "broken.tar.gz"
    places = {*range(32), *range(32, len(data), 37), *range(len(data) - archive.SEAL_LENGTH, len(data))}
    for place in places:
        broken.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        assert not is_sealed(broken), place
    for place in sorted(places)[:: len(places) // 10]:
        broken.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert any("its seal is broken" in finding for finding in verify_bundle(broken).findings)


@pytest.mark.parametrize(
    "kind", ["arms.jsonl", "manifest.json", "part-00000.jsonl", "board.md", "index.json"]
)
def test_one_flipped_byte_is_one_finding_and_what_follows_from_it_is_counted(
    files: Files, tmp_path: Path, kind: str
) -> None:
    name = next(name for name in files if name.endswith(kind))
    place = files[name].index(b"a")
    files[name] = files[name][:place] + b"b" + files[name][place + 1 :]
    first, *rest = verify_bundle(packed(tmp_path / "b.tar.gz", files)).findings
    assert first.startswith(f"{name}: ")
    assert not [finding for finding in rest if not finding.startswith(name) and "left out" not in finding]
    assert len(rest) <= 2


@pytest.mark.parametrize("cut", [0, 1, 20, 500, -1])
def test_a_bundle_cut_short_is_found(bundle: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "cut.tar.gz").write_bytes(bundle.read_bytes()[:cut])
    assert verify_bundle(tmp_path / "cut.tar.gz").findings


@pytest.mark.parametrize(
    "kind",
    [
        "index.json",
        "ledger/recipes.jsonl",
        "ledger/arms.jsonl",
        "ledger/scores.jsonl",
        "manifest.json",
        "provenance.json",
        "part-00000.jsonl",
        "tables/board.md",
        "tables/board.csv",
    ],
)
def test_a_flip_in_any_kind_of_file_is_found_though_archive_and_index_are_sealed_again(
    files: Files, tmp_path: Path, kind: str
) -> None:
    name = next(name for name in files if name.endswith(kind))
    data = files[name]
    place = len(data) // 2
    files[name] = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    resealed = files if name == INDEX else with_new_index(files)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", resealed)).findings
    assert any(finding.startswith(name) for finding in findings), findings


def test_an_outcome_edited_in_the_ledger_is_found_by_grading_again(files: Files, tmp_path: Path) -> None:
    edit_ledger(files, "scores.jsonl", 0, lambda record: record.update(paper="1111"))
    draw_tables(files)
    (finding,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    base = json.loads(files["ledger/arms.jsonl"].splitlines()[0])["record"]["arm_id"]
    assert finding == (
        f"score of small/base ({base}) on multi_step: the paper verdicts of 3 items are not those of "
        "their completions, the first is multi_step-test-1: 4 are recorded as right, 1 are"
    )


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"tokens": 5}, "the tokens is recorded as 5, but is 28"),
        ({"written": 5}, "the tokens written is recorded as 5, but is 28"),
        ({"passes": {"own": 28}}, "the forward passes is recorded as {'own': 28}, but is None"),
    ],
)
def test_what_answers_took_is_held_against_their_items(
    files: Files, tmp_path: Path, change: dict[str, Any], finding: str
) -> None:
    edit_ledger(files, "scores.jsonl", 0, lambda record: record.update(change))
    draw_tables(files)
    found = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert len(found) == 1
    assert finding in found[0]


def test_a_score_that_does_not_say_what_answers_took_is_verified(files: Files, tmp_path: Path) -> None:
    for number in range(4):
        edit_ledger(
            files,
            "scores.jsonl",
            number,
            lambda record: record.update(tokens=None, written=None, passes=None),
        )
    draw_tables(files)
    assert verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings == ()


def test_items_say_what_each_answer_took(files: Files, tmp_path: Path) -> None:
    def mixed(items: list[dict[str, Any]]) -> None:
        items[0] |= {"written": 9, "passes": {"own": 9, "peer": 2}, "origins": {"own": 5, "peer": 2}}

    edit_items(files, 0, mixed)
    found = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any("the tokens written is recorded as 28, but is 30" in line for line in found)
    assert any(
        "the forward passes is recorded as None, but is {'own': 30, 'peer': 2}" in line for line in found
    )


def test_an_outcome_edited_everywhere_with_every_checksum_made_to_fit_is_found(
    files: Files, tmp_path: Path
) -> None:
    edit_items(files, 0, lambda rows: rows[3].update(paper=True, exact=True, reason="correct"))
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any("part-00001.jsonl:1: multi_step-test-3 is recorded as paper 1, exact 1" in f for f in findings)
    assert any("1 items are not those of their completions" in finding for finding in findings)
    assert not any("hash" in finding for finding in findings)


def test_a_gold_answer_edited_to_fit_is_found_where_the_data_set_is(files: Files, tmp_path: Path) -> None:
    def make_right(rows: list[dict[str, Any]]) -> None:
        rows[3].update(gold=rows[3]["prediction"], paper=True, exact=True, reason="correct")

    edit_items(files, 0, make_right)
    (finding,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert "problem or gold answer of multi_step-test-3 is not that of the data set" in finding


def test_an_item_left_out_is_found_where_the_data_set_is(files: Files, tmp_path: Path) -> None:
    edit_items(files, 0, lambda rows: rows.pop())
    (finding,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert "its items are not those that multi_step has under this protocol" in finding


def test_a_gold_answer_that_cannot_be_graded_is_a_finding(files: Files, tmp_path: Path) -> None:
    edit_items(files, 0, lambda rows: rows[0].update(gold="many"))
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any("multi_step-test-0 cannot be graded" in finding for finding in findings)


def test_scores_of_another_model_are_found(files: Files, tmp_path: Path) -> None:
    lines = [json.loads(line)["record"] for line in files["ledger/scores.jsonl"].splitlines()]
    borrowed = {name: lines[2][name] for name in ("paper", "exact", "evaluation_key", "seconds")}
    edit_ledger(files, "scores.jsonl", 0, lambda record: record.update(borrowed))
    draw_tables(files)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any(
        f.startswith("score of small/base") and "the adapter is recorded as None" in f for f in findings
    )


def test_an_arm_under_another_name_is_found(files: Files, tmp_path: Path) -> None:
    edit_ledger(files, "arms.jsonl", 0, lambda record: record.update(arm="lightr"))
    edit_ledger(files, "scores.jsonl", 0, lambda record: record.update(arm="lightr"))
    edit_ledger(files, "scores.jsonl", 1, lambda record: record.update(arm="lightr"))
    draw_tables(files)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any("its arm base with seed 0 at {} is not there" in finding for finding in findings)
    assert any("(small/lightr): its recipe declares no such arm with no seed" in f for f in findings)


@pytest.mark.parametrize(
    ("field", "value", "finding"),
    [
        ("updates", 5, "the cost in updates is recorded as 5, but is 2"),
        ("tuned_tokens", 3, "the cost in tuned tokens is recorded as 3, but is 30"),
        ("trained_steps", 3, "the cost in trained steps is recorded as 3, but is 40"),
        ("learnt_problems", 3, "the cost in learnt problems is recorded as 3, but is 6"),
        ("sampled_problems", 3, "the number of sampled problems is recorded as 3, but is 8"),
        ("sampled_tokens", 3, "the cost in sampled tokens is recorded as 3, but is 90"),
        (
            "seconds",
            {"train": 1e-9},
            "the cost in seconds is recorded as {'train': 1e-09}, but is {'rollouts'",
        ),
        ("seconds", {}, "the cost in seconds is recorded as {}, but is {'rollouts'"),
    ],
)
def test_edited_costs_are_found(
    files: Files, tmp_path: Path, field: str, value: object, finding: str
) -> None:
    edit_ledger(files, "arms.jsonl", 1, lambda record: record["costs"].update({field: value}))
    draw_tables(files)
    (found,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert finding in found


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"amateur": "embedded/peer"}, "the amateur is recorded as embedded/peer, but is embedded/amateur"),
        ({"amateur": "embedded/peer"}, "the weights of embedded/peer is recorded as"),
        ({"curves": {"loss": [[1, 0.1], [2, 0.0]]}}, "the curve loss is not the one that its training"),
        ({"curves": {}}, "the curve loss is not the one that its training"),
        ({"recipe_hash": "0" * 64}, "the recipe's hash is recorded as 000"),
        ({"statistics": {}}, "the statistic kept_steps is recorded as None, but is 30"),
        ({"arm_id": "f" * 16}, "its id is recorded as ffff"),
        ({"seed": 7}, "its recipe declares no such arm with seed 7"),
        ({"expert": "embedded/peer"}, "the expert is recorded as embedded/peer, but is embedded/expert"),
    ],
    ids=str,
)
def test_an_edited_arm_is_found(files: Files, tmp_path: Path, change: dict[str, Any], finding: str) -> None:
    edit_ledger(files, "arms.jsonl", 1, lambda record: record.update(change))
    draw_tables(files)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any(finding in found for found in findings), findings


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("training", {"updates": 7, "learning_rate": 0.5}),
        ("divergence", {"alpha": 0.1}),
        ("data", {"problems": 1}),
        ("sampling", {"max_new_tokens": 1}),
    ],
)
def test_edited_settings_are_found(
    files: Files, tmp_path: Path, section: str, change: dict[str, Any]
) -> None:
    edit_ledger(files, "arms.jsonl", 1, lambda record: record["settings"][section].update(change))
    draw_tables(files)
    (found,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert f"the setting {section} is recorded as" in found


def edit_recipes(files: Files, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the recipe itself wherever it is recorded, with a hash that fits it."""

    def edit_record(record: dict[str, Any]) -> None:
        written = yaml.safe_load(record["recipe_yaml"])
        edit(written)
        recipe = Recipe.model_validate(written)
        record.update(recipe_yaml=resolved_yaml(recipe), recipe_hash=recipe_hash(recipe))

    edit_ledger(files, "recipes.jsonl", 0, edit_record)
    for number in range(len(files["ledger/arms.jsonl"].splitlines())):
        edit_ledger(files, "arms.jsonl", number, edit_record)
    draw_tables(files)


@pytest.mark.parametrize(
    ("section", "change", "finding"),
    [
        ("training", {"updates": 7}, "the training is recorded as"),
        ("divergence", {"alpha_min": 0.01}, "alpha_min of its scores is recorded as 0.01, but is 0.05"),
        ("pair", {"align": "tokens"}, "least_mass of its scores is recorded as 0.9, but is None"),
        ("sampling", {"max_new_tokens": 3}, "max_new_tokens of its rollouts is recorded as 3, but is 128"),
        ("evaluation", {"limit": 3}, "its score on choice, as the recipe declares it, is not there"),
    ],
)
def test_a_recipe_edited_everywhere_is_held_against_the_stages(
    files: Files, tmp_path: Path, section: str, change: dict[str, Any], finding: str
) -> None:
    edit_recipes(files, lambda recipe: recipe[section].update(change))
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any(finding in found for found in findings), findings


def test_claims_made_afterwards_are_found(files: Files, tmp_path: Path) -> None:
    edit_ledger(files, "recipes.jsonl", 0, lambda record: record.update(claims=["lightr > base on average"]))
    (found,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert "its claims is recorded as ('lightr > base on average',), but is ()" in found


def test_a_benchmark_left_out_of_everything_is_found(files: Files, tmp_path: Path) -> None:
    lines = files["ledger/scores.jsonl"].splitlines()
    kept = [line for line in lines if json.loads(line)["record"]["benchmark"] == "multi_step"]
    files["ledger/scores.jsonl"] = b"\n".join(kept) + b"\n"
    for number in range(len(kept)):
        edit_ledger(files, "scores.jsonl", number, lambda record: record["suite_protocol"].pop("choice"))
    draw_tables(files)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any("its score on choice, as the recipe declares it, is not there" in f for f in findings)


def test_an_arm_left_out_of_everything_is_found(files: Files, tmp_path: Path) -> None:
    files["ledger/arms.jsonl"] = files["ledger/arms.jsonl"].splitlines()[1] + b"\n"
    files["ledger/scores.jsonl"] = b"\n".join(files["ledger/scores.jsonl"].splitlines()[2:]) + b"\n"
    edit_ledger(files, "recipes.jsonl", 0, lambda record: record["arm_ids"].pop(0))
    draw_tables(files)
    (found,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert "its arm base with seed 0 at {} is not there" in found


@pytest.mark.parametrize("declare_it", [False, True])
def test_a_seed_made_of_another_ones_stages_is_found(files: Files, tmp_path: Path, declare_it: bool) -> None:
    for name, numbers in (("arms.jsonl", [1]), ("scores.jsonl", [2, 3])):
        lines = files[f"ledger/{name}"].splitlines()
        copies = [*lines, *(lines[number] for number in numbers)]
        files[f"ledger/{name}"] = b"\n".join(copies) + b"\n"
        for number in range(len(lines), len(copies)):
            edit_ledger(files, name, number, lambda record: record.update(seed=7, arm_id="f" * 16))
    edit_ledger(files, "recipes.jsonl", 0, lambda record: record["arm_ids"].append("f" * 16))
    if declare_it:
        edit_recipes(files, lambda recipe: (recipe.pop("seed"), recipe.update(seeds=[0, 7])))
    draw_tables(files)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any("its id is recorded as ffff" in finding for finding in findings)
    wanted = "the seed is recorded as 7, but is 0" if declare_it else "declares no lightr with seed 7"
    assert any(wanted in finding for finding in findings), findings


def test_tables_of_another_version_are_not_called_forged(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files["tables/board.md"] += b" "
    monkeypatch.setattr(verifying, "TABLES_VERSION", TABLES_VERSION - 1)
    (found,) = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert f"since version {TABLES_VERSION - 1} of them, and these are of version {TABLES_VERSION}" in found


def test_tables_of_an_earlier_version_hold_the_same_counts_in_other_words(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files["tables/board.md"] += b" "
    monkeypatch.setattr(verifying, "TABLES_VERSION", TABLES_VERSION + 1)
    verification = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files)))
    assert verification.findings == ()
    assert "The tables are of an earlier version" in str(verification)
    header, first, rest = files["tables/board.csv"].split(b"\n", 2)
    fields = first.split(b",")
    place = header.split(b",").index(b"accuracy")
    fields[place] = b"99.5"
    files["tables/board.csv"] = b"\n".join((header, b",".join(fields), rest))
    (found,) = verify_bundle(packed(tmp_path / "c.tar.gz", with_new_index(files))).findings
    assert found.startswith("tables/board.csv: is not what the records of the bundle give")


@pytest.mark.parametrize(("path", "what"), [("/", "this is a folder"), ("/dev/zero", "this is a device")])
def test_what_is_no_file_is_called_what_it_is(path: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        verify_bundle(Path(path))


def test_results_without_a_record_of_their_recipe_are_told_how_to_get_one(runs: Path, tmp_path: Path) -> None:
    (runs / "ledger" / "recipes.jsonl").unlink()
    with pytest.raises(UserError, match=r"the results of small are from an lrbench .* run the recipe again"):
        write_bundle(["small"], runs, tmp_path / "b.tar.gz")
    with pytest.raises(UserError, match="There are results of: small"):
        write_bundle(["other"], runs, tmp_path / "b.tar.gz")


def test_an_edited_identity_is_no_longer_that_of_its_key(files: Files, tmp_path: Path) -> None:
    name = next(name for name in files if "stages/train/" in name and name.endswith("manifest.json"))
    edit_manifest(
        files, name.removesuffix("/manifest.json"), lambda manifest: manifest["identity"].update(seed=1)
    )
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert findings[0].startswith(f"{name}: the stage's key is recorded as")
    assert any("the seed is recorded as 0, but is 1" in finding for finding in findings)


def test_what_is_left_out_or_put_in_is_found(files: Files, tmp_path: Path) -> None:
    name = next(name for name in files if "stages/scores/" in name and name.endswith("manifest.json"))
    without = {other: data for other, data in files.items() if not other.startswith(name[:80])}
    findings = verify_bundle(packed(tmp_path / "a.tar.gz", with_new_index(without))).findings
    assert any("its input scores" in finding and "is not in the bundle" in finding for finding in findings)
    more = with_new_index(files | {"stages/evaluate/xx/extra.jsonl": b"{}\n"})
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", more)).findings
    assert any("belongs to no evaluation of the bundle" in finding for finding in findings)
    unlisted = files | {"tables/other.md": b"x"}
    findings = verify_bundle(packed(tmp_path / "c.tar.gz", dict(sorted(unlisted.items())))).findings
    assert any(finding == "tables/other.md: is not in index.json" for finding in findings)


def test_an_arm_left_out_is_found(files: Files, tmp_path: Path) -> None:
    files["ledger/arms.jsonl"] = files["ledger/arms.jsonl"].splitlines()[1] + b"\n"
    files["ledger/scores.jsonl"] = b"\n".join(files["ledger/scores.jsonl"].splitlines()[2:]) + b"\n"
    draw_tables(files)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", with_new_index(files))).findings
    assert any("the arms that the recipes mean" in finding for finding in findings)


@pytest.mark.parametrize(
    "change",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "index.json"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.DIRTYPE},
        {"type": tarfile.FIFOTYPE},
        {"name": "../../escaped.json"},
        {"name": "/tmp/escaped.json"},
        {"name": "ledger/../../escaped.json"},
        {"name": "a" * 300},
        {"mode": 0o4755},
        {"uname": "root"},
        {"pax_headers": {"comment": "x" * 1000}},
    ],
    ids=str,
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    member = tarfile.TarInfo("index.json")
    member.mode = 0o644
    for field, value in change.items():
        setattr(member, field, value)
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as opened:
        opened.addfile(member, io.BytesIO(b""))
    findings = verify_bundle(tmp_path / "evil.tar.gz").findings
    assert any("is no plain file of a bundle" in f or "no file of a bundle begins" in f for f in findings)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tar.gz"]


def test_absurd_sizes_are_refused_before_they_are_read(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = Entry("index.json", 8**11 - 1, "", b"")
    path = tmp_path / "huge.tar.gz"
    monkeypatch.setattr(archive, "END", archive._header(huge.name, huge.size))
    with path.open("wb") as file:
        write_archive(file, [])
    monkeypatch.undo()
    findings = verify_bundle(path).findings
    assert any("its 8,589,934,591 bytes are more than a bundle may hold" in f for f in findings)
    monkeypatch.setattr(archive, "LARGEST_BUNDLE", 1000)
    findings = verify_bundle(packed(tmp_path / "b.tar.gz", files)).findings
    assert any("are more than a bundle may hold" in finding for finding in findings)


def test_a_file_of_any_size_is_refused_by_it(files: Files, tmp_path: Path) -> None:
    path = packed(tmp_path / "b.tar.gz", files)
    os.truncate(path, 2**42)
    findings = verify_bundle(path).findings
    assert any("its 4,398,046,511,104 bytes are more than a bundle may hold" in found for found in findings)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_content_makes_verifying_fail_otherwise_than_by_findings(
    bundle: Path, tmp_path: Path, data: st.DataObject
) -> None:
    files = dict(read_archive(bundle))
    name = data.draw(st.sampled_from(sorted(files)))
    replacement = data.draw(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([b"null\n", b"[]\n", b"{}\n", b'{"sha256": 1}\n', b"[" * 100_000, b"1e999\n"]),
        )
    )
    if replacement != files[name]:
        resealed = {**files, name: replacement}
        resealed = resealed if name == INDEX else with_new_index(resealed)
        assert verify_bundle(packed(tmp_path / "b.tar.gz", resealed)).findings


def test_nothing_is_overwritten(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "there.tar.gz").write_text("mine")
    with pytest.raises(UserError, match="is there already and is not overwritten"):
        write_bundle(["small"], finished, tmp_path / "there.tar.gz")
    assert (tmp_path / "there.tar.gz").read_text() == "mine"


def test_an_unknown_recipe_is_said_with_those_there_are(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"named 'smal'; did you mean `small`\?\nThere are results of: small"):
        write_bundle(["smal"], finished, tmp_path / "b.tar.gz")


def test_everything_missing_is_listed_and_no_file_is_left(runs: Path, tmp_path: Path) -> None:
    shutil.rmtree(next((runs / "store" / "train").glob("*")))
    scores = (runs / "ledger" / "scores.jsonl").read_bytes().splitlines()
    key = json.loads(scores[0])["record"]["evaluation_key"]
    damaged = runs / "store" / "evaluate" / key / "part-00000.jsonl"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (runs / "ledger" / "scores.jsonl").write_bytes(b"\n".join(scores[:-1]) + b"\n")
    with pytest.raises(RunError) as caught:
        write_bundle(["small"], runs, tmp_path / "b.tar.gz")
    message = str(caught.value)
    assert re.search(r"small/lightr \([0-9a-f]{16}\) has no score on choice in the ledger", message)
    assert f"evaluate/{key} is damaged" in message
    assert "is not in the store" in message
    assert "the recipes are small" in message
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert damaged.exists()


def test_an_arm_that_is_not_made_yet_is_missing(runs: Path, tmp_path: Path) -> None:
    arms = (runs / "ledger" / "arms.jsonl").read_bytes().splitlines()
    (runs / "ledger" / "arms.jsonl").write_bytes(arms[0] + b"\n")
    with pytest.raises(RunError, match=r"the arm [0-9a-f]{16} is not made yet"):
        write_bundle(["small"], runs, tmp_path / "b.tar.gz")


@pytest.fixture
def studies(runs: Path, tmp_path: Path) -> Path:
    """A folder with the study `mine`, whose one recipe is that of the runs."""
    folder = tmp_path / "experiments"
    folder.mkdir()
    (record,) = Ledger(runs / "ledger").read().recipes
    (folder / "small.yaml").write_text(record.recipe_yaml)
    edition = "{recipes: [small.yaml], claims: [lightr > base on multi_step by 2]}"
    (folder / "mine.yaml").write_text(
        f"title: Mine\ntable: ablations\neditions: {{paper: {edition}, embedded: {edition}}}\n"
    )
    return folder


def test_a_study_is_bundled_with_its_tables_and_they_are_drawn_again(
    runs: Path, studies: Path, tmp_path: Path
) -> None:
    path = tmp_path / "b.tar.gz"
    bundle_by_name(["mine"], "embedded", studies, runs, path)
    found = verify_bundle(path)
    assert (found.findings, found.tables, found.arms) == ((), 5, 2)
    files = dict(read_archive(path))
    assert b"base on multi_step by 2" in files["tables/study.md"]
    files["tables/study.md"] = files["tables/study.md"].replace(b"Mine", b"Ours")
    (finding,) = verify_bundle(packed(tmp_path / "c.tar.gz", with_new_index(files))).findings
    assert finding.startswith("tables/study.md: is not what the records of the bundle give")
    files["study.json"] = files["study.json"].replace(b"Mine", b"Ours")
    assert verify_bundle(packed(tmp_path / "d.tar.gz", with_new_index(files))).findings


def test_a_study_that_asks_for_endless_work_is_refused(runs: Path, studies: Path, tmp_path: Path) -> None:
    bundle_by_name(["mine"], "embedded", studies, runs, tmp_path / "b.tar.gz")
    files = dict(read_archive(tmp_path / "b.tar.gz"))
    study = json.loads(files["study.json"])
    values = "[" + ", ".join(str(number / 1000) for number in range(500)) + "]"
    recipe = yaml.safe_load(study["recipes"][0]["recipe"])
    recipe["sweep"] = {
        "grid": {"divergence.alpha": json.loads(values), "divergence.beta": json.loads(values)}
    }
    study["recipes"][0]["recipe"] = yaml.safe_dump(recipe)
    files["study.json"] = json.dumps(study).encode()
    findings = verify_bundle(packed(tmp_path / "c.tar.gz", with_new_index(files))).findings
    assert any("study.json" in f and "more than 10,000 points" in f for f in findings), findings


def test_what_a_study_lacks_is_said_with_the_command_that_makes_it(
    runs: Path, studies: Path, tmp_path: Path
) -> None:
    arms = (runs / "ledger" / "arms.jsonl").read_bytes().splitlines()
    (runs / "ledger" / "arms.jsonl").write_bytes(arms[0] + b"\n")
    with pytest.raises(RunError, match=r"lightr: `lrbench run \S*small.yaml"):
        bundle_by_name(["mine"], "embedded", studies, runs, tmp_path / "b.tar.gz")


def test_the_command_line_says_what_is_wrong_and_ends_with_1(
    finished: Path, files: Files, tmp_path: Path
) -> None:
    path = tmp_path / "b.tar.gz"
    written = CliRunner().invoke(app, ["bundle", "small", "--to", str(path), "--runs", str(finished)])
    assert written.exit_code == 0
    assert "2 arms, 4 scores and the 8 stages behind them" in written.output
    good = CliRunner().invoke(app, ["verify", str(path)])
    assert (good.exit_code, good.output.splitlines()[0][:9]) == (0, "Verified:")
    edit_ledger(files, "scores.jsonl", 0, lambda record: record.update(exact="1111"))
    draw_tables(files)
    bad = CliRunner().invoke(app, ["verify", str(packed(tmp_path / "c.tar.gz", with_new_index(files)))])
    assert bad.exit_code == 1
    assert bad.output.splitlines()[-1] == "NOT verified: 1 disagreement."
    # What damage may be the cause of is counted apart from it.
    damaged = packed(tmp_path / "d.tar.gz", with_new_index(files))
    damaged.write_bytes(damaged.read_bytes() + b"0")
    told = CliRunner().invoke(app, ["verify", str(damaged)]).output
    *lines, last = told.splitlines()
    assert (len(lines), lines[0]) == (2, "d.tar.gz: its seal is broken: bytes were changed, cut off or added")
    assert last.startswith("NOT verified: 2 disagreements. 1 more is left out, which what is damaged")
    with pytest.raises(UserError, match="there is no such file"):
        verify_bundle(tmp_path / "none.tar.gz")


def test_check_says_where_overrides_go() -> None:
    with pytest.raises(UserError, match="name them before the fields to set"):
        CliRunner().invoke(app, ["check", "seed=2"], catch_exceptions=False)
