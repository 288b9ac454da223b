"""Use every core for work that falls into independent parts, with the same result as one core."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# starting a process costs seconds: less than this is done sooner in this one
FEW_VALUES = 150_000


def spread(
    function: Callable[[Item], Result], items: Iterable[Item], *, n_values: int, n_cores: int | None = None
) -> list[Result]:
    """Apply a function to each item, each in one of several processes if the work is worth them.

    Processes and not threads: scikit-learn's estimators change the process's warning filters, for which
    threads wait for one another. What each item gives must depend on nothing but the item, so the number
    of cores changes no result.

    Parameters
    ----------
    function, items
        A function of a module, and what it is given each time.
    n_values
        Numbers in the matrix each item works on: with fewer than :data:`FEW_VALUES` no process is started.
    n_cores
        Processes used; one for each core if left out.

    Returns
    -------
    results
        In the order of the items.
    """
    todo: Sequence[Item] = list(items)
    if n_values < FEW_VALUES or len(todo) < 2 or n_cores == 1:
        return [function(item) for item in todo]
    import joblib

    _end_workers_with_this_process()
    # a worker is one of as many as there are cores: threads of its own would make it wait for the others
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        workers: Any = joblib.Parallel(n_jobs=min(n_cores or joblib.cpu_count(), len(todo)))
        return list(workers(joblib.delayed(function)(item) for item in todo))


@cache
def _end_workers_with_this_process() -> None:
    """Have idle workers end when this process does.

    They are kept for the next call. A process started by :mod:`multiprocessing`, as Dagster's runs are,
    waits at its end for its children, and these would wait five minutes for more work.
    """
    from multiprocessing.util import Finalize

    # before the queues to the workers are closed, or they would not be told
    Finalize(None, _end_workers, exitpriority=100)


def _end_workers() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)
