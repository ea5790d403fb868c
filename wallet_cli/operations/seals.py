"""Seals: the content of a ledger at a moment in one signed hash; and receipts, with which a customer proves a
transaction.

A seal is a file of JSON lines. The first is its head, signed with Ed25519: the ledger's id, the time, counts, and the
root of a Merkle tree (domain/merkle.py) over the other lines: one for the ledger itself, each user and each wallet. A
line has the number of its subject's events and the hash of the last one, which stands for all rows that the events
tell: fields, limits, holds, operator keys, settings. A wallet's line also has its last transaction's hash, and the root
of a tree over the hashes of all its transactions, so a receipt needs none of the others.

The head alone, printed or sent to somebody, is enough to prove a later change; with the whole file, `verify` names what
differs. There are no names and phone numbers in it.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from wallet_cli.domain import events, hash_chain, merkle
from wallet_cli.domain.events import Subject
from wallet_cli.domain.ids import TransactionId, format_transaction_id, format_wallet_id
from wallet_cli.domain.metadata import canonical_json
from wallet_cli.domain.model import Event, Transaction, Wallet
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import format_time
from wallet_cli.domain.rules.refusals import no_transaction
from wallet_cli.engine.turns import open_write_lock
from wallet_cli.errors import Busy, InvalidInput, StorageError, hint_of, shown
from wallet_cli.operations import dated_files, last_checks, seals_format_1
from wallet_cli.operations.answers import Answer, transaction_answer
from wallet_cli.operations.chain_check import Along
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.private_files import create, kept_secret
from wallet_cli.operations.verification import verify
from wallet_cli.paths import typed_path
from wallet_cli.settings import config_path
from wallet_cli.storage.folders import make_folder
from wallet_cli.storage.in_place import has_something
from wallet_cli.storage.move_state import check_not_moved

VERSION = 2
RECEIPT_VERSION = 1
KEY_FILE = "seal.key"
PUBLIC_KEY = re.compile(r"\b[0-9a-fA-F]{64}\b")
TAKE_YOURS = "it was changed: use your own copy"
RESTORE = "an older ledger is in its place, or it was changed; restore a backup: "

Leaf = dict[str, Any]


class Sealed(NamedTuple):
    """A seal as in its file: its head, and its lines unchanged."""

    head: Answer
    lines: Sequence[str]


# Making a seal.


def seal(ledger: Ledger) -> Sealed:
    """Verify the whole ledger, and seal what was read. Raises Damaged, MissingPackage, LedgerMoved.

    Memory grows with the number of wallets and users, not with that of transactions.
    """
    at_us = ledger.now_us()  # what was committed before is in the seal
    key = _private_key()
    lines = _Lines(ledger)
    verify(ledger, along=lines)
    head: Answer = {
        "seal": VERSION,
        "ledger": ledger.store.ledger_id(),
        "at": format_time(at_us),
        **lines.counts,
        "root": merkle.root(merkle.leaf_hash(line.encode()) for line in lines.lines).hex(),
    }
    return Sealed(_signed(head, key), lines.lines)


def seal_into(ledger: Ledger, folder: str, every_us: int) -> Answer:
    """Seal the ledger into a new file of a folder, named by the time, unless the newest one there is younger.

    Answers `made`, the `seal` (its file) and `root` if it was, and `due_us`, when the next one is due. Of several
    processes, one makes it. Raises as `seal` and `write` do.
    """
    place, ledger_id = typed_path(folder).absolute(), ledger.store.ledger_id()
    make_seal_folder(place)
    lock = open_write_lock(place / f".{dated_files.beginning(ledger_id)}sealing.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.turn(0.0, "seal"))
        except Busy:  # another process is sealing
            return {"made": False, "due_us": every_us}
        now = datetime.now(UTC)
        name = dated_files.name(ledger_id, now, "seal")
        try:
            there = [each for each in dated_files.names(place, ledger_id, "seal") if has_something(place / each)]
            newest = max(dated_files.until(there, name), default=None)
        except OSError as error:
            raise _unusable(place, error) from None
        if newest is not None:
            age_us = dated_files.age_us(newest, now)
            if age_us < every_us:
                return {"made": False, "due_us": every_us - age_us}
        sealed = seal(ledger)
        write(ledger, sealed, place / name)
    return {"made": True, "seal": str(place / name), "root": sealed.head["root"], "due_us": every_us}


def make_seal_folder(place: Path) -> None:
    """Make the folder of seals, if there is none. Raises StorageError."""
    try:
        make_folder(place)
    except OSError as error:
        raise _unusable(place, error) from None


def _unusable(place: Path, error: OSError) -> StorageError:
    hint = hint_of(error, "give another folder")
    return StorageError(f"cannot use the folder {place}: {error.strerror}", hint=hint)


def text_of(sealed: Sealed) -> str:
    """The text of a seal's file."""
    return "".join(f"{line}\n" for line in (canonical_json(sealed.head), *sealed.lines))


