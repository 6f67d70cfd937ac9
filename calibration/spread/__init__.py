"""The same work on every piece of a set: here, over processes, or over a cluster's machines.

Pieces are cut by the set alone, never by who works on them, and results come in the pieces' order:
what is made of them is the same to the bit, wherever they were worked on.
"""

from calibration.spread.here import Here
from calibration.spread.task import Runner, Spread, SpreadError, Task

__all__ = ["Here", "Runner", "Spread", "SpreadError", "Task"]
