"""A step that a GPU takes by itself: what is read back and when, what a skipped one leaves."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from speechbrain import Stage
from support.training import broken_corpus, killed_run, make_run
from torch.utils._python_dispatch import TorchDispatchMode

from dataio.dataset import Item, collate
from dataio.schema import UserError
from models.training.optimizer import kernels, make_optimizer
from models.training.step import Step, StepSums, read

READS = {"aten::_local_scalar_dense", "aten::equal", "aten::nonzero"}  # wait for the device


class Reads(TorchDispatchMode):
    """Counts what would make the host wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.name().partition(".")[0] in READS
        return function(*args, **(kwargs or {}))


def as_on_gpu(brain):
    """The brain reads a step late, with the optimiser that a GPU gets (a CPU has one too)."""
    brain.reads_late = True
    brain.opt_class = functools.partial(brain.opt_class, fused=True)
    return brain


def one_step(optimizer, scaler, *, loss: float, gradient: float, rows: int = 4, planned: int = 4):
    sums = StepSums("cpu")
    sums.add(torch.tensor(loss), rows, 1.0)
    sums.note(torch.tensor(loss))
    (weight,) = optimizer.param_groups[0]["params"]
    weight.grad = scaler.scale(torch.full_like(weight, gradient))
    total = sums.over_ranks(0.0, 0.0, 0.0)
    return read(Step(optimizer, scaler).take(total, planned=planned, max_norm=1.0))


@pytest.mark.parametrize("one_kernel", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    "loss, gradient, rows, moves",
    [
        (8.0, 0.1, 4, True),
        (math.nan, 0.1, 4, False),
        (8.0, math.inf, 4, False),
        (0.0, 0.0, 0, False),
    ],
)
def test_a_step_is_taken_or_leaves_everything(one_kernel, scaled, loss, gradient, rows, moves):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=one_kernel)
    scaler = torch.GradScaler("cpu", enabled=scaled, init_scale=4.0)
    told = one_step(optimizer, scaler, loss=loss, gradient=gradient, rows=rows)
    assert torch.equal(weight, torch.ones(3)) == (not moves)
    assert told.finite == (math.isfinite(loss) and math.isfinite(gradient))
    state = optimizer.state.get(weight, {"step": torch.zeros(())})
    assert state["step"] == int(moves)
    assert told.scale == (1 if not scaled else 4.0 if math.isfinite(gradient) else 2.0)


def test_gradients_are_clipped_and_averaged_over_the_rows_that_were_read():
    weight = torch.nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    told = one_step(optimizer, torch.GradScaler("cpu", enabled=False), loss=1, gradient=0.1,
                    rows=2, planned=4)  # fmt: skip
    assert told.norm == pytest.approx(0.4) and torch.allclose(weight, torch.full((4,), -0.2))
    told = one_step(optimizer, torch.GradScaler("cpu", enabled=False), loss=1, gradient=10.0)
    assert told.norm == pytest.approx(20) and torch.allclose(weight, torch.full((4,), -0.7))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_nothing_is_read_back_before_the_next_step_is_under_way(precision, toy_corpus, tmp_path):
    options = {"precision": precision, "grad_accumulation_factor": 2, "valid_step": 4}
    brain, *streams = make_run(toy_corpus, tmp_path, **options)
    as_on_gpu(brain)
    fit_batch, seen = brain.fit_batch, []

    def watched(batch):
        with Reads() as reads:
            loss = fit_batch(batch)
        seen.append(reads.count)
        return loss

    brain.fit_batch = watched
    brain.fit_stream(*streams)
    assert len(seen) == 8 and set(seen[2:]) == {0}, f"reads a batch: {seen}"


@pytest.mark.parametrize("options", [{}, {"precision": "fp16", "grad_accumulation_factor": 2}])
def test_reading_late_changes_nothing_that_is_kept(options, toy_corpus, tmp_path):
    kept = []
    for late in (False, True):
        run = make_run(toy_corpus, tmp_path / str(late), ckpt_interval_steps=1, **options)
        run[0].reads_late = late
        run[0].fit_stream(*run[1:])
        state = run[0].state
        kept.append((state.validations, state.row_count, run[0].detector.state_dict()))
    assert kept[0][:2] == kept[1][:2]
    assert all(torch.equal(a, b) for a, b in zip(*(k[2].values() for k in kept), strict=True))


