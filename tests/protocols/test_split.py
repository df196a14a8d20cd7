"""Splitting: no speaker or file on two sides, labels and attacks alike, or a reason why not."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from dataio.matching import file_stem
from dataio.schema import COLUMNS

PARTS = ("train", "valid", "test")


def row(number, label, *, speaker="-", attack="-", path=None):
    path = path or f"$ROOT/{label}/{number}.wav"
    return [f"X-{label}-{number}", label, "1.0", "16000", path, attack, speaker, "-", "1",
            "PCM_S", "16", "-"]  # fmt: skip


def save(rows):
    with open("p.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def read(part, folder="."):
    with open(Path(folder, f"{part}.csv"), newline="") as file:
        return list(csv.DictReader(file))


def corpus(speakers=40, files=10, attacks=("A1", "A2"), seed=0):
    """Each speaker with real files and the same number of each attack; sizes differ."""
    rng, rows = np.random.default_rng(seed), []
    for speaker in range(speakers):
        for _ in range(rng.integers(1, files)):
            number = len(rows)
            rows.append(row(number, "real", speaker=f"s{speaker}"))
            rows += [row(f"{number}_{a}", "fake", speaker=f"s{speaker}", attack=a) for a in attacks]
    return rows


@pytest.mark.parametrize("by", ["Speaker", "Path"])
def test_no_value_is_on_two_sides_and_nothing_is_lost(protocols, tmp_path, by):
    rows = corpus()
    save(rows)
    assert protocols("split", "p.csv", "--by", by, "--valid", "0.1", "--test", "0.2")[0] == 0
    parts = {part: read(part) for part in PARTS}
    for column in (by, "Path"):
        sides = defaultdict(set)
        for part, found in parts.items():
            for cells in found:
                sides[cells[column]].add(part)
        assert all(len(there) == 1 for there in sides.values())
    assert sorted(r["ID"] for found in parts.values() for r in found) == sorted(r[0] for r in rows)
    assert all(r["Proportion"] == part for part, found in parts.items() for r in found)
    order = [r[0] for r in rows]
    for found in parts.values():
        places = [order.index(cells["ID"]) for cells in found]
        assert places == sorted(places)


def test_parts_have_the_shares_of_every_label_and_attack(protocols, tmp_path):
    """Attacks of very different sizes, and speakers who have some of them only."""
    rng, rows = np.random.default_rng(1), []
    for speaker in range(100):
        for label, attack, chance in (("real", "-", 1), ("fake", "A1", 0.9), ("fake", "A2", 0.3)):
            if rng.random() < chance:
                for _ in range(rng.integers(1, 8)):
                    rows.append(row(len(rows), label, speaker=f"s{speaker}", attack=attack))
    save(rows)
    assert protocols("split", "p.csv", "--by", "Speaker", "--valid", "0.1", "--test", "0.2")[0] == 0
    total = Counter((r[1], r[5]) for r in rows)
    for part, share in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
        found = Counter((r["Label"], r["Attack"]) for r in read(part))
        for stratum, count in total.items():
            assert found[stratum] / count == pytest.approx(share, abs=0.03)


def test_the_seed_decides(protocols, tmp_path):
    save(corpus())
    ids = []
    for seed in (0, 0, 1):
        assert protocols("split", "p.csv", "--by", "Speaker", "--seed", seed)[0] == 0
        ids.append([r["ID"] for r in read("valid")])
    assert ids[0] == ids[1] != ids[2]
    assert not Path("test.csv").exists()  # no share of it was asked for


def test_versions_of_a_recording_stay_together(protocols, tmp_path):
    """Vocoded copies whose speaker nobody wrote down have the recording's name."""
    rows = []
    for number in range(60):
        rows.append(row(number, "real", speaker=f"s{number % 20}", path=f"$ROOT/r/u{number}.flac"))
        rows.append(row(number, "fake", attack="V", path=f"$ROOT/vocoded/u{number}.wav"))
    save(rows)
    status, out, _ = protocols("split", "p.csv", "--by", "Speaker", "--test", "0.2")
    assert status == 0 and "60 of 120 rows have no Speaker: they stay with the files" in out
    names = {part: {file_stem(r["Path"]) for r in read(part)} for part in PARTS}
    assert not names["train"] & names["valid"] and not names["train"] & names["test"]
    assert not names["valid"] & names["test"]


