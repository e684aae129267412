// Export and erasure on PostgreSQL, by command and by API, at two nodes: what is told, what goes, what
// stays, and that no row of the user is left in any table.
import assert from "node:assert/strict";
import test from "node:test";
import { Receiver, pathOf } from "../support/application.mjs";
import { Cluster } from "../support/cluster.mjs";
import { Device, messageId, user } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startPostgres } from "../support/postgres.mjs";

const receiver = await Receiver.start();
receiver.answer = 500; // so that callbacks wait
const settings = { "messages.unknown_users": "keep", "limits.messages_per_second": 10_000, ...receiver.settings };
const cluster = await Cluster.start({ postgres: await startPostgres(), settings });
const [node, other] = await cluster.nodes(2);

const rowsOf = (text) => text.split("\n").filter((line) => line !== "");
const tables = rowsOf(await cluster.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"));
const referring = rowsOf(await cluster.sql(
  "SELECT table_name || '.' || column_name FROM information_schema.columns " +
    "WHERE table_schema = 'public' AND column_name = 'inbox' ORDER BY 1",
));

/** The tables that have a row with this text in any column. */
async function tablesWith(text) {
  const asked = tables.map((name) => `SELECT '${name}' FROM "${name}" r WHERE r::text LIKE '%${text}%'`);
  return [...new Set(rowsOf(await cluster.sql(asked.join(" UNION ALL "))))].sort();
}

/** How many rows refer to the inbox of this user: {"table.column": count}, those with any. */
async function referencesTo(name) {
  const inbox = `(SELECT id FROM inboxes WHERE endpoint = '${name}')`;
  const asked = referring.map((where) => {
    const [table, column] = where.split(".");
    return `SELECT '${where}', count(*) FROM ${table} WHERE ${column} = ${inbox} HAVING count(*) > 0`;
  });
  const rows = rowsOf(await cluster.sql(asked.join(" UNION ALL "))).map((row) => row.split("|"));
  return Object.fromEntries(rows.map(([where, count]) => [where, Number(count)]));
}

/** Two who write to each other; the first has a group too, was in another, and blocks somebody. */
async function talk(rounds = 10) {
  const [ann, bob, cyd] = ["ann", "bob", "cyd"].map(newName);
  const marks = { ann: `SECRET-OF-${ann}`, bob: `WORD-OF-${bob}` };
  const device = await Device.connect(node, ann);
  const friend = await Device.connect(other, bob, { acknowledges: false }); // another device begins where the first stands
  let conv;
  const sends = [];
  for (let i = 0; i < rounds; ++i) {
    const mine = { msg_id: messageId(), from: user(ann), to: [user(bob)], text: `${marks.ann} ${i}`, headers: { h: `${marks.ann}-header` } };
    sends.push(mine);
    conv = (await node.backend.sent(mine)).conv;
    await other.backend.sent({ msg_id: messageId(), from: user(bob), to: [user(ann)], text: `${marks.bob} ${i}` });
  }
  const group = async (who, body) => {
    const reply = await who.gateway.command("group", { msg_id: messageId(), ...body });
    assert.ok(reply.group, JSON.stringify(reply));
    return reply.group;
  };
  const own = await group(device, { action: "create", name: "Ours", users: [user(bob)] });
  await device.sent({ conv: own.conv }, `${marks.ann} in the group`);
  const left = await group(friend, { action: "create", name: "Theirs", users: [user(ann)] });
  await device.entries.first((entry) => entry.conv === left.conv, "the other group");
  await device.sent({ conv: left.conv }, `${marks.ann} in the other group`);
  for (const [who, action] of [[device, "leave"], [friend, "add"], [device, "leave"]]) {
    await group(who, { conv: left.conv, action, ...(action === "add" ? { users: [user(ann)] } : {}) });
  }
  assert.ok((await device.gateway.command("block", { user: user(cyd) })).block);
  await device.drop();
  await friend.drop();
  return { ann, bob, marks, conv, groups: [own.conv, left.conv], sends, rounds };
}

const lines = (text) => text.split("\n").slice(0, -1).map((line) => JSON.parse(line));

/** All pages of an export by the API of a node. */
async function exportAll(at, who, query = "") {
  const all = [];
  let pages = 0;
  for (let target = `${pathOf(user(who))}/export${query}`; target; ++pages) {
    const answer = await at.backend.get(target);
    assert.equal(answer.status, 200, answer.body);
    all.push(...lines(answer.body));
    target = /^<([^>]+)>; rel="next"$/.exec(answer.headers.link ?? "")?.[1];
  }
  return { all, pages };
}

test("an export is whole, in order, and the same by both nodes, by pages and by command", async () => {
  const { ann, bob, marks, conv, groups, rounds } = await talk();
  const whole = await exportAll(node, ann);
  assert.equal(whole.pages, 1);
  const direct = whole.all.filter((line) => line.conv === conv);
  assert.deepEqual(direct.map(({ seq }) => seq), Array.from({ length: 2 * rounds }, (_, i) => i + 1));
  assert.deepEqual(
    direct.map(({ text }) => text),
    Array.from({ length: rounds }, (_, i) => [`${marks.ann} ${i}`, `${marks.bob} ${i}`]).flat(),
  );
  for (const line of whole.all) assert.ok(line.time && line.msg_id && line.from);
  const inGroups = whole.all.filter(({ text }) => text?.startsWith(marks.ann) && !text.match(/ \d+$/));
  assert.deepEqual(inGroups.map((line) => line.conv).sort(), [...groups].sort(), "of the group that was left too");
  assert.deepEqual((await exportAll(other, ann)).all, whole.all);
  const paged = await exportAll(other, ann, "?limit=7");
  assert.equal(paged.pages, Math.ceil(whole.all.length / 7));
  assert.deepEqual(paged.all, whole.all);
  assert.deepEqual(lines(await cluster.command(node, ["user", "export", `username:${ann}`])), whole.all);
  assert.deepEqual((await exportAll(node, bob)).all.filter((line) => line.conv === conv), direct);
  assert.equal((await node.backend.get(`${pathOf(user(newName()))}/export`)).status, 404);
});

for (const [how, erase] of [
  ["the API", async (who) => assert.deepEqual((await node.backend.post(`${pathOf(user(who))}/erase`)).json, { finished: true })],
  ["the command", async (who) => {
    assert.equal(await cluster.command(other, ["user", "erase-messages", `username:${who}`, "--yes"]), `erased the messages of username:${who}\n`);
  }],
]) {
  test(`erasing by ${how} leaves no row of the user's, and everybody else's messages`, async () => {
    const { ann, bob, marks, conv, groups, sends, rounds } = await talk();
    const reader = await Device.connect(other, bob, { acknowledges: false });
    assert.deepEqual(await tablesWith(marks.ann), ["messages"]);
    const before = await referencesTo(ann);
    for (const table of ["blocks", "conversation_members", "inbox_entries", "message_devices", "past_memberships", "sender_shares"]) {
      assert.ok(before[`${table}.inbox`] > 0, `there is something in ${table} to erase`);
    }
    const waiting = async () => Number(await cluster.sql(`SELECT count(*) FROM callbacks WHERE endpoint = '${ann}'`));
    assert.ok((await waiting()) > 0, "callbacks wait");

    await erase(ann);
    assert.deepEqual(await tablesWith(marks.ann), []);
    assert.deepEqual(await referencesTo(ann), {});
    assert.equal(await waiting(), 0);
    // Their name stands at the head of their stream, in their instances, which a sign-out ends, and in
    // what others have said of the groups.
    assert.deepEqual(await tablesWith(ann), ["inboxes", "instances", "messages"]);
    const sayers = `SELECT DISTINCT i.endpoint FROM messages m JOIN inboxes i ON i.id = m.sender WHERE m.body LIKE '%${ann}%'`;
    assert.equal(await cluster.sql(sayers), bob);
    // What is left are the places of what was sent, and the digests by which a repeat is known.
    const left = await cluster.sql(
      "SELECT count(*), count(*) FILTER (WHERE NOT gone OR body <> '' OR device <> '') " +
        `FROM messages WHERE sender = (SELECT id FROM inboxes WHERE endpoint = '${ann}')`,
    );
    assert.equal(left, `${rounds + 5}|0`, "their messages, and what they did with groups");
    const heads = await cluster.sql(`SELECT erased, signed_in, bytes, top - floor, blocking FROM inboxes WHERE endpoint = '${ann}'`);
    assert.equal(heads, "t|f|0|0|0");

    // Offsets and chains stay: the other one's stream goes on without a hole, with tombstones.
    const again = await Device.connect(node, bob, { device: "other" });
    const last = await node.backend.sent({ msg_id: messageId(), from: user(newName()), to: [user(bob)], text: "after" });
    await again.message("after");
    assert.equal(again.resets.length, 0);
    assert.equal(again.entries.all.filter(({ kind, conv: of }) => kind === "gone" && of === conv).length, rounds);
    assert.equal(again.texts().filter((text) => text.startsWith(marks.bob)).length, rounds);
    assert.notEqual(last.conv, conv);
    const page = await other.backend.get(`${pathOf(user(bob))}/conversations/${conv}/history?limit=100`);
    assert.deepEqual(page.json.messages.map(({ kind }) => kind === "gone"), page.json.messages.map((_, i) => i % 2 === 1));
    for (const group of groups) {
      const { members } = (await again.gateway.command("members", { conv: group })).members;
      assert.deepEqual(members.map((member) => member.user), [user(bob)]);
    }

    // A queued repeat does not bring a message back, at either node.
    for (const at of [node, other]) {
      const repeat = await at.backend.post("/v1/app/messages", sends[0]);
      assert.deepEqual([repeat.status, repeat.json.dup], [200, true]);
    }
    assert.deepEqual(await tablesWith(marks.ann), []);
    assert.deepEqual((await exportAll(other, ann)).all, []);
    assert.ok((await exportAll(node, bob)).all.every((line) => !JSON.stringify(line).includes(marks.ann)));
    await erase(ann); // once more does nothing
    assert.deepEqual(await referencesTo(ann), {});
    await reader.drop();
  });
}
