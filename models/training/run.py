"""`python main.py hparams/<model>.yaml`: from hyper-parameters to a trained detector."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import augment
from dataio.batching import BatchPlan, scoring_batches
from dataio.checked import Damaged, refuse_yaml_tricks
from dataio.dataset import WaveformDataset
from dataio.frame_labels import FrameLabels
from dataio.locks import LOCK, refuse_second_writer, sole_writer
from dataio.output_paths import check_writable
from dataio.protocol import ProtocolTable
from dataio.schema import UserError
from dataio.whole_files import NO_ROOM, make_folder
from models.checkpoints import CheckpointInfo, load_detector, unfilled_detector
from models.detector import Detector, build_detector, detector_options
from models.distributed import World, barrier, choose_device, join_world
from models.heads.frame_loss import build_frame_loss
from models.training.adapters import put_adapters
from models.training.brain import DetectorBrain
from models.training.first_weights import (
    first_weights,
    pretraining,
    record_first_weights,
    refuse_other_weights,
)
from models.training.log import TrainLog, log_to, record_run
from models.training.plan import newest_checkpoint, plan, show
from models.training.stream import TrainStream
from models.training.validation import ValidStream
from models.training.whole_checkpoint import WholeCheckpointer

logger = logging.getLogger(__name__)
PLAIN = (bool, int, float, str, list, dict, type(None))  # what a YAML holds besides objects


def train(hparams: dict, run_options: dict, resolved_yaml: str) -> int:
    """Post-train or fine-tune as the YAML says; goes on where an earlier run ended."""
    if run_options.get("data_parallel_backend"):
        raise UserError(
            "data_parallel_backend is not supported: use torchrun --standalone --nproc-per-node=N"
        )
    device = choose_device(run_options.get("device"))
    world = join_world(
        backend=run_options.get("distributed_backend"),
        device=device,
        timeout_seconds=hparams["distributed_timeout"],
    )
    folder, throwaway = Path(hparams["output_folder"]), is_throwaway(run_options)
    if throwaway:
        folder /= "debug"  # apart from the records of the real run
    looked_at = world.is_main and not throwaway
    changes = changes_since_last_start(folder, hparams) if looked_at else []
    if hparams["dry_run"]:
        dry_run(folder, hparams, world, device)
        return 0
    tables = open_protocols(hparams)
    with prepared_folder(folder, resolved_yaml, world, empty=throwaway):
        for change in changes:
            logger.warning("since this run was last started: %s", change)
        train_in(folder, hparams, {**run_options, "device": device}, tables, world)
    return 0


def dry_run(folder: Path, hparams: dict, world: World, device: str) -> None:
    """Check all that a run needs and print what it would do; UserError as the run itself."""
    check_writable("output_folder", folder / "save" / "CKPT")
    refuse_second_writer(folder)
    with TemporaryDirectory(prefix="dry_run-") as scratch:  # for the tables, gone with it
        tables = open_protocols(hparams | {"cache_folder": scratch})
        stream = make_train_stream(hparams, tables[0], world, device)
        make_valid_stream(hparams, tables[1], world, device)
        resuming = newest_checkpoint(folder / "save")[0] is not None
        detector, weights = initial_detector(hparams, resuming=resuming)
        freeze_front_end(detector, hparams)
        put_adapters(detector, hparams, weights)
        parameters = list(detector.parameters())
        options = {"tables": tables, "stream": stream, "world": world, "device": device}
        rows = plan(hparams, folder=folder, parameters=parameters, **options)
    if world.is_main:
        show(rows)


def train_in(
    folder: Path,
    hparams: dict,
    run_options: dict,
    tables: tuple[ProtocolTable, ProtocolTable],
    world: World,
) -> None:
    """Train in a folder that is this run's alone, from where its last checkpoint left off."""
    brain = build_brain(hparams, run_options, folder, world)
    train_stream = make_train_stream(hparams, tables[0], world, run_options["device"])
    valid_stream = make_valid_stream(hparams, tables[1], world, run_options["device"])
    try:
        brain.fit_stream(train_stream, valid_stream)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(
            f"no space is left for the logs in {folder}: free some and give the same command again,"
            " it goes on from the last checkpoint"
        ) from error
    report(brain, folder)


def is_throwaway(run_options: dict) -> bool:
    """Whether SpeechBrain's `--debug` will drop the run's checkpoints at its end."""
    return run_options.get("debug", False) and not run_options.get("debug_persistently", False)


