"""A miniature of each database: its files, its lists, and the rows its protocol must have.

One row a line: ID, Label, Attack, Speaker, Proportion, Language, then the path of the audio and,
of databases with labels of parts, that of their file.
`_` in a speaker's place stands for a blank.
"""
# ruff: noqa: E501  (a protocol row is one line)

from dataclasses import dataclass, field

from dataio.schema import COLUMNS


@dataclass
class Case:
    database: str
    rows: str
    csv: str = ""
    lists: dict = field(default_factory=dict)
    here: dict = field(default_factory=dict)  # lists in the working directory
    not_listed: tuple = ()  # audio that is there and must not be in the protocol
    arguments: tuple = ()
    columns: tuple = COLUMNS

    @property
    def name(self):
        return " ".join([self.database, *self.arguments])

    @property
    def csv_name(self):
        return self.csv or f"{self.database}.csv"

    def expected(self):
        for line in self.rows.strip().splitlines():
            cells = line.split()
            cells[3] = cells[3].replace("~", " ")
            yield cells


def libritts(database, prefix, label):
    return Case(
        database,
        f"""
{prefix}9908_1008_000001_000000 {label} - 9908 valid EN {database}/dev-clean/9908/1008/9908_1008_000001_000000.wav
{prefix}9907_1 {label} - 9907 valid EN {database}/dev-other/9907/1/9907_1.wav
{prefix}9906_1 {label} - 9906 test EN {database}/test-clean/9906/1/9906_1.wav
{prefix}9905_1 {label} - 9905 test EN {database}/test-other/9905/1/9905_1.wav
{prefix}9903_1 {label} - 9903 train EN {database}/train-clean-100/9903/1/9903_1.wav
{prefix}9902_100002_000035_000001 {label} - 9902 train EN {database}/train-clean-360/9902/100002/9902_100002_000035_000001.wav
{prefix}9904_1 {label} - 9904 train EN {database}/train-other-500/9904/1/9904_1.wav
""",
    )


ASV19 = "ASVspoof2019-LA/LA"
LISTS19 = f"{ASV19}/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm."
DECRO = "DECRO/petrichorwq-DECRO-dataset-6fc9884"
EVAL24 = "Deepfake-Eval-2024/data"
VOICEMOS = "VoiceMOS/main/blizzard/blizzard_wavs_and_scores_2008_release_version_1"

# The folders of FLEURS and FLEURS-R, as the data set has them.
FLEURS_FOLDERS = """
af_za am_et ar_eg as_in ast_es az_az be_by bg_bg bn_in bs_ba ca_es ceb_ph ckb_iq cmn_hans_cn cs_cz cy_gb da_dk de_de el_gr en_us es_419 et_ee fa_ir ff_sn fi_fi fil_ph fr_fr ga_ie gl_es gu_in ha_ng he_il hi_in hr_hr hu_hu hy_am id_id ig_ng is_is it_it ja_jp jv_id ka_ge kam_ke kea_cv kk_kz km_kh kn_in ko_kr ky_kg lb_lu lg_ug ln_cd lo_la lt_lt luo_ke lv_lv mi_nz mk_mk ml_in mn_mn mr_in ms_my mt_mt my_mm nb_no ne_np nl_nl nso_za ny_mw oc_fr om_et or_in pa_in pl_pl ps_af pt_br ro_ro ru_ru sd_in sk_sk sl_si sn_zw so_so sr_rs sv_se sw_ke ta_in te_in tg_tj th_th tr_tr uk_ua umb_ao ur_pk uz_uz vi_vn wo_sn xh_za yo_ng yue_hant_hk zu_za
"""

