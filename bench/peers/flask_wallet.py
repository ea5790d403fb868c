"""The original design, as the project's first README describes it, in its leanest form: a peer for web.py.

Flask's development server, threaded; a POST puts `create_transaction` and its parameters into a queue in memory and
answers 201; one background thread, started with the app, is always looking whether there is an item, and writes each
through Flask-SQLAlchemy to SQLite in a transaction of its own. What was answered and not yet written is lost with the
process.

    FLASK_WALLET_DB=/tmp/peer.db flask --app flask_wallet run
"""

from __future__ import annotations

import datetime
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Numeric

db = SQLAlchemy()
waiting: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]]] = queue.Queue()


class User(db.Model):  # type: ignore[name-defined,misc]
    id = db.Column(db.Integer, primary_key=True)
    phone_number = db.Column(db.String(20), unique=True, nullable=False)


class Wallet(db.Model):  # type: ignore[name-defined,misc]
    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id"), nullable=False)
    type = db.Column(db.String(32), nullable=False)
    balance = db.Column(Numeric(18, 2, asdecimal=False), nullable=False, default=0)


class Transaction(db.Model):  # type: ignore[name-defined,misc]
    id = db.Column(db.Integer, primary_key=True)
    wallet_id = db.Column(db.Integer, db.ForeignKey("wallet.id"), nullable=False)
    amount = db.Column(Numeric(18, 2, asdecimal=False), nullable=False)
    is_credit = db.Column(db.Boolean, nullable=False)
    created_at = db.Column(db.DateTime, nullable=False)


def create_transaction(wallet_id: int, amount: float, is_credit: bool) -> None:
    wallet = db.session.get(Wallet, wallet_id)
    if is_credit:
        wallet.balance += amount
    elif wallet.balance >= amount:
        wallet.balance -= amount
    else:
        return
    now = datetime.datetime.now(datetime.UTC)
    db.session.add(Transaction(wallet_id=wallet_id, amount=amount, is_credit=is_credit, created_at=now))
    db.session.commit()


def add_transaction_to_queue(function: Callable[..., None], *parameters: Any) -> None:
    waiting.put((function, parameters))


def process_queue(app: Flask) -> None:
    with app.app_context():
        while True:
            function, parameters = waiting.get()
            function(*parameters)


def create_app() -> Flask:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # leaner than it was: no line a request
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['FLASK_WALLET_DB']}"
    db.init_app(app)
    with app.app_context():
        db.create_all()
        if db.session.get(User, 1) is None:
            db.session.add_all([User(id=1, phone_number="9886977544"), Wallet(id=1, user_id=1, type="type1")])
            db.session.commit()
    threading.Thread(target=process_queue, args=(app,), daemon=True).start()

    @app.post("/api/v1/transactions/create")
    def create() -> tuple[dict[str, Any], int]:
        body = request.get_json()
        wallet = Wallet.query.filter_by(id=body["wallet_id"], user_id=body["user_id"]).first()
        if wallet is None:
            return {"message": "Wallet not found", "data": None}, 404
        amount = float(body["amount"])
        if amount <= 0:
            return {"message": "Invalid amount", "data": None}, 400
        add_transaction_to_queue(create_transaction, wallet.id, amount, bool(body["is_credit"]))
        return {"message": "Transaction created", "data": body}, 201

    @app.get("/written")
    def written() -> dict[str, int]:
        """For the benchmark: how many transactions are in the database, and how many were only promised."""
        return {"written": Transaction.query.count(), "waiting": waiting.qsize()}

    return app
