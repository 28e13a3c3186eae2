"""Worlds of messages: the base of them all, and worlds made of tasks and a reward function."""

from .conversation_env import ConversationEnv, Opening, Outcome
from .task_source import load_tasks
from .task_world import TaskWorld

__all__ = ["ConversationEnv", "Opening", "Outcome", "TaskWorld", "load_tasks"]
