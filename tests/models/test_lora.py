"""LoRA: what trains, what checkpoints hold, exact resume, and scores of them anywhere."""

import numpy as np
import pytest
import torch
from support.encoders import encoder_config
from support.runs import run_main
from support.training import killed_run, make_run, toy_arguments

import main
from dataio.schema import UserError
from models.checkpoints import load_detector, read_weights, sha256_of
from models.detector import build_detector
from models.lora import adapt, settings

EXPERIMENT = "Log/exps/exp_w2v_tiny_default"
AVERAGED = {"ema_decay": 0.5, "checkpoint_activations": True}
LORA = {"lora": "{rank: 2, targets: [q_proj, v_proj, fc1]}", "lr": 0.01}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("base") / "base.ckpt"
    torch.save(build_detector("w2v_tiny").state_dict(), path)
    return path


@pytest.fixture(scope="module")
def tuned(toy_corpus, base, tmp_path_factory):
    """The folder of a finished run, and its Brain."""
    folder = tmp_path_factory.mktemp("tuned")
    run = make_run(toy_corpus, folder, ckpt_path=base, **LORA)
    run[0].fit_stream(*run[1:])
    return folder / EXPERIMENT, run[0]


def checkpoint(folder, kind):
    """The newest `kind` of a run."""
    return sorted((folder / "save").glob(f"CKPT+{kind}-*"))[-1] / "ssl.ckpt"


def logits(detector):
    torch.manual_seed(0)
    waveforms = torch.randn(2, 9000) * (torch.arange(9000) < torch.tensor([[9000], [7000]]))
    with torch.no_grad():
        return detector.eval()(waveforms, [9000, 7000]).logits


def test_adapters_that_have_not_trained_change_nothing(base):
    detector, _ = load_detector("w2v_tiny", base)
    before = logits(detector)
    adapt(detector, settings({}))
    assert torch.equal(logits(detector), before)


def test_adapters_and_head_train_and_nothing_else(tuned, base):
    _, brain = tuned
    first = torch.load(base)
    for name, tensor in brain.detector.state_dict().items():
        plain = name.replace(".parametrizations.weight.original", ".weight")
        if plain in first:
            assert torch.equal(tensor, first[plain]) != plain.startswith("proj_fc."), name
    trained = [n for n, p in brain.detector.named_parameters() if p.requires_grad]
    layers = brain.detector.config.layers
    assert len(trained) == 2 * 3 * layers + 2
    for name, tensor in brain.detector.named_parameters():
        assert not name.endswith("weight.0.up") or tensor.abs().max() > 0


@pytest.mark.parametrize("kind", ["last", "best"])
def test_checkpoints_hold_adapters_head_and_the_bases_sum(tuned, base, kind):
    folder, brain = tuned
    path = checkpoint(folder, kind)
    content = torch.load(path)
    trained = [p for p in brain.detector.parameters() if p.requires_grad]
    assert sum(t.numel() for t in content["state_dict"].values()) == sum(map(torch.numel, trained))
    assert content["lora"]["sha256"] == sha256_of(base)
    assert content["lora"]["base"] == str(base)
    assert path.stat().st_size < base.stat().st_size / 20


def test_a_merged_checkpoint_scores_as_the_adapters_do(tuned, base):
    folder, brain = tuned
    detector, info = load_detector("w2v_tiny", checkpoint(folder, "last"))
    assert detector.state_dict().keys() == torch.load(base).keys() == set(info.filled)
    torch.testing.assert_close(logits(detector), logits(brain.detector), atol=1e-4, rtol=0)
    plain, _ = load_detector("w2v_tiny", base)
    assert (logits(plain) - logits(detector)).abs().max() > 1e-3, "nothing was learned"


