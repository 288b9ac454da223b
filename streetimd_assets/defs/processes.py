"""Processes that do one task after another, and end when whoever started them ends.

concurrent.futures is not used because a task that it has handed out cannot be called back: after Ctrl+C the
next local authorities would still begin, and spend money. Its processes do not notice either when the one
that started them is killed, and on many versions of Python it waits for ever once a process has done as
many tasks as it may (https://github.com/python/cpython/issues/115634).
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

# a fresh process now and then gives its memory back
_TASKS_EACH = 8
_LOOK_EVERY_S = 0.5
_PATIENCE_S = 20


class ProcessKilledError(Exception):
    """A process ended in the middle of its task."""


def do_in_processes(
    act: Callable[..., None], tasks: Iterable[Sequence[Any]], n_processes: int, *, meanwhile: Callable[[], None]
) -> list[Exception | None]:
    """Do tasks in processes of their own, a few at a time, each begun only when a process is free for it.

    Stopped by an exception, such as that of Ctrl+C, no further task begins, and those at work are interrupted.

    Parameters
    ----------
    act
        Function of a module.
    tasks
        Arguments of each call.
    n_processes
        Tasks done at the same time.
    meanwhile
        Called now and then, the last time when all is done.

    Returns
    -------
    errors
        What each task raised, None where nothing.

    Raises
    ------
    ProcessKilledError
        If a process is killed.
    """
    waiting = deque(enumerate(tasks))
    errors: list[Exception | None] = [None] * len(waiting)
    workers: list[_Worker] = []
    with asked_to_end():
        try:
            while waiting or any(worker.number is not None for worker in workers):
                while waiting and (worker := _free(workers, n_processes, act)):
                    worker.begin(*waiting.popleft())
                busy = {worker.pipe: worker for worker in workers if worker.number is not None}
                for pipe in wait(list(busy), _LOOK_EVERY_S):
                    number, error = busy[pipe].finish()  # type: ignore[index]
                    errors[number] = error
                workers = [worker for worker in workers if not worker.is_retired]
                meanwhile()
        finally:
            for worker in workers:
                worker.interrupt()
            for worker in workers:
                worker.end()
    return errors


@contextmanager
def asked_to_end() -> Iterator[None]:
    """Let every sign that asks a program to end do what Ctrl+C does; a second one is for the impatient."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        # only there can signs be heard
        yield
        return
    signs = [signal.SIGINT, signal.SIGTERM]
    # of a closed terminal; `nohup` has it ignored, and it stays so
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signs.append(signal.SIGHUP)
    # a sign that is heard here is heard by what is started too; one that a script ignores it would ignore for ever
    before = {sign: signal.signal(sign, stop) for sign in signs}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


class _Worker:
    """A process, seen from the one that started it."""

    def __init__(self, act: Callable[..., None]) -> None:
        spawning = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_work, args=(act, theirs))
        self._process.start()
        # so that the pipe ends with the process
        theirs.close()
        self._n_begun = 0
        self.number: int | None = None

    @property
    def is_retired(self) -> bool:
        return self.pipe.closed

    def begin(self, number: int, task: Sequence[Any]) -> None:
        self.number, self._n_begun = number, self._n_begun + 1
        with suppress(OSError):
            # one that was killed is noticed where its answer is read
            self.pipe.send(task)

    def finish(self) -> tuple[int, Exception | None]:
        """Read what became of its task; after so many it ends."""
        assert self.number is not None
        try:
            error = self.pipe.recv()
        except (EOFError, OSError):
            raise ProcessKilledError from None
        number, self.number = self.number, None
        if self._n_begun >= _TASKS_EACH:
            self.end()
        return number, error

    def interrupt(self) -> None:
        """Tell it to stop its task, if it has one."""
        if self.number is not None and self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, signal.SIGINT)

    def end(self) -> None:
        """Let it end, and make it."""
        self.pipe.close()
        try:
            self._process.join(_PATIENCE_S)
        finally:
            self._process.kill()
            self._process.join()


def _free(workers: list[_Worker], n_processes: int, act: Callable[..., None]) -> _Worker | None:
    """Return a process without a task, a new one if there may be more of them."""
    for worker in workers:
        if worker.number is None:
            return worker
    if len(workers) >= n_processes:
        return None
    workers.append(_Worker(act))
    return workers[-1]


def _work(act: Callable[..., None], pipe: "Connection[Any, Any]") -> None:
    """Do tasks until there are no more; in this process."""
    with suppress(EOFError, OSError, KeyboardInterrupt):
        # Ctrl+C in a terminal is told to us once, by the process that started us
        os.setsid()
        threading.Thread(target=_end_with_the_first, daemon=True).start()
        while True:
            task, error = pipe.recv(), None
            try:
                act(*task)
            except Exception as problem:
                error = problem
            _send(pipe, error)


def _send(pipe: "Connection[Any, Any]", error: Exception | None) -> None:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        # some errors cannot be sent as they are, and some cannot be made again where they arrive
        error = RuntimeError("".join(traceback.format_exception(error)))
    pipe.send(error)


def _end_with_the_first() -> None:
    """Stop when the process that started us is gone, however it ended: nobody would see what we do."""
    first = multiprocessing.parent_process()
    assert first is not None
    wait([first.sentinel])
    os.kill(os.getpid(), signal.SIGINT)
