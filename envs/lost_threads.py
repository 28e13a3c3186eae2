"""Work in threads that may be lost: what hangs in one keeps nobody waiting, not even the end of the process.

On Linux each has a current folder of its own, so that a world that steps into another one moves nobody else; nor does
one that comes back late, when `Contained` puts back the folder in which it began.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_CLONE_FS = 0x200  # of unshare(2): the current folder and the umask; any process may
Result = TypeVar("Result")


def own_folder() -> None:
    """From now on this thread's current folder is its own. Where that is forbidden, it stays everybody's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_CLONE_FS)


def in_thread(work: Callable[[], Result], name: str) -> Future[Result]:
    """What `work` will have given, in a thread of its own. An executor's threads are waited for at the end."""
    future: Future[Result] = Future()

    def run() -> None:
        own_folder()
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
