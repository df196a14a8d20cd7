"""Checkpoints appear whole, a damaged one is set aside, and there is always one to go on from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from support.hostile_checkpoints import ATTACKS

from dataio.schema import UserError
from models.distributed import World
from models.training import whole_checkpoint
from models.training.whole_checkpoint import WholeCheckpointer


class Killed(BaseException):
    """Stands for `kill -9`: nothing of ours catches it."""


def make(folder: Path, value: float = 0) -> WholeCheckpointer:
    """A checkpointer of one weight, as a start of the program has it."""
    weight = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(weight.weight, value)
    made = WholeCheckpointer(folder, kind="last", num_to_keep=2, world=World())
    made.add_recoverable("weight", weight)
    return made


def save(folder: Path, step: int, value: float = 0) -> None:
    make(folder, value).save_whole(f"step{step:08d}-trained", {"optimizer_step": step})


def newest_step(folder: Path) -> int:
    return make(folder).newest_intact().meta["optimizer_step"]


def damage(folder: Path) -> None:
    path = folder / "weight.ckpt"
    path.write_bytes(path.read_bytes()[:-1])


def steps(folder: Path) -> list[int]:
    found = make(folder).find_checkpoints(importance_key=whole_checkpoint.age)
    return [checkpoint.meta["optimizer_step"] for checkpoint in found]


@pytest.mark.parametrize("call", [1, 2], ids=["before the rename", "after the rename"])
def test_the_only_checkpoint_survives_a_kill_while_it_is_saved_again(tmp_path, monkeypatch, call):
    save(tmp_path, 2, value=1)
    rename, calls = os.rename, []

    def dies(*arguments):
        calls.append(arguments)
        if call == 2:
            rename(*arguments)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "rename", dies)
        save(tmp_path, 2, value=1)
    assert len(calls) == 1 and newest_step(tmp_path) == 2
    for _ in range(2):  # and what such deaths leave behind does not pile up
        save(tmp_path, 2, value=1)
        make(tmp_path).remove_partial()
        assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_checkpoint_is_set_aside_and_later_ones_are_kept(tmp_path, caplog):
    save(tmp_path, 2)
    save(tmp_path, 6)
    damage(tmp_path / "CKPT+last-step00000006-trained")
    assert newest_step(tmp_path) == 2
    assert "step00000006-trained is damaged" in caplog.text
    assert (tmp_path / "damaged-CKPT+last-step00000006-trained").is_dir()
    for step in (3, 4):
        save(tmp_path, step)
    assert steps(tmp_path) == [4, 3]
    assert newest_step(tmp_path) == 4


def test_training_does_not_start_anew_over_damaged_checkpoints(tmp_path):
    for step in (2, 6):
        save(tmp_path, step)
        damage(tmp_path / f"CKPT+last-step{step:08d}-trained")
    names = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UserError, match="no checkpoint in .* is intact .*another --exp_name"):
        newest_step(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_an_empty_folder_has_none(tmp_path):
    assert make(tmp_path).newest_intact() is None


HOSTILE = [
    b"", b"\xff\xfe", b"unixtime: today", b"unixtime: 2020-13-45", b"- " * 3000,
    b"unixtime: " + b"9" * 5000, b"a: &a [x]\nb: *a\n", b"<<: {a: 1}\nunixtime: 1.0\n",
    b"x: !!python/object/apply:os.getcwd []", b"optimizer_step: [1]\nunixtime: 1.0\n",
]  # fmt: skip


@pytest.mark.parametrize("note", HOSTILE)
def test_a_ckpt_yaml_that_no_run_writes_is_one_sentence(tmp_path, note):
    save(tmp_path, 2)
    (meta,) = tmp_path.glob("*/CKPT.yaml")
    meta.write_bytes(note)
    with pytest.raises(UserError, match="CKPT.yaml is .*move that folder away"):
        make(tmp_path).newest_intact()


ABOVE = '{"../weight.ckpt": {"bytes": 1, "crc32": 1}}'


@pytest.mark.parametrize("text", ["[]", '{"weight.ckpt": 3}', "[" * 10**5, ABOVE])
def test_a_manifest_that_no_run_writes_is_damage(tmp_path, text):
    save(tmp_path, 2, value=1)
    save(tmp_path, 4, value=2)
    (tmp_path / "CKPT+last-step00000004-trained" / "MANIFEST.json").write_text(text)
    assert newest_step(tmp_path) == 2


def test_torch_load_takes_no_part_in_going_on(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "load", None)
    save(tmp_path, 2, value=3)
    fresh = make(tmp_path)
    fresh.load_checkpoint(fresh.newest_intact())
    assert fresh.recoverables["weight"].weight.item() == 3


@pytest.mark.parametrize("attack", ["two directories", "a patch is written", "no data", "a call"])
def test_a_strangers_checkpoint_to_go_on_from_is_refused_in_one_sentence(tmp_path, attack):
    save(tmp_path, 2)
    (folder,) = tmp_path.glob("CKPT*")
    trap = tmp_path / "trap.patch"
    data = ATTACKS[attack](trap, torch.nn.Linear(1, 1).state_dict())
    (folder / "weight.ckpt").write_bytes(data)
    (folder / "MANIFEST.json").unlink()
    whole_checkpoint.write_manifest(folder)
    fresh = make(tmp_path)
    with pytest.raises(UserError, match="cannot go on from .*weight.ckpt"):
        fresh.load_checkpoint(fresh.newest_intact())
    assert not trap.exists()


FOREIGN = {
    "another shape": lambda state: state.update(exp_avg=torch.zeros(2, 3)),
    "a tensor less": lambda state: state.pop("exp_avg_sq"),
    "a word": lambda state: state.update(step="soon"),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_an_optimisers_state_of_other_tensors_is_refused_before_a_step(change, tmp_path):
    weight = torch.nn.Parameter(torch.arange(3.0))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "sound.ckpt")
    whole_checkpoint.load_state(torch.optim.AdamW([weight]), tmp_path / "sound.ckpt")
    content = optimizer.state_dict()
    change(content["state"][0])
    torch.save(content, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="cannot go on from .*foreign.ckpt"):
        whole_checkpoint.load_state(torch.optim.AdamW([weight]), tmp_path / "foreign.ckpt")
