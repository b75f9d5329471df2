"""Waiters get the lock in the order of arrival, even next to a thread that takes it again at once."""

import threading
import time

from metering.storage.engine.fifo_lock import FifoLock


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_longest_waiter_is_next():
    lock, order = FifoLock(), []
    assert lock.acquire(1)

    def run(number):
        assert lock.acquire(20)
        order.append(number)
        lock.release()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=run, args=(number,)))
        threads[-1].start()
        wait_until(lambda number=number: len(lock._waiting) == number + 1)
    lock.release()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_a_thread_that_comes_back_at_once_queues_behind_those_that_wait():
    lock, acquired = FifoLock(), threading.Event()
    assert lock.acquire(1)

    def run():
        assert lock.acquire(20)
        acquired.set()
        lock.release()

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: lock._waiting)
    lock.release()
    assert lock.acquire(20)
    assert acquired.is_set()
    thread.join()


def test_a_waiter_that_times_out_blocks_no_one():
    lock = FifoLock()
    assert lock.acquire(1)
    assert not lock.acquire(0.01)
    lock.release()
    assert lock.acquire(1)
