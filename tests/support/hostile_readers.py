"""What reads strangers' files, as a watched child calls it: one path in."""

from __future__ import annotations

from pathlib import Path


def embeddings(path: str) -> None:
    from drift.embedding_files import read_embeddings

    read_embeddings(path)


def reference(path: str) -> None:
    from drift.reference import load_reference

    load_reference(path)


def calibration(path: str) -> None:
    import numpy as np

    from metrics.calibration import load_calibration

    load_calibration(path).probability(np.array([-1.0, 0.0, 1e9]), 0.5)


def meta(path: str) -> None:
    from dataio.scores import read_meta

    read_meta(path.replace(".meta.json", ".csv"))


def manifest(path: str) -> None:
    from dataio.checked import WHOLE, read_json

    read_json(path, {...: {"bytes": WHOLE, "crc32": WHOLE}}, "start anew")


def ckpt_yaml(path: str) -> None:
    from dataio.checked import ANYTHING, NOTHING, NUMBER, read_yaml

    read_yaml(path, ({"unixtime?": NUMBER, ...: ANYTHING}, NOTHING), "move it away")


def recipe(path: str) -> None:
    from hparams.load import read_yaml

    read_yaml(Path(path))


def scores(path: str) -> None:
    from dataio.scores import read_scores

    read_scores(path)


def protocol(path: str) -> None:
    from dataio.rows import check_words, duration_of, read_rows

    for number, cells, _ in read_rows(path):
        check_words(cells, f"{path}, line {number}")
        duration_of(cells, f"{path}, line {number}")


def skipped(path: str) -> None:
    from dataio.checked import TEXT, WHOLE, Damaged, parse_json
    from dataio.schema import UserError

    for line in Path(path).read_bytes().split(b"\n")[:-1]:
        try:
            parse_json(line, {"row": WHOLE, "kind": TEXT, "reason": TEXT})
        except Damaged as error:
            raise UserError(f"{path} is damaged: {error}") from None


def playlist(path: str) -> None:
    """Never sound, whatever is in the files that it names."""
    from dataio.audio_file import UnreadableAudio
    from dataio.probe import probe
    from dataio.schema import UserError
    from dataio.words import printable

    try:
        probe(path)
    except UnreadableAudio as error:
        raise UserError(printable(error.reason)) from error
    raise AssertionError("a list of files was taken for a sound")


def segments(path: str) -> None:
    from dataio.segment_labels import read_segments

    read_segments(path).find("u1")
