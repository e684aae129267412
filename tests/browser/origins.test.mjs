// Other people's pages in the same browser: what they may do with the cookies it sends by itself.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword } from "../support/people.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { Visitor, clientStarted, signUpThroughPage } from "./support/browser.mjs";
import { startSite } from "./support/site.mjs";

let server;
const form = (action, fields) =>
  `<form method="post" action="${server.url}${action}">${Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`)
    .join("")}<button>Win a prize</button></form>`;

const attackers = { name: newName("mallory"), password: newPassword().replaceAll(" ", "-") };
const pages = {
  "/": () => "<h1>A page</h1>",
  "/sign-out": () => form("/users/sign_out", { _method: "delete" }),
  "/sign-out-everywhere": () => form("/users/sign_out_everywhere", {}),
  "/sign-in": () => form("/users/sign_in", { username: attackers.name, password: attackers.password }),
  "/frame": () => `<iframe src="${server.url}/users/sign_in"></iframe>`,
};
const listed = await startSite((path) => pages[path]?.());
const foreign = await startSite((path) => pages[path]?.());
server = await startServer({ settings: { "server.allowed_origins": listed.origin } });
await server.client().signUp(attackers.name, attackers.password);

async function signedIn() {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  const name = newName();
  await signUpThroughPage(page, server, { name, password: newPassword() });
  await clientStarted(page);
  return { visitor, page, name };
}

/** Asks for a ticket from the page, with the person's cookie. */
function askForTicket(page, type = "application/json") {
  return page.evaluate(
    async ([url, contentType]) => {
      try {
        const answer = await fetch(`${url}/v1/tickets`, {
          method: "POST",
          credentials: "include",
          headers: { "content-type": contentType },
          body: contentType === "application/json" ? "{}" : "",
        });
        return { status: answer.status, ...(await answer.json()) };
      } catch (error) {
        return { blocked: error.name };
      }
    },
    [server.url, type],
  );
}

test("127.0.0.1 works where localhost does: signing up, the client, signing out", async () => {
  const here = { url: server.url.replace("//localhost:", "//127.0.0.1:") };
  assert.notEqual(here.url, server.url);
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  await signUpThroughPage(page, here, { name: newName(), password: newPassword() });
  await clientStarted(page);
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(`${here.url}/users/sign_in`);
  await visitor.close();
});

test("a listed origin gets a ticket for the person with JSON, and not with a form", async () => {
  const { visitor } = await signedIn();
  visitor.expect(/status of 403/);
  const page = await visitor.newTab();
  await page.goto(listed.origin);
  const answer = await askForTicket(page);
  assert.equal(answer.status, 200);
  plant("ticket", answer.userTicket);
  assert.equal((await askForTicket(page, "application/x-www-form-urlencoded")).status, 403);
  await visitor.close();
});

test("any other origin gets nothing", async () => {
  const { visitor } = await signedIn();
  visitor.expect(/CORS|ERR_FAILED|status of 403/);
  const page = await visitor.newTab();
  await page.goto(foreign.origin);
  assert.deepEqual(await askForTicket(page), { blocked: "TypeError" });
  assert.deepEqual(await askForTicket(page, "text/plain"), { blocked: "TypeError" });
  await visitor.close();
});

test("a form on another page signs nobody out, and nobody in as somebody else", async () => {
  const { visitor, page, name } = await signedIn();
  visitor.expect(/status of 403/);
  for (const path of ["/sign-out", "/sign-out-everywhere", "/sign-in"]) {
    const trap = await visitor.newTab();
    await trap.goto(foreign.origin + path);
    const [answer] = await Promise.all([
      trap.waitForResponse((response) => response.url().startsWith(server.url)),
      trap.getByRole("button").click(),
    ]);
    assert.equal(answer.status(), 403, path);
    await trap.close();
  }
  await page.reload();
  await clientStarted(page);
  await page.getByRole("heading", { name }).waitFor();
  await visitor.close();
});

test("cookies authenticate no WebSocket: not ours, not a listed origin's; any other is closed with 4507", async () => {
  const { visitor } = await signedIn();
  const outcomes = [];
  for (const url of [foreign.origin, listed.origin, `${server.url}/users/account`]) {
    const page = await visitor.newTab();
    await page.goto(url);
    if (url.startsWith(server.url)) assert.equal((await askForTicket(page)).status, 200, "the cookie itself is good");
    outcomes.push(
      await page.evaluate(
        (url) =>
          new Promise((resolve) => {
            const socket = new WebSocket(url, "countersign.v1.json");
            socket.onclose = (event) => resolve(event.code);
            socket.onopen = () => socket.send('{"id":1,"connect":{}}');
            socket.onmessage = (event) => resolve(JSON.parse(event.data.split("\n")[0]).error?.code);
          }),
        `${server.url.replace("http", "ws")}/v1/gateway`,
      ),
    );
  }
  assert.equal(outcomes[0], 4507);
  assert.equal(outcomes[1], 107, "a listed origin may speak, and its cookie is no credential");
  assert.equal(outcomes[2], 107, "nor is it on a page of ours");
  await visitor.close();
});

test("our pages cannot be framed", async () => {
  const visitor = await Visitor.open();
  visitor.expect(/frame-ancestors|refused to connect|ERR_BLOCKED_BY_RESPONSE|Framing/i);
  const page = await visitor.newTab();
  await page.goto(`${foreign.origin}/frame`);
  assert.equal(await page.frameLocator("iframe").getByRole("heading", { name: "Sign in" }).count(), 0);
  await visitor.close();
});

test("the module: the modern client with getTicket, and what was not asked for or does not exist yet says so", async () => {
  const { visitor, page, name } = await signedIn();
  await page.goto(`${server.url}/users/account`);
  const seen = await page.evaluate(async () => {
    const { Client, SinchClient } = await import("/sdk/countersign.mjs");
    const getTicket = async () => (await fetch("/v1/tickets", { method: "POST" })).json();
    const client = new Client(undefined, { getTicket });
    const { user } = await client.connect();
    await client.terminate();
    const asked = new SinchClient({ capabilities: { messaging: true, calling: true } });
    const unasked = new SinchClient({ capabilities: {} });
    const refusals = [() => unasked.getMessageClient(), () => asked.getCallClient()].map((call) => {
      try {
        return call();
      } catch (error) {
        return [error.code, error.message];
      }
    });
    return { user, state: client.state, refusals, messages: typeof asked.getMessageClient().newMessage };
  });
  assert.deepEqual(seen.user, { type: "username", endpoint: name });
  assert.equal(seen.state, "disconnected");
  assert.equal(seen.messages, "function");
  assert.deepEqual(seen.refusals.map(([code]) => code), [108, 108]);
  await visitor.close();
});
