-- Search's own tables: the index in two slots, 'a' and 'b', of which one serves while the other may be rebuilt.

-- What is found. A slot is a partition, so that every statement is one text for both.
--   hit          the answer's JSON for this product, made once when it is indexed: a search decodes nothing
--   folded       the name's words without case and accents, for sorting by name and completion
--   place        the order within a tier: a hash of the id, so that every stretch of it is a fair sample of the whole
--   words        lexemes that begin with their field: W the whole name, P pair of neighbours in the name, N word of the
--                name, X word found elsewhere only, C and B the whole category and brand, S, T and U the place, roughly
--   occurred_at  when the product became what it is here, by its producer's clock: the answer's updatedAt
--   deleted      a tombstone: only id, version and occurred_at mean anything
CREATE TABLE document (
    place       bigint      NOT NULL, -- what a search looks at for every match stands first: it is the quickest to reach
    occurred_at timestamptz NOT NULL,
    active      boolean     NOT NULL,
    deleted     boolean     NOT NULL,
    slot        text        NOT NULL COLLATE "C",
    price       numeric     NOT NULL,
    words       tsvector    NOT NULL,
    product_id  text        NOT NULL COLLATE "C",
    folded      text        NOT NULL COLLATE "C",
    hit         text        NOT NULL,
    name        text        NOT NULL,
    category    text,
    brand       text,
    version     bigint,
    CONSTRAINT document_pkey PRIMARY KEY (slot, product_id),
    CONSTRAINT document_tombstone_says_nothing CHECK (NOT deleted OR (hit = '' AND words = ''))
) PARTITION BY LIST (slot);
CREATE TABLE document_a PARTITION OF document FOR VALUES IN ('a');
CREATE TABLE document_b PARTITION OF document FOR VALUES IN ('b');

-- An import writes thousands of documents a second: their lexemes wait in the pending list, which is merged in bulk
-- at 512 kB or by the service's own job, whichever comes first. A search reads the list too, so it must stay short.
CREATE INDEX document_a_words ON document_a USING gin (words) WITH (fastupdate = on, gin_pending_list_limit = 512);
CREATE INDEX document_b_words ON document_b USING gin (words) WITH (fastupdate = on, gin_pending_list_limit = 512);
CREATE INDEX document_folded ON document (folded, place, product_id) WHERE NOT deleted;
-- What is inactive often has no price either: apart, it is in nobody's way.
CREATE INDEX document_price ON document (price, place, product_id) WHERE NOT deleted AND active;
CREATE INDEX document_price_inactive ON document (price, place, product_id) WHERE NOT deleted AND NOT active;
CREATE INDEX document_occurred ON document (occurred_at, place, product_id) WHERE NOT deleted;
CREATE INDEX document_tombstone ON document (occurred_at) WHERE deleted;

-- The vocabulary: every word that a document holds or has held, as written, and what it is indexed under; and the
-- common ones among the lexemes that are no words (W, P, C, B), as themselves. The counts are refreshed by a job; they
-- choose between plans and between corrections, and decide nothing else.
CREATE TABLE word (
    slot     text   NOT NULL COLLATE "C",
    word     text   NOT NULL COLLATE "C",
    stem     text   NOT NULL COLLATE "C",
    in_name  bigint NOT NULL,
    anywhere bigint NOT NULL,
    CONSTRAINT word_pkey PRIMARY KEY (slot, word)
) PARTITION BY LIST (slot);
CREATE TABLE word_a PARTITION OF word FOR VALUES IN ('a');
CREATE TABLE word_b PARTITION OF word FOR VALUES IN ('b');
CREATE INDEX word_stem ON word (slot, stem);

-- Which slot serves, and the rebuild that is under way or was the last. Writers hold the row FOR KEY SHARE, so that a swap
-- waits for them and they for it.
CREATE TABLE index_state (
    id           boolean     NOT NULL DEFAULT true,
    live         text        NOT NULL COLLATE "C",
    building     text,
    run_id       uuid,
    started_at   timestamptz,
    beat_at      timestamptz,
    completed_at timestamptz,
    pages        bigint      NOT NULL DEFAULT 0,
    fetched      bigint      NOT NULL DEFAULT 0,
    indexed      bigint      NOT NULL DEFAULT 0,
    purged       bigint      NOT NULL DEFAULT 0,
    error        text,
    documents    bigint      NOT NULL DEFAULT 0, -- when the words were last counted: after so many writes and this change
    counted_writes bigint,
    counted_change bigint,
    CONSTRAINT index_state_pkey PRIMARY KEY (id),
    CONSTRAINT index_state_is_one_row CHECK (id),
    CONSTRAINT index_state_slots_are_known CHECK (live IN ('a', 'b') AND (building IS NULL OR building IN ('a', 'b'))),
    CONSTRAINT index_state_builds_beside_the_live_one CHECK (building IS NULL OR building <> live),
    CONSTRAINT index_state_names_its_run CHECK (building IS NULL OR run_id IS NOT NULL)
);
INSERT INTO index_state (live) VALUES ('a');

-- A number for each batch of changes, drawn before it commits: who remembers an answer sees that it is out of date.
CREATE SEQUENCE index_change;

-- What the service's role may not do itself: empty a slot at once, let the planner see it, merge a pending list.
CREATE FUNCTION empty_slot(emptied text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF emptied = 'a' THEN
        TRUNCATE document_a, word_a;
    ELSIF emptied = 'b' THEN
        TRUNCATE document_b, word_b;
    END IF;
END $$;
CREATE FUNCTION analyze_slot(filled text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF filled = 'a' THEN
        ANALYZE document_a, word_a;
    ELSIF filled = 'b' THEN
        ANALYZE document_b, word_b;
    END IF;
END $$;
CREATE FUNCTION merge_pending() RETURNS bigint LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    SELECT gin_clean_pending_list('document_a_words'::regclass) + gin_clean_pending_list('document_b_words'::regclass);
END;

-- pg_trgm may have been installed wherever, and a schema of ours that is dropped must not take it along: this function
-- binds to it by identity. Two slips in a word leave it fewer common trigrams than pg_trgm's own threshold wants; who
-- asks counts the slips. The planner knows nothing of what is typed and would rather read all words of the slot.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
DO $$
DECLARE home text;
BEGIN
    SELECT n.nspname INTO STRICT home
      FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
     WHERE e.extname = 'pg_trgm';
    EXECUTE format('CREATE INDEX word_a_trigrams ON word_a USING gin (word %I.gin_trgm_ops) WITH (fastupdate = off)', home);
    EXECUTE format('CREATE INDEX word_b_trigrams ON word_b USING gin (word %I.gin_trgm_ops) WITH (fastupdate = off)', home);
    EXECUTE format('CREATE FUNCTION words_alike(in_slot text, typed text, most bigint) RETURNS SETOF word
                    LANGUAGE sql STABLE SET pg_trgm.similarity_threshold = 0.2 SET enable_seqscan = off
                    BEGIN ATOMIC
                        SELECT w.* FROM word AS w
                         WHERE (w.slot = in_slot) IS TRUE AND w.word OPERATOR(%1$I.%%) typed
                         ORDER BY %1$I.similarity(w.word, typed) DESC, w.word LIMIT most;
                    END', home);
END $$;
