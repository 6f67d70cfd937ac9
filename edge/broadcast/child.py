"""The process that broadcasts: takes in what the loop's process sends, and serves it.

    python -m edge.broadcast.child FD

FD is one end of a pair of sockets; what it is to do comes over it, secrets included. It ends when
the other end is closed, and not by signals: Ctrl-C and service managers mean the loop, which says
goodbye.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.errors import EdgeError
from edge.mqtt.options import MqttOptions
from edge.mqtt.publisher import Publisher
from edge.web.access import Access
from edge.web.guard import App, Guard
from edge.web.server import WebServer

NICENESS = 19


def main(argv: Sequence[str]) -> int:
    """Serve until the loop's process closes its end. Returns: the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
        # Only what the loop leaves over of the processor: whenever that wants to run, it does.
        # With niceness alone, its p99 grew by 3 ms on a core that both shared (sched(7);
        # tests/benchmarks/results/web_nice.json).
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        _broadcast(Connection(int(argv[0])))
    except EdgeError as error:
        print(f"edge-live: error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def _broadcast(connection: Connection) -> None:
    stream = wire.messages(connection)
    hello = next(stream, None)
    if hello is None:
        return
    fields = hello.fields
    view = RunView(
        facts=fields["facts"],
        labels=tuple(fields["labels"]),
        log=fields["log"],
        watched=lambda: _say_watched(connection),
    )
    publisher = _publisher(view, hello)
    server = WebServer(_served(view, hello, publisher))
    server.start()
    if publisher is not None:
        publisher.start()
    for message in stream:
        view.take(message)
        if publisher is not None:
            publisher.take(message)
        if message.kind == "bye":
            # A loop that was killed says nothing: then the broker publishes the will.
            if publisher is not None:
                publisher.stop()
            break
    server.stop()


def _say_watched(connection: Connection) -> None:
    # Where the other end has gone, the stream of messages ends too.
    with suppress(OSError):
        connection.send_bytes(wire.WATCHED)


def _publisher(view: RunView, hello: wire.Message) -> Publisher | None:
    fields = hello.fields["mqtt"]
    return None if fields is None else Publisher(MqttOptions.from_json(fields), view)


def _served(
    view: RunView, hello: wire.Message, publisher: Publisher | None
) -> list[tuple[socket.socket, App]]:
    """Return what to serve, on the sockets that came with it."""
    served: list[tuple[socket.socket, App]] = []
    guards: list[Guard] = []

    def lost() -> Iterable[tuple[str, str, float]]:
        number = sum(sum(guard.refused.values()) for guard in guards)
        yield "edge_requests_refused", "Requests to --web and --metrics that were refused.", number
        if publisher is not None:
            dropped = publisher.outbox.dropped
            yield "edge_mqtt_dropped_messages", "Messages that no broker took in time.", dropped

    for name, descriptor in hello.fields["sockets"].items():
        listening = socket.socket(fileno=descriptor)
        token = hello.fields["tokens"].get(name, "")
        access = Access(hello.fields["hosts"][name], listening.getsockname()[1], token)
        if name == "--metrics":
            from edge.metrics import metrics_app

            guard = Guard(metrics_app(view, lost), access)
        else:
            from edge.web.app import guarded_web

            guard = guarded_web(view, access)
        guards.append(guard)
        served.append((listening, guard))
    return served


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
