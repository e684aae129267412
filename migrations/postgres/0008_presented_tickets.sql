-- Tickets that were presented while each was good for one device only. A row outlives the instance
-- that was made with it and goes when no verifier takes the ticket any more.
CREATE TABLE presented_tickets (
  digest bytea NOT NULL PRIMARY KEY,      -- SHA-256 of the ticket's MAC
  application_key text COLLATE "C" NOT NULL,
  identity_type text COLLATE "C" NOT NULL CHECK (identity_type IN ('username', 'email', 'number')),
  endpoint text COLLATE "C" NOT NULL,
  device text NOT NULL,                   -- the first that showed it; '' is nobody in particular
  instance text NOT NULL,                 -- what it got
  expires bigint NOT NULL                 -- created, lifetime and skew
);

CREATE INDEX presented_tickets_by_identity
  ON presented_tickets (application_key, identity_type, endpoint);
CREATE INDEX presented_tickets_by_expires ON presented_tickets (expires);

-- How many rows there are: counting them each time would cost more than the rest of a connect.
CREATE TABLE presented_ticket_count (
  id integer NOT NULL PRIMARY KEY CHECK (id = 1),
  count bigint NOT NULL CHECK (count >= 0)
);

INSERT INTO presented_ticket_count (id, count) VALUES (1, 0);

-- What is wrong with making an instance from the ticket: 'session_ended' if its session is gone or
-- dead or, for a ticket without one, 'before_watermark'. Null: nothing. Locks the session and the
-- identity until the commit: whoever ends them waits, and then ends the new instance too.
CREATE FUNCTION judge_ticket(
  p_application_key text, p_type text, p_endpoint text, p_session text, p_ticket_created bigint)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF p_session IS NOT NULL THEN
    PERFORM FROM sessions s JOIN accounts a ON a.id = s.account
      WHERE s.handle = p_session AND s.epoch >= a.epoch FOR SHARE OF s;
    IF NOT FOUND THEN
      RETURN 'session_ended';
    END IF;
  END IF;
  PERFORM pg_advisory_xact_lock(identity_lock(p_application_key, p_type, p_endpoint));
  -- A session is the stronger check, and a producer whose clock is fast may have put the watermark
  -- ahead of us.
  IF p_session IS NULL AND EXISTS (
    SELECT FROM watermarks WHERE application_key = p_application_key AND identity_type = p_type
      AND endpoint = p_endpoint AND tickets_after >= p_ticket_created AND tickets_after <> 0) THEN
    RETURN 'before_watermark';
  END IF;
  RETURN NULL;
END $$;

