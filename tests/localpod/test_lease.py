from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Coroutine
from pathlib import Path

import pytest

from autopod_nb.localpod.lease import lease_end, parent_end

_LEASE_S = 0.6
_LONG_S = 10


async def _within(reason: Coroutine[None, None, str]) -> str:
    return await asyncio.wait_for(reason, _LONG_S)


def test_a_lease_that_nobody_renews_ends(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    path.write_text("1")
    assert "was not renewed for 0.6 s" in asyncio.run(_within(lease_end(path, _LEASE_S)))


def test_a_lease_in_the_future_ends_as_well(tmp_path: Path) -> None:
    """A clock that was set back makes no pod immortal."""
    path = tmp_path / "lease"
    path.write_text("1")
    os.utime(path, (4e9, 4e9))
    assert "was not renewed" in asyncio.run(_within(lease_end(path, _LEASE_S)))


def test_a_lease_that_vanishes_ends_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lease"

    async def story() -> str:
        path.write_text("1")
        task = asyncio.create_task(lease_end(path, 3.0))
        await asyncio.wait({task}, timeout=0.05)
        path.unlink()
        return await asyncio.wait_for(task, 2.0)

    assert "is gone" in asyncio.run(story())


@pytest.mark.parametrize("renewal", ["content", "time", "time that runs backwards", "another file"])
def test_a_lease_that_is_renewed_goes_on(tmp_path: Path, renewal: str) -> None:
    path = tmp_path / "lease"

    def renew(count: int) -> None:
        if renewal == "content":
            path.write_text(str(count))
            os.utime(path, (1, 1))
        elif renewal == "time":
            os.utime(path, (count, count))
        elif renewal == "time that runs backwards":
            os.utime(path, (1000 - count, 1000 - count))
        else:
            other = tmp_path / "other"
            other.write_text(str(count))
            other.replace(path)

    async def story() -> str:
        path.write_text("0")
        task = asyncio.create_task(lease_end(path, _LEASE_S))
        for count in range(8):  # twice as long as the lease
            renew(count)
            done, _ = await asyncio.wait({task}, timeout=_LEASE_S / 4)
            assert not done
        return await asyncio.wait_for(task, _LONG_S)

    assert "was not renewed" in asyncio.run(story())


def test_a_parent_that_ends_is_noticed() -> None:
    async def story(parent: subprocess.Popen[bytes]) -> str:
        task = asyncio.create_task(parent_end(parent.pid))
        done, _ = await asyncio.wait({task}, timeout=0.2)
        assert not done
        parent.communicate()
        return await asyncio.wait_for(task, _LONG_S)

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as parent:
        assert asyncio.run(story(parent)) == f"process {parent.pid} is gone"
