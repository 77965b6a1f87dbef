"""Unknown fields: the right line, column and suggestion, for every field and every kind of slip."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from lrbench.errors import RecipeError
from lrbench.recipe.fields import has_free_names, is_mapping, leaf_paths, names_at
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.messages import Path as FieldPath

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"

# Changed letters are drawn from the whole keyboard in turn, so that all of them occur over all fields.
LETTERS = string.ascii_lowercase + "_-."


WORDS = ("source", "selector", "target", "objective", "change", "answer")
DERIVE = ("pair", "amateur", "derive")
# An amateur is named or derived; the two ways cannot stand in one recipe.
NAMED = "{model: embedded/amateur}"
DERIVED = "{derive: {from: expert, layers: 2, distill_updates: 4, learning_rate: 1e-3, seed: 0}}"


def misspellings(name: str) -> Iterator[str]:
    """Every drop, double and swap, and for each place one wrong letter and one letter too many."""
    for place, letter in enumerate(name):
        before, after = name[:place], name[place + 1 :]
        yield before + after
        yield before + letter + letter + after
        if after and after[0] != letter:
            yield before + after[0] + letter + after[1:]
        wrong = LETTERS[(LETTERS.index(letter) + 1 + place) % len(LETTERS)]
        yield before + wrong + after
        yield before + wrong + letter + after


def is_in_component(path: FieldPath) -> bool:
    """Whether the field is part of a word of an arm, of which no two may be there together."""
    return path[0] == "arms" and path[2] in WORDS and len(path) > 3


def keys_of(text: str) -> list[tuple[FieldPath, yaml.ScalarNode]]:
    """Every field name of a YAML text with its path and its place, by PyYAML alone."""

    def within(node: yaml.Node, path: FieldPath) -> Iterator[tuple[FieldPath, yaml.ScalarNode]]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield (*path, key.value), key
                yield from within(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for place, item in enumerate(node.value):
                yield from within(item, (*path, place))

    return list(within(yaml.compose(text, Loader=yaml.SafeLoader), ()))


TOKENS = ("controls", "forced", "force")


def every_slip_is_told(folder: Path, text: str, every: int = 1, within: FieldPath = ()) -> int:
    """Misspells each field of `text` in each way, or in every n-th; returns how many slips were tried.

    Of the ways to misspell a field the first is another one than of the field before it, so that all kinds of
    slips occur. Only fields below `within` are misspelt.
    """
    tried = 0
    for place, (path, key) in enumerate(keys_of(text)):
        if path[: len(within)] != within:
            continue
        siblings = names_at(path[:-1])
        if has_free_names(path[:-1]) or path[:-1] == TOKENS:
            # Names of the user's own have no right spelling, and neither have tokens.
            continue
        ways = list(dict.fromkeys(misspellings(key.value)))
        for wrong in ways[place % min(every, len(ways)) :: every]:
            if wrong in siblings or not wrong:
                continue
            start, end = key.start_mark.index, key.end_mark.index
            (folder / "r.yaml").write_text(text[:start] + wrong + text[end:])
            with pytest.raises(RecipeError) as caught:
                load_recipe("r.yaml")
            at = f"r.yaml:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
            shown = ".".join(str(part) for part in (*path[:-1], wrong))
            told = f"{at}: {shown}: unknown field; did you mean `{key.value}`?"
            assert str(caught.value) == f"{told}\n1 problem; nothing was run."
            tried += 1
    return tried


def test_every_slip_in_every_field_of_the_quickstart_is_told(folder: Path) -> None:
    text = QUICKSTART.read_text()
    assert len(keys_of(text)) == 38
    assert every_slip_is_told(folder, text) > 900


def test_every_slip_in_every_field_of_the_schema_is_told(folder: Path) -> None:
    text = """\
name: all
description: every field there is
seed: 0
seeds: null
pair:
  expert: {model: embedded/expert, revision: null, dtype: float32}
  amateur: {model: embedded/amateur, revision: null, dtype: float32}
  align: tokens
  least_mass: 0.9
models:
  teacher: {model: embedded/careful, revision: null, dtype: float32}
