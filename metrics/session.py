"""The verbs of evaluation.py: files in, figures through `metrics`, tables and pages out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataio.score_formats import read_any
from dataio.scores import Scores, protocol_columns, subset_index
from metrics import calibration as calibrations
from metrics import costs as cost_functions
from metrics import outputs, rates, results
from metrics.bootstrap import Plan
from metrics.costs import Costs
from metrics.measures import MEASURES, PUBLISHED, Setting
from metrics.results import Data, Request
from metrics.sweep import sweep
from protocols.schema import UNKNOWN, UserError

FORMAT = "antideepfake-evaluation-1"
FILES = ("json", "csv", "markdown", "latex", "report", "plots")  # what may hold more than a screen


def evaluate(arguments: argparse.Namespace) -> int:
    """Everything asked of one score file; 0, whatever the figures say."""
    request = requested(arguments)
    scores, notes = labelled(arguments.scores, arguments.key)
    data = selected(scores, arguments, notes)
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
        found["averages"] = results.averages(rows[1:], request.names, rows[0]["figures"])
    found |= parts(arguments, request, scores, data, sweeps)
    if arguments.against and arguments.calibration and not arguments.against_calibration:
        notes.append("B's scores are taken as they are: --against_calibration gives B its own map")
    found["notes"] = notes + results.all_notes(sweeps, resampled=asked.plan is not None)
    if arguments.report or arguments.plots or arguments.json:
        found["curves"] = results.drawn(
            data, sweeps["all"], request.setting, "calibration" in found
        )
        found["worst"] = results.curves.worst_files(data.ids, data.scores, data.labels)
    outputs.to_screen(found, request.names if arguments.metrics else PUBLISHED, shown)
    outputs.to_files(found, arguments)
    export(arguments, scores)
    return 0


def requested(arguments: argparse.Namespace) -> Request:
    """Names, setting and plan; refuses what cannot be asked for."""
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


def labelled(path: str, key: str | None) -> tuple[Scores, list[str]]:
    """The rows of a score file that can be measured, and a note about those that cannot."""
    scores = read_any(path, key)
    known = scores.labels != UNKNOWN
    if known.all():
        return scores, []
    if not known.any():
        raise UserError(f"{path} holds no labels: give the set's key file with --key")
    without = int((~known).sum())
    return scores.take(known), [f"{without} rows of {path} have no label and are left out"]


def selected(scores: Scores, arguments: argparse.Namespace, notes: list[str]) -> Data:
    """The data under evaluation, with its subsets and clusters."""
    members = members_of(scores, arguments.prefixes, notes)
    clusters = None
    if arguments.cluster:
        column = protocol_columns(arguments.protocol, scores, [arguments.cluster])
        names, clusters = np.unique(column[arguments.cluster].astype(str), return_inverse=True)
        clusters = np.where(np.isin(names, ["-", ""])[clusters], -1, clusters)
    return Data(scores.ids, scores.difference, scores.labels, members, clusters)


def members_of(scores: Scores, prefixes: list[str], notes: list[str]) -> dict[str, np.ndarray]:
    """Row indices by subset name: `all`, then every subset found, or the prefixes named."""
    names, index = subset_index(scores.ids)
    members = {"all": np.arange(len(scores))}
    if not prefixes and len(names) > max(20, len(scores) // 2):
        notes.append("IDs have no subset prefix (text before a hyphen): one row for all of them")
    elif not prefixes:
        order = np.argsort(index, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(index))[:-1])
        # a subset may itself be called `all`; that row is everything
        shown = ["all (subset)" if name == "all" else name for name in names]
        members |= dict(zip(shown, parts, strict=True))
    for prefix in prefixes:
        rows = np.flatnonzero([key.startswith(prefix) for key in scores.ids])
        if not len(rows):
            raise UserError(
                f"no ID begins with {prefix!r}: the subsets are {', '.join(names[:20])}"
            )
        members[prefix] = rows
    return members


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


def checked_calibration(path: str, scores: Scores) -> calibrations.Calibration:
    """The calibration; refused for scores that are known to come from another checkpoint."""
    calibration = calibrations.load_calibration(path)
    ours, theirs = scores.meta.get("checkpoint_sha256"), calibration.checkpoint_sha256
    if ours and theirs and ours != theirs:
        raise UserError(
            f"{path} was fitted for checkpoint {theirs[:12]}, {scores.path} comes from "
            f"{ours[:12]}: calibrate with scores of the same checkpoint"
        )
    return calibration


def bootstrap_described(plan: Plan | None, cluster: str | None) -> dict | None:
    if plan is None:
        return None
    described = {"replicates": plan.replicates, "seed": plan.seed, "confidence": plan.confidence}
    return described | {"cluster": cluster}


def parts(arguments, request: Request, scores: Scores, data: Data, sweeps: dict) -> dict:
    """Slices, the comparison and the carried-over threshold, where they are asked for."""
    found = {}
    if arguments.by:
        columns = protocol_columns(arguments.protocol, scores, arguments.by)
        found["slices"] = {
            name: results.slice_rows(data, request, columns[name]) for name in arguments.by
        }
    if arguments.against:
        found["against"] = against(arguments, request, scores, data)
    if arguments.threshold_from:
        found["threshold_transfer"] = carried_over(arguments, request, sweeps)
    return found


def against(arguments, request: Request, scores: Scores, data: Data) -> dict:
    from metrics.fusion import aligned

    other, _ = labelled(arguments.against, arguments.key)
    theirs = aligned(scores, [other])[:, 1]
    if arguments.against_calibration:
        calibration = checked_calibration(arguments.against_calibration, other)
        theirs = calibration.log_likelihood_ratio(theirs)
    rows = results.compared(data, theirs, request)
    return {"a": str(arguments.scores), "b": str(arguments.against), "subsets": rows}


def carried_over(arguments, request: Request, sweeps: dict) -> dict:
    """The other set's threshold, and the errors it makes here."""
    scores, _ = labelled(arguments.threshold_from, arguments.key)
    values = scores.difference
    if arguments.calibration:
        values = checked_calibration(arguments.calibration, scores).log_likelihood_ratio(values)
    points = sweep(values, scores.labels)
    if not points.both_classes:
        raise UserError(f"{arguments.threshold_from} has one class only: it sets no threshold")
    costs = request.setting.costs
    if arguments.threshold_rule == "eer":
        rejected = rates.eer(points).threshold
    else:
        rejected = cost_functions.min_dcf_threshold(points, costs=costs)
    # both rules name the highest rejected score; here `accept` means score >= threshold
    threshold = float(np.nextafter(rejected, np.inf))
    setting = Setting(threshold=threshold, costs=costs, dcf_threshold=threshold)
    return {
        "from": str(arguments.threshold_from),
        "rule": arguments.threshold_rule,
        "threshold": {"score": threshold, "probability": float(rates.expit(threshold))},
        "subsets": results.transferred(sweeps, setting),
    }


