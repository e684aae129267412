// Export and erasure, by command and by API: what goes, what stays, and that it is gone from the disk.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Backend, Receiver, pathOf } from "../support/application.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";

const receiver = await Receiver.start();
receiver.answer = 500; // so that callbacks wait
const settings = { "messages.unknown_users": "keep", "limits.messages_per_second": 10000, ...receiver.settings };
const server = await startServer({ settings });
const backend = new Backend(server);

/** Files of the data directory that hold this text. */
function filesWith(text) {
  const found = [];
  for (const name of fs.readdirSync(server.dataDir)) {
    const file = path.join(server.dataDir, name);
    if (fs.statSync(file).isFile() && fs.readFileSync(file).includes(text)) found.push(name);
  }
  return found;
}

async function talk(rounds = 30) {
  const [ann, bob] = [newName("ann"), newName("bob")];
  const marks = { ann: `SECRET-OF-${ann}`, bob: `WORD-OF-${bob}` };
  for (const name of [ann, bob]) await (await Device.connect(server, name)).drop(); // a full-sized inbox
  let conv;
  const sends = [];
  for (let i = 0; i < rounds; ++i) {
    const mine = { msg_id: messageId(), from: user(ann), to: [user(bob)], text: `${marks.ann} ${i} ${"x".repeat(i * 50)}`, headers: { h: `${marks.ann}-header` } };
    sends.push(mine);
    conv = (await backend.sent(mine)).conv;
    await backend.sent({ msg_id: messageId(), from: user(bob), to: [user(ann)], text: `${marks.bob} ${i}` });
  }
  return { ann, bob, marks, conv, sends };
}

async function exportAll(who, query = "") {
  const lines = [];
  let target = `${pathOf(user(who))}/export${query}`;
  let pages = 0;
  for (; target; ++pages) {
    const answer = await backend.get(target);
    assert.equal(answer.status, 200, answer.body);
    assert.equal(answer.headers["content-type"], "application/x-ndjson");
    lines.push(...answer.body.split("\n").slice(0, -1).map((line) => JSON.parse(line)));
    target = /^<([^>]+)>; rel="next"$/.exec(answer.headers.link ?? "")?.[1];
  }
  return { lines, pages };
}

test("an export has everything the user may read or has sent, in order, page by page", async () => {
  const { ann, bob, marks, conv } = await talk(10);
  const whole = await exportAll(ann);
  assert.equal(whole.pages, 1);
  assert.deepEqual(whole.lines.map(({ seq }) => seq), Array.from({ length: 20 }, (_, i) => i + 1));
  assert.ok(whole.lines.every((line) => line.conv === conv && line.time && line.msg_id));
  assert.ok(whole.lines[0].text.startsWith(marks.ann) && whole.lines[1].text.startsWith(marks.bob));
  const paged = await exportAll(ann, "?limit=7");
  assert.equal(paged.pages, 3);
  assert.deepEqual(paged.lines, whole.lines);
  const byCommand = await server.command(["user", "export", `username:${bob}`]);
  assert.deepEqual(byCommand.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line)), whole.lines);
  assert.equal((await backend.get(`${pathOf(user(newName()))}/export`)).status, 404);
  assert.equal((await backend.get(`${pathOf(user(ann))}/export?after=c-x.1`)).status, 410);
});

test("the name of an account stands for its identities", async () => {
  const { name } = await newPerson(server);
  await backend.sent({ msg_id: messageId(), from: user(name), to: [user(newName())], text: "mine" });
  const { stdout } = await server.command(["user", "export", name]);
  assert.equal(JSON.parse(stdout).text, "mine");
  const unknown = await server.command(["user", "export", "username:nobody-here"]);
  assert.equal(unknown.code, 1);
});

for (const [how, erase] of [
  ["the API", async (who) => assert.deepEqual((await backend.post(`${pathOf(user(who))}/erase`)).json, { finished: true })],
  ["the command", async (who) => {
    assert.equal((await server.command(["user", "erase-messages", `username:${who}`])).code, 2, "without --yes");
    const done = await server.command(["user", "erase-messages", `username:${who}`, "--yes"]);
    assert.equal(done.code, 0, done.stderr);
  }],
]) {
  test(`erasing by ${how} leaves no byte of the text, and everybody else's messages`, async () => {
    const { ann, bob, marks, conv, sends } = await talk();
    const reader = await Device.connect(server, bob, { acknowledges: false });
    assert.notDeepEqual(filesWith(marks.ann), []);
    await erase(ann);
    assert.deepEqual(filesWith(marks.ann), [], "in the database, its log, or anything beside them");

    // Offsets and chains stay: the other one's stream goes on without a hole, with tombstones.
    const again = await Device.connect(server, bob, { device: "other" });
    const last = await backend.sent({ msg_id: messageId(), from: user(newName()), to: [user(bob)], text: "after" });
    await again.message("after");
    assert.equal(again.resets.length, 0);
    const kinds = again.entries.all.map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === "gone").length, 30);
    assert.equal(again.texts().filter((text) => text.startsWith(marks.bob)).length, 30);
    assert.ok(last.conv !== conv);
    const history = (await backend.get(`${pathOf(user(bob))}/conversations/${conv}/history?limit=100`)).json.messages;
    assert.deepEqual(history.map(({ kind }) => kind === "gone"), history.map((_, i) => i % 2 === 1));

    // A queued repeat does not bring a message back.
    const repeat = await backend.post("/v1/app/messages", sends[0]);
    assert.deepEqual([repeat.status, repeat.json.dup], [200, true]);
    assert.deepEqual(filesWith(marks.ann), []);
    assert.deepEqual((await exportAll(ann)).lines, []);
    assert.ok((await exportAll(bob)).lines.every((line) => !JSON.stringify(line).includes(marks.ann)));

    // Nor does a callback that was still to be made tell it.
    const told = receiver.requests.all.length;
    receiver.answer = 204;
    await receiver.taken.first((json) => json.message?.text === "after", "the later callback");
    const texts = receiver.requests.all.slice(told).map(({ body }) => body);
    assert.ok(texts.every((body) => !body.includes(marks.ann)));
    receiver.answer = 500;
    await erase(ann); // once more does nothing
    await reader.drop();
  });
}
