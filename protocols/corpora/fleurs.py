"""FLEURS (real, 102 languages) and FLEURS-R, the same speech restored by a vocoder (fake)."""

from functools import partial

from protocols.corpus import TRAIN, Corpus, Item
from protocols.words import TRAIN_DEV_TEST

FOLDERS = """
af_za am_et ar_eg as_in ast_es az_az be_by bg_bg bn_in bs_ba ca_es ceb_ph ckb_iq cmn_hans_cn cs_cz
cy_gb da_dk de_de el_gr en_us es_419 et_ee fa_ir ff_sn fi_fi fil_ph fr_fr ga_ie gl_es gu_in ha_ng
he_il hi_in hr_hr hu_hu hy_am id_id ig_ng is_is it_it ja_jp jv_id ka_ge kam_ke kea_cv kk_kz km_kh
kn_in ko_kr ky_kg lb_lu lg_ug ln_cd lo_la lt_lt luo_ke lv_lv mi_nz mk_mk ml_in mn_mn mr_in ms_my
mt_mt my_mm nb_no ne_np nl_nl nso_za ny_mw oc_fr om_et or_in pa_in pl_pl ps_af pt_br ro_ro ru_ru
sd_in sk_sk sl_si sn_zw so_so sr_rs sv_se sw_ke ta_in te_in tg_tj th_th tr_tr uk_ua umb_ao ur_pk
uz_uz vi_vn wo_sn xh_za yo_ng yue_hant_hk zu_za
"""
CODES = {folder: folder.partition("_")[0].upper() for folder in FOLDERS.split()}
CODES |= {"cmn_hans_cn": "CN", "yue_hant_hk": "YUE_HANT"}  # as they stand in published IDs


def items(source, folder, label):
    for path, p in source.files(f"FLEURS/{folder}/data", "{language}/audio/{split}/{stem}.wav"):
        code = source.word(CODES, p.language, path)
        yield Item(
            path,
            f"{code}-{p.stem}",
            label,
            proportion=source.word(TRAIN_DEV_TEST, p.split, path),
            language="ZH" if code == "CN" else code,  # Mandarin is ZH in every other database
        )


CORPORA = tuple(
    Corpus(
        name,
        partial(items, folder=name.lower(), label=label),
        prefix=f"{name}-",
        contents=label,
        folder=f"FLEURS/{name.lower()}/data/<lang>/audio/{{train,dev,test}}/*.wav",
        link=f"https://huggingface.co/datasets/google/{name.lower()} (CC BY 4.0)",
        sources=(origin,),
        role=TRAIN,
        training="train+test",
        validation="dev",
    )
    for name, label, origin in (("FLEURS", "real", "FLORES-101"), ("FLEURS-R", "fake", "FLEURS"))
)
