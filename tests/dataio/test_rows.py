"""Reading protocols: cells as text, the line a row begins in, and faults with their place."""

import pytest

from dataio.rows import LABEL, PATH, SPEAKER, read_rows
from dataio.schema import COLUMNS, UserError

HEADER = ",".join(COLUMNS)
ROW = "A-1,real,1.0,16000,$ROOT/a.wav,-,-,-,1,PCM_S,16,EN"


@pytest.fixture
def protocol(tmp_path):
    def write(text):
        path = tmp_path / "p.csv"
        path.write_text(text)
        return path

    return write


def test_a_row_is_named_by_the_line_it_begins_in(protocol):
    split = ROW.replace("$ROOT/a.wav", '"$ROOT/a\n\nb.wav"')
    rows = list(read_rows(protocol(f"{HEADER}\n{ROW}\n{split}\n\n{ROW}\n")))
    assert [number for number, _, _ in rows] == [2, 3, 7]
    assert rows[1][1][PATH] == "$ROOT/a\n\nb.wav"


@pytest.mark.parametrize("rows_after", [0, 5, 5_000])
def test_a_quote_that_is_not_closed_is_refused_with_the_line_it_is_in(rows_after, protocol):
    open_quote = ROW.replace("$ROOT", '"$ROOT')
    path = protocol(f"{HEADER}\n{ROW}\n{open_quote}\n" + f"{ROW}\n" * rows_after)
    with pytest.raises(UserError, match=r"p\.csv, line 3 .* is a quote not closed\?"):
        list(read_rows(path))


def test_a_header_with_a_quote_that_is_not_closed_is_refused(protocol):
    with pytest.raises(UserError, match=r"p\.csv, line 1 .* is a quote not closed\?"):
        list(read_rows(protocol(f'"{HEADER}\n' + f"{ROW}\n" * 5_000)))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("Attack", "Label"), "two columns 'Label'"),
        (HEADER.replace("Speaker", "speaker"), "has 'speaker': write 'Speaker'"),
        (HEADER.replace("Path", "PATH"), "has 'PATH': write 'Path'"),
    ],
)
def test_a_header_that_would_be_read_in_part_only_is_refused(header, message, protocol):
    with pytest.raises(UserError, match=message):
        list(read_rows(protocol(f"{header}\n{ROW}\n")))


def test_a_column_of_ones_own_may_differ_by_its_capitals(protocol):
    [(_, cells, _)] = read_rows(protocol(f"{HEADER},label,label\n{ROW},x,y\n"))
    assert (len(cells), cells[LABEL], cells[SPEAKER]) == (12, "real", "-")
