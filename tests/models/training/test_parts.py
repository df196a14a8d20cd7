"""Training with other heads and losses: exact resume, and scores of what was trained."""

import numpy as np
import pytest
import torch
from support.corpus import label_parts
from support.encoders import encoder_config
from support.training import killed_run, make_run, toy_arguments

import main

PARTS = {
    "mhfa": ("{name: mhfa, heads: 4, compressed: 8}", "{label_smoothing: 0.1}"),
    "nes2net": ("{name: nes2net, last: cosine}", "{name: oc_softmax, alpha: 10}"),
    "aasist": ("{name: aasist}", "{class_weights: [0.1, 0.9]}"),
    "frames": ("{name: mean_linear}", "{frames: 1.0, resolution: 0.04}"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_run_with_another_head_resumes_exactly_and_scores(part, toy_corpus, tmp_path):
    head, loss = PARTS[part]
    toy_corpus = label_parts(toy_corpus) if part == "frames" else toy_corpus
    labels = {"protocol_folder": toy_corpus / "parts"} if part == "frames" else {}
    states = []
    for name in ("whole", "killed"):
        options = {"base_path": tmp_path / name, "exp_name": part, "head": head, "loss": loss}
        options |= labels
        run = make_run(toy_corpus, tmp_path / name, **options)
        if name == "killed":
            killed_run(*run, at="validated")
            run = make_run(toy_corpus, tmp_path / name, **options)
        run[0].fit_stream(*run[1:])
        states.append(run[0].detector.state_dict())
    for left, right in zip(*(state.values() for state in states), strict=True):
        assert torch.equal(left, right)
    arguments = toy_arguments(toy_corpus, tmp_path / "whole", exp_name=part, head=head)
    rows = ["analysis", "hparams/w2v_tiny.yaml", *arguments, "--num_workers=0"]
    assert main.main(rows) == 0
    (scores,) = (tmp_path / "whole").rglob("evaluation_score.npz")
    with np.load(scores) as arrays:
        assert arrays["embeddings"].shape[1] == run[0].detector.classifier.embedding_width
        assert np.isfinite(arrays["logits"]).all()
        name = head.strip("{}").split(",")[0].removeprefix("name: ")
        assert f'"head": "{name}"' in str(arrays["meta"])


@pytest.mark.slow
@pytest.mark.needs("transformers")
@pytest.mark.parametrize("encoder", ["wavlm", "wav2vec2-conformer"])
def test_a_run_on_an_encoder_of_transformers_resumes_exactly_and_scores(
    encoder, toy_corpus, tmp_path
):
    import transformers

    config = encoder_config(encoder, layerdrop=0.3)
    made = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    transformers.AutoModel.from_config(made).save_pretrained(tmp_path / "hub")
    yaml, states = "hparams/transformers.yaml", []
    given = {
        "front_end": f"{{source: {tmp_path}/hub}}",
        "head": "{name: mhfa, heads: 4, compressed: 8}",
        "train_crop_seconds": "[0.5, 0.8]",
        "precision": "fp32",
        "num_workers": 0,
        "checkpoint_activations": True,
    }
    for name in ("whole", "killed"):
        run = make_run(toy_corpus, tmp_path / name, yaml=yaml, **given)
        if name == "killed":
            killed_run(*run, at="validated")
            run = make_run(toy_corpus, tmp_path / name, yaml=yaml, **given)
        run[0].fit_stream(*run[1:])
        states.append(run[0].detector.state_dict())
    for left, right in zip(*(state.values() for state in states), strict=True):
        assert torch.equal(left, right)
    assert (
        main.main(["analysis", yaml, *toy_arguments(toy_corpus, tmp_path / "whole", **given)]) == 0
    )
    (scores,) = (tmp_path / "whole").rglob("evaluation_score.npz")
    with np.load(scores) as arrays:
        assert np.isfinite(arrays["logits"]).all()
        assert f'"front_end": "{encoder}"' in str(arrays["meta"])
