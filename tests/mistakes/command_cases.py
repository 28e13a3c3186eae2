"""Mistakes in command lines: verbs, arguments, flags, folders that are there or not."""

from __future__ import annotations

from pathlib import Path

from mistake_cases import Case, control, language

RAN = ("run s.yaml --out out -q",)
ONE = {"one.txt": "1\n"}


def _folder(path: Path) -> None:
    path.mkdir()


USAGE = [
    Case("verb", {}, r"^error: No such command 'train'; commands are .*run.*Did you mean 'run'\?", argv="train quickstart"),
    Case("verb-typo", {}, r"'evalute'.*Did you mean 'evaluate'\?", argv="evalute out"),
    Case("verb-eval", {}, r"Did you mean 'evaluate'\?", argv="eval out"),
    Case("verb-file", control(), r"Did you mean peripatos run s\.yaml\?", argv="s.yaml"),
    Case("no-argument", {}, r"Missing argument SCENARIO of peripatos run: a shipped scenario or a path", argv="run"),
    Case("no-run", {}, r"Missing argument RUN of peripatos evaluate: a run directory", argv="evaluate"),
    Case("no-world", {}, r"Missing argument WORLD of peripatos check", argv="check"),
    Case("seed-negative", {}, r"--seed is -1; allowed is a whole number, 0 or greater", argv="run quickstart --seed -1"),
    Case("seed-word", {}, r"--seed is 'one'; allowed is a whole number", argv="run quickstart --seed one"),
    Case("seed-nothing", {}, r"--seed needs a value behind it", argv="run quickstart --seed"),
    Case("seed-float", {}, r"--seed is 1\.5; allowed is a whole number", argv="run quickstart --seed 1.5"),
    Case("episodes-zero", {}, r"--episodes is 0; .* 1 or greater", argv="evaluate out --episodes 0"),
    Case("update-negative", {}, r"--update is -3; .* 0 or greater", argv="show out --update -3"),
    Case("temperature-word", {}, r"--temperature is 'hot'; allowed is a number", argv="evaluate out --temperature hot"),
    Case("option-typo", {}, r"peripatos run has no option --sed; .*Did you mean '--seed'\?", argv="run quickstart --sed 3"),
    Case("option-key", {}, r"given as --set stages\.NAME\.optimizer\.lr=3", argv="run quickstart --lr 3"),
    Case("option-of-another", {}, r"peripatos resume has no option --seed", argv="resume out --seed 3"),
    Case("flag-forgotten", control(), r"seed=3 stands without its flag; write --set seed=3", argv="run s.yaml seed=3"),
    Case("two-scenarios", {}, r"takes SCENARIO and nothing more, not cartpole-ppo.*peripatos compare", argv="run quickstart cartpole-ppo"),
    Case("two-runs", {}, r"takes RUN and nothing more", argv="evaluate a b"),
    Case("list-typo", {}, r"Did you mean 'worlds'\?", argv="list wrlds"),
    Case("revision-alone", {}, r"--revision belongs to a model", argv="doctor --revision main"),
]  # fmt: skip

