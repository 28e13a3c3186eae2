"""The rows of the table of methods that make a reward model, or learn from one; see `reward_model` and `methods`."""

from __future__ import annotations

from .credit import Credit
from .method_row import Method, Update
from .rewards import Rewards
from .weighting import Weighting

JUDGED = (
    Method(
        "reward_model",
        "learn to score whole replies from rankings of several: the reward of others, not a policy",
        "arXiv:2203.02155, eq. 1",
        source="pairs",
        learns="reward",
        elsewhere="The head begins at zero here, and at random in TRL, which can also hold scores near zero (an "
        "auxiliary (s⁺ + s⁻)², 0.01) and take known margins off; InstructGPT made one pass, more of them overfit.",
        credit=Credit(),
        update=Update(flat_groups="leave_out"),
    ),
    Method(
        "process_reward_model",
        "learn to score each turn of a reply from what it led to, by the pair loss on beginnings (a process reward)",
        "arXiv:2203.02155, eq. 1",
        parent="reward_model",
        source="pairs",
        learns="process",
        elsewhere="Lightman et al. (arXiv:2305.20050) and TRL's PRM classify each step by a label of its own; "
        "Math-Shepherd (arXiv:2312.08935) draws such labels, the share of continuations from a step that end well. "
        "Here the outcomes of whole replies are all that is known, and chance in what follows a turn is averaged over "
        "the pairs; rankings of beginnings, so labelled, are learned by reward_model.",
        credit=Credit(),
        update=Update(flat_groups="leave_out"),
    ),
    Method(
        "rlhf_ppo",
        "PPO on what a reward model says of a reply, less β times the KL to the start at each of its units (RLHF)",
        "arXiv:2203.02155",
        parent="ppo",
        elsewhere="The paper (InstructGPT) shifts scores so that people's demonstrations earn 0 on average, begins a "
        "critic of its own as the reward model, averages weights and, as PPO-ptx, adds 27.8 × the likelihood of "
        "pre-training text (update: {imitation_coefficient: 27.8}, with demonstrations: {text: FILE}); what it does "
        "not say of the critic (0.1, values clipped, advantages whitened) is lm-human-preferences' (arXiv:1909.08593). "
        "TRL: β 0.05 and four epochs; OpenRLHF: 0.01; verl pays the KL in the loss unless told.",
        rewards=Rewards(model=1.0, world=0.0),
        credit=Credit(baseline="critic", granularity="unit", gamma=1.0, lam=0.95, whiten="minibatch"),
        weighting=Weighting(ratio="unit", clip_low=0.2, clip_high=0.2, kl="k1", kl_in="reward", beta=0.02),
        update=Update(minibatches=8, value_coefficient=0.1, value_clip=0.2),
    ),
)
