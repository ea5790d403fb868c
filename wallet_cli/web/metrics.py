"""The metrics at /metrics, in Prometheus' format. Nothing in them names a user, a wallet or an amount."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from wallet_cli.engine.group_commit import BatchReport
from wallet_cli.web.metrics_folder import make_again
from wallet_cli.web.readers import Readers
from wallet_cli.web.supervisor import METRICS_FOLDER_VARIABLE

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)

# They would be one more line for each counter: its start time, which nobody needs.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._folder = os.environ.get(METRICS_FOLDER_VARIABLE)
        """Where several workers keep their counts."""
        if self._folder:
            make_again(self._folder)
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter("wallet_requests_total", "Requests answered", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "wallet_request_seconds", "Time to answer", ["route"], buckets=SECONDS, registry=registry
        )
        self._refusals = Counter("wallet_refusals_total", "Requests refused, by code", ["code"], registry=registry)
        self._turned_away = Counter(
            "wallet_turned_away_total",
            "Requests without a right key or token, or without the right to what they ask for, by reason",
            ["reason"],
            registry=registry,
        )
        self._batch_size = Histogram(
            "wallet_batch_commands", "Commands in one commit", buckets=SIZES, registry=registry
        )
        self._turn_wait = Histogram(
            "wallet_turn_wait_seconds",
            "Wait of a batch's oldest request for its turn",
            buckets=SECONDS,
            registry=registry,
        )
        self._commit = Histogram(
            "wallet_commit_seconds", "Time of one turn: read, decide, write, commit", registry=registry
        )
        self._retries = Counter(
            "wallet_retries_total",
            "Batches that ran again after a collision with another server's",
            registry=registry,
        )
        self._seals = Counter("wallet_seals_total", "Seals made, or failed", ["outcome"], registry=registry)
        self._depth = Gauge(
            "wallet_inbox_commands", "Commands waiting for a turn", multiprocess_mode="livesum", registry=registry
        )
        self._reads = Gauge("wallet_long_reads", "Running long reads", multiprocess_mode="livesum", registry=registry)
        self._reads_waiting = Gauge(
            "wallet_long_reads_waiting", "Waiting long reads", multiprocess_mode="livesum", registry=registry
        )
        self._log_bytes = Gauge(
            "wallet_log_bytes", "SQLite's log beside the ledger", multiprocess_mode="livemax", registry=registry
        )
        self._log_pinned = Gauge(
            "wallet_log_pinned",
            "Whether the log has grown and a reader prevents its truncation",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.log_bytes, self.is_log_pinned = 0, False
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        found = self._known.get((route, status))
        if found is None:
            # Looking labels up costs more than counting; there are few pairs.
            found = (self._requests.labels(route, str(status)), self._seconds.labels(route))
            self._known[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def refused(self, code: str, times: int = 1) -> None:
        self._refusals.labels(code).inc(times)

    def turned_away(self, reason: str) -> None:
        """`reason` is one of a few: the text of an error that names nobody, or a code."""
        self._turned_away.labels(reason).inc()

    def batch(self, report: BatchReport) -> None:
        self._batch_size.observe(report.commands)
        self._turn_wait.observe(report.waited_s - report.took_s)
        self._commit.observe(report.took_s)
        if report.retries:
            self._retries.inc(report.retries)

    def sealed(self, outcome: str) -> None:
        """Count a seal: `made` or `failed`."""
        self._seals.labels(outcome).inc()

    @property
    def is_shared(self) -> bool:
        """Whether other workers show what this one counts."""
        return self._folder is not None

    def is_now(self, depth: int, readers: Readers) -> None:
        """Note what is under way in this process."""
        self._depth.set(depth)
        self._reads.set(readers.under_way)
        self._reads_waiting.set(readers.waiting)
        self._log_bytes.set(self.log_bytes)
        self._log_pinned.set(self.is_log_pinned)

    def page(self) -> bytes:
        """The page of this process, or of all workers."""
        if self._folder:
            make_again(self._folder)
            together = CollectorRegistry()
            MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            return generate_latest(together)
        return generate_latest(self._registry)
