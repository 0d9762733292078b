from __future__ import annotations

import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from autopod_nb.localpod.nodes.values import Audio
from tests.localpod.nodes.workbench import Workbench, colours

RATE = 22050


def tone(seconds: float, channels: int) -> Audio:
    time = np.arange(round(seconds * RATE)) / RATE
    wave_form = np.float32(0.5) * np.sin(2 * np.pi * 440 * time).astype(np.float32)
    return Audio(np.stack([wave_form / (channel + 1) for channel in range(channels)])[None], RATE)


def read(path: Path) -> Audio:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
        samples = np.concatenate([frame.reshape(1, -1) if frame.ndim == 1 else frame for frame in frames], axis=1)
        return Audio(samples[None], stream.rate)


def test_silence_has_its_length(bench: Workbench) -> None:
    audio: Audio = bench.value("EmptyAudio", duration=0.5, sample_rate=44100, channels=2)
    assert (audio.waveform.shape, audio.sample_rate) == ((1, 2, 22050), 44100)
    assert not audio.waveform.any()


def test_a_wave_file_is_read_to_the_sample(bench: Workbench) -> None:
    samples = np.array([0, 1000, -32768, 32767] * 100, dtype="<i2")
    with wave.open(str(bench.input / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    audio: Audio = bench.value("LoadAudio", audio="a.wav")
    assert audio.sample_rate == RATE
    np.testing.assert_allclose(audio.waveform, samples[None, None] / 32768, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_flac_gives_the_sound_back(bench: Workbench, channels: int) -> None:
    bench.prompt = {"1": {"class_type": "SaveAudio"}}
    result = bench.run("SaveAudio", audio=tone(0.3, channels), filename_prefix="audio/a")
    assert result.ui == {"audio": [{"filename": "a_00001_.flac", "subfolder": "audio", "type": "output"}]}
    loaded: Audio = bench.value("LoadAudio", audio="audio/a_00001_.flac [output]")
    np.testing.assert_allclose(loaded.waveform, tone(0.3, channels).waveform, atol=1e-4)
    with av.open(str(bench.saved(result, "audio")[0])) as container:
        assert json.loads(container.metadata["prompt"]) == bench.prompt


@pytest.mark.parametrize("quality", ["V0", "128k", "320k"])
def test_mp3_keeps_rate_and_length(bench: Workbench, quality: str) -> None:
    result = bench.run("SaveAudioMP3", audio=tone(1.0, 2), filename_prefix="m", quality=quality)
    path = bench.saved(result, "audio")[0]
    assert path.name == "m_00001_.mp3"
    decoded = read(path)
    assert decoded.sample_rate == RATE
    assert decoded.waveform.shape[1:] == (2, RATE)


def test_a_sound_preview_goes_to_the_temp_folder(bench: Workbench) -> None:
    result = bench.run("PreviewAudio", audio=tone(0.1, 1))
    assert bench.saved(result, "audio")[0].parent == bench.temp
    assert bench.saved(result, "audio")[0].stat().st_size > 0


def test_a_picture_has_no_sound(bench: Workbench) -> None:
    path = bench.saved(bench.run("SaveImage", images=colours(1, 4, 4), filename_prefix="a"))[0]
    with pytest.raises(ValueError, match="No audio stream"):
        bench.run("LoadAudio", audio=f"{path.name} [output]")
