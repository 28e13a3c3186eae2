"""The table of methods. A method is a row of constants; the update never asks for its name.

    peripatos list methods [--show NAME]

prints it, with every constant that frameworks disagree on. A row says whose actions are learned from, how credit is
assigned, how advantages become weights, and how often the batch is gone through. Its `parent` is the row that it is
told apart from; `elsewhere` is where TRL, verl, SkyRL, prime-rl and others differ, as read up to November 2026.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..envs.errors import UserError, nearest
from .credit import Credit
from .imitation_methods import IMITATION
from .judged_methods import JUDGED
from .method_overrides import overridden
from .method_row import Method, Update
from .preferences import Preference
from .rewards import Rewards
from .taught_methods import TAUGHT
from .weighting import Weighting

_NORMALIZED = Credit(baseline="group_mean", scale="std", ddof=1, eps=1e-6)
_CLIPPED = Weighting(ratio="unit", clip_low=0.2, clip_high=0.2)
_HIGHER = Weighting(ratio="unit", clip_low=0.2, clip_high=0.28)
_SEQUENCES = Update(aggregation="sequence_mean")
_SUMS = Update(aggregation="sequence_sum")

_RETURNS = (
    Method("reinforce", "w = return", "Williams 1992, doi:10.1007/BF00992696", credit=Credit(), update=_SUMS),
    Method(
        "reinforce_baseline",
        "w = return − mean return of the batch",
        "Williams 1992, doi:10.1007/BF00992696",
        parent="reinforce",
        credit=Credit(baseline="batch_mean"),
        update=_SUMS,
    ),
    Method(
        "psr",
        "imitate right answers only (positive sample reinforcement)",
        "arXiv:2506.01347",
        parent="reinforce",
        elsewhere="The paper's rewards are ±1; here right is a return of at least credit.threshold.",
        credit=Credit(transform="verdict", threshold=0.5, right=1.0, wrong=0.0),
        update=_SUMS,
    ),
    Method(
        "nsr",
        "push wrong answers down only (negative sample reinforcement): what was never punished keeps its proportions",
        "arXiv:2506.01347",
        parent="psr",
        elsewhere="As of psr. Unbounded from below: stop early, or clip.",
        credit=Credit(transform="verdict", threshold=0.5, right=0.0, wrong=1.0),
        update=_SUMS,
    ),
    Method(
        "w_reinforce",
        "wrong answers down, and right ones a tenth as much up",
        "arXiv:2506.01347",
        parent="nsr",
        credit=Credit(transform="verdict", threshold=0.5, right=0.1, wrong=1.0),
        update=_SUMS,
    ),
    Method(
        "reinforce_pp",
        "REINFORCE++: returns brought to mean 0 and deviation 1 over the batch, clipped ratio, no groups",
        "arXiv:2501.03262",
        parent="reinforce",
        elsewhere="The paper subtracts β·k1 in the reward of each unit (OpenRLHF: 0.01), which is 0 here. Its form "
        "with a baseline is credit: {baseline: group_mean, whiten: batch}.",
        credit=Credit(whiten="batch"),
        weighting=_CLIPPED,
    ),
    Method(
        "rloo",
        "w = return − mean return of the others in the group",
        "arXiv:2402.14740",
        parent="reinforce_baseline",
        elsewhere="TRL and OpenRLHF add a KL to the reward and clip the ratio.",
        credit=Credit(baseline="leave_one_out"),
        update=_SUMS,
    ),
    Method(
        "optimal_baseline",
        "w = return to go − that of the group, weighed at each unit by how much the policy could still be moved",
        "arXiv:2602.07078",
        parent="rloo",
        elsewhere="It is optimal_token_baseline in verl, for tokens; here for actions of all kinds, real ones by "
        "their means.",
        credit=Credit(baseline="optimal", granularity="unit"),
        update=_SUMS,
    ),
    Method(
        "max_rl",
        "advantages over the group's mean: the gradient of log p(right), more of it the more samples",
        "arXiv:2602.02710",
        parent="rloo",
        elsewhere="The paper's rewards are 0 or 1; a group whose mean is not positive gives 0 here.",
        credit=Credit(baseline="group_mean", scale="mean", eps=1e-6),
        update=_SUMS,
    ),
)

_PPO = Credit(baseline="critic", granularity="unit", gamma=0.99, lam=0.95, whiten="minibatch")
_STEPS = Update(epochs=4, minibatches=4)
_SCALED = Rewards(scale="return", clip=10.0)

_CRITICS = (
    Method(
        "ppo",
        "clipped ratio × GAE from a critic",
        "arXiv:1707.06347",
        elsewhere="For language γ = λ = 1, and no scale of rewards. Values are clipped by 0.5 in verl, 0.2 in SkyRL, "
        "not here; verl's 'vanilla' clips dually at 3 without saying.",
        rewards=_SCALED,
        credit=_PPO,
        weighting=_CLIPPED,
        update=_STEPS,
    ),
    Method(
        "ppo_dual_clip",
        "PPO that also lets go of bad actions which have become three times as likely",
        "arXiv:1912.09729",
        parent="ppo",
        elsewhere="c is 3 in verl (always on), 'delta' in TRL (off), 4 in INTELLECT-2.",
        rewards=_SCALED,
        credit=_PPO,
        weighting=Weighting(ratio="unit", clip_low=0.2, clip_high=0.2, clip_dual=3.0),
        update=_STEPS,
    ),
    Method(
        "ppo_kl",
        "PPO with a penalty for leaving the old policy, whose strength follows the distance, in place of the clip",
        "arXiv:1707.06347, eq. 8",
        parent="ppo",
        elsewhere="The paper has the full KL of each state; here k3 of the drawn actions, whose mean and gradient are "
        "the same. TRL's and verl's adaptive controller is another one (arXiv:1909.08593, eq. 8).",
        rewards=_SCALED,
        credit=_PPO,
        weighting=Weighting(ratio="unit", kl="k3", kl_to="old", beta=1.0, kl_target=0.01),
        update=_STEPS,
    ),
)

_GROUPS = (
    Method(
        "grpo",
        "clipped ratio × (return − group mean) / group std, mean over sequences",
        "arXiv:2402.03300",
        elsewhere="The deviation has ddof 1 in all; ε is 1e-6 in verl and SkyRL, 1e-4 in TRL, 1e-9 in OpenRLHF. "
        "The paper adds 0.04·k3 to the reference; TRL adds none, and takes the mean over the batch's tokens.",
        credit=_NORMALIZED,
        weighting=_CLIPPED,
        update=_SEQUENCES,
    ),
    Method(
        "dr_grpo",
        "GRPO without its two biases: no std, constant length",
        "arXiv:2503.20783",
        parent="grpo",
        elsewhere="× G/(G − 1) it is unbiased (rloo). verl's mode does not divide by the number of sequences.",
        credit=Credit(baseline="group_mean"),
        weighting=_CLIPPED,
        update=Update(aggregation="constant_length"),
    ),
    Method(
        "dapo",
        "GRPO with a higher upper clip, one mean over all units of groups that differ, and less for overlong replies",
        "arXiv:2503.14476",
        parent="grpo",
        elsewhere="The paper and verl sample again until a batch is full of groups that differ: collect: {refill: 8}. "
        "Groups that do not count in no mean here, TRL keeps them. The paper's buffer is 4,096 of 20,480 tokens.",
        rewards=Rewards(overlong_share=0.2),
        credit=_NORMALIZED,
        weighting=_HIGHER,
        update=Update(flat_groups="leave_out"),
    ),
    Method(
        "gspo",
        "one ratio for a sequence (the geometric mean), clipped within a hair's breadth",
        "arXiv:2507.18071",
        parent="grpo",
        elsewhere="ε 3e-4 and 4e-4 are the paper's, for long replies; TRL's default stays 0.2 unless told.",
        credit=_NORMALIZED,
        weighting=Weighting(ratio="sequence", clip_low=3e-4, clip_high=4e-4),
        update=_SEQUENCES,
    ),
    Method(
        "cispo",
        "the ratio is capped and a constant: no unit loses its gradient",
        "arXiv:2506.13585",
        parent="dapo",
        elsewhere="Bounds disagree: TRL's is absolute (unset: the weight is at most ε = 0.2), SkyRL [0, 5], verl "
        "[0.8, 1.2], ScaleRL at most 5; here [0, 5].",
        credit=_NORMALIZED,
        weighting=Weighting(ratio="unit", clip_kind="cap", clip_high=4.0),
    ),
    Method(
        "gmpo",
        "the geometric mean of a sequence's clipped ratios, so that single units weigh less",
        "arXiv:2507.20673",
        parent="grpo",
        elsewhere="The paper clips log ρ to ±0.4, which is ρ to [0.670, 1.492]; verl's clip_ratio bounds log ρ.",
        credit=_NORMALIZED,
        weighting=Weighting(
            ratio="unit", clip_kind="geometric", clip_low=1 - math.exp(-0.4), clip_high=math.exp(0.4) - 1
        ),
        update=_SEQUENCES,
    ),
    Method(
        "sapo",
        "a soft gate in place of the clip, which closes faster for bad actions",
        "arXiv:2511.20347",
        parent="grpo",
        credit=_NORMALIZED,
        weighting=Weighting(ratio="unit", clip_kind="soft", soft_up=1.0, soft_down=1.05),
        update=_SEQUENCES,
    ),
    Method(
        "vespo",
        "a sequence's whole ratio through a kernel that is 1 at 1 and fades on both sides",
        "arXiv:2602.10693",
        parent="cispo",
        elsewhere="TRL clamps log ρ of a unit to ±20 and of a sequence to [log 1e-8, 20] first, and takes the "
        "sampler's correction into the kernel.",
        credit=_NORMALIZED,
        weighting=Weighting(ratio="product", clip_kind="kernel"),
    ),
    Method(
        "dppo",
        "a trust region on the difference of probabilities, not on their ratio",
        "arXiv:2602.04879",
        parent="cispo",
        elsewhere="verl's dppo_tv reads ε from clip_ratio (0.2), and caps the ratio at 20 as here; the paper also has "
        "binary KL and top-K forms. prime-rl's mask looks at both sides: see probability_gap.",
        credit=_NORMALIZED,
        weighting=Weighting(ratio="unit", clip_kind="cap", clip_high=19.0, gap=0.15),
    ),
    Method(
        "probability_gap",
        "plain ratio, and silence wherever a probability has moved by more than 0.3, for better or worse",
        "prime-rl's default loss, there 'IPO' (not the preference loss of that name)",
        parent="dppo",
        elsewhere="Until August 2026 prime-rl masked |p − q| > 0.2 by the sign of A and added 1e-3·(log ρ)².",
        credit=_NORMALIZED,
        weighting=Weighting(ratio="unit", gap=0.3, gap_sides="both"),
    ),
    Method(
        "gdpo",
        "each named term of the reward is normalised in its group, then they are summed and whitened",
        "arXiv:2601.05242",
        parent="grpo",
        elsewhere="The paper weighs terms after the normalisation; here a world's weights cancel, but for their signs. "
        "It whitens over the rollouts of the batch, as here and in TRL; its authors' code and verl do over tokens.",
        credit=Credit(baseline="group_mean", scale="std", ddof=1, eps=1e-6, each_term=True, whiten="steps"),
        weighting=_CLIPPED,
        update=_SEQUENCES,
    ),
    Method(
        "echo",
        "GRPO that also learns to expect what the world answers: cross-entropy on tools' results",
        "arXiv:2605.24517",
        parent="grpo",
        elsewhere="prime-rl has a coefficient for each role of message. Each term is a mean over its own units there "
        "and here; 0.05 is ours.",
        credit=_NORMALIZED,
        weighting=_CLIPPED,
        update=Update(aggregation="sequence_mean", observation_coefficient=0.05),
    ),
    Method(
        "deepseek_v32",
        "GRPO without std, with an unbiased KL and without bad sequences that the policy has left behind",
        "arXiv:2512.02556",
        parent="grpo",
        elsewhere="The paper gives neither β nor δ; TRL suggests δ = 0.5 and multiplies the KL by ρ wherever β > 0.",
        credit=Credit(baseline="group_mean"),
        weighting=Weighting(
            ratio="unit", clip_low=0.2, clip_high=0.2, kl="k3", kl_ratio=True, beta=0.001, stale_sequence=0.5
        ),
        update=_SEQUENCES,
    ),
    Method(
        "high_entropy",
        "DAPO on the fifth of units at which the policy was most uncertain",
        "arXiv:2506.01939",
        parent="dapo",
        elsewhere="The threshold is that of the whole batch here, of a micro-batch in some.",
        rewards=Rewards(overlong_share=0.2),
        credit=_NORMALIZED,
        weighting=Weighting(ratio="unit", clip_low=0.2, clip_high=0.28, entropy_share=0.2),
        update=Update(flat_groups="leave_out"),
    ),
    Method(
        "skywork_or1",
        "GRPO over all units with an entropy bonus that comes and goes with the entropy (MAGIC)",
        "arXiv:2505.22312",
        parent="grpo",
        elsewhere="The paper measures the entropy before each update, here it is that of the update before.",
        credit=_NORMALIZED,
        weighting=_CLIPPED,
        update=Update(flat_groups="leave_out", entropy_target=0.2, entropy_step=0.005),
    ),
)

_PAIRS = Credit(transform="best_worst")

_PREFERENCES = (
    Method(
        "dpo",
        "learn from pairs of replies, of which somebody prefers one, without a model of rewards",
        "arXiv:2305.18290",
        source="pairs",
        elsewhere="β is 0.1 in TRL and the paper's dialogues, 0.5 in its summaries. label_smoothing is TRL's for pairs "
        "that may be labelled the wrong way round (conservative DPO).",
        credit=_PAIRS,
        preference=Preference("dpo", beta=0.1),
        update=_SUMS,
    ),
    Method(
        "ipo",
        "DPO towards a fixed margin of 1/(2β), which does not run away where preferences are certain",
        "arXiv:2310.12036",
        parent="dpo",
        source="pairs",
        elsewhere="β is τ in the paper. TRL takes the mean log-probability over a reply's tokens, the paper and we the "
        "sum. Not prime-rl's 'IPO' (probability_gap).",
        credit=_PAIRS,
        preference=Preference("ipo", beta=0.1),
        update=_SUMS,
    ),
    Method(
        "dpop",
        "DPO that does not let the preferred reply become less likely than it was",
        "arXiv:2402.13228",
        parent="dpo",
        source="pairs",
        credit=_PAIRS,
        preference=Preference("dpop", beta=0.3, dpop_lambda=50.0),
        update=_SUMS,
    ),
    Method(
        "online_dpo",
        "DPO on the best and the worst of a group of the policy's own replies",
        "arXiv:2402.04792",
        parent="dpo",
        elsewhere="The paper and TRL draw two replies, which a judge compares; arXiv:2405.07863 takes the best and the "
        "worst of eight.",
        credit=_PAIRS,
        preference=Preference("dpo", beta=0.1),
        update=_SUMS,
    ),
)

_TABLE = (*IMITATION, *_RETURNS, *_CRITICS, *_GROUPS, *TAUGHT, *_PREFERENCES, *JUDGED)
METHODS: dict[str, Method] = {row.name: row for row in _TABLE}


def method(name: str, overrides: Mapping[str, Any] | None = None) -> Method:
    """The row `name` with some constants changed, e.g. `{"credit": {"gamma": 0.97}}`.

    `UserError` names an unknown method or constant and the nearest one, a value of the wrong kind, a constant that
    would have no effect beside the others, or two that exclude each other.
    """
    if name not in METHODS:
        raise UserError(f"unknown method {name!r}; methods are {', '.join(METHODS)}.{nearest(name, METHODS)}")
    return overridden(METHODS[name], overrides or {})
