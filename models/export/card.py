"""The card of an exported detector: README.md with its front matter, and `.eval_results/`."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from pathlib import Path

from dataio.whole_files import write_text
from models.export.folder import CALIBRATION, CARD, FILES, RUN_ONNX, About
from models.export.results import Measured, Subset, int8_changes

TASK = "audio-classification"
EVAL_RESULTS = ".eval_results"
RELEASED_TERMS = (
    "It derives from the released AntiDeepfake weights (Ge et al., ASRU 2025), whose licence it"
    " keeps: non-commercial, share alike."
)
NOT_A_PROOF = """\
## What a score is not

A score says how much a recording resembles the synthetic speech and the human speech that the
detector was trained on. It is no proof: new generators, codecs, noise, music and short or edited
recordings move it, and nothing here says how often it is wrong on yours. Measure that on recordings
of your own before a decision rests on it."""


def write(
    folder: Path, about: About, title: str, measured: Sequence[Measured], notes: Sequence[str]
) -> None:
    """`notes` are paragraphs about the forms in the folder, such as what int8 changes."""
    write_text(folder / CARD, card(folder, about, title, measured, notes))
    if measured:
        (folder / EVAL_RESULTS).mkdir()
        for file in measured:
            name = re.sub(r"[^\w.-]", "_", Path(file.file).stem)
            write_text(folder / EVAL_RESULTS / f"{name}.yaml", eval_results(file))


def card(
    folder: Path, about: About, title: str, measured: Sequence[Measured], notes: Sequence[str]
) -> str:
    there = {engine for engine, file in FILES.items() if (folder / file).is_file()}
    calibrated = (folder / CALIBRATION).is_file()
    parts = [
        f"---\n{front_matter(about, title, measured, 'transformers' in there)}---",
        f"# {title}",
        f"A detector of synthetic speech: {about.model} with the head {about.head['name']}, for"
        " speech at 16 kHz of any length. Two logits come out, `[fake, real]`; the larger real -"
        f" fake, the more likely real. The verdict is real where P(real) >= {about.threshold:g},"
        f" P(real) being {'calibrated (' + CALIBRATION + ')' if calibrated else 'the softmax'}.",
        usage(title, about, there, calibrated),
        *notes,
        results_table(measured) if measured else "## Results\n\nNone were handed in.",
        NOT_A_PROOF,
        f"## Licence\n\n{about.license}." + (f" {RELEASED_TERMS}" if about.released else ""),
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(about: About, title: str, measured: Sequence[Measured], native: bool) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    index = [
        EvalResult(
            TASK,
            dataset_type=subset.name,
            dataset_name=f"{file.file}: {subset.name}",
            metric_type="eer",
            metric_name=f"EER (%), {file.how}",
            metric_value=round(subset.eer, 4),
        )
        for file in measured
        for subset in file.subsets
    ]
    data = ModelCardData(
        license=about.license,
        library_name="transformers" if native else "antideepfake",
        pipeline_tag=TASK,
        tags=["deepfake-detection", "anti-spoofing", "speech", about.model],
        metrics=["eer"] if index else None,
        model_name=title if index else None,
        eval_results=index or None,
    )
    return data.to_yaml() + "\n"


def usage(title: str, about: About, there: set[str], calibrated: bool) -> str:
    """Five lines each way, of what the folder holds."""
    calibration = f" --calibration {CALIBRATION}" if calibrated else ""
    head = "" if about.head["name"] == "mean_linear" else f" --head {about.head['name']}"
    ways = [
        ("The toolkit, in this folder",
         f"python main.py score {about.model} speech.wav --ckpt_path .{head}{calibration}\n"
         "python main.py selftest .            # computes selftest/ again with every engine here"),
    ]  # fmt: skip
    if "transformers" in there:
        ways.append((
            "transformers, with nothing else installed",
            "from transformers import pipeline\n\n"
            'detect = pipeline("audio-classification", model=".")\nprint(detect("speech.wav"))',
        ))  # fmt: skip
    if there & {"onnx_fp32", "onnx_int8"}:
        int8 = [f"{FILES['onnx_int8']} speech.wav"] if "onnx_int8" in there else []
        ways.append((
            "ONNX Runtime, numpy and soundfile",
            "\n".join(f"python {RUN_ONNX} {words}" for words in ["speech.wav", *int8]),
        ))  # fmt: skip
    blocks = [f"{what}:\n\n```{_language(code)}\n{code}\n```" for what, code in ways]
    return "\n\n".join(["## Use", *blocks])


def _language(code: str) -> str:
    return "python" if code.startswith("from ") else "bash"


def results_table(measured: Sequence[Measured]) -> str:
    lines = [
        "## Results",
        "",
        "Equal error rate in %, with its 95 % interval (reweighted files), of these score files.",
        "",
        "| score file | computed by | subset | real | fake | EER % |",
        "|---|---|---|--:|--:|--:|",
    ]
    for file in measured:
        for s in file.subsets:
            cells = (_cell(file.file), file.how, _cell(s.name), s.real, s.fake, percent(s))
            lines.append(f"| {' | '.join(map(str, cells))} |")
    for other, int8 in int8_changes(measured):
        before, after = other.subsets[0], int8.subsets[0]
        lines += ["", f"int8 on the files of {_cell(other.file)}: EER {after.eer:.2f} % instead of"
                      f" {before.eer:.2f} % ({after.eer - before.eer:+.2f} points)."]  # fmt: skip
    return "\n".join(lines)


def percent(subset: Subset) -> str:
    """`1.23 [0.98, 1.51]`, without an interval where none could be computed."""
    if math.isnan(subset.low) or math.isnan(subset.high):
        return f"{subset.eer:.2f}"
    return f"{subset.eer:.2f} [{subset.low:.2f}, {subset.high:.2f}]"


def _cell(text: str) -> str:
    """A stranger's word in a cell of Markdown."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


def eval_results(file: Measured) -> str:
    """The hub's file of one score file's figures."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = [
        EvalResultEntry(
            dataset_id=subset.name,
            task_id="speech_deepfake_detection",
            value=round(subset.eer, 4),
            date=datetime.date.today().isoformat(),
            notes=f"EER in %, {percent(subset)}, {subset.real} real and {subset.fake} fake files;"
            f" {file.file}, {file.how}",
        )
        for subset in file.subsets
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True)