class _Lines(Along):
    """The lines of a seal, made of what a verification reads: wallets first, and then the events of all."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tree = merkle.Tree()
        self._wallets: dict[int, Leaf] = {}
        """What is known of wallets before their events were read."""
        self.lines: list[str] = []
        self.counts = dict.fromkeys(("users", "wallets", "holds", "keys", "transactions", "events"), 0)

    def transaction(self, hash_: bytes) -> None:
        self._tree.add(merkle.leaf_hash(hash_))

    def wallet(self, wallet: Wallet, last: Transaction) -> None:
        self._wallets[wallet.id] = {
            "leaf": "wallet",
            "user_id": wallet.user_id,
            "type": wallet.type,
            "currency": wallet.currency.name,
            "exponent": wallet.currency.exponent,
            "transactions": last.seq,
            "head": last.hash.hex(),
            "root": self._tree.root().hex(),
        }
        self._tree = merkle.Tree()
        self.counts["wallets"] += 1
        self.counts["holds"] += wallet.hold_count
        self.counts["transactions"] += last.seq

    def events(self, subject: Subject, last: Event) -> None:
        kind, id_ = subject
        leaf: Leaf = {"leaf": events.KINDS[kind]}
        if kind == events.WALLET:
            leaf = self._wallets.pop(id_)
        elif kind == events.USER:
            self.counts["users"] += 1
        else:
            itself = self._ledger.store.itself()
            check_not_moved(itself)
            leaf |= {name: value for name, value in itself.facts._asdict().items() if name != "uuid"}
            self.counts["keys"] = len(self._ledger.store.operators())
        self.lines.append(canonical_json(leaf | {"id": id_, "events": last.number, "last_event": last.hash.hex()}))
        self.counts["events"] += last.number


# The signing key.


def public_key() -> str:
    """The public half of this user's key, in hex; created once. Raises MissingPackage, or StorageError."""
    return str(_private_key().public_key().public_bytes_raw().hex())


def _signed(head: Answer, key: Any) -> Answer:
    head = head | {"public_key": key.public_key().public_bytes_raw().hex()}
    return head | {"signature": key.sign(canonical_json(head).encode()).hex()}


def _ed25519() -> Any:
    """The module of the keys. Raises MissingPackage."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("seals need", error, "seal") from None
    return ed25519


def _private_key() -> Any:
    of_key = _ed25519().Ed25519PrivateKey
    path = config_path().with_name(KEY_FILE)
    otherwise = "set WALLET_CONFIG: the key is beside the config file"
    text = kept_secret(path, lambda: of_key.generate().private_bytes_raw().hex(), otherwise)
    try:
        return of_key.from_private_bytes(bytes.fromhex(text))
    except ValueError:
        raise InvalidInput(
            f"this is not a key for seals: {path}", hint="put the right one back, or remove it"
        ) from None


def _is_signed(head: Mapping[str, Any]) -> bool:
    of_key = _ed25519().Ed25519PublicKey
    from cryptography.exceptions import InvalidSignature

    told = {name: value for name, value in head.items() if name != "signature"}
    try:
        key = of_key.from_public_bytes(bytes.fromhex(str(head["public_key"])))
        key.verify(bytes.fromhex(str(head["signature"])), canonical_json(told).encode())
    except (InvalidSignature, ValueError, KeyError):
        return False
    return True


# Checking a seal.


def read(path: str, public: str | None = None) -> Sealed:
    """A seal from its file. Raises InvalidInput if it is not a seal, was changed, or is signed by another key than the
    one whose `public` half is given: in hex, or a file with it. By default that is this user's.
    """
    first, *lines = _text(path, "seal").splitlines() or [""]
    head = _parsed(first)
    if head is None or head.get("seal") not in (seals_format_1.VERSION, VERSION):
        raise _is_no("seal", path)
    _must_be_signed(head, public, "seal", path)
    if merkle.root(merkle.leaf_hash(line.encode()) for line in lines).hex() != head["root"]:
        raise InvalidInput(f"the lines of this seal are not the signed ones: {path}", hint=TAKE_YOURS)
    return Sealed(head, lines)


MADE_BY = {
    "seal": "make one: wallet seal FILE",
    "receipt": "make one: wallet receipt ID > FILE",
    "public key": "give the key that `wallet seal --public` prints where the seal was made, or a file with it",
}


def _is_no(what: str, path: str) -> InvalidInput:
    return InvalidInput(f"this is not a {what}: {path}", hint=MADE_BY[what])


def _text(path: str, what: str) -> str:
    """The text of a file. Raises InvalidInput."""
    try:
        place = typed_path(path)
        if not stat.S_ISREG(place.stat().st_mode):
            raise InvalidInput(f"this is not a file: {path}", hint="check the name")
        return place.read_text("utf-8")
    except UnicodeDecodeError:
        raise _is_no(what, path) from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", hint="check the name") from None


def _parsed(text: str) -> dict[str, Any] | None:
    """A JSON object; None if the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


