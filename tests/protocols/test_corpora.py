"""Each database in miniature: every column of every row, in the published order."""

import csv
import importlib.util
import sys
from pathlib import Path

import pytest
from support.pages import blocks, page

from dataio.schema import COLUMNS, SEGMENTS
from protocols import corpora as package
from protocols import corpus
from protocols.corpus import corpora
from protocols.merge import PUBLISHED_ORDER, PUBLISHED_TESTS, published_names

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cases)
CASES = _cases.CASES

# what the miniature's files are, by extension: options of the writer, then the three columns
WAV = {"subtype": "PCM_16"}, "PCM_S", "16"
FORMATS = {
    ".wav": WAV,
    ".WAV": WAV,
    ".flac": ({"subtype": "PCM_24"}, "FLAC", "24"),
    ".mp3": ({}, "MP3", "0"),
}


def read(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_miniature_gives_every_column_of_every_row(
    case, protocols, write_audio, write_text, tmp_path
):
    expected = []
    for number, cells in enumerate(case.expected()):
        utterance, label, attack, speaker, proportion, language, path, *segments = cells
        options, encoding, bits = FORMATS[Path(path).suffix]
        seconds, rate, channels = 0.25 + number / 8, (16000, 24000)[number % 2], 1 + number % 2
        write_audio(path, seconds=seconds, rate=rate, channels=channels, **options)
        duration, path = str(round(seconds, 2)), f"$ROOT/{path}"
        expected.append([utterance, label, duration, str(rate), path, attack, speaker, proportion,
                         str(channels), encoding, bits, language, *segments])  # fmt: skip
    for path in case.not_listed:
        write_audio(path)
    for path, text in case.lists.items():
        write_text(path, text)
    for path, text in case.here.items():
        write_text(path, text, folder=tmp_path)

    status, out, err = protocols("build", case.database, "--data_folder", "data", *case.arguments)

    assert (status, err) == (0, "")
    header, *rows = read(tmp_path / case.csv_name)
    assert tuple(header) == corpora().get(case.database, case).columns
    for row, wanted in zip(rows, expected, strict=True):
        if row[9] == "MP3":  # an encoder pads: the length is right within 50 ms
            assert float(row[2]) == pytest.approx(float(wanted[2]), abs=0.05)
            row[2] = wanted[2]
        assert row == wanted
    assert f"{len(rows)} rows" in out


RELEASE = {*PUBLISHED_ORDER, *PUBLISHED_TESTS, "WildSVDD", "Deepfake-Eval-2024"}


def test_the_35_databases_of_the_release_are_there():
    assert len(RELEASE) == 35
    assert set(corpora()) >= RELEASE | {"toy_example"}


def test_every_database_has_a_miniature():
    tested_elsewhere = {"asterisk_prompts", "spliced", "Demo", "toy_example"}
    assert set(corpora()) - tested_elsewhere <= {case.database for case in CASES}


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Add the manual's database as a module of the package; `calls(module text)`."""

    def add(text):
        folder = tmp_path / "corpora"
        folder.mkdir()
        (folder / "calls.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"{package.__name__}.calls", raising=False)
        forget()

    def forget():
        for remembered in (corpora, corpus._prefixes):
            remembered.cache_clear()

    yield add
    monkeypatch.undo()
    sys.modules.pop(f"{package.__name__}.calls", None)
    forget()


MODULE = blocks(page("databases"), "python")[0].text


def test_a_database_added_as_the_manual_says_passes_all_this(
    calls, protocols, write_audio, write_text, tmp_path, monkeypatch
):
    calls(MODULE)
    case = _cases.Case("Calls", "Calls-dev-ann-7 fake - ann valid EN Calls/dev/clone/ann_7.wav")
    with pytest.raises(AssertionError):  # it has no miniature yet
        test_every_database_has_a_miniature()
    monkeypatch.setattr(sys.modules[__name__], "CASES", [*CASES, case])
    test_every_database_has_a_miniature()
    test_the_35_databases_of_the_release_are_there()
    test_the_miniature_gives_every_column_of_every_row(
        case, protocols, write_audio, write_text, tmp_path
    )
    assert corpus.database_of("Calls-dev-ann-7") == "Calls"


@pytest.mark.parametrize("role", ["train", "test"])
def test_the_published_lists_stay_as_published_whatever_a_new_database_calls_its_role(role, calls):
    before = [published_names(role) for role in ("train", "test")]
    calls(MODULE.replace("    link=", f'    role="{role}",\n    link='))
    assert corpora()["Calls"].role == role
    assert [published_names(role) for role in ("train", "test")] == before


def test_the_toy_example_is_written_as_three_files(protocols, write_audio, write_text, tmp_path):
    write_text(
        "toy_example/protocol.txt",
        "LA_0901 LA_D_7000001 - A05 spoof\nLA_0902 LA_E_7000001 - - bonafide\n",
    )
    write_audio("toy_example/train_dev/LA_D_7000001.wav", seconds=0.5)
    write_audio("toy_example/eval/LA_E_7000001.wav", seconds=2)
    status, *_ = protocols("build", "toy_example", "--data_folder", "data")
    assert status == 0
    assert read(tmp_path / "toy_example_train.csv") == [list(COLUMNS)]
    assert read(tmp_path / "toy_example_valid.csv")[1:] == [
        ["ASV19LAdemo-LA_D_7000001", "fake", "0.5", "16000",
         "$ROOT/toy_example/train_dev/LA_D_7000001.wav", "A05", "LA_0901", "valid",
         "1", "PCM_S", "16", "EN"]
    ]  # fmt: skip
    assert read(tmp_path / "toy_example_test.csv")[1:] == [
        ["ASV19LAdemo-LA_E_7000001", "real", "2.0", "16000",
         "$ROOT/toy_example/eval/LA_E_7000001.wav", "-", "LA_0902", "test",
         "1", "PCM_S", "16", "EN"]
    ]  # fmt: skip
    assert not list(tmp_path.glob("*.partial"))


def test_the_102_fleurs_folders_have_102_codes():
    from protocols.corpora.fleurs import CODES

    assert list(CODES) == _cases.FLEURS_FOLDERS.split()
    assert len(CODES) == len(set(CODES.values())) == 102


HAD_LIST = "HAD/HAD_train/HAD_train_label.txt"


@pytest.mark.parametrize(
    ("text", "word"),
    [("u1 0.00-0.10-X 0\n", "pieces '0.00-0.10-X'"), ("u1 0.00-0.10-T\n", "2 fields")],
)
def test_labels_that_do_not_fit_are_refused_with_their_line(
    protocols, write_text, tmp_path, text, word
):
    write_text(HAD_LIST, text)
    status, _, err = protocols("build", "HAD", "--data_folder", "data")
    assert status == 2 and word in err and "HAD_train_label.txt, line 1" in err


def test_what_is_uncertain_of_a_layout_is_listed(protocols):
    status, out, _ = protocols("list", "LlamaPartialSpoof")
    assert status == 0 and "uncertain      the names of the label files" in out


def test_the_column_of_segments_goes_through_merge_and_split(
    protocols, write_audio, write_text, tmp_path
):
    lines = []
    for number in range(8):
        write_audio(f"HAD/HAD_train/conbine/u{number}.wav", seconds=1)
        lines.append(f"u{number} 0.00-0.50-T/0.50-1.00-{'TF'[number % 2]} {number % 2}\n")
    write_text(HAD_LIST, "".join(lines))
    assert protocols("build", "HAD", "--data_folder", "data")[0] == 0
    plain = ["X-1", "real", "1.0", "16000", "$ROOT/x.wav", *["-"] * 3, "1", "PCM_S", "16", "-"]
    (tmp_path / "plain.csv").write_text(f"{','.join(COLUMNS)}\n{','.join(plain)}\n")

    merged = ["merge", "--train", "plain.csv", "HAD.csv", "--output_folder", "merged"]
    assert protocols(*merged)[0] == 1  # nothing to validate with
    header, *rows = read(tmp_path / "merged" / "train.csv")
    assert header == [*COLUMNS, SEGMENTS]
    assert {row[0]: row[12] for row in rows}["X-1"] == "-"
    assert {row[12] for row in rows if row[0] != "X-1"} == {f"$ROOT/{HAD_LIST}"}

    split = ["split", "HAD.csv", "--by", "ID", "--valid", "0.25", "--output_folder", "parts"]
    assert protocols(*split)[0] == 0
    header, *rows = read(tmp_path / "parts" / "valid.csv")
    assert header[12] == SEGMENTS and {row[12] for row in rows} == {f"$ROOT/{HAD_LIST}"}
