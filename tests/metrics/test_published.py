"""The ASVspoof 5 evaluation package's own output on three sets that anybody can make again.

The package comes without scores and expected values, so its functions compute_eer, compute_mindcf,
compute_actDCF and calculate_CLLR (evaluation-package/calculate_modules.py, commit 78680450, with
Pspoof 0.05, Cmiss 1, Cfa 10; NumPy 2) were run on the quantiles below; these are their results.
"""

from statistics import NormalDist

import numpy as np
import pytest

from metrics import costs, rates
from metrics.costs import Costs

# (mean, standard deviation, files) of real and of fake: EER, its threshold, minDCF, actDCF, Cllr
PACKAGE = {
    ((1.5, 1.2, 250), (-1.0, 1.4, 250)): (
        0.168000000000, 0.335888068046, 0.427600000000, 0.468400000000, 0.574345833496,
    ),
    ((2.0, 1.5, 70), (-1.5, 1.0, 930)): (
        0.084792626728, -0.122119638302, 0.219324116743, 0.277127496160, 0.382242426240,
    ),
    ((0.2, 1.0, 300), (-0.1, 1.1, 700)): (
        0.443095238095, 0.056112472591, 0.977809523810, 1.068571428571, 1.073493204111,
    ),
}  # fmt: skip


def quantiles(mean, deviation, files):
    law = NormalDist(mean, deviation)
    return [law.inv_cdf((i + 0.5) / files) for i in range(files)]


@pytest.mark.parametrize("real, fake", PACKAGE)
def test_figures_are_those_the_asvspoof5_package_gives(real, fake):
    scores = np.array(quantiles(*real) + quantiles(*fake))
    labels = np.repeat([1, 0], [real[2], fake[2]])
    found = (
        *rates.eer(scores, labels),
        costs.min_dcf(scores, labels, costs=Costs()),
        costs.act_dcf(scores, labels, costs=Costs()),
        costs.cllr(scores, labels),
    )
    assert found == pytest.approx(PACKAGE[real, fake], abs=1e-11)
