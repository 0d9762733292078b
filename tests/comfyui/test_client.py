"""The client against the built-in engine, and against servers that misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from autopod_nb.clock import Deadline
from autopod_nb.comfyui.answers import Accepted, Whereabouts
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.errors import AnswerLost, ComfyError, PromptRefused
from autopod_nb.models.event import PromptOutcome, PromptResult, ServerFeatures
from autopod_nb.models.job import RemoteFile
from tests.comfyui.recorded import RECORDINGS
from tests.comfyui.servers import (
    CLOCK,
    Answer,
    EngineProcess,
    Request,
    Script,
    ScriptedServer,
    free_port,
    patience,
)
from tests.fakes.relay import Relay

Connect = Callable[..., ComfyClient]
Serve = Callable[[Script], ScriptedServer]


def workflow(name: str, seed: int = 42) -> dict[str, Any]:
    """One of the shared workflows; ``text_and_seed`` with a seed."""
    found: dict[str, Any] = json.loads((RECORDINGS / "workflows" / f"{name}.json").read_text())
    if name == "text_and_seed":
        found["1"]["inputs"]["value"] = seed
    return found


def ended(client: ComfyClient, prompt_id: str) -> PromptResult:
    """Wait for a prompt's history."""
    deadline = patience()
    while not deadline.passed:
        if result := client.history(prompt_id):
            return result
        client.pause(0.01)
    raise AssertionError("it did not end")


def slow() -> dict[str, Any]:
    """A workflow that runs for seconds, and that can be interrupted at any of many small steps."""
    found = workflow("slow_progress")
    found["1"]["inputs"].update(width=1024, height=1024)
    for node in found.values():
        if "tile_size" in node["inputs"]:
            node["inputs"]["tile_size"] = 64
    found["2"]["inputs"]["seed"] = uuid4().int % 2**31  # nothing of it may come from the cache
    return found


def test_a_workflow_goes_in_and_its_result_comes_out(engine: EngineProcess, connect: Connect) -> None:
    client = connect(engine.url)
    info = client.wait_ready(patience())
    assert info.version
    assert info.device
    assert client.features() == ServerFeatures(preview_metadata=True, max_upload_bytes=104_857_600)
    assert "SaveImage" in client.object_info()
    assert list(client.object_info("SaveImage")) == ["SaveImage"]
    assert client.object_info("No/Such?Node") == {}
    prompt_id = str(uuid4())
    assert client.whereabouts(prompt_id) is Whereabouts.NOWHERE
    accepted = client.submit(workflow("text_and_seed", 7), prompt_id=prompt_id, client_id=str(uuid4()))
    assert accepted.node_errors == {}
    result = ended(client, prompt_id)
    assert (result.outcome, len(result.files), len(result.texts)) == (PromptOutcome.SUCCESS, 2, 1)
    assert client.whereabouts(prompt_id) is Whereabouts.ENDED
    with client.view(result.files[0]) as whole:
        content = b"".join(whole)
        assert whole.total_bytes == len(content)
    with client.view(result.files[0], start=100) as rest:
        assert (rest.start, rest.total_bytes, b"".join(rest)) == (100, len(content), content[100:])
    client.free()
    assert "got prompt" in client.logs()


def test_cancelling_takes_out_what_waits_and_interrupts_what_runs_and_nothing_else(
    engine: EngineProcess, connect: Connect
) -> None:
    client = connect(engine.url)
    running, waiting, last = (str(uuid4()) for _ in range(3))
    for prompt_id in (running, waiting, last):
        client.submit(slow(), prompt_id=prompt_id, client_id=str(uuid4()))
    deadline = patience()
    while running not in client.queue().running and not deadline.passed:
        client.pause(0.01)
    assert client.queue().pending == (waiting, last)
    assert client.queue_remaining() == 3
    assert client.cancel(waiting) is Whereabouts.NOWHERE
    assert client.cancel(last) is Whereabouts.NOWHERE
    assert client.queue().running == (running,)
    assert client.cancel(running) in (Whereabouts.RUNNING, Whereabouts.ENDED)
    assert ended(client, running).outcome is PromptOutcome.INTERRUPTED
    assert client.cancel(running) is Whereabouts.ENDED
    assert (client.history(waiting), client.history(last)) == (None, None)
    with pytest.raises(ComfyError, match="No prompt id"):
        client.interrupt("")


def test_a_refusal_names_node_title_class_input_and_what_is_wrong(engine: EngineProcess, connect: Connect) -> None:
    client = connect(engine.url)
    with pytest.raises(PromptRefused) as refused:
        client.submit(workflow("invalid_at_submission"), prompt_id=str(uuid4()), client_id="a")
    error = refused.value
    assert error.error_type == "prompt_outputs_failed_validation"
    assert set(error.node_errors) == {"1", "2", "3", "5", "7", "11"}
    assert error.node_errors["5"].startswith(
        "node 5 'Unknown method, height is not a number' (ImageScale): input upscale_method: 'magic' is not in its list"
    )
    assert "\n" not in str(error)
    assert "(5 more: node" in str(error)


