"""Seals: the content of a ledger at a moment in one signed hash; and receipts, with which a customer proves a
transaction.

A seal is a file of JSON lines. The first is its head, signed with Ed25519: the ledger's id, the time, counts, and the
root of a Merkle tree (domain/merkle.py) over the other lines: one for each user, wallet, hold and operator key, with
fields that never change. A wallet's line has its last hash and the root of a tree over the hashes of all its
transactions, so a receipt needs none of the others.

The head alone, printed or sent to somebody, is enough to prove a later change; with the whole file, `verify` names what
differs.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wallet_cli.domain import hash_chain, merkle
from wallet_cli.domain.ids import TransactionId, format_hold_id, format_wallet_id
from wallet_cli.domain.model import ApiKey, Hold, User, Wallet
from wallet_cli.domain.period import format_time
from wallet_cli.errors import InvalidInput, StorageError, TransactionNotFound, hint_of, shown
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.private_files import create, kept_secret
from wallet_cli.operations.transactions import show
from wallet_cli.operations.verification import verify
from wallet_cli.settings import config_path
from wallet_cli.storage.folders import make_folder

VERSION = 1
KEY_FILE = "seal.key"
TAKE_YOURS = "it was changed: use your own copy"

Leaf = dict[str, Any]


class Sealed(NamedTuple):
    """A seal as in its file: its head, and its lines unchanged."""

    head: Answer
    lines: Sequence[str]


def canonical(data: Mapping[str, Any]) -> str:
    """JSON in one form: ASCII, names in order, no spaces."""
    return json.dumps(data, separators=(",", ":"), sort_keys=True)


# Making a seal.


def seal(ledger: Ledger) -> Sealed:
    """Verify the whole ledger, and seal its present content. Raises Damaged, MissingPackage."""
    verify(ledger)
    with ledger.store.snapshot():
        ledger.must_be_whole()
        leaves = list(_leaves(ledger))
        lines = [canonical(leaf) for leaf in leaves]
        head: Answer = {
            "seal": VERSION,
            "ledger": ledger.store.ledger_id(),
            "at": format_time(ledger.now_us()),
            **{f"{kind}s": sum(leaf["leaf"] == kind for leaf in leaves) for kind in ("user", "wallet", "hold", "key")},
            "transactions": sum(leaf.get("transactions", 0) for leaf in leaves),
            "root": merkle.root(merkle.leaf_hash(line.encode()) for line in lines).hex(),
        }
    return Sealed(_signed(head), lines)


def text_of(sealed: Sealed) -> str:
    """The text of a seal's file."""
    return "".join(f"{line}\n" for line in (canonical(sealed.head), *sealed.lines))


def _leaves(ledger: Ledger) -> Iterator[Leaf]:
    yield from map(_user_leaf, ledger.store.users())
    for wallet in list(ledger.store.wallets()):
        hashes = [each.hash for each in ledger.store.oldest_first(wallet.id)]
        yield _wallet_leaf(wallet, hashes)
    yield from map(_hold_leaf, ledger.store.holds_in_order())
    yield from map(_key_leaf, ledger.store.operators())


def _user_leaf(user: User) -> Leaf:
    return {
        "leaf": "user",
        "id": user.id,
        "phone_number": user.phone_number,
        "phone_e164": user.phone_e164,
        "phone_region": user.phone_region,
        "phone_national": user.phone_national,
        "name": user.name,
        "key": user.key,
        "created_at": format_time(user.created_at_us),
    }


def _wallet_leaf(wallet: Wallet, hashes: Sequence[bytes]) -> Leaf:
    return {
        "leaf": "wallet",
        "id": wallet.id,
        "user_id": wallet.user_id,
        "type": wallet.type,
        "currency": wallet.currency.name,
        "exponent": wallet.currency.exponent,
        "key": wallet.key,
        "opening_minimum": wallet.opening_minimum,
        "created_at": format_time(wallet.created_at_us),
        "transactions": len(hashes),
        "head": (hashes[-1] if hashes else hash_chain.genesis(wallet)).hex(),
        "root": merkle.root(map(merkle.leaf_hash, hashes)).hex(),
    }


