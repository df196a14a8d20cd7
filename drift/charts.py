"""Small SVG charts, made of text: they follow the page's colours in light and dark.

Every chart is 420 units wide, so its 11-unit letters stay readable on a phone and grow with the
column on a desk. Colours are the CSS classes of drift/report.html.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataio.pages import html, join

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
    return html(
        '<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}"><title>{}</title>{}</svg>',
        WIDTH,
        height,
        title,
        title,
        join(body),
    )


def _text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "soft") -> str:
    return html(
        '<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>',
        x, y, anchor, kind, words,
    )  # fmt: skip


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    template = '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>'
    return html(template, x1, y1, x2, y2, kind)


class _Frame:
    """A plotting area with both axes linear; `x` and `y` are its limits, margins included."""

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

    def axes(
        self,
        x_name: str,
        y_name: str,
        *,
        x_ticks: bool = True,
        y_ticks: dict[float, str] | None = None,
    ) -> list[str]:
        """Axis lines, ticks and names; `y_ticks` places words of another scale (a logarithm)."""
        if y_ticks is None:
            y_ticks = {value: _tick(value) for value in ticks(*self.y)}
        body = [_line(self.left, self.bottom, self.right, self.bottom, "axis")]
        for value, words in y_ticks.items():
            _, y = self.at(self.x[0], value)
            body.append(_line(self.left, float(y), self.right, float(y), "grid"))
            body.append(_text(self.left - 4, float(y) + 4, words, anchor="end"))
        for value in ticks(*self.x) if x_ticks else []:
            x, _ = self.at(value, self.y[0])
            body.append(_text(float(x), self.bottom + 14, _tick(value), anchor="middle"))
        body.append(_text(self.right, self.bottom + 29, x_name, anchor="end"))
        body.append(_text(2, 10, y_name))
        return body

    def ends(self, names: Sequence[str]) -> list[str]:
        """The first and the last name under the x axis."""
        body = [_text(self.left, self.bottom + 14, names[0])]
        if len(names) > 1:
            body.append(_text(self.right, self.bottom + 14, names[-1], anchor="end"))
        return body


def scatter(
    sets: Sequence[tuple[str, np.ndarray, str]], *, title: str, axes: tuple[str, str]
) -> tuple[str, int]:
    """Points of several sets `(name, (N, 2), css class)`, and how many lie beyond the frame.

    The frame leaves out the farthest 0.2 % on each side of each axis, or one outlier would press
    all others into a spot; those points are crosses on its border, where they leave it.
    """
    height = 360
    every = np.concatenate([points for _, points, _ in sets])
    low, high = np.quantile(every, [0.002, 0.998], axis=0)
    frame = _Frame((low[0], high[0]), (low[1], high[1]), height)
    body, beyond = frame.axes(*axes), 0
    low, high = np.array([frame.x, frame.y]).T
    for _, points, kind in sets:
        outside = ((points < low) | (points > high)).any(axis=1)
        beyond += int(outside.sum())
        x, y = frame.at(*points[~outside].T)
        # one path of zero-length round strokes: a thousand points are 12 kB
        path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x, y, strict=True))
        body.append(html('<path d="{}" class="dots {}"/>', path, kind))
        x, y = frame.at(*np.clip(points[outside], low, high).T)
        path = "".join(f"M{a - 4:.1f} {b - 4:.1f}l8 8m-8 0l8 -8" for a, b in zip(x, y, strict=True))
        if path:
            body.append(html('<path d="{}" class="dots beyond {}"/>', path, kind))
    return svg(height, title, body), beyond


def band_line(
    names: Sequence[str],
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
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
    body.append(html('<polygon points="{}" class="band"/>', points))
    body.append(_polyline(x, y))
    body += [
        _dot(a, b, "value", f"{names[place]}: {values[place]:.4g}")
        for place, a, b in zip(known, x, y, strict=True)
    ]
    return svg(height, title, [*body, *frame.ends(names)])


def _polyline(x: np.ndarray, y: np.ndarray) -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return html('<polyline points="{}" class="line"/>', points)


def _dot(x: float, y: float, kind: str, tip: str) -> str:
    template = '<circle cx="{:.1f}" cy="{:.1f}" r="4" class="{}"><title>{}</title></circle>'
    return html(template, x, y, kind, tip)


def alarm_line(
    names: Sequence[str],
    p: np.ndarray,
    level: float,
    status: Sequence[str],
    raised: Sequence[bool],
    *,
    title: str,
    axes: tuple[str, str],
) -> str:
    """p-values in order of time, small ones on top, and the band where they alarm (p <= level).

    `raised` rings the dots at which a rule over several of them was met. A window without p is a
    dot on the axis; a level of 0 leaves the band out.
    """
    height = 250
    known = np.flatnonzero(np.isfinite(p))
    smallest = min([0.05, *p[known], *([level / 2] if level else [])])
    decades = -np.log10(smallest)
    frame = _Frame((0, max(len(p) - 1, 1)), (0.0, decades), height)
    body = frame.axes(
        *axes, x_ticks=False, y_ticks={k: f"{0.1**k:g}" for k in range(int(decades) + 1)}
    )
    if level:
        _, bottom = frame.at(0, -np.log10(level))
        body.append(
            html(
                '<rect x="{:.1f}" y="{:.1f}" class="alarm-band" width="{:.1f}" height="{:.1f}"/>',
                frame.left,
                frame.top,
                frame.right - frame.left,
                bottom - frame.top,
            )
        )
    x, y = frame.at(known, -np.log10(p[known]))
    body.append(_polyline(x, y))
    for place, a, b in zip(known, x, y, strict=True):
        if raised[place]:
            body.append(html('<circle cx="{:.1f}" cy="{:.1f}" r="7" class="ring"/>', a, b))
        tip = f"{names[place]}: p = {p[place]:.4g}, {status[place]}"
        body.append(_dot(a, b, status[place], tip))
    for place in np.flatnonzero(~np.isfinite(p)):
        a, _ = frame.at(place, 0.0)
        body.append(_dot(float(a), frame.bottom, status[place], f"{names[place]}: too few rows"))
    return svg(height, title, [*body, *frame.ends(names)])


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
            html(
                '<rect x="{:.1f}" y="{}" width="{:.1f}" height="11" class="{}"/>',
                start,
                y + 16,
                max(end - start, 1),
                status[place],
            )
        )
        interval = intervals[place]
        if interval is not None:
            body.append(
                _line(across(interval[0]), y + 21.5, across(interval[1]), y + 21.5, "whisker")
            )
        body.append(_text(WIDTH - 4, y + 25, f"{value:.4g}", anchor="end", kind="ink"))
    body.append(_text(right, height - 5, unit, anchor="end"))
    return svg(height, title, body)
