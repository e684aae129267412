// Row 12 of what people complain of (docs/reference/protocol.md): a page that comes back from the browser's
// back/forward cache, with everything it had in memory, is dead. `pageshow` tells whether it came from there.
import assert from "node:assert/strict";
import test from "node:test";
import { Device } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { eventually } from "../support/waiting.mjs";
import { storedSession } from "./support/browser.mjs";
import { newChatter, newPair } from "./support/chat.mjs";
import { startSite } from "./support/site.mjs";

/** Somebody else's page with the SDK, which may be kept by the browser as most pages may. */
const shop = () => `<!doctype html><title>Shop</title><a href="/elsewhere">Elsewhere</a>
  <script type="module">
    import { Client } from "${server.url}/sdk/countersign.mjs";
    const getTicket = async () =>
      (await fetch("${server.url}/v1/tickets", {
        method: "POST", credentials: "include", headers: { "content-type": "application/json" }, body: "{}",
      })).json();
    const client = new Client("${server.url}", { capabilities: ["messaging"], getTicket });
    Object.assign(window, { client, heard: [] });
    client.messages.on("message", ({ text, redelivered }) => void heard.push(redelivered ? text + " (again)" : text));
    client.connect();
  </script>`;
const site = await startSite((path) => (path === "/" ? shop() : path === "/elsewhere" ? "<h1>Elsewhere</h1>" : undefined));
const server = await startServer({ settings: { "server.allowed_origins": site.origin } });

async function connections(count) {
  const open = async () => Number(/^countersign_gateway_connections (\d+)/m.exec(await server.metrics())[1]);
  await eventually(open, (now) => now === count, `${count} connections`);
}

/** Notes in `window.shows` how the page was shown: false when it was loaded, true when it came from the cache. */
function noteShows(page) {
  return page.addInitScript(() => {
    window.shows = [];
    addEventListener("pageshow", ({ persisted }) => window.shows.push(persisted));
  });
}

/**
 * Our own pages forbid the browser to keep them; in this tab it hears nothing of that. The answer still comes from
 * the server: only its header is left out.
 */
async function letKeep(page) {
  const control = await page.context().newCDPSession(page);
  control.on("Fetch.requestPaused", ({ requestId, responseStatusCode, responseHeaders }) => {
    const kept = responseHeaders.filter(({ name }) => name.toLowerCase() !== "cache-control");
    control.send("Fetch.continueResponse", { requestId, responseCode: responseStatusCode, responseHeaders: kept });
  });
  await control.send("Fetch.enable", { patterns: [{ urlPattern: `${server.url}/chat*`, requestStage: "Response" }] });
}

/**
 * Goes so many steps through the history to another page; one from the cache does not load, so there is no load to
 * wait for. @return how it was shown.
 */
async function travel(page, steps, isThere) {
  await page.evaluate((count) => history.go(count), steps);
  await page.waitForURL(isThere, { waitUntil: "commit" });
  await page.waitForFunction(() => window.shows.length > 0);
  return page.evaluate(() => window.shows.at(-1));
}
const atChat = ({ pathname, search }) => pathname === "/chat" && search === "";
const atNextChat = ({ pathname, search }) => pathname === "/chat" && search === "?next";

async function leave(page) {
  await page.getByRole("link", { name: "Account", exact: true }).click();
  await page.waitForURL("**/users/account");
}

test("row 12, the chat page is not kept by the browser: what comes back is loaded, and has what came meanwhile", async () => {
  const { alice, bob, close } = await newPair(server);
  await noteShows(alice.page);
  for (let round = 0; round < 2; ++round) {
    await leave(alice.page);
    await bob.tab.write(`while away ${round}`);
    await bob.tab.state(`while away ${round}`, "accepted");
    assert.equal(await travel(alice.page, -1, atChat), false);
    await alice.tab.live();
    await alice.tab.see(`while away ${round}`);
    await bob.tab.state(`while away ${round}`, "read");
  }
  await alice.tab.write("alive");
  await bob.tab.see("alive");
  await close();
});

