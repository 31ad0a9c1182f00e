"""Kafka, as the rest of the library sees it: the only package that imports confluent_kafka."""

from dovecote.kafka.admin import Admin
from dovecote.kafka.consumer import KafkaConsumer
from dovecote.kafka.message import Assignment, Message
from dovecote.kafka.producer import Failure, KafkaProducer, Outgoing, SendResult
from dovecote.kafka.topiclog import LogRecord, read_topics

__all__ = [
    "Admin",
    "Assignment",
    "Failure",
    "KafkaConsumer",
    "KafkaProducer",
    "LogRecord",
    "Message",
    "Outgoing",
    "SendResult",
    "read_topics",
]
