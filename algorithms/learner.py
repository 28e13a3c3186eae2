"""The learner: one update, the same for every method and for both worlds.

    batch ─▶ rewards ─▶ values ─▶ credit ─▶ for each epoch, for each minibatch:
                                                w = policy_weight(log π, A)
                                                L = policy_loss(log π, w) − c_h H + `loss_terms`
                                                one step of the optimiser

It takes a batch to its own device, asks a policy for `score` and a method for constants, never for a name. Sums are
divided by counts of the whole minibatch, so micro-batches change nothing but memory, and how many steps an update takes
is the method's choice, whatever the data. What is left out: distribution over machines, which replaces this object and
not its arithmetic.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..agents.protocols import Critic, Policy, Scorer
from ..agents.threads import fitting_threads, torch_threads
from ..envs.seeding import stream
from ..envs.vocabulary import Batch
from .aggregate import Shares, reduce
from .annotate import read_scores, with_energy, with_observed, with_values
from .distillation import compared, paid_by_teacher, read_by, unpaid
from .flat_groups import flat_groups
from .judged_rewards import JudgedRewards
from .looks import look
from .loss import policy_loss
from .loss_terms import imitation_term, observation_term, prepare_shown, shown_parts, value_term
from .method_row import Method
from .metrics import Log, masked_mean, with_effective_share
from .moving import MovingCoefficients
from .optimizer import Masters, OptimizerSettings, adapted, lacks_memory
from .own_critic import OwnCritic
from .penalty import penalized_rewards
from .reward_model import reward_model_loss
from .rewards import punish_overlong, return_scale
from .soundness import find_unsound
from .training_batch import TrainingBatch, as_units, micro_batches, minibatches, prepare
from .update import FirstPass, StaleBatch, Update, UpdateRefused, all_left_out, describe, without_step
from .weighting import policy_weight
from .weights import kl_estimate


class Learner:
    """Updates `policy` by `method`. `reference` is the frozen policy of a KL penalty, and `teacher` who pays for units,
    where there is one; `critic` learns values in the place of a head of the policy; `judged`, which has paid for
    episodes before they come here, is saved with the learner. Rows that a policy more than `max_staleness` versions old
    has sampled are refused. Where a batch comes from several worlds (its note `world_B`), `worlds` has the method in
    each, all alike but for rewards and credit, which are each world's own. `token_budget` is the most units in one pass
    where the settings leave that open; out of memory halves it once.
    """

    def __init__(
        self,
        policy: Policy,
        method: Method,
        settings: OptimizerSettings,
        *,
        seed: int,
        reference: Scorer | None = None,
        teacher: Scorer | None = None,
        critic: OwnCritic | None = None,
        judged: JudgedRewards | None = None,
        max_staleness: int = 0,
        worlds: Sequence[Method] = (),
        token_budget: int | None = None,
    ) -> None:
        if method.needs_head and not policy.has_critic and critic is None:
            raise ValueError(f"method {method.name!r} needs a critic, and this policy has none")
        if settings.schedule == "adaptive_kl" and method.source != "own":
            raise ValueError(f"adaptive_kl needs log-probabilities of who acted; method {method.name!r} has none")
        if method.needs_reference and reference is None:
            raise ValueError(f"method {method.name!r} needs a reference policy")
        if method.needs_teacher and teacher is None:
            raise ValueError(f"method {method.name!r} needs a teacher")
        self.policy, self.method, self.settings, self.seed = policy, method, settings, seed
        self.max_staleness = max_staleness
        self.micro_batch, self._halved = settings.micro_batch or token_budget, False
        self.reference = reference if method.needs_reference else None
        self.worlds = tuple(worlds) or (method,)
        self.teacher = teacher if any(row.needs_teacher for row in self.worlds) else None
        self._compares = any(row.compares for row in self.worlds)
        self._whitens = [row.credit.whiten == "minibatch" for row in self.worlds]
        self.scales = tuple(return_scale(row.rewards, row.credit.gamma, row.credit.granularity) for row in self.worlds)
        self.judged, self.critic = judged, critic
        paying = {**{str(world): scale for world, scale in enumerate(self.scales)}, "judge": judged}
        self._paying = {who: one for who, one in paying.items() if one is not None}
        self.moving = MovingCoefficients(method)
        self.version = self._steps = 0
        self.lr = settings.lr
        self._optimizer = Masters({n: p for n, p in policy.module().named_parameters() if p.requires_grad}, settings)
        self._statistics = {f"the statistics {name}": x for name, x in policy.module().named_buffers()}

    def update(self, batch: Batch, *, progress: float = 0.0, shown: Batch | None = None) -> Update:
        """Learn from `batch` and become the next version; `progress` in [0, 1] is the spent part of the budget, and
        `shown` are the demonstrations of a method that imitates some beside.

        Raises `StaleBatch` if too old or another version acted, `UpdateRefused` if a loss or gradient, or afterwards a
        weight, a moment or a statistic is not finite (the version does not move on), `ValueError` if the method needs
        values and neither the batch nor the policy has any, or demonstrations and there are none.
        """
        if (shown is not None) != self.method.imitates_beside:
            raise ValueError(f"method {self.method.name!r} {'takes no' if shown is not None else 'needs'} `shown`")
        oldest, newest = int(batch.version_B.min()), int(batch.version_B.max())
        if newest > self.version or oldest < self.version - self.max_staleness:
            acted = f"version {oldest}" if oldest == newest else f"versions {oldest} to {newest}"
            allowed = f", which allows a staleness of {self.max_staleness}" if self.max_staleness else ""
            raise StaleBatch(f"{acted} acted, but version {self.version} is learning{allowed}")
        if self.settings.schedule == "linear":
            self.lr = self.settings.lr * max(0.0, 1.0 - progress)
        if shown is None and all_left_out(batch):
            self.version += 1
            return without_step(batch)
        with torch_threads(fitting_threads(self.policy.module())):
            device = str(self._optimizer.tensors[0].device)
            update = self._update(batch.to(device), None if shown is None else shown.to(device))
            if unsound := self.find_unsound(moments=False):  # squares of a gradient whose norm is finite are finite
                taken = f"{self._steps} step{'s' if self._steps > 1 else ''}"
                raise UpdateRefused(f"{unsound} after {taken}", dict(update.metrics))
        self.version += 1
        return update

    def find_unsound(self, *, moments: bool = True) -> str | None:
        """Which weight, statistic or, if asked, moment of the optimiser is not finite, in words; None if all are."""
        tensors = {**self._optimizer.named, **self._statistics, **(self.critic.tensors() if self.critic else {})}
        tensors |= {f"the rewards' statistics {name}": x for name, x in self._statistics_of_rewards().items()}
        return find_unsound(tensors | self._optimizer.moments() if moments else tensors)

    @property
    def gradient(self) -> dict[str, Tensor | None]:
        """That of the latest step, by the parameter's name, as it was clipped; None before the first."""
        return dict(zip(self._optimizer.named, (master.grad for master in self._optimizer.tensors), strict=True))

    def _statistics_of_rewards(self) -> dict[str, Tensor]:
        return {f"{who}.{name}": x for who, one in self._paying.items() for name, x in one.state().items()}

    def _update(self, batch: Batch, shown: Batch | None) -> Update:
        heard = self.method.update.observation_coefficient > 0
        training = self._prepared(with_observed(batch, self.policy) if heard else batch)
        log, first = Log(), FirstPass(training)
        log.add({**describe(training), "batch/staleness": self.version - batch.version_B.double().mean()})
        learned_from = self._with_gradient(training)
        if self.policy.memoryless and self.method.of_single_units:
            learned_from = as_units(learned_from)
        beside = None if shown is None else prepare_shown(shown, self.policy)
        rng, rng_beside = (stream(self.seed, use, self.version) for use in ("update", "shown"))
        count = self.method.update.steps_per_pass(float(training.batch.mask_B_T.sum()))
        self._steps, last = 0, None
        for epoch in range(self.method.update.epochs):
            others = shown_parts(beside, count, rng_beside)
            for part, other in zip(minibatches(learned_from, count, rng), others, strict=True):
                self._step(part.whitened(self._whitens), other, log, first if epoch == 0 else None)
                self._steps, last = self._steps + 1, part
        metrics = with_effective_share(log.means())
        kl = self._kl_old(last) if self._follows_kl and last is not None and len(last.share_B_T) else None
        if self.settings.schedule == "adaptive_kl" and kl is not None:
            self.lr = adapted(self.lr, kl, self.settings)
        metrics |= self.moving.move(kl, metrics.get("policy/entropy"))
        self.policy.advance(batch)
        return Update(metrics, first.units())

    @property
    def _follows_kl(self) -> bool:
        """Whether something moves by the distance to the old policy, which is then asked for behind the last step."""
        return self.settings.schedule == "adaptive_kl" or self.method.weighting.kl_target is not None

    def _prepared(self, batch: Batch) -> TrainingBatch:
        """Rewards, values and credit, in each world by itself; and what is trained, of all together."""
        share = self.method.weighting.entropy_share
        if self.teacher is not None and any(row.needs_teacher and not row.compares for row in self.worlds):
            batch = read_by(self.teacher, batch, self.micro_batch)
        if len(self.worlds) == 1:
            return self._in_world(0, batch).of_most_uncertain(share)
        world_B = batch.notes["world_B"]
        rows = [torch.nonzero(world_B == world)[:, 0] for world in range(len(self.worlds))]
        parts = [self._in_world(world, batch.rows(own)) for world, own in enumerate(rows) if len(own)]
        return TrainingBatch.join(parts).rows(torch.argsort(torch.cat(rows))).numbered().of_most_uncertain(share)

    def _in_world(self, world: int, batch: Batch) -> TrainingBatch:
        row, scale = self.worlds[world], self.scales[world]
        flat_B = flat_groups(batch) if row.update.flat_groups == "leave_out" else None
        if row.needs_teacher:
            batch = unpaid(batch) if row.compares else paid_by_teacher(batch)
        if row.rewards.overlong_buffer is not None:
            assert row.rewards.overlong_limit is not None, "whoever makes the learner knows it"
            batch = punish_overlong(batch, limit=row.rewards.overlong_limit, buffer=row.rewards.overlong_buffer)
        return self._annotated(self._valued(batch if scale is None else scale.scaled(batch)), row, flat_B)

    def _valued(self, batch: Batch) -> Batch:
        """With values, where the method needs them and nobody has given any: those of the critic, by default the
        policy's own."""
        if not self.method.needs_critic or batch.value_B_T is not None:
            return batch
        critic = self.policy if self.critic is None else self.critic.model
        if not isinstance(critic, Critic):
            raise ValueError(f"method {self.method.name!r} needs values, and the batch came without any")
        return with_values(batch, critic, self.micro_batch)

    def _annotated(self, batch: Batch, row: Method, flat_B: Tensor | None) -> TrainingBatch:
        """Log-probabilities that stay fixed during the update, then credit."""
        weighting, old_logp, entropy = self.method.weighting, batch.behavior_logp_B_T, None
        if (weighting.correction is not None and not self._first_is_old) or weighting.entropy_share < 1:
            logp, entropy = read_scores(self.policy, batch, self.micro_batch)
            old_logp = old_logp if weighting.correction is None else logp
        reference_logp = torch.zeros_like(old_logp)
        if self.reference is not None:
            reference_logp, _ = read_scores(self.reference, batch, self.micro_batch)
        if row.credit.baseline == "optimal":
            batch = with_energy(batch, self.policy, self.micro_batch)
        if weighting.kl_in == "reward":
            batch = penalized_rewards(batch, old_logp, reference_logp, beta=weighting.beta)
        return prepare(batch, row, old_logp, reference_logp, entropy, flat_B)

    @property
    def _first_is_old(self) -> bool:
        """Whether an update is one step, which is read by the policy from before it: then nobody has to ask that policy
        for its log-probabilities in a pass of their own. Who follows the KL or pays it in the reward still asks."""
        asked = self._follows_kl or self.method.weighting.kl_in == "reward"
        return self.method.weighting.correction is not None and self.method.update.is_one_step and not asked

    def _old(self, part: TrainingBatch, logp_B_T: Tensor) -> Tensor:
        """The trainer's log-probability before the update."""
        return logp_B_T.detach() if self._first_is_old else part.old_logp_B_T

    def _kl_old(self, part: TrainingBatch) -> float:
        """KL(π_old ‖ π) on a minibatch, as the policy is now."""
        logp, _ = read_scores(self.policy, part.batch, self.micro_batch)
        return float(masked_mean(kl_estimate(part.old_logp_B_T, logp, kind="k3"), part.batch.mask_B_T))

    def _with_gradient(self, training: TrainingBatch) -> TrainingBatch:
        """Without the rows whose gradient is known to be zero; they still count in every mean."""
        update, weighting = self.method.update, self.method.weighting
        if all_left_out(training.batch):  # there is something to imitate beside it
            return training.rows(training.batch.group_B[:0])
        whitens = any(self._whitens)  # which takes the mean away, and so gives all of them some
        if self.method.needs_critic or weighting.penalty is not None or update.moves_every_row or whitens:
            return training
        moved = ((training.advantage_B_T != 0) | training.taught_B_T).any(dim=1)
        return training.rows(torch.nonzero(torch.isin(training.batch.bundle_B, training.batch.bundle_B[moved]))[:, 0])

    def _step(self, training: TrainingBatch, shown: TrainingBatch | None, log: Log, first: FirstPass | None) -> None:
        """One step on one minibatch; on one without rows too, for the data do not decide how many steps an update
        takes. Numbers leave the device once, before the step is taken."""
        done = None
        try:
            done = self._gradient(training, shown, first)
        except (MemoryError, RuntimeError) as problem:
            if not lacks_memory(problem):
                raise
        if done is None:  # not above, where the exception still holds what filled the memory
            self._halve(training.batch)
            done = self._gradient(training, shown, first)
        seen, loss = done
        norm = torch.nn.utils.clip_grad_norm_(self._optimizer.tensors, self.settings.max_grad_norm)
        seen.add({"loss/value": loss, "gradient/norm": norm, "units": training.batch.mask_B_T.sum()})
        metrics = seen.means()
        units = metrics.pop("units")
        for name, words in (("loss/value", "loss is"), ("gradient/norm", "gradient's norm is")):
            if not math.isfinite(value := metrics[name]):
                raise UpdateRefused(f"the {words} {value}; {self._taken()}", metrics)
        if self.settings.schedule == "adaptive_kl" and self._steps and "kl/old" in metrics:
            self.lr = adapted(self.lr, metrics["kl/old"], self.settings)  # before the first step nothing has moved yet
        lr = self.lr * min(1.0, (self.version + 1) / max(1, self.settings.warmup))
        if self.critic is not None:
            metrics |= self.critic.step(training, self.method.update, self.micro_batch, lr)
        self._optimizer.step(lr)
        ones = ("gradient/norm", "gradient/critic_norm", "imitation/loss")
        alone = {name: metrics.pop(name) for name in ones if name in metrics}
        del metrics["loss/value"]  # the loss is a vehicle of the gradient, and its value means nothing
        log.add(metrics, weight=units)
        log.add({**alone, "optimizer/lr": lr})  # each step counts as one

    def _gradient(
        self, training: TrainingBatch, shown: TrainingBatch | None, first: FirstPass | None
    ) -> tuple[Log, Tensor]:
        """∇L of a minibatch, the sum over its micro-batches, in the parameters; what was seen, and L."""
        seen, loss = Log(), torch.zeros((), device=self._optimizer.tensors[0].device)
        with self._optimizer.gradient():
            for part_loss in self._losses(training, shown, seen, first):
                part_loss.backward()
                loss = loss + part_loss.detach()
        return seen, loss

    def _losses(
        self, training: TrainingBatch, shown: TrainingBatch | None, seen: Log, first: FirstPass | None
    ) -> Iterator[Tensor]:
        """L in parts, one micro-batch after the other."""
        for part in micro_batches(training, self.micro_batch, self.policy):
            if self.method.judges:
                yield reward_model_loss(self.policy, part, seen, turns=self.method.learns == "process")
            else:
                yield self._loss(part, seen, first)
        for part in micro_batches(shown, self.micro_batch, self.policy) if shown is not None else ():
            yield imitation_term(self.policy, part, self.method.update, seen)

    def _halve(self, batch: Batch) -> None:
        """Half as many units in one pass from here on. MemoryError the second time: what to change."""
        rows, length = batch.mask_B_T.shape
        held = min(rows * length, self.micro_batch or rows * length)
        if self._halved:
            raise MemoryError(
                f"there is no memory for a pass of {held:,} units; give less of optimizer.micro_batch, shorter rows "
                "or a smaller model"
            )
        self.micro_batch, self._halved = max(1, held // 2), True

    def _taken(self) -> str:
        earlier = f", but {self._steps} earlier ones of this update were" if self._steps else ""
        return f"the step was not taken{earlier}"

    def _loss(self, part: TrainingBatch, seen: Log, first: FirstPass | None) -> Tensor:
        """L = policy_loss + KL(π ‖ ν) + c_v · value loss − c_h · entropy − c_o · log π(what the world said), of those
        that the method has, on one micro-batch."""
        batch, update, mask = part.batch, self.method.update, part.batch.mask_B_T
        apart = None
        if self._compares:
            assert self.teacher is not None, "a method that compares has one"
            scores, apart = compared(self.policy, self.teacher, part, seen)
        else:
            scores = self.policy.score(batch.inputs)
        logp, entropy, value = scores
        weighted = policy_weight(
            logp.detach(),
            self._advantage(part, logp, seen),
            mask,
            self.moving.weighting,
            old_logp_B_T=self._old(part, logp),
            behavior_logp_B_T=batch.behavior_logp_B_T,
            reference_logp_B_T=part.reference_logp_B_T,
            trained_B_T=part.trained_B_T,
            episode_B=batch.episode_B,
            turn_B_T=batch.turn_B_T,
            end_B_T=batch.end_B_T,
        )
        whole = Shares(part.share_B_T, part.count or 1.0)
        # L = policy_loss(w) − c_h H + c_v ½(V − target)² − c_o log π(o)
        loss = policy_loss(logp, weighted.weight_B_T, mask, shares=whole)
        if apart is not None:
            loss = loss + apart
        if self.moving.bonus:
            loss = loss - self.moving.bonus * reduce(entropy, mask, shares=whole)
        if self.method.needs_critic and self.critic is None and batch.value_B_T is not None:
            loss = loss + value_term(part, value, update, seen)
        if update.observation_coefficient:
            loss = loss + observation_term(part, logp, update, seen)
        old_logp = self._old(part, logp.detach())
        seen.add_units(look(self.method, part, scores, weighted, old_logp, first=not self._steps), mask)
        if self.critic is not None and batch.value_B_T is not None:
            scores = scores._replace(value_B_T=batch.value_B_T)  # what it said before the update
        if first is not None:
            first.add(part, scores, weighted.weight_B_T)
        return loss

    def _advantage(self, part: TrainingBatch, logp_B_T: Tensor, seen: Log) -> Tensor:
        """That of each unit, or what the loss of pairs makes of the two sides of a pair."""
        if self.method.preference.kind is None:
            return part.advantage_B_T
        batch, side, reference = part.batch, part.advantage_B_T, part.reference_logp_B_T
        weight, pairs = self.method.preference(logp_B_T, reference, side, batch.mask_B_T, batch.bundle_B)
        seen.add(pairs.means(), weight=len(pairs.margin_P))
        return weight

    def save(self, folder: Path) -> None:
        """Write the optimiser's state, the scale of rewards and the counters: `optimizer.safetensors`,
        `rewards.safetensors` (where rewards are scaled or judged) and `learner.json`."""
        save_file(self._optimizer.state(), folder / "optimizer.safetensors")
        if self._paying:
            save_file(self._statistics_of_rewards(), folder / "rewards.safetensors")
        if self.critic is not None:
            self.critic.save(folder)
        counters = {"version": self.version, "lr": self.lr, "method": self.method.name, "micro_batch": self.micro_batch}
        (folder / "learner.json").write_text(json.dumps(counters | self.moving.state()))

    def load(self, folder: Path) -> None:
        """Continue exactly from what `save` wrote. `ValueError` if it belongs to another policy or method."""
        counters = json.loads((folder / "learner.json").read_text())
        if counters["method"] != self.method.name:
            raise ValueError(f"{folder} was written by method {counters['method']!r}, not {self.method.name!r}")
        states = load_file(folder / "rewards.safetensors") if self._paying else {}
        for who, one in self._paying.items():
            own = {name.removeprefix(f"{who}."): x for name, x in states.items() if name.startswith(f"{who}.")}
            one.load_state(own)
        try:
            self._optimizer.load_state(load_file(folder / "optimizer.safetensors"))
        except ValueError as problem:
            raise ValueError(f"the optimiser state in {folder} {problem}") from problem
        if self.critic is not None:
            self.critic.load(folder)
        self.version, self.lr = int(counters["version"]), float(counters["lr"])
        self.moving.load_state(counters)
        if self.settings.micro_batch is None:  # cut as before, for sums of other parts differ in their last digits
            self.micro_batch = counters["micro_batch"]
