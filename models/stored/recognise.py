"""What a file that is no checkpoint seems to be, and what to do about it."""

from __future__ import annotations

from pathlib import Path

AGAIN = "get the file itself again, by its direct link"
# First bytes, lower case and without leading spaces -> what that is. The first that fits counts.
STARTS = (
    (b"version https://git-lfs", "it is a Git LFS pointer to the file: run `git lfs pull` there"),
    (b"<", f"it is a web page or XML, as a download gives that wants a login: {AGAIN}"),
    (b"{", f"it is JSON text, as a server's message of an error is: {AGAIN}"),
    (b"\x1f\x8b", "it is compressed by gzip: unpack it first"),
    (b"bzh", "it is compressed by bzip2: unpack it first"),
    (b"\xfd7zxz", "it is compressed by xz: unpack it first"),
    (b"7z\xbc\xaf", "it is a 7z archive: unpack it first"),
    (b"rar!", "it is a RAR archive: unpack it first"),
    (b"\x93numpy", "it is a NumPy array: save a state dict with torch.save"),
    (b"\x89hdf", "it is an HDF5 file: save a state dict with torch.save"),
    (b"\x08", "it seems to be an ONNX model: give the detector it was made from"),
    (b"\x80", "it is a bare pickle: save a state dict with torch.save"),
)
TAR = (slice(257, 262), b"ustar")


def what_it_is(path: Path) -> str:
    """A clause that names the kind of `path`, which is no checkpoint, and the remedy."""
    with open(path, "rb") as file:
        start = file.read(1024)
    if not start:
        return f"it is empty: {AGAIN}"
    if not start.strip(b"\0"):
        return f"it begins with zeros, as a download does that was broken off: {AGAIN}"
    if start[TAR[0]] == TAR[1]:
        return "it is a tar archive: unpack it first"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    found = next((words for sign, words in STARTS if text.startswith(sign)), None)
    if found is not None:
        return found
    if all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in start):
        return "it is a text file: give the file of weights"
    return "it begins neither like a PyTorch file nor like safetensors"
