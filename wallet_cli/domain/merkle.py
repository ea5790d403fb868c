"""Merkle trees by RFC 6962 (Certificate Transparency, section 2.1): one hash for many values, and short proofs that a
value is among them.

A leaf's hash is SHA-256(0x00 ‖ leaf), a node's SHA-256(0x01 ‖ left ‖ right). Of n leaves, the left half has the largest
power of two that is smaller than n.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wallet_cli.domain.hash_chain import sha256

EMPTY = bytes(sha256(b"").digest())


def leaf_hash(leaf: bytes) -> bytes:
    return bytes(sha256(b"\0" + leaf).digest())


def node_hash(left: bytes, right: bytes) -> bytes:
    return bytes(sha256(b"\1" + left + right).digest())


def root(hashes: Iterable[bytes]) -> bytes:
    """The root over hashes of leaves, in memory that grows with the logarithm of their number."""
    whole: list[tuple[int, bytes]] = []
    """Complete trees, each larger than the next: the number of leaves, and the root."""
    for each in hashes:
        size, node = 1, each
        while whole and whole[-1][0] == size:
            node = node_hash(whole.pop()[1], node)
            size *= 2
        whole.append((size, node))
    if not whole:
        return EMPTY
    node = whole.pop()[1]
    while whole:
        node = node_hash(whole.pop()[1], node)
    return node


def proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes on the way from the leaf at `index` (from 0) to the root, the lowest first."""
    if len(hashes) <= 1:
        return []
    half = _half(len(hashes))
    if index < half:
        return [*proof(hashes[:half], index), root(hashes[half:])]
    return [*proof(hashes[half:], index - half), root(hashes[:half])]


def _half(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)
