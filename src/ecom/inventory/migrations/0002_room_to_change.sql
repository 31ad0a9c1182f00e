-- A hold and its reservations change soon after they are written: with half of the page free they stay on it (HOT).
ALTER TABLE order_hold SET (fillfactor = 50);
ALTER TABLE reservation SET (fillfactor = 50);
