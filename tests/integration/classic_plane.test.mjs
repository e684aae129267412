// The classic door's publish-subscribe plane over plain HTTP, as hostile clients use it: keys, channels,
// timetokens and frames that are not theirs or nobody's, and what a message is held to.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import test from "node:test";
import { assertPlaneError, assertReadable, assertRefused, encrypt, holdPoll, opened, PlainClassic, rest, startClassicVictim } from "../support/classic.mjs";
import { Device, user } from "../support/inbox.mjs";
import { newName, newPerson } from "../support/people.mjs";
import { RawConnection } from "../support/raw.mjs";
import { within } from "../support/waiting.mjs";

const server = await startClassicVictim({ settings: { "limits.max_connections_per_address": 2000 } });
const start = (stem) => PlainClassic.start(server, newName(stem));
const stranger = server.client();

/** Two who have inboxes, and the transport of one with the other. */
async function couple() {
  const [ada, grace] = await Promise.all([start("ada"), start("grace")]);
  const [adasNow, gracesNow] = [await ada.now(), await grace.now()];
  return { ada, grace, adasNow, gracesNow, transport: await ada.transport(grace.name) };
}

test("the clock ticks, for anybody", async () => {
  const answer = await stranger.get("/time/0?uuid=x");
  assertReadable(answer, 200);
  assert.match(answer.body, /^\[\d{17}\]$/);
});

test("token 0 is answered at once; the token it gives is held until there is news", async () => {
  const { ada, grace, adasNow, gracesNow, transport } = await couple();
  const waiting = grace.poll(gracesNow);
  const session = await ada.send(transport, "news");
  const { frames, timetoken } = await waiting;
  assert.deepEqual(frames.map(({ session: id, channel }) => [id, channel]), [[session, grace.profile.transportChannel]]);
  const message = opened(frames, transport.key);
  assert.deepEqual(JSON.parse(message.bd), { t: "news" });
  assert.deepEqual([message.md, message.bt, message.fu, message.fs], [1, "msg", ada.name, ada.profile.transportChannel]);
  assert.ok(BigInt(timetoken) > BigInt(gracesNow));
  // The sender's own copy, too.
  const own = await ada.poll(adasNow);
  assert.deepEqual(own.frames.map(({ session: id }) => id), [session]);
  // Asked with the old token, the same again.
  assert.deepEqual((await grace.poll(gracesNow)).frames.map(({ session: id }) => id), [session]);
});

test("a receipt crosses to the sender, and acknowledges the reader's inbox", async () => {
  const { ada, grace, adasNow, gracesNow, transport } = await couple();
  const session = await ada.send(transport, "read me");
  await grace.poll(gracesNow);
  const seen = await grace.transportById(transport.transportId);
  for (const frame of grace.frames(seen, undefined, { session, code: 2 })) await grace.published(ada.profile.transportChannel, frame);
  for (let token = adasNow; ; ) {
    const { frames, timetoken } = await ada.poll(token);
    const receipt = frames.map((frame) => ({ ...opened([frame], transport.key), id: frame.session })).find(({ md }) => md === 2);
    if (receipt) {
      assert.deepEqual([receipt.id, receipt.fu], [session, grace.name]);
      break;
    }
    token = timetoken;
  }
});

test("one mailbox: the native client reads what the classic one sent, and answers", async () => {
  const classic = await start("ada");
  const now = await classic.now();
  const native = await Device.connect(server, newName("grace"));
  const transport = await classic.transport(native.name);
  await classic.send(transport, "from the classic side");
  const entry = await native.message("from the classic side");
  assert.deepEqual(entry.from, user(classic.name));
  await native.sent({ conv: entry.conv }, "from the native side");
  for (let token = now; ; ) {
    const { frames, timetoken } = await classic.poll(token);
    const texts = frames.map((frame) => opened([frame], transport.key)).filter(({ md }) => md === 1).map(({ bd, fu }) => [fu, JSON.parse(bd).t]);
    if (texts.some(([from, text]) => from === native.name && text === "from the native side")) break;
    token = timetoken;
  }
});

