"""The card of an exported model: how it was made, what it scored, how it was measured, how it is loaded.

Everything comes from the ledger and the store. Names and recipes are shown as text, folders of this
machine by their last name alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from lrbench.pipeline.exporting.hub_results import measured_by, model_index
from lrbench.pipeline.exporting.licences import Licence
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.measuring import SAMPLED
from lrbench.recipe.references import EMBEDDED, Origin, model_name, origin_of_model
from lrbench.recipe.schema import EngineChoice, Recipe, Runtime
from lrbench.recipe.training_sources import without_folders
from lrbench.results.board import Board
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.results.rows import Row
from lrbench.results.text import markdown, plain
from lrbench.results.wording import (
    LEGEND,
    UNKNOWN,
    accuracy_text,
    comparison_text,
    duration_text,
)

if TYPE_CHECKING:
    from lrbench.pipeline.exporting.gate import Agreement, Bounds

# Of a protocol, what differs from benchmark to benchmark.
OF_THE_BENCHMARK = ("task", "data", "items")


@dataclass(frozen=True)
class MergeCheck:
    """What the gate measured on a merged model of `dtype`, and the bounds it had to keep to."""

    dtype: str
    found: Agreement
    bounds: Bounds
    expert_cast: Agreement | None
    items: int


@dataclass(frozen=True)
class CardFacts:
    """What a card tells.

    `expert` is the expert's reference, `dtype` what it was measured in. `rows` are the arm's rows on the
    boards it is on; `sources` maps the stages behind the arm to the facts that identify them; `merge` is
    None for an adapter.
    """

    arm: ArmRecord
    variant: str
    scores: Sequence[ScoreRecord]
    rows: Sequence[tuple[Board, Row]]
    recipe: Recipe
    expert: str
    dtype: str
    licence: Licence
    sources: Mapping[str, Mapping[str, Any]]
    adapter_sha256: str
    merge: MergeCheck | None


def model_card(facts: CardFacts) -> str:
    """Markdown with a YAML header; equal facts give an equal card."""
    sections = [
        _header(facts),
        f"# {markdown(facts.arm.recipe)} / {markdown(' '.join(filter(None, [facts.arm.arm, facts.variant])))}"
        + ("" if facts.arm.seed is None else f", seed {facts.arm.seed}"),
        _introduction(facts),
        "## Use\n\n" + _use(facts),
        "## Results\n\n" + "\n\n".join(_results(board, row) for board, row in facts.rows),
        _bullets(LEGEND),
        "## Protocol\n\n" + "\n\n".join(_protocols(facts.scores)),
        "## Data and stages\n\n" + _stages(facts),
        "## Recipe\n\n" + _fenced(resolved_yaml(without_places(facts.recipe)), "yaml"),
        "## Weights\n\n" + _weights(facts),
        "## Environment\n\n" + _table(("", ""), sorted(facts.arm.environment.items())),
        "## Licence\n\n" + _licence(facts),
    ]
    return "\n\n".join(sections) + "\n"


def without_places(recipe: Recipe) -> Recipe:
    """`recipe` without what only says where things are on one machine."""
    amateur = recipe.pair.amateur
    if amateur is not None and amateur.model is not None:
        amateur = amateur.model_copy(update={"model": model_name(amateur.model)})
    pair = {
        "expert": recipe.pair.expert.model_copy(update={"model": model_name(recipe.pair.expert.model)}),
        "amateur": amateur,
    }
    return recipe.model_copy(
        update={
            "pair": recipe.pair.model_copy(update=pair),
            "data": recipe.data.model_copy(update={"train": without_folders(recipe.data.train)}),
            "sampling": recipe.sampling.model_copy(update=_engine(recipe.sampling.engine)),
            "evaluation": recipe.evaluation.model_copy(update=_engine(recipe.evaluation.engine)),
            "runtime": Runtime(),
        }
    )


def _engine(engine: EngineChoice) -> dict[str, EngineChoice]:
    return {"engine": EngineChoice(name=engine.name)}


def _header(facts: CardFacts) -> str:
    fields: dict[str, Any] = {}
    if facts.licence.identifier is not None:
        fields["license"] = facts.licence.identifier
    if origin_of_model(facts.expert) is Origin.HUB:
        fields["base_model"] = facts.expert
    fields["library_name"] = "transformers" if facts.merge else "peft"
    fields["pipeline_tag"] = "text-generation"
    fields["tags"] = ["lrbench"]
    name = "-".join(filter(None, [facts.arm.recipe, facts.arm.arm, facts.variant]))
    if index := model_index(plain(name), measured_by(facts.rows)):
        fields["model-index"] = index
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def _introduction(facts: CardFacts) -> str:
    expert, settings = markdown(model_name(facts.expert)), facts.arm.settings
    other = settings.get("change")
    adapter = f"as an adapter in PEFT's format ({_said(other)})" if other else "as a LoRA adapter"
    what = "with the adapter merged into its weights" if facts.merge else adapter
    amateur = facts.arm.amateur
    contrast = f", scored against {markdown(model_name(amateur))}" if amateur else ""
    objective = f"; objective: {_said(settings['objective'])}" if "objective" in settings else ""
    return (
        f"{expert}, fine-tuned by lrbench {what}. Learnt from: {_said(settings['source'])} rollouts"
        f"{contrast}; steps kept: {_said(settings['selector'])}; "
        f"target: {_said(settings['target'])}{objective}."
    )


def _said(written: Any) -> str:
    """A word of the arm as its recipe writes it: a name, or a mapping in one line."""
    return markdown(written if isinstance(written, str) else json.dumps(written))


def _use(facts: CardFacts) -> str:
    system = facts.scores[0].protocol.get("system_prompt")
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages.append({"role": "user", "content": "What is 2 + 3?"})
    if facts.merge:
        imports, load = "", ['model = AutoModelForCausalLM.from_pretrained(".")  # this folder']
        tokens = "."
    else:
        imports = "from peft import PeftModel\n"
        tokens = model_name(facts.expert)
        if tokens.startswith(EMBEDDED):
            imports += "from lrbench.embedded.assets import model_folder\n"
            place = f"model_folder({json.dumps(tokens.removeprefix(EMBEDDED))})"
        else:
            local = origin_of_model(facts.expert) is Origin.LOCAL
            place = json.dumps(f"path/to/{tokens}" if local else tokens)
        load = [
            f"expert = AutoModelForCausalLM.from_pretrained({place}, dtype={json.dumps(facts.dtype)})",
            'model = PeftModel.from_pretrained(expert, ".")  # this folder',
        ]
    tokenizer = json.dumps(tokens) if facts.merge else place
    protocol = facts.scores[0].protocol
    length = protocol.get("max_new_tokens") or 128
    how, decoding = decoding_of(protocol)
    code = "\n".join(
        [
            f"{imports}from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f"tokenizer = AutoTokenizer.from_pretrained({tokenizer})",
            *load,
            f"messages = {json.dumps(messages)}",
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True',
            ")",
            f"output = model.generate(**inputs, {decoding}, max_new_tokens={length})",
            'print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))',
        ]
    )
    return f"{how}, as it was measured:\n\n" + _fenced(code, "python")


def decoding_of(protocol: Mapping[str, Any]) -> tuple[str, str]:
    """How answers were written, as a word and as arguments of transformers' `generate`."""
    if protocol.get("decoding") != SAMPLED:
        return "Greedy", "do_sample=False"
    # All is said: what is not takes the settings that a model ships with.
    drawn = f"temperature={protocol['temperature']}, top_p={protocol['top_p']}, top_k=0"
    return "Sampled", f"do_sample=True, {drawn}"


