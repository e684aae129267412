-- The outbox of callbacks (docs/guides/callbacks.md).
--
-- Rows hold references, never a message's text: that is read when the callback is made, so that
-- what was erased meanwhile is not told. Kinds are those of CallbackKind, identity types those of
-- 0010_messages.sql. Times: microseconds since 1970.

-- One row: whether callbacks are kept, and how many there are. The counts are kept by triggers.
CREATE TABLE callback_outbox (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  max_rows INTEGER NOT NULL CHECK (max_rows >= 0), -- that wait, and as many dead ones; 0: none
  waiting INTEGER NOT NULL CHECK (waiting >= 0),
  dead INTEGER NOT NULL CHECK (dead >= 0),
  given_up INTEGER NOT NULL                        -- ever, for want of room
) STRICT;

INSERT INTO callback_outbox (id, max_rows, waiting, dead, given_up) VALUES (1, 0, 0, 0, 0);

-- Users with callbacks. The first one that waits is not tried before `next`, the largest number
-- there is if none waits.
CREATE TABLE callback_queues (
  id INTEGER NOT NULL PRIMARY KEY,
  application TEXT NOT NULL,
  type INTEGER NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint TEXT NOT NULL,
  next INTEGER NOT NULL,
  UNIQUE (application, type, endpoint)
) STRICT;

CREATE INDEX callback_queues_by_next ON callback_queues (next);

CREATE TABLE callbacks (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,   -- never used twice
  key TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))), -- not even after a restore
  queue INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
  conversation INTEGER,                            -- kinds 1 and 2
  seq INTEGER NOT NULL DEFAULT 0,
  msg_id TEXT NOT NULL DEFAULT '',                 -- kind 1
  instance TEXT NOT NULL DEFAULT '',               -- kinds 3 and 4
  time INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  last_error TEXT NOT NULL DEFAULT '',
  dead INTEGER NOT NULL DEFAULT 0 CHECK (dead IN (0, 1))
) STRICT;

CREATE INDEX callbacks_by_queue ON callbacks (queue, dead);
CREATE INDEX callbacks_by_state ON callbacks (dead);

-- Without room the oldest that waits is given up: what is written now never fails for it.
CREATE TRIGGER callbacks_added AFTER INSERT ON callbacks BEGIN
  UPDATE callback_outbox SET waiting = waiting + 1;
  UPDATE callbacks SET dead = 1, last_error = 'outbox_full'
    WHERE (SELECT waiting > max_rows FROM callback_outbox)
      AND id = (SELECT min(id) FROM callbacks WHERE dead = 0);
END;

CREATE TRIGGER callbacks_turned AFTER UPDATE OF dead ON callbacks WHEN NEW.dead <> OLD.dead BEGIN
  UPDATE callback_outbox SET
    waiting = waiting - NEW.dead + OLD.dead,
    dead = dead + NEW.dead - OLD.dead,
    given_up = given_up + (NEW.dead = 1 AND NEW.last_error = 'outbox_full');
  UPDATE callback_queues SET next = 9223372036854775807
    WHERE id = NEW.queue AND NOT EXISTS (SELECT 1 FROM callbacks WHERE queue = NEW.queue AND dead = 0);
  DELETE FROM callbacks
    WHERE (SELECT dead > max(max_rows, 1) FROM callback_outbox)
      AND id = (SELECT min(id) FROM callbacks WHERE dead = 1);
END;

CREATE TRIGGER callbacks_removed AFTER DELETE ON callbacks BEGIN
  UPDATE callback_outbox SET waiting = waiting - (OLD.dead = 0), dead = dead - OLD.dead;
  UPDATE callback_queues SET next = 9223372036854775807
    WHERE id = OLD.queue AND NOT EXISTS (SELECT 1 FROM callbacks WHERE queue = OLD.queue AND dead = 0);
  DELETE FROM callback_queues
    WHERE id = OLD.queue AND NOT EXISTS (SELECT 1 FROM callbacks WHERE queue = OLD.queue);
END;

-- Instances end in many ways: by themselves, with their session, by a revocation, by expiry. Each
-- deletes the row, and the callback is written with that.
CREATE TRIGGER instances_started AFTER INSERT ON instances
WHEN (SELECT max_rows FROM callback_outbox) > 0 BEGIN
  INSERT INTO callback_queues (application, type, endpoint, next)
    VALUES (NEW.application_key,
            CASE NEW.identity_type WHEN 'username' THEN 0 WHEN 'email' THEN 1 ELSE 2 END,
            NEW.endpoint, 0)
    ON CONFLICT (application, type, endpoint) DO UPDATE SET next = 0
    WHERE next = 9223372036854775807;
  INSERT INTO callbacks (queue, kind, instance, time)
    SELECT id, 3, NEW.id, NEW.created FROM callback_queues
    WHERE application = NEW.application_key AND endpoint = NEW.endpoint
      AND type = CASE NEW.identity_type WHEN 'username' THEN 0 WHEN 'email' THEN 1 ELSE 2 END;
END;

CREATE TRIGGER instances_ended AFTER DELETE ON instances
WHEN (SELECT max_rows FROM callback_outbox) > 0 BEGIN
  INSERT INTO callback_queues (application, type, endpoint, next)
    VALUES (OLD.application_key,
            CASE OLD.identity_type WHEN 'username' THEN 0 WHEN 'email' THEN 1 ELSE 2 END,
            OLD.endpoint, 0)
    ON CONFLICT (application, type, endpoint) DO UPDATE SET next = 0
    WHERE next = 9223372036854775807;
  INSERT INTO callbacks (queue, kind, instance, time)
    SELECT id, 4, OLD.id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM callback_queues
    WHERE application = OLD.application_key AND endpoint = OLD.endpoint
      AND type = CASE OLD.identity_type WHEN 'username' THEN 0 WHEN 'email' THEN 1 ELSE 2 END;
END;
