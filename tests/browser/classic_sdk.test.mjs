// The real classic SDK, unmodified, in Chromium, against a server on another origin with a certificate that the
// browser trusts: preflights, six connections to a host, local storage that tabs share.
import assert from "node:assert/strict";
import test from "node:test";
import { devCertificate, startClassicServer, startedClient } from "../classic/support/client.mjs";
import { versions } from "../classic/support/package.mjs";
import { ClassicPage, openClassicVisitor, publicTimeService } from "../classic/support/page.mjs";
import { Device, ticketFor } from "../support/inbox.mjs";
import { newName, newPassword } from "../support/people.mjs";
import { freePort } from "../support/server.mjs";
import { mint } from "../support/tickets.mjs";
import { within } from "../support/waiting.mjs";
import { trustAuthority } from "./support/browser.mjs";

await trustAuthority((await devCertificate()).authority);
const server = await startClassicServer();

/** Started pages of people with names of their own, each in a browser of their own. */
async function people(...stems) {
  return Promise.all(
    stems.map(async (stem) => {
      const visitor = await openClassicVisitor();
      const name = newName(stem);
      const page = await (await ClassicPage.open(visitor, server)).startAs(name);
      return { visitor, page, name, close: () => visitor.close() };
    }),
  );
}

const closeAll = (...all) => Promise.all(all.map((each) => each.close()));

for (const version of Object.keys(versions)) {
  test(`${version}: starts with a ticket; a text each way with receipts`, async () => {
    const [one, other] = await Promise.all([openClassicVisitor(), openClassicVisitor()]);
    const [alice, bob] = [newName("alice"), newName("bob")];
    const first = await (await ClassicPage.open(one, server, { version })).startAs(alice);
    const second = await (await ClassicPage.open(other, server, { version })).startAs(bob);
    const sent = await first.send(bob, "hello from a page");
    assert.ok(sent.id, sent.error);
    const heard = await second.message("hello from a page");
    assert.equal(heard.from, alice);
    await first.receipt(sent.id, bob);
    await first.ownCopy("hello from a page");
    const answer = await second.send(alice, "Grüße, 漢字 😀");
    await first.message("Grüße, 漢字 😀");
    await second.receipt(answer.id, alice);
    await closeAll(one, other);
  });
}

test("with an account: newUser, then user name and password; a wrong password shows the SDK's error", async () => {
  const visitor = await openClassicVisitor();
  visitor.expect(/status of 401/);
  const page = await ClassicPage.open(visitor, server);
  const [username, password] = [newName("grace"), newPassword()];
  const created = await page.tab.evaluate(
    (person) => new Promise((resolve) => client.newUser(person, (answer) => answer, () => {}).then((answer) => resolve(answer.user.identities), (error) => resolve(error.message))),
    { username, password },
  );
  assert.deepEqual(created, [{ type: "username", endpoint: username }]);
  assert.match(await page.start({ username, password: newPassword() }), /^401\d\d \S/);
  assert.equal(await page.start({ username, password }), undefined);
  await page.plantSession();
  await visitor.close();
});

test("with a saved session; stale and forged ones show the SDK's error and never hang", async () => {
  const [alice] = await people("alice");
  const saved = await alice.page.session();
  const again = await ClassicPage.open(alice.visitor, server);
  assert.equal(await again.start(saved), undefined);
  alice.visitor.expect(/status of 401/);
  const application = { key: server.applicationKey, secret: server.applicationSecret };
  const stale = mint({ ...application, username: alice.name, created: new Date(Date.now() - 3 * 86400_000) });
  const forged = mint({ ...application, secret: Buffer.alloc(16, 1).toString("base64"), username: alice.name });
  const bent = `${saved.sessionSecret.startsWith("A") ? "B" : "A"}${saved.sessionSecret.slice(1)}`;
  for (const credential of [{ userTicket: stale }, { userTicket: forged }, { ...saved, sessionSecret: bent }, { ...saved, sessionId: "gone" }]) {
    const page = await ClassicPage.open(alice.visitor, server);
    assert.match(await page.start(credential), /^401\d\d \S/);
  }
  await alice.close();
});

test("long texts and several people; somebody unknown is reported as such", async () => {
  const [alice, bob, carol] = await people("alice", "bob", "carol");
  const long = "long 漢字 ".repeat(1_500);
  const sent = await alice.page.send([bob.name, carol.name], long);
  assert.ok(sent.id, sent.error);
  for (const each of [bob, carol]) {
    assert.deepEqual((await each.page.message(long)).to, [alice.name, bob.name, carol.name].sort());
    await alice.page.receipt(sent.id, each.name);
  }
  assert.match((await alice.page.send(newName("nobody"), "hello?")).error, /User does not exist/);
  await closeAll(alice, bob, carol);
});

