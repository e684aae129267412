// The producer of the C# tutorial on Mono, with Json.NET: `applicationkey`, seven digits of a second, no lifetime.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { execute, temporaryFolder } from "../support/process.mjs";
import { testGuide } from "./support/guide.mjs";
import { everyday, source, testProducer } from "./support/producer.mjs";

const library = "/usr/lib/cli/Newtonsoft.Json-5.0/Newtonsoft.Json.dll";
const folder = temporaryFolder("csharp");
fs.copyFileSync(library, path.join(folder, "Newtonsoft.Json.dll"));
const program = path.join(folder, "Ticket.exe");
const compiled = await execute("mcs", [`-out:${program}`, `-r:${library}`, source("Ticket.cs")]);
assert.equal(compiled.code, 0, compiled.stdout + compiled.stderr);

testProducer("C#", ["mono", program], [
  ...everyday,
  { what: "an hour and two minutes old, where 3600 s are taken for granted", name: "ada", ago: 3720, refused: "expired" },
  { what: "a name with a blank, which it keeps", name: "john smith", starts: "john smith" },
  { what: "a name beyond ASCII", name: "zoë", starts: "zoë", client: Buffer.from("zoë").toString("latin1") },
  { what: "quotation marks and backslashes", name: 'a"b\\c', starts: 'a"b\\c' },
  { what: "the conference sample, with a lifetime, blanks removed", name: "john smith", variant: "conference", starts: "johnsmith" },
  { what: "the lower-case key", name: "ada", policy: "strict", refused: "bad_member_name" },
]);

await testGuide("csharp");
