"""Weights into a detector, from every kind of file they come in; the content decides the kind.

    detector, info = load_detector("mms_300m", "downloads/mms_300m.ckpt")
    info = load_checkpoint(detector, "nii-yamagishilab/mms-300m-anti-deepfake", model_name=...)

| kind | what it is | fills |
|---|---|---|
| detector | a state dict named as in `Detector` | everything |
| detector | a state dict of SSL_Anti-spoofing, SLS or AASIST, as its authors have it | everything |
| pretraining | a fairseq file whose `model` entry holds the front end | all but the head |
| pretraining | a model of transformers: its file, its folder or a hub id | all but the head |
| safetensors | `model.safetensors`: the file, its folder or a hub id | everything |
| detector | adapters of `models.lora`, with the base they name | everything |
| experiment | an experiment folder, its `save`, or one `CKPT+...` folder | everything |
| onnx | a file of `main.py export`, its folder or hub id, with engine "onnx" | is the detector |
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dataio.checked import ANYTHING, NOTHING, NUMBER, TEXT, WHOLE, read_yaml
from dataio.checksum import sha256_of
from dataio.pickle_records import QUOTED, quoted
from dataio.schema import UserError
from models.detector import Detector, build_detector, head_for
from models.front_ends.catalogue import DEFAULT
from models.front_ends.config import CONFIGS, FrontEndConfig
from models.lora import merged
from models.onnx_detector import FILES as ONNX_FILES
from models.onnx_detector import OnnxDetector
from models.stored.names import PREFIX, detector_names, plain_name
from models.stored.recognise import what_it_is
from models.stored.safetensors_file import is_safetensors, read_safetensors
from models.stored.tensors import StoredTensor
from models.stored.torch_file import is_torch_file, read_torch_file
from models.stored.transformers_names import FAIRSEQ, SIGN, TRANSFORMERS, renamed

SAFETENSORS = "model.safetensors"
WEIGHTS = (SAFETENSORS, "pytorch_model.bin")  # of a folder or a hub id, the first there is
EXPERIMENT_WEIGHTS = "ssl.ckpt"  # the detector inside a CKPT folder
CKPT_META = (
    {"unixtime?": NUMBER, "optimizer_step?": WHOLE, "kind?": TEXT, ...: ANYTHING},
    NOTHING,  # an empty file
)
ERROR_KEYS = ("valid_eer", "EER", "eer", "error")  # of CKPT.yaml, lower is better
HUB_OWNER = "nii-yamagishilab"
RELEASED = (
    "released detectors: zenodo.org/records/15580543 or huggingface.co/nii-yamagishilab "
    "(such as mms-300m-anti-deepfake)"
)
SHOWN = 10  # names of each sort that a refusal lists


class ResolvedCheckpoint(NamedTuple):
    """The file that holds the weights, and where it was found: file, folder, hub, experiment."""

    path: Path
    origin: str


@dataclass(frozen=True)
class CheckpointInfo:
    """What was loaded: `kind` of the table above, the file, and the tensors it filled.

    `made_of`: SHA-256 of the checkpoints that an exported file computes the same as.
    """

    kind: str
    path: Path
    filled: tuple[str, ...]
    stamp: tuple[int, int]  # size and modification time (ns) when it was read
    made_of: tuple[str, ...] = ()

    @property
    def fills_head(self) -> bool:
        """Whether scores mean something yet: a pre-training file leaves the head random."""
        return any(map(_of_head, self.filled))

    @cached_property
    def sha256(self) -> str:
        """Of the file, computed when asked for; UserError if the file has changed since loading."""
        if _stamp(self.path) != self.stamp:
            raise UserError(f"checkpoint {self.path} was changed while in use: run again")
        return sha256_of(self.path)


def load_detector(
    model_name: str,
    source: str | Path,
    *,
    engine: str = DEFAULT,
    mask_padding: bool = True,
    front_end: Mapping[str, object] | None = None,
    head: Mapping[str, object] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[Detector, CheckpointInfo]:
    """A detector in evaluation mode filled from `source`; weights are not initialised in vain.

    The native engine is laid out on the meta device and gets its memory once; the file is
    memory-mapped. So the peak is the detector and at most one copy of the file's tensors. What the
    file does not hold (the head of a pre-training file, unused tensors) is initialised.
    """
    spec = {"engine": engine, **(front_end or {})}
    if spec["engine"] == "onnx":
        return _load_onnx(model_name, source, head)
    options = dict(front_end=spec, mask_padding=mask_padding, head=head, overrides=overrides)
    content = _read_source(source, model_name)
    detector = unfilled_detector(model_name, **options)
    return detector.eval(), _fill(detector, *content, model_name)


def unfilled_detector(
    model_name: str,
    *,
    front_end: Mapping[str, object],
    head: Mapping[str, object] | None = None,
    **options,
) -> Detector:
    """As `build_detector`, for a file that fills it: nothing is drawn but the head's weights.

    Random numbers for 2.2 B weights take 20 s. Engines other than our own compute with their
    weights as they are built, and draw them.
    """
    options |= {"front_end": front_end, "head": head}
    if front_end.get("engine", DEFAULT) != DEFAULT:
        return build_detector(model_name, **options)
    with torch.device("meta"), _WithoutDraws():
        detector = build_detector(model_name, **options)
    return _materialised(detector, head)


def _load_onnx(
    model_name: str, source: str | Path, head: Mapping[str, object] | None
) -> tuple[OnnxDetector, CheckpointInfo]:
    """An exported file as it is; of a folder or hub id float32's, where int8 is there as well."""
    path = Path(source)
    if not path.exists() and hub_id(str(source)):
        path = fetch_folder(str(source), [f"{name}*" for name in ONNX_FILES])
    if path.is_dir():
        found = [path / name for name in ONNX_FILES if (path / name).is_file()]
        if not found:
            raise UserError(f"{source} holds no {' or '.join(ONNX_FILES)}: export with --onnx fp32")
        path = found[0]
    if not path.is_file():
        raise UserError(
            f"checkpoint {source} does not exist: `main.py export --onnx fp32` makes it"
        )
    stamp = _stamp(path)
    detector = OnnxDetector(path)
    detector.refuse_other(path, model_name, str(head["name"]) if head else None)
    made_of = (str(detector.about.get(f"{which}_sha256")) for which in ("checkpoint", "weights"))
    return detector.eval(), CheckpointInfo("onnx", path, (path.name,), stamp, tuple(made_of))


