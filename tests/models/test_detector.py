"""The detector as its users meet it: batches, lengths, freezing, precisions, processes."""

import os
import socket
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from dataio.schema import UserError
from models.detector import build_detector
from models.front_ends.config import CONFIGS, TINY_MODELS
from models.front_ends.fairseq_engine import _fairseq_classes
from models.front_ends.interface import FrontEnd

NEEDS_FAIRSEQ = pytest.mark.needs("fairseq")
ENGINES = ["native", pytest.param("fairseq", marks=NEEDS_FAIRSEQ)]
LENGTHS = [16_000, 9_000, 2_345, 720, 400, 120]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_file_scores_the_same_alone_and_in_a_padded_batch(name, engine, detector, batch):
    module = detector(name, engine=engine).eval()
    waveforms, lengths = batch(LENGTHS)
    with torch.no_grad():
        together = module(waveforms, lengths)
        for row, length in enumerate(LENGTHS):
            alone = module(waveforms[row : row + 1, :length], lengths[row : row + 1])
            assert torch.allclose(alone.logits[0], together.logits[row], rtol=0, atol=1e-4)
            assert torch.allclose(alone.embedding[0], together.embedding[row], rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["w2v_small", "mms_300m", "hubert_large"])
def test_full_size_models_score_a_file_the_same_alone_and_in_a_batch(name, detector, batch):
    module = detector(name).eval()
    waveforms, lengths = batch([20_000, 6_000])
    with torch.no_grad():
        together = module(waveforms, lengths).logits
        alone = module(waveforms[1:, :6_000], lengths[1:]).logits
    assert torch.allclose(alone[0], together[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_gradient_is_the_mean_of_its_files_gradients(name, detector, batch):
    """Padding leaks into no gradient: the batch's is that of its files one by one."""
    waveforms, lengths = batch([9_000, 4_000])
    labels = torch.tensor([1, 0])

    def gradients(rows):
        module = detector(name, still=True).train()
        for row in rows:
            size = int(lengths[row].max())
            logits = module(waveforms[row, :size], lengths[row]).logits
            (F.cross_entropy(logits, labels[row], reduction="sum") / 2).backward()
        return {key: p.grad for key, p in module.named_parameters() if p.grad is not None}

    together = gradients([torch.tensor([0, 1])])
    apart = gradients([torch.tensor([0]), torch.tensor([1])])
    for key, gradient in together.items():
        assert torch.allclose(gradient, apart[key], rtol=1e-3, atol=1e-5), key


@pytest.mark.parametrize("name", TINY_MODELS)
def test_without_masks_padding_takes_part_as_published(name, detector, batch):
    """Zeros after the normalised waveform are then audio like any other: no mask, all frames."""
    module = detector(name, mask_padding=False).eval()
    waveforms, lengths = batch([16_000, 9_000])
    normalised = F.layer_norm(waveforms[1, :9_000], (9_000,))
    padded = F.pad(normalised, (0, 7_000))[None]
    with torch.no_grad():
        expected = module.m_ssl(padded, None).mean(1)
        out = module(waveforms, lengths)
        masked = detector(name).eval()(waveforms, lengths)
    assert torch.allclose(out.embedding[1], expected[0], atol=1e-5)
    assert (out.logits[1] - masked.logits[1]).abs().max() > 1e-3
    assert torch.allclose(out.logits[0], masked.logits[0], atol=1e-5)


def test_level_and_offset_of_a_recording_do_not_matter(detector, batch):
    module = detector("w2v_tiny").eval()
    waveforms, lengths = batch([8_000], level=0.3)
    with torch.no_grad():
        logits, moved = module(waveforms, lengths).logits, module(3 * waveforms + 0.2).logits
    assert torch.allclose(logits, moved, atol=1e-3)


def test_files_below_the_receptive_field_are_followed_by_silence(detector, batch):
    module = detector("w2v_tiny").eval()
    waveforms, lengths = batch([150])
    normalised = F.pad(F.layer_norm(waveforms, (150,)), (0, 250))
    with torch.no_grad():
        expected = module.m_ssl(normalised, None).mean(1)
        assert torch.allclose(module(waveforms, lengths).embedding, expected, atol=1e-5)
    assert module.m_ssl.receptive_field == 400
    assert module.frame_lengths(torch.tensor([1, 400, 16_000])).tolist() == [1, 1, 49]


@pytest.mark.parametrize("lengths", [[0, 5], [5, 11], [5]])
def test_lengths_that_do_not_fit_are_refused(lengths, detector):
    with pytest.raises(ValueError, match="do not fit"):
        detector("w2v_tiny")(torch.zeros(2, 10), torch.tensor(lengths))


@pytest.mark.parametrize("name", CONFIGS)
def test_unused_tensors_are_kept_and_do_not_train(name):
    with torch.device("meta"):
        module = build_detector(name)
    idle = {k for k, p in module.m_ssl.model.named_parameters() if not p.requires_grad}
    assert idle and all(key.startswith(FrontEnd.unused) for key in idle)
    assert any(key.startswith("final_proj") for key in idle)
    assert len(module.detection_parameters()) == len(list(module.parameters())) - len(idle)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TINY_MODELS)
def test_exactly_the_detection_parameters_get_a_gradient(name, engine, detector, batch):
    module = detector(name, engine=engine, overrides={"layerdrop": 0.5}).train()
    module(*batch([6_000, 4_000])).logits[:, 1].sum().backward()
    trained = {id(p) for p in module.detection_parameters()}
    assert trained == {id(p) for p in module.parameters() if p.grad is not None}


FREEZING = [
    ("none", ["feature_extractor.conv_layers.0.0.weight", "encoder.layers.0.fc1.weight"], []),
    ("conv", ["post_extract_proj.weight"], ["feature_extractor.conv_layers.6.0.weight"]),
    (2, ["encoder.layers.2.fc1.weight"], ["encoder.layers.1.fc1.weight", "layer_norm.weight"]),
    ("2", ["encoder.layers.2.fc1.weight"], ["encoder.pos_conv.0.weight_g"]),
    ("all", [], ["encoder.layers.2.fc2.bias", "encoder.layer_norm.weight"]),
]


@pytest.mark.parametrize(("what", "trained", "frozen"), FREEZING)
@pytest.mark.parametrize("name", TINY_MODELS)
def test_freezing_stops_what_it_says_and_nothing_else(name, what, trained, frozen, detector, batch):
    module = detector(name).train()
    module.freeze("all")
    module.freeze(what)
    parameters = dict(module.m_ssl.model.named_parameters())
    assert all(parameters[key].requires_grad for key in trained)
    assert not any(parameters[key].requires_grad for key in frozen)
    assert module.proj_fc.weight.requires_grad
    module(*batch([4_000])).logits[:, 1].sum().backward()
    assert all(p.grad is not None for p in module.detection_parameters())


def test_the_encoders_norm_freezes_with_the_blocks_only_below_them(detector):
    for name, trains in (("w2v_tiny", False), ("xlsr_tiny", True)):
        module = detector(name)
        module.freeze(1)
        assert module.m_ssl.model.encoder.layer_norm.weight.requires_grad is trains


@pytest.mark.parametrize("what", ["some", -1, 4, "1.5"])
def test_freezing_something_unknown_is_refused(what, detector):
    with pytest.raises(UserError, match="expected none, all, conv or a number of layers"):
        detector("w2v_tiny").freeze(what)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_recomputing_activations_changes_no_gradient_and_saves_memory(name, detector, batch):
    def kept_bytes_and_gradients(recompute):
        module = detector(name, overrides={"layerdrop": 0.0}).train()
        module.set_activation_checkpointing(recompute)
        kept = {}

        def note(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        torch.manual_seed(3)  # the same dropout both times
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = module(*batch([16_000, 4_000])).logits[:, 1].sum()
        loss.backward()
        return sum(kept.values()), [p.grad for p in module.detection_parameters()]

    plain_bytes, plain = kept_bytes_and_gradients(False)
    recomputed_bytes, recomputed = kept_bytes_and_gradients(True)
    for expected, gradient in zip(plain, recomputed, strict=True):
        assert torch.allclose(expected, gradient, atol=1e-5)
    assert recomputed_bytes < 0.6 * plain_bytes


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TINY_MODELS)
def test_bf16_autocast_scores_and_trains(name, engine, detector, batch):
    module = detector(name, engine=engine, still=True)
    waveforms, lengths = batch([16_000, 9_000])
    with torch.no_grad():
        exact = module.eval()(waveforms, lengths)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = module(waveforms, lengths)
    assert rounded.logits.dtype == rounded.embedding.dtype == torch.float32
    assert torch.allclose(exact.logits, rounded.logits, atol=0.05)
    assert not torch.equal(exact.logits, rounded.logits)  # autocast did reach the front end
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(module.train()(waveforms, lengths).logits, torch.tensor([1, 0]))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in module.detection_parameters())


