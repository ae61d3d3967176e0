"""What a reconstruction is measured by. Loaded only when training starts: it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LOSSES", "perceptual", "structural_similarity"]

WINDOW, SIGMA = 7, 1.5
N_SCALES = 3
RANGE = 6.0  # images of unit contrast span about three standard deviations to each side
STRUCTURE = 0.84  # the share of the structural term against MAE, as in Zhao et al.


def structural_similarity(image: Tensor, other: Tensor, *, data_range: float) -> Tensor:
    """Return the mean SSIM of each pair of images of [0, data_range], shape (n,), over windows within the image.

    References
    ----------
    .. [1] Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004,
       https://doi.org/10.1109/TIP.2003.819861
    """
    mean, other_mean = _blur(image), _blur(other)
    variance, other_variance = _blur(image**2) - mean**2, _blur(other**2) - other_mean**2
    covariance = _blur(image * other) - mean * other_mean
    small, large = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean * other_mean + small) / (mean**2 + other_mean**2 + small)
    structure = (2 * covariance + large) / (variance + other_variance + large)
    return (luminance * structure).mean((1, 2, 3))


def perceptual(output: Tensor, target: Tensor) -> Tensor:
    """Return 0.84 (1 − SSIM, the mean over a pyramid of three scales) + 0.16 MAE.

    The scales are averaged where MS-SSIM multiplies them: a product has no gradient as long as one scale is
    anticorrelated, as in the first steps.

    References
    ----------
    .. [1] Zhao, Gallo, Frosio, Kautz, "Loss Functions for Image Restoration With Neural Networks", 2017,
       https://doi.org/10.1109/TCI.2016.2644865
    .. [2] Wang, Simoncelli, Bovik, "Multiscale Structural Similarity for Image Quality Assessment", 2003,
       https://doi.org/10.1109/ACSSC.2003.1292216
    """
    error = functional.l1_loss(output, target) / RANGE
    # Brightness must not be negative: of a negative image both factors of SSIM would be -1, and their product 1.
    output, target = output + RANGE / 2, target + RANGE / 2
    similarity = []
    for scale in range(N_SCALES):
        if scale:
            output, target = functional.avg_pool2d(output, 2), functional.avg_pool2d(target, 2)
        similarity.append(structural_similarity(output, target, data_range=RANGE).mean())
    return STRUCTURE * (1 - torch.stack(similarity).mean()) + (1 - STRUCTURE) * error


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "perceptual": perceptual,
}


def _blur(image: Tensor) -> Tensor:
    """Return Gaussian means over each window, channel by channel, one axis after the other."""
    n_channels = image.shape[1]
    offsets = torch.arange(WINDOW, dtype=image.dtype, device=image.device) - (WINDOW - 1) / 2
    kernel = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel = (kernel / kernel.sum()).expand(n_channels, 1, 1, WINDOW)
    rows = functional.conv2d(image, kernel, groups=n_channels)
    return functional.conv2d(rows, kernel.transpose(2, 3), groups=n_channels)
