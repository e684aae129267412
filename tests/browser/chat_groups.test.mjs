// Groups at the chat page: made, renamed, joined, left; receipts that count; what somebody blocked says there.
import assert from "node:assert/strict";
import test from "node:test";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { screenshot } from "./support/browser.mjs";
import { assertAccessible, newChatter } from "./support/chat.mjs";

const server = await startServer();

async function newTrio() {
  const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map((stem) => newChatter(server, { stem })));
  return { alice, bob, carol, close: () => Promise.all([alice, bob, carol].map(({ visitor }) => visitor.close())) };
}

test("a group from its making to the last who leaves", async () => {
  const { alice, bob, carol, close } = await newTrio();
  await alice.tab.makeGroup("Friends", bob.name);
  await bob.tab.open("Friends");
  await bob.page.getByText(`${alice.name} made the group “Friends” with you.`).last().waitFor();
  await bob.page.locator("#conversationSub").getByText("2 members").waitFor();

  await alice.page.locator("#options").click();
  const dialog = alice.page.getByRole("dialog", { name: "Friends" });
  await dialog.getByText("Admin: may change the group").waitFor();
  await dialog.getByLabel("Add somebody to the group").fill(carol.name);
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await dialog.getByText(carol.name, { exact: true }).waitFor();
  await dialog.getByLabel("Name of the group").fill("Old friends");
  await dialog.getByRole("button", { name: "Rename" }).click();
  await bob.tab.heading("Old friends");
  await carol.tab.open("Old friends");
  await assertAccessible(alice.page, "the options of a group");
  await screenshot(alice.page, "chat-group-options");
  await alice.page.keyboard.press("Escape");

  await alice.tab.write("welcome");
  await carol.tab.see("welcome");
  await bob.tab.see("welcome");
  await alice.tab.state("welcome", "read");
  await alice.page.getByText("Read by all").waitFor();
  await screenshot(alice.page, "chat-group");

  await carol.page.locator("#options").click();
  await carol.page.getByRole("button", { name: "Leave the group" }).click();
  await carol.page.getByRole("dialog", { name: /^Leave/ }).getByRole("button", { name: "Leave the group" }).click();
  await carol.page.getByText("You are no longer a member of this group.").waitFor();
  assert.ok(await carol.page.locator("#text").isDisabled());
  await bob.page.locator(".line.event").getByText(`${carol.name} left.`).waitFor();

  await alice.page.locator("#options").click();
  await alice.page.getByRole("button", { name: `Remove ${bob.name}` }).click();
  await bob.page.getByText("You are no longer a member of this group.").waitFor();
  await bob.page.locator(".line.event").getByText(`${alice.name} removed you.`).waitFor();
  await alice.page.keyboard.press("Escape");
  await alice.page.locator("#conversationSub").getByText("Only you").waitFor();
  await close();
});

test("who is no admin may only look, and leave", async () => {
  const { alice, bob, close } = await newTrio();
  await alice.tab.makeGroup("Hers", bob.name);
  await bob.tab.open("Hers");
  await bob.page.locator("#options").click();
  const dialog = bob.page.getByRole("dialog", { name: "Hers" });
  await dialog.getByText(alice.name, { exact: true }).waitFor();
  assert.equal(await dialog.getByLabel("Name of the group").isVisible(), false);
  assert.equal(await dialog.getByRole("button", { name: /^Remove/ }).count(), 0);
  await dialog.getByRole("button", { name: "Leave the group" }).waitFor();
  await close();
});

test("receipts of a group count who has it", async () => {
  const { alice, bob, carol, close } = await newTrio();
  await alice.tab.makeGroup("Counting", bob.name, carol.name);
  await carol.tab.row("Counting").waitFor();
  await carol.page.goto(`${server.url}/users/account`);
  await bob.tab.row("Counting").waitFor();
  await alice.tab.write("who has this?");
  await alice.page.getByText("Stored by the server, delivered to 1 of 2").waitFor();
  await bob.tab.open("Counting");
  await carol.tab.go();
  await alice.page.getByText("Delivered to all, read by 1 of 2").waitFor();
  await carol.tab.open("Counting");
  await alice.page.getByText("Read by all").waitFor();
  await close();
});

test("what somebody blocked says in a group leaves only its place", async () => {
  const { alice, bob, carol, close } = await newTrio();
  await alice.tab.makeGroup("Three", bob.name, carol.name);
  await bob.tab.open("Three");
  await bob.page.locator("#options").click();
  await bob.page.getByRole("button", { name: `Block ${carol.name}` }).click();
  await bob.page.getByRole("button", { name: `Unblock ${carol.name}` }).waitFor();
  await bob.page.keyboard.press("Escape");
  await carol.tab.open("Three");
  await carol.tab.write("bob must not see this");
  await alice.tab.see("bob must not see this");
  await alice.tab.write("but this");
  await bob.tab.see("but this");
  await bob.page.getByText("A message that is no longer there.").last().waitFor();
  assert.equal(await bob.tab.message("bob must not see this").count(), 0);
  await close();
});

test("a group of nobody known is not made, and the dialog says why", async () => {
  const { visitor, page } = await newChatter(server);
  await page.locator("#newChat").click();
  await page.locator("#asGroup").check();
  await page.getByRole("button", { name: "Make the group" }).click();
  await page.getByText("A group needs a name.").waitFor();
  await page.locator("#groupName").fill("Ghosts");
  await page.locator("#person").fill(newName("ghost"));
  await page.getByRole("button", { name: "Make the group" }).click();
  await page.getByText("The group was not made: There is no such user.").waitFor();
  await visitor.close();
});

test("several people without a group are one conversation", async () => {
  const { alice, bob, carol, close } = await newTrio();
  await alice.tab.begin(bob.name, carol.name);
  await alice.tab.write("all of you");
  await bob.tab.row(alice.name).click();
  await bob.tab.see("all of you");
  await bob.tab.write("here");
  await carol.tab.row(alice.name).click();
  await carol.tab.see("here");
  await alice.tab.see("here");
  await alice.page.getByText("Read by all").waitFor();
  await close();
});
