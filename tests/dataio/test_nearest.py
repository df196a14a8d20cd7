from dataio.nearest import did_you_mean, nearest


def test_spelling_decides_first_but_for_words_that_mean_another():
    assert nearest("inferense", ["inference", "score"]) == "inference"
    assert nearest("size", ["sizes", "length"], {"length": "size"}) == "length"


def test_a_misspelt_word_of_the_table_is_understood_too():
    assert nearest("lerning_rate", ["lr"], {"lr": "learning_rate"}) == "lr"


def test_hyphens_and_capitals_do_not_matter():
    assert nearest("CKPT-path", ["ckpt_path"]) == "ckpt_path"


def test_a_meaning_that_is_not_known_here_is_not_offered():
    assert nearest("eval", ["score"], {"inference": "eval"}) is None


def test_where_nothing_is_near_the_sentence_ends_otherwise():
    assert did_you_mean("zzz", ["score"], {}, "see --help") == "see --help"
    assert did_you_mean("scroe", ["score"], {}, "see --help") == "did you mean 'score'?"
