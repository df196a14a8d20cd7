"""A pickle's opcodes interpreted into records that can do nothing.

A pickle is a program: it names functions, calls them and changes what they return. Here a name is a
word, a call an `Inert` record, and the few names in `builders` are answered by our own functions.
Nothing is imported, called, compared or hashed beyond strings and numbers, so what a file costs is
bounded by its length. The opcodes are those of protocols 0 to 5; `pickletools` parts them.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dataio.words import shown

MAX_BYTES = 32 << 20  # of the pickles of one file; those of the largest fairseq files have 3 MB
MAX_OPCODES = 2_000_000  # some four seconds
QUOTED = 100  # characters of a file's own words in a message


@dataclass(frozen=True, slots=True, eq=False)
class Inert:
    """Stands for whatever a pickle named or wanted to build; `origin` is the dotted name."""

    origin: str


class Stateful:
    """What a builder may return to be given the state that a pickle sets on its object."""

    def take(self, state: object) -> None:
        """The state as it was read; ValueError for one that does not fit."""
        raise NotImplementedError


Builder = Callable[..., object]


def quoted(word: object) -> str:
    """A word out of a file for a message, short and such that nothing in it acts on a terminal."""
    return shown(word if isinstance(word, str) else f"<{type(word).__name__}>", QUOTED)


def read_pickle(
    stream: io.BytesIO,
    builders: Mapping[str, Builder],
    persistent: Callable[[object], object] | None = None,
    most_opcodes: int | None = None,
) -> object:
    """The value of the pickle at `stream`'s place, which is then the byte after it.

    `builders` make the values of calls by the dotted name called, from its arguments; `persistent`
    makes those of persistent ids; `most_opcodes` in place of `MAX_OPCODES`. ValueError for what is
    damaged, too long or no pickle.
    """
    machine, most = _Machine(builders, persistent), most_opcodes or MAX_OPCODES
    start = stream.tell()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= most:
                raise _Refusal(f"its pickle has more than {most} instructions")
            machine.step(opcode.name, argument)
        (value,) = machine.stack
        return value
    except _Refusal:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        place = max(stream.tell() - start, 0)
        raise ValueError(f"its content is damaged (near byte {place} of a pickle)") from error


class _Refusal(ValueError):
    """What a builder has to say about its arguments."""


class _Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(self, builders: Mapping[str, Builder], persistent) -> None:
        self.builders, self.persistent = builders, persistent
        self.stack: list = []
        self.marks: list[list] = []  # the stacks below each mark
        self.memo: dict[int, object] = {}

    def step(self, name: str, argument: object) -> None:
        if name in VALUES:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name]())
        elif name in PUTS:
            self.memo[argument] = self.stack[-1]
        elif name in GETS:
            self.stack.append(self.memo[argument])
        elif name not in IGNORED:
            perform = getattr(self, name, None)
            if perform is None:  # EXT1 and its like: no torch.save writes them
                raise TypeError(name)
            perform(argument)

    def items(self) -> list:
        """What lies above the last mark, taken off together with it."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def call(self, callee: object, arguments: object) -> object:
        if not isinstance(callee, Inert):
            raise TypeError("a call of what is no name")
        builder = self.builders.get(callee.origin)
        if builder is None:
            return Inert(callee.origin)
        try:
            return builder(*arguments)
        except ValueError as error:
            raise _Refusal(str(error)) from None

    def fill(self, target: object, items: list) -> None:
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Inert):
            raise TypeError("neither a list nor an object")

    def set(self, target: object, items: list) -> None:
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                target[_key(key)] = value
        elif not isinstance(target, Inert):
            raise TypeError("neither a dictionary nor an object")

    # --- opcodes, by the names that pickletools gives them ---------------------------------------

    def MARK(self, _) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def POP(self, _) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.items()

    def POP_MARK(self, _) -> None:
        self.items()

    def DUP(self, _) -> None:
        self.stack.append(self.stack[-1])

    def MEMOIZE(self, _) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _text(self, value: str) -> None:
        # Python 2's str: its bytes come as Latin-1
        self.stack.append(value.encode("latin-1").decode("utf-8", "replace"))

    STRING = BINSTRING = SHORT_BINSTRING = _text

    def TUPLE(self, _) -> None:
        items = tuple(self.items())
        self.stack.append(items)

    def _short_tuple(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) < count:
            raise IndexError("too few items for a tuple")
        self.stack[-count:] = [items]

    def TUPLE1(self, _) -> None:
        self._short_tuple(1)

    def TUPLE2(self, _) -> None:
        self._short_tuple(2)

    def TUPLE3(self, _) -> None:
        self._short_tuple(3)

    def LIST(self, _) -> None:
        items = self.items()
        self.stack.append(items)

    def DICT(self, _) -> None:
        made: dict = {}
        self.set(made, self.items())
        self.stack.append(made)

    def FROZENSET(self, _) -> None:
        self.items()
        self.stack.append(Inert("builtins.frozenset"))

    def APPEND(self, _) -> None:
        item = self.stack.pop()
        self.fill(self.stack[-1], [item])

    def APPENDS(self, _) -> None:
        items = self.items()
        self.fill(self.stack[-1], items)

    ADDITEMS = APPENDS

    def SETITEM(self, _) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set(self.stack[-1], [key, value])

    def SETITEMS(self, _) -> None:
        items = self.items()
        self.set(self.stack[-1], items)

    def GLOBAL(self, argument: str) -> None:
        self.stack.append(Inert(argument.replace(" ", ".", 1)))

    def STACK_GLOBAL(self, _) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a name that is no text")
        self.stack.append(Inert(f"{module}.{name}"))

    def REDUCE(self, _) -> None:
        arguments, callee = self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(callee, arguments))

    NEWOBJ = REDUCE

    def NEWOBJ_EX(self, _) -> None:
        self.stack.pop()  # keyword arguments: no builder takes any
        self.REDUCE(None)

    def OBJ(self, _) -> None:
        callee, *arguments = self.items()
        self.stack.append(self.call(callee, arguments))

    def INST(self, argument: str) -> None:
        arguments = self.items()
        self.stack.append(self.call(Inert(argument.replace(" ", ".", 1)), arguments))

    def BUILD(self, _) -> None:
        state = self.stack.pop()  # of an object that is mostly inert
        if isinstance(self.stack[-1], Stateful):
            try:
                self.stack[-1].take(state)
            except ValueError as error:
                raise _Refusal(str(error)) from None

    def BINPERSID(self, _) -> None:
        self.PERSID(self.stack.pop())

    def PERSID(self, saved: object) -> None:
        if self.persistent is None:
            raise TypeError("a persistent id where there can be none")
        try:
            self.stack.append(self.persistent(saved))
        except ValueError as error:
            raise _Refusal(str(error)) from None


VALUES = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Inert("builtins.set"),  # a set would hash what it holds
}
PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
IGNORED = frozenset({"PROTO", "FRAME", "STOP"})


def _key(key: object) -> object:
    """`key` where hashing it costs nothing, else a record of the same type's name.

    A tuple is hashed to its depths, and integers beyond 63 bits can be made to collide.
    """
    plain = isinstance(key, (str, bytes, float, bool, Inert, type(None)))
    small = isinstance(key, int) and key.bit_length() < 64
    return key if plain or small else Inert(type(key).__name__)
