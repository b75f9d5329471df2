"""``metering serve``: what is refused before anything is served."""


def test_several_workers_on_a_file_are_refused_with_what_to_do(command_line):
    command_line.run("serve", "--workers", "2")
    assert command_line.code == 2
    assert "one writer" in command_line.errors
    assert "PostgreSQL" in command_line.errors


def test_there_is_one_worker_at_least(command_line):
    command_line.run("serve", "--workers", "0")
    assert command_line.code == 2