test("two tabs of one user share the instance, renew it, and both hear", async () => {
  const [alice, bob] = await people("alice", "bob");
  const second = await ClassicPage.open(alice.visitor, server);
  const renewed = second.tab.waitForResponse((response) => response.request().method() === "PUT" && /authorization$/.test(response.url()));
  await second.startAs(alice.name);
  assert.equal((await renewed).status(), 200);
  const sent = await bob.page.send(alice.name, "to both tabs");
  await Promise.all([alice.page.message("to both tabs"), second.message("to both tabs")]);
  await bob.page.receipt(sent.id, alice.name);
  await alice.page.send(bob.name, "from the first");
  await bob.page.message("from the first");
  await second.ownCopy("from the first");
  await second.send(bob.name, "from the second");
  await bob.page.message("from the second");
  await closeAll(alice, bob);
});

test("an instance that was ended is made anew: the SDK forgets it on 40400", async () => {
  const [alice] = await people("alice");
  alice.visitor.expect(/status of 404/);
  await alice.page.tab.evaluate(() => {
    for (const key of Object.keys(localStorage)) if (key.startsWith("SinchSDK-")) localStorage[key] = "00a3ffb1-0808-4dd4-9c7d-e4383d82e445";
  });
  const again = await ClassicPage.open(alice.visitor, server);
  await again.startAs(alice.name);
  assert.notEqual((await again.session()).sessionId, "00a3ffb1-0808-4dd4-9c7d-e4383d82e445");
  await alice.close();
});

test("terminate leaves; a reload starts again and brings what was missed", async () => {
  const [alice, bob] = await people("alice", "bob");
  const left = alice.page.tab.waitForResponse((response) => /\/leave\?/.test(response.url()));
  await alice.page.tab.evaluate("client.terminate()");
  assert.equal((await (await left).json()).action, "leave");
  await bob.page.send(alice.name, "while you were gone");
  await alice.page.tab.reload();
  await alice.page.makeClient();
  await alice.page.startAs(alice.name);
  await alice.page.message("while you were gone");
  await closeAll(alice, bob);
});

test("a page and a classic client in Node, and the native SDK's protocol, in one conversation", async () => {
  const [alice] = await people("alice");
  const node = await startedClient(server, newName("node"));
  const native = await Device.connect(server, newName("native"));
  const sent = await alice.page.send([node.session.userId, native.name], "to all kinds");
  await Promise.all([node.message("to all kinds"), native.message("to all kinds")]);
  for (const name of [node.session.userId, native.name]) await alice.page.receipt(sent.id, name);
  await native.sent(alice.name, "from the native one");
  await alice.page.message("from the native one");
  node.close();
  await alice.close();
});

test("seven tabs of one browser: none starves, though a browser opens six connections to a host", async () => {
  const ports = [await freePort(), await freePort()];
  const roomy = await startClassicServer({ settings: { "compat.sinch_hosts": ports.map((port) => `:${port}`).join(",") } });
  roomy.classicHosts = ports.map((port) => `localhost:${port}`);
  const visitor = await openClassicVisitor();
  const bob = await startedClient(roomy, newName("bob"));
  const name = newName("alice");
  const tabs = [];
  for (let number = 1; number <= 7; ++number) tabs.push(await (await ClassicPage.open(visitor, roomy, { connect: roomy.classicHosts.map((host) => `https://${host}`) })).startAs(name));
  await bob.send(name, "to all seven");
  await Promise.all(tabs.map((tab) => tab.message("to all seven")));
  const sent = await tabs[6].send(bob.session.userId, "from the seventh");
  assert.ok(sent.id, sent.error);
  await bob.message("from the seventh");
  bob.close();
  await visitor.close();
});

test("the server dies and comes back while pages poll and send: they go on by themselves", { timeout: 120_000 }, async () => {
  const mortal = await startClassicServer();
  const visitors = await Promise.all([openClassicVisitor(), openClassicVisitor()]);
  for (const visitor of visitors) visitor.expect(/ERR_CONNECTION_REFUSED|ERR_FAILED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_CONNECTION_CLOSED|PubNub|MXPError|object/);
  const [alice, bob] = [newName("alice"), newName("bob")];
  const first = await (await ClassicPage.open(visitors[0], mortal)).startAs(alice);
  const second = await (await ClassicPage.open(visitors[1], mortal)).startAs(bob);
  await first.send(bob, "before");
  await second.message("before");
  await mortal.kill();
  await mortal.restart();
  const sent = await first.send(bob, "after");
  assert.ok(sent.id, sent.error);
  await second.message("after", { ms: 60_000 });
  await first.receipt(sent.id, bob, { ms: 60_000 });
  assert.equal(second.messages.all.filter(({ text }) => text === "before").length, 1);
  await closeAll(...visitors);
});

