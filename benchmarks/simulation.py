"""Stand-ins for the case data, which may not be passed on: a space of vectors, and a raw folder of any size.

What the real descriptors have, these have: variance that falls as a power of the component's number, groups of unequal
size that partly overlap, some ten images of each vehicle close together, and a few per cent of images that belong to
nothing. All of it is seeded.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "N_IMAGES",
    "RAW_DESCRIPTORS",
    "SimulatedSpace",
    "image_list",
    "pickle_blocks",
    "simulated_raw_data",
    "simulated_space",
]

N_IMAGES = 416_314
N_VEHICLES = 40_671
N_GROUPS = 40
_OUTLIERS = 0.03
_BLOCK_ROWS = 8_192


@dataclass(frozen=True)
class RawDescriptor:
    """How one of the case's descriptors is simulated.

    `rank` components with variances j ** -`decay` hold the structure; `noise` is the share of the variance that is the
    same in all directions.
    """

    file: str
    n_features: int
    rank: int
    decay: float
    noise: float


RAW_DESCRIPTORS = {
    "efficientnet-b7": RawDescriptor("efficientnet-b7.pickle", 2560, rank=256, decay=0.8, noise=0.30),
    "osnet": RawDescriptor("osnet.pickle", 512, rank=256, decay=1.0, noise=0.08),
    "type_model": RawDescriptor("vdc_type.pickle", 512, rank=64, decay=1.6, noise=0.04),
    "color_model": RawDescriptor("vdc_color.pickle", 128, rank=96, decay=1.0, noise=0.10),
}


@dataclass(frozen=True)
class SimulatedSpace:
    """Vectors with what is known of each row.

    Parameters
    ----------
    vectors : array of shape (n_images, n_features), float32
        The space.
    groups : array of shape (n_images,), int32
        The group of each row, −1 for the few per cent that belong to none.
    vehicles : array of shape (n_images,), int32
        The vehicle of each row; images of one vehicle follow each other.
    """

    vectors: NDArray[np.float32]
    groups: NDArray[np.int32]
    vehicles: NDArray[np.int32]


def simulated_space(n_images: int, n_features: int = 64, random_state: int = 0) -> SimulatedSpace:
    """Return vectors like those of a deep descriptor after PCA: components by falling variance, j ** -0.8."""
    n_vehicles = max(1, round(n_images * N_VEHICLES / N_IMAGES))
    vehicles = _vehicles(n_images, n_vehicles, random_state)
    structure = _Structure(vehicles, rank=n_features, decay=0.8, seed=random_state)
    return SimulatedSpace(np.concatenate(list(structure.blocks())), structure.groups, vehicles)


def simulated_raw_data(
    folder: Path, n_images: int = N_IMAGES, *, names: tuple[str, ...] = tuple(RAW_DESCRIPTORS), random_state: int = 0
) -> dict[str, NDArray[np.int32]]:
    """Write the raw folder of the case, images left out, and return the groups of each descriptor, row by row.

    The list of images has the real order of folders and ranges of numbers at full size, and the same shape below. The
    pickles are byte for byte what `pickle.dump(array, protocol=4)` writes, a block of rows at a time. Descriptors share
    the vehicles; each has groups of its own, which are kept in `groups.npz` beside the folder's list.
    """
    (folder / "descriptors").mkdir(parents=True, exist_ok=True)
    vehicles, paths = image_list(n_images, random_state)
    (folder / "images_paths.csv").write_text("\n".join(["paths", *paths, ""]), encoding="utf-8", newline="\n")
    groups = {}
    for place, name in enumerate(RAW_DESCRIPTORS):
        if name in names:
            made = RAW_DESCRIPTORS[name]
            seed = 10 * random_state + place + 1
            structure = _Structure(vehicles, rank=made.rank, decay=made.decay, seed=seed)
            blocks = _at_full_width(structure, made, seed=seed)
            pickle_blocks(folder / "descriptors" / made.file, blocks, shape=(n_images, made.n_features))
            groups[name] = structure.groups
    np.savez(folder / "groups.npz", **groups)  # type: ignore[arg-type]
    return groups


class _Structure:
    """The source of structured rows; a block depends on the seed and its place alone.

    Groups differ in the strong components and share the weak ones: of the variance of component j the share
    `_BETWEEN * exp(-j / _REACH)` lies between groups. Of the rest two thirds lie between the vehicles of a group, one
    third between the images of a vehicle.
    """

    _BETWEEN, _REACH = 0.95, 24.0

    def __init__(self, vehicles: NDArray[np.int32], *, rank: int, decay: float, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])  # what does not depend on the number of images comes first
        component = np.arange(rank)
        share = self._BETWEEN * np.exp(-component / self._REACH)
        scale = (component + 1.0) ** (-decay / 2)
        self.centers = (np.sqrt(share) * scale * rng.standard_normal((N_GROUPS, rank))).astype(np.float32)
        self.spread = rng.uniform(0.7, 1.2, size=N_GROUPS).astype(np.float32)
        self.scale = scale.astype(np.float32)
        self.of_image = (np.sqrt(1 / 3 * (1 - share)) * scale).astype(np.float32)
        sizes = rng.dirichlet(np.full(N_GROUPS, 2.0))

        n_vehicles = int(vehicles.max()) + 1
        self.seed, self.vehicles, self.rank = seed, vehicles, rank
        groups = rng.choice(N_GROUPS, size=n_vehicles, p=sizes)[vehicles]
        self.groups: NDArray[np.int32] = np.where(rng.random(len(vehicles)) < _OUTLIERS, -1, groups).astype(np.int32)
        self.offsets = rng.standard_normal((n_vehicles, rank), dtype=np.float32)
        self.offsets *= np.float32(np.sqrt(2)) * self.of_image

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the rows from the first to the last."""
        for start in range(0, len(self.vehicles), _BLOCK_ROWS):
            rng = np.random.default_rng([self.seed, 1, start])
            groups, vehicles = self.groups[start : start + _BLOCK_ROWS], self.vehicles[start : start + _BLOCK_ROWS]
            normal = rng.standard_normal((len(groups), self.rank), dtype=np.float32)
            within = self.spread[groups, None] * (self.offsets[vehicles] + normal * self.of_image)
            yield np.where((groups < 0)[:, None], 1.5 * self.scale * normal, self.centers[groups] + within)


