-- Tickets that were presented while each was good for one device only. A row outlives the instance
-- that was made with it and goes when no verifier takes the ticket any more.
CREATE TABLE presented_tickets (
  digest BLOB NOT NULL PRIMARY KEY,      -- SHA-256 of the ticket's MAC
  application_key TEXT NOT NULL,
  identity_type TEXT NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint TEXT NOT NULL,
  device TEXT NOT NULL,                  -- the first that showed it; '' is nobody in particular
  instance TEXT NOT NULL,                -- what it got
  expires INTEGER NOT NULL               -- created, lifetime and skew
) STRICT, WITHOUT ROWID;

CREATE INDEX presented_tickets_by_identity
  ON presented_tickets (application_key, identity_type, endpoint);
CREATE INDEX presented_tickets_by_expires ON presented_tickets (expires);

-- How many rows there are: counting them each time would cost more than the rest of a connect.
CREATE TABLE presented_ticket_count (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  count INTEGER NOT NULL CHECK (count >= 0)
) STRICT;

INSERT INTO presented_ticket_count (id, count) VALUES (1, 0);

CREATE TRIGGER presented_tickets_added AFTER INSERT ON presented_tickets BEGIN
  UPDATE presented_ticket_count SET count = count + 1 WHERE id = 1;
END;

CREATE TRIGGER presented_tickets_removed AFTER DELETE ON presented_tickets BEGIN
  UPDATE presented_ticket_count SET count = count - 1 WHERE id = 1;
END;
