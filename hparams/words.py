"""The words before the first option of main.py: a verb, a model, and where it takes them, files."""

from __future__ import annotations

from pathlib import Path

from dataio.nearest import nearest
from dataio.schema import UserError
from hparams.keys import HERE, model_names, which_model
from hparams.verbs import MEANINGS, TRAIN, VERBS

NO_VERB = "training has no verb: python main.py MODEL --base_path B"
MODEL_FIRST = "MODEL is a YAML, or a name such as mms_300m"


def read_words(words: list[str]) -> tuple[str, Path | None, list[str]]:
    """The verb, its YAML file (None of a verb without a model) and the files after it.

    UserError where a word is none of these.
    """
    verb = words[0] if words and words[0] in VERBS and words[0] != TRAIN else TRAIN
    rest = words if verb == TRAIN else words[1:]
    if not VERBS[verb].takes_model:
        return verb, None, rest
    if not rest:
        raise UserError(f"no model given: python main.py {VERBS[verb].usage}; {MODEL_FIRST}")
    model, *files = rest
    if files and not VERBS[verb].takes_files:
        _refuse_wrong_verb(model, verb)
        raise UserError(f"unexpected argument {files[0]!r}: options are written --key value")
    return verb, find_yaml(model, verb), files


def find_yaml(word: str, verb: str) -> Path:
    """The YAML that `word` is or, as the name of a model, stands for."""
    path = Path(word)
    if path.is_file():
        return path
    if word in model_names():
        return HERE / f"{word}.yaml"
    _refuse_wrong_verb(word, verb)
    if path.suffix:
        near = nearest(path.stem, model_names())
        if near and path.suffix in (".yaml", ".yml"):
            raise UserError(f"there is no YAML file {word}: did you mean the model {near!r}?")
        return path  # whoever reads it says why that cannot be
    raise UserError(f"unknown model {word!r}: {which_model(word)}")


def _refuse_wrong_verb(word: str, verb: str) -> None:
    """In the place of the verb, a word that is no file or model was meant as a verb."""
    path = Path(word)
    if verb != TRAIN or path.suffix or path.exists() or nearest(word, model_names()):
        return
    near = nearest(word, VERBS, MEANINGS)
    if near == TRAIN:
        raise UserError(NO_VERB)
    hint = f"did you mean {near!r}?" if near else "`python main.py --help` names verbs and models"
    raise UserError(f"unknown verb or model {word!r}: {hint}")
