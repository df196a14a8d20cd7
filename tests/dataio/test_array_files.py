"""Of an .npz only what is asked for is read, and no more than the file can hold."""

import io
import zipfile

import numpy as np
import pytest

from dataio.array_files import UNREADABLE, array_header, open_arrays

SOUND = {
    "a": np.arange(6.0).reshape(2, 3), "words": np.array(["x", "yé"]), "one": np.array(3),
    "none": np.zeros((0, 4), np.float32), "bytes": np.array([b"x"]), "flags": np.array([True]),
    "other_end": np.arange(3, dtype=">i4"),
}  # fmt: skip


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_as_it_was(tmp_path, save):
    save(tmp_path / "a.npz", **SOUND)
    with open_arrays(tmp_path / "a.npz") as archive:
        assert archive.names == list(SOUND)
        for name, values in SOUND.items():
            assert archive.header(name) == (values.shape, values.dtype)
            np.testing.assert_array_equal(archive.read(name), values)
            assert archive.read(name).flags.writeable


def npy(header: bytes, body: bytes = b"", magic: bytes = b"\x93NUMPY\x01\x00") -> bytes:
    return magic + len(header).to_bytes(2, "little") + header + body


def form(shape: str, kind: str = "<f8", order: str = "False") -> bytes:
    return f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (npy(form("(1,)", "|O"), b"8" * 8), "never unpickled"),
        (npy(form("(2, 2)", order="True"), b"8" * 32), "column by column"),
        (npy(form("(3,)"), b"8" * 8), "does not fit"),
        (npy(form("(9223372036854775807, 9223372036854775807)")), "does not fit"),
        (npy(form("(999999999999999999, 999999999999999999)")), "does not fit"),
        (npy(form("(-1,)"), b"8" * 8), "damaged"),
        (npy(b"(" * 9000), "damaged"),
        (npy(b"__import__('os').system('true')"), "damaged"),
        (npy(form("(1,)", "<f99999"), b"8" * 8), "damaged"),
        (npy(b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }"), "no number"),
        (npy(form("(1,)"), b"8" * 8, b"\x93NUMPY\x09\x00"), "no numpy array"),
        (b"", "no numpy array"),
    ],
)
def test_a_header_that_lies_is_refused(data, told):
    with pytest.raises(ValueError, match=told):
        array_header(io.BytesIO(data), len(data))


def test_a_spare_array_is_never_read(tmp_path):
    """3 GB that nothing asked for: a member cut off in the middle would fail if it were."""
    np.savez(tmp_path / "a.npz", embeddings=np.ones((2, 3)))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("spare.npy", npy(form("(3,)"), b"short"))
    with open_arrays(tmp_path / "a.npz") as archive:
        assert archive.read("embeddings").sum() == 6


def test_an_array_that_unpacks_to_far_more_than_the_file_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", embeddings=np.zeros((10_000, 1_000)))
    with open_arrays(tmp_path / "a.npz") as archive, pytest.raises(ValueError, match="unpacks to"):
        archive.read("embeddings")


def test_an_array_that_is_there_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, pytest.warns(UserWarning):
        for _ in range(2):
            archive.writestr("a.npy", npy(form("(1,)"), b"8" * 8))
    with pytest.raises(UNREADABLE), open_arrays(tmp_path / "a.npz"):
        pass
