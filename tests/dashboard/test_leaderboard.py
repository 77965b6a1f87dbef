"""The leaderboard: what is shown, in which order, what is marked, and that links open the same view."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest
from lrbench_dashboard.answers import answers_html
from lrbench_dashboard.leaderboard_rows import Filters, filtered, in_order, marks, pages_of, sort_columns
from lrbench_dashboard.numbers import UNDECIDED
from streamlit.testing.v1 import AppTest

from experiments.bench.synthetic_ledger import GAINS, write_synthetic_ledger
from lrbench.results.board import Board, build_boards
from lrbench.results.board_arms import arms_of, sections_of
from lrbench.results.claims import judge_recipe
from lrbench.results.declarations import standing
from lrbench.results.ledger import Ledger
from lrbench.results.ranks import rank_ranges
from lrbench.results.records import RecipeRecord, ScoreRecord, items_hash
from lrbench.results.rows import AVERAGE, Row
from lrbench.store.keys import stable_hash
from tests.dashboard.made_up import write_runs
from tests.dashboard.swept import swept_records
from tests.results.conftest import make_arm, make_score
from tests.results.conftest import outcomes as drawn

OpenPage = Callable[..., AppTest]
SCORES = 7 * 7 * 5 * 2


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two experts, seven arms, five seeds; and two of its arms measured in another way as well."""
    folder = tmp_path_factory.mktemp("synthetic")
    write_synthetic_ledger(folder, SCORES)
    ledger = Ledger(folder / "ledger")
    ledger.append(_with_other_shots(score) for score in ledger.read().scores[: 2 * 7])
    return folder


def _with_other_shots(score: ScoreRecord) -> ScoreRecord:
    hashes = {name: stable_hash([name, "four shots"]) for name in score.suite_protocol}
    changes = {
        "protocol": score.protocol | {"shots": 4},
        "protocol_hash": hashes[score.benchmark],
        "suite_protocol": hashes,
        "evaluation_key": stable_hash([score.evaluation_key, "four shots"]),
        "recorded_at": "2025-01-01T00:00:00+00:00",
    }
    return score.model_copy(update=changes)


@pytest.fixture(scope="module")
def board(runs: Path) -> Board:
    contents = Ledger(runs / "ledger").read()
    return max(build_boards(contents.arms, contents.scores), key=lambda board: len(board.rows))


def table(app: AppTest) -> str:
    return next(body for element in app.get("html") if "lr-board" in (body := element.proto.body))


def arms_shown(app: AppTest) -> list[str]:
    lines = re.findall(r'<tr role="row">(.*?)</tr>', table(app))
    return [re.sub(r"<[^>]*>", " ", line).split()[1] for line in lines if "lr-reported" not in line]


def answers(board: Board, rows: Sequence[Row] | None = None, *declared: RecipeRecord) -> str:
    return answers_html(board, standing(declared), board.rows if rows is None else rows)


def weights_of(expert: str) -> str:
    return f"sha256:{stable_hash(expert)}"


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (Filters(), 70),
        (Filters(experts=(weights_of("Qwen/Qwen2.5-Math-1.5B"),)), 35),
        (Filters(arms=("lightr", "sft")), 20),
        (Filters(arms=("lightr",), experts=(weights_of("Qwen/Qwen2.5-Math-1.5B-Instruct"),)), 5),
        (Filters(recipes=("another",)), 0),
        (Filters(first_day=date(2026, 3, 1)), 14),
        (Filters(first_day=date(2026, 1, 2), last_day=date(2026, 1, 3)), 2),
        (Filters(last_day=date(2025, 12, 31)), 0),
    ],
)
def test_filters(board: Board, filters: Filters, kept: int) -> None:
    shown = filtered(board, filters)
    assert len(shown.rows) == kept
    assert [row for row in board.rows if row in shown.rows] == list(shown.rows)


def test_every_column_orders_both_ways_and_loses_no_arm(board: Board) -> None:
    arms = arms_of(board)
    assert [len(arm.rows) for arm in arms] == [5] * 14
    for column in sort_columns(board):
        for ascending in (True, False):
            ordered = in_order(arms, column, ascending)
            assert sorted(arm.first.arm_id for arm in ordered) == sorted(arm.first.arm_id for arm in arms)
    down = [arm.value("gsm8k") for arm in in_order(arms, "gsm8k", False)]
    assert down == sorted(down, reverse=True)
    by_difference = in_order(arms, "difference sft", False)
    assert by_difference[0].first.against.get("sft") is not None
    assert by_difference[-1].first.against.get("sft") is None


