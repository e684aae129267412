-- People. All times of this schema are microseconds since 1970, UTC.
CREATE TABLE accounts (
  id TEXT NOT NULL PRIMARY KEY,
  user_name TEXT NOT NULL,               -- as typed; tickets carry it
  user_name_key TEXT NOT NULL UNIQUE,    -- folded
  email TEXT,                            -- as typed
  email_key TEXT UNIQUE,                 -- folded; only at the account that owns the address
  email_confirmed INTEGER NOT NULL CHECK (email_confirmed IN (0, 1)),
  disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  epoch INTEGER NOT NULL CHECK (epoch >= 0),
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_unconfirmed ON accounts (id)
  WHERE email IS NOT NULL AND email_confirmed = 0;

-- Apart from the people, so that no query for a person can carry a hash along.
CREATE TABLE password_hashes (
  account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
  phc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