test("a message of several frames arrives once it is whole; repeats change nothing", async () => {
  const { ada, grace, gracesNow, transport } = await couple();
  const long = "länge ".repeat(1_500);
  const session = crypto.randomUUID();
  const frames = ada.frames(transport, long, { session });
  assert.ok(frames.length > 5);
  const channel = grace.profile.transportChannel;
  for (const frame of [...frames.slice(1), ...frames.slice(1, 3)]) await ada.published(channel, frame);
  await ada.send(transport, "in between");
  const first = await grace.poll(gracesNow);
  assert.deepEqual(JSON.parse(opened(first.frames, transport.key).bd), { t: "in between" }, "half a message is none");
  await ada.published(channel, frames[0]);
  for (const frame of frames) await ada.published(ada.profile.transportChannel, frame);
  await ada.send(transport, "last");
  const received = [];
  for (let token = first.timetoken; !received.includes("last"); ) {
    const { frames: arrived, timetoken } = await grace.poll(token);
    for (const id of new Set(arrived.map(({ session: one }) => one))) {
      received.push(JSON.parse(opened(arrived.filter(({ session: one }) => one === id), transport.key).bd).t);
    }
    token = timetoken;
  }
  assert.deepEqual(received, [long, "last"]);
});

// Forgeries.

test("nobody speaks in another's name, or under a transport that is not theirs", async () => {
  const { ada, grace, transport } = await couple();
  const eve = await start("eve");
  await eve.now();
  const evesOwn = await eve.transport(grace.name);
  const channel = grace.profile.transportChannel;
  const attempts = {
    "another's name": eve.frames(evesOwn, "x", { members: { fu: ada.name } }),
    "another's instance": eve.frames(evesOwn, "x", { members: { fi: `${ada.instance.id}:7` } }),
    "another's device": eve.frames(evesOwn, "x", { members: { fd: ada.instance.id } }),
    "another's channel for receipts": eve.frames(evesOwn, "x", { members: { fs: ada.profile.transportChannel } }),
    "another's transport": eve.frames({ ...transport }, "x"),
    "another's transport, under the own key": eve.frames({ ...transport, key: evesOwn.key }, "x"),
  };
  for (const [what, [frame]] of Object.entries(attempts)) {
    const answer = await eve.publish(channel, frame);
    assert.ok(answer.status >= 400, `${what} was taken`);
    assertPlaneError(answer, answer.status, "Publish");
  }
  // Channels of others, and none at all.
  const [frame] = eve.frames(evesOwn, "x");
  for (const foreign of [ada.profile.transportChannel, grace.profile.broadcastChannel, eve.profile.broadcastChannel, "everybody"]) {
    const answer = await eve.publish(foreign, frame);
    assert.equal(answer.status, 403, foreign);
    assertPlaneError(answer, 403, "Publish");
  }
});

test("frames that are none are refused, and nothing of them arrives", async () => {
  const { ada, grace, gracesNow, transport } = await couple();
  const [good] = ada.frames(transport, "good");
  const parts = good.split(" ");
  const changed = (index, text) => parts.with(index, text).join(" ");
  const id = parts[1];
  const json = (object) => `10 ${id} - 0 1 ${encrypt(transport.key, JSON.stringify(object))} ${transport.transportId}`;
  const honest = { fu: ada.name, fi: `${ada.instance.id}:1`, fd: ada.instance.id, fc: "", fs: ada.profile.transportChannel };
  const frames = [
    "", " ", "10", "11 a - 0 1 AAAA t", changed(0, "9"), changed(1, ""), changed(1, "ä"), changed(1, "x".repeat(100)), changed(2, "x"), changed(3, "1"),
    changed(3, "-1"), changed(4, "0"), changed(4, "99999"), changed(5, "!!!!"), changed(5, "AAAA"), changed(5, parts[5].slice(0, -8)),
    changed(5, crypto.randomBytes(64).toString("base64")), `${good} more`, changed(6, "nothing"), parts.slice(0, 6).join(" "),
    json({}), json([]), json({ ...honest, md: 1, bt: "msg", bv: 10 }), json({ ...honest, md: 1, bt: "msg", bv: 10, bd: "no JSON" }),
    json({ ...honest, md: 9, bt: "msg", bv: 10, bd: '{"t":"x"}' }), json({ ...honest, md: 1, bt: "sdp", bv: 10, bd: '{"t":"x"}' }),
    json({ ...honest, md: 1, bt: "msg", bv: 10, bd: '{"t":"x"}', fsi: "1" }), json({ ...honest, md: 1, bt: "msg", bv: 10, bd: '{"t":"\\u0000"}' }),
    json({ ...honest, md: 1, bt: "msg", bv: 10, bd: '{"t":"\\ud800"}' }), json({ ...honest, md: "1", bt: "msg", bv: 10, bd: '{"t":"x"}' }),
  ];
  await Promise.all(
    frames.map(async (frame) => {
      const answer = await ada.publish(grace.profile.transportChannel, frame);
      assert.ok(answer.status >= 400, `${frame.slice(0, 80)} was taken: ${answer.body}`);
      assertPlaneError(answer, answer.status, "Publish");
    }),
  );
  const session = await ada.send(transport, "good");
  assert.deepEqual((await grace.poll(gracesNow)).frames.map(({ session: one }) => one), [session]);
});

