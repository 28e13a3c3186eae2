"""The rows of the table of methods that make a model of rewards, or learn from one; see `reward_model` and `methods`."""

from __future__ import annotations

from .credit import Credit
from .method_row import Method, Update

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
)
