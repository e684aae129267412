// The chat page for everybody: read aloud, by keyboard, on a phone, in the dark; the policy never violated.
import assert from "node:assert/strict";
import test from "node:test";
import { Device } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { Visitor, screenshot } from "./support/browser.mjs";
import { assertAccessible, assertNoSidewaysScroll, newChatter } from "./support/chat.mjs";

const server = await startServer();

const phone = { width: 360, height: 740 };

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [
    ["wide", { width: 1280, height: 900 }],
    ["phone", phone],
  ]) {
    test(`every state of the page, ${colorScheme}, ${device}: accessible, no sideways scrolling`, async () => {
      const { visitor, page, tab, name } = await newChatter(server, { stem: "alice", colorScheme, viewport });
      const look = async (what) => {
        await assertAccessible(page, what);
        await assertNoSidewaysScroll(page, what);
        await screenshot(page, `chat-${what}-${colorScheme}-${device}`);
      };
      const back = () => (viewport === phone ? page.locator("#back").click() : undefined);
      await look("empty");
      const writer = await Device.connect(server, newName("bob"));
      for (const text of ["Are you there?", `A long word: ${"abcdefghij".repeat(30)}`, "and\nseveral\nlines"]) await writer.sent(name, text);
      await writer.sent(name, "with a file", { attachments: [{ url: "https://files.example.org/plan.pdf", name: "plan.pdf" }] });
      await tab.row(writer.name).getByText("4 unread").waitFor();
      await look("list");
      await tab.open(writer.name);
      await tab.see("with a file");
      await look("unread");
      await tab.write("an answer");
      await tab.state("an answer", "delivered");
      await look("conversation");
      await page.locator("#options").click();
      await look("options");
      await page.keyboard.press("Escape");
      await back();
      await tab.begin(newName("nobody"));
      await tab.write("hello?");
      await tab.state("hello?", "failed");
      await look("failed");
      await back();
      await page.locator("#newChat").click();
      await page.locator("#asGroup").check();
      await page.locator("#person").fill("somebody, with a comma");
      await page.locator("#addPerson").click();
      await page.getByRole("button", { name: "Make the group" }).click();
      await page.getByText("A group needs a name.").waitFor();
      await look("new");
      await page.keyboard.press("Escape");
      await tab.makeGroup("n".repeat(128), writer.name);
      await tab.write("to the group");
      await tab.state("to the group", "delivered");
      await look("group");
      assert.equal((await server.command(["user", "sign-out", name])).code, 0);
      await page.locator("#ended").waitFor({ state: "visible" });
      await look("ended");
      assert.ok(await page.locator("#ended").evaluate((panel) => panel === document.activeElement), "it has the focus");
      await visitor.close();
    });
  }
}

/** Tabs on until the element has the focus; fails if the keyboard cannot reach it. */
async function tabTo(page, locator) {
  const wanted = await locator.elementHandle();
  for (let presses = 0; presses < 25; ++presses) {
    if (await wanted.evaluate((element) => element === document.activeElement)) return assertFocusVisible(page);
    await page.keyboard.press("Tab");
  }
  assert.fail(`the keyboard does not reach ${locator}`);
}

async function assertFocusVisible(page) {
  const seen = await page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return outlineStyle !== "none" && outlineWidth !== "0px";
  });
  assert.ok(seen, "the focus is invisible");
}

test("the keyboard alone is enough, and the focus is always somewhere sensible", async () => {
  const { visitor, page, tab, name } = await newChatter(server);
  const focused = (id) => page.waitForFunction((wanted) => document.activeElement?.id === wanted, id);
  const [bob, carol] = [await Device.connect(server, newName("bob")), await Device.connect(server, newName("carol"))];
  await carol.sent(name, "from carol");
  await bob.sent(name, "from bob");
  await tab.row(bob.name).waitFor();
  await tab.row(carol.name).waitFor();
  await page.keyboard.press("Tab");
  await tabTo(page, tab.row(bob.name)); // the newest is the list's one stop
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await tab.heading(carol.name);
  await focused("text");
  await page.keyboard.type("line one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("line two");
  await page.keyboard.press("Enter");
  await carol.message("line one\nline two");
  await page.locator(".conversation-row").first().filter({ hasText: carol.name }).waitFor(); // on top, once it is accepted
  await focused("text");
  await page.keyboard.press("Alt+ArrowDown");
  await tab.heading(bob.name);
  await focused("text");
  await page.keyboard.press("Alt+ArrowUp");
  await tab.heading(carol.name);
  await page.keyboard.press("Shift+Tab"); // the messages, scrolled with the arrows
  await focused("timeline");
  await assertFocusVisible(page);
  await page.keyboard.press("Shift+Tab");
  await focused("options");
  await page.keyboard.press("Enter");
  await focused("optionsTitle");
  await tabTo(page, page.getByRole("button", { name: `Block ${carol.name}` }));
  await page.keyboard.press("Escape");
  await focused("options");
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: "Nothing open" }).waitFor();
  await page.waitForFunction((who) => document.activeElement?.textContent.includes(who), carol.name);
  await tabTo(page, page.locator("#signOut"));
  await page.keyboard.press("Enter");
  await page.waitForURL("**/users/sign_in");
  await visitor.close();
});

test("new messages, typing and the connection are told to screen readers, each once", async () => {
  const { visitor, page, tab, name } = await newChatter(server);
  visitor.expect(/WebSocket connection|ERR_CONNECTION_REFUSED/);
  await page.evaluate(() => {
    globalThis.told = [];
    const listen = (id) =>
      new MutationObserver(() => globalThis.told.push(document.getElementById(id).textContent.trim())).observe(document.getElementById(id), {
        childList: true,
        characterData: true,
        subtree: true,
      });
    for (const region of document.querySelectorAll("[aria-live], [role=status], [role=alert]")) if (region.id) listen(region.id);
  });
  const bob = await Device.connect(server, newName("bob"));
  await bob.sent(name, "can you hear this?");
  await tab.open(bob.name);
  await bob.sent(name, "and this?");
  await tab.see("and this?");
  await server.kill();
  await tab.link("offline");
  await server.restart();
  await tab.live();
  const told = await page.evaluate(() => globalThis.told);
  for (const wanted of [`${bob.name}, in another conversation: can you hear this?`, `${bob.name}: and this?`, "Offline", "Live"]) {
    assert.equal(told.filter((text) => text === wanted).length, 1, `${wanted}, in ${JSON.stringify(told)}`);
  }
  await visitor.close();
});

test("on a phone one pane is seen at a time, and Back goes to the list", async () => {
  const { visitor, page, tab, name } = await newChatter(server, { viewport: phone, hasTouch: true, isMobile: true });
  const bob = await Device.connect(server, newName("bob"));
  await bob.sent(name, "hello");
  await tab.row(bob.name).tap();
  await tab.see("hello");
  assert.equal(await page.locator("#conversations").isVisible(), false);
  await page.goBack();
  await page.locator("#conversations").waitFor();
  assert.equal(await page.locator("#conversation").isVisible(), false);
  await tab.row(bob.name).tap();
  await page.locator("#back").tap();
  await page.locator("#conversations").waitFor();
  await visitor.close();
});

test("without JavaScript the page says what it needs, and signing out works", async () => {
  const { visitor: first, name, password } = await newChatter(server);
  await first.close();
  const visitor = await Visitor.open({ javaScriptEnabled: false });
  const page = await visitor.newTab();
  await page.goto(`${server.url}/users/sign_in`);
  await page.getByLabel("User name or e-mail address").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Open the chat" }).click();
  await page.locator("noscript .notice").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/users/sign_in");
  await visitor.close();
});
