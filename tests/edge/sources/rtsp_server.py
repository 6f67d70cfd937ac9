"""A camera on the network, played by GStreamer's RTSP server: `python3 rtsp_server.py PORT`.

For the system's Python, which has GStreamer's bindings. Each picture says in its own pixels when it
was made: ROWS x COLUMNS blocks, light or dark, are the bits of the monotonic clock's milliseconds.
Prints "ready PORT", and serves rtsp://127.0.0.1:PORT/camera until it is killed.
"""

from __future__ import annotations

import sys
import time
from typing import Any

ROWS, COLUMNS, BLOCK = 4, 8, 40
FPS = 30
PIPELINE = (
    "( appsrc name=source is-live=true format=time do-timestamp=true "
    f"caps=video/x-raw,format=GRAY8,width={COLUMNS * BLOCK},height={ROWS * BLOCK},"
    f"framerate={FPS}/1 ! videoconvert ! openh264enc gop-size=15 ! "
    "rtph264pay config-interval=1 name=pay0 )"
)


def picture(now_ms: int) -> bytes:
    """Return gray pixels, [ROWS * BLOCK, COLUMNS * BLOCK], that spell `now_ms` in bits."""
    lines = []
    for row in range(ROWS):
        bits = [now_ms >> (row * COLUMNS + column) & 1 for column in range(COLUMNS)]
        lines.append(b"".join(bytes([30 + 200 * bit]) * BLOCK for bit in bits) * BLOCK)
    return b"".join(lines)


def main(port: str) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    if Gst.ElementFactory.find("openh264enc") is None:
        sys.exit("no openh264enc: apt install gstreamer1.0-plugins-bad")

    def feed(_factory: object, media: Any) -> None:  # noqa: ANN401 - the bindings have no types
        source = media.get_element().get_child_by_name("source")

        def push() -> bool:
            now_ms = time.monotonic_ns() // 1_000_000 & 0xFFFFFFFF
            buffer = Gst.Buffer.new_wrapped(picture(now_ms))
            return bool(source.emit("push-buffer", buffer) == Gst.FlowReturn.OK)

        GLib.timeout_add(1000 // FPS, push)

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.connect("media-configure", feed)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1])
