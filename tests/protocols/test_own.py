"""One's own data: folders, lists, file names."""

import csv
from pathlib import Path

import pytest


def read(path="out.csv"):
    with open(path, newline="") as file:
        return [
            (row["ID"], row["Label"], row["Attack"], row["Speaker"], row["Proportion"], row["Path"])
            for row in csv.DictReader(file)
        ]


@pytest.fixture
def own(protocols):
    def run(verb, *arguments):
        return protocols(verb, "Mine", "--data_folder", "data", "--output", "out.csv", *arguments)

    return run


def test_folders_are_classes_and_fake_folders_are_attacks(own, write_audio):
    write_audio("calls/human/a/1.wav")
    write_audio("calls/clones/1.FLAC")
    write_audio("calls/tts/1.mp3")
    status, out, _ = own("folders", "--real", "calls/human", "--fake", "calls/clones", "calls/tts")
    assert status == 0
    assert read() == [
        ("Mine-human-a-1", "real", "-", "-", "-", "$ROOT/calls/human/a/1.wav"),
        ("Mine-clones-1", "fake", "clones", "-", "-", "$ROOT/calls/clones/1.FLAC"),
        ("Mine-tts-1", "fake", "tts", "-", "-", "$ROOT/calls/tts/1.mp3"),
    ]
    assert "1 real and 2 fake" in out


def test_folders_take_a_language_and_a_proportion(own, write_audio):
    write_audio("human/1.wav")
    own("folders", "--real", "human", "--language", "EN", "--proportion", "test")
    assert Path("out.csv").read_text().splitlines()[1] == (
        "Mine-human-1,real,0.25,16000,$ROOT/human/1.wav,-,-,test,1,PCM_S,16,EN"
    )


def test_folders_that_are_not_there_or_elsewhere_are_refused(own, write_audio, tmp_path):
    write_audio("human/1.wav")
    (tmp_path / "elsewhere").mkdir()
    assert own("folders")[0] == 2
    assert "no folder nowhere" in own("folders", "--real", "nowhere")[2]
    assert "is not below the data folder" in own("folders", "--real", "elsewhere")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--real", "calls", "--fake", "calls/tts"),
        ("--real", "calls/tts/ann", "--fake", "calls/tts"),
        ("--fake", "calls", "calls/tts"),
        ("--real", "calls/tts", "--fake", "calls/tts/"),
        ("--real", "alias", "--fake", "calls/tts"),
        ("--real", ".", "--fake", "calls/tts"),
    ],
)
def test_a_folder_inside_another_is_refused_as_its_files_would_have_two_classes(
    arguments, own, write_audio, tmp_path
):
    write_audio("calls/1.wav")
    write_audio("calls/tts/ann/1.wav")
    (tmp_path / "data/alias").symlink_to("calls")
    status, _, err = own("folders", *arguments)
    assert status == 2
    named = [word for word in arguments if not word.startswith("--")]
    assert all(f"{word!r}" in err for word in named)
    assert not Path("out.csv").exists()


def test_folders_whose_names_begin_alike_lie_apart(own, write_audio):
    write_audio("calls/1.wav")
    write_audio("calls-tts/1.wav")
    assert own("folders", "--real", "calls", "--fake", "calls-tts")[0] == 0


def test_a_folder_or_list_with_nothing_in_it_is_named_unless_it_may_be_empty(
    own, write_audio, tmp_path
):
    write_audio("human/1.wav")
    (tmp_path / "data/void").mkdir()
    Path("empty.txt").write_text("\n")
    Path("one.txt").write_text("human/1.wav real\n")
    for arguments, culprit in (
        (("folders", "--real", "void"), "no audio in 'void'"),
        (("folders", "--real", "human", "--fake", "void"), "no audio in 'void'"),
        (("filelist", "--list", "empty.txt"), "no file is listed in 'empty.txt'"),
        (("filelist", "--list", "one.txt", "empty.txt"), "no file is listed in 'empty.txt'"),
        (("filename", "--dir", "void", "--real_pattern", "r", "--fake_pattern", "f"), "void"),
    ):
        status, _, err = own(*arguments)
        assert (status, culprit in err, "--allow_empty" in err) == (2, True, True), err
        assert "expected  " not in err
        assert own(*arguments, "--allow_empty")[0] == 0


def test_a_name_with_a_hyphen_is_refused(protocols, write_audio):
    write_audio("human/1.wav")
    status, _, err = protocols("folders", "my-data", "--data_folder", "data", "--real", "human")
    assert status == 2
    assert "'my-data'" in err


def test_names_tell_the_class_and_the_attack(own, write_audio):
    write_audio("all/bonafide_ann_1.wav")
    write_audio("all/spoof_vits_ann_1.wav")
    real = r"^bonafide_(?P<speaker>[a-z]+)"
    fake = r"^spoof_(?P<attack>[a-z]+)_(?P<speaker>[a-z]+)"
    status, *_ = own("filename", "--dir", "all", "--real_pattern", real, "--fake_pattern", fake)
    assert status == 0
    assert read() == [
        ("Mine-bonafide_ann_1", "real", "-", "ann", "-", "$ROOT/all/bonafide_ann_1.wav"),
        ("Mine-spoof_vits_ann_1", "fake", "vits", "ann", "-", "$ROOT/all/spoof_vits_ann_1.wav"),
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [("song.wav", "neither pattern matches"), ("real_fake.wav", "both patterns match")],
)
def test_a_name_that_tells_no_class_is_refused_or_counted(name, message, own, write_audio):
    write_audio(f"all/{name}")
    write_audio("all/real_1.wav")
    patterns = ("--dir", "all", "--real_pattern", "real", "--fake_pattern", "fake")
    status, _, err = own("filename", *patterns)
    assert status == 2
    assert f"{message} in all/{name}" in err
    status, out, _ = own("filename", *patterns, "--skip_unknown")
    assert status == 0
    assert message in out
    assert len(read()) == 1


