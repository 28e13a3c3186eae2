"""A run: stages in order, and the directory that holds what they did."""