def test_a_late_reader_stops_at_bad_files_and_nonfinite_steps_too(toy_corpus, tmp_path):
    corpus = broken_corpus(toy_corpus, tmp_path / "corpus", rows=range(18))
    brain, *streams = make_run(corpus, tmp_path, max_bad_files=0)
    with pytest.raises(UserError, match="cannot be read"):
        as_on_gpu(brain).fit_stream(*streams)
    brain, *streams = make_run(toy_corpus, tmp_path / "other", nonfinite_patience=1)
    as_on_gpu(brain).detector.proj_fc.weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(UserError, match="2 steps had a non-finite loss"):
        brain.fit_stream(*streams)


@pytest.mark.parametrize("then, now", [(False, True), (True, False)])
def test_a_run_goes_on_under_another_kind_of_step(then, now, toy_corpus, tmp_path):
    """As from a CPU to a GPU, or from before there was one kernel; `step` is where it is needed."""
    results = []
    for name, first, second in (("same", then, then), ("other", then, now)):
        for kernel, ended in ((first, False), (second, True)):
            brain, *streams = make_run(toy_corpus, tmp_path / name)
            brain.opt_class = functools.partial(brain.opt_class, fused=kernel)
            if ended:
                brain.fit_stream(*streams)
            else:
                killed_run(brain, *streams, at="validated")
        assert all(group["fused"] is second for group in brain.optimizer.param_groups)
        results.append(brain.detector.state_dict())
    for left, right in zip(*(state.values() for state in results), strict=True):
        assert torch.allclose(left, right, atol=1e-6)


def test_step_counts_go_where_the_settings_of_now_want_them(monkeypatch):
    """On another device than the CPU: torch decides by the groups it is given."""
    weight = torch.nn.Parameter(torch.ones(3))
    old = torch.optim.AdamW([weight], lr=0.1)
    weight.grad = torch.ones(3)
    old.step()
    on_device = torch.nn.Parameter(torch.ones(3, device="meta"))

    class Holder(torch.nn.Module):
        def detection_parameters(self):
            return [on_device]

        def parameters(self):
            return iter([on_device])

    for wanted, place in ((True, "meta"), (False, "cpu")):
        new = make_optimizer(Holder(), torch.optim.AdamW, remove_vector_weight_decay=False)
        new.param_groups[0]["fused"] = wanted  # which a constructor allows on real devices alone
        new.load_state_dict(old.state_dict())
        assert new.state[on_device]["step"].device.type == place
        assert new.state[on_device]["exp_avg"].device.type == "meta"
        assert new.param_groups[0]["fused"] is wanted


def test_one_kernel_is_asked_for_where_there_is_one_and_nobody_chose():
    assert kernels(functools.partial(torch.optim.AdamW, lr=1e-7)) == {"fused": True}
    assert kernels(functools.partial(torch.optim.AdamW, fused=False)) == {}
    assert kernels(functools.partial(torch.optim.AdamW, foreach=True)) == {}
    assert kernels(torch.optim.Adadelta) == {"foreach": True}


@pytest.mark.parametrize("equal, heard", [(True, [8000, 8000]), (False, [8000, 9600])])
def test_equal_crops_leave_nothing_to_mask(equal, heard, toy_corpus, tmp_path):
    brain, *_ = make_run(toy_corpus, tmp_path, equal_crops=equal)
    seen = []
    brain.detector.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    pieces = [
        Item(n, str(n), n, np.ones(count, np.float32)) for n, count in enumerate([8000, 9600])
    ]
    batch = SimpleNamespace(data=collate(pieces), draw=(0, 0))
    assert brain.compute_forward(batch, Stage.TRAIN).logits.shape == (2, 2)
    ((waveforms, lengths),) = seen
    assert list(lengths) == heard and waveforms.shape == (2, max(heard))
