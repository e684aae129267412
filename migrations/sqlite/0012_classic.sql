-- What the classic door keeps (docs/reference/classic-door.md, src/storage/classic_store.h).
--
-- Rows refer to inboxes by number and without FOREIGN KEY, as in 0010_messages.sql. Identity types:
-- 0 username, 1 email, 2 number. Times: microseconds since 1970.

CREATE TABLE classic_transports (
  number INTEGER NOT NULL PRIMARY KEY,
  application TEXT NOT NULL,
  id TEXT NOT NULL,
  conversation TEXT NOT NULL,
  time INTEGER NOT NULL,                   -- when it was last asked for
  UNIQUE (application, id)
) STRICT;

CREATE INDEX classic_transports_by_time ON classic_transports (time);

CREATE TABLE classic_members (
  transport INTEGER NOT NULL,
  type INTEGER NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint TEXT NOT NULL,
  PRIMARY KEY (transport, type, endpoint)
) STRICT, WITHOUT ROWID;

CREATE INDEX classic_members_by_user ON classic_members (endpoint, type);

-- Messages that are not whole yet.
CREATE TABLE classic_part_sets (
  number INTEGER NOT NULL PRIMARY KEY,
  instance TEXT NOT NULL,
  session TEXT NOT NULL,
  mark TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count > 0),
  bytes INTEGER NOT NULL DEFAULT 0,
  time INTEGER NOT NULL,                   -- of the newest part
  UNIQUE (instance, session, mark)
) STRICT;

CREATE INDEX classic_part_sets_by_time ON classic_part_sets (time);

CREATE TABLE classic_parts (
  part_set INTEGER NOT NULL,
  place INTEGER NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (part_set, place)
) STRICT, WITHOUT ROWID;

-- The head of a user's receipt log. Never deleted: numbers are never used twice.
CREATE TABLE classic_logs (
  inbox INTEGER NOT NULL PRIMARY KEY,
  top INTEGER NOT NULL DEFAULT 0 CHECK (top >= floor),
  floor INTEGER NOT NULL DEFAULT 0         -- highest removed number
) STRICT;

CREATE TABLE classic_receipts (
  inbox INTEGER NOT NULL,
  number INTEGER NOT NULL,
  "offset" INTEGER NOT NULL,               -- where the inbox ended; the position is both together
  conversation TEXT NOT NULL,
  type INTEGER NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint TEXT NOT NULL,
  after_seq INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (inbox, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX classic_receipts_by_position ON classic_receipts (inbox, "offset" + number);
CREATE INDEX classic_receipts_by_time ON classic_receipts (time);

-- What each user was told of each member.
CREATE TABLE classic_horizons (
  inbox INTEGER NOT NULL,
  conversation TEXT NOT NULL,
  type INTEGER NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (inbox, conversation, type, endpoint)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER classic_transport_gone AFTER DELETE ON classic_transports
BEGIN
  DELETE FROM classic_members WHERE transport = OLD.number;
END;

CREATE TRIGGER classic_part_set_gone AFTER DELETE ON classic_part_sets
BEGIN
  DELETE FROM classic_parts WHERE part_set = OLD.number;
END;

-- Whoever is erased leaves neither a log nor a transport. Receipts that name them to others stay
-- until they are old, as the conversations do that they are about.
CREATE TRIGGER classic_erased AFTER UPDATE OF erased ON inboxes
WHEN NEW.erased = 1 AND OLD.erased = 0
BEGIN
  DELETE FROM classic_receipts WHERE inbox = NEW.id;
  DELETE FROM classic_horizons WHERE inbox = NEW.id;
  UPDATE classic_logs SET floor = top WHERE inbox = NEW.id;
  DELETE FROM classic_transports WHERE application = NEW.application AND number IN (
    SELECT transport FROM classic_members WHERE type = NEW.type AND endpoint = NEW.endpoint);
END;
