"""A batch is read an item at a time, as strictly as any body, and in short steps whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wallet_cli.errors import InvalidInput
from wallet_cli.web.requests import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ITEMS,
    MAX_BODY_BYTES,
    Batch,
    BatchItem,
    NewWallet,
    PartHead,
    decode,
    read_batch,
)

ITEM: dict[str, Any] = {
    "user_id": 1,
    "wallet_id": 1,
    "amount": "1.00",
    "is_credit": True,
    "note": 'a "]}, é\n',
    "key": "k",
}
TEXT = json.dumps(ITEM)
LONG = ITEM | {"note": "é" * 1000, "meta": {"a": "x" * 3000}}


def read(body: bytes, piece: int = MAX_BATCH_BYTES) -> tuple[Batch, int]:
    """The batch, and in how many steps it was read, from pieces of so many bytes."""
    batch = Batch(transactions=[])
    pieces = (body[at : at + piece] for at in range(0, len(body), piece))
    return batch, sum(1 for _ in read_batch(pieces, batch))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"transactions": [ITEM]}),
        json.dumps({"transactions": [ITEM, LONG] * 50, "atomic": True}),
        json.dumps({"atomic": False, "transactions": [LONG]}, ensure_ascii=False, indent=3),
        f'\r\n{{\t"transactions" : [ {TEXT} ,\n{TEXT}\n] , "atomic" : true }} ',
        f'{{"\\u0061tomic":true,"transactions":[{TEXT}]}}',
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1023, 1024, 1025, MAX_BATCH_BYTES])
def test_it_is_read_as_any_body_is(body: str, piece: int) -> None:
    batch, steps = read(body.encode(), piece)
    assert batch == decode(body.encode(), Batch)
    assert steps == len(batch.transactions)


@pytest.mark.parametrize(
    "body",
    [
        *("", " ", "{}", "[]", "null", "1", '"a"', "{", '{"transactions"', '{"transactions":', '{"transactions":['),
        *(
            '{"atomic":true}',
            '{"transactions":[]}',
            '{"transactions":{}}',
            '{"transactions":null}',
            '{"transactions":1}',
        ),
        *(f'{{"transactions":[{item}]}}' for item in ("null", "1", "[]", "{}", '"a"', "true", TEXT + ",", "," + TEXT)),
        *(f'{{"transactions":[{TEXT}]{end}' for end in ("", ",", ",}", "}}", "}x", '},{"atomic":true}', "]}")),
        *(f'{{"transactions":[{TEXT}],"{name}":true}}' for name in ("transactions", "at", "", "Atomic")),
        f'{{"transactions":[{TEXT}],"transactions":[{TEXT}]}}',
        f'{{"atomic":true,"transactions":[{TEXT}],"atomic":true}}',
        *(f'{{"transactions":[{TEXT}],"atomic":{value}}}' for value in ("1", '"true"', "null", "truer", "[]", "{}")),
        f'{{"transactions":[{TEXT} {TEXT}]}}',
        f'{{"transactions":[{TEXT[:-1]},"key":"other"}}]}}',
        f'{{"transactions":[{TEXT[:-1]},"\\u006bey":"other"}}]}}',
        f'{{"transactions":[{TEXT[:-1]},"meta":{{"a":1,"a":2}}}}]}}',
        f'{{"transactions":[{TEXT[:-1]},"meta":[]}}]}}',
        f'{{"transactions":[{TEXT[:-1]},"meta":{{"a":NaN}}}}]}}',
        f'{{"transactions":[{TEXT.replace("1.00", "1.00" + " " * MAX_BODY_BYTES)}]}}',
        f"{{transactions:[{TEXT}]}}",
        f"{{'transactions':[{TEXT}]}}",
        f'{{"transactions":[{TEXT}/**/]}}',
        f'\ufeff{{"transactions":[{TEXT}]}}',
        f'\u00a0{{"transactions":[{TEXT}]}}',
        '{"transactions":[' + "[" * 100_000,
        '{"transactions":[{"meta":' + '{"a":' * 9000,
        f'{{"transactions":[{",".join([TEXT] * (MAX_BATCH_ITEMS + 1))}]}}',
    ],
    ids=lambda body: ascii(body[:60]),
)
@pytest.mark.parametrize("piece", [100, MAX_BATCH_BYTES])
def test_anything_else_is_refused(body: str, piece: int) -> None:
    with pytest.raises(InvalidInput):
        read(body.encode(), piece)


@pytest.mark.parametrize("piece", [1, 3, MAX_BATCH_BYTES])
def test_it_is_told_where_it_is_no_json(piece: int) -> None:
    body = f'{{"transactions": [{TEXT} , {TEXT} ; {TEXT}]}}'
    with pytest.raises(InvalidInput, match=f"^the body is not JSON at byte {body.encode().index(b';')}$"):
        read(body.encode(), piece)


GOOD = '"user_id":1,"wallet_id":1,"amount":1,"is_credit":true'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{}", "transactions is missing"),
        ("null", "the body is null, not an object"),
        (f" [{TEXT}]", "the body is a list, not an object"),
        ('{"transactions":null}', "transactions is null, not a list"),
        ('{"transactions":{}}', "transactions is an object, not a list"),
        ('{"transactions":1.5}', "transactions is a number, not a list"),
        ('{"transactions":nothing}', "the body is not JSON at byte 16"),
        ('{"atomic":null}', "atomic is null, not true or false"),
        ('{"atomic":1}', "atomic is a number, not true or false"),
        ('{"atomic":"true"}', "atomic is text, not true or false"),
        ('{"atomic":truer}', "the body is not JSON at byte 14"),
        ('{"x":1}', "the body has an unknown field: 'x'"),
        ('{1:"x"}', "the body is not JSON at byte 1"),
        ('{"transactions":[1]}', "transactions[0] is a number, not an object"),
        (f'{{"transactions":[{{{GOOD}}},]}}', "the body is not JSON at byte 73, in transactions[1]"),
        (f'{{"transactions":[{{{GOOD},"x":1}}]}}', "transactions[0] has an unknown field: 'x'"),
        ('{"transactions":[{"user_id":"1"}]}', "transactions[0].user_id is text, not a whole number"),
        ('{"transactions":[{"user_id":1}]}', "transactions[0].wallet_id is missing"),
    ],
)
def test_what_is_json_is_told_as_what_it_is(body: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(body.encode())
    assert caught.value.message == told


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("[]", "transactions[1] is a list, not an object"),
        ("{", "the body is not JSON at byte 73, in transactions[1]"),
        ('{"key":"a","key":"b"}', "the body is not JSON: a field is given twice, in transactions[1]"),
        ('{"key":"\\ud800"}', "the body is not valid Unicode, in transactions[1]"),
        ('{"meta":' + "[" * 9000, "the body is nested too deeply, in transactions[1]"),
        (
            f'{{"note":"{"x" * MAX_BODY_BYTES}"}}',
            f"transactions[1] is not JSON, or has more than {MAX_BODY_BYTES} bytes",
        ),
        (f'{{{GOOD},"x":1}}', "transactions[1] has an unknown field: 'x'"),
        ('{"user_id":1}', "transactions[1].wallet_id is missing"),
        (f'{{{GOOD},"key":""}}', "transactions[1].key has fewer than 1 characters"),
        (f'{{{GOOD},"note":"{"x" * 1001}"}}', "transactions[1].note has more than 1000 characters"),
        (f"{{{GOOD}}}".replace('amount":1', 'amount":null'), "transactions[1].amount is not a number or a string"),
        (f'{{{GOOD},"meta":[]}}', "transactions[1].meta is not a JSON object"),
    ],
)
def test_what_is_wrong_with_an_item_is_told_of_that_item(item: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(f'{{"transactions":[{{{GOOD}}},{item}'.encode())
    assert caught.value.message.startswith(told)
    assert caught.value.details == {"index": 1}


@pytest.mark.parametrize(
    ("body", "into", "told"),
    [
        ('{"user_id":"x","type":"a"}', NewWallet, "user_id is text, not a whole number"),
        ('{"user_id":1.5,"type":"a"}', NewWallet, "user_id is a number, not a whole number"),
        ('{"user_id":0,"type":"a"}', NewWallet, "user_id is less than 1"),
        (f'{{"user_id":{2**63},"type":"a"}}', NewWallet, f"user_id is more than {2**63 - 1}"),
        ('{"user_id":1,"type":null}', NewWallet, "type is null, not text"),
        ('{"user_id":1,"type":"a","currency":1}', NewWallet, "currency is a whole number, not text"),
        (
            '{"user_id":1,"type":"a","x` - at `$.\\u001b":1}',
            NewWallet,
            r"the body has an unknown field: 'x` - at `$.\x1b'",
        ),
        ('{"type":"a"}', NewWallet, "user_id is missing"),
        ("[]", NewWallet, "the body is a list, not an object"),
        (f'{{{GOOD},"note":"{"x" * 1001}"}}', BatchItem, "note has more than 1000 characters"),
        (f'{{{GOOD},"key":""}}', BatchItem, "key has fewer than 1 characters"),
        ('{"numbers":[]}', PartHead, "numbers has fewer than 1 items"),
        ('{"numbers":[1],"find":"x"}', PartHead, "find is none of the values that it may have"),
    ],
)
def test_a_field_that_is_wrong_is_told_in_words(body: str, into: type, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(body.encode(), into)
    assert caught.value.message == told


@pytest.mark.parametrize("name", ["am\\u001b[2Junt", "am\x7funt", "x" * 50_000])
def test_a_field_that_is_not_known_is_told_as_far_as_it_can_be_read(name: str) -> None:
    body = f'{{"{name}":1,{TEXT[1:]}'
    for refused in (lambda: decode(body.encode(), BatchItem), lambda: read(f'{{"transactions":[{body}]}}'.encode())):
        with pytest.raises(InvalidInput, match="unknown field") as caught:
            refused()
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 300


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidInput, match="UTF-8"):
        read(b'{"transactions":["\xff"]}')


@pytest.mark.parametrize("text", ["tea \\ud83d", "\\udc00", "\\udc00\\ud83d", "\\ud83d\\u0041"])
def test_half_a_character_is_told_as_what_it_is(text: str) -> None:
    body = f'{{{GOOD},"note":"{text}"}}'
    for place, refused in {
        "": lambda: decode(body.encode(), BatchItem),
        r", in transactions\[0\]": lambda: read(f'{{"transactions":[{body}]}}'.encode()),
    }.items():
        with pytest.raises(InvalidInput, match=f"^the body is not valid Unicode{place}$") as caught:
            refused()
        assert caught.value.hint


def test_white_space_has_a_bound_too() -> None:
    """It would be skipped in one step."""
    assert len(read(b'{"transactions":[%s%s]}' % (b" " * 60_000, TEXT.encode()), 5000)[0].transactions) == 1
    for many, piece in ((MAX_BATCH_BYTES - 1000, 5000), (MAX_BODY_BYTES + 1, 5000), (MAX_BODY_BYTES + 1, 200_000)):
        with pytest.raises(InvalidInput, match="white space"):
            read(b'{"transactions":[%s%s]}' % (b" " * many, TEXT.encode()), piece)


def test_an_item_in_tiny_pieces_is_put_together_once() -> None:
    from wallet_cli.web import requests

    joined = 0

    class Counted(bytes):
        def __add__(self, other: Any) -> bytes:
            nonlocal joined
            joined += 1
            return Counted(bytes.__add__(self, other))

        def __getitem__(self, key: Any) -> Any:
            return Counted(bytes.__getitem__(self, key))

    body = requests._Body([b"x"] * MAX_BODY_BYTES)
    body._here = Counted()
    assert len(body.look(MAX_BODY_BYTES)) == MAX_BODY_BYTES
    assert joined == 1


FILLING = {
    "objects": b'{"transactions":[%s{}]}' % (b"{}," * (MAX_BATCH_BYTES // 3 - 10)),
    "numbers": b'{"transactions":[%s1]}' % (b"1," * (MAX_BATCH_BYTES // 2 - 20)),
    "a field": b'{"transactions":[{%s"note":"a"}]}' % (b'"note":"a",' * (MAX_BATCH_BYTES // 11 - 10)),
    "an amount": b'{"transactions":[{"amount":[%s1]}]}' % (b"1," * (MAX_BATCH_BYTES // 2 - 20)),
    "names": b'{%s"atomic":true}' % (b'"atomic":true,' * (MAX_BATCH_BYTES // 14 - 10)),
}


@pytest.mark.parametrize("name", FILLING)
def test_a_body_full_of_one_thing_is_refused_where_it_begins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step looks at more than a body's length of it: 2.7 million objects took a second, and the loop stood still."""
    looked_at = 0
    original = json.JSONDecoder.raw_decode

    def counting(self: json.JSONDecoder, s: str, idx: int = 0) -> Any:
        nonlocal looked_at
        looked_at += len(s)
        return original(self, s, idx)

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", counting)
    with pytest.raises(InvalidInput):
        read(FILLING[name])
    assert 0 < looked_at < 4 * MAX_BODY_BYTES
