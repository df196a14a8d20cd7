"""Tensors out of PyTorch files without running anything the files say.

A pickle is a program: it names functions and calls them. Old checkpoints need that, since they hold
argparse and OmegaConf objects that `torch.load(weights_only=True)` refuses. Here a pickle may name
only the few builders that tensors are made by; any other name stands for an inert object that
swallows its arguments, so nothing is imported and nothing is called.
"""

from __future__ import annotations

import pickle
import tarfile
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save's magic number, pickled

# (module, name) -> what a pickle gets for it. torch.load itself answers for storage types.
ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}


class Inert:
    """Stands for whatever a pickle wanted to build; `origin` is the name it asked for."""

    origin = ""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs) -> None:
        pass

    def __setstate__(self, state) -> None:
        pass

    def __setitem__(self, key, value) -> None:
        pass

    def append(self, item) -> None:
        pass

    def extend(self, items) -> None:
        pass

    def add(self, item) -> None:
        pass


class InertUnpickler(pickle._Unpickler):
    """An unpickler that knows `ALLOWED` and nothing else.

    The one written in Python: one wrong byte makes that in C clear an array of 32 GB for its memo.
    """

    dispatch = dict(pickle._Unpickler.dispatch)
    del dispatch[pickle.BYTEARRAY8[0]]  # allocates whatever length it states; torch writes none

    def find_class(self, module: str, name: str):
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        return type("Inert", (Inert,), {"origin": f"{module}.{name}"})


def _load(file, **options):
    return InertUnpickler(file, **options).load()


# What torch.load takes in place of the pickle module.
INERT_PICKLE = types.SimpleNamespace(
    __name__="inert_pickle",
    Unpickler=InertUnpickler,
    load=_load,
    PickleError=pickle.PickleError,
    UnpicklingError=pickle.UnpicklingError,
)


def is_torch_file(path: Path) -> bool:
    """Whether the file begins like something `torch.save` wrote, new or legacy format."""
    with open(path, "rb") as file:
        start = file.read(len(LEGACY_START))
    return start.startswith(ZIP_START) or start == LEGACY_START


def read_torch_file(path: Path) -> object:
    """What `torch.save` put into `path`: containers and tensors, everything else inert.

    Tensors of the zip format are memory-mapped, so entries nobody reads cost no memory.
    ValueError when the content is not readable this way.
    """
    if not is_torch_file(path) or tarfile.is_tarfile(path):  # torch.load would unpack a tar
        raise ValueError("it is not a file written by torch.save")
    try:
        zipped = zipfile.is_zipfile(path)
        is_program = zipped and _is_torchscript(path)
        content = None if is_program else _torch_load(path, mmap=zipped)
    except Exception as error:  # damaged or hostile bytes fail in any way, wherever they break
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(f"its content is damaged ({reason})") from error
    if is_program:
        raise ValueError("it is a TorchScript program, not a set of tensors")
    return content


def _torch_load(path: Path, *, mmap: bool) -> object:
    return torch.load(
        str(path), map_location="cpu", mmap=mmap, pickle_module=INERT_PICKLE, weights_only=False
    )


def _is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(Path(name).name == "constants.pkl" for name in archive.namelist())
