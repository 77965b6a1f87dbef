"""Results of one name are called by what their records say was made differently."""

from __future__ import annotations

import pytest

from lrbench.results.board import build_boards
from lrbench.results.declarations import declared_with, left_out, overrides_of, standing
from lrbench.results.ledger import LedgerContents
from lrbench.results.records import RecipeRecord
from lrbench.results.variations import variations
from lrbench.results.wording import notes_on, row_label, seed_means
from tests.results.conftest import make_arm, make_score

SETTINGS = make_arm().settings
OTHER_BETA = SETTINGS | {"divergence": {"alpha": 0.2, "beta": 0.8}}


def words(*arms):
    found = variations(arms, {})
    return [found[arm.arm_id].words if arm.arm_id in found else "" for arm in arms]


def changed(**sections):
    return make_arm(arm_id=f"id-of-{sections}", settings=SETTINGS | sections)


def test_a_result_without_namesakes_needs_no_words():
    assert words(make_arm("base"), make_arm("sft"), make_arm("lightr")) == ["", "", ""]
    assert words(make_arm(seed=0), make_arm(seed=1)) == ["", ""]


def test_a_field_is_named_as_shortly_as_no_other_field_is():
    assert words(make_arm(), changed(divergence={"alpha": 0.2, "beta": 0.8})) == ["beta=0.4", "beta=0.8"]
    lora = {"r": 16, "target_modules": ["q_proj", "v_proj"]}
    assert words(make_arm(), changed(training={"updates": 60, "lora": lora})) == ["r=8", "r=16"]
    with_alpha = [{"updates": 60, "lora": {"alpha": alpha}} for alpha in (8, 16)]
    assert words(*(changed(training=training) for training in with_alpha)) == [
        "lora.alpha=8",
        "lora.alpha=16",
    ]


def test_a_fidelity_is_said_whatever_else_is_or_is_not():
    scripted = SETTINGS | {"source": "greedy", "fidelity": "reference"}
    alone = make_arm("mine", arm_id="alone", settings=scripted)
    assert words(make_arm("base"), alone) == ["", "fidelity=reference"]
    several = make_arm("mine", settings=scripted | {"fidelity": ["last_column", "labels_cut"]})
    assert words(several) == ["fidelity=last_column+labels_cut"]
    swept = make_arm("mine", settings=scripted, point={"fidelity": "reference"})
    assert words(swept) == [""]
    # Beside a corrected one of its name both say it, also where something else differs too.
    other = scripted | {"divergence": {"alpha": 0.2, "beta": 0.8}}
    corrected = make_arm(arm_id="corrected", settings=SETTINGS | {"source": "greedy"})
    assert words(corrected, make_arm(arm_id="scripted", settings=scripted)) == [
        "fidelity=corrected",
        "fidelity=reference",
    ]
    assert words(corrected, make_arm(arm_id="other", settings=other)) == [
        "fidelity=corrected beta=0.4",
        "fidelity=reference beta=0.8",
    ]
    hostile = make_arm("mine", settings=scripted | {"fidelity": [{"a": 1}, 3]})
    assert words(hostile)[0].startswith("fidelity=")


def test_several_fields_are_all_named_and_seeds_share_their_words():
    both = changed(divergence={"alpha": 0.2, "beta": 0.8}, training={**SETTINGS["training"], "updates": 9})
    plain = make_arm()
    assert words(plain, make_arm(seed=1), both) == [*["beta=0.4 updates=60"] * 2, "beta=0.8 updates=9"]


def test_amateurs_and_texts_are_named():
    other = make_arm(arm_id="other", amateur="/models/a/very/long/path/to/the/weaker/one")
    assert words(make_arm(), other) == [
        "pair.amateur=embedded/amateur",
        "pair.amateur=…ery/long/path/to/the/weaker/one",
    ]
    texts = [changed(data={"train": "a.jsonl", "texts": digit * 64}) for digit in "ab"]
    assert words(*texts) == ["texts=aaaaaaaa", "texts=bbbbbbbb"]
    problems = [changed(data={"problems": n, "texts": str(n) * 64}) for n in (1, 2)]
    assert words(*problems) == ["problems=1", "problems=2"]


def test_the_models_of_the_recorded_recipe_are_asked_next_and_the_id_last():
    recipes = [f"pair: {{amateur: {{model: a, revision: {revision}}}}}" for revision in ("v1", "v2")]
    arms = [make_arm(arm_id=yaml, recipe_yaml=yaml) for yaml in recipes]
    assert words(*arms) == ["amateur.revision=v1", "amateur.revision=v2"]
    for unread in ("", "]", "pair: [", "pair: &a {b: *a}", "- 1"):
        same = [make_arm(arm_id=name * 16, recipe_yaml=unread) for name in "ab"]
        assert words(*same) == ["#aaaaaaaa", "#bbbbbbbb"]


