"""Provenance: where a result comes from, whether that is still there, and how to make it again."""

from __future__ import annotations

import html
import json
import shlex
from pathlib import Path
from typing import Literal

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.context import choose_context
from lrbench_dashboard.loading import Results, inspector, load_results
from lrbench_dashboard.look import begin_page, table_html
from lrbench_dashboard.provenance_view import (
    code_text,
    difference,
    downloaded,
    facts_html,
    hash_html,
    moved_html,
    stages_html,
)
from lrbench_dashboard.result_names import names_first_of, note_if_outside, result_names

from lrbench.recipe.moving import runs_anywhere
from lrbench.recipe.secrets import without_secrets
from lrbench.results.asking import asked_first
from lrbench.results.declarations import whole_command
from lrbench.results.details import choice_text
from lrbench.results.inspection import Inspector
from lrbench.results.mlflow.place import default_tracking_uri, is_mirrored, is_server
from lrbench.results.provenance import StageFound, State, hashes_read, look, stages_behind, verified
from lrbench.results.records import IMPORTED, ArmRecord, ScoreRecord
from lrbench.results.text import plain, size_text
from lrbench.results.web.text import name_html

NONE = "none"
# Another result has other stages.
OF_A_RESULT = ("stage",)
RESOLVED = "resolved.yaml"
# In pixels, of a recipe with more lines than these.
RECIPE_HEIGHT, RECIPE_LINES = 440, 18


def main() -> None:
    """Choose a result, then everything the ledger and the store say of how it came to be."""
    begin_page(
        "Provenance",
        "Where a result comes from: its recipe, the stages that made it, what they read, and how to make it "
        "again.",
    )
    results = load_results()
    context = choose_context(results, st.query_params.get("arm")) if results.boards else None
    names = names_first_of(context, result_names(results))
    first = None if context is None else asked_first(context.board, context.rows, results.declared)[0].arm_id
    arm_id = state.choice(
        "Result", names, key="arm", default=first, on_change=state.forget, args=(OF_A_RESULT,)
    )
    note_if_outside(context, arm_id)
    arm = results.arms.get(arm_id)
    scores = [score for score in results.contents.scores if score.arm_id == arm_id]
    store = inspector(str(results.runs))
    if arm is None:
        st.html(
            '<p class="lr-note lr-problem" role="alert">The ledger has what this arm scored, but no readable '
            "record of how it was made.</p>"
        )
    elif arm.imported:
        show_import(arm, names[arm.arm_id], results)
    else:
        show_identity(arm, names[arm.arm_id], choice_text(arm, results.contents))
        show_reproduction(arm, results)
        show_recipe(arm, results, names)
    stages = [] if arm is not None and arm.imported else show_stages(arm, scores, store)
    show_hashes(stages, scores)
    if arm is not None and not arm.imported:
        show_environment(arm)
    show_mlflow(arm_id, results)
    show_records(arm, scores)


def show_identity(arm: ArmRecord, name: str, choice: str) -> None:
    """Who made what of whom; `choice` is which point of a sweep that is, empty where none was chosen.

    The recipe further down has the value from before the sweep.
    """
    facts = {
        "expert": arm.expert,
        "amateur": arm.amateur or "none had a part in it",
        "recorded": arm.recorded_at,
        "arm id": arm.arm_id,
        "recipe hash": arm.recipe_hash,
        "commit": commit_of(arm) or "not recorded",
    }
    chosen = f'<p class="lr-note">{html.escape(choice)}</p>' if choice else ""
    st.html(f"<h2>{html.escape(name)}</h2>{chosen}" + facts_html(facts, "This result"))


