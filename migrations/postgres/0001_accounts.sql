-- People. All times of this schema are microseconds since 1970, UTC. Keys are compared as bytes
-- (COLLATE "C"), whatever the database's language.
CREATE TABLE accounts (
  id text COLLATE "C" NOT NULL PRIMARY KEY,
  user_name text NOT NULL,                          -- as typed; tickets carry it
  user_name_key text COLLATE "C" NOT NULL UNIQUE,   -- folded
  email text,                                       -- as typed
  email_key text COLLATE "C" UNIQUE,                -- folded; only at the account that owns the address
  email_confirmed boolean NOT NULL,
  disabled boolean NOT NULL,
  epoch bigint NOT NULL CHECK (epoch >= 0),
  created bigint NOT NULL
);

CREATE INDEX accounts_unconfirmed ON accounts (id)
  WHERE email IS NOT NULL AND NOT email_confirmed;

-- Apart from the people, so that no query for a person can carry a hash along.
CREATE TABLE password_hashes (
  account text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
  phc text NOT NULL
);
