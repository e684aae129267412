-- Sign-in sessions. The cookie's id is stored as its SHA-256 alone.
CREATE TABLE sessions (
  handle text COLLATE "C" NOT NULL PRIMARY KEY,
  id_hash bytea NOT NULL UNIQUE,
  account text COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  created bigint NOT NULL,
  last_seen bigint NOT NULL,
  authenticated bigint NOT NULL,
  factors text NOT NULL,
  address_prefix text NOT NULL,
  agent text NOT NULL,
  epoch bigint NOT NULL CHECK (epoch >= 0)
);

CREATE INDEX sessions_by_account ON sessions (account, created, handle);
CREATE INDEX sessions_by_last_seen ON sessions (last_seen);
CREATE INDEX sessions_by_created ON sessions (created);

-- Browsers that signed in before. The token is stored as its SHA-256 alone.
CREATE TABLE known_devices (
  token_hash bytea NOT NULL PRIMARY KEY,
  account text COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  failures bigint NOT NULL CHECK (failures >= 0),
  created bigint NOT NULL
);

CREATE INDEX known_devices_by_account ON known_devices (account, created);

-- The functions of this schema are the transactions that need more than one statement while rows are
-- locked: a node that stops in between must not hold them. All take locks in this order: password
-- hash, account, sessions (by handle), identities, devices and instances, the head of the
-- revocations. Parameters begin with p_, variables with v_.

-- Deletes the sessions, and through the reference their instances. Answers those there were.
CREATE FUNCTION delete_sessions(p_handles text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_deleted text[];
BEGIN
  PERFORM FROM sessions WHERE handle = ANY (p_handles) ORDER BY handle FOR UPDATE;
  WITH deleted AS (DELETE FROM sessions WHERE handle = ANY (p_handles) RETURNING handle)
    SELECT coalesce(array_agg(handle ORDER BY handle), '{}') INTO v_deleted FROM deleted;
  RETURN v_deleted;
END $$;

-- Ends the sessions: delete_sessions, and a row in the log of revocations for each.
CREATE FUNCTION end_sessions(p_handles text[], p_reason text, p_now bigint) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
  v_ended text[] := delete_sessions(p_handles);
BEGIN
  PERFORM log_session_ends(v_ended, p_reason, p_now);
  RETURN QUERY SELECT unnest(v_ended);
END $$;

-- Answers the handles of the oldest sessions that end because the account has too many.
CREATE FUNCTION create_session(
  p_handle text, p_id_hash bytea, p_account text, p_created bigint, p_last_seen bigint,
  p_authenticated bigint, p_factors text, p_address_prefix text, p_agent text, p_epoch bigint,
  p_max_sessions bigint) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
  -- One sign-in of an account at a time, so that the limit holds.
  PERFORM FROM accounts WHERE id = p_account FOR NO KEY UPDATE;
  INSERT INTO sessions (handle, id_hash, account, created, last_seen, authenticated, factors,
                        address_prefix, agent, epoch)
    VALUES (p_handle, p_id_hash, p_account, p_created, p_last_seen, p_authenticated, p_factors,
            p_address_prefix, p_agent, p_epoch);
  -- All but the newest ones, of which the new session is always one.
  RETURN QUERY SELECT * FROM end_sessions(
    ARRAY(SELECT handle FROM sessions WHERE account = p_account AND handle <> p_handle
          ORDER BY created DESC, handle DESC OFFSET greatest(p_max_sessions - 1, 0)),
    'too_many_sessions', p_created);
END $$;

CREATE FUNCTION end_expired_sessions(
  p_idle_before bigint, p_created_before bigint, p_limit bigint, p_now bigint) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
  -- Locked as they are chosen: one that is used meanwhile does not end.
  RETURN QUERY SELECT * FROM end_sessions(
    ARRAY(SELECT handle FROM sessions
          WHERE last_seen < p_idle_before OR created < p_created_before
          ORDER BY handle LIMIT p_limit FOR UPDATE SKIP LOCKED),
    'expired', p_now);
END $$;

CREATE FUNCTION create_device(
  p_token_hash bytea, p_account text, p_failures bigint, p_created bigint, p_max_devices bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM accounts WHERE id = p_account FOR NO KEY UPDATE;
  INSERT INTO known_devices (token_hash, account, failures, created)
    VALUES (p_token_hash, p_account, p_failures, p_created);
  -- All but the newest ones, of which the new device is always one.
  DELETE FROM known_devices WHERE token_hash IN (
    SELECT token_hash FROM known_devices WHERE account = p_account AND token_hash <> p_token_hash
    ORDER BY created DESC, token_hash DESC OFFSET greatest(p_max_devices - 1, 0));
END $$;
