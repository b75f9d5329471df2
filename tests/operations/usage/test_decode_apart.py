"""The process that decodes a log exits with the process that started it."""

import subprocess
import sys

from support.presence import present

# Blocks arrive slowly, so that the decoder waits for the next one.
PROGRAM = """
import time
from metering.formats.blocks import RawBlock
from metering.formats.options import DecodeOptions
from metering.operations.usage.decode_apart import DecodeRequest, decode_blocks

def blocks():
    for number in range(8):
        yield RawBlock(b'{"id": "a"}' + bytes([10]), number + 1, 12 * number)
    time.sleep(60)

if __name__ == "__main__":
    for _ in decode_blocks(DecodeRequest("native", DecodeOptions(source="x", now=0), frozenset()), blocks()):
        print("decoded", flush=True)
"""


def test_after_kill_9_the_decoder_exits_too():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert present(process.stdout).readline() == b"decoded\n"
        process.kill()
        # Both processes hold the pipe open: it ends when the last of them exits.
        process.communicate(timeout=20)
