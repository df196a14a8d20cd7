"""The real-speech table: each cell compares the fakes and the people it says it does."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.real_speech import Trials, attack_table, language_table, read_trials, slice_eer
from dataio.schema import COLUMNS


@pytest.fixture
def trials():
    """Three files of each kind; `copy` and RU were not in training, `far` is English only."""
    kinds = [("-", "EN"), ("tts", "EN"), ("copy", "EN"), ("far", "EN")]
    kinds += [("-", "RU"), ("tts", "RU"), ("copy", "RU")]
    attacks, languages = zip(*[kind for kind in kinds for _ in range(3)], strict=True)
    return Trials(np.array(attacks), np.array(languages), frozenset({"tts"}), frozenset({"EN"}))


@pytest.fixture
def scores(trials):
    """People at 1, TTS below, `copy` above them in RU only, `far` among them."""
    scores = np.where(trials.attacks == "-", 1.0, -1.0) + 0.01 * np.tile([0, 1, 2], 7)
    scores[(trials.attacks == "copy") & (trials.languages == "RU")] += 4
    scores[trials.attacks == "far"] += 2.0
    return scores


def cells(table):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_a_slice_compares_people_and_fakes_of_the_same_languages(trials, scores):
    assert slice_eer(trials, scores, {"tts"}, {"EN", "RU"}) == 0
    assert slice_eer(trials, scores, {"copy"}, {"EN"}) == 0
    assert slice_eer(trials, scores, {"copy"}, {"RU"}) == 100
    assert np.isnan(slice_eer(trials, scores, {"far"}, {"RU"}))


def test_the_attack_table_tells_seen_from_unseen(trials, scores):
    table = cells(attack_table(trials, [scores]))
    assert table["fake"] == [
        "in training", "seen languages (EN)", "unseen languages (RU)", "all languages",
    ]  # fmt: skip
    assert table["tts"] == ["yes", "0.0", "0.0", "0.0"]
    assert table["copy"][:3] == ["no", "0.0", "100.0"]
    assert table["far"][0] == "no" and table["far"][2] == "-"
    assert table["**seen attacks**"][0] == "yes" and table["**unseen attacks**"][0] == "no"
    assert table["**all**"][0] == "some"


def test_several_seeds_give_mean_and_deviation(trials, scores):
    table = cells(attack_table(trials, [scores, -scores]))
    assert table["tts"][1] == f"50.0 ± {100 / np.sqrt(2):.1f}"


def test_the_language_table_has_a_row_a_language(trials, scores):
    table = cells(language_table(trials, [scores]))
    assert table["EN"][:2] == ["yes", "0.0"]
    assert table["RU"] == ["no", "0.0", "100.0", table["RU"][3]]


def test_seen_is_what_the_training_protocol_holds(tmp_path):
    def write(split, rows):
        lines = [",".join(COLUMNS)]
        for name, attack, language in rows:
            cells = dict.fromkeys(COLUMNS, "-") | {
                "ID": name, "Attack": attack, "Language": language,
            }  # fmt: skip
            lines.append(",".join(cells.values()))
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")

    write("train", [("a", "-", "EN"), ("b", "tts", "EN")])
    write("test", [("d", "copy", "RU"), ("c", "-", "EN")])
    ids, trials = read_trials(tmp_path)
    assert ids == ["d", "c"]
    assert trials.seen_attacks == {"tts"} and trials.seen_languages == {"EN"}


@pytest.mark.needs("speech", "pyworld")
@pytest.mark.slow
def test_the_command_makes_trains_scores_and_prints_the_tables(tmp_path):
    """The main job on human speech: better than chance on the fakes it was trained with."""
    command = [sys.executable, "-m", "benchmarks.real_speech", "--folder", str(tmp_path), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    table = cells("\n".join(line for line in done.stdout.splitlines() if line.startswith("|")))
    assert float(table["**seen attacks**"][1]) < 40
    assert table["RU"][0] == "no"
