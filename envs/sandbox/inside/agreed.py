"""What the host and the sandbox agree on. It needs nothing that only Linux has: the host is imported anywhere."""

from __future__ import annotations

CONTROL = 3  # the descriptor of the socket to the host, inside
READY = b"+"  # the first word on a socket
DEVICES = ("null", "zero", "full", "random", "urandom")
WORKSPACE = "/workspace"
PACKAGES = "/packages"  # where installed packages are that programs may import
