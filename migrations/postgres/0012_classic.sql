-- What the classic door keeps (docs/reference/classic-door.md, src/storage/classic_store.h).
--
-- Rows refer to inboxes by number and without FOREIGN KEY, as in 0010_messages.sql. A receipt is
-- written under the lock of its inbox's head, so that no entry comes between the offset it notes
-- and itself. Parts are written under a lock of their instance, which nothing else takes. Identity
-- types: 0 username, 1 email, 2 number. Times: microseconds since 1970.

CREATE TABLE classic_transports (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  application text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  conversation text COLLATE "C" NOT NULL,
  time bigint NOT NULL,                    -- when it was last asked for
  UNIQUE (application, id)
) WITH (fillfactor = 80);

CREATE INDEX classic_transports_by_time ON classic_transports (time);

CREATE TABLE classic_members (
  transport bigint NOT NULL,
  type smallint NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint text COLLATE "C" NOT NULL,
  PRIMARY KEY (transport, type, endpoint)
);

CREATE INDEX classic_members_by_user ON classic_members (endpoint, type);

-- Messages that are not whole yet.
CREATE TABLE classic_part_sets (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  instance text COLLATE "C" NOT NULL,
  session text COLLATE "C" NOT NULL,
  mark text COLLATE "C" NOT NULL,
  count bigint NOT NULL CHECK (count > 0),
  bytes bigint NOT NULL DEFAULT 0,
  time bigint NOT NULL,                    -- of the newest part
  UNIQUE (instance, session, mark)
);

CREATE INDEX classic_part_sets_by_time ON classic_part_sets (time);

CREATE TABLE classic_parts (
  part_set bigint NOT NULL,
  place bigint NOT NULL,
  payload text NOT NULL,
  PRIMARY KEY (part_set, place)
);

-- The head of a user's receipt log. Never deleted: numbers are never used twice.
CREATE TABLE classic_logs (
  inbox bigint NOT NULL PRIMARY KEY,
  top bigint NOT NULL DEFAULT 0 CHECK (top >= floor),
  floor bigint NOT NULL DEFAULT 0          -- highest removed number
) WITH (fillfactor = 70);

CREATE TABLE classic_receipts (
  inbox bigint NOT NULL,
  number bigint NOT NULL,
  "offset" bigint NOT NULL,                -- where the inbox ended; the position is both together
  conversation text COLLATE "C" NOT NULL,
  type smallint NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint text COLLATE "C" NOT NULL,
  after_seq bigint NOT NULL,
  seq bigint NOT NULL,
  time bigint NOT NULL,
  PRIMARY KEY (inbox, number)
);

CREATE INDEX classic_receipts_by_position ON classic_receipts (inbox, ("offset" + number));
CREATE INDEX classic_receipts_by_time ON classic_receipts (time);

-- What each user was told of each member.
CREATE TABLE classic_horizons (
  inbox bigint NOT NULL,
  conversation text COLLATE "C" NOT NULL,
  type smallint NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (inbox, conversation, type, endpoint)
) WITH (fillfactor = 70);

-- Transports -------------------------------------------------------------------------------------

-- The members of an id never change.
CREATE FUNCTION put_classic_transport(p_application text, p_id text, p_conversation text,
                                      p_types bigint[], p_endpoints text[], p_time bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_number bigint;
BEGIN
  INSERT INTO classic_transports AS t (application, id, conversation, time)
    VALUES (p_application, p_id, p_conversation, p_time)
    ON CONFLICT (application, id) DO UPDATE SET time = greatest(t.time, excluded.time)
    RETURNING t.number INTO STRICT v_number;
  INSERT INTO classic_members (transport, type, endpoint)
    SELECT v_number, m.type, m.endpoint FROM unnest(p_types, p_endpoints) AS m (type, endpoint)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION classic_transport_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM classic_members WHERE transport = OLD.number;
  RETURN NULL;
END $$;

CREATE TRIGGER classic_transport_gone AFTER DELETE ON classic_transports FOR EACH ROW
  EXECUTE FUNCTION classic_transport_gone();

-- Parts ------------------------------------------------------------------------------------------

-- Keeps a part. r_word: '' if it was kept or known, or what is wrong; r_whole: the payload once all
-- parts are there.
CREATE FUNCTION add_classic_part(p_instance text, p_session text, p_mark text, p_place bigint,
                                 p_count bigint, p_payload text, p_time bigint, p_max_sets bigint,
                                 p_max_bytes bigint, p_idle bigint)
RETURNS TABLE (r_word text, r_whole text) LANGUAGE plpgsql AS $$
DECLARE
  v_set classic_part_sets;
  v_payload text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('classic parts of ' || p_instance, 0));
  r_word := '';
  SELECT * INTO v_set FROM classic_part_sets
    WHERE instance = p_instance AND session = p_session AND mark = p_mark;
  IF NOT FOUND THEN
    DELETE FROM classic_part_sets WHERE instance = p_instance AND time < p_time - p_idle;
    IF (SELECT count(*) FROM classic_part_sets WHERE instance = p_instance) >= p_max_sets THEN
      r_word := 'limit_exceeded';
      RETURN NEXT;
      RETURN;
    END IF;
    INSERT INTO classic_part_sets (instance, session, mark, count, time)
      VALUES (p_instance, p_session, p_mark, p_count, p_time) RETURNING * INTO v_set;
  ELSIF v_set.count <> p_count THEN
    r_word := 'idempotency_conflict';
    RETURN NEXT;
    RETURN;
  END IF;
  SELECT payload INTO v_payload FROM classic_parts
    WHERE part_set = v_set.number AND place = p_place;
  IF FOUND THEN
    IF v_payload <> p_payload THEN
      r_word := 'idempotency_conflict';
      RETURN NEXT;
      RETURN;
    END IF;
  ELSIF v_set.bytes + octet_length(p_payload) > p_max_bytes THEN
    r_word := 'limit_exceeded';
    RETURN NEXT;
    RETURN;
  ELSE
    INSERT INTO classic_parts (part_set, place, payload)
      VALUES (v_set.number, p_place, p_payload);
    UPDATE classic_part_sets SET bytes = bytes + octet_length(p_payload), time = p_time
      WHERE number = v_set.number;
  END IF;
  SELECT CASE WHEN count(*) = p_count THEN string_agg(payload, '' ORDER BY place) END INTO r_whole
    FROM classic_parts WHERE part_set = v_set.number;
  RETURN NEXT;
