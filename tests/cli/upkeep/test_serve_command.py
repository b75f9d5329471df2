"""``metering serve``: what is refused before anything is served."""

import socket


def test_several_workers_on_sqlite_are_refused_with_a_hint(command_line):
    command_line.run("serve", "--workers", "2")
    assert command_line.code == 2
    assert "one writer" in command_line.errors
    assert "PostgreSQL" in command_line.errors


def test_at_least_one_worker_is_required(command_line):
    command_line.run("serve", "--workers", "0")
    assert command_line.code == 2


def test_a_port_in_use_is_reported_in_one_line(command_line):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command_line.run("serve", "--port", port)
    assert command_line.code == 1
    assert command_line.errors == (
        f"error[address_in_use]: 127.0.0.1:{port} is used by another process; stop it, or choose another --port\n"
    )


def test_an_address_of_another_machine_is_reported_in_one_line(command_line):
    for host in ("192.0.2.1", "nowhere.invalid"):  # for documentation only, RFC 5737 and RFC 2606
        command_line.run("serve", "--host", host, "--port", "0")
        assert command_line.code == 1
        assert command_line.errors.startswith(f"error[address_unusable]: cannot listen on {host}:0 (")
        assert command_line.errors.count("\n") == 1
