-- Inboxes, conversations and messages (docs/reference/messages.md).
--
-- Rows refer to each other by numbers and without FOREIGN KEY: a message passes through eight of
-- these tables, and each reference would be looked up and locked once more for every entry. Tests
-- count orphans instead. Identity types: 0 username, 1 email, 2 number. Times: microseconds since
-- 1970. 9223372036854775807 stands for "no end".
--
-- Locks are taken in one order, for all messages of a transaction together: conversations by their
-- ids, then inboxes by their ids; rows that do not exist are made first, in the same order. What
-- belongs to one inbox (entries, devices, shares, blocks, its memberships, what its user sent) is
-- written only under the lock of its head, and messages last, by their ids for each inbox. What
-- deadlocks all the same (two cleanups may) is repeated. Numbers that clients see (offsets, seqs)
-- come from the locked heads, never from sequences.

-- The epoch of all positions, as far as it is stored; a restore sets another.
INSERT INTO meta (name, value)
  VALUES ('message_epoch', replace(gen_random_uuid()::text, '-', ''));

-- The whole of it: a server that was copied, or promoted from a standby, must not pass for the one
-- it was made from. pg_control_checkpoint() would lag behind a promotion. (Here and below: what
-- runs often is written in PL/pgSQL, which keeps its plans; a function in SQL is parsed every time.)
CREATE FUNCTION message_epoch() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT m.value || '-' || to_hex(s.system_identifier) || '-'
    || ltrim(substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), '0')
    FROM meta m, pg_control_system() s WHERE m.name = 'message_epoch');
END $$;

-- The head of each user's stream. Never deleted: offsets are never used twice.
CREATE TABLE inboxes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  application text COLLATE "C" NOT NULL,
  type smallint NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint text COLLATE "C" NOT NULL,
  top bigint NOT NULL DEFAULT 0 CHECK (top >= floor),
  chain bytea NOT NULL DEFAULT '\x0000000000000000',        -- after the entry at `top`
  floor bigint NOT NULL DEFAULT 0,
  floor_chain bytea NOT NULL DEFAULT '\x0000000000000000',  -- after the entry at `floor`
  bytes bigint NOT NULL DEFAULT 0,                          -- of the entries there are
  acknowledged bigint NOT NULL DEFAULT 0,                   -- by the device that is furthest
  signed_in boolean NOT NULL DEFAULT false,
  erased boolean NOT NULL DEFAULT false,                    -- nobody may write to it
  blocking bigint NOT NULL DEFAULT 0 CHECK (blocking >= 0), -- how many rows of `blocks`
  oldest bigint,                                            -- time of the entry after `floor`
  created bigint NOT NULL,
  UNIQUE (application, type, endpoint)
) WITH (fillfactor = 60);

CREATE INDEX inboxes_by_oldest ON inboxes (oldest) WHERE oldest IS NOT NULL;

CREATE TABLE inbox_entries (
  inbox bigint NOT NULL,
  "offset" bigint NOT NULL,
  message bigint NOT NULL,
  kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 5),
  chain bytea NOT NULL,
  size bigint NOT NULL,     -- what it counts in inboxes.bytes
  failed bigint,            -- kind 4: the code,
  failed_inbox bigint,      -- who did not get the message,
  time bigint,              -- and when that became certain; others have their message's time
  PRIMARY KEY (inbox, "offset")
);

-- How many entries of an inbox come from one sender.
CREATE TABLE sender_shares (
  inbox bigint NOT NULL,
  sender bigint NOT NULL,
  entries bigint NOT NULL CHECK (entries >= 0),
  PRIMARY KEY (inbox, sender)
) WITH (fillfactor = 70);

CREATE TABLE message_devices (
  inbox bigint NOT NULL,
  device text COLLATE "C" NOT NULL,
  cursor bigint NOT NULL,
  epoch text NOT NULL,
  seen bigint NOT NULL,     -- to the hour
  PRIMARY KEY (inbox, device)
) WITH (fillfactor = 60);

CREATE INDEX message_devices_by_seen ON message_devices (seen);

-- Never deleted: seqs are never used twice.
CREATE TABLE conversations (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text COLLATE "C" NOT NULL UNIQUE,
  application text COLLATE "C" NOT NULL,
  is_group boolean NOT NULL,
  name text NOT NULL,
  version bigint NOT NULL,
  members bigint NOT NULL CHECK (members >= 0),    -- who are members now
  top bigint NOT NULL,
  last_time bigint NOT NULL,
  jobs bigint NOT NULL DEFAULT 0 CHECK (jobs >= 0)
) WITH (fillfactor = 60);

-- Everybody who is or was a member, with their last stretch of membership, both ends included.
CREATE TABLE conversation_members (
  conversation bigint NOT NULL,
  inbox bigint NOT NULL,
  from_seq bigint NOT NULL,
  until_seq bigint NOT NULL,
  until_time bigint,                               -- when they left
  admin boolean NOT NULL,
  delivered bigint NOT NULL DEFAULT 0,
  read bigint NOT NULL DEFAULT 0,
  fanned bigint NOT NULL DEFAULT 0,                -- jobs up to this seq have nothing left for them
  PRIMARY KEY (conversation, inbox)
) WITH (fillfactor = 60);

CREATE INDEX conversation_members_by_inbox ON conversation_members (inbox);

-- Earlier stretches of people who came back.
CREATE TABLE past_memberships (
  conversation bigint NOT NULL,
  inbox bigint NOT NULL,
  from_seq bigint NOT NULL,
  until_seq bigint NOT NULL,
  PRIMARY KEY (conversation, inbox, from_seq)
);

CREATE TABLE messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  conversation bigint NOT NULL,
  seq bigint NOT NULL,
  kind smallint NOT NULL CHECK (kind IN (1, 2)),
  sender bigint NOT NULL,                          -- their inbox
  device text NOT NULL,
  msg_id text NOT NULL,
  message_id bytea NOT NULL,
  time bigint NOT NULL,
  expires bigint,
  body text NOT NULL,
  gone boolean NOT NULL DEFAULT false,
  uses bigint NOT NULL,                            -- entries and jobs that refer to it
  UNIQUE (conversation, seq)
);

CREATE INDEX messages_by_expires ON messages (expires) WHERE expires IS NOT NULL AND NOT gone;

-- What was accepted, so that a repeat is known as one: outlives the message. About in order of time.
CREATE TABLE accepted_sends (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sender bigint NOT NULL,
  msg_id text COLLATE "C" NOT NULL,
  digest bytea NOT NULL,
  conversation bigint NOT NULL,
  seq bigint NOT NULL,
  "offset" bigint NOT NULL,
  time bigint NOT NULL,
  UNIQUE (sender, msg_id)
);

CREATE TABLE blocks (
  inbox bigint NOT NULL,
  type smallint NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint text COLLATE "C" NOT NULL,
  since bigint NOT NULL,
  PRIMARY KEY (inbox, type, endpoint)
);

-- Messages whose entries are still to be written, inbox by inbox. Those of a conversation have the
-- order of their seqs: ids are taken under the lock of its head.
CREATE TABLE fan_out_jobs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  conversation bigint NOT NULL,
  message bigint NOT NULL,
  after_inbox bigint NOT NULL
);

CREATE INDEX fan_out_jobs_by_conversation ON fan_out_jobs (conversation, id);