def test_a_broken_pattern_is_refused(own, write_audio):
    write_audio("all/real_1.wav")
    status, _, err = own("filename", "--dir", "all", "--real_pattern", "(", "--fake_pattern", "x")
    assert status == 2
    assert "--real_pattern '('" in err


def test_a_blank_separated_list(own, write_audio, tmp_path):
    write_audio("x/1.wav")
    write_audio("x/2.wav")
    Path("list.txt").write_text(f"{tmp_path / 'data/x/2.wav'}  spoof \nx/1.wav\tbonafide\n")
    status, *_ = own("filelist", "--list", "list.txt")
    assert status == 0
    assert read() == [
        ("Mine-x-2", "fake", "-", "-", "-", "$ROOT/x/2.wav"),
        ("Mine-x-1", "real", "-", "-", "-", "$ROOT/x/1.wav"),
    ]


def test_a_list_with_named_columns(own, write_audio):
    write_audio("x/1.wav")
    Path("list.txt").write_text("ann x/1.wav ignored A07 dev fake\n")
    own("filelist", "--list", "list.txt", "--columns", "speaker", "path", "_", "attack",
        "proportion", "label")  # fmt: skip
    assert read() == [("Mine-x-1", "fake", "A07", "ann", "valid", "$ROOT/x/1.wav")]


def test_a_csv_list_may_have_blanks_in_paths(own, write_audio):
    write_audio("my calls/1.wav")
    Path("list.csv").write_text("label,path,speaker\nreal,my calls/1.wav,Ann Lee\n")
    own("filelist", "--list", "list.csv")
    assert read() == [("Mine-my calls-1", "real", "-", "Ann Lee", "-", "$ROOT/my calls/1.wav")]


def test_faults_of_lists_are_refused_with_their_place(own, write_audio):
    write_audio("x/1.wav")
    Path("list.txt").write_text("x/1.wav real\nx/1.wav maybe\n")
    status, _, err = own("filelist", "--list", "list.txt")
    assert (status, "unknown word 'maybe'" in err, "list.txt, line 2" in err) == (2, True, True)
    assert own("filelist", "--list", "nowhere.txt")[0] == 2
    assert own("filelist", "--list", "list.txt", "--columns", "path", "attack")[0] == 2


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,label,Speaker", "'Speaker': write 'speaker'"),
        ("Path,label", "'Path': write 'path'"),
        ("path,label,speaker,speaker", "two columns 'speaker'"),
        ("path,label,label", "two columns 'label'"),
    ],
)
def test_a_header_that_would_be_read_in_part_only_is_refused(header, message, own, write_audio):
    write_audio("x/1.wav")
    cells = ["x/1.wav", "real", "Ann", "Ann"][: header.count(",") + 1]
    Path("list.csv").write_text(f"{header}\n{','.join(cells)}\n")
    status, _, err = own("filelist", "--list", "list.csv")
    assert (status, message in err, "list.csv" in err) == (2, True, True), err


def test_a_list_may_have_columns_of_its_own(own, write_audio):
    write_audio("x/1.wav")
    Path("list.csv").write_text("path,label,room,Speaker,speaker\nx/1.wav,real,hall,no,Ann\n")
    assert own("filelist", "--list", "list.csv")[0] == 0
    assert read()[0][3] == "Ann"


def test_equal_names_in_two_folders_stay_two_rows(own, write_audio):
    write_audio("a/clones/1.wav")
    write_audio("b/clones/1.wav")
    status, out, _ = own("folders", "--fake", "a/clones", "b/clones")
    assert status == 0
    assert [row[0] for row in read()] == [
        "Mine-clones-a-clones-1.wav",
        "Mine-clones-b-clones-1.wav",
    ]
    assert "2 rows shared 1 IDs" in out


def test_a_folder_to_write_the_summary_to_is_refused_before_the_headers_are_read(own, write_audio):
    write_audio("human/1.wav")
    status, _, err = own("folders", "--real", "human", "--json", "data")
    assert (status, err) == (2, "error: --json data is a folder: name a file\n")
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("listed", ["disk", "link"])
@pytest.mark.parametrize("data", ["disk", "link"])
def test_a_data_folder_that_is_a_link_holds_what_lies_where_it_leads(
    listed, data, protocols, write_audio, tmp_path
):
    write_audio("x/1.wav", folder=tmp_path / "disk")
    (tmp_path / "link").symlink_to("disk")
    Path("list.txt").write_text(f"{tmp_path}/{listed}/x/1.wav real\n")
    options = ["--data_folder", data, "--output", "out.csv"]
    assert protocols("filelist", "Mine", "--list", "list.txt", *options)[0] == 0
    assert read()[0][5] == "$ROOT/x/1.wav"
    folder = ["--real", tmp_path / listed / "x"]
    assert protocols("folders", "Mine", *folder, *options)[0] == 0
    assert read()[0][5] == "$ROOT/x/1.wav"


def test_a_listed_path_outside_a_linked_data_folder_is_still_refused(
    protocols, write_audio, tmp_path
):
    write_audio("x/1.wav", folder=tmp_path / "elsewhere")
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    Path("list.txt").write_text(f"{tmp_path}/elsewhere/x/1.wav real\n")
    options = ["--data_folder", "link", "--output", "out.csv"]
    status, _, err = protocols("filelist", "Mine", "--list", "list.txt", *options)
    assert status == 2 and "is not below the data folder" in err
