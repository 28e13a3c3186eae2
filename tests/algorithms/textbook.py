"""The textbook objective of every method, written a second time from the papers, episode by episode and unit by unit.

Ratios and clips are differentiated by autograd; a constant is only what its paper calls one (`.detach()`). Nothing here
knows of weights, and no code of the library is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from peripatos.envs.vocabulary import Batch

LENGTH = 9  # L of Dr. GRPO


@dataclass
class Told:
    """One episode. [n] tensors over its units, in time; `lp` and `H` follow the policy."""

    lp: Tensor
    H: Tensor
    V: Tensor
    old: Tensor  # log μ of who acted
    ref: Tensor
    every_lp: Tensor  # [n, ACTIONS], follows the policy
    every_nu: Tensor  # [n, ACTIONS], log ν of a teacher
    nu: Tensor  # that of the action
    reward: Tensor
    turn: Tensor
    value: Tensor  # V before the update
    behind: Tensor  # V of the state behind each unit, which follows the policy; 0 at the edge of the row
    bootstrap: float
    group: int
    terms: dict[str, float]
    energy: Tensor  # ‖∂ log π / ∂ logits‖²
    A: Tensor  # filled in by the method's advantage

    @property
    def R(self) -> float:
        return float(self.reward.sum())

    @property
    def ends(self) -> list[int]:
        """The last unit of each turn."""
        turns = [*self.turn.tolist(), None]
        return [n for n in range(len(self.turn)) if turns[n] != turns[n + 1]]

    @property
    def rho(self) -> Tensor:
        return (self.lp - self.old).exp()


def tell(
    batch: Batch, logits: Tensor, values: Tensor, reference: Tensor, teacher: Tensor, *, segments: bool
) -> list[Told]:
    """The episodes of a batch: rows that share a number, or, of segments, what lies between the ends of a row.
    `teacher` is log ν of every action [B, T, ACTIONS]."""
    logp = torch.log_softmax(logits, dim=-1)
    entropy = -(logp.exp() * logp).sum(-1)
    state, action = batch.inputs["state_B_T"], batch.inputs["action_B_T"]
    places: dict[object, list[tuple[int, int]]] = {}
    for b in range(len(batch.mask_B_T)):
        part = 0
        for t in range(batch.mask_B_T.shape[1]):
            if not batch.mask_B_T[b, t]:
                continue
            places.setdefault((b, part) if segments else int(batch.episode_B[b]), []).append((b, t))
            part += int(batch.end_B_T[b, t])
    told = []
    for units in places.values():
        b, t = torch.tensor([u[0] for u in units]), torch.tensor([u[1] for u in units])
        last_b, last_t = units[-1]
        ended = bool(batch.end_B_T[last_b, last_t]) and batch.bootstrap_B_T is not None
        told.append(
            Told(
                logp[state[b, t], action[b, t]],
                entropy[state[b, t]],
                values[state[b, t]],
                batch.behavior_logp_B_T[b, t],
                reference[b, t],
                logp[state[b, t]],
                teacher[b, t],
                teacher[b, t, action[b, t]],
                batch.reward_B_T[b, t],
                batch.turn_B_T[b, t],
                batch.value_B_T[b, t],
                torch.where(t + 1 < state.shape[1], values[state[b, (t + 1).clamp(max=state.shape[1] - 1)]], 0.0),
                float(batch.bootstrap_B_T[last_b, last_t]) if ended else 0.0,
                int(batch.group_B[units[0][0]]),
                {n: float(x[units[0][0]]) for n, x in batch.notes.items() if n.startswith("term_")},
                slope_of_logits(logits, state[b, t], action[b, t]),
                torch.zeros(len(units), dtype=torch.float64),
            )
        )
    return told


def slope_of_logits(logits: Tensor, state: Tensor, action: Tensor) -> Tensor:
    rows = logits.detach()[state].requires_grad_()
    (slope,) = torch.autograd.grad(torch.log_softmax(rows, -1).gather(-1, action[:, None]).sum(), rows)
    return (slope**2).sum(-1)


Advantage = Callable[[Sequence[Told]], None]  # fills in `A`
Objective = Callable[[Told], Tensor]  # [n], to be maximised


@dataclass(frozen=True)
class Text:
    """A method as its paper has it."""

    advantage: Advantage
    objective: Objective
    mean: Callable[[Sequence[Tensor]], Tensor]
    drops_flat: bool = False
    share: float = 1.0
    critic: bool = False
    gae: Callable[[Told], Tensor] | None = None  # of the critic; None: as PPO's
    value: float = 0.5  # what the critic's loss counts
    heard: float = 0.0  # of the mean log-probability of what the world said

    def gradient(self, batch: Batch, parameters: Sequence[Tensor], reference: Tensor, teacher: Tensor) -> list[Tensor]:
        logits, values = parameters
        told = tell(batch, logits, values, reference, teacher, segments=self.critic)
        self.advantage(told)
        if self.drops_flat:
            told = [e for e in told if len({x.R for x in told if x.group == e.group}) > 1]
        objectives = [self.objective(e) for e in told]
        if self.share < 1:
            every = torch.cat([e.H for e in told]).detach().sort(descending=True).values
            bar = every[max(1, round(self.share * len(every))) - 1]
            objectives = [o * (e.H.detach() >= bar) for o, e in zip(objectives, told, strict=True)]
        total = self.mean(objectives)
        if self.critic:
            errors = [
                (e.V - (raw + e.value)) ** 2 / 2 for e, raw in zip(told, map(self.gae or gae_of, told), strict=True)
            ]
            total = total - self.value * torch.cat(errors).mean()
        if self.heard:
            said = batch.notes["observed_B_T"]
            state, action = batch.inputs["state_B_T"][said], batch.inputs["action_B_T"][said]
            total = total + self.heard * torch.log_softmax(logits, dim=-1)[state, action].mean()
        return list(torch.autograd.grad(-total, parameters, allow_unused=True, materialize_grads=True))


# ── advantages ──────────────────────────────────────────────────────────────────────────────────────────────────────


def each(of: Callable[[Told, Sequence[Told]], float]) -> Advantage:
    def fill(told: Sequence[Told]) -> None:
        for e in told:
            e.A = torch.full((len(e.lp),), of(e, told), dtype=torch.float64)

    return fill


def mean_of(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def std_of(values: Sequence[float]) -> float:
    return (sum((v - mean_of(values)) ** 2 for v in values) / (len(values) - 1)) ** 0.5


def mates(e: Told, told: Sequence[Told]) -> list[float]:
    return [x.R for x in told if x.group == e.group]


def normalized(e: Told, told: Sequence[Told]) -> float:
    return (e.R - mean_of(mates(e, told))) / (std_of(mates(e, told)) + 1e-6)


def over_mean(e: Told, told: Sequence[Told]) -> float:
    mean = mean_of(mates(e, told))
    return (e.R - mean) / (mean + 1e-6) if mean > 0 else 0.0


def without(e: Told, told: Sequence[Told]) -> float:
    others = [x.R for x in told if x.group == e.group and x is not e]
    return e.R - mean_of(others)


def least_variance(told: Sequence[Told]) -> None:
    """For each t: b = Σ W·(return from t on) / ΣW over the members of the group that have a unit t."""
    for e in told:
        for t in range(len(e.lp)):
            there = [x for x in told if x.group == e.group and len(x.lp) > t]
            weights = [float(x.energy[: t + 1].sum()) for x in there]
            ahead = [float(x.reward[t:].sum()) for x in there]
            mean = sum(w * r for w, r in zip(weights, ahead, strict=True)) / sum(weights)
            e.A[t] = float(e.reward[t:].sum()) - mean


def best_alone(e: Told, told: Sequence[Told]) -> float:
    return float(max(mates(e, told)) == e.R and min(mates(e, told)) < e.R)


def decoupled(e: Told, told: Sequence[Told]) -> float:
    total = 0.0
    for name, value in e.terms.items():
        group = [x.terms[name] for x in told if x.group == e.group]
        total += (value - mean_of(group)) / (std_of(group) + 1e-6)
    return total


def whitened(fill: Advantage) -> Advantage:
    def both(told: Sequence[Told]) -> None:
        fill(told)
        every = torch.cat([e.A for e in told])
        for e in told:
            e.A = (e.A - every.mean()) / (every.std() + 1e-8)

    return both


def whitened_by_rollout(fill: Advantage) -> Advantage:
    def both(told: Sequence[Told]) -> None:
        fill(told)
        every = torch.stack([e.A[0] for e in told])
        for e in told:
            e.A = (e.A - every.mean()) / (every.std() + 1e-8)

    return both


def gae_of(e: Told, gamma: float = 0.99, lam: float = 0.95) -> Tensor:
    after = [*e.value[1:].tolist(), e.bootstrap]
    A, later = torch.zeros_like(e.reward), 0.0
    for t in reversed(range(len(A))):
        later = float(e.reward[t]) + gamma * after[t] - float(e.value[t]) + gamma * lam * later
        A[t] = later
    return A


def by_critic(told: Sequence[Told]) -> None:
    for e in told:
        e.A = gae_of(e)


def gae_less_kl(e: Told) -> Tensor:
    """Of the rewards less 0.02 times log π_old − log π_ref at each unit (Ouyang et al. 2022, eq. 2)."""
    return gae_of(replace(e, reward=e.reward - 0.02 * (e.old - e.ref)), gamma=1.0)


def by_critic_less_kl(told: Sequence[Told]) -> None:
    for e in told:
        e.A = gae_less_kl(e)


group_mean = each(lambda e, told: e.R - mean_of(mates(e, told)))
group_std = each(normalized)


# ── objectives ──────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(e: Told) -> Tensor:
    return e.A * e.lp


def clipped(low: float = 0.2, high: float = 0.2, ratio: Callable[[Told], Tensor] = lambda e: e.rho) -> Objective:
    return lambda e: torch.minimum(ratio(e) * e.A, ratio(e).clamp(1 - low, 1 + high) * e.A)


def dual(c: float) -> Objective:
    inner = clipped()
    return lambda e: torch.where(e.A < 0, torch.maximum(inner(e), c * e.A), inner(e))


def of_sequence(e: Told) -> Tensor:
    return (e.lp - e.old).mean().exp().expand(len(e.lp))


def of_turns(e: Told) -> Tensor:
    means = [(e.lp - e.old)[e.turn == turn].mean() for turn in e.turn]
    return torch.stack(means).exp()


def capped(e: Told, most: float) -> Tensor:
    return e.rho.detach().clamp(max=most) * e.A * e.lp


def geometric(e: Told) -> Tensor:
    """(Π_t min(ρ_t·sign, clip(ρ_t)·sign))^(1/n)·A for one A of the episode: eq. 4 with the signs written out."""
    sign = torch.sign(e.A)
    log_kept = torch.minimum(sign * e.rho.log(), sign * e.rho.log().clamp(-0.4, 0.4)) * sign
    return (log_kept.mean().exp() * e.A.mean()).expand(len(e.lp))


def soft(e: Told) -> Tensor:
    tau = torch.tensor([1.0 if A > 0 else 1.05 for A in e.A.tolist()], dtype=torch.float64)
    return 4 / tau * torch.sigmoid(tau * (e.rho - 1)) * e.A


def kernel(e: Told) -> Tensor:
    s = e.rho.prod().detach()
    k, rate = (2.0, 3.0) if float(e.A[0]) >= 0 else (3.0, 2.0)
    return torch.e**rate * s**k * torch.exp(-rate * s) * e.A * e.lp


def in_gap(e: Told, inner: Tensor, most: float, *, both: bool) -> Tensor:
    gap = (e.lp.exp() - e.old.exp()).detach()
    if both:
        return inner * (gap.abs() <= most)
    return inner * torch.where(e.A > 0, gap <= most, gap >= -most)


def unstale(e: Told, inner: Tensor, most: float) -> Tensor:
    left = float((e.old - e.lp.detach()).mean()) > most
    return inner * torch.where((e.A < 0) & left, 0.0, 1.0)


def k3(x: Tensor) -> Tensor:
    return x.exp() - x - 1


def towards_old(e: Told) -> Tensor:
    return e.rho * e.A - 1.0 * k3(e.lp - e.old)


def deepseek(e: Told) -> Tensor:
    return unstale(e, clipped()(e), 0.5) - 0.001 * e.rho * k3(e.ref - e.lp)


# ── means ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def of_units(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)).mean()


def of_means(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([p.mean() for p in parts]).mean()


def of_sums(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([p.sum() for p in parts]).mean()


def of_constant(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([p.sum() / LENGTH for p in parts]).mean()


PairLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # log π⁺, log π⁻, log π⁺_ref, log π⁻_ref: scalars


@dataclass(frozen=True)
class PairText:
    """A method that compares the best episode of a group with the worst, as its paper has it: a mean over pairs."""

    loss: PairLoss

    def gradient(self, batch: Batch, parameters: Sequence[Tensor], reference: Tensor, teacher: Tensor) -> list[Tensor]:
        logits, values = parameters
        told = tell(batch, logits, values, reference, teacher, segments=False)
        losses = []
        for group in {e.group for e in told}:
            members = sorted((e for e in told if e.group == group), key=lambda e: e.R)
            worse, better = members[0], members[-1]
            if worse.R < better.R:
                losses.append(self.loss(better.lp.sum(), worse.lp.sum(), better.ref.sum(), worse.ref.sum()))
        total = torch.stack(losses).mean()
        return list(torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True))


def dpo(beta: float = 0.1, smooth: float = 0.0) -> PairLoss:
    def loss(c: Tensor, r: Tensor, c_ref: Tensor, r_ref: Tensor) -> Tensor:
        h = beta * ((c - c_ref) - (r - r_ref))
        return -(1 - smooth) * torch.log(torch.sigmoid(h)) - smooth * torch.log(torch.sigmoid(-h))

    return loss


def ipo(beta: float = 0.1) -> PairLoss:
    return lambda c, r, c_ref, r_ref: ((c - r) - (c_ref - r_ref) - 1 / (2 * beta)) ** 2


def dpop(beta: float, lam: float) -> PairLoss:
    def loss(c: Tensor, r: Tensor, c_ref: Tensor, r_ref: Tensor) -> Tensor:
        held = torch.relu(c_ref - c)
        return -torch.log(torch.sigmoid(beta * ((c - c_ref) - (r - r_ref) - lam * held)))

    return loss


@dataclass(frozen=True)
class RankText:
    """A reward model as its paper has it: for each prompt, over all pairs of its answers; of a process reward model
    over all pairs of their beginnings, of which the last stands for those that are longer than its reply."""

    turns: bool = False

    def gradient(self, batch: Batch, parameters: Sequence[Tensor], reference: Tensor, teacher: Tensor) -> list[Tensor]:
        logits, values = parameters
        told = tell(batch, logits, values, reference, teacher, segments=False)
        losses = []
        for group in {e.group for e in told}:
            members = [e for e in told if e.group == group]
            pairs = [(better, worse) for better in members for worse in members if better.R > worse.R]
            if pairs:
                apart = [x.behind[b] - y.behind[w] for x, y in pairs for b, w in self.compared(x, y)]
                losses.append(-torch.log(torch.sigmoid(torch.stack(apart))).mean())
        total = torch.stack(losses).mean()
        return list(torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True))

    def compared(self, better: Told, worse: Told) -> list[tuple[int, int]]:
        """The units at whose ends two are compared."""
        ends = [better.ends, worse.ends]
        if not self.turns:
            return [(ends[0][-1], ends[1][-1])]
        most = max(map(len, ends))
        return [(b, w) for b, w in zip(*(own + own[-1:] * (most - len(own)) for own in ends), strict=True)]


def by_teacher(told: Sequence[Told]) -> None:
    for e in told:
        e.A = e.nu - e.old


def nearer_in_all(e: Told) -> Tensor:
    """−KL(π ‖ ν), every term of it."""
    return -torch.stack([p.exp() * (p - nu) for p, nu in zip(e.every_lp.T, e.every_nu.T, strict=True)]).sum(0)


def verdict(right: float, wrong: float) -> Advantage:
    return each(lambda e, _: right if e.R >= 0.5 else -wrong)


TEXTBOOK = {
    "sft": Text(each(lambda e, _: 1.0), plain, of_units),
    "dft": Text(each(lambda e, _: 1.0), lambda e: e.rho.detach().clamp(max=1.0) * e.lp, of_units),
    "rejection_sampling": Text(each(lambda e, told: float(mean_of(mates(e, told)) < e.R)), plain, of_units),
    "best_of_k": Text(each(best_alone), plain, of_units),
    "reinforce": Text(each(lambda e, _: e.R), plain, of_sums),
    "reinforce_baseline": Text(each(lambda e, told: e.R - mean_of([x.R for x in told])), plain, of_sums),
    "psr": Text(verdict(1.0, 0.0), plain, of_sums),
    "nsr": Text(verdict(0.0, 1.0), plain, of_sums),
    "w_reinforce": Text(verdict(0.1, 1.0), plain, of_sums),
    "reinforce_pp": Text(whitened(each(lambda e, _: e.R)), clipped(), of_units),
    "rloo": Text(each(without), plain, of_sums),
    "optimal_baseline": Text(least_variance, plain, of_sums),
    "max_rl": Text(each(over_mean), plain, of_sums),
    "ppo": Text(whitened(by_critic), clipped(), of_units, critic=True),
    "ppo_dual_clip": Text(whitened(by_critic), dual(3.0), of_units, critic=True),
    "ppo_kl": Text(whitened(by_critic), towards_old, of_units, critic=True),
    "grpo": Text(group_std, clipped(), of_means),
    "dr_grpo": Text(group_mean, clipped(), of_constant),
    "dapo": Text(group_std, clipped(0.2, 0.28), of_units, drops_flat=True),
    "gspo": Text(group_std, clipped(3e-4, 4e-4, of_sequence), of_means),
    "cispo": Text(group_std, lambda e: capped(e, 5.0), of_units),
    "gmpo": Text(group_std, geometric, of_means),
    "sapo": Text(group_std, soft, of_means),
    "vespo": Text(group_std, kernel, of_units),
    "dppo": Text(group_std, lambda e: in_gap(e, capped(e, 20.0), 0.15, both=False), of_units),
    "probability_gap": Text(group_std, lambda e: in_gap(e, e.rho * e.A, 0.3, both=True), of_units),
    "gdpo": Text(whitened_by_rollout(each(decoupled)), clipped(), of_means),
    "echo": Text(group_std, clipped(), of_means, heard=0.05),
    "deepseek_v32": Text(group_mean, deepseek, of_means),
    "high_entropy": Text(group_std, clipped(0.2, 0.28), of_units, drops_flat=True, share=0.2),
    "on_policy_distillation": Text(by_teacher, lambda e: e.rho * e.A, of_units),
    "self_distillation": Text(by_teacher, lambda e: e.rho * e.A, of_units),
    "gkd": Text(by_teacher, nearer_in_all, of_units),
    "opsd": Text(by_teacher, nearer_in_all, of_units),
    "dpo": PairText(dpo()),
    "ipo": PairText(ipo()),
    "dpop": PairText(dpop(0.3, 50.0)),
    "online_dpo": PairText(dpo()),
    "reward_model": RankText(),
    "process_reward_model": RankText(turns=True),
    "rlhf_ppo": Text(whitened(by_critic_less_kl), clipped(), of_units, critic=True, gae=gae_less_kl, value=0.1),
    "skywork_or1": Text(group_std, clipped(), of_units, drops_flat=True),
}