def export(arguments: argparse.Namespace, scores: Scores) -> None:
    """The scores in other toolkits' formats, under their own file names."""
    from dataio.score_formats import WRITERS, own_names

    for asked in arguments.export:
        kind, _, path = asked.partition("=")
        if kind not in WRITERS or not path:
            raise UserError(f"--export {asked}: expected FORMAT=PATH with {', '.join(WRITERS)}")
        names = own_names(scores)
        if kind == "speech_df_arena" and arguments.protocol:
            from protocols.schema import resolve_path

            paths = protocol_columns(arguments.protocol, scores, ["Path"])["Path"]
            folder = arguments.data_folder
            names = [resolve_path(path, folder) if folder else path for path in paths]
        WRITERS[kind](path, names, scores)
        print(f"wrote {path} ({kind})")


def calibrate(arguments: argparse.Namespace) -> int:
    """Fit on DEV.csv, write cal.json, say what it does to Cllr there."""
    scores, notes = labelled(arguments.scores, arguments.key)
    values, labels = scores.difference, scores.labels
    if not 0 < arguments.prior < 1:
        raise UserError(f"--prior {arguments.prior} is not between 0 and 1: give a P(real)")
    try:
        if arguments.method == "isotonic":
            fitted = calibrations.fit_isotonic(values, labels)
        else:
            fitted = calibrations.fit_affine(values, labels, arguments.prior)
    except ValueError as error:
        raise UserError(f"{arguments.scores}: {error}") from error
    if calibrations.separable(values, labels):
        notes.append("one threshold parts the classes here: how steep the map is, is a convention")
    if fitted.method == "affine" and fitted.scale <= 0:
        notes.append("the slope is not positive: the polarity may be swapped")
    sha256 = scores.meta.get("checkpoint_sha256")
    if sha256 is None:
        notes.append(f"no {Path(arguments.scores).stem}.meta.json: the checkpoint is not recorded")
    after = fitted.log_likelihood_ratio(values)
    meta = {
        "fitted_on": Path(arguments.scores).name,
        "real": int((labels == 1).sum()),
        "fake": int((labels == 0).sum()),
        "cllr_before": cost_functions.cllr(values, labels),
        "cllr_after": cost_functions.cllr(after, labels),
        "min_cllr": cost_functions.min_cllr(values, labels),
        "scores": scores.meta,
    }
    fitted = replace(fitted, checkpoint_sha256=sha256, meta=meta)
    calibrations.save_calibration(arguments.output, fitted)
    if fitted.method == "affine":
        print(f"llr = {fitted.scale:.6g} * (real_logit - fake_logit) {fitted.offset:+.6g}")
    else:
        print(f"llr: isotonic, {len(fitted.knots)} knots")
    print("Cllr {cllr_before:.4f} -> {cllr_after:.4f} bits (min {min_cllr:.4f})".format(**meta))
    outputs.print_notes(notes)
    print(f"wrote {arguments.output}")
    return 0


