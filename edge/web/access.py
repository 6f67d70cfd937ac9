"""Who may ask: the token, and the names by which a browser may know this machine."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_SESSION = b"edge-live session, version 1"


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must show.

    `host` and `port` are where the server listens; `token` is "" where everyone who reaches it may
    ask, which is this machine alone. The cookie holds not the token but what only its owner can
    compute of it.
    """

    host: str
    port: int
    token: str = field(default="", repr=False)
    machine: str = field(default_factory=socket.gethostname)

    @property
    def cookie_name(self) -> str:
        # A browser sends a host's cookies to all its ports.
        return f"edge-live-{self.port}"

    @property
    def cookie_value(self) -> str:
        return hmac.new(self.token.encode(), _SESSION, hashlib.sha256).hexdigest()

    def is_token(self, text: str) -> bool:
        """Return whether `text` is the token; how long it takes does not tell how much is right."""
        return bool(self.token) and hmac.compare_digest(
            text.encode(errors="surrogatepass"), self.token.encode()
        )

    def may_ask(self, authorization: str, cookie: str) -> bool:
        """Return whether a request with these headers ("" where it has none) may be answered."""
        if not self.token:
            return True
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.is_token(credentials.strip()):
            return True
        try:
            morsel = SimpleCookie(cookie).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(
            morsel.value.encode(errors="surrogatepass"), self.cookie_value.encode()
        )

    def is_our_host(self, host: str) -> bool:
        """Return whether a Host header names this machine.

        A page of any other name whose address was changed to ours (DNS rebinding) must not read
        what we say. An address in numbers cannot be changed. With a token the machine's name may
        have any domain behind it: our cookie does not go to such a page.
        """
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower().removesuffix(".")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            ours = self.machine.lower()
            if name in ("localhost", self.host.lower(), ours, f"{ours}.local"):
                return True
            return bool(self.token) and name.partition(".")[0] == ours.partition(".")[0]
        return True
