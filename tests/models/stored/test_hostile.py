"""Attacks by checkpoints, in a watched child (tests/support/test_hostile.py has them by seed)."""

import pytest
import torch
from support.hostile_checkpoints import ATTACKS
from support.watched import Watched

from models.detector import build_detector


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """A detector for scoring from a path, watched."""
    with Watched("support.readers:score_with", tmp_path_factory.mktemp("scoring")) as watched:
        yield watched


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(1)
    return build_detector("w2v_tiny").state_dict()


def as_file(folder, data):
    (folder / "a.ckpt").write_bytes(data)
    return folder / "a.ckpt"


def as_hub_folder(folder, data):
    (folder / "model.safetensors").write_bytes(data)
    return folder


def as_experiment(folder, data):
    checkpoint = folder / "exp" / "save" / "CKPT+a"
    checkpoint.mkdir(parents=True)
    (checkpoint / "ssl.ckpt").write_bytes(data)
    return folder / "exp"


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_in_one_sentence(read, weights, tmp_path, attack):
    trap = tmp_path / "trap.patch"
    data = ATTACKS[attack](trap, weights)
    # Those of a megabyte take a second or two each time.
    places = (as_file, as_hub_folder, as_experiment)[: 3 if len(data) < 500_000 else 1]
    for place in places:
        outcome = read(place(tmp_path, data))
        assert outcome.refused and outcome.fault() is None, outcome
        assert not trap.exists()


@pytest.mark.slow
def test_training_refuses_them_as_scoring_does(weights, tmp_path):
    trap = tmp_path / "trap.patch"
    with Watched("support.readers:train_from", tmp_path) as read:
        for make in ATTACKS.values():
            outcome = read(as_file(tmp_path, make(trap, weights)))
            assert outcome.refused and outcome.fault() is None, outcome
            assert not trap.exists()


def test_a_sound_file_is_read_under_the_same_watch(read, weights, tmp_path):
    torch.save(weights, tmp_path / "a.ckpt")
    outcome = read(tmp_path / "a.ckpt")
    assert (outcome.words, outcome.fault()) == ("'detector'", None)
