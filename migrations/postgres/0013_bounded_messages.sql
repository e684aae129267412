-- Work in proportion to what a user may read and has, whatever else a conversation holds.

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
