"""What one optimisation step does: precision, skipped steps, freezing, checkpoints."""

from __future__ import annotations

import math
import resource
import shutil

import pytest
import torch
from support.training import broken_corpus, killed_run, make_run

from dataio.schema import UserError


def weights(brain) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in brain.detector.state_dict().items()}


def moved(before: dict, after: dict) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_precision_is_what_the_inside_of_the_model_computes_in(precision, toy_corpus, tmp_path):
    brain, train, valid = make_run(
        toy_corpus, tmp_path, precision=precision, eval_precision=precision
    )
    dtypes = {True: set(), False: set()}
    record_attention(brain, dtypes)
    brain.fit_stream(train, valid)
    wanted = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert dtypes == {True: {wanted}, False: {wanted}}
    assert brain.scaler.is_enabled() == (precision == "fp16")
    assert all(p.dtype == torch.float32 for p in brain.detector.parameters())


def record_attention(brain, dtypes: dict) -> None:
    """Note the dtype of the queries that attention works on, in training and in validation."""
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is torch.nn.functional.scaled_dot_product_attention:
                dtypes[brain.detector.training].add(args[0].dtype)
            return function(*args, **(kwargs or {}))

    inner = brain.detector.m_ssl.model.encoder.forward

    def watched(*args, **kwargs):
        with Watch():
            return inner(*args, **kwargs)

    brain.detector.m_ssl.model.encoder.forward = watched


def spoil_loss(brain, steps: set[int]) -> None:
    """Make the loss of some optimiser steps NaN."""
    original = brain.compute_objectives

    def spoilt(predictions, batch, stage):
        loss = original(predictions, batch, stage)
        bad = stage.name == "TRAIN" and brain.optimizer_step in steps
        return loss * math.nan if bad else loss

    brain.compute_objectives = spoilt


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_step_with_a_nonfinite_loss_is_skipped_and_counted(precision, toy_corpus, tmp_path):
    brain, train, valid = make_run(toy_corpus, tmp_path, precision=precision)
    spoil_loss(brain, {2})
    snapshots = []
    original = brain.optimizers_step

    def recorded():
        snapshots.append(weights(brain))
        original()

    brain.optimizers_step = recorded
    brain.fit_stream(train, valid)
    assert not moved(snapshots[2], snapshots[3]), "the NaN step must not move the weights"
    assert moved(snapshots[3], weights(brain))
    assert [row["skipped_steps"] for row in brain.state.validations] == [0, 1]
    assert math.isfinite(brain.state.validations[-1]["train_loss"])


def test_training_stops_when_patience_with_nonfinite_losses_is_used_up(toy_corpus, tmp_path):
    brain, train, valid = make_run(toy_corpus, tmp_path, nonfinite_patience=1, valid_step=4)
    spoil_loss(brain, {0, 1, 2, 3})
    with pytest.raises(UserError, match="2 steps had a non-finite loss.*lower lr"):
        brain.fit_stream(train, valid)


def spoil_gradient(brain, steps: set[int]) -> None:
    """Make the gradient of some optimiser steps infinite, and their loss not."""
    brain.detector.proj_fc.weight.register_hook(
        lambda gradient: gradient * (math.inf if brain.optimizer_step in steps else 1)
    )


def test_fp16_gradients_that_overflow_now_and_then_are_skipped_and_counted(toy_corpus, tmp_path):
    options = {"precision": "fp16", "nonfinite_patience": 2}
    brain, train, valid = make_run(
        toy_corpus, tmp_path, **options, valid_step=6, optimizer_step_limit=6
    )
    spoil_gradient(brain, {0, 1, 3, 4})
    brain.fit_stream(train, valid)
    assert brain.state.validations[-1]["skipped_steps"] == brain.state.skipped_total == 4
    assert brain.scaler.get_scale() == 65536 / 2**4


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_training_stops_when_gradients_stay_nonfinite(precision, toy_corpus, tmp_path):
    brain, train, valid = make_run(
        toy_corpus, tmp_path, precision=precision, nonfinite_patience=2, optimizer_step_limit=9
    )
    spoil_gradient(brain, set(range(9)))
    before = weights(brain)
    with pytest.raises(UserError, match="at optimiser step 2: 3 steps .*nonfinite_patience 2"):
        brain.fit_stream(train, valid)
    assert not moved(before, weights(brain))


@pytest.mark.parametrize(
    "what, still",
    [
        ("all", ("m_ssl.",)),
        ("conv", ("m_ssl.model.feature_extractor.",)),
        ("1", ("m_ssl.model.feature_extractor.", "m_ssl.model.encoder.layers.0.")),
    ],
)
def test_what_is_frozen_stays_and_the_rest_trains(what, still, toy_corpus, tmp_path):
    brain, train, valid = make_run(toy_corpus, tmp_path, freeze_front_end=what)
    before = weights(brain)
    brain.fit_stream(train, valid)
    changed = moved(before, weights(brain))
    assert "proj_fc.weight" in changed
    assert not [name for name in changed if name.startswith(still)]
    assert what == "all" or any(name.startswith("m_ssl.") for name in changed)


