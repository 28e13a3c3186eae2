"""Tools for agents: what a tool is, worlds made of them, calls in text, and tools from servers and sandboxes."""

from .mcp_server import McpServer
from .tool import Tool, ToolBox, Toolkit
from .tool_world import ToolWorld
from .user import VoiceUser
from .workbench import Workbench

__all__ = ["McpServer", "Tool", "ToolBox", "ToolWorld", "Toolkit", "VoiceUser", "Workbench"]
