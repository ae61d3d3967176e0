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
_MOST = 100  # keypoints of an image
_WORDS = 4  # of 64 bits
_NEAR = 48  # bits of 256 in which a match may differ
_CHUNK_BITS = 16
_CHUNKS = 4  # of a word
_CLOSE = _NEAR // (_WORDS * _CHUNKS)  # bits in which the nearest chunks of a match may differ
_MANY = 2**14  # pairs of images, from which on buckets pay


@dataclass(frozen=True)
class KeypointSimilarity(TiledMeasure):
    """2 × matches / keypoints of both images, of up to 100 keypoints each.

    A match is a pair of descriptors each of which is the other's nearest, at most 48 of 256 bits apart. Descriptors so
    near are found by buckets of equal or nearly equal parts, and only images that share enough of them are compared. An
    image without keypoints has nothing to compare.
    """

    name: str = "orb"
    sees: str = "the same details, shifted or turned"
    strict: float = 0.4

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
        """Return the numbers of keypoints and their descriptors."""
        return features[:, 0].astype(np.int64), np.ascontiguousarray(features[:, 1:]).reshape(-1, _MOST, _WORDS)

    def compare(self, left: Any, right: Any, *, threshold: float, same: bool) -> Found:
        """Return the pairs that reach the threshold."""
        if threshold > 0 and len(left[0]) * len(right[0]) >= _MANY:
            near = _near_keypoints(*left, *right, *_FLIPS, same)  # type: ignore[call-arg]
        else:
            near = np.zeros((0, 0, 2), dtype=np.uint64)
        rows, others, values, n_compared = _compare(*left, *right, near, threshold, same)  # type: ignore[call-arg]
        return Found(rows, others, values, int(n_compared))


def _flips(radius: int) -> NDArray[np.int64]:
    """Return all numbers of 16 bits of which at most so many are 1."""
    numbers = np.arange(2**_CHUNK_BITS)
    return numbers[np.bitwise_count(numbers) <= radius]


_FLIPS = _flips(_CLOSE), _flips(_CLOSE - 1)


