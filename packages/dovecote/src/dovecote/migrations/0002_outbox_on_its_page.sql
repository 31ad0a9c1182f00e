-- PENDING → SENT is one update of nearly every record. As long as no index mentions what it changes, and the page
-- has room, it stays on its page (HOT) and touches no index at all; so none says `status`, and a scan finds what is
-- PENDING by its id. What a scan would have to look for far back is `behind`, and that has an index of its own.
ALTER TABLE outbox_event_record
    ADD COLUMN behind boolean NOT NULL DEFAULT false,
    -- follows the status, yet does not change when a record is SENT
    ADD COLUMN failed boolean NOT NULL GENERATED ALWAYS AS (status = 'FAILED') STORED,
    SET (fillfactor = 45); -- a SENT record is eight bytes longer than the PENDING one
DROP INDEX outbox_waiting;
DROP INDEX outbox_failed;
UPDATE outbox_event_record SET behind = true WHERE status = 'PENDING' AND blocked_by IS NULL;
CREATE INDEX outbox_behind ON outbox_event_record (id) WHERE behind;
CREATE INDEX outbox_failed ON outbox_event_record (id) WHERE failed;

-- Below this id nothing can become visible any more, and what is PENDING there is `behind`. The lock that the table
-- was altered under has outlasted everybody who might still have written.
ALTER TABLE relay_leader ADD COLUMN settled_below bigint NOT NULL DEFAULT 0;
UPDATE relay_leader SET settled_below = coalesce((SELECT max(id) + 1 FROM outbox_event_record), 0);
