-- Small named values: the high-water mark of time, the master key's id.
CREATE TABLE meta (
  name text COLLATE "C" NOT NULL PRIMARY KEY,
  value text NOT NULL
);
