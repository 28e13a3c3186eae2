"""Where a run's actors are: in its own process, or in many."""