@pytest.mark.needs("cuda")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_cuda_agrees_with_the_cpu_and_autocast_stays_near(name, dtype, detector, batch):
    module = detector(name).eval()
    waveforms, lengths = batch([16_000, 9_000])
    with torch.no_grad():
        expected = module(waveforms, lengths).logits
        module.cuda()
        exact = module(waveforms.cuda(), lengths).logits
        with torch.autocast("cuda", dtype):
            rounded = module(waveforms.cuda(), lengths).logits
    assert torch.allclose(exact.cpu(), expected, atol=1e-3)
    assert torch.allclose(rounded.cpu(), expected, atol=0.05)


def test_an_unknown_engine_is_refused():
    with pytest.raises(UserError, match="unknown ssl_engine 'native2': choose one of native, fair"):
        build_detector("w2v_tiny", engine="native2")


def test_a_missing_fairseq_package_is_one_sentence_with_the_remedy(monkeypatch):
    _fairseq_classes.cache_clear()
    monkeypatch.setitem(sys.modules, "fairseq.models.hubert", None)
    monkeypatch.setitem(sys.modules, "fairseq.models", None)
    try:
        with pytest.raises(UserError, match="set ssl_engine to 'native'.*bash install.sh"):
            build_detector("w2v_tiny", engine="fairseq")
    finally:
        _fairseq_classes.cache_clear()


