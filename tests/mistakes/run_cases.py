"""Mistakes with what a run has left, and with the commands that look at it."""

from __future__ import annotations

from pathlib import Path

from broken_models import model
from data_cases import OPTIONS
from mistake_cases import Case, Content, control, language

RAN = ("run s.yaml --out out -q",)


def _folder(path: Path) -> None:
    path.mkdir()


def _ran_with_a_file(name: str) -> Case:
    """A run in whose folder a file stands where it has a folder."""
    begun = {"out/scenario.yaml": language()["s.yaml"], f"out/{name}": "x"}
    return Case(f"{name}-file", begun, rf"out/{name} is no folder, and a run's {name} lie in one", argv="show out")


def _at(name: str, argv: str, *needs: str, talks: bool = False, slow: bool = False, **more: Content) -> Case:
    """A command on a run that is over, whose folder is `out`."""
    return Case(name, {**(language() if talks else control()), **more}, *needs, argv=argv, before=RAN, slow=slow)


def _of(name: str, argv: str, *needs: str, **files: Content) -> Case:
    """A command with files, and no run."""
    return Case(
        name, {key.replace("__", "/").replace("_", "."): value for key, value in files.items()}, *needs, argv=argv
    )


NO_RUNS = [
    *map(_ran_with_a_file, ("checkpoints", "episodes", "videos")),
    _of("resume-nothing", "resume out", r"out is not a run directory: there is no such folder"),
    _of("resume-file", "resume a.txt", r"a\.txt is not a run directory: it is a file", a_txt="x"),
    _of("evaluate-file", "evaluate a.txt", r"a\.txt is not a run directory: it is a file", a_txt="x"),
    _of("show-file", "show a.txt", r"a\.txt is not a run directory: it is a file", a_txt="x"),
    _of("record-file", "record a.txt", r"a\.txt is not a run directory: it is a file", a_txt="x"),
    _of("resume-empty", "resume out", r"out is not a run directory: it holds no scenario\.yaml", out=_folder),
    _of("show-empty", "show out", r"out is not a run directory: it holds no scenario\.yaml", out=_folder),
    _of("record-empty", "record out", r"out is not a run directory: it holds no scenario\.yaml", out=_folder),
    _of("rescore-empty", "rescore out", r"out is not a run directory: it holds no scenario\.yaml", out=_folder),
    _of("resume-begun", "resume out", r"no run to go on with; begin one: peripatos run out/scenario\.yaml", out__scenario_yaml=control()["s.yaml"]),
    _of("evaluate-begun", "evaluate out", r"out has no checkpoint yet", out__scenario_yaml=control()["s.yaml"]),
    _of("record-begun", "record out", r"out has no checkpoint yet", out__scenario_yaml=control()["s.yaml"]),
    _of("show-begun", "show out", r"out.*(no episode|kept)", out__scenario_yaml=language()["s.yaml"]),
    _of("evaluate-broken", "evaluate out", r"out/scenario\.yaml, line 2", out__scenario_yaml="name: [\n"),
    _of("resume-copied", "resume out", r"no run to go on with", out__scenario_yaml="version: 3\n"),
    _of("evaluate-newer", "evaluate out", r"out/scenario\.yaml.*unknown key 'brand_new'", out__scenario_yaml=control()["s.yaml"] + "brand_new: 1\n"),
    _of("show-weights", "show model.safetensors", r"model\.safetensors is not a run directory: it is a file", model_safetensors=b"\0\1"),
    _of("evaluate-model", "evaluate m", r"m is not a run directory.*it is a model, which peripatos doctor m examines", m__config_json="{}"),
    _of("resume-method", "resume ppo", r"ppo is not a run directory"),
    _of("resume-shipped", "resume quickstart", r"quickstart is not a run directory.*shipped scenario.*peripatos run quickstart"),
    _of("show-shipped", "show quickstart", r"quickstart is not a run directory.*scenario"),
    _of("two-runs-shown", "show a b", r"takes RUN and nothing more, not b"),
    _of("resume-two", "resume a b", r"takes RUN and nothing more, not b"),
]  # fmt: skip