@pytest.mark.parametrize(
    "options",
    [{}, pytest.param(AVERAGED, marks=pytest.mark.slow)],
    ids=["plain", "averaged, activations recomputed"],
)
def test_a_killed_run_ends_bit_identical(options, toy_corpus, base, tmp_path):
    states = []
    for name in ("whole", "killed"):
        given = {"ckpt_path": base, **LORA, **options}
        run = make_run(toy_corpus, tmp_path / name, **given)
        if name == "killed":
            killed_run(*run, at="validated")
            run = make_run(toy_corpus, tmp_path / name, **given)
        run[0].fit_stream(*run[1:])
        best = torch.load(checkpoint(tmp_path / name / EXPERIMENT, "best"))["state_dict"]
        states.append([*run[0].detector.state_dict().values(), *best.values()])
    for left, right in zip(*states, strict=True):
        assert torch.equal(left, right)


def test_every_verb_and_the_next_run_read_what_was_trained(toy_corpus, tuned, base, tmp_path):
    folder, _ = tuned
    arguments = toy_arguments(toy_corpus, folder.parents[2], num_workers=0)
    assert main.main(["inference", "hparams/w2v_tiny.yaml", *arguments]) == 0
    assert (folder / "evaluation_score.csv").exists()
    assert main.main(["average", str(folder), "--last", "2"]) == 0
    (averaged,) = folder.glob("averaged_*.ckpt")
    assert torch.load(averaged)["state_dict"].keys() == torch.load(base).keys()
    merged = read_weights(checkpoint(folder, "best"))
    words = ["--ckpt_path", str(folder), "--output_folder", str(tmp_path / "exported")]
    words += ["--license", "apache-2.0"]
    assert main.main(["export", "hparams/w2v_tiny.yaml", *words]) == 0
    exported = read_weights(tmp_path / "exported/model.safetensors")
    assert exported.keys() == merged.keys()
    assert all(torch.equal(exported[name].read(), merged[name].read()) for name in merged)
    brain, *_ = make_run(toy_corpus, folder.parent / "next", ckpt_path=folder, **LORA)
    name = "m_ssl.model.encoder.layers.0.self_attn.q_proj"
    found = brain.detector.state_dict()[f"{name}.parametrizations.weight.original"]
    assert torch.equal(found, merged[f"{name}.weight"].read())


def test_a_base_that_moved_or_changed_is_told_with_the_remedy(toy_corpus, base, tmp_path):
    moving = tmp_path / "moving.ckpt"
    moving.write_bytes(base.read_bytes())
    run = make_run(toy_corpus, tmp_path, ckpt_path=moving, optimizer_step_limit=1, **LORA)
    run[0].fit_stream(*run[1:])
    path = checkpoint(tmp_path / EXPERIMENT, "best")
    expected = logits(load_detector("w2v_tiny", path)[0])
    moving.rename(tmp_path / "elsewhere.ckpt")
    with pytest.raises(UserError, match="it is not there: put that file back, or beside the check"):
        load_detector("w2v_tiny", path)
    (tmp_path / "elsewhere.ckpt").rename(path.parent / "moving.ckpt")
    assert torch.equal(logits(load_detector("w2v_tiny", path)[0]), expected)
    moving.write_bytes(b"another")
    load_detector("w2v_tiny", path)
    (path.parent / "moving.ckpt").unlink()
    with pytest.raises(UserError, match="has another content now: put that file back"):
        load_detector("w2v_tiny", path)


def test_a_strangers_file_of_adapters_is_refused_in_a_sentence(tuned, tmp_path):
    good = torch.load(checkpoint(tuned[0], "best"))
    note, state = good["lora"], good["state_dict"]
    down = next(name for name in state if name.endswith("weight.0.down"))
    bad = {
        "'lora' has no 'base'": {"lora": {k: note[k] for k in note if k != "base"}},
        "a rank or a naming that there is not": {"lora": {**note, "rank": 0}},
        "does not fit its base": {"state_dict": {**state, down: torch.zeros(3, 3)}},
        "holds more than tensors": {"state_dict": {**state, "more": 1}},
    }
    for says, change in bad.items():
        torch.save({**good, **change}, tmp_path / "bad.ckpt")
        with pytest.raises(UserError, match=says):
            load_detector("w2v_tiny", tmp_path / "bad.ckpt")


