-- The outbox of callbacks (docs/guides/callbacks.md).
--
-- Rows hold references, never a message's text: that is read when the callback is made, so that
-- what was erased meanwhile is not told. Kinds are those of CallbackKind, identity types those of
-- 0010_messages.sql. Times: microseconds since 1970.
--
-- What a callback tells about is written by many transactions at once, and none may wait for
-- another because of its callback. So they insert a row in state 0 and touch nothing else. Whoever
-- looks at the outbox sorts those rows first: gives their users queues, and keeps the bounds.
-- Locks are taken in one order: the row of `callback_sorting`, queues by their users, callbacks by
-- their ids. That a queue is empty counts only under its lock.

-- One row: whether callbacks are kept. Read with everything that could be told, so hardly written.
CREATE TABLE callback_outbox (
  id smallint NOT NULL PRIMARY KEY CHECK (id = 1),
  max_rows bigint NOT NULL CHECK (max_rows >= 0)   -- that wait, and as many dead ones; 0: none
);

INSERT INTO callback_outbox (id, max_rows) VALUES (1, 0);

-- One row, locked by the one who sorts: rows of a user get to their queue in the order of their ids.
CREATE TABLE callback_sorting (
  id smallint NOT NULL PRIMARY KEY CHECK (id = 1),
  given_up bigint NOT NULL                         -- ever, for want of room
);

INSERT INTO callback_sorting (id, given_up) VALUES (1, 0);

-- Users with callbacks that wait. The first one is not tried before `next`.
CREATE TABLE callback_queues (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  application text COLLATE "C" NOT NULL,
  type smallint NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint text COLLATE "C" NOT NULL,
  next bigint NOT NULL,
  UNIQUE (application, type, endpoint)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

CREATE INDEX callback_queues_by_next ON callback_queues (next, id);

CREATE TABLE callbacks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never used twice
  key text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''), -- not even after a restore
  application text COLLATE "C" NOT NULL,
  type smallint NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint text COLLATE "C" NOT NULL,
  kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 4),
  conversation bigint,                             -- kinds 1 and 2
  seq bigint NOT NULL DEFAULT 0,
  msg_id text NOT NULL DEFAULT '',                 -- kind 1
  instance text NOT NULL DEFAULT '',               -- kinds 3 and 4
  time bigint NOT NULL,
  attempts bigint NOT NULL DEFAULT 0,
  last_error text NOT NULL DEFAULT '',
  state smallint NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)) -- new, waiting, dead
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

CREATE INDEX callbacks_by_user ON callbacks (application, type, endpoint, state, id);
CREATE INDEX callbacks_by_state ON callbacks (state, id);

-- What is told -----------------------------------------------------------------------------------

-- Of the database's clock.
CREATE FUNCTION callback_time() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
END $$;

CREATE FUNCTION tell_message_sent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO callbacks (application, type, endpoint, kind, conversation, seq, msg_id, time)
    SELECT u.application, u.type, u.endpoint, 1, NEW.conversation, NEW.seq, NEW.msg_id, NEW.time
    FROM callback_outbox o JOIN inboxes u ON u.id = NEW.sender WHERE o.id = 1 AND o.max_rows > 0;
  RETURN NULL;
END $$;

-- Not the changes of a group.
CREATE TRIGGER messages_told AFTER INSERT ON messages FOR EACH ROW WHEN (NEW.kind = 1)
  EXECUTE FUNCTION tell_message_sent();

-- As in 0010_messages.sql, but for the callback: a delivered horizon that an acknowledgement moves
-- is told.
CREATE OR REPLACE FUNCTION move_horizon(p_conversation bigint, p_inbox bigint, p_seq bigint,
                                        p_read boolean)
