"""Hyper-parameters: the recipe, then the model's YAML, then the user's YAML, then the command line.

HyperPyYAML resolves `!ref` after the layers are merged, so an override reaches every key that
refers to it. Options of SpeechBrain's Brain (`--device`, `--debug`, ...) are accepted on the same
line.
"""

from __future__ import annotations

import uuid
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from dataio.checked import refuse_brackets
from dataio.nearest import did_you_mean
from dataio.schema import UserError
from hparams.keys import HERE, MEANINGS, RECIPE, which_model
from hparams.kinds import KINDS, proper
from hparams.run_options import RUN_OPTIONS

# ValueError: no text, a date or a number that is none; the others: nested without end.
NO_YAML = (YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError)
YAML_SUFFIXES = (".yaml", ".yml")
YAML_FIRST = "the model's YAML comes first, such as hparams/mms_300m.yaml"
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
CHOICES = {
    "precision": PRECISIONS,
    "eval_precision": PRECISIONS,
    "ssl_engine": ("native", "fairseq", "transformers", "sinc", "onnx"),  # and of front_end
    "channels": ("mix", "each", "left", "right"),
    "verdict": ("mean", "worst"),
    "curve": ("windows", "frames"),
    "augment_on": ("loader", "device"),
    "distributed_backend": ("nccl", "gloo", "mpi"),
}
PRECISION_FLAGS = {"auto_mix_prec": "fp16", "bfloat16_mix_prec": "bf16"}
CKPT_INTERVALS = ("ckpt_interval_minutes", "ckpt_interval_steps")


def read_yaml(path: Path) -> dict:
    """The top-level mapping of a YAML file, tags kept; refuses a missing or malformed file."""
    if path.suffix.lower() not in YAML_SUFFIXES:  # a recording, where the YAML was forgotten
        raise UserError(f"{path} is no YAML file: {YAML_FIRST}")
    try:
        text = path.read_text(encoding="utf-8")
        refuse_brackets(text)
        tree = YAML().load(text)
    except OSError as error:
        raise UserError(f"cannot read the YAML file {path}: {error.strerror}") from None
    except NO_YAML as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        where, problem = f", line {line}" if line else "", getattr(error, "problem", str(error))
        raise UserError(f"{path}{where}: not valid YAML ({problem})") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path} holds no `key: value` lines: expected a hyper-parameter file")
    return tree


def parse_overrides(arguments: list[str]) -> dict:
    """`--key value`, `--key=value` and bare `--flag` (true), each value read as YAML.

    Names and paths are taken as they stand: `--exp_name 007` is not the number 7.
    """
    overrides: dict = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UserError(f"unexpected argument {word!r}: options are written --key value")
        key, equals, text = word[2:].partition("=")
        if not equals:
            text = rest.pop(0) if rest and not rest[0].startswith("--") else None
        more = []
        while key in KINDS and KINDS[key].several and rest and not rest[0].startswith("--"):
            more.append(rest.pop(0))
        if key in overrides:
            raise UserError(f"--{key} is given twice: give it once")
        value = _value(key, text)
        overrides[key] = [value, *more] if more else value
    return overrides


def _value(key: str, text: str | None) -> object:
    """The value of `--key text`; without a text only a switch means something."""
    kind = KINDS.get(key)
    if text is None and (kind is None or kind.bare):
        return True
    if not text:
        wanted = f" ({kind.says})" if kind else ""
        raise UserError(f"--{key} has no value{wanted}: write --{key} VALUE")
    if kind and kind.verbatim:
        return None if kind.optional and text in ("null", "None", "~") else text
    try:
        return YAML(typ="safe").load(text)
    except NO_YAML:
        raise UserError(f"--{key}: cannot read {text!r} as a YAML value") from None


def merge(base: dict, layer: dict) -> None:
    """Lay `layer` over `base` in place; mappings merge key by key (`--rawboost "{algo: 4}"`)."""
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict) and not _tag(base[key]):
            merge(base[key], value)
        else:
            base[key] = value