def test_a_front_end_frozen_until_a_step_trains_from_there(toy_corpus, tmp_path):
    brain, train, valid = make_run(
        toy_corpus, tmp_path, freeze_front_end="all", freeze_until_step=3, valid_step=4
    )
    snapshots = []
    original = brain.optimizers_step

    def recorded():
        original()
        snapshots.append(weights(brain))

    brain.optimizers_step = recorded
    before = weights(brain)
    brain.fit_stream(train, valid)
    front_end = [
        {name for name in moved(a, b) if name.startswith("m_ssl.")}
        for a, b in zip([before, *snapshots], snapshots, strict=False)
    ]
    assert front_end[:3] == [set(), set(), set()]
    assert front_end[3], "from step 3 on the front end trains"


def test_activation_checkpointing_changes_memory_not_arithmetic(toy_corpus, tmp_path):
    tables = []
    for name, on in (("plain", False), ("less", True)):
        brain, *streams = make_run(toy_corpus, tmp_path / name, checkpoint_activations=on)
        brain.fit_stream(*streams)
        tables.append([row["train_loss"] for row in brain.state.validations])
    assert tables[0] == pytest.approx(tables[1], abs=1e-6)


def test_a_full_disk_during_a_checkpoint_leaves_the_former_one_good(toy_corpus, tmp_path):
    brain, train, valid = make_run(toy_corpus, tmp_path)
    brain.fit_stream(train, valid)
    former = brain.checkpointer.checkpoints_dir
    good = sorted(path.name for path in former.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))  # files of 1 MB at most
    try:
        with pytest.raises(UserError, match="cannot write the checkpoint .* is intact"):
            brain.save_last("full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in former.iterdir()) == good
    again, *_ = make_run(toy_corpus, tmp_path)
    assert again.checkpointer.newest_intact().path.name in good


def test_the_best_checkpoint_is_the_one_with_the_lowest_validation_eer(toy_corpus, tmp_path):
    brain, train, valid = make_run(toy_corpus, tmp_path)
    brain.fit_stream(train, valid)
    (best,) = brain.best.checkpoints_dir.glob("CKPT+best*")
    lowest = min(row["valid_eer"] for row in brain.state.validations)
    assert brain.state.best_eer == lowest
    first = next(row for row in brain.state.validations if row["valid_eer"] == lowest)
    assert best.name == f"CKPT+best-step{first['optimizer_step']:08d}"


def test_unused_tensors_of_the_checkpoint_have_no_optimiser_state(toy_corpus, tmp_path):
    brain, train, valid = make_run(toy_corpus, tmp_path)
    brain.fit_stream(train, valid)
    trained = {id(p) for group in brain.optimizer.param_groups for p in group["params"]}
    unused = [
        name
        for name, parameter in brain.detector.named_parameters()
        if "quantizer" in name or "project_q" in name or "final_proj" in name
    ]
    names = dict(brain.detector.named_parameters())
    assert unused and not [name for name in unused if id(names[name]) in trained]


def test_unreadable_training_files_are_skipped_counted_and_named(toy_corpus, tmp_path):
    corpus = broken_corpus(toy_corpus, tmp_path / "corpus")
    brain, train, valid = make_run(corpus, tmp_path, valid_step=4, number_of_epochs=1)
    brain.fit_stream(train, valid)
    assert list(brain.state.bad_files) == ["Toy-train-003"]
    assert brain.state.validations[-1]["bad_files"] == 1


def test_the_gradient_is_averaged_over_the_rows_that_were_read(toy_corpus, tmp_path):
    """As if the unreadable rows had not been asked for."""
    whole = {"max_batch_length": 1000, "num_buckets": 1}  # all rows in one step
    broken = broken_corpus(toy_corpus, tmp_path / "broken", rows=range(12))
    fewer = make_corpus_of_rows(toy_corpus, tmp_path / "fewer", rows=range(12, 18))
    norms = []
    for corpus in (broken, fewer):
        brain, *streams = make_run(corpus, tmp_path / corpus.name, optimizer_step_limit=1, **whole)
        without_dropout(brain)
        brain.fit_stream(*streams)
        norms.append(brain.state.scalars["grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def make_corpus_of_rows(corpus, folder, rows):
    shutil.copytree(corpus, folder)
    path = folder / "protocols/train.csv"
    header, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *(lines[row] for row in rows)]))
    return folder


def without_dropout(brain) -> None:
    brain.detector.eval()
    brain.detector.train = lambda mode=True: brain.detector