def fuse(arguments: argparse.Namespace) -> int:
    """Fit weights on the development files, apply them, write a score file of fused ratios."""
    from dataio.scores import write_scores
    from metrics.fusion import aligned, fit_fusion

    if len(arguments.scores) != len(arguments.apply):
        raise UserError(
            f"{len(arguments.scores)} development files but {len(arguments.apply)} after --apply: "
            "give one of each system, in the same order"
        )
    if not 0 < arguments.prior < 1:
        raise UserError(f"--prior {arguments.prior} is not between 0 and 1: give a P(real)")
    first, *others = (labelled(path, arguments.key)[0] for path in arguments.scores)
    development = aligned(first, others)
    try:
        fusion = fit_fusion(development, first.labels, arguments.prior)
    except ValueError as error:
        raise UserError(f"{arguments.scores[0]}: {error}") from error
    target, *more = (read_any(path, arguments.key) for path in arguments.apply)
    ratio = fusion.log_likelihood_ratio(aligned(target, more))
    target.logits = np.column_stack([-ratio / 2, ratio / 2])
    write_scores(arguments.output, target)
    fused = fusion.log_likelihood_ratio(development)
    rows = {
        Path(path).stem: {
            "weight": float(weight),
            "eer": rates.eer(column, first.labels).rate,
            "cllr": cost_functions.cllr(column, first.labels),
        }
        for path, weight, column in zip(
            arguments.scores, fusion.weights, development.T, strict=True
        )
    }
    rows["fused"] = {
        "weight": float("nan"),
        "eer": rates.eer(fused, first.labels).rate,
        "cllr": cost_functions.cllr(fused, first.labels),
    }
    print(f"On the development set (offset {fusion.offset:.4f}):")
    print(outputs.screen(rows, "system"))
    print(f"wrote {arguments.output}")
    return 0
