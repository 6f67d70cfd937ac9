"""The page of a run: fixed paths, files of ours that were read beforehand, and what the run says.

No path of a URL reaches the file system.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from edge.broadcast.marks import Mark
from edge.broadcast.view import RunView
from edge.clock import boot_ns
from edge.latency.describe_incidents import sentences, words
from edge.page import COLORS
from edge.web.access import Access
from edge.web.guard import TIMEOUT_S, WRONG_TOKENS, App, Guard, Limits
from edge.web.pictures import Pictures
from edge.web.rates import Bucket
from edge.web.report import TIMEOUT_S as REPORT_TIMEOUT_S
from edge.web.report import ReportError, Reports

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

EXTRA = "web"
HTML = "text/html; charset=utf-8"
JAVASCRIPT = "text/javascript; charset=utf-8"
# path: file, type.
FILES = {
    "/": ("index.html", HTML),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", JAVASCRIPT),
    "/charts.js": ("charts.js", JAVASCRIPT),
    "/dom.js": ("dom.js", JAVASCRIPT),
    "/login.js": ("login.js", JAVASCRIPT),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
LOGIN = "login.html"
# What one sees before one has shown the token.
PUBLIC = ("/login", "/login.js", "/page.css", "/icon.svg")
COOKIE_AGE_S = 30 * 24 * 3600
REPORT_HEADERS = {
    "content-disposition": 'attachment; filename="edge-live.html"',
    # It is to be kept, not to be shown here: its styles stand in it.
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
}


def guarded_web(view: RunView, access: Access) -> Guard:
    """Return the page's app behind its guard."""
    limits = Limits(timeout_s={"/report.html": REPORT_TIMEOUT_S + TIMEOUT_S})
    return Guard(web_app(view, access), access, public=PUBLIC, limits=limits, login="/login")


def web_app(view: RunView, access: Access) -> App:
    """Return the app; who may ask is the guard's business, but for the login."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    pages = _Pages(view, access)
    app: App = Starlette(
        routes=[
            *(Route(path, pages.file) for path in FILES),
            Route("/live.jpg", pages.live),
            Route("/status.json", pages.status),
            Route("/report.html", pages.report),
            Route("/login", pages.login, methods=["GET"]),
            Route("/login", pages.log_in, methods=["POST"]),
        ]
    )
    return app


class _Pages:
    """What is answered, path by path."""

    def __init__(self, view: RunView, access: Access) -> None:
        self._view = view
        self._access = access
        self._pictures = Pictures(view)
        self._reports = Reports(view.log)
        self._wrong = Bucket(WRONG_TOKENS)
        self._files = {path: _file(name) for path, (name, _) in FILES.items()}
        self._files["/page.css"] = _variables() + self._files["/page.css"]
        self._login = _file(LOGIN)

    async def file(self, request: Request) -> Response:
        path = request.url.path
        return _response(self._files[path], FILES[path][1])

    async def live(self, request: Request) -> Response:
        newest = await self._pictures.newer(_number(request, "after"))
        if newest is None:
            return _response(b"", "", status=204)
        # What it shows stands in its headers, so that no other label is ever seen beside it.
        more = {
            "x-number": str(newest.number),
            "x-age-ns": str(newest.of.age_ns),
            "x-guesses": json.dumps(newest.of.guesses, allow_nan=False),
        }
        return _response(newest.data, "image/jpeg", more=more)

    async def status(self, request: Request) -> Response:
        said = run_status(self._view, _number(request, "after"))
        said["no_report"] = self._reports.why_not
        # As ASCII: a name may hold what no UTF-8 can.
        return _response(json.dumps(said, allow_nan=False).encode(), "application/json")

    async def report(self, request: Request) -> Response:  # noqa: ARG002 - as starlette calls it
        try:
            page = await self._reports.html()
        except ReportError as error:
            return _text(str(error), 503)
        return _response(page, HTML, more=REPORT_HEADERS)

    async def login(self, request: Request) -> Response:  # noqa: ARG002 - as starlette calls it
        return _response(self._login, HTML) if self._access.token else _led_to("./")

    async def log_in(self, request: Request) -> Response:
        body = await request.body()
        if not self._wrong.has_one():
            return _text("too many wrong tokens; try again in a minute", 429)
        token = parse_qs(body.decode("latin-1")).get("token", [""])[0]
        if not self._access.is_token(token):
            self._wrong.take()
            return _led_to("login?wrong")
        response = _led_to("./")
        response.set_cookie(
            self._access.cookie_name,
            self._access.cookie_value,
            max_age=COOKIE_AGE_S,
            httponly=True,
            samesite="lax",
        )
        return response


def _response(
    body: bytes, kind: str, *, status: int = 200, more: Mapping[str, str] | None = None
) -> Response:
    from starlette.responses import Response

    return Response(body, status, dict(more or {}), kind or None)


def _text(text: str, status: int) -> Response:
    return _response(f"{text}\n".encode(), "text/plain; charset=utf-8", status=status)


def _led_to(place: str) -> Response:
    return _response(b"", "", status=303, more={"location": place})


def run_status(view: RunView, after: int) -> dict[str, Any]:
    """Return what the page shows, as JSON values, with rows and marks since number `after`.

    A number that is yet to come is of another process: then all rows are new.
    """
    newest, health = view.newest, view.health
    rows = view.history(0)
    last = rows[-1].number if rows else 0
    return {
        "facts": {name: view.facts.get(name, "") for name in ("card", "model", "source")},
        "newest": None
        if newest is None
        else {
            "sequence": newest.sequence,
            "age_ns": newest.age_ns,
            "silent_s": view.silent_s(),
            "guesses": newest.guesses,
        },
        "progress": asdict(view.progress),
        "health": {"temperature_c": health.temperature_c, "throttled": health.flags_now},
        "problems": view.problems(),
        "rows": [astuple(row) for row in rows if row.number > after or last < after],
        "marks": [_mark(mark) for mark in view.marks(after if after <= last else 0)],
        "since_start": {
            "from_ms": view.since_ms,
            "sentences": sentences(view.incidents),
            "longest_gap_ns": view.incidents.longest_gap_ns,
        },
        "last": last,
        "now_ms": boot_ns() // 1_000_000,
    }


def _mark(mark: Mark) -> dict[str, Any]:
    found = mark.incidents
    return {
        "began_ms": mark.began_ms,
        "ended_ms": mark.ended_ms,
        "words": words(found),
        "sentences": sentences(found),
    }


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        return -1
    return int(text)


def _file(name: str) -> bytes:
    return (resources.files("edge.web") / "static" / name).read_bytes()


def _variables(colors: Mapping[str, tuple[str, str]] = COLORS) -> bytes:
    """Return the colours of the reports as CSS variables, light and dark."""
    light = {"paper": "#f5f7fa", "card": "#ffffff", **{n: pair[0] for n, pair in colors.items()}}
    dark = {"paper": "#12171e", "card": "#1b222c", **{n: pair[1] for n, pair in colors.items()}}
    texts = [
        "".join(f"--{name}: {value}; " for name, value in theme.items()) for theme in (light, dark)
    ]
    text = ":root {{ {} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n"
    return text.format(*texts).encode()
