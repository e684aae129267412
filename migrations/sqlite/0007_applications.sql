-- Applications besides the default one, which stands in the data directory.
CREATE TABLE applications (
  key TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Application secrets, sealed with the master key `key_id`. No reference to applications: the
-- default one's retired secrets stand here too.
CREATE TABLE application_secrets (
  application_key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  sealed BLOB NOT NULL,
  key_id TEXT NOT NULL,
  minting INTEGER NOT NULL CHECK (minting IN (0, 1)),
  created INTEGER NOT NULL,
  PRIMARY KEY (application_key, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX application_secrets_minting ON application_secrets (application_key)
  WHERE minting = 1;

-- Raised by every change of the two tables above; servers compare it with what they have read.
CREATE TABLE application_generation (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL CHECK (generation >= 0)
) STRICT;

INSERT INTO application_generation (id, generation) VALUES (1, 0);
