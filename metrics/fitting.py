"""The verbs of evaluation.py that learn from a development set: calibrate and fuse."""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataio.schema import UNKNOWN, UserError
from dataio.score_keys import check_scored
from dataio.scores import Scores, meta_path, write_scores
from dataio.whole_files import whole_file
from metrics import calibration as calibrations
from metrics import costs as cost_functions
from metrics import outputs, rates
from metrics.fusion import Fusion, aligned, fit_fusion
from metrics.inputs import key_of, labelled, read, refuse_overwriting

DEFAULT_PRIOR = 0.5


def calibrate(arguments: argparse.Namespace) -> int:
    """Fit on DEV.csv, write cal.json, say what it does to Cllr there."""
    if arguments.method == "isotonic" and arguments.prior is not None:
        raise UserError("--prior is for --method affine: isotonic calibration is for every prior")
    prior = checked_prior(arguments.prior)
    refuse_overwriting(arguments, [("--output", arguments.output)])
    notes: list[str] = []
    key = key_of(arguments)
    scores = labelled(read(arguments.scores, key, notes), notes)
    check_scored(key, notes, allow_missing=arguments.allow_missing)
    values, labels = scores.difference, scores.labels
    try:
        if arguments.method == "isotonic":
            fitted = calibrations.fit_isotonic(values, labels)
        else:
            fitted = calibrations.fit_affine(values, labels, prior)
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
    if len(arguments.scores) != len(arguments.apply):
        raise UserError(
            f"{len(arguments.scores)} development files but {len(arguments.apply)} after --apply: "
            "give one of each system, in the same order"
        )
    prior = checked_prior(arguments.prior)
    beside = ("the file beside --output", meta_path(arguments.output))
    refuse_overwriting(arguments, [("--output", arguments.output), beside])
    key, notes = key_of(arguments), []
    systems = [read(path, key, notes) for path in arguments.scores]
    targets = [read(path, key, notes, required=False) for path in arguments.apply]
    check_scored(key, notes, allow_missing=arguments.allow_missing)
    check_same_systems(systems, targets, notes)
    development, labels = aligned(systems, notes)
    known = labels != UNKNOWN
    if not known.all():
        notes.append(f"{int((~known).sum())} development files have no label and are left out")
    development, labels = development[known], labels[known]
    try:
        fusion = fit_fusion(development, labels, prior)
    except ValueError as error:
        raise UserError(f"{arguments.scores[0]}: {error}") from error
    values, known_labels = aligned(targets, notes)
    ratio = fusion.log_likelihood_ratio(values)
    logits = np.column_stack([-ratio / 2, ratio / 2])
    fused = replace(targets[0], logits=logits, labels=known_labels)
    write_fused(arguments.output, fused, fused_meta(fusion, systems, targets, prior))
    print(f"On the development set (offset {fusion.offset:.4f}):")
    print(outputs.screen(fusion_rows(fusion, systems, development, labels), "system"))
    outputs.print_notes(dict.fromkeys(notes))
    print(f"wrote {arguments.output}")
    return 0


def check_same_systems(systems: list[Scores], targets: list[Scores], notes: list[str]) -> None:
    """Each file after --apply comes from its development file's checkpoint, where both say which;
    `UserError` if not, a note if one does not say."""
    unsaid = []
    for system, target in zip(systems, targets, strict=True):
        ours, theirs = (one.meta.get("checkpoint_sha256") for one in (system, target))
        if ours and theirs and ours != theirs:
            raise UserError(
                f"{system.path} comes from checkpoint {ours[:12]}, {target.path} from "
                f"{theirs[:12]}: give the same systems after --apply, in the same order"
            )
        if not (ours and theirs):
            unsaid.append(Path((target if ours else system).path).with_suffix(".meta.json").name)
    if unsaid:
        notes.append(
            f"no checkpoint in {', '.join(unsaid)}: that --apply has the same systems in the same "
            "order is not checked"
        )


def fused_meta(fusion: Fusion, systems: list[Scores], targets: list[Scores], prior: float) -> dict:
    """What is written beside fused scores. Their `checkpoint_sha256` stands for the weights and
    the systems' checkpoints, so that a calibration of them fits no other scores."""
    sources = [
        {
            "development": Path(system.path).name,
            "applied_to": Path(target.path).name,
            "checkpoint_sha256": system.meta.get("checkpoint_sha256"),
            "weight": float(weight),
        }
        for system, target, weight in zip(systems, targets, fusion.weights, strict=True)
    ]
    # nine digits: the last ones of a float depend on the machine that summed
    numbers = [f"{value:.9g}" for value in (*fusion.weights, fusion.offset)]
    identity = json.dumps([numbers, [source["checkpoint_sha256"] for source in sources]])
    return {
        "model": "fusion",
        "checkpoint_sha256": hashlib.sha256(identity.encode()).hexdigest(),
        "toolkit_version": outputs.versions()["antideepfake"],
        "offset": fusion.offset,
        "training_prior": prior,
        "sources": sources,
    }


def write_fused(path: str, scores: Scores, meta: dict) -> None:
    """The score file, and what it was made of beside it; each appears whole."""
    with whole_file(meta_path(path)) as stream:
        json.dump(meta, stream, indent=1)
        stream.write("\n")
    write_scores(path, scores)


def fusion_rows(
    fusion: Fusion, systems: list[Scores], development: np.ndarray, labels: np.ndarray
) -> dict[str, dict]:
    """Weight, EER and Cllr of each system and of the fusion on the development set (N, D)."""
    names = [Path(system.path).stem for system in systems]
    if len(set(names)) < len(names):
        names = [system.path for system in systems]
    columns = [*development.T, fusion.log_likelihood_ratio(development)]
    rows = zip([*names, "fused"], [*fusion.weights, float("nan")], columns, strict=True)
    return {
        name: {
            "weight": float(weight),
            "eer": rates.eer(column, labels).rate,
            "cllr": cost_functions.cllr(column, labels),
        }
        for name, weight, column in rows
    }


def checked_prior(prior: float | None) -> float:
    """P(real) to fit for, between 0 and 1."""
    prior = DEFAULT_PRIOR if prior is None else prior
    if not 0 < prior < 1:
        raise UserError(f"--prior {prior} is not between 0 and 1: give a P(real)")
    return prior
