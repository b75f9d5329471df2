"""``make run``: ingest a month of sample traffic, show its cost, and start a server with a sidecar.

Every step is a command you can type.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
METERING = [sys.executable, "-m", "metering"]
ACCOUNT = "acme"
KEY_NAME = "make run"
EVENTS = 20_000
CLIENTS = """
Meter your own requests: change the base URL, here to the sidecar, and leave the rest. `metering spend --today` shows them.

  OpenAI SDK        client = OpenAI(base_url="{address}/v1", api_key=os.environ["HF_TOKEN"],
                                    default_headers={{"X-Metering-Project": "search"}})
  huggingface_hub   client = InferenceClient(base_url="{address}/v1", api_key=os.environ["HF_TOKEN"],
                                             headers={{"X-Metering-Project": "search"}})
  Claude Code       export ANTHROPIC_BASE_URL={address} ANTHROPIC_AUTH_TOKEN=$HF_TOKEN
                    export ANTHROPIC_CUSTOM_HEADERS="X-Metering-Project: search"
  Codex             [model_providers.huggingface]: base_url = "{address}/v1"
                    http_headers = {{ "X-Metering-Project" = "search" }}
  OpenCode          provider.huggingface.options: "baseURL": "{address}/v1",
                    "headers": {{"X-Metering-Project": "search"}}

docs/sidecar.md has a whole recipe for each."""


def previous_month(today: date) -> str:
    """Return the last whole month as ``YYYY-MM``."""
    return (today.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def metering(*arguments: str) -> None:
    """Print a command and run it."""
    print(f"\n$ metering {shlex.join(arguments)}", flush=True)
    subprocess.run([*METERING, *arguments], check=True)


def metering_json(*arguments: str) -> dict[str, Any]:
    """Run a command with ``--json`` and return its answer."""
    done = subprocess.run([*METERING, *arguments, "--json"], check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def new_key() -> str:
    """Return the token of a new key. Keys of earlier runs are revoked, because their tokens cannot be shown again."""
    for key in metering_json("keys", "list")["items"]:
        if key["name"] == KEY_NAME and key["revoked_at"] is None:
            subprocess.run([*METERING, "keys", "revoke", str(key["prefix"])], check=True, capture_output=True)
    created = metering_json("keys", "create", "--name", KEY_NAME, "--scope", "admin")
    return str(created["token"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("var"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--events", type=int, default=EVENTS, help="size of the sample traffic (default %(default)s)")
    parser.add_argument("--sidecar-port", type=int, default=8787)
    parser.add_argument("--upstream", default="https://router.huggingface.co", help="where the sidecar passes requests on to")
    parser.add_argument("--no-serve", action="store_true", help="stop before the server starts")
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("METERING_DATABASE_URL", f"sqlite:///{arguments.data / 'metering.db'}")
    os.environ.setdefault("METERING_SIDECAR_JOURNAL", str(arguments.data / "sidecar-journal"))
    month = previous_month(datetime.now(UTC).date())
    log = arguments.data / f"requests-{month}.ndjson"
    if not log.exists():
        generator = [sys.executable, str(HERE / "sample_traffic.py"), "--month", month, "--events", str(arguments.events)]
        subprocess.run([*generator, "--output", str(log)], check=True)
    metering("db", "upgrade")
    metering("ingest", str(log), "--account", ACCOUNT, "--plan", "pro")
    metering("spend", "--month", month)
    metering("statements", "show", ACCOUNT, month)
    token = new_key()
    address = f"http://{arguments.host}:{arguments.port}"
    print(f"\nYour API key (shown once): {token}")
    print("\nQuery the API from another terminal:")
    print(f'  curl -H "Authorization: Bearer {token}" "{address}/v1/statements/{ACCOUNT}/{month}.csv"', flush=True)
    if not arguments.no_serve:
        sidecar = f"http://{arguments.host}:{arguments.sidecar_port}"
        print(CLIENTS.format(address=sidecar))
        print(f"\nServing on {address}, the sidecar on {sidecar}; press Ctrl-C to stop.", flush=True)
        listening = ["--host", arguments.host, "--port", str(arguments.port)]
        passing = ["--sidecar-port", str(arguments.sidecar_port), "--sidecar-upstream", arguments.upstream]
        started = [*METERING, "serve", *listening, "--sidecar", *passing, "--sidecar-account", ACCOUNT]
        os.execv(sys.executable, started)


if __name__ == "__main__":
    main()
