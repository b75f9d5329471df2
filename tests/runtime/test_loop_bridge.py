"""Results of a thread reach futures of an event loop. Many need one wake-up, and canceled futures do not matter."""

import asyncio
import threading

import pytest

from metering.runtime.loop_bridge import LoopBridge


def run_in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_results_and_errors_reach_their_futures():
    async def gather_results():
        bridge: LoopBridge[int] = LoopBridge(asyncio.get_running_loop())
        pairs = [bridge.new_future() for _ in range(50)]

        def deliver():
            for number, (_, on_result) in enumerate(pairs):
                on_result(ValueError(f"no {number}") if number % 5 == 0 else number)

        run_in_thread(deliver)
        return await asyncio.gather(*(future for future, _ in pairs), return_exceptions=True)

    results = asyncio.run(gather_results())
    assert [str(each) for each in results] == [f"no {n}" if n % 5 == 0 else str(n) for n in range(50)]


def test_results_that_arrive_together_wake_the_loop_once(monkeypatch):
    async def count_wakeups():
        loop = asyncio.get_running_loop()
        bridge: LoopBridge[int] = LoopBridge(loop)
        wakeups = []
        wake = loop.call_soon_threadsafe

        def counted(*callback):
            wakeups.append(callback)
            return wake(*callback)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        for _ in range(2):
            pairs = [bridge.new_future() for _ in range(50)]
            run_in_thread(lambda: [on_result(number) for number, (_, on_result) in enumerate(pairs)])  # noqa: B023
            assert await asyncio.gather(*(future for future, _ in pairs)) == list(range(50))
        return len(wakeups)

    assert asyncio.run(count_wakeups()) == 2


def test_a_canceled_future_does_not_block_others():
    async def await_second():
        bridge: LoopBridge[int] = LoopBridge(asyncio.get_running_loop())
        (canceled, on_first), (awaited, on_second) = bridge.new_future(), bridge.new_future()
        canceled.cancel()
        run_in_thread(lambda: (on_first(ValueError("not awaited")), on_second(7)))
        return await awaited

    assert asyncio.run(await_second()) == 7


@pytest.mark.parametrize("seed", range(3))
def test_no_result_is_lost_between_two_wakeups(seed):
    async def sum_results():
        bridge: LoopBridge[int] = LoopBridge(asyncio.get_running_loop())
        total = 0
        for _ in range(20):
            pairs = [bridge.new_future() for _ in range(200)]
            thread = threading.Thread(target=lambda: [on_result(1) for _, on_result in pairs])  # noqa: B023
            thread.start()
            total += sum(await asyncio.wait_for(asyncio.gather(*(future for future, _ in pairs)), 30))
            thread.join()
        return total

    assert asyncio.run(sum_results()) == 4_000


def test_a_closed_loop_does_not_fail_the_thread():
    async def new_future():
        return LoopBridge(asyncio.get_running_loop()).new_future()

    _, on_result = asyncio.run(new_future())
    run_in_thread(lambda: on_result(1))