def test_an_experiment_is_never_spread_over_two_pages(board: Board) -> None:
    pages = pages_of(board)
    assert [[len(section.arms) for section in page] for page in pages] == [[7], [7]]


def test_best_is_what_the_board_says_and_the_rest_is_what_no_test_separates(board: Board) -> None:
    found = marks(board, board.rows)
    assert {mark for mark, kind in found.items() if kind == "best"} == board.best
    decided = {
        (row.expert_weights, column) for row in board.rows for arm, column in board.best if arm == row.arm_id
    }
    for rows in board.by_expert.values():
        for column in board.columns:
            alike = [row for row in rows if found.get((row.arm_id, column)) == UNDECIDED]
            if (rows[0].expert_weights, column) in decided:
                assert not alike
            else:
                groups = [group for group in board.groups if group.rows[0] in rows]
                leader = max(groups, key=lambda group: group.value(column) or 0)
                of_alike = {row.group for row in alike}
                assert leader.rows[0].group in of_alike
                assert len(of_alike) >= 2
                # All seeds of an arm are marked alike.
                assert alike == [
                    row for row in rows if row.group in of_alike and row.value(column) is not None
                ]


def test_a_lucky_seed_is_marked_with_nobody_where_its_arm_is_behind() -> None:
    rights = {
        "lightr": (360, 356, 364, 360, 360),
        "sft": (352, 360, 356, 360, 356),
        "no_contrast": (240, 244, 248, 240, 352),
    }
    board = made_up_board(
        [
            (arm, seed, "recipe", [drawn(400, right, seed)])
            for arm, of_seeds in rights.items()
            for seed, right in enumerate(of_seeds)
        ]
    )
    found = marks(board, board.rows)
    assert {arm_id for (arm_id, column), mark in found.items() if (column, mark) == ("b0", UNDECIDED)} == {
        row.arm_id for row in board.rows if row.arm != "no_contrast"
    }


def test_marks_of_a_page_are_those_of_the_whole_board(board: Board) -> None:
    page = board.rows[10:20]
    whole = marks(board, board.rows)
    ids = {row.arm_id for row in page}
    of_page = {mark: kind for mark, kind in marks(board, page).items() if mark[0] in ids}
    assert of_page == {mark: kind for mark, kind in whole.items() if mark[0] in ids}


def test_the_answer_says_what_the_tests_say(board: Board) -> None:
    own = [row for row in board.rows if row.expert == "Qwen/Qwen2.5-Math-1.5B"]
    said = answers(board, own)
    (group,) = [group for group in board.groups if group.rows[0].arm == "lightr" and group.rows[0] in own]
    found = board.over_seeds(group, "sft")[AVERAGE]
    assert found.separated
    assert f"lightr is {abs(found.difference):.1f} points" in said
    assert "over 5 seeds" in said
    fewer = filtered(board, Filters(arms=("sft", "base")))
    assert "no lightr result yet" in answers(fewer)


def test_the_page_shows_the_latest_protocol_and_every_column(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs)
    assert not app.exception
    shown = table(app)
    for column in ("gsm8k", "minerva_math", "tuned tokens", "sampled problems", "time", "n 600", "rank"):
        assert column in shown
    assert shown.count("5 seeds</summary>") == 7
    assert "…" not in shown, "nothing is left pending"
    assert arms_shown(app) == ["base", "sft", "lightr", *list(GAINS)[3:]]
    assert shown.count('class="lr-inside"') == 7 * 5


def test_a_line_is_the_mean_of_an_arm_with_its_ranks_and_verdict_and_leads_on(
    runs: Path, board: Board, open_page: OpenPage
) -> None:
    (line,) = [
        line
        for line in table(open_page(runs)).split("<tbody")
        if re.match(' class="lr-arm".*</span>lightr', line)
    ]
    (group,) = [
        group
        for group in board.groups
        if group.rows[0].arm == "lightr" and group.rows[0].expert == "Qwen/Qwen2.5-Math-1.5B"
    ]
    mean = group.on(AVERAGE)
    assert mean is not None
    assert f">{100 * mean.value:.1f}<" in line
    found = board.over_seeds(group, "sft")[AVERAGE]
    assert f'better</b> than sft</span><span class="lr-points">{found.difference:+.1f}' in line
    ranks = rank_ranges(
        board, [other for other in board.groups if other.rows[0].expert == group.rows[0].expert]
    )
    assert {found.of for found in ranks.values()} == {7}
    assert 1 <= ranks[group.rows[0].arm_id].first <= ranks[group.rows[0].arm_id].last < 4
    links = dict(re.findall(r'href="([^"]*)"[^>]*>(flips|cost|provenance)<', line))
    assert set(links.values()) == {"flips", "cost", "provenance"}
    assert all("protocol=" in where and "suite=math7" in where for where in links)