def _results(board: Board, row: Row) -> str:
    lines = []
    for column in board.columns:
        estimate = row.on(column)
        cell = row.cells.get(column)
        lines.append(
            [
                column,
                UNKNOWN if cell is None else str(cell.n),
                UNKNOWN if estimate is None else accuracy_text(estimate),
                UNKNOWN if cell is None else f"{100 * cell.score.correct_exact / cell.n:.1f}",
                *(comparison_text(delta.on(column)) or UNKNOWN for delta in row.against.values()),
            ]
        )
    costs = ""
    if row.costs is not None and row.seconds is not None:
        drawn = f" (drawn {row.costs.drawn_problems:,} times)" if row.costs.drawn_problems else ""
        costs = (
            f"\n\nCost: {row.costs.tuned_tokens:,} tuned tokens from {row.costs.sampled_problems:,} sampled "
            f"problems{drawn}, {duration_text(row.seconds)} on the machine below."
        )
    header = (
        "benchmark",
        "n",
        "paper verdict",
        "exact verdict",
        *(f"against {name}" for name in row.against),
    )
    title = f"Suite {markdown(board.suite)}, protocol {board.protocol_hash[:8]}:"
    return f"{title}\n\n{_table(header, lines)}{costs}"


def _protocols(scores: Sequence[ScoreRecord]) -> Iterable[str]:
    """What the benchmarks of each suite share, then what each has of its own."""
    for suite in dict.fromkeys(score.suite for score in scores):
        of_suite = [score for score in scores if score.suite == suite]
        shared = {
            name: value
            for name, value in of_suite[0].protocol.items()
            if name not in OF_THE_BENCHMARK and all(score.protocol.get(name) == value for score in of_suite)
        }
        yield _table(("", ""), [(name, json.dumps(value)) for name, value in shared.items()])
        yield _table(
            ("benchmark", "data", "items", "protocol"),
            [
                (score.benchmark, str(score.protocol.get("data")), score.items_hash, score.protocol_hash)
                for score in of_suite
            ],
        )


