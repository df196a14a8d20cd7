"""Tables for documents: names are text in every format, whatever they hold."""

import pytest

from metrics import tables


def test_tables_escape_what_their_format_reserves():
    rows = {"a|b_&": {"x": "1 %"}}
    assert tables.markdown(rows) == "| subset | x |\n| --- | ---: |\n| a\\|b\\_\\& | 1 % |\n"
    assert r"a\textbar{}b\_\& & 1 \% \\" in tables.latex(rows)


@pytest.mark.parametrize(
    "name, markdown, latex",
    [
        ("roc_auc", "roc_auc", r"roc\_auc"),
        ("_x_ *y* `z`", r"\_x\_ \*y\* \`z\`", r"\_x\_ *y* `z`"),
        ("<b>&amp;", r"\<b\>\&amp;", r"\textless{}b\textgreater{}\&amp;"),
        ("$1 #2 5%", r"\$1 #2 5%", r"\$1 \#2 5\%"),
        ("[a](b)", r"[a\](b)", "{}[a](b)"),
        ("two\nlines", "two lines", "two lines"),
        ("a\\b", r"a\\b", r"a\textbackslash{}b"),
    ],
)
def test_names_stay_text(name, markdown, latex):
    rows = {name: {"eer": "0.1 [0.0, 0.2]"}}
    assert tables.markdown(rows).splitlines()[2] == f"| {markdown} | 0.1 [0.0, 0.2] |"
    assert f"\n{latex} & 0.1 [0.0, 0.2] \\\\\n" in tables.latex(rows)


def test_long_names_are_told_apart_and_leave_the_numbers_in_sight():
    names = ["a" * 60 + "_one", "a" * 60 + "_two", "b" * 30 + "x" + "b" * 30, "c"]
    short = tables.shortened(names, 20)
    assert short[0].endswith("_one") and short[1].endswith("_two") and short[3] == "c"
    assert all(len(name) == 20 for name in short[:3]) and len(set(short)) == 4
    alike = ["a" * 30 + "1" + "a" * 30, "a" * 30 + "2" + "a" * 30]
    assert tables.shortened(alike, 20) == alike  # what would be equal stays whole
    lines = tables.screen({name: {"eer": 0.1} for name in names}).splitlines()
    assert max(map(len, lines)) <= tables.NAME_WIDTH + 10
