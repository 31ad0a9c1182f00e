-- A mail intent carries all the mails that leave together. Those that still wait were written with one mail each.
UPDATE intent
   SET body = convert_to('{"mails":[' || convert_from(body, 'UTF8') || ']}', 'UTF8')
 WHERE kind = 'mail' AND done_at IS NULL;

-- PENDING → SENT happens once to nearly every row: with half of the page free it stays on its page (HOT).
ALTER TABLE notification SET (fillfactor = 50);
