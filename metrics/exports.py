"""`--export`: the scores under evaluation in other toolkits' formats, labelled or not."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataio.matching import file_stem
from dataio.schema import UserError, resolve_path
from dataio.score_formats import ARENA, ASV2019, WRITERS, own_names, unique_names
from dataio.score_protocol import protocol_columns
from dataio.scores import Scores
from metrics.inputs import by_prefix, checked_calibration

# options whose answer needs labels
MEASURED = (
    *("json", "csv", "markdown", "latex", "report", "plots", "metrics", "bootstrap", "cluster"),
    *("by", "against", "threshold_from"),
)


def check(arguments: argparse.Namespace) -> None:
    """Refuses exports of no known format, and a data folder that nothing would read."""
    for asked in arguments.export:
        kind, _, path = asked.partition("=")
        if kind not in WRITERS or not path:
            raise UserError(f"--export {asked}: expected FORMAT=PATH with {', '.join(WRITERS)}")
        if kind == ASV2019 and not arguments.protocol:
            raise UserError(f"--export {asked}: its lines hold the attack: add --protocol T.csv")
    named = any(asked.startswith("speech_df_arena=") for asked in arguments.export)
    if arguments.data_folder and not (named and arguments.protocol):
        raise UserError(
            "--data_folder is for the file names of --export speech_df_arena=PATH with --protocol"
        )


def outputs(arguments: argparse.Namespace) -> Iterator[tuple[str, str | Path]]:
    """Each file that is exported, and what to call it."""
    for asked in arguments.export:
        kind, _, path = asked.partition("=")
        yield f"--export {kind}", path
        if kind == ARENA:
            yield f"the key of --export {kind}", Path(path).with_suffix(".csv")


def alone(arguments: argparse.Namespace) -> bool:
    """Whether nothing but an export is asked for by name."""
    return bool(arguments.export) and not any(getattr(arguments, name) for name in MEASURED)


def write(arguments: argparse.Namespace, whole: Scores, notes: list[str]) -> list[str]:
    """Writes every export of the rows chosen by PREFIX, calibrated where that is asked for.

    Rows without a label are exported too. Gives one line a file for the screen.
    """
    if not arguments.export:
        return []
    scores, written = chosen(arguments, whole), []
    for asked in arguments.export:
        kind, _, path = asked.partition("=")
        more = {}
        if kind == ASV2019:
            columns = protocol_columns(arguments.protocol, scores, ["Attack"], notes)
            more["attacks"] = columns["Attack"].tolist()
        WRITERS[kind](path, names_of(arguments, scores, kind, notes), scores, **more)
        written.append(f"wrote {path} ({kind})")
    return written


def names_of(arguments: argparse.Namespace, scores: Scores, kind: str, notes: list[str]):
    """The trials' names: from the protocol's `Path`, where one is named, else the IDs' own.

    Speech-DF-Arena names files by their paths, below the data folder where one is given; in the
    other formats a name has neither folder nor extension.
    """
    if not arguments.protocol:
        return own_names(scores, kind)
    paths = protocol_columns(arguments.protocol, scores, ["Path"], notes)["Path"]
    if kind == ARENA:
        folder = arguments.data_folder
        return [resolve_path(path, folder) if folder else path for path in paths]
    return unique_names(scores.path, [file_stem(path) for path in paths])


def chosen(arguments: argparse.Namespace, whole: Scores) -> Scores:
    """The rows of every PREFIX (all without one); calibrated ratios as the logits [0, llr]."""
    scores = whole
    if arguments.prefixes:
        named = by_prefix(whole, arguments.prefixes).values()
        scores = whole.take(np.unique(np.concatenate(list(named))))
    if arguments.calibration:
        calibration = checked_calibration(arguments.calibration, whole)
        ratio = calibration.log_likelihood_ratio(scores.difference)
        scores = replace(scores, logits=np.column_stack([np.zeros(len(ratio)), ratio]))
    return scores