-- Members whose inboxes were full when the message was accepted.
CREATE TABLE fan_out_left_out (
  message bigint NOT NULL,
  inbox bigint NOT NULL,
  PRIMARY KEY (message, inbox)
);

-- Inboxes --------------------------------------------------------------------------------------

CREATE FUNCTION next_chain(p_chain bytea, p_message_id bytea, p_offset bigint) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
  SELECT substring(sha256(p_chain || p_message_id || int8send(p_offset)) FROM 1 FOR 8)
$$;

-- Of each user the inbox, in order; 0 for one that does not exist.
CREATE FUNCTION find_inboxes(p_application text[], p_type bigint[], p_endpoint text[])
RETURNS bigint[] LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  RETURN (SELECT coalesce(array_agg(coalesce(i.id, 0) ORDER BY n.number), '{}')
    FROM unnest(p_application, p_type, p_endpoint) WITH ORDINALITY
      AS n (application, type, endpoint, number)
    LEFT JOIN inboxes i
      ON i.application = n.application AND i.type = n.type AND i.endpoint = n.endpoint);
END $$;

-- Makes those that do not exist (not signed in, empty); answers their ids.
CREATE FUNCTION make_inboxes(p_application text[], p_type bigint[], p_endpoint text[],
                             p_now bigint[])
RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_made bigint[];
BEGIN
  WITH made AS (
    INSERT INTO inboxes (application, type, endpoint, created)
      SELECT DISTINCT ON (n.application COLLATE "C", n.type, n.endpoint COLLATE "C")
        n.application, n.type, n.endpoint, n.now
      FROM unnest(p_application, p_type, p_endpoint, p_now) AS n (application, type, endpoint, now)
      WHERE NOT EXISTS (
        SELECT FROM inboxes i WHERE i.application = n.application AND i.type = n.type
          AND i.endpoint = n.endpoint)
      ORDER BY n.application COLLATE "C", n.type, n.endpoint COLLATE "C"
      ON CONFLICT DO NOTHING RETURNING id)
  SELECT coalesce(array_agg(id), '{}') INTO v_made FROM made;
  RETURN v_made;
END $$;