@contextlib.contextmanager
def prepared_folder(
    folder: Path, resolved_yaml: str, world: World, *, empty: bool
) -> Iterator[None]:
    """A folder that no other run writes to meanwhile, with this run's records and log in it."""
    if world.is_main:
        make_folder(folder)
    with sole_writer(folder) if world.is_main else contextlib.nullcontext():
        if world.is_main:
            for former in folder.iterdir() if empty else ():
                if former.is_dir():
                    shutil.rmtree(former)
                elif former.name != LOCK:
                    former.unlink()
            make_folder(folder / "save")
            record_run(folder, resolved_yaml, sys.argv)
        barrier()
        log_to(folder, active=world.is_main)
        yield


def changes_since_last_start(folder: Path, hparams: dict) -> list[str]:
    """What the YAML or command line says otherwise than at the run's last start, a line a key.

    Raises UserError for another model or other first weights: that is another run.
    """
    from hparams.load import read_yaml

    record = folder / "hyperparams.yaml"
    if not record.exists():
        return []
    try:
        refuse_yaml_tricks(record.read_bytes())
    except Damaged as error:
        raise UserError(f"{record} is damaged ({error}): give another --exp_name") from None
    former = {key: value for key, value in read_yaml(record).items() if key in hparams}
    if former.get("model", hparams["model"]) != hparams["model"]:
        raise UserError(
            f"{folder} holds a run with model {former['model']}, not {hparams['model']}:"
            " give this one another --exp_name or --output_folder"
        )
    refuse_other_weights(folder, hparams, former.get("ckpt_path"))
    return [
        f"{key} is {hparams[key]}, it was {value}"
        for key, value in former.items()
        if isinstance(hparams[key], PLAIN) and value != hparams[key]
    ]


def open_protocols(hparams: dict) -> tuple[ProtocolTable, ProtocolTable]:
    """The training and validation tables, refused before anything is written or loaded."""
    tables = []
    for key in ("train_csv", "valid_csv"):
        table = ProtocolTable.open(
            hparams[key], data_folder=hparams["data_folder"], cache_folder=hparams["cache_folder"]
        )
        table.require_both_classes()
        table.check_paths()
        tables.append(table)
    return tables[0], tables[1]


def build_brain(hparams: dict, run_options: dict, folder: Path, world: World) -> DetectorBrain:
    """The Brain around its detector; initial weights are loaded unless a run is resumed."""
    save = folder / "save"
    checkpointer = WholeCheckpointer(
        save, kind="last", num_to_keep=hparams["keep_last"], world=world
    )
    best = WholeCheckpointer(save, kind="best", num_to_keep=hparams["keep_best"], world=world)
    resuming = checkpointer.newest_intact() is not None
    detector, weights = initial_detector(hparams, resuming=resuming)
    if world.is_main and not resuming:
        record_first_weights(folder, hparams, weights)
    held = freeze_front_end(detector, hparams)
    adapters = put_adapters(detector, hparams, weights)
    detector.set_activation_checkpointing(hparams["checkpoint_activations"])
    log = TrainLog(
        folder,
        active=world.is_main,
        show_bar=not run_options.get("noprogressbar", False),
        interval=hparams["log_interval"],
    )
    return DetectorBrain(
        detector,
        hparams=hparams,
        run_opts=run_options,
        world=world,
        checkpointer=checkpointer,
        best=best,
        log=log,
        held=held,
        adapters=adapters,
    )


def initial_detector(hparams: dict, *, resuming: bool) -> tuple[Detector, CheckpointInfo | None]:
    """The detector with its first weights: a checkpoint's, or seeded random ones (None).

    `resuming`: with memory for the weights of the run's own checkpoint, which has all but a base
    that is adapted.
    """
    import torch

    torch.manual_seed(hparams["seed"])
    options = {**detector_options(hparams), "mask_padding": hparams["mask_padding"]}
    model, source = hparams["model"], first_weights(hparams)
    if source is None and pretraining(hparams) is not None and not resuming:
        raise UserError(
            f"ckpt_path is null, and {model} is not trained from random weights: give a detector"
            " checkpoint or hub id as --ckpt_path, or `pretrained` for its pre-training file"
        )
    if resuming and hparams["lora"] is None:
        return unfilled_detector(model, **options), None
    if source is None:
        return build_detector(model, **options), None
    detector, info = load_detector(model, source, **options)
    logger.info("weights from %s (%s)", info.path, info.kind)
    return detector, info


