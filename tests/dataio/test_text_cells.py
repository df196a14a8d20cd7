"""One rule for all readers: near-miss headers and numbers in cells are refused by name and line."""

import gzip
import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import evaluation
from dataio.protocol import ProtocolTable
from dataio.rows import read_rows
from dataio.schema import COLUMNS, UserError
from dataio.score_protocol import protocol_columns
from dataio.scores import Scores, read_scores
from dataio.text_cells import check_header, number_of, open_text, seconds_of
from drift.columns import read_columns
from protocols.__main__ import main as protocols

CELLS = "A-1,real,1.0,16000,$ROOT/a.wav,-,-,-,1,PCM_S,16,EN"
ROW = dict(zip(COLUMNS, CELLS.split(","), strict=True))
NEAR_MISSES = ["label", " Label", "Label ", "LABEL", "Lable", "Labels", "La bel", "\u00a0Label"]


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_refused_by_name(name):
    with pytest.raises(UserError, match=r"header of p\.csv \(line 1\) has .*: write 'Label'"):
        check_header(["ID", name], ["ID", "Label"], "p.csv")


@pytest.mark.parametrize(
    "header",
    [
        ["ID", "Label", "label", "Lable"],  # the column itself is there
        ["ID", "Room", "Label"],
        ["ID", "id2", "Label"],
        ["Label", "UID", "IDs"],  # two letters are near to much
    ],
)
def test_columns_of_ones_own_are_let_be(header):
    check_header(header, ["ID", "Label"], "p.csv")


def test_no_known_column_is_a_near_miss_of_another():
    for absent in COLUMNS:
        check_header([name for name in COLUMNS if name != absent], COLUMNS, "p.csv")


@pytest.fixture
def write(tmp_path):
    """`write({column: cell}) -> path` of a protocol of one row."""

    def write(changed, name="p.csv"):
        row = ROW | changed
        path = tmp_path / name
        path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n", encoding="utf-8")
        return path

    return write


def renamed(column, name):
    """The row with another header for one column."""
    return {name if key == column else key: value for key, value in ROW.items()}


READERS = {
    "training": lambda path: ProtocolTable.open(path, data_folder="/d"),
    "inference": lambda path: ProtocolTable.open(path, data_folder="/d", require_labels=False),
    "check and merge": lambda path: list(read_rows(path)),
    "evaluation --protocol": lambda path: protocol_columns(
        path, Scores(np.array(["A-1"], object), np.zeros((1, 2)), np.ones(1)), ["Speaker"], []
    ),
    "drift": lambda path: read_columns([path], np.array(["A-1"]), ["Label", "Speaker"]),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "column, name",
    [("Label", "label"), ("Label", " Label"), ("Label", "Lable"), ("Speaker", "speaker_id")],
)
def test_every_reader_of_protocols_refuses_it(reader, column, name, tmp_path):
    row = renamed(column, name)
    path = tmp_path / "p.csv"
    path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    with pytest.raises(UserError, match=f"{name!r}: write {column!r}") as caught:
        READERS[reader](path)
    assert "p.csv" in str(caught.value) and "line 1" in str(caught.value)


def test_score_files_refuse_it_too(tmp_path):
    (tmp_path / "s.csv").write_text('ID,score,Label\nA-1,"[0.0, 1.0]",1\n')
    with pytest.raises(UserError, match="'score': write 'Score'"):
        read_scores(tmp_path / "s.csv")


@pytest.mark.parametrize(
    "text", ["1_0", "1e", "1d3", "0x10", "1,5", "- 2", "", "-", "\u0663", "\uff11", "1.2.3", "e5"]
)
def test_what_arrow_takes_for_no_number_is_none(text):
    with pytest.raises(pa.ArrowInvalid):
        pc.cast(pa.array([text]), pa.float64())
    assert number_of(text) is None and math.isnan(seconds_of(text))


@pytest.mark.parametrize("text", ["+1.5", "1.", ".5", "-2", "1e5", "1E+5", "00012", " 3 ", "1e39"])
def test_a_number_is_what_arrow_reads(text):
    assert number_of(text) == pc.cast(pa.array([text.strip()]), pa.float64())[0].as_py()


@pytest.mark.parametrize("duration", ["1_0", "1e39", "\u0661\u0662", "inf", "nan", "1,5e"])
@pytest.mark.parametrize("verb", ["training", "inference", "check", "merge"])
def test_a_duration_that_is_no_number_is_refused_with_its_line(
    verb, duration, write, tmp_path, capsys
):
    path = write({"Duration": f'"{duration}"'})
    if verb == "merge" and duration == "nan":
        return  # a row without audio, which merge leaves out and counts
    if verb in READERS:
        with pytest.raises(UserError, match=r"p\.csv, line 2 .*the duration") as caught:
            READERS[verb](path)
        said = str(caught.value)
    elif verb == "merge":
        assert protocols(["merge", "--train", str(path), "--output_folder", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert "p.csv, line 2 is no number" in said
    else:
        assert protocols(["check", str(path), "--data_folder", str(tmp_path)]) == 1
        said = capsys.readouterr().out
        assert "line 2, A-1" in said
    assert repr(duration) in said


@pytest.mark.parametrize("score", ["[0.0, 1_0]", "[0.0, \u0663]", "[0x1, 1.0]"])
def test_a_score_that_is_no_number_is_refused_with_its_line(score, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text(f'ID,Score,Label\nA-1,"[0.0, 1.0]",1\nA-2,"{score}",0\n', encoding="utf-8")
    with pytest.raises(UserError, match="a Score that is not the list .* in line 3"):
        read_scores(path)


def test_gzip_is_read_like_its_content(tmp_path, capsys):
    rows = "".join(f'S-{n},"[0.0, {n}.0]",{n % 2}\n' for n in range(8))
    text = "ID,Score,Label\n" + rows
    (tmp_path / "s.csv").write_text(text)
    with gzip.open(tmp_path / "s.csv.gz", "wt") as stream:
        stream.write(text)
    (tmp_path / "s.meta.json").write_text('{"model": "m"}')
    plain, packed = read_scores(tmp_path / "s.csv"), read_scores(tmp_path / "s.csv.gz")
    assert packed.logits.tolist() == plain.logits.tolist() and packed.meta == plain.meta
    assert evaluation.main([str(tmp_path / "s.csv.gz")]) == 0
    (tmp_path / "broken.csv.gz").write_bytes((tmp_path / "s.csv.gz").read_bytes()[:40])
    (tmp_path / "fake.csv.gz").write_text(text)
    for name in ("broken", "fake"):
        assert evaluation.main([str(tmp_path / f"{name}.csv.gz")]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_gzipped_protocol_is_read_by_all(tmp_path):
    lines = [",".join(COLUMNS), ",".join(ROW.values())]
    with gzip.open(tmp_path / "p.csv.gz", "wt") as stream:
        stream.write("\n".join(lines) + "\n")
    for reader, name in itertools.product(READERS.values(), ["p.csv.gz"]):
        reader(tmp_path / name)
    with open_text(tmp_path / "p.csv.gz") as stream:
        assert stream.readline().startswith("ID,")
