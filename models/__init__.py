"""SSL front ends, detectors, checkpoints, training and scoring.

from models import load_detector, score_files     # torch is imported when one of them is used
"""

import os

from dataio.lazy import lazy_names

__all__ = ["Detector", "FileScore", "load_detector", "score_files"]
__getattr__ = lazy_names(
    __name__,
    {
        "Detector": "models.detector",
        "load_detector": "models.checkpoints",
        "FileScore": "models.scoring.python",
        "score_files": "models.scoring.python",
    },
)

TOOLKIT_VERSION = "0.1.0"  # as in pyproject.toml; written beside scores and embeddings


def name_the_user() -> None:
    """Give a user that the system has no name for (`docker run --user 12345`) one.

    PyTorch names a cache folder after the user, whether it comes to use it or not, and ends with
    getpass's KeyError (OSError from Python 3.13 on) where there is none.
    """
    import getpass

    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid{os.getuid()}"


name_the_user()
