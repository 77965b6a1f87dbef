"""Nothing that a name, a file, a server or a library says acts on a terminal or tells a secret."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
import warnings
from pathlib import Path

import pytest
from rich.progress import Progress
from rich.table import Table

from lrbench.recipe.secrets import without_secrets
from lrbench.results.console import Screen
from lrbench.results.logs import guard_logs
from lrbench.results.text import shown
from tests.commands import QUICKSTART, lrbench

ROOT = Path(__file__).parent.parent
# Clears the screen, sets the title, a bell, a C1 sequence, a direction mark, and back to the line's start.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2066\rX\x08\x7f"
TOKEN = "hf_verysecrettoken"


def harmless(text: str) -> bool:
    """Whether a terminal would show `text` and do nothing."""
    return all(character.isprintable() or character in "\n\t" for character in text)


@pytest.mark.slow
def test_every_command_shows_hostile_text_and_does_nothing_that_it_says(tmp_path: Path) -> None:
    named = tmp_path / f"{HOSTILE}.yaml"
    named.write_text(QUICKSTART.read_text().replace("embedded/multi_step", "problems.jsonl"))
    (tmp_path / "problems.jsonl").write_text(json.dumps({"problem": "a", "answer": 3, HOSTILE: HOSTILE}))
    keyed = tmp_path / "keyed.yaml"
    keyed.write_text(QUICKSTART.read_text() + f'"{HOSTILE.encode("unicode_escape").decode()}": 1\n')
    ledger = tmp_path / "runs" / "ledger"
    ledger.mkdir(parents=True)
    (ledger / "arms.jsonl").write_text(HOSTILE + "\n" + json.dumps({"schema": HOSTILE}) + "\n")
    (tmp_path / "bundle.tar.gz").write_text(HOSTILE)
    calls: list[tuple[object, ...]] = [
        ("check", named),
        ("check", keyed, tmp_path / HOSTILE),
        ("plan", QUICKSTART, f"data.train={HOSTILE}"),
        ("run", QUICKSTART, f"{HOSTILE}=1"),
        ("results", "--runs", tmp_path / "runs"),
        ("export", HOSTILE, "--to", tmp_path / "out"),
        ("verify", tmp_path / "bundle.tar.gz"),
        (HOSTILE,),
        ("doctor", f"--{HOSTILE}"),
    ]
    for call in calls:
        found = lrbench(*call, cwd=tmp_path)
        assert found.stdout + found.stderr, call
        assert harmless(found.stdout), (call, found.stdout)
        assert harmless(found.stderr), (call, found.stderr)
        assert "Traceback" not in found.stderr
        assert "bug" not in found.stderr, (call, found.stderr)


def test_tables_and_bars_show_control_characters_and_keep_their_own() -> None:
    drawn = io.StringIO()
    screen = Screen(file=drawn, force_terminal=True, width=200, color_system="standard")
    table = Table(HOSTILE)
    table.add_row(f"[red]{HOSTILE}[/red]")
    screen.print(table)
    screen.print(HOSTILE, HOSTILE, markup=False, soft_wrap=True)
    with Progress(console=screen) as bars:
        bars.add_task(HOSTILE, total=3)
        bars.refresh()
        screen.print(HOSTILE)
    text = drawn.getvalue()
    for acting in ("\x1b[2J", "\x1b]0", "\x07", "\x9b", "\u202e", "\u2066", "\rX", "\x08", "\x7f"):
        assert acting not in text
    assert text.count("\\x1b[2J") >= 6
    # Colour, and a hidden cursor while bars are drawn, are ours.
    assert "\x1b[31m" in text
    assert "\x1b[?25l" in text


def test_what_libraries_log_and_warn_is_shown_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    factory, format_warning = logging.getLogRecordFactory(), warnings.formatwarning
    logger, drawn = logging.getLogger("somebody"), io.StringIO()
    handler = logging.StreamHandler(drawn)
    logger.addHandler(handler)
    try:
        guard_logs()
        logger.error("%s sent %s", HOSTILE, TOKEN)
        try:
            raise ValueError(HOSTILE + TOKEN)
        except ValueError:
            logger.exception("it failed")
        drawn.write(warnings.formatwarning(HOSTILE + TOKEN, UserWarning, "a.py", 1, "a line"))
        with warnings.catch_warnings(record=True) as warned:
            monkeypatch.setattr(sys, "warnoptions", [])
            guard_logs()
            warnings.warn("an argument will be called otherwise", FutureWarning, stacklevel=1)
            monkeypatch.setattr(sys, "warnoptions", ["default"])
            warnings.simplefilter("default")
            guard_logs()
            warnings.warn("a developer asks", FutureWarning, stacklevel=1)
    finally:
        logger.removeHandler(handler)
        logging.setLogRecordFactory(factory)
        warnings.formatwarning = format_warning
    assert [str(warning.message) for warning in warned] == ["a developer asks"]
    text = drawn.getvalue()
    assert harmless(text)
    assert TOKEN not in text
    assert text.count("\\x1b[2J") >= 3
    assert "Traceback" in text


def test_every_line_of_lrbench_goes_through_the_edge() -> None:
    data = {
        ("cli.py", "print(json.dumps(row))"),
        ("cli.py", "print(json.dumps(editor_schema(), indent=1))"),
        # In a notebook, whose output is no stream of the command's.
        ("pipeline/lines.py", "print(shown(message), flush=True)"),
    }
    builders = {"embedded/build.py", "models/packaged.py", "grading/worker.py"}
    for path in sorted((ROOT / "lrbench").rglob("*.py")):
        name = str(path.relative_to(ROOT / "lrbench"))
        if name == "output.py" or name in builders:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                unguarded = called in ("print", "typer.echo", "Console", "click.echo", "sys.stdout.write")
                assert not unguarded or (name, ast.unparse(node)) in data, f"{name}:{node.lineno}"


ADDRESSES = [
    "http://me:Sekret-1/2@host:5000/mlflow",
    "https://host/mlflow?token=Sekret-1%2F2",
    "https://host/mlflow?a=b&key=Sekret-1%2F2&c=d",
    "https://host/mlflow#Sekret-1%2F2",
    "https://Sekret-1%2F2@host",
    "https://host/?Sekret-1%2F2",
    "postgresql://me:Sekret-1%2F2@host/db",
    "postgresql+psycopg2://me:Sekret-1/2@host/db?sslmode=require",
    "mysql://host/db?user=me&password=Sekret-1%2F2",
    "sqlite:////tmp/mlflow.db?key=Sekret-1%2F2",
    "databricks://profile:Sekret-1%2F2@host",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_secret_of_an_address_is_struck_out_however_it_is_repeated(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    said = [
        f"cannot reach {address}",
        f"Max retries exceeded with url: /{address.partition('://')[2].partition('/')[2]}",
        "password authentication failed: Sekret-1/2",
        "GET /?x=Sekret-1%2F2 HTTP/1.1",
        repr(ValueError(address)),
        json.dumps({"uri": address}),
        "Authorization: Bearer abcdefghijkl",
    ]
    for text in said:
        assert "Sekret" not in shown(text), text
        assert "abcdefghijkl" not in shown(text)


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
        "HF_TOKEN",
        "LRBENCH_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
    ],
)
def test_a_secret_of_the_environment_is_struck_out_wherever_it_stands(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, TOKEN)
    assert without_secrets(f"the token {TOKEN} is not valid") == "the token *** is not valid"


def test_what_is_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "everybody")
    monkeypatch.setenv("SHORT_KEY", "abc")
    for text in (
        "everybody knows abc",
        "what is 2+2? a@b.c",
        "sqlite:////a#b/mlflow.db",
        "http://host:80/a/b",
    ):
        assert shown(text) == text


@pytest.mark.slow
@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/?key=Sekret-12",
        "http://me:Sekret-12@127.0.0.1:9",
        "sqlite:////proc/x?key=Sekret-12",
    ],
)
def test_no_command_tells_the_secret_of_the_store(tmp_path: Path, address: str) -> None:
    runs = tmp_path / "runs"
    (runs / "ledger").mkdir(parents=True)
    for name in ("arms", "scores", "recipes"):
        (runs / "ledger" / f"{name}.jsonl").touch()
    variables = {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "TMPDIR": str(tmp_path),
    }
    for call in (("rebuild",), ("mlflow", "--port", 1)) if "?" in address else (("rebuild",),):
        found = lrbench(*call, "--runs", runs, **variables)
        assert "Sekret" not in found.stdout + found.stderr, call
        assert found.returncode in (0, 1, 2)
    for left in [*tmp_path.glob("*.txt"), *runs.rglob("*.json")]:
        assert "Sekret" not in left.read_text()