test("half messages are bounded: the seventeenth set is refused, or an older one gives way, and whole ones go on", async () => {
  const { ada, grace, gracesNow, transport } = await couple();
  const long = "x".repeat(3_000);
  for (let i = 0; i < 40; ++i) {
    const [first] = ada.frames(transport, long);
    const answer = await ada.publish(grace.profile.transportChannel, first);
    if (answer.status === 200) assertReadable(answer, 200);
    else assertPlaneError(answer, answer.status, "Publish");
  }
  const session = await ada.send(transport, "whole");
  assert.deepEqual((await grace.poll(gracesNow)).frames.map(({ session: one }) => one), [session]);
});

// Keys, channels, timetokens, paths.

test("polls that nobody can obey are refused late, in words the library understands", async () => {
  const [ada, grace] = await Promise.all([start("ada"), start("grace")]);
  const now = await ada.now();
  const key = ada.keys.subscribeKey;
  const channel = encodeURIComponent(ada.channels.join(","));
  const flipped = key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");
  const statuses = {
    // Keys.
    [`/subscribe/${flipped}/${channel}/0/${now}`]: [403],
    [`/subscribe/${ada.keys.publishKey}/${channel}/0/${now}`]: [403],
    [`/subscribe/${grace.keys.subscribeKey}/${channel}/0/${now}`]: [403],
    [`/subscribe/demo/${channel}/0/${now}`]: [403],
    [`/subscribe/${"k".repeat(5_000)}/${channel}/0/${now}`]: [400, 403],
    [`/subscribe//${channel}/0/${now}`]: [400, 403],
    [`/subscribe/%00/${channel}/0/${now}`]: [400],
    // Channels.
    [`/subscribe/${key}/${grace.profile.transportChannel}/0/${now}`]: [403],
    [`/subscribe/${key}/${channel}%2C${grace.profile.broadcastChannel}/0/${now}`]: [403],
    [`/subscribe/${key}/*/0/${now}`]: [400, 403],
    [`/subscribe/${key}/t-*/0/${now}`]: [400, 403],
    [`/subscribe/${key}/t-.*/0/0`]: [400, 403],
    [`/subscribe/${key}/${ada.profile.transportChannel}-pnpres/0/0`]: [400, 403],
    [`/subscribe/${key}/%2C/0/0`]: [400],
    [`/subscribe/${key}//0/0`]: [400],
    [`/subscribe/${key}/..%2F..%2Fetc/0/0`]: [400],
    [`/subscribe/${key}/${Array.from({ length: 50 }, (_, index) => `c${index}`).join(",")}/0/0`]: [400],
    // Timetokens.
    ...Object.fromEntries(["-1", "1.5", "1e9", "0x10", "x", "%20", "00", "99999999999999999999999", `${now}%00`].map((token) => [`/subscribe/${key}/${channel}/0/${token}`, [400]])),
    // Paths.
    "/subscribe": [404], "/subscribe/": [404], [`/subscribe/${key}/${channel}/0`]: [404], [`/subscribe/${key}/${channel}/jsonp/0`]: [404],
    [`/subscribe/${key}/${channel}/0/0/more`]: [404],
    [`/subscribe/${key}/${"c".repeat(10_000)}/0/0`]: [413, 400],
  };
  await Promise.all(
    Object.entries(statuses).map(async ([path, wanted]) => {
      const answer = await stranger.get(path);
      assert.ok(wanted.includes(answer.status), `${path.slice(0, 120)} answered ${answer.status}`);
      assertPlaneError(answer, answer.status, "Subscribe");
      assert.ok(answer.ms > 5_000, `${path.slice(0, 120)} was answered after ${answer.ms} ms: its client asks again every second`);
    }),
  );
});

