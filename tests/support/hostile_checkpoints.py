"""Checkpoints as an attacker makes them: named attacks, and a seeded generator of any number.

Everything is bytes made here; a file in which something would run names `trap`, a path that must
not come to be.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import pickle
import pickletools
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Tuple  # noqa: UP035 - TorchScript's own

import safetensors.torch
import torch

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4, "long": 4}}
HEADER = MAGIC + pickle.dumps(SYSTEM, 2)


# --- containers -----------------------------------------------------------------------------------


def zipped(pickled: bytes, storages: dict[str, bytes] | None = None, method: int = 0) -> bytes:
    """A zip as torch.save lays it out; `method` 8 deflates the storages."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/byteorder", "little")
        for key, data in (storages or {}).items():
            archive.writestr(f"a/data/{key}", data, method)
        archive.writestr("a/version", "3\n")
    return stream.getvalue()


def legacy(pickled: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """The format before: pickles one after the other, then storages of float32."""
    storages = storages or {}
    data = b"".join(struct.pack("<q", len(s) // 4) + s for s in storages.values())
    return HEADER + pickled + pickle.dumps(list(storages), 2) + data


def safe(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def saved(content: object, *, zip_format: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zip_format)
    return stream.getvalue()


# --- pickles, opcode by opcode --------------------------------------------------------------------


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def integer(value: int) -> bytes:
    data = pickle.dumps(value, 2)
    return data[2:-1]


def tensor(
    key: str = "0",
    count: int = 2,
    *,
    offset: int = 0,
    shape: tuple[int, ...] = (2,),
    stride: tuple[int, ...] = (1,),
    view: bytes = b"",
) -> bytes:
    """A float32 tensor's opcodes; `view` N for the legacy format, which has a field more."""
    numbers = [b"(" + b"".join(map(integer, values)) + b"t" for values in (shape, stride)]
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    storage += integer(count) + view + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return rebuild + storage + integer(offset) + b"".join(numbers) + b"\x89}tR"


def mapping(**items: bytes) -> bytes:
    """A whole pickle of a dictionary, protocol 2."""
    pairs = b"".join(text(name) + value for name, value in items.items())
    return b"\x80\x02}(" + pairs + b"u."


def nested(depth: int, *, doubled: bool) -> bytes:
    """A tuple in a tuple ...; doubled, each holds the one below twice."""
    return b")" + (b"2\x86" if doubled else b"\x85") * depth


def calls(function: str, *arguments: bytes) -> bytes:
    module, _, name = function.rpartition(".")
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


# --- attacks --------------------------------------------------------------------------------------


class Trap(torch.nn.Module):
    """A program that saves a tensor, under a name that it has kept, when it is loaded."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.kept, self.place = torch.zeros(1), place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, str, bool]:  # noqa: UP006 - TorchScript's own
        return (self.kept, self.place, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, str, bool]) -> None:  # noqa: UP006
        self.kept = state[0]
        self.place = state[1]
        self.training = state[2]
        torch.save(state[0], state[1])


def program(trap: Path) -> bytes:
    """A TorchScript archive of `Trap`."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Trap(str(trap))), stream)
    return stream.getvalue()


def two_directories(trap: Path) -> bytes:
    """zipfile finds the directory that ends the file; torch's reader one of a TorchScript archive.

    The end record gives an offset: zipfile goes by the directory's size instead, and takes what
    does not add up for bytes put before the archive.
    """
    script = program(trap)
    start, end64 = script.index(b"PK\x01\x02"), script.rindex(b"PK\x06\x06")
    count = len(zipfile.ZipFile(io.BytesIO(script)).namelist())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        for number in range(count - 1):
            archive.writestr(f"a/data/{number}", b"")
    plain = stream.getvalue()
    begin, stop = plain.index(b"PK\x01\x02"), plain.rindex(b"PK\x05\x06")
    second = bytearray(plain[begin:stop])
    padding = end64 - start - len(second)  # a comment makes both directories of one size
    struct.pack_into("<H", second, second.rindex(b"PK\x01\x02") + 32, padding)
    second += b" " * padding
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(second), start, 0)
    return script[:end64] + plain[:begin] + bytes(second) + end


def patch_writer(trap: Path) -> bytes:
    """torch.load notes a changed source of a class beside it; here the class is a function."""
    name = trap.with_suffix("")
    changed = b"ctorch._utils\n_rebuild_tensor\n(N}("
    changed += text("__name__") + text(str(name)) + text("dump_patches") + b"\x88utb"
    return legacy(b"\x80\x02(" + text("module") + changed + text("a") + text("b\n") + b"tQ.")


def flipped(data: bytes, sign: bytes) -> bytes:
    """One bit of the byte after `sign` is another."""
    at = data.index(sign) + len(sign)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def without_data(weights: dict) -> bytes:
    """A sound legacy file whose list of storages is empty: nothing is missing, nothing is there."""
    whole = io.BytesIO(saved(weights, zip_format=False))
    for _ in range(4):
        for _ in pickletools.genops(whole):
            pass
    return whole.getvalue()[: whole.tell()] + pickle.dumps([], 2)


def without_strides(weights: dict) -> bytes:
    """One number that stands for every value of every tensor."""
    tensors = {
        name: tensor(count=1, shape=tuple(w.shape), stride=(0,) * w.ndim)
        for name, w in weights.items()
    }
    return zipped(mapping(**tensors), {"0": ZEROS})


ZEROS = bytes(8)
F32 = {"dtype": "F32"}
# name -> the file, from a trap and the weights of a detector it pretends to be
ATTACKS: dict[str, Callable[[Path, dict], bytes]] = {
    "TorchScript": lambda trap, _: program(trap),
    "two directories": lambda trap, _: two_directories(trap),
    "a patch is written": lambda trap, _: patch_writer(trap),
    "a call": lambda trap, _: zipped(mapping(a=calls("os.mkdir", text(str(trap))))),
    "a call, legacy": lambda trap, _: legacy(mapping(a=calls("os.mkdir", text(str(trap))))),
    "attributes of torch's functions": lambda *_: zipped(
        mapping(a=b"ctorch._utils\n_rebuild_tensor_v2\n}" + text("x") + text("y") + b"sb")
    ),
    "a key nested 60 times twice": lambda *_: zipped(
        b"\x80\x02}" + nested(60, doubled=True) + b"Ns."
    ),
    "a key nested a million times": lambda *_: zipped(
        b"\x80\x02}" + nested(1_000_000, doubled=False) + b"Ns."
    ),
    "a value nested a million times": lambda *_: zipped(
        mapping(a=b"]" * 1_000_000 + b"a" * 999_999)
    ),
    "a name of 2^24 words": lambda *_: zipped(b"\x80\x02}" + nested(24, doubled=True) + b"Ns."),
    "a name of 9 MB": lambda *_: zipped(b"\x80\x02}" + text("\n" * 9_000_000) + b"Ns."),
    "a number of 5,000 digits": lambda *_: zipped(b"\x80\x02}I" + b"9" * 5000 + b"\nNs."),
    "no strides": lambda _, weights: without_strides(weights),
    "deflated": lambda *_: zipped(mapping(a=tensor(count=2**26)), {"0": bytes(2**28)}, 8),
    "no data": lambda _, weights: without_data(weights),
    "a byte changed": lambda _, weights: flipped(saved(weights), b"ZZZ" * 20 + b"\x00"),
    "a negative count": lambda *_: zipped(mapping(a=tensor(count=-2)), {"0": ZEROS}),
    "a negative count, legacy": lambda *_: legacy(mapping(a=tensor(count=-2, view=b"N"))),
    "a negative size": lambda *_: zipped(mapping(a=tensor(shape=(-2,))), {"0": ZEROS}),
    "a negative stride": lambda *_: zipped(mapping(a=tensor(stride=(-1,))), {"0": ZEROS}),
    "a negative offset": lambda *_: zipped(mapping(a=tensor(offset=-4)), {"0": ZEROS}),
    "past its storage": lambda *_: zipped(mapping(a=tensor(offset=1)), {"0": ZEROS}),
    "past all memory": lambda *_: zipped(mapping(a=tensor(count=2**61)), {"0": ZEROS}),
    "past all memory, legacy": lambda *_: legacy(mapping(a=tensor(count=2**61, view=b"N"))),
    "a terabyte, legacy": lambda *_: legacy(mapping(a=tensor(count=2**38, view=b"N"))),
    "shape past 2^63": lambda *_: safe(
        {"proj_fc.bias": {**F32, "shape": [0, 2**63, 2**63], "data_offsets": [0, 0]}}
    ),
    "overlapping": lambda *_: safe(
        {n: {**F32, "shape": [2], "data_offsets": [0, 8]} for n in "ab"}, ZEROS
    ),
    "offsets past 2^64": lambda *_: safe(
        {"a": {**F32, "shape": [2], "data_offsets": [2**64 - 8, 2**64]}}, ZEROS
    ),
    "a product past 2^64": lambda *_: safe(
        {"a": {**F32, "shape": [2**33, 2**33], "data_offsets": [0, 8]}}, ZEROS
    ),
    "a header that is cut off": lambda *_: struct.pack("<Q", 900) + b'{"a"',
    "a deep header": lambda *_: safe(b'{"a":' + b"[" * 900_000),
    "a header of 2^62 bytes": lambda *_: struct.pack("<Q", 2**62) + b'{"a"',
}


# --- any number, from a seed ----------------------------------------------------------------------


@functools.cache
def sound() -> tuple[bytes, ...]:
    """A small file of each kind, as real tools write them."""
    weights = {"proj_fc.weight": torch.ones(2, 4), "proj_fc.bias": torch.zeros(2).half()}
    content = {
        "model": weights,
        "args": argparse.Namespace(lr=1.0, names=["a"]),
        "history": [{"step": 1, "loss": 0.5, "state": (1, 2**40, b"x", {3})}],
        "view": weights["proj_fc.weight"][:, 1::2],
    }
    files = [saved(content, zip_format=zip_format) for zip_format in (True, False)]
    return (*files, safetensors.torch.save({k: v.float() for k, v in weights.items()}))


def mutated(data: bytes, rng: random.Random) -> bytes:
    """`data` with one to four changes of the sorts that break readers."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at, sort = rng.randrange(len(changed) or 1), rng.randrange(7)
        piece = slice(at, at + rng.randrange(1, 64))
        if sort == 0 and changed:
            changed[at] = rng.randrange(256)
        elif sort == 1:
            changed[at:at] = rng.choice(EXTREMES)
        elif sort == 2:
            extreme = rng.choice(EXTREMES)
            changed[at : at + len(extreme)] = extreme
        elif sort == 3:
            del changed[piece]
        elif sort == 4:
            changed[at:at] = changed[piece]
        elif sort == 5:
            del changed[at:]
        else:
            other = rng.choice(sound())
            changed[at:] = other[rng.randrange(len(other)) :]
    return bytes(changed)


EXTREMES = tuple(
    value.to_bytes(size, "little")
    for size in (1, 2, 4, 8)
    for value in (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
) + (b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04", b"PK\x06\x07", b"\n", b"../../x")


NAMES = (
    "os.mkdir",
    "builtins.eval",
    "collections.OrderedDict",
    "torch.FloatStorage",
    "torch.Size",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
)


def program_of_opcodes(rng: random.Random, length: int) -> bytes:
    """Opcodes at random, with arguments of their kind, that mostly keep the stack in order."""
    pieces = (
        lambda: rng.choice((b"N", b"\x88", b"]", b"}", b")", b"\x8f", b"(")),
        lambda: integer(rng.choice((0, 1, 2, -1, 255, 2**31, 2**63, -(2**63), 2**70))),
        lambda: text(rng.choice(("storage", "module", "0", "a", "cpu", "model", "x" * 300))),
        lambda: "c{}\n{}\n".format(*rng.choice(NAMES).rsplit(".", 1)).encode(),
        lambda: tensor(
            rng.choice("01"),
            rng.choice((0, 1, 2, 2**40)),
            offset=rng.choice((0, 1, 2**62)),
            shape=tuple(rng.choice((0, 1, 2, 2**31)) for _ in range(rng.randrange(4))),
            stride=tuple(rng.choice((0, 1, 2**31)) for _ in range(rng.randrange(4))),
            view=rng.choice((b"", b"N")),
        ),
        lambda: rng.choice((b"R", b"\x81", b"b", b"s", b"u", b"a", b"e", b"t", b"\x85", b"\x86",
                            b"\x87", b"0", b"1", b"2", b"l", b"d", b"o", b"Q", b"\x90", b"\x91",
                            b"\x92", b"\x93", b"\x94", b"q\x00", b"h\x00")),  # fmt: skip
    )  # fmt: skip
    body = b"".join(rng.choice(pieces)() for _ in range(length))
    return b"\x80\x02" + rng.choice((b"", b"}(" + text("a"))) + body + rng.choice((b".", b"u."))


def header_at_random(rng: random.Random) -> dict:
    """A safetensors header whose numbers are mostly wrong."""
    numbers = (0, 1, 2, 8, -1, 2**31, 2**62, 2**63, 2**64, 1.5, "1", None)
    return {
        rng.choice(("a", "b", "proj_fc.bias", "\u202e", "__metadata__")): {
            "dtype": rng.choice(("F32", "F16", "F4", "I64", "", 3)),
            "shape": [rng.choice(numbers) for _ in range(rng.randrange(4))],
            "data_offsets": sorted(rng.choice((0, 1, 4, 8, 2**63)) for _ in range(2)),
        }
        for _ in range(rng.randrange(1, 4))
    }


def hostile(rng: random.Random) -> bytes:
    """A checkpoint that is damaged, or made of opcodes and numbers at random."""
    sort = rng.randrange(10)
    if sort < 6:
        return mutated(rng.choice(sound()), rng)
    if sort == 6:
        return safe(header_at_random(rng), bytes(rng.choice((0, 4, 8, 16))))
    pickled = program_of_opcodes(rng, rng.randrange(1, 60))
    storages = {"0": ZEROS, "1": b""} if rng.random() < 0.7 else {}
    return legacy(pickled, storages) if sort == 7 else zipped(pickled, storages)
