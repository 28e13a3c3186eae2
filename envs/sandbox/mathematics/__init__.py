"""What the mathematics grader knows: notation, numerals, units, words, algebra, and what a careful person accepts.

Imported by `maths_worker.py` as a package of its own, so it imports nothing of the rest of the project.
"""

VERSION = "5"  # raised when an answer may get another verdict than before
