import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataio.schema import UserError
from hparams.kinds import KINDS
from hparams.load import RECIPE, RUN_OPTIONS, load_hparams, parse_overrides, read_yaml

ROOT = Path(__file__).parents[2]
MODELS = (
    "w2v_small w2v_large mms_300m mms_1b xlsr_1b xlsr_2b hubert_xtralarge hubert_large"
    " w2v_tiny xlsr_tiny hubert_tiny deepfake_eval_2024 xlsr_300m xlsr_aasist xlsr_sls aasist"
    " transformers wavlm_base_plus wavlm_large mhubert_147"
)
TRANSFORMERS = {"transformers", "wavlm_base_plus", "wavlm_large", "mhubert_147"}


def load(yaml="hparams/mms_300m.yaml", *options, **kwargs):
    return load_hparams(ROOT / yaml, ["--base_path", "/b", *options], objects=False, **kwargs)


def test_a_name_with_angle_brackets_is_a_name_and_no_reference(tmp_path):
    name = "<c>d<exp_name>"
    words = ["--base_path", f"/b/{name}", "--exp_name", name, "--ckpt_path", f"{name}.ckpt"]
    hparams, _, resolved = load_hparams(ROOT / "hparams/mms_300m.yaml", words, objects=False)
    assert hparams["data_folder"] == f"/b/{name}/Data"
    assert hparams["output_folder"] == f"/b/{name}/Log/exps/exp_mms_300m_{name}"
    assert hparams["ckpt_path"] == f"{name}.ckpt"
    (tmp_path / "again.yaml").write_text(resolved)
    assert load_hparams(tmp_path / "again.yaml", [], objects=False)[0] == hparams


@pytest.mark.parametrize("name", MODELS.split())
def test_every_yaml_loads_and_names_a_known_model(name):
    from models.front_ends.config import CONFIGS

    hparams, _, _ = load(f"hparams/{name}.yaml")
    known = {"transformers": TRANSFORMERS, "sinc": {"aasist"}}
    assert hparams["model"] in known.get(hparams["front_end"]["engine"], CONFIGS)
    assert name in (hparams["model"], hparams["exp_name"])


def test_the_recipe_has_the_published_defaults():
    hparams, _, _ = load()
    published = {
        "lr": 1e-7,
        "weight_decay": 0.01,
        "adam_eps": 1e-6,
        "max_grad_norm": 100,
        "warmup": 80000,
        "lr_decay": 0.01,
        "number_of_epochs": 30,
        "optimizer_step_limit": 800000,
        "max_batch_length": 100,
        "num_buckets": 20,
        "train_crop_seconds": [10, 13],
        "valid_step": 100000,
        "precision": "fp16",
        "seed": 1234,
        "min_duration": 0.5,
    }
    assert {key: hparams[key] for key in published} == published
    assert hparams["rawboost"]["algo"] == 5
    assert hparams["rawboost"]["SSI_additive_noise"] == {"SNRmin": 10, "SNRmax": 40}
    assert load("hparams/hubert_xtralarge.yaml")[0]["lr"] == 5e-6
    assert load("hparams/xlsr_2b.yaml")[0]["max_batch_length"] == 50


def test_folders_follow_base_path_model_and_exp_name():
    hparams, _, _ = load("hparams/mms_300m.yaml", "--exp_name", "mine")
    assert hparams["data_folder"] == "/b/Data"
    assert hparams["ssl_weight_folder"] == "/b/Log/ssl-weights"
    assert hparams["output_folder"] == "/b/Log/exps/exp_mms_300m_mine"
    assert hparams["score_path"] == "/b/Log/exps/exp_mms_300m_mine/evaluation_score.csv"
    assert hparams["train_csv"] == "./protocols/train.csv"