ON_RUNS = [
    _at("metrics-file", "evaluate out/metrics.jsonl", r"out/metrics\.jsonl is not a run directory: it is a file; it lies in the run .*\bout\b"),
    _at("scenario-file", "evaluate out/scenario.yaml", r"out/scenario\.yaml is a scenario and no run|out/scenario\.yaml.*\bout\b"),
    _at("checkpoint-folder", "evaluate out/checkpoints/000002", r"out/checkpoints/000002 is not a run directory.*evaluate out --checkpoint 000002|out/checkpoints/000002 is not a run directory.*out\b"),
    _at("checkpoint-minus", "evaluate out --checkpoint=-1", r"no checkpoint '-1'; it has best, last, 000000, 000002"),
    _at("checkpoint-path", "evaluate out --checkpoint checkpoints/last", r"no checkpoint 'checkpoints/last'; it has best, last"),
    _at("checkpoint-empty", "evaluate out --checkpoint ''", r"no checkpoint ''; it has best, last"),
    _at("checkpoint-upper", "evaluate out --checkpoint Best", r"no checkpoint 'Best'.*best"),
    _at("evaluate-k", "evaluate out --k 0", r"--k is 0; allowed is a whole number, 1 or greater"),
    _at("evaluate-k-minus", "evaluate out --k -4", r"--k is -4; .* 1 or greater"),
    _at("evaluate-k-word", "evaluate out --k four", r"--k is 'four'; allowed is a whole number"),
    _at("evaluate-episodes-word", "evaluate out --episodes many", r"--episodes is 'many'; allowed is a whole number"),
    _at("evaluate-episodes-float", "evaluate out --episodes 2.5", r"--episodes is 2\.5; allowed is a whole number"),
    _at("evaluate-seed", "evaluate out --seed -1", r"--seed is -1; .* 0 or greater"),
    _at("evaluate-device", "evaluate out --device gpu", r"unknown device 'gpu'.*cuda"),
    _at("evaluate-k-huge", "evaluate out --k 1000000000000", r"--k is 1000000000000; allowed is a whole number.* at most 1,000,000"),
    _at("evaluate-episodes-huge", "evaluate out --episodes 1000001", r"--episodes is 1000001; .* at most 1,000,000"),
    _at("evaluate-both-huge", "evaluate out --k 1000000 --episodes 1000000", r"^error: --episodes 1000000 × --k 1000000 are 1,000,000,000,000 episodes.* at most 1,000,000 together"),
    _at("evaluate-tokens-huge", "evaluate out --episodes 1000000 --set sampling.max_tokens=500", r"^error: --episodes 1000000 × sampling\.max_tokens 500 may need 21 GB", talks=True),
    _at("evaluate-k-control", "evaluate out --k 3", r"^error: --k 3: pass@k counts successes"),
    _at("evaluate-set-device", "evaluate out --set device=cpu", r"its device cannot change; for another device give --device"),
    _at("evaluate-set-episodes", "evaluate out --set evaluation.episodes=3", r"--set evaluation\.episodes=3: .*give --episodes"),
    _at("evaluate-seed-huge", "evaluate out --seed 99999999999999999999", r"--seed is 99999999999999999999; .* at most 9,223,372,036,854,775,807"),
    _at("evaluate-world-typo", "evaluate out --world CartPol-v1", r"^error: --world CartPol-v1: unknown world.*'CartPole-v1'\?"),
    _at("evaluate-world-number", "evaluate out --world 5", r"^error: --world 5: unknown world '5'"),
    _at("evaluate-world-twice", "evaluate out --world CartPole-v1 --set world.id=Pendulum-v1", r"--world CartPole-v1 and --set world\.id=Pendulum-v1 say two things"),
    _at("evaluate-temperature-control", "evaluate out --temperature 0.5", r"^error: --temperature 0\.5: `sampling` is about tokens"),
    _at("evaluate-temperature-flag", "evaluate out --temperature 0", r"^error: --temperature 0: sampling\.temperature is 0; allowed", talks=True),
    _at("evaluate-device-flag", "evaluate out --device gpu", r"^error: --device gpu: unknown device 'gpu'; allowed: auto, cpu"),
    _at("evaluate-split", "evaluate out --split train", r"peripatos evaluate has no option --split; it has"),
    _at("evaluate-limit", "evaluate out --limit 2", r"peripatos evaluate has no option --limit; it has"),
    _at("evaluate-out", "evaluate out --out here", r"peripatos evaluate has no option --out; it has"),
    _at("evaluate-set-world-option", "evaluate out --set world.options.digits=3", r"unknown option 'digits'"),
    _at("evaluate-set-typo", "evaluate out --set wrold.id=CartPole-v1", r"--set wrold\.id=CartPole-v1: .*cannot change|Did you mean 'world'"),
    _at("evaluate-set-form", "evaluate out --set world.id", r"--set world\.id: the form is --set KEY=VALUE"),
    _at("evaluate-temperature-zero", "evaluate out --temperature 0", r"temperature is 0; allowed is a number from 0\.001", talks=True),
    _at("evaluate-temperature-minus", "evaluate out --temperature=-1", r"temperature is -1; allowed is a number from 0\.001", talks=True),
    _at("evaluate-other-kind", "evaluate out --world CartPole-v1", r"cannot live in 'CartPole-v1'.*mlp", talks=True),
    _at("evaluate-world-talks", "evaluate out --world peripatos/Arithmetic-v0", r"cannot live in 'peripatos/Arithmetic-v0'"),
    _at("record-seed", "record out --seed -1", r"--seed is -1; .* 0 or greater"),
    _at("record-out-folder", "record out --out there", r"there.*(folder|\.mp4)", there=_folder),
    _at("record-out-ending", "record out --out a.txt", r"a\.txt.*\.mp4"),
    _at("record-checkpoint-word", "record out --checkpoint newest", r"no checkpoint 'newest'.*last"),
    _at("record-episode", "record out --episode 1", r"peripatos record has no option --episode; it has .*--seed"),
    _at("show-episode-minus", "show out --episode -1", r"--episode is -1; .* 0 or greater", talks=True),
    _at("show-episode-word", "show out --episode last", r"--episode is 'last'; allowed is a whole number", talks=True),
    _at("show-split-typo", "show out --split tets", r"'tets'.*'test'\?", talks=True),
    _at("show-by-typo", "show out --by entrpy", r"'entrpy'.*'entropy'\?", talks=True),
    _at("show-checkpoint", "show out --checkpoint 2", r"peripatos show has no option --checkpoint; it has .*--update", talks=True),
    _at("resume-other-method", "resume out --set stages.balance.method=grpo", r"method is what the run is made of|stages\.balance\.method"),
    _at("resume-world", "resume out --set world.id=Pendulum-v1", r"world\.id is what the run is made of|world.*made of"),
    _at("resume-lr", "resume out --set stages.balance.optimizer.lr=1", r"lr is what the run is made of|optimizer.*made of|lr"),
    _at("resume-cluster", "resume out --set cluster.rollout.workers=2 --set stages.balance.budget.updates=4", r"out was begun without a cluster.*leave cluster out"),
    _at("rescore-weight", "rescore out --set world.options.weights.correct=x", r"^error: --set world\.options\.weights\.correct=x: the weight of reward term 'correct' is 'x'", talks=True),
    _at("rescore-update", "rescore out --update 3", r"^error: --update 3: no episodes were kept after it; they were after the updates 0, ", talks=True),
    _of("doctor-revision", "doctor tiny --revision x", r"--revision x has no effect: 'tiny' is no hub id"),
    _at("resume-less", "resume out --set stages.balance.budget.updates=1", r"^error: --set stages\.balance\.budget\.updates=1: out is over .*2 updates spent.*--set stages\.balance\.budget\.updates=4"),
    _at("resume-no-more", "resume out --set evaluation.every=1", r"^error: --set evaluation\.every=1: out is over.*leaves nothing to do"),
    _at("show-value", "show out --by value", r"^error: --by value shows what a critic says, and no stage of out has one", talks=True),
    _at("resume-out", "resume out --out other", r"peripatos resume has no option --out; it has"),
    _at("resume-form", "resume out --set budget", r"--set budget: the form is --set KEY=VALUE"),
    _at("rescore-weights", "rescore out --grader maths", r"maths|answer", talks=True),
    _at("check-run", "check out", r"out.*(run|world)"),
    _at("export-run", "export out --episodes 1", r"out.*(run|world|scenario)"),
    _at("compare-run", "compare out --methods ppo", r"out is a run directory and no scenario"),
    _at("compare-out-run", "compare s.yaml --methods ppo --seeds 1 --out out", r"out.*(run directory|of a run|another)"),
    _at("compare-out-file", "compare s.yaml --methods ppo --seeds 1 --out a.txt", r"a\.txt", **{"a.txt": "x"}),
    _at("dry-run-of-run", "run out --dry-run", r"out is a run directory and no scenario"),
    _at("doctor-run", "doctor out", r"out is a run and no model; to examine its agent: peripatos doctor --run out"),
    _at("doctor-checkpoint", "doctor --run out --checkpoint newest", r"no checkpoint 'newest'; it has best, last, 000000, 000002"),
    _at("doctor-no-best", "doctor --run out --checkpoint 1", r"no checkpoint '1'; it has best, last, 000000, 000002", talks=True),
    _at("doctor-both", "doctor --run out --scenario s.yaml", r"^error: --run out, --scenario s\.yaml are 2 patients; give one of MODEL, --run and --scenario"),
    _at("doctor-scenario-run", "doctor --scenario out", r"out is a run directory and no scenario"),
    _at("doctor-run-scenario", "doctor --run out/scenario.yaml", r"out/scenario\.yaml is a scenario and no run"),
]  # fmt: skip

