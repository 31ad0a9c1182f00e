-- What was written since: a process that holds the index in its memory asks for it by the number of the transaction.
-- What is older than this column needs no number: who holds an index has read all of it once.
ALTER TABLE document ADD COLUMN written bigint NOT NULL DEFAULT 0;
ALTER TABLE word ADD COLUMN written bigint NOT NULL DEFAULT 0;
ALTER TABLE word ALTER COLUMN written SET DEFAULT pg_current_xact_id()::text::bigint;
-- Rows come in the order of their transactions: such an index grows at its end only, and a batch is one entry.
CREATE INDEX document_written ON document (written);
CREATE INDEX word_written ON word (written);

-- As in 0001, but for what it returns: not whatever columns the table has.
DROP FUNCTION words_alike(text, text, bigint);
DO $$
DECLARE home text;
BEGIN
    SELECT n.nspname INTO STRICT home
      FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
     WHERE e.extname = 'pg_trgm';
    EXECUTE format('CREATE FUNCTION words_alike(in_slot text, typed text, most bigint)
                    RETURNS TABLE (word text, stem text, in_name bigint, anywhere bigint)
                    LANGUAGE sql STABLE SET pg_trgm.similarity_threshold = 0.2 SET enable_seqscan = off
                    BEGIN ATOMIC
                        SELECT w.word, w.stem, w.in_name, w.anywhere FROM word AS w
                         WHERE (w.slot = in_slot) IS TRUE AND w.word OPERATOR(%1$I.%%) typed
                         ORDER BY %1$I.similarity(w.word, typed) DESC, w.word LIMIT most;
                    END', home);
END $$;
