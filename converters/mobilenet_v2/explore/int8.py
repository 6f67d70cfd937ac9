"""What int8 does to each block: noise where it arises, and what it does to the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.anatomy import PARTS
from converters.errors import ConvertError
from converters.mobilenet_v2.explore.experiment import Asked
from converters.mobilenet_v2.explore.relu import F64
from converters.sensitivity import Row


@dataclass(frozen=True, slots=True)
class Int8Result:
    """`rows`: each layer and sum of the conversion's own sensitivity, with a finite ratio in int8.

    `measured_db`: SQNR of the scores; `parts_db`: with the noise of all rows added up;
    `rank_order`: Spearman's correlation of the rows' own SQNR (`alone_db`) and their share of the
    scores' noise.
    """

    name: str
    rows: tuple[Row, ...]
    measured_db: float
    parts_db: float
    rank_order: float
    pictures: int
    calibrated: str
    command: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that there are, in their usual order."""
        return tuple(part for part in PARTS if any(row.part == part for row in self.rows))

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks in the order of the network."""
        return tuple(dict.fromkeys(row.block for row in self.rows))

    def of(self, part: str, block: str = "") -> tuple[Row, ...]:
        """Return the rows of one part, of all blocks or of one."""
        return tuple(row for row in self.rows if row.part == part and block in ("", row.block))


def run(asked: Asked) -> Int8Result:
    """Read off the conversion what each rounding does.

    Raises: ConvertError: the network has no blocks, or loses nothing.
    """
    conversion = asked.subject.conversion
    found = conversion.sensitivity
    where = conversion.request.model
    rows = () if found is None else tuple(filter(_is_shown, found.rows))
    if found is None or not any(row.block.startswith("block") for row in rows):
        raise ConvertError(
            f"{where}: it has no blocks (layers that a shortcut bridges, or that belong to a "
            "depthwise convolution) whose parts could be compared; leave int8 out of --only"
        )
    calibrated = conversion.calibrated
    is_synthetic = calibrated is not None and calibrated.ranges.synthetic
    return Int8Result(
        conversion.card.name,
        rows,
        found.measured_db,
        found.parts_db,
        rank_order(np.array([row.alone_db for row in rows]), np.array([row.share for row in rows])),
        found.pictures,
        "synthetic pictures" if is_synthetic else "pictures",
        asked.command("int8"),
    )


def _is_shown(row: Row) -> bool:
    """Whether a row rounds, and is in the artifact: what only moves integers loses nothing."""
    return row.cumulative_db is not None and bool(row.share) and bool(np.isfinite(row.alone_db))


def rank_order(some: F64, others: F64) -> float:
    """Return Spearman's rank correlation of two float64 [N], of values that all differ.

    C. Spearman: The proof and measurement of association between two things, 1904.
    """
    if len(some) < 2:
        return 0.0
    first, second = (np.argsort(np.argsort(values)) for values in (some, others))
    return float(np.corrcoef(first, second)[0, 1])
