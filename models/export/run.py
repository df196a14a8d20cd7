"""`python main.py export`: a detector as one folder that gives the same numbers everywhere."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from dataio.schema import UserError
from dataio.whole_files import make_folder, whole_folder
from dataio.words import tell
from metrics.calibration import Calibration, load_calibration, save_calibration
from models.checkpoints import HUB_OWNER, CheckpointInfo, hub_id, load_detector, sha256_of
from models.detector import Detector
from models.export import card, onnx_graph, onnx_int8, push, results, selftest, transformers_form
from models.export.folder import (
    ABOUT,
    CALIBRATION,
    FILES,
    RUN_ONNX,
    TOLERANCE,
    About,
    read_about,
    write_weights,
)
from models.front_ends.config import CONFIGS
from models.scoring.run import checkpoint_source

RELEASED_LICENSE = "cc-by-nc-sa-4.0"
CKPT_PATH = re.compile(r"^ckpt_path: *(\S.*)$", re.MULTILINE)
CHAIN = 10  # experiments that began with each other's weights, looked through for their origin


def export(hparams: dict, run_options: dict) -> int:
    """Write the folder whole; 0. Nothing is written where anything given cannot be."""
    output = checked_output(hparams)
    refuse_other_front_ends(hparams)
    source = checkpoint_source(hparams)
    released = derives_from_released(source)
    terms = license_of(hparams["license"], released)
    if hparams["push"]:
        push.check(hparams["push"])
    detector, info = load_detector(hparams["model"], source, head=hparams["head"])
    if not info.fills_head:
        raise UserError(f"{info.path} is a pre-training file without a head: export a detector")
    calibration = own_calibration(hparams["calibration"], info)
    about = About(
        hparams["model"], dict(hparams["head"]), info.sha256, hparams["threshold"], terms, released
    )
    measured = results.read_results(hparams["scores"] or [], {info.sha256, *earlier(source)})
    title = f"{output.name}: {hparams['model']} speech-deepfake detector"
    with whole_folder(output) as folder:
        notes = write_forms(folder, detector, about, calibration, hparams)
        selftest.write(folder, detector)
        about.write(folder)
        card.write(folder, about, title, measured, notes)
    held = ", ".join(name for name, file in FILES.items() if (output / file).is_file())
    print(f"{output}: {held}; check it with: python main.py selftest {output}")
    if hparams["push"]:
        print(f"uploaded to {push.push(output, hparams['push'])}")
    return 0


def write_forms(
    folder: Path, detector: Detector, about: About, calibration: Calibration | None, hparams: dict
) -> list[str]:
    """The weights in every form asked for; paragraphs of the card about them."""
    write_weights(folder / FILES["native"], detector.state_dict())
    weights_sha256 = sha256_of(folder / FILES["native"])
    if calibration is not None:
        meta = calibration.meta | {"fitted_on_sha256": about.checkpoint_sha256}
        calibration = replace(calibration, checkpoint_sha256=weights_sha256, meta=meta)
        save_calibration(folder / CALIBRATION, calibration)
    notes = []
    if reason := transformers_form.why_not(detector):
        notes.append(f"There is no form for transformers: {reason}.")
        tell(f"no form for transformers: {reason}")
    else:
        transformers_form.write(folder, detector)
        about.tolerances["transformers"] = TOLERANCE
        notes.append(transformers_form.limits(detector))
    if hparams["onnx"]:
        notes += write_onnx(folder, detector, about, calibration, weights_sha256, hparams["onnx"])
    return notes


def write_onnx(
    folder: Path,
    detector: Detector,
    about: About,
    calibration: Calibration | None,
    weights_sha256: str,
    precisions: list[str],
) -> list[str]:
    """The graphs asked for, and the script that runs them alone; paragraphs of the card."""
    metadata = {
        "model": about.model,
        "head": about.head["name"],
        "labels": about.labels,
        "direction": about.direction,
        "sample_rate": about.sample_rate,
        "threshold": about.threshold,
        "checkpoint_sha256": about.checkpoint_sha256,
        "weights_sha256": weights_sha256,
        "license": about.license,
        "toolkit_version": about.toolkit_version,
    }
    if calibration is not None:
        metadata["calibration"] = asdict(replace(calibration, meta={}))
    fp32, int8 = folder / FILES["onnx_fp32"], folder / FILES["onnx_int8"]
    onnx_graph.write(fp32, detector, metadata)
    about.tolerances["onnx_fp32"] = TOLERANCE
    shutil.copyfile(Path(__file__).with_name(RUN_ONNX), folder / RUN_ONNX)
    notes = []
    if "int8" in precisions:
        report = onnx_int8.write(int8, fp32)
        about.tolerances["onnx_int8"] = report.bound
        notes.append(onnx_int8.described(report))
    return notes


def refuse_other_front_ends(hparams: dict) -> None:
    """Every form of a folder normalises whole files and computes as engine native does."""
    said = {key: value for key, value in hparams["front_end"].items() if key != "engine"}
    if said or hparams["model"] not in CONFIGS:
        raise UserError(
            f"a detector of {hparams['model']} with front_end {dict(hparams['front_end'])} is not"
            " exported: the forms of a folder normalise whole files, and know the models of engine"
            f" native ({', '.join(CONFIGS)})"
        )


def checked_output(hparams: dict) -> Path:
    """`output_folder`, not there yet; UserError where it was not given or is."""
    text = hparams["output_folder"]
    if hparams["base_path"] is None and text.startswith("None/"):
        raise UserError("no --output_folder was given: name the folder that is to be made")
    output = Path(text)
    if output.exists():
        raise UserError(f"output_folder {output} is there already: name another, or remove it")
    make_folder(output.absolute().parent)
    return output


def own_calibration(path: str | None, info: CheckpointInfo) -> Calibration | None:
    """The calibration given, which has to be of this checkpoint."""
    if path is None:
        return None
    calibration = load_calibration(path)
    if calibration.checkpoint_sha256 not in (None, info.sha256):
        raise UserError(
            f"{path} was fitted on another checkpoint ({calibration.checkpoint_sha256[:12]}...)"
            f" than {info.path}: calibrate again with this one's scores"
        )
    return calibration


def license_of(given: str | None, released: bool) -> str:
    """The licence on the card: kept where it must be, asked for where it is not known."""
    if released:
        if given not in (None, RELEASED_LICENSE):
            raise UserError(
                f"license is {given!r}, but this detector derives from the released weights, which"
                f" keep {RELEASED_LICENSE}: leave --license out"
            )
        return RELEASED_LICENSE
    if given is None:
        raise UserError(
            "the detector's licence is not known: add --license, such as apache-2.0; what derives"
            f" from the released AntiDeepfake weights keeps {RELEASED_LICENSE}"
        )
    if not re.fullmatch(r"[a-z0-9.-]+", given):
        raise UserError(f"license is {given!r}: expected the hub's word for one, as apache-2.0")
    return given


def derives_from_released(source: str | Path, left: int = CHAIN) -> bool:
    """Whether weights come from a released detector, as far as names and experiments tell."""
    path = Path(source)
    if not path.exists():
        return (hub_id(str(source)) or "").startswith(f"{HUB_OWNER}/")
    folder = path if path.is_dir() else path.parent
    if (folder / ABOUT).is_file():
        return read_about(folder).released
    for place in (folder, *list(folder.absolute().parents)[:2]):  # experiment/save/CKPT+.../
        record = place / "hyperparams.yaml"
        if record.is_file() and left:
            found = CKPT_PATH.search(record.read_text(encoding="utf-8", errors="replace"))
            start = found[1].strip("'\" ") if found else "null"
            return start != "null" and derives_from_released(start, left - 1)
    return False


def earlier(source: str | Path) -> set[str]:
    """The checkpoint that an exported folder was made of: its scores are this one's too."""
    folder = Path(source) if Path(source).is_dir() else Path(source).parent
    if not (folder / ABOUT).is_file():
        return set()
    return {read_about(folder).checkpoint_sha256}
