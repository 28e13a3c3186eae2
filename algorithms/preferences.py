"""Preferences: what is learned from "this reply is better than that one".

    d = (log π⁺ − log π⁺_ref) − (log π⁻ − log π⁻_ref)        how much further apart than the reference holds them

    dpo    −(1−ε)·log σ(βd) − ε·log σ(−βd)                    Rafailov et al. 2023, arXiv:2305.18290
    ipo    (d − 1/(2β))²                                      Azar et al. 2023, arXiv:2310.12036
    dpop   −log σ(β(d − λ·max(0, log π⁺_ref − log π⁺)))       Pal et al. 2024, arXiv:2402.13228

log π⁺ is that of the whole better reply, the sum over its units, and π⁻ that of the worse one. A loss of pairs is a
weighted log-likelihood too: w⁺ = −∂loss/∂log π⁺ at each unit of the better reply, w⁻ at each of the worse. Since d is
all that dpo and ipo ask of, both replies may become less likely together; dpop holds the better one up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..envs.quantities import NotNegative, Positive, real
from .shapes import check_rank

Kind = Literal["dpo", "ipo", "dpop"]
_KINDS = ("dpo", "ipo", "dpop")
_LEAST_MARGIN = 1e-3  # nats: what two passes over a reply may differ by, for a policy that is its reference still


@dataclass(frozen=True)
class Pairs:
    """The log-probabilities of P pairs of replies, [P] each. `ValueError` on wrong shapes."""

    chosen_logp_P: Tensor
    rejected_logp_P: Tensor
    chosen_reference_P: Tensor
    rejected_reference_P: Tensor

    def __post_init__(self) -> None:
        check_rank(1, **vars(self))

    @property
    def margin_P(self) -> Tensor:
        """d."""
        return (self.chosen_logp_P - self.chosen_reference_P) - (self.rejected_logp_P - self.rejected_reference_P)

    def means(self) -> dict[str, Tensor]:
        """Over pairs: how many are further apart than the reference holds them (of those that are as far apart, half),
        d, and either side's log-ratio to the reference. Both of these below 0: both replies have become less likely
        than they were. Nothing without pairs.
        """
        if not len(self.margin_P):
            return {}
        return {
            "preference/accuracy": share_in_order(self.margin_P, least=_LEAST_MARGIN),
            "preference/margin": self.margin_P.mean(),
            "preference/chosen": (self.chosen_logp_P - self.chosen_reference_P).mean(),
            "preference/rejected": (self.rejected_logp_P - self.rejected_reference_P).mean(),
        }


@torch.no_grad()
def preference_weight(
    chosen_logp_P: Tensor,
    rejected_logp_P: Tensor,
    chosen_reference_P: Tensor,
    rejected_reference_P: Tensor,
    *,
    kind: Kind = "dpo",
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    dpop_lambda: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """(w⁺, w⁻), each [P] and detached: ∇ of −Σ (w⁺·log π⁺ + w⁻·log π⁻) is ∇ of the loss of pairs, summed over them.

    All log-probabilities are [P], sums over a reply's units, in nats. `label_smoothing` ε is the share of pairs that
    are labelled the wrong way round ("dpo" only); `dpop_lambda` λ is how strongly the better reply is held up ("dpop"
    only; where it is as likely as under the reference, the maximum counts as 0). `ValueError` on wrong shapes, an
    unknown kind, a β that is not above 0, an ε outside of [0, 1], a λ below 0, and for an ε or λ of another kind.
    """
    pairs = Pairs(chosen_logp_P, rejected_logp_P, chosen_reference_P, rejected_reference_P)
    _check_constants(kind, beta, label_smoothing, dpop_lambda)
    d = pairs.margin_P
    if kind == "dpo":
        # w⁺ = β((1−ε)·σ(−βd) − ε·σ(βd))
        better = beta * ((1 - label_smoothing) * torch.sigmoid(-beta * d) - label_smoothing * torch.sigmoid(beta * d))
        return better, -better
    if kind == "ipo":
        # w⁺ = 1/β − 2d
        better = 1 / beta - 2 * d
        return better, -better
    lost_P = chosen_reference_P - chosen_logp_P
    # w⁻ = −β·σ(−β(d − λ·max(0, log π⁺_ref − log π⁺))),   w⁺ = −w⁻·(1 + λ·1[log π⁺ < log π⁺_ref])
    strength = beta * torch.sigmoid(-beta * (d - dpop_lambda * lost_P.clamp(min=0)))
    return strength * (1 + dpop_lambda * (lost_P > 0)), -strength


def _check_constants(kind: str, beta: float, label_smoothing: float, dpop_lambda: float) -> None:
    if kind not in _KINDS:
        raise ValueError(f"kind must be 'dpo', 'ipo' or 'dpop', got {kind!r}")
    if not beta > 0:
        raise ValueError(f"beta must be above 0, got {beta}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    if not dpop_lambda >= 0:
        raise ValueError(f"dpop_lambda must be 0 or greater, got {dpop_lambda}")
    if label_smoothing and kind != "dpo":
        raise ValueError(f"label_smoothing belongs to kind 'dpo' and to no other; got {kind=}, {label_smoothing=}")
    if dpop_lambda and kind != "dpop":
        raise ValueError(f"dpop_lambda belongs to kind 'dpop' and to no other; got {kind=}, {dpop_lambda=}")


def ranking_loss(score_G: Tensor, rank_G: Tensor) -> Tensor:
    """Mean over all pairs with different rank of −log σ(score of the better − score of the worse): a scalar.

    A smaller rank is better; equal ranks make no pair, and without any pair the loss is 0. What a reward model learns
    from K ranked answers (Ouyang et al. 2022, arXiv:2203.02155, eq. 1). `score_G` float [G], `rank_G` [G].
    `ValueError` on wrong shapes.
    """
    check_rank(1, score_G=score_G, rank_G=rank_G)
    return margin_loss(prefix_margins(score_G[:, None], torch.ones_like(rank_G), rank_G))


def margin_loss(margin_P: Tensor) -> Tensor:
    """−(1/P) Σ log σ(margin) of pairs whose better side should score higher (Bradley and Terry 1952); 0 without any."""
    return -logsigmoid(margin_P).sum() / max(1, len(margin_P))


def prefix_margins(score_G_K: Tensor, depth_G: Tensor, rank_G: Tensor, beginning_G_K: Tensor | None = None) -> Tensor:
    """Score of the better − score of the worse [P], of all pairs with different rank and all beginnings of each.

    Beginning k of a reply ends with its turn k, of which it has `depth_G` [G], at least one; one that is over stays
    what it was, so that beginnings are as many as the longer of a pair has turns, and the last compares both ends.
    Those with one number `beginning_G_K` [G, K] are one beginning still, and no pair. `score_G_K` float
    [G, K], smaller `rank_G` [G] is better. `ValueError` on wrong shapes.
    """
    check_rank(2, score_G_K=score_G_K)
    check_rank(1, score_G=score_G_K[:, 0], depth_G=depth_G, rank_G=rank_G)
    better, worse = torch.nonzero(rank_G[:, None] < rank_G[None, :], as_tuple=True)
    turn_K = torch.arange(score_G_K.shape[1], device=score_G_K.device)
    # s_k of a reply with n turns is s_min(k, n)
    last_G_K = torch.minimum(turn_K, depth_G.long()[:, None] - 1)
    lasting_G_K = score_G_K.gather(1, last_G_K)
    there_P_K = turn_K < torch.maximum(depth_G[better], depth_G[worse])[:, None]
    if beginning_G_K is not None:
        own_G_K = beginning_G_K.gather(1, last_G_K)
        there_P_K = there_P_K & (own_G_K[better] != own_G_K[worse])
    return (lasting_G_K[better] - lasting_G_K[worse])[there_P_K]


def share_in_order(margin_P: Tensor, *, least: float = 0.0) -> Tensor:
    """Which share of pairs is in the right order: of those within `least` of each other, half. `margin_P` float [P],
    of at least one pair; a scalar, float64."""
    # mean of 1[m > least] + ½·1[|m| ≤ least]
    return ((margin_P > least).double() + 0.5 * (margin_P.abs() <= least).double()).mean()


@dataclass(frozen=True)
class Preference:
    """How a method compares two replies; no `kind`: it does not."""

    kind: Kind | None = None  # of the losses above
    beta: Positive = 0.1  # how far the replies may be taken apart, per nat
    label_smoothing: Annotated[float, real(least=0, below=0.5)] = 0.0
    """ε; "dpo" only. At ½ a pair says as much for either side, and nothing leaves the reference: w = 0 at d = 0."""

    dpop_lambda: NotNegative = 0.0  # λ; "dpop" only

    @property
    def formula(self) -> str:
        """w, where A is 1 at the better reply and −1 at the worse."""
        beta, lam = f"{self.beta:g}", f"{self.dpop_lambda:g}"
        if self.kind == "ipo":
            return f"A·(1/{beta} − 2d)"
        if self.kind == "dpop":
            held = f"(1 + {lam}·1[A > 0 and log π⁺ < log π⁺_ref])"
            return f"A·{beta}·σ(−{beta}·(d − {lam}·max(0, log π⁺_ref − log π⁺)))·{held}"
        wrong = f" − {self.label_smoothing:g}" if self.label_smoothing else ""
        return f"A·{beta}·(σ(−{beta}·d){wrong})" if wrong else f"A·{beta}·σ(−{beta}·d)"

    def __call__(
        self,
        logp_B_T: Tensor,
        reference_logp_B_T: Tensor,
        side_B_T: Tensor,
        mask_B_T: Tensor,
        bundle_B: Tensor,
    ) -> tuple[Tensor, Pairs]:
        """w of every unit [B, T], detached, and the pairs.

        Rows with equal `bundle_B` [B] are a pair, and all of them must be here. `side_B_T` is above 0 at the units of
        the better reply, below 0 at those of the worse, and 0 at units of no pair, which get no weight.
        """
        check_rank(2, logp_B_T=logp_B_T, reference_logp_B_T=reference_logp_B_T, side_B_T=side_B_T, mask_B_T=mask_B_T)
        better_B_T, worse_B_T = mask_B_T & (side_B_T > 0), mask_B_T & (side_B_T < 0)
        paired = torch.nonzero((better_B_T | worse_B_T).any(dim=1))[:, 0]
        numbers, pair = torch.unique(bundle_B[paired], return_inverse=True)

        def total(x_B_T: Tensor, units_B_T: Tensor) -> Tensor:
            row_B = torch.where(units_B_T, x_B_T.detach(), 0.0).sum(dim=1)
            return row_B.new_zeros(len(numbers)).index_add(0, pair, row_B[paired])

        logps = [total(x, units) for x in (logp_B_T, reference_logp_B_T) for units in (better_B_T, worse_B_T)]
        weight_B_T = torch.zeros_like(logp_B_T)
        for weight_P, units_B_T in zip(preference_weight(*logps, **asdict(self)), (better_B_T, worse_B_T), strict=True):
            row_B = weight_P.new_zeros(len(bundle_B)).index_copy(0, paired, weight_P[pair])
            weight_B_T = torch.where(units_B_T, row_B[:, None], weight_B_T)
        return weight_B_T, Pairs(*logps)


def tied_pairs(bundle_B: Tensor, group_B: Tensor, paired_B: Tensor) -> Tensor:
    """`bundle_B` [B] where the rows of a group that are `paired_B` (bool) are one bundle: the two replies of a pair, of
    however many rows, are not to be parted."""
    group_B = torch.unique(group_B, return_inverse=True)[1]
    first_G = torch.full_like(bundle_B, torch.iinfo(bundle_B.dtype).max)  # there are no more groups than rows
    first_G = first_G.scatter_reduce(0, group_B[paired_B], bundle_B[paired_B], "amin")
    return torch.where(paired_B, first_G[group_B], bundle_B)