def _stages(facts: CardFacts) -> str:
    lines = [(name, key) for name, key in facts.arm.stages.items()]
    lines += [(f"evaluate {score.benchmark}", score.evaluation_key) for score in facts.scores]
    identities = [
        (f"{stage}.{name}", json.dumps(value))
        for stage, identity in facts.sources.items()
        for name, value in identity.items()
        if name != "training"
    ]
    return (
        f"Training problems: {markdown(without_places(facts.recipe).data.label)}, "
        f"{facts.recipe.data.problems:,} of them.\n\n"
        + _table(("what a stage is made from", ""), identities)
        + "\n\n"
        + _table(("stage", "key"), lines)
    )


def _weights(facts: CardFacts) -> str:
    lines = [
        ("result", facts.arm.arm_id),
        *((f"swept {field}", json.dumps(value)) for field, value in facts.arm.point.items()),
        ("recorded", facts.arm.recorded_at),
        ("recipe hash", facts.arm.recipe_hash),
        ("expert", model_name(facts.expert)),
        ("expert's weights", facts.scores[0].expert_weights),
        ("adapter_model.safetensors, SHA-256", facts.adapter_sha256),
    ]
    if facts.merge is None:
        return _table(("", ""), lines)
    check = facts.merge
    lines += [
        ("merged in", "float32"),
        ("written as", check.dtype),
        ("largest logit difference", f"{check.found.difference:.3g} (allowed {check.bounds.difference:.3g})"),
        ("same likeliest token", f"{check.found.top1:.2%} (needed {check.bounds.top1:.2%})"),
    ]
    if check.expert_cast is not None:
        cast = check.expert_cast
        lines.append(("the cast alone, on the expert", f"{cast.difference:.3g}, {cast.top1:.2%}"))
    return (
        f"The model as written was read back and compared with expert and adapter in float32, at "
        f"{check.found.positions} positions of {check.items} items of its own evaluation.\n\n"
        + _table(("", ""), lines)
    )


def _licence(facts: CardFacts) -> str:
    licence, expert = facts.licence, markdown(model_name(facts.expert))
    if licence.source is None:
        return f"The licence of {expert}, whose weights these are made from: {licence.words}."
    whose = " (it ships with lrbench, under lrbench's licence)" if expert.startswith(EMBEDDED) else ""
    return (
        f"The licence of {expert}{whose}, whose weights these are made from, as its {licence.source} says: "
        f"{markdown(licence.words)}. Licences of the training problems are those of their sources."
    )


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [[*header], ["---"] * len(header), *([markdown(cell) for cell in line] for line in lines)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {markdown(line)}" for line in lines)


def _fenced(text: str, language: str) -> str:
    """`text` in a block that no run of backticks in it can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
