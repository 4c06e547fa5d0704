"""The log on a real Kafka under the contract."""

from __future__ import annotations

import json

import pytest

from ingest.clock import ManualClock
from ingest.log.base import EventLog
from ingest.log.kafka import KafkaLog
from ingest.log.kafka_consumer import POLL_BYTES
from tests.contract.log_suite import LogSuite
from tests.contract.log_worker import Opener, open_kafka
from tests.servers.kafka import KafkaServer


class TestKafkaLog(LogSuite):
    patience = 90.0
    settle = 0.8
    large = 1024 * 1024
    poll_bytes = POLL_BYTES

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: KafkaServer) -> None:
        self.settings = kafka.settings()
        with KafkaLog(self.settings, check=False) as log:
            log.create_topics()

    def open(self, clock: ManualClock) -> EventLog:
        return KafkaLog(self.settings, clock=clock)

    def opener(self) -> Opener:
        return [f"{open_kafka.__module__}:{open_kafka.__name__}", [json.loads(self.settings.model_dump_json())]]

    def checkpoint_lag(self, kills: int) -> range:
        return range(kills + 1)