def test_published_numbers_are_marked_and_set_apart(runs: Path, open_page: OpenPage) -> None:
    shown = table(open_page(runs))
    measured, published = shown.split('<tbody class="lr-published">')
    assert "Reported, not measured here" in published
    assert published.count(">reported</span>") == 3
    assert ">54.2<" in published
    assert ">reported</span>" not in measured


def test_protocols_never_mix_and_what_differs_is_listed(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs)
    other = app.selectbox(key="differs").options[1]
    assert "2 results" in other
    app.selectbox(key="differs").select_index(1).run()
    differing = next(body for element in app.get("html") if "not comparable" in (body := element.proto.body))
    assert "shots" in differing
    assert "<td>0</td><td>4</td><td>all</td>" in differing
    token = str(app.query_params["differs"])
    again = open_page(runs, protocol=token)
    assert arms_shown(again) == ["base", "sft"]


def test_a_link_brings_back_filters_order_and_page(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, sort="average", arm=["base", "sft"], expert="Qwen/Qwen2.5-Math-1.5B")
    assert arms_shown(app) == ["sft", "base"]
    assert app.multiselect(key="arm").value == ["base", "sft"]
    assert 'aria-sort="descending"' in table(app)
    assert "order=up" in table(app), "a second click turns the order round"
    second = open_page(runs, page="2", order="up", sort="time")
    assert len(arms_shown(second)) == 4
    some = open_page(runs, columns=["gsm8k", "average"])
    heads = re.findall(r'<th scope="col"[^>]*>(?:<a[^>]*>)?([a-z0-9 ]+)', table(some))
    assert heads == ["arm", "gsm8k", "average"]
    app.multiselect(key="arm").unselect("sft").run()
    assert app.query_params["arm"] == "base"
    assert arms_shown(app) == ["base"]


def test_filters_that_keep_nothing_say_so(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, **{"from": "2030-01-01"})
    assert not app.exception
    assert any("No result passes" in element.proto.body for element in app.get("html"))


def test_a_row_that_lacks_a_benchmark_has_no_average(tmp_path: Path, open_page: OpenPage) -> None:
    write_synthetic_ledger(tmp_path, 7 * 7)
    scores = tmp_path / "ledger" / "scores.jsonl"
    scores.write_text("".join(scores.read_text().splitlines(keepends=True)[:-1]))
    app = open_page(tmp_path)
    assert not app.exception
    last = re.findall(r'<tr role="row">(.*?)</tr>', table(app).partition("lr-published")[0])[-1]
    assert last.partition("lr-average")[2].startswith(
        '"><span class="lr-label">average</span><div><span class="lr-muted">–'
    )
    assert AVERAGE in table(app)


def test_what_was_forgotten_is_said_of_every_run_and_of_training_like_it(
    tmp_path: Path, open_page: OpenPage
) -> None:
    kept = {("base", 0): "1" * 90 + "0" * 10, ("lightr", 0): "1" * 50 + "0" * 50}
    kept["lightr", 1] = "1" * 60 + "0" * 40
    second = {"suite": "talk", "benchmarks": ("small",)}
    learnt = [make_score("chain", "10" * 50, arm, seed=seed, benchmarks=("chain",)) for arm, seed in kept]
    spoken = [make_score("small", paper, arm, seed=seed, **second) for (arm, seed), paper in kept.items()]
    protocols = [stable_hash(scores[0].suite_protocol) for scores in (learnt, spoken)]
    declared = RecipeRecord(
        recipe="quickstart",
        recipe_hash="hash",
        recipe_yaml="",
        arm_ids=tuple(score.arm_id for score in learnt),
        claims=(),
        forgetting=dict([protocols]),
        command="",
        recorded_at="2026-11-20T10:00:00+00:00",
    )
    arms = [make_arm(arm, seed=seed) for arm, seed in kept]
    Ledger(tmp_path / "ledger").append([declared, *arms, *learnt, *spoken])
    first, _ = build_boards(arms, [*learnt, *spoken], [declared])
    (group,) = (group for group in first.groups if len(group.rows) == 2)
    lost = first.forgetting["quickstart"]
    over_seeds = lost.over_seeds(group)
    assert over_seeds is not None
    assert over_seeds.difference == pytest.approx(-35)
    assert over_seeds.runs is not None
    app = open_page(tmp_path)
    assert not app.exception
    shown = re.sub(r"<[^>]*>", " ", table(app))
    assert "forgetting  on talk" in shown
    assert all(f"−{points}.0  [" in shown for points in (30, 35, 40))


