"""Nodes that read and write picture files.

Facts from files that ComfyUI 0.12.1 wrote: a PNG holds the workflow in a text chunk `prompt`, a WebP in the EXIF tag
0x0110 as `prompt:{…}`, an animated PNG in a private chunk; each key of `extra_pnginfo` goes beside it.
"""

from __future__ import annotations

import json
import secrets
import string

import numpy as np
from PIL import Image, ImageOps, ImageSequence
from PIL.PngImagePlugin import PngInfo

from .base import NodeContext, NodeResult
from .folders import Folders, Slot, free_slot
from .node import FileInput, Node
from .simulation import gpu, simulated_before
from .values import Floats, from_picture, to_picture

_EXIF_MODEL = 0x0110  # where the prompt is
_EXIF_MAKE = 0x010F  # where the first key of extra_pnginfo is; the next ones count down
_WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}
_SAVED_COMPRESSION = 4  # the real nodes' zlib levels
_PREVIEW_COMPRESSION = 1
_NO_MASK_PX = 64  # side of the empty mask of a picture without transparency


def load_image(ctx: NodeContext, *, image: str) -> NodeResult:
    """Read a picture, or every frame of an animated one of the same size, and the mask from its transparency."""
    path = Folders(ctx.input_dir, ctx.output_dir, ctx.temp_dir).find(image)
    frames: list[Floats] = []
    masks: list[Floats] = []
    with Image.open(path) as opened:
        for raw in ImageSequence.Iterator(opened):
            frame = ImageOps.exif_transpose(raw)
            pixels = from_picture(_rgb(frame))
            if frames and pixels.shape != frames[0].shape:
                continue
            frames.append(pixels)
            masks.append(_mask(frame))
            if opened.format == "MPO":  # its other pictures are previews of the first one
                break
    return NodeResult((np.stack(frames), np.stack(masks)))


def _rgb(picture: Image.Image) -> Image.Image:
    """Return 8-bit RGB. Of 16 bits a picture keeps little, here as in the real node."""
    if picture.mode == "I":
        picture = picture.point(lambda value: value * (1 / 255))
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _mask(picture: Image.Image) -> Floats:
    """Return height × width, 1 where the picture is transparent."""
    if "transparency" in picture.info and picture.mode == "P":
        picture = picture.convert("RGBA")
    if "A" not in picture.getbands():
        return np.zeros((_NO_MASK_PX, _NO_MASK_PX), dtype=np.float32)
    alpha = np.asarray(picture.getchannel("A"), dtype=np.float32)
    mask: Floats = np.float32(1) - alpha / np.float32(255)
    return mask


def save_image(ctx: NodeContext, *, images: Floats, filename_prefix: str) -> NodeResult:
    """Write each image as a PNG into the output folder."""
    slot = free_slot(filename_prefix, ctx.output_dir, width=images.shape[2], height=images.shape[1])
    return _save_each(ctx, images, slot, kind="output", compression=_SAVED_COMPRESSION)


def preview_image(ctx: NodeContext, *, images: Floats) -> NodeResult:
    """Write each image as a PNG into the temp folder, under a name with five random letters."""
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
    slot = free_slot(f"ComfyUI_temp_{letters}", ctx.temp_dir)
    return _save_each(ctx, images, slot, kind="temp", compression=_PREVIEW_COMPRESSION)


def _save_each(ctx: NodeContext, images: Floats, slot: Slot, *, kind: str, compression: int) -> NodeResult:
    info = _png_info(ctx)
    entries = []
    for index, image in enumerate(images):
        name = slot.name("png", index)
        to_picture(image).save(slot.folder / name, pnginfo=info, compress_level=compression)
        entries.append(entry(slot, name, kind))
    return NodeResult(ui={"images": entries})


def entry(slot: Slot, name: str, kind: str = "output") -> dict[str, str]:
    """Return what history says of a file; kind is `output` or `temp`."""
    return {"filename": name, "subfolder": slot.subfolder, "type": kind}


def metadata(ctx: NodeContext) -> dict[str, str]:
    """Return the texts that go into a file, as JSON by key: the prompt and what the client sent, unless disabled.

    What a simulated model had part in says so under `simulated`, always.
    """
    values: dict[str, object] = {}
    if not ctx.disable_metadata:
        values = {"prompt": ctx.prompt, **(ctx.extra_pnginfo or {})}
    classes = simulated_before(ctx.prompt, ctx.node_id)
    if classes:
        values["simulated"] = {"classes": classes, "gpu": gpu()}
    return {name: json.dumps(value) for name, value in values.items()}


def _png_info(ctx: NodeContext) -> PngInfo:
    info = PngInfo()
    for name, text in metadata(ctx).items():
        info.add_text(name, text)
    return info


def _animation_png_info(ctx: NodeContext) -> PngInfo:
    info = PngInfo()
    for name, text in metadata(ctx).items():
        info.add(b"comf", f"{name}\0{text}".encode("latin-1", "strict"), after_idat=True)
    return info


def _exif(ctx: NodeContext, first: Image.Image) -> Image.Exif:
    exif = first.getexif()
    texts = metadata(ctx)
    if "prompt" in texts:
        exif[_EXIF_MODEL] = f"prompt:{texts.pop('prompt')}"
    for offset, (name, text) in enumerate(texts.items()):
        exif[_EXIF_MAKE - offset] = f"{name}:{text}"
    return exif


def save_animated_webp(
    ctx: NodeContext, *, images: Floats, filename_prefix: str, fps: float, lossless: bool, quality: int, method: str
) -> NodeResult:
    """Write all images as one animated WebP."""
    slot = free_slot(filename_prefix, ctx.output_dir, width=images.shape[2], height=images.shape[1])
    first, *others = [to_picture(image) for image in images]
    name = slot.name("webp")
    first.save(
        slot.folder / name,
        save_all=True,
        append_images=others,
        duration=int(1000 / fps),
        exif=_exif(ctx, first),
        lossless=lossless,
        quality=quality,
        method=_WEBP_METHODS[method],
    )
    return _animated(slot, name, len(images))


def save_animated_png(
    ctx: NodeContext, *, images: Floats, filename_prefix: str, fps: float, compress_level: int
) -> NodeResult:
    """Write all images as one animated PNG."""
    slot = free_slot(filename_prefix, ctx.output_dir, width=images.shape[2], height=images.shape[1])
    first, *others = [to_picture(image) for image in images]
    name = slot.name("png")
    first.save(
        slot.folder / name,
        save_all=True,
        append_images=others,
        duration=int(1000 / fps),
        pnginfo=_animation_png_info(ctx),
        compress_level=compress_level,
    )
    return _animated(slot, name, len(images))


def _animated(slot: Slot, name: str, count: int) -> NodeResult:
    ui: dict[str, list[object]] = {"images": [entry(slot, name)]}
    if count > 1:  # the real nodes leave the key out for a single image
        ui["animated"] = [True]
    return NodeResult(ui=ui)


_PICTURE = FileInput("image", frozenset({"image"}), "Invalid image file: {}")

NODES = (
    Node("LoadImage", load_image, file=_PICTURE),
    Node("SaveImage", save_image),
    Node("PreviewImage", preview_image),
    Node("SaveAnimatedWEBP", save_animated_webp),
    Node("SaveAnimatedPNG", save_animated_png),
)
