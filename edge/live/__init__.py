"""The live loop: frames in, labels out, every stage of every frame on the clock."""

from edge.live.listener import Listener
from edge.live.log import RunLog
from edge.live.loop import LiveLoop
from edge.live.types import LiveOptions, LiveResult, Result, Status

__all__ = ["Listener", "LiveLoop", "LiveOptions", "LiveResult", "Result", "RunLog", "Status"]
