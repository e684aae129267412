-- Clients signed in at the gateway. One made from a sign-in session ends with it: the reference
-- deletes it in the transaction that deletes the session.
CREATE TABLE instances (
  id TEXT NOT NULL PRIMARY KEY,
  application_key TEXT NOT NULL,
  identity_type TEXT NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint TEXT NOT NULL,
  device TEXT NOT NULL,
  session TEXT REFERENCES sessions (handle) ON DELETE CASCADE,
  generation INTEGER NOT NULL CHECK (generation >= 0),
  key_id TEXT NOT NULL,
  ticket_created INTEGER NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX instances_by_identity
  ON instances (application_key, identity_type, endpoint, expires);
CREATE INDEX instances_by_session ON instances (session) WHERE session IS NOT NULL;
CREATE INDEX instances_by_expires ON instances (expires);
