"""What runs inside the sandbox: standard library only, and nothing here is trusted by the host.

The host sends these sources to the sandbox's own interpreter, which may be another (Python ≥ 3.9) than the host's.
"""
