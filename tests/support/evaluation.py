"""evaluation.py run inside a test: score files in, what it printed out."""

import csv

import evaluation


def write_scores(path, values, labels, ids=None):
    ids = ids or [f"SET-{i:04d}" for i in range(len(values))]
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["ID", "Score", "Label"])
        for key, value, label in zip(ids, values, labels, strict=True):
            writer.writerow([key, str([-float(value) / 2, float(value) / 2]), label])
    return str(path)


def normals(rng, n=300, shift=2.0):
    labels = rng.integers(0, 2, n)
    return rng.normal(size=n) * 1.2 + shift * labels - 1, labels


def run(capsys, *argv):
    status = evaluation.main([str(word) for word in argv])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def table(text):
    """The last table's rows as dictionaries by their first cell."""
    lines = text.splitlines()
    start = max(i for i, line in enumerate(lines) if line.split() == ["subset"])
    names = lines[start - 1].split()
    rows = {}
    for line in lines[start + 1 :]:
        cells = line.split()
        if len(cells) != len(names) + 1:
            break
        rows[cells[0]] = dict(zip(names, map(float, cells[1:]), strict=True))
    return rows
