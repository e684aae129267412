-- Several accounts may hold an address that is not an identity; `email_key` is left to the one that
-- owns it, `email_lookup` stands at every account that gave an address, folded.
ALTER TABLE accounts ADD COLUMN email_lookup text COLLATE "C";

-- The domain of `email` is lower-case A-labels already, and lower() of this collation folds ASCII
-- alone, as the program does with the local part: this is the very key the program would make.
UPDATE accounts SET email_lookup = coalesce(email_key, lower(email COLLATE "C"))
  WHERE email IS NOT NULL;

-- In the order in which sign-in asks for them.
CREATE INDEX accounts_by_email_lookup ON accounts (email_lookup, (email_key IS NULL), created, id)
  WHERE email_lookup IS NOT NULL;
