"""What all tests share: a corpus of seconds, made once, and the question for what a test needs."""

import pytest
from support.corpus import make_corpus
from support.needs import missing, must_be_there


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`pytest -m gpu`: the tests that need a CUDA device."""
    for item in items:
        if any("cuda" in mark.args for mark in item.iter_markers("needs")):
            item.add_marker("gpu")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    for need in (need for mark in item.iter_markers("needs") for need in mark.args):
        if reason := missing(need):
            (pytest.fail if must_be_there(need) else pytest.skip)(reason)


@pytest.fixture(scope="session")
def toy_corpus(tmp_path_factory):
    """Folder with Data/ and protocols/{train,valid,test}.csv (tests/support/corpus.py)."""
    return make_corpus(tmp_path_factory.mktemp("toy"))
