"""Settings from the environment, and secrets that do not show."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.config import DEFAULT_GPU_PREFERENCES, Secret, Settings, read_home, read_settings
from autopod_nb.errors import ConfigError

_MINUTES = ("AUTOPOD_IDLE_MINUTES", "AUTOPOD_STUCK_MINUTES", "AUTOPOD_BOOT_MINUTES")
_LIMITS = {
    "AUTOPOD_MAX_COST": "session_limit_usd",
    "AUTOPOD_MAX_COST_DAY": "day_limit_usd",
    "AUTOPOD_MAX_COST_MONTH": "month_limit_usd",
}
_NUMBERS = (*_MINUTES, *_LIMITS, "AUTOPOD_LOCAL_PORT")
_NO_FILE = {"AUTOPOD_HOME": "/nowhere/at/all"}
_TEXT = "rpa_very-secret-0123456789"


def _logged(secret: Secret) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("autopod_test_of_secrets")
    logger.addHandler(handler)
    logger.warning("the key is %s, or %r", secret, secret)
    logger.removeHandler(handler)
    return stream.getvalue()


@dataclasses.dataclass
class _Holder:
    key: Secret


class TestSecret:
    @pytest.mark.parametrize(
        "show",
        [
            repr,
            str,
            "{}".format,
            "{!r}".format,
            "{:>40}".format,
            lambda secret: f"{secret}{secret:s}",
            lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the old way is under test, too
            lambda secret: repr([secret, {secret: secret}]),
            lambda secret: repr(_Holder(secret)),
            lambda secret: str(ValueError(secret)),
            _logged,
        ],
        ids=["repr", "str", "format", "!r", "width", "f-string", "percent", "nested", "dataclass", "error", "log"],
    )
    def test_no_way_of_writing_shows_it(self, show: Callable[[Secret], str]) -> None:
        assert _TEXT not in show(Secret(_TEXT))
        assert "***" in show(Secret(_TEXT))

    @pytest.mark.parametrize(
        "write",
        [
            *(lambda secret, each=each: pickle.dumps(secret, each) for each in range(pickle.HIGHEST_PROTOCOL + 1)),
            lambda secret: pickle.dumps({"key": [secret]}),
            copy.deepcopy,
            json.dumps,
            vars,
        ],
    )
    def test_it_cannot_be_written_down(self, write: Callable[[Secret], object]) -> None:
        with pytest.raises(TypeError) as caught:
            write(Secret(_TEXT))
        assert _TEXT not in str(caught.value)

    @given(st.text(), st.text())
    def test_it_is_what_it_holds(self, one: str, other: str) -> None:
        assert Secret(one).reveal() == one
        assert (Secret(one) == Secret(other)) == (one == other)
        assert Secret(one) != one
        assert len({Secret(one), Secret(one)}) == 1


class TestSettings:
    def test_an_empty_environment_gives_the_defaults(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        settings = read_settings({})
        assert settings == Settings(home=tmp_path / ".autopod")
        assert read_home({}) == tmp_path / ".autopod"
        assert settings.gpu_preferences == DEFAULT_GPU_PREFERENCES == ("A40", "RTX A6000", "RTX A5000")
        assert settings.idle_minutes == 10
        assert settings.stuck_minutes == 5
        assert settings.session_limit_usd == 10
        assert (settings.disk_gb, settings.volume_gb, settings.port, settings.user) == (60, 20, 22, "root")
        assert settings.price_per_hour_usd == 0
        assert {settings.pod_limit_usd, settings.day_limit_usd, settings.month_limit_usd} == {None}
        assert settings.max_price_per_hour_usd is None

    def test_each_variable_is_read(self, tmp_path: Path) -> None:
        settings = read_settings(
            {
                "AUTOPOD_HOME": str(tmp_path),
                "AUTOPOD_PROVIDER": "elsewhere",
                "AUTOPOD_GPUS": " RTX 4090 ,, A40 ",
                "AUTOPOD_IDLE_MINUTES": "0.5",
                "AUTOPOD_STUCK_MINUTES": "7",
                "AUTOPOD_BOOT_MINUTES": "3",
                "AUTOPOD_MAX_COST": "2.50",
                "AUTOPOD_MAX_COST_DAY": "20",
                "AUTOPOD_MAX_COST_MONTH": "99.9",
                "AUTOPOD_LOCAL_PORT": "9000",
                "AUTOPOD_COMFYUI_DIR": "/opt/ComfyUI",
                "AUTOPOD_COMFYUI_PYTHON": "/opt/python",
                "RUNPOD_API_KEY": "rpx-0123456789",
                "RUNPOD_API_BASE_URL": "http://127.0.0.1:8000/",
            },
            provider="runpod",
        )
        assert settings == Settings(
            home=tmp_path,
            provider="runpod",
            gpu_preferences=("RTX 4090", "A40"),
            idle_minutes=Decimal("0.5"),
            stuck_minutes=Decimal(7),
            boot_minutes=Decimal(3),
            session_limit_usd=Decimal("2.50"),
            day_limit_usd=Decimal(20),
            month_limit_usd=Decimal("99.9"),
            local_port=9000,
            comfyui_dir=Path("/opt/ComfyUI"),
            comfyui_python=Path("/opt/python"),
            api_key=Secret("rpx-0123456789"),
            api_base_url="http://127.0.0.1:8000",
        )

    @pytest.mark.parametrize(
        "name",
        [
            "AUTOPOD_PROVIDER",
            "AUTOPOD_GPUS",
            "AUTOPOD_COMFYUI_DIR",
            "AUTOPOD_COMFYUI_PYTHON",
            "RUNPOD_API_KEY",
            "RUNPOD_API_BASE_URL",
        ],
    )
    def test_an_empty_text_says_nothing(self, tmp_path: Path, name: str) -> None:
        assert read_settings({"AUTOPOD_HOME": str(tmp_path), name: ""}) == Settings(home=tmp_path)
        for provider in ("runpod", "runpod_sdk"):
            found = read_settings({"AUTOPOD_HOME": str(tmp_path), name: ""}, provider=provider)
            assert found == Settings(home=tmp_path, provider=provider)

    def test_the_process_environment_is_the_default(self, home: Path) -> None:
        assert read_settings().home == home

    @pytest.mark.parametrize(("name", "field"), _LIMITS.items())
    @pytest.mark.parametrize("text", ["none", "None", "NONE"])
    def test_a_limit_can_be_taken_away(self, tmp_path: Path, name: str, field: str, text: str) -> None:
        limits = {"session_usd": 1, "day_usd": 2, "month_usd": 3}
        (tmp_path / "config.json").write_text(json.dumps({"defaults": {"limits": limits}}))
        home = {"AUTOPOD_HOME": str(tmp_path)}
        assert getattr(read_settings(home), field) in (1, 2, 3)
        assert getattr(read_settings({**home, name: text}), field) is None

    @pytest.mark.parametrize(
        ("text", "used"),
        [
            ("https://api.example.com", "https://api.example.com"),
            (" http://127.0.0.1:8000/// ", "http://127.0.0.1:8000"),
            ("HTTPS://[::1]:1/base/", "HTTPS://[::1]:1/base"),
            ("  ", None),
        ],
    )
    def test_the_address_of_an_api_is_used_without_a_slash_at_its_end(self, text: str, used: str | None) -> None:
        for provider in ("runpod", "runpod_sdk"):
            settings = read_settings({**_NO_FILE, "RUNPOD_API_BASE_URL": text}, provider=provider)
            assert settings.api_base_url == used

    @pytest.mark.parametrize(
        "text",
        [
            "gpu.example.org",
            "ftp://example.com",
            "http://",
            "https://:80",
            "http://x:port",
            "http://x:0",
            "http://x:70000",
            "http://[::1",
            "http://me:secret@x",
            "http://x?a=b",
            "http://x#a",
            "http://x y",
            "http://x\ny",
        ],
    )
    def test_what_is_no_address_of_an_api_is_named_with_its_variable_and_not_shown(self, text: str) -> None:
        with pytest.raises(ConfigError, match="RUNPOD_API_BASE_URL must be a web address") as caught:
            read_settings({**_NO_FILE, "RUNPOD_API_BASE_URL": text}, provider="runpod")
        assert text not in str(caught.value)

    @pytest.mark.parametrize("name", _NUMBERS)
    @pytest.mark.parametrize("text", ["", "0", "-1", "ten", "nan", "sNaN", "inf", "-inf", "1,5", "0x10", "1e999"])
    def test_a_number_that_is_none_is_named_with_its_variable(self, name: str, text: str) -> None:
        with pytest.raises(ConfigError, match=f"{name}={text!r}"):
            read_settings({**_NO_FILE, name: text})

    @pytest.mark.parametrize("text", ["65536", "1.5", "1e9"])
    def test_a_port_is_a_whole_number_up_to_65535(self, text: str) -> None:
        with pytest.raises(ConfigError, match="AUTOPOD_LOCAL_PORT"):
            read_settings({**_NO_FILE, "AUTOPOD_LOCAL_PORT": text})

    @given(st.sampled_from(_NUMBERS), st.text(alphabet=st.characters(exclude_characters="\0")))
    def test_any_text_is_a_setting_above_zero_or_a_config_error(self, name: str, text: str) -> None:
        try:
            settings = read_settings({**_NO_FILE, name: text})
        except ConfigError:
            return
        limits = [getattr(settings, field) for field in _LIMITS.values()]
        assert min(settings.idle_minutes, settings.stuck_minutes, settings.boot_minutes) > 0
        assert all(limit is None or limit > 0 for limit in limits)
        assert 1 <= settings.local_port <= 65535

    def test_a_home_is_absolute_and_that_of_nobody_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/somebody")
        assert read_settings({"AUTOPOD_HOME": "~/pods"}).home == Path("/home/somebody/pods")
        assert read_settings({"AUTOPOD_HOME": "pods"}).home == Path.cwd() / "pods"
        with pytest.raises(ConfigError, match="AUTOPOD_HOME"):
            read_settings({"AUTOPOD_HOME": "~nobody-of-this-name/pods"})