def made_up_board(results: Sequence[tuple[str, int | None, str, Sequence[str]]]) -> Board:
    """One expert's board of (arm, seed, recipe, outcomes on each benchmark)."""
    scores = []
    for place, (arm, seed, recipe, outcomes) in enumerate(results):
        hashes = {f"b{number}": stable_hash(number) for number in range(len(outcomes))}
        scores += [
            ScoreRecord(
                arm_id=f"{recipe}-{arm}-{seed}",
                recipe=recipe,
                arm=arm,
                seed=seed,
                expert="expert",
                expert_weights="files:expert",
                suite="made-up",
                benchmark=f"b{number}",
                protocol={},
                protocol_hash=hashes[f"b{number}"],
                suite_protocol=hashes,
                items_hash=items_hash([str(item) for item in range(len(paper))]),
                paper=paper,
                exact=paper,
                evaluation_key=stable_hash([arm, seed, recipe, number]),
                seconds=1.0,
                recorded_at=f"2026-11-20T10:{place:02}:00+00:00",
            )
            for number, paper in enumerate(outcomes)
        ]
    (board,) = build_boards([], scores)
    return board


def test_a_row_says_what_its_arm_uses_beyond_the_pair(tmp_path: Path, open_page: OpenPage) -> None:
    mixed = {"answer": {"mix": {"<b>peer": 1.0, "expert": 1.0, "amateur": -1.0}}}
    labelled = {"source": "solutions", "selector": "all", "target": "own_token"}
    took = {"tokens": 10, "written": 10, "passes": {"<b>peer": 10, "expert": 10, "amateur": 10}}
    voted = {"tokens": 10, "written": 70, "passes": {"own": 69}}
    made: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "base": ({}, {}),
        "mixed": (mixed, took),
        "sft": (labelled, {}),
        "vote": ({"answer": {"vote": 7}}, voted),
    }
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(make_arm(arm, settings=settings) for arm, (settings, _) in made.items())
    ledger.append(
        make_score("chain", "1100", arm, benchmarks=("chain",), **told) for arm, (_, told) in made.items()
    )
    lines = re.findall(r'<tr role="row">(.*?)</tr>', table(open_page(tmp_path)))
    tags = {
        re.sub(r"<[^>]*>", " ", line).split()[1]: re.findall(r"lr-uses.>(.*?)</span>", line) for line in lines
    }
    assert tags == {
        "base": [],
        "mixed": ["3 models", "other models: &lt;b&gt;peer"],
        "sft": ["labels"],
        "vote": ["6.9 passes per token"],
    }


def right(count: int, n: int = 200) -> str:
    """The first `count` items right."""
    return "1" * count + "0" * (n - count)


def test_what_is_undecided_joins_the_leader_with_the_one_it_is_not_separated_from() -> None:
    x, y = "1" * 11 + "0" * 4 + "1" * 20, "0" * 11 + "1" * 4 + "1" * 20
    board = made_up_board([("sft", 0, "r", (x, y)), ("lightr", 0, "r", (y, x))])
    assert not board.best
    found = marks(board, board.rows)
    for column in board.columns:
        assert sorted(arm for arm, of in found if of == column) == ["r-lightr-0", "r-sft-0"]


def test_seeds_that_share_the_base_are_averaged() -> None:
    rows = [("lightr", seed, "r", (right(161 + 10 * seed),)) for seed in range(3)]
    board = made_up_board([("base", None, "r", (right(100),)), *rows])
    said = answers(board)
    assert "lightr is 35.5 points above base</b> over 3 seeds on average" in said


def test_a_baseline_that_a_filter_hides_is_still_the_baseline() -> None:
    rows = [("lightr", seed, "r", (right(161 + 10 * seed),)) for seed in range(3)]
    board = made_up_board([("base", None, "r", (right(100),)), *rows])
    assert "over 3 seeds" in answers(board, filtered(board, Filters(arms=("lightr",))).rows)