def show_import(arm: ArmRecord, name: str, results: Results) -> None:
    """Which files the outcomes come from, and what put them here: nothing else is known of them."""
    facts = arm.environment | {
        f"SHA-256, {benchmark}": digest for benchmark, digest in arm.settings[IMPORTED]["files"].items()
    }
    facts |= {"recorded": arm.recorded_at, "arm id": arm.arm_id}
    st.html(
        f"<h2>{html.escape(name)}</h2>"
        '<p class="lr-note">Imported from result files: measured by another harness, under a protocol of its '
        "own. How the system was made, what it cost and what it answered are not known here.</p>"
        + facts_html(facts, "The files")
    )
    command, _ = reproduction(arm, results)
    st.html("<h2>Import it again</h2>")
    st.code(code_text(command), language="bash", wrap_lines=True)


def commit_of(arm: ArmRecord) -> str:
    """The commit of the source it was made with; empty where the record has none."""
    return str(arm.environment.get("commit", ""))


def show_reproduction(arm: ArmRecord, results: Results) -> None:
    """The command that makes this result again, and the recipe as a file that runs from any folder."""
    st.html("<h2>Make it again</h2>")
    command, note = reproduction(arm, results)
    st.code(code_text(command), language="bash", wrap_lines=True)
    st.html(f'<p class="lv-caption">{html.escape(note)}</p>')
    # A run wrote its results beside the paths that it read, unless it was told otherwise.
    moved = runs_anywhere(arm.recipe_yaml, (results.runs.absolute().parent, Path.cwd()))
    st.download_button(
        f"Download {RESOLVED}",
        downloaded(arm, moved),
        file_name=RESOLVED,
        mime="text/yaml",
        on_click="ignore",
    )
    if said := moved_html(moved):
        st.html(said)


def reproduction(arm: ArmRecord, results: Results) -> tuple[str, str]:
    """The command, and what to know about it: the recipe's own where it came from a file."""
    declared = [
        record for record in results.contents.recipes if arm.arm_id in record.arm_ids and record.command
    ]
    if declared:
        return (
            whole_command(declared[-1].command, results.runs),
            "As it was run, in the folder that it was run in; --runs is the folder of these results. The "
            "recipe as resolved then is below; downloaded, it runs from any folder.",
        )
    return (
        f"lrbench run {RESOLVED}",
        f"With the recipe below saved as {RESOLVED}: every default is written out in it, so that it means "
        "the same in a later version.",
    )


def show_recipe(arm: ArmRecord, results: Results, names: dict[str, str]) -> None:
    """The resolved recipe, or how it differs from another result's."""
    st.html("<h2>Recipe, as resolved</h2>")
    others = {NONE: "nothing: show the recipe itself"}
    others |= {other: name for other, name in names.items() if other != arm.arm_id and other in results.arms}
    chosen = state.choice("Show how it differs from", others, key="other", default=NONE)
    if chosen == NONE:
        long = arm.recipe_yaml.count("\n") > RECIPE_LINES
        height: int | Literal["content"] = RECIPE_HEIGHT if long else "content"
        st.code(code_text(arm.recipe_yaml), language="yaml", line_numbers=True, height=height)
        return
    other = results.arms[chosen]
    found = difference(other.recipe_yaml, arm.recipe_yaml, (names[chosen], names[arm.arm_id]))
    if found:
        st.code(code_text(found), language="diff")
    else:
        st.html(
            '<p class="lr-note">Both were made by the same recipe. What differs is the arm: '
            f"{name_html(other.arm)} and {name_html(arm.arm)}.</p>"
        )


def show_stages(arm: ArmRecord | None, scores: list[ScoreRecord], store: Inspector) -> list[StageFound]:
    """The chain of stages, what each was made from, and a button that reads every byte."""
    st.html("<h2>Stages</h2>")
    stages = [look(store, name, key, label) for (name, key), label in stages_behind(arm, scores).items()]
    size = sum(stage.size or 0 for stage in stages)
    table = st.empty()
    table.html(stages_html(stages))
    there = [stage for stage in stages if stage.state is State.THERE]
    if there and st.button(f"Verify every byte ({size_text(size)})", help="Reads and hashes every file."):
        bar = st.progress(0.0)
        for place, stage in enumerate(stages):
            bar.progress(place / len(stages), text=plain(stage.label, 60))
            stages[place] = verified(store, stage)
            table.html(stages_html(stages))
        bar.empty()
    if any(stage.state is not State.WHOLE and stage.state is not State.THERE for stage in stages):
        st.html(
            '<p class="lr-note lr-problem">Not everything is there as it was made. The result stands: the '
            "ledger has it. Running the recipe again makes what is missing anew.</p>"
        )
    show_stage(stages)
    return stages