test("publishing, leaving and asking the time wrongly is refused within the library's patience", async () => {
  const { ada, grace, transport } = await couple();
  const [frame] = ada.frames(transport, "x");
  const message = encodeURIComponent(JSON.stringify(frame));
  const { publishKey, subscribeKey } = ada.keys;
  const channel = grace.profile.transportChannel;
  const statuses = {
    [`/publish/${subscribeKey}/${subscribeKey}/0/${channel}/0/${message}`]: [403],
    [`/publish/demo/demo/0/${channel}/0/${message}`]: [403],
    [`/publish/${publishKey}/${grace.keys.subscribeKey}/0/${channel}/0/${message}`]: [403],
    [`/publish/${publishKey}/${subscribeKey}/0/*/0/${message}`]: [400, 403],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}-pnpres/0/${message}`]: [400, 403],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}%2C${channel}/0/${message}`]: [400, 403],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/0/`]: [400, 404],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/0/%7B%7D`]: [400],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/0/%22`]: [400],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/0/%22%5Cud800%22`]: [400],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/0/%22%C3%28%22`]: [400],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/callback/${message}`]: [404],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/0/${message}/x`]: [404],
    [`/publish/${publishKey}/${subscribeKey}/0/${channel}/0/%22${"a".repeat(10_000)}%22`]: [413],
    "/publish": [404], "/time/": [404], "/time/1": [404], "/time": [404], "/v2/presence/sub_key/x/channel/y": [404],
    [`/v2/presence/sub_key/${subscribeKey}/channel/%00/leave`]: [400],
  };
  await Promise.all(
    Object.entries(statuses).map(async ([path, wanted]) => {
      const answer = await stranger.get(path);
      assert.ok(wanted.includes(answer.status), `${path.slice(0, 120)} answered ${answer.status}`);
      assertPlaneError(answer, answer.status);
      assert.ok(answer.ms < 14_000);
    }),
  );
  const left = await stranger.get(`/v2/presence/sub_key/${subscribeKey}/channel/${channel}/leave?uuid=x`);
  assertReadable(left, 200);
  assert.deepEqual(left.json, { status: 200, action: "leave", message: "OK", service: "Presence" });
});

test("a token of another life of the store, or of the future, does not keep its client from news", async () => {
  const { ada, grace, transport } = await couple();
  for (const token of ["1", "10000000000999999", "18446744073709551615"]) {
    const began = await within(grace.subscribe(token), `an answer to token ${token}`);
    assertReadable(began, 200);
    assert.match(began.json[1], /^[1-9]\d{16}$/);
    const session = await ada.send(transport, "after all");
    const { frames } = await grace.poll(began.json[1]);
    assert.ok(frames.some((frame) => frame.session === session));
  }
});

test("other methods are 405 in the same words, and preflights are answered", async () => {
  const ada = await start("ada");
  for (const path of [ada.subscribePath(0), "/time/0", "/publish/a/b/0/c/0/%22%22"]) {
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      const answer = await stranger.request(method, path, { site: null });
      assertPlaneError(answer, 405);
      assert.match(answer.headers.allow, /\bGET\b/);
    }
    const preflight = await stranger.request("OPTIONS", path, { origin: "https://elsewhere.example" });
    assert.deepEqual([preflight.status, preflight.headers["access-control-allow-origin"]], [204, "*"]);
    // A body to a plane without bodies.
    const answer = await stranger.request("POST", path, { body: "x".repeat(100), site: null });
    assert.ok([405, 413].includes(answer.status));
    assertPlaneError(answer, answer.status);
  }
});

test("a path beyond the head's limit is refused in JSON that any origin may read", async () => {
  const connection = await RawConnection.open(server);
  connection.write(`GET /publish/a/b/0/c/0/%22${"a".repeat(60_000)}%22 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const answer = await connection.answer();
  assertRefused(answer, 431, 43100);
  assert.equal(JSON.parse(answer.body).error, true);
});

// Revocation.

test("signing out ends the poll, and refuses what follows slowly; publishing too", async () => {
  const { client: person, name } = await newPerson(server);
  const client = await PlainClassic.start(server, name, { ticket: await person.ticket() });
  const grace = await start("grace");
  await grace.now();
  const now = await client.now();
  const transport = await client.transport(grace.name);
  const poll = await holdPoll(client, now);
  assert.equal((await person.signOut()).status, 303);
  assertPlaneError(await poll.answer(), 403, "Subscribe");
  const again = await client.subscribe(now);
  assertPlaneError(again, 403, "Subscribe");
  assert.ok(again.ms > 5_000, `answered after ${again.ms} ms`);
  const [frame] = client.frames(transport, "x");
  const published = await client.publish(grace.profile.transportChannel, frame);
  assertPlaneError(published, 403, "Publish");
  assert.ok(published.ms > 1_000 && published.ms < 14_000, `answered after ${published.ms} ms`);
  assertReadable(await client.request("GET", `${rest}configuration/user`), 401);
});

test("what keeps a key out of the log: addresses are named by their form", async () => {
  const client = await start("ada");
  await client.now();
  await server.logged({ event: "http_request", path: "/subscribe/{…}" });
  const said = server.output.join("\n");
  assert.ok(!said.includes(client.keys.subscribeKey) && !said.includes(client.instance.secret));
});