def test_choices_that_were_too_many_for_the_refusal_are_looked_up(connect: Connect, serve: Serve) -> None:
    """The server leaves lists of more than twenty out; the nearest choices are shown all the same."""
    choices = [f"sampler_{number}" for number in range(30)] + ["euler_ancestral"]
    refusal: dict[str, object] = {
        "error": {"type": "prompt_outputs_failed_validation", "message": "", "details": "", "extra_info": {}},
        "node_errors": {"1": {"class_type": "KSamplerSelect", "dependent_outputs": ["2"], "errors": [
            {"type": "value_not_in_list", "message": "Value not in list", "details": "sampler_name: 'x' not in (…)",
             "extra_info": {"input_name": "sampler_name", "input_config": None, "received_value": "Euler_ancestrel"}},
        ]}},
    }  # fmt: skip
    info = {"KSamplerSelect": {"input": {"required": {"sampler_name": ["COMBO", {"options": choices}]}}}}

    def script(request: Request) -> Answer:
        if request.path == "/prompt":
            return Answer(json.dumps(refusal).encode(), status=400)
        return Answer(json.dumps(info).encode())

    server = serve(script)
    with pytest.raises(
        PromptRefused, match=r"input sampler_name: 'Euler_ancestrel' is not in its list.*euler_ancestral"
    ):
        connect(server.url).submit({}, prompt_id="a", client_id="b")
    assert server.paths("GET") == ["/object_info/KSamplerSelect"]


@pytest.mark.parametrize(
    ("answer", "error_type", "said"),
    [
        (Answer(b"Maximum request body size 104857600 exceeded.", 413), "too_large", "too large .*104857600"),
        (Answer(b"500 Internal Server Error\n\nServer got itself in trouble", 500), "500", "answered 500 .*API format"),
    ],
)
def test_refusals_in_plain_text_are_told(
    answer: Answer, error_type: str, said: str, connect: Connect, serve: Serve
) -> None:
    server = serve(lambda _request: answer)
    with pytest.raises(PromptRefused, match=said) as refused:
        connect(server.url).submit({}, prompt_id="a", client_id="b")
    assert refused.value.error_type == error_type
    assert len(server.requests) == 1  # it was answered: there is nothing to look for


def test_a_workflow_that_json_cannot_carry_is_not_posted(connect: Connect, serve: Serve) -> None:
    server = serve(lambda _request: Answer())
    with pytest.raises(PromptRefused, match="JSON cannot carry"):
        connect(server.url).submit({"1": {"inputs": {"x": float("nan")}}}, prompt_id="a", client_id="b")
    assert server.requests == []


def test_requests_carry_our_name_and_no_origin(connect: Connect, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI refuses a wrong Origin; a proxy of the environment has no business in a tunnel."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    server = serve(lambda _request: Answer(b'{"exec_info": {"queue_remaining": 4}}'))
    assert connect(server.url).queue_remaining() == 4
    headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
    assert headers["user-agent"] == "autopod-nb"
    assert "origin" not in headers


def test_threads_share_a_client(engine: EngineProcess, connect: Connect) -> None:
    client = connect(engine.url)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(client.features())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [client.features()] * 8


@pytest.mark.faults
@pytest.mark.parametrize("queued_by", ["queue", "history"])
def test_a_prompt_whose_answer_was_lost_is_found_and_not_posted_again(
    queued_by: str, connect: Connect, serve: Serve
) -> None:
    """The line is cut after the server took the workflow: it must run once."""

    def script(request: Request) -> Answer:
        if request.method == "POST":
            return Answer(cut_after=-1)
        if request.path == "/queue":
            entry = [[3, "mine", {}, {}, []]]
            return Answer(json.dumps({"queue_running": [], "queue_pending": entry * (queued_by == "queue")}).encode())
        return Answer(b'{"mine": {"outputs": {}}}')

    server = serve(script)
    accepted = connect(server.url).submit({}, prompt_id="mine", client_id="b")
    assert accepted == Accepted(number=3 if queued_by == "queue" else 0)
    assert server.paths("POST") == ["/prompt"]


@pytest.mark.faults
def test_a_prompt_that_never_arrived_is_posted_once_more_and_never_a_third_time(connect: Connect, serve: Serve) -> None:
    """Only after two looks without it; then the second lost answer is an error that says so."""
    server = serve(lambda request: Answer(cut_after=-1) if request.method == "POST" else Answer())
    with pytest.raises(AnswerLost):
        connect(server.url).submit({}, prompt_id="mine", client_id="b")
    asked = [request.path for request in server.requests]
    look = ["/queue", "/history/mine"] * 2
    assert asked == ["/prompt", *look, "/prompt", *look]


@pytest.mark.faults
def test_a_lost_answer_with_a_line_that_comes_back_runs_once(
    engine: EngineProcess, connect: Connect, relay_to: Callable[[str], Relay]
) -> None:
    """Through a relay that lets the request pass and holds the answer until the client has given up on it."""
    relay = relay_to(engine.url)
    client, direct = connect(f"http://127.0.0.1:{relay.port}", timeout_s=1.0), connect(engine.url)
    client.queue_remaining()
    posted_before = direct.logs().count("got prompt")
    relay.hold()  # the request itself is held back too, and passes when the line flows again
    prompt_id = str(uuid4())
    done: list[Accepted] = []
    thread = threading.Thread(
        target=lambda: done.append(client.submit(workflow("text_and_seed", 8), prompt_id=prompt_id, client_id="c"))
    )
    thread.start()
    direct.pause(2.0)  # it gives up after a second, and asks on a new connection
    relay.release()
    thread.join()
    assert relay.accepted > 1, "it has given up"
    assert len(done) == 1
    assert ended(direct, prompt_id).outcome is PromptOutcome.SUCCESS
    assert direct.logs().count("got prompt") == posted_before + 1
    assert direct.queue_remaining() == 0


@pytest.mark.faults
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b"{" + b" " * 10_000_000 + b"}"), "larger than 1,000,000 bytes"),
        (Answer(b"<html>Bad gateway</html>", content_type="text/html"), "sends no JSON: <html>Bad gateway</html>"),
        (Answer(b"[" * 100_000), "sends no JSON"),
        (Answer(b"[1]"), "something else than an object"),
        (Answer(b'{"exec_info": {}}'), "how long its queue is"),
        (Answer(b"500 Internal Server Error\n\nServer got itself in trouble", status=500, content_type="text/plain"),
         "answered 500 to /prompt: 500 Internal Server Error Server got itself in trouble"),
        (Answer(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}), "answered 302"),
        (Answer(b'{"exec_info"', cut_after=3), "The line to ComfyUI at .* broke during GET /prompt"),
        (Answer(cut_after=-1), "broke during GET /prompt"),
    ],
)  # fmt: skip
def test_no_good_answer_is_one_line(answer: Answer, said: str, connect: Connect, serve: Serve) -> None:
    server = serve(lambda _request: answer)
    with pytest.raises(ComfyError, match=said) as failed:
        connect(server.url).queue_remaining()
    assert "\n" not in str(failed.value)
    assert len(str(failed.value)) < 400


