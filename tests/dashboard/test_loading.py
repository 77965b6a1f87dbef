"""The ledger is read once, again when it changes, and never keeps a page from being shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lrbench_dashboard.loading import ledger_stamp, read_results
from streamlit.testing.v1 import AppTest

from lrbench.results.ledger import Ledger
from tests.dashboard.made_up import write_runs

OpenPage = Callable[..., AppTest]
PAGES = ("leaderboard", "compare", "microscope", "cost", "calibration", "provenance")


def bodies(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


@pytest.mark.slow
def test_without_results_every_page_says_what_to_run(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "empty").mkdir()
    for runs in (tmp_path / "absent", tmp_path / "empty"):
        for page in PAGES:
            app = open_page(runs, page)
            assert not app.exception
            assert f"lrbench run quickstart --runs {runs}</pre>" in bodies(app)
            assert "lrbench plan" in bodies(app)
    assert not (tmp_path / "absent").exists()


@pytest.mark.slow
def test_a_broken_line_is_shown_as_broken_and_the_rest_works(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path)
    scores = tmp_path / "ledger" / "scores.jsonl"
    lines = scores.read_text().splitlines(keepends=True)
    scores.write_text("".join([lines[0].replace("0", "1", 1), "<script>x</script>\n", *lines[1:]]))
    for page in PAGES:
        app = open_page(tmp_path, page)
        assert not app.exception
        assert "2 lines of the ledger cannot be read" in bodies(app)
        assert "scores.jsonl:1: the record differs from its checksum" in bodies(app)
        assert "scores.jsonl:2: not a whole ledger line" in bodies(app)
    assert "lightr" in bodies(open_page(tmp_path))


def test_a_ledger_of_nothing_but_rubbish_says_so(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "scores.jsonl").write_bytes(b"\xff\x00 rubbish\n" * 3)
    app = open_page(tmp_path)
    assert not app.exception
    assert "3 lines of the ledger cannot be read" in bodies(app)
    assert "No results yet" in bodies(app)


def test_an_arm_that_is_not_evaluated_yet(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path)
    (tmp_path / "ledger" / "scores.jsonl").unlink()
    for page in ("leaderboard", "compare"):
        app = open_page(tmp_path, page)
        assert not app.exception
        assert "none is evaluated yet" in bodies(app)


def test_the_ledger_is_read_again_only_when_it_changes(tmp_path: Path) -> None:
    arms = write_runs(tmp_path)
    first = read_results(str(tmp_path), ledger_stamp(tmp_path))
    assert read_results(str(tmp_path), ledger_stamp(tmp_path)) is first
    assert set(first.arms) == {arm.arm_id for arm in arms}
    again = arms[0].model_copy(update={"arm_id": "another"})
    Ledger(tmp_path / "ledger").append([again])
    assert "another" in read_results(str(tmp_path), ledger_stamp(tmp_path)).arms


def test_an_unreadable_ledger_is_said_on_the_page(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "ledger" / "scores.jsonl").mkdir(parents=True)
    app = open_page(tmp_path)
    assert not app.exception
    assert 'role="alert"' in bodies(app)
    assert "the ledger:" in bodies(app)


@pytest.mark.slow
def test_pages_write_nothing(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path)

    def state() -> list[tuple[str, int, int]]:
        return [
            (str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(tmp_path.rglob("*"))
        ]

    before = state()
    for page in PAGES:
        assert not open_page(tmp_path, page).exception
    assert state() == before
