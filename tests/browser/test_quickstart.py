"""What a newcomer sees: the quickstart from its first cell to a video that plays."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.opened import BOTH, Opener


@pytest.mark.parametrize("ipykernel", [BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.slow)])
def test_the_quickstart_ends_with_a_video_that_is_seen_and_plays(nb: Opener) -> None:
    page = nb.shipped("01-quickstart.ipynb")
    assert page.run_all()
    job = next(at for at, cell in enumerate(page.saved().cells) if cell.source.startswith("%%comfyjob"))
    video = page.output(job).locator("video")
    video.scroll_into_view_if_needed()
    expect(video).to_be_visible()
    page.plays(video)
    page.shot("quickstart-video")
    assert (nb.folder / "demo-output" / "portrait.mp4").stat().st_size > 0
    assert re.search(r"cost: +0\.\d+ USD \(simulated\)", page.text(job + 2))
    page.save()
    html = "".join(
        output["data"].get("text/html", "") for output in page.saved().cells[job].outputs if "data" in output
    )
    assert "data:video/mp4;base64," in html, "the video is in the file, too"
    assert page.errors == []
    assert page.dialogs == []
