"""Figures of an evaluation, drawn from its JSON content only, as SVG and PDF."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np

from dataio.whole_files import make_folder, write_bytes
from metrics.curves import probit
from metrics.tables import shortened, slice_names

# what a colour means -> on paper; in the page each becomes var(--<meaning>), so that it follows
# the reader's light or dark scheme
COLOURS = {"real": "#1f6fb2", "fake": "#c8501a", "ink": "#222a33", "faint": "#8a94a0"}
SIZE = (4.8, 3.5)  # inches: 460 CSS pixels, so that text stays legible at 400
DEVIATE_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
SLICES_SHOWN = 40  # bars of a figure, the worst
LABEL_WIDTH = 26  # letters of a bar's name
TRACED = "field:"  # begins the id of an SVG group whose text is a number of the JSON


def det(axes, found: dict) -> None:
    """Detection error trade-off on normal-deviate axes; the dotted line is FRR = FAR."""
    curve, eer = found["curves"]["error"], _all(found)["figures"].get("eer")
    far, frr = np.array(curve["far"]), np.array(curve["frr"])
    inside = (far > 0) & (far < 1) & (frr > 0) & (frr < 1)
    low = max(0.0005, min([*far[inside], *frr[inside], 0.01]) * 0.7)
    limits = probit(np.array([low, max(0.6, 1.3 * (eer or 0))]).clip(max=0.995))
    deviate = [probit(rate.clip(1e-7, 1 - 1e-7)) for rate in (far, frr)]
    axes.plot(*deviate, color=COLOURS["real"], linewidth=2, label="A")
    if other := _other_curve(found):
        rates = (np.array(other[name]).clip(1e-7, 1 - 1e-7) for name in ("far", "frr"))
        axes.plot(*map(probit, rates), color=COLOURS["fake"], linewidth=2, label="B")
        _legend(axes)
    axes.plot(limits, limits, color=COLOURS["faint"], linestyle=":", linewidth=1)
    if eer and 0 < eer < 1:
        dot = COLOURS["real" if _other_curve(found) else "fake"]  # B's curve has the other colour
        axes.plot(*probit(np.array([[eer], [eer]])), "o", color=dot, markersize=7)
        place = probit(np.array([eer, eer]))
        where = {"xytext": (-9, -16), "ha": "right"} if _other_curve(found) else {"xytext": (9, 7)}
        label = axes.annotate(f"EER {eer:.2%}", place, textcoords="offset points", **where)
        _traced(label, "subsets/0/figures/eer")
    ticks = [tick for tick in DEVIATE_TICKS if limits[0] <= probit(tick) <= limits[1]]
    names = [f"{100 * tick:g}" for tick in ticks]
    axes.set_xticks(probit(np.array(ticks)), names)
    axes.set_yticks(probit(np.array(ticks)), names)
    axes.set(xlim=limits, ylim=limits, xlabel="false alarms, FAR (%)", ylabel="misses, FRR (%)")


def roc(axes, found: dict) -> None:
    """Receiver operating characteristic: real files accepted over fake files accepted."""
    curve, auc = found["curves"]["error"], _all(found)["figures"].get("roc_auc")
    far, tpr = np.array(curve["far"]), 1 - np.array(curve["frr"])
    axes.plot(100 * far, 100 * tpr, color=COLOURS["real"], linewidth=2, label="A")
    if other := _other_curve(found):
        theirs = 100 * np.array(other["far"]), 100 - 100 * np.array(other["frr"])
        axes.plot(*theirs, color=COLOURS["fake"], linewidth=2, label="B")
        _legend(axes)
    axes.plot([0, 100], [0, 100], color=COLOURS["faint"], linestyle=":", linewidth=1)
    if auc is not None:
        _traced(axes.text(95, 8, f"AUC {auc:.4f}", ha="right"), "subsets/0/figures/roc_auc")
    axes.set(xlim=(-1, 101), ylim=(-1, 101))
    axes.set(xlabel="fake accepted, FAR (%)", ylabel="real accepted (%)")


def histogram(axes, found: dict) -> None:
    """Scores by class, each class summing to 100 %; the dashed line is the threshold."""
    bins = found["curves"]["histogram"]
    edges, centre = np.array(bins["edges"]), found["setting"]["threshold"]["score"]
    for name in ("fake", "real"):
        counts = np.array(bins[name], dtype=float)
        heights = 100 * counts / counts.sum()
        axes.stairs(heights, edges, fill=True, alpha=0.45, color=COLOURS[name])
        axes.stairs(heights, edges, color=COLOURS[name], linewidth=1.3, label=name)
    if centre is not None and edges[0] <= centre <= edges[-1]:
        axes.axvline(centre, color=COLOURS["ink"], linestyle="--", linewidth=1, label="threshold")
    axes.set(xlabel=_score_name(found), ylabel="files of the class (%)")
    _legend(axes)


def reliability(axes, found: dict) -> None:
    """Stated P(real) against the share of real files, with 95 % Wilson intervals."""
    bins = found["curves"]["reliability"]
    stated, observed = np.array(bins["stated"]), np.array(bins["observed"])
    spans = np.clip([observed - bins["low"], np.array(bins["high"]) - observed], 0, None)
    axes.plot([0, 1], [0, 1], color=COLOURS["faint"], linestyle=":", linewidth=1)
    axes.errorbar(
        stated,
        observed,
        yerr=spans,
        fmt="o-",
        color=COLOURS["real"],
        markersize=4,
        linewidth=1.5,
        elinewidth=1,
    )
    _traced(axes.text(0.97, 0.05, f"ECE {bins['ece']:.3f}", ha="right"), "curves/reliability/ece")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    stated_how = "" if bins["prior"] is None else f" at this set's prior, {bins['prior']:.2f}"
    axes.set(xlabel=f"stated P(real){stated_how}", ylabel="share of real files")
    if bins["prior"] is not None:
        _traced(axes.xaxis.label, "curves/reliability/prior")


def cost(axes, found: dict) -> None:
    """Normalised detection cost over the threshold; 1 is the better of accept-all, reject-all."""
    curve, setting = found["curves"]["cost"], found["setting"]
    axes.plot(curve["threshold"], curve["dcf"], color=COLOURS["real"], linewidth=2)
    lowest = int(np.argmin(curve["dcf"]))
    point = (curve["threshold"][lowest], curve["dcf"][lowest])
    axes.plot(*point, "o", color=COLOURS["fake"], markersize=7, label=f"min {point[1]:.3f}")
    bayes = setting["costs"]["threshold"]
    actual = _all(found)["figures"].get("act_dcf")
    name = "Bayes threshold" if actual is None else f"Bayes, act {actual:.3f}"
    axes.axvline(bayes, color=COLOURS["ink"], linestyle="--", linewidth=1, label=name)
    axes.axhline(1, color=COLOURS["faint"], linestyle=":", linewidth=1)
    axes.set(ylim=(0, min(3.0, 1.05 * max(curve["dcf"]))))
    axes.set(xlabel=f"threshold on the {_score_name(found)}", ylabel="normalised DCF")
    least, at_bayes = _legend(axes).get_texts()
    _traced(least, f"curves/cost/dcf/{lowest}")
    if actual is not None:
        _traced(at_bayes, "subsets/0/figures/act_dcf")


def eer_bars(axes, rows: list[dict], names: list[str]) -> None:
    """EER of each row as a bar with its interval, in the given order from the top."""
    values = 100 * np.array([row["figures"]["eer"] for row in rows])
    places = np.arange(len(rows))
    axes.barh(places, values, color=COLOURS["real"], alpha=0.55, height=0.68)
    bounds = [row.get("intervals", {}).get("eer", (None, None)) for row in rows]
    low, high = 100 * np.array(bounds, dtype=np.float64).T  # NaN, where there is none, is not drawn
    axes.hlines(places, low, high, color=COLOURS["ink"], linewidth=1.6)
    axes.set_yticks(places, names, parse_math=False)  # a name may hold dollar signs
    axes.invert_yaxis()
    axes.set(xlabel="EER (%)", xlim=(0, None))
    axes.margins(y=0.02)


FIGURES: dict[str, Callable] = {
    "det": det,
    "roc": roc,
    "histogram": histogram,
    "reliability": reliability,
    "cost": cost,
}


def drawable(found: dict) -> dict[str, Callable]:
    """Figure name -> a function that draws it on axes; bars for subsets and slices if any."""
    named = {}
    if found.get("curves"):
        named |= {name: _bound(draw, found) for name, draw in FIGURES.items()}
    groups = {"subsets": found["subsets"][1:]}
    groups |= {f"by_{name}": part["rows"] for name, part in found.get("slices", {}).items()}
    for name, rows in groups.items():
        rows = [row for row in rows if row["figures"].get("eer") is not None]
        if rows:
            named[name] = _bars(rows)
    return named


def _bound(draw: Callable, found: dict) -> Callable:
    def bound(axes) -> None:
        draw(axes, found)

    bound.height = SIZE[1]
    return bound


def _bars(rows: list[dict]) -> Callable:
    drawn = rows[:SLICES_SHOWN]
    names = slice_names(drawn) if "value" in rows[0] else [row["subset"] for row in drawn]
    left = f", {len(drawn)} of {len(rows)}" if len(drawn) < len(rows) else ""

    def bound(axes) -> None:
        eer_bars(axes, drawn, shortened(names, LABEL_WIDTH))
        axes.set(xlabel=f"EER (%){left}")

    bound.height = 0.8 + 0.24 * len(drawn)
    return bound


def svg(draw: Callable, name: str) -> str:
    """Inline SVG whose colours are the page's CSS variables and whose text is the page's."""
    text = _render(draw, name, "svg").decode()
    text = text[text.index("<svg") :]
    for meaning, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{meaning})")
    return text.replace(f'id="{TRACED}', 'data-field="')


def save_all(folder: str | os.PathLike, found: dict) -> None:
    """Each figure as <name>.svg and <name>.pdf; each file appears whole."""
    folder = Path(folder)
    make_folder(folder)
    for name, draw in drawable(found).items():
        for kind in ("svg", "pdf"):
            target = folder / f"{quote(name, safe=' ')}.{kind}"  # a column may be called x/y
            write_bytes(target, _render(draw, name, kind))


def _render(draw: Callable, name: str, kind: str) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,  # ids differ between figures of one page, not between runs
        "font.family": "sans-serif",
        "font.size": 9.5,
        "axes.edgecolor": COLOURS["faint"],
        "axes.labelcolor": COLOURS["ink"],
        "text.color": COLOURS["ink"],
        "xtick.color": COLOURS["ink"],
        "ytick.color": COLOURS["ink"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": COLOURS["faint"],
        "grid.alpha": 0.25,
        "axes.axisbelow": True,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(SIZE[0], draw.height), layout="constrained")
        FigureCanvasAgg(figure)
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        stream = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"CreationDate": None}
        figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()


def _all(found: dict) -> dict:
    return found["subsets"][0]


def _other_curve(found: dict) -> dict | None:
    """The error curve of the second system, if one is compared."""
    return found.get("against", {}).get("error")


def _score_name(found: dict) -> str:
    return "log likelihood ratio" if "calibration" in found else "score (real - fake logit)"


def _traced(text, field: str) -> None:
    """Lets the page's SVG say of which JSON field a number in it is."""
    text.set_gid(TRACED + field)


def _legend(axes):
    return axes.legend(labelcolor=COLOURS["ink"], fontsize=8.5, loc="best")
