"""Pooling over time."""

import torch

from models.heads.pooling import pool_frames


def test_mean_is_over_valid_frames_only():
    frames = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [4.0], [6.0]]])
    assert pool_frames(frames, torch.tensor([2, 3])).tolist() == [[2.0], [4.0]]


def test_padding_may_hold_anything():
    frames = torch.tensor([[[1.0], [torch.inf]], [[2.0], [torch.nan]]])
    assert pool_frames(frames, torch.tensor([1, 1])).tolist() == [[1.0], [2.0]]


def test_without_lengths_every_frame_counts():
    assert pool_frames(torch.tensor([[[1.0], [5.0]]]), None).tolist() == [[3.0]]


def test_half_precision_frames_are_summed_in_float32():
    frames = torch.full((1, 5000, 1), 1.0, dtype=torch.bfloat16)
    pooled = pool_frames(frames, torch.tensor([4999]))
    assert pooled.dtype == torch.float32 and pooled.item() == 1.0
