// The SDK's message client in real pages: what IndexedDB, Web Locks and real reloads make of its promises.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { Visitor, signUpThroughPage } from "./support/browser.mjs";

const server = await startServer();

/** A signed-in person at a page with a message client, which keeps what it hears in `window.heard`. */
async function newChatter(at = server) {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  const person = { name: newName(), password: newPassword() };
  await signUpThroughPage(page, at, person);
  return { visitor, name: person.name, page: await withClient(page, at) };
}

async function anotherTab({ visitor }) {
  return withClient(await visitor.newTab());
}

/** Loads a page of the server and starts a client in it, as it was before a reload. */
async function withClient(page, at = server) {
  await page.goto(`${at.url}/users/account`);
  await page.evaluate(async () => {
    const { Client } = await import("/sdk/countersign.mjs");
    const getTicket = async () => (await fetch("/v1/tickets", { method: "POST" })).json();
    const client = new Client(undefined, { capabilities: ["messaging"], getTicket });
    Object.assign(window, { client, heard: [], resets: [], sent: [] });
    client.messages.on("message", ({ text, redelivered }) => {
      window.heard.push(redelivered ? `${text} (again)` : text);
    });
    client.messages.on("reset", ({ reason }) => void window.resets.push(reason));
    client.messages.on("sent", ({ text }) => void window.sent.push(text));
    await client.connect();
  });
  return page;
}

const heard = (page) => page.evaluate(() => window.heard);

function hears(page, texts) {
  return page.waitForFunction((wanted) => JSON.stringify(window.heard) === JSON.stringify(wanted), texts);
}

function send(page, to, text) {
  return page.evaluate(([user, said]) => {
    window.last = window.client.messages.conversation(user).send(said).message;
  }, [to, text]);
}

function state(page, wanted) {
  return page.waitForFunction((expected) => window.last.state === expected, wanted);
}

/** Keys of what the SDK keeps in this browser. */
function kept(page) {
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        const opening = indexedDB.open("countersign", 1);
        opening.onsuccess = () => {
          const asking = opening.result.transaction("records").objectStore("records").getAllKeys();
          asking.onsuccess = () => resolve(asking.result);
        };
      }),
  );
}

test("a message is accepted, delivered and read", async () => {
  const alice = await newChatter();
  const bob = await newChatter();
  await send(alice.page, bob.name, "hello");
  await hears(bob.page, ["hello"]);
  await state(alice.page, "delivered");
  await bob.page.evaluate((name) => window.client.messages.conversation(name).markRead(1), alice.name);
  await state(alice.page, "read");
  assert.equal(await alice.page.evaluate(() => window.client.unsentCount), 0);
  await alice.visitor.close();
  await bob.visitor.close();
});

test("a server that is killed loses nothing and doubles nothing, any number of times, in both directions", async () => {
  const own = await startServer();
  const alice = await newChatter(own);
  const bob = await newChatter(own);
  for (const { visitor } of [alice, bob]) visitor.expected.push(/WebSocket|ERR_CONNECTION/);
  const rounds = [];
  for (let round = 1; round <= 4; ++round) {
    rounds.push(round);
    await own.kill();
    await send(alice.page, bob.name, `to Bob ${round}`);
    await send(bob.page, alice.name, `to Alice ${round}`);
    await own.restart();
    await hears(bob.page, rounds.map((number) => `to Bob ${number}`));
    await hears(alice.page, rounds.map((number) => `to Alice ${number}`));
  }
  assert.deepEqual(await bob.page.evaluate(() => window.resets), []);
  await alice.visitor.close();
  await bob.visitor.close();
});

test("a page that dies in its listener gets the message again, marked; one that noted it does not", async () => {
  const alice = await newChatter();
  const bob = await newChatter();
  await bob.page.evaluate(() => window.client.messages.on("message", () => new Promise(() => {})));
  await send(alice.page, bob.name, "one");
  await hears(bob.page, ["one"]);
  await withClient(bob.page);
  await hears(bob.page, ["one (again)"]);
  await state(alice.page, "delivered");
  await withClient(bob.page);
  await send(alice.page, bob.name, "two");
  await hears(bob.page, ["two"]);
  await alice.visitor.close();
  await bob.visitor.close();
});

test("unsent messages survive a reload; one tab sends for all; signing out asks first and leaves nothing", async () => {
  const alice = await newChatter();
  const bob = await newChatter();
  const second = await anotherTab(alice);
  await alice.page.evaluate(() => window.client.disconnect());
  await second.evaluate(() => window.client.disconnect());
  await send(alice.page, bob.name, "written offline");
  await alice.page.waitForFunction(() => window.client.unsentCount === 1);
  await second.waitForFunction(() => window.client.unsentCount === 1);
  const refused = await second.evaluate(() => window.client.signOut().then(() => null, ({ code }) => code));
  assert.equal(refused, 910);
  await withClient(alice.page);
  await hears(bob.page, ["written offline"]);
  await second.evaluate(() => window.client.connect());
  await send(second, bob.name, "of the second tab");
  await state(second, "delivered");
  assert.deepEqual(await heard(bob.page), ["written offline", "of the second tab"]);
  await alice.page.waitForFunction(() => window.sent.includes("of the second tab"));
  await second.waitForFunction(() => window.sent.includes("of the second tab"));
  await second.evaluate(() => window.client.signOut());
  assert.deepEqual(await kept(second), []);
  await alice.visitor.close();
  await bob.visitor.close();
});
