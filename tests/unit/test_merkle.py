"""Merkle trees: as RFC 6962 defines them, whatever their size, and no proof fits anything else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_cli.domain import merkle

# The leaves and roots of certificate-transparency-go's reference tests.
LEAVES = [bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243")]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
}


@pytest.mark.parametrize("size", ROOTS)
def test_the_roots_are_those_of_the_reference(size: int) -> None:
    assert merkle.root(map(merkle.leaf_hash, LEAVES[:size])).hex() == ROOTS[size]


def naive(hashes: Sequence[bytes]) -> bytes:
    """Section 2.1, word for word."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else merkle.EMPTY
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return merkle.node_hash(naive(hashes[:half]), naive(hashes[half:]))


hashes = st.lists(st.binary(min_size=1, max_size=3).map(merkle.leaf_hash), min_size=1, max_size=40)


@given(hashes)
def test_a_stream_has_the_root_of_the_definition(leaves: list[bytes]) -> None:
    assert merkle.root(iter(leaves)) == naive(leaves)


@given(hashes, st.data())
def test_a_proof_leads_to_the_root_and_another_leaf_does_not(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    beside = merkle.proof(iter(leaves), len(leaves), index)
    true = merkle.root(leaves)
    assert merkle.root_from(leaves[index], index, len(leaves), beside) == true
    assert merkle.root_from(merkle.leaf_hash(b"another"), index, len(leaves), beside) != true
    if beside:
        assert merkle.root_from(leaves[index], index, len(leaves), beside[:-1]) != true
    assert merkle.root_from(leaves[index], index, len(leaves), [*beside, true]) != true


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (5, 2)])
def test_a_place_outside_of_the_tree_proves_nothing(index: int, size: int) -> None:
    assert merkle.root_from(b"", index, size, []) is None


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 4095, 4096])
def test_a_tree_keeps_one_hash_for_each_power_of_two(size: int) -> None:
    """So that a wallet with a million transactions needs twenty."""
    tree = merkle.Tree()
    for number in range(size):
        tree.add(merkle.leaf_hash(b"%d" % number))
    assert len(tree._whole) == size.bit_count()
    assert tree.root() == merkle.root(merkle.leaf_hash(b"%d" % number) for number in range(size))
