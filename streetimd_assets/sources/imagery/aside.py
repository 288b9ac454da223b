"""Run asynchronous work beside the calling thread, which stays free to be interrupted."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")

LOOK_EVERY_S = 1.0


def run_aside(work: Callable[[], Coroutine[Any, Any, Result]], *, look: Callable[[], None] | None = None) -> Result:
    """Run a coroutine to its end, in an event loop in a thread of its own.

    A notebook has an event loop running already, and a signal reaches only the main thread: so the
    work is done aside. Whatever interrupts the calling thread cancels the work, waits until the work has
    put its things in order, and then goes on.

    Parameters
    ----------
    work
        Makes the coroutine.
    look
        Called in the calling thread about once a second; what it raises is an interruption too.
    """
    ended: Future[Result] = Future()
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[Any] | None] = []
    interrupted: list[bool] = []

    async def begin() -> Result:
        if interrupted:
            raise asyncio.CancelledError
        tasks.append(asyncio.current_task())
        return await work()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                result = runner.run(begin())
            ended.set_result(result)
        except BaseException as error:
            ended.set_exception(error)

    def cancel() -> None:
        interrupted.append(True)
        for task in tasks:
            if task is not None:
                task.cancel()

    # a second interruption leaves the thread alone, so it must not keep the process alive
    Thread(target=run, name="imagery", daemon=True).start()
    try:
        while not wait([ended], timeout=LOOK_EVERY_S).done:
            if look is not None:
                look()
    except BaseException:
        if not loop.is_closed():
            loop.call_soon_threadsafe(cancel)
        wait([ended])
        raise
    return ended.result()
