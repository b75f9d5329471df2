"""Turns are taken in the order of coming, also beside somebody who comes again at once."""

import threading
import time

from metering.storage.engine.fifo_lock import FifoLock


def wait_until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_longest_waiter_is_next():
    turns, order = FifoLock(), []
    assert turns.take(1)

    def run(number):
        assert turns.take(20)
        order.append(number)
        turns.give_up()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=run, args=(number,)))
        threads[-1].start()
        wait_until(lambda number=number: len(turns._waiting) == number + 1)
    turns.give_up()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_a_thread_that_comes_back_at_once_queues_behind_those_that_wait():
    turns, came = FifoLock(), threading.Event()
    assert turns.take(1)

    def run():
        assert turns.take(20)
        came.set()
        turns.give_up()

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: turns._waiting)
    turns.give_up()
    assert turns.take(20)
    assert came.is_set()
    thread.join()


def test_a_waiter_that_times_out_blocks_no_one():
    turns = FifoLock()
    assert turns.take(1)
    assert not turns.take(0.01)
    turns.give_up()
    assert turns.take(1)