@intrinsic
def _count_bits(typing_context, word):  # type: ignore[no-untyped-def]  # noqa: ARG001 - as numba asks for it
    """Return the number of 1 bits, by the processor's own instruction where it has one."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@njit(nogil=True, cache=True)
def _compare(n_left, left, n_right, right, near, threshold, same):  # type: ignore[no-untyped-def]
    """Return the pairs that reach the threshold; `near`, if not empty, spares those of too few near keypoints."""
    rows, others, values, n_compared = [0], [0], [0.0], 0
    for i in range(len(left)):
        for j in range(i if same else len(right)):
            n, m = n_left[i], n_right[j]
            needed = max(0, int(np.ceil(threshold * (n + m) / 2 - 1e-9)))
            if min(n, m) < needed:
                continue
            if len(near) and _count_bits(near[i, j, 0]) + _count_bits(near[i, j, 1]) < needed:
                continue
            count = _matches(left[i, :n], right[j, :m], needed)
            if count < 0:
                continue
            n_compared += 1
            if count >= needed:
                rows.append(i)
                others.append(j)
                values.append(2 * count / (n + m) if n + m else 1.0)
    return np.array(rows[1:]), np.array(others[1:]), np.array(values[1:]), n_compared


@njit(nogil=True, cache=True)
def _matches(a, b, needed):  # type: ignore[no-untyped-def]
    """Return the number of mutual matches, or −1 as soon as there cannot be as many as needed."""
    nearest = np.empty(len(a), dtype=np.int64)
    possible = len(a)
    for i in range(len(a)):
        nearest[i] = _nearest(a[i], b)
        if nearest[i] < 0:
            possible -= 1
            if possible < needed:
                return -1
    count = 0
    for i in range(len(a)):
        if nearest[i] >= 0 and _nearest(b[nearest[i]], a) == i:
            count += 1
    return count


@njit(nogil=True, cache=True)
def _nearest(point, others):  # type: ignore[no-untyped-def]
    """Return the first of the nearest descriptors, −1 if none is near."""
    best, at = _NEAR + 1, -1
    for j in range(len(others)):
        distance = _distance(point, others[j], best)
        if distance < best:
            best, at = distance, j
    return at


@njit(nogil=True, cache=True, inline="always")
def _distance(one, other, limit):  # type: ignore[no-untyped-def]
    """Return in how many bits two descriptors differ, or a lower bound that reaches the limit."""
    half = _count_bits(one[0] ^ other[0]) + _count_bits(one[1] ^ other[1])
    if half >= limit:
        return half
    return half + _count_bits(one[2] ^ other[2]) + _count_bits(one[3] ^ other[3])


@njit(nogil=True, cache=True)
def _near_keypoints(n_left, left, n_right, right, flips, fewer_flips, same):  # type: ignore[no-untyped-def]
    """Return for each pair of images which keypoints of the first are near one of the second, as 2 words of bits.

    Descriptors at most 48 bits apart differ by at most 3 bits in the first of their 16 chunks of 16 bits, or by at most
    2 in one of the other 15: otherwise they differ by 4 + 15 × 3 = 49 bits or more. So those that lie in one bucket, or
    in buckets a few flips apart, are compared, and no others.
    """
    near = np.zeros((len(left), len(right), 2), dtype=np.uint64)
    one, one_image, one_place = _listed(n_left, left)
    two, two_image, two_place = (one, one_image, one_place) if same else _listed(n_right, right)
    for chunk in range(_WORDS * _CHUNKS):
        order, starts = _buckets(one, chunk)
        other_order, other_starts = (order, starts) if same else _buckets(two, chunk)
        points, other_points = one[order], two[other_order]
        for value in range(len(starts) - 1):
            start, stop = starts[value], starts[value + 1]
            if start == stop:
                continue
            for flip in flips if chunk == 0 else fewer_flips:
                other_value = value ^ flip
                if same and other_value < value:
                    continue
                for p in range(start, stop):
                    first = p + 1 if same and flip == 0 else other_starts[other_value]
                    for q in range(first, other_starts[other_value + 1]):
                        if _distance(points[p], other_points[q], _NEAR + 1) <= _NEAR:
                            i, k, j = one_image[order[p]], one_place[order[p]], two_image[other_order[q]]
                            if same and i < j:
                                i, k, j = j, two_place[other_order[q]], i
                            near[i, j, k >> 6] |= np.uint64(1) << np.uint64(k & 63)
    return near


@njit(nogil=True, cache=True)
def _listed(counts, points):  # type: ignore[no-untyped-def]
    """Return the descriptors of all images in one list, with their images and places."""
    total = counts.sum()
    listed = np.empty((total, _WORDS), dtype=np.uint64)
    image, place = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int32)
    at = 0
    for i in range(len(counts)):
        for k in range(counts[i]):
            listed[at], image[at], place[at] = points[i, k], i, k
            at += 1
    return listed, image, place


@njit(nogil=True, cache=True)
def _buckets(points, chunk):  # type: ignore[no-untyped-def]
    """Return the order of descriptors by the value of a chunk, and where each value starts in it."""
    word, shift = chunk // _CHUNKS, np.uint64(chunk % _CHUNKS * _CHUNK_BITS)
    starts = np.zeros(2**_CHUNK_BITS + 1, dtype=np.int32)
    values = np.empty(len(points), dtype=np.int32)
    for p in range(len(points)):
        values[p] = np.int32((points[p, word] >> shift) & np.uint64(2**_CHUNK_BITS - 1))
        starts[values[p] + 1] += 1
    for value in range(2**_CHUNK_BITS):
        starts[value + 1] += starts[value]
    at = starts[:-1].copy()
    order = np.empty(len(points), dtype=np.int32)
    for p in range(len(points)):
        order[at[values[p]]] = p
        at[values[p]] += 1
    return order, starts