def _hold_leaf(hold: Hold) -> Leaf:
    return {
        "leaf": "hold",
        "wallet_id": hold.wallet_id,
        "number": hold.number,
        "amount": hold.amount,
        "note": hold.note,
        "key": hold.key,
        "created_at": format_time(hold.created_at_us),
        "expires_at": format_time(hold.expires_at_us),
    }


def _key_leaf(key: ApiKey) -> Leaf:
    return {
        "leaf": "key",
        "name": key.name,
        "key_hash": key.key_hash.hex(),
        "read_only": key.read_only,
        "revoked_at": None if key.revoked_at_us is None else format_time(key.revoked_at_us),
        "created_at": format_time(key.created_at_us),
    }


# The signing key.


def public_key() -> str:
    """The public half of this user's key, in hex; created once. Raises MissingPackage, or StorageError."""
    return str(_private_key().public_key().public_bytes_raw().hex())


def _signed(head: Answer) -> Answer:
    key = _private_key()
    head = head | {"public_key": key.public_key().public_bytes_raw().hex()}
    return head | {"signature": key.sign(canonical(head).encode()).hex()}


def _private_key() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("seals need", error, "seal") from None
    path = config_path().with_name(KEY_FILE)
    text = kept_secret(path, lambda: Ed25519PrivateKey.generate().private_bytes_raw().hex())
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    except ValueError:
        raise InvalidInput(
            f"this is not a key for seals: {path}", hint="put the right one back, or remove it"
        ) from None


def _is_signed(head: Mapping[str, Any]) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    told = {name: value for name, value in head.items() if name != "signature"}
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(head["public_key"])))
        key.verify(bytes.fromhex(str(head["signature"])), canonical(told).encode())
    except (InvalidSignature, ValueError, KeyError):
        return False
    return True


# Checking a seal.


def read(path: str) -> Sealed:
    """A seal from its file. Raises InvalidInput if it is not a seal, was changed, or is signed by another key."""
    try:
        place = Path(path).expanduser()
        if not stat.S_ISREG(place.stat().st_mode):
            raise InvalidInput(f"this is not a file: {path}", hint="check the name")
        text = place.read_text("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"this is not a seal: {path}", hint="make one: wallet seal FILE") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", hint="check the name") from None
    first, *lines = text.splitlines() or [""]
    try:
        head = json.loads(first)
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or head.get("seal") != VERSION:
        raise InvalidInput(f"this is not a seal: {path}", hint="make one: wallet seal FILE")
    if not config_path().with_name(KEY_FILE).is_file():
        hint = f"put the {KEY_FILE} of the person who made the seal into {config_path().parent}"
        raise InvalidInput(f"this user has no key for seals, and the seal is signed: {path}", hint=hint)
    ours = public_key()
    if not _is_signed(head):
        raise InvalidInput(f"the signature of this seal is wrong: {path}", hint=TAKE_YOURS)
    if head["public_key"] != ours:
        raise InvalidInput(
            f"this seal is signed by another key: {shown(str(head['public_key']))}",
            hint=f"this user's is {ours}; check with the person who made it, and use their {KEY_FILE}",
        )
    if merkle.root(merkle.leaf_hash(line.encode()) for line in lines).hex() != head["root"]:
        raise InvalidInput(f"the lines of this seal are not the signed ones: {path}", hint=TAKE_YOURS)
    return Sealed(head, lines)


def verify_against(ledger: Ledger, sealed: Sealed) -> Answer:
    """Verify the ledger, and that everything in the seal is still there: answers as `verify`, and with `sealed_at`.

    Raises Damaged for the ledger itself, and StorageError with the first thing that is missing or changed.
    """
    if sealed.head["ledger"] != ledger.store.ledger_id():
        raise InvalidInput(f"this seal is of another ledger: {sealed.head['ledger']}", hint="check --db, and the seal")
    answer = verify(ledger)
    with ledger.store.snapshot():
        keys = {key.name: _key_leaf(key) for key in ledger.store.operators()}
        for line in sealed.lines:
            leaf = json.loads(line)
            wrong = _against(ledger, leaf, keys)
            if wrong is not None:
                raise StorageError(
                    f"{wrong}, as it was sealed at {sealed.head['at']}",
                    hint="an older ledger is in its place, or it was changed; restore a backup: wallet restore FILE",
                    sealed=leaf,
                )
    return answer | {"sealed_at": sealed.head["at"], "root": sealed.head["root"]}


