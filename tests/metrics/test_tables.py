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
        ("two\nlines", "two lines", "two\nlines"),
        ("a\\b", r"a\\b", r"a\textbackslash{}b"),
    ],
)
def test_names_stay_text(name, markdown, latex):
    rows = {name: {"eer": "0.1 [0.0, 0.2]"}}
    assert tables.markdown(rows).splitlines()[2] == f"| {markdown} | 0.1 [0.0, 0.2] |"
    assert f"\n{latex} & 0.1 [0.0, 0.2] \\\\\n" in tables.latex(rows)
