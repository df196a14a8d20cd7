"""evaluation.py on one score file: figures through `metrics`, tables and pages out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataio.matching import matched_rows
from dataio.output_paths import check_writable
from dataio.schema import UNKNOWN, UserError
from dataio.score_keys import Key, check_scored
from dataio.score_protocol import protocol_columns
from dataio.scores import Scores, subset_index
from metrics import costs as cost_functions
from metrics import exports, guards, outputs, rates, results
from metrics.bootstrap import Plan
from metrics.costs import Costs
from metrics.fusion import aligned
from metrics.inputs import (
    by_prefix,
    checked_calibration,
    key_of,
    labelled,
    read,
    refuse_overwriting,
)
from metrics.measures import MEASURES, PUBLISHED, Setting
from metrics.results import Data, Request
from metrics.sweep import sweep

FORMAT = "antideepfake-evaluation-1"
FILES = ("json", "csv", "markdown", "latex", "report", "plots")  # what may hold more than a screen
NEEDS = {"against_calibration": "against", "threshold_rule": "threshold_from"}


def evaluate(arguments: argparse.Namespace) -> int:
    """Everything asked of one score file; 0, whatever the figures say."""
    request = requested(arguments)
    exports.check(arguments)
    check_paths(arguments)
    key, notes = key_of(arguments), []
    whole = read(arguments.scores, key, notes)
    if exports.alone(arguments) and (whole.labels == UNKNOWN).all():
        return export_only(arguments, whole, notes)
    scores = labelled(whole, notes)
    columns = protocol_of(arguments, scores, notes)
    data = selected(scores, arguments, columns, notes)
    found = {
        "format": FORMAT,
        "command": " ".join(arguments.command),
        "versions": outputs.versions(),
        "scores": {"path": str(arguments.scores), "meta": scores.meta},
    }
    if arguments.calibration:
        found["calibration"] = calibrated(data, scores, arguments.calibration)
    sweeps = results.sweeps_of(data)
    # intervals on the screen only where they were asked for by name; files always hold them
    shown = bool(request.plan and (arguments.bootstrap or arguments.cluster))
    wanted = shown or any(getattr(arguments, name) for name in FILES)
    asked = request if wanted else replace(request, plan=None)
    rows = results.subset_rows(data, asked, sweeps)
    found |= {"setting": results.described(request.setting), "subsets": rows}
    found["setting"]["bootstrap"] = bootstrap_described(request.plan, arguments.cluster)
    if len(rows) > 1:
        together = results.pooled(data, sweeps["all"], request.names, request.setting)
        found["averages"] = results.averages(rows[1:], request.names, together)
    if arguments.by:
        found["slices"] = {
            name: results.slice_rows(data, request, columns[name], name) for name in arguments.by
        }
    if arguments.against:
        found["against"] = against(arguments, request, whole, data, key, notes)
    if arguments.threshold_from:
        found["threshold_transfer"] = carried_over(arguments, request, sweeps, key, notes)
    check_scored(key, notes, allow_missing=arguments.allow_missing)
    notes += guards.gathered(rows, found.get("slices", {}))
    if arguments.report or arguments.plots or arguments.json:
        found["curves"] = results.drawn(
            data, sweeps["all"], request.setting, "calibration" in found
        )
        found["worst"] = results.curves.worst_files(data.ids, data.scores, data.labels)
    exported = exports.write(arguments, whole, notes)
    found["notes"] = list(dict.fromkeys(notes))
    # files before the screen, which a reader such as `head` may close
    written = outputs.to_files(found, arguments) + exported
    outputs.to_screen(found, request.names if arguments.metrics else PUBLISHED, shown)
    outputs.print_lines(written)
    return 0


def check_paths(arguments: argparse.Namespace) -> None:
    """Refuses outputs that would destroy what is read, or each other, before any work."""
    files = [(f"--{name}", getattr(arguments, name)) for name in FILES if name != "plots"]
    refuse_overwriting(arguments, [*files, *exports.outputs(arguments)])
    if arguments.plots:
        check_writable("--plots", Path(arguments.plots, "det.svg"))


def export_only(arguments: argparse.Namespace, whole: Scores, notes: list[str]) -> int:
    """Unlabelled scores, such as those of a leaderboard, in the formats asked for."""
    notes.append(f"{whole.path} holds no labels: nothing is measured")
    written = exports.write(arguments, whole, notes)
    outputs.print_notes(dict.fromkeys(notes))
    outputs.print_lines(written)
    return 0


def requested(arguments: argparse.Namespace) -> Request:
    """Names, setting and plan; refuses what cannot be asked for, or would be passed over."""
    names = arguments.metrics or (
        MEASURES if any(getattr(arguments, name) for name in FILES) else PUBLISHED
    )
    names = list(MEASURES) if "all" in names else list(names)
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise UserError(f"no metric is called {unknown[0]!r}: choose from {', '.join(MEASURES)}")
    for option in ("by", "cluster"):
        if getattr(arguments, option) and not arguments.protocol:
            raise UserError(f"--{option} names protocol columns: give the file with --protocol")
    for option, other in NEEDS.items():
        if getattr(arguments, option) is not None and not getattr(arguments, other):
            raise UserError(f"--{option} changes nothing without --{other}: give both or neither")
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed} is negative: give 0 or a positive number")
    replicates = arguments.bootstrap
    if replicates is None:
        wanted = arguments.by or arguments.against or arguments.report or arguments.plots
        replicates = 1000 if wanted or arguments.cluster else 0
    try:
        costs = Costs(arguments.p_spoof, arguments.c_miss, arguments.c_fa)
        setting = Setting(threshold=rates.logit(arguments.threshold), costs=costs)
        plan = Plan(replicates, arguments.seed, arguments.confidence) if replicates else None
    except ValueError as error:
        raise UserError(f"{error}") from error
    return Request(names, setting, plan)


def protocol_of(arguments, scores: Scores, notes: list[str]) -> dict[str, np.ndarray]:
    """The protocol's columns that slices and clusters are made of, in the scores' order."""
    names = [*(arguments.by or []), *filter(None, [arguments.cluster])]
    return protocol_columns(arguments.protocol, scores, names, notes) if names else {}


def selected(scores: Scores, arguments, columns: dict[str, np.ndarray], notes: list[str]) -> Data:
    """The data under evaluation, with its subsets and clusters."""
    members = members_of(scores, arguments.prefixes, notes)
    clusters = None
    if arguments.cluster:
        names, clusters = np.unique(columns[arguments.cluster].astype(str), return_inverse=True)
        clusters = np.where(np.isin(names, ["-", ""])[clusters], -1, clusters)
    return Data(scores.ids, scores.difference, scores.labels, members, clusters)


def members_of(scores: Scores, prefixes: list[str], notes: list[str]) -> dict[str, np.ndarray]:
    """Row indices by subset name: `all`, then every subset found, or the prefixes named."""
    found = by_prefix(scores, prefixes) if prefixes else by_subset(scores, notes)
    # a subset may itself be called `all`; that row is everything
    named = {"all (subset)" if name == "all" else name: rows for name, rows in found.items()}
    return {"all": np.arange(len(scores)), **named}


def by_subset(scores: Scores, notes: list[str]) -> dict[str, np.ndarray]:
    """Row indices of every subset; none where the text before a hyphen is no subset's name."""
    names, index = subset_index(scores.ids)
    without = int((index < 0).sum())
    if without == len(scores) or len(names) > max(20, len(scores) // 2):
        notes.append("IDs have no subset prefix (text before a hyphen): one row for all of them")
        return {}
    if without:
        notes.append(
            f"{without} IDs have no subset prefix (text before a hyphen): they count in the row "
            "of all files only"
        )
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(np.bincount(index + 1, minlength=len(names) + 1))
    return dict(zip(names, np.split(order, ends[:-1])[1:], strict=True))


def calibrated(data: Data, scores: Scores, path: str) -> dict:
    """Turns the data's scores into log likelihood ratios; says what that did to Cllr."""
    calibration = checked_calibration(path, scores)
    before = data.scores
    data.scores = calibration.log_likelihood_ratio(before)
    return {
        "path": str(path),
        "method": calibration.method,
        "training_prior": calibration.training_prior,
        "checkpoint_sha256": calibration.checkpoint_sha256,
        "cllr_before": cost_functions.cllr(before, data.labels),
        "cllr_after": cost_functions.cllr(data.scores, data.labels),
        "min_cllr": cost_functions.min_cllr(before, data.labels),
    }


def bootstrap_described(plan: Plan | None, cluster: str | None) -> dict | None:
    if plan is None:
        return None
    described = {"replicates": plan.replicates, "seed": plan.seed, "confidence": plan.confidence}
    return described | {"cluster": cluster}


def against(
    arguments, request: Request, whole: Scores, data: Data, key: Key | None, notes: list[str]
) -> dict:
    """The comparison with B.csv, which needs no labels: those of A count."""
    other = read(arguments.against, key, notes, required=False)
    known = whole.labels != UNKNOWN
    if not known.all():
        unmeasured = matched_rows(
            other.ids, whole.ids[~known], paths=(other.path, whole.path), notes=notes
        )
        other = other.take(unmeasured < 0)
    theirs = aligned([whole.take(known), other], notes)[0][:, 1]
    if arguments.against_calibration:
        calibration = checked_calibration(arguments.against_calibration, other)
        theirs = calibration.log_likelihood_ratio(theirs)
    elif arguments.calibration:
        notes.append("B's scores are taken as they are: --against_calibration gives B its own map")
    rows = results.compared(data, theirs, request)
    systems = {"a": str(arguments.scores), "b": str(arguments.against)}
    found = {**systems, "cluster": arguments.cluster, "subsets": rows}
    points = sweep(theirs, data.labels)
    if points.both_classes and (arguments.report or arguments.plots or arguments.json):
        found["error"] = results.curves.error_curve(points)
    return found


def carried_over(
    arguments, request: Request, sweeps: dict, key: Key | None, notes: list[str]
) -> dict:
    """The other set's threshold, and the errors it makes here."""
    scores = labelled(read(arguments.threshold_from, key, notes), notes)
    values = scores.difference
    if arguments.calibration:
        values = checked_calibration(arguments.calibration, scores).log_likelihood_ratio(values)
    points = sweep(values, scores.labels)
    if not points.both_classes:
        raise UserError(f"{arguments.threshold_from} has one class only: it sets no threshold")
    costs, rule = request.setting.costs, arguments.threshold_rule or "eer"
    if rule == "eer":
        rejected = rates.eer(points).threshold
    else:
        rejected = cost_functions.min_dcf_threshold(points, costs=costs)
    # both rules name the highest rejected score; here `accept` means score >= threshold
    threshold = float(np.nextafter(rejected, np.inf))
    setting = Setting(threshold=threshold, costs=costs, dcf_threshold=threshold)
    return {
        "from": str(arguments.threshold_from),
        "rule": rule,
        "threshold": {"score": threshold, "probability": float(rates.expit(threshold))},
        "subsets": results.transferred(sweeps, setting),
    }
