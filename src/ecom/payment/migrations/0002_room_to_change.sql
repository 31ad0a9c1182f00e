-- A payment changes three times soon after it is written: with half of the page free it stays on it (HOT), but for the
-- one time when the provider names it.
ALTER TABLE payment SET (fillfactor = 50);
