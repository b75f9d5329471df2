"""The process that decodes a log lives no longer than the one that it decodes for."""

import subprocess
import sys

# Blocks that come slowly: the decoder waits for the next one.
PROGRAM = """
import time
from metering.formats.blocks import RawBlock
from metering.formats.options import DecodeOptions
from metering.operations.steps.decode_apart import Decoding, decode_blocks

def blocks():
    for number in range(8):
        yield RawBlock(b'{"id": "a"}' + bytes([10]), number + 1, 12 * number)
    time.sleep(60)

if __name__ == "__main__":
    for _ in decode_blocks(Decoding("native", DecodeOptions(source="x", now=0), frozenset()), blocks()):
        print("decoded", flush=True)
"""


def test_after_kill_9_the_decoder_ends_too():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"decoded\n"
        process.kill()
        # Both have what the program writes to: its end comes when the last of them is gone.
        process.communicate(timeout=20)