test("row 12, the chat page where the browser keeps it: no connection in the cache, and alive out of it", async () => {
  const { alice, bob, close } = await newPair(server);
  await noteShows(alice.page);
  await letKeep(alice.page);
  await alice.page.reload();
  await alice.tab.live();
  const { device, instance } = await storedSession(alice.page);
  for (let round = 0; round < 3; ++round) {
    await connections(2);
    await leave(alice.page);
    await connections(1);
    await bob.tab.write(`while away ${round}`);
    await bob.tab.state(`while away ${round}`, "accepted");
    assert.equal(await travel(alice.page, -1, atChat), true, "the page came from the cache");
    await alice.tab.live();
    await alice.tab.see(`while away ${round}`);
    await bob.tab.state(`while away ${round}`, "read");
    await alice.tab.write(`alive ${round}`);
    await alice.tab.state(`alive ${round}`, "read");
  }
  const expected = ["first", ...[0, 1, 2].flatMap((round) => [`while away ${round}`, `alive ${round}`])];
  assert.deepEqual(await alice.tab.texts(), expected);
  assert.deepEqual(await bob.tab.texts(), expected);
  const after = await storedSession(alice.page);
  assert.deepEqual([after.device, after.instance], [device, instance]);
  await close();
});

test("row 12, a page in the cache does not hold up the next one of its tab: one device, in turn", async () => {
  const { alice, bob, close } = await newPair(server);
  await noteShows(alice.page);
  await letKeep(alice.page);
  await alice.page.reload();
  await alice.tab.live();
  const { device } = await storedSession(alice.page);
  await alice.page.goto(`${server.url}/chat?next`);
  await alice.tab.live();
  assert.equal((await storedSession(alice.page)).device, device);
  await bob.tab.write("to the next page");
  await bob.tab.state("to the next page", "delivered");
  assert.equal(await travel(alice.page, -1, atChat), true, "the page came from the cache");
  await alice.tab.live();
  await alice.tab.see("to the next page");
  await bob.tab.state("to the next page", "read");
  assert.equal((await storedSession(alice.page)).device, device);
  // From here on either way is right: Chromium drops a page from its cache that another one tells something, as
  // pages of one origin do of what they send, or whose lock another one asks for.
  await travel(alice.page, 1, atNextChat);
  await alice.tab.live();
  await alice.tab.open(bob.name);
  await alice.tab.write("from the next page");
  await alice.tab.state("from the next page", "read");
  await travel(alice.page, -2, atChat);
  await alice.tab.live();
  await alice.tab.see("from the next page");
  await alice.tab.write("from the page before");
  await alice.tab.state("from the page before", "read");
  assert.equal((await storedSession(alice.page)).device, device);
  const expected = ["first", "to the next page", "from the next page", "from the page before"];
  assert.deepEqual(await alice.tab.texts(), expected);
  assert.deepEqual(await bob.tab.texts(), expected);
  await close();
});

test("row 12, a page of another site with the SDK: from the cache, alive, and each message heard once", async () => {
  const { visitor, page, name } = await newChatter(server);
  const friend = await Device.connect(server, newName("friend"));
  await noteShows(page);
  await page.goto(site.origin);
  await page.waitForFunction(() => window.client?.state === "connected");
  const before = await page.evaluate(() => window.client.getSession().instance);
  const expected = [];
  for (let round = 0; round < 3; ++round) {
    await connections(2);
    await page.getByRole("link", { name: "Elsewhere" }).click();
    await page.waitForURL("**/elsewhere");
    await connections(1);
    for (let number = 0; number < 3; ++number) {
      expected.push(`while away ${round}, ${number}`);
      await friend.sent(name, expected.at(-1));
    }
    assert.equal(await travel(page, -1, ({ pathname }) => pathname === "/"), true, "the page came from the cache");
    await page.waitForFunction((wanted) => window.heard.length >= wanted, expected.length);
    await page.evaluate(async ([to, text]) => {
      await window.client.messages.conversation(to).send(text);
    }, [friend.name, `alive ${round}`]);
    await friend.message(`alive ${round}`);
  }
  assert.deepEqual(await page.evaluate(() => window.heard), expected);
  assert.equal(await page.evaluate(() => window.client.getSession().instance), before);
  friend.gateway.close();
  await visitor.close();
});
