"""Sums and products, in the head or with a calculator; mathematics with answers of every kind."""
