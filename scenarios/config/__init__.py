"""Scenario files: their schema, how they are read, and what is said of a mistake in one."""
