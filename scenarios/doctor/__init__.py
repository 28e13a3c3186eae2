"""What `peripatos doctor` finds out: about this machine, about a model, and about an agent in its worlds."""
