"""The verbs of main.py: what each does and how it is written; their keys are in the recipe."""

from __future__ import annotations

from dataclasses import dataclass

TRAIN = "train"  # the form without a verb


@dataclass(frozen=True)
class Verb:
    """`usage` follows `python main.py`; `needs_folders`: base_path has to be set."""

    usage: str
    summary: str
    needs_folders: bool = True
    takes_files: bool = False


VERBS = {
    TRAIN: Verb(
        "MODEL --base_path B [--exp_name E]",
        "post-train or fine-tune a detector; goes on where it was if the output folder exists",
    ),
    "inference": Verb(
        "inference MODEL --base_path B --test_csv T.csv [--ckpt_path C]",
        "score the rows of a protocol CSV",
    ),
    "analysis": Verb(
        "analysis MODEL --base_path B --test_csv T.csv [--ckpt_path C]",
        "the same, and write embeddings, which drift reads",
    ),
    "score": Verb(
        "score MODEL FILE_OR_FOLDER ... --ckpt_path C [--output S.csv]",
        "verdicts on audio files, without protocol or labels",
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
    "score": "predict detect classify verdict check",
}
