"""The manual's protocol commands, run as they are written, on miniatures of their data."""

import shlex
from pathlib import Path

import pytest
from support.pages import commands, page

COMMANDS = [
    words
    for name in ("protocols", "databases")
    for words in commands(page(name), "python -m protocols ")
]
RUN_ELSEWHERE = "make"  # tests/protocols/test_making_asterisk_prompts.py
LA19 = "Data/ASVspoof2019-LA/LA"
EVAL = "Data/Deepfake-Eval-2024"
REAL_RUN = "real_run/Data/Asterisk"


@pytest.fixture
def data(tmp_path, write_audio, write_text):
    """What the commands of the section find in the working directory."""
    audio = lambda name, **more: write_audio(name, folder=tmp_path, **more)  # noqa: E731
    text = lambda name, words: write_text(name, words, folder=tmp_path)  # noqa: E731
    for number in (1, 2):
        audio(f"{LA19}/ASVspoof2019_LA_train/flac/LA_T_{number}.flac", seed=number)
    protocol = "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt"
    text(f"{LA19}/{protocol}", "s LA_T_1 - - bonafide\ns LA_T_2 - A01 spoof\n")
    audio(f"{LA19}/ASVspoof2019_LA_dev/flac/LA_D_1.flac", seed=3)
    text(f"{LA19}/{protocol}".replace("train.trn", "dev.trl"), "s LA_D_1 - - bonafide\n")
    audio("Data/ASVspoof2021-LA/ASVspoof2021_LA_eval/flac/LA_E_1.flac")
    text("keys/LA/CM/trial_metadata.txt", "s LA_E_1 alaw tx A09 spoof notrim eval\n")
    audio("Data/LibriTTS/dev-clean/1/2/1_2_3.wav")
    text("LibriTTS.txt", "LibriTTS/dev-clean/1/2/1_2_3.wav\n")
    audio("Data/FakeOrReal/for-norm/training/fake/1.wav")
    audio("Data/toy_example/eval/LA_E_1.wav")
    text("Data/toy_example/protocol.txt", "s LA_E_1 - - bonafide\n")
    (tmp_path / "protocols").mkdir()
    for name, label in (("MLAAD_v5.csv", "fake"), ("In-the-Wild.csv", "real")):
        head = "ID,Label,Duration,SampleRate,Path,AudioChannel\n"
        text(name, f"{head}{name}-1,{label},1.0,16000,$ROOT/{name}.wav,1\n")
    for name in ("human/1", "tts/1", "clones/1", "all/human_1", "all/tts_1"):
        audio(f"Data/calls/{name}.wav")
    rows = "".join(
        f"own-{n}{label},{label},1.0,16000,$ROOT/{n}{label}.wav,s{n % 20},1\n"
        for n in range(60)
        for label in ("real", "fake")
    )
    text("own.csv", f"ID,Label,Duration,SampleRate,Path,Speaker,AudioChannel\n{rows}")
    text("calls.txt", "calls/human/1.wav real ann\n")
    audio(f"{EVAL}/audio-data/a.wav", seconds=5)
    text(
        f"{EVAL}/audio-metadata-publish.csv",
        "Filename,Finetuning Set,Ground Truth\na.wav,Test,Fake\n",
    )
    audio("Data/DeepVoice/KAGGLE/AUDIO/FAKE/a-to-b.wav")
    text("DeepVoice_seg_log.txt", "Audio: a-to-b_seg_1, start at: 0, end at: 99\n")
    audio(f"{REAL_RUN}/train/real/EN/ann/1.flac", seed=1)
    audio(f"{REAL_RUN}/test/fake/world/EN/bob/1.flac", seed=2)
    (tmp_path / "real_run/protocols").mkdir()


def test_every_command_of_the_pages_runs_as_written(data, protocols):
    assert len(COMMANDS) >= 20
    for words in COMMANDS:
        if words[0] == RUN_ELSEWHERE:
            continue
        status, out, err = protocols(*words)
        assert status == 0, f"{shlex.join(words)}: {err}"
        assert out
        if words[:2] == ["build", "asterisk_prompts"]:  # in the place of what `make` writes
            head, test, train = Path("real_run/asterisk_prompts.csv").read_text().splitlines()
            Path("real_run/protocols/train.csv").write_text(f"{head}\n{train}\n")
            Path("real_run/protocols/test.csv").write_text(f"{head}\n{test}\n")


def test_the_page_names_every_verb():
    from protocols.__main__ import VERBS

    table = page("protocols").partition("\n## ")[0]
    assert [
        verb for verb in VERBS if f"`{verb}`" not in table.replace("python -m protocols ", "")
    ] == []