DDP_SCRIPT = """
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from models.detector import build_detector
from models.distributed import join_world

def main(name, engine):
    world = join_world(backend="gloo", device="cpu", timeout_seconds=240)
    torch.set_num_threads(1)
    if engine == "transformers":
        from support.encoders import encoder_detector
        detector = encoder_detector(name, drops=0.5, head={"name": "layer_sum"}).train()
    else:
        detector = build_detector(name, engine=engine, overrides={"layerdrop": 0.5}).train()
    torch.manual_seed(world.rank)  # so the ranks drop different blocks
    parallel = DistributedDataParallel(detector)
    optimizer = torch.optim.AdamW(detector.detection_parameters(), lr=1e-3)
    for step in range(4):
        optimizer.zero_grad()
        lengths = torch.tensor([4000, 2500])
        loss = parallel(torch.randn(2, 4000), lengths).logits.square().sum()
        loss.backward()
        optimizer.step()
    checksum = torch.stack([p.double().sum() for p in detector.detection_parameters()])
    both = [torch.empty_like(checksum) for _ in range(2)]
    dist.all_gather(both, checksum)
    assert torch.equal(*both), "the ranks' weights differ"
    if world.is_main:
        print("same weights")

main(*sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("w2v_tiny", "native"),
        pytest.param("w2v_tiny", "fairseq", marks=pytest.mark.needs("fairseq")),
        pytest.param("wavlm", "transformers", marks=pytest.mark.needs("transformers")),
    ],
)
def test_ddp_trains_with_layerdrop_and_without_searching_for_unused_parameters(name, engine):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", DDP_SCRIPT, name, engine],
            env={
                **os.environ,
                **shared,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "PYTHONPATH": ".:tests",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=300) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], outputs
    assert "same weights" in outputs[0][0]


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY_MODELS)
def test_tiny_models_take_ten_seconds_of_audio_within_a_second_on_one_core(name):
    """Of processor time, which a busy machine does not stretch."""
    code = (
        "import time, torch\n"
        "from models.detector import build_detector\n"
        "torch.set_num_threads(1)\n"
        f"detector = build_detector({name!r}).eval()\n"
        "with torch.inference_mode():\n"
        "    start = time.process_time()\n"
        "    detector(torch.randn(1, 160_000))\n"
        "    print(time.process_time() - start)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.0


def test_importing_models_imports_nothing_heavy():
    code = (
        "import sys, models, models.detector, models.checkpoints\n"
        "heavy = {'matplotlib', 'pandas', 'fairseq', 'transformers', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("lengths", [[400, 401, 719], [16000, 9000], [33333, 33333]])
def test_rounding_the_padded_length_moves_no_score(lengths, detector, batch):
    module = detector("w2v_tiny").eval()
    shapes = []
    module.m_ssl.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape[1]))
    waveforms, counts = batch(lengths)
    plain = module(waveforms, counts).logits
    module.pad_to_frames = 16
    rounded = module(waveforms, counts.tolist()).logits  # integers serve as well
    assert shapes[0] == max(lengths) <= shapes[1] < max(lengths) + 17 * 320
    assert module.frame_lengths(torch.tensor(shapes[1])) % 16 == 0
    assert torch.allclose(plain, rounded, atol=1e-5)


def test_padding_that_is_not_masked_is_not_rounded_up(detector, batch):
    module = detector("w2v_tiny", mask_padding=False).eval()
    plain = module(*batch([16000, 9000])).logits
    module.pad_to_frames = 16
    assert torch.equal(plain, module(*batch([16000, 9000])).logits)
