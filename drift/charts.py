"""Small SVG charts, made of text: they follow the page's colours in light and dark.

Every chart is 420 units wide, so its 11-unit letters stay readable on a phone and grow with the
column on a desk. Colours are the CSS classes of drift/report.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH = 420


def _axis(low: float, high: float) -> tuple[float, float]:
    """Limits with a margin; never of zero length."""
    span = (high - low) or abs(high) or 1.0
    return low - 0.06 * span, high + 0.06 * span


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers within the limits."""
    raw = (high - low) / count
    unit = 10.0 ** np.floor(np.log10(raw))
    step = unit * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * unit >= raw)
    first = np.ceil(low / step) * step
    return [float(v) for v in np.arange(first, high + 1e-9 * step, step)]


def _tick(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def svg(height: float, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def _text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "soft") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{kind}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


class _Frame:
    """A plotting area with both axes linear."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], height: float) -> None:
        self.x, self.y = _axis(*x), _axis(*y)
        self.left, self.right, self.top, self.bottom = 46.0, WIDTH - 8.0, 10.0, height - 34.0

    def at(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        across = (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0])
        up = (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0])
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def axes(self, x_name: str, y_name: str, *, x_ticks: bool = True) -> list[str]:
        body = [_line(self.left, self.bottom, self.right, self.bottom, "axis")]
        for value in ticks(*self.y):
            _, y = self.at(self.x[0], value)
            body.append(_line(self.left, float(y), self.right, float(y), "grid"))
            body.append(_text(self.left - 4, float(y) + 4, _tick(value), anchor="end"))
        for value in ticks(*self.x) if x_ticks else []:
            x, _ = self.at(value, self.y[0])
            body.append(_text(float(x), self.bottom + 14, _tick(value), anchor="middle"))
        body.append(_text(self.right, self.bottom + 29, x_name, anchor="end"))
        body.append(_text(2, 10, y_name))
        return body


def scatter(sets: Sequence[tuple[str, np.ndarray, str]], *, title: str, axes: tuple[str, str]):
    """Points of several sets `(name, (N, 2), css class)`; two axes of the same scale."""
    height = 360
    every = np.concatenate([points for _, points, _ in sets])
    low, high = np.quantile(every, [0.002, 0.998], axis=0)
    frame = _Frame((low[0], high[0]), (low[1], high[1]), height)
    body = frame.axes(*axes)
    for _, points, kind in sets:
        inside = ((points >= low) & (points <= high)).all(axis=1)
        x, y = frame.at(*points[inside].T)
        # one path of zero-length round strokes: a thousand points are 12 kB
        path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x, y, strict=True))
        body.append(f'<path d="{path}" class="dots {kind}"/>')
    return svg(height, title, body)


def band_line(
    names: Sequence[str],
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    status: Sequence[str],
    *,
    title: str,
    axes: tuple[str, str],
) -> str:
    """Values in order of time over the band that equal samples show."""
    height, count = 250, len(values)
    finite = np.concatenate([a[np.isfinite(a)] for a in (values, low, high)])
    if not len(finite):
        return ""
    frame = _Frame((0, max(count - 1, 1)), (finite.min(), finite.max()), height)
    body = frame.axes(*axes, x_ticks=False)
    known = np.flatnonzero(np.isfinite(values))
    x, top = frame.at(known, high[known])
    _, bottom = frame.at(known, low[known])
    _, y = frame.at(known, values[known])
    corners = [*zip(x, top, strict=True), *zip(x[::-1], bottom[::-1], strict=True)]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    body.append(f'<polygon points="{points}" class="band"/>')
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    body.append(f'<polyline points="{line}" class="line"/>')
    for place, a, b in zip(known, x, y, strict=True):
        tip = escape(f"{names[place]}: {values[place]:.4g}, {status[place]}")
        body.append(
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" class="{status[place]}">'
            f"<title>{tip}</title></circle>"
        )
    body.append(_text(frame.left, frame.bottom + 14, names[0]))
    if count > 1:
        body.append(_text(frame.right, frame.bottom + 14, names[-1], anchor="end"))
    return svg(height, title, body)


def bars(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
    status: Sequence[str],
    *,
    title: str,
    unit: str,
) -> str:
    """Horizontal bars with intervals, a row each: the name above its bar, so long names fit."""
    row, top, bottom = 34, 8, 34
    height = top + row * len(names) + bottom
    finite = [v for v in values if np.isfinite(v)]
    finite += [end for interval in intervals if interval is not None for end in interval]
    low, high = _axis(min([0.0, *finite]), max([0.0, *finite]) or 1.0)
    left, right = 8.0, WIDTH - 66.0

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    body = [_line(across(0), top, across(0), height - bottom, "axis")]
    for value in ticks(low, high):
        body.append(_line(across(value), top, across(value), height - bottom, "grid"))
        body.append(_text(across(value), height - bottom + 14, _tick(value), anchor="middle"))
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        y = top + row * place
        body.append(_text(left, y + 12, name, kind="ink"))
        if not np.isfinite(value):
            body.append(_text(WIDTH - 4, y + 25, "too few", anchor="end"))
            continue
        start, end = sorted((across(0), across(value)))
        body.append(
            f'<rect x="{start:.1f}" y="{y + 16}" width="{max(end - start, 1):.1f}" height="11" '
            f'class="{status[place]}"/>'
        )
        interval = intervals[place]
        if interval is not None:
            body.append(
                _line(across(interval[0]), y + 21.5, across(interval[1]), y + 21.5, "whisker")
            )
        body.append(_text(WIDTH - 4, y + 25, f"{value:.4g}", anchor="end", kind="ink"))
    body.append(_text(right, height - 5, unit, anchor="end"))
    return svg(height, title, body)
