"""Worlds of messages: the base of them all, and worlds made of tasks and a reward function."""

from .conversation_env import ConversationEnv, Opening, Outcome
from .task_world import TaskWorld, load_tasks

__all__ = ["ConversationEnv", "Opening", "Outcome", "TaskWorld", "load_tasks"]
