// People at the chat page: what they do, and what they see of it.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import { newName, newPassword } from "../../support/people.mjs";
import { Visitor, signInThroughPage, signUpThroughPage } from "./browser.mjs";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export async function assertAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => node.html).join("\n  ")}`);
  assert.deepEqual(told, [], what);
}

export async function assertNoSidewaysScroll(page, what) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${what} is ${content} px wide in ${window}`);
}

/** A tab that shows the chat page. */
export class ChatTab {
  constructor(page, server) {
    this.page = page;
    this.server = server;
  }

  async go() {
    await this.page.goto(`${this.server.url}/chat`);
    return this.live();
  }

  async live() {
    await this.page.locator('#chat[data-link="live"]').waitFor();
    return this;
  }

  link(state) {
    return this.page.locator(`#chat[data-link="${state}"]`).waitFor();
  }

  /** The row of a conversation in the list. */
  row(title) {
    return this.page.locator(".conversation-row").filter({ has: this.page.locator(".name", { hasText: title }) });
  }

  async open(title) {
    await this.row(title).click();
    await this.heading(title);
  }

  heading(title) {
    return this.page.getByRole("heading", { level: 2, name: title }).waitFor();
  }

  async begin(...names) {
    await this.page.locator("#newChat").click();
    for (const name of names) {
      await this.page.locator("#person").fill(name);
      await this.page.locator("#addPerson").click();
    }
    await this.page.locator("#newSubmit").click();
    await this.page.locator("#newDialog").waitFor({ state: "hidden" });
  }

  async makeGroup(name, ...names) {
    await this.page.locator("#newChat").click();
    await this.page.locator("#asGroup").check();
    await this.page.locator("#groupName").fill(name);
    for (const one of names) {
      await this.page.locator("#person").fill(one);
      await this.page.locator("#addPerson").click();
    }
    await this.page.locator("#newSubmit").click();
    await this.page.locator("#newDialog").waitFor({ state: "hidden" });
    await this.heading(name);
  }

  async write(text) {
    await this.page.locator("#text").fill(text);
    await this.page.locator("#text").press("Enter");
  }

  /** The line with exactly this text. */
  message(text) {
    return this.page.locator(".line").filter({ has: this.page.getByText(text, { exact: true }) });
  }

  /** Waits until this message of one's own is in this state. */
  state(text, name) {
    return this.page.locator(`.line[data-state="${name}"]`).filter({ has: this.page.getByText(text, { exact: true }) }).waitFor();
  }

  see(text) {
    return this.message(text).waitFor();
  }

  /** All texts shown, from the top. */
  texts() {
    return this.page.locator(".line .text").allTextContents();
  }

  /** Waits until exactly these texts are shown: while a history is read anew, there are fewer for a moment. */
  async shows(expected) {
    const shown = (texts) => JSON.stringify([...document.querySelectorAll(".line .text")].map((line) => line.textContent)) === texts;
    await this.page.waitForFunction(shown, JSON.stringify(expected)).catch(async () => assert.deepEqual(await this.texts(), expected));
  }
}

/** Somebody with an account, at the chat page; @param visitor  their browser, otherwise a new one. */
export async function newChatter(server, { stem = "person", visitor: given, ...options } = {}) {
  const visitor = given ?? (await Visitor.open(options));
  const page = await visitor.newTab();
  const person = { name: newName(stem), password: newPassword() };
  await signUpThroughPage(page, server, person);
  await page.waitForURL(`${server.url}/`);
  const tab = await new ChatTab(page, server).go();
  return { visitor, page, tab, ...person };
}

/** Another tab of the same browser. */
export async function anotherTab(visitor, server) {
  return new ChatTab(await visitor.newTab(), server).go();
}

/** Another browser of the same person, signed in through the page. */
export async function anotherBrowser(server, person) {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  await signInThroughPage(page, server, person);
  await page.waitForURL(`${server.url}/`);
  return { visitor, page, tab: await new ChatTab(page, server).go() };
}

/** Two people who have written to each other, each with the conversation open; @param visitor  the first one's. */
export async function newPair(server, { visitor, ...options } = {}) {
  const alice = await newChatter(server, { stem: "alice", visitor, ...options });
  const bob = await newChatter(server, { stem: "bob", ...options });
  await alice.tab.begin(bob.name);
  await alice.tab.write("first");
  await bob.tab.open(alice.name);
  await bob.tab.see("first");
  await alice.tab.state("first", "read");
  return { alice, bob, close: () => Promise.all([alice.visitor.close(), bob.visitor.close()]) };
}

/** Whether the page is in sight, as it would be told; headless pages are always. */
export function putInBackground(page, hidden) {
  return page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden ? "hidden" : "visible");
}
