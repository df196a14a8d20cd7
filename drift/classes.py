"""Within predicted real and predicted fake: did the utterances change, or only their mix?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drift.embeddings import EmbeddingSet
from drift.null import draw_relabellings, p_value
from drift.reference import Reference
from drift.slices import corrected
from drift.subsets import Part, Plan, run_plan, thin_reference

# (mix changed, something inside a class changed) -> what it means
_READING = {
    (False, False): "neither the mix of predicted classes nor the classes themselves changed",
    (
        True,
        False,
    ): "only the mix of predicted real and fake changed, nothing inside them",
    (False, True): "utterances changed inside a predicted class; the mix did not",
    (True, True): "both the mix and the utterances inside a predicted class changed",
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
        results, p = run_plan(plan, thin_reference(held, len(mine)), mine)
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
    inside = any(part.status == "alarm" for part in parts)
    reading = _READING[bool(mix_p <= plan.alpha), inside]
    if any(part.status == "insufficient" for part in parts):
        reading += " (a predicted class is too small on one side to be judged)"
    return Classes(float((~ours).mean()), float((~theirs).mean()), mix_p, parts, reading)


def _mix_p(plan: Plan, reference: Reference, incoming: EmbeddingSet) -> float:
    fake = ~np.concatenate([reference.sample.predicted_real, incoming.predicted_real])
    groups = plan.groups_of(incoming)
    is_reference = draw_relabellings(
        len(reference.sample),
        len(incoming),
        plan.draws,
        np.random.default_rng([plan.seed, 8]),
        reference_groups=reference.groups if groups is not None else None,
        incoming_groups=groups,
    )
    first = is_reference.astype(np.float64) @ fake
    n = is_reference.sum(axis=1)
    return p_value(np.abs(first / n - (fake.sum() - first) / (len(fake) - n)))
