"""The registry of databases, its list, and adding one."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.pages import blocks, page

from protocols.corpus import corpora, database_of
from protocols.merge import PUBLISHED_ORDER, published_names

# The whole of a new database, as the manual has it.
MY_CORPUS = blocks(page("databases"), "python")[0].text


def test_a_database_is_added_in_under_30_lines(protocols, write_audio):
    assert len(MY_CORPUS.splitlines()) < 30
    Path("calls.py").write_text(MY_CORPUS)
    write_audio("Calls/dev/clone/ann_7.wav", seconds=1)
    status, out, _ = protocols("build", "calls.py", "--data_folder", "data")
    assert status == 0
    assert Path("Calls.csv").read_text().splitlines()[1] == (
        "Calls-dev-ann-7,fake,1.0,16000,$ROOT/Calls/dev/clone/ann_7.wav,-,ann,valid,1,PCM_S,16,EN"
    )


def test_the_list_says_what_each_database_is(protocols):
    status, out, _ = protocols("list")
    assert status == 0
    for name, corpus in corpora().items():
        assert f"{name}  ({corpus.contents})" in out
        assert corpus.folder in out
        assert corpus.link in out
    assert "training: train+eval, validation: dev" in out


def test_the_list_is_data_too(protocols):
    _, out, _ = protocols("list", "MLAAD", "--json")
    (facts,) = json.loads(out)
    assert facts["csv"] == "MLAAD_v5.csv"
    assert facts["post_training"] == "training: all, validation: none"
    assert facts["source_data"] == ["M-AILABS"]


def test_every_module_declares_all_that_the_list_shows():
    for name, corpus in corpora().items():
        assert corpus.prefix.endswith("-"), name
        assert corpus.contents in ("real", "fake", "real+fake"), name
        assert corpus.link and corpus.folder, name
        assert len(corpus.variant_csv) in (0, len(corpus.variants)), name


def test_the_published_lists_have_29_and_5_files():
    assert len(PUBLISHED_ORDER) == 29
    train = published_names("train")
    assert len(train) == 29
    assert train[:2] == ["AIShell3.csv", "ASVspoof2019-LA.csv"]
    assert {"CVoiceFake_Large.csv", "MLAAD_v5.csv"} < set(train)
    assert published_names("test") == [
        "ADD2023.csv", "DeepVoice.csv", "FakeOrReal.csv", "FakeOrReal_norm.csv", "In-the-Wild.csv"
    ]  # fmt: skip


def test_an_id_belongs_to_the_database_with_the_longest_prefix():
    assert database_of("Libri-R-1_2") == "LibriTTS-R"
    assert database_of("Libri-1_2") == "LibriTTS"
    assert database_of("FLEURS-R-AF-987") == "FLEURS-R"
    assert database_of("CodecF-encodec+p1_1") == "CodecFake"
    assert database_of("Codecf-F01_x") == "Codecfake"
    assert database_of("mine-x") == "mine"


def test_a_wrong_name_is_refused_with_the_right_one(protocols, tmp_path):
    status, _, err = protocols("build", "CODECFAKE", "--data_folder", tmp_path)
    assert status == 2
    assert "did you mean CodecFake or Codecfake?" in err


def test_an_unknown_variant_is_refused_with_the_known_ones(protocols, tmp_path):
    status, _, err = protocols("build", "FakeOrReal", "--data_folder", tmp_path, "--variant", "x")
    assert status == 2
    assert "for-original, for-norm" in err


def test_help_comes_within_a_second_and_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['protocols', 'build', '--help']\n"
        "from protocols.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'numpy', 'pyarrow'} & set(sys.modules), sys.modules\n"
    )
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                   cwd=Path(__file__).parents[2])  # fmt: skip
    assert time.monotonic() - start < 5  # a second on a quiet machine


def test_no_verb_loads_torch(write_audio, tmp_path):
    write_audio("AIShell3/train/wav/S/a.wav")
    code = (
        "import sys; from protocols.__main__ import main\n"
        f"folder, out = {str(tmp_path / 'data')!r}, {str(tmp_path / 'out.csv')!r}\n"
        "assert main(['build', 'AIShell3', '--data_folder', folder, '--output', out]) == 0\n"
        "assert main(['check', out, '--data_folder', folder]) == 0\n"
        "assert main(['leakage', '--train', out, '--test', out, '--data_folder', folder]) == 1\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_reader_that_stops_early_is_no_error():
    command = f"{sys.executable} -m protocols list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.stdout == "ADD2023  (real+fake)\n"
    assert done.stderr == ""


def test_a_verb_that_is_not_known_is_refused(protocols):
    with pytest.raises(SystemExit) as refused:
        protocols("bild")
    assert refused.value.code == 2