def show_stage(stages: list[StageFound]) -> None:
    """One stage in full: what decides its key, what it read, what it measured, its files."""
    described = {stage.label: stage for stage in stages if stage.identity}
    options = {NONE: "no stage"} | {label: plain(label, 80) for label in described}
    chosen = state.choice("Show in full", options, key="stage", default=NONE)
    if chosen == NONE:
        return
    stage = described[chosen]
    decides = {
        "stage": stage.name,
        "version": stage.version,
        "identity": stage.identity,
        "inputs": stage.inputs,
    }
    st.html(f'<p class="lv-caption">The key {hash_html(stage.key)} is the hash of this and nothing else:</p>')
    st.code(code_text(json.dumps(decides, indent=1, ensure_ascii=False)), language="json")
    if stage.statistics:
        st.html('<p class="lv-caption">What it measured:</p>')
        st.code(code_text(json.dumps(stage.statistics, indent=1, ensure_ascii=False)), language="json")
    rows = [
        [name_html(file["name"]), size_text(file["size"]), f"<code>{name_html(file['sha256'], 64)}</code>"]
        for file in stage.files
    ]
    st.html(table_html(["file", "size", "SHA-256"], rows, "Files"))


def show_hashes(stages: list[StageFound], scores: list[ScoreRecord]) -> None:
    """Hashes of all data and weights that were read."""
    found = hashes_read(stages, scores)
    if not found:
        return
    st.html("<h2>Data and weights</h2>")
    rows = [
        [
            f"<code>{name_html(digest, 120)}</code>",
            "<br>".join(name_html(place, 120) for place in places[:12]),
        ]
        for digest, places in found.items()
    ]
    st.html(table_html(["hash", "of what, as the stage or protocol names it"], rows, "Data and weights"))


def show_environment(arm: ArmRecord) -> None:
    """Versions and hardware of the stage that decides what the arm scores."""
    st.html("<h2>Environment</h2>")
    st.html(facts_html(arm.environment, "Environment"))


def show_mlflow(arm_id: str, results: Results) -> None:
    """How to find the result in MLflow: on its server, or by serving the store of this runs folder."""
    folder = shlex.quote(str(results.runs))
    behind = (
        '<p class="lr-note">MLflow does not hold all of the ledger at the moment: '
        f"<code>{name_html(f'lrbench rebuild --runs {folder}', 1000)}</code> brings it up to date.</p>"
    )
    st.html(f"<h2>In MLflow</h2>{'' if is_mirrored(results.runs) else behind}")
    uri = default_tracking_uri(results.runs)
    search = "In the experiment <code>lrbench</code>, search runs for:"
    if is_server(uri):
        shown = name_html(without_secrets(uri), 1000)
        st.html(f'<p class="lv-caption">It is served at <code>{shown}</code>. {search}</p>')
    else:
        st.code(code_text(f"lrbench mlflow --runs {folder}"), language="bash", wrap_lines=True)
        st.html(f'<p class="lv-caption">serves it and says where. {search}</p>')
    quoted = plain(arm_id, 200).replace("'", "")
    st.code(f"tags.`lrbench.arm_id` = '{quoted}'", language="sql")


def show_records(arm: ArmRecord | None, scores: list[ScoreRecord]) -> None:
    """The ledger's records as they stand in it."""
    with st.expander("Ledger records"):
        records = ([] if arm is None else [arm]) + scores
        text = "\n".join(record.model_dump_json(indent=1) for record in records)
        st.download_button(
            "Download records.json",
            text,
            file_name="records.json",
            mime="application/json",
            on_click="ignore",
        )
        st.code(code_text(text), language="json")


main()
