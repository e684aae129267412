-- A message of a direct conversation that is kept no longer before somebody got it expires, and its
-- sender is told: otherwise it would count as delivered as soon as a later one is.

-- Whose heads expire_these() wants locked: the senders of the messages, and those who seem to lack
-- one. (At this very moment they may acknowledge it, and then it has not failed. What is delivered
-- stays so: whoever has got a message need not be locked.)
CREATE FUNCTION concerned_by_expiry(p_messages bigint[]) RETURNS bigint[] LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
  SELECT coalesce(array_agg(n.inbox), '{}') FROM (
    SELECT sender AS inbox FROM messages WHERE id = ANY (p_messages)
    UNION SELECT p.inbox FROM messages o
      JOIN conversations c ON c.number = o.conversation AND NOT c.is_group
      JOIN conversation_members p ON p.conversation = o.conversation AND p.delivered < o.seq
      WHERE o.id = ANY (p_messages)) n
$$;

-- Takes the bodies of these messages; tells the sender of each recipient who had not got one (but
-- not a backend that never signs in: it would not read that, and its inbox would fill). The heads
-- of concerned_by_expiry() are locked.
CREATE FUNCTION expire_these(p_messages bigint[], p_now bigint, p_code bigint)
RETURNS TABLE (r_conversation text, r_seq bigint, r_kind bigint, r_msg_id text,
               r_sender_type bigint, r_sender text, r_device text, r_time bigint,
               r_expires bigint, r_body text, r_gone boolean, r_application text,
               r_failed_type bigint, r_failed text, r_offset bigint, r_chain bytea)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  m record;
  v_missed record;
BEGIN
  PERFORM FROM messages WHERE id = ANY (p_messages) ORDER BY id FOR UPDATE;
  FOR m IN
    SELECT o.*, c.is_group, c.id AS name, c.application, u.type, u.endpoint, u.signed_in
    FROM messages o
    JOIN conversations c ON c.number = o.conversation JOIN inboxes u ON u.id = o.sender
    WHERE o.id = ANY (p_messages) AND NOT o.gone ORDER BY o.expires, o.id
  LOOP
    UPDATE messages SET body = '', gone = true WHERE id = m.id;
    CONTINUE WHEN m.is_group OR NOT m.signed_in;
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

-- As in 0013_bounded_messages.sql, by the two functions above.
CREATE OR REPLACE FUNCTION expire_messages(p_now bigint, p_limit bigint, p_code bigint)
RETURNS TABLE (r_conversation text, r_seq bigint, r_kind bigint, r_msg_id text,
               r_sender_type bigint, r_sender text, r_device text, r_time bigint,
               r_expires bigint, r_body text, r_gone boolean, r_application text,
               r_failed_type bigint, r_failed text, r_offset bigint, r_chain bytea)
LANGUAGE plpgsql AS $$
DECLARE
  v_overdue bigint[];
BEGIN
  SELECT coalesce(array_agg(n.id), '{}') INTO v_overdue
    FROM (SELECT id FROM messages WHERE expires <= p_now AND expires IS NOT NULL
          AND NOT gone ORDER BY expires, id LIMIT p_limit) n;
  PERFORM lock_inboxes(concerned_by_expiry(v_overdue));
  RETURN QUERY SELECT * FROM expire_these(v_overdue, p_now, p_code);
END $$;

