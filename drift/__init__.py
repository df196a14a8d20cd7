"""Watching what arrives: how far incoming utterances are from a reference set.

`drift.reference.Reference.fit` keeps what a later comparison needs, `drift.comparison.compare`
measures, `python -m drift` is the shell around both. Definitions are in the modules of
`drift.distances`; why the false-alarm rate is what it says is in `drift.reference`.
"""

__version__ = "0.1.0"