data: {train: embedded/multi_step, problems: 8, selection: sample, seed: 0, held_out: 4}
divergence: {alpha: 0.2, beta: 0.4, alpha_min: 0.05}
sampling:
  max_new_tokens: 128
  system_prompt: null
  solutions: {samples_per_problem: 4, temperature: 1.0, max_new_tokens: 128}
  engine: {name: hf, url: null, served_as: null}
training:
  updates: 5
  rollouts_per_update: 2
  steps_per_update: null
  learning_rate: 1e-3
  weight_decay: 0
  max_gradient_norm: 1
  lora: {r: 8, alpha: 16, dropout: 0.05, target_modules: [q_proj]}
  budget: {tuned_tokens: 9, problems: null, seconds: 9, match: mine, on: updates}
fidelity: corrected
arms:
  - name: mine
    like: lightr
    start: null
    fidelity: {last_column: true}
    source: greedy
    selector: kl
    target: {use: contrast}
    objective: forward
    change: lora
    answer: plain
    divergence: {alpha: 0.3, beta: 0.1}
    training:
      updates: 3
      rollouts_per_update: 2
      steps_per_update: null
      learning_rate: 1e-3
      weight_decay: 0
      max_gradient_norm: 1
      lora: {r: 4, alpha: 8, dropout: 0, target_modules: [k_proj]}
      budget: {tuned_tokens: null, problems: 4, seconds: null, match: null, on: null}
sweep:
  grid:
    divergence.alpha: [0.2, 0.3]
    arms.mine.training.lora.r: [4]
    sampling.max_new_tokens: [64]
  points: null
evaluation:
  suite: embedded7
  lm_eval: null
  benchmarks: [hard]
  limit: null
  items: [hard-test-1]
  select_on: {validation: 4}
  engine: {name: hf, url: null, served_as: null}
measure:
  {samples: 4, temperature: 0.6, top_p: 0.95, seed: 0, confidence: (\\d+)%, forgetting: embedded_talk,
   traces: true, weighed_by: teacher, repeats: 2}
controls: {of: mine, prefill: First, forced: {force: {"It": "We"}, first: 2}}
compare: {subject: mine, against: null}
claims: []
runtime:
  data_root: null
  device: auto
  threads: null
  batch_size: 64
  updates_between_saves: 20
  tokens_per_forward: null
  gradient_checkpointing: false
  compile: false
  processes: 1
  workers: 1
  queue: true
  cuda_graphs: true
  tensor_parallel: 2
"""
    written = {path for path, _ in keys_of(text)}
    apart = {path for path in leaf_paths() if path[:3] == DERIVE or is_in_component(path)}
    assert set(leaf_paths()) - apart <= written, "the recipe above has to give every field of the schema"
    assert every_slip_is_told(folder, text, every=32) > 150


def test_every_slip_in_every_field_of_a_derived_amateur_is_told(
    folder: Path, changed: Callable[..., str]
) -> None:
    text = changed((NAMED, DERIVED))
    assert {path for path in leaf_paths() if path[:3] == DERIVE} <= {path for path, _ in keys_of(text)}
    assert every_slip_is_told(folder, text, every=4, within=DERIVE) > 20


def test_every_slip_in_every_field_of_a_point_is_told(folder: Path, small: str) -> None:
    points = """\
sweep:
  points:
    - divergence.beta: 0.5
    - {divergence.beta: 0.6, arms.sft.training.learning_rate: 1e-4, data.problems: 9}
