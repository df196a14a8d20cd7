"""The ten distances, listed once."""

from drift.distances.base import (
    Distance,
    Measurement,
    Pool,
    Result,
    conclude,
    empty_result,
    measure,
    missing_data,
)
from drift.distances.classifier import C2ST
from drift.distances.frechet import Frechet
from drift.distances.pairwise import KNN, MMD, Energy
from drift.distances.per_dimension import JS, KL, KS, W1, SlicedW1
from drift.distances.scores import Score

DISTANCES: dict[str, type[Distance]] = {
    distance.name: distance
    for distance in (W1, KS, KL, JS, SlicedW1, Frechet, MMD, Energy, C2ST, KNN, Score)
}
DEFAULT_DISTANCES = ("w1", "mmd", "score")

__all__ = [
    "DEFAULT_DISTANCES",
    "DISTANCES",
    "Distance",
    "Measurement",
    "Pool",
    "Result",
    "conclude",
    "empty_result",
    "measure",
    "missing_data",
]
