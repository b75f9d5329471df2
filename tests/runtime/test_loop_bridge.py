"""What a thread made comes to who waits in an event loop; many answers need one wake-up, and nobody who left is missed."""

import asyncio
import threading

import pytest

from metering.runtime.loop_bridge import LoopBridge


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_answers_and_errors_come_to_whom_they_are_for():
    async def waiting():
        answers = LoopBridge(asyncio.get_running_loop())
        expected = [answers.expect() for _ in range(50)]

        def answer():
            for number, (_, answered) in enumerate(expected):
                answered(ValueError(f"no {number}") if number % 5 == 0 else number)

        in_a_thread(answer)
        return await asyncio.gather(*(awaited for awaited, _ in expected), return_exceptions=True)

    found = asyncio.run(waiting())
    assert [str(each) for each in found] == [f"no {n}" if n % 5 == 0 else str(n) for n in range(50)]


def test_answers_that_come_together_wake_the_loop_once(monkeypatch):
    async def waiting():
        loop = asyncio.get_running_loop()
        answers = LoopBridge(loop)
        wakes = []
        wake = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *what: (wakes.append(what), wake(*what)))
        for _ in range(2):
            expected = [answers.expect() for _ in range(50)]
            in_a_thread(lambda: [answered(number) for number, (_, answered) in enumerate(expected)])  # noqa: B023
            assert await asyncio.gather(*(awaited for awaited, _ in expected)) == list(range(50))
        return len(wakes)

    assert asyncio.run(waiting()) == 2


def test_who_went_away_keeps_nobody_else_from_an_answer():
    async def waiting():
        answers = LoopBridge(asyncio.get_running_loop())
        (gone, answered_gone), (stays, answered) = answers.expect(), answers.expect()
        gone.cancel()
        in_a_thread(lambda: (answered_gone(ValueError("nobody hears this")), answered(7)))
        return await stays

    assert asyncio.run(waiting()) == 7


@pytest.mark.parametrize("seed", range(3))
def test_no_answer_is_forgotten_between_two_wakes(seed):
    async def waiting():
        answers = LoopBridge(asyncio.get_running_loop())
        total = 0
        for _ in range(20):
            expected = [answers.expect() for _ in range(200)]
            thread = threading.Thread(target=lambda: [answered(1) for _, answered in expected])  # noqa: B023
            thread.start()
            total += sum(await asyncio.wait_for(asyncio.gather(*(awaited for awaited, _ in expected)), 30))
            thread.join()
        return total

    assert asyncio.run(waiting()) == 4_000


def test_a_loop_that_ended_costs_the_thread_nothing():
    async def leave():
        return LoopBridge(asyncio.get_running_loop()).expect()

    _, answered = asyncio.run(leave())
    in_a_thread(lambda: answered(1))
