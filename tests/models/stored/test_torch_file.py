"""Nothing in a file is executed, whatever it asks for; tensors come out all the same."""

import argparse
import collections
import contextlib
import os
import pickle
import random
import resource
import tarfile

import numpy as np
import pytest
import torch

from dataio.pickle_records import Inert
from models.stored.torch_file import LEGACY_START, is_torch_file, read_torch_file

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
        assert torch.equal(read["model"][name].read(), tensor)
    assert isinstance(read["attack"], Inert) and read["attack"].origin == "os.makedirs"
    assert read["args"].origin == "argparse.Namespace"
    # The trap is a real one: read the ordinary way the same file springs it.
    torch.load(path, weights_only=False)
    assert trap.exists()


@FORMATS
def test_what_a_trainer_saves_beside_the_weights_is_plain_or_inert(tmp_path, new_format):
    content = {
        "numbers": [1, -2, 2**70, 1.5, True, None],
        "words": ("é", {"k": [()]}),
        "set": {1, 2},
        "numpy": np.float64(0.5),
        "module": torch.nn.Linear(2, 2),
        3: "a number as a key",
        (1, "a"): "a tuple as a key",
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(7),
        "sticky": Sticky(),
    }
    torch.save(content, tmp_path / "f.pt", _use_new_zipfile_serialization=new_format)
    read = read_torch_file(tmp_path / "f.pt")
    assert read["numbers"] == content["numbers"] and read["words"] == content["words"]
    assert read[3] == content[3]
    for name in ("set", "numpy", "module", "sticky"):
        assert isinstance(read[name], Inert)
    assert read["empty"].read().shape == (0, 3) and int(read["scalar"].read()) == 7
    assert "a tuple as a key" in read.values()  # under a name that nobody has to hash


DTYPES = [torch.float64, torch.bfloat16, torch.int64, torch.int8, torch.bool, torch.complex64]


@FORMATS
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_layout_is_as_it_was(tmp_path, new_format, dtype):
    tensor = (10 * torch.randn(4, 5)).to(dtype)
    content = [tensor, tensor.T, tensor[1:, ::2], tensor[2, 3], tensor[:, :0]]
    torch.save(content, tmp_path / "f.pt", _use_new_zipfile_serialization=new_format)
    for stored, wanted in zip(read_torch_file(tmp_path / "f.pt"), content, strict=True):
        assert stored.dtype == dtype and torch.equal(stored.read(), wanted)


@FORMATS
def test_state_dicts_of_modules_and_optimisers_are_read_whole(tmp_path, new_format):
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = {"module": module.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(content, tmp_path / "f.pt", _use_new_zipfile_serialization=new_format)
    read = read_torch_file(tmp_path / "f.pt")
    assert list(read["module"]) == ["weight", "bias"]
    assert read["optimizer"]["param_groups"] == content["optimizer"]["param_groups"][:1]
    assert torch.equal(
        read["optimizer"]["state"][0]["exp_avg"].read(),
        content["optimizer"]["state"][0]["exp_avg"],
    )


def test_without_checksums_a_file_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(5)}, tmp_path / "f.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_torch_file(tmp_path / "f.pt")["a"].read().sum() == 5


def test_what_is_written_to_a_tensor_does_not_reach_the_file(tmp_path):
    torch.save({"a": torch.ones(5)}, tmp_path / "f.pt")
    before = (tmp_path / "f.pt").read_bytes()
    read_torch_file(tmp_path / "f.pt")["a"].read().zero_()
    assert (tmp_path / "f.pt").read_bytes() == before


def test_the_other_byte_order_is_turned_round(tmp_path):
    values = torch.tensor([1.5, -2.25])
    swapped = torch.from_numpy(values.numpy().byteswap().copy())
    torch.save({"a": swapped}, tmp_path / "f.pt", _use_new_zipfile_serialization=False)
    data = (tmp_path / "f.pt").read_bytes()
    at = data.index(b"little_endian")
    (tmp_path / "f.pt").write_bytes(data[:at] + data[at:].replace(b"\x88", b"\x89", 1))
    assert torch.equal(read_torch_file(tmp_path / "f.pt")["a"].read(), values)


def test_functions_of_torch_keep_their_attributes(tmp_path):
    program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00xK\x01sb."
    torch.save({}, tmp_path / "f.pt", _use_new_zipfile_serialization=False)
    head = (tmp_path / "f.pt").read_bytes()
    content = pickle.dumps({}, 2)
    (tmp_path / "f.pt").write_bytes(head.replace(content, program, 1))
    assert read_torch_file(tmp_path / "f.pt") is not None
    assert not vars(torch._utils._rebuild_tensor_v2)


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
    for size in (30, 200, len(whole) // 2, len(whole) - 30, len(whole) - 1):
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


def test_every_bit_of_a_zip_counts(tmp_path):
    """Any changed byte of members' data is found out by its checksum."""
    path = tmp_path / "f.pt"
    torch.save({"a": torch.arange(20.0)}, path)
    whole = path.read_bytes()
    at = whole.index(torch.arange(20.0).numpy().tobytes())
    for place in range(at, at + 80, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        stored = read_torch_file(path)["a"]
        with pytest.raises(ValueError, match="a checksum is wrong"):
            stored.read()


def test_a_bare_pickle_is_not_a_torch_file(tmp_path):
    path = tmp_path / "bare.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert not is_torch_file(path)
