-- Applications. The default one stands here too: nodes share nothing else.
CREATE TABLE applications (
  key text COLLATE "C" NOT NULL PRIMARY KEY,
  name text NOT NULL,
  created bigint NOT NULL
);

-- Application secrets, sealed with the master key `key_id`. No reference to applications: an
-- application that the settings name has no row there, and its retired secrets stand here.
CREATE TABLE application_secrets (
  application_key text COLLATE "C" NOT NULL,
  fingerprint text COLLATE "C" NOT NULL,
  sealed bytea NOT NULL,
  key_id text NOT NULL,
  minting boolean NOT NULL,
  created bigint NOT NULL,
  PRIMARY KEY (application_key, fingerprint)
);

CREATE UNIQUE INDEX application_secrets_minting ON application_secrets (application_key)
  WHERE minting;

-- Raised by every change of the two tables above; servers compare it with what they have read. A
-- change locks it first, so that changes come one after the other.
CREATE TABLE application_generation (
  id integer NOT NULL PRIMARY KEY CHECK (id = 1),
  generation bigint NOT NULL CHECK (generation >= 0)
);

INSERT INTO application_generation (id, generation) VALUES (1, 0);
