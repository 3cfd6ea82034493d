"""Stacked bars as plain SVG: shapes with classes and no styles, so that the pages' policy and both schemes hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 220
LEFT, RIGHT, TOP, BOTTOM = 58, 6, 12, 28
STEPS = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))
LINES = 4
"""How many lines of measure at most stand above the base."""
MOST_LABELS = 8


@dataclass(frozen=True)
class Bar:
    """One period: its label, what a pointer tells of it, and the heights of its layers, in the order of the legend."""

    label: str
    title: str
    layers: tuple[Decimal, ...]


@dataclass(frozen=True)
class Chart:
    """What is drawn; `ticks` are the measures with their words, lowest first."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[Decimal, str], ...]


def measures(bars: Sequence[Bar]) -> list[Decimal]:
    """Round numbers that hold every bar, credit below the base included."""
    highest = max((sum((one for one in bar.layers if one > 0), Decimal(0)) for bar in bars), default=Decimal(0))
    lowest = min((sum((one for one in bar.layers if one < 0), Decimal(0)) for bar in bars), default=Decimal(0))
    span = max(highest - lowest, Decimal(1))
    size = Decimal(10) ** ((span / LINES).adjusted())
    step = next(one * size for one in STEPS if one * size * LINES >= span)
    step = max(step, Decimal(1))
    first = (lowest / step).to_integral_value(rounding="ROUND_FLOOR")
    last = max((highest / step).to_integral_value(rounding="ROUND_CEILING"), first + 1)
    return [step * number for number in range(int(first), int(last) + 1)]


def draw(chart: Chart, name: str, description: str) -> Markup:
    """The picture, with its name and what it says in words for who cannot see it."""
    low, high = chart.ticks[0][0], chart.ticks[-1][0]
    room = Decimal(HEIGHT - TOP - BOTTOM)

    def y(value: Decimal) -> Decimal:
        return TOP + room * (high - value) / (high - low)

    said = f"{escape(name)}. {escape(description)}"
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}" focusable="false">']
    for value, words in chart.ticks:
        kind = "rule base" if value == 0 else "rule"
        at = _number(y(value))
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at}" dy="4" text-anchor="end">{escape(words)}</text>')
    slot = Decimal(WIDTH - LEFT - RIGHT) / max(len(chart.bars), 1)
    width = min(slot * Decimal("0.7"), Decimal(34))
    every = -(-len(chart.bars) // MOST_LABELS) or 1
    for number, bar in enumerate(chart.bars):
        middle = LEFT + slot * number + slot / 2
        parts.append(_bar(bar, middle - width / 2, width, y))
        if number % every == 0:
            parts.append(
                f'<text x="{_number(middle)}" y="{HEIGHT - 8}" text-anchor="middle">{escape(bar.label)}</text>'
            )
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every word in it was escaped


def _bar(bar: Bar, left: Decimal, width: Decimal, y: Callable[[Decimal], Decimal]) -> str:
    above = below = Decimal(0)
    shapes = []
    for number, value in enumerate(bar.layers, 1):
        if not value:
            continue
        start = above if value > 0 else below
        top, bottom = sorted((y(start), y(start + value)))
        shapes.append(
            f'<rect class="s{number}" x="{_number(left)}" y="{_number(top)}" width="{_number(width)}"'
            f' height="{_number(max(bottom - top, Decimal(1)))}"/>'
        )
        above, below = (above + value, below) if value > 0 else (above, below + value)
    return f"<g><title>{escape(bar.title)}</title>{''.join(shapes)}</g>" if shapes else ""


def _number(value: Decimal) -> str:
    return f"{value:.1f}".removesuffix(".0")
