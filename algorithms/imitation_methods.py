"""The rows of the table of methods that imitate: what others did, or the better part of what the policy did itself; see
`methods`."""

from __future__ import annotations

from .credit import Credit
from .method_row import Method
from .weighting import Weighting

IMITATION = (
    Method(
        "sft",
        "supervised fine-tuning: w = 1 on somebody else's actions",
        source="demonstrations",
        credit=Credit(transform="one"),
    ),
    Method(
        "dft",
        "demonstrations as experience of others: weighed by π/μ, with μ = 1 where nobody knows it, and by 1 at most",
        "arXiv:2508.05629",
        parent="sft",
        source="demonstrations",
        elsewhere="The paper (dynamic fine-tuning) has μ = 1 throughout, as LLaMA-Factory and ms-swift do. iw-SFT has "
        "the ratio of whole replies to a reference (arXiv:2507.12856); GOLD multiplies by rewards and lets no weight "
        "below a floor (arXiv:2009.07839).",
        credit=Credit(transform="one"),
        weighting=Weighting(ratio="unit", clip_kind="cap", clip_high=0.0),
    ),
    Method(
        "rejection_sampling",
        "keep what beats its group's mean, and imitate it (expert iteration, RAFT)",
        "arXiv:2304.06767",
        parent="rloo",
        elsewhere="RAFT keeps the best of K only (best_of_k); ReST-EM keeps all that are right (psr).",
        credit=Credit(baseline="group_mean", transform="positive"),
    ),
    Method(
        "best_of_k",
        "keep the best of a group alone, and imitate it (RAFT)",
        "arXiv:2304.06767",
        parent="rejection_sampling",
        elsewhere="RAFT keeps one of equal replies too, whatever they earned.",
        credit=Credit(transform="best"),
    ),
)
