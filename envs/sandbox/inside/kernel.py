"""A persistent Python: runs cells in one namespace, as an interactive interpreter would.

It is started by the supervisor of a session (`cells.py`) and shares a process with nothing of value.
"""

from __future__ import annotations

import ast
import linecache
import os
import signal
import site
import sys
import traceback
from types import CodeType

from .codec import Channel


def _compile(code: str, name: str) -> list[CodeType]:
    """The cell as code; a last line that is an expression is compiled so that its value is shown."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    parts = [compile(tree, name, "exec", dont_inherit=True)]
    if last is not None:
        parts.append(compile(ast.Interactive([last]), name, "single", dont_inherit=True))
    return parts


def _run(code: str, name: str, scope: dict[str, object]) -> bool:
    """Run one cell; whether it came through."""
    # Tracebacks shall show the cell's own lines.
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    try:
        for part in _compile(code, name):
            exec(part, scope)
    except SystemExit:
        raise
    except BaseException:
        kind, error, trace = sys.exc_info()
        while trace is not None and trace.tb_frame.f_code.co_filename != name:
            trace = trace.tb_next
        traceback.print_exception(kind, error, trace)
        return False
    return True


def serve(channel: int, output: int) -> None:
    """Run cells until the supervisor hangs up. Never returns."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(channel, 3)
    os.closerange(4, 4096)
    site.setquit()  # exit() is defined by a full start of the interpreter only
    frames = Channel(3)
    scope: dict[str, object] = {"__name__": "__main__", "__builtins__": __builtins__}
    number, own = 0, os.getpid()
    while True:
        try:
            message = frames.receive()
            number += 1
            fine = _run(message["code"], f"<cell {number}>", scope)
            sys.stdout.flush()
            sys.stderr.flush()
            if os.getpid() != own:  # a child that the cell forked has come to the end of the cell
                os._exit(0)
            frames.send({"ok": fine})
        except EOFError:
            os._exit(0)
        except KeyboardInterrupt:  # an interrupt that came between cells
            continue
        except SystemExit:
            sys.stdout.flush()
            os._exit(0)
