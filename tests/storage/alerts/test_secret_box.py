"""Secrets are encrypted at rest: a copy of the database alone reveals none."""

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

from metering.storage.alerts.secret_box import SecretBox, SecretKeyError, open_box

OLD = "c29tZS1rZXktdGhhdC1vbmx5LXRlc3RzLWtub3ctMTI="
NEW = "b3RoZXIta2V5LXRoYXQtb25seS10ZXN0cy1rbm93LTE="


def test_an_encrypted_secret_can_be_decrypted_and_is_not_readable_as_stored():
    stored = SecretBox([OLD]).encrypt(b"the secret")
    assert SecretBox([OLD]).decrypt(stored) == b"the secret"
    assert "secret" not in stored
    assert SecretBox([OLD]).encrypt(b"the secret") != stored


def test_a_key_is_replaced_by_putting_a_new_one_first():
    stored = SecretBox([OLD]).encrypt(b"the secret")
    both = SecretBox([NEW, OLD])
    assert both.decrypt(stored) == b"the secret"
    assert SecretBox([NEW]).decrypt(both.encrypt(b"another")) == b"another"


@pytest.mark.parametrize(
    "stored",
    ["", "x", SecretBox([NEW]).encrypt(b"the secret"), SecretBox([OLD]).encrypt(b"y")[:-4] + "AAA="],
    ids=["nothing", "nonsense", "another key's", "changed"],
)
def test_a_secret_of_another_key_or_a_modified_one_is_refused(stored):
    with pytest.raises(SecretKeyError, match="METERING_SECRET_KEY"):
        SecretBox([OLD]).decrypt(stored)


@pytest.mark.only_on("sqlite")
def test_next_to_a_database_file_a_key_is_created_once_readable_only_by_its_owner(bare_meter, tmp_path):
    stored = open_box(bare_meter.engine, ()).encrypt(b"the secret")
    assert open_box(bare_meter.engine, ()).decrypt(stored) == b"the secret"
    path = key_of(bare_meter)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.glob(f"{path.name}*")] == [path.name]
    path.unlink()


@pytest.mark.only_on("sqlite")
def test_many_threads_that_need_a_key_at_once_get_the_same(bare_meter):
    barrier = threading.Barrier(8)
    encrypted = []

    def run():
        barrier.wait()
        encrypted.append(open_box(bare_meter.engine, ()).encrypt(b"x"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    box = open_box(bare_meter.engine, ())
    assert [box.decrypt(each) for each in encrypted] == [b"x"] * 8
    key_of(bare_meter).unlink()


@pytest.mark.only_on("sqlite")
def test_an_invalid_key_file_is_an_error_and_is_kept(bare_meter):
    path = key_of(bare_meter)
    path.write_text("mine\n")
    with pytest.raises(SecretKeyError, match=f"the key file {path.name} next to the database"):
        open_box(bare_meter.engine, ())
    assert path.read_text() == "mine\n"
    path.unlink()


@pytest.mark.only_on("postgresql")
def test_a_database_server_requires_a_key_and_the_error_shows_how_to_create_one(bare_meter):
    with pytest.raises(SecretKeyError, match="METERING_SECRET_KEY, the same for every process"):
        open_box(bare_meter.engine, ())
    assert isinstance(open_box(bare_meter.engine, (OLD,)), SecretBox)


def key_of(meter):
    return Path(f"{make_url(meter.url).database}.key")