END $$;

CREATE FUNCTION classic_part_set_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM classic_parts WHERE part_set = OLD.number;
  RETURN NULL;
END $$;

CREATE TRIGGER classic_part_set_gone AFTER DELETE ON classic_part_sets FOR EACH ROW
  EXECUTE FUNCTION classic_part_set_gone();

-- The receipt log --------------------------------------------------------------------------------

-- Whether note_classic_horizons() would write something.
CREATE FUNCTION has_classic_news(p_application text, p_type bigint, p_endpoint text,
                                 p_conversations text[], p_types bigint[], p_endpoints text[],
                                 p_seqs bigint[])
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_inbox bigint;
BEGIN
  SELECT id INTO v_inbox FROM inboxes
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF NOT EXISTS (SELECT FROM classic_logs WHERE inbox = v_inbox) THEN
    RETURN true;
  END IF;
  RETURN EXISTS (
    SELECT FROM unnest(p_conversations, p_types, p_endpoints, p_seqs)
      AS n (conversation, type, endpoint, seq)
    LEFT JOIN classic_horizons h ON h.inbox = v_inbox AND h.conversation = n.conversation
      AND h.type = n.type AND h.endpoint = n.endpoint
    WHERE n.seq > coalesce(h.seq, 0));
END $$;

-- Appends a receipt for each horizon beyond what the user was told, and returns how many. The
-- first call makes the log and appends nothing.
CREATE FUNCTION note_classic_horizons(p_application text, p_type bigint, p_endpoint text,
                                      p_conversations text[], p_types bigint[],
                                      p_endpoints text[], p_seqs bigint[], p_time bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_inbox bigint;
  v_offset bigint;
  v_before bigint;
  v_top bigint;
  v_told bigint;
  v_begun boolean;
  v_new record;
BEGIN
  SELECT id, top INTO v_inbox, v_offset FROM inboxes
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint
    FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  SELECT top INTO v_before FROM classic_logs WHERE inbox = v_inbox;
  v_begun := FOUND;
  v_before := coalesce(v_before, 0);
  v_top := v_before;
  FOR v_new IN SELECT * FROM unnest(p_conversations, p_types, p_endpoints, p_seqs)
    AS n (conversation, type, endpoint, seq)
  LOOP
    SELECT seq INTO v_told FROM classic_horizons WHERE inbox = v_inbox
      AND conversation = v_new.conversation AND type = v_new.type AND endpoint = v_new.endpoint;
    v_told := coalesce(v_told, 0);
    CONTINUE WHEN v_told >= v_new.seq;
    INSERT INTO classic_horizons (inbox, conversation, type, endpoint, seq)
      VALUES (v_inbox, v_new.conversation, v_new.type, v_new.endpoint, v_new.seq)
      ON CONFLICT (inbox, conversation, type, endpoint) DO UPDATE SET seq = excluded.seq;
    CONTINUE WHEN NOT v_begun;
    v_top := v_top + 1;
    INSERT INTO classic_receipts (inbox, number, "offset", conversation, type, endpoint,
                                  after_seq, seq, time)
      VALUES (v_inbox, v_top, v_offset, v_new.conversation, v_new.type, v_new.endpoint, v_told,
              v_new.seq, p_time);
  END LOOP;
  INSERT INTO classic_logs (inbox, top) VALUES (v_inbox, v_top)
    ON CONFLICT (inbox) DO UPDATE SET top = excluded.top;
  RETURN v_top - v_before;
END $$;

-- Receipts after a position, and how many lie at or before it (r_before); one row at least.
CREATE FUNCTION read_classic_log(p_application text, p_type bigint, p_endpoint text,
                                 p_position bigint, p_limit bigint)
RETURNS TABLE (r_before bigint, r_number bigint, r_position bigint, r_conversation text,
               r_type smallint, r_endpoint text, r_after bigint, r_seq bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_inbox bigint;
BEGIN
  SELECT l.inbox, l.floor INTO v_inbox, r_before FROM inboxes i JOIN classic_logs l ON l.inbox = i.id
    WHERE i.application = p_application AND i.type = p_type AND i.endpoint = p_endpoint;
  IF NOT FOUND THEN
    r_before := 0;
    RETURN NEXT;
    RETURN;
  END IF;
  r_before := coalesce(
    (SELECT r.number FROM classic_receipts r
      WHERE r.inbox = v_inbox AND r."offset" + r.number <= p_position
      ORDER BY r."offset" + r.number DESC LIMIT 1), r_before);
  RETURN NEXT;
  FOR r_number, r_position, r_conversation, r_type, r_endpoint, r_after, r_seq IN
    SELECT r.number, r."offset" + r.number, r.conversation, r.type, r.endpoint, r.after_seq, r.seq
    FROM classic_receipts r WHERE r.inbox = v_inbox AND r.number > r_before
    ORDER BY r.number LIMIT p_limit
  LOOP
    RETURN NEXT;
  END LOOP;
END $$;

CREATE FUNCTION classic_position(p_application text, p_type bigint, p_endpoint text,
                                 p_offset bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_inbox bigint;
  v_floor bigint;
BEGIN
  SELECT l.inbox, l.floor INTO v_inbox, v_floor FROM inboxes i JOIN classic_logs l ON l.inbox = i.id
    WHERE i.application = p_application AND i.type = p_type AND i.endpoint = p_endpoint;
  IF NOT FOUND THEN
    RETURN p_offset;
  END IF;
  RETURN p_offset + coalesce(
    (SELECT r.number FROM classic_receipts r WHERE r.inbox = v_inbox AND r."offset" < p_offset
      ORDER BY r.number DESC LIMIT 1), v_floor);
END $$;

-- Cleaning ---------------------------------------------------------------------------------------

CREATE FUNCTION remove_old_classic(p_before bigint, p_idle_before bigint, p_limit bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_count bigint := 0;
  v_removed bigint;
  v_old record;
BEGIN
  -- Numbers grow with time: the front of each log is what is oldest. Heads before their receipts,
  -- in the order of inboxes.
  FOR v_old IN
    SELECT o.inbox, max(o.number) AS number FROM
      (SELECT r.inbox, r.number FROM classic_receipts r WHERE r.time < p_before
        ORDER BY r.time, r.inbox, r.number LIMIT p_limit) o
    GROUP BY o.inbox ORDER BY o.inbox
  LOOP
    UPDATE classic_logs SET floor = greatest(floor, v_old.number) WHERE inbox = v_old.inbox;
    DELETE FROM classic_receipts WHERE inbox = v_old.inbox AND number <= v_old.number;
    GET DIAGNOSTICS v_removed = ROW_COUNT;
    v_count := v_count + v_removed;
  END LOOP;
  DELETE FROM classic_transports WHERE number IN (
    SELECT t.number FROM classic_transports t WHERE t.time < p_before ORDER BY t.time
    LIMIT greatest(p_limit - v_count, 0) FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  v_count := v_count + v_removed;
  DELETE FROM classic_part_sets WHERE number IN (
    SELECT s.number FROM classic_part_sets s WHERE s.time < p_idle_before ORDER BY s.time
    LIMIT greatest(p_limit - v_count, 0) FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  RETURN v_count + v_removed;
END $$;

-- Whoever is erased leaves neither a log nor a transport. Receipts that name them to others stay
-- until they are old, as the conversations do that they are about.
CREATE FUNCTION classic_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE classic_logs SET floor = top WHERE inbox = NEW.id;
  DELETE FROM classic_receipts WHERE inbox = NEW.id;
  DELETE FROM classic_horizons WHERE inbox = NEW.id;
  DELETE FROM classic_transports WHERE application = NEW.application AND number IN (
    SELECT transport FROM classic_members WHERE type = NEW.type AND endpoint = NEW.endpoint);
  RETURN NULL;
END $$;

CREATE TRIGGER classic_erased AFTER UPDATE OF erased ON inboxes FOR EACH ROW
  WHEN (NEW.erased AND NOT OLD.erased) EXECUTE FUNCTION classic_erased();
