"""Work is spread over the cores with the same result, and no worker has more than one thread."""

import os

from streetimd_assets.science.cores import FEW_VALUES, spread


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
