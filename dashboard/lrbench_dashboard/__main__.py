"""What `lrbench dashboard --runs runs --port 8501` starts: serve the dashboard to this machine alone."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.results.logs import guard_logs
from lrbench.results.reported import reported_results
from lrbench.results.text import shown
from lrbench_dashboard.loading import RUNS_VARIABLE
from lrbench_dashboard.theme import OPTIONS

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from streamlit.runtime import Runtime

ADDRESS = "127.0.0.1"
# The names of this machine. A page of another machine can have its own name lead here (DNS rebinding), and
# would then be of the same origin as the dashboard; its requests still carry that name.
NAMES = ["localhost", ADDRESS, "::1", "[::1]"]
APP = Path(__file__).with_name("app.py")


def main(arguments: list[str] | None = None) -> None:
    """Check what was asked for, then serve until interrupted. Exits with 2 when it cannot be served."""
    asked = _parse(arguments)
    problem = _runs_problem(asked.runs) or _port_problem(asked.port)
    if problem:
        print(shown(f"error: {problem}"), file=sys.stderr)
        raise SystemExit(2)
    said = f"The dashboard of {asked.runs} is at http://{ADDRESS}:{asked.port} (Ctrl-C ends it)."
    print(shown(said), flush=True)
    guard_logs()
    serve(asked.runs, asked.port)


def serve(runs: Path, port: int) -> None:
    """Run the server in this process: loopback only, no telemetry, no watching of files."""
    os.environ[RUNS_VARIABLE] = str(runs.resolve())
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web import bootstrap

    # Until app.py has run once, Streamlit would run a page's file without its frame: the first link opened.
    PagesManager.uses_pages_directory = False
    _refuse_other_names()
    load_ahead()
    options = {
        "server.address": ADDRESS,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.allowedHosts": NAMES,
        # Whatever a user's own settings of Streamlit say.
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.corsAllowedOrigins": [],
        "server.showEmailPrompt": False,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": ADDRESS,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "logger.level": "warning",
        # Pages say what they show; without this every run of one looks through its source for bare values.
        "runner.magicEnabled": False,
        # Widgets get what the URL holds through the session's state, also those that insist on a default.
        "global.disableWidgetStateDuplicationWarning": True,
        **OPTIONS,
    }
    bootstrap.load_config_options(options)
    bootstrap.run(str(APP), False, [], options)


def load_ahead() -> None:
    """Import what the first page needs while nobody waits for it yet.

    Intervals of what is reported are drawn too: boards of all published benchmarks have the same.
    """
    for name in ("lrbench_dashboard.answers", "lrbench_dashboard.leaderboard_table", "scipy.special"):
        import_module(name)
    for reported in reported_results():
        reported.over(tuple(reported.accuracies))


def _refuse_other_names() -> None:
    """Have every request refused that is for another machine's name.

    Streamlit's own `server.allowedHosts` is for the socket alone, and not for pages.
    """
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from streamlit.web.server.starlette import starlette_server

    create = vars(starlette_server)["create_starlette_app"]

    def guarded(runtime: Runtime) -> Starlette:
        made: Starlette = create(runtime)
        made.add_middleware(TrustedHostMiddleware, allowed_hosts=NAMES, www_redirect=False)
        return made

    vars(starlette_server)["create_starlette_app"] = guarded


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lrbench dashboard", description="Serve the dashboard, read only.")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of results (runs)")
    parser.add_argument("--port", type=int, default=8501, help=f"the port on {ADDRESS} (8501)")
    return parser.parse_args(arguments)


def _runs_problem(runs: Path) -> str | None:
    """Why `runs` cannot be shown. A folder that is not there yet can: the first run makes it."""
    try:
        if runs.exists() and not runs.is_dir():
            return f"{runs} is not a folder. --runs takes the folder that `lrbench run` writes results to."
    except OSError as error:
        return f"{runs} cannot be read: {error.strerror}. --runs takes a folder that you may read."
    return None


def _port_problem(port: int) -> str | None:
    if not 0 < port < 65536:
        return f"{port} is not a port. --port takes a number from 1 to 65535."
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is taken, perhaps by another dashboard. Choose another with --port."
            return f"port {port} cannot be used: {error.strerror}. Choose another with --port."
    return None


if __name__ == "__main__":
    main()
