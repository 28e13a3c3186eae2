"""Sums and products, in the head or with a calculator."""
