"""The log file: in its place, private, rotating, without secrets, and never on the screen."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb import log
from autopod_nb.log import close_log, hide, open_log, redact

_WITHIN_S = 10.0
_LOGGER = logging.getLogger("autopod_nb.tests")
_SECRETS = st.text(alphabet="ABCDEFGHJKLMNPQRSTUVWXYZ0123456789+/=", min_size=12, max_size=60)


@pytest.fixture(autouse=True)
def _closed_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test hides is hidden for this test only."""
    monkeypatch.setattr(log, "_secrets", set())
    root = logging.getLogger("autopod_nb")
    monkeypatch.setattr(root, "propagate", True)
    monkeypatch.setattr(root, "level", root.level)
    yield
    close_log()


class TestRedaction:
    @given(st.text(), _SECRETS, st.text())
    def test_a_hidden_text_is_nowhere(self, before: str, secret: str, after: str) -> None:
        hide(secret)
        assert secret not in redact(before + secret + after)

    def test_of_two_secrets_in_one_nothing_is_left(self) -> None:
        hide("ABCDEF")
        hide("ABCDEF-GHIJKL")
        assert redact("the key ABCDEF-GHIJKL") == "the key [redacted]"

    def test_a_text_that_occurs_by_chance_stays(self) -> None:
        hide("a40")
        assert redact("an a40 at $0.40") == "an a40 at $0.40"

    @pytest.mark.parametrize(
        "text",
        [
            "Authorization: Bearer hunter2hunter2",
            "{'Authorization': 'Bearer hunter2hunter2'}",
            '{"authorization": "Basic hunter2hunter2"}',
            "RUNPOD_API_KEY=hunter2hunter2",
            '{"api_key": "hunter2hunter2", "x": 1}',
            "https://x.test/?api-key=hunter2hunter2&page=1",
            "token: hunter2hunter2",
            "password = 'hunter2hunter2'",
            "passphrase=hunter2hunter2",
            "the key rpa_hunter2hunter2 was refused",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2hunter2\nmore\n-----END OPENSSH PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nhunter2hunter2, and the text was cut",
        ],
    )
    def test_what_looks_like_a_secret_is_taken_out(self, text: str) -> None:
        assert "hunter2hunter2" not in redact(text)
        assert "[redacted]" in redact(text)

    @pytest.mark.parametrize("text", ["GET /prompt 200", "12 tokens a second", "seed=42", "", "pod a1b2c3: ready"])
    def test_other_text_is_left_alone(self, text: str) -> None:
        assert redact(text) == text


class TestFile:
    def test_it_holds_what_was_logged_with_thread_and_level_and_no_secret(self, home: Path) -> None:
        path = open_log(home)
        hide("KNOWN-SECRET")
        try:
            int("KNOWN-SECRET")
        except ValueError:
            _LOGGER.exception("failed with %s", "KNOWN-SECRET")
        text = path.read_text()
        assert path == home / "logs" / "autopod.log"
        assert "ERROR" in text
        assert "MainThread autopod_nb.tests: failed with [redacted]" in text
        assert "ValueError: invalid literal for int() with base 10: '[redacted]'" in text
        assert "KNOWN-SECRET" not in text

    def test_opening_it_twice_writes_each_line_once(self, home: Path) -> None:
        assert open_log(home) == open_log(home)
        _LOGGER.info("only once")
        assert (home / "logs" / "autopod.log").read_text().count("only once") == 1

    def test_another_home_gets_what_follows(self, home: Path) -> None:
        first = open_log(home / "one")
        second = open_log(home / "two")
        _LOGGER.info("for the second")
        assert first.read_text() == ""
        assert "for the second" in second.read_text()

    def test_it_rotates_and_only_its_owner_may_read_any_part(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(log, "_MAX_BYTES", 2_000)
        path = open_log(home)
        for number in range(200):
            _LOGGER.info("line %d %s", number, "x" * 50)
        files = sorted(path.parent.iterdir())
        assert [each.name for each in files] == ["autopod.log", "autopod.log.1", "autopod.log.2", "autopod.log.3"]
        assert all(each.stat().st_size <= 2_000 for each in files)
        assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
        assert path.parent.stat().st_mode & 0o077 == 0
        assert "line 199 " in path.read_text()

    def test_nothing_of_ours_reaches_the_root_logger(self, home: Path, caplog: pytest.LogCaptureFixture) -> None:
        open_log(home)
        _LOGGER.warning("for the file only")
        assert not caplog.records

    def test_closing_twice_is_fine_and_what_comes_late_is_dropped(self, home: Path) -> None:
        path = open_log(home)
        close_log()
        close_log()
        _LOGGER.warning("too late")
        assert path.read_text() == ""

    def test_it_can_be_closed_while_a_line_is_being_written(self, home: Path) -> None:
        """Whoever writes has the file and wants the secrets; whoever closes wants the file: nobody waits for ever."""
        writing, go_on = threading.Event(), threading.Event()

        class Slow:
            def __str__(self) -> str:
                writing.set()
                go_on.wait(_WITHIN_S)
                return "written slowly"

        path = open_log(home)
        writer = threading.Thread(target=_LOGGER.info, args=("%s", Slow()), daemon=True)
        closer = threading.Thread(target=close_log, daemon=True)
        writer.start()
        assert writing.wait(_WITHIN_S)
        closer.start()
        closer.join(0.2)
        assert closer.is_alive(), "it closes the file under the writer's hand"
        go_on.set()
        for thread in (writer, closer):
            thread.join(_WITHIN_S)
            assert not thread.is_alive(), "writer and closer wait for each other"
        assert "written slowly" in path.read_text()


@pytest.mark.parametrize(
    "end",
    ["", "handler.setStream(open('/dev/full', 'w'))", "close_log()"],
    ids=["open", "full disk", "closed"],
)
def test_nothing_is_ever_printed(home: Path, end: str) -> None:
    """Not before the log is open, not when the disk is full, not after the end: it would land in somebody's cell."""
    script = (
        "import logging, sys\nfrom pathlib import Path\nfrom autopod_nb.log import close_log, open_log\n"
        "logger = logging.getLogger('autopod_nb.x')\nlogger.error('too early')\nhome = Path(sys.argv[1])\n"
        f"path = open_log(home)\nhandler = logging.getLogger('autopod_nb').handlers[-1]\n{end}\n"
        "logger.error('then')\n"
    )
    command = [sys.executable, "-c", script, str(home)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert (run.stdout, run.stderr) == ("", "")