LOOKING = [
    _of("compare-missing", "compare none.yaml --methods ppo", r"no scenario file 'none\.yaml'"),
    _of("compare-no-scenario", "compare --methods ppo", r"Missing argument SCENARIOS? of peripatos compare"),
    _of("compare-seeds-word", "compare quickstart --methods grpo --seeds three", r"--seeds is 'three'; allowed is a whole number"),
    _of("compare-seeds-minus", "compare quickstart --methods grpo --seeds -1", r"--seeds is -1; .* 1 or greater"),
    _of("compare-limit", "compare quickstart --methods grpo --limit 0", r"--limit is 0; .* 1 or greater"),
    _of("compare-method-case", "compare quickstart --methods GRPO", r"unknown method 'GRPO'.*'grpo'\?"),
    _of("compare-method-file", "compare quickstart --methods grpo.yaml", r"unknown method 'grpo\.yaml'"),
    _of("compare-sft", "compare quickstart --methods sft --seeds 1", r"sft.*demonstrations"),
    _of("compare-folder", "compare f --methods grpo", r"f is a folder, .*in it are f/s\.yaml", f__s_yaml=control()["s.yaml"]),
    _of("compare-other-set", "compare quickstart --methods grpo --set sede=1", r"--set sede=1: unknown key 'sede'"),
    _of("list-nothing", "list agents", r"'agents'.*(worlds|methods|scenarios)"),
    _of("list-one", "list world", r"Did you mean 'worlds'\?"),
    _of("list-two", "list worlds methods", r"takes .* and nothing more, not methods"),
    _of("doctor-missing", "doctor ./none", r"no model folder or \.gguf file '\./none'"),
    _of("doctor-word", "doctor llama", r"there is no model 'llama'.*hub id like org/name"),
    _of("doctor-hub", "doctor nobody/none", r"'nobody/none' is not on this disk"),
    _of("doctor-empty", "doctor m", r"m is empty.*config\.json", m=_folder),
    _of("doctor-file", "doctor a.txt", r"a\.txt' is a file; a model is a folder", a_txt="x"),
    _of("doctor-scenario", "doctor s.yaml", r"s\.yaml is a scenario and no model; .*doctor --scenario s\.yaml", s_yaml=control()["s.yaml"]),
    _of("doctor-shipped", "doctor quickstart", r"quickstart is a scenario and no model; .*doctor --scenario quickstart"),
    _of("doctor-no-run", "doctor --run none", r"none is not a run directory: there is no such folder"),
    _of("doctor-no-scenario", "doctor --scenario quickstrat", r"no scenario 'quickstrat'.*Did you mean 'quickstart'\?"),
    _of("doctor-broken-scenario", "doctor --scenario s.yaml", r"s\.yaml, line .*unknown key 'sede'", s_yaml=control()["s.yaml"] + "sede: 1\n"),
    _of("doctor-model-and-run", "doctor tiny --run out", r"^error: tiny, --run out are 2 patients"),
    _of("doctor-begun", "doctor --run out", r"out has no checkpoint yet", out__scenario_yaml=control()["s.yaml"]),
    _of("doctor-lone-checkpoint", "doctor --scenario quickstart --checkpoint last", r"--checkpoint last belongs to a run"),
    _of("doctor-lone-revision", "doctor --run out --revision main", r"--revision belongs to a model"),
    _of("doctor-package", "doctor package:none-such", r"package 'none-such' is not installed"),
    _of("doctor-tiny-typo", "doctor tinny", r"'tinny'.*(tiny|hub id)"),
    _of("doctor-two", "doctor a b", r"takes MODEL and nothing more, not b"),
    _of("doctor-flag", "doctor --model tiny", r"peripatos doctor has no option --model; it has"),
    _of("audit-split", "check CartPole-v1 --audit --split tets", r"'tets'.*'test'\?"),
    _of("audit-episodes", "check CartPole-v1 --audit --episodes 0", r"--episodes is 0; .* 1 or greater"),
    _of("check-module", "check my_worlds", r"my_worlds"),
    _of("check-file", "check my_worlds.py", r"my_worlds:NAME|my_worlds\.py", my_worlds_py="x = 1\n"),
    _of("export-zero", "export quickstart --episodes 0", r"--episodes is 0; .* 1 or greater"),
    _of("export-split", "export peripatos/Arithmetic-v0 --episodes 1 --split tets", r"'tets'.*'test'\?|has no option --split"),
    _of("export-out-folder", "export peripatos/Arithmetic-v0 --episodes 1 --out f", r"f is there already.*another --out", f=_folder),
]  # fmt: skip

