"""The rows of the table of methods that learn from a teacher, see `distillation` and `methods`."""

from __future__ import annotations

from .credit import Credit
from .method_row import Method
from .rewards import Rewards
from .weighting import Weighting

_OWN_UNIT = Credit(granularity="unit", gamma=0.0)  # nothing that comes later is a unit's merit or fault

TAUGHT = (
    Method(
        "on_policy_distillation",
        "a teacher pays for each unit by how much likelier it would have been to choose it (reverse KL)",
        "arXiv:2306.13649",
        parent="reinforce",
        elsewhere="The paper (GKD), TRL and ms-swift take the divergence over the whole vocabulary, between forward "
        "and reverse KL, partly on the teacher's own samples; by samples of the student alone, as here, it is the "
        "tinker cookbook's, and over the vocabulary it is gkd. rLLM cuts A at ±5. credit: {gamma: 1} is the KL of "
        "whole sequences.",
        rewards=Rewards(teacher="model"),
        credit=_OWN_UNIT,
        weighting=Weighting(ratio="unit"),
    ),
    Method(
        "self_distillation",
        "the policy that has been shown what the world's expert does teaches the one that has not",
        "arXiv:2601.19897",
        parent="on_policy_distillation",
        elsewhere="The paper's teacher (SDFT) is a moving average of the policy, here it is the policy as the stage "
        "began, which with LoRA is no second model; one that moved along was seen to agree with it on nonsense.",
        rewards=Rewards(teacher="self"),
        credit=_OWN_UNIT,
        weighting=Weighting(ratio="unit"),
    ),
    Method(
        "gkd",
        "at each of its own units the policy is brought nearer to all that a teacher would have chosen (reverse KL)",
        "arXiv:2306.13649",
        parent="on_policy_distillation",
        elsewhere="TRL's gkd has β and λ for divergences between forward (β = 0) and reverse KL (β = 1) and for the "
        "share of own samples, by default 0.5 both; here they are 1 both. Others cut the vocabulary to the likeliest "
        "tokens. The paper averages over the units of a reply, then over replies (update: "
        "{aggregation: sequence_mean}); here all units of a batch count alike.",
        rewards=Rewards(teacher="model", teacher_pays="all"),
        credit=_OWN_UNIT,
    ),
    Method(
        "opsd",
        "the policy that has been shown what the world's expert does teaches the one that has not, in all that it "
        "might have chosen",
        "arXiv:2601.18734",
        parent="self_distillation",
        elsewhere="The paper's teacher is the policy as it began, as here; its divergence is one of several. It "
        "averages over the units of a reply, then over replies (update: {aggregation: sequence_mean}); here "
        "all units of a batch count alike.",
        rewards=Rewards(teacher="self", teacher_pays="all"),
        credit=_OWN_UNIT,
    ),
)