-- The run of entries older than `p_before` at the front of an inbox, of at most `p_limit`: its last
-- and its length (null and 0 if there is none), and what of it is of direct conversations and the
-- user never got.
CREATE FUNCTION find_old_front(p_inbox bigint, p_before bigint, p_limit bigint,
                               OUT r_last bigint, OUT r_entries bigint, OUT r_undelivered bigint[])
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  SELECT max(r."offset"), count(*) INTO r_last, r_entries FROM (
    SELECT f."offset", bool_and(f.time < p_before) OVER (ORDER BY f."offset") AS old FROM (
      SELECT e."offset", coalesce(e.time, m.time) AS time
      FROM inbox_entries e JOIN messages m ON m.id = e.message
      WHERE e.inbox = p_inbox ORDER BY e."offset" LIMIT p_limit) f) r WHERE r.old;
  SELECT coalesce(array_agg(m.id), '{}') INTO r_undelivered
    FROM (SELECT message FROM inbox_entries
          WHERE inbox = p_inbox AND "offset" <= r_last AND kind = 1 OFFSET 0) e
    JOIN messages m ON m.id = e.message AND NOT m.gone
    JOIN conversations c ON c.number = m.conversation AND NOT c.is_group
    JOIN conversation_members p ON p.conversation = m.conversation AND p.inbox = p_inbox
    WHERE p.delivered < m.seq;
END $$;

-- See MessageStore::remove_old(); `p_repeats_before` is for the rows that tell a repeat. Answers
-- what expired, and at last how many were removed.
DROP FUNCTION remove_old_messages(bigint, bigint, bigint);
CREATE FUNCTION remove_old_messages(p_before bigint, p_repeats_before bigint, p_now bigint,
                                    p_limit bigint, p_code bigint)
RETURNS TABLE (r_conversation text, r_seq bigint, r_kind bigint, r_msg_id text,
               r_sender_type bigint, r_sender text, r_device text, r_time bigint,
               r_expires bigint, r_body text, r_gone boolean, r_application text,
               r_failed_type bigint, r_failed text, r_offset bigint, r_chain bytea,
               r_removed bigint)
LANGUAGE plpgsql AS $$
DECLARE
  v_inbox bigint;
  v_front record;
  v_inboxes bigint[] := '{}';
  v_lasts bigint[] := '{}';
  v_undelivered bigint[] := '{}';
  v_entries bigint := 0;
  v_more bigint;
BEGIN
  -- What is to go, and who is to be told; then all of them are locked together, as locks are taken
  -- in one order. At most so many inboxes, for they stay locked.
  FOR v_inbox IN
    SELECT id FROM inboxes WHERE oldest < p_before AND oldest IS NOT NULL
      ORDER BY oldest LIMIT least(p_limit, 100)
  LOOP
    EXIT WHEN v_entries >= p_limit;
    v_front := find_old_front(v_inbox, p_before, p_limit - v_entries);
    v_inboxes := v_inboxes || v_inbox;
    v_lasts := v_lasts || coalesce(v_front.r_last, 0);
    v_undelivered := v_undelivered || v_front.r_undelivered;
    v_entries := v_entries + v_front.r_entries;
  END LOOP;
  PERFORM lock_inboxes(v_inboxes || concerned_by_expiry(v_undelivered));
  RETURN QUERY SELECT *, NULL::bigint FROM expire_these(v_undelivered, p_now, p_code);
  r_removed := 0;
  FOR v_front IN SELECT * FROM unnest(v_inboxes, v_lasts) AS n (inbox, last) LOOP
    -- Fewer than were found if another node was faster; none, and remove_front() notes what is
    -- oldest.
    SELECT count(*) INTO v_more FROM inbox_entries
      WHERE inbox = v_front.inbox AND "offset" <= v_front.last;
    r_removed := r_removed + remove_front(v_front.inbox, p_before, v_more);
  END LOOP;
  DELETE FROM message_devices WHERE (inbox, device) IN (
    SELECT inbox, device FROM message_devices WHERE seen < p_before ORDER BY seen
    LIMIT p_limit - r_removed FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  r_removed := r_removed + v_more;
  -- The table is about in the order of time: what stands behind a younger row waits for it.
  DELETE FROM accepted_sends WHERE id IN (
    SELECT n.id FROM (SELECT id, time FROM accepted_sends ORDER BY id
                      LIMIT p_limit - r_removed) n WHERE n.time < p_repeats_before);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  r_removed := r_removed + v_more;
  RETURN NEXT;
END $$;
