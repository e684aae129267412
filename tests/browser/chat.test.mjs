// Two people at the chat page: messages both ways, where each of them is, who is there, who is blocked.
import assert from "node:assert/strict";
import test from "node:test";
import { Device } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { screenshot } from "./support/browser.mjs";
import { ChatTab, anotherTab, newChatter, newPair, putInBackground } from "./support/chat.mjs";

const server = await startServer({ settings: { "limits.messages_per_second": 10000, "limits.commands_per_second": 10000 } });

test("nobody gets the page without having signed in", async () => {
  const answer = await server.client().get("/chat");
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, "/users/sign_in");
});

test("who has no conversations is told how to begin", async () => {
  const { visitor, page, name } = await newChatter(server);
  await page.getByRole("heading", { name: "No conversations yet" }).waitFor();
  await page.getByText(`You are ${name}`).waitFor();
  await screenshot(page, "chat-first-run");
  await visitor.close();
});

test("a message is stored, delivered and read, and each is said when it is so", async () => {
  const alice = await newChatter(server, { stem: "alice" });
  const bob = await newChatter(server, { stem: "bob" });
  await bob.page.goto(`${server.url}/users/account`); // nobody takes it yet
  await alice.tab.begin(bob.name);
  await alice.tab.write("are you there?");
  await alice.tab.state("are you there?", "accepted");
  await bob.tab.go();
  await alice.tab.state("are you there?", "delivered");
  await bob.tab.row(alice.name).getByText("1 unread").waitFor();
  assert.match(await bob.page.title(), /^\(1\) Chat/);
  await bob.tab.open(alice.name);
  await bob.tab.see("are you there?");
  await bob.page.getByText("New messages", { exact: true }).waitFor();
  await alice.tab.state("are you there?", "read");
  await bob.page.waitForFunction(() => document.title === "Chat · Countersign");
  await bob.tab.write("yes");
  await alice.tab.see("yes");
  await bob.tab.state("yes", "read");
  assert.deepEqual(await alice.tab.texts(), ["are you there?", "yes"]);
  assert.deepEqual(await bob.tab.texts(), ["are you there?", "yes"]);
  await screenshot(alice.page, "chat-two-people");
  await alice.visitor.close();
  await bob.visitor.close();
});

test("who types is shown, and no longer when the message is there", async () => {
  const { alice, bob, close } = await newPair(server);
  await bob.page.locator("#text").pressSequentially("hm");
  await alice.page.locator("#typing").getByText(`${bob.name} is typing…`).waitFor();
  await alice.tab.row(bob.name).getByText("is typing…").waitFor();
  await bob.page.locator("#text").press("Enter");
  await alice.tab.see("hm");
  await alice.page.waitForFunction(() => document.querySelector("#typing").textContent === "");
  await close();
});

test("online, away and gone are told apart", async () => {
  const { alice, bob, close } = await newPair(server);
  const sub = alice.page.locator("#conversationSub");
  await sub.getByText("Online").waitFor();
  await putInBackground(bob.page, true);
  await sub.getByText("Away").waitFor();
  await putInBackground(bob.page, false);
  await sub.getByText("Online").waitFor();
  await bob.page.locator("#signOut").click();
  await bob.page.waitForURL("**/users/sign_in");
  await sub.getByText("Last seen just now").waitFor();
  await close();
});

test("what is in a background page counts as delivered, not as read", async () => {
  const { alice, bob, close } = await newPair(server);
  await putInBackground(bob.page, true);
  await alice.tab.write("while away");
  await alice.tab.state("while away", "delivered");
  await bob.page.waitForFunction(() => document.title.startsWith("(1)"));
  await putInBackground(bob.page, false);
  await alice.tab.state("while away", "read");
  await close();
});

test("two tabs of one person show the same: carbons, counts, what was read", async () => {
  const { alice, bob, close } = await newPair(server);
  const second = await anotherTab(alice.visitor, server);
  await alice.tab.write("from the first tab");
  await second.open(bob.name);
  await second.see("from the first tab");
  await second.write("from the second tab");
  await alice.tab.see("from the second tab");
  await bob.tab.see("from the second tab");
  await second.state("from the second tab", "read");
  await alice.tab.state("from the second tab", "read");
  const third = await newChatter(server, { stem: "carol" });
  await third.tab.begin(alice.name);
  await third.tab.write("hello both");
  await alice.tab.row(third.name).getByText("1 unread").waitFor();
  await second.row(third.name).getByText("1 unread").waitFor();
  await putInBackground(alice.page, true);
  await second.open(third.name);
  await third.tab.state("hello both", "read");
  await putInBackground(alice.page, false); // what was read elsewhere is no longer unread here
  await alice.tab.row(third.name).locator(".unread").waitFor({ state: "detached" });
  await third.visitor.close();
  await close();
});

test("a message to nobody fails, says why, and can be tried again or deleted", async () => {
  const { visitor, page, tab } = await newChatter(server);
  const name = newName("nobody");
  await tab.begin(name);
  await tab.write("hello?");
  await tab.state("hello?", "failed");
  await page.getByText("Not sent: There is no such user.").waitFor();
  await screenshot(page, "chat-failed");
  const retry = page.getByRole("button", { name: "Try again" });
  await retry.click();
  await tab.state("hello?", "failed");
  await page.getByRole("button", { name: "Delete" }).click();
  await tab.message("hello?").waitFor({ state: "detached" });
  await visitor.close();
});

