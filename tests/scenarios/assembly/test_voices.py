"""`world.voices`: whole small runs with every kind of customer, and what is refused when the scenario is read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from scenarios_runs import write_scenario

import peripatos
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.auditing import audit_world
from peripatos.envs.check import check_world
from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.checks import check_parts
from peripatos.scenarios.config.loading import open_scenario
from peripatos.scenarios.export_chat import export_demonstrations
from peripatos.scenarios.run.disk import RunFailed

SCENARIO = """\
name: booking
world:
  id: booking_world:Booking
  voices: {customer: CUSTOMER}
agent: {kind: tiny_llama, hidden: 32, layers: 1}
sampling: {max_tokens: 6}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4}
    budget: {updates: 2}
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 3}
    budget: {updates: 2}
evaluation: {episodes: 4}
"""


SCRIPTED = "{kind: scripted, function: booking_world:customer}"
POLICY = "{kind: policy, max_tokens: 8}"


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world is not beside the scenario."""
    monkeypatch.setenv("PERIPATOS_TRUST", "1")


def played(folder: Path, customer: str, out: str) -> peripatos.Run:
    folder.mkdir(exist_ok=True)
    path = write_scenario(folder, SCENARIO.replace("CUSTOMER", customer))
    return peripatos.run(path, out=folder / out)


def words(run: peripatos.Run, update: int) -> list[str]:
    """What the customers said."""
    episodes = run.episodes(update)
    return [m["content"] for episode in episodes for m in episode["messages"] if m["role"] == "user"]


@pytest.mark.parametrize("kind", ["scripted", "policy", "causal_lm"])
def test_a_customer_of_each_kind_is_played_with_through_a_whole_run(tmp_path: Path, kind: str) -> None:
    customer = {"scripted": SCRIPTED, "policy": POLICY}.get(kind)
    if customer is None:
        LanguagePolicy(*tiny_llama(seed=5, hidden=32, layers=1)).save(tmp_path / "model")
        customer = f"{{kind: causal_lm, model: {tmp_path / 'model'}, max_tokens: 8, temperature: 0.7}}"
    before = set(threading.enumerate())
    runs = [played(tmp_path, customer, out) for out in ("one", "two")]
    for run in runs:
        assert run.summary["status"] == "done"
        assert run.summary["failed_episodes"] == 0
        assert run.summary["updates"] == 4
    first, last = words(runs[0], 0), words(runs[0], 4)
    assert first == words(runs[1], 0)
    assert all(word.startswith("a table for") for word in first + last) == (kind == "scripted")
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "engine"]


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as refused:
        check_parts(*open_scenario(str(write_scenario(folder, text)), ()))
    return str(refused.value)


WITHOUT_LEARNING = """\
name: booking
world:
  id: booking_world:Booking
  voices: {customer: CUSTOMER}
agent: {kind: oracle}
stages: [{name: look}]
"""


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (SCENARIO.replace("{customer: CUSTOMER}", "{}"), 2, "talks to 'customer': give world.voices.customer, of kind"),
        (
            SCENARIO.replace("customer: CUSTOMER", f"customre: {SCRIPTED}"),
            4,
            "unknown voice 'customre'; allowed: customer. Did you mean 'customer'?",
        ),
        (
            SCENARIO.replace("customer: CUSTOMER", f"customer: {SCRIPTED}, judge: {SCRIPTED}"),
            4,
            "unknown voice 'judge'; allowed: customer",
        ),
        (
            SCENARIO.replace("booking_world:Booking", "peripatos/Arithmetic-v0").replace("CUSTOMER", SCRIPTED),
            4,
            "none is",
        ),
        (SCENARIO.replace("CUSTOMER", "{kind: scripted, function: booking_world:custmer}"), 4, "custmer"),
        (SCENARIO.replace("CUSTOMER", "{kind: oracle}"), 4, "oracle"),
        (SCENARIO.replace("CUSTOMER", "{kind: policy, max_token: 3}"), 4, "max_token"),
        (SCENARIO.replace("CUSTOMER", "{kind: causal_lm, model: ./nowhere}"), 4, "no model folder"),
        (
            WITHOUT_LEARNING.replace("CUSTOMER", POLICY),
            4,
            "'customer' is to be the agent itself, and one of kind 'oracle'",
        ),
        (SCENARIO.replace("Booking", "InPlace").replace("CUSTOMER", POLICY), 4, "write `waits = True` in its class"),
    ],
)
def test_a_voice_that_is_missing_unknown_or_mute_is_refused_when_the_scenario_is_read(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    said = refusal(tmp_path, text)
    assert message in said
    assert f"line {line}" in said


def test_a_scripted_customer_may_speak_where_nobody_waits(tmp_path: Path) -> None:
    text = WITHOUT_LEARNING.replace("Booking", "InPlace").replace("CUSTOMER", SCRIPTED)
    run = peripatos.run(write_scenario(tmp_path, text), {"evaluation.episodes": 3}, out=tmp_path / "out")
    assert run.evaluations[-1]["success_rate"] == 1.0


def test_what_gives_no_text_is_named_before_anybody_waits_for_it(tmp_path: Path) -> None:
    text = WITHOUT_LEARNING.replace("CUSTOMER", SCRIPTED.replace("booking_world:customer", "booking_world:seven"))
    with pytest.raises(RunFailed, match=r"(?s)booking_world:seven.*no text"):
        peripatos.run(write_scenario(tmp_path, text), out=tmp_path / "out")


def test_who_checks_a_world_that_talks_to_others_lends_it_a_voice() -> None:
    findings = check_world("booking_world:Booking")
    assert not [finding for finding in findings if "KeyError" in finding.detail]
    assert audit_world("booking_world:Booking", episodes=4).best is not None


def test_an_expert_is_exported_with_the_customers_of_the_scenario(tmp_path: Path) -> None:
    told = export_demonstrations(str(write_scenario(tmp_path, SCENARIO.replace("CUSTOMER", SCRIPTED))), 3)
    assert len(told.rows) == 3
    with pytest.raises(UserError, match=r"customer.*policy"):
        export_demonstrations(str(write_scenario(tmp_path, SCENARIO.replace("CUSTOMER", POLICY))), 3)
