"""Nothing in a file is executed, whatever it asks for; tensors come out all the same."""

import argparse
import collections
import contextlib
import io
import os
import pickle
import random
import resource
import tarfile

import pytest
import torch

from models.safe_unpickle import LEGACY_START, Inert, InertUnpickler, is_torch_file, read_torch_file

FORMATS = pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])


class Attack:
    """Unpickled the ordinary way, it makes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.makedirs, (str(self.target), 0o700, True)


class Sticky:
    """Pickles with a state, items and appends: every way a pickle can write into an object."""

    def __reduce__(self):
        return collections.defaultdict, (list,), {"a": 1}, iter([1, 2]), iter([("k", "v")])


@FORMATS
def test_tensors_come_out_and_nothing_runs(tmp_path, new_format):
    trap, path = tmp_path / "executed", tmp_path / "file.pt"
    weights = {"a": torch.randn(3, 4), "b": torch.nn.Parameter(torch.randn(2).half())}
    weights["view"] = weights["a"][1:, ::2]
    content = {
        "model": weights,
        "attack": Attack(trap),
        "args": argparse.Namespace(lr=1.0),
        "history": [Attack(trap)],
    }
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    read = read_torch_file(path)
    assert not trap.exists()
    for name, tensor in weights.items():
        assert torch.equal(read["model"][name], tensor)
    assert isinstance(read["attack"], Inert) and read["attack"].origin == "os.makedirs"
    assert read["args"].origin == "argparse.Namespace"
    # The trap is a real one: without our unpickler the same file springs it.
    torch.load(path, weights_only=False)
    assert trap.exists()


def test_inert_objects_swallow_state_items_and_appends(tmp_path):
    torch.save({"a": torch.ones(2), "sticky": Sticky()}, tmp_path / "file.pt")
    read = read_torch_file(tmp_path / "file.pt")
    assert read["sticky"].origin == "collections.defaultdict"
    assert read["a"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "builtins.getattr", "torch.load", "torch.hub.load"]
)
def test_no_name_outside_the_list_is_ever_looked_up(name, protocol):
    module, _, attribute = name.rpartition(".")
    program = b"c" + f"{module}\n{attribute}\n".encode() + b"(V1/0\ntR."
    found = InertUnpickler(io.BytesIO(b"\x80" + bytes([protocol]) + program)).load()
    assert isinstance(found, Inert) and found.origin == name


def test_dotted_names_of_newer_pickles_are_inert_too():
    program = b"\x80\x04\x8c\x05torch\x8c\x0a_utils.sys\x93\x8c\x01x\x85R."
    assert InertUnpickler(io.BytesIO(program)).load().origin == "torch._utils.sys"


def test_a_tar_is_not_unpacked(tmp_path):
    path = tmp_path / "old.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    assert not is_torch_file(path)
    with pytest.raises(ValueError, match="not a file written by torch.save"):
        read_torch_file(path)


def test_a_tar_that_begins_like_a_legacy_file_is_not_unpacked_either(tmp_path):
    path = tmp_path / "sly.tar"
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(LEGACY_START.decode("latin-1")))
    assert path.read_bytes().startswith(LEGACY_START)
    with pytest.raises(ValueError, match="not a file written by torch.save"):
        read_torch_file(path)


def test_a_torchscript_program_is_refused(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(ValueError, match="TorchScript"):
        read_torch_file(path)


@FORMATS
def test_a_truncated_file_is_damaged_not_a_traceback(tmp_path, new_format):
    path = tmp_path / "cut.pt"
    torch.save({"a": torch.randn(1000)}, path, _use_new_zipfile_serialization=new_format)
    whole = path.read_bytes()
    for size in (30, 200, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="damaged"):
            read_torch_file(path)


@FORMATS
def test_changed_bytes_are_read_or_damaged_and_cost_no_memory(tmp_path, new_format):
    path = tmp_path / "changed.pt"
    content = {"model": {"a": torch.ones(3, 4)}, "args": argparse.Namespace(lr=1), "step": 7}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    whole, rng = path.read_bytes(), random.Random(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(ValueError):
            read_torch_file(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def test_a_damaged_directory_is_no_traceback(tmp_path):
    path = tmp_path / "cut.pt"
    torch.save({"a": torch.ones(3)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"PK\x01\x02", b"PK\x01\x03", 1))
    with pytest.raises(ValueError, match="damaged .BadZipFile"):
        read_torch_file(path)


def test_a_bare_pickle_is_not_a_torch_file(tmp_path):
    path = tmp_path / "bare.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert not is_torch_file(path)