class _WithoutDraws(TorchFunctionMode):
    """Leaves tensors as they are where a constructor would draw their values.

    On the meta device there is nothing to draw, and torch loads its compiler to find that out: two
    seconds before the first score.
    """

    DRAWS = frozenset({torch.Tensor.normal_, torch.Tensor.uniform_})

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in self.DRAWS or getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def load_checkpoint(detector: Detector, source: str | Path, *, model_name: str) -> CheckpointInfo:
    """Fill `detector` from `source`; all or nothing. UserError when it does not fit or exist."""
    return _fill(detector, *_read_source(source, model_name), model_name)


def resolve_checkpoint(source: str | Path, *, model_name: str | None = None) -> ResolvedCheckpoint:
    """The weight file behind a path or a hub id, downloaded if need be; UserError if none.

    Of an experiment folder it is that of the checkpoint with the lowest validation EER, or of the
    newest if none has one.
    """
    path = Path(source)
    if path.is_file():
        return ResolvedCheckpoint(path, "file")
    if path.is_dir():
        return _resolve_folder(path)
    if hub_id(str(source)):
        return ResolvedCheckpoint(_download(str(source)), "hub")
    raise UserError(f"checkpoint {source} does not exist: {_where_to_get(model_name)}")


def _resolve_folder(folder: Path) -> ResolvedCheckpoint:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return ResolvedCheckpoint(folder / name, "folder")
    if (folder / EXPERIMENT_WEIGHTS).is_file():
        return ResolvedCheckpoint(folder / EXPERIMENT_WEIGHTS, "experiment")
    candidates = [
        checkpoint
        for parent in (folder, folder / "save")
        for checkpoint in sorted(parent.glob("CKPT+*"))
        if (checkpoint / EXPERIMENT_WEIGHTS).is_file()
    ]
    if not candidates:
        raise UserError(
            f"folder {folder} holds no checkpoint: expected {', '.join(WEIGHTS)},"
            f" {EXPERIMENT_WEIGHTS}, or CKPT+... folders with {EXPERIMENT_WEIGHTS} in it or in its"
            " save folder"
        )
    best = min(candidates, key=_checkpoint_rank)
    return ResolvedCheckpoint(best / EXPERIMENT_WEIGHTS, "experiment")


def _checkpoint_rank(folder: Path) -> tuple[float, float]:
    """Sorts CKPT folders: lowest validation EER first, those without one last, then newest."""
    try:
        meta = read_ckpt_meta(folder)
    except FileNotFoundError:
        meta = {}
    errors = [float(meta[key]) for key in ERROR_KEYS if isinstance(meta.get(key), (int, float))]
    error = next((value for value in errors if math.isfinite(value)), math.inf)
    return error, -float(meta.get("unixtime", folder.stat().st_mtime))


