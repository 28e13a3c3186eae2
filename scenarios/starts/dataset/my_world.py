"""A world from a file of tasks: each line has a prompt, its answer, and what an expert would say (`oracle`)."""

from pathlib import Path

import gymnasium

from peripatos.envs.conversation import TaskWorld


def right(reply, row):
    """True for the answer and nothing else. A number would be a reward that is no success."""
    return reply.text.strip() == row["answer"]


def MyWorld():
    """Say a word backwards."""
    return TaskWorld(str(Path(__file__).with_name("tasks.jsonl")), right)


gymnasium.register(id="my_world/MyWorld-v0", entry_point=MyWorld)
