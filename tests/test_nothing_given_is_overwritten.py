"""Every verb refuses to write over what it reads, or two outputs over each other."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.evaluation import normals, write_scores

import evaluation
from augment.__main__ import main as augment
from dataio.schema import COLUMNS
from drift.__main__ import main as drift
from protocols.__main__ import main as protocols

ROW = "S-{0},{1},1.0,16000,$ROOT/a/{0}.wav,-,-,{2},1,PCM_S,16,EN\n"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Scores A and B, a calibration, a key, a protocol with its audio, a reference, a list."""
    monkeypatch.chdir(tmp_path)
    values, labels = normals(np.random.default_rng(3), 60)
    ids = [f"S-{i}" for i in range(60)]
    write_scores("A.csv", values, labels, ids)
    write_scores("B.csv", values + 1, labels, ids)
    Path("A.meta.json").write_text("{}")
    words = ["fake", "real"]
    rows = [ROW.format(i, words[labels[i]], ["train", "valid"][i % 2]) for i in range(60)]
    Path("t.csv").write_text(",".join(COLUMNS) + "\n" + "".join(rows))
    Path("key.txt").write_text("".join(f"{key} bonafide\n" for key in ids))
    Path("a").mkdir()
    for i in range(60):
        soundfile.write(f"a/{i}.wav", np.zeros(1600), 16000)
    Path("list.csv").write_text("path,label\na/1.wav,real\na/2.wav,fake\n")
    np.savez("e.npz", embeddings=np.random.default_rng(0).normal(size=(80, 3)))
    assert drift(["fit", "e.npz", "--output", "r.drift.npz"]) == 0
    assert evaluation.main(["calibrate", "A.csv", "--output", "cal.json"]) == 0
    return tmp_path


PROTOCOL = ["--protocol", "t.csv", "--by", "Attack"]
COMMANDS = {  # what runs, its words, the files it reads, its options for files to write
    "evaluate": (evaluation.main, ["A.csv", "--against", "B.csv", *PROTOCOL, "--calibration",
                 "cal.json", "--bootstrap", "0"], ["A.csv", "B.csv", "t.csv", "cal.json",
                 "A.meta.json"], ["--json", "--csv", "--markdown", "--latex", "--report",
                 "--export asvspoof5=", "--export speech_df_arena="]),
    "threshold": (evaluation.main, ["A.csv", "--threshold_from", "B.csv"], ["B.csv"], ["--json"]),
    "calibrate": (evaluation.main, ["calibrate", "A.csv"], ["A.csv", "A.meta.json"], ["--output"]),
    "fuse": (evaluation.main, ["fuse", "A.csv", "B.csv", "--apply", "A.csv", "B.csv"],
             ["A.csv", "B.csv"], ["--output"]),
    "drift fit": (drift, ["fit", "e.npz"], ["e.npz"], ["--output"]),
    "drift compare": (drift, ["compare", "r.drift.npz", "e.npz"], ["r.drift.npz", "e.npz"],
                      ["--json", "--report"]),
    "drift rank": (drift, ["rank", "r.drift.npz", "e.npz"], ["e.npz"], ["--output"]),
    "check": (protocols, ["check", "t.csv", "--data_folder", "."], ["t.csv"],
              ["--json", "--findings"]),
    "leakage": (protocols, ["leakage", "--train", "t.csv", "--test", "t.csv", "--compare", "ids"],
                ["t.csv"], ["--json", "--findings"]),
    "filelist": (protocols, ["filelist", "S", "--data_folder", ".", "--list", "list.csv",
                 "--output", "o.csv"], ["list.csv"], ["--json"]),
    "filelist itself": (protocols, ["filelist", "S", "--data_folder", ".", "--list", "list.csv"],
                        ["list.csv"], ["--output"]),
}  # fmt: skip
CASES = [
    (name, given, option)
    for name, (_, _, read, options) in COMMANDS.items()
    for given, option in itertools.product(read, options)
]


def option_words(option, path):
    """`--csv` and a path as words; `--export kind=` has its path behind the sign."""
    return [*option.split()[:1], option.split()[1] + path] if "=" in option else [option, path]


def contents():
    return {path: path.read_bytes() for path in Path(".").iterdir() if path.is_file()}


@pytest.mark.parametrize("name, given, option", CASES)
def test_an_output_option_that_names_an_input_is_refused(name, given, option, world, capsys):
    run, words, _, _ = COMMANDS[name]
    os.symlink(given, "link.csv")
    before = contents()
    capsys.readouterr()
    for path in (given, f"./a/../{given}", "link.csv"):
        assert run([*words, *option_words(option, path)]) == 2
        out, err = capsys.readouterr()
        assert not out and err.count("\n") == 1 and "which is read" in err, err
        assert contents() == before


@pytest.mark.parametrize("name", [name for name in COMMANDS if len(COMMANDS[name][3]) > 1])
def test_two_outputs_of_one_name_are_refused(name, world, capsys):
    run, words, _, options = COMMANDS[name]
    before = contents()
    for one, other in itertools.combinations(options, 2):
        asked = [*option_words(one, "same.csv"), *option_words(other, "./same.csv")]
        if one.startswith("--export"):
            asked = [one.split()[0], *asked[1::2]]
        assert run([*words, *asked]) == 2
        assert "are one file" in capsys.readouterr().err
    assert contents() == before


def test_the_files_beside_an_output_are_guarded_too(world, capsys):
    before = contents()
    fuse = ["fuse", "A.csv", "B.csv", "--apply", "A.csv", "B.csv", "--output", "A.txt"]
    assert evaluation.main(fuse) == 2  # would write A.meta.json
    Path("k.csv").write_bytes(Path("A.csv").read_bytes())
    assert evaluation.main(["k.csv", "--export", "speech_df_arena=k.txt"]) == 2
    assert evaluation.main(["k.csv", "--export", "speech_df_arena=k2.csv"]) == 2
    Path("k.csv").unlink()
    assert contents() == before and capsys.readouterr().err.count("error: ") == 3


@pytest.mark.parametrize("name", ["train.csv", "valid.csv", "test.csv"])
def test_merge_does_not_write_over_its_inputs(name, world, capsys):
    os.rename("t.csv", name)
    before = contents()
    assert protocols(["merge", "--train", name]) == 2
    assert "would overwrite" in capsys.readouterr().err and contents() == before
    assert protocols(["merge", "--train", name, "--output_folder", "merged"]) == 0


@pytest.mark.slow
def test_preview_does_not_write_over_its_recording(tmp_path, capsys):
    tone = np.sin(np.arange(16000) / 7)
    for name in ("00_original.wav", "spectrograms.png"):
        soundfile.write(tmp_path / name, tone, 16000, format="WAV")
        before = (tmp_path / name).read_bytes()
        arguments = ["preview", str(tmp_path / name), "--output", str(tmp_path), "--seconds", "1"]
        assert augment(arguments) == 2
        assert "would overwrite" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == before
