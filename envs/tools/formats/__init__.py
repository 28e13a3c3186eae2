"""How models write tool calls: a file for each way, see `call_formats`."""
