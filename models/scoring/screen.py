"""What scoring shows while it runs, and says at its end of files that were odd or left out."""

from __future__ import annotations

from pathlib import Path

from dataio.dataset import SHORT
from dataio.words import printable, tell

SKIPPED_STATUS = 3  # exit status when files could not be scored


class progress:
    """A bar over files, with files/s and seconds of audio per second (x real time)."""

    def __init__(self, total: int, *, show: bool):
        self.left, self.show, self.audio = total, show, 0.0

    def __enter__(self) -> progress:
        from tqdm import tqdm

        disable = None if self.show else True  # None: unless this is a terminal
        self.bar = tqdm(total=self.left, unit="file", disable=disable, dynamic_ncols=True)
        return self

    def advance(self, files: int, seconds: float) -> None:
        self.left -= files
        self.audio += seconds
        elapsed = max(self.bar.format_dict["elapsed"], 1e-9)
        self.bar.set_postfix_str(f"{self.audio / elapsed:.0f} x real time", refresh=False)
        self.bar.update(files)

    def __exit__(self, *_) -> None:
        self.bar.close()


def tell_each(what: str, named: list[tuple[str, str]]) -> None:
    """`what: file: words` on screen, for the first ten of (file, words)."""
    for name, words in named[:10]:
        tell(f"{what}: {printable(name)}: {words}")
    if len(named) > 10:
        tell(f"{what}: {len(named) - 10} more")


def tell_remarks(remarks: list[tuple[str, str]], path: Path) -> None:
    """Say what is wrong with files that were scored all the same."""
    tell_each("warning", remarks)
    if remarks:
        tell(f"all of them are listed in {path.with_suffix('.remarks.csv')}")


def tell_skipped(skipped: list[tuple[str, str, str]], path: Path | None, *, allowed: bool) -> int:
    """Name the files left out on screen, short ones too where no list (beside `path`) has them.

    Returns the exit status that they call for.
    """
    errors = [(name, reason) for name, kind, reason in skipped if kind != SHORT]
    short = [(name, reason) for name, kind, reason in skipped if kind == SHORT]
    tell_each("not scored", errors)
    tell_each("not scored", short if path is None else [])
    if short:
        count = len(short)
        tell(f"{count} files are shorter than min_duration and were not scored")
    if skipped and path is not None:
        tell(f"all of them are listed in {path.with_suffix('.skipped.csv')}")
    return SKIPPED_STATUS if errors and not allowed else 0
