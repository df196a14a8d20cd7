"""What must survive a restart, declared once: counters, place in the data, validations."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver, register_checkpoint_hooks

from dataio.checked import (
    ANYTHING,
    NOTHING,
    NUMBER,
    NUMBER_OR_NAN,
    TEXT,
    WHOLE,
    read_json,
)
from dataio.schema import UserError
from dataio.whole_files import write_text
from models.training.stream import Position
from models.training.validation import ValidationResult

logger = logging.getLogger(__name__)
SHAPES = {  # of a field's type, in the file
    "Position": {"pass_index": WHOLE, "micro": WHOLE},
    "str": TEXT,
    "int": WHOLE,
    "int | None": (WHOLE, NOTHING),
    "float": NUMBER_OR_NAN,
    "float | None": (NUMBER, NOTHING),
    "dict[str, float]": {...: NUMBER_OR_NAN},
    "dict[str, str]": {...: TEXT},
    "list[dict]": [{...: ANYTHING}],
}


@register_checkpoint_hooks
@dataclass
class TrainState:
    """The run so far.

    Random draws need no state: those of a file follow from (seed, pass, row), dropout from
    (seed, pass, micro-batch), the learning rate from the optimiser step.
    """

    position: Position = field(default_factory=Position)
    fingerprint: str = ""  # of the order of the training data
    stretch_end: int | None = (
        None  # optimiser step of the validation under way or ahead; None: none planned
    )
    loss_sum: float = 0.0  # cross-entropy over the rows since the last validation, all ranks
    row_count: int = 0
    audio_seconds: float = 0.0  # trained on, since the start
    skipped_steps: int = 0  # since the last validation, for a non-finite loss or gradient
    nonfinite_steps: int = 0  # those of them that are no overflow under fp16's loss scaling
    skipped_in_a_row: int = 0
    skipped_total: int = 0
    scalars: dict[str, float] = field(default_factory=dict)  # of the last step, as TensorBoard's
    bad_files: dict[str, str] = field(default_factory=dict)  # of the training set: ID -> reason
    bad_valid_files: dict[str, str] = field(default_factory=dict)
    best_eer: float | None = None
    validations: list[dict] = field(default_factory=list)  # a row each, as exp_log.txt shows them

    def skip_step(self, step: int, *, overflow: bool, patience: int) -> None:
        """Count an optimiser step that is skipped; UserError past `patience`.

        A lone overflow of fp16 gradients is how the loss scale finds its size, so `overflow` steps
        use up patience in an unbroken row only.
        """
        self.skipped_steps += 1
        self.skipped_total += 1
        self.skipped_in_a_row += 1
        self.nonfinite_steps += not overflow
        logger.log(
            logging.INFO if overflow else logging.WARNING,
            "optimiser step %d skipped: its %s not finite (%d skipped since the last validation)",
            step,
            "fp16 gradients are" if overflow else "loss or gradient is",
            self.skipped_steps,
        )
        if self.nonfinite_steps > patience:
            what = f"{self.nonfinite_steps} steps had a non-finite loss or gradient"
        elif self.skipped_in_a_row > patience:
            what = f"{self.skipped_in_a_row} steps in a row had non-finite gradients"
        else:
            return
        raise UserError(
            f"training stopped at optimiser step {step}: {what}"
            f" (nonfinite_patience {patience}); lower lr, or use --precision fp32 or bf16"
        )

    def close_stretch(
        self, found: ValidationResult, *, optimizer_step: int, lr: float, keep: int
    ) -> bool:
        """Add a row to the validation table and count anew; whether its EER is lower than all but
        `keep` - 1 before it.
        """
        former = sorted(rate for row in self.validations if (rate := row["valid_eer"]) < math.inf)
        row = {
            "validation": len(self.validations) + 1,
            "pass": self.position.pass_index + (self.position.micro > 0),  # the one trained on
            "optimizer_step": optimizer_step,
            "lr": lr,
            "train_loss": self.loss_sum / self.row_count if self.row_count else math.nan,
            "valid_loss": found.loss,
            "valid_eer": found.error.rate,
            "threshold": found.error.threshold,
            "skipped_steps": self.skipped_steps,
            "bad_files": len(self.bad_files) + len(self.bad_valid_files),
            "train_hours": self.audio_seconds / 3600,
        }
        self.validations.append(row)
        self.loss_sum, self.row_count = 0.0, 0
        self.skipped_steps, self.nonfinite_steps = 0, 0
        self.stretch_end = None
        if found.error.rate < (math.inf if self.best_eer is None else self.best_eer):
            self.best_eer = found.error.rate
        return found.error.rate < (former[keep - 1] if len(former) >= keep else math.inf)

    @mark_as_saver
    def save(self, path: Path) -> None:
        write_text(path, json.dumps(dataclasses.asdict(self)))

    @mark_as_loader
    def load(self, path: Path, end_of_epoch: bool = True) -> None:
        shape = {f"{part.name}?": SHAPES[part.type] for part in dataclasses.fields(self)}
        saved = read_json(path, shape, "go on from another checkpoint, or start anew")
        saved["position"] = Position(**saved["position"])
        for name, value in saved.items():
            setattr(self, name, value)