def _against(ledger: Ledger, leaf: Leaf, keys: Mapping[str, Leaf]) -> str | None:
    """What the ledger lacks of a line of a seal; None if it has all of it."""
    if leaf["leaf"] == "key":
        now = keys.get(leaf["name"], {})
        if leaf["revoked_at"] is None:
            now = now | {"revoked_at": None}  # it may be revoked later; what was revoked stays so
        return None if now == leaf else f"the operator key {leaf['name']} is missing"
    if leaf["leaf"] == "hold":
        hold = ledger.store.hold(leaf["wallet_id"], leaf["number"])
        id_ = format_hold_id(leaf["wallet_id"], leaf["number"])
        return None if hold is not None and _hold_leaf(hold) == leaf else f"hold {id_} is missing"
    if leaf["leaf"] == "user":
        user = ledger.store.user_by_id(leaf["id"])
        return None if user is not None and _user_leaf(user) == leaf else f"user {leaf['id']} is missing"
    wallet, name = ledger.store.wallet(leaf["id"]), format_wallet_id(leaf["id"])
    if wallet is None:
        return f"wallet {name} is missing"
    seq = leaf["transactions"]
    last = ledger.store.transaction(wallet.id, seq) if seq else hash_chain.unopened(wallet)
    if last is None:
        return f"transaction {leaf['id']}-{seq} is missing"
    now = _wallet_leaf(wallet, [])
    grows = ("transactions", "head", "root")
    same = all(now[each] == leaf[each] for each in leaf if each not in grows)
    return None if same and last.hash.hex() == leaf["head"] else f"wallet {name} with {seq} transactions is missing"


# Receipts.


def receipt(ledger: Ledger, id_: TransactionId, sealed: Sealed) -> Answer:
    """What a customer can check without the ledger: the transaction, its place in the chain, and the proof to the seal.

    Raises TransactionNotFound, and InvalidInput if the seal is older than the transaction, or for another ledger.
    """
    if sealed.head["ledger"] != ledger.store.ledger_id():
        raise InvalidInput(f"this seal is of another ledger: {sealed.head['ledger']}", hint="check --db, and the seal")
    answer = show(ledger, id_)
    with ledger.store.snapshot():
        found = ledger.store.transaction(id_.wallet_id, id_.seq)
        wallet = ledger.store.wallet(id_.wallet_id)
        if found is None or wallet is None:
            raise TransactionNotFound(f"there is no transaction {id_.wallet_id}-{id_.seq}", hint="check the id")
        leaves = [json.loads(line) for line in sealed.lines]
        places = [at for at, leaf in enumerate(leaves) if leaf["leaf"] == "wallet" and leaf["id"] == wallet.id]
        size = leaves[places[0]]["transactions"] if places else 0
        if id_.seq > size:
            raise InvalidInput("this seal is older than the transaction", hint="make a new one: wallet seal FILE")
        hashes = [each.hash for each in ledger.store.oldest_first(wallet.id)][:size]
    before = hashes[id_.seq - 2] if id_.seq > 1 else hash_chain.genesis(wallet)
    line_hashes = [merkle.leaf_hash(line.encode()) for line in sealed.lines]
    return {
        "receipt": VERSION,
        "transaction": answer,
        "before": before.hex(),
        "content": hash_chain.content_of(found).decode(),
        "transactions": size,
        "in_wallet": [each.hex() for each in merkle.proof([*map(merkle.leaf_hash, hashes)], id_.seq - 1)],
        "wallet": sealed.lines[places[0]],
        "line": places[0],
        "lines": len(sealed.lines),
        "in_seal": [each.hex() for each in merkle.proof(line_hashes, places[0])],
        "seal": sealed.head,
    }


def write(text: str, path: Path) -> None:
    """Write a new file that only its owner may read, completely or not at all. Raises InvalidInput, or StorageError."""
    if path.is_dir():
        raise InvalidInput(f"this is a folder: {path}", hint="give a name for a new file")
    try:
        make_folder(path.parent)
        create(path, text.encode())
    except FileExistsError:
        raise InvalidInput(f"there is already a file with that name: {path}", hint="give another name") from None
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", hint=hint_of(error, "give another folder")
        ) from None
