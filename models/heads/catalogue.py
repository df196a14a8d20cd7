"""The heads that a YAML can name: `head: {name: mhfa, heads: 16}`.

A head of one's own is named by its place, `my_head.py:MyHead` or `package.module:MyHead`, and is
built as `MyHead(width, layers, **options)`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path

from dataio.schema import UserError
from models.heads.cosine import Cosine
from models.heads.interface import Head

HEADS = {
    "mean_linear": "models.heads.mean_linear:MeanLinear",
    "layer_sum": "models.heads.layer_sum:LayerSum",
    "attentive_statistics": "models.heads.attentive_statistics:AttentiveStatisticsLinear",
    "sls": "models.heads.sls:Sls",
    "sls_mean": "models.heads.sls:SlsMean",
    "mhfa": "models.heads.mhfa:Mhfa",
    "nes2net": "models.heads.nes2net:Nes2Net",
    "aasist": "models.heads.aasist:Aasist",
    "waveform_aasist": "models.heads.aasist:WaveformAasist",
}
DEFAULT = "mean_linear"
LAST = ("linear", "cosine")  # the last layer of any head; cosine goes with the loss oc_softmax


def build_head(spec: Mapping[str, object], *, width: int, layers: int) -> Head:
    """The head of `spec` for frames of `width` and a front end of `layers` blocks.

    UserError for a name or an option that is not known, and for values that do not fit.
    """
    options = dict(spec)
    name, last = options.pop("name", DEFAULT), options.pop("last", LAST[0])
    if last not in LAST:
        raise UserError(f"head {name}: last is {last!r}, choose one of {', '.join(LAST)}")
    head = _find(str(name))
    known = list(inspect.signature(head).parameters)[2:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        choice = f"choose among {', '.join(known)}" if known else "it has none"
        raise UserError(f"unknown option {unknown[0]!r} of head {name}: {choice}")
    for option, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"head {name}: {option} is {value!r}, expected a whole number above 0")
    try:
        built = head(width, layers, **options)
    except ValueError as error:
        raise UserError(f"head {name}: {error}") from error
    return Cosine(built) if last == "cosine" else built


def _find(name: str) -> type[Head]:
    place, _, class_name = HEADS.get(name, name).rpartition(":")
    if not place:
        raise UserError(
            f"unknown head {name!r}: choose one of {', '.join(HEADS)}, or name one of your own as"
            " my_head.py:MyHead"
        )
    try:
        found = getattr(_module(place), class_name)
    except (ImportError, OSError, AttributeError) as error:
        raise UserError(f"head {name!r} cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Head)):
        raise UserError(f"head {name!r} is no subclass of models.heads.interface.Head")
    return found


def _module(place: str):
    if not place.endswith(".py"):
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
