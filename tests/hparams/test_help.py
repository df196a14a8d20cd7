"""Help is read from the recipe, says what matters, and comes at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.pages import ROOT

import main
from hparams.help import asked_for
from hparams.keys import HERE, RECIPE, model_names, sections, sections_of
from hparams.load import read_yaml
from hparams.run_options import RUN_OPTIONS
from hparams.verbs import TRAIN, VERBS

COMMANDS = (
    "main.py --help",
    "main.py score --help",
    "main.py --help all",
    "evaluation.py --help",
    "evaluation.py fuse --help",
    "-m protocols --help",
    "-m protocols build --help",
    "-m protocols leakage --help",
    "-m drift compare --help",
    "-m augment preview --help",
)


def keys_of(verb: str) -> set[str]:
    return {key.name for section in sections_of(verb) for key in section.keys}


def test_every_key_of_the_recipe_is_explained():
    explained = {key.name: key for section in sections() for key in section.keys}
    assert set(explained) == set(read_yaml(RECIPE))
    assert [name for name, key in explained.items() if len(key.meaning) < 5] == []


def test_every_section_names_verbs_that_there_are():
    named = {verb for section in sections() for verb in section.verbs or ()}
    assert {name for name, verb in VERBS.items() if verb.takes_model} <= named <= set(VERBS)


def test_a_verbs_help_shows_what_matters_to_it():
    assert {"threshold", "ckpt_path", "output"} <= keys_of("score")
    assert not {"lr", "base_path", "train_csv"} & keys_of("score")
    assert {"lr", "train_csv", "base_path"} <= keys_of(TRAIN)
    assert not {"threshold", "test_csv"} & keys_of(TRAIN)
    assert {"test_csv", "score_path"} <= keys_of("inference") == keys_of("analysis")


def test_a_comment_that_goes_on_is_read_to_its_end():
    (ckpt_path,) = [key for s in sections() for key in s.keys if key.name == "ckpt_path"]
    assert ckpt_path.meaning.startswith("where weights come from")
    assert ckpt_path.meaning.endswith("the best checkpoint of output_folder")


def test_defaults_are_shown_without_yaml_tags():
    defaults = {key.name: key.default for section in sections() for key in section.keys}
    assert defaults["data_folder"] == "<base_path>/Data"
    assert defaults["train_crop_seconds"] == "[10, 13]"
    assert defaults["rawboost"] == "{...}"


def test_a_key_outside_a_section_is_a_mistake(tmp_path):
    (tmp_path / "recipe.yaml").write_text("lr: 1  # step size\n")
    with pytest.raises(ValueError, match="lr stands before the first headline"):
        sections(tmp_path / "recipe.yaml")


def test_help_names_the_verbs_a_line_each():
    shown = asked_for(["--help"])
    assert shown == asked_for([])
    for name, verb in VERBS.items():
        (line,) = [line for line in shown.splitlines() if verb.summary[:40] in line]
        assert name in line or name == TRAIN
    assert all(name in shown for name in model_names())


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_shows_default_and_meaning(verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    shown = asked_for([verb, "--help"])
    assert f"python main.py {VERBS[verb].usage}" in shown
    for name in keys_of(verb):
        assert f"--{name} " in shown
    assert max(len(line) for line in shown.splitlines()) <= 110


def test_help_after_a_yaml_is_that_of_training():
    assert asked_for(["mms_300m", "--lr", "1", "-h"]) == asked_for([TRAIN, "--help"])


def test_help_all_shows_every_key_and_run_option():
    shown = asked_for(["--help", "all"])
    assert all(f"--{name} " in shown for name in read_yaml(RECIPE))
    assert all(f"  --{name}" in shown for name in RUN_OPTIONS)


def test_a_run_asks_for_no_help():
    assert asked_for(["score", "w2v_tiny", "all"]) is None


def test_help_is_a_success_and_nothing_at_all_is_not(capsys):
    assert main.main(["--help"]) == 0
    assert main.main([]) == 2
    assert capsys.readouterr().out.count("inference") == 2


def test_the_recipe_is_no_model():
    assert (HERE / "recipe.yaml").exists() and "recipe" not in model_names()


def processor_seconds(command: str) -> float:
    """Of Python from its start to its end; robust where others use the machine too."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    words = [sys.executable, "-c", code, sys.executable, *command.split()]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(run.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_at_once(command):
    assert min(processor_seconds(command) for _ in range(3)) < 0.3
