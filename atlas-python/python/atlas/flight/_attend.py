"""Waiting for a call such that Ctrl-C ends the wait: pyarrow's calls do not return before they are done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def attend(call: Callable[[], T]) -> T:
    """What `call` returns or raises. In the main thread, where signals arrive, it runs in another one: a
    KeyboardInterrupt leaves it to end by itself."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="atlas-flight-call", daemon=True).start()
    done.wait()
    if errors:
        raise errors[0]
    return results[0]