def test_a_field_that_an_earlier_version_did_not_record_sets_apart_only_where_nothing_else_does():
    newer = changed(training=SETTINGS["training"] | {"mixture": 1})
    assert words(make_arm(), newer) == ["mixture=unset", "mixture=1"]
    both = changed(**OTHER_BETA | {"training": SETTINGS["training"] | {"mixture": 1}})
    assert words(make_arm(), both) == ["beta=0.4", "beta=0.8"]


@pytest.fixture
def board():
    """sft and lightr made at two numbers of updates, the second after the first."""
    arms, scores = [], []
    for hour, updates in enumerate((60, 90)):
        for arm in ("base", "sft", "lightr"):
            own = "base" if arm == "base" else f"{arm}-{updates}"
            settings = {} if arm == "base" else SETTINGS | {"training": {"updates": updates}}
            moment = f"2026-11-20T1{hour}:00:00+00:00"
            arms.append(make_arm(arm, arm_id=own, settings=settings, recorded_at=moment))
            scores.append(
                make_score("chain", "1100", arm=arm, arm_id=own, benchmarks=("chain",), recorded_at=moment)
            )
    (found,) = build_boards(arms, scores)
    return found


def test_rows_are_set_against_baselines_that_were_made_as_they_were(board):
    against = {row.arm_id: row.against["sft"].baseline for row in board.rows if row.arm == "lightr"}
    assert against == {"lightr-60": "sft-60", "lightr-90": "sft-90"}
    assert [row_label(row, list(board.rows)) for row in board.rows] == [
        "base",
        "sft updates=60",
        "sft updates=90",
        "lightr updates=60",
        "lightr updates=90",
    ]
    assert not any("set against" in note for note in notes_on(board))


def test_a_baseline_that_was_made_otherwise_is_named():
    arms = [
        make_arm("sft", arm_id="sft-4"),
        make_arm("sft", arm_id="sft-8", settings=OTHER_BETA, recorded_at="2026-11-20T11:00:00+00:00"),
        make_arm(settings=SETTINGS | {"divergence": {"alpha": 0.2, "beta": 0.6}}),
    ]
    scores = [make_score("chain", arm=arm.arm, arm_id=arm.arm_id, benchmarks=("chain",)) for arm in arms]
    (board,) = build_boards(arms, scores)
    assert [note for note in notes_on(board) if "set against sft" in note] == [
        "lightr of quickstart, seed 0: set against sft beta=0.8, seed 0."
    ]


def test_an_arm_made_twice_is_no_two_seeds():
    arms, scores = [], []
    for version in "ab":
        for seed in (0, 1):
            own = f"{version}{seed}" * 8
            arms.append(make_arm(seed=seed, arm_id=own))
            moment = f"2026-11-20T1{ord(version) - 97}:00:00+00:00"
            scores.append(
                make_score("chain", seed=seed, arm_id=own, benchmarks=("chain",), recorded_at=moment)
            )
    (board,) = build_boards(arms, scores)
    assert [[row.arm_id[0] for row in group.rows] for group in board.groups] == [["b", "b"], ["a", "a"]]
    assert [label for label, _ in seed_means(board, list(board.rows))] == [
        "lightr #b0b0b0b0, 2 seeds",
        "lightr #a0a0a0a0, 2 seeds",
    ]


def declared(command, *arm_ids):
    return RecipeRecord(
        recipe="quickstart",
        recipe_hash=command,
        recipe_yaml="",
        arm_ids=arm_ids,
        claims=(),
        command=command,
        recorded_at="2026-11-20T10:00:00+00:00",
    )


FILE = "lrbench run 'my recipes/quickstart.yaml'"


def test_a_name_stands_for_the_file_without_overrides():
    first, edited, other = declared(FILE, "a"), declared(FILE, "b"), declared(f"{FILE} seed=1", "c")
    python = declared("", "d")
    for records in ([first, edited, other], [other, first, python, edited], [first, edited, other, python]):
        assert standing(records)["quickstart"] is edited
    assert standing([other, python])["quickstart"] is python
    assert standing([other])["quickstart"] is other
    assert overrides_of(other) == ("seed=1",)
    assert declared_with(["seed=1"], "quickstart", [first, other, edited]) is other
    assert declared_with(["seed=2"], "quickstart", [first, other, edited]) is None
    assert overrides_of(declared("lrbench run 'torn")) == ()


def test_what_is_left_out_is_told_by_declaration():
    arms = [make_arm(arm_id="a"), make_arm(arm_id="b", settings=OTHER_BETA), make_arm(seed=1, arm_id="c")]
    arms.append(make_arm("sft", arm_id="unmeasured"))
    scores = [make_score("chain", arm_id=arm.arm_id, seed=arm.seed) for arm in arms[:3]]
    records = (declared(FILE, "a"), declared(f"{FILE} divergence.beta=0.8", "b"))
    contents = LedgerContents(tuple(arms), tuple(scores), (), records)
    assert left_out(["quickstart"], ["a"], contents) == [
        f"quickstart, `{FILE} divergence.beta=0.8`: lightr beta=0.8 seed 0",
        "quickstart, no declaration that was recorded: lightr beta=0.4 seed 1",
    ]
    assert left_out(["another"], [], contents) == []
