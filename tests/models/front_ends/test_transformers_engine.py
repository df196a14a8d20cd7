"""Encoders of the transformers package: masks, layers, gradients, and what is refused."""

import json
import sys

import pytest
import torch
from support.encoders import CLASSES, CONFIGS, encoder_config, encoder_detector

from dataio.schema import UserError
from hparams.load import load_hparams
from models.detector import build_detector, detector_options
from models.front_ends import transformers_engine

pytestmark = pytest.mark.needs("transformers")
LENGTHS = [9_000, 5_000, 400]


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_every_layer_of_a_file_is_the_same_alone_and_in_a_padded_batch(name, batch):
    module = encoder_detector(name, head={"name": "layer_sum"}).eval()
    waveforms, lengths = batch(LENGTHS)
    together, alone = [], []
    module.m_ssl(waveforms, lengths, together)
    assert len(together) == 4
    for row, length in enumerate(LENGTHS):
        module.m_ssl(waveforms[row : row + 1, :length], None, alone)
        count = int(module.frame_lengths(torch.tensor([length])))
        for many, one in zip(together, alone, strict=True):
            torch.testing.assert_close(many[row, :count], one[0], atol=1e-4, rtol=1e-4)
        alone.clear()


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_frames_and_layers_are_those_of_the_package(name, batch):
    module = encoder_detector(name).eval()
    waveforms, _ = batch([6_000, 6_000])
    layers = []
    frames = module.m_ssl(waveforms, None, layers)
    theirs = module.m_ssl.model(waveforms, output_hidden_states=True)
    torch.testing.assert_close(frames, theirs.last_hidden_state)
    blocks = len(layers) - 1
    for ours, other in zip(layers[:blocks], theirs.hidden_states[:blocks], strict=True):
        torch.testing.assert_close(ours, other)
    norm = module.m_ssl.final_norm
    last = layers[-1] if norm is None else norm(layers[-1])
    torch.testing.assert_close(last, frames)


@pytest.mark.parametrize("drop", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("head", ["mean_linear", "layer_sum"])
@pytest.mark.parametrize("name", CLASSES)
def test_every_parameter_that_trains_gets_a_gradient_whatever_is_dropped(name, head, drop, batch):
    module = encoder_detector(name, head={"name": head}).train()
    module.m_ssl.model.config.layerdrop = drop
    module.m_ssl.config = module.m_ssl.config.with_overrides(layerdrop=drop)
    module(*batch(LENGTHS)).logits.square().sum().backward()
    assert [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None] == []
    assert "m_ssl.model.masked_spec_embed" not in {
        n for n, p in module.named_parameters() if p.requires_grad
    }


@pytest.mark.parametrize("name", ["wavlm", "wav2vec2-conformer", "data2vec-audio"])
def test_recomputed_activations_give_the_same_gradients_after_another_batch(name, batch):
    gradients = []
    for enabled in (False, True):
        module = encoder_detector(name, drops=0.1).train()
        module.set_activation_checkpointing(enabled)
        torch.manual_seed(5)
        loss = module(*batch(LENGTHS)).logits.square().sum()
        if enabled:  # its masks are not those of the batch that is recomputed
            module(*batch([5_000, 800], seed=1))
        loss.backward()
        gradients.append([p.grad for p in module.detection_parameters()])
    for kept, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(kept, recomputed)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_frozen_has_no_gradient_and_what_follows_has(name, batch):
    module = encoder_detector(name)
    parameters = dict(module.m_ssl.model.named_parameters())

    def training() -> set[str]:
        return {n for n, p in parameters.items() if p.requires_grad}

    module.freeze("conv")
    assert not any(n.startswith("feature_extractor.") for n in training())
    module.freeze(2)
    left = {n for n in training() if not n.startswith("encoder.layers.2.")}
    assert left == ({n for n in parameters if n.startswith("encoder.layer_norm.")}
                    if module.config.pre_norm else set())  # fmt: skip
    module.freeze("all")
    assert not training()
    module.train()(*batch([800, 500])).logits.sum().backward()


@pytest.mark.parametrize("asked", [False, True])
def test_frames_are_masked_in_training_only_when_asked(asked, batch):
    module = encoder_detector("wavlm", spec_augment=asked)
    waveforms, lengths = batch([16_000, 16_000])
    with torch.no_grad():
        calm, trained = (module.train(mode)(waveforms, lengths).logits for mode in (False, True))
    assert torch.equal(calm, trained) is not asked


PUBLISHED = {"wavlm_base_plus": 94.7e6, "wavlm_large": 316.62e6, "mhubert_147": 95e6}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_yaml_describes_its_model_in_full_size(name):
    """Parameters as the papers give them, to one percent (heads of pre-training apart)."""
    hparams, *_ = load_hparams(f"hparams/{name}.yaml", ["--base_path=B"], objects=False)
    with torch.device("meta"):
        module = build_detector(name, **detector_options(hparams))
    count = sum(p.numel() for p in module.m_ssl.parameters())
    assert abs(count / PUBLISHED[name] - 1) < 0.01
    assert module.m_ssl.preprocessing.normalise is (name != "wavlm_base_plus")


def test_a_folder_says_what_the_encoder_is_and_whether_waveforms_are_normalised(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(encoder_config("unispeech-sat")))
    front_end = {"engine": "transformers", "source": str(tmp_path)}
    module = build_detector("transformers", front_end=front_end)
    assert (module.config.family, module.config.layers) == ("unispeech-sat", 3)
    assert module.m_ssl.preprocessing.normalise
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    module = build_detector("transformers", front_end=front_end)
    assert not module.m_ssl.preprocessing.normalise
    said = build_detector("transformers", front_end={**front_end, "normalise": True})
    assert said.m_ssl.preprocessing.normalise


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "whisper"}, "model_type is 'whisper', and engine transformers knows wav2"),
        ({"model_type": None}, "model_type is None"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "its frames are not those of 20 ms"),
        ({"add_adapter": True}, "its frames are not those of 20 ms"),
        ({"hidden_size": "wide"}, "describes no wav2vec2 encoder"),
        ({"conv_dim": [32]}, "describes no wav2vec2 encoder"),
        ({"num_attention_heads": 5}, "describes no wav2vec2 encoder"),
    ],
)
def test_a_config_that_is_no_encoder_of_ours_is_refused(changes, words):
    spec = {"engine": "transformers", "config": encoder_config("wav2vec2", **changes)}
    with pytest.raises(UserError, match=words):
        build_detector("a", front_end=spec)


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_a_source_without_a_config_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    spec = {"engine": "transformers", "source": str(tmp_path)}
    with pytest.raises(UserError, match="is no folder or hub id with a config.json"):
        build_detector("transformers", front_end=spec)


def test_an_engine_without_anything_to_compute_is_refused():
    with pytest.raises(UserError, match="neither source nor config: name a folder or hub id"):
        build_detector("transformers", front_end={"engine": "transformers"})
    with pytest.raises(UserError, match="unknown option 'sources'.*: choose among engine, source"):
        build_detector("a", front_end={"engine": "transformers", "sources": "x"})


def test_a_missing_package_is_one_sentence_with_the_remedy(monkeypatch):
    transformers_engine._package.cache_clear()
    monkeypatch.setitem(sys.modules, "transformers", None)
    try:
        with pytest.raises(UserError, match="bash install.sh --with transformers"):
            encoder_detector("wavlm")
    finally:
        transformers_engine._package.cache_clear()
