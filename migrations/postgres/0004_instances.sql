-- Clients signed in at the gateway. One made from a sign-in session ends with it: the reference
-- deletes it in the transaction that deletes the session.
CREATE TABLE instances (
  id text COLLATE "C" NOT NULL PRIMARY KEY,
  application_key text COLLATE "C" NOT NULL,
  identity_type text COLLATE "C" NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint text COLLATE "C" NOT NULL,
  device text NOT NULL,
  session text COLLATE "C" REFERENCES sessions (handle) ON DELETE CASCADE,
  generation bigint NOT NULL CHECK (generation >= 0),
  key_id text NOT NULL,
  ticket_created bigint NOT NULL,
  created bigint NOT NULL,
  expires bigint NOT NULL
);

CREATE INDEX instances_by_identity
  ON instances (application_key, identity_type, endpoint, expires);
CREATE INDEX instances_by_session ON instances (session) WHERE session IS NOT NULL;
CREATE INDEX instances_by_expires ON instances (expires);

-- The number to lock an identity by, with pg_advisory_xact_lock: an identity has no row of its own.
-- Two that share a number wait for each other and nothing worse.
CREATE FUNCTION identity_lock(p_application_key text, p_type text, p_endpoint text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended(
    length(p_application_key) || ':' || p_application_key || p_type || ':' || p_endpoint, 0)
$$;
