"""The operators that objects of the program's may have, by the names of their methods."""

from __future__ import annotations

BINARY = ["add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"]
ORDER = ["lt", "le", "gt", "ge"]
UNARY = ["neg", "pos", "abs", "invert"]
