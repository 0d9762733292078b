"""Key pairs: our own, made once, or one that the user has."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from autopod_nb.config import Secret
from autopod_nb.errors import SshError

_KINDS: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_COMMENT = "autopod"


def own_key_path(home: Path) -> Path:
    """Where our own private key lies: ``AUTOPOD_HOME/keys/id_ed25519``, mode 0600. It is made if it is not there.

    Two processes that come first at the same time get the same key.

    Args:
        home: ``AUTOPOD_HOME``.

    Raises:
        SshError: the folder cannot be written.
    """
    path = home / "keys" / "id_ed25519"
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        path.chmod(0o600)
    except OSError as error:
        raise SshError(f"Cannot make the SSH key {path}: {error.strerror}; make its folder writable.") from error
    return path


def _make(path: Path) -> None:
    """Write a new key under another name, then link it into place, which fails if one is there by now."""
    data = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(part)
    except FileExistsError:
        return  # another process was first
    finally:
        part.unlink()


def load_key(path: Path, *, passphrase: Secret | None = None) -> paramiko.PKey:
    """Read a private key: Ed25519, ECDSA or RSA, in OpenSSH or PEM form.

    Args:
        path: the private key; ``~`` is the home directory.
        passphrase: for a key that has one.

    Raises:
        SshError: no such file, no such kind of key, a pass phrase that is missing or wrong.
    """
    path = path.expanduser()
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise SshError(f"There is no SSH key {path}; name one that exists, or none to use autopod's own.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SshError(f"Cannot read the SSH key {path}: {error}") from error
    if "PRIVATE KEY-----" not in text:
        raise SshError(f"{path} is not a private SSH key; name the file without .pub.")
    return _parse(path, passphrase)


def _parse(path: Path, passphrase: Secret | None) -> paramiko.PKey:
    for kind in _KINDS:
        key = _parse_as(kind, path, passphrase)
        if key is not None:
            return key
    if passphrase is not None:
        raise SshError(f"The pass phrase does not open the SSH key {path}, or it is a key of an unknown kind.")
    raise SshError(f"{path} is not an Ed25519, ECDSA or RSA key that can be read; name another one.")


def _parse_as(kind: type[paramiko.PKey], path: Path, passphrase: Secret | None) -> paramiko.PKey | None:
    """The key, or None if it is of another kind (or a wrong pass phrase made it look so)."""
    try:
        return kind.from_private_key_file(str(path), passphrase.reveal() if passphrase else None)
    except paramiko.PasswordRequiredException as error:
        raise SshError(
            f"The SSH key {path} has a pass phrase, which autopod does not ask for: "
            f"name a key without one, or none to use autopod's own."
        ) from error
    except (paramiko.SSHException, ValueError, IndexError):
        return None


def public_line(key: paramiko.PKey) -> str:
    """The public half as a line for ``authorized_keys``."""
    return f"{key.get_name()} {key.get_base64()} {_COMMENT}"
