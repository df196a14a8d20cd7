"""Evaluation: pure functions of scores and labels, and the files and pages made from them.

real (1) is the positive class; a larger score means more likely real; accept means score >=
threshold. In reading order: `sweep` (sorting once), `rates`, `costs`, `measures` (all figures by
name), `bootstrap`, `compare`, `slices`, `calibration`, `fusion`, `curves`; then `results` (the
JSON), `tables`, `outputs`, `plots`, `report`, and `session`, the verbs of evaluation.py.
"""
