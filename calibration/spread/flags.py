"""The arguments that say who does the work."""

from __future__ import annotations

import argparse

from calibration.spread.cluster import Cluster
from calibration.spread.here import Here
from calibration.spread.processes import Processes
from calibration.spread.task import Spread, SpreadError


def add_spread_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags, as a group of their own."""
    group = parser.add_argument_group("who does the work (the results are the same to the bit)")
    group.add_argument(
        "--jobs", type=int, metavar="N", help="that many processes of this machine (default 1)"
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="the workers of a Dask scheduler, tcp://HOST:PORT, that you trust: they run what is "
        "sent to them; they need the same version, and the same files under the same paths",
    )


def spread_flags(args: argparse.Namespace) -> Spread:
    """Return who does the work. Raises: SpreadError: there is no such address or number."""
    if args.scheduler is not None:
        if args.jobs is not None:
            raise SpreadError(
                "--jobs is of this machine, and --scheduler of others; leave out one of them"
            )
        return Cluster(args.scheduler)
    processes = Processes(1 if args.jobs is None else args.jobs)
    return Here() if processes.jobs == 1 else processes