def freeze_front_end(detector: Detector, hparams: dict) -> list:
    """Freeze what `freeze_front_end` says for good, or return it to be held `freeze_until_step`."""
    what, until = hparams["freeze_front_end"], hparams["freeze_until_step"]
    trained = list(detector.detection_parameters())
    detector.freeze(what)
    if until is None:
        return []
    still = {id(parameter) for parameter in detector.detection_parameters()}
    detector.freeze("none")
    return [parameter for parameter in trained if id(parameter) not in still]


def make_train_stream(
    hparams: dict, table: ProtocolTable, world: World, device: str
) -> TrainStream:
    crop = crop_range(hparams["train_crop_seconds"])
    frame_loss, frame_labels = build_frame_loss(hparams["loss"]), None
    if frame_loss is not None:
        frame_labels = FrameLabels(frame_loss.resolution)
        frame_labels.check(table)
    dataset = WaveformDataset(
        table,
        mode="train",
        frame_labels=frame_labels,
        crop_seconds=crop,
        augmentation=augmentation(hparams),
        on_device=hparams["augment_on"] == "device",
        seed=hparams["seed"],
    )
    plan = BatchPlan(
        table.durations,
        max_batch_length=hparams["max_batch_length"],
        num_buckets=hparams["num_buckets"],
        seed=hparams["seed"],
        clip_seconds=crop[1] if crop else None,
    )
    return TrainStream(
        dataset,
        plan,
        world=world,
        accumulation=hparams["grad_accumulation_factor"],
        number_of_passes=hparams["number_of_epochs"],
        **loader_options(hparams, device),
    )


def make_valid_stream(
    hparams: dict, table: ProtocolTable, world: World, device: str
) -> ValidStream:
    """Whole files in fixed batches; `valid_augment`: the published crops and RawBoost."""
    longest = hparams["max_valid_duration"]
    options: dict = {"mode": "valid", "max_valid_duration": longest}
    if hparams["valid_augment"]:
        crop = crop_range(hparams["train_crop_seconds"])
        options = {"mode": "train", "crop_seconds": crop, "augmentation": augmentation(hparams)}
        longest = crop[1] if crop else None
    dataset = WaveformDataset(table, seed=hparams["seed"], **options)
    durations = np.minimum(table.durations, np.inf if longest is None else longest)
    batches = scoring_batches(durations, max_batch_length=hparams["valid_batch_length"])
    return ValidStream(dataset, batches, world=world, **loader_options(hparams, device))


def augmentation(hparams: dict) -> augment.Augmentation | None:
    """What the YAML asks for, or None when it asks for nothing."""
    rawboost = hparams["rawboost"] if hparams["use_da"] else None
    if rawboost is None and not hparams["augmentations"]:
        return None
    return augment.build(rawboost, hparams["augmentations"])


def crop_range(value: object) -> tuple[float, float] | None:
    """`train_crop_seconds` as (shortest, longest); a single number is both; None is no cropping."""
    if value is None:
        return None
    bounds = list(value) if isinstance(value, (list, tuple)) else [value, value]
    # A bare --train_crop_seconds is True, which Python takes for the number 1.
    numbers = all(isinstance(b, (int, float)) and not isinstance(b, bool) for b in bounds)
    if len(bounds) != 2 or not numbers or not 0 < bounds[0] <= bounds[1]:
        raise UserError(
            f"train_crop_seconds is {value!r}: expected a number of seconds or [shortest, longest]"
        )
    return float(bounds[0]), float(bounds[1])


def loader_options(hparams: dict, device: str) -> dict:
    return {
        "num_workers": hparams["num_workers"],
        "prefetch_factor": hparams["prefetch_factor"],
        "pin_memory": device.startswith("cuda"),
    }


def report(brain: DetectorBrain, folder: Path) -> None:
    """One line on how the run ended."""
    state = brain.state
    best = "none yet" if state.best_eer is None else f"{100 * state.best_eer:.2f} %"
    logger.info(
        "done: %d optimiser steps, %.2f hours of audio, best validation EER %s, in %s",
        brain.optimizer_step,
        state.audio_seconds / 3600,
        best,
        folder,
    )
