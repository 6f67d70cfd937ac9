"""Serves apps on sockets that listen already, on a thread of its own, by uvicorn."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge.errors import MissingExtraError
from edge.web.guard import App

if TYPE_CHECKING:
    import uvicorn

# Browsers open six each; a page needs one or two.
MAX_CONNECTIONS = 32
MAX_HEADER_BYTES = 16 << 10
KEEP_ALIVE_S = 5
CHECK_S = 2.0
# A connection that asks nothing, or asks it too slowly, or does not take its answer.
IDLE_CHECKS = 5


def check_installed(extra: str) -> None:
    """Raises: MissingExtraError: what serves is not installed; it comes with `extra`."""
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, extra)


class WebServer:
    """One event loop for all servers. `start` returns at once; `stop` waits until all is closed."""

    def __init__(self, served: Sequence[tuple[socket.socket, App]]) -> None:
        self._served = served
        self._servers: list[uvicorn.Server] = []
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        import uvicorn

        for _, app in self._served:
            config = uvicorn.Config(
                app,
                http=_bounded_protocol(),
                ws="none",
                lifespan="off",
                loop="asyncio",
                interface="asgi3",
                access_log=False,
                log_config=None,
                log_level="critical",
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
            )
            self._servers.append(uvicorn.Server(config))
        self._thread.start()

    def stop(self) -> None:
        for server in self._servers:
            server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        sockets = (listening for listening, _ in self._served)
        await asyncio.gather(
            *(
                server.serve([listening])
                for server, listening in zip(self._servers, sockets, strict=True)
            )
        )


def _bounded_protocol() -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with a bound on connections, and on what they may wait."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class BoundedProtocol(H11Protocol):
        idle_checks = 0
        seen_cycle: object = None
        timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as in uvicorn
            super().connection_made(transport)
            if len(self.connections) > MAX_CONNECTIONS:
                transport.abort()
            else:
                self.timer = self.loop.call_later(CHECK_S, self.check)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.timer is not None:
                self.timer.cancel()
            super().connection_lost(exc)

        def check(self) -> None:
            # One that came and went between two checks is as good as one in progress.
            is_busy = self.cycle is not self.seen_cycle or (
                self.cycle is not None and not self.cycle.response_complete
            )
            self.seen_cycle = self.cycle
            self.idle_checks = 0 if is_busy else self.idle_checks + 1
            if self.idle_checks >= IDLE_CHECKS:
                self.transport.abort()
            else:
                self.timer = self.loop.call_later(CHECK_S, self.check)

    return BoundedProtocol
