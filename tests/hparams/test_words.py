"""The first words of main.py: verbs, models, files, and what is said to a wrong one."""

from __future__ import annotations

import pytest

import main
from dataio.schema import UserError
from hparams.keys import HERE, MEANINGS, RECIPE
from hparams.load import RUN_OPTIONS, load_hparams, read_yaml
from hparams.verbs import MEANINGS as OF_VERBS
from hparams.verbs import TRAIN, VERBS
from hparams.words import find_yaml, read_words


def refusal(*words: str) -> str:
    with pytest.raises(UserError) as error:
        read_words(list(words))
    return str(error.value)


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.takes_model])
def test_a_models_name_stands_for_its_yaml(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # from any folder
    words = ["w2v_small"] if verb == TRAIN else [verb, "w2v_small"]
    assert read_words(words) == (verb, HERE / "w2v_small.yaml", [])


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w2v_small").write_text("model: w2v_tiny\n")
    assert str(find_yaml("w2v_small", TRAIN)) == "w2v_small"


def test_files_follow_where_the_verb_takes_them():
    assert read_words(["score", "mms_1b", "a.wav", "b"])[2] == ["a.wav", "b"]
    assert "unexpected argument 'a.wav'" in refusal("inference", "mms_1b", "a.wav")


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("scroe mms_300m a.wav", "unknown verb or model 'scroe': did you mean 'score'?"),
        ("infer mms_300m", "unknown verb or model 'infer': did you mean 'inference'?"),
        ("eval mms_300m", "unknown verb or model 'eval': did you mean 'inference'?"),
        ("embeddings mms_300m", "did you mean 'analysis'?"),
        ("train mms_300m", "training has no verb: python main.py MODEL --base_path B"),
        ("fine-tune mms_300m", "training has no verb"),
        ("zzz", "unknown verb or model 'zzz': `python main.py --help` names verbs and models"),
        ("mms300m", "unknown model 'mms300m': did you mean 'mms_300m'?"),
        ("score xlsr2b a.wav", "unknown model 'xlsr2b': did you mean 'xlsr_2b'?"),
        ("score zzz a.wav", "unknown model 'zzz': choose one of"),
        (
            "hparams/mms300.yaml",
            "there is no YAML file hparams/mms300.yaml: did you mean the model",
        ),
        ("score", "no model given: python main.py score MODEL FILE_OR_FOLDER"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest(words, sentence):
    assert sentence in refusal(*words.split())


@pytest.mark.parametrize(
    "key, meant",
    [
        ("learning_rate", "lr"),
        ("learning-rate", "lr"),
        ("lerning_rate", "lr"),
        ("batch_size", "max_batch_length"),
        ("epochs", "number_of_epochs"),
        ("gpu", "device"),
        ("checkpoint", "ckpt_path"),
        ("treshold", "threshold"),
        ("train_csvs", "train_csv"),
    ],
)
def test_a_wrong_key_is_answered_with_the_nearest_also_by_meaning(key, meant):
    with pytest.raises(UserError, match=f"unknown key '{key}' .*did you mean '{meant}'"):
        load_hparams(HERE / "w2v_tiny.yaml", [f"--{key}", "1"], objects=False)


def test_meanings_are_of_keys_and_verbs_that_there_are_and_of_one_each():
    assert set(MEANINGS) <= set(read_yaml(RECIPE)) | set(RUN_OPTIONS)
    assert set(OF_VERBS) == set(VERBS)
    for table in (MEANINGS, OF_VERBS):
        words = [word for text in table.values() for word in text.split()]
        assert len(words) == len(set(words))
        assert not set(words) & set(table)


def test_an_unknown_model_in_a_yaml_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "my.yaml").write_text("model: mms300m\n")
    with pytest.raises(UserError, match="unknown model 'mms300m' in .*my.yaml: did you mean 'mms"):
        load_hparams(tmp_path / "my.yaml", [])


def test_the_command_line_says_it_in_one_sentence(capsys):
    assert main.main(["scroe", "w2v_tiny"]) == 2
    assert capsys.readouterr().err == (
        "error: unknown verb or model 'scroe': did you mean 'score'?\n"
    )


def test_a_toy_protocol_that_is_not_there_is_answered_with_its_command(tmp_path, capsys):
    words = ["inference", "w2v_tiny", "--base_path", str(tmp_path), "--device", "cpu"]
    csv = tmp_path / "protocols/toy_example_test.csv"
    assert main.main([*words, "--test_csv", str(csv)]) == 2
    command = f"toy_example --data_folder {tmp_path}/Data --output {csv.parent}/toy_example.csv"
    assert f"`python -m protocols build {command}`" in capsys.readouterr().err