CREATE FUNCTION lock_inboxes(p_inboxes bigint[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  PERFORM FROM inboxes WHERE id = ANY (p_inboxes) ORDER BY id FOR UPDATE;
END $$;

-- The inbox of one user, made if need be, and locked.
CREATE FUNCTION lock_own_inbox(p_application text, p_type bigint, p_endpoint text, p_now bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_inbox bigint;
BEGIN
  PERFORM make_inboxes(ARRAY[p_application], ARRAY[p_type], ARRAY[p_endpoint], ARRAY[p_now]);
  SELECT id INTO STRICT v_inbox FROM inboxes
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint FOR UPDATE;
  RETURN v_inbox;
END $$;

-- The chain after an offset; null below the floor and above the top.
CREATE FUNCTION find_chain(p_inbox bigint, p_offset bigint) RETURNS bytea
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT floor_chain FROM inboxes WHERE id = p_inbox AND floor = p_offset
    UNION ALL SELECT chain FROM inbox_entries WHERE inbox = p_inbox AND "offset" = p_offset
    LIMIT 1);
END $$;

-- Appends one entry of a message to an inbox whose head is locked; answers its place.
CREATE FUNCTION append_entry(p_inbox bigint, p_sender bigint, p_message bigint,
                             p_message_id bytea, p_kind bigint, p_size bigint, p_time bigint,
                             p_failed bigint, p_failed_inbox bigint,
                             OUT r_offset bigint, OUT r_chain bytea)
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE inboxes SET top = top + 1, chain = next_chain(chain, p_message_id, top + 1),
    bytes = bytes + p_size, oldest = CASE WHEN top = floor THEN p_time ELSE oldest END
    WHERE id = p_inbox RETURNING top, chain INTO STRICT r_offset, r_chain;
  INSERT INTO inbox_entries (inbox, "offset", message, kind, chain, size, failed, failed_inbox,
                             time)
    VALUES (p_inbox, r_offset, p_message, p_kind, r_chain, p_size, p_failed, p_failed_inbox,
            CASE WHEN p_failed IS NULL THEN NULL ELSE p_time END);
  IF p_sender <> p_inbox THEN
    INSERT INTO sender_shares AS s (inbox, sender, entries) VALUES (p_inbox, p_sender, 1)
      ON CONFLICT (inbox, sender) DO UPDATE SET entries = s.entries + 1;
  END IF;
END $$;

-- Conversations --------------------------------------------------------------------------------

-- Lets these users read from `p_from` on; keeps what they could read before. Who is a member stays.
CREATE FUNCTION join_conversation(p_conversation bigint, p_inboxes bigint[], p_from bigint,
                                  p_admin boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO past_memberships (conversation, inbox, from_seq, until_seq)
    SELECT conversation, inbox, from_seq, until_seq FROM conversation_members
    WHERE conversation = p_conversation AND inbox = ANY (p_inboxes)
      AND until_seq <> 9223372036854775807;
  INSERT INTO conversation_members AS p (conversation, inbox, from_seq, until_seq, admin)
    SELECT p_conversation, n.inbox, p_from, 9223372036854775807, p_admin
    FROM unnest(p_inboxes) AS n (inbox)
    ON CONFLICT (conversation, inbox) DO UPDATE SET from_seq = excluded.from_seq,
      until_seq = excluded.until_seq, until_time = NULL, admin = excluded.admin
    WHERE p.until_seq <> 9223372036854775807;
END $$;

-- Whether a user could read `p_seq` in an earlier stretch of their membership.
CREATE FUNCTION could_read(p_conversation bigint, p_inbox bigint, p_seq bigint) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM past_memberships WHERE conversation = p_conversation
    AND inbox = p_inbox AND p_seq BETWEEN from_seq AND until_seq);
END $$;

-- Accepting ------------------------------------------------------------------------------------

-- Writes what the jobs of the conversation still have for an inbox, whose user is about to get the
-- entry of message `p_seq` at once: that must not overtake them.
CREATE FUNCTION catch_up(p_conversation bigint, p_inbox bigint, p_seq bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_owed record;
BEGIN
  FOR v_owed IN
    SELECT m.id, m.sender, m.message_id, m.time,
      CASE WHEN b.inbox IS NOT NULL THEN 5 WHEN m.kind = 2 THEN 3 ELSE 1 END AS kind,
      CASE WHEN m.gone OR b.inbox IS NOT NULL THEN 0 ELSE octet_length(m.body) END AS size
    FROM fan_out_jobs j JOIN messages m ON m.id = j.message
    JOIN conversation_members p ON p.conversation = j.conversation AND p.inbox = p_inbox
    JOIN inboxes u ON u.id = m.sender
    LEFT JOIN blocks b ON b.inbox = p.inbox AND b.type = u.type AND b.endpoint = u.endpoint
    WHERE j.conversation = p_conversation AND j.after_inbox < p.inbox AND p.fanned < m.seq
      AND (m.seq BETWEEN p.from_seq AND p.until_seq
           OR could_read(p.conversation, p.inbox, m.seq))
      AND NOT EXISTS (SELECT FROM fan_out_left_out l WHERE l.message = m.id AND l.inbox = p.inbox)
    ORDER BY j.id
  LOOP
    PERFORM append_entry(p_inbox, v_owed.sender, v_owed.id, v_owed.message_id, v_owed.kind,
                         v_owed.size, v_owed.time, NULL, NULL);
    UPDATE messages SET uses = uses + 1 WHERE id = v_owed.id;
  END LOOP;
  UPDATE conversation_members SET fanned = p_seq
    WHERE conversation = p_conversation AND inbox = p_inbox;
END $$;

-- Accepts messages, in order. Each array has an element for every message; `p_users` says how many
-- elements of the last two are its people: the other members, sorted and unique, or those whom a
-- change of a group names. `p_action`: -2 a message to people, whose conversation `p_conversation`
-- is; -1 one to a conversation that exists; 0 create, 1 add, 2 remove, 3 leave, 4 rename.
-- `p_expires`: "no end" for none. A repeat is told from a new message under the lock of its
-- sender's head. All checks of a message stand before its first write, so that a refusal has
-- nothing to undo but heads that were made for it, and these go at the end.
--
-- Answers rows of message `r_item` (from 1): `r_what` 0 accepted (r_flag: the rest is a job's),
-- 1 a repeat, 2 refused with the word `r_text`, 3 one of the people in question: because of whom,
-- or who was left out, 4 an entry written, 5 failed with the word `r_text`.
CREATE FUNCTION accept_messages(
  p_application text[], p_type bigint[], p_endpoint text[], p_device text[], p_instance text[],
  p_msg_id text[], p_digest bytea[], p_message_id bytea[], p_body text[], p_now bigint[],
  p_expires bigint[], p_conversation text[], p_action bigint[], p_name text[],
  p_inbox_entries bigint[], p_inbox_bytes bigint[], p_sender_entries bigint[],
  p_new_inbox_entries bigint[], p_new_sender_entries bigint[], p_direct_fan_out bigint[],
  p_group_members bigint[], p_users bigint[], p_user_type bigint[], p_user_endpoint text[])
RETURNS TABLE (r_item bigint, r_what bigint, r_text text, r_type bigint, r_seq bigint,
               r_offset bigint, r_time bigint, r_entry bigint, r_chain bytea, r_flag boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  c_no_end CONSTANT bigint := 9223372036854775807;
  v_user_application text[];
  v_senders bigint[];
  v_all_users bigint[];
  v_made_conversations bigint[];
  v_made_inboxes bigint[];
  v_first bigint := 1;       -- of the message's people among all
  m record;
  v_sender inboxes%ROWTYPE;
  v_head conversations%ROWTYPE;
  v_repeat record;
  v_users bigint[];          -- the inboxes of its people
  v_who bigint[];
  v_taken bigint[];
  v_full bigint[];
  v_blocking bigint[];
  v_code text;
  v_admin boolean;
  v_message bigint;
  v_offset bigint;
  v_members bigint;
  v_name text;
  v_job boolean;
  v_size bigint;
BEGIN
  SELECT coalesce(array_agg(p_application[n.number] ORDER BY n.number, k.k), '{}')
    INTO v_user_application
    FROM unnest(p_users) WITH ORDINALITY AS n (users, number), generate_series(1, n.users) AS k (k);

  WITH made AS (
    INSERT INTO conversations (id, application, is_group, name, version, members, top, last_time)
      SELECT DISTINCT ON (n.id COLLATE "C") n.id, n.application, n.action = 0, '', 0, 0, 0, n.now
      FROM unnest(p_conversation, p_application, p_action, p_now) AS n (id, application, action, now)
      WHERE n.action IN (-2, 0) AND NOT EXISTS (SELECT FROM conversations c WHERE c.id = n.id)
      ORDER BY n.id COLLATE "C" ON CONFLICT DO NOTHING RETURNING number)
    SELECT coalesce(array_agg(number), '{}') INTO v_made_conversations FROM made;
  PERFORM FROM conversations c WHERE c.id = ANY (p_conversation) ORDER BY c.id FOR UPDATE;

  v_made_inboxes := make_inboxes(p_application, p_type, p_endpoint, p_now);
  v_senders := find_inboxes(p_application, p_type, p_endpoint);
  v_all_users := find_inboxes(v_user_application, p_user_type, p_user_endpoint);
  SELECT coalesce(array_agg(p.inbox), '{}') INTO v_who
    FROM conversations c JOIN conversation_members p ON p.conversation = c.number
    WHERE c.id = ANY (p_conversation) AND c.is_group AND p.until_seq = c_no_end
      AND c.members <= 1 + (SELECT max(n) FROM unnest(p_direct_fan_out) AS n);
  PERFORM lock_inboxes(v_senders || v_all_users || v_who);

  FOR m IN
    SELECT * FROM unnest(
      p_application, p_type, p_endpoint, p_device, p_instance, p_msg_id, p_digest, p_message_id,
      p_body, p_now, p_expires, p_conversation, p_action, p_name, p_inbox_entries, p_inbox_bytes,
      p_sender_entries, p_new_inbox_entries, p_new_sender_entries, p_direct_fan_out,
      p_group_members, p_users, v_senders) WITH ORDINALITY
      AS n (application, type, endpoint, device, instance, msg_id, digest, message_id, body, now,
            expires, conversation, action, name, inbox_entries, inbox_bytes, sender_entries,
            new_inbox_entries, new_sender_entries, direct_fan_out, group_members, users, sender,
            item)
  LOOP
    r_item := m.item;
    v_users := v_all_users[v_first : v_first + m.users - 1];
    v_first := v_first + m.users;
    v_code := NULL;
    v_who := '{}';
    v_size := octet_length(m.body);

    IF m.instance <> '' AND NOT EXISTS (SELECT FROM instances WHERE id = m.instance) THEN
      r_what := 2; r_text := 'revoked'; RETURN NEXT; CONTINUE;
    END IF;
    SELECT a.digest, c.id, a.seq, a."offset", a.time INTO v_repeat FROM accepted_sends a
      JOIN conversations c ON c.number = a.conversation
      WHERE a.sender = m.sender AND a.msg_id = m.msg_id;
    IF FOUND THEN
      IF v_repeat.digest <> m.digest THEN
        r_what := 2; r_text := 'idempotency_conflict'; RETURN NEXT; CONTINUE;
      END IF;
      r_what := 1; r_text := v_repeat.id; r_seq := v_repeat.seq;
      r_offset := v_repeat."offset"; r_time := v_repeat.time; RETURN NEXT; CONTINUE;
    END IF;

    -- The sender's own inbox takes what they send, up to its full size even if they never signed
    -- in: a backend that sends does not.
    SELECT * INTO STRICT v_sender FROM inboxes WHERE id = m.sender;
    IF v_sender.top - v_sender.floor >= m.inbox_entries
       OR v_sender.bytes + v_size > m.inbox_bytes THEN
      r_what := 2; r_text := 'recipient_limit'; RETURN NEXT;
      r_what := 3; r_type := m.type; r_text := m.endpoint; RETURN NEXT; CONTINUE;
    END IF;

    -- Who is named without an inbox that may be written to. One that was made for a message of
    -- this transaction counts from that message on.
    IF m.users > 0 AND m.action IN (-2, 0, 1) THEN
      SELECT array_agg(n.number) INTO v_who
        FROM unnest(v_users) WITH ORDINALITY AS n (inbox, number)
        LEFT JOIN inboxes i ON i.id = n.inbox
        WHERE i.id IS NULL OR i.erased
          OR (i.id = ANY (v_made_inboxes) AND i.top = 0 AND i.id <> m.sender);
    END IF;
    SELECT * INTO v_head FROM conversations
      WHERE id = m.conversation AND application = m.application;
    IF NOT FOUND THEN
      v_code := CASE WHEN m.action = 0 THEN 'bad_state' ELSE 'unknown_target' END;
      v_who := '{}';
    ELSIF m.action = 0 THEN
      IF v_head.top > 0 THEN
        v_code := 'bad_state';
        v_who := '{}';
      ELSIF cardinality(v_who) > 0 THEN
        v_code := 'unknown_target';
      ELSIF m.users + 1 > m.group_members THEN
        v_code := 'limit_exceeded';
      END IF;
      v_admin := true;
    ELSIF m.action = -2 THEN
      IF cardinality(v_who) > 0 THEN
        v_code := 'unknown_target';
      END IF;
    ELSIF v_head.top = 0 THEN
      v_code := 'unknown_target';  -- it was to be made by a message that was refused
      v_who := '{}';
    ELSE
      SELECT admin INTO v_admin FROM conversation_members
        WHERE conversation = v_head.number AND inbox = m.sender AND until_seq = c_no_end;
      IF NOT FOUND OR (m.action >= 0 AND (NOT v_head.is_group OR (m.action <> 3 AND NOT v_admin)))
      THEN
        v_code := 'permission_denied';
        v_who := '{}';
      ELSIF m.action = 1 THEN
        IF m.users = 0 THEN
          v_code := 'bad_state';
        ELSIF cardinality(v_who) > 0 THEN
          v_code := 'unknown_target';
        ELSE
          SELECT array_agg(n.number) INTO v_who
            FROM unnest(v_users) WITH ORDINALITY AS n (inbox, number)
            JOIN conversation_members p ON p.conversation = v_head.number AND p.inbox = n.inbox
            WHERE p.until_seq = c_no_end;
          v_code := CASE WHEN cardinality(v_who) > 0 THEN 'bad_state'
                         WHEN v_head.members + m.users > m.group_members THEN 'limit_exceeded' END;
        END IF;
      ELSIF m.action = 2 THEN
        SELECT array_agg(n.number) INTO v_who
          FROM unnest(v_users) WITH ORDINALITY AS n (inbox, number)
          WHERE NOT EXISTS (SELECT FROM conversation_members p
            WHERE p.conversation = v_head.number AND p.inbox = n.inbox AND p.until_seq = c_no_end);
        v_code := CASE WHEN m.users = 0 OR cardinality(v_who) > 0 THEN 'bad_state' END;
      ELSIF m.action = 4 AND m.name = v_head.name THEN
        v_code := 'bad_state';
      END IF;
    END IF;
    IF v_code IS NOT NULL THEN
      r_what := 2; r_text := v_code; RETURN NEXT;
      r_what := 3;
      FOR r_type, r_text IN
        SELECT p_user_type[v_first - m.users - 1 + n], p_user_endpoint[v_first - m.users - 1 + n]
        FROM unnest(v_who) AS n ORDER BY n
      LOOP
        RETURN NEXT;
      END LOOP;
      CONTINUE;
    END IF;
    IF v_head.jobs >= 64 THEN
      r_what := 5; r_text := 'overloaded'; RETURN NEXT; CONTINUE;
    END IF;

    v_name := v_head.name;
    v_members := v_head.members;
    IF m.action = 0 THEN
      PERFORM join_conversation(v_head.number, ARRAY[m.sender], 1, true);
      PERFORM join_conversation(v_head.number, v_users, 1, false);
      v_members := 1 + m.users;
      v_name := m.name;
    ELSIF m.action = 1 THEN
      PERFORM join_conversation(v_head.number, v_users, v_head.top + 1, false);
      v_members := v_members + m.users;
    ELSIF m.action IN (2, 3) THEN
      UPDATE conversation_members SET until_seq = v_head.top + 1, until_time = m.now, admin = false
        WHERE conversation = v_head.number AND until_seq = c_no_end
          AND inbox = ANY (CASE WHEN m.action = 2 THEN v_users ELSE ARRAY[m.sender] END);
      v_members := v_members - CASE WHEN m.action = 2 THEN m.users ELSE 1 END;
    ELSIF m.action = 4 THEN
      v_name := m.name;
    END IF;
    IF m.action <> -2 THEN
      SELECT array_agg(p.inbox ORDER BY p.inbox) INTO v_users FROM conversation_members p
        WHERE p.conversation = v_head.number AND p.inbox <> m.sender
          AND p.until_seq >= v_head.top + 1;
    END IF;

    SELECT array_agg(r.id) FILTER (WHERE NOT r.is_full), array_agg(r.id) FILTER (WHERE r.is_full),
           array_agg(r.id) FILTER (WHERE r.blocks)
      INTO v_taken, v_full, v_blocking
      FROM (
        SELECT i.id,
          i.top - i.floor >= CASE WHEN i.signed_in THEN m.inbox_entries ELSE m.new_inbox_entries END
            OR coalesce(s.entries, 0) >=
               CASE WHEN i.signed_in THEN m.sender_entries ELSE m.new_sender_entries END
            OR i.bytes + v_size > m.inbox_bytes AS is_full,
          i.blocking > 0 AND EXISTS (SELECT FROM blocks b WHERE b.inbox = i.id
            AND b.type = v_sender.type AND b.endpoint = v_sender.endpoint) AS blocks
        FROM inboxes i LEFT JOIN sender_shares s ON s.inbox = i.id AND s.sender = m.sender
        WHERE i.id = ANY (v_users) AND i.id <> m.sender AND NOT i.erased) r;
    v_taken := coalesce(v_taken, '{}');
    v_full := coalesce(v_full, '{}');
    v_blocking := coalesce(v_blocking, '{}');
    IF NOT v_head.is_group AND cardinality(v_taken) + cardinality(v_full) = 1
       AND cardinality(v_blocking) = 1 THEN
      v_code := 'blocked';
      v_who := v_blocking;
    ELSIF NOT v_head.is_group AND cardinality(v_full) > 0 THEN
      v_code := 'recipient_limit';
      v_who := v_full;
    ELSE
      v_who := v_full;
    END IF;
    IF v_code IS NOT NULL THEN
      r_what := 2; r_text := v_code; RETURN NEXT;
    END IF;
    r_what := 3;
    FOR r_type, r_text IN
      SELECT type, endpoint FROM inboxes WHERE id = ANY (v_who) ORDER BY type, endpoint
    LOOP
      RETURN NEXT;
    END LOOP;
    IF v_code IS NOT NULL THEN
      CONTINUE;
    END IF;

    -- Counted with those who are left out: only then are the heads of all others locked.
    v_job := v_head.jobs > 0 OR cardinality(v_taken) + cardinality(v_full) > m.direct_fan_out;
    IF m.action = -2 AND v_head.members <> m.users + 1 THEN
      -- At the first message, and after somebody's data were erased.
      PERFORM join_conversation(v_head.number, v_users || m.sender, v_head.top + 1, false);
      v_members := m.users + 1;
    END IF;
    UPDATE conversations SET top = top + 1, last_time = greatest(last_time, m.now), name = v_name,
      members = v_members,
      version = version + CASE WHEN m.action >= 0 OR v_members <> v_head.members THEN 1 ELSE 0 END,
      jobs = jobs + v_job::integer
      WHERE number = v_head.number RETURNING top INTO STRICT r_seq;
    INSERT INTO messages (conversation, seq, kind, sender, device, msg_id, message_id, time,
                          expires, body, uses)
      VALUES (v_head.number, r_seq, CASE WHEN m.action >= 0 THEN 2 ELSE 1 END, m.sender, m.device,
              m.msg_id, m.message_id, m.now, nullif(m.expires, c_no_end), m.body,
              CASE WHEN v_job THEN 2 ELSE 1 + cardinality(v_taken) END)
      RETURNING id INTO STRICT v_message;
    IF v_job THEN
      PERFORM catch_up(v_head.number, m.sender, r_seq);
      INSERT INTO fan_out_jobs (conversation, message, after_inbox)
        VALUES (v_head.number, v_message, 0);
      INSERT INTO fan_out_left_out (message, inbox) SELECT v_message, n FROM unnest(v_full) AS n;
      v_taken := '{}';
    END IF;

    r_what := 4;
    v_offset := NULL;  -- of the sender's own entry, the first
    FOR r_type, r_text, r_offset, r_chain, r_entry IN
      WITH moved AS (
        UPDATE inboxes i SET top = i.top + 1, chain = next_chain(i.chain, m.message_id, i.top + 1),
          bytes = i.bytes + CASE WHEN i.id = ANY (v_blocking) THEN 0 ELSE v_size END,
          oldest = CASE WHEN i.top = i.floor THEN m.now ELSE i.oldest END, erased = false
          WHERE i.id = ANY (v_taken || m.sender)
          RETURNING i.id, i.type, i.endpoint, i.top, i.chain,
            CASE WHEN i.id = ANY (v_blocking) THEN 5 WHEN m.action >= 0 THEN 3
                 WHEN i.id = m.sender THEN 2 ELSE 1 END AS kind),
      written AS (
        INSERT INTO inbox_entries (inbox, "offset", message, kind, chain, size)
          SELECT id, top, v_message, kind, chain, CASE WHEN kind = 5 THEN 0 ELSE v_size END
          FROM moved),
      counted AS (
        INSERT INTO sender_shares AS s (inbox, sender, entries)
          SELECT id, m.sender, 1 FROM moved WHERE id <> m.sender
          ON CONFLICT (inbox, sender) DO UPDATE SET entries = s.entries + 1)
      SELECT type, endpoint, top, chain, kind FROM moved ORDER BY id <> m.sender, id
    LOOP
      v_offset := coalesce(v_offset, r_offset);
      RETURN NEXT;
    END LOOP;
    -- Who has got and seen everything before has got and seen this too. Nothing else follows from
    -- writing: a message that came a moment ago may be unseen.
    UPDATE conversation_members SET
      delivered = CASE delivered WHEN r_seq - 1 THEN r_seq ELSE delivered END,
      read = CASE read WHEN r_seq - 1 THEN r_seq ELSE read END
      WHERE conversation = v_head.number AND inbox = m.sender;
    INSERT INTO accepted_sends (sender, msg_id, digest, conversation, seq, "offset", time)
      VALUES (m.sender, m.msg_id, m.digest, v_head.number, r_seq, v_offset, m.now);
    r_what := 0; r_text := m.conversation; r_offset := v_offset; r_time := m.now; r_flag := v_job;
    RETURN NEXT;
  END LOOP;

  IF cardinality(v_made_conversations) > 0 THEN
    DELETE FROM conversations WHERE number = ANY (v_made_conversations) AND top = 0;
  END IF;
  IF cardinality(v_made_inboxes) > 0 THEN
    DELETE FROM inboxes WHERE id = ANY (v_made_inboxes) AND top = 0;
  END IF;
END $$;

-- Works off at most `p_limit` entries of the oldest job that nobody else works on; whoever works on
-- a job holds the lock of its row, and later jobs of the conversation wait for it. Answers no row
-- if there is none; else one with the message and its application, and one for each entry written.
CREATE FUNCTION work_on_job(p_limit bigint)
RETURNS TABLE (r_conversation text, r_seq bigint, r_kind bigint, r_msg_id text,
               r_sender_type bigint, r_sender text, r_device text, r_time bigint,
               r_expires bigint, r_body text, r_gone boolean, r_application text,
               r_type bigint, r_endpoint text, r_offset bigint, r_chain bytea, r_entry bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_job fan_out_jobs%ROWTYPE;
  v_message messages%ROWTYPE;
  v_inboxes bigint[];
BEGIN
  SELECT j.* INTO v_job FROM fan_out_jobs j
    WHERE NOT EXISTS (SELECT FROM fan_out_jobs e
      WHERE e.conversation = j.conversation AND e.id < j.id)
    ORDER BY j.id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM FROM conversations WHERE number = v_job.conversation FOR UPDATE;
  SELECT * INTO STRICT v_message FROM messages WHERE id = v_job.message;
  SELECT coalesce(array_agg(n.inbox), '{}') INTO v_inboxes FROM (
    SELECT p.inbox FROM conversation_members p
    WHERE p.conversation = v_job.conversation AND p.inbox > v_job.after_inbox
      AND p.fanned < v_message.seq
      AND (v_message.seq BETWEEN p.from_seq AND p.until_seq
           OR could_read(p.conversation, p.inbox, v_message.seq))
      AND NOT EXISTS (SELECT FROM fan_out_left_out l
        WHERE l.message = v_message.id AND l.inbox = p.inbox)
    ORDER BY p.inbox LIMIT p_limit) n;
  PERFORM lock_inboxes(v_inboxes);
  SELECT * INTO STRICT v_message FROM messages WHERE id = v_job.message FOR UPDATE;

  SELECT c.id, m.seq, m.kind, m.msg_id, u.type, u.endpoint, m.device, m.time, m.expires, m.body,
         m.gone, c.application
    INTO STRICT r_conversation, r_seq, r_kind, r_msg_id, r_sender_type, r_sender, r_device, r_time,
      r_expires, r_body, r_gone, r_application
    FROM messages m JOIN conversations c ON c.number = m.conversation
    JOIN inboxes u ON u.id = m.sender WHERE m.id = v_message.id;
  RETURN NEXT;
  r_body := NULL;
  FOR r_type, r_endpoint, r_offset, r_chain, r_entry IN
    WITH moved AS (
      UPDATE inboxes i SET top = i.top + 1,
        chain = next_chain(i.chain, v_message.message_id, i.top + 1),
        bytes = i.bytes + CASE WHEN n.blocks THEN 0 ELSE octet_length(v_message.body) END,
        oldest = CASE WHEN i.top = i.floor THEN v_message.time ELSE i.oldest END
        FROM (
          SELECT o.id, o.blocking > 0 AND EXISTS (SELECT FROM blocks b
            JOIN inboxes u ON u.id = v_message.sender
            WHERE b.inbox = o.id AND b.type = u.type AND b.endpoint = u.endpoint) AS blocks
          FROM inboxes o WHERE o.id = ANY (v_inboxes) AND NOT o.erased) n
        WHERE i.id = n.id
        RETURNING i.id, i.type, i.endpoint, i.top, i.chain,
          CASE WHEN n.blocks THEN 5 WHEN v_message.kind = 2 THEN 3 ELSE 1 END AS kind),
    written AS (
      INSERT INTO inbox_entries (inbox, "offset", message, kind, chain, size)
        SELECT id, top, v_message.id, kind, chain,
          CASE WHEN kind = 5 THEN 0 ELSE octet_length(v_message.body) END FROM moved),
    counted AS (
      INSERT INTO sender_shares AS s (inbox, sender, entries)
        SELECT id, v_message.sender, 1 FROM moved
        ON CONFLICT (inbox, sender) DO UPDATE SET entries = s.entries + 1),
    used AS (
      UPDATE messages SET uses = uses + (SELECT count(*) FROM moved) WHERE id = v_message.id)
    SELECT type, endpoint, top, chain, CASE WHEN v_message.gone THEN 5 ELSE kind END
    FROM moved ORDER BY id
  LOOP
    RETURN NEXT;
  END LOOP;

  IF cardinality(v_inboxes) < p_limit THEN
    DELETE FROM fan_out_jobs WHERE id = v_job.id;
    DELETE FROM fan_out_left_out WHERE message = v_message.id;
    UPDATE conversations SET jobs = jobs - 1 WHERE number = v_job.conversation;
    UPDATE messages SET uses = uses - 1 WHERE id = v_message.id;
    DELETE FROM messages WHERE id = v_message.id AND uses <= 0;
  ELSE
    UPDATE fan_out_jobs SET after_inbox = v_inboxes[cardinality(v_inboxes)] WHERE id = v_job.id;
  END IF;
END $$;

-- Devices and horizons -------------------------------------------------------------------------

-- Where a device stands; see MessageStore::attach(). Without `p_write` nothing is written, and no
-- row is answered if something has to be. `p_resume_offset` is null without a position.
CREATE FUNCTION attach_device(p_application text, p_type bigint, p_endpoint text, p_device text,
                              p_resume_epoch text, p_resume_offset bigint, p_resume_chain bytea,
                              p_now bigint, p_max_devices bigint, p_write boolean)
RETURNS TABLE (r_epoch text, r_floor bigint, r_top bigint, r_top_chain bytea, r_cursor bigint,
               r_from bigint, r_from_chain bytea, r_reason text)
LANGUAGE plpgsql AS $$
DECLARE
  c_hour CONSTANT bigint := 3600000000;  -- see message_devices.seen
  v_inbox inboxes%ROWTYPE;
  v_device message_devices%ROWTYPE;
  v_known boolean;
BEGIN
  r_epoch := message_epoch();
  IF p_write THEN
    PERFORM lock_own_inbox(p_application, p_type, p_endpoint, p_now);
    UPDATE inboxes SET signed_in = true, erased = false
      WHERE application = p_application AND type = p_type AND endpoint = p_endpoint
        AND (NOT signed_in OR erased);
  END IF;
  SELECT * INTO v_inbox FROM inboxes
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint;
  IF NOT FOUND OR NOT v_inbox.signed_in THEN
    RETURN;
  END IF;
  SELECT * INTO v_device FROM message_devices WHERE inbox = v_inbox.id AND device = p_device;
  v_known := FOUND;

  r_reason := 'unknown_device';
  IF p_resume_offset IS NOT NULL THEN
    r_reason := CASE
      WHEN p_resume_epoch <> r_epoch OR p_resume_offset > v_inbox.top OR p_resume_offset < 0
        THEN 'epoch'
      WHEN p_resume_offset < v_inbox.floor THEN 'floor'
      WHEN find_chain(v_inbox.id, p_resume_offset) IS DISTINCT FROM p_resume_chain THEN 'epoch'
      ELSE '' END;
  ELSIF v_known THEN
    r_reason := CASE WHEN v_device.epoch <> r_epoch THEN 'epoch'
                     WHEN v_device.cursor < v_inbox.floor THEN 'floor' ELSE '' END;
  END IF;

  r_cursor := v_device.cursor;
  IF NOT v_known THEN
    SELECT coalesce(min(cursor), 0) INTO r_cursor FROM message_devices WHERE inbox = v_inbox.id;
  END IF;
  r_cursor := least(greatest(r_cursor, v_inbox.floor), v_inbox.top);
  IF NOT v_known OR r_cursor <> v_device.cursor OR v_device.epoch <> r_epoch
     OR p_now - v_device.seen > c_hour THEN
    IF NOT p_write THEN
      RETURN;
    END IF;
    INSERT INTO message_devices AS d (inbox, device, cursor, epoch, seen)
      VALUES (v_inbox.id, p_device, r_cursor, r_epoch, p_now)
      ON CONFLICT (inbox, device) DO UPDATE SET cursor = excluded.cursor, epoch = excluded.epoch,
        seen = greatest(d.seen, excluded.seen);
    IF NOT v_known THEN
      DELETE FROM message_devices WHERE inbox = v_inbox.id AND device IN (
        SELECT device FROM message_devices WHERE inbox = v_inbox.id AND device <> p_device
        ORDER BY seen DESC, device OFFSET p_max_devices - 1);
    END IF;
  END IF;

  r_floor := v_inbox.floor;
  r_top := v_inbox.top;
  r_top_chain := v_inbox.chain;
  r_from := CASE WHEN p_resume_offset IS NOT NULL AND r_reason = '' THEN p_resume_offset
                 ELSE r_cursor END;
  r_from_chain := coalesce(find_chain(v_inbox.id, r_from), '\x0000000000000000');
  RETURN NEXT;
END $$;

-- Moves a member's delivered horizon to `p_seq`, and with `p_read` the read one and the delivered
-- one if it lies below; the head of their inbox is locked. Answers nothing if it stands there or
-- beyond already; else a row with the receipt (`r_what` 2: conversation, horizons, whether it is a
-- group) and one for each of its audience (3).
CREATE FUNCTION move_horizon(p_conversation bigint, p_inbox bigint, p_seq bigint, p_read boolean)
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

-- Acknowledges entries, in order; see MessageStore::acknowledge(). Answers rows of item `r_item`
-- (from 1): `r_what` 0 the cursor (in r_delivered), 1 failed with the word `r_text`, 2 and 3 as
-- move_horizon().
CREATE FUNCTION acknowledge_entries(p_application text[], p_type bigint[], p_endpoint text[],
                                    p_device text[], p_epoch text[], p_offset bigint[],
                                    p_now bigint[])
RETURNS TABLE (r_item bigint, r_what bigint, r_text text, r_type bigint, r_delivered bigint,
               r_read bigint, r_flag boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_epoch text := message_epoch();
  v_inboxes bigint[] := find_inboxes(p_application, p_type, p_endpoint);
  a record;
  v_place record;
  v_reach record;
BEGIN
  PERFORM lock_inboxes(v_inboxes);
  FOR a IN
    SELECT * FROM unnest(v_inboxes, p_device, p_epoch, p_offset, p_now) WITH ORDINALITY
      AS n (inbox, device, epoch, "offset", now, item)
  LOOP
    r_item := a.item;
    r_what := 1;
    IF a.epoch <> v_epoch THEN
      r_text := 'epoch'; RETURN NEXT; CONTINUE;
    END IF;
    SELECT i.top, i.acknowledged, d.cursor, d.seen INTO v_place
      FROM inboxes i JOIN message_devices d ON d.inbox = i.id AND d.device = a.device
      WHERE i.id = a.inbox;
    IF NOT FOUND THEN
      r_text := 'absent'; RETURN NEXT; CONTINUE;
    END IF;
    IF a."offset" > v_place.top THEN
      r_text := 'above_top'; RETURN NEXT; CONTINUE;
    END IF;
    r_what := 0;
    r_delivered := greatest(v_place.cursor, a."offset");
    RETURN NEXT;
    IF r_delivered > v_place.cursor OR a.now - v_place.seen > 3600000000 THEN
      UPDATE message_devices SET cursor = r_delivered,
        seen = CASE WHEN a.now - seen > 3600000000 THEN a.now ELSE seen END
        WHERE inbox = a.inbox AND device = a.device;
    END IF;
    IF a."offset" <= v_place.acknowledged THEN
      CONTINUE;
    END IF;
    UPDATE inboxes SET acknowledged = a."offset" WHERE id = a.inbox;
    FOR v_reach IN
      SELECT m.conversation, max(m.seq) AS seq FROM inbox_entries e
      JOIN messages m ON m.id = e.message
      WHERE e.inbox = a.inbox AND e."offset" > v_place.acknowledged AND e."offset" <= a."offset"
        AND e.kind IN (1, 3) AND NOT m.gone GROUP BY m.conversation ORDER BY m.conversation
    LOOP
      FOR r_what, r_text, r_type, r_delivered, r_read, r_flag IN
        SELECT * FROM move_horizon(v_reach.conversation, a.inbox, v_reach.seq, false)
      LOOP
        RETURN NEXT;
      END LOOP;
    END LOOP;
  END LOOP;
END $$;

-- Moves a user's read horizon to the lower of `p_seq` and what they may read; rows as those of
-- move_horizon(), or one with `r_what` 1 and the word for why not.
CREATE FUNCTION mark_read(p_application text, p_type bigint, p_endpoint text, p_conversation text,
                          p_seq bigint)
RETURNS TABLE (r_what bigint, r_text text, r_type bigint, r_delivered bigint, r_read bigint,
               r_flag boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_inbox bigint;
  v_number bigint;
  v_top bigint;
BEGIN
  SELECT id INTO v_inbox FROM inboxes
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint FOR UPDATE;
  SELECT c.number, least(c.top, p.until_seq) INTO v_number, v_top FROM conversations c
    JOIN conversation_members p ON p.conversation = c.number AND p.inbox = v_inbox
    WHERE c.id = p_conversation;
  IF FOUND THEN
    RETURN QUERY SELECT * FROM move_horizon(v_number, v_inbox, least(p_seq, v_top), true);
    RETURN;
  END IF;
  r_what := 1;
  r_text := CASE WHEN EXISTS (SELECT FROM conversations WHERE id = p_conversation
    AND application = p_application) THEN 'permission_denied' ELSE 'absent' END;
  RETURN NEXT;
END $$;

-- People ---------------------------------------------------------------------------------------

CREATE FUNCTION open_inboxes(p_application text[], p_type bigint[], p_endpoint text[],
                             p_now bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_inboxes bigint[];
BEGIN
  PERFORM make_inboxes(p_application, p_type, p_endpoint, p_now);
  v_inboxes := find_inboxes(p_application, p_type, p_endpoint);
  PERFORM FROM inboxes WHERE id = ANY (v_inboxes) AND erased ORDER BY id FOR UPDATE;
  UPDATE inboxes SET erased = false WHERE id = ANY (v_inboxes) AND erased;
END $$;

-- 'changed', 'unchanged', or 'too_many': then the caller rolls back.
CREATE FUNCTION set_blocked(p_application text, p_type bigint, p_endpoint text,
                            p_other_type bigint, p_other_endpoint text, p_blocked boolean,
                            p_max_blocks bigint, p_now bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_inbox bigint := lock_own_inbox(p_application, p_type, p_endpoint, p_now);
  v_count bigint;
BEGIN
  UPDATE inboxes SET erased = false WHERE id = v_inbox AND erased;
  IF p_blocked THEN
    SELECT blocking INTO STRICT v_count FROM inboxes WHERE id = v_inbox;
    IF v_count >= p_max_blocks AND NOT EXISTS (SELECT FROM blocks
        WHERE inbox = v_inbox AND type = p_other_type AND endpoint = p_other_endpoint) THEN
      RETURN 'too_many';
    END IF;
    INSERT INTO blocks (inbox, type, endpoint, since)
      VALUES (v_inbox, p_other_type, p_other_endpoint, p_now) ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM blocks
      WHERE inbox = v_inbox AND type = p_other_type AND endpoint = p_other_endpoint;
  END IF;
  IF NOT FOUND THEN
    RETURN 'unchanged';
  END IF;
  UPDATE inboxes SET blocking = (SELECT count(*) FROM blocks WHERE inbox = v_inbox)
    WHERE id = v_inbox;
  RETURN 'changed';
END $$;

-- Retention and erasure ------------------------------------------------------------------------

-- Takes the bodies of messages that expired; answers a row for each entry that tells a sender.
CREATE FUNCTION expire_messages(p_now bigint, p_limit bigint, p_code bigint)
RETURNS TABLE (r_conversation text, r_seq bigint, r_kind bigint, r_msg_id text,
               r_sender_type bigint, r_sender text, r_device text, r_time bigint,
               r_expires bigint, r_body text, r_gone boolean, r_application text,
               r_failed_type bigint, r_failed text, r_offset bigint, r_chain bytea)
LANGUAGE plpgsql AS $$
DECLARE
  v_overdue bigint[];
  v_senders bigint[];
  m record;
  v_missed record;
BEGIN
  SELECT coalesce(array_agg(n.id), '{}'), coalesce(array_agg(n.sender), '{}')
    INTO v_overdue, v_senders
    FROM (SELECT id, sender FROM messages WHERE expires <= p_now AND expires IS NOT NULL
          AND NOT gone ORDER BY expires, id LIMIT p_limit) n;
  PERFORM lock_inboxes(v_senders);
  PERFORM FROM messages WHERE id = ANY (v_overdue) ORDER BY id FOR UPDATE;
  FOR m IN
    SELECT o.*, c.is_group, c.id AS name, c.application, u.type, u.endpoint FROM messages o
    JOIN conversations c ON c.number = o.conversation JOIN inboxes u ON u.id = o.sender
    WHERE o.id = ANY (v_overdue) AND NOT o.gone ORDER BY o.expires, o.id
  LOOP
    UPDATE messages SET body = '', gone = true WHERE id = m.id;
    CONTINUE WHEN m.is_group;
    r_conversation := m.name; r_seq := m.seq; r_kind := m.kind; r_msg_id := m.msg_id;
    r_sender_type := m.type; r_sender := m.endpoint; r_device := m.device; r_time := m.time;
    r_expires := m.expires; r_body := ''; r_gone := true; r_application := m.application;
    FOR v_missed IN
      SELECT i.id, i.type, i.endpoint FROM conversation_members p JOIN inboxes i ON i.id = p.inbox
      WHERE p.conversation = m.conversation AND p.inbox <> m.sender AND p.delivered < m.seq
        AND (m.seq BETWEEN p.from_seq AND p.until_seq
             OR could_read(p.conversation, p.inbox, m.seq))
      ORDER BY i.type, i.endpoint
    LOOP
      SELECT e.r_offset, e.r_chain INTO r_offset, r_chain
        FROM append_entry(m.sender, m.sender, m.id, m.message_id, 4, 0, p_now, p_code,
                          v_missed.id) e;
      UPDATE messages SET uses = uses + 1 WHERE id = m.id;
      r_failed_type := v_missed.type;
      r_failed := v_missed.endpoint;
      RETURN NEXT;
    END LOOP;
  END LOOP;
END $$;

-- Removes at most `p_limit` entries older than `p_before` from the front of an inbox whose head is
-- locked; its floor moves with them. Answers how many.
CREATE FUNCTION remove_front(p_inbox bigint, p_before bigint, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_last bigint;
  v_chain bytea;
  v_oldest bigint;
  v_removed bigint;
  v_bytes bigint;
BEGIN
  -- The run of old entries at the front, and the time of what then stands there.
  WITH front AS (
    SELECT e."offset", e.chain, coalesce(e.time, m.time) AS time,
      row_number() OVER (ORDER BY e."offset") AS number
    FROM inbox_entries e JOIN messages m ON m.id = e.message
    WHERE e.inbox = p_inbox ORDER BY e."offset" LIMIT p_limit + 1),
  stop AS (
    SELECT min(number) AS number FROM front WHERE time >= p_before OR number > p_limit),
  gone AS (
    SELECT max("offset") AS last FROM front, stop
    WHERE stop.number IS NULL OR front.number < stop.number)
  SELECT gone.last, (SELECT chain FROM front WHERE "offset" = gone.last),
         (SELECT front.time FROM front, stop WHERE front.number = stop.number)
    INTO v_last, v_chain, v_oldest FROM gone;
  IF v_last IS NULL THEN
    UPDATE inboxes SET oldest = v_oldest WHERE id = p_inbox;
    RETURN 0;
  END IF;

  PERFORM FROM messages WHERE id IN (
    SELECT message FROM inbox_entries WHERE inbox = p_inbox AND "offset" <= v_last)
    ORDER BY id FOR UPDATE;
  WITH removed AS (
    DELETE FROM inbox_entries WHERE inbox = p_inbox AND "offset" <= v_last
      RETURNING message, size),
  shares AS (
    UPDATE sender_shares s SET entries = s.entries - n.entries
      FROM (SELECT m.sender, count(*) AS entries FROM removed r JOIN messages m ON m.id = r.message
            WHERE m.sender <> p_inbox GROUP BY m.sender) n
      WHERE s.inbox = p_inbox AND s.sender = n.sender),
  uses AS (
    UPDATE messages m SET uses = m.uses - n.uses
      FROM (SELECT message, count(*) AS uses FROM removed GROUP BY message) n
      WHERE m.id = n.message AND m.uses > n.uses),
  unused AS (
    DELETE FROM messages m USING (SELECT message, count(*) AS uses FROM removed GROUP BY message) n
      WHERE m.id = n.message AND m.uses <= n.uses)
  SELECT count(*), coalesce(sum(size), 0) INTO v_removed, v_bytes FROM removed;
  DELETE FROM sender_shares WHERE inbox = p_inbox AND entries = 0;
  UPDATE inboxes SET floor = v_last, floor_chain = v_chain, bytes = bytes - v_bytes,
    oldest = v_oldest WHERE id = p_inbox;
  RETURN v_removed;
END $$;

-- See MessageStore::remove_old(); `p_repeats_before` is for the rows that tell a repeat.
CREATE FUNCTION remove_old_messages(p_before bigint, p_repeats_before bigint, p_limit bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_inboxes bigint[];
  v_inbox bigint;
  v_removed bigint := 0;
  v_more bigint;
BEGIN
  -- At most so many inboxes in one transaction, for their heads stay locked.
  SELECT coalesce(array_agg(n.id), '{}') INTO v_inboxes
    FROM (SELECT id FROM inboxes WHERE oldest < p_before AND oldest IS NOT NULL
          ORDER BY oldest LIMIT least(p_limit, 100)) n;
  PERFORM lock_inboxes(v_inboxes);
  FOREACH v_inbox IN ARRAY v_inboxes LOOP
    EXIT WHEN v_removed >= p_limit;
    v_removed := v_removed + remove_front(v_inbox, p_before, p_limit - v_removed);
  END LOOP;
  DELETE FROM message_devices WHERE (inbox, device) IN (
    SELECT inbox, device FROM message_devices WHERE seen < p_before ORDER BY seen
    LIMIT p_limit - v_removed FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  v_removed := v_removed + v_more;
  -- The table is about in the order of time: what stands behind a younger row waits for it.
  DELETE FROM accepted_sends WHERE id IN (
    SELECT n.id FROM (SELECT id, time FROM accepted_sends ORDER BY id
                      LIMIT p_limit - v_removed) n WHERE n.time < p_repeats_before);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  RETURN v_removed + v_more;
END $$;

-- See MessageStore::erase(): at most `p_limit` of one kind of rows, in the order in which they may
-- go; answers how many, 0 when nothing is left.
CREATE FUNCTION erase_user(p_application text, p_type bigint, p_endpoint text, p_limit bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_inbox bigint;
  v_conversations bigint[];
  v_count bigint;
BEGIN
  SELECT id INTO v_inbox FROM inboxes
    WHERE application = p_application AND type = p_type AND endpoint = p_endpoint;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  SELECT coalesce(array_agg(n.conversation), '{}') INTO v_conversations
    FROM (SELECT conversation FROM conversation_members WHERE inbox = v_inbox
          ORDER BY conversation LIMIT p_limit) n;
  PERFORM FROM conversations WHERE number = ANY (v_conversations) ORDER BY id FOR UPDATE;
  PERFORM lock_inboxes(ARRAY[v_inbox]);
  -- First, so that no new message comes while the old ones go.
  UPDATE inboxes SET erased = true, signed_in = false, acknowledged = top
    WHERE id = v_inbox AND (NOT erased OR signed_in OR acknowledged <> top);

  UPDATE messages SET body = '', device = '', gone = true WHERE id IN (
    SELECT m.id FROM conversation_members p JOIN messages m ON m.conversation = p.conversation
    WHERE p.inbox = v_inbox AND m.sender = p.inbox AND NOT m.gone
    ORDER BY m.id LIMIT p_limit FOR UPDATE OF m);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    RETURN v_count;
  END IF;
  v_count := remove_front(v_inbox, 9223372036854775807, p_limit);
  IF v_count > 0 THEN
    RETURN v_count;
  END IF;

  UPDATE conversations c SET members = c.members - 1, version = c.version + 1
    FROM conversation_members p WHERE c.number = ANY (v_conversations)
      AND p.conversation = c.number AND p.inbox = v_inbox AND p.until_seq = 9223372036854775807;
  DELETE FROM past_memberships WHERE inbox = v_inbox AND conversation = ANY (v_conversations);
  DELETE FROM conversation_members WHERE inbox = v_inbox AND conversation = ANY (v_conversations);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    RETURN v_count;
  END IF;
  DELETE FROM message_devices WHERE inbox = v_inbox AND device IN (
    SELECT device FROM message_devices WHERE inbox = v_inbox LIMIT p_limit);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    RETURN v_count;
  END IF;
  DELETE FROM blocks WHERE inbox = v_inbox AND (type, endpoint) IN (
    SELECT type, endpoint FROM blocks WHERE inbox = v_inbox LIMIT p_limit);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  UPDATE inboxes SET blocking = (SELECT count(*) FROM blocks WHERE inbox = v_inbox)
    WHERE id = v_inbox AND blocking > 0;
  RETURN v_count;
END $$;