def test_numbered_files_of_named_speakers_are_no_versions(protocols, tmp_path):
    rows = [
        row(f"{speaker}-{n}", label, speaker=f"s{speaker}", path=f"$ROOT/{label}/{speaker}/{n}.wav")
        for speaker in range(10) for n in range(4) for label in ("real", "fake")
    ]  # fmt: skip
    save(rows)
    assert protocols("split", "p.csv", "--by", "Speaker", "--valid", "0.2")[0] == 0
    save([*rows, row("x", "fake", path="$ROOT/tts/1.wav")])
    status, _, err = protocols("split", "p.csv", "--by", "Speaker", "--valid", "0.2")
    assert status == 2 and "(--ignore_names)" in err
    assert (
        protocols("split", "p.csv", "--by", "Speaker", "--valid", "0.2", "--ignore_names")[0] == 0
    )


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [row(n, "real", speaker="ann") for n in range(9)],
            [],
            "are 1 group, the largest is Speaker",
        ),
        (
            [row(n, "real", speaker=f"s{n}") for n in range(9)]
            + [row(n, "fake", speaker="tts") for n in range(9)],
            [],
            "its fake rows are 1 group",
        ),
        (
            [row(n, "real", speaker="big" if n < 50 else f"s{n}") for n in range(60)],
            ["--valid", "0.4", "--test", "0.4"],
            "the largest of 11 groups (Speaker big) has 50 of 60 rows",
        ),
        ([row(n, "real") for n in range(9)], [], "no row of p.csv has a Speaker: fill the column"),
        ([], [], "holds no rows"),
        ([row(0, "real")], ["--by", "Room"], "--by Room: a protocol has the columns ID"),
        ([row(0, "real")], ["--valid", "0.6", "--test", "0.5"], "together give more than 0, below"),
        ([row(0, "real")], ["--valid", "0", "--test", "0"], "together give more than 0, below 1"),
        ([row(0, "real")], ["--valid", "-0.1"], "--valid -0.1: give a share from 0"),
        ([row(0, "maybe")], [], "unknown label 'maybe' in p.csv, line 2"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_reason(
    protocols, rows, options, message, tmp_path
):
    save(rows)
    status, out, err = protocols("split", "p.csv", *options)
    assert (status, out, err.count("\n")) == (2, "", 1) and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_attacks_that_are_not_in_every_part_are_named(protocols, tmp_path):
    rows = corpus(attacks=("A1",))
    save([*rows, row("x", "fake", speaker="s0", attack="A9")])
    _, out, _ = protocols("split", "p.csv", "--by", "Speaker")
    assert "1 attacks are not in every part: A9 (" in out


def test_the_input_is_not_written_over(protocols, tmp_path):
    save(corpus())
    Path("p.csv").rename("valid.csv")
    before = Path("valid.csv").read_bytes()
    status, _, err = protocols("split", "valid.csv", "--by", "Speaker")
    assert status == 2 and "would overwrite" in err and Path("valid.csv").read_bytes() == before


def test_what_is_split_is_merged_and_trained_on_as_it_is(protocols, tmp_path):
    save(corpus())
    protocols("split", "p.csv", "--by", "Speaker", "--test", "0.2", "--output_folder", "s")
    parts = ["--train", "s/train.csv", "s/valid.csv", "--test", "s/test.csv"]
    assert protocols("merge", *parts, "--output_folder", "m")[0] == 0
    for part in PARTS:
        ids = [{r["ID"] for r in read(part, folder)} for folder in "sm"]
        assert ids[0] == ids[1]
