"""The recipe's keys as its comments explain them: what help and the manual say of each.

The comments are the one place where a key is explained. A section's headline names the verbs its
keys matter to; a key's comment gives unit and effect, and goes on over indented lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from dataio.nearest import did_you_mean

HERE = Path(__file__).parent
RECIPE = HERE / "recipe.yaml"
EVERY_VERB = "every verb"

_HEADLINE = re.compile(r"# --- (.+): (.+?) -*$")
_KEY = re.compile(r"(\w+):(.*?)(?:\s# (.*))?$")
_GOES_ON = re.compile(r"\s+# (.*)$")

# What other toolkits and people call our keys, for the question "did you mean ...?".
MEANINGS = {
    "lr": "learning_rate initial_lr init_lr max_lr peak_lr base_lr eta alpha",
    "weight_decay": "wd l2 decay",
    "warmup": "warmup_steps n_warmup_steps num_warmup_steps warm_up",
    "optimizer_step_limit": "max_steps num_steps total_steps steps n_steps iterations max_iter",
    "number_of_epochs": "epochs num_epochs max_epochs n_epochs num_train_epochs epoch passes",
    "grad_accumulation_factor": "gradient_accumulation_steps accumulate_grad_batches accumulation"
    " accum_iter update_freq",
    "max_grad_norm": "grad_clip gradient_clip clip_grad_norm clip_norm gradient_clip_val clip",
    "opt_class": "optimizer optim optimiser",
    "lr_schedule": "scheduler lr_scheduler schedule",
    "precision": "amp fp16 bf16 half mixed_precision dtype",
    "seed": "random_seed manual_seed random_state",
    "max_batch_length": "batch_size bs train_batch_size per_device_train_batch_size batch",
    "valid_batch_length": "eval_batch_size valid_batch_size val_batch_size dev_batch_size",
    "num_workers": "workers n_jobs jobs threads num_processes nj",
    "train_crop_seconds": "crop cut max_length max_len segment_length segment_seconds input_length"
    " crop_length duration max_duration",
    "window_seconds": "window window_length chunk chunk_seconds chunk_length_s win_len",
    "hop_seconds": "hop stride stride_seconds hop_length step_seconds overlap",
    "max_whole_seconds": "max_seconds long_seconds max_file_seconds",
    "min_duration": "min_length min_len min_seconds",
    "valid_step": "eval_steps eval_every valid_every val_interval val_check_interval eval_interval",
    "ckpt_interval_steps": "save_steps save_interval save_every checkpoint_interval",
    "log_interval": "log_steps logging_steps log_every",
    "freeze_front_end": "freeze freeze_ssl freeze_encoder freeze_backbone frozen",
    "checkpoint_activations": "gradient_checkpointing activation_checkpointing",
    "use_da": "rawboost_on data_augmentation augment use_augmentation",
    "augmentations": "augmentation transforms",
    "base_path": "root base work_dir workdir root_dir experiment_folder",
    "exp_name": "name experiment run_name experiment_name exp",
    "data_folder": "data data_dir data_path data_root dataset corpus",
    "output_folder": "output_dir out_dir save_dir save_path result_dir results",
    "ckpt_path": "checkpoint ckpt checkpoint_path resume resume_from pretrained weights model_path"
    " load init_from restore",
    "train_csv": "train train_data train_file train_path train_protocol train_set",
    "valid_csv": "valid dev val valid_data dev_csv val_csv dev_data valid_file",
    "test_csv": "test test_data protocol eval_csv test_file test_path csv input eval_data",
    "score_path": "scores score_file scores_path output_scores score_csv",
    "output": "out out_file output_csv output_file save o",
    "device": "gpu cuda gpus cpu",
    "debug": "debug_mode fast_dev_run sanity",
    "noprogressbar": "quiet silent no_progress no_progress_bar",
    "ssl_engine": "engine backend",
    "front_end": "frontend encoder ssl_model upstream feature_extractor normalise normalize",
    "threshold": "thr thresh cutoff",
    "channels": "channel mono stereo side",
    "calibration": "calibrate calibrator cal",
    "prior_real": "prior p_real",
    "allow_skipped": "ignore_errors skip_errors skip_bad allow_errors",
    "ssl_weight_folder": "ssl_path ssl_folder pretrained_folder",
}


@dataclass
class Key:
    """`default` as the recipe writes it; `meaning` with unit and effect."""

    name: str
    default: str
    meaning: str


@dataclass
class Section:
    """Keys that belong together; `verbs` holds None for every verb."""

    title: str
    verbs: tuple[str, ...] | None
    keys: list[Key] = field(default_factory=list)


def sections(recipe: Path = RECIPE) -> list[Section]:
    """The recipe's sections in its order. A key without a section is a mistake: ValueError."""
    found: list[Section] = []
    for line in recipe.read_text(encoding="utf-8").splitlines():
        if match := _HEADLINE.match(line):
            title, verbs = match.groups()
            found.append(Section(title, None if verbs == EVERY_VERB else tuple(verbs.split(", "))))
        elif match := _KEY.match(line):
            if not found:
                raise ValueError(f"{recipe}: {match[1]} stands before the first headline")
            found[-1].keys.append(Key(match[1], _shown(match[2].strip()), match[3] or ""))
        elif (match := _GOES_ON.match(line)) and found and found[-1].keys:
            found[-1].keys[-1].meaning += f" {match[1]}"
    return found


def sections_of(verb: str) -> list[Section]:
    """What matters to `verb`."""
    return [section for section in sections() if section.verbs is None or verb in section.verbs]


def model_names() -> list[str]:
    """The names that stand for a YAML of this folder."""
    return sorted(path.stem for path in HERE.glob("*.yaml") if path.stem != RECIPE.stem)


def which_model(word: str) -> str:
    """The end of a refusal of an unknown model."""
    names = model_names()
    return did_you_mean(word, names, {}, f"choose one of {', '.join(names)}")


def _shown(value: str) -> str:
    """A default in plain words: tags of YAML are no help to a reader."""
    return re.sub(r"^!\w+:?\s*", "", value) or "{...}"