@pytest.mark.parametrize(
    "options, says",
    [
        ({"lora": "{rang: 2}"}, "unknown option 'rang' of lora: choose among rank, alpha, targets"),
        ({"lora": "{rank: 0}"}, "rank is 0, expected a whole number"),
        ({"lora": "{alpha: -1}"}, "alpha is -1, expected a number above 0"),
        ({"lora": "{targets: []}"}, "expected a list of layers' names"),
        ({"lora": "{targets: [query]}"}, "'query': choose among k_proj, v_proj, q_proj"),
        ({"lora": "8"}, "expected options"),
        ({"lora": "{}", "ckpt_path": "null"}, "name a checkpoint as --ckpt_path"),
        ({"lora": "{}", "freeze_front_end": "conv"}, "leave out freeze_front_end"),
    ],
)
def test_what_cannot_be_adapted_is_refused(options, says, toy_corpus, base, tmp_path):
    with pytest.raises(UserError, match=says):
        make_run(toy_corpus, tmp_path, **{"ckpt_path": base, **options})


@pytest.mark.parametrize("lora", ["{rank: 4}", "{rank: 2, targets: [fc1]}", "null"])
def test_a_run_goes_on_with_its_own_adapters_alone(lora, toy_corpus, base, tmp_path):
    given = {"ckpt_path": base, "optimizer_step_limit": 1}
    run = make_run(toy_corpus, tmp_path, lora="{rank: 2}", **given)
    run[0].fit_stream(*run[1:])
    again = make_run(toy_corpus, tmp_path, lora=lora, **given)
    with pytest.raises(UserError, match="lora"):
        again[0].fit_stream(*again[1:])


def test_the_plan_counts_what_trains(toy_corpus, base, tmp_path, capsys):
    words = toy_arguments(toy_corpus, tmp_path, ckpt_path=base, dry_run=True, lora="{rank: 2}")
    assert main.main(["hparams/w2v_tiny.yaml", *words]) == 0
    shown = capsys.readouterr().out
    config = build_detector("w2v_tiny").config
    expected = 2 * config.layers * 2 * 2 * config.embed_dim + 2 * config.embed_dim + 2
    assert f"{expected:,} of " in shown
    assert not np.any(list((tmp_path / "Log").rglob("*.ckpt")))


@pytest.mark.slow
@pytest.mark.needs("transformers")
@pytest.mark.parametrize("encoder", ["wavlm", "wav2vec2"])
def test_an_encoder_of_transformers_is_adapted_and_read_again(encoder, toy_corpus, tmp_path):
    import transformers

    config = encoder_config(encoder)
    made = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    transformers.AutoModel.from_config(made).save_pretrained(tmp_path / "hub")
    given = {"front_end": f"{{source: {tmp_path}/hub}}", "precision": "fp32", "num_workers": 0}
    yaml = "hparams/transformers.yaml"
    run = make_run(toy_corpus, tmp_path, yaml=yaml, **given, **LORA | {"lora": "{rank: 2}"})
    run[0].fit_stream(*run[1:])
    (experiment,) = (tmp_path / "Log/exps").iterdir()
    spec = run[0].hparams.front_end
    read, _ = load_detector(run[0].hparams.model, checkpoint(experiment, "last"), front_end=spec)
    torch.testing.assert_close(logits(read), logits(run[0].detector), atol=1e-4, rtol=0)
    plain, _ = load_detector(run[0].hparams.model, tmp_path / "hub", front_end=spec)
    plain.set_head(read.classifier)
    assert (logits(plain) - logits(read)).abs().max() > 1e-4, "nothing was learned"


@pytest.mark.slow
def test_two_processes_train_the_adapters_of_one(toy_corpus, base, tmp_path):
    states = []
    for ranks in (1, 2):
        given = {"ckpt_path": base, "grad_accumulation_factor": 3 - ranks, "lora": "{rank: 2}"}
        words = toy_arguments(toy_corpus, tmp_path / str(ranks), lr=0.01, num_workers=0, **given)
        assert run_main(["hparams/w2v_tiny.yaml", *words], ranks=ranks) == 0
        states.append(torch.load(checkpoint(tmp_path / str(ranks) / EXPERIMENT, "last")))
    one, two = (state["state_dict"] for state in states)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-4, rtol=0)