@pytest.mark.parametrize("count", [1, 2])
def test_all_seeds_of_both_count_and_not_the_common_ones_alone(count: int) -> None:
    rows = [("lightr", seed, "r", (right(161 + 10 * seed),)) for seed in range(3)]
    sft = [("sft", seed, "r", (right(100),)) for seed in range(count)]
    board = made_up_board([*sft, *rows])
    said = answers(board)
    assert f"lightr is 35.5 points above sft</b> over 3 seeds of lightr and {count} of sft on average" in said
    assert "These runs differ (p &lt;0.001)" in said or "These runs differ (p <0.001)" in said


def test_one_run_of_each_says_that_other_seeds_are_unknown() -> None:
    board = made_up_board([("sft", 0, "r", (right(100),)), ("lightr", 0, "r", (right(160),))])
    said = answers(board)
    assert "lightr is 30.0 points above sft</b> on average in these runs" in said
    assert "One run of each says nothing of other seeds." in said
    assert set(marks(board, board.rows).values()) == {"best of these runs"}


def test_a_baseline_of_another_recipe_is_named() -> None:
    board = made_up_board([("sft", 0, "weak-elsewhere", (right(100),)), ("lightr", 0, "mine", (right(160),))])
    assert "lightr is 30.0 points above sft of weak-elsewhere, seed 0</b>" in answers(board)


def test_what_the_recipe_stands_for_is_spoken_of_and_not_a_later_variation_of_it() -> None:
    arms, scores = [], []
    made = (("sft", "sft", 100), ("lightr", "file", 160), ("lightr", "varied", 140))
    for day, (arm, own, count) in enumerate(made):
        settings, moment = {"divergence": {"beta": 0.4 * day}}, f"2026-11-2{day}T10:00:00+00:00"
        arms.append(make_arm(arm, arm_id=own, settings=settings, recorded_at=moment))
        scores.append(
            make_score("chain", right(count), arm, arm_id=own, benchmarks=("chain",), recorded_at=moment)
        )
    (board,) = build_boards(arms, scores)
    said = answers(board, None, declared_with("file"))
    assert "lightr is 30.0 points above sft" in said
    assert "beta=0.4" in said
    assert "lightr is 20.0 points above sft" in answers(board)


def declared_with(*arm_ids: str, claims: Sequence[str] = ()) -> RecipeRecord:
    """What the name of the recipe of `make_score` stands for."""
    return RecipeRecord(
        recipe="quickstart",
        recipe_hash="hash",
        recipe_yaml="name: quickstart\n",
        arm_ids=arm_ids,
        claims=tuple(claims),
        command="lrbench run quickstart.yaml",
        recorded_at="2026-11-20T10:00:00+00:00",
    )


def headline(app: AppTest) -> str:
    (said,) = [body for element in app.get("html") if 'class="lr-answers"' in (body := element.proto.body)]
    return said


class TestAMethodOfOnesOwn:
    """A recipe whose arms have other names has the same page."""

    ARMS = "arms:\n- name: start\n  like: base\n- name: mine\n  like: lightr\n"

    def test_has_a_headline_and_its_columns(self, tmp_path: Path, open_page: OpenPage) -> None:
        write_runs(tmp_path, arms=("start", "mine"), written=self.ARMS)
        app = open_page(tmp_path)
        assert not app.exception
        said = headline(app)
        assert "mine is 30.5 points above start</b> on average" in said
        shown = table(app)
        assert "better</b> than start" in shown
        assert "sft" not in shown
        assert arms_shown(app) == ["start", "mine"]
        assert not open_page(tmp_path, sort="difference start").exception

    def test_is_what_two_results_are_compared_by_at_first(self, tmp_path: Path, open_page: OpenPage) -> None:
        made = write_runs(tmp_path, arms=("start", "mine"), written=self.ARMS)
        app = open_page(tmp_path, "compare")
        chosen = [app.selectbox(key=key).value for key in ("first", "second")]
        assert chosen == [record.arm_id for record in reversed(made)]

    def test_has_what_it_declares_in_the_headline(self, tmp_path: Path, open_page: OpenPage) -> None:
        declared = "compare:\n  subject: mine\n  against:\n  - start\n  - other\n"
        write_runs(tmp_path, arms=("start", "other", "mine"), seeds=(0, 1, 2), written=self.ARMS + declared)
        said = headline(open_page(tmp_path))
        assert "mine is 35.5 points above start</b> over 3 seeds on average" in said
        assert "Against other: 0.0 points" in said


def test_a_baseline_measured_later_takes_no_headline() -> None:
    board = made_up_board([("lightr", 0, "r", (right(160),)), ("sft", 0, "later", (right(100),))])
    assert "lightr is 30.0 points above sft of later" in answers(board)