def read_ckpt_meta(folder: Path) -> dict:
    """What SpeechBrain notes of a checkpoint in its CKPT.yaml, from anybody's folder."""
    return read_yaml(folder / "CKPT.yaml", CKPT_META, "move that folder away") or {}


def hub_id(source: str) -> str | None:
    """The hub repository that `source` may name: `owner/name`, or a released detector's name."""
    if re.fullmatch(r"[\w.-]+-anti-deepfake(-nda)?", source):
        return f"{HUB_OWNER}/{source}"
    owner, _, name = source.partition("/")
    looks_like_id = re.fullmatch(r"[\w.-]+/[\w.-]+", source) and owner not in (".", "..")
    is_file_name = Path(name).suffix in (".ckpt", ".pt", ".pth", ".safetensors")
    if looks_like_id and not is_file_name and not Path(owner).exists():
        return source
    return None


def _download(source: str) -> Path:
    """The weights of a hub repository, from the hub's local cache if they are there."""
    from huggingface_hub import errors, hf_hub_download

    with _of_the_hub(source) as repository:
        with contextlib.suppress(errors.EntryNotFoundError):
            return Path(hf_hub_download(repository, WEIGHTS[0]))
        return Path(hf_hub_download(repository, WEIGHTS[1]))


def fetch_folder(source: str, patterns: list[str] | None = None) -> Path:
    """A hub repository's files, or those like `patterns`, in the hub's local cache."""
    from huggingface_hub import snapshot_download

    with _of_the_hub(source) as repository:
        return Path(snapshot_download(repository, allow_patterns=patterns))


@contextlib.contextmanager
def _of_the_hub(source: str) -> Iterator[str]:
    """The repository that `source` names; what the hub says of it as one sentence."""
    from huggingface_hub import errors

    repository = hub_id(source)
    if repository is None:
        raise UserError(f"{source} is no file or folder here, and no hub id (owner/name)")
    try:
        yield repository
    # The bases of the hub's HTTP error: OSError, and the error of the HTTP client it is built on.
    # ValueError: an id or an answer of which the hub's package can make no place in its cache.
    except (ValueError, *errors.HfHubHTTPError.__bases__) as error:
        reason = str(error).strip().splitlines()
        raise UserError(
            f"checkpoint {source} is no file or folder here and not to be had from the hub as "
            f"{repository} ({reason[0][:QUOTED] if reason else type(error).__name__}): {RELEASED}"
        ) from error


def _where_to_get(model_name: str | None) -> str:
    config = CONFIGS.get(model_name)
    if config is None or config.pretraining_file is None:
        return f"check the path; {RELEASED}"
    return (
        f"check the path, or get the pre-training file {config.pretraining_file} from "
        f"{config.pretraining_source}; {RELEASED}"
    )


def _read_source(source: str | Path, model_name: str) -> tuple[dict[str, object], str, Path]:
    """The tensors behind `source` under a detector's names, their kind, and the file."""
    path, origin = resolve_checkpoint(source, model_name=model_name)
    state, kind = _read_file(path)
    return state, "experiment" if (origin, kind) == ("experiment", "detector") else kind, path


def read_weights(path: Path) -> dict[str, object]:
    """What a weight file holds, under a detector's names; UserError where that is damaged."""
    return _read_file(path)[0]


def _read_file(path: Path) -> tuple[dict[str, object], str]:
    try:
        return _content_of(path)
    except ValueError as error:
        raise UserError(f"cannot read checkpoint {path}: {error}") from error


def _content_of(path: Path) -> tuple[dict[str, object], str]:
    """`read_weights`, and the kind."""
    if is_safetensors(path):
        state, kind = detector_names(read_safetensors(path))
        return state, "safetensors" if kind == "detector" else kind
    if not is_torch_file(path):
        what = what_it_is(path)
        if path.suffix == ".onnx":
            what = "an ONNX file is run by --ssl_engine onnx"
        raise UserError(f"{path} is no checkpoint: {what}")
    content = read_torch_file(path)
    if not isinstance(content, dict):
        raise UserError(f"checkpoint {path} holds no dictionary of tensors")
    if isinstance(content.get("lora"), dict):
        return merged(content, path, read_weights), "detector"
    return detector_names(content)


def _materialised(detector: Detector, head: Mapping[str, object] | None) -> Detector:
    """Memory for a detector laid out on the meta device, with what a file may lack initialised."""
    # Not `to_empty`: it asks torch's compiler, sympy included, how to allocate like a meta tensor.
    for module in detector.modules():
        for name, p in module.named_parameters(recurse=False):
            memory = torch.empty(p.shape, dtype=p.dtype)
            setattr(module, name, torch.nn.Parameter(memory, p.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))
    detector.set_head(head_for(detector.m_ssl, head))
    with torch.no_grad():
        for name, parameter in detector.m_ssl.model.named_parameters():
            if name.startswith(detector.m_ssl.unused):
                parameter.zero_()
    return detector


