"""Equal strings, equal hashes; different ones, different in all practice."""

import numpy as np
import pyarrow as pa

from dataio.string_hash import hash_strings


def test_equal_strings_hash_alike_wherever_they_lie():
    words = ["", "a", "exactly8", "exactly8+", "a long one of more than sixteen bytes", "ü", "a"]
    together = hash_strings(pa.array(words))
    alone = np.concatenate([hash_strings(pa.array([word])) for word in words])
    np.testing.assert_array_equal(together, alone)
    assert together[1] == together[6]
    assert len(set(together.tolist())) == len(set(words))


def test_a_slice_hashes_as_its_strings():
    strings = pa.array([f"Set-{i}" for i in range(100)])
    np.testing.assert_array_equal(hash_strings(strings[40:60]), hash_strings(strings)[40:60])


def test_near_strings_do_not_collide():
    words = [f"Corpus-speaker{i % 97:05d}_utt{i:07d}" for i in range(200_000)]
    words += [word + "\0" for word in words[:1000]]  # zero bytes count
    assert len(np.unique(hash_strings(pa.array(words)))) == len(words)


def test_no_strings_have_no_hashes():
    assert hash_strings(pa.array([], pa.string())).shape == (0,)
    assert hash_strings(pa.array(["", ""])).tolist() == [0, 0]
