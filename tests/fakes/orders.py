"""Orders and looks that the tests of the service share."""

from __future__ import annotations

from typing import Any

from tests.fakes.service import RunpodService

GPU = "NVIDIA RTX A5000"


def order(name: str = "pod", **changes: object) -> dict[str, Any]:
    """The body of a create in REST v2."""
    usual = {
        "name": name,
        "image": "runpod/comfyui:latest",
        "cloud": "COMMUNITY",
        "gpu": {"id": GPU, "count": 1},
        "disk": 20,
        "ports": ["22/tcp", "8188/http"],
        "mounts": {"persistent": {"size": 20, "path": "/workspace"}},
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def create(service: RunpodService, name: str = "pod", **changes: object) -> dict[str, Any]:
    """A pod that was just created."""
    response = service.request("POST", "/v2/pods", json=order(name, **changes))
    assert response.status_code == 201, response.text
    pod: dict[str, Any] = response.json()
    return pod


def running(service: RunpodService, name: str = "pod", **changes: object) -> dict[str, Any]:
    """A pod whose container is up."""
    pod = create(service, name, **changes)
    service.advance(3)
    return read(service, pod["id"])


def read(service: RunpodService, pod_id: str) -> dict[str, Any]:
    """A pod as REST v2 shows it."""
    response = service.request("GET", f"/v2/pods/{pod_id}")
    assert response.status_code == 200, response.text
    pod: dict[str, Any] = response.json()
    return pod


def act(service: RunpodService, pod_id: str, action: str) -> int:
    """The status of an action."""
    return service.request("POST", f"/v2/pods/{pod_id}/action", json={"action": action}).status_code


def listed(service: RunpodService, query: str = "") -> dict[str, Any]:
    """One page of the list."""
    page: dict[str, Any] = service.request("GET", f"/v2/pods{query}").json()
    return page


def names(page: dict[str, Any]) -> list[str]:
    return [pod["name"] for pod in page["pods"]]


def deploy(
    service: RunpodService, selected: str = "id", *, operation: str = "podFindAndDeployOnDemand", **wish: Any
) -> Any:
    """Create by GraphQL, with the values written into the query as the SDK does (1.4). The whole answer."""
    usual: dict[str, Any] = {"cloudType": "ALL", "gpuTypeId": GPU, "gpuCount": 1, "name": "pod", "dockerArgs": ""}
    usual |= {
        "imageName": "runpod/comfyui:latest",
        "volumeMountPath": "/workspace",
        "startSsh": True,
        "supportPublicIp": True,
        "ports": "22/tcp",
    }
    return service.graphql(f"mutation {{ {operation}(input: {literal({**usual, **wish})}) {{ {selected} }} }}")


def literal(value: Any) -> str:
    """A value as GraphQL writes it; the cloud type is an enum, so without quotes."""
    if isinstance(value, dict):
        fields = (f"{k}: {v if k == 'cloudType' else literal(v)}" for k, v in value.items() if v is not None)
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
