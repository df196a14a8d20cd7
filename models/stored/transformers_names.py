"""wav2vec 2.0 and HuBERT under transformers' names and under fairseq's: the same tensors.

`#` stands for a number. A whole name begins with the left or the right side of one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

CONV = "feature_extractor.conv_layers.#."
BLOCK = "encoder.layers.#."
PAIRS = (  # transformers, fairseq
    (f"{CONV}conv.", f"{CONV}0."),
    ("feature_projection.projection.", "post_extract_proj."),
    ("feature_projection.layer_norm.", "layer_norm."),
    ("encoder.pos_conv_embed.conv.", "encoder.pos_conv.0."),
    (f"{BLOCK}attention.", f"{BLOCK}self_attn."),
    (f"{BLOCK}layer_norm.", f"{BLOCK}self_attn_layer_norm."),
    (f"{BLOCK}feed_forward.intermediate_dense.", f"{BLOCK}fc1."),
    (f"{BLOCK}feed_forward.output_dense.", f"{BLOCK}fc2."),
    ("masked_spec_embed", "mask_emb"),
)
LAYER_NORM = (f"{CONV}layer_norm.", f"{CONV}2.1.")  # after every convolution
GROUP_NORM = (f"{CONV}layer_norm.", f"{CONV}2.")  # after the first alone
TRANSFORMERS, FAIRSEQ = NAMINGS = ("transformers", "fairseq")  # the columns of the pairs
SIGN = "feature_projection.projection.weight"  # of a front end under transformers' names
# What stands beside a front end in a file of transformers' and takes no part in detection.
BESIDE = ("quantizer.", "project_hid.", "project_q.", "lm_head.", "projector.", "classifier.")
ABSENT = ("quantizer.", "project_q.", "final_proj.", "label_embs_concat")  # fairseq's alone


def renamed(state: Mapping[str, object], prefix: str, to: str) -> dict[str, object]:
    """`state` with the names behind `prefix` brought to those of `to`: TRANSFORMERS or FAIRSEQ.

    A name that neither table knows stays, for whoever fills a model to refuse.
    """
    second = f"{prefix}feature_extractor.conv_layers.1."
    layer_norm = any(f"{second}{name}weight" in state for name in ("layer_norm.", "2.1."))
    table = _table((*PAIRS, LAYER_NORM if layer_norm else GROUP_NORM), to)
    found = {}
    for name, tensor in state.items():
        own = name.removeprefix(prefix)
        if own != name and to == TRANSFORMERS and own.startswith(ABSENT):
            continue
        found[prefix + _renamed(own, table) if own != name else name] = tensor
    return found


def _table(pairs: Iterable[tuple[str, str]], to: str) -> list[tuple[re.Pattern, str]]:
    column = NAMINGS.index(to)
    return [
        (
            re.compile(re.escape(pair[1 - column]).replace(r"\#", r"(\d+)")),
            pair[column].replace("#", r"\1"),
        )
        for pair in pairs
    ]


def _renamed(name: str, table: list[tuple[re.Pattern, str]]) -> str:
    for pattern, new in table:
        if match := pattern.match(name):
            return match.expand(new) + name[match.end() :]
    return name


def base_model(state: Mapping[str, object]) -> dict[str, object] | None:
    """A front end under transformers' names alone, without what stands beside it; None if none."""
    signs = [name for name in state if name.endswith(SIGN)]
    if len(signs) != 1:
        return None
    prefix = signs[0].removesuffix(SIGN)  # `wav2vec2.`, `hubert.`, ... of a model with a head
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix) or not name.startswith(BESIDE)
    }
