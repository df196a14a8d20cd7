"""What a speech database is to this toolkit: a declaration and a generator of items.

A database is one file in `protocols/corpora/`, and this is all of it:

    from protocols.corpus import Corpus, Item

    SPLITS = {"train": "train", "test": "test"}

    def items(source):
        for path, p in source.files("AIShell3", "{subset}/wav/{speaker}/{stem}.wav"):
            yield Item(path, f"{p.speaker}-{p.stem}", "real", speaker=p.speaker,
                       proportion=source.word(SPLITS, p.subset, path), language="ZH")

    CORPUS = Corpus("AIShell3", items, prefix="AIShell3-", contents="real", ...)

The generator says where each file is and what it is. It reads no audio, keeps no state from one
item to the next, and calls only the `Source` it is given (`protocols/source.py`): `files` walks a
folder, `lines` and `table` read list files, `word` looks a word up and refuses an unknown one.
Probing headers, unique IDs, missing files and writing are `protocols/build.py`, for all alike.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dataio.schema import COLUMNS, ROOT, SEGMENTS, Row, UserError, subset_of

if TYPE_CHECKING:
    from dataio.probe import AudioHeader
    from protocols.source import Source

TRAIN, TEST, NEITHER = "train", "test", "-"


@dataclass(frozen=True, slots=True)
class Item:
    """One utterance as its database describes it, before its header is read.

    `path` is below the data folder, with `/`; `id` comes without the database's prefix and may
    repeat (the builder makes it unique); `label` is `real` or `fake`; `-` is "none or unknown".
    `segments` is the file, below the data folder or absolute, that labels the recording's parts.
    `where` names the line of the list file an item came from, for messages.
    """

    path: str
    id: str
    label: str
    attack: str = "-"
    speaker: str = "-"
    proportion: str = "-"
    language: str = "-"
    segments: str = "-"
    where: str = ""


@dataclass(frozen=True)
class Corpus:
    """A database: its generator, and what `python -m protocols list` says of it.

    `folder` is the layout expected below the data folder and `lists` the metadata files that may
    lie elsewhere (`build --metadata`), one text a list. `sources` are the corpora its speech was
    taken from; `training` and `validation` say which parts served in the released models'
    post-training and `role` which published merge list it is in: databases of the release only.
    `csv` is the published file name when it is not `<name>.csv`. `variants` are the words
    `build --variant` takes, the first one the default, and `variant_csv` their file names where
    they differ. With `split_files` the rows go to one file a proportion (`<name>_train.csv` ...).
    With `segments` the protocol has that column. `uncertain` says what of the layout was not seen.
    """

    name: str
    items: Callable[[Source], Iterator[Item]]
    prefix: str
    contents: str  # "real", "fake" or "real+fake"
    folder: str
    link: str  # where it comes from, and its licence where that is known
    sources: tuple[str, ...] = ()
    role: str = NEITHER
    training: str = ""
    validation: str = ""
    csv: str = ""
    lists: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    variant_csv: tuple[str, ...] = ()
    split_files: bool = False
    segments: bool = False
    uncertain: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of its protocol."""
        return (*COLUMNS, SEGMENTS) if self.segments else COLUMNS

    def csv_name(self, variant: str = "") -> str:
        """The published name of the protocol, e.g. `FakeOrReal_norm.csv`."""
        if variant and self.variant_csv:
            return self.variant_csv[self.variants.index(variant)]
        return self.csv or f"{self.name}.csv"


@cache
def corpora() -> dict[str, Corpus]:
    """Every database of `protocols/corpora/` by its public name, in alphabetical order.

    A module declares one `CORPUS` or, for sister databases, a tuple `CORPORA`.
    """
    import protocols.corpora as package

    found: dict[str, Corpus] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for corpus in declared(importlib.import_module(f"{package.__name__}.{module.name}")):
            if corpus.name in found:
                raise ValueError(f"{module.name}.py declares {corpus.name} a second time")
            found[corpus.name] = corpus
    return dict(sorted(found.items(), key=lambda pair: (pair[0].lower(), pair[0])))


def declared(module: object) -> tuple[Corpus, ...]:
    """The databases a module declares."""
    corpora = getattr(module, "CORPORA", ())
    return (*corpora, module.CORPUS) if hasattr(module, "CORPUS") else tuple(corpora)


def find_corpus(name: str) -> Corpus:
    """A database by its public name, or the one a file `my_corpus.py` declares.

    The case counts: Codecfake and CodecFake are two databases.
    """
    if name.endswith(".py"):
        return _corpus_of_file(Path(name))
    if name in corpora():
        return corpora()[name]
    alike = [known for known in corpora() if known.lower() == name.lower()]
    hint = f"did you mean {' or '.join(alike)}?" if alike else "see `python -m protocols list`"
    raise UserError(f"unknown database {name!r}: {hint}")


def _corpus_of_file(path: Path) -> Corpus:
    """The only database declared by a Python file outside the package."""
    if not path.is_file():
        raise UserError(f"no file {path}: give a database name or a .py file that declares CORPUS")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = declared(module)
    if len(found) != 1:
        raise UserError(f"{path} declares {len(found)} databases: expected one, named CORPUS")
    return found[0]


def database_of(utterance_id: str) -> str:
    """The public name of the database an ID belongs to, by the longest known prefix.

    IDs of unknown databases (one's own data) give the text before the first hyphen.
    """
    head = subset_of(utterance_id)
    for prefix, name in _prefixes().get(head, ()):
        if utterance_id.startswith(prefix):
            return name
    return head


@cache
def _prefixes() -> dict[str, list[tuple[str, str]]]:
    """Text before a prefix's first hyphen -> the prefixes that begin so, longest first."""
    by_head: dict[str, list[tuple[str, str]]] = {}
    for corpus in sorted(corpora().values(), key=lambda corpus: -len(corpus.prefix)):
        by_head.setdefault(subset_of(corpus.prefix), []).append((corpus.prefix, corpus.name))
    return by_head


def row_of(corpus: Corpus, item: Item, header: AudioHeader) -> Row:
    """The protocol row of an item whose header has been read."""
    return Row(
        id=corpus.prefix + item.id,
        label=item.label,
        duration=header.seconds,
        sample_rate=header.sample_rate,
        path=f"{ROOT}/{item.path}",
        attack=item.attack,
        speaker=item.speaker,
        proportion=item.proportion,
        channels=header.channels,
        encoding=header.encoding,
        bits=header.bits,
        language=item.language,
        segments=item.segments if item.segments[:1] in "-/" else f"{ROOT}/{item.segments}",
    )
