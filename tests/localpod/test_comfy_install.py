from __future__ import annotations

import logging
import platform
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from autopod_nb.localpod.comfy_install import ComfyInstall, find_install, has_gpu
from autopod_nb.localpod.failure import StartFailed


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ComfyUI, so to speak, in a folder whose name is no name for a shell or for YAML."""
    made = tmp_path / "my: $HOME #1 ü😀"
    made.mkdir()
    (made / "main.py").touch()
    return made


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in front of the PATH, on a Linux whose GPUs are not hidden."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tools = tmp_path / "tools"
    program(tools / "nvidia-smi", "exit 9")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return tools


def install(folder: Path) -> ComfyInstall:
    return ComfyInstall(folder=folder, python=Path("/bin/python"), arguments=())


def models(base: Path) -> object:
    return YAML(typ="safe").load((base / "extra_model_paths.yaml").read_text(encoding="utf-8"))


def test_a_folder_without_main_py_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartFailed) as found:
        find_install(tmp_path / "ComfyUI", None, "")
    assert str(found.value) == f"{tmp_path / 'ComfyUI'} is not a ComfyUI: there is no main.py in it."


@pytest.mark.parametrize("python", ["no-such-python", "main.py", "."])
def test_a_python_that_cannot_be_run_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    monkeypatch.chdir(folder)
    named = python if python == "no-such-python" else f"./{python}"
    with pytest.raises(StartFailed) as found:
        find_install(folder, named, "")
    assert str(found.value) == f"{named} cannot run the ComfyUI in {folder}: it is not an executable Python."


def test_the_python_of_a_venv_inside_is_taken_and_stays_a_link(folder: Path) -> None:
    """What a venv's Python links to does not know the venv's packages."""
    assert find_install(folder, None, "").python == Path(sys.executable)
    for name in (".venv", "venv"):
        link = folder / name / "bin" / "python"
        link.parent.mkdir(parents=True)
        link.symlink_to(sys.executable)
        assert find_install(folder, None, "").python == link
    other = program(folder / "other")
    assert find_install(folder, str(other), "").python == other


def test_relative_paths_and_home_are_made_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder.parent))
    program(folder / "python")
    assert find_install(Path(), "./python", "").python == folder / "python"
    assert find_install(Path("~") / folder.name, f"~/{folder.name}/python", "") == find_install(Path(), "./python", "")


def test_arguments_are_words_of_a_shell_and_replace_the_choice_of_the_cpu(folder: Path, linux: Path) -> None:
    assert find_install(folder, None, None).arguments == ("--cpu",)
    assert find_install(folder, None, "").arguments == ()
    assert find_install(folder, None, "--preview-method 'a b'").arguments == ("--preview-method", "a b")


@pytest.mark.parametrize(
    ("torch", "nvidia_smi", "visible", "found"),
    [
        ("cuda = '12.4'\nhip = None", "echo 'GPU 0: NVIDIA A40'", None, True),
        ("cuda = '12.4'\nhip = None", "echo 'GPU 0: NVIDIA A40'", "0", True),
        ("cuda = '12.4'\nhip = None", "echo 'GPU 0: NVIDIA A40'", "", False),
        ("cuda = '12.4'\nhip = None", "echo 'GPU 0: NVIDIA A40'", "-1", False),
        ("cuda = '12.4'\nhip = None", "echo 'No devices were found'", None, False),
        ("cuda = '12.4'\nhip = None", "echo 'GPU 0: half a driver'; exit 9", None, False),
        ("cuda = None\nhip = None", "echo 'GPU 0: NVIDIA A40'", None, False),
        ("not python", "echo 'GPU 0: NVIDIA A40'", None, False),
        (None, "echo 'GPU 0: NVIDIA A40'", None, False),
    ],
)
def test_there_is_a_gpu_if_torch_can_use_one_and_the_driver_has_one(
    linux: Path,
    monkeypatch: pytest.MonkeyPatch,
    torch: str | None,
    nvidia_smi: str,
    visible: str | None,
    *,
    found: bool,
) -> None:
    """And torch is not loaded for that."""
    if torch is not None:
        (linux / "torch").mkdir()
        (linux / "torch" / "__init__.py").write_text("raise SystemExit('loaded')")
        (linux / "torch" / "version.py").write_text(torch)
        monkeypatch.setenv("PYTHONPATH", str(linux))
    program(linux / "nvidia-smi", nvidia_smi)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert has_gpu(Path(sys.executable)) is found


def test_without_a_driver_there_is_no_nvidia_gpu(linux: Path) -> None:
    (linux / "nvidia-smi").unlink()
    assert not has_gpu(program(linux / "python", "echo cuda"))


@pytest.mark.parametrize("loaded", [True, False])
def test_torch_for_rocm_needs_the_compute_driver(linux: Path, monkeypatch: pytest.MonkeyPatch, *, loaded: bool) -> None:
    monkeypatch.setattr("autopod_nb.localpod.comfy_install._AMD_COMPUTE", linux if loaded else linux / "kfd")
    assert has_gpu(program(linux / "python", "echo hip")) is loaded


@pytest.mark.parametrize(("machine", "found"), [("arm64", True), ("x86_64", False)])
def test_apple_silicon_is_a_gpu(monkeypatch: pytest.MonkeyPatch, machine: str, *, found: bool) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert has_gpu(Path("/no/python")) is found


def test_the_command_keeps_everything_in_the_base_folder(folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    found = find_install(folder, sys.executable, "--cpu")
    found.prepare(base)
    assert found.command(base, 20_001, "127.0.0.1") == [
        *(sys.executable, str(folder / "main.py"), "--listen", "127.0.0.1", "--port", "20001"),
        *("--base-directory", str(base), "--database-url", f"sqlite:///{base}/user/comfyui.db"),
        *("--disable-auto-launch", "--cpu"),
    ]
    assert sorted(path.name for path in base.iterdir()) == ["custom_nodes", "input", "output", "temp", "user"]


def test_each_kind_of_the_users_models_is_named_by_its_whole_path(folder: Path, tmp_path: Path) -> None:
    for name in ("vae", "checkpoints", "ip adapter"):
        (folder / "models" / name).mkdir(parents=True)
    (folder / "models" / "readme.txt").touch()
    install(folder).prepare(tmp_path / "base")
    paths = {name: str(folder / "models" / name) for name in ("checkpoints", "ip adapter", "vae")}
    assert models(tmp_path / "base") == {"autopod": paths}
    assert "--extra-model-paths-config" in install(folder).command(tmp_path / "base", 1, "h")


def test_models_that_are_gone_at_the_next_start_are_not_named(folder: Path, tmp_path: Path) -> None:
    """ComfyUI refuses a file with nothing in it."""
    (folder / "models" / "vae").mkdir(parents=True)
    install(folder).prepare(tmp_path / "base")
    (folder / "models" / "vae").rmdir()
    install(folder).prepare(tmp_path / "base")
    assert "--extra-model-paths-config" not in install(folder).command(tmp_path / "base", 1, "h")


def test_custom_nodes_are_the_users_own_from_start_to_start(folder: Path, tmp_path: Path) -> None:
    link, own = tmp_path / "base" / "custom_nodes", folder / "custom_nodes"
    install(folder).prepare(link.parent)
    assert link.is_dir()
    assert not link.is_symlink()
    own.mkdir()
    for _ in range(2):
        install(folder).prepare(link.parent)
        assert link.readlink() == own
    own.rmdir()
    install(folder).prepare(link.parent)
    assert link.is_dir()
    assert not link.is_symlink()


def test_custom_nodes_of_the_pod_itself_are_kept(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = tmp_path / "base" / "custom_nodes" / "mine.py"
    mine.parent.mkdir(parents=True)
    mine.touch()
    (folder / "custom_nodes").mkdir()
    with caplog.at_level(logging.WARNING):
        install(folder).prepare(tmp_path / "base")
    assert mine.exists()
    assert "are left out" in caplog.text