def load_hparams(
    yaml_path: str | Path | None,
    arguments: list[str],
    *,
    objects: bool = True,
    needs_folders: bool = True,
) -> tuple[dict, dict, str]:
    """Resolve the layers into `(hparams, run_options, resolved_yaml_text)`.

    Without a `yaml_path` the recipe and the command line are all there is.

    With `objects=False` keys that construct Python objects (`!new:`, `!name:`) become None: scoring
    needs no optimiser and should not wait for its imports. Raises UserError for an unknown key, a
    value outside its choices or, where the verb `needs_folders`, an unset `base_path`.
    """
    from hyperpyyaml import load_hyperpyyaml, resolve_references

    tree, run_options = read_yaml(RECIPE), {}
    known = set(tree)
    for where, layer in _layers(yaml_path, parse_overrides(arguments)):
        _refuse_unknown_keys(layer, known, where)
        layer = _one_engine(_one_interval(_named_precision(layer, where), where), where)
        merge(tree, {key: value for key, value in layer.items() if key in known})
        run_options |= {key: value for key, value in layer.items() if key in RUN_OPTIONS}
    if not objects:
        tree.update({key: None for key, value in tree.items() if _constructs(value)})

    for key, value in tree.items():
        if not _tag(value):
            tree[key] = proper(key, value)
    # A value's own `<` is no reference: HyperPyYAML would look for one in what `!ref` has inserted.
    bracket, text = uuid.uuid4().hex, StringIO()
    words = {key: value for key, value in tree.items() if isinstance(value, str)}
    tree.update({key: value.replace("<", bracket) for key, value in words.items()})
    YAML().dump(tree, text)
    resolved = resolve_references(StringIO(text.getvalue())).getvalue().replace(bracket, "<")
    hparams = load_hyperpyyaml(resolved)
    hparams.update({key: proper(key, value) for key, value in hparams.items()})
    _check_choices(hparams, run_options)
    if needs_folders:
        _require_base_path(hparams)
    return hparams, run_options, resolved


def _layers(yaml_path: str | Path | None, overrides: dict) -> list[tuple[str, dict]]:
    if yaml_path is None:
        return [("the command line", overrides)]
    yaml_path = Path(yaml_path)
    own = read_yaml(yaml_path)
    model = overrides.get("model") or own.get("model")
    if not model:
        raise UserError(f"{yaml_path} names no model: add a line such as `model: mms_300m`")
    defaults = HERE / f"{model}.yaml"
    if not defaults.exists():
        raise UserError(f"unknown model {model!r} in {yaml_path}: {which_model(str(model))}")
    layers = [(str(defaults), read_yaml(defaults))]
    if yaml_path.resolve() != defaults.resolve():
        layers.append((str(yaml_path), own))
    return [*layers, ("the command line", overrides)]


def _refuse_unknown_keys(layer: dict, known: set[str], where: str) -> None:
    for key in layer:
        if key in known or key in RUN_OPTIONS:
            continue
        hint = did_you_mean(
            key, [*known, *RUN_OPTIONS], MEANINGS, "`python main.py --help all` lists the keys"
        )
        raise UserError(f"unknown key {key!r} in {where}: {hint}")


def _named_precision(layer: dict, where: str) -> dict:
    """SpeechBrain's older flags as the `precision` they stand for."""
    layer = dict(layer)
    for flag, precision in PRECISION_FLAGS.items():
        if layer.pop(flag, False):
            if layer.get("precision", precision) != precision:
                raise UserError(
                    f"{flag} in {where} means precision {precision}, but precision"
                    f" {layer['precision']} is given too: give one of them"
                )
            layer["precision"] = precision
    return layer


def _one_interval(layer: dict, where: str) -> dict:
    """The layer, switching off the `last` checkpoints' other interval, which it does not name."""
    values = {key: layer.get(key) for key in CKPT_INTERVALS}
    given = [key for key, n in values.items() if isinstance(n, (int, float)) and n > 0]
    if len(given) == 2:
        raise UserError(f"{' and '.join(given)} are both given in {where}: give one of them")
    return {**dict.fromkeys(set(CKPT_INTERVALS) - set(given), 0), **layer} if given else layer


def _one_engine(layer: dict, where: str) -> dict:
    """`ssl_engine`, the older name, as the engine of `front_end`."""
    if "ssl_engine" not in layer:
        return layer
    layer = dict(layer)
    engine, spec = layer.pop("ssl_engine"), layer.get("front_end", {})
    spec = {"engine": spec} if isinstance(spec, str) else spec
    if not isinstance(spec, dict):
        return layer  # its kind is refused
    if spec.get("engine", engine) != engine:
        raise UserError(
            f"ssl_engine {engine} and front_end's engine {spec['engine']} are both given in"
            f" {where}: give one of them"
        )
    return {**layer, "front_end": {**spec, "engine": engine}}


def _check_choices(hparams: dict, run_options: dict) -> None:
    for key, choices in CHOICES.items():
        value = run_options.get(key, hparams.get(key, choices[0]))
        if value not in choices:
            raise UserError(f"{key} is {value!r}: choose one of {', '.join(choices)}")


def _require_base_path(hparams: dict) -> None:
    unset = [key for key in ("data_folder", "output_folder") if hparams[key].startswith("None/")]
    if hparams["base_path"] is None and unset:
        raise UserError("base_path is not set: add --base_path FOLDER (it holds Data/ and Log/)")


def _tag(node: object) -> str:
    tag = getattr(node, "tag", None)
    value = getattr(tag, "value", None) or ""
    return value if isinstance(value, str) and value.startswith("!") else ""


def _constructs(node: object) -> bool:
    return _tag(node).startswith(("!new:", "!name:", "!apply:", "!module:"))
