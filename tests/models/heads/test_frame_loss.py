"""The loss of frames: masks, partial segments, weights, and what a YAML may not say."""

import pytest
import torch
import torch.nn.functional as F

from dataio.schema import UserError
from models.detector import build_detector
from models.heads.frame_loss import FrameLoss, build_frame_loss, require_frames


def test_it_is_the_mean_cross_entropy_of_segments_that_are_known():
    logits = torch.randn(2, 7, 2)
    labels = torch.tensor([[1, 0, 1, -1], [0, -1, 1, 1]])  # of 0.04 s: two frames each
    found = FrameLoss(0.5, 0.04)(logits, torch.tensor([7, 3]), labels)
    first = torch.stack([logits[0, 0:2].mean(0), logits[0, 2:4].mean(0), logits[0, 4:6].mean(0)])
    second = logits[1, 0:2].mean(0, keepdim=True)  # of the third frame nobody says what it is
    expected = [F.cross_entropy(first, torch.tensor([1, 0, 1])),
                F.cross_entropy(second, torch.tensor([0]))]  # fmt: skip
    assert torch.allclose(found, 0.5 * torch.stack(expected), atol=1e-6)


def test_a_partial_last_segment_is_the_mean_of_its_own_frames():
    logits = torch.randn(1, 5, 2)
    found = FrameLoss(1.0, 0.08)(logits, torch.tensor([5]), torch.tensor([[-1, 0]]))
    assert torch.allclose(found, F.cross_entropy(logits[0, 4:5], torch.tensor([0])), atol=1e-6)


def test_padding_changes_nothing_and_gets_no_gradient():
    alone = torch.randn(1, 4, 2)
    padded = F.pad(alone, (0, 0, 0, 6), value=100.0).requires_grad_()
    labels = torch.tensor([[1, 0]])
    loss = FrameLoss(1.0, 0.04)
    found = loss(padded, torch.tensor([4]), F.pad(labels, (0, 3), value=-1))
    assert torch.equal(found.detach(), loss(alone, torch.tensor([4]), labels))
    found.sum().backward()
    assert not padded.grad[0, 4:].any() and padded.grad[0, :4].all()


def test_a_file_without_labels_costs_nothing():
    loss = FrameLoss(1.0, 0.02)
    assert loss(torch.randn(1, 4, 2), torch.tensor([4]), torch.full((1, 4), -1)).item() == 0


def test_a_yaml_without_frames_asks_for_no_loss_of_them():
    assert build_frame_loss({"name": "cross_entropy"}) is None
    assert build_frame_loss({"frames": None, "resolution": 0.04}) is None
    found = build_frame_loss({"frames": 2, "resolution": 0.64})
    assert (found.weight, found.frames) == (2.0, 32)
    assert build_frame_loss({"frames": 1}).frames == 8


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"resolution": 0.02}, "without frames"),
        ({"frames": "x"}, "weight of frames"),
        ({"frames": True}, "weight of frames"),
        ({"frames": 0}, "weight of frames"),
        ({"frames": 1, "resolution": 0.03}, "0.02, 0.04, 0.08, 0.16, 0.32, 0.64"),
        ({"frames": 1, "name": "oc_softmax"}, "choose cross_entropy"),
    ],
)
def test_what_a_yaml_may_not_say_is_refused(spec, word):
    with pytest.raises(UserError, match=word):
        build_frame_loss(spec)


def test_a_head_without_logits_of_frames_is_refused():
    heads = {name: build_detector("w2v_tiny", head={"name": name}).classifier
             for name in ("mean_linear", "mhfa")}  # fmt: skip
    require_frames(heads["mean_linear"], "mean_linear")
    with pytest.raises(UserError, match="head mhfa gives no logits of frames"):
        require_frames(heads["mhfa"], "mhfa")