def test_without_any_baseline_that_is_said() -> None:
    board = made_up_board([("lightr", 0, "r", (right(160),))])
    assert "<b>lightr</b> has no baseline measured on the same items." in answers(board)
    alone = made_up_board([("base", 0, "r", (right(160),))])
    assert "base measured, and nothing else." in answers(alone)


def test_what_rows_lack_is_said_under_the_table(tmp_path: Path, open_page: OpenPage) -> None:
    write_synthetic_ledger(tmp_path, 7 * 7)
    scores = Ledger(tmp_path / "ledger").read().scores
    last = scores[-1].arm_id
    moved = [
        score.model_copy(update={"recipe": "<b>mine"} if score.arm_id == last else {})
        for score in scores[:-1]
    ]
    (tmp_path / "ledger" / "scores.jsonl").unlink()
    Ledger(tmp_path / "ledger").append(moved)
    app = open_page(tmp_path)
    assert not app.exception
    (notes,) = [body for element in app.get("html") if 'class="lr-notes"' in (body := element.proto.body)]
    assert "so no average." in notes
    assert "set against sft of" in notes
    assert "&lt;b&gt;mine" in notes
    assert 'class="lr-notes"' not in "".join(
        element.proto.body for element in open_page(tmp_path, arm="base").get("html")
    )


def test_a_sweep_is_one_line_and_none_of_its_points_is_the_answer() -> None:
    claim, arms, scores = swept_records(1)
    (board,) = build_boards(arms, scores)
    base, lightr = arms_of(board)
    assert (base.is_swept, lightr.is_swept, len(lightr.groups)) == (False, True, 3)
    for declared in ((), (claim,)):
        said = answers(board, None, *declared)
        assert "lightr</b> was swept over 3 points of divergence.alpha; none of them is the answer" in said
        assert "points above base" not in said
        at_points = re.search(
            r"lightr &gt; base on average: (supported|underpowered) at (all )?\d points.*\d points\)", said
        )
        assert (at_points is not None) == bool(declared)
        assert re.search(r"The highest, alpha=0.4, .* up to \d\.\d points too high", said)
    assert not rank_ranges(board, board.groups)


def test_a_model_under_two_names_stands_once_and_says_so() -> None:
    scores = [
        make_score(
            "chain", right(count), arm, arm_id=f"{recipe}-{arm}", recipe=recipe, benchmarks=("chain",),
            evaluation_key=key,
        )
        for recipe, arm, count, key in (
            ("a", "base", 100, "same"), ("a", "lightr", 160, "first"),
            ("b", "base", 100, "same"), ("b", "lightr", 150, "second"),
        )
    ]  # fmt: skip
    (board,) = build_boards([], scores)
    first, second = sections_of(arms_of(board))
    assert [arm.first.arm for arm in first.arms] == ["base", "lightr"]
    assert [group.rows[0].recipe for group in first.arms[0].same] == ["b"]
    assert [arm.first.arm for arm in second.arms] == ["lightr"]
    assert [(arm.first.arm, home.first.recipe) for arm, home in second.elsewhere] == [("base", "a")]


def test_claims_are_the_answer_with_their_controls_beside_them() -> None:
    rows = [
        (arm, seed, "quickstart", (right(count + 5 * seed),))
        for arm, count in (("sft", 100), ("lightr", 160), ("random", 120))
        for seed in range(3)
    ]
    board = made_up_board(
        [("base", None, "quickstart", (right(90),)), ("cd", None, "quickstart", (right(190),)), *rows]
    )
    claims = ["lightr > sft on average by 2", "lightr > cd on average", "lightr > flat on average"]
    record = declared_with(*[row.arm_id for row in board.rows], claims=claims)
    said = answers(board, None, record)
    assert "Of 3 claims: 1 supported, 1 refuted, 1 unmeasured." in said
    first, second, third = re.findall(r"<tr><th scope=.row.>(.*?)</tr>", said)
    (judged,) = [judgements for _, judgements in judge_recipe(record, board)]
    assert judged[0].evidence is not None
    assert f"{judged[0].evidence.difference:+.1f} points" in first
    assert "worse</b> than cd" in first
    assert "than sft" not in first
    assert "refuted" in second
    assert "flat has no result" in third
    assert "points above" not in said
    assert "3 claims are one family" in said
    alone = answers(board, None, record.model_copy(update={"claims": tuple(claims[:1])}))
    assert "supported" in alone
    assert "family" not in alone
