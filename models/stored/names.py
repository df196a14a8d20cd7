"""Names of weights as other tools save them, brought to a detector's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from dataio.pickle_records import quoted

PREFIX = "m_ssl.model."  # of front-end tensors in a detector's state dict
OWN = re.compile(r"(|.*?\.)(?:m_ssl\.model\.|proj_fc\.|head\.)", re.DOTALL)
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
    names = [_plain(name) for name in found]
    state = dict(zip(names, found.values(), strict=True))
    if len(state) < len(found):
        ((twice, _),) = Counter(names).most_common(1)
        raise ValueError(f"it holds two tensors for {quoted(twice)}, wrapped and plain: keep one")
    prefixes = sorted({match[1] for name in names if (match := OWN.match(name))})
    if not prefixes and container == "model":
        return {PREFIX + name: tensor for name, tensor in state.items()}, "pretraining"
    if len(prefixes) > 1:
        behind = " and ".join(repr(quoted(prefix)) for prefix in prefixes[:3])
        raise ValueError(
            f"it holds {len(prefixes)} sets of weights, behind the names {behind}:"
            " save the one that is wanted by itself"
        )
    prefix = "".join(prefixes)
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}, "detector"


def _plain(name: object) -> str:
    """`name` without wrapping modules, its weight norm named as of old."""
    if not isinstance(name, str):
        return quoted(str(name) if isinstance(name, (int, float)) else name)
    if not WRAPPERS.isdisjoint(parts := name.split(".")):
        name = ".".join(part for part in parts if part not in WRAPPERS)
    for new, old in WEIGHT_NORM_NAMES.items():
        name = name.replace(new, old)
    return name
