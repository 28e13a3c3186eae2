"""What the agent of a new run begins as: all that is checked once a scenario's parts are known to be good.

`run`, `run --dry-run` and `peripatos.run` come through here, so that a rehearsal says what a run would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...agents.protocols import Policy
from ..assembly.policies import is_at_hand, make_policy
from ..assembly.prompts import check_prompts
from ..assembly.rendering import template_remarks
from ..assembly.texts import remarks_on_texts
from ..assembly.voices import check_voices_load
from ..assembly.worlds import WorldSources, remarks_on_written
from ..assembly.written_lengths import check_written
from ..config.mistakes import at
from ..config.schema import Scenario
from .roles import check_models, check_models_fit, remarks_on_judges
from .run_directory import check_new
from .saved_agent import begin_from, check_origin


@dataclass(frozen=True)
class Notes:
    """What is to be told of a beginning, a sentence each: as it is, and as a warning."""

    said: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def check_place(scenario: Scenario, out: Path | None) -> Scenario:
    """UserError if the run could not read the agent that it begins from or a model of its stages, or could not have its
    folder: `out`, or one of its own below `runs`. Gives the scenario with other runs' checkpoints by their numbers."""
    check_origin(scenario)
    scenario = check_models(scenario)
    check_new(Path("runs") if out is None else out, shared=out is None)
    return scenario


def begin(scenario: Scenario, policy: Policy | None, sources: WorldSources, resumed: bool = False) -> Notes:
    """Make a new `policy` what the run begins with; one that was `resumed` is that already. UserError where it does not
    fit, or no prompt fits into it."""
    if policy is None:
        return Notes()
    said = list(template_remarks(policy, scenario, sources))
    if resumed:
        return Notes(tuple(said))
    said += [*remarks_on_written(scenario), *remarks_on_texts(scenario, policy)]
    origin = getattr(scenario.agent, "origin", None)
    if origin is not None:
        said.append(f"begins as {begin_from(policy, origin)}")
    check_models_fit(scenario, policy, sources)
    said += remarks_on_judges(scenario)
    with at("agent"):
        warned = (
            [*check_prompts(scenario, policy, sources), *check_written(scenario, policy)] if scenario.speaks else []
        )
    return Notes(tuple(said), tuple(warned))


def rehearse_beginning(scenario: Scenario, sources: WorldSources) -> Notes:
    """As a run would begin, on the CPU; its agent is forgotten. A model that has yet to be fetched is not looked at."""
    if not is_at_hand(scenario.agent):
        model = getattr(scenario.agent, "model", "")
        missing = f"the model {model!r} is not on this disk, so it was not looked at; a run fetches it from the hub"
        return Notes(warned=(missing,))
    notes = begin(scenario, make_policy(scenario, "cpu", sources.first), sources)
    check_voices_load(scenario)
    return notes
