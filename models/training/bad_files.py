"""Files that cannot be read, or are not as they say: counted and named once, over all ranks."""

from __future__ import annotations

import logging

from dataio.dataset import WaveformBatch
from dataio.schema import UserError
from models.distributed import gather_objects

logger = logging.getLogger(__name__)


class BadFiles:
    """What this rank has met since the ranks last counted; past `limit` files training stops."""

    def __init__(self, *, limit: int):
        self.limit = limit
        self._remarked: set[str] = set()  # files this rank has said something about
        self.forget()

    def forget(self) -> None:
        """Drop what has not been counted."""
        self._bad: dict[str, str] = {}
        self._remarks: dict[str, str] = {}

    @property
    def pending(self) -> int:
        return len(self._bad) + len(self._remarks)

    def note(self, batch: WaveformBatch) -> None:
        for bad in batch.bad:
            self._bad[bad.id] = bad.reason
        for _, name, words in batch.remarks:
            if name not in self._remarked:
                self._remarks[name] = words
                self._remarked.add(name)

    def count(self, known: dict[str, str], csv: str) -> None:
        """Add the files of `csv` that failed on any rank to `known`; UserError past the limit."""
        for found, remarks in gather_objects((self._bad, self._remarks)):
            for name, words in remarks.items():
                logger.warning("file %s of %s is used as it is: %s", name, csv, words)
            for name, reason in found.items():
                if name not in known:
                    logger.warning("file %s of %s is left out: %s", name, csv, reason)
                known[name] = reason
        self.forget()
        if len(known) > self.limit:
            name, reason = list(known.items())[-1]
            raise UserError(
                f"{len(known)} files of {csv} cannot be read (max_bad_files"
                f" {self.limit}), the last one {name}: {reason};"
                " run `python -m protocols check` on this CSV"
            )
