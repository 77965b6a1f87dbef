"""Fields that have to fit each other, and settings that have no effect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.loading import load_with_warnings

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]

ARMS = "[base, sft, lightr]"
AMATEUR = "  amateur: {model: embedded/amateur}\n"
SUITE = "suite: embedded7"
UNIT = "  rollouts_per_update: 2\n"
BELOW = "allowed is an alpha of at least alpha_min, since scores are stored only down to there"

ALPHA = "10:10: divergence.alpha: ignored, because no arm has a target that takes it, such as `contrast`"
BETA = "11:9: divergence.beta: ignored, because no arm has a selector that takes it, such as `kl`"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            [("alpha: 0.2", "alpha: 0.2\n  alpha_min: 0.3")],
            f"10:10: divergence.alpha: alpha is 0.2 and divergence.alpha_min is 0.3, {BELOW}",
        ),
        (
            [("  alpha: 0.2", "  alpha_min: 0.3")],
            f"10:14: divergence.alpha_min: alpha is 0.2 and divergence.alpha_min is 0.3, {BELOW}",
        ),
        (
            [(ARMS, "[{name: lightr, divergence: {alpha: 0.01}}]")],
            "16:43: arms.0.divergence.alpha: alpha is 0.01 and divergence.alpha_min is 0.05, " + BELOW,
        ),
        ([(UNIT, "")], "12:1: training: needs one of `rollouts_per_update` and `steps_per_update`"),
        (
            [(UNIT, UNIT + "  steps_per_update: 16\n")],
            "15:21: training.steps_per_update: given beside `rollouts_per_update`, "
            "allowed is one of the two (null switches the other off)",
        ),
        (
            [(ARMS, "[{name: sft, training: {rollouts_per_update: 1, steps_per_update: 2}}]")],
            "16:73: arms.0.training.steps_per_update: given beside `rollouts_per_update`, "
            "allowed is one of the two",
        ),
        ([(AMATEUR, "")], "3:1: pair.amateur: missing; the arm `lightr` compares the expert with an amateur"),
        (
            [(ARMS, ARMS + "\ncompare: {subject: lihgtr}")],
            "17:20: compare.subject: `lihgtr` is no arm of this recipe; its arms are base, sft, lightr; "
            "did you mean `lightr`?",
        ),
        (
            [(ARMS, ARMS + "\ncompare:\n  against: [stf]")],
            "18:13: compare.against.0: `stf` is no arm of this recipe; its arms are base, sft, lightr; "
            "did you mean `sft`?",
        ),
        (
            [(ARMS, ARMS + "\ncompare: {subject: sft, against: [base, sft]}")],
            "17:41: compare.against.1: `sft` is the subject itself; it is set against other arms",
        ),
        (
            [(ARMS, ARMS + "\ncompare: {against: [base, sft, base]}")],
            "17:32: compare.against.2: `base` stands twice in the list",
        ),
        (
            [(ARMS, ARMS + "\ncompare: {against: [sft, base, lightr]}")],
            "17:20: compare.against: these are all arms of the recipe; none is left to set against them",
        ),
        (
            [(AMATEUR, AMATEUR + "  least_mass: 0.8\n")],
            "6:15: pair.least_mass: given without `align: tokens`, allowed is only with it, since ids either "
            "agree or do not",
        ),
        (
            [(AMATEUR, AMATEUR + "  align: ids\n  least_mass: 0.8\n")],
            "7:15: pair.least_mass: given without `align: tokens`, allowed is only with it, since ids either "
            "agree or do not",
        ),
        (
            [(AMATEUR, AMATEUR + "  align: tokens\n  least_mass: 1.1\n")],
            "7:15: pair.least_mass: found 1.1, allowed is a number in (0, 1] or null",
        ),
        (
            [(AMATEUR, "  amateur: null\n"), (ARMS, "[base, no_contrast]")],
            "5:12: pair.amateur: missing; the arm `no_contrast` compares the expert with an amateur",
        ),
        (
            [(ARMS, "[lightr, {name: base, selector: all}]")],
            "16:16: arms.1: the arm `base` is the expert, which is not trained; it takes no settings but "
            "`answer`, and a `change` that is made without training",
        ),
        (
            [(ARMS, "[lightr, {name: lightr, divergence: {beta: 0.1}}]")],
            "16:23: arms.1.name: the name `lightr` is also that of arms.0; give each arm a `name` of its own",
        ),
        (
            [(SUITE, SUITE + "\n  limit: 3\n  items: [hard-test-1]")],
            "20:10: evaluation.items: given beside `limit`, allowed is one of the two "
            "(null switches the other off)",
        ),
        (
            [(SUITE, SUITE + "\n  benchmarks: [hard, choice, hard]")],
            "19:30: evaluation.benchmarks.2: `hard` stands twice in the list",
        ),
        (
            [(SUITE, SUITE + "\n  items: [hard-test-1, hard-test-1]")],
            "19:24: evaluation.items.1: `hard-test-1` stands twice in the list",
        ),
        (
            [(SUITE, SUITE + "\n  engine: {name: server}")],
            "19:3: evaluation.engine.url: missing; the engine `server` needs its address, "
            "such as http://127.0.0.1:8000",
        ),
        (
            [(SUITE, SUITE + "\nsampling: {engine: {name: server, url: null}}")],
            "19:40: sampling.engine.url: missing; the engine `server` needs its address, "
            "such as http://127.0.0.1:8000",
        ),
        (
            [(UNIT, UNIT + "  budget: {on: seconds}\n")],
            "15:16: training.budget.on: given without `match`, which names the arm whose budget is taken",
        ),
        (
            [(ARMS, "[sft, {name: lightr, training: {budget: {match: sft}}}]")],
            "16:55: arms.1.training.budget.match: given without `on`: "
            "updates, tuned_tokens, problems or seconds",
        ),
        (
            [(UNIT, UNIT + "  budget: {match: sft, on: problems, problems: 3}\n")],
            "15:48: training.budget.problems: given beside `match` on problems, allowed is one of the two",
        ),
        (
            [(UNIT, UNIT + "  budget: {match: stf, on: problems}\n")],
            "15:19: training.budget.match: `stf` is no arm of this recipe; its arms are base, sft, lightr; "
            "did you mean `sft`?",
        ),
        (
            [(ARMS, "[base, {name: lightr, training: {budget: {match: base, on: seconds}}}]")],
            "16:56: arms.1.training.budget.match: the arm `base` is not trained, "
            "so it has no budget to match",
        ),
        (
            [(ARMS, "[{name: lightr, training: {budget: {match: lightr, on: updates}}}]")],
            "16:50: arms.0.training.budget.match: budgets that wait for each other: lightr -> lightr",
        ),
        (
            [(ARMS, "[lightr, {name: sft, objective: {divergence: js}}]")],
            "16:28: arms.1.objective: the target is the rollout's own token alone, which is learnt by its "
            "cross-entropy at temperature 1 whatever the divergence; add a part that is a distribution, or "
            "leave the objective out",
        ),
        (
            [(ARMS, "[{name: lightr, objective: {divergence: reverse}}]")],
            "16:23: arms.0.objective: KL(model || target) is infinite where the target (contrast) gives "
            "nothing to a token that the model may write; allowed is a target with a `soft` part, or the "
            "divergence `js`",
        ),
        (
            [(ARMS, "[{name: lightr, objective: {temperature: 2}, fidelity: last_column}]")],
            "16:62: arms.0.fidelity: the arm `lightr` trains with the objective forward at temperature 2, "
            "and the loss of the public scripts is KL(target || model) alone; give that arm "
            "`fidelity: corrected`",
        ),
        (
            [
                (UNIT, UNIT + "  budget: {match: sft, on: problems}\n"),
                (ARMS, "[lightr, {name: sft, training: {budget: {match: lightr, on: updates}}}]"),
            ],
            "15:19: training.budget.match: budgets that wait for each other: lightr -> sft -> lightr",
        ),
    ],
)
def test_fields_that_do_not_fit_are_told(
    refusal: Refusal, changed: Changed, changes: list[tuple[str, str]], told: str
) -> None:
    assert refusal(changed(*changes)) == [f"r.yaml:{told}"]


@pytest.mark.parametrize(
    "changes",
    [
        [(AMATEUR, ""), (ARMS, "[base, sft, neither, ground_truth]"), ("alpha: 0.2\n  beta: 0.4", "{}")],
        [(UNIT, "  rollouts_per_update: null\n  steps_per_update: 16\n")],
        [(ARMS, "[{name: lightr, training: {steps_per_update: 16}}]")],
        [(ARMS, "[{name: lightr, training: {rollouts_per_update: null}}]")],
        [(UNIT, UNIT + "  budget: {match: sft, on: problems, seconds: 5, tuned_tokens: 100}\n")],
        [(ARMS, "[sft, {name: lightr, training: {budget: {match: sft, on: updates, problems: 3}}}]")],
        [(AMATEUR, AMATEUR + "  align: tokens\n  least_mass: 1\n")],
    ],
)
def test_what_fits_loads_without_a_warning(
    folder: Path, changed: Changed, changes: list[tuple[str, str]]
) -> None:
    (folder / "r.yaml").write_text(changed(*changes).replace("divergence:\n  {}", "divergence: {}"))
    _, warnings = load_with_warnings("r.yaml")
    assert warnings == []


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        (
            [(ARMS, "[base, sft]")],
            [
                "5:3: pair.amateur: ignored, because no arm compares the expert with an amateur",
                ALPHA,
                BETA,
            ],
        ),
        (
            [(AMATEUR, "  align: tokens\n"), (ARMS, "[base, neither]"), ("alpha: 0.2\n  beta: 0.4", "{}")],
            ["5:10: pair.align: ignored, because no arm compares the expert with an amateur"],
        ),
        (
            [(ARMS, "[base, no_contrast]")],
            [ALPHA],
        ),
        (
            [(ARMS, "[no_selection]"), ("beta: 0.4", "alpha_min: 0.1")],
            [],
        ),
        (
            [(ARMS, "[lightr]\nsampling: {solutions: {temperature: 0.7}}")],
            ["17:12: sampling.solutions: ignored, because no arm learns from sampled solutions"],
        ),
        (
            [(ARMS, "[lightr, {name: sft, divergence: {alpha: 0.3, beta: 1}}]")],
            [
                "16:48: arms.1.divergence.alpha: ignored, because this arm does not use it: "
                "its target takes no alpha",
                "16:59: arms.1.divergence.beta: ignored, because this arm does not use it: "
                "its selector takes no beta",
            ],
        ),
        (
            [("{model: embedded/expert}", "{model: embedded/expert, revision: main}")],
            ["4:46: pair.expert.revision: ignored, because only models from the hub have revisions"],
        ),
        (
            [("problems: 8", "problems: 8\n  seed: 1")],
            ["9:9: data.seed: ignored, because `selection` is `first`"],
        ),
        ([("problems: 8", "problems: 8\n  selection: sample\n  seed: 1")], []),
        (
            [
                ("problems: 8", "problems: 8\n  held_out: 4"),
                (ARMS, "[base]"),
                (AMATEUR, ""),
                ("alpha: 0.2\n  beta: 0.4", "{}"),
            ],
            ["8:13: data.held_out: ignored, because no arm is trained"],
        ),
        (
            [(SUITE, SUITE + "\n  engine: {name: vllm, url: 'http://host', served_as: expert}")],
            [
                "19:29: evaluation.engine.url: ignored, because the engine is `vllm`",
                "19:55: evaluation.engine.served_as: ignored, because the engine is `vllm`",
            ],
        ),
        ([(SUITE, SUITE + "\n  engine: {name: server, url: 'http://host'}")], []),
    ],
)
def test_settings_without_effect_are_warned_about(
    folder: Path, changed: Changed, changes: list[tuple[str, str]], warnings: list[str]
) -> None:
    (folder / "r.yaml").write_text(changed(*changes))
    assert load_with_warnings("r.yaml")[1] == [f"r.yaml:{warning}" for warning in warnings]


def test_what_an_extended_file_sets_may_have_no_effect_without_a_warning(folder: Path, small: str) -> None:
    (folder / "base.yaml").write_text(small)
    (folder / "r.yaml").write_text("extends: base.yaml\narms: [base, sft]\ndivergence: {alpha: 0.3}\n")
    _, warnings = load_with_warnings("r.yaml", ["divergence.beta=0.5"])
    assert warnings == [
        f"r.yaml:3:21: {ALPHA.split(maxsplit=1)[1]}",
        f"override 'divergence.beta=0.5':17: {BETA.split(maxsplit=1)[1]}",
    ]