-- Notes the ticket, whose identity is locked, with the instance it makes or prolongs. 'replayed' if
-- another device showed it; 'too_many_tickets' of the identity; 'no_room' for any: forgetting one
-- would accept it from somebody else. Null: noted, or noted before. Nothing is written otherwise.
CREATE FUNCTION note_presented(
  p_application_key text, p_type text, p_endpoint text, p_instance text, p_digest bytea,
  p_device text, p_expires bigint, p_max_noted bigint, p_max_noted_of_identity bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_first text;
BEGIN
  SELECT device INTO v_first FROM presented_tickets WHERE digest = p_digest;
  IF FOUND THEN
    IF p_device <> '' AND v_first = p_device THEN
      RETURN NULL;
    END IF;
    RETURN 'replayed';
  END IF;
  IF (SELECT count(*) FROM presented_tickets WHERE application_key = p_application_key
        AND identity_type = p_type AND endpoint = p_endpoint) >= p_max_noted_of_identity THEN
    RETURN 'too_many_tickets';
  END IF;
  UPDATE presented_ticket_count SET count = count + 1 WHERE id = 1 AND count < p_max_noted;
  IF NOT FOUND THEN
    RETURN 'no_room';
  END IF;
  INSERT INTO presented_tickets (digest, application_key, identity_type, endpoint, device, instance,
                                 expires)
    VALUES (p_digest, p_application_key, p_type, p_endpoint, p_device, p_instance, p_expires);
  RETURN NULL;
END $$;

-- Null: made. Else why not, and nothing was written: see judge_ticket and note_presented, and
-- 'too_many_instances'. Without a digest no ticket is noted.
CREATE FUNCTION create_instance(
  p_id text, p_application_key text, p_type text, p_endpoint text, p_device text, p_session text,
  p_generation bigint, p_key_id text, p_ticket_created bigint, p_created bigint, p_expires bigint,
  p_max_instances bigint,
  p_digest bytea, p_ticket_device text, p_ticket_expires bigint, p_max_noted bigint,
  p_max_noted_of_identity bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_refusal text;
BEGIN
  v_refusal := judge_ticket(p_application_key, p_type, p_endpoint, p_session, p_ticket_created);
  IF v_refusal IS NOT NULL THEN
    RETURN v_refusal;
  END IF;
  IF (SELECT count(*) FROM instances WHERE application_key = p_application_key
        AND identity_type = p_type AND endpoint = p_endpoint AND expires > p_created)
     >= p_max_instances THEN
    -- A ticket that was used up is the graver reason, and the one that the caller can act on.
    IF p_digest IS NOT NULL AND EXISTS (
      SELECT FROM presented_tickets WHERE digest = p_digest
        AND (device <> p_ticket_device OR p_ticket_device = '')) THEN
      RETURN 'replayed';
    END IF;
    RETURN 'too_many_instances';
  END IF;
  IF p_digest IS NOT NULL THEN
    v_refusal := note_presented(p_application_key, p_type, p_endpoint, p_id, p_digest,
                                p_ticket_device, p_ticket_expires, p_max_noted,
                                p_max_noted_of_identity);
    IF v_refusal IS NOT NULL THEN
      RETURN v_refusal;
    END IF;
  END IF;
  INSERT INTO instances (id, application_key, identity_type, endpoint, device, session, generation,
                         key_id, ticket_created, created, expires)
    VALUES (p_id, p_application_key, p_type, p_endpoint, p_device, p_session, p_generation,
            p_key_id, p_ticket_created, p_created, p_expires);
  RETURN NULL;
END $$;

-- As create_instance; 'absent' if the instance has ended.
CREATE FUNCTION refresh_instance(
  p_id text, p_session text, p_ticket_created bigint, p_expires bigint,
  p_digest bytea, p_ticket_device text, p_ticket_expires bigint, p_max_noted bigint,
  p_max_noted_of_identity bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_instance record;
  v_refusal text;
BEGIN
  SELECT application_key, identity_type, endpoint INTO v_instance FROM instances WHERE id = p_id;
  IF NOT FOUND THEN
    RETURN 'absent';
  END IF;
  v_refusal := judge_ticket(v_instance.application_key, v_instance.identity_type,
                            v_instance.endpoint, p_session, p_ticket_created);
  IF v_refusal IS NOT NULL THEN
    RETURN v_refusal;
  END IF;
  PERFORM FROM instances WHERE id = p_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'absent';
  END IF;
  IF p_digest IS NOT NULL THEN
    v_refusal := note_presented(v_instance.application_key, v_instance.identity_type,
                                v_instance.endpoint, p_id, p_digest, p_ticket_device,
                                p_ticket_expires, p_max_noted, p_max_noted_of_identity);
    IF v_refusal IS NOT NULL THEN
      RETURN v_refusal;
    END IF;
  END IF;
  UPDATE instances SET session = p_session, ticket_created = p_ticket_created, expires = p_expires
    WHERE id = p_id;
  RETURN NULL;
END $$;

-- Removes instances, then noted tickets, that expired before `p_before`; answers how many.
CREATE FUNCTION remove_expired(p_before bigint, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_instances bigint;
  v_tickets bigint;
BEGIN
  DELETE FROM instances WHERE id IN (
    SELECT id FROM instances WHERE expires < p_before ORDER BY expires LIMIT p_limit
    FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_instances = ROW_COUNT;
  DELETE FROM presented_tickets WHERE digest IN (
    SELECT digest FROM presented_tickets WHERE expires < p_before ORDER BY expires
    LIMIT p_limit - v_instances FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_tickets = ROW_COUNT;
  IF v_tickets > 0 THEN
    UPDATE presented_ticket_count SET count = count - v_tickets WHERE id = 1;
  END IF;
  RETURN v_instances + v_tickets;
END $$;
