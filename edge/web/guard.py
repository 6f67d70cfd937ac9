"""What every request meets before it meets an app: names, rates, sizes, the token, a time-out."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edge.web.access import Access
from edge.web.rates import Bucket, ClientBuckets, Rate

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = frozenset({"GET", "HEAD", "POST"})
MAX_BODY_BYTES = 1024
MAX_QUERY_BYTES = 64
# A page asks 11 times a second at most: eight of them are watched behind one address, as of a
# tunnel, and as many elsewhere.
ALL = Rate(per_s=200, burst=400)
EACH = Rate(per_s=100, burst=200)
WRONG_TOKENS = Rate(per_s=0.2, burst=10)
TIMEOUT_S = 30.0
# Nothing is kept, framed, guessed or fetched from elsewhere; scripts and styles are files of ours.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server bears; `timeout_s` is for the answer to one request, by its path."""

    every: Rate = ALL
    each: Rate = EACH
    wrong_tokens: Rate = WRONG_TOKENS
    timeout_s: MutableMapping[str, float] = field(default_factory=dict)


class Guard:
    """Answers what is not to be answered by `app` itself, with one line of text.

    `refused` counts by reason. `public` are the paths that need no token: what one sees before one
    has shown it. Who asks for "/" without it is led to `login`, where there is one.
    """

    def __init__(
        self,
        app: App,
        access: Access,
        *,
        public: Collection[str] = (),
        limits: Limits | None = None,
        login: str = "",
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._app = app
        self._access = access
        self._public = frozenset(public)
        self._login = login
        self._limits = limits or Limits()
        self._all = Bucket(self._limits.every)
        self._each = ClientBuckets(self._limits.each)
        self._wrong = Bucket(self._limits.wrong_tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        sent = _Sent(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            status, text, reason = refusal
            self.refused[reason] += 1
            if status == 401 and self._login and scope["path"] == "/":
                await sent.answer(303, text, (b"location", self._login.encode()))
            else:
                await sent.answer(status, text)
            return
        try:
            timeout_s = self._limits.timeout_s.get(scope["path"], TIMEOUT_S)
            await asyncio.wait_for(self._app(scope, receive, sent), timeout_s)
        except TimeoutError:
            self.refused["slow"] += 1
            # The status is gone if the answer has begun; uvicorn then closes the connection.
            if not sent.begun:
                await sent.answer(503, "this took too long; try again later")
        except Exception:
            self.refused["failed"] += 1
            if self.refused["failed"] == 1:
                traceback.print_exc()  # a bug; once will do
            if sent.begun:
                raise
            await sent.answer(500, "this failed; the reason is where edge-live writes its errors")

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Return status, text and reason of what is refused, cheapest first; None for the rest."""
        headers = _headers(scope)
        if not self._each.take(_client(scope)) or not self._all.take():
            return 429, "too many requests; slow down", "rate"
        if scope["method"] not in METHODS:
            return 405, f"allowed: {', '.join(sorted(METHODS))}", "method"
        if not self._access.is_our_host(headers.get("host", "")):
            return 421, "this machine has another name", "host"
        # Browsers say where a request comes from; a page of others may link here, and no more.
        is_ours = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        is_link = headers.get("sec-fetch-dest") == "document" and scope["method"] == "GET"
        if not is_ours and not is_link:
            return 403, "not from another site", "site"
        if len(scope["query_string"]) > MAX_QUERY_BYTES or _has_long_body(headers):
            return 413, f"allowed: {MAX_BODY_BYTES} bytes at most", "size"
        if scope["path"] in self._public:
            return None
        authorization = headers.get("authorization", "")
        if self._access.may_ask(authorization, headers.get("cookie", "")):
            return None
        if authorization and not self._wrong.take():
            return 429, "too many wrong tokens; try again in a minute", "rate"
        return 401, "show the token: Authorization: Bearer TOKEN, or log in at /login", "token"


class _Sent:
    """Sends with the headers that every answer has, and knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self.begun = False
        self._send = send

    async def __call__(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.begun = True
            own = {name for name, _ in event["headers"]}
            event["headers"] = [*event["headers"], *(h for h in _HEADERS if h[0] not in own)]
        await self._send(event)

    async def answer(self, status: int, text: str, *more: tuple[bytes, bytes]) -> None:
        """Send a line of text, and close the connection."""
        body = f"{text}\n".encode()
        headers = [
            *more,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, str]:
    # Of two alike the first counts; a second Host is refused by the server itself.
    return {
        name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"][::-1]
    }


def _client(scope: Scope) -> str:
    return str(scope["client"][0]) if scope["client"] else ""


def _has_long_body(headers: MutableMapping[str, str]) -> bool:
    if "transfer-encoding" in headers:
        return True  # its length is not known
    length = headers.get("content-length", "0")
    return not (length.isascii() and length.isdecimal() and int(length[:9]) <= MAX_BODY_BYTES)