def test_the_command_line_reaches_every_reference():
    hparams, run_options, text = load_hparams(
        ROOT / "hparams/mms_300m.yaml", ["--base_path=/b", "--lr=1e-6", "--warmup", "7"]
    )
    assert hparams["opt_class"].keywords["lr"] == 1e-6
    assert hparams["lr_schedule"].base_lr == 1e-6
    assert hparams["lr_schedule"].n_warmup_steps == 7
    assert "!ref" not in text


def test_a_mapping_is_merged_key_by_key():
    hparams, _, _ = load("hparams/mms_300m.yaml", "--rawboost", "{algo: 4}")
    assert hparams["rawboost"]["algo"] == 4
    assert hparams["rawboost"]["ISD_additive_noise"] == {"P": 10, "g_sd": 2}


def test_the_model_on_the_command_line_brings_its_own_defaults():
    hparams, _, _ = load("hparams/deepfake_eval_2024.yaml", "--model", "w2v_large")
    assert hparams["model"] == "w2v_large" and hparams["max_batch_length"] == 100
    assert hparams["valid_step"] == 2025


def test_a_users_yaml_lies_over_the_models(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("model: xlsr_2b\nlr: 0.5\n")
    hparams, _, _ = load_hparams(own, ["--base_path", "/b"], objects=False)
    assert hparams["lr"] == 0.5 and hparams["max_batch_length"] == 50


def test_the_resolved_yaml_of_a_run_starts_the_same_run(tmp_path):
    hparams, _, text = load("hparams/w2v_tiny.yaml", "--lr", "0.25")
    (tmp_path / "hyperparams.yaml").write_text(text)
    again, _, _ = load_hparams(tmp_path / "hyperparams.yaml", [], objects=False)
    assert again == hparams


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--lrr", "1"], "unknown key 'lrr' in the command line: did you mean 'lr'?"),
        (["--zzzzzz", "1"], "`python main.py --help all` lists the keys"),
        (["--precision", "fp8"], "precision is 'fp8': choose one of fp32, tf32, bf16, fp16"),
        (["--lr", "1", "--lr", "2"], "--lr is given twice"),
        (["stray"], "unexpected argument 'stray'"),
        (["--lr", "[1"], "--lr: cannot read '[1'"),
        (["--model", "mms_3b"], "unknown model 'mms_3b'"),
        (["--optimizer_step_limit", "null"], "optimizer_step_limit is None: expected a whole"),
        (
            ["--ckpt_interval_steps", "5", "--ckpt_interval_minutes", "5"],
            "ckpt_interval_minutes and ckpt_interval_steps are both given",
        ),
        (["--auto_mix_prec", "--precision", "bf16"], "auto_mix_prec in the command line means"),
    ],
)
def test_a_wrong_option_is_named(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        load("hparams/mms_300m.yaml", *arguments)


@pytest.mark.parametrize(
    "option, precision", [("--bfloat16_mix_prec", "bf16"), ("--auto_mix_prec", "fp16")]
)
def test_speechbrains_older_flags_name_a_precision(option, precision):
    hparams, run_options, text = load("hparams/w2v_tiny.yaml", option)
    assert hparams["precision"] == precision and f"precision: {precision}" in text
    assert run_options == {}


def test_the_checkpoint_interval_given_last_switches_the_other_off(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("model: mms_300m\nckpt_interval_steps: 7\n")

    def intervals(*options):
        hparams, *_ = load_hparams(own, ["--base_path=/b", *options], objects=False)
        return hparams["ckpt_interval_minutes"], hparams["ckpt_interval_steps"]

    assert intervals() == (0, 7)
    assert intervals("--ckpt_interval_minutes=5") == (5, 0)
    assert intervals("--ckpt_interval_steps=9") == (0, 9)


def test_a_run_option_in_a_users_yaml_counts(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("model: mms_300m\ndevice: cpu\ndebug: True\n")
    _, run_options, _ = load_hparams(own, ["--base_path=/b", "--debug=False"], objects=False)
    assert run_options == {"device": "cpu", "debug": False}


def test_an_unset_base_path_is_named():
    with pytest.raises(UserError, match="base_path is not set: add --base_path FOLDER"):
        load_hparams(ROOT / "hparams/mms_300m.yaml", [], objects=False)
    folders = ["--data_folder", "/d", "--output_folder", "/o"]
    load_hparams(ROOT / "hparams/mms_300m.yaml", folders, objects=False)


def test_an_unknown_key_in_a_users_yaml_is_named(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("model: mms_300m\nlearning_rate: 1\n")
    with pytest.raises(UserError, match=f"unknown key 'learning_rate' in {own}"):
        load_hparams(own, ["--base_path", "/b"], objects=False)


def test_bad_yaml_names_the_line(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("model: mms_300m\nlr: [1\n")
    with pytest.raises(UserError, match=f"{own}, line 3"):
        load_hparams(own, ["--base_path", "/b"], objects=False)


def test_a_flag_without_a_value_is_true():
    assert parse_overrides(["--debug", "--seed", "-1"]) == {"debug": True, "seed": -1}


def test_run_options_are_speechbrains():
    from speechbrain import RunOptions

    theirs = set(RunOptions().as_dict()) - {
        "overridden_args",  # filled by SpeechBrain itself
        "param_file",
        "distributed_launch",
        "data_parallel_count",
        "tqdm_barcolor",
    }
    assert theirs == set(RUN_OPTIONS) | (theirs & set(read_yaml(RECIPE)))


def test_no_key_of_the_recipe_is_read_by_nobody():
    code = "\n".join(
        path.read_text()
        for folder in ("models", "hparams", "augment", "dataio")
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in ("kinds.py", "keys.py", "verbs.py")  # lists of names, read or not
    )
    recipe = RECIPE.read_text()
    brain_options = {"grad_accumulation_factor", "optimizer_step_limit", "ckpt_interval_minutes"}
    brain_options |= {
        "ckpt_interval_steps",
        "max_grad_norm",
        "nonfinite_patience",
    }  # by SpeechBrain's Brain
    unread = [
        key
        for key in read_yaml(RECIPE)
        if key not in brain_options
        and not re.search(rf"""["']{key}["']|hparams\.{key}\b""", code)
        and f"<{key}>" not in recipe
    ]
    assert unread == []


def test_help_comes_without_importing_torch():
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "main.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and "inference" in run.stdout
    assert "torch" not in run.stderr and "pandas" not in run.stderr


@pytest.mark.parametrize("name", ["007", "1.10", "1e3", "#1", "a b", "yes", "null ", "it's: x"])
def test_names_and_paths_are_taken_as_they_stand(name):
    hparams, *_ = load("hparams/w2v_tiny.yaml", "--exp_name", name)
    assert hparams["exp_name"] == name
    assert hparams["output_folder"] == f"/b/Log/exps/exp_w2v_tiny_{name}"


@pytest.mark.parametrize(("word", "value"), [("no", False), ("off", False), ("False", False)])
def test_a_switch_understands_the_words_for_off(word, value, tmp_path):
    assert load("hparams/w2v_tiny.yaml", "--use_da", word)[0]["use_da"] is value
    own = tmp_path / "own.yaml"
    own.write_text(f"model: w2v_tiny\nmask_padding: {word}\n")
    hparams, _, resolved = load(own)
    assert hparams["mask_padding"] is value and "mask_padding: false" in resolved.lower()


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("0.5", 0.5), ("1:30:00", 90), ("0:00:30", 0.5), ("null", None)],
)
def test_a_time_limit_is_minutes_or_a_clocks(text, minutes, tmp_path):
    hparams, _, resolved = load("hparams/w2v_tiny.yaml", "--time_limit", text)
    assert hparams["time_limit"] == minutes
    for yaml in (resolved, f"model: w2v_tiny\ntime_limit: {text}\n"):
        (tmp_path / "own.yaml").write_text(yaml)
        assert load(tmp_path / "own.yaml")[0]["time_limit"] == minutes


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--use_da", "maybe"], "use_da is 'maybe': expected True or False"),
        (["--lr", "abc"], "lr is 'abc': expected a number above 0"),
        (["--lr", ".inf"], "lr is inf: expected a number above 0"),
        (["--ckpt_path"], "--ckpt_path has no value (a name or path)"),
        (["--test_csv="], "--test_csv has no value"),
        (["--max_batch_length", "0"], "max_batch_length is 0: expected a number above 0"),
        (["--num_workers", "two"], "num_workers is 'two': expected a whole number from 0 up"),
        (["--num_workers", "-1"], "num_workers is -1: expected a whole number from 0 up"),
        (["--seed", "1.5"], "seed is 1.5: expected a whole number from 0 up"),
        (["--valid_step", "0"], "valid_step is 0: expected a whole number from 1 up"),
        (["--threshold", "7"], "threshold is 7: expected a number from 0 to 1"),
        (["--prior_real", "1"], "prior_real is 1: expected between 0 and 1 or null"),
        (["--min_duration", "-3"], "min_duration is -3: expected a number from 0 up or null"),
        (["--time_limit", "0"], "time_limit is 0: expected minutes, or H:MM:SS or null"),
        (["--time_limit", "1:75:00"], "time_limit is '1:75:00': expected minutes, or H:MM:SS"),
        (["--lr_decay", "null"], "lr_decay is None: expected a number from 0 to 1"),
    ],
)
def test_a_value_of_another_kind_is_refused_before_anything_starts(words, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        load_hparams(ROOT / "hparams/w2v_tiny.yaml", ["--base_path", "/b", *words])


def test_every_key_of_the_recipe_is_checked_by_somebody():
    elsewhere = {
        # by CHOICES
        "ssl_engine", "augment_on", "precision", "eval_precision", "channels", "verdict", "curve",
        # where they are used: models/training/run.py, models/detector.py, augment/
        "train_crop_seconds", "freeze_front_end", "rawboost", "augmentations",
        # objects
        "opt_class", "lr_schedule",
    }  # fmt: skip
    assert set(KINDS) | elsewhere == set(read_yaml(RECIPE))


@pytest.mark.parametrize("text", ["mhfa", "{name: mhfa}"])
def test_a_part_is_named_by_a_word_or_a_mapping(text):
    hparams, *_ = load_hparams("hparams/w2v_tiny.yaml", ["--base_path=B", f"--head={text}"])
    assert hparams["head"]["name"] == "mhfa"


@pytest.mark.parametrize("text", ["3", "[mhfa]", "{name: 3}"])
def test_a_part_that_is_neither_is_refused(text):
    with pytest.raises(UserError, match="head is .*: expected a name, or"):
        load_hparams("hparams/w2v_tiny.yaml", ["--base_path=B", f"--head={text}"])


def test_the_older_name_of_the_engine_and_the_front_ends_are_one():
    for words in (["--ssl_engine", "fairseq"], ["--front_end", "fairseq"]):
        hparams, _, resolved = load("hparams/w2v_tiny.yaml", *words)
        assert hparams["ssl_engine"] == hparams["front_end"]["engine"] == "fairseq"
        assert "ssl_engine: fairseq" in resolved


def test_the_engine_of_the_command_line_leaves_the_other_options_of_the_yaml():
    hparams, *_ = load("hparams/xlsr_aasist.yaml", "--ssl_engine=fairseq")
    expected = {"engine": "fairseq", "normalise": False, "input_samples": 64600}
    assert hparams["front_end"] == expected


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--ssl_engine=onyx"], "ssl_engine is 'onyx': choose one of native, fairseq"),
        (["--front_end=onyx"], "ssl_engine is 'onyx': choose one of native, fairseq"),
        (["--front_end=3"], "front_end is 3: expected a name, or"),
        (["--ssl_engine=native", "--front_end=sinc"], "both given in the command line"),
    ],
)
def test_an_engine_that_is_unknown_or_given_twice_is_refused(words, sentence):
    with pytest.raises(UserError, match=sentence):
        load("hparams/w2v_tiny.yaml", *words)
