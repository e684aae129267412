-- The log of revocations. Ids come from the one head row, which is locked until commit: they are
-- dense and become visible in order, so a reader that has seen n misses nothing below n.
CREATE TABLE revocation_head (
  id integer NOT NULL PRIMARY KEY CHECK (id = 1),
  top bigint NOT NULL CHECK (top >= 0)
);

INSERT INTO revocation_head (id, top) VALUES (1, 0);

CREATE TABLE revocations (
  id bigint NOT NULL PRIMARY KEY,
  scope bigint NOT NULL CHECK (scope IN (1, 2, 3)),  -- 1 session, 2 identity, 3 instance
  session text NOT NULL,
  application_key text NOT NULL,
  identity_type text NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint text NOT NULL,
  instance text NOT NULL,
  reason text NOT NULL,
  time bigint NOT NULL
);

-- Tickets of the identity created at or before `tickets_after` are refused, for ever.
CREATE TABLE watermarks (
  application_key text COLLATE "C" NOT NULL,
  identity_type text COLLATE "C" NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint text COLLATE "C" NOT NULL,
  tickets_after bigint NOT NULL,
  PRIMARY KEY (application_key, identity_type, endpoint)
);

-- Takes the next `p_count` ids; answers the last one taken before. The head stays locked until the
-- commit, so this comes last in every transaction.
CREATE FUNCTION take_revocation_ids(p_count bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_before bigint;
BEGIN
  UPDATE revocation_head SET top = top + p_count WHERE id = 1 RETURNING top - p_count
    INTO STRICT v_before;
  RETURN v_before;
END $$;

CREATE FUNCTION log_session_ends(p_handles text[], p_reason text, p_now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_before bigint;
BEGIN
  IF cardinality(p_handles) = 0 THEN
    RETURN;
  END IF;
  v_before := take_revocation_ids(cardinality(p_handles));
  INSERT INTO revocations (id, scope, session, application_key, identity_type, endpoint, instance,
                           reason, time)
    SELECT v_before + ended.number, 1, ended.handle, '', 'username', '', '', p_reason, p_now
    FROM unnest(p_handles) WITH ORDINALITY AS ended (handle, number);
END $$;

-- Ends the identity's instances and raises its watermark: at least to the youngest ticket of the
-- instances that end (such a ticket, stamped by a clock ahead of ours, must not come back) and to
-- what a ticket minted since the last watermark may be stamped with, which is up to a second ahead.
CREATE FUNCTION end_identity(p_application_key text, p_type text, p_endpoint text, p_time bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_mark bigint := p_time;
  v_last bigint;
BEGIN
  WITH ended AS (
    DELETE FROM instances WHERE application_key = p_application_key AND identity_type = p_type
      AND endpoint = p_endpoint RETURNING ticket_created)
    SELECT greatest(v_mark, max(ticket_created)) INTO v_mark FROM ended;
  SELECT tickets_after INTO v_last FROM watermarks WHERE application_key = p_application_key
    AND identity_type = p_type AND endpoint = p_endpoint;
  IF v_last <> 0 THEN
    v_mark := greatest(v_mark, (floor(v_last / 1000000.0)::bigint + 1) * 1000000);
  END IF;
  INSERT INTO watermarks (application_key, identity_type, endpoint, tickets_after)
    VALUES (p_application_key, p_type, p_endpoint, v_mark)
    ON CONFLICT (application_key, identity_type, endpoint)
    DO UPDATE SET tickets_after = excluded.tickets_after;
END $$;

-- Does what the rows say, in their order.
CREATE FUNCTION apply_revocations(
  p_scopes bigint[], p_sessions text[], p_application_keys text[], p_types text[],
  p_endpoints text[], p_instances text[], p_times bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT identity_lock(row.application_key, row.type, row.endpoint) AS number
    FROM unnest(p_scopes, p_application_keys, p_types, p_endpoints)
      AS row (scope, application_key, type, endpoint)
    WHERE row.scope = 2 ORDER BY number) AS locks;
  FOR i IN 1 .. cardinality(p_scopes) LOOP
    IF p_scopes[i] = 1 THEN
      DELETE FROM instances WHERE session = p_sessions[i];
    ELSIF p_scopes[i] = 2 THEN
      PERFORM end_identity(p_application_keys[i], p_types[i], p_endpoints[i], p_times[i]);
    ELSE
      DELETE FROM instances WHERE id = p_instances[i];
    END IF;
  END LOOP;
END $$;

-- Notes the rows in the log, in their order.
CREATE FUNCTION log_revocations(
  p_scopes bigint[], p_sessions text[], p_application_keys text[], p_types text[],
  p_endpoints text[], p_instances text[], p_times bigint[], p_reasons text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_before bigint;
BEGIN
  IF cardinality(p_scopes) = 0 THEN
    RETURN;
  END IF;
  v_before := take_revocation_ids(cardinality(p_scopes));
  INSERT INTO revocations (id, scope, session, application_key, identity_type, endpoint, instance,
                           time, reason)
    SELECT v_before + row.number, row.scope, row.session, row.application_key, row.type,
           row.endpoint, row.instance, row.time, row.reason
    FROM unnest(p_scopes, p_sessions, p_application_keys, p_types, p_endpoints, p_instances,
                p_times, p_reasons)
      WITH ORDINALITY AS row (scope, session, application_key, type, endpoint, instance, time,
                              reason, number);
END $$;

CREATE FUNCTION revoke_all(
  p_scopes bigint[], p_sessions text[], p_application_keys text[], p_types text[],
  p_endpoints text[], p_instances text[], p_times bigint[], p_reasons text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM apply_revocations(p_scopes, p_sessions, p_application_keys, p_types, p_endpoints,
                            p_instances, p_times);
  PERFORM log_revocations(p_scopes, p_sessions, p_application_keys, p_types, p_endpoints,
                          p_instances, p_times, p_reasons);
END $$;

-- Every session and ticket of before is dead from here on: raises the epoch, disables the account if
-- that is wanted, ends every session and applies the revocations. Answers how many sessions ended;
-- null if there is no such account.
CREATE FUNCTION sign_out_account(
  p_account text, p_disable boolean, p_reason text, p_now bigint,
  p_scopes bigint[], p_sessions text[], p_application_keys text[], p_types text[],
  p_endpoints text[], p_instances text[], p_times bigint[], p_reasons text[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_ended text[];
BEGIN
  UPDATE accounts SET epoch = epoch + 1, disabled = disabled OR p_disable WHERE id = p_account;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  v_ended := delete_sessions(ARRAY(SELECT handle FROM sessions WHERE account = p_account));
  PERFORM apply_revocations(p_scopes, p_sessions, p_application_keys, p_types, p_endpoints,
                            p_instances, p_times);
  PERFORM log_session_ends(v_ended, p_reason, p_now);
  PERFORM log_revocations(p_scopes, p_sessions, p_application_keys, p_types, p_endpoints,
                          p_instances, p_times, p_reasons);
  RETURN cardinality(v_ended);
END $$;

-- False: the hash had changed, and nothing was written.
CREATE FUNCTION change_password(
  p_account text, p_old_phc text, p_new_phc text, p_keep text, p_now bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  v_epoch bigint;
  v_ended text[];
BEGIN
  UPDATE password_hashes SET phc = p_new_phc WHERE account = p_account AND phc = p_old_phc;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE accounts SET epoch = epoch + 1 WHERE id = p_account RETURNING epoch INTO STRICT v_epoch;
  v_ended := delete_sessions(
    ARRAY(SELECT handle FROM sessions WHERE account = p_account AND handle <> p_keep));
  UPDATE sessions SET epoch = v_epoch WHERE handle = p_keep AND account = p_account;
  DELETE FROM known_devices WHERE account = p_account;
  PERFORM log_session_ends(v_ended, 'password_change', p_now);
  RETURN true;
END $$;
