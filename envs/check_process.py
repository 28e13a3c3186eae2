"""Checks of what a world does besides its steps: whether it ends, and what it leaves behind in the process."""

from __future__ import annotations

import io
import sys

from .check_play import STEPS, Broken, Env, play, require
from .contained import process_state
from .conversation.conversation_env import ConversationEnv
from .reported import begin
from .time_limits import least, time_limit


def talk_ends(world: Env) -> str:
    inside = world.unwrapped
    assert isinstance(inside, ConversationEnv)
    limit = least(inside.turn_limit, time_limit(world))
    if limit is not None:
        return f"at most {limit} turns"
    begin(world, 0)
    for turn in range(1, (inside.endless_after or STEPS) + 2):
        _, _, terminated, truncated, _ = world.step(world.action_space.sample())
        if terminated or truncated:
            return f"nothing limits it; one of random replies ended after {turn} turns"
    raise Broken("none did, and nothing limits them: write max_turns in the class")


def leaves_the_process(world: Env) -> str:
    before, printed, out = process_state(), io.StringIO(), sys.stdout
    sys.stdout = printed
    try:
        for seed in range(2):
            play(world, seed)
    finally:
        kept, sys.stdout = sys.stdout is printed and not printed.closed, out
    changed = [what for what, value in process_state().items() if value != before[what]]
    require(not changed and kept, f"it changes {', '.join(changed or ['standard output'])}, for whoever runs it")
    return "what it prints goes to stderr in a run" if printed.getvalue() else ""
