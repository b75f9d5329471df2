"""A new kind of quantity is one line in ``pricing/quantities.py``. Everything else follows from it, without a migration."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT, TESTS

NEW_LINE = "    video_tokens: _PromptTokens = 0\n"
PROGRAM = Path(__file__).with_name("use_video_tokens.py")


def pricing_with_one_more_line(folder, *, before):
    """Copy the package ``pricing`` to a folder, with one more kind before a line of Quantities."""
    shutil.copytree(ROOT / "pricing", folder / "pricing", ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "pricing" / "quantities.py"
    source = module.read_text()
    assert source.count(before) == 1
    module.write_text(source.replace(before, NEW_LINE + before))


# The second position is after the memo, which is the last field.
@pytest.mark.parametrize("before", ["    input_tokens: ", "\n    @property\n    def prompt_tokens("])
def test_a_kind_added_in_one_line_is_metered_priced_billed_exported_and_verified(databases, tmp_path, before):
    pricing_with_one_more_line(tmp_path, before=before)
    url = databases.new()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT), str(TESTS)])}
    done = subprocess.run(
        [sys.executable, PROGRAM, url, tmp_path], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    databases.drop(url)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Of each request: 10 tokens at $1 and 1,000 at $5 a million, later at $2.
    assert (found["accepted"], found["shown"], found["documented"]) == (1, {"input_tokens": 10, "video_tokens": 1_000}, True)
    explained = {part["kind"]: (part["quantity"], part["amount_pico_usd"]) for part in found["explained"]}
    assert explained == {"input_tokens": (10, "10000000"), "video_tokens": (1_000, "5000000000")}
    used = {"input_tokens": 30, "video_tokens": 3_000}
    assert (found["spend"], found["by hour"], found["retired"]) == (used, used, used)
    assert (found["amount"], found["table"]) == (3 * (10_000 + 2_000_000), True)
    assert sorted(found["statement"]) == [
        ["input_tokens", 30, "token", "0.000030000000"],
        ["video_tokens", 3_000, "token", "0.006000000000"],
    ]
    assert (found["csv"], found["daily"]) == (["3000"], ["3000"])
    assert found["focus"] == [["3000", "Tokens", "Video Tokens"]]
    assert found["verified"] == found["verified after"] == []
