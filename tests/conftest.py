"""What all tests share: a corpus of seconds, made once."""

import pytest
from support.corpus import make_corpus


@pytest.fixture(scope="session")
def toy_corpus(tmp_path_factory):
    """Folder with Data/ and protocols/{train,valid,test}.csv (tests/support/corpus.py)."""
    return make_corpus(tmp_path_factory.mktemp("toy"))
