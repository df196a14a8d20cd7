"""A pickle's opcodes as records: what they stand for, what they cost, what they cannot do."""

import collections
import io
import pickle

import pytest

from dataio import pickle_records
from dataio.pickle_records import Inert, quoted, read_pickle

PLAIN = {
    "a": [1, 255, 65536, 2**40, -(2**70), 0.5, True, False, None, "é\n", b"\xff", "x" * 300],
    "b": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[], {}], {"c": {"d": 1}}),
    1: 2,
    2.5: 3,
}


def read(data: bytes, builders=None):
    return read_pickle(io.BytesIO(data), builders or {})


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_protocol_are_as_they_were(protocol):
    plain = {**PLAIN, "a": [x for x in PLAIN["a"] if protocol > 2 or not isinstance(x, bytes)]}
    assert read(pickle.dumps(plain, protocol)) == plain


def test_what_lies_twice_in_a_pickle_is_one_value():
    shared = [1]
    first, second = read(pickle.dumps([shared, shared]))
    assert first is second


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "torch.load", "torch.hub.load"])
def test_no_name_is_ever_looked_up(name, protocol):
    module, _, attribute = name.rpartition(".")
    program = b"c" + f"{module}\n{attribute}\n".encode() + b"(V1/0\ntR."
    found = read(b"\x80" + bytes([protocol]) + program)
    assert isinstance(found, Inert) and found.origin == name


def test_dotted_names_of_newer_pickles_are_inert_too():
    program = b"\x80\x04\x8c\x05torch\x8c\x0a_utils.sys\x93\x8c\x01x\x85R."
    assert read(program).origin == "torch._utils.sys"


@pytest.mark.parametrize(
    "value",
    [collections.Counter("ab"), {1, 2}, frozenset({1}), range(3), 1j, bytearray(b"x"), ValueError],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_objects_of_all_sorts_are_inert(value, protocol):
    found = read(pickle.dumps([value], protocol))[0]
    assert isinstance(found, Inert) or (protocol == 5 and found == value)


def test_a_builder_answers_for_its_name():
    data = pickle.dumps(collections.OrderedDict(a=1), 2)
    assert read(data, {"collections.OrderedDict": lambda *_: {}}) == {"a": 1}


def test_instances_of_old_classes_are_inert():
    assert read(b"(cos\nsystem\nK\x01o.").origin == "os.system"
    assert read(b"(K\x01ios\nsystem\n.").origin == "os.system"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x02", b".", b"N", b"NN.", b"(.", b"0.", b"h\x05.", b"}Na.", b"NK\x01a.",
     b"\x80\x02\x85.", b"s.", b"u.", b"R.", b"NNR.", b"NNNb.", b"Q.", b"NQ.", b"\x82\x01.",
     b"\x97.", b"\xff", b"X\xff\xff\xff\x7fa.", b"I1x\n.", b"NN\x93.", b"(NNNu.",
     b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f."],
)  # fmt: skip
def test_what_is_no_pickle_is_damaged(data):
    with pytest.raises(ValueError, match="damaged"):
        read(data)


def test_tuples_and_large_numbers_are_hashed_by_nobody():
    # Multiples of 2^61 - 1 have one hash, and a tuple is hashed to its depths.
    numbers = b"".join(pickle.dumps(i * (2**61 - 1), 2)[2:-1] + b"N" for i in range(2, 20_000))
    assert len(read(b"\x80\x02}(" + numbers + b"u.")) == 19_998
    deep = b"\x80\x02})" + b"2\x86" * 60 + b"Ns."
    ((key, value),) = read(deep).items()
    assert isinstance(key, Inert) and value is None


def test_a_program_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(pickle_records, "MAX_OPCODES", 10)
    with pytest.raises(ValueError, match="more than 10 instructions"):
        read(b"N0" * 20 + b"N.")


def test_words_of_a_file_are_quoted_short_and_without_acts():
    assert quoted("m_ssl.model.x") == "m_ssl.model.x"
    assert quoted("a\n\x1b\u202e") == r"a\n\x1b\u202e"
    assert len(quoted("x" * 10**6)) < 110
    assert quoted((1, 2)) == "<tuple>"