"""
    assert every_slip_is_told(folder, small + points, every=8, within=("sweep",)) > 30


def test_a_name_that_lost_its_only_letter_is_told_at_its_place(
    refusal: Callable[..., list[str]], changed: Callable[..., str]
) -> None:
    assert refusal(changed(("updates: 5", "updates: 5\n  lora:\n    : 8\n    alpha: 16"))) == [
        "r.yaml:15:5: not valid YAML: while parsing a block mapping, did not find expected key "
        "(there is no name before this `:`)"
    ]


def test_an_unknown_field_is_told_in_every_mapping(
    refusal: Callable[..., list[str]], small: str, changed: Callable[..., str]
) -> None:
    mappings = {path[:length] for path in leaf_paths() for length in range(1, len(path))}
    components = {path for path in mappings if path[0] == "arms" and path[2:] and path[2] in WORDS}
    for path in sorted(path for path in mappings - components if is_mapping(path)):
        override = ".".join(str(part) for part in (*path, "zzzzzzzz")) + "=1"
        column = len(override) - len("zzzzzzzz=1") + 1
        shown = override.removesuffix("=1")
        allowed = ", ".join(names_at(path))
        text = changed((NAMED, DERIVED)) if path == DERIVE else small
        if path[0] == "controls":
            text += "controls: {of: lightr, forced: {force: {It: We}}}\n"
        text += "measure: {samples: 4}\n" if path == ("measure",) else ""
        assert refusal(text, override) == [
            f"override '{override}':{column}: {shown}: unknown field; allowed here are {allowed}"
        ]


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        ("{like: lightr, selector: kll}", 'selector: found the text "kll", allowed is `kl`, `all`'),
        ("{like: lightr, target: {use: soft, off: expert}}", "target.off: unknown field; did you mean `of`?"),
        ("{like: lightr, target: {use: own_token, alpha: 0.2}}", "target.alpha: does not go with `use`"),
        ("{like: lightr, target: {use: soft, of: expert, top_k: 0}}", "target.top_k: found 0, allowed is"),
        (
            "{like: lightr, target: {of: expert}}",
            "target: found a mapping, allowed is `own_token`",
        ),
        (
            "{like: lightr, target: [{use: own_token, weight: 2}]}",
            "target.0.weight: found 2, allowed is a number in (0, 1]",
        ),
        ("{like: base, answer: {mix: {expert: x}}}", 'answer.mix.expert: found the text "x", allowed is a'),
        (
            "{like: base, answer: {mix: {expert: 1}, when: {signal: kl, above: 1}}}",
            "answer: `when: kl` compares the first two models, and `mix` names one",
        ),
        (
            "{like: base, answer: {route: {to: peer}}}",
            "answer.route: a route goes by `when` or a `router`, at",
        ),
        (
            "{like: base, answer: {route: {to: peer, router: learned}}}",
            'answer.route.router: found the text "learned", allowed is `learnt` or a mapping',
        ),
        (
            "{like: base, answer: {route: {to: amateur, router: {shares: 0.1}}}}",
            "answer.route.router.shares: unknown field; did you mean `share`?",
        ),
        (
            "{like: base, answer: {route: {to: peer, router: {share: 0.1, above: 0.5}}}}",
            "answer.route.router: `above` is given beside `share`; a learnt router is bounded by one of",
        ),
    ],
)
def test_what_is_wrong_with_a_word_of_an_arm_is_told_at_its_place(
    refusal: Callable[..., list[str]], changed: Callable[..., str], arm: str, told: str
) -> None:
    (message,) = refusal(changed(("[base, sft, lightr]", f"[{{name: mine, {arm[1:]}]")))
    assert f"arms.0.{told}" in message


def test_a_field_in_the_wrong_section_is_told_where_it_belongs(
    refusal: Callable[..., list[str]], small: str
) -> None:
    assert refusal(small + "learning_rate: 1e-3\n") == [
        "r.yaml:19:1: learning_rate: unknown field here; `learning_rate` belongs to `training`"
    ]


def test_a_value_under_a_misspelt_name_is_checked_as_well(
    refusal: Callable[..., list[str]], changed: Callable[..., str]
) -> None:
    assert refusal(changed(("training:", "trainng:"), ("updates: 5", "updates: 0"))) == [
        "r.yaml:12:1: trainng: unknown field; did you mean `training`?",
        "r.yaml:13:12: training.updates: found 0, allowed is a whole number of at least 1",
    ]


def test_a_misspelling_beside_the_right_name_is_told(
    refusal: Callable[..., list[str]], changed: Callable[..., str]
) -> None:
    assert refusal(changed(("  updates: 5", "  updates: 5\n  updatse: 6"))) == [
        "r.yaml:14:3: training.updatse: unknown field; did you mean `updates`?"
    ]