CASES = [
    Case(
        "ADD2023",
        """
ADD2023-ADD2023_T1.2R2_E_00000777.wav real - - test - ADD2023/Track1.2/testR2/wav/ADD2023_T1.2R2_E_00000777.wav
ADD2023-ADD2023_T1.2R2_E_00000001.wav fake - - test - ADD2023/Track1.2/testR2/wav/ADD2023_T1.2R2_E_00000001.wav
""",
        lists={
            "ADD2023/Track1.2/testR2/label.txt": "ADD2023_T1.2R2_E_00000777.wav genuine\n"
            "ADD2023_T1.2R2_E_00000001.wav fake\n"
        },
        not_listed=("ADD2023/Track1.2/testR2/wav/ADD2023_T1.2R2_E_00000002.wav",),
    ),
    Case(
        "AIShell3",
        """
AIShell3-SSB0200-SSB02000001 real - SSB0200 test ZH AIShell3/test/wav/SSB0200/SSB02000001.wav
AIShell3-SSB0123-SSB01230045 real - SSB0123 train ZH AIShell3/train/wav/SSB0123/SSB01230045.wav
""",
        not_listed=("AIShell3/train/wav/SSB0123/._SSB01230045.wav",),
    ),
    Case(
        "ASVspoof2019-LA",
        f"""
ASV19LA-LA_T_7000001 fake A04 LA_0901 train EN {ASV19}/ASVspoof2019_LA_train/flac/LA_T_7000001.flac
ASV19LA-LA_T_7000002 real - LA_0902 train EN {ASV19}/ASVspoof2019_LA_train/flac/LA_T_7000002.flac
ASV19LA-LA_D_7000001 fake A05 LA_0903 valid EN {ASV19}/ASVspoof2019_LA_dev/flac/LA_D_7000001.flac
ASV19LA-LA_E_7000001 real - LA_0904 test EN {ASV19}/ASVspoof2019_LA_eval/flac/LA_E_7000001.flac
""",
        lists={
            f"{LISTS19}train.trn.txt": "LA_0901 LA_T_7000001 - A04 spoof\n"
            "LA_0902 LA_T_7000002 - - bonafide\n",
            f"{LISTS19}dev.trl.txt": "LA_0903 LA_D_7000001 - A05 spoof\n",
            f"{LISTS19}eval.trl.txt": "LA_0904 LA_E_7000001 - - bonafide\n",
        },
    ),
    Case(
        "ASVspoof2021-LA",
        """
ASV21LA-LA_E_7000001 fake A09 LA_0901 test EN ASVspoof2021-LA/ASVspoof2021_LA_eval/flac/LA_E_7000001.flac
ASV21LA-LA_E_7000002 real bonafide LA_0902 test EN ASVspoof2021-LA/ASVspoof2021_LA_eval/flac/LA_E_7000002.flac
""",
        here={
            "ASVspoof2021-LA.txt": "LA_0901 LA_E_7000001 alaw ita_tx A09 spoof notrim eval\n"
            "LA_0902 LA_E_7000002 none none bonafide bonafide notrim progress\n"
        },
    ),
    Case(
        "ASVspoof2021-DF",
        """
ASV21DF-DF_E_7000001 fake Task1-team99 TEF9 test EN ASVspoof2021-DF/ASVspoof2021_DF_eval/flac/DF_E_7000001.flac
ASV21DF-DF_E_7000002 real - LA_0023 test EN ASVspoof2021-DF/ASVspoof2021_DF_eval/flac/DF_E_7000002.flac
""",
        here={
            "ASVspoof2021-DF.txt": "TEF9 DF_E_7000001 low_m4a vcc2020 Task1-team99 spoof notrim "
            "eval traditional_vocoder Task1 team99 FF E\n"
            "LA_0023 DF_E_7000002 nocodec asvspoof - bonafide notrim eval bonafide - - - -\n"
        },
    ),
    Case(
        "ASVspoof5",
        """
ASV5-A11-D_0007000001 fake A11 D_4900 valid EN ASVspoof5/ASVspoof5_dev/flac_D/D_0007000001.flac
ASV5-bonafide-D_0007000002 real bonafide D_4901 valid EN ASVspoof5/ASVspoof5_dev/flac_D/D_0007000002.flac
ASV5-A20-E_0000000001 fake A20 E_0001 test EN ASVspoof5/ASVspoof5_eval/flac_E_eval/E_0000000001.flac
ASV5-A01-T_0000000001 fake A01 T_0001 train EN ASVspoof5/ASVspoof5_train/flac_T/T_0000000001.flac
""",
        lists={
            "ASVspoof5/ASVspoof5.dev.track_1.tsv": "D_4900 D_0007000001 F - - - AC2 A11 spoof -\n"
            "D_4901 D_0007000002 M - - - - bonafide bonafide -\n",
            "ASVspoof5/ASVspoof5.eval.track_1.tsv": "E_0001 E_0000000001 F C01 1 - - A20 spoof -\n",
            "ASVspoof5/ASVspoof5.train.tsv": "T_0001 T_0000000001 M - - - AC1 A01 spoof -\n",
        },
    ),
    Case(
        "CFAD",
        """
CFAD-clean_version-train-real-BAC009S9999W0001 real aishell1 BAC009S9999W0001 train ZH CFAD/CFAD/clean_version/train_clean/real_clean/aishell1/BAC009S9999W0001.wav
CFAD-codec_version-test-fake-SSB09990003_lpcnet_m4a fake lpcnet SSB09990003 test ZH CFAD/CFAD/codec_version/test_seen_codec/fake_codec/lpcnet/SSB09990003_lpcnet_m4a.wav
CFAD-codec_version-test-fake-SSB09990004_gl fake gl SSB09990004 test ZH CFAD/CFAD/codec_version/test_unseen_codec/fake_codec/gl/SSB09990004_gl.wav
CFAD-noisy_version-valid-fake-SSB09990005_gl fake gl SSB09990005 valid ZH CFAD/CFAD/noisy_version/dev_noise/fake_noise/gl/SSB09990005_gl.wav
""",
    ),
    Case(
        "CNCeleb2",
        """
CNCeleb2-id19998-vlog-02-001 real - id19998 - ZH CNCeleb2/CN-Celeb2_flac/data/id19998/vlog-02-001.flac
CNCeleb2-id19999-interview-01-007 real - id19999 - ZH CNCeleb2/CN-Celeb2_flac/data/id19999/interview-01-007.flac
""",
    ),
    Case(
        "CVoiceFake",
        """
CVoice-CN-Bonafide-common_voice_zh-CN_99900002 real Bonafide - - ZH CVoiceFake/CVoiceFake_Large/CN/Bonafide/common_voice_zh-CN_99900002.mp3
CVoice-DE-hifigan_generated-common_voice_de_1 fake hifigan_generated - - DE CVoiceFake/CVoiceFake_Large/DE/hifigan_generated/common_voice_de_1.mp3
""",
        csv="CVoiceFake_Large.csv",
    ),
    Case(
        "CodecFake",
        """
CodecF-academicodec_hifi_16k_320d+p300_001 fake academicodec_hifi_16k_320d p300 - EN CodecFake/processed/academicodec_hifi_16k_320d+p300_001.wav
CodecF-encodec_24khz+p299 fake encodec_24khz p299 - EN CodecFake/processed/encodec_24khz+p299.wav
CodecF-encodec_24khz+p299_042 fake encodec_24khz p299 - EN CodecFake/processed/encodec_24khz+p299_042.wav
""",
    ),
    Case(
        "Codecfake",
        """
Codecf-SSB09990001 real - - train - Codecfake/train/SSB09990001.wav
Codecf-F03_SSB09990001 fake F03 - train - Codecfake/train/F03_SSB09990001.wav
Codecf-F01_p225_001 fake F01 - valid - Codecfake/dev/F01_p225_001.wav
Codecf-F02_p225_001 fake F02 - valid - Codecfake/dev/F02_p225_001.wav
Codecf-F04_p225_001 fake F04 - valid - Codecfake/dev/F04_p225_001.wav
Codecf-F05_p225_001 fake F05 - valid - Codecfake/dev/F05_p225_001.wav
Codecf-F06_p225_001 fake F06 - valid - Codecfake/dev/F06_p225_001.wav
Codecf-F07_p225_002 fake F07 - test - Codecfake/C7/F07_p225_002.wav
""",
        lists={
            "Codecfake/label/train.txt": "SSB09990001.wav real 0 \nF03_SSB09990001.wav fake 3 \n",
            "Codecfake/label/dev.txt": "".join(
                f"F0{method}_p225_001.wav fake {method}\n" for method in (1, 2, 4, 5, 6)
            ),
            "Codecfake/label/C7.txt": "F07_p225_002.wav fake 7\n",
        },
    ),
    Case(
        "DECRO",
        f"""
DECRO-valid-ZH-00012 fake baidu unknown valid ZH {DECRO}/ch_dev/00012.wav
DECRO-valid-ZH-T0055G0999S0001 real aidatatang G0999 valid ZH {DECRO}/ch_dev/T0055G0999S0001.wav
DECRO-test-ZH-29990002 fake hifigan unknown test ZH {DECRO}/ch_eval/29990002.wav
DECRO-train-ZH-29990003 fake None NA train ZH {DECRO}/ch_train/29990003.wav
DECRO-valid-EN-1 fake x unknown valid EN {DECRO}/en_dev/1.wav
DECRO-test-EN-2 fake x unknown test EN {DECRO}/en_eval/2.wav
DECRO-train-EN-3 real - p225 train EN {DECRO}/en_train/3.wav
""",
        lists={
            f"{DECRO}/ch_dev.txt": "unknown 00012 - baidu spoof \n"
            "G0999 T0055G0999S0001 - aidatatang bonafide\n",
            f"{DECRO}/ch_eval.txt": "unknown 29990002 - hifigan spoof\n",
            f"{DECRO}/ch_train.txt": "NA 29990003 - None spoof\n",
            f"{DECRO}/en_dev.txt": "unknown 1 - x spoof\n",
            f"{DECRO}/en_eval.txt": "unknown 2 - x spoof\n",
            f"{DECRO}/en_train.txt": "p225 3 - - bonafide\n",
        },
    ),
    Case(
        "DFADD",
        """
DFADD-DATASET_GradTTS-p398_002_grad fake DATASET_GradTTS p398 valid EN DFADD/DATASET_GradTTS/dev/p398_002_grad.wav
DFADD-DATASET_GradTTS-p398_001_grad fake DATASET_GradTTS p398 valid EN DFADD/DATASET_GradTTS/valid/p398_001_grad.wav
DFADD-DATASET_MatchaTTS-p399_1 fake DATASET_MatchaTTS p399 test EN DFADD/DATASET_MatchaTTS/test/p399_1.wav
DFADD-DATASET_NaturalSpeech2-p399_1 fake DATASET_NaturalSpeech2 p399 test EN DFADD/DATASET_NaturalSpeech2/test/p399_1.wav
DFADD-DATASET_PflowTTS-p399_007_pflow fake DATASET_PflowTTS p399 train EN DFADD/DATASET_PflowTTS/train/p399_007_pflow.wav
DFADD-DATASET_StyleTTS2-p399_1 fake DATASET_StyleTTS2 p399 test EN DFADD/DATASET_StyleTTS2/test/p399_1.wav
DFADD-DATASET_VCTK_BONAFIDE-p399_007 real DATASET_VCTK_BONAFIDE p399 test EN DFADD/DATASET_VCTK_BONAFIDE/test/p399_007.flac
DFADD-DATASET_VCTK_BONAFIDE-p399_008 real DATASET_VCTK_BONAFIDE p399 test EN DFADD/DATASET_VCTK_BONAFIDE/test/p399_008.wav
""",
    ),
    Case(
        "DSD",
        """
DSD-12ABCD0099_000001 fake VITS 12ABCD0099 test KO DSD/12ABCD0099_000001.wav
DSD-en_000001 real - p225 valid EN DSD/en_000001.wav
DSD-ja_000001 fake FreeVC Jane~Sample train JA DSD/ja_000001.wav
""",
        here={
            "DSD_corpus_v1.csv": "\ufeffUtterence name (file name),TTS or VC,Is multi-speaker?,"
            "Language,Noise type 1,Source link,utt,group,Speaker name,Gender,Age,label,Model,"
            "subset,duration\n"
            "12ABCD0099_000001.wav,TTS,No,Korean,-,-,12ABCD0099_000001,VITS-AIHUB,12ABCD0099,"
            "Male,Adult,spoof,VITS,eval,1.5\n"
            "en_000001.wav,-,No,English,-,-,en_000001,VCTK,p225,Male,Adult,bonafide,-,dev,1.5\n"
            'ja_000001.wav,VC,No,Japanese,"a,b",-,x,y,Jane Sample,Male,Adult,spoof,FreeVC,train,1\n'
        },
    ),
    Case(
        "DeepVoice",
        """
DeepVoice-VC_linus-to-ryan_seg_7 fake VC - - EN DeepVoice/AUDIO_SEGMENTS/FAKE/linus-to-ryan_seg_7.wav
DeepVoice-VC_ryan-original_seg_1 real - - - EN DeepVoice/AUDIO_SEGMENTS/REAL/ryan-original_seg_1.wav
""",
    ),
    Case(
        "DeepVoice",
        """
DeepVoice-VC_linus-to-ryan_seg_7 fake VC - - EN DeepVoice/KAGGLE/AUDIO_SEGMENTS/FAKE/linus-to-ryan_seg_7.wav
""",
        not_listed=("DeepVoice/KAGGLE/AUDIO/FAKE/linus-to-ryan.wav",),
    ),
    Case(
        "Deepfake-Eval-2024",
        f"""
DFEval2024-10s-test-fake-sample_001_seg1 fake - - test - {EVAL24}/segmented/test/10s/fake/sample_001_seg1.wav
DFEval2024-4s-test-fake-sample_001_seg1 fake - - test - {EVAL24}/segmented/test/4s/fake/sample_001_seg1.wav
DFEval2024-4s-test-fake-sample_001_seg2 fake - - test - {EVAL24}/segmented/test/4s/fake/sample_001_seg2.mp3
DFEval2024-4s-train-real-sample_002_seg1 real - - train - {EVAL24}/segmented/train/4s/real/sample_002_seg1.flac
""",
        not_listed=(f"{EVAL24}/unsegmented/test/fake/sample_001.wav",),
    ),
    Case(
        "Deepfake-Eval-2024",
        f"""
DFEval2024-4s-train-real-sample_002_seg1 real - - train - {EVAL24}/segmented/train/4s/real/sample_002_seg1.flac
""",
        csv="Deepfake-Eval-2024_4s.csv",
        arguments=("--variant", "4s"),
        not_listed=(f"{EVAL24}/segmented/test/10s/fake/sample_001_seg1.wav",),
    ),
    Case(
        "Deepfake-Eval-2024",
        f"""
DFEval2024-full-test-fake-sample_001 fake - - test - {EVAL24}/unsegmented/test/fake/sample_001.WAV
DFEval2024-full-train-real-sample_002 real - - train - {EVAL24}/unsegmented/train/real/sample_002.flac
""",
        csv="Deepfake-Eval-2024_unsegmented.csv",
        arguments=("--variant", "unsegmented"),
        not_listed=(f"{EVAL24}/segmented/test/10s/fake/sample_001_seg1.wav",),
    ),
    Case(
        "DiffSSD",
        """
DiffSSD-grad_tts---EN-sentence_12 fake grad_tts - - EN DiffSSD/generated_speech/grad_tts/sentence_12.wav
DiffSSD-grad_tts---EN-some_speaker fake grad_tts - - EN DiffSSD/generated_speech/grad_tts/some_speaker.wav
DiffSSD-your_tts-speaker_9001-EN-sentence_77 fake your_tts speaker_9001 - EN DiffSSD/generated_speech/your_tts/speaker_9001/sentence_77.wav
""",
        not_listed=("DiffSSD/real_speech/LJSpeech/LJ099-0001.wav",),
    ),
    Case(
        "DiffusionDeepfake",
        """
DiffFake-DiffGAN-TTS_aux-LJ099-0011_aux fake DiffGAN-TTS_aux LJ099-0011 - EN DiffusionDeepfake/DiffGAN-TTS_aux/LJ099-0011_aux.wav
DiffFake-tacotron2-DCA_wavegrad-LJ099-0011 fake tacotron2-DCA_wavegrad LJ099-0011 - EN DiffusionDeepfake/tacotron2-DCA_wavegrad/LJ099-0011.wav
""",
    ),
    Case(
        "FLEURS",
        """
FLEURS-CEB-1000123 real - - train CEB FLEURS/fleurs/data/ceb_ph/audio/train/1000123.wav
FLEURS-CN-77 real - - test ZH FLEURS/fleurs/data/cmn_hans_cn/audio/test/77.wav
FLEURS-YUE_HANT-78 real - - valid YUE_HANT FLEURS/fleurs/data/yue_hant_hk/audio/dev/78.wav
""",
        not_listed=("FLEURS/fleurs-r/data/af_za/audio/dev/987.wav",),
    ),
    Case(
        "FLEURS-R",
        """
FLEURS-R-AF-987 fake - - valid AF FLEURS/fleurs-r/data/af_za/audio/dev/987.wav
FLEURS-R-CN-77 fake - - train ZH FLEURS/fleurs-r/data/cmn_hans_cn/audio/train/77.wav
""",
        not_listed=("FLEURS/fleurs/data/af_za/audio/dev/987.wav",),
    ),
    Case(
        "FakeOrReal",
        """
FoR-testing-real-file3 real - - test EN FakeOrReal/for-original/testing/real/file3.wav
FoR-training-fake-file16 fake - - train EN FakeOrReal/for-original/training/fake/file16.mp3
FoR-training-fake-file7.wav_16k fake - - train EN FakeOrReal/for-original/training/fake/file7.wav_16k.wav
FoR-validation-fake-file9 fake - - valid EN FakeOrReal/for-original/validation/fake/file9.wav
""",
        not_listed=(
            "FakeOrReal/for-norm/training/fake/file16.wav",
            "FakeOrReal/for-2seconds/x.wav",
        ),
    ),
    Case(
        "FakeOrReal",
        """
FoR-training-fake-file16 fake - - train EN FakeOrReal/for-norm/training/fake/file16.wav
""",
        csv="FakeOrReal_norm.csv",
        arguments=("--variant", "for-norm"),
        not_listed=("FakeOrReal/for-original/training/fake/file16.wav",),
    ),
    Case(
        "HABLA",
        """
HABLA-fake-CycleGAN-vem_00001_x fake CycleGAN vem_00001-clf_00002 - ES HABLA/FinalDataset_16khz/CycleGAN/Venezuela-Chile/vem_00001-clf_00002/CycleGAN-vem_00001_x.wav
HABLA-fake-Diff-clf_00003_0001 fake Diff clf_00003 - ES HABLA/FinalDataset_16khz/Diff/Chile/Diff-clf_00003_0001.wav
HABLA-real-clf_00001_00000000002 real Real clf_00001 - ES HABLA/FinalDataset_16khz/Real/Chile/clf_00001/clf_00001_00000000002.wav
HABLA-fake-StarGAN-clf_00003_0001 fake StarGAN clf_00003 - ES HABLA/FinalDataset_16khz/StarGAN/Chile/StarGAN-clf_00003_0001.wav
HABLA-fake-TTS-StarGAN-a_b fake TTS-StarGAN a-b - ES HABLA/FinalDataset_16khz/TTS-StarGAN/Chile/Peru/a-b/TTS-StarGAN-a_b.wav
HABLA-fake-TTS-clf_00003_0001 fake TTS clf_00003 - ES HABLA/FinalDataset_16khz/TTS/Chile/TTS-clf_00003_0001.wav
HABLA-fake-VC-clf_00003_0001 fake VC clf_00003 - ES HABLA/FinalDataset_16khz/VC/Chile/VC-clf_00003_0001.wav
""",
    ),
    Case(
        "In-the-Wild",
        """
ItW-99999 real - Jane~Sample - EN In-the-Wild/release_in_the_wild/99999.wav
ItW-0 fake - Alec~Guinness - EN In-the-Wild/release_in_the_wild/0.wav
""",
        lists={
            "In-the-Wild/release_in_the_wild/meta.csv": "file,speaker,label\n"
            "99999.wav,Jane Sample,bona-fide\n0.wav,Alec Guinness,spoof\n"
        },
    ),
    Case("LJSpeech", "LJ-LJ099-0012 real - LJ099 - EN LJSpeech/LJSpeech-1.1/wavs/LJ099-0012.wav"),
    libritts("LibriTTS", "Libri-", "real"),
    libritts("LibriTTS-R", "Libri-R-", "fake"),
    Case(
        "LibriTTS-Vocoded",
        """
LibriTTS-Vo-hifigan-9904_1 fake hifigan 9904 valid EN LibriTTS-Vocoded/hifigan/dev-clean/9904/1/9904_1.wav
LibriTTS-Vo-hn_sinc_nsf_hifi-9903_10003_000059_000002 fake hn_sinc_nsf_hifi 9903 train EN LibriTTS-Vocoded/hn_sinc_nsf_hifi/train-clean-100/9903/10003/9903_10003_000059_000002.wav
""",
    ),
    Case(
        "MLAAD",
        """
MLAAD-ga-tts_models_multilingual_multi-dataset_bark-sample_book_01_f000001 fake tts_models_multilingual_multi-dataset_bark - - GA MLAAD_v5/fake/ga/tts_models_multilingual_multi-dataset_bark/sample_book_01_f000001.wav
MLAAD-ZH-xtts_v2-abc_1 fake xtts_v2 - - ZH MLAAD_v5/fake/zh-cn/xtts_v2/abc_1.wav
MLAAD-ZH-xtts_v2-abc_2 fake xtts_v2 - - ZH MLAAD_v5/fake/zh-cn_2/xtts_v2/abc_2.wav
""",
        csv="MLAAD_v5.csv",
    ),
    Case(
        "MLS",
        """
MLS-NL-1_2_3 real - 1 valid NL MLS/mls_dutch/dev/audio/1/2/1_2_3.flac
MLS-EN-1_2_3 real - 1 valid EN MLS/mls_english/dev/audio/1/2/1_2_3.flac
MLS-FR-1_2_3 real - 1 valid FR MLS/mls_french/dev/audio/1/2/1_2_3.flac
MLS-DE-1_2_3 real - 1 test DE MLS/mls_german/test/audio/1/2/1_2_3.flac
MLS-IT-9904_1004_000327 real - 9904 train IT MLS/mls_italian/train/audio/9904/1004/9904_1004_000327.flac
MLS-PL-1_2_3 real - 1 train PL MLS/mls_polish/train/audio/1/2/1_2_3.flac
MLS-PT-1_2_3 real - 1 train PT MLS/mls_portuguese/train/audio/1/2/1_2_3.flac
MLS-ES-1_2_3 real - 1 train ES MLS/mls_spanish/train/audio/1/2/1_2_3.flac
""",
    ),
    Case(
        "SpoofCeleb",
        """
SpoofCeleb-a07/id10999/AbCdEfGhIjK-00001-002 fake a07 id10999 valid - SpoofCeleb/spoofceleb/flac/development/a07/id10999/AbCdEfGhIjK-00001-002.flac
SpoofCeleb-a00/id10001/x-1 real a00 id10001 test - SpoofCeleb/spoofceleb/flac/evaluation/a00/id10001/x-1.flac
SpoofCeleb-a01/id10002/y-1 fake a01 id10002 train - SpoofCeleb/spoofceleb/flac/train/a01/id10002/y-1.flac
SpoofCeleb-a02/id10002/y-1 fake a02 id10002 train - SpoofCeleb/spoofceleb/flac/train/a02/id10002/y-1.flac
SpoofCeleb-a10/id10002/y-1 fake a10 id10002 train - SpoofCeleb/spoofceleb/flac/train/a10/id10002/y-1.flac
""",
        lists={
            "SpoofCeleb/spoofceleb/metadata/development.csv": "file,speaker,attack\n"
            "a07/id10999/AbCdEfGhIjK-00001-002.flac,id10999,a07\n",
            "SpoofCeleb/spoofceleb/metadata/evaluation.csv": "file,speaker,attack\n"
            "a00/id10001/x-1.flac,id10001,a00\n",
            "SpoofCeleb/spoofceleb/metadata/train.csv": "file,speaker,attack\n"
            "a01/id10002/y-1.flac,id10002,a01\n"
            "a02/id10002/y-1.flac,id10002,a02\na10/id10002/y-1.flac,id10002,a10\n",
        },
    ),
    Case(
        "HAD",
        """
HAD-HAD_train_1 fake - - train ZH HAD/HAD_train/conbine/HAD_train_1.wav $ROOT/HAD/HAD_train/HAD_train_label.txt
HAD-HAD_train_2 real - - train ZH HAD/HAD_train/conbine/HAD_train_2.wav $ROOT/HAD/HAD_train/HAD_train_label.txt
HAD-HAD_test_1 fake - - test ZH HAD/HAD_test/conbine/HAD_test_1.wav $ROOT/HAD/HAD_test/HAD_test_label.txt
""",
        lists={
            "HAD/HAD_train/HAD_train_label.txt": "HAD_train_1 0.00-0.10-T/0.10-0.20-F 0\n"
            "HAD_train_2 0.00-0.40-T 1\n",
            "HAD/HAD_test/HAD_test_label.txt": "HAD_test_1 0.00-0.10-F/0.10-0.30-T 0\n",
        },
        not_listed=("HAD/HAD_test/conbine/HAD_test_2.wav",),
    ),
    Case(
        "LlamaPartialSpoof",
        """
LlamaPartialSpoof-R01TTS.0.a-u1 fake R01TTS.0.a - test EN LlamaPartialSpoof/R01TTS.0.a/u1.wav $ROOT/LlamaPartialSpoof/label_R01TTS.0.a.txt
LlamaPartialSpoof-R01TTS.0.a-u2 real - - test EN LlamaPartialSpoof/R01TTS.0.a/u2.wav $ROOT/LlamaPartialSpoof/label_R01TTS.0.a.txt
""",
        lists={
            "LlamaPartialSpoof/label_R01TTS.0.a.txt": "u1 0.25 spoof 0.00-0.10-bonafide "
            "0.10-0.25-spoof\nu2 0.38 bonafide 0.00-0.38-bonafide\n"
        },
    ),
    Case(
        "PartialSpoof",
        """
PartialSpoof-CON_T_1 fake - LA_1 train EN PartialSpoof/database/train/con_wav/CON_T_1.wav $ROOT/PartialSpoof/database/segment_labels/train_seglab_0.02.npy
PartialSpoof-LA_D_2 real - LA_2 valid EN PartialSpoof/database/dev/con_wav/LA_D_2.wav -
""",
        lists={
            "PartialSpoof/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.train.trl.txt": "LA_1 CON_T_1 - CON spoof\n",
            "PartialSpoof/database/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.dev.trl.txt": "LA_2 LA_D_2 - - bonafide\n",
            "PartialSpoof/database/segment_labels/train_seglab_0.16.npy": "",
            "PartialSpoof/database/segment_labels/train_seglab_0.02.npy": "",
        },
    ),
    Case(
        "VoiceMOS",
        f"""
VoiceMOS-0-news_2008_9991 real - - - - {VOICEMOS}/A/submission_directory/english/news_2008_9991.wav
VoiceMOS-1-news_2008_9992 fake - - - - {VOICEMOS}/B/news_2008_9992.wav
VoiceMOS-2-news_2008_9993 fake - - - - {VOICEMOS}/Z/news_2008_9993.wav
""",
    ),
    Case(
        "VoiceMOS",
        f"""
VoiceMOS-blizzard_wavs_and_scores_2008_release_version_1-A-en-x real - - - - {VOICEMOS}/A/en/x.wav
""",
        arguments=("--variant", "path"),
    ),
    Case(
        "VoiceMOS",
        """
VoiceMOS-0-x fake - - - - VoiceMOS/main/DATA/wav/x.wav
""",
    ),
    Case(
        "VoiceMOS",
        """
VoiceMOS-0-x real - - - - VoiceMOS/main/blizzard_wavs_and_scores_2009_release_version_1/A/x.wav
""",
    ),
    Case(
        "VoxCeleb2",
        """
VoxCeleb2-id09998-ZyXwVuTsRqP-00043 real - id09998 - - VoxCeleb2/dev/aac/id09998/ZyXwVuTsRqP/00043.wav
""",
        not_listed=("VoxCeleb2/test/aac/id00017/a/00001.wav",),
    ),
    Case(
        "VoxCeleb2-Vocoded",
        """
VoxCeleb2-Vo-hifigan-id09999-AbCdEfGhIjK-00042 fake hifigan id09999 - - VoxCeleb2-Vocoded/hifigan/dev/aac/id09999/AbCdEfGhIjK/00042.wav
""",
    ),
    Case(
        "WaveFake",
        """
WF-common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech_gen_1 fake common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech - - EN WaveFake/generated_audio/common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/gen_1.wav
WF-jsut_parallel_wavegan_BASIC5000_0001_gen fake jsut_parallel_wavegan - - JA WaveFake/generated_audio/jsut_parallel_wavegan/BASIC5000_0001_gen.wav
WF-ljspeech_jsut_melgan_x fake ljspeech_jsut_melgan - - JA WaveFake/generated_audio/ljspeech_jsut_melgan/x.wav
WF-ljspeech_melgan_LJ001-0001_gen fake ljspeech_melgan - - EN WaveFake/generated_audio/ljspeech_melgan/LJ001-0001_gen.wav
""",
        not_listed=("WaveFake/generated_audio/jsut_parallel_wavegan/deeper/x.wav",),
    ),
    Case(
        "WildSVDD",
        """
WildSVDD-test_B-vocals-bonafide_SampleName_1 real - - test - WildSVDD/WildSVDD_Data_Sep2024_Processed/test_B/vocals/bonafide_SampleName_1.flac
WildSVDD-train-mixture-deepfake_SampleName_2 fake - - train - WildSVDD/WildSVDD_Data_Sep2024_Processed/train/mixture/deepfake_SampleName_2.flac
""",
    ),
]