PAYS = """\
from peripatos.envs.conversation import TaskWorld

def one(reply, task):
    return 1.0

def terms(reply, task):
    return {"exact": 1.0}

def world(reward="pays:one", **more):
    return TaskWorld([{"prompt": str(n)} for n in range(40)], reward, **more)
"""
ENDLESS = """\
import gymnasium
import numpy as np

class World(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 1.0, self.np_random.random() < 0.2, False, {}
"""
TINY = "kind: tiny_llama, hidden: 32, layers: 1, heads: 2"
SEGMENTS = "    collect: {groups: 2, horizon: 16}\n    overrides: {update: {epochs: 1, minibatches: 2}}\n"


def _from(name: str, agent: str, *needs: str, world: str = "CartPole-v1", slow: bool = False) -> Case:
    """Begins from the agent of the run `out`."""
    other = control("CartPole-v1", world, "kind: mlp, hidden: [16]", agent)["s.yaml"]
    return Case(name, {**control(), "t.yaml": other}, *needs, argv="run t.yaml --out new", before=RAN, slow=slow)


def _paid(name: str, options: str, *needs: str) -> Case:
    text = language("peripatos/Arithmetic-v0", '"pays:world"', OPTIONS, options)
    return Case(name, {**text, "pays.py": PAYS}, *needs)


