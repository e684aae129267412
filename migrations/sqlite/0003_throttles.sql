-- Counted failures, by throttle key. What the numbers mean is the throttle's business.
CREATE TABLE throttle_counters (
  key TEXT NOT NULL PRIMARY KEY,
  failures INTEGER NOT NULL CHECK (failures >= 0),
  window_start INTEGER NOT NULL,
  last_failure INTEGER NOT NULL,
  blocked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX throttle_counters_by_last_failure ON throttle_counters (last_failure);
