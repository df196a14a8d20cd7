"""What holds for every head: padding, gradients, names, options."""

import pytest
import torch
from support.encoders import CLASSES, encoder_detector

from dataio.schema import UserError
from models.detector import Detector, build_detector
from models.heads.catalogue import HEADS, build_head
from models.heads.layer_sum import LayerSum

LENGTHS = [16_000, 9_000, 24_000, 9_000]
SMALL = {"sls": {"frames": 31, "hidden": 16}, "mhfa": {"heads": 4, "compressed": 8}}
SSL_HEADS = [name for name in HEADS if name != "waveform_aasist"]  # tests/models/test_aasist.py
ENGINES = [
    ("w2v_tiny", "native"),
    ("hubert_tiny", "native"),
    pytest.param("xlsr_tiny", "fairseq", marks=pytest.mark.needs("fairseq")),
]


def spec(name, **options):
    return {"name": name, **SMALL.get(name, {}), **options}


@pytest.mark.parametrize("model, engine", ENGINES)
@pytest.mark.parametrize("name", SSL_HEADS)
@torch.no_grad()
def test_a_file_scores_the_same_alone_and_in_a_padded_batch(name, model, engine, batch):
    module = build_detector(model, engine=engine, head=spec(name)).eval()
    waveforms, lengths = batch(LENGTHS)
    together = module(waveforms, lengths)
    for row, length in enumerate(LENGTHS):
        alone = module(waveforms[row : row + 1, :length])
        torch.testing.assert_close(together.logits[row : row + 1], alone.logits, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            together.embedding[row : row + 1], alone.embedding, atol=1e-3, rtol=1e-3
        )


@pytest.mark.slow
@pytest.mark.needs("transformers")
@pytest.mark.parametrize("encoder", CLASSES)
@pytest.mark.parametrize("name", SSL_HEADS)
@torch.no_grad()
def test_so_it_does_on_every_encoder_of_transformers(name, encoder, batch):
    narrow = {"groups": 4} if name == "nes2net" else {}
    module = encoder_detector(encoder, head=spec(name, **narrow)).eval()
    waveforms, lengths = batch(LENGTHS)
    together = module(waveforms, lengths).logits
    for row, length in enumerate(LENGTHS):
        alone = module(waveforms[row : row + 1, :length]).logits
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-4, rtol=0)


@pytest.mark.needs("fairseq")
@pytest.mark.parametrize("drop", [0.5, 1.0])
@pytest.mark.parametrize("model", ["w2v_tiny", "hubert_tiny"])
def test_blocks_that_fairseq_skips_have_a_gradient_under_a_head_that_reads_layers(
    model, drop, batch
):
    options = {"engine": "fairseq", "head": {"name": "layer_sum"}, "overrides": {"layerdrop": drop}}
    module = build_detector(model, **options).train()
    for _ in range(4):
        module.zero_grad()
        module(*batch(LENGTHS)).logits.square().sum().backward()
        without = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
        assert without == []


@pytest.mark.parametrize("last", ["linear", "cosine"])
@pytest.mark.parametrize("model", ["w2v_tiny", "xlsr_tiny"])  # norm after the blocks and before
@pytest.mark.parametrize("name", SSL_HEADS)
def test_every_parameter_that_trains_gets_a_gradient(name, model, last, batch):
    module = build_detector(model, head=spec(name, last=last), overrides={"layerdrop": 0.0}).train()
    for chosen in ([400], LENGTHS):  # the silence of a rank without rows, then a padded batch
        module.zero_grad()
        module(*batch(chosen * (1 if len(chosen) > 1 else 2))).logits.square().sum().backward()
        without = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
        assert without == []


@pytest.mark.parametrize("name", SSL_HEADS)
@torch.no_grad()
def test_the_embedding_is_what_the_last_layer_sees(name, batch):
    module = build_detector("w2v_tiny", head=spec(name)).eval()
    output = module(*batch(LENGTHS))
    assert output.embedding.shape == (4, module.classifier.embedding_width)
    torch.testing.assert_close(module.classifier.classify(output.embedding), output.logits)


@pytest.mark.parametrize("model, engine", ENGINES)
@pytest.mark.parametrize("name", ["mean_linear", "layer_sum", "sls_mean"])
@torch.no_grad()
def test_the_frames_shares_have_the_files_logits_as_their_mean(name, model, engine, batch):
    module = build_detector(model, engine=engine, head=spec(name)).eval()
    waveforms, lengths = batch(LENGTHS)
    together = module(waveforms, lengths, with_frames=True)
    plain = module(waveforms, lengths)
    assert torch.equal(together.logits, plain.logits)
    assert torch.equal(together.embedding, plain.embedding)
    for row, length in enumerate(LENGTHS):
        alone = module(waveforms[row : row + 1, :length], with_frames=True)
        for output, at in ((alone, 0), (together, row)):
            count = int(output.frame_lengths[at])
            assert count == int(module.frame_lengths(lengths[row]))
            mean = output.frame_logits[at, :count].mean(0)
            torch.testing.assert_close(mean, output.logits[at], atol=1e-5, rtol=0)


