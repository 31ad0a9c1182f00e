-- The library's tables in every service's schema: outbox, inbox, dead letters, intents, jobs, leadership.

CREATE TABLE outbox_event_record (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    event_id        uuid        NOT NULL,
    event_type      text        NOT NULL,
    topic           text        NOT NULL,
    aggregate_type  text        NOT NULL,
    aggregate_id    text        NOT NULL,
    sequence        bigint      NOT NULL,
    key             text        NOT NULL,
    value           bytea       NOT NULL,
    trace_id        text        NOT NULL,
    status          text        NOT NULL,
    attempts        integer     NOT NULL,
    blocked_by      bigint,
    last_error      text,
    next_attempt_at timestamptz,
    created_at      timestamptz NOT NULL,
    sent_at         timestamptz,
    CONSTRAINT outbox_event_record_pkey PRIMARY KEY (id),
    CONSTRAINT outbox_one_event_per_sequence UNIQUE (aggregate_id, sequence, aggregate_type),
    CONSTRAINT outbox_sequence_starts_at_one CHECK (sequence >= 1),
    CONSTRAINT outbox_status_is_known CHECK (status IN ('PENDING', 'SENT', 'FAILED')),
    CONSTRAINT outbox_value_fits_kafka CHECK (octet_length(value) <= 4194304),
    CONSTRAINT outbox_sent_has_its_time CHECK ((status = 'SENT') = (sent_at IS NOT NULL))
);
CREATE INDEX outbox_waiting ON outbox_event_record (id) WHERE status = 'PENDING' AND blocked_by IS NULL;
CREATE INDEX outbox_by_age ON outbox_event_record USING brin (created_at);
CREATE INDEX outbox_failed ON outbox_event_record (id) WHERE status = 'FAILED';
CREATE INDEX outbox_blocked ON outbox_event_record (blocked_by) WHERE blocked_by IS NOT NULL;

CREATE TABLE consumed_event_record (
    consumer_group text        NOT NULL,
    event_id       uuid        NOT NULL,
    event_type     text        NOT NULL,
    outcome        text        NOT NULL,
    content_hash   bigint      NOT NULL,
    consumed_at    timestamptz NOT NULL,
    CONSTRAINT consumed_event_record_pkey PRIMARY KEY (event_id, consumer_group),
    CONSTRAINT consumed_outcome_is_known CHECK (outcome IN ('PROCESSED', 'PARKED', 'DEAD'))
);

CREATE INDEX consumed_by_age ON consumed_event_record USING brin (consumed_at);

CREATE TABLE dead_letter (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group  text        NOT NULL,
    topic           text        NOT NULL,
    partition       integer     NOT NULL,
    "offset"        bigint      NOT NULL,
    event_id        uuid,
    event_type      text,
    key             bytea,
    value           bytea,
    headers         jsonb       NOT NULL,
    error           text        NOT NULL,
    status          text        NOT NULL,
    attempts        integer     NOT NULL,
    next_attempt_at timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT dead_letter_one_per_message UNIQUE (consumer_group, topic, partition, "offset"),
    CONSTRAINT dead_letter_status_is_known CHECK (status IN ('RETRYING', 'PARKED', 'DEAD', 'DONE')),
    CONSTRAINT dead_letter_retrying_has_its_time CHECK ((status = 'RETRYING') = (next_attempt_at IS NOT NULL))
);
CREATE INDEX dead_letter_due ON dead_letter (next_attempt_at) WHERE status = 'RETRYING';

-- The first batch after an assignment is noted here before it is handled, and its messages one by one once it was
-- tried too often, so that a message which kills the process is seen to have been tried.
CREATE TABLE delivery_attempt (
    consumer_group text    NOT NULL,
    topic          text    NOT NULL,
    partition      integer NOT NULL,
    stage          text    NOT NULL,
    "offset"       bigint  NOT NULL,
    attempts       integer NOT NULL,
    CONSTRAINT delivery_attempt_pkey PRIMARY KEY (consumer_group, topic, partition, stage),
    CONSTRAINT delivery_attempt_stage_is_known CHECK (stage IN ('BATCH', 'MESSAGE'))
);

CREATE TABLE intent (
    kind         text        NOT NULL,
    key          text        NOT NULL,
    subject      text        NOT NULL,
    body         bytea       NOT NULL,
    trace_id     text        NOT NULL,
    status       text        NOT NULL,
    attempts     integer     NOT NULL,
    due_at       timestamptz NOT NULL,
    leased_until timestamptz,
    created_at   timestamptz NOT NULL,
    done_at      timestamptz,
    CONSTRAINT intent_pkey PRIMARY KEY (kind, key),
    CONSTRAINT intent_status_is_known CHECK (status IN ('PENDING', 'DONE')),
    CONSTRAINT intent_done_has_its_time CHECK ((status = 'DONE') = (done_at IS NOT NULL))
);
CREATE INDEX intent_due ON intent (kind, due_at) WHERE status = 'PENDING';

CREATE TABLE periodic_job (
    name         text        NOT NULL PRIMARY KEY,
    next_run_at  timestamptz NOT NULL,
    leased_until timestamptz
);

CREATE TABLE relay_leader (
    single  boolean     NOT NULL PRIMARY KEY CHECK (single),
    epoch   bigint      NOT NULL,
    pid     integer     NOT NULL,
    beat_at timestamptz NOT NULL
);
