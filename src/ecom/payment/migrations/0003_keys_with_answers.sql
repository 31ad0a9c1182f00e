-- A key is remembered with the body that it came with and the answer that it got, so that a repetition gets the same one.
-- Rows from before have neither: their key still belongs to its order, and is answered with the payment as it stands.
ALTER TABLE intent_key
    ADD COLUMN body_hash bytea,
    ADD COLUMN answer    bytea,
    ADD CONSTRAINT intent_key_answer_has_its_body CHECK ((body_hash IS NULL) = (answer IS NULL));
