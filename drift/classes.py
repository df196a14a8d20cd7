"""Within predicted real and predicted fake: did the utterances change, or only their mix?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drift.embeddings import EmbeddingSet
from drift.groups import groups_of, relabel_like_rows
from drift.null import p_value
from drift.reference import Reference
from drift.slices import corrected
from drift.subsets import Part, Plan, run_plan, thin_reference

# (mix changed, something inside a class changed; None: could not be judged) -> what it means
_READING = {
    (False, False): "neither the mix of predicted classes nor the classes themselves changed",
    (True, False): "only the mix of predicted real and fake changed, nothing inside them",
    (False, True): "utterances changed inside a predicted class; the mix did not",
    (True, True): "both the mix and the utterances inside a predicted class changed",
    (False, None): "the mix of predicted classes did not change; what is inside them could not be "
    "judged",
    (True, None): "the mix of predicted real and fake changed; what is inside them could not be "
    "judged",
    (None, True): "utterances changed inside a predicted class; the mix could not be judged",
    (None, False): "nothing changed inside the predicted classes; the mix could not be judged",
    (None, None): "neither the mix nor what is inside the predicted classes could be judged",
}


@dataclass(frozen=True)
class Classes:
    """Shares predicted fake on both sides with the p of their difference, and a part a class."""

    share_reference: float
    share_incoming: float
    mix_p: float
    parts: list[Part]
    reading: str


def compare_classes(plan: Plan, reference: Reference, incoming: EmbeddingSet) -> Classes | None:
    """Drift inside each predicted class; None without logits.

    The predicted class stands in for the true one, so a detector that errs much blurs this: its
    errors travel with the mix. The p-values are corrected over the two classes.
    """
    ours, theirs = reference.sample.predicted_real, incoming.predicted_real
    if ours is None or theirs is None:
        return None
    plan = plan.for_parts()
    parts = []
    for name, real in (("predicted real", True), ("predicted fake", False)):
        mine = incoming.take(theirs == real)
        held = replace(reference, sample=reference.sample.take(ours == real))
        results, p = run_plan(plan, thin_reference(held, mine), mine)
        parts.append(
            Part(
                name=name,
                rows=len(mine),
                against=name,
                results=results,
                p=p,
            )
        )
    parts = corrected(parts, plan.alpha)
    mix_p = _mix_p(plan, reference, incoming)
    statuses = {part.name: part.status for part in parts}
    short = [name for name, status in statuses.items() if status == "insufficient"]
    inside = True if "alarm" in statuses.values() else None if short else False
    mix = None if np.isnan(mix_p) else bool(mix_p <= plan.alpha)
    reading = _READING[mix, inside]
    if short:
        reading += f" (too few rows: {' and '.join(short)})"
    return Classes(float((~ours).mean()), float((~theirs).mean()), mix_p, parts, reading)


def _mix_p(plan: Plan, reference: Reference, incoming: EmbeddingSet) -> float:
    ours, theirs, is_reference = relabel_like_rows(
        len(reference.sample),
        len(incoming),
        *groups_of(reference, incoming),
        draws=plan.draws,
        rng=np.random.default_rng([plan.seed, 8]),
    )
    if is_reference is None:
        return float("nan")
    real = reference.sample.predicted_real[ours], incoming.predicted_real[theirs]
    fake = ~np.concatenate(real)
    first = is_reference.astype(np.float64) @ fake
    n = len(ours)
    return p_value(np.abs(first / n - (fake.sum() - first) / (len(fake) - n)))
