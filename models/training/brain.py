"""The training engine: a SpeechBrain Brain that fills its hooks.

Where a hook of SpeechBrain could not do it, the override says why. A SpeechBrain "epoch" is here
the stretch between two validations (`valid_step` optimiser steps), so that `fit`, its stages and
its intra-epoch checkpoints serve as they are; passes over the data are the TrainStream's business.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator

import torch
from speechbrain import Brain, Stage
from speechbrain.utils.checkpoints import Checkpoint

from dataio.dataset import WaveformBatch
from dataio.schema import UserError
from dataio.stopping import Stopped, StopRequest
from models.detector import Detector
from models.distributed import World
from models.heads.frame_loss import build_frame_loss, require_frames
from models.heads.interface import FrameOutput, HeadOutput
from models.heads.losses import build_loss
from models.in_flight import InFlight
from models.precision import autocast
from models.training.adapters import Adapters
from models.training.bad_files import BadFiles
from models.training.inputs import draw_seed, inputs_of
from models.training.log import TrainLog
from models.training.optimizer import (
    follow,
    head_settings,
    make_optimizer,
    refuse_other_part,
    trained_part,
)
from models.training.snapshot import Copies
from models.training.state import TrainState
from models.training.step import Step, StepSums, read
from models.training.stream import MicroBatch, Position, TrainStream
from models.training.validation import Validation, ValidStream
from models.training.whole_checkpoint import WholeCheckpointer
from models.training.wrapping import compile_front_end, distributed

logger = logging.getLogger(__name__)
SHORTEST = 400  # samples, the front end's receptive field: what a rank without rows feeds it


class DetectorBrain(Brain):
    """Post-trains or fine-tunes a `Detector`.

    `best` keeps the checkpoint with the lowest validation EER, the inherited checkpointer the
    `last`. `held` are the parameters that stay as they are until `freeze_until_step`; `adapters`
    are all that checkpoints hold of the detector, where there are any.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        hparams: dict,
        run_opts: dict,
        world: World,
        checkpointer: WholeCheckpointer,
        best: WholeCheckpointer,
        log: TrainLog,
        held: list[torch.nn.Parameter] = (),
        adapters: Adapters | None = None,
    ):
        precisions = [run_opts.get(k, hparams[k]) for k in ("precision", "eval_precision")]
        # Ours, see `models.precision`: SpeechBrain knows no TF32 by name and no fp16 on a CPU.
        own = {"precision": "fp32", "eval_precision": "fp32"}
        super().__init__(
            modules={"detector": detector},
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts={**run_opts, **own},
            checkpointer=checkpointer,
        )
        self.detector, self.world, self.best = detector, world, best
        self.log, self.held = log, list(held)
        self.loss = build_loss(hparams["loss"], last=hparams["head"].get("last", "linear"))
        self.frame_loss = build_frame_loss(hparams["loss"])
        if self.frame_loss is not None:
            require_frames(detector.classifier, hparams["head"]["name"])
            if hparams["equal_crops"]:
                raise UserError("equal_crops cuts what a loss of frames has labels for: leave it")
        best.checkpoints_dir = checkpointer.checkpoints_dir  # which `--debug` has just moved
        self.state = TrainState()
        self.stop = StopRequest(hparams["time_limit"])
        self._last_saved = time.monotonic()
        self._stopping = self._save_due = False  # as all ranks have agreed at the last step
        self.scaler = torch.GradScaler(self.device_type, enabled=precisions[0] == "fp16")
        self.training_ctx, self.evaluation_ctx = (autocast(self.device_type, p) for p in precisions)
        detector.pad_to_frames = hparams["pad_to_frames"]
        for name, item in (("ssl", adapters or detector), ("state", self.state)):
            checkpointer.add_recoverable(name, item)
        if self.scaler.is_enabled():
            checkpointer.add_recoverable("scaler", self.scaler, optional_load=True)
        self.copies = Copies(detector, hparams)
        for name, item in self.copies.items():
            checkpointer.add_recoverable(name, item, optional_load=True)
        best.add_recoverable("ssl", adapters or detector)
        self.bad_files = BadFiles(limit=hparams["max_bad_files"])
        self.reads_late = self.device_type == "cuda"
        self._sums = StepSums(self.device)
        self._taken: tuple[InFlight, int, float] | None = None  # the step under way, number, lr
        self._validation = Validation(hparams["valid_csv"])

    # --- one step ---------------------------------------------------------------------------------

    def compute_forward(
        self, batch: MicroBatch | WaveformBatch, stage: Stage
    ) -> HeadOutput | FrameOutput:
        """Logits (B, 2) and embeddings (B, D), through the one `forward` that DDP watches; also
        those of the frames where their loss is asked for.
        """
        if stage != Stage.TRAIN:
            # Without DDP's wrapper: ranks hold different numbers of validation batches.
            self.detector.mask_padding = True
            waveforms = batch.waveforms.to(self.device, non_blocking=True)
            return self.detector(waveforms, batch.lengths)
        self.detector.mask_padding = self.hparams.mask_padding
        torch.manual_seed(draw_seed(self.hparams.seed, batch.draw))
        data = batch.data
        if len(data) == 0:
            return self._forward_of_nothing()
        waveforms, lengths = inputs_of(data, self.device, equal_crops=self.hparams.equal_crops)
        with_frames = self.frame_loss is not None
        return self.modules.detector(waveforms, lengths, with_frames=with_frames)

    def _forward_of_nothing(self) -> HeadOutput:
        """A forward that counts for nothing, so that this rank joins the gradient's sum."""
        silence = torch.zeros(1, SHORTEST, device=self.device)
        output = self.modules.detector(silence, [SHORTEST])
        return HeadOutput(output.logits * 0, output.embedding * 0)

    def compute_objectives(
        self, predictions: HeadOutput | FrameOutput, batch: MicroBatch | WaveformBatch, stage: Stage
    ) -> torch.Tensor:
        """The loss of the recipe, averaged over the rows of the whole optimiser step.

        The factor world x accumulation cancels DDP's mean over ranks and `fit_batch`'s over
        accumulated batches, which weigh batches, not rows.
        """
        logits = predictions.logits.float()
        if stage != Stage.TRAIN:
            return self._validation.add(batch, logits)
        labels = self._sent(batch.data.labels)
        if len(labels) == 0:
            return logits.sum() * 0
        total = self.loss(logits, labels).sum()
        if self.frame_loss is not None:
            counts = self._sent(self.detector.frame_lengths(batch.data.lengths))
            parts = self._sent(batch.data.frame_labels)
            total = total + self.frame_loss(predictions.frame_logits.float(), counts, parts).sum()
        self._sums.add(total, len(labels), batch.data.seconds)
        share = self.world.size * self.grad_accumulation_factor
        return total * (share / batch.step_rows)

    def _sent(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.device, non_blocking=True)

    def fit_batch(self, batch: MicroBatch) -> torch.Tensor:
        """As SpeechBrain's, which reads the loss back, twice, before the next batch is begun."""
        should_step = self.step % self.grad_accumulation_factor == 0
        self.on_fit_batch_start(batch, should_step)
        with self.no_sync(not should_step):
            with self.training_ctx:
                outputs = self.compute_forward(batch, Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, Stage.TRAIN)
            loss = self.scaler.scale(loss / self.grad_accumulation_factor)
            self._sums.note(loss)
            loss.backward()
        if should_step:
            self.optimizers_step()
        self.on_fit_batch_end(batch, outputs, loss, should_step)
        return loss.detach()

    def update_average(self, loss: torch.Tensor, avg_loss: float) -> float:
        """SpeechBrain's own mean loss is shown nowhere, and following it reads every loss."""
        return avg_loss

    def on_fit_batch_start(self, batch: MicroBatch, should_step: bool) -> None:
        self._planned_rows = batch.step_rows
        self.bad_files.note(batch.data)
        if should_step:
            follow(self.hparams.lr_schedule, self.optimizer, self.optimizer_step)

    def optimizers_step(self) -> None:
        """Clip and step, or skip the step for every rank when the loss of any was not finite.

        Overridden because SpeechBrain's backs a NaN loss into the weights unless gradients are
        scanned one by one, drops the gradient norm, and counts a skipped step as done by each rank.
        """
        sums = self._sums.over_ranks(
            self.bad_files.pending,
            float(self.stop.reason is not None),
            float(self.world.is_main and self._interval_is_over()),
        )
        self._hold_frozen_part()
        limit = self.max_grad_norm if self.max_grad_norm > 0 else math.inf
        taken = self._step.take(sums, planned=self._planned_rows, max_norm=limit)
        former, self._taken = self._taken, (taken, self.optimizer_step, self._lr)
        self.optimizer_step += 1
        self.copies.after_step(self.optimizer_step)
        self._sums = StepSums(self.device)
        if self.reads_late:
            self._settle(former)
        else:
            self._settle_last()

    @property
    def _lr(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    def _settle_last(self) -> None:
        """Count the step under way, if one is, before anything that depends on the count."""
        taken, self._taken = self._taken, None
        self._settle(taken)

    def _settle(self, taken: tuple[InFlight, int, float] | None) -> None:
        """Count a step: on a GPU when the next has been sent there, so that it never idles."""
        if taken is None:
            return
        state, (pending, step, lr) = self.state, taken
        found = read(pending)
        self._stopping, self._save_due = bool(found.stopping), bool(found.save_due)
        state.audio_seconds += found.seconds
        if not found.finite:
            overflow = self.scaler.is_enabled() and not found.nonfinite
            state.skip_step(step, overflow=overflow, patience=self.nonfinite_patience)
        else:
            state.skipped_in_a_row = 0
            state.loss_sum += found.loss if found.rows else 0.0
            state.row_count += int(found.rows)
        state.scalars = self.log.step(
            step + 1,
            loss=found.loss / max(found.rows, 1),
            lr=lr,
            grad_norm=found.norm,
            audio_seconds=found.seconds,
            **({"loss_scale": found.scale} if self.scaler.is_enabled() else {}),
        )
        if found.bad:
            self.bad_files.count(state.bad_files, self.hparams.train_csv)

    def _hold_frozen_part(self) -> None:
        # Gradients are dropped rather than switched off: DDP must see the same parameters
        # throughout.
        until = self.hparams.freeze_until_step
        if until is not None and self.optimizer_step < until:
            for parameter in self.held:
                parameter.grad = None

    def on_fit_batch_end(self, batch: MicroBatch, outputs, loss: torch.Tensor, should_step: bool):
        self.log.advance()
        if should_step:
            self.state.position = batch.after

    # --- stages -----------------------------------------------------------------------------------

    def init_optimizers(self) -> None:
        """One optimiser, over the parameters that detection trains and no others."""
        self.optimizer = make_optimizer(
            self.detector,
            self.opt_class,
            remove_vector_weight_decay=self.remove_vector_weight_decay,
            head=head_settings(self.hparams),
        )
        self.optimizers_dict = {"opt_class": self.optimizer}
        self._step = Step(self.optimizer, self.scaler)
        self.checkpointer.add_recoverable("optimizer", self.optimizer)

    def on_fit_start(self) -> None:
        """As SpeechBrain's, but resuming from the newest checkpoint that is intact."""
        compile_front_end(self.detector, self)
        if self.distributed_launch:
            self.modules["detector"] = distributed(
                self.detector, self.device, find_unused=self.find_unused_parameters
            )
        self.init_optimizers()
        self.checkpointer.remove_partial()
        checkpoint = self.checkpointer.newest_intact()
        if checkpoint is not None:
            self._resume(checkpoint)
        self.copies.begin()
        validated = [row["optimizer_step"] for row in self.state.validations]
        pending = self.optimizer_step not in validated
        self.log.open(self.optimizer_step, again=self.state.scalars if pending else None)

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Load a checkpoint, under the optimiser's hyper-parameters as they are asked for now."""
        former = checkpoint.meta.get("trained_part")
        if former is not None:
            refuse_other_part(former, self._trained_part(), checkpoint.path)
        self.checkpointer.load_checkpoint(checkpoint)
        logger.info("resuming at optimiser step %d (%s)", self.optimizer_step, checkpoint.path)

    def make_dataloader(self, dataset, stage, **_):
        """The streams are loaders already, with their place in the data kept in the state."""
        return dataset

    def fit_stream(self, train: TrainStream, valid: ValidStream) -> None:
        """Train until `number_of_epochs` passes or `optimizer_step_limit` steps are done.

        Raises `Stopped`, with a `last` checkpoint saved, where the run is asked to end before.
        """
        self.train_stream, self.valid_stream = train, valid
        try:
            with self.stop:
                self.fit(self._segments(), train, valid, progressbar=False)
        finally:
            self.log.close()
            train.close()
            valid.close()

    def _segments(self) -> Iterator[int]:
        """Numbers the stretches between validations, from wherever the checkpoint left off."""
        self._match_stream()
        while self.state.stretch_end is not None or not self._done:
            yield len(self.state.validations) + 1

    @property
    def _done(self) -> bool:
        ended = self.train_stream.ended_at(self.state.position)
        return ended or self._optimizer_step_limit_exceeded

    def _match_stream(self) -> None:
        stream, state = self.train_stream, self.state
        fingerprint = stream.fingerprint()
        if state.fingerprint not in ("", fingerprint) and not self._done:
            logger.warning(
                "the training data or batch limits differ from the checkpoint's:"
                " pass %d starts again from its first batch",
                state.position.pass_index + 1,
            )
            state.position = Position(state.position.pass_index, 0)
        state.fingerprint = fingerprint
        stream.position = state.position

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        if stage == Stage.TRAIN:
            self._plan_stretch()
            self._sums = StepSums(self.device)
            self.bad_files.forget()
            # SpeechBrain steps where `step` is a multiple of the factor, which may have changed
            # since the checkpoint; the stream begins with a whole optimiser step.
            self.step -= self.step % self.grad_accumulation_factor
            self.log.start_bar("train", done=self.step, more=len(self.train_stream))
        else:
            self._validation = Validation(self.hparams.valid_csv)
            self.copies.exchange_average()
            self.log.start_bar("valid", done=0, more=len(self.valid_stream))

    def _plan_stretch(self) -> None:
        """Train up to the next validation; one resumed at its very end has no step left."""
        state, every = self.state, self.hparams.valid_step
        if state.stretch_end is None:
            state.stretch_end = (self.optimizer_step // every + 1) * every
        if self.optimizer_step_limit is not None:
            state.stretch_end = min(state.stretch_end, self.optimizer_step_limit)
        self.train_stream.position = state.position
        self.train_stream.plan_segment(max(state.stretch_end - self.optimizer_step, 0))

    def evaluate_batch(self, batch: WaveformBatch, stage: Stage) -> torch.Tensor:
        """As SpeechBrain's; a batch whose every file is unreadable has no loss."""
        if self.stop.reason is not None:  # each rank by itself: the state was saved as it began
            self._end()
        self.bad_files.note(batch)
        loss = super().evaluate_batch(batch, stage) if len(batch) else torch.zeros(())
        self.log.advance()
        return loss

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        self._settle_last()
        self.log.close_bar()
        if stage == Stage.TRAIN:
            if self.optimizer_step and not self.state.audio_seconds:
                raise UserError(
                    f"no file of {self.hparams.train_csv} that was drawn can be read:"
                    " run `python -m protocols check` on this CSV"
                )
            # A kill during validation comes back to here, not to the steps before.
            self.save_last("trained")
        else:
            self._validate()

    def _validate(self) -> None:
        """A row of the validation table, a `best` checkpoint if it is one, a `last` one."""
        state = self.state
        self.bad_files.count(state.bad_valid_files, self.hparams.valid_csv)
        found = self._validation.result()
        lr = self.optimizer.param_groups[0]["lr"]
        better = state.close_stretch(
            found, optimizer_step=self.optimizer_step, lr=lr, keep=self.best.num_to_keep
        )
        self.log.validation(state.validations, found.scores, found.labels)
        if better:
            meta = {"valid_eer": found.error.rate, "optimizer_step": self.optimizer_step}
            self.best.save_whole(f"step{self.optimizer_step:08d}", {**meta, **self._identity()})
        self.copies.exchange_average()
        self.save_last("validated")

    # --- checkpoints ------------------------------------------------------------------------------

    def save_last(self, moment: str) -> None:
        """The state from which the same command goes on as if nothing had happened."""
        self.log.flush()
        meta = {"optimizer_step": self.optimizer_step, **self._identity()}
        self.checkpointer.save_whole(f"step{self.optimizer_step:08d}-{moment}", meta)
        self._last_saved = time.monotonic()

    def _identity(self) -> dict:
        return {
            "model": self.hparams.model,
            "ssl_engine": self.hparams.ssl_engine,
            "trained_part": self._trained_part(),
        }

    def _trained_part(self) -> dict:
        names = ("freeze_front_end", "freeze_until_step", "ssl_engine", "lora")
        options = {name: getattr(self.hparams, name) for name in names}
        options["remove_vector_weight_decay"] = self.remove_vector_weight_decay
        return trained_part(self.optimizer, self.detector, options)

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time: float, steps_since_ckpt: int) -> bool:
        """Only between optimiser steps: half-accumulated gradients are not saved.

        Overridden because SpeechBrain's asks the main rank after every batch, one more collective;
        here its clock's answer has come with the step's sums.
        """
        if self.step % self.grad_accumulation_factor:
            return False
        return self._stopping or self._save_due or 0 < self.ckpt_interval_steps <= steps_since_ckpt

    def _interval_is_over(self) -> bool:
        return 0 < self.ckpt_interval_minutes < (time.monotonic() - self._last_saved) / 60

    def _save_intra_epoch_ckpt(self) -> None:
        self._settle_last()
        self.save_last("training")
        self._save_due = False
        if self._stopping:
            self._end()

    def _end(self) -> None:
        """Raise `Stopped`; the state has been saved."""
        if not self.world.is_main:  # which speaks for all
            raise Stopped
        raise Stopped(
            f"{self.stop.reason or 'another process'}: the run is kept at optimiser step"
            f" {self.optimizer_step} of {self.checkpointer.checkpoints_dir},"
            " the same command goes on from there"
        )