/** A page that may call and write, and a stream for its calls: there is no microphone here. */
async function callingPage(visitor, version) {
  const config = { capabilities: { messaging: true, calling: true, multiCall: true } };
  const page = await ClassicPage.open(visitor, server, { version, config });
  await page.startAs(newName("alice"));
  await page.tab.evaluate(() => {
    globalThis.audio = new AudioContext().createMediaStreamDestination().stream;
    client.getCallClient().localMediaStream = audio;
  });
  return page;
}

const calls = [
  ["callUser", "FAILURE"],
  ["callPhoneNumber", "FAILURE", "+15005550001"],
  ["callConference", "FAILURE", "a-conference"],
  ["callSip", "FAILURE", "nobody@example.org"],
  // In browsers this SDK fails before it asks anybody (it adds a stream that there is not), and its clock ends the call.
  ["connect", "TIMEOUT"],
];

for (const version of ["1.4.12", "1.4.11"]) {
  test(`${version}: every kind of call is refused, ends as the SDK ends calls that fail, and messages go on`, { timeout: 120_000 }, async () => {
    const visitor = await openClassicVisitor({ permissions: ["microphone"] });
    visitor.expect(/./); // the SDK is loud about calls
    const page = await callingPage(visitor, version);
    const bob = await startedClient(server, newName("bob"));
    for (const [kind, cause, callee = bob.session.userId] of calls) {
      const placed = page.tab.evaluate(
        ([method, to]) =>
          new Promise((resolve) => {
            const more = method === "connect" ? [{}] : [{}, audio];
            const call = client.getCallClient()[method](to, ...more);
            call.addEventListener({ onCallEnded: () => resolve(call.getEndCause()) });
          }),
        [kind, callee],
      );
      assert.equal(await within(placed, `the end of ${kind}()`, 30_000), cause, kind);
      const sent = await page.send(bob.session.userId, `after ${kind}`);
      assert.ok(sent.id, sent.error);
      await bob.message(`after ${kind}`);
      await page.receipt(sent.id, bob.session.userId);
    }
    bob.close();
    await visitor.close();
  });
}

test("callGroup: the group stays empty, can be left and called again, and messages go on", async () => {
  const visitor = await openClassicVisitor({ permissions: ["microphone"] });
  visitor.expect(/./);
  const page = await callingPage(visitor);
  const bob = await startedClient(server, newName("bob"));
  for (const name of ["a-group", "another~group.2", "a-group"]) {
    const asked = page.tab.waitForResponse((response) => /\/publish\//.test(response.url()));
    await page.tab.evaluate((group) => {
      globalThis.group = client.getCallClient().callGroup(group);
      globalThis.remote = 0;
      globalThis.group.addEventListener({ onGroupRemoteCallAdded: () => ++globalThis.remote });
    }, name);
    assert.equal(typeof (await (await asked).json()), "object", name);
    const sent = await page.send(bob.session.userId, `in ${name}`);
    assert.ok(sent.id, sent.error);
    await bob.message(`in ${name}`);
    await bob.send(page.name, `to ${name}`);
    await page.message(`to ${name}`);
    assert.equal(await page.tab.evaluate("group.hangupGroup(), remote"), 0);
  }
  bob.close();
  await visitor.close();
});

test("a page that is signed out by the operator is slowed, not spun, and may read why", { timeout: 60_000 }, async () => {
  const visitor = await openClassicVisitor();
  visitor.expect(/status of 40[13]/);
  const page = await ClassicPage.open(visitor, server);
  const person = { username: newName("alice"), password: newPassword() };
  await page.tab.evaluate((each) => new Promise((resolve) => client.newUser(each, (answer) => answer, () => {}).then(() => resolve(), (error) => resolve(error.message))), person);
  assert.equal(await page.start(person), undefined);
  await page.plantSession();
  const said = [];
  page.tab.on("console", (line) => said.push(line.text()));
  const ended = page.tab.waitForResponse((response) => /\/subscribe\//.test(response.url()) && response.status() === 403);
  assert.equal((await server.command(["user", "sign-out", person.username])).code, 0);
  assert.equal((await (await ended).json()).error, true);
  let asked = 0;
  let failed = 0;
  page.tab.on("request", () => ++asked);
  page.tab.on("requestfailed", () => ++failed);
  // Ten seconds of the page's own clock: what it asks meanwhile is what a revoked page costs.
  await page.tab.evaluate(() => new Promise((resolve) => setTimeout(resolve, 10_000)));
  assert.ok(asked <= 10, `${asked} requests in ten seconds`);
  assert.equal(failed, 0);
  assert.deepEqual(said.filter((text) => /CORS|Access-Control|blocked/i.test(text) && !publicTimeService.test(text)), []);
  assert.match(String((await page.send(newName("bob"), "from the dead")).error), /\S/);
  await visitor.close();
});
