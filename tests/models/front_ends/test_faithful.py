"""`mask_padding: False`, `valid_augment: True`: the published arithmetic, step for step."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from speechbrain import Stage
from support.training import make_run

from models.detector import build_detector

pytestmark = pytest.mark.needs("fairseq")
NO_DROPS = {
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "dropout_input": 0.0,
    "layerdrop": 0.0,
}


def published_step(detector, batch, lr: float) -> tuple[float, dict, dict]:
    """One step as the published loop takes it: no masks, batch mean, clip at 100, AdamW.

    Returns the loss, the gradients before clipping and the weights after the step.
    """
    detector.train()
    normed = [F.layer_norm(w[:n], (int(n),)) for w, n in zip(batch.waveforms, batch.lengths)]  # noqa: B905
    padded = torch.nn.utils.rnn.pad_sequence(normed, batch_first=True)
    model = detector.m_ssl.model
    frames = model.extract_features(padded, padding_mask=None, mask=False)
    frames = frames["x"] if isinstance(frames, dict) else frames[0]
    logits = F.linear(frames.mean(1), detector.proj_fc.weight, detector.proj_fc.bias)
    loss = F.cross_entropy(logits, batch.labels)
    trained = {name: p for name, p in detector.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=lr, weight_decay=0.01, eps=1e-6)
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in trained.items()}
    torch.nn.utils.clip_grad_norm_(trained.values(), 100)
    optimizer.step()
    return float(loss.detach()), gradients, {n: p.detach().clone() for n, p in trained.items()}


@pytest.mark.parametrize("model", ["w2v_tiny", "xlsr_tiny", "hubert_tiny"])
def test_one_step_equals_the_published_one(model, toy_corpus, tmp_path):
    brain, train, _ = make_run(
        toy_corpus,
        tmp_path,
        yaml=f"hparams/{model}.yaml",
        mask_padding=False,
        valid_augment=True,
        warmup=0,
        num_buckets=1,
        max_batch_length=12,
        lr=1e-4,
    )
    quiet = build_detector(model, mask_padding=False, overrides=NO_DROPS)
    quiet.load_state_dict(brain.detector.state_dict())
    reference = build_detector(model, engine="fairseq", mask_padding=False, overrides=NO_DROPS)
    reference.load_state_dict(quiet.state_dict())
    brain.detector = brain.modules["detector"] = quiet
    brain.init_optimizers()
    brain.modules.train()

    train.plan_segment(1)
    batch = next(iter(train))
    assert len(set(batch.data.lengths.tolist())) > 1, "padding must take part"
    gradients = {}
    original = brain.optimizers_step

    def recorded():
        gradients.update(
            {n: p.grad.clone() for n, p in quiet.named_parameters() if p.requires_grad}
        )
        original()

    brain.optimizers_step = recorded
    brain.log.open(0)
    brain.log.start_bar("train", done=0, more=1)
    brain.step = 1
    loss = brain.fit_batch(batch)
    expected_loss, expected_gradients, expected_weights = published_step(
        reference, batch.data, brain.optimizer.param_groups[0]["lr"]
    )
    assert float(loss) == pytest.approx(expected_loss, abs=1e-5)
    scale = max(float(g.abs().max()) for g in expected_gradients.values())
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        difference = float((gradients[name] - gradient).abs().max())
        assert difference <= 1e-5 * max(scale, 1), f"gradient of {name}"
    now = dict(quiet.named_parameters())
    for name, weight in expected_weights.items():
        # AdamW's first step is lr x sign(gradient): where a gradient is rounding noise around
        # zero the sign is too, so weights are compared where the gradient is more than that.
        solid = expected_gradients[name].abs() > 1e-4 * scale
        difference = (now[name].detach() - weight).abs()[solid]
        assert not len(difference) or float(difference.max()) <= 1e-5, name


def test_validation_as_published_crops_and_augments(toy_corpus, tmp_path):
    brain, _, valid = make_run(
        toy_corpus, tmp_path, valid_augment=True, use_da=True, train_crop_seconds=[0.5, 0.6]
    )
    longest = max(int(batch.lengths.max()) for batch in valid)
    assert longest <= 0.6 * 16000 + 1
    assert valid.loader._loader.dataset.dataset.augmentation is not None
    assert brain.hparams.mask_padding


def test_masks_come_back_for_validation_whatever_training_does(toy_corpus, tmp_path):
    brain, _, valid = make_run(toy_corpus, tmp_path, mask_padding=False)
    brain.modules.eval()
    batch = next(iter(valid))
    with torch.no_grad():
        together = brain.compute_forward(batch, Stage.VALID).logits
        alone = brain.detector(batch.waveforms[-1:, : batch.lengths[-1]], batch.lengths[-1:]).logits
    assert torch.allclose(together[-1], alone[0], atol=1e-4)
