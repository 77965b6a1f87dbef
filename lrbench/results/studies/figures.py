"""What a study's figures show: data alone, so that an unchanged figure need not be drawn again.

Values may be None where nothing was measured; reported series are always drawn apart from measured ones.
"""

from __future__ import annotations

from dataclasses import dataclass

Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Series:
    """Values under one name. `low` and `high` bound their intervals; empty where there are none."""

    label: str
    values: Values
    reported: bool = False
    low: Values = ()
    high: Values = ()


@dataclass(frozen=True)
class Panel:
    """Series drawn together: `across` names the places of their values."""

    title: str
    across: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str = ""


@dataclass(frozen=True)
class Radar:
    """Accuracies in percent over the benchmarks, a panel per expert."""

    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Bars:
    """A group of bars per place, a panel per quantity; `logarithmic` where quantities span decades."""

    panels: tuple[Panel, ...]
    logarithmic: bool = False


@dataclass(frozen=True)
class Point:
    """A named point with the interval of its height."""

    label: str
    across: float
    up: float
    reported: bool
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scatter:
    """Points that no line joins, a panel per expert: (title, points, horizontal line or None)."""

    across: str
    up: str
    panels: tuple[tuple[str, tuple[Point, ...], float | None], ...]


@dataclass(frozen=True)
class Histogram:
    """Shares of counts between edges, a panel per pair: (title, edges, counts); `mark` is a threshold."""

    across: str
    up: str
    panels: tuple[tuple[str, tuple[float, ...], tuple[int, ...]], ...]
    mark: float | None = None


@dataclass(frozen=True)
class Lines:
    """Values by update, one line per seed, a panel per expert: (title, ((label, points), ...))."""

    across: str
    up: str
    panels: tuple[tuple[str, tuple[tuple[str, tuple[tuple[float, float], ...]], ...]], ...]


Figure = Radar | Bars | Scatter | Histogram | Lines
