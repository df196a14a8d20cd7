"""The engines that a YAML can name: `front_end: {engine: transformers, source: FOLDER}`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping

from dataio.schema import UserError
from models.front_ends import preprocessing
from models.front_ends.interface import FrontEnd

ENGINES = {  # imported when they are used: all but the first need an optional package or are rare
    "native": "models.front_ends.native:NativeFrontEnd",
    "fairseq": "models.front_ends.fairseq_engine:FairseqFrontEnd",
    "transformers": "models.front_ends.transformers_engine:TransformersFrontEnd",
    "sinc": "models.front_ends.sinc:SincFrontEnd",
    "onnx": None,  # no front end: models.onnx_detector is a whole detector
}
DEFAULT = "native"


def build_front_end(
    model_name: str, spec: Mapping[str, object], overrides: Mapping[str, object]
) -> FrontEnd:
    """The front end of `spec`: `{"engine": ..., option: value}`, with random weights.

    `overrides` changes fields of its `FrontEndConfig`. UserError for an engine, an option or a
    model that is not known, and for an engine whose package is missing.
    """
    options = dict(spec)
    engine = options.pop("engine", DEFAULT)
    if engine not in ENGINES:
        raise UserError(f"unknown ssl_engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if ENGINES[engine] is None:
        raise UserError(
            f"ssl_engine {engine} runs exported detectors: it has no weights to train or fill"
        )
    module, _, name = ENGINES[engine].partition(":")
    front_end = getattr(importlib.import_module(module), name)
    own = list(inspect.signature(front_end.named).parameters)[2:]
    unknown = sorted(set(options) - {*own, *preprocessing.OPTIONS})
    if unknown:
        known = ", ".join(["engine", *own, *preprocessing.OPTIONS])
        raise UserError(
            f"unknown option {unknown[0]!r} of front_end with engine {engine}: choose among {known}"
        )
    built = front_end.named(
        model_name, overrides, **{key: value for key, value in options.items() if key in own}
    )
    built.preprocessing = preprocessing.read_preprocessing(options, normalise=built.normalise)
    return built