SCENARIOS = [
    Case("scenario-typo", {}, r"no scenario 'quickstrat'.*Did you mean 'quickstart'\?", argv="run quickstrat"),
    Case("scenario-file-typo", control(), r"no scenario file 'x\.yaml'.*Did you mean 's\.yaml'\?", argv="run x.yaml"),
    Case("scenario-yml", control(), r"Did you mean 's\.yaml'\?", argv="run s.yml"),
    Case("scenario-empty", {}, r"the name of the scenario is empty; allowed: .*quickstart", argv="run ''"),
    Case("scenario-device", {}, r"/dev/null is a device or a pipe, and a scenario is a YAML file", argv="run /dev/null"),
    Case("scenario-without-ending", control(), r"no scenario 's'", argv="run s"),
    Case("scenario-folder", {"f/s.yaml": control()["s.yaml"]}, r"f is a folder, .*in it are f/s\.yaml", argv="run f"),
    Case("scenario-empty-folder", {"f": _folder}, r"f is a folder, and a scenario is a YAML file", argv="run f"),
    Case("scenario-method", {}, r"ppo is a method: .*--methods ppo", argv="run ppo"),
    Case("scenario-world", {}, r"CartPole-v1 may be a world: .*world: \{id: CartPole-v1\}", argv="run CartPole-v1"),
    Case("scenario-other-text", ONE, r"one\.txt, line 1", argv="run one.txt"),
    Case("out-file", {**control(), **ONE}, r"one\.txt is there already", argv="run s.yaml --out one.txt"),
    Case("out-below-file", {**control(), **ONE}, r"one\.txt/out cannot be made", argv="run s.yaml --out one.txt/out"),
    Case("out-full", {**control(), "out/mine.txt": "1"}, r"out is there already.*another --out", argv="run s.yaml --out out"),
    Case("device-typo", control(), r"--device gpu: unknown device 'gpu'.*cuda", argv="run s.yaml --device gpu"),
    Case("check-scenario", control(), r"'s\.yaml' is a scenario", r"world by its id", argv="check s.yaml --audit"),
    Case("check-set", {}, r"--set is for the worlds of a scenario", argv="check CartPole-v1 --set world.options.x=1"),
    Case("check-typo", {}, r"Did you mean 'CartPole-v1'\?", argv="check CartPol-v1"),
    Case("export-typo", {}, r"quickstrat.*Did you mean 'quickstart'\?", argv="export quickstrat --episodes 2"),
    Case("export-control", {}, r"cartpole-ppo|CartPole-v1", r"messages|conversation", argv="export cartpole-ppo --episodes 2"),
    Case("export-there", ONE, r"one\.txt", r"there|exists", argv="export peripatos/Arithmetic-v0 --out one.txt --episodes 2"),
]  # fmt: skip

COMPARISONS = [
    Case("compare-none", control(), r"Missing option --methods of peripatos compare", argv="compare s.yaml"),
    Case("sweep-none", control(), r"Missing option --methods of peripatos sweep", argv="sweep s.yaml"),
    Case("sweep-no-trials", control(), r"--trials.*0", argv="sweep s.yaml --methods ppo --trials 0"),
    Case("sweep-verb", {}, r"No such command 'tune'.*Did you mean 'sweep'\?", argv="tune quickstart"),
    Case("compare-comma", control(), r"--methods names no method", argv="compare s.yaml --methods ,"),
    Case("compare-method", control(), r"unknown method 'gpro'.*'grpo'\?", argv="compare s.yaml --methods ppo,gpro"),
    Case("compare-spaces", control(), r"'reinforce' is a method and no scenario; .*commas: --methods ppo,reinforce", argv="compare s.yaml --methods ppo reinforce"),
    Case("compare-semicolon", control(), r"ppo;grpo", r"ppo,grpo|unknown method", argv="compare s.yaml --methods 'ppo;grpo'"),
    Case("compare-zero", control(), r"--seeds is 0; .* 1 or greater", argv="compare s.yaml --methods ppo --seeds 0"),
    Case("compare-seeds-list", control(), r"--seeds is '0,1,2'; .*how many seeds", argv="compare s.yaml --methods ppo --seeds 0,1,2"),
    Case("compare-fit", control(), r"cannot be run with grpo.*horizon.*variants: grpo:", argv="compare s.yaml --methods ppo,grpo"),
    Case("compare-twice", {**control(), "t.yaml": control()["s.yaml"]}, r"two of the scenarios are called 'tiny'", argv="compare s.yaml t.yaml --methods ppo"),
    Case("compare-seed", control(), r"--set seed=3 has no effect: .*--seeds", argv="compare s.yaml --methods ppo --set seed=3"),
    Case("compare-stage-method", control(), r"--set stages\.balance\.method=grpo: the methods .*--methods ppo", argv="compare s.yaml --methods ppo --set stages.balance.method=grpo"),
    Case("compare-shown", control(), r"needs `demonstrations`.*`stages\.balance\.demonstrations: \{agent: \{kind: oracle\}\}`", argv="compare s.yaml --methods sft"),
    Case("export-csv", {}, r"--out: x\.csv ends in \.csv, .*write x\.jsonl", argv="export peripatos/Arithmetic-v0 --episodes 1 --out x.csv"),
    Case("compare-scenario", control(), r"there is no file 'x\.yaml'.* Did you mean 's\.yaml'", argv="compare x.yaml --methods ppo"),
]  # fmt: skip