test("blocking refuses messages and says so; unblocking lets the failed one through", async () => {
  const { alice, bob, close } = await newPair(server);
  await bob.page.locator("#options").click();
  await bob.page.getByRole("button", { name: `Block ${alice.name}` }).click();
  await bob.page.getByRole("button", { name: `Unblock ${alice.name}` }).waitFor();
  await bob.page.keyboard.press("Escape");
  await bob.page.getByText(`You block ${alice.name}.`).waitFor();
  assert.ok(await bob.page.locator("#text").isDisabled());
  await alice.tab.write("please");
  await alice.tab.state("please", "failed");
  await alice.page.getByText("does not accept messages from you").waitFor();
  await bob.page.locator("#options").click();
  await bob.page.getByRole("button", { name: `Unblock ${alice.name}` }).click();
  await bob.page.getByRole("button", { name: `Block ${alice.name}`, exact: true }).waitFor();
  await bob.page.keyboard.press("Escape");
  await alice.page.getByRole("button", { name: "Try again" }).click();
  await bob.tab.see("please");
  await alice.tab.state("please", "read");
  await close();
});

test("a long conversation is loaded as one scrolls up, and the place of reading stays", async () => {
  const { visitor, page, tab, name } = await newChatter(server);
  const writer = await Device.connect(server, newName("writer"));
  for (let number = 1; number <= 420; ++number) await writer.sent(name, `line ${number}`);
  await tab.row(writer.name).getByText("99+").waitFor();
  await tab.open(writer.name);
  await tab.see("line 420");
  const oldest = () => page.evaluate(() => document.querySelector(".line.message .text").textContent);
  const topOf = (text) => page.evaluate((wanted) => {
    const found = [...document.querySelectorAll(".line.message")].find((line) => line.querySelector(".text").textContent === wanted);
    return found.getBoundingClientRect().top;
  }, text);
  for (let text = await oldest(); text !== "line 1"; text = await oldest()) {
    // Where the message stands when the older ones are asked for, and where it stands when they have come.
    await page.locator("#timeline").evaluate((box) => box.scrollTo(0, 200));
    const before = await topOf(text);
    await page.locator("#older").evaluate((button) => button.click());
    await page.waitForFunction((known) => document.querySelector(".line.message .text").textContent !== known, text);
    const after = await topOf(text);
    assert.ok(Math.abs(after - before) < 3, `${text} moved from ${before} to ${after}`);
  }
  await page.getByText("The conversation begins here.").waitFor();
  assert.equal(await page.locator(".line.message").count(), 300, "what is shown is bounded");
  await writer.sent(name, "the newest");
  const jump = page.getByRole("button", { name: "1 new message" });
  await jump.click();
  await tab.see("the newest");
  assert.equal((await tab.texts()).at(-1), "the newest");
  await visitor.close();
});

test("who reads further up is not moved by a new message, but told of it", async () => {
  const { visitor, page, tab, name } = await newChatter(server);
  const writer = await Device.connect(server, newName("writer"));
  for (let number = 1; number <= 40; ++number) await writer.sent(name, `line ${number}`);
  await tab.open(writer.name);
  await tab.see("line 40");
  await page.locator("#timeline").evaluate((element) => element.scrollTo(0, 200));
  const jump = page.locator("#jump");
  await jump.waitFor();
  const before = await page.locator("#timeline").evaluate((element) => element.scrollTop);
  await writer.sent(name, "one more");
  await jump.getByText("1 new message").waitFor();
  assert.equal(await page.locator("#timeline").evaluate((element) => element.scrollTop), before);
  await jump.click();
  await jump.waitFor({ state: "hidden" });
  await tab.see("one more");
  await visitor.close();
});

test("what people write is text, whatever it looks like", async () => {
  const { alice, bob, close } = await newPair(server);
  const markup = `<img src=x onerror="alert(1)"><b>&amp;</b> \u202Eabc 👩‍👩‍👧 ${"long".repeat(600)}`;
  await alice.tab.write(markup);
  await bob.page.getByRole("button", { name: "Show all of it" }).click();
  assert.equal((await bob.tab.texts()).at(-1), markup);
  assert.equal(await bob.page.locator("img").count(), 1, "the logo alone");
  await close();
});

test("a text that is too long is not sent, and one says by how much", async () => {
  const { alice, close } = await newPair(server);
  await alice.page.locator("#text").fill("x".repeat(33_000));
  await alice.page.getByText("Too long: 33,000 of 32,768 bytes.").waitFor();
  assert.ok(await alice.page.locator("#send").isDisabled());
  await close();
});

test("the address names the conversation: a reload comes back to it, Back leaves it", async () => {
  const { alice, bob, close } = await newPair(server);
  assert.match(alice.page.url(), /\/chat#c-/);
  await alice.page.reload();
  await alice.tab.heading(bob.name);
  await alice.tab.see("first");
  await alice.tab.state("first", "read");
  await alice.page.locator("#timeline").focus();
  await alice.page.keyboard.press("Escape");
  await alice.page.getByRole("heading", { name: "Nothing open" }).waitFor();
  const foreign = new ChatTab(await alice.visitor.newTab(), server);
  await foreign.page.goto(`${server.url}/chat#c-nobody-knows-this`);
  await foreign.live();
  await foreign.page.getByRole("heading", { name: "Nothing open" }).waitFor();
  await close();
});
