"""``config.json``: what counts, what is shown, what is refused, and that nothing is lost by writing it."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import stat
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.config import SETTINGS, Secret, Settings, read_settings
from autopod_nb.config_file import (
    CONFIG_NAME,
    config_path,
    config_rows,
    get_value,
    make_file,
    read_values,
    set_value,
    unset_value,
)
from autopod_nb.errors import ConfigError
from autopod_nb.log import close_log, open_log, redact

_KEY = "rpx-0123456789-very-secret"
_KEYS = [setting.key for setting in SETTINGS]


def _write(home: Path, document: object, mode: int = 0o600) -> Path:
    path = home / CONFIG_NAME
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(mode)
    return path


def _settings(home: Path, **env: str) -> Settings:
    return read_settings({"AUTOPOD_HOME": str(home), **env})


class TestWhatCounts:
    def test_the_file_comes_before_the_defaults_and_the_environment_before_the_file(self, tmp_path: Path) -> None:
        _write(tmp_path, {"defaults": {"idle_minutes": 3, "stuck_minutes": 0.1, "gpu_preferences": ["B200"]}})
        settings = _settings(tmp_path, AUTOPOD_IDLE_MINUTES="4")
        assert (settings.idle_minutes, settings.stuck_minutes) == (Decimal(4), Decimal("0.1"))
        assert settings.gpu_preferences == ("B200",)
        assert settings.boot_minutes == Settings(home=tmp_path).boot_minutes
        rows = {row.key: (row.value, row.source) for row in config_rows(tmp_path, {"AUTOPOD_IDLE_MINUTES": "4"})}
        assert rows["defaults.idle_minutes"] == ("4", "environment AUTOPOD_IDLE_MINUTES")
        assert rows["defaults.stuck_minutes"] == ("0.1", "config.json")
        assert rows["defaults.boot_minutes"] == ("15", "default")
        assert list(rows) == _KEYS

    def test_every_key_reaches_its_setting(self, tmp_path: Path) -> None:
        local = {"comfyui_dir": "/c", "comfyui_python": "/c/bin/python", "ssh_key_path": "/k"}
        limits = {"session_usd": None, "job_usd": "0.50", "pod_usd": 4, "day_usd": 5.5, "month_usd": "60"}
        numbers = {"gpu_count": 2, "idle_minutes": 1, "stuck_minutes": 2, "boot_minutes": 3, "local_port": 9000}
        defaults: dict[str, Any] = {
            "provider": "local",
            "gpu_preferences": ["A", "B"],
            "confirm_above_usd_per_hour": 1e-1,
        } | numbers
        defaults |= {"max_price_per_hour_usd": 0.7, "limits": limits}
        _write(tmp_path, {"providers": {"local": local}, "defaults": defaults})
        assert _settings(tmp_path) == Settings(
            home=tmp_path,
            provider="local",
            gpu_preferences=("A", "B"),
            gpu_count=2,
            idle_minutes=Decimal(1),
            stuck_minutes=Decimal(2),
            boot_minutes=Decimal(3),
            session_limit_usd=None,
            job_limit_usd=Decimal("0.50"),
            pod_limit_usd=Decimal(4),
            day_limit_usd=Decimal("5.5"),
            month_limit_usd=Decimal(60),
            max_price_per_hour_usd=Decimal("0.7"),
            confirm_above_usd_per_hour=Decimal("0.1"),
            local_port=9000,
            comfyui_dir=Path("/c"),
            comfyui_python=Path("/c/bin/python"),
            ssh_key_path=Path("/k"),
        )

    def test_of_the_accounts_that_of_the_chosen_provider_counts(self, tmp_path: Path) -> None:
        account = {"api_key": _KEY, "default_template": "t", "default_region": "r", "cloud_type": "c"}
        _write(tmp_path, {"providers": {"runpod": account, "local": {"ssh_key_path": "/k"}}})
        assert (_settings(tmp_path).api_key, _settings(tmp_path).ssh_key_path) == (None, Path("/k"))
        chosen = read_settings({"AUTOPOD_HOME": str(tmp_path)}, provider="runpod")
        assert (chosen.api_key, chosen.ssh_key_path, chosen.provider) == (Secret(_KEY), None, "runpod")
        assert (chosen.default_template, chosen.default_region, chosen.cloud_type) == ("t", "r", "c")
        other = read_settings({"AUTOPOD_HOME": str(tmp_path), "RUNPOD_API_KEY": " env-key \n"}, provider="runpod")
        assert other.api_key == Secret("env-key")

    @pytest.mark.parametrize("provider", ["runpod", "runpod_sdk"])
    def test_every_key_of_an_account_at_runpod_reaches_its_setting(self, tmp_path: Path, provider: str) -> None:
        account = {
            "api_key": _KEY,
            "api_base_url": "https://api.example.com/",
            "ssh_key_path": "/k",
            "default_template": "t",
            "default_region": "r",
            "cloud_type": "c",
            "image": "comfy:latest",
            "disk_gb": 40,
            "volume_gb": 0,
            "network_volume": "nv1",
            "comfyui_dir": "/workspace/ComfyUI/",
            "comfyui_port": 3000,
        }
        _write(tmp_path, {"providers": {provider: account, "local": {"comfyui_dir": "/mine"}}})
        assert read_settings({"AUTOPOD_HOME": str(tmp_path)}, provider=provider) == Settings(
            home=tmp_path,
            provider=provider,
            comfyui_dir=Path("/mine"),
            api_key=Secret(_KEY),
            api_base_url="https://api.example.com",
            ssh_key_path=Path("/k"),
            default_template="t",
            default_region="r",
            cloud_type="c",
            image="comfy:latest",
            disk_gb=40,
            volume_gb=0,
            network_volume="nv1",
            remote_comfyui_dir="/workspace/ComfyUI",
            remote_comfyui_port=3000,
        )
        assert _settings(tmp_path) == Settings(home=tmp_path, comfyui_dir=Path("/mine"))

    def test_every_key_of_a_machine_of_the_users_own_reaches_its_setting(self, tmp_path: Path) -> None:
        machine = {"host": "gpu.example.com", "port": 2222, "user": "me", "ssh_key_path": "/k"}
        machine |= {"comfyui_dir": "/home/me/ComfyUI", "comfyui_port": 8189, "price_per_hour_usd": 0.3}
        _write(tmp_path, {"providers": {"ssh_host": machine, "runpod": {"api_key": _KEY, "disk_gb": 1}}})
        assert read_settings({"AUTOPOD_HOME": str(tmp_path)}, provider="ssh_host") == Settings(
            home=tmp_path,
            provider="ssh_host",
            host="gpu.example.com",
            port=2222,
            user="me",
            ssh_key_path=Path("/k"),
            remote_comfyui_dir="/home/me/ComfyUI",
            remote_comfyui_port=8189,
            price_per_hour_usd=Decimal("0.3"),
        )

    def test_the_twin_of_runpod_goes_by_runpod_for_what_it_does_not_set(self, tmp_path: Path) -> None:
        """Also where its own value is the default, and with the environment before both."""
        runpod = {"api_key": _KEY, "disk_gb": 30, "volume_gb": 7, "image": "theirs"}
        _write(tmp_path, {"providers": {"runpod": runpod, "runpod_sdk": {"disk_gb": 60, "image": "own"}}})
        twin = read_settings({"AUTOPOD_HOME": str(tmp_path)}, provider="runpod_sdk")
        assert (twin.api_key, twin.disk_gb, twin.volume_gb, twin.image) == (Secret(_KEY), 60, 7, "own")
        rows = {row.key: row for row in config_rows(tmp_path, {})}
        assert rows["providers.runpod_sdk.volume_gb"].source == "providers.runpod.volume_gb"
        assert rows["providers.runpod_sdk.api_key"].value == "set (hidden)"
        assert rows["providers.runpod_sdk.cloud_type"].source == "default"
        set_value(tmp_path, "providers.runpod_sdk.api_key", "rpx-of-the-twin")
        first = read_settings({"AUTOPOD_HOME": str(tmp_path)}, provider="runpod")
        twin = read_settings({"AUTOPOD_HOME": str(tmp_path)}, provider="runpod_sdk")
        assert (first.api_key, twin.api_key) == (Secret(_KEY), Secret("rpx-of-the-twin"))
        both = {"AUTOPOD_HOME": str(tmp_path), "RUNPOD_API_KEY": "env-key"}
        assert read_settings(both, provider="runpod_sdk").api_key == Secret("env-key")

    def test_a_path_may_begin_with_home_but_not_hang_in_the_air(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", "/home/somebody")
        _write(tmp_path, {"providers": {"local": {"comfyui_dir": "~/ComfyUI"}}})
        assert _settings(tmp_path).comfyui_dir == Path("/home/somebody/ComfyUI")
        with pytest.raises(ConfigError, match="must be a path from / or ~, not 'ComfyUI'"):
            set_value(tmp_path, "providers.local.comfyui_dir", "ComfyUI")

    def test_without_a_file_neither_pydantic_nor_json_models_are_loaded(self, tmp_path: Path) -> None:
        code = (
            "import sys; from autopod_nb.config import read_settings; read_settings(); print('pydantic' in sys.modules)"
        )
        environment = {"AUTOPOD_HOME": str(tmp_path), "PATH": "/usr/bin"}
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=environment
        )
        assert run.stdout.strip() == "False"


class TestKeys:
    def test_a_key_is_shown_nowhere(self, tmp_path: Path) -> None:
        set_value(tmp_path, "providers.runpod.api_key", _KEY)
        settings = read_settings({"AUTOPOD_HOME": str(tmp_path)}, provider="runpod")
        assert settings.api_key == Secret(_KEY)
        assert get_value(tmp_path, {}, "providers.runpod.api_key").value == "set (hidden)"
        assert get_value(tmp_path, {"RUNPOD_API_KEY": _KEY}, "providers.runpod.api_key").value == "set (hidden)"
        assert _KEY not in f"{settings}{config_rows(tmp_path, {})}{read_values(tmp_path)}"
        log = open_log(tmp_path)
        logging.getLogger("autopod_nb").warning("the key is %s", _KEY)
        close_log()
        assert "the key is" in log.read_text()
        assert _KEY not in log.read_text()

    @pytest.mark.parametrize("provider", ["runpod", "runpod_sdk"])
    def test_a_key_is_kept_out_of_the_log_whoever_is_chosen(self, tmp_path: Path, provider: str) -> None:
        key = f"{provider}-{secrets.token_hex(8)}"
        set_value(tmp_path, f"providers.{provider}.api_key", key)
        assert redact(f"the key is {key}") == f"the key is {key}", "nobody has read it yet"
        assert _settings(tmp_path).api_key is None
        assert redact(f"the key is {key}") == "the key is [redacted]"

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o622])
    @pytest.mark.parametrize("provider", ["runpod", "runpod_sdk"])
    def test_a_file_with_a_key_that_others_can_read_is_refused(self, tmp_path: Path, provider: str, mode: int) -> None:
        path = _write(tmp_path, {"providers": {provider: {"api_key": _KEY}}}, mode)
        before = path.read_bytes()
        for use in (
            lambda: read_values(tmp_path),
            lambda: set_value(tmp_path, "defaults.idle_minutes", "5"),
            lambda: unset_value(tmp_path, f"providers.{provider}.api_key"),
        ):
            with pytest.raises(ConfigError, match=f"run `chmod 600 {path}`") as caught:
                use()
            assert _KEY not in str(caught.value)
        assert path.read_bytes() == before
        path.chmod(0o600)
        assert read_values(tmp_path) == {f"providers.{provider}.api_key": Secret(_KEY)}

    def test_a_file_without_a_key_may_be_read_by_others_and_is_private_once_it_is_changed(self, tmp_path: Path) -> None:
        path = _write(tmp_path, {"defaults": {"idle_minutes": 3}}, 0o644)
        assert _settings(tmp_path).idle_minutes == 3
        set_value(tmp_path, "providers.runpod.api_key", _KEY)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("wrong", [12345678901, " key with blanks ", "", None, ["list"], "new\nline"])
    def test_a_key_that_cannot_be_one_is_refused_without_showing_it(self, tmp_path: Path, wrong: object) -> None:
        _write(tmp_path, {"providers": {"runpod": {"api_key": wrong}}})
        with pytest.raises(ConfigError, match=r"providers\.runpod\.api_key must be the key") as caught:
            read_values(tmp_path)
        shown, cause = str(caught.value), caught.value.__cause__
        while cause is not None:
            shown, cause = shown + str(cause), cause.__cause__
        if wrong:
            assert str(wrong) not in shown


class TestSet:
    @pytest.mark.parametrize(
        ("key", "text", "stored", "shown"),
        [
            ("defaults.gpu_preferences", "A40, RTX 4090,", ["A40", "RTX 4090"], "A40,RTX 4090"),
            ("defaults.gpu_preferences", '["B200"]', ["B200"], "B200"),
            ("defaults.gpu_preferences", "4090", ["4090"], "4090"),
            ("defaults.idle_minutes", "0.1", 0.1, "0.1"),
            ("defaults.idle_minutes", '"2.50"', "2.50", "2.50"),
            ("defaults.limits.session_usd", "none", None, "none"),
            ("defaults.limits.job_usd", "null", None, "none"),
            ("defaults.limits.job_usd", "1e2", 100.0, "100.0"),
            ("defaults.gpu_count", " 2 ", 2, "2"),
            ("defaults.provider", "local", "local", "local"),
            ("providers.runpod.api_key", "123456789", "123456789", "set (hidden)"),
            ("providers.runpod.default_template", "null", "null", "null"),
            ("providers.runpod.cloud_type", '"SECURE"', "SECURE", "SECURE"),
            ("providers.runpod.api_base_url", "http://127.0.0.1:1/", "http://127.0.0.1:1/", "http://127.0.0.1:1"),
            ("providers.runpod.volume_gb", "0", 0, "0"),
            ("providers.runpod.network_volume", "123", "123", "123"),
            ("providers.runpod.comfyui_dir", "/workspace//ComfyUI/", "/workspace//ComfyUI/", "/workspace/ComfyUI"),
            ("defaults.max_price_per_hour_usd", "none", None, "none"),
            ("providers.ssh_host.host", "fe80::1%eth0", "fe80::1%eth0", "fe80::1%eth0"),
            ("providers.ssh_host.price_per_hour_usd", "0", 0, "0"),
            ("providers.ssh_host.price_per_hour_usd", "-0.0", -0.0, "0.0"),
            ("providers.local.comfyui_dir", "/opt/Bücher und mehr", "/opt/Bücher und mehr", "/opt/Bücher und mehr"),
        ],
    )
    def test_json_or_plain_text_is_stored_and_read_back(
        self, tmp_path: Path, key: str, text: str, stored: object, shown: str
    ) -> None:
        home = tmp_path / "new" / "home"
        set_value(home, key, text)
        value: Any = json.loads(config_path(home).read_text())
        for part in key.split("."):
            value = value[part]
        assert value == stored
        row = get_value(home, {}, key)
        assert (row.value, row.source) == (shown, "config.json")
        assert stat.S_IMODE(config_path(home).stat().st_mode) == 0o600
        assert stat.S_IMODE(home.stat().st_mode) == 0o700

    def test_other_keys_stay_and_keep_their_order(self, tmp_path: Path) -> None:
        document = {"defaults": {"stuck_minutes": 7, "idle_minutes": "3.0"}, "providers": {"local": {}}}
        path = _write(tmp_path, document)
        set_value(tmp_path, "defaults.limits.job_usd", "0.5")
        assert path.read_text() == (
            '{\n  "defaults": {\n    "stuck_minutes": 7,\n    "idle_minutes": "3.0",\n'
            '    "limits": {\n      "job_usd": 0.5\n    }\n  },\n  "providers": {\n    "local": {}\n  }\n}\n'
        )
        unset_value(tmp_path, "defaults.limits.job_usd")
        assert json.loads(path.read_text()) == document
        assert [file.name for file in tmp_path.iterdir()] == [CONFIG_NAME]

    @pytest.mark.parametrize(
        ("key", "text", "message"),
        [
            ("defaults.idel_minutes", "5", "Did you mean 'defaults.idle_minutes'"),
            ("api_key", "5", r"Did you mean 'providers\.runpod\.api_key'"),
            ("", "5", "There is no setting ''"),
            ("defaults", "{}", "There is no setting 'defaults'"),
            ("defaults.limits.week_usd", "5", "There is no setting"),
            ("defaults.idle_minutes", "0", r"defaults\.idle_minutes must be a number above 0.* not 0"),
            ("defaults.idle_minutes", "NaN", "not nan"),
            ("defaults.idle_minutes", "1e999", "not inf"),
            ("defaults.idle_minutes", "true", "not True"),
            ("defaults.idle_minutes", "none", "not 'none'"),
            ("defaults.gpu_count", "1.5", "whole number from 1 to 8, not 1.5"),
            ("defaults.gpu_count", "9", "whole number from 1 to 8"),
            ("defaults.local_port", "65536", "whole number from 1 to 65535"),
            ("defaults.gpu_preferences", " , ", "must be a list of names"),
            ("defaults.gpu_preferences", "[1]", "must be a text, not 1"),
            ("defaults.provider", "", "must be a text"),
            ("providers.local.comfyui_dir", "~nobody-of-this-name/x", "must be a path"),
            ("providers.runpod.default_region", "\udc80", "must be a text"),
            ("defaults.limits.day_usd", "0", "must be a number above 0"),
            ("defaults.max_price_per_hour_usd", "-1", "must be a number above 0"),
            ("providers.runpod.disk_gb", "0", "whole number from 1 to 64000, not 0"),
            ("providers.runpod.volume_gb", "-1", "whole number from 0 to 64000, not -1"),
            ("providers.runpod_sdk.comfyui_port", "0", "whole number from 1 to 65535"),
            ("providers.runpod.comfyui_dir", "~/ComfyUI", "must be a path on the pod, from /, not '~/ComfyUI'"),
            ("providers.runpod.api_base_url", "api.example.com", r"api_base_url must be a web address such as"),
            ("providers.ssh_host.price_per_hour_usd", "-0.01", "must be a number from 0 to 100000, not -0.01"),
            ("providers.ssh_host.price_per_hour_usd", "none", "must be a number from 0"),
            ("providers.ssh_host.host", "me@example.com", "must be a name or an address alone"),
            ("providers.ssh_host.host", "example.com:22", "must be a name or an address alone"),
            ("providers.ssh_host.host", "ssh://example.com", "must be a name or an address alone"),
            ("providers.ssh_host.comfyui_python", "/p", "There is no setting"),
        ],
    )
    def test_what_cannot_be_used_is_refused_and_changes_nothing(
        self, tmp_path: Path, key: str, text: str, message: str
    ) -> None:
        path = _write(tmp_path, {"defaults": {"idle_minutes": 3}})
        before = path.read_bytes()
        with pytest.raises(ConfigError, match=message):
            set_value(tmp_path, key, text)
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == [CONFIG_NAME]

    def test_a_wrong_value_can_be_set_right_and_a_strange_key_taken_out(self, tmp_path: Path) -> None:
        _write(tmp_path, {"defaults": {"idle_minutes": "soon", "idel_minutes": 4}})
        with pytest.raises(ConfigError, match=r"There is no key 'defaults\.idel_minutes'\. Did you mean") as caught:
            read_values(tmp_path)
        assert "defaults.idle_minutes must be a number above 0, up to 100000, not 'soon'." in str(caught.value)
        _write(tmp_path, {"defaults": {"idle_minutes": "soon"}})
        set_value(tmp_path, "defaults.idle_minutes", "5")
        assert _settings(tmp_path).idle_minutes == 5
        _write(tmp_path, {"defaults": {"idel_minutes": 4}, "more": 1, "providers": {"local": {}}})
        with pytest.raises(ConfigError, match="'more'"):
            unset_value(tmp_path, "defaults.idel_minutes")
        _write(tmp_path, {"defaults": {"idel_minutes": 4}, "providers": {"local": {}}})
        unset_value(tmp_path, "defaults.idel_minutes")
        assert json.loads(config_path(tmp_path).read_text()) == {"providers": {"local": {}}}

    def test_what_is_not_set_cannot_be_unset(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is not set in"):
            unset_value(tmp_path, "defaults.limits.job_usd")
        with pytest.raises(ConfigError, match=r"There is no setting 'defaults\.limit'"):
            unset_value(tmp_path, "defaults.limit")
        assert not config_path(tmp_path).exists()

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "dotfiles").mkdir()
        target = _write(tmp_path / "dotfiles", {})
        config_path(tmp_path).symlink_to(target)
        set_value(tmp_path, "defaults.gpu_count", "3")
        assert config_path(tmp_path).is_symlink()
        assert json.loads(target.read_text()) == {"defaults": {"gpu_count": 3}}

    def test_of_many_that_write_at_the_same_time_nothing_is_lost(self, tmp_path: Path) -> None:
        keys = [
            "idle_minutes",
            "stuck_minutes",
            "boot_minutes",
            "local_port",
            "gpu_count",
            "confirm_above_usd_per_hour",
        ]
        start = threading.Barrier(len(keys))

        def write(key: str) -> None:
            start.wait(10)
            for number in range(1, 6):
                set_value(tmp_path, f"defaults.{key}", str(number))

        threads = [threading.Thread(target=write, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert json.loads(config_path(tmp_path).read_text()) == {"defaults": dict.fromkeys(keys, 5)}
        assert [file.name for file in tmp_path.iterdir()] == [CONFIG_NAME]

    @given(st.sampled_from(_KEYS), st.text())
    def test_any_text_is_stored_and_read_back_or_a_config_error(self, key: str, text: str) -> None:
        """Property: what can be set can be read, and what is refused leaves no file."""
        with TemporaryDirectory() as folder:
            try:
                set_value(Path(folder), key, text)
            except ConfigError:
                assert list(Path(folder).iterdir()) == []
                return
            assert get_value(Path(folder), {}, key).source == "config.json"

    def test_a_file_for_the_editor_is_made_once_and_private(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        path = make_file(home)
        assert (path, path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (config_path(home), "{}\n", 0o600)
        set_value(home, "defaults.gpu_count", "3")
        assert make_file(home) == path
        assert read_values(home) == {"defaults.gpu_count": 3}


@pytest.mark.faults
class TestDamage:
    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (b'{\n "defaults": {\n  "idle_minutes": 3,\n }\n}', "line [34]: is not JSON"),
            (b"", "line 1: is not JSON"),
            (b'{"defaults": {}', "line 1: is not JSON"),
            (b"\xff\xfe{\x00}\x00", "line 1: is not UTF-8"),
            (b'{\n\n"defaults": "\xff"}', "line 3: is not UTF-8"),
            (b"[]", r"line 1: must be an object, \{…\}"),
            (b'{"defaults": {"idle_minutes": 3, "idle_minutes": 4}}', "the key 'idle_minutes' stands twice"),
            (b'{"defaults": {"idle_minutes": NaN}}', "NaN is not a number"),
            (b"[" * 100_000, "line 1: (cannot be used|is not JSON)"),
            (b" " * 1_000_001, "is longer than 1000000 bytes"),
        ],
    )
    def test_a_damaged_file_is_named_with_its_line_and_never_overwritten(
        self, tmp_path: Path, content: bytes, line: str
    ) -> None:
        path = config_path(tmp_path)
        path.write_bytes(content)
        for use in (
            lambda: _settings(tmp_path),
            lambda: config_rows(tmp_path, {}),
            lambda: set_value(tmp_path, "defaults.idle_minutes", "5"),
            lambda: unset_value(tmp_path, "defaults.idle_minutes"),
        ):
            with pytest.raises(ConfigError, match=line) as caught:
                use()
            assert str(path) in str(caught.value)
            assert f"`mv -n {path} {path}.damaged`" in str(caught.value)
        assert make_file(tmp_path).read_bytes() == content
        assert [file.name for file in tmp_path.iterdir()] == [CONFIG_NAME]

    def test_a_folder_in_its_place_is_named(self, tmp_path: Path) -> None:
        config_path(tmp_path).mkdir()
        for use in (lambda: read_values(tmp_path), lambda: set_value(tmp_path, "defaults.gpu_count", "1")):
            with pytest.raises(ConfigError, match=r"config\.json cannot be read: Is a directory"):
                use()

    def test_a_full_disk_leaves_the_file_as_it_was(self, tmp_path: Path) -> None:
        """The limit on the size of a file stands for the disk."""
        path = _write(tmp_path, {"defaults": {"idle_minutes": 3}})
        before = path.read_bytes()
        story = (
            "import resource, signal, sys; from pathlib import Path\n"
            "from autopod_nb.config_file import set_value\n"
            "import autopod_nb.config_model.form\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
            "try: set_value(Path(sys.argv[1]), 'defaults.gpu_count', '2')\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        run = subprocess.run(
            [sys.executable, "-c", story, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
        )
        assert run.stdout.startswith(f"ConfigError {path} cannot be written: File too large. Nothing was changed.")
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == [CONFIG_NAME]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(
                        ["defaults", "providers", "local", "runpod", "api_key", "limits", "idle_minutes", "x"]
                    ),
                    inner,
                )
            ),
        )
    )
    def test_any_json_is_read_or_is_a_config_error(self, document: object) -> None:
        with TemporaryDirectory() as folder:
            _write(Path(folder), document)
            with contextlib.suppress(ConfigError):
                assert _settings(Path(folder)).idle_minutes > 0
