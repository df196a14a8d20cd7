"""The state that a run goes on from: numbers, text and tensors of its own, nothing else."""

import argparse

import pytest
import torch

from models.stored.plain_state import read_state


def test_an_optimiser_goes_on_as_it_would_have(tmp_path):
    def steps(optimizer, weight, count):
        for _ in range(count):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()

    weight = torch.nn.Parameter(torch.arange(3.0))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    steps(optimizer, weight, 2)
    torch.save(optimizer.state_dict(), tmp_path / "o.ckpt")
    again = torch.nn.Parameter(weight.detach().clone())
    other = torch.optim.AdamW([again], lr=0.5)
    other.load_state_dict(read_state(tmp_path / "o.ckpt"))
    before = (tmp_path / "o.ckpt").read_bytes()
    steps(optimizer, weight, 2)
    steps(other, again, 2)
    assert torch.equal(weight, again)
    assert (tmp_path / "o.ckpt").read_bytes() == before


def nested(depth):
    found = []
    for _ in range(depth):
        found = [found]
    return {"a": found}


def doubled():
    """Six lists, each of which holds the one before a hundred times: 10^12 in all."""
    found = [1]
    for _ in range(6):
        found = [found] * 100
    return {"a": found}


def shared():
    """A thousand views of one megabyte."""
    one = torch.zeros(1 << 18)
    return {str(i): one[:] for i in range(1000)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (nested(100), "nested too deep"),
        (doubled(), "in too many places"),
        (shared(), "larger than the file"),
        ({"a": argparse.Namespace()}, "more than numbers, text and tensors"),
        ({(1, 2): 3}, "more than numbers, text and tensors"),
    ],
    ids=["deep", "doubled", "shared", "an object", "a tuple as a key"],
)
def test_what_is_no_state_is_refused(tmp_path, content, reason):
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=reason):
        read_state(tmp_path / "a.ckpt")
