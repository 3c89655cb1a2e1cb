"""Figures as nodes, for a person to look at."""

from __future__ import annotations

import io
from typing import Any

from aiida.orm import SinglefileData

try:
    # Not pyplot, which keeps every figure for the life of the worker.
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError(
        "The worked examples draw with matplotlib: "
        "pip install 'aiida-human-in-the-loop[examples]'"
    ) from error

__all__ = ["Drawing"]


class Drawing:
    """A figure of one pair of axes, that becomes a PNG.

    :ivar axes: `matplotlib.axes.Axes`.
    """

    def __init__(self, xlabel: str, ylabel: str) -> None:
        """Begin with nothing drawn."""
        self._figure = Figure(figsize=(5, 3.5), layout="constrained")
        self.axes: Any = self._figure.subplots()
        self.axes.set(xlabel=xlabel, ylabel=ylabel)

    def to_node(self, filename: str) -> SinglefileData:
        """Return it as a node, not stored."""
        file = io.BytesIO()
        self._figure.savefig(file, format="png", dpi=100)
        file.seek(0)
        return SinglefileData(file, filename=filename)
