"""From the words of a scenario to the things that run."""