ASK_FOR_IT = "ask whoever made it for the key that `wallet seal --public` prints, and give it: --public KEY"
"""For a key that is asked of a person: that a seal names a key shows nothing."""


def _given_key(text: str) -> str:
    """The public key in a text, or in the file that it names. Raises InvalidInput."""
    if PUBLIC_KEY.fullmatch(text):
        return text.lower()
    try:
        found = {*PUBLIC_KEY.findall(_text(text, "public key").lower())}
    except InvalidInput as error:
        error.hint = MADE_BY["public key"]
        raise
    if len(found) != 1:
        raise _is_no("public key", text)
    return str(found.pop())


def _must_be_signed(head: Mapping[str, Any], public: str | None, what: str, path: str) -> None:
    """Raises InvalidInput for the head of a seal that another key signed than `public`, or else this user's."""
    if public is not None:
        key, whose = _given_key(public), "the one that was given is"
    elif config_path().with_name(KEY_FILE).is_file():
        key, whose = public_key(), "this user's is"
    else:
        raise InvalidInput(f"this user has no key for seals, and the {what} is signed: {path}", hint=ASK_FOR_IT)
    if not _is_signed(head):
        raise InvalidInput(f"the signature of this {what} is wrong: {path}", hint=TAKE_YOURS)
    if head["public_key"] != key:
        raise InvalidInput(
            f"this {what} is signed by another key: {shown(str(head['public_key']))}",
            hint=f"{whose} {key}; {ASK_FOR_IT}",
        )


def _must_be_of(ledger: Ledger, head: Mapping[str, Any], what: str) -> None:
    if head["ledger"] != ledger.store.ledger_id():
        raise InvalidInput(f"this {what} is of another ledger: {head['ledger']}", hint=f"check --db, and the {what}")


def verify_against(ledger: Ledger, sealed: Sealed) -> Answer:
    """Verify the ledger, and that everything in the seal is still there: answers as `verify`, and with `sealed_at`.

    Raises Damaged for the ledger itself, and StorageError with the first thing that is missing or changed.
    """
    _must_be_of(ledger, sealed.head, "seal")
    answer = verify(ledger, along=_Comparing(sealed))
    return answer | {"sealed_at": sealed.head["at"], "root": sealed.head["root"]}


class _Comparing(Along):
    """Looks for the lines of a seal in a ledger that was found right."""

    def __init__(self, sealed: Sealed) -> None:
        self._sealed = sealed

    def end(self, ledger: Ledger) -> None:
        is_old = self._sealed.head["seal"] == seals_format_1.VERSION
        keys = {key.name: key for key in ledger.store.operators()} if is_old else {}
        for line in self._sealed.lines:
            leaf = json.loads(line)
            wrong = seals_format_1.missing(ledger, leaf, keys) if is_old else _missing(ledger, leaf)
            if wrong is not None:
                raise _not_as_sealed(ledger, wrong, self._sealed.head, leaf)


def _not_as_sealed(ledger: Ledger, wrong: str, head: Answer, leaf: Leaf) -> StorageError:
    hint = RESTORE + ledger.store.how_to_restore
    return StorageError(f"{wrong}, as it was sealed at {head['at']}", hint=hint, sealed=leaf)


