"""The watch sees what it is there for, and lets readers read."""

import re

import pytest

from support.watched import Watched


@pytest.fixture(scope="module")
def act(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acts")
    (folder / "victim").write_text("here")
    with Watched(
        "support.misdeeds:do", folder, outputs=[folder / "out"], seconds=1, memory=1 << 28
    ) as watched:
        watched.place = folder
        yield watched


DEEDS = {
    "a file written": (("write", "planted"), "open .*planted"),
    "a file removed": (("remove", "{place}/victim"), "os.remove .*victim"),
    "a folder made behind the hook": (("write_unseen", "dark"), "made .*dark"),
    "a connection": (("connect", 9), "socket.connect"),
    "a process": (("start", "true"), "subprocess.Popen"),
    "code of a string": (("execute", "1 + 1"), "exec|compile"),
    "a live name in a pickle": (("unpickle", "cos\ngetcwd\n."), "pickle.find_class .*getcwd"),
}


@pytest.mark.parametrize(("deed", "told"), DEEDS.values(), ids=DEEDS)
def test_a_deed_is_told(act, deed, told):
    words = [word.format(place=act.place) if isinstance(word, str) else word for word in deed]
    assert re.search(told, act(*words).fault() or "no fault")


def test_reading_refusing_and_writing_to_the_outputs_are_none(act):
    (act.place / "out").mkdir(exist_ok=True)
    assert act("write", act.place / "out" / "score.csv").fault() is None
    assert act("read", act.place / "out" / "score.csv").words == "'planted'"
    refusal = act("refuse", "a.ckpt is no checkpoint")
    assert refusal.refused and refusal.fault() is None


def test_a_refusal_is_one_short_line(act):
    assert "refused in 9000 characters" in act("refuse", "x" * 9000).fault()
    assert "refused in" in act("refuse", "a\nerror: forged").fault()
    assert "refused in" in act("refuse", "\x1b[2J").fault()


def test_a_traceback_a_hang_and_a_hoard_are_faults_and_the_next_call_is_made(act):
    assert act("raise_type_error").fault().startswith("TypeError")
    assert "limit" in act("compute_for_ever").fault()
    assert "MemoryError" in act("hoard", 1 << 30).fault()
    assert act("hoard", 10).fault() is None