RUNS = [
    Case("run-directory", control(), r"out is a run directory and no scenario\. .*peripatos resume out", argv="run out", before=RAN),
    Case("run-again", control(), r"out is there already.*peripatos resume out", argv="run s.yaml --out out", before=RAN),
    Case("resume-missing", {}, r"runs/none is not a run directory", argv="resume runs/none"),
    Case("resume-scenario", control(), r"s\.yaml is a scenario and no run.*peripatos run s\.yaml", argv="resume s.yaml"),
    Case("evaluate-scenario", control(), r"s\.yaml is a scenario and no run", argv="evaluate s.yaml"),
    Case("evaluate-empty", {"empty": _folder}, r"empty is not a run directory: it holds no scenario\.yaml", argv="evaluate empty"),
    Case("evaluate-shipped", {}, r"cartpole-ppo is not a run directory", argv="evaluate cartpole-ppo"),
    Case("show-missing", {}, r"gone is not a run directory", argv="show gone"),
    Case("record-missing", {}, r"gone is not a run directory", argv="record gone"),
    Case("rescore-missing", {}, r"gone is not a run directory", argv="rescore gone"),
    Case("runs-above", control(), r"runs is not a run directory.*runs/tiny-0", argv="resume runs", before=("run s.yaml -q",), slow=True),
    Case("inside-a-run", control(), r"out/checkpoints is not a run directory.*out\b", argv="evaluate out/checkpoints", before=RAN),
    Case("checkpoint", control(), r"no checkpoint '99'; it has best, last, 000000, 000002", argv="evaluate out --checkpoint 99", before=RAN),
    Case("checkpoint-word", control(), r"no checkpoint 'newest'.*last", argv="evaluate out --checkpoint newest", before=RAN),
    Case("record-checkpoint", control(), r"no checkpoint '99'", argv="record out --checkpoint 99", before=RAN),
    Case("evaluate-set", control(), r"--set agent\.hidden=\[4\]: .*agent cannot change", argv="evaluate out --set agent.hidden=[4]", before=RAN),
    Case("evaluate-world", control(), r"unknown world 'CartPol-v1'.*'CartPole-v1'\?", argv="evaluate out --world CartPol-v1", before=RAN),
    Case("evaluate-world-fit", control(), r"does not fit|cannot live", argv="evaluate out --world Pendulum-v1", before=RAN),
    Case("evaluate-temperature", control(), r"tokens", argv="evaluate out --temperature 0.5", before=RAN),
    Case("resume-set", control(), r"^error: --set seed=3: seed is what the run is made of.*: leave it out", argv="resume out --set seed=3", before=RAN),
    Case("resume-set-typo", control(), r"--set stages\.balance\.budget\.update=9: .*'updates'\?", argv="resume out --set stages.balance.budget.update=9", before=RAN),
    Case("show-control", control(), r"CartPole-v1", r"record|words", argv="show out", before=RAN),
    Case("show-number", language(), r"^error: --episode 99: of update 2 there are \d+ train episodes, numbered 0 to", argv="show out --episode 99", before=RAN),
    Case("show-update", language(), r"^error: --update 77: no episodes were kept after it; they were after the updates 0, ", argv="show out --update 77", before=RAN),
    Case("show-by", language(), r"^error: --by reward: .*advantage", argv="show out --by reward", before=RAN),
    Case("show-split", language(), r"^error: --split valid: .*'validation'", argv="show out --split valid", before=RAN),
    Case("record-language", language(), r"messages|conversation", r"show", argv="record out", before=RAN),
    Case("rescore-grader", language(), r"mats", argv="rescore out --grader mats", before=RAN),
    Case("from-checkpoint", {**control(), "t.yaml": control("kind: mlp, hidden: [16]", "from: out, checkpoint: newest")["s.yaml"]}, r"no checkpoint 'newest'", argv="run t.yaml", before=RAN, slow=True),
    Case("from-beside", {**control(), "t.yaml": control("kind: mlp, hidden: [16]", "from: out, hidden: [4]")["s.yaml"]}, r"line 3.*'hidden' cannot be given beside `from`", argv="run t.yaml", before=RAN, slow=True),
]  # fmt: skip

CASES = [*USAGE, *SCENARIOS, *COMPARISONS, *RUNS]