def _fill(
    detector: Detector, state: dict[str, object], kind: str, path: Path, model_name: str
) -> CheckpointInfo:
    """Copy `state` into `detector` after checking that it fits."""
    stamp = _stamp(path)
    own = {plain_name(name): tensor for name, tensor in detector.state_dict().items()}
    naming, stored = detector.m_ssl.naming, TRANSFORMERS if PREFIX + SIGN in state else FAIRSEQ
    if stored != naming:
        state = renamed(state, PREFIX, naming)
    unused = tuple(PREFIX + name for name in detector.m_ssl.unused)
    needed = [n for n in own if not n.startswith(unused)]
    _refuse_misfit(own, needed, state, kind, path, model_name)
    try:
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # checksums, beside each other
            tensors = list(pool.map(operator.methodcaller("read"), state.values()))
    except ValueError as error:
        raise UserError(f"cannot read checkpoint {path}: {error}") from error
    with torch.no_grad():
        for name, tensor in zip(state, tensors, strict=True):
            own[name].copy_(tensor)
    return CheckpointInfo(kind, path, tuple(state), stamp)


def _refuse_misfit(
    own: Mapping[str, Tensor],
    needed: list[str],
    state: Mapping[str, object],
    kind: str,
    path: Path,
    model_name: str,
) -> None:
    """UserError naming what is missing, unexpected or misshapen, and the model it looks like."""
    if kind == "pretraining":
        needed = [name for name in needed if not _of_head(name)]
    misshapen = [
        f"{name} {str(_shape(state[name]))[:QUOTED]} instead of {_shape(own[name])}"
        for name in own
        if name in state and _shape(state[name]) != _shape(own[name])
    ]
    faults = {
        "missing": [name for name in needed if name not in state],
        "unexpected": [name for name in state if name not in own],
        "misshapen": misshapen,
    }
    if any(faults.values()):
        listed = "; ".join(_listed(sort, names) for sort, names in faults.items() if names)
        is_head = all(map(_of_head, (name for names in faults.values() for name in names)))
        remedy = "the head is another: name it with --head" if is_head else _resemblance(state)
        raise UserError(
            f"checkpoint {path} ({kind}) does not fit model {model_name}: {listed}; {remedy}"
        )


def _of_head(name: str) -> bool:
    return not name.startswith(PREFIX)


def _shape(tensor: object) -> tuple[int, ...] | str:
    is_tensor = isinstance(tensor, (Tensor, StoredTensor))
    # Scalars that are no floats: how many batches a batch norm has seen.
    is_weight = is_tensor and (tensor.dtype.is_floating_point or not len(tensor.shape))
    return tuple(tensor.shape) if is_weight else "not a tensor of floats"


def _listed(sort: str, names: list[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {sort} ({', '.join(map(quoted, names[:SHOWN]))}{more})"


def _resemblance(state: Mapping[str, object]) -> str:
    """Which known models the tensors' names and shapes are like."""
    state = renamed(state, PREFIX, FAIRSEQ)
    found = [name for name, config in CONFIGS.items() if _looks_like(state, config)]
    if not found:
        return "it looks like no model known here"
    return f"it looks like {' or '.join(found)}: name that model's YAML"


def _looks_like(state: Mapping[str, object], config: FrontEndConfig) -> bool:
    """Whether family, widths, depth and extractor norm of `state` are those of `config`."""
    first = f"{PREFIX}feature_extractor.conv_layers.0."
    fc1 = f"{PREFIX}encoder.layers.0.fc1.weight"
    signs = {"hubert": "label_embs_concat", "wav2vec2": "quantizer.vars"}  # not transformers'
    family = next((f for f, name in signs.items() if PREFIX + name in state), config.family)
    norm = "layer" if f"{first}2.1.weight" in state else "group"
    observed = (_depth(state), family, norm, _shape(state.get(fc1)), f"{first}0.bias" in state)
    expected_fc1 = (config.ffn_dim, config.embed_dim)
    return observed == (
        config.layers, config.family, config.conv_norm, expected_fc1, config.conv_bias
    )  # fmt: skip


def _depth(names: Iterable[str]) -> int:
    pattern = re.compile(re.escape(PREFIX) + r"encoder\.layers\.(\d+)\.")
    return len({match[1] for name in names if (match := pattern.match(name))})


def _stamp(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