@torch.no_grad()
def test_without_masks_the_frames_of_padding_have_a_share(batch):
    module = build_detector("w2v_tiny", mask_padding=False).eval()
    output = module(*batch(LENGTHS), with_frames=True)
    assert output.frame_lengths.tolist() == [output.frame_logits.shape[1]] * 4
    torch.testing.assert_close(output.frame_logits.mean(1), output.logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted({*SSL_HEADS} - {"mean_linear", "layer_sum", "sls_mean"}))
@torch.no_grad()
def test_a_head_that_is_no_mean_over_frames_has_no_shares(name, batch):
    output = build_detector("w2v_tiny", head=spec(name)).eval()(*batch(LENGTHS), with_frames=True)
    assert output.frame_logits is None and output.logits.shape == (4, 2)


@torch.no_grad()
def test_a_cosine_has_no_shares(batch):
    module = build_detector("w2v_tiny", head={"last": "cosine"}).eval()
    assert module(*batch(LENGTHS), with_frames=True).frame_logits is None


@pytest.mark.needs("fairseq")
@torch.no_grad()
def test_the_engines_hand_over_the_same_layers(batch):
    for model in ("w2v_tiny", "xlsr_tiny"):
        native = build_detector(model).eval()
        fairseq = build_detector(model, engine="fairseq").eval()
        fairseq.load_state_dict(native.state_dict())
        ours, theirs = [], []
        waveforms, lengths = batch([9_000, 9_000])
        frames = native.m_ssl(waveforms, None, ours)
        fairseq.m_ssl(waveforms, None, theirs)
        assert len(ours) == len(theirs) == native.config.layers + 1
        for left, right in zip(ours, theirs, strict=True):
            torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-4)
        if model == "xlsr_tiny":
            ours[-1] = native.m_ssl.model.encoder.layer_norm(ours[-1])
        torch.testing.assert_close(ours[-1], frames)


def test_layer_sum_with_all_weight_on_one_layer_is_that_layers_mean():
    head = LayerSum(3, 2)
    with torch.no_grad():
        head.weights.copy_(torch.tensor([-1e9, 0.0, -1e9]))
    hidden = list(torch.randn(3, 2, 5, 3))
    expected = head.linear(hidden[1][:, :4].mean(1))
    torch.testing.assert_close(head(hidden, torch.tensor([4, 4])).logits, expected)


def test_a_cosine_score_is_between_minus_one_and_one_and_needs_no_scale():
    head = build_head({"last": "cosine"}, width=6, layers=1)
    logits = head([1e3 * torch.randn(9, 4, 6)], None).logits
    assert (logits[:, 1] - logits[:, 0]).abs().max() <= 1


def test_the_released_names_are_those_of_the_default_head():
    assert {"proj_fc.weight", "proj_fc.bias"} <= set(build_detector("w2v_tiny").state_dict())
    other = build_detector("w2v_tiny", head={"name": "layer_sum"})
    assert {"head.weights", "head.linear.weight"} <= set(other.state_dict())


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"name": "mhfaa"}, "unknown head 'mhfaa': choose one of mean_linear, layer_sum"),
        ({"name": "mhfa", "head": 3}, "unknown option 'head' of head mhfa: choose among heads"),
        ({"layers": 3}, "unknown option 'layers' of head mean_linear: it has none"),
        ({"name": "nes2net", "groups": 3}, "frames of 8 cannot be 3 groups"),
        ({"name": "nes2net", "groups": 2, "scale": 8}, "2 groups of 8 or more dimensions each"),
        ({"name": "mhfa", "heads": 0}, "heads is 0, expected a whole number"),
        ({"last": "angle"}, "last is 'angle', choose one of linear, cosine"),
        ({"name": "nowhere.py:Head"}, "cannot be loaded"),
        ({"name": "collections:OrderedDict"}, "is no subclass"),
    ],
)
def test_a_head_that_is_not_known_is_refused(bad, words):
    with pytest.raises(UserError, match=words):
        build_head(bad, width=8, layers=2)


def test_a_head_from_outside_the_tree_is_named_by_its_file(tmp_path, batch):
    (tmp_path / "first_frame.py").write_text(
        "from torch import nn\n"
        "from models.heads.interface import Head\n\n\n"
        "class FirstFrame(Head):\n"
        "    def __init__(self, width, layers, hidden=4):\n"
        "        super().__init__()\n"
        "        self.squeeze = nn.Linear(width, hidden)\n"
        "        self.linear = nn.Linear(hidden, 2)\n\n"
        "    def embed(self, hidden, frame_lengths):\n"
        "        return self.squeeze(hidden[-1][:, 0].float())\n"
    )
    head = {"name": f"{tmp_path}/first_frame.py:FirstFrame", "hidden": 5}
    module = build_detector("w2v_tiny", head=head)
    assert isinstance(module, Detector)
    assert module(*batch(LENGTHS)).embedding.shape == (4, 5)
