"""wav2vec 2.0 and HuBERT as transformers keeps them, in every engine, and the way back."""

import pytest
import torch
from support.encoders import encoder_config

from dataio.schema import UserError
from models.checkpoints import load_detector
from models.detector import build_detector
from models.front_ends.config import CONFIGS

pytestmark = pytest.mark.needs("transformers")


def config_of(model):
    """config.json of one of our tiny models."""
    ours = CONFIGS[model]
    return encoder_config(
        ours.family,
        hidden_size=ours.embed_dim,
        num_hidden_layers=ours.layers,
        num_attention_heads=ours.heads,
        intermediate_size=ours.ffn_dim,
        conv_dim=[ours.conv_dim] * 7,
        conv_bias=ours.conv_bias,
        feat_extract_norm=ours.conv_norm,
        do_stable_layer_norm=ours.pre_norm,
        num_conv_pos_embeddings=ours.pos_kernel,
        num_conv_pos_embedding_groups=ours.pos_groups,
    )


def theirs(model, form="Model"):
    """A model of the package with random weights, no norm at its one."""
    import transformers

    config = config_of(model)
    kind = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}[config.pop("model_type")]
    torch.manual_seed(3)
    config = getattr(transformers, f"{kind}Config")(**config)
    made = getattr(transformers, f"{kind}{form}")(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return made


def saved(module, place, kind):
    if kind == "safetensors":
        module.save_pretrained(place)
        return place
    place.mkdir()
    torch.save(module.state_dict(), place / "pytorch_model.bin")
    return place if kind == "bin folder" else place / "pytorch_model.bin"


FORMS = {
    "safetensors": ("Model", "safetensors"),
    "a folder with pytorch_model.bin": ("Model", "bin folder"),
    "the file, for speech recognition": ("ForCTC", "bin"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("model", ["w2v_tiny", "xlsr_tiny", "hubert_tiny"])
@torch.no_grad()
def test_a_file_of_transformers_fills_the_native_engine(model, form, tmp_path, batch):
    name, kind = FORMS[form]
    module = theirs(model, name)
    ours, info = load_detector(model, saved(module, tmp_path / "hub", kind))
    assert info.kind == "pretraining" and not info.fills_head
    base = module if name == "Model" else module.base_model
    waveforms, _ = batch([9_000, 9_000])
    frames = ours.m_ssl(waveforms, None)
    torch.testing.assert_close(frames, base(waveforms).last_hidden_state, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_model_with_its_quantizer_fills_the_front_end_alone(tmp_path, batch):
    module = theirs("xlsr_tiny", "ForPreTraining")
    module.save_pretrained(tmp_path)
    ours, _ = load_detector("xlsr_tiny", tmp_path)
    waveforms, _ = batch([9_000])
    expected = module.wav2vec2(waveforms).last_hidden_state
    torch.testing.assert_close(ours.m_ssl(waveforms, None), expected, atol=1e-4, rtol=0)
    assert not ours.m_ssl.model.quantizer.vars.any()


@pytest.mark.parametrize("model", ["w2v_tiny", "xlsr_tiny", "hubert_tiny"])
@torch.no_grad()
def test_a_detector_moves_between_the_engines_and_scores_the_same(model, tmp_path, detector, batch):
    native = detector(model).eval()
    torch.save(native.state_dict(), tmp_path / "a.ckpt")
    front_end = {"engine": "transformers", "config": config_of(model)}
    other, _ = load_detector(model, tmp_path / "a.ckpt", front_end=front_end)
    waveforms, lengths = batch([9_000, 16_000])
    expected = native(waveforms, lengths).logits
    torch.testing.assert_close(other(waveforms, lengths).logits, expected, atol=1e-4, rtol=0)
    torch.save(other.state_dict(), tmp_path / "b.ckpt")
    back, info = load_detector(model, tmp_path / "b.ckpt")
    assert info.fills_head
    torch.testing.assert_close(back(waveforms, lengths).logits, expected, atol=1e-5, rtol=0)


@pytest.mark.needs("fairseq")
@torch.no_grad()
def test_a_file_of_transformers_fills_fairseqs_classes(tmp_path, batch):
    module = theirs("xlsr_tiny")
    module.save_pretrained(tmp_path)
    ours, _ = load_detector("xlsr_tiny", tmp_path, engine="fairseq")
    waveforms, _ = batch([9_000])
    expected = module(waveforms).last_hidden_state
    torch.testing.assert_close(ours.m_ssl(waveforms, None), expected, atol=1e-4, rtol=0)


def test_a_file_for_another_model_is_refused_with_the_one_it_looks_like(tmp_path):
    theirs("xlsr_tiny").save_pretrained(tmp_path)
    with pytest.raises(UserError, match="does not fit model w2v_tiny: .*it looks like xlsr_tiny"):
        load_detector("w2v_tiny", tmp_path)


def test_an_encoder_of_another_class_is_refused_by_its_names(tmp_path):
    import transformers

    config = encoder_config("wavlm")
    config.pop("model_type")
    transformers.WavLMModel(transformers.WavLMConfig(**config)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="does not fit model w2v_tiny: .*unexpected .*gru_rel_pos"):
        load_detector("w2v_tiny", tmp_path)
    front_end = {"engine": "transformers", "config": config_of("w2v_tiny")}
    with pytest.raises(UserError, match="does not fit model a: .*unexpected .*gru_rel_pos"):
        load_detector("a", tmp_path, front_end=front_end)


def test_a_folder_is_config_and_weights_of_an_encoder(tmp_path, batch):
    """What `--front_end "{source: FOLDER}" --ckpt_path pretrained` loads."""
    import transformers

    config = encoder_config("wavlm, layer norm")
    config.pop("model_type")
    module = transformers.WavLMModel(transformers.WavLMConfig(**config)).eval()
    module.save_pretrained(tmp_path)
    front_end = {"engine": "transformers", "source": str(tmp_path)}
    ours, info = load_detector("transformers", tmp_path, front_end=front_end)
    assert info.kind == "pretraining"
    waveforms, _ = batch([9_000])
    with torch.no_grad():
        torch.testing.assert_close(ours.m_ssl(waveforms, None), module(waveforms).last_hidden_state)


def test_a_name_that_no_table_knows_stays_and_is_refused(tmp_path):
    module = theirs("w2v_tiny")
    state = {**module.state_dict(), "encoder.extra.weight": torch.ones(2)}
    torch.save(state, tmp_path / "a.bin")
    with pytest.raises(UserError, match=r"1 unexpected \(m_ssl.model.encoder.extra.weight\)"):
        load_detector("w2v_tiny", tmp_path / "a.bin")
    assert build_detector("w2v_tiny").m_ssl.naming == "fairseq"
