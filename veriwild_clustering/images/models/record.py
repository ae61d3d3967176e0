"""What is known of a network: its files, their origin and licence, and what goes in and comes out."""

from __future__ import annotations

import math
import re
from dataclasses import KW_ONLY, dataclass

from veriwild_clustering.core.validation import check_choice, check_int, check_real

__all__ = ["NETWORK_FORMATS", "ImageInput", "Model", "ModelFile"]

NETWORK_FORMATS = (".onnx", ".xml", ".tflite")
"""Suffixes of the files that can be opened as networks of any kind."""

RESIZES = ("stretch", "crop", "letterbox", "letterbox-center")
INTERPOLATIONS = ("bilinear", "bicubic", "area")
RESIZERS = ("opencv", "pillow")
COLORS = ("RGB", "BGR")
LAYOUTS = ("NCHW", "NHWC")
DTYPES = ("float32", "uint8")
POOLINGS = ("", "first")
TASKS = ("embedding", "text embedding", "detection", "attributes", "segmentation", "super-resolution", "vocabulary")


@dataclass(frozen=True)
class ImageInput:
    """How an image becomes the input of a network: `(pixel * scale - mean) / std` after resizing.

    Parameters
    ----------
    height, width : int, optional
        Pixels. None where the file of the network says it.
    resize : {"stretch", "crop", "letterbox", "letterbox-center"}
        "crop" brings the shorter side to size and cuts out the middle; "letterbox" keeps the aspect and fills what
        is left at the right and below, "letterbox-center" all around.
    interpolation : {"bilinear", "bicubic", "area"}
        How pixels are read between pixels.
    resize_with : {"opencv", "pillow"}
        Pillow smooths what it shrinks, as torchvision does; OpenCV does not, except with "area".
    color : {"RGB", "BGR"}
        The order of the channels.
    scale : float
        What each pixel, 0 to 255, is multiplied by.
    mean, std : tuple of three floats
        Of each channel, in the order of `color`; `std` is above 0.
    layout : {"NCHW", "NHWC"}
        The order of the axes.
    dtype : {"float32", "uint8"}
        The type of the input.
    fill : int
        The grey, 0 to 255, that a letterbox fills with.

    Raises
    ------
    ValueError
        If a value is not among those named, or no such number.

    Examples
    --------
    >>> from veriwild_clustering import ImageInput
    >>> ImageInput(224, 224, scale=1 / 255).layout
    'NCHW'
    """

    height: int | None = None
    width: int | None = None
    resize: str = "stretch"
    _: KW_ONLY
    interpolation: str = "bilinear"
    resize_with: str = "opencv"
    color: str = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    layout: str = "NCHW"
    dtype: str = "float32"
    fill: int = 114

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), low=1)
        check_choice("resize", self.resize, RESIZES)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("resize_with", self.resize_with, RESIZERS)
        check_choice("color", self.color, COLORS)
        check_choice("layout", self.layout, LAYOUTS)
        check_choice("dtype", self.dtype, DTYPES)
        check_int("fill", self.fill, low=0, high=256)
        check_real("scale", self.scale, low=-math.inf)
        for name, low in (("mean", -math.inf), ("std", 0)):
            values = getattr(self, name)
            if len(values) != 3 or not all(low < value < math.inf for value in values):
                above = " above 0" if low == 0 else ""
                raise ValueError(f"`{name}` must be three numbers{above}, one per channel. Got {values!r} instead.")


@dataclass(frozen=True)
class ModelFile:
    """One file of weights.

    Parameters
    ----------
    name : str
        Its name in the cache; an absolute path for a file that stays where it is.
    url : str, optional
        Where it is downloaded from. None: it can only be put there by hand.
    sha256 : str, optional
        Its checksum, in hexadecimal. None: the cache notes that of the first file and holds to it.
    n_bytes : int, optional
        Its size.

    Raises
    ------
    ValueError
        If `sha256` is no checksum of that kind.

    Examples
    --------
    >>> from veriwild_clustering import ModelFile
    >>> ModelFile("cars.onnx").url is None
    True
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    _: KW_ONLY
    n_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"`sha256` must be 64 hexadecimal digits in lower case. Got {self.sha256!r} instead.")


@dataclass(frozen=True)
class Model:
    """A network: its files, and the contract of what goes in and comes out.

    Parameters
    ----------
    name : str
        Its name in the catalog.
    task : str
        "embedding", "text embedding", "detection", "attributes", "segmentation", "super-resolution" or "vocabulary".
    files : tuple of ModelFile
        The first is the one to open.
    license : str
        SPDX identifier; empty where nothing is known of it.
    source : str
        Where it comes from: a page or a paper.
    input : ImageInput, optional
        None where text goes in, or an image of any size.
    output : str, optional
        Name of the output, or of the inner node, to take. None: the first output.
    pooling : {"", "first"}
        What is taken of an output with many positions: all of them in a row, or the first alone, which is the class
        token of a transformer.
    n_features : int, optional
        Length of the vector of an image.
    labels : tuple of str
        The classes of a detector or an attribute.
    decoder : str
        How the output is read: "yolox", "yolov10" or "openvino-ssd" of a detector; "edsr", "fsrcnn", "espcn" or
        "openvino-1033" of super-resolution.
    scale_factor : int, optional
        How many times as wide and high super-resolution makes an image.

    Raises
    ------
    ValueError
        If `task` or `pooling` is not among those named, or there is no file.

    Examples
    --------
    >>> from veriwild_clustering import ImageInput, Model, ModelFile
    >>> file = ModelFile("cars.onnx", "https://example.org/cars.onnx")
    >>> model = Model("cars", "embedding", (file,), license="MIT", source="https://example.org", input=ImageInput(224))
    >>> model.task, model.input.layout
    ('embedding', 'NCHW')
    """

    name: str
    task: str
    files: tuple[ModelFile, ...]
    _: KW_ONLY
    license: str
    source: str
    input: ImageInput | None = None
    output: str | None = None
    pooling: str = ""
    n_features: int | None = None
    labels: tuple[str, ...] = ()
    decoder: str = ""
    scale_factor: int | None = None

    def __post_init__(self) -> None:
        check_choice("task", self.task, TASKS)
        check_choice("pooling", self.pooling, POOLINGS)
        if not self.files:
            raise ValueError(f"Model {self.name!r} has no files.")
