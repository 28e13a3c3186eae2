"""Bodies in MuJoCo."""
