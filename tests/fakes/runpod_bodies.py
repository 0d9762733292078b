"""Bodies of REST v2: what may be in them, and what they ask for (3.2, 3.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.fakes.runpod_account import Account
from tests.fakes.runpod_facts import COMMUNITY, CUDA_VERSIONS, NO_CAPACITY_V2, PLACES, SECURE, TEMPLATES
from tests.fakes.runpod_pod import Order, Pod
from tests.fakes.runpod_settings import RefusedError

Check = Callable[[Any], bool]
_PORT = re.compile(r"^\d{1,5}/(http|tcp)$")  # 4.3: no UDP
_KEY = re.compile(r"^(ssh|ecdsa|sk)-\S+ \S+([ \t][^\n\r]*)?$")
_VERSION = re.compile(r"^\d+\.\d+$")
_MOST_HTTP_PORTS = 10  # 4.3
_MOST_VARIABLES = 50  # 4.5


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(least: int, most: int = 1 << 31) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _ports(value: Any) -> bool:
    return _texts(value) and all(_PORT.match(each) for each in value)


def _env(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _one_of(*choices: str) -> Check:
    return lambda value: value in choices


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _list(value: Any) -> bool:
    return isinstance(value, list)


_CONTAINER: dict[str, Check] = {
    "image": _text,
    "args": _text,
    "cmd": _texts,  # 3.3: autumn clients; the August specification has args
    "entrypoint": _texts,
    "disk": _whole(1),
    "ports": _ports,
    "env": _env,
    "registry": lambda value: value is None or isinstance(value, str),
    "mounts": _object,
    "name": _name,
    "templateId": _name,
    "globalNetworking": _flag,
}
CREATE: dict[str, Check] = {
    **_CONTAINER,
    "cloud": _one_of(SECURE, COMMUNITY),
    "gpu": _object,
    "cpu": _object,
    "dataCenterIds": _texts,
    "startSsh": _flag,
    "startJupyter": _flag,
}
PATCH: dict[str, Check] = {
    **{name: check for name, check in _CONTAINER.items() if name not in ("cmd", "entrypoint")},
    "locked": _flag,
}
_GPU: dict[str, Check] = {
    "id": _name,
    "count": _whole(1),
    "allowedCudaVersions": lambda value: _texts(value) and all(_VERSION.match(each) for each in value),
    "minCudaVersion": lambda value: _text(value) and _VERSION.match(value) is not None,
    "minRamPerGpu": _whole(1),
    "minVcpuCountPerGpu": _whole(1),
}
_CPU: dict[str, Check] = {"id": _name, "vcpuCount": _whole(2)}
_MOUNTS: dict[str, Check] = {"persistent": _object, "network": lambda value: _list(value) and len(value) == 1}
_PERSISTENT: dict[str, Check] = {"size": _whole(10), "path": _name}
_NETWORK: dict[str, Check] = {"volumeId": _name, "path": _name}
ACTION: dict[str, Check] = {"action": _one_of("start", "stop", "restart", "terminate")}
SSH_KEYS: dict[str, Check] = {"keys": lambda value: _texts(value) and all(_KEY.match(each) for each in value)}
VOLUME: dict[str, Check] = {
    "name": _name,
    "size": _whole(10, 4096),  # 3.4
    "dataCenter": _name,
    "type": _one_of("STANDARD", "HIGH_PERFORMANCE"),
}
VOLUME_PATCH: dict[str, Check] = {"name": _name, "size": _whole(10, 4096)}


def check(body: Any, fields: dict[str, Check], required: tuple[str, ...] = (), where: str = "") -> dict[str, Any]:
    """The body, when nothing is wrong with its form.

    Raises:
        RefusedError: 422, which names each fault (3.2: unknown properties, too).
    """
    if not isinstance(body, dict):
        raise _unprocessable([f"{where or 'body'} must be an object"])
    errors = [f"additional properties '{where}{name}' not allowed" for name in body if name not in fields]
    errors += [f"missing property '{where}{name}'" for name in required if name not in body]
    errors += [f"'{where}{name}' is not valid" for name in fields if name in body and not fields[name](body[name])]
    if errors:
        raise _unprocessable(errors)
    return body


def _unprocessable(errors: list[str]) -> RefusedError:
    error = RefusedError(422, f"Request validation failed: {'; '.join(errors)}")
    error.errors = tuple(errors)
    return error


def order_of(body: Any, account: Account) -> Order:
    """What a create asks for (3.3).

    Raises:
        RefusedError: 422 for its form, 404 for a template, 400 for rules across fields.
    """
    given = check(body, CREATE, ("name",))
    _check_parts(given)
    if ("gpu" in given) == ("cpu" in given):
        raise RefusedError(400, "Exactly one of gpu or cpu must be set.")
    template = TEMPLATES.get(given.get("templateId", ""))
    if template is None and "templateId" in given:
        raise RefusedError(404, "template not found")
    if template is None and not given.get("image"):
        raise _unprocessable(["missing property 'image'"])
    order = Order(
        name=given["name"],
        image=given.get("image") or (template.image if template else ""),
        template_id=given.get("templateId"),
        clouds=(given.get("cloud", SECURE),),  # 3.3: omitted is SECURE
        places=tuple(given.get("dataCenterIds", ())),  # 3.3: a hard filter
        disk_gb=given.get("disk", template.disk_gb if template else 50),
        ports=tuple(given.get("ports", template.ports if template else ())),  # 3.3: no default ports
        env=dict(given.get("env", {})),
        args=given.get("args") or " ".join(given.get("cmd", ())),
        registry=given.get("registry"),
        start_ssh=given.get("startSsh", False),
        global_networking=given.get("globalNetworking", False),
    )
    order = _with_mount(_with_compute(order, given), given.get("mounts", {}), account)
    _check_rules(order)
    return order


def _check_parts(given: dict[str, Any]) -> None:
    check(given.get("gpu", {"id": "-"}), _GPU, ("id",), "gpu.")
    check(given.get("cpu", {"id": "-", "vcpuCount": 2}), _CPU, ("id", "vcpuCount"), "cpu.")
    mounts = check(given.get("mounts", {}), _MOUNTS, (), "mounts.")
    if "persistent" in mounts:
        check(mounts["persistent"], _PERSISTENT, ("size", "path"), "mounts.persistent.")
    for mount in mounts.get("network", ()):
        check(mount, _NETWORK, ("volumeId", "path"), "mounts.network.")


def _with_compute(order: Order, given: dict[str, Any]) -> Order:
    if "cpu" in given:
        return replace(order, cpu_id=given["cpu"]["id"], vcpus=given["cpu"]["vcpuCount"])
    gpu = given["gpu"]
    versions = tuple(gpu.get("allowedCudaVersions", ()))
    if versions and "minCudaVersion" in gpu:
        raise RefusedError(400, "gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive.")
    if "minCudaVersion" in gpu:
        versions = tuple(each for each in CUDA_VERSIONS if _number(each) >= _number(gpu["minCudaVersion"]))
        if not versions:
            raise RefusedError(400, NO_CAPACITY_V2)
    # 3.3: without a count the scheduler matches nothing
    return replace(order, gpu_ids=(gpu["id"],), gpu_count=gpu.get("count", 0), cuda_versions=versions or None)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _with_mount(order: Order, mounts: dict[str, Any], account: Account) -> Order:
    if "persistent" in mounts and "network" in mounts:
        raise RefusedError(400, "mounts.persistent and mounts.network are mutually exclusive.")
    if "persistent" in mounts:
        return replace(order, persistent_gb=mounts["persistent"]["size"], mount_path=mounts["persistent"]["path"])
    if "network" in mounts:
        return attach(order, mounts["network"][0]["volumeId"], mounts["network"][0]["path"], account)
    return order


def attach(order: Order, volume_id: str, path: str | None, account: Account) -> Order:
    """Attach a network volume, which binds the pod to its place and to the secure cloud (4.9).

    Raises:
        RefusedError: 404 or 400.
    """
    volume = account.volume(volume_id)
    if volume is None:
        raise RefusedError(404, "network volume not found")
    clouds = tuple(cloud for cloud in order.clouds if cloud == SECURE)
    if not clouds:
        raise RefusedError(400, "Network volumes are available in the secure cloud only.")
    if order.places and volume.place not in order.places:
        raise RefusedError(400, f"The network volume is in {volume.place}, which is not among the data centers.")
    return replace(order, volume_id=volume_id, mount_path=path, places=(volume.place,), clouds=clouds)


def _check_rules(order: Order) -> None:
    if sum(port.endswith("/http") for port in order.ports) > _MOST_HTTP_PORTS:
        raise RefusedError(400, f"At most {_MOST_HTTP_PORTS} http ports can be exposed.")
    if len(order.env) > _MOST_VARIABLES:
        raise RefusedError(400, f"At most {_MOST_VARIABLES} environment variables can be set.")
    if order.cpu_id is not None and order.persistent_gb:
        raise RefusedError(400, "mounts.persistent is not available on CPU pods.")


def patched(pod: Pod, body: Any) -> tuple[Order, bool]:
    """The order after a PATCH, and whether the container restarts and its disk is wiped (3.3: image or env).

    Raises:
        RefusedError: 422, 404 or 400.
    """
    given = check(body, PATCH)
    _check_parts(given)
    changes: dict[str, Any] = {
        ours: given[theirs]
        for theirs, ours in (("name", "name"), ("image", "image"), ("args", "args"), ("disk", "disk_gb"))
        if theirs in given
    }
    if "templateId" in given:
        if given["templateId"] not in TEMPLATES:
            raise RefusedError(404, "template not found")
        changes |= {"template_id": given["templateId"], "image": TEMPLATES[given["templateId"]].image}
    if "ports" in given:
        changes["ports"] = tuple(given["ports"])
    if "env" in given:
        changes["env"] = dict(given["env"])  # replaces all
    if (persistent := given.get("mounts", {}).get("persistent")) is not None:
        if not pod.order.persistent_gb:
            raise RefusedError(400, "The kind of a mount is fixed at create.")
        changes |= {"persistent_gb": persistent["size"], "mount_path": persistent["path"]}
    order = replace(pod.order, **changes)
    _check_rules(order)
    return order, (order.image, order.env) != (pod.order.image, pod.order.env)


def place_of(given: dict[str, Any]) -> str:
    """The data centre that a volume is to be in.

    Raises:
        RefusedError: 400, there is none by that name, or it has no volumes (3.4).
    """
    place = PLACES.get(given["dataCenter"])
    if place is None or given.get("type", "STANDARD") not in place.volume_types:
        raise RefusedError(400, f"Network volumes are not available in {given['dataCenter']}.")
    return place.id
