"""Counters of workers that ended are kept; gauges that only a running worker can report are not."""

import os
import subprocess
import sys

from metering.runtime.metrics import Metrics
from metering.runtime.shared_metrics import VARIABLE, shared_folder, shared_metrics
from support.presence import present
from support.serving_process import samples_of

WORKER = """
import os, sys
from pathlib import Path
from metering.runtime.metrics import Metrics
counted = Metrics(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
counted.refused()
counted.waiting(7)
counted.is_leader(is_leader=True)
print(counted.exposed("", ())[0].decode())
"""


def work(folder):
    """Count in a process that then ends; return the samples it exposed before."""
    environment = {**os.environ, VARIABLE: str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", WORKER], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return samples_of(done.stdout)


def test_counters_of_an_ended_worker_stay_and_its_gauges_go(tmp_path):
    first, second = work(tmp_path), work(tmp_path)
    for samples, refused in ((first, 1), (second, 2)):
        assert samples["metering_refused_requests_total",] == refused
        assert samples["metering_waiting_events",] == 7
        assert samples["metering_leader",] == 1
    assert len(list(tmp_path.glob("counter_*.db"))) == 2
    assert len(list(tmp_path.glob("gauge_live*.db"))) == 2  # of the second one, for how many wait and whether it leads


def test_unknown_paths_and_methods_add_no_series():
    counted = Metrics()
    for method in ("GET", "PROPFIND", "MKCOL"):
        counted.request("(none)", method, 404, 0.001)
    samples = samples_of(counted.exposed("", ())[0].decode())
    methods = {dict(labels)["method"] for (name, *labels) in samples if name == "metering_http_request_seconds_count"}
    assert methods == {"GET", "other"}


def test_a_request_whose_client_disconnected_has_no_status():
    counted = Metrics()
    counted.request("/v1/events", "POST", 0, 0.001)
    samples = samples_of(counted.exposed("", ())[0].decode())
    assert samples["metering_http_request_seconds_count", ("method", "POST"), ("route", "/v1/events"), ("status", "none")] == 1


def test_several_workers_get_a_temporary_folder_and_one_gets_none(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with shared_metrics(1):
        assert shared_folder(os.environ) is None
    with shared_metrics(2):
        folder = present(shared_folder(os.environ))
        assert folder.is_dir()
    assert not folder.exists()
    assert VARIABLE not in os.environ


def test_a_folder_set_by_the_operator_is_used_and_kept(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with shared_metrics(2):
        assert shared_folder(os.environ) == tmp_path
    assert tmp_path.is_dir()
