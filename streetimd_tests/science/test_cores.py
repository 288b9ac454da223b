"""Work is spread over the cores with the same result, and no worker outlives its process or has more threads."""

import os
import subprocess
import sys

from streetimd_assets.science.cores import FEW_VALUES, spread

# as the runs of a study: a process of its own, which spreads arrays so large that joblib keeps a map of them
RUN_IN_A_CHILD = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from streetimd_assets.science.cores import FEW_VALUES, spread

def in_workers():
    arrays = [np.ones((1700, 600)) for _ in range(4)]
    assert spread(np.sum, arrays, n_values=FEW_VALUES, n_cores=2) == [1700 * 600] * 4

if __name__ == "__main__":
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, max_tasks_per_child=8) as pool:
        pool.submit(in_workers).result()
"""


def square_and_process(number):
    return number**2, os.getpid()


def threads_of_a_worker(_):
    import numpy as np
    from threadpoolctl import threadpool_info

    np.linalg.eigh(np.eye(50))
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


def test_much_work_is_spread_in_the_order_of_the_items_and_little_is_not():
    many = spread(square_and_process, range(6), n_values=FEW_VALUES, n_cores=2)
    assert [square for square, _ in many] == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {process for _, process in many}
    few = spread(square_and_process, range(6), n_values=FEW_VALUES - 1, n_cores=2)
    assert few == [(number**2, os.getpid()) for number in range(6)]


def test_a_worker_has_one_thread_whatever_the_process_has(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert set(spread(threads_of_a_worker, range(4), n_values=FEW_VALUES, n_cores=2)) == {1}


def test_a_process_of_multiprocessing_ends_with_its_work_though_workers_are_kept_for_the_next_call(tmp_path):
    path = tmp_path / "run.py"
    path.write_text(RUN_IN_A_CHILD)
    # workers that nobody tells to end stay for five minutes, and the process with them
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