def _at_full_width(structure: _Structure, made: RawDescriptor, *, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield the rows turned into `n_features` features, with noise, each feature with a mean and scale of its own."""
    rng = np.random.default_rng([seed, 2])
    basis = rng.standard_normal((made.rank, made.n_features), dtype=np.float32)
    basis *= np.sqrt((1 - made.noise) / np.square(structure.scale).sum())
    scale = rng.lognormal(-1, 0.4, size=made.n_features).astype(np.float32)
    mean = 3 * scale
    basis *= scale
    sigma = np.float32(np.sqrt(made.noise)) * scale
    for place, block in enumerate(structure.blocks()):
        noise = np.random.default_rng([seed, 3, place])
        rows = noise.standard_normal((len(block), made.n_features), dtype=np.float32)
        rows *= sigma
        rows += mean
        rows += block @ basis
        yield rows


def _vehicles(n_images: int, n_vehicles: int, seed: int) -> NDArray[np.int32]:
    """Return the vehicle of each image: at least one image each, ten on average."""
    rng = np.random.default_rng([seed, n_images, n_vehicles])
    more = rng.multinomial(n_images - n_vehicles, rng.dirichlet(np.full(n_vehicles, 2.0)))
    return np.repeat(np.arange(n_vehicles, dtype=np.int32), 1 + more)


def image_list(n_images: int, random_state: int = 0) -> tuple[NDArray[np.int32], list[str]]:
    """Return vehicles, counted from 0, and paths in the order of the case's list: folders 1, 10, 2, … 9.

    The ends of folders 1 and 9 are known, those between are spread evenly.
    """
    share = n_images / N_IMAGES
    images = np.round(share * np.array([0, *np.linspace(41_150, 370_003, 9), N_IMAGES])).astype(int)
    vehicles = np.round(share * np.array([0, *np.linspace(4_028, 36_190, 9), N_VEHICLES])).astype(int)
    if np.diff(vehicles).min() < 1:
        raise ValueError(f"`n_images` must leave a vehicle for each of ten folders. Got {n_images} instead.")
    rows, paths = [], []
    for place in sorted(range(10), key=lambda place: str(place + 1)):
        n_here, first = images[place + 1] - images[place], vehicles[place]
        here = first + _vehicles(n_here, vehicles[place + 1] - first, random_state)
        numbers = range(images[place] + 1, images[place + 1] + 1)
        rows.append(here)
        paths += [
            f"veriwild\\{place + 1}\\{vehicle + 1:05d}\\{number:06d}.jpg"
            for vehicle, number in zip(here.tolist(), numbers, strict=True)
        ]
    return np.concatenate(rows).astype(np.int32), paths


def pickle_blocks(file: Path, blocks: Iterator[NDArray[np.float32]], *, shape: tuple[int, int]) -> None:
    """Write blocks of rows as the pickle of one float32 array, protocol 4, in the memory of a block."""
    n_bytes = 4 * shape[0] * shape[1]
    with file.open("wb") as target:
        if n_bytes < 2**16:  # within a frame of the pickle
            pickle.dump(np.concatenate(list(blocks)), target, protocol=4)
        else:
            _BlockPickler(_BlockFile(target), protocol=4).dump(_Matrix(shape, _Blocks(blocks, n_bytes)))


@dataclass(frozen=True)
class _Blocks:
    """Stands for the bytes of a matrix, of which one block exists at a time."""

    blocks: Iterator[NDArray[np.float32]]
    n_bytes: int

    def __len__(self) -> int:
        return self.n_bytes


@dataclass(frozen=True)
class _Matrix:
    """Is pickled as an array of this shape with these bytes."""

    shape: tuple[int, int]
    data: _Blocks

    def __reduce__(self) -> tuple[Callable[..., Any], Any, Any]:
        reduced: Any = np.empty((0, 0), dtype=np.float32).__reduce__()
        function, arguments, (version, _, dtype, fortran, _) = reduced
        return function, arguments, (version, self.shape, dtype, fortran, self.data)


@dataclass(frozen=True)
class _BlockFile:
    """A file that writes what it is given, `_Blocks` one after another."""

    target: Any

    def write(self, data: Any) -> None:
        for part in data.blocks if isinstance(data, _Blocks) else [data]:
            self.target.write(part)


class _BlockPickler(pickle._Pickler):  # noqa: SLF001
    """Python's pickler, which writes large bytes straight to the file: `_Blocks` count as bytes."""

    dispatch = {**pickle._Pickler.dispatch, _Blocks: pickle._Pickler.save_bytes}  # type: ignore[attr-defined]  # noqa: SLF001, RUF012
