// The producer of the Java servlet tutorial. Its JSON is text put together: names can break it, or add to it.
import assert from "node:assert/strict";
import { execute, temporaryFolder } from "../support/process.mjs";
import { testGuide } from "./support/guide.mjs";
import { everyday, source, testProducer } from "./support/producer.mjs";

const classes = temporaryFolder("java");
const compiled = await execute("javac", ["-d", classes, source("Ticket.java")]);
assert.equal(compiled.code, 0, compiled.stderr);

testProducer("Java", ["java", "-cp", classes, "Ticket"], [
  ...everyday,
  { what: "a name with a blank, which it keeps", name: "john smith", starts: "john smith" },
  { what: "a name beyond ASCII", name: "zoë", starts: "zoë", client: Buffer.from("zoë").toString("latin1") },
  { what: "a quotation mark", name: 'a"b', refused: "bad_json", client: /JSON/ },
  { what: "a Windows name, whose backslash becomes an escape", name: "corp\\nick", refused: "bad_identity" },
  { what: "a Windows name that is a broken escape", name: "corp\\user1", refused: "bad_json", client: /JSON|escape/ },
  { what: "a second identity smuggled in", name: 'x"},"expiresIn":86400,"identity":{"type":"username","endpoint":"admin', refused: "duplicate_member" },
  { what: "another identity with a filler", name: 'admin"},"filler":{"a":"b', starts: "admin" },
  { what: "another identity with a filler", name: 'admin"},"filler":{"a":"b', policy: "strict", refused: "unknown_member" },
  { what: "a plain name", name: "ada", policy: "strict", starts: "ada" },
]);

await testGuide("java");