RETURNS TABLE (r_what bigint, r_text text, r_type bigint, r_delivered bigint, r_read bigint,
               r_flag boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_before bigint;
BEGIN
  SELECT CASE WHEN p_read THEN read ELSE delivered END INTO v_before FROM conversation_members
    WHERE conversation = p_conversation AND inbox = p_inbox;
  IF NOT FOUND OR v_before >= p_seq THEN
    RETURN;
  END IF;
  UPDATE conversation_members SET delivered = greatest(delivered, p_seq),
    read = CASE WHEN p_read THEN p_seq ELSE read END
    WHERE conversation = p_conversation AND inbox = p_inbox
    RETURNING delivered, read INTO r_delivered, r_read;
  IF NOT p_read THEN
    INSERT INTO callbacks (application, type, endpoint, kind, conversation, seq, time)
      SELECT u.application, u.type, u.endpoint, 2, p_conversation, p_seq, callback_time()
      FROM callback_outbox o JOIN inboxes u ON u.id = p_inbox WHERE o.id = 1 AND o.max_rows > 0;
  END IF;
  SELECT id, is_group INTO STRICT r_text, r_flag FROM conversations WHERE number = p_conversation;
  r_what := 2;
  RETURN NEXT;
  r_what := 3;
  IF r_flag THEN
    FOR r_type, r_text IN
      SELECT DISTINCT i.type, i.endpoint FROM conversation_members p
      JOIN messages m ON m.conversation = p.conversation JOIN inboxes i ON i.id = m.sender
      WHERE p.conversation = p_conversation AND p.inbox = p_inbox
        AND m.seq > v_before AND m.seq <= p_seq AND m.sender <> p_inbox
        AND (m.seq BETWEEN p.from_seq AND p.until_seq
             OR could_read(p.conversation, p.inbox, m.seq))
      ORDER BY i.type, i.endpoint
    LOOP
      RETURN NEXT;
    END LOOP;
  ELSE
    FOR r_type, r_text IN
      SELECT i.type, i.endpoint FROM conversation_members p JOIN inboxes i ON i.id = p.inbox
      WHERE p.conversation = p_conversation AND p.inbox <> p_inbox ORDER BY i.type, i.endpoint
    LOOP
      RETURN NEXT;
    END LOOP;
  END IF;
END $$;

-- Instances end in many ways: by themselves, with their session, by a revocation, by expiry. Each
-- deletes the row, and the callback is written with that.
CREATE FUNCTION tell_instance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_instance instances := CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
BEGIN
  INSERT INTO callbacks (application, type, endpoint, kind, instance, time)
    SELECT v_instance.application_key,
      CASE v_instance.identity_type WHEN 'username' THEN 0 WHEN 'email' THEN 1 ELSE 2 END,
      v_instance.endpoint, CASE TG_OP WHEN 'INSERT' THEN 3 ELSE 4 END, v_instance.id,
      CASE TG_OP WHEN 'INSERT' THEN v_instance.created ELSE callback_time() END
    FROM callback_outbox o WHERE o.id = 1 AND o.max_rows > 0;
  RETURN NULL;
END $$;

CREATE TRIGGER instances_told AFTER INSERT OR DELETE ON instances FOR EACH ROW
  EXECUTE FUNCTION tell_instance();

-- Queues -----------------------------------------------------------------------------------------

-- Gives the users of these callbacks queues that are due, and locks those they have. DO UPDATE for
-- the lock alone: an empty queue is about to be deleted by whoever holds it.
CREATE FUNCTION open_callback_queues(p_callbacks bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO callback_queues AS q (application, type, endpoint, next)
    SELECT DISTINCT application, type, endpoint, 0 FROM callbacks WHERE id = ANY (p_callbacks)
    ORDER BY application, type, endpoint
    ON CONFLICT (application, type, endpoint) DO UPDATE SET next = q.next WHERE false;
END $$;

-- Makes these callbacks dead, those that still wait; answers how many. Their queues stay, and go
-- when they are due and found empty.
CREATE FUNCTION give_up_callbacks(p_callbacks bigint[], p_error text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_count bigint;
BEGIN
  UPDATE callbacks SET state = 2, last_error = p_error WHERE id IN (
    SELECT id FROM callbacks WHERE id = ANY (p_callbacks) AND state = 1 ORDER BY id FOR UPDATE);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;

-- Of the rows in a state the oldest, beyond the newest `p_most`. Ids have gaps, so that as long as
-- they span no more than that, nothing need be counted.
CREATE FUNCTION find_excess_callbacks(p_state bigint, p_most bigint) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF coalesce((SELECT max(id) FROM callbacks WHERE state = p_state)
              - (SELECT min(id) FROM callbacks WHERE state = p_state) < p_most, true) THEN
    RETURN '{}';
  END IF;
  RETURN (SELECT coalesce(array_agg(n.id), '{}') FROM (
    SELECT id FROM callbacks WHERE state = p_state ORDER BY id DESC OFFSET p_most) n);
END $$;

-- Keeps the bounds; the row of `callback_sorting` is locked.
CREATE FUNCTION bound_callbacks() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_max bigint;
  v_given_up bigint;
BEGIN
  SELECT max_rows INTO STRICT v_max FROM callback_outbox WHERE id = 1;
  IF v_max = 0 THEN
    RETURN;
  END IF;
  v_given_up := give_up_callbacks(find_excess_callbacks(1, v_max), 'outbox_full');
  IF v_given_up > 0 THEN
    UPDATE callback_sorting SET given_up = given_up + v_given_up WHERE id = 1;
  END IF;
  DELETE FROM callbacks WHERE id IN (
    SELECT id FROM callbacks WHERE id = ANY (find_excess_callbacks(2, v_max)) AND state = 2
    ORDER BY id FOR UPDATE SKIP LOCKED);
END $$;

-- Puts what is new into the queues. At most so many at once that a call stays short.
CREATE FUNCTION sort_callbacks() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_new bigint[];
BEGIN
  IF NOT EXISTS (SELECT FROM callbacks WHERE state = 0) THEN
    RETURN;
  END IF;
  PERFORM FROM callback_sorting WHERE id = 1 FOR UPDATE;
  SELECT coalesce(array_agg(n.id), '{}') INTO v_new
    FROM (SELECT id FROM callbacks WHERE state = 0 ORDER BY id LIMIT 10000) n;
  PERFORM open_callback_queues(v_new);
  UPDATE callbacks SET state = 1 WHERE id IN (
    SELECT id FROM callbacks WHERE id = ANY (v_new) AND state = 0 ORDER BY id FOR UPDATE);
  PERFORM bound_callbacks();
END $$;

-- The user's next callback is due at `p_next`; without one that waits the queue goes. It is locked.
CREATE FUNCTION set_callback_due(p_queue bigint, p_next bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM callback_queues q JOIN callbacks c ON c.application = q.application
             AND c.type = q.type AND c.endpoint = q.endpoint AND c.state = 1
             WHERE q.id = p_queue) THEN
    UPDATE callback_queues SET next = p_next WHERE id = p_queue;
  ELSE
    DELETE FROM callback_queues WHERE id = p_queue;
  END IF;
END $$;

-- Locks the queue of a callback that waits; null if it does not.
CREATE FUNCTION lock_callback_queue(p_callback bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_queue bigint;
BEGIN
  SELECT q.id INTO v_queue FROM callbacks c JOIN callback_queues q
    ON q.application = c.application AND q.type = c.type AND q.endpoint = c.endpoint
    WHERE c.id = p_callback AND c.state = 1 FOR UPDATE OF q;
  RETURN v_queue;
END $$;

-- The calls of CallbackStore ---------------------------------------------------------------------

-- What other nodes have locked at this moment they are about to lease.
CREATE FUNCTION lease_callbacks(p_now bigint, p_until bigint, p_limit bigint)
RETURNS TABLE (r_id bigint, r_key text, r_kind smallint, r_application text, r_type smallint,
               r_endpoint text, r_conversation text, r_seq bigint, r_msg_id text,
               r_instance text, r_time bigint, r_attempts bigint, r_last_error text,
               r_dead boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_queues bigint[];
  v_queue bigint;
BEGIN
  PERFORM sort_callbacks();
  SELECT coalesce(array_agg(n.id ORDER BY n.next, n.id), '{}') INTO v_queues
    FROM (SELECT id, next FROM callback_queues WHERE next <= p_now
          ORDER BY next, id LIMIT p_limit FOR UPDATE SKIP LOCKED) n;
  FOREACH v_queue IN ARRAY v_queues LOOP
    PERFORM set_callback_due(v_queue, p_until);
    RETURN QUERY SELECT c.id, c.key, c.kind, c.application, c.type, c.endpoint,
        coalesce(v.id, ''), c.seq, c.msg_id, c.instance, c.time, c.attempts, c.last_error, false
      FROM callback_queues q
      JOIN callbacks c ON c.application = q.application AND c.type = q.type
        AND c.endpoint = q.endpoint AND c.state = 1
      LEFT JOIN conversations v ON v.number = c.conversation
      WHERE q.id = v_queue ORDER BY c.id LIMIT 1;
  END LOOP;
END $$;

CREATE FUNCTION complete_callback(p_callback bigint) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_queue bigint := lock_callback_queue(p_callback);
BEGIN
  DELETE FROM callbacks WHERE id = p_callback AND state = 1;
  IF FOUND THEN
    PERFORM set_callback_due(v_queue, 0);
  END IF;
END $$;

CREATE FUNCTION fail_callback(p_callback bigint, p_next bigint, p_dead boolean, p_error text)
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_queue bigint := lock_callback_queue(p_callback);
BEGIN
  UPDATE callbacks SET attempts = attempts + 1, last_error = p_error,
    state = CASE WHEN p_dead THEN 2 ELSE 1 END WHERE id = p_callback AND state = 1;
  IF FOUND THEN
    PERFORM set_callback_due(v_queue, CASE WHEN p_dead THEN 0 ELSE p_next END);
  END IF;
END $$;

-- At most `p_limit`, and no more than there is room for; answers how many. `p_callback`: null for
-- all.
CREATE FUNCTION replay_callbacks(p_callback bigint, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_room bigint;
  v_dead bigint[];
  v_count bigint;
BEGIN
  PERFORM FROM callback_sorting WHERE id = 1 FOR UPDATE;
  SELECT max_rows - (SELECT count(*) FROM callbacks WHERE state < 2) INTO STRICT v_room
    FROM callback_outbox WHERE id = 1;
  SELECT coalesce(array_agg(n.id), '{}') INTO v_dead FROM (
    SELECT id FROM callbacks WHERE state = 2 AND (p_callback IS NULL OR id = p_callback)
    ORDER BY id LIMIT greatest(0, least(p_limit, v_room))) n;
  PERFORM open_callback_queues(v_dead);
  UPDATE callbacks SET state = 1, attempts = 0, last_error = '' WHERE id IN (
    SELECT id FROM callbacks WHERE id = ANY (v_dead) AND state = 2 ORDER BY id FOR UPDATE);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;

-- Ids grow about with time: what stands behind `p_limit` younger ones waits for them.
CREATE FUNCTION remove_old_callbacks(p_before bigint, p_dead_before bigint, p_limit bigint)
RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_late bigint[];
  v_given_up bigint;
  v_removed bigint;
BEGIN
  PERFORM sort_callbacks();
  SELECT coalesce(array_agg(n.id), '{}') INTO v_late
    FROM (SELECT id, time FROM callbacks WHERE state = 1 ORDER BY id LIMIT p_limit) n
    WHERE n.time < p_before;
  v_given_up := give_up_callbacks(v_late, 'too_old');
  DELETE FROM callbacks WHERE id IN (
    SELECT id FROM callbacks WHERE id IN (
      SELECT n.id FROM (SELECT id, time FROM callbacks WHERE state = 2 ORDER BY id
                        LIMIT p_limit - v_given_up) n WHERE n.time < p_dead_before)
    ORDER BY id FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  RETURN v_given_up + v_removed;
END $$;

CREATE FUNCTION count_callbacks(OUT r_waiting bigint, OUT r_dead bigint, OUT r_given_up bigint,
                                OUT r_oldest bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_max bigint := (SELECT max_rows FROM callback_outbox WHERE id = 1);
BEGIN
  PERFORM sort_callbacks();
  SELECT count(*) FILTER (WHERE state < 2), count(*) FILTER (WHERE state = 2)
    INTO r_waiting, r_dead FROM callbacks;
  IF v_max > 0 AND (r_waiting > v_max OR r_dead > v_max) THEN
    PERFORM FROM callback_sorting WHERE id = 1 FOR UPDATE;
    PERFORM bound_callbacks();
    SELECT count(*) FILTER (WHERE state < 2), count(*) FILTER (WHERE state = 2)
      INTO r_waiting, r_dead FROM callbacks;
  END IF;
  SELECT given_up INTO STRICT r_given_up FROM callback_sorting WHERE id = 1;
  SELECT time INTO r_oldest FROM callbacks WHERE state = 1 ORDER BY id LIMIT 1;
END $$;

-- Removes at most `p_limit` of what there is to tell about a user; answers how many.
CREATE FUNCTION remove_callbacks_of(p_application text, p_type bigint, p_endpoint text,
                                    p_limit bigint)
RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_queue bigint;
  v_count bigint;
BEGIN
  SELECT id INTO v_queue FROM callback_queues
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint FOR UPDATE;
  DELETE FROM callbacks WHERE id IN (
    SELECT id FROM callbacks
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint
    ORDER BY id LIMIT p_limit FOR UPDATE);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  DELETE FROM callback_queues WHERE id = v_queue AND NOT EXISTS (
    SELECT FROM callbacks WHERE application = p_application AND type = p_type
      AND endpoint = p_endpoint AND state = 1);
  RETURN v_count;
END $$;
