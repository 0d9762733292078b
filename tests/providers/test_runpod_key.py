from __future__ import annotations

from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.config import Secret, Settings
from autopod_nb.errors import AuthFailed
from autopod_nb.providers.runpod import make
from autopod_nb.providers.runpod_key import find_key, key_source, require_key, small_toml_key, vendor_key

_KEY = "rpa_ABCDEFGHIJKLMNOP"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with an empty home folder, and no key anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RUNPOD_API_KEY", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    _keyring(tmp_path, "def get_password(service, user):\n    return None\n")
    return tmp_path


def _keyring(user: Path, text: str) -> None:
    """A library as the real one is seen from outside."""
    (user / "site").mkdir(exist_ok=True)
    (user / "site" / "keyring.py").write_text(text)


@pytest.fixture(autouse=True)
def _fresh_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415 - only this needs it

    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def _vendor_file(user: Path, text: str) -> None:
    (user / ".runpod").mkdir()
    (user / ".runpod" / "config.toml").write_text(text)


def test_without_a_key_anywhere_the_ways_to_give_one_are_named_and_making_a_provider_is_fine(user: Path) -> None:
    settings = Settings(home=user, provider="runpod")
    provider = make(settings, SystemClock())
    with pytest.raises(AuthFailed) as raised:
        provider.authenticate()
    for way in ("RUNPOD_API_KEY", "config set providers.runpod.api_key", "keyring set", "~/.runpod/config.toml"):
        assert way in str(raised.value)
    assert key_source(settings) == "no RunPod key was found"
    provider.close()


def test_settings_go_first_then_the_keyring_then_the_vendors_file_and_the_source_never_shows_the_key(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Settings(home=user)
    given = Settings(home=user, api_key=Secret(_KEY))
    _vendor_file(user, f'[default]\napi_key = "{_KEY}F"\n')
    assert key_source(plain) == "~/.runpod/config.toml"
    assert require_key(plain) == Secret(f"{_KEY}F")
    _keyring(user, f"def get_password(service, user):\n    return '{_KEY}K' if service == 'autopod-nb' else None\n")
    monkeypatch.delitem(__import__("sys").modules, "keyring")
    assert key_source(plain) == "system keyring"
    assert require_key(plain) == Secret(f"{_KEY}K")
    assert key_source(given) == "config.json"
    monkeypatch.setenv("RUNPOD_API_KEY", f" {_KEY}\n")
    assert key_source(given) == "environment RUNPOD_API_KEY"
    assert require_key(given) == Secret(_KEY)
    assert _KEY not in "".join(key_source(each) for each in (plain, given))


@pytest.mark.parametrize(
    "library",
    ["raise ImportError('not installed')\n", "def get_password(*_):\n    raise RuntimeError('no back end')\n"],
)
def test_a_keyring_that_is_absent_or_broken_is_passed_over(user: Path, library: str) -> None:
    _keyring(user, library)
    assert find_key(Settings(home=user)) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'[default]\napi_key = "{_KEY}"\n', _KEY),
        (f"[default]\napi_key='{_KEY}' # mine\n", _KEY),
        (f'[other]\napi_key = "x"\n\n[ default ]\nname = "a"\napi_key = "{_KEY}"\n', _KEY),
        (f'["default"]\n"api_key" = "{_KEY}"\n', _KEY),
        ('[other]\napi_key = "x"\n', ""),
        ('api_key = "x"\n', ""),
        ('[default]\n# api_key = "x"\n', ""),
        ("[default]\napi_key = 5\n", ""),
        ('[default]\napi_key = ""\n', ""),
        ("", ""),
    ],
)
def test_the_small_reader_for_python_3_10_reads_the_vendors_file_as_toml_does(text: str, key: str) -> None:
    assert small_toml_key(text) == vendor_key(text) == key
