"""Similarity of ORB keypoints: the share of them that have a mutual, near match in the other image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from veriwild_clustering.descriptors.pairwise.measure import Features, Found, TiledMeasure, small

__all__ = ["KeypointSimilarity"]

_SIDE = 128
_MOST = 40  # keypoints of an image
_WORDS = 4  # of 64 bits
_NEAR = 48  # bits of 256 in which a match may differ


@dataclass(frozen=True)
class KeypointSimilarity(TiledMeasure):
    """2 × matches / keypoints of both images, of up to 40 keypoints each.

    A match is a pair of descriptors each of which is the other's nearest, at most 48 of 256 bits apart. A pair of
    images is given up as soon as the keypoints left cannot bring enough matches. An image without keypoints has nothing
    to compare.
    """

    name: str = "orb"
    sees: str = "the same details, shifted or turned"
    strict: float = 0.5

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Return the number of keypoints and their descriptors as words of 64 bits."""
        import cv2

        detector = cv2.ORB.create(nfeatures=_MOST, edgeThreshold=16, fastThreshold=10)
        rows = np.zeros((len(images), 1 + _MOST * _WORDS), dtype=np.uint64)
        for row, image in zip(rows, images, strict=True):
            found = detector.detectAndCompute(small(image, _SIDE, grey=True), None)[1]
            if found is not None:
                words = np.unique(np.ascontiguousarray(found[:_MOST]).view(np.uint64), axis=0)
                row[0] = len(words)
                row[1 : 1 + words.size] = words.ravel()
        return rows

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return for each of the 256 bits the share of keypoints that have it, and their number, 1 for the most.

        NaN for an image without keypoints.
        """
        counts = features[:, 0].astype(np.float32)
        octets = np.ascontiguousarray(features[:, 1:]).view(np.uint8).reshape(len(features), _MOST, -1)
        shares = (
            np.stack([np.unpackbits(one, axis=1).sum(axis=0) for one in octets])
            / np.where(counts > 0, counts, np.nan)[:, None]
        )
        return np.hstack([shares, counts[:, None] / _MOST]).astype(np.float32)

    def prepare(self, features: Features) -> Any:
        """Return the numbers of keypoints and their descriptors, word by word, as vector instructions take them."""
        points = features[:, 1:].reshape(-1, _MOST, _WORDS)
        return features[:, 0].astype(np.int64), np.ascontiguousarray(points.transpose(0, 2, 1))

    def compare(self, left: Any, right: Any, *, threshold: float, same: bool) -> Found:
        """Return the pairs that reach the threshold."""
        rows, others, values, n_compared = _compare(*left, *right, threshold, same)  # type: ignore[call-arg]
        return Found(rows, others, values, int(n_compared))


def _bit_counter(typing_context, word):  # type: ignore[no-untyped-def]  # noqa: ARG001 - as numba asks for it
    """Return the number of 1 bits, as the compiler knows best how to count them on this processor."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


_count_bits: Any = intrinsic(_bit_counter)


@njit(nogil=True, cache=True)
def _compare(n_left, left, n_right, right, threshold, same):  # type: ignore[no-untyped-def]
    rows, others, values, n_compared = [0], [0], [0.0], 0
    for i in range(len(left)):
        for j in range(i if same else len(right)):
            n, m = n_left[i], n_right[j]
            needed = max(0, int(np.ceil(threshold * (n + m) / 2 - 1e-9)))
            if min(n, m) < needed:
                continue
            count = _matches(left[i], n, right[j], m, needed)
            if count < 0:
                continue
            n_compared += 1
            if count >= needed:
                rows.append(i)
                others.append(j)
                values.append(2 * count / (n + m) if n + m else 1.0)
    return np.array(rows[1:]), np.array(others[1:]), np.array(values[1:]), n_compared


@njit(nogil=True, cache=True)
def _matches(left, n, right, m, needed):  # type: ignore[no-untyped-def]
    """Return the number of mutual matches, or −1 as soon as there cannot be as many as needed."""
    nearest = np.empty(n, dtype=np.int64)
    possible = n
    for i in range(n):
        nearest[i] = _nearest(left, i, right, m)
        if nearest[i] < 0:
            possible -= 1
            if possible < needed:
                return -1
    count = 0
    for i in range(n):
        if nearest[i] >= 0 and _nearest(right, nearest[i], left, n) == i:
            count += 1
    return count


@njit(nogil=True, cache=True)
def _nearest(points, i, others, n):  # type: ignore[no-untyped-def]
    """Return the first of the nearest descriptors, −1 if none is near."""
    a, b, c, d = points[0, i], points[1, i], points[2, i], points[3, i]
    if not _is_any_near(a, b, c, d, others[0, :n], others[1, :n], others[2, :n], others[3, :n]):
        return -1
    best, at = _NEAR + 1, -1
    for j in range(n):
        distance = _count_bits(a ^ others[0, j]) + _count_bits(b ^ others[1, j])
        distance += _count_bits(c ^ others[2, j]) + _count_bits(d ^ others[3, j])
        if distance < best:
            best, at = distance, j
    return at


@njit(nogil=True, cache=True)
def _is_any_near(a, b, c, d, first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Tell whether any descriptor is near: most often none is, and a loop without branches compares several at once."""
    n_near = 0
    for j in range(len(first)):
        distance = _count_bits(a ^ first[j]) + _count_bits(b ^ second[j])
        distance += _count_bits(c ^ third[j]) + _count_bits(d ^ fourth[j])
        n_near += distance <= _NEAR
    return n_near > 0
