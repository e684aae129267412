-- Work in proportion to what a user may read and has, whatever else a conversation holds; and an
-- end to messages that failed although they were delivered.

-- As in 0011_callbacks.sql, but the senders are looked up stretch by stretch of the membership:
-- whoever joined late, or came back, passes over nothing that was never theirs. (OFFSET 0 keeps the
-- lookup by stretches whatever the planner believes.)
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
      SELECT DISTINCT i.type, i.endpoint FROM (
        SELECT from_seq, until_seq FROM conversation_members
          WHERE conversation = p_conversation AND inbox = p_inbox
        UNION ALL SELECT from_seq, until_seq FROM past_memberships
          WHERE conversation = p_conversation AND inbox = p_inbox) s
      CROSS JOIN LATERAL (
        SELECT m.sender FROM messages m WHERE m.conversation = p_conversation
          AND m.seq BETWEEN greatest(s.from_seq, v_before + 1) AND least(s.until_seq, p_seq)
          AND m.sender <> p_inbox OFFSET 0) m
      JOIN inboxes i ON i.id = m.sender ORDER BY i.type, i.endpoint
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

-- As in 0010_messages.sql, but the user's messages are found by the rows that tell a repeat, which
-- outlive every message: an index of senders would cost each message more.
CREATE OR REPLACE FUNCTION erase_user(p_application text, p_type bigint, p_endpoint text,
                                      p_limit bigint)
RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
    SELECT m.id FROM accepted_sends a
    JOIN messages m ON m.conversation = a.conversation AND m.seq = a.seq
    WHERE a.sender = v_inbox AND NOT m.gone ORDER BY m.id LIMIT p_limit FOR UPDATE OF m);
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

-- As in 0010_messages.sql, but the inboxes of those who seem to lack a message are locked before
-- that is decided: at this very moment they may acknowledge it, and then it has not failed. (What
-- is delivered stays so: whoever has got a message need not be locked.)
CREATE OR REPLACE FUNCTION expire_messages(p_now bigint, p_limit bigint, p_code bigint)
RETURNS TABLE (r_conversation text, r_seq bigint, r_kind bigint, r_msg_id text,
               r_sender_type bigint, r_sender text, r_device text, r_time bigint,
               r_expires bigint, r_body text, r_gone boolean, r_application text,
               r_failed_type bigint, r_failed text, r_offset bigint, r_chain bytea)
LANGUAGE plpgsql AS $$
DECLARE
  v_overdue bigint[];
  v_senders bigint[];
  v_missing bigint[];
  m record;
  v_missed record;
BEGIN
  SELECT coalesce(array_agg(n.id), '{}'), coalesce(array_agg(n.sender), '{}')
    INTO v_overdue, v_senders
    FROM (SELECT id, sender FROM messages WHERE expires <= p_now AND expires IS NOT NULL
          AND NOT gone ORDER BY expires, id LIMIT p_limit) n;
  SELECT coalesce(array_agg(DISTINCT p.inbox), '{}') INTO v_missing
    FROM messages o JOIN conversations c ON c.number = o.conversation AND NOT c.is_group
    JOIN conversation_members p ON p.conversation = o.conversation AND p.delivered < o.seq
    WHERE o.id = ANY (v_overdue);
  PERFORM lock_inboxes(v_senders || v_missing);
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
