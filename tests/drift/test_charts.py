"""The charts of the report show what decides, and leave nothing out unsaid."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.drift_world import World

from drift import charts
from drift.comparison import Request, compare
from drift.reference import fit_reference
from drift.report import page

WORLD = World(12)


def numbers(drawing: str, element: str, kind: str, *names: str) -> list[list[float]]:
    tags = re.findall(rf'<{element} [^>]*class="{kind}"[^>]*>', drawing)
    return [[float(re.search(rf' {name}="([-\d.]+)"', tag)[1]) for name in names] for tag in tags]


def draw(p, level, status, raised=None):
    names = [f"w{i}" for i in range(len(p))]
    raised = raised or [False] * len(p)
    return charts.alarm_line(
        names, np.array(p), level, status, raised, title="t", axes=("windows", "p")
    )


@pytest.mark.parametrize("level", [0.2, 0.0345, 0.0005])
def test_alarms_lie_in_the_band_and_all_others_outside(level):
    p = [1.0, level * 1.2, level, level / 3, 0.9]
    drawing = draw(p, level, ["ok", "warn", "alarm", "alarm", "ok"])
    ((top, height),) = numbers(drawing, "rect", "alarm-band", "y", "height")
    bottom = top + height
    assert all(top <= y <= bottom for (y,) in numbers(drawing, "circle", "alarm", "cy"))
    others = [numbers(drawing, "circle", kind, "cy") for kind in ("ok", "warn")]
    assert sum(map(len, others)) == 3 and all(y > bottom for (y,) in sum(others, []))


def test_a_window_without_p_stays_on_the_axis_and_a_met_rule_has_a_ring():
    drawing = draw([np.nan, 0.01, 0.01], 0.02, ["insufficient", "alarm", "alarm"], [0, 0, 1])
    ((across, low),) = numbers(drawing, "circle", "insufficient", "cx", "cy")
    marks = numbers(drawing, "circle", "alarm", "cx", "cy")
    assert all(across < x and low > y for x, y in marks)
    assert numbers(drawing, "circle", "ring", "cx", "cy") == marks[1:]
    assert "w0: too few rows" in drawing
    assert "alarm-band" not in draw([0.5], 0.0, ["ok"])


def test_points_beyond_the_map_are_crosses_on_its_border_and_counted():
    rng = np.random.default_rng(0)
    near, far = rng.standard_normal((700, 2)), rng.standard_normal((700, 2))
    far[0] = 1_000.0
    drawing, beyond = charts.scatter(
        [("reference", near, "reference"), ("incoming", far, "incoming")],
        title="map",
        axes=("x", "y"),
    )
    drawn = {kind: len(re.findall("M", path)) for path, kind in re.findall(
        r'<path d="([^"]*)" class="dots ([^"]*)"', drawing
    )}  # fmt: skip
    crosses = sum(count for kind, count in drawn.items() if "beyond" in kind)
    assert 1 <= beyond == crosses <= 12 and drawn["beyond incoming"] >= 1
    assert sum(drawn.values()) == 1_400
    places = re.findall(r"M([\d.]+) ([\d.]+)", drawing)
    assert all(0 <= float(x) <= charts.WIDTH and 0 <= float(y) <= 360 for x, y in places)


def test_the_report_states_what_its_map_leaves_out():
    reference = fit_reference(WORLD.draw(1_200, np.random.default_rng(0), name="r"))
    incoming = WORLD.draw(300, np.random.default_rng(1), name="i")
    incoming.embeddings[7] += 1_000 * WORLD.scales
    text = page(compare(reference, incoming, Request(draws=40, distances=("w1",))))
    assert "700 of 800 reference points drawn." in text
    assert re.search(r"\d+ beyond the frame, crosses on its border", text)
