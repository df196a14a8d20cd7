"""Tiny encoders of the transformers package, one of each class and form, with random weights."""

from __future__ import annotations

import torch

from models.detector import Detector, build_detector

SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 5,
}
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
CONFIGS = {
    "wav2vec2": {},
    "wav2vec2, layer norm": LAYER,
    "hubert": {},
    "hubert, layer norm": LAYER,
    "wavlm": {},
    "wavlm, layer norm": LAYER,
    "data2vec-audio": {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 5},
    "unispeech-sat": {},
    "unispeech-sat, layer norm": LAYER,
    "wav2vec2-conformer": {"conv_depthwise_kernel_size": 5},
    "wav2vec2-conformer, rotary": {
        **LAYER,
        "conv_depthwise_kernel_size": 5,
        "position_embeddings_type": "rotary",
    },
}
CLASSES = [name for name in CONFIGS if "," not in name]


def encoder_config(name: str, **changes) -> dict[str, object]:
    """What a config.json says, of a key of CONFIGS."""
    return {"model_type": name.partition(",")[0], **SIZES, **CONFIGS[name], **changes}


def encoder_detector(name: str, *, head=None, drops: float = 0.0, **options) -> Detector:
    """A detector on such an encoder; every norm and bias off its one or zero, one drop rate."""
    fields = ("dropout", "attention_dropout", "activation_dropout", "layerdrop", "dropout_input")
    torch.manual_seed(1)
    made = build_detector(
        "a",
        front_end={"engine": "transformers", "config": encoder_config(name), **options},
        head=head,
        overrides=dict.fromkeys(fields, drops),
    )
    with torch.no_grad():
        for parameter in made.m_ssl.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return made