def _missing(ledger: Ledger, leaf: Leaf) -> str | None:
    """What the ledger, which agrees with itself, lacks of a line of a seal; None if it has all of it.

    One hash stands for all that came before it.
    """
    kind, id_ = events.KINDS.index(leaf["leaf"]), leaf["id"]
    name = {
        events.LEDGER: "the ledger itself",
        events.USER: f"user {id_}",
        events.WALLET: f"wallet {format_wallet_id(id_)}",
    }[kind]
    if kind == events.WALLET:
        wallet, seq = ledger.store.wallet(id_), leaf["transactions"]
        if wallet is None:
            return f"{name} is missing"
        last = ledger.store.transaction(id_, seq) if seq else hash_chain.unopened(wallet)
        if last is None or last.hash.hex() != leaf["head"]:
            what = "is missing" if last is None else "is not the same"
            return f"transaction {format_transaction_id(id_, seq)} {what}"
    event = ledger.store.event(kind, id_, leaf["events"])
    if event is not None and event.hash.hex() == leaf["last_event"]:
        return None
    if event is None and ledger.store.event(kind, id_, 1) is None:
        return f"{name} is missing"
    return f"event {leaf['events']} of {name} is {'missing' if event is None else 'not the same'}"


# Receipts.


def receipt(ledger: Ledger, id_: TransactionId, sealed: Sealed) -> Answer:
    """What a customer can check without the ledger, as it was when the seal was made: the transaction, what had
    reversed it, and for each the proof that it is in the seal.

    Raises TransactionNotFound, InvalidInput if the seal is older than the transaction or of another ledger, and
    StorageError if the transaction is not the sealed one.
    """
    _must_be_of(ledger, sealed.head, "seal")
    with ledger.store.snapshot():
        found, wallet = ledger.store.transaction(*id_), ledger.store.wallet(id_.wallet_id)
        if found is None or wallet is None:
            raise no_transaction(*id_)
        place, leaf = _line_of(sealed, wallet.id)
        size = 0 if leaf is None else leaf["transactions"]
        if id_.seq > size:
            raise InvalidInput("this seal is older than the transaction", hint="make a new one: wallet seal FILE")
        reversals = [each for each in ledger.store.reversals(*id_) if each.seq <= size]
        proven, *later = [_proven(ledger, wallet, each, size) for each in (found, *reversals)]
    answer = {
        "receipt": RECEIPT_VERSION,
        "transaction": transaction_answer(found, wallet) | _reversed(wallet, reversals),
        **proven,
        "transactions": size,
        "reversals": later,
        "wallet": sealed.lines[place],
        "line": place,
        "lines": len(sealed.lines),
        "in_seal": _hex(merkle.proof(map(_line_hash, sealed.lines), len(sealed.lines), place)),
        "seal": sealed.head,
    }
    if not _leads_to_seal(answer):
        wrong = f"transaction {format_transaction_id(*id_)} is missing"
        raise _not_as_sealed(ledger, wrong, sealed.head, leaf or {})
    return answer


def _reversed(wallet: Wallet, reversals: Sequence[Transaction]) -> Answer:
    return {
        "reversed": format_minor(sum(each.amount for each in reversals), wallet.currency),
        "reversals": [format_transaction_id(each.wallet_id, each.seq) for each in reversals],
    }


def _line_of(sealed: Sealed, wallet_id: int) -> tuple[int, Leaf | None]:
    """The place of a wallet's line in a seal, and its content; 0 and None if it has none."""
    for place, line in enumerate(sealed.lines):
        leaf = json.loads(line)
        if leaf["leaf"] == "wallet" and leaf["id"] == wallet_id:
            return place, leaf
    return 0, None


def _proven(ledger: Ledger, wallet: Wallet, found: Transaction, size: int) -> Answer:
    """A transaction, and the way from it to the root of its wallet's first `size` transactions."""
    before = ledger.store.transaction(wallet.id, found.seq - 1) if found.seq > 1 else hash_chain.unopened(wallet)
    assert before is not None
    hashes = (merkle.leaf_hash(each.hash) for each in ledger.store.in_order(wallet.id, 1, size))
    return {
        "before": before.hash.hex(),
        "content": hash_chain.content_of(found).decode(),
        "in_wallet": _hex(merkle.proof(hashes, size, found.seq - 1)),
    }


def _line_hash(line: str) -> bytes:
    return merkle.leaf_hash(line.encode())


def _hex(hashes: Sequence[bytes]) -> list[str]:
    return [each.hex() for each in hashes]


