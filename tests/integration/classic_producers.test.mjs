// Tickets minted on the spot by the producers' own algorithms in Ruby, PHP, Node, TypeScript and Python, each for a
// real classic client; and by the producers that the guide shows. Java and C# on Mono: `./test producers`.
import assert from "node:assert/strict";
import test from "node:test";
import { ClassicClient, startedClient } from "../classic/support/client.mjs";
import { newName } from "../support/people.mjs";
import { execute, temporaryFolder } from "../support/process.mjs";
import { testGuide } from "../producers/support/guide.mjs";
import { everyday, manyNames, nameIn, servers, source, testProducer, trimmed, whole } from "../producers/support/producer.mjs";

/** UTF-8 as the SDK's decoder reads it: a character for each byte. */
const garbled = (name) => Buffer.from(name).toString("latin1");

const untrimmed = (cases) => cases.map((each) => ({ ...each, variant: "untrimmed" }));

testProducer("Ruby", ["ruby", source("ticket.rb")], [
  // As the tutorial has it, one ticket in twenty is broken. Which one, is chance: many are made.
  { what: "the tutorial's, digest trimmed", name: manyNames, choose: trimmed, refused: "bad_signature_length" },
  { what: "the tutorial's, digest whole by luck", name: manyNames, choose: whole, starts: nameIn },
  ...untrimmed([
    ...everyday,
    { what: "a name with a blank, which it removes", name: "john smith", starts: "johnsmith" },
    { what: "a name beyond ASCII", name: "zoë", starts: "zoë", client: garbled("zoë") },
    { what: "a plain name", name: "ada", policy: "strict", starts: "ada" },
    { what: "a name beyond ASCII", name: "zoë", policy: "strict", refused: "bad_identity" },
  ]),
]);

testProducer("PHP", ["php", source("ticket.php")], [
  ...everyday,
  { what: "a name with a blank, which it removes", name: "john smith", starts: "johnsmith" },
  { what: "a name beyond ASCII", name: "zoë 漢字 😀", starts: "zoë漢字😀" },
  { what: "a slash, which it escapes", name: "a/b", starts: "a/b" },
  { what: "a lifetime as text", name: "ada", variant: "text-lifetime", starts: "ada" },
  { what: "a lifetime as text", name: "ada", variant: "text-lifetime", policy: "strict", refused: "bad_lifetime" },
  { what: "an older copy, digest trimmed", name: manyNames, variant: "trimmed", choose: trimmed, refused: "bad_signature_length" },
  { what: "a name that is not UTF-8", name: "zoë", variant: "latin1", refused: "bad_layout", client: /JSON/ },
  { what: "a plain name", name: "ada", policy: "strict", starts: "ada" },
]);

testProducer("Node", ["node", source("ticket.cjs")], [
  ...everyday,
  { what: "a name with a blank, the first of which it removes", name: "a b c", starts: "ab c" },
  { what: "a name of Latin-1", name: "zoë", refused: "bad_json" },
  { what: "a name beyond Latin-1", name: "漢字", refused: "bad_json", client: /^401\d\d \S|JSON/ },
  { what: "a plain name", name: "ada", policy: "strict", starts: "ada" },
]);

const script = `${temporaryFolder("typescript")}/ticket-ts.mjs`;
const compiled = await execute("esbuild", [source("ticket.ts"), "--format=esm", "--target=es2022", "--log-level=error", `--outfile=${script}`]);
assert.equal(compiled.code, 0, compiled.stderr);

testProducer("TypeScript", ["node", script], [
  ...everyday,
  { what: "a name of Latin-1", name: "zoë", refused: "bad_json" },
  { what: "no lifetime", name: "ada", policy: "strict", refused: "missing_member" },
]);

testProducer("Python", ["python3", source("ticket.py")], [
  ...everyday,
  { what: "a name with a blank, which it removes", name: "john smith", starts: "johnsmith" },
  { what: "a name beyond ASCII", name: "zoë漢字", starts: "zoë漢字" },
  { what: "an old copy, no lifetime", name: "ada", variant: "without-lifetime", starts: "ada" },
  { what: "an old copy, no lifetime, an hour and two minutes old", name: "ada", variant: "without-lifetime", ago: 3720, refused: "expired" },
  { what: "a time without zone", name: "ada", policy: "strict", refused: "bad_created" },
]);

for (const language of ["ruby", "php", "python", "js", "ts"]) await testGuide(language);

test("the SDK with an application secret mints for itself, as backends do", async () => {
  const { default: server } = servers;
  const client = new ClassicClient(server, { config: { applicationSecret: server.applicationSecret } });
  const name = newName("backend");
  await client.start({ username: name });
  assert.equal(client.session.userId, name);
  const friend = await startedClient(server, newName("friend"));
  await client.send(friend.session.userId, "from a backend");
  await friend.message("from a backend");
  for (const each of [client, friend]) each.close();
});
