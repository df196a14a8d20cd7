"""A detector as a classifier of the transformers package, for `pipeline("audio-classification")`.

No code of ours is needed to load it, and none of theirs to write it: names and settings are
theirs, the projector before the classifier is the identity. `config.json` names the weights, so
that they lie beside ours in one folder.

Theirs divides a waveform by sqrt(variance + 1e-7), ours by sqrt(variance + 1e-5), which is theirs
of a tenth of it. Group-norm models (`w2v_small`) have no mask there: padding of a batch takes
part, so give them single files.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from dataio.schema import SAMPLE_RATE
from models.detector import Detector
from models.export.folder import FILES, LABELS, write_weights
from models.export.sounds import selftest_sounds
from models.front_ends.config import CONV_KERNELS, FrontEndConfig
from models.front_ends.kernels import NORM_EPS
from models.heads.mean_linear import MeanLinear
from models.scoring.files import write_json
from models.stored.transformers_names import TRANSFORMERS, renamed

SCALE = (NORM_EPS / 1e-7) ** 0.5  # theirs of x / SCALE is ours of x
FAMILIES = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}
WEIGHT_NORM = {  # of the positional convolution: our names' ends, and theirs
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}


def why_not(detector: Detector) -> str | None:
    """Why transformers has no such classifier, or None where it has."""
    if type(detector.classifier) is not MeanLinear:
        return "transformers has a linear classifier on the mean over time, and no other head"
    return None


def write(folder: Path, detector: Detector) -> None:
    """`config.json`, `preprocessor_config.json` and the weights under their names."""
    config = detector.config
    write_json(folder / "config.json", settings(config))
    write_json(
        folder / "preprocessor_config.json",
        {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "sampling_rate": SAMPLE_RATE,
            "padding_value": 0.0,
            "padding_side": "right",
            "do_normalize": True,
            "return_attention_mask": config.conv_norm == "layer",
        },
    )
    write_weights(folder / FILES["transformers"], weights(detector))


def settings(config: FrontEndConfig) -> dict:
    """Their configuration of one of our front ends."""
    kernels, strides = zip(*CONV_KERNELS, strict=True)
    drops = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout",
             "final_dropout", "layerdrop", "mask_time_prob")  # fmt: skip
    return {
        "model_type": config.family,
        "architectures": [f"{FAMILIES[config.family]}ForSequenceClassification"],
        "transformers_weights": FILES["transformers"],
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.ffn_dim,
        "hidden_act": "gelu",
        "layer_norm_eps": NORM_EPS,
        "feat_extract_norm": config.conv_norm,
        "feat_extract_activation": "gelu",
        "feat_proj_layer_norm": True,
        "conv_dim": [config.conv_dim] * len(CONV_KERNELS),
        "conv_kernel": kernels,
        "conv_stride": strides,
        "conv_bias": config.conv_bias,
        "num_feat_extract_layers": len(CONV_KERNELS),
        "num_conv_pos_embeddings": config.pos_kernel,
        "num_conv_pos_embedding_groups": config.pos_groups,
        "do_stable_layer_norm": config.pre_norm,
        "use_weighted_layer_sum": False,
        "classifier_proj_size": config.embed_dim,
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: index for index, label in enumerate(LABELS)},
        "vocab_size": 32,  # of speech recognition, which this is not
        "apply_spec_augment": False,
        **dict.fromkeys(drops, 0.0),
        "dtype": "float32",
    }


def weights(detector: Detector) -> dict[str, Tensor]:
    """Every tensor that their classifier has, under its name."""
    prefix, width = f"{detector.config.family}.", detector.config.embed_dim
    state = {prefix + name: t for name, t in detector.m_ssl.model.state_dict().items()}
    found = renamed(state, prefix, TRANSFORMERS)
    del found[f"{prefix}masked_spec_embed"]  # of pre-training alone
    for ours, theirs in WEIGHT_NORM.items():
        place = f"{prefix}encoder.pos_conv_embed.conv."
        found[place + theirs] = found.pop(place + ours)
    head = detector.classifier
    return found | {
        "projector.weight": torch.eye(width),
        "projector.bias": torch.zeros(width),
        "classifier.weight": head.weight.detach(),
        "classifier.bias": head.bias.detach(),
    }


def limits(detector: Detector) -> str:
    """Where its numbers are not ours, and by how much on the self-test's sounds: for the card."""
    sounds = [torch.from_numpy(waveform)[None] for waveform in selftest_sounds()]
    with torch.inference_mode():
        changes = [detector(s * SCALE).logits - detector(s).logits for s in sounds]
    largest = max(float(change.abs().max()) for change in changes)
    text = (
        "transformers divides a waveform by sqrt(variance + 1e-7), this detector by sqrt(variance +"
        f" 1e-5): the quieter a recording, the more that matters (at most {largest:.1e} of a logit"
        f" on the sounds of the self-test). A waveform divided by {SCALE:g} before the pipeline"
        " gives exactly the numbers of this detector."
    )
    if detector.config.conv_norm == "group":
        text += (
            " This model has no mask in transformers, so padding in a batch takes part in the"
            " scores: give it single files."
        )
    return f"## In transformers\n\n{text}"