NOT_IN_FORM = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def _leads_to_seal(receipt_: Mapping[str, Any]) -> bool:
    """Whether the transactions of a receipt are in its wallet's line, and that line in its seal; not who signed it.

    Raises one of NOT_IN_FORM for what has not the form of a receipt.
    """
    wallet = json.loads(receipt_["wallet"])
    for each in (receipt_, *receipt_.get("reversals", ())):
        before, content = bytes.fromhex(each["before"]), str(each["content"])
        leaf = merkle.leaf_hash(hash_chain.link(before, content.encode()))
        way = [bytes.fromhex(sibling) for sibling in each["in_wallet"]]
        found = merkle.root_from(leaf, _seq(content) - 1, wallet["transactions"], way)
        if len(before) != len(leaf) or found is None or found.hex() != wallet["root"]:
            return False
    way = [bytes.fromhex(sibling) for sibling in receipt_["in_seal"]]
    found = merkle.root_from(_line_hash(receipt_["wallet"]), receipt_["line"], receipt_["lines"], way)
    return found is not None and found.hex() == receipt_["seal"]["root"]


def _seq(content: str) -> int:
    return int(content.split()[0])


def check_receipt(ledger: Ledger, path: str, public: str | None = None) -> Answer:
    """Check a receipt for the ledger's keeper: the signature (as `read`), the proofs, and that the ledger still has
    what it proves.

    Answers as `verify_against`, for the one wallet and the transactions that the receipt proves; and with the id of its
    `transaction`, and with `reversed` and `reversals` as they are now, in its `currency`. Raises InvalidInput for a
    receipt that was changed, is of another ledger or signed by another key, and StorageError if the ledger does not
    have the transaction any more.
    """
    found = _parsed(_text(path, "receipt"))
    if found is None or found.get("receipt") is not RECEIPT_VERSION or not isinstance(found.get("seal"), dict):
        raise _is_no("receipt", path)
    _must_be_signed(found["seal"], public, "receipt", path)
    _must_be_of(ledger, found["seal"], "receipt")
    try:
        is_proven = _leads_to_seal(found)
        sealed = json.loads(found["wallet"])
        wallet_id, size = int(sealed["id"]), int(sealed["transactions"])
        listed = [str(each["content"]) for each in (found, *found.get("reversals", ()))]
        seq, *later = map(_seq, listed)
        contents = dict(zip((seq, *later), listed, strict=True))
        told = dict(found["transaction"])
    except NOT_IN_FORM:
        raise _is_no("receipt", path) from None
    if not is_proven:
        raise InvalidInput(f"what this receipt proves is not in its seal: {path}", hint=TAKE_YOURS)
    with ledger.store.snapshot():
        wallet = ledger.store.wallet(wallet_id)
        rows = {each: ledger.store.transaction(wallet_id, each) for each in contents}
        reversals = ledger.store.reversals(wallet_id, seq)
    for each, row in rows.items():
        if wallet is None or row is None or hash_chain.content_of(row).decode() != contents[each]:
            id_ = format_transaction_id(wallet_id, each)
            raise _not_as_sealed(ledger, f"transaction {id_} is missing", found["seal"], sealed)
    row = rows[seq]
    assert wallet is not None
    assert row is not None
    now = transaction_answer(row, wallet)
    of_seal = sum(each.seq <= size for each in reversals)
    # An earlier release proved no reversals, and told those of the moment when it made the receipt.
    last = of_seal if "reversals" in found else len(reversals)
    could_be_told = [now | _reversed(wallet, reversals[:each]) for each in range(of_seal, last + 1)]
    proven = [each.seq for each in reversals[: of_seal if "reversals" in found else 0]]
    if told not in could_be_told or later != proven or found.get("transactions") != size:
        raise InvalidInput(f"what this receipt says is not what it proves: {path}", hint=TAKE_YOURS)
    return {
        "ok": True,
        "wallets": 1,
        "transactions": len(contents),
        "sealed_at": found["seal"]["at"],
        "root": found["seal"]["root"],
        "transaction": now["id"],
        **_reversed(wallet, reversals),
        "currency": now["currency"],
    }


def write(ledger: Ledger, sealed: Sealed, path: Path) -> None:
    """Write a seal to a new file that only the owner of the ledger's file may read, if root does so; else who does so.
    It is complete or not there. Raises InvalidInput, or StorageError.
    """
    owned_as = ledger.store.path if ledger.store.is_local else None
    if path.is_dir():
        raise InvalidInput(f"this is a folder: {path}", hint="give a name for a new file")
    try:
        make_folder(path.parent, owned_as)
        create(path, text_of(sealed).encode(), owned_as)
    except FileExistsError:
        raise InvalidInput(f"there is already a file with that name: {path}", hint="give another name") from None
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", hint=hint_of(error, "give another folder")
        ) from None
    note(ledger)


def note(ledger: Ledger) -> None:
    """Record that somebody has a new seal of the ledger."""
    last_checks.note(ledger.store.ledger_id(), ledger.store.address, last_checks.SEALED)
