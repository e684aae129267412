-- Sign-in sessions. The cookie's id is stored as its SHA-256 alone.
CREATE TABLE sessions (
  handle TEXT NOT NULL PRIMARY KEY,
  id_hash BLOB NOT NULL UNIQUE,
  account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  created INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  authenticated INTEGER NOT NULL,
  factors TEXT NOT NULL,
  address_prefix TEXT NOT NULL,
  agent TEXT NOT NULL,
  epoch INTEGER NOT NULL CHECK (epoch >= 0)
) STRICT;

CREATE INDEX sessions_by_account ON sessions (account, created, handle);
CREATE INDEX sessions_by_last_seen ON sessions (last_seen);
CREATE INDEX sessions_by_created ON sessions (created);

-- Browsers that signed in before. The token is stored as its SHA-256 alone.
CREATE TABLE known_devices (
  token_hash BLOB NOT NULL PRIMARY KEY,
  account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  failures INTEGER NOT NULL CHECK (failures >= 0),
  created INTEGER NOT NULL
) STRICT;

CREATE INDEX known_devices_by_account ON known_devices (account, created);
