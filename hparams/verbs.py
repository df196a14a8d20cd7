"""The verbs of main.py: what each does, how it is written and what runs it; their keys are in the
recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

TRAIN = "train"  # the form without a verb


@dataclass(frozen=True)
class Verb:
    """`usage` follows `python main.py`; `runs` is "module:function", imported when it is called.

    `needs_folders`: base_path has to be set; `takes_model`: the first word is a YAML or a model,
    without it only the recipe's keys are read; `takes_files`: words follow, the function's last
    argument.
    """

    usage: str
    summary: str
    runs: str
    needs_folders: bool = True
    takes_model: bool = True
    takes_files: bool = False

    def function(self) -> Callable[..., int]:
        """Of (hparams, run_options) and, where the verb takes them, files; gives the status."""
        module, _, name = self.runs.partition(":")
        return getattr(import_module(module), name)


VERBS = {
    TRAIN: Verb(
        "MODEL --base_path B [--exp_name E]",
        "post-train or fine-tune a detector; goes on where it was if the output folder exists",
        "models.training.run:train",
    ),
    "inference": Verb(
        "inference MODEL --base_path B --test_csv T.csv [--ckpt_path C]",
        "score the rows of a protocol CSV",
        "models.scoring.run:infer",
    ),
    "analysis": Verb(
        "analysis MODEL --base_path B --test_csv T.csv [--ckpt_path C]",
        "the same, and write embeddings, which drift reads",
        "models.scoring.run:analyse",
    ),
    "score": Verb(
        "score MODEL FILE_OR_FOLDER ... --ckpt_path C [--output S.csv]",
        "verdicts on audio files, without protocol or labels",
        "models.scoring.audio:score_audio",
        needs_folders=False,
        takes_files=True,
    ),
    "timeline": Verb(
        "timeline MODEL FILE_OR_FOLDER ... --ckpt_path C --output_folder O [--html]",
        "where in a recording: curve, segments, labels, picture, page",
        "models.scoring.timeline_files:timelines",
        needs_folders=False,
        takes_files=True,
    ),
    "serve": Verb(
        "serve MODEL --ckpt_path C [--port 8000] [--host 127.0.0.1]",
        "a page, a REST and a WebSocket service that score audio on this machine",
        "models.serving.run:serve",
        needs_folders=False,
    ),
    "export": Verb(
        "export MODEL --ckpt_path C --output_folder O [--onnx fp32 int8]",
        "hand a detector on: weights, card, self-test, transformers, ONNX",
        "models.export.run:export",
        needs_folders=False,
    ),
    "selftest": Verb(
        "selftest FOLDER_OR_HUB_ID",
        "compute an exported detector's own answers again, with every engine in its folder",
        "models.export.selftest:selftest",
        needs_folders=False,
        takes_model=False,
        takes_files=True,
    ),
    "average": Verb(
        "average RUN --best 3 [--output C.ckpt] (or --last 5)",
        "the mean weights of several checkpoints of a run, as one that scores anywhere",
        "models.training.averaging:average",
        needs_folders=False,
        takes_model=False,
        takes_files=True,
    ),
    "stream": Verb(
        "stream MODEL [FILE] --ckpt_path C",
        "scores while one listens: a file, PCM on standard input (-), or the microphone",
        "models.scoring.live:stream_audio",
        needs_folders=False,
        takes_files=True,
    ),
}

# What people type for a verb.
MEANINGS = {
    TRAIN: "training fit run finetune finetuning fine_tune fine_tuning"
    " posttrain post_train posttraining post_training",
    "inference": "eval evaluate evaluation test infer validate scoring",
    "analysis": "analyse analyze embed embedding embeddings extract features",
    "average": "averaging mean swa soup merge ensemble combine",
    "stream": "live listen realtime real_time microphone mic online",
    "score": "predict detect classify verdict check",
    "timeline": "localise localize locate segments diarise where timelines",
    "export": "convert onnx publish upload push share package",
    "serve": "server service api rest web webui app gui daemon deploy",
    "selftest": "self_test verify",
}
