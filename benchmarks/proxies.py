"""The proxies that are compared: nothing, nginx, LiteLLM's proxy, and the sidecar, each in front of the same upstream."""

import ipaddress
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from http_load import TOKEN
from mock_upstream import MODEL
from processes import children, free_port, tree, wait_until_listening

HERE = Path(__file__).parent
_NULL = subprocess.DEVNULL

_NGINX = """
worker_processes 1;
worker_rlimit_nofile 8192;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 100m; client_body_buffer_size 1m;
    keepalive_requests 1000000; keepalive_timeout 75;
    upstream plain {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000; }}
    upstream tls {{ server 127.0.0.1:{tls_upstream}; keepalive 1024; keepalive_requests 1000000; }}
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    proxy_ssl_trusted_certificate {certificate}; proxy_ssl_verify on; proxy_ssl_name localhost;
    server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://plain; }} }}
    server {{ listen 127.0.0.1:{tls_port} backlog=1024; location / {{ proxy_pass https://tls; }} }}
}}
"""
_LITELLM = """
model_list:
  - model_name: "{model}"
    litellm_params: {{model: "openai/{model}", api_base: "http://127.0.0.1:{upstream}/v1", api_key: "none"}}
litellm_settings: {{telemetry: false, num_retries: 0, disable_hf_tokenizer_download: true}}
"""


class Proxy:
    """One candidate. ``pids`` are the processes that pass requests on; ``shipping`` those that store what they metered."""

    def __init__(self, label: str, port: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self.label = label
        self.port = port
        self.process = process

    @property
    def pids(self) -> list[int]:
        return [] if self.process is None else tree(self.process.pid)

    @property
    def shipping(self) -> list[int]:
        return []

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Sidecar(Proxy):
    """``metering sidecar`` with a new journal and a new SQLite database."""

    def __init__(self, label: str, folder: Path, upstream: str, **settings: str) -> None:
        folder.mkdir()
        self.database = folder / "metering.db"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("METERING_")}
        environment |= {
            "METERING_DATABASE_URL": f"sqlite:///{self.database}",
            "METERING_SIDECAR_JOURNAL": str(folder / "journal"),
            "METERING_SIDECAR_IS_ROUTER": "yes",
            "METERING_LOG_LEVEL": "WARNING",
            **settings,
        }
        command = [sys.executable, "-m", "metering"]
        for each in (["db", "upgrade"], ["accounts", "create", "bench"]):
            subprocess.run([*command, *each], env=environment, check=True, capture_output=True)
        port = free_port()
        arguments = ["sidecar", "--port", str(port), "--upstream", upstream, "--account", "bench"]
        super().__init__(label, port, subprocess.Popen([*command, *arguments], env=environment))

    @property
    def pids(self) -> list[int]:
        return [] if self.process is None else [self.process.pid]

    @property
    def shipping(self) -> list[int]:
        return [] if self.process is None else children(self.process.pid)

    def stored(self) -> int:
        """Return the number of events in the database."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


class Upstreams:
    """The mock upstream, plain and with TLS, in a process each."""

    def __init__(self, folder: Path) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.certificate, key = _certificate(folder)
        program = [sys.executable, str(HERE / "mock_upstream.py")]
        self._processes = [
            subprocess.Popen([*program, str(self.port)]),
            subprocess.Popen([*program, str(self.tls_port), str(self.certificate), str(key)]),
        ]
        for port, process in zip((self.port, self.tls_port), self._processes, strict=True):
            wait_until_listening(port, _lives(process))

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()


def nginx(folder: Path, upstreams: Upstreams) -> tuple[Proxy, Proxy] | None:
    """Return nginx with one worker, to the plain upstream and to the one with TLS; None if it is not installed."""
    program = shutil.which("nginx")
    if program is None:
        return None
    folder.mkdir()
    port, tls_port = free_port(), free_port()
    text = _NGINX.format(
        folder=folder,
        upstream=upstreams.port,
        tls_upstream=upstreams.tls_port,
        certificate=upstreams.certificate,
        port=port,
        tls_port=tls_port,
    )
    (folder / "nginx.conf").write_text(text)
    options = ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    process = subprocess.Popen([program, *options], stdout=_NULL, stderr=_NULL)
    wait_until_listening(port, _lives(process))
    return Proxy("nginx", port, process), Proxy("nginx", tls_port, process)


def litellm(folder: Path, program: Path, upstreams: Upstreams) -> Proxy:
    """Return LiteLLM's proxy with one worker."""
    folder.mkdir()
    configuration = folder / "config.yaml"
    configuration.write_text(_LITELLM.format(model=MODEL, upstream=upstreams.port))
    port = free_port()
    arguments = ["--config", str(configuration), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environment = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "HF_HUB_OFFLINE": "1",
        "LITELLM_MASTER_KEY": TOKEN,
        "NO_PROXY": "127.0.0.1",
    }
    process = subprocess.Popen([str(program), *arguments], env=environment, cwd=folder, stdout=_NULL, stderr=_NULL)
    wait_until_listening(port, _lives(process), 180)
    return Proxy("LiteLLM", port, process)


def sidecar(label: str, folder: Path, upstreams: Upstreams, *, tls: bool = False, **settings: str) -> Sidecar:
    """Return a sidecar that listens."""
    address = f"https://localhost:{upstreams.tls_port}" if tls else f"http://127.0.0.1:{upstreams.port}"
    trusted = {"SSL_CERT_FILE": str(upstreams.certificate)} if tls else {}
    started = Sidecar(label, folder, address, **trusted, **settings)
    assert started.process is not None
    wait_until_listening(started.port, _lives(started.process))
    return started


def _lives(process: "subprocess.Popen[bytes]") -> Callable[[], bool]:
    return lambda: process.poll() is None


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost that is signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "upstream.pem", folder / "upstream.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(private)
    return certificate_file, key_file


def versions(program: Path | None) -> Mapping[str, str]:
    """Return what is compared, with versions."""
    found: dict[str, str] = {}
    path = shutil.which("nginx")
    if path is not None:
        found["nginx"] = subprocess.run([path, "-v"], check=True, capture_output=True, text=True).stderr.strip()
    if program is not None:
        python = program.parent / "python"
        asked = "from importlib.metadata import version; print(version('litellm'))"
        found["LiteLLM"] = subprocess.run([str(python), "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    return found
