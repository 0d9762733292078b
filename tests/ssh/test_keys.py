from __future__ import annotations

import stat
import threading
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from autopod_nb.config import Secret
from autopod_nb.errors import SshError
from autopod_nb.ssh.keys import load_key, own_key_path, public_line

_OPENSSH = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH)


def _write(path: Path, key: object, passphrase: bytes | None = None) -> Path:
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(*_OPENSSH, lock))  # type: ignore[attr-defined] # any private key has it
    return path


def test_our_own_key_is_made_once_and_only_we_may_read_it(tmp_path: Path) -> None:
    path = own_key_path(tmp_path)
    content = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert own_key_path(tmp_path).read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["id_ed25519"]


def test_those_who_come_at_the_same_time_get_the_same_key(tmp_path: Path) -> None:
    gate = threading.Barrier(8)
    found: list[str] = []

    def ask() -> None:
        gate.wait()
        found.append(public_line(load_key(own_key_path(tmp_path))))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_key_that_others_could_read_is_closed_again(tmp_path: Path) -> None:
    own_key_path(tmp_path).chmod(0o644)
    assert stat.S_IMODE(own_key_path(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "ssh-ed25519"),
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa-sha2-nistp256"),
        (rsa.generate_private_key(65537, 2048), "ssh-rsa"),
    ],
)
def test_a_users_key_of_each_kind_is_read(tmp_path: Path, key: object, kind: str) -> None:
    loaded = load_key(_write(tmp_path / "key", key))
    assert public_line(loaded).split()[0] == kind
    assert loaded.can_sign()


def test_a_key_with_a_pass_phrase_says_so_in_one_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "key", ed25519.Ed25519PrivateKey.generate(), b"open sesame")
    with pytest.raises(SshError, match="has a pass phrase"):
        load_key(path)
    with pytest.raises(SshError, match="does not open"):
        load_key(path, passphrase=Secret("open barley"))
    assert isinstance(load_key(path, passphrase=Secret("open sesame")), paramiko.Ed25519Key)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not a private SSH key"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyA me", "without .pub"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "cannot|can be read"),
    ],
)
def test_what_is_no_private_key_is_named(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(SshError, match=says) as caught:
        load_key(path)
    assert str(path) in str(caught.value)


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SshError, match="There is no SSH key"):
        load_key(tmp_path / "none")


def test_a_kind_that_ssh_has_given_up_is_refused_in_words(tmp_path: Path) -> None:
    key = dsa.generate_private_key(1024)  # noqa: S505 - what is refused
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path = tmp_path / "key"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    with pytest.raises(SshError, match="Ed25519, ECDSA or RSA"):
        load_key(path)
