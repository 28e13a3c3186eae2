"""Worlds that come with Peripatos, a shelf for each kind; no shelf imports another."""
