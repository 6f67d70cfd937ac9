"""How plots look, and the one place that opens matplotlib.

Figures are small in inches, so that their text stays legible when a phone's width is all there is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge.errors import MissingExtraError
from edge.page import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": LIGHT["grid"],
    "axes.grid": True,
    "axes.labelcolor": LIGHT["muted"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": LIGHT["muted"],
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["grid"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.color": LIGHT["grid"],
    "ytick.labelcolor": LIGHT["muted"],
}


@contextmanager
def new_figure(size_inches: tuple[float, float], salt: str = "") -> Iterator[Figure]:
    """Yield a figure in this style, to be drawn on and saved while it lasts.

    Args: size_inches: width, height; salt: what makes the names within its SVG other than those of
        the page's other figures, and the same every time.
    Raises: MissingExtraError: no matplotlib.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise MissingExtraError("matplotlib", "report") from cause
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=size_inches)
        FigureCanvasAgg(figure)
        yield figure


def svg_of(figure: Figure) -> str:
    """Return a figure as an SVG document, transparent, the same bytes every time."""
    text = io.StringIO()
    metadata = {"Date": None, "Creator": None}
    figure.savefig(text, format="svg", metadata=metadata, transparent=True)
    return text.getvalue()


def png_of(figure: Figure, dpi: int) -> bytes:
    """Return a figure as a PNG on white."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    return data.getvalue()
