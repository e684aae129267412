-- The log of revocations. Ids come from the one head row, which is locked until commit: they are
-- dense and become visible in order, so a reader that has seen n misses nothing below n.
CREATE TABLE revocation_head (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  top INTEGER NOT NULL CHECK (top >= 0)
) STRICT;

INSERT INTO revocation_head (id, top) VALUES (1, 0);

CREATE TABLE revocations (
  id INTEGER NOT NULL PRIMARY KEY,
  scope INTEGER NOT NULL CHECK (scope IN (1, 2, 3)),  -- 1 session, 2 identity, 3 instance
  session TEXT NOT NULL,
  application_key TEXT NOT NULL,
  identity_type TEXT NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint TEXT NOT NULL,
  instance TEXT NOT NULL,
  reason TEXT NOT NULL,
  time INTEGER NOT NULL
) STRICT;

-- Tickets of the identity created at or before `tickets_after` are refused, for ever.
CREATE TABLE watermarks (
  application_key TEXT NOT NULL,
  identity_type TEXT NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint TEXT NOT NULL,
  tickets_after INTEGER NOT NULL,
  PRIMARY KEY (application_key, identity_type, endpoint)
) STRICT, WITHOUT ROWID;