@pytest.mark.faults
def test_a_question_is_asked_again_when_a_kept_connection_has_ended(connect: Connect, serve: Serve) -> None:
    answers = iter([Answer(cut_after=-1), Answer(b'{"exec_info": {"queue_remaining": 0}}')])
    server = serve(lambda _request: next(answers))
    assert connect(server.url).queue_remaining() == 0
    assert len(server.requests) == 2


@pytest.mark.faults
def test_silence_ends_with_the_time_out_and_is_not_asked_again(connect: Connect, serve: Serve) -> None:
    hold = threading.Event()
    server = serve(lambda _request: Answer(hold=hold))
    try:
        with pytest.raises(AnswerLost, match=r"did not answer GET /prompt within 0\.2 s"):
            connect(server.url, timeout_s=0.2).queue_remaining()
    finally:
        hold.set()
    assert len(server.requests) == 1


@pytest.mark.faults
def test_closing_breaks_off_a_call_in_another_thread(connect: Connect, serve: Serve) -> None:
    """A lane must end within a second of its stop, whatever the server does."""
    hold, asked = threading.Event(), threading.Event()

    def script(_request: Request) -> Answer:
        asked.set()
        return Answer(hold=hold)

    server = serve(script)
    client = connect(server.url)
    errors: list[ComfyError] = []

    def ask() -> None:
        try:
            client.queue_remaining()
        except ComfyError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(10)
    client.close()
    thread.join(2)
    hold.set()
    assert not thread.is_alive()
    assert "was closed" in str(errors[0])
    with pytest.raises(ComfyError, match="is closed"):
        client.queue_remaining()


@pytest.mark.faults
def test_waiting_for_readiness_outlasts_refusals_and_answers_that_are_no_comfyui(
    connect: Connect, serve: Serve
) -> None:
    """An open port proves nothing: the local end of a tunnel accepts before anything listens on the pod."""
    good = {"system": {"comfyui_version": "0.12.1", "python_version": "3.11.7 (main)", "pytorch_version": "2.1"},
            "devices": [{"name": "cuda:0 A40"}]}  # fmt: skip
    answers = iter([Answer(cut_after=-1), Answer(cut_after=-1), Answer(b"starting", status=503), Answer(b"{}"),
                    Answer(json.dumps(good).encode())])  # fmt: skip
    server = serve(lambda _request: next(answers))
    info = connect(server.url).wait_ready(patience())
    assert (info.version, info.device, info.python, info.pytorch) == ("0.12.1", "cuda:0 A40", "3.11.7", "2.1")


@pytest.mark.faults
def test_a_server_that_never_comes_is_an_error_that_says_what_came_last(connect: Connect) -> None:
    client = connect(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ComfyError, match=r"did not become ready in time\. Last: .*[Rr]efused"):
        client.wait_ready(Deadline(CLOCK, 0.3))


def test_a_file_that_is_not_there_says_so(engine: EngineProcess, connect: Connect) -> None:
    client = connect(engine.url)
    with (
        pytest.raises(ComfyError, match=r"no longer has the file 'x y%.png'"),
        client.view(RemoteFile(node_id="", filename="x y%.png", subfolder="høld/out put")),
    ):
        pass
