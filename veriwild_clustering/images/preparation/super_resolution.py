"""Super-resolution: an image made larger by a network that draws the detail which interpolation leaves out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_choice, reason_of
from veriwild_clustering.images.models.catalog import MODELS, find_model
from veriwild_clustering.images.models.checksums import model_identity
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.models.sessions import cause_of, needed_package
from veriwild_clustering.images.models.weights import ModelError, model_files
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["BICUBIC", "Upscaler"]

BICUBIC = "bicubic"

_TASK = "super-resolution"
_STEP = 16  # pixels: images are padded to multiples of it, so that OpenVINO plans and keeps few sizes
_KEPT_PLANS = 1000  # layers of those sizes; unlimited, each further size would cost megabytes

Image = NDArray[np.uint8]


class Upscaler:
    """Make small images larger: super-resolution by a network, or bicubic interpolation.

    Parameters
    ----------
    model : str or Model, default "sisr-1033"
        "sisr-1033", "fsrcnn-x3", "espcn-x3" or "edsr-x3" of the catalog, any `Model` of that task, or "bicubic", which
        needs no weights.
    folder : path, optional
        Where weights are kept, see `model_files`.
    provider : str, optional
        What runs the network, as for other networks. Super-resolution runs on the CPU alone, whatever is named here.

    Attributes
    ----------
    factor : int
        How many times as wide and high an image becomes.
    params : dict
        All that decides about the pixels, as JSON holds it: name and decoder of the model, SHA-256 of its files.

    Raises
    ------
    ValueError
        If the model is not one of super-resolution.
    ModelError
        If its files, or the package that runs it, cannot be had.

    Notes
    -----
    An upscaler is called with an image, an array of shape (height, width, 3), uint8, RGB, and returns one of shape
    (factor * height, factor * width, 3). Cost and memory grow with the number of pixels. It can be shared between
    threads, which take turns, and be pickled: the copy reads the weights again.

    On undamaged images of vehicles, shrunk to a third and made large again, "sisr-1033" stands well above bicubic
    interpolation in peak signal-to-noise ratio, FSRCNN and ESPCN beside it (`python -m benchmarks superres`).

    References
    ----------
    .. [1] Liu, Y., Wang, Y., Li, N., Cheng, X., Zhang, Y., Huang, Y., & Lu, G. (2018). An attention-based approach for
       single image super resolution. ICPR. https://doi.org/10.1109/ICPR.2018.8545760
    .. [2] Dong, C., Loy, C. C., & Tang, X. (2016). Accelerating the super-resolution convolutional neural network.
       ECCV. https://doi.org/10.1007/978-3-319-46475-6_25
    .. [3] Shi, W., Caballero, J., Huszár, F., Totz, J., Aitken, A. P., Bishop, R., Rueckert, D., & Wang, Z. (2016).
       Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network.
       CVPR. https://doi.org/10.1109/CVPR.2016.207
    .. [4] Lim, B., Son, S., Kim, H., Nah, S., & Lee, K. M. (2017). Enhanced deep residual networks for single image
       super-resolution. CVPR Workshops. https://doi.org/10.1109/CVPRW.2017.151

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Upscaler
    >>> upscale = Upscaler("bicubic")
    >>> upscale(np.zeros((40, 60, 3), np.uint8)).shape
    (120, 180, 3)
    """

    def __init__(
        self, model: str | Model = "sisr-1033", *, folder: str | Path | None = None, provider: str | None = None
    ) -> None:
        self._arguments = model, folder, provider
        self._lock = threading.Lock()
        self.factor, self.params = 3, {"model": BICUBIC, "decoder": "", "sha256": []}
        self._enlarge: Callable[[Image], Image] = partial(_bicubic, factor=self.factor)
        if model == BICUBIC:
            return
        record = _super_resolution_model(model)
        files = model_files(record, folder=folder)
        self.factor = record.scale_factor or self.factor
        self.params = model_identity(record, files)
        self._enlarge = _OPENERS[record.decoder](record, files[0], self.factor)

    def __call__(self, image: Image) -> Image:
        """Return the image `factor` times as wide and high."""
        [pixels] = rgb_pixels([image])
        with self._lock:
            return np.ascontiguousarray(self._enlarge(pixels))

    def __repr__(self) -> str:
        return f"Upscaler({self.params['model']!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        model, folder, provider = self._arguments
        return partial(type(self), folder=folder, provider=provider), (model,)


def _super_resolution_model(model: str | Model) -> Model:
    record = find_model(model)
    if record.task != _TASK:
        known = [BICUBIC, *(name for name, one in MODELS.items() if one.task == _TASK)]
        raise ValueError(f"`model` must be one of {', '.join(map(repr, known))}. Got {record.name!r} instead.")
    check_choice(f"decoder of model {record.name!r}", record.decoder, _OPENERS)
    return record


def _bicubic(image: Image, *, factor: int) -> Image:
    import cv2

    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _opencv_network(record: Model, file: Path, factor: int) -> Callable[[Image], Image]:
    """Open an EDSR, FSRCNN or ESPCN; OpenCV itself turns its images, which are BGR, into what each takes."""
    import cv2

    superres: Any = getattr(cv2, "dnn_superres", None)
    if superres is None:
        raise ModelError(
            f"Model {record.name!r} needs cv2.dnn_superres, which this OpenCV ({cv2.__version__}) does not have: it is "
            "part of opencv-contrib-python-headless. Uninstall all packages named opencv-*, then "
            "`pip install --force-reinstall opencv-contrib-python-headless`."
        )
    network = superres.DnnSuperResImpl_create()
    try:
        network.readModel(str(file))
        network.setModel(record.decoder, factor)
        network.upsample(np.zeros((_STEP, _STEP, 3), np.uint8))  # only now it is seen whether file and decoder fit
    except cv2.error as error:
        raise _unreadable(record, file, reason_of(error)) from error
    return lambda image: network.upsample(np.ascontiguousarray(image[..., ::-1]))[..., ::-1]


def _attention_network(record: Model, file: Path, factor: int) -> Callable[[Image], Image]:
    """Open single-image-super-resolution-1033, which adds detail to the bicubic image; BGR, 0 to 255 in, 0 to 1 out."""
    core, plans = needed_package("openvino").Core(), {"CPU_RUNTIME_CACHE_CAPACITY": str(_KEPT_PLANS)}
    try:
        network = core.read_model(file)
        network.reshape({name: [1, 3, -1, -1] for name in ("0", "1")})
        request = core.compile_model(network, "CPU", plans).create_infer_request()
    except RuntimeError as error:
        raise _unreadable(record, file, cause_of(error)) from error

    def enlarge(image: Image) -> Image:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % _STEP), (0, -width % _STEP), (0, 0)), mode="edge")
        found = request.infer({"0": _bgr_planes(padded), "1": _bgr_planes(_bicubic(padded, factor=factor))})
        pixels = found[0][0, ::-1, : factor * height, : factor * width].transpose(1, 2, 0)
        return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)

    return enlarge


def _unreadable(record: Model, file: Path, cause: str) -> ModelError:
    return ModelError(f"{file} cannot be read as the network of {record.name!r}: {cause}.")


def _bgr_planes(image: Image) -> NDArray[np.float32]:
    return np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32)


_OPENERS: Mapping[str, Callable[[Model, Path, int], Callable[[Image], Image]]] = {
    "edsr": _opencv_network,
    "fsrcnn": _opencv_network,
    "espcn": _opencv_network,
    "openvino-1033": _attention_network,
}
