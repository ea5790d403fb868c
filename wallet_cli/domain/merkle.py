"""Merkle trees by RFC 6962 (Certificate Transparency, section 2.1): one hash for many values, and short proofs that a
value is among them.

A leaf's hash is SHA-256(0x00 ‖ leaf), a node's SHA-256(0x01 ‖ left ‖ right). Of n leaves, the left half has the largest
power of two that is smaller than n.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from wallet_cli.domain.hash_chain import sha256

EMPTY = bytes(sha256(b"").digest())


def leaf_hash(leaf: bytes) -> bytes:
    return bytes(sha256(b"\0" + leaf).digest())


def node_hash(left: bytes, right: bytes) -> bytes:
    return bytes(sha256(b"\1" + left + right).digest())


class Tree:
    """A tree that grows leaf by leaf, in memory that grows with the logarithm of their number."""

    def __init__(self) -> None:
        self._whole: list[tuple[int, bytes]] = []
        """Complete trees, each larger than the next: the number of leaves, and the root."""

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        size, node = 1, leaf
        while self._whole and self._whole[-1][0] == size:
            node = node_hash(self._whole.pop()[1], node)
            size *= 2
        self._whole.append((size, node))

    def root(self) -> bytes:
        """The root over the leaves so far; more may follow."""
        if not self._whole:
            return EMPTY
        *larger, (_, node) = self._whole
        for _, left in reversed(larger):
            node = node_hash(left, node)
        return node


def root(hashes: Iterable[bytes]) -> bytes:
    """The root over hashes of leaves."""
    tree = Tree()
    for each in hashes:
        tree.add(each)
    return tree.root()


def proof(hashes: Iterable[bytes], size: int, index: int) -> list[bytes]:
    """The sibling hashes on the way from the leaf at `index` (from 0) to the root of `size` leaves, the lowest first.

    Reads the hashes once, in constant memory.
    """
    beside = list(_beside(0, size, index))
    leaves = iter(hashes)
    roots = {}
    for start, end in sorted([*beside, (index, index + 1)]):
        roots[start] = root(islice(leaves, end - start))
    return [roots[start] for start, _ in beside]


def root_from(leaf: bytes, index: int, size: int, beside: Sequence[bytes]) -> bytes | None:
    """The root that a proof leads to from the hash of the leaf at `index`; None if the proof has another length."""
    path = list(_beside(0, size, index))
    if not 0 <= index < size or len(path) != len(beside):
        return None
    for (start, _), sibling in zip(path, beside, strict=True):
        leaf = node_hash(sibling, leaf) if start < index else node_hash(leaf, sibling)
    return leaf


def _beside(start: int, end: int, index: int) -> Iterator[tuple[int, int]]:
    """The ranges of leaves whose roots are beside the way from a leaf to the root of a range, the lowest first."""
    if end - start <= 1:
        return
    middle = start + _half(end - start)
    if index < middle:
        yield from _beside(start, middle, index)
        yield middle, end
    else:
        yield from _beside(middle, end, index)
        yield start, middle


def _half(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)
