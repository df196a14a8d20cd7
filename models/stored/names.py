"""Names of weights as other tools save them, brought to a detector's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from dataio.pickle_records import quoted
from models.stored.transformers_names import base_model

PREFIX = "m_ssl.model."  # of front-end tensors in a detector's state dict
HEAD = "head."  # of tensors of every head but the release's
OWN = re.compile(r"(|.*?\.)(?:m_ssl\.model\.|proj_fc\.|head\.)", re.DOTALL)
# SSL_Anti-spoofing (XLS-R + AASIST) and SLS have an SSL model; AASIST on the waveform has graphs.
SSL_MODEL = "ssl_model.model."
PUBLIC = re.compile(r"(|.*?\.)(?:ssl_model\.model\.|GAT_layer_S\.|GAT_layer_T\.)", re.DOTALL)
# Where trainers put the state dict; a fairseq file has its front end in `model`.
CONTAINERS = ("model", "state_dict", "model_state_dict")
# Modules around the detector or a part of it, which say nothing of its weights: of data-parallel
# and fully sharded training, of torch.compile, of activation checkpointing.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
WEIGHT_NORM_NAMES = {  # torch's newer names of the same pair
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}


def detector_names(content: Mapping) -> tuple[dict[str, object], str]:
    """What a checkpoint holds under a detector's names, and its kind: detector or pretraining.

    Modules wrapped around the detector, and one prefix that all its tensors share (`model.` of
    Lightning, `ema.`), leave the names. ValueError where two sets of weights would be the same.
    """
    container = next((k for k in CONTAINERS if isinstance(content.get(k), dict)), None)
    found = content if container is None else content[container]
    names = [plain_name(name) for name in found]
    state = dict(zip(names, found.values(), strict=True))
    if len(state) < len(found):
        ((twice, _),) = Counter(names).most_common(1)
        raise ValueError(f"it holds two tensors for {quoted(twice)}, wrapped and plain: keep one")
    prefixes = _prefixes(OWN, names)
    if prefixes:
        return _without(state, _the_one(prefixes)), "detector"
    if prefixes := _prefixes(PUBLIC, names):
        return _public(_without(state, _the_one(prefixes))), "detector"
    if (front_end := base_model(state)) is not None or container == "model":
        front_end = state if front_end is None else front_end
        return {PREFIX + name: tensor for name, tensor in front_end.items()}, "pretraining"
    return state, "detector"


def _prefixes(pattern: re.Pattern, names: Iterable[str]) -> list[str]:
    return sorted({match[1] for name in names if (match := pattern.match(name))})


def _the_one(prefixes: list[str]) -> str:
    if len(prefixes) > 1:
        behind = " and ".join(repr(quoted(prefix)) for prefix in prefixes[:3])
        raise ValueError(
            f"it holds {len(prefixes)} sets of weights, behind the names {behind}:"
            " save the one that is wanted by itself"
        )
    return prefixes[0]


def _without(state: dict[str, object], prefix: str) -> dict[str, object]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def _public(state: dict[str, object]) -> dict[str, object]:
    """Detectors of the field: a front end in `ssl_model`, if any, and beside it a head's parts."""
    return {
        PREFIX + name.removeprefix(SSL_MODEL) if name.startswith(SSL_MODEL) else HEAD + name: tensor
        for name, tensor in state.items()
    }


def plain_name(name: object) -> str:
    """`name` without wrapping modules, its weight norm named as of old."""
    if not isinstance(name, str):
        return quoted(str(name) if isinstance(name, (int, float)) else name)
    if not WRAPPERS.isdisjoint(parts := name.split(".")):
        name = ".".join(part for part in parts if part not in WRAPPERS)
    for new, old in WEIGHT_NORM_NAMES.items():
        name = name.replace(new, old)
    return name
