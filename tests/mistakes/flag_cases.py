"""Mistakes in `--set`."""

from __future__ import annotations

from mistake_cases import Case, control, language


def _set(name: str, flag: str, *needs: str, talks: bool = False) -> Case:
    return Case(
        name,
        language() if talks else control(),
        *needs,
        argv=["run", "s.yaml", *(["--out", "out"] if needs else ["--dry-run"]), "--set", flag],
    )


CASES = [
    _set("unknown", "sede=3", r"^error: --set sede=3: unknown key 'sede'.*Did you mean 'seed'\?"),
    _set("unknown-deep", "stages.balance.optimizer.learning_rate=1", r"--set stages\.balance\.optimizer\.learning_rate=1: .*Did you mean 'lr'\?"),
    _set("unknown-method-constant", "stages.balance.overrides.update.epoch=3", r"--set stages.*'epoch'.*'epochs'\?"),
    _set("column-forgotten", "stages.balance.overrides.gamma=0.9", r"--set stages.*belongs in credit"),
    _set("index", "stages.1.method=grpo", r"--set stages\.1\.method=grpo: stages has no item '1'; items are balance, 0"),
    _set("stage-typo", "stages.balence.method=grpo", r"--set.*no item 'balence'.*Did you mean 'balance'\?"),
    _set("stage-forgotten", "optimizer.lr=1e-4", r"--set optimizer\.lr=1e-4: .*belongs at stages\.balance\.optimizer"),
    _set("stage-forgotten-budget", "budget.updates=3", r"belongs at stages\.balance\.budget"),
    _set("stage-name-forgotten", "stages.budget.updates=3", r"no item 'budget'.*Did you mean 'stages\.balance\.budget'\?"),
    _set("stages-forgotten", "balance.budget.updates=3", r"'balance' is a stage: stages\.balance"),
    _set("bare-key", "lr=1e-4", r"'lr' belongs at stages\.balance\.optimizer\.lr"),
    _set("bare-temperature", "temperature=0.5", r"'temperature' belongs at sampling\.temperature", talks=True),
    _set("brace-open", "world.options={a: 1", r"--set world\.options=\{a: 1: the value '\{a: 1' is not valid YAML.*'\{'.*not closed"),
    _set("bracket-open", "agent.hidden=[16, 16", r"not valid YAML.*'\['.*not closed"),
    _set("quote-open", "name='tiny", r"the quote that begins here is never closed"),
    _set("empty", "seed=", r"--set seed=: seed is null; allowed is a whole number"),
    _set("empty-mapping", "stages.balance.optimizer=", r"optimizer is null, not a mapping.*\{lr: 1e-3\}"),
    _set("empty-id", "world.id=", r"--set world\.id=: world\.id is null, not text"),
    _set("below-value", "name.x=3", r"--set name\.x=3: there is no 'x' in name, which is 'tiny', a single value"),
    _set("below-number", "stages.balance.collect.groups.x=3", r"no 'x' in stages\.balance\.collect\.groups, which is 2"),
    _set("spaces", "seed = 3"),
    _set("dashes", "stages.balance.optimizer.max-grad-norm=1", r"--set stages.*Did you mean 'max_grad_norm'\?"),
    _set("no-key", "=3", r"--set =3: the form is --set KEY=VALUE"),
    _set("no-value", "seed", r"--set seed: the form is --set KEY=VALUE"),
    _set("colon", "seed: 3", r"the form is --set KEY=VALUE, as in --set seed=3"),
    _set("space", "seed 3", r"as in --set seed=3"),
    _set("two-dots", "world..id=Pendulum-v1", r"one dot between its parts, as in --set world\.id=Pendulum-v1"),
    _set("dot-behind", "seed.=3", r"one dot between its parts, as in --set seed=3"),
    _set("slashes", "stages/balance/budget/updates=3", r"unknown key 'stages/balance/budget/updates'"),
    _set("word", "seed=three", r"seed is 'three'; allowed is a whole number"),
    _set("yes", "stages.balance.budget.updates=yes", r"updates is true; allowed is a whole number"),
    _set("comma", "stages.balance.optimizer.lr=0,001", r"lr is '0,001'; .*write 0\.001"),
    _set("percent", "failures.max_share=10%", r"max_share is '10%'; .*write 0\.1"),
    _set("share", "failures.max_share=10", r"max_share is 10; .*0\.1\?"),
    _set("stop-share", "stages.learn.stop.success_rate=95", r"--set stages\.learn\.stop\.success_rate=95: .*between 0 and 1.*0\.95\?", talks=True),
    _set("stop-typo", "stages.learn.stop.sucess_rate=0.5", r"--set stages\.learn\.stop\.sucess_rate=0\.5: .*'success_rate'", talks=True),
    _set("groups-huge", "stages.balance.collect.groups=1000000000", r"--set.*at most 1,000,000"),
    _set("world-typo", "world.id=CartPol-v1", r"--set world\.id=CartPol-v1: unknown world.*'CartPole-v1'\?"),
    _set("world-text", "world=CartPole-v1", r"--set world=CartPole-v1: world is 'CartPole-v1', not a mapping.*world: \{id: CartPole-v1\}\?"),
    _set("kind", "agent.kind=tiny_lama", r"--set agent\.kind=tiny_lama: .*'tiny_llama'\?"),
    _set("kind-other", "agent.kind=tiny_llama", r"agent\.hidden is \[16\]; allowed is a whole number"),
    _set("method", "stages.balance.method=gpro", r"--set stages\.balance\.method=gpro: .*'grpo'\?"),
    _set("method-fit", "stages.balance.method=grpo", r"horizon has no meaning"),
    _set("list", "stages.balance.optimizer=[1]", r"--set .*optimizer is \[1\], not a mapping"),
    _set("no-break-space", "world.id=CartPole-v1\u00a0", r"--set world\.id.*no-break space"),
    _set("curly-quotes", "world.id=“CartPole-v1”", r"curly quote “"),
    _set("quotes-twice", "world.id='\"CartPole-v1\"'", r"unknown world '\"CartPole-v1\"'.*'CartPole-v1'\?"),
    _set("duplicate", "stages.balance.optimizer={lr: 1, lr: 2}", r"'lr' stands here for the second time"),
    _set("tag", "seed=!!python/none x", r"the tag .* is not allowed"),
    _set("warmup", "stages.balance.optimizer.warmup=50", r"--set stages\.balance\.optimizer\.warmup=50: .*lr is never reached"),
    _set("precision", "precision=bf16", r"--set precision=bf16: .*mlp"),
    _set("oracle", "agent={kind: oracle}", r"cannot learn"),
    _set("tokens", "sampling.max_tokens=9999", r"--set sampling\.max_tokens=9999: .*512 tokens", talks=True),
]  # fmt: skip
