"""Secrets rest encrypted, and who has only a copy of the database reads none."""

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

from metering.storage.alerts.secret_box import SecretBox, SecretKeyError, open_box

OLD = "c29tZS1rZXktdGhhdC1vbmx5LXRlc3RzLWtub3ctMTI="
NEW = "b3RoZXIta2V5LXRoYXQtb25seS10ZXN0cy1rbm93LTE="


def test_what_is_encrypted_is_read_again_and_does_not_stand_there():
    stored = SecretBox([OLD]).encrypt(b"the secret")
    assert SecretBox([OLD]).decrypt(stored) == b"the secret"
    assert "secret" not in stored
    assert SecretBox([OLD]).encrypt(b"the secret") != stored


def test_a_key_is_replaced_by_putting_a_new_one_before_it():
    stored = SecretBox([OLD]).encrypt(b"the secret")
    both = SecretBox([NEW, OLD])
    assert both.decrypt(stored) == b"the secret"
    assert SecretBox([NEW]).decrypt(both.encrypt(b"another")) == b"another"


@pytest.mark.parametrize(
    "stored",
    ["", "x", SecretBox([NEW]).encrypt(b"the secret"), SecretBox([OLD]).encrypt(b"y")[:-4] + "AAA="],
    ids=["nothing", "nonsense", "another key's", "changed"],
)
def test_what_another_key_wrote_or_somebody_changed_is_not_read(stored):
    with pytest.raises(SecretKeyError, match="METERING_SECRET_KEY"):
        SecretBox([OLD]).decrypt(stored)


@pytest.mark.only_on("sqlite")
def test_beside_a_database_file_a_key_is_made_once_that_only_its_owner_reads(bare_meter, tmp_path):
    stored = open_box(bare_meter.engine, ()).encrypt(b"the secret")
    assert open_box(bare_meter.engine, ()).decrypt(stored) == b"the secret"
    path = key_of(bare_meter)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.glob(f"{path.name}*")] == [path.name]
    path.unlink()


@pytest.mark.only_on("sqlite")
def test_of_many_that_need_a_key_at_once_all_get_the_same(bare_meter):
    barrier = threading.Barrier(8)
    written = []

    def run():
        barrier.wait()
        written.append(open_box(bare_meter.engine, ()).encrypt(b"x"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    box = open_box(bare_meter.engine, ())
    assert [box.decrypt(each) for each in written] == [b"x"] * 8
    key_of(bare_meter).unlink()


@pytest.mark.only_on("sqlite")
def test_a_file_that_is_no_key_is_said_and_stays(bare_meter):
    path = key_of(bare_meter)
    path.write_text("mine\n")
    with pytest.raises(SecretKeyError, match=f"{path.name} beside the database"):
        open_box(bare_meter.engine, ())
    assert path.read_text() == "mine\n"
    path.unlink()


@pytest.mark.only_on("postgresql")
def test_a_server_needs_a_key_that_is_given_and_says_how_to_make_one(bare_meter):
    with pytest.raises(SecretKeyError, match="METERING_SECRET_KEY, the same for every process"):
        open_box(bare_meter.engine, ())
    assert open_box(bare_meter.engine, (OLD,))


def key_of(meter):
    return Path(f"{make_url(meter.url).database}.key")