def test_a_step_of_which_no_row_can_be_read_moves_nothing(toy_corpus, tmp_path):
    corpus = broken_corpus(toy_corpus, tmp_path / "corpus", rows=range(18))
    brain, train, valid = make_run(corpus, tmp_path, optimizer_step_limit=2, lr=0.1)
    before = weights(brain)
    with pytest.raises(UserError, match=r"no file of .*train\.csv that was drawn can be read"):
        brain.fit_stream(train, valid)
    assert brain.optimizer_step == 2 and not moved(before, weights(brain))
    assert not list((tmp_path).rglob("CKPT*"))


def test_a_training_file_that_breaks_off_is_used_and_named_once(toy_corpus, tmp_path, caplog):
    corpus = shutil.copytree(toy_corpus, tmp_path / "corpus")
    path = corpus / "Data/Toy/train/003.wav"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    brain, train, valid = make_run(corpus, tmp_path, valid_step=4, number_of_epochs=2)
    with caplog.at_level("WARNING"):
        brain.fit_stream(train, valid)
    said = [line for line in caplog.messages if "Toy-train-003" in line]
    assert len(said) == 1 and "is used as it is: it breaks off at" in said[0]
    assert not brain.state.bad_files


def test_training_stops_past_max_bad_files(toy_corpus, tmp_path):
    corpus = broken_corpus(toy_corpus, tmp_path / "corpus")
    brain, train, valid = make_run(corpus, tmp_path, number_of_epochs=1, max_bad_files=0)
    with pytest.raises(UserError, match="1 files of .*train.csv cannot be read .* Toy-train-003"):
        brain.fit_stream(train, valid)


@pytest.mark.parametrize("factors", [(1, 2), (2, 3)])
def test_another_accumulation_after_a_resume_still_steps_on_whole_steps(
    factors, toy_corpus, tmp_path
):
    options = {"optimizer_step_limit": 100, "valid_step": 100, "number_of_epochs": 1}
    first = make_run(
        toy_corpus,
        tmp_path,
        **options,
        ckpt_interval_steps=3 * factors[0],
        grad_accumulation_factor=factors[0],
    )
    killed_run(*first, at="training")
    brain, train, valid = make_run(
        toy_corpus, tmp_path, **options, grad_accumulation_factor=factors[1]
    )
    seen, rows = [], []
    original = brain.on_fit_batch_start

    def noted(batch, should_step):
        rows.append(len(batch.data))
        if should_step:
            seen.append((sum(rows), batch.step_rows))
            rows.clear()
        original(batch, should_step)

    brain.on_fit_batch_start = noted
    brain.fit_stream(train, valid)
    assert len(seen) > 1 and all(read == planned for read, planned in seen)
    assert not rows, "no batch is left without its step"


def test_a_resumed_run_takes_the_optimisers_settings_asked_for_now(toy_corpus, tmp_path):
    first, *streams = make_run(toy_corpus, tmp_path, optimizer_step_limit=2)
    first.fit_stream(*streams)
    asked = {"weight_decay": 0.5, "adam_eps": 1e-3, "lr": 0.25, "warmup": 0}
    brain, *streams = make_run(toy_corpus, tmp_path, optimizer_step_limit=4, **asked)
    brain.fit_stream(*streams)
    (group,) = brain.optimizer.param_groups
    assert (group["weight_decay"], group["eps"]) == (0.5, 1e-3)
    assert brain.state.validations[-1]["lr"] == pytest.approx(0.25 * 0.01 ** (3 / 4))


def test_a_checkpoint_of_other_trained_parameters_is_refused_by_name(toy_corpus, tmp_path):
    first, *streams = make_run(toy_corpus, tmp_path, optimizer_step_limit=2)
    first.fit_stream(*streams)
    again, *streams = make_run(toy_corpus, tmp_path, freeze_front_end="conv")
    with pytest.raises(UserError, match="was trained with freeze_front_end none, not conv"):
        again.fit_stream(*streams)
    again, *streams = make_run(toy_corpus, tmp_path, remove_vector_weight_decay=True)
    with pytest.raises(UserError, match="remove_vector_weight_decay False, not True"):
        again.fit_stream(*streams)


def test_norms_and_biases_do_not_decay_when_asked(toy_corpus, tmp_path):
    brain, *streams = make_run(
        toy_corpus, tmp_path, remove_vector_weight_decay=True, optimizer_step_limit=2
    )
    brain.fit_stream(*streams)
    decay = {
        (p.ndim == 1, g["weight_decay"]) for g in brain.optimizer.param_groups for p in g["params"]
    }
    assert decay == {(True, 0.0), (False, 0.01)}


def test_rawboost_on_the_device_trains_as_rawboost_in_the_loader(toy_corpus, tmp_path):
    losses = {}
    for place in ("loader", "device"):
        brain, train, valid = make_run(
            toy_corpus, tmp_path / place, use_da=True, augment_on=place, valid_step=4
        )
        brain.fit_stream(train, valid)
        losses[place] = brain.state.validations[0]["train_loss"]
    assert losses["device"] == pytest.approx(losses["loader"], abs=1e-4)
