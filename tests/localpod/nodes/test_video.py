from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from autopod_nb.localpod.nodes.values import Audio, Video
from tests.localpod.nodes.workbench import Workbench, gradient


def save(bench: Workbench, video: Video) -> str:
    result = bench.run("SaveVideo", video=video, filename_prefix="video/v", format="auto", codec="auto")
    assert result.ui is not None
    assert result.ui["animated"] == [True]
    return f"video/{result.ui['images'][0]['filename']}"


def test_a_video_has_its_frames_rate_size_and_workflow(bench: Workbench) -> None:
    bench.prompt, bench.extra_pnginfo = {"1": {"class_type": "SaveVideo"}}, {"workflow": {"id": "w"}}
    images = gradient(9, 48, 64)
    path = bench.output / save(bench, bench.value("CreateVideo", images=images, fps=29.97))
    assert path.name == "v_00001_.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == Fraction(2997, 100)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert len(frames) == 9
        assert not container.streams.audio
        assert json.loads(container.metadata["prompt"]) == bench.prompt
        assert json.loads(container.metadata["workflow"]) == {"id": "w"}
    error = np.mean((np.stack(frames) / 255.0 - images) ** 2)
    assert -10 * np.log10(error) > 30  # PSNR in dB


@pytest.mark.parametrize(("frames", "samples"), [(6, 11025), (48, 22050)])
def test_sound_ends_with_the_last_frame_or_before(bench: Workbench, frames: int, samples: int) -> None:
    """A second of sound at 22 050 Hz beside half a second and four seconds of frames."""
    audio = Audio(np.zeros((1, 1, 22050), dtype=np.float32), 22050)
    name = save(bench, Video(gradient(frames, 32, 32), Fraction(12), audio))
    with av.open(str(bench.output / name)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.channels) == ("aac", 2)
        assert round(stream.duration * stream.time_base * 22050) == pytest.approx(samples, abs=2)
        assert container.streams.video[0].frames == frames


def test_an_odd_size_is_refused_by_the_codec_as_on_a_real_server(bench: Workbench) -> None:
    with pytest.raises(av.error.ExternalError):
        save(bench, Video(gradient(2, 32, 33), Fraction(8)))


def test_a_saved_video_can_be_loaded_and_taken_apart(bench: Workbench) -> None:
    images = gradient(5, 32, 48)
    sound = Audio(np.zeros((1, 2, 8000), dtype=np.float32), 8000)
    name = save(bench, Video(images, Fraction(10), sound))
    video: Video = bench.value("LoadVideo", file=f"{name} [output]")
    frames, audio, fps = bench.run("GetVideoComponents", video=video).values
    assert isinstance(frames, np.ndarray)
    assert isinstance(audio, Audio)
    assert (frames.shape, fps, audio.sample_rate) == (images.shape, 10.0, 8000)
    np.testing.assert_allclose(frames, images, atol=0.1)


def test_a_silent_video_has_no_sound_to_give(bench: Workbench) -> None:
    name = save(bench, Video(gradient(2, 32, 32), Fraction(10)))
    assert bench.run("GetVideoComponents", video=bench.value("LoadVideo", file=f"{name} [output]")).values[1] is None
