-- Inboxes, conversations and messages (docs/reference/messages.md).
--
-- Rows refer to each other by integer keys and without FOREIGN KEY: a message passes through eight
-- of these tables, and each reference would be looked up once more for every entry. Tests count
-- orphans instead. Identity types: 0 username, 1 email, 2 number. Times: microseconds since 1970.

-- The epoch of all positions; a restore sets another.
INSERT INTO meta (name, value) VALUES ('message_epoch', lower(hex(randomblob(16))));

-- The head of each user's stream. Never deleted: offsets are never used twice.
CREATE TABLE inboxes (
  id INTEGER NOT NULL PRIMARY KEY,
  application TEXT NOT NULL,
  type INTEGER NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint TEXT NOT NULL,
  top INTEGER NOT NULL DEFAULT 0 CHECK (top >= floor),
  chain BLOB NOT NULL DEFAULT x'0000000000000000',          -- after the entry at `top`
  floor INTEGER NOT NULL DEFAULT 0,
  floor_chain BLOB NOT NULL DEFAULT x'0000000000000000',    -- after the entry at `floor`
  bytes INTEGER NOT NULL DEFAULT 0,                         -- of the entries there are
  acknowledged INTEGER NOT NULL DEFAULT 0,                  -- by the device that is furthest
  signed_in INTEGER NOT NULL CHECK (signed_in IN (0, 1)),
  erased INTEGER NOT NULL DEFAULT 0 CHECK (erased IN (0, 1)), -- nobody may write to it
  blocking INTEGER NOT NULL DEFAULT 0 CHECK (blocking >= 0), -- how many rows of `blocks`
  oldest INTEGER,                                           -- time of the entry after `floor`
  created INTEGER NOT NULL,
  UNIQUE (application, type, endpoint)
) STRICT;

CREATE INDEX inboxes_by_oldest ON inboxes (oldest) WHERE oldest IS NOT NULL;

CREATE TABLE inbox_entries (
  inbox INTEGER NOT NULL,
  "offset" INTEGER NOT NULL,
  message INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 5),
  chain BLOB NOT NULL,
  size INTEGER NOT NULL,     -- what it counts in inboxes.bytes
  failed INTEGER,            -- kind 4: the code,
  failed_inbox INTEGER,      -- who did not get the message,
  time INTEGER,              -- and when that became certain; others have their message's time
  PRIMARY KEY (inbox, "offset")
) STRICT, WITHOUT ROWID;

-- How many entries of an inbox come from one sender.
CREATE TABLE sender_shares (
  inbox INTEGER NOT NULL,
  sender INTEGER NOT NULL,
  entries INTEGER NOT NULL CHECK (entries >= 0),
  PRIMARY KEY (inbox, sender)
) STRICT, WITHOUT ROWID;

CREATE TABLE message_devices (
  inbox INTEGER NOT NULL,
  device TEXT NOT NULL,
  cursor INTEGER NOT NULL,
  epoch TEXT NOT NULL,
  seen INTEGER NOT NULL,     -- to the hour
  PRIMARY KEY (inbox, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_devices_by_seen ON message_devices (seen);

-- Never deleted: seqs are never used twice.
CREATE TABLE conversations (
  number INTEGER NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  application TEXT NOT NULL,
  is_group INTEGER NOT NULL CHECK (is_group IN (0, 1)),
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  members INTEGER NOT NULL CHECK (members >= 0),   -- who are members now
  top INTEGER NOT NULL,
  last_time INTEGER NOT NULL,
  jobs INTEGER NOT NULL DEFAULT 0 CHECK (jobs >= 0)
) STRICT;

-- Everybody who is or was a member, with their last stretch of membership, both ends included; who
-- is a member now has the largest number there is as its end.
CREATE TABLE conversation_members (
  conversation INTEGER NOT NULL,
  inbox INTEGER NOT NULL,
  from_seq INTEGER NOT NULL,
  until_seq INTEGER NOT NULL,
  until_time INTEGER,                              -- when they left
  admin INTEGER NOT NULL CHECK (admin IN (0, 1)),
  delivered INTEGER NOT NULL,
  read INTEGER NOT NULL,
  fanned INTEGER NOT NULL DEFAULT 0,               -- jobs up to this seq have nothing left for them
  PRIMARY KEY (conversation, inbox)
) STRICT, WITHOUT ROWID;

CREATE INDEX conversation_members_by_inbox ON conversation_members (inbox);

-- Earlier stretches of people who came back.
CREATE TABLE past_memberships (
  conversation INTEGER NOT NULL,
  inbox INTEGER NOT NULL,
  from_seq INTEGER NOT NULL,
  until_seq INTEGER NOT NULL,
  PRIMARY KEY (conversation, inbox, from_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  id INTEGER NOT NULL PRIMARY KEY,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
  sender INTEGER NOT NULL,                         -- their inbox
  device TEXT NOT NULL,
  msg_id TEXT NOT NULL,
  message_id BLOB NOT NULL,
  time INTEGER NOT NULL,
  expires INTEGER,
  body TEXT NOT NULL,
  gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),
  uses INTEGER NOT NULL,                           -- entries and jobs that refer to it
  UNIQUE (conversation, seq)
) STRICT;

CREATE INDEX messages_by_expires ON messages (expires) WHERE expires IS NOT NULL AND gone = 0;

-- What was accepted, so that a repeat is known as one: outlives the message. In order of time.
CREATE TABLE accepted_sends (
  id INTEGER NOT NULL PRIMARY KEY,
  sender INTEGER NOT NULL,
  msg_id TEXT NOT NULL,
  digest BLOB NOT NULL,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  "offset" INTEGER NOT NULL,
  time INTEGER NOT NULL,
  UNIQUE (sender, msg_id)
) STRICT;

CREATE TABLE blocks (
  inbox INTEGER NOT NULL,
  type INTEGER NOT NULL CHECK (type IN (0, 1, 2)),
  endpoint TEXT NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (inbox, type, endpoint)
) STRICT, WITHOUT ROWID;

-- Messages whose entries are still to be written, inbox by inbox. Those of a conversation have the
-- order of their seqs.
CREATE TABLE fan_out_jobs (
  id INTEGER NOT NULL PRIMARY KEY,
  conversation INTEGER NOT NULL,
  message INTEGER NOT NULL,
  after_inbox INTEGER NOT NULL
) STRICT;

CREATE INDEX fan_out_jobs_by_conversation ON fan_out_jobs (conversation);

-- Members whose inboxes were full when the message was accepted.
CREATE TABLE fan_out_left_out (
  message INTEGER NOT NULL,
  inbox INTEGER NOT NULL,
  PRIMARY KEY (message, inbox)
) STRICT, WITHOUT ROWID;
