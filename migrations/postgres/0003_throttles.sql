-- Counted failures, by throttle key. What the numbers mean is the throttle's business.
CREATE TABLE throttle_counters (
  key text COLLATE "C" NOT NULL PRIMARY KEY,
  failures bigint NOT NULL CHECK (failures >= 0),
  window_start bigint NOT NULL,
  last_failure bigint NOT NULL,
  blocked_until bigint NOT NULL
);

CREATE INDEX throttle_counters_by_last_failure ON throttle_counters (last_failure);

-- Writes the new counters if the old ones are still what stands; a counter that is not there is all
-- zero. False: one had changed, and nothing was written.
CREATE FUNCTION swap_throttle_counters(
  p_keys text[],
  p_old_failures bigint[], p_old_window_start bigint[], p_old_last_failure bigint[],
  p_old_blocked_until bigint[],
  p_failures bigint[], p_window_start bigint[], p_last_failure bigint[], p_blocked_until bigint[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  -- A row for each key, so that there is something to lock.
  INSERT INTO throttle_counters (key, failures, window_start, last_failure, blocked_until)
    SELECT new.key, 0, 0, 0, 0 FROM unnest(p_keys) AS new (key) ORDER BY new.key COLLATE "C"
    ON CONFLICT DO NOTHING;
  PERFORM FROM throttle_counters WHERE key = ANY (p_keys) ORDER BY key FOR UPDATE;
  IF EXISTS (
    SELECT FROM unnest(p_keys, p_old_failures, p_old_window_start, p_old_last_failure,
                       p_old_blocked_until)
      AS old (key, failures, window_start, last_failure, blocked_until)
    JOIN throttle_counters AS c ON c.key = old.key
    WHERE (c.failures, c.window_start, c.last_failure, c.blocked_until)
       <> (old.failures, old.window_start, old.last_failure, old.blocked_until)) THEN
    RETURN false;
  END IF;
  UPDATE throttle_counters AS c
    SET failures = new.failures, window_start = new.window_start,
        last_failure = new.last_failure, blocked_until = new.blocked_until
    FROM unnest(p_keys, p_failures, p_window_start, p_last_failure, p_blocked_until)
      AS new (key, failures, window_start, last_failure, blocked_until)
    WHERE c.key = new.key;
  RETURN true;
END $$;