def _short(name: str, context: int, most: int, *needs: str) -> Case:
    text = language(TINY, f"kind: causal_lm, model: ./m, context: {context}", "max_tokens: 6", f"max_tokens: {most}")
    return Case(name, {**text, "m": model()}, *needs)


BEGINNINGS = [
    Case("seed-twice", control(), r"--seed 3 and --set seed=4 say two things of seed; give one of them", argv="run s.yaml --seed 3 --set seed=4"),
    Case("seed-twice-alike", control(), argv="run s.yaml --seed 3 --set seed=3 --dry-run"),
    Case("device-twice", control(), r"--device cpu and --set device=auto say two things of device", argv="run s.yaml --device cpu --set device=auto"),
    Case("device-flag", control(), r"^error: --device gpu: unknown device 'gpu'", argv="run s.yaml --device gpu"),
    Case("compare-seeds-huge", control(), r"--seeds is 99999999999; .* at most 1,000,000", argv="compare s.yaml --methods ppo --seeds 99999999999"),
    Case("out-there", {**control(), "out/mine.txt": "1"}, r"out is there already.*another --out"),
    Case("out-is-file", {**control(), "out": "1"}, r"out is there already.*another --out"),
    Case("out-within-file", {**control(), "a.txt": "1"}, r"the folder a\.txt/b/out cannot be made: a\.txt is a file", argv="run s.yaml --out a.txt/b/out"),
    Case("out-of-default", {**control(), "runs": "1"}, r"the folder runs cannot be made: runs is a file", argv="run s.yaml"),
    _from("from-world", "from: out", r"t\.yaml, line 3, column 9: agent\.from is 'out'.*observation_size 4; this one has 3", world="Pendulum-v1"),
    _from("from-no-run", "from: gone", r"t\.yaml, line 3.*gone is not a run directory"),
    _from("from-no-checkpoint", "from: out, checkpoint: 77", r"t\.yaml, line 3, column 20: .*no checkpoint '77'; it has best, last, 000000, 000002"),
    _from("from-key-typo", "from: out, chekpoint: last", r"line 3, column 20: .*'chekpoint' cannot be given beside `from`, only checkpoint\. Did you mean 'checkpoint'\?"),
    _from("from-null", "from: null", r"line 3.*agent\.from is null; allowed is a run directory"),
    _from("from-checkpoint-null", "from: out, checkpoint: null", r"line 3, column 20: agent\.checkpoint is null; allowed are best, last and a number"),
    _paid("weights-of-number", "{weights: {foo: 1}}", r"s\.yaml, line 2.*'pays:one' gives the reward term 'reward' \(so a number is called\), and weights name foo.*weights: \{reward: 1\.0\}"),
    _paid("weights-forgotten", '{reward: "pays:terms"}', r"'pays:terms' gives the reward term 'exact', and weights name reward.*weights: \{exact: 1\.0\}"),
    _paid("weights-typo", '{reward: "pays:terms", weights: {exakt: 1}}', r"gives the reward term 'exact', and weights name exakt\. Give weights: \{exact: 1\.0\}, in the place of 'exakt'"),
    _paid("weights-well", '{reward: "pays:terms", weights: {exact: 2}}'),
    _short("context-one", 1, 6, r"agent\.context is 1, .*max_tokens may be 6; allowed is 7 or greater"),
    _short("context-reply", 6, 6, r"agent\.context is 6, .*allowed is 7 or greater"),
    _short("context-prompt", 4, 2, r"line \d+.*none of the 16 train prompts that were tried fits into the model's context of 4 tokens"),
    Case("endless-length", {**control("CartPole-v1", "'w:World'", "method: ppo", "method: dr_grpo", SEGMENTS, "    collect: {groups: 2, group_size: 2}\n"), "w.py": ENDLESS}, r"line \d+.*no limit of steps; give overrides\.update\.length"),
]  # fmt: skip

CASES = [*NO_RUNS, *ON_RUNS, *LOOKING, *BEGINNINGS]
