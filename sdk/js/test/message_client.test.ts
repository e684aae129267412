/** The classic message client: what pages written for the classic SDK call and hear. */
import { describe, expect, test, vi } from "vitest";

import type { ClassicMessage, MessageDeliveryInfo } from "../src/message_client.js";
import { SinchClient } from "../src/sinch_client.js";
import type { Identity } from "../src/types.js";
import { alice, applicationKey, bob } from "./fake_server.js";
import { makeWorld, pass, useFakeTime, type World } from "./helpers.js";

useFakeTime();

function makeSinch(world: World, identity: Identity, tab = world.browser.openTab()) {
  const client = new SinchClient({
    applicationKey,
    capabilities: { messaging: true },
    startActiveConnection: true,
    url: "https://chat.example",
    getTicket: () => world.server.mint({ identity }),
    environment: tab.environment,
  });
  return client;
}

async function started(world: World, identity: Identity, tab = world.browser.openTab()) {
  const client = makeSinch(world, identity, tab);
  client.start(world.server.mint({ identity }));
  await pass(60);
  return client;
}

describe("A page of the classic SDK", () => {
  test("sends, shows its own message by its listener, and marks it when it is delivered", async () => {
    const world = makeWorld();
    const client = makeSinch(world, alice);
    // Such pages get the message client and add their listeners before they start.
    const messageClient = client.getMessageClient();
    const rows: string[] = [];
    const checks: string[] = [];
    messageClient.addEventListener({
      onIncomingMessage(message) {
        rows.push(`${message.messageId} ${message.senderId === "alice" ? "me" : "other"} ${message.textBody}`);
        expect(message.timestamp.toLocaleTimeString()).not.toBe("");
      },
    });
    messageClient.addEventListener({
      onMessageDelivered(messageDeliveryInfo) {
        checks.push(`${messageDeliveryInfo.messageId} ${messageDeliveryInfo.recipientId}`);
      },
    });
    client.start({ userTicket: world.server.mint() });
    await pass(60);
    const b = await started(world, bob);
    b.getMessageClient().addEventListener({ onIncomingMessage: () => undefined });
    const handleError = vi.fn();
    const message = messageClient.newMessage("bob", "hello");
    messageClient.send(message).fail(handleError);
    await pass(1_000);
    expect(rows).toEqual([`${message.messageId} me hello`]);
    expect(checks).toEqual([`${message.messageId} bob`]);
    expect(handleError).not.toHaveBeenCalled();
  });

  test("gets what others write, with headers and direction", async () => {
    const world = makeWorld();
    const client = await started(world, bob);
    const got: ClassicMessage[] = [];
    client.getMessageClient().addEventListener({ onIncomingMessage: (message) => got.push(message) });
    const sender = await started(world, alice);
    const message = sender.getMessageClient().newMessage(["bob", { identity: "carol" }], "both");
    message.addHeader("colour", "blue");
    sender.getMessageClient().send(message);
    await pass(500);
    expect(got).toHaveLength(1);
    expect(got[0]).toMatchObject({
      messageId: message.messageId,
      senderId: "alice",
      recipientIds: ["bob", "carol"],
      textBody: "both",
      headers: { colour: "blue" },
      direction: false,
      redelivered: false,
    });
    expect(got[0]?.timestamp).toBeInstanceOf(Date);
  });

  test("calls back when the server has it, or why not", async () => {
    const world = makeWorld();
    const client = await started(world, alice);
    const messageClient = client.getMessageClient();
    const ok = vi.fn();
    const fail = vi.fn();
    const failed = vi.fn();
    messageClient.addEventListener({ onMessageFailed: (message, info) => failed(message.textBody, info.error.code) });
    messageClient.send(messageClient.newMessage("bob", "yes"), ok, fail);
    await pass(100);
    expect(ok).toHaveBeenCalledOnce();
    world.server.refuseNext("send", { code: 102, message: "There is no such user." });
    messageClient.send(messageClient.newMessage("nobody", "no"), ok, fail).fail(() => undefined);
    await pass(100);
    expect(fail).toHaveBeenCalledWith(expect.objectContaining({ errorCode: 102, message: "There is no such user." }));
    expect(failed).toHaveBeenCalledWith("no", 102);
    expect(ok).toHaveBeenCalledOnce();
  });

  test("on another device hears what was sent, to whom, and that it was delivered", async () => {
    const world = makeWorld();
    const first = await started(world, alice);
    const second = await started(world, alice);
    const sent: string[] = [];
    const shown: boolean[] = [];
    const delivered: MessageDeliveryInfo[] = [];
    second.getMessageClient().addEventListener({
      onMessageSent: (message, recipientId) => sent.push(`${message.textBody} to ${recipientId}`),
      onIncomingMessage: ({ direction }) => shown.push(direction),
      onMessageDelivered: (info) => delivered.push(info),
    });
    first.getMessageClient().send(first.getMessageClient().newMessage("bob", "hello"));
    await pass(200);
    expect(sent).toEqual(["hello to bob"]);
    expect(shown).toEqual([true]);
    const b = await started(world, bob);
    b.getMessageClient().addEventListener({ onIncomingMessage: () => undefined });
    await pass(500);
    expect(delivered.map(({ recipientId }) => recipientId)).toEqual(["bob"]);
  });

  test("keeps its listeners through a restart, and can remove them", async () => {
    const world = makeWorld();
    const client = await started(world, bob);
    const got: string[] = [];
    const listener = { onIncomingMessage: ({ textBody }: ClassicMessage) => got.push(textBody) };
    client.getMessageClient().addEventListener(listener);
    await Promise.all([client.terminate(), pass(50)]);
    client.start(world.server.mint({ identity: bob }));
    await pass(60);
    world.server.messages.write(alice, bob, "one");
    await pass(100);
    client.getMessageClient().removeEventListener(listener);
    world.server.messages.write(alice, bob, "two");
    await pass(1_000);
    expect(got).toEqual(["one"]);
    // Nobody listens: it waits.
    client.getMessageClient().addEventListener(listener);
    await pass(100);
    expect(got).toEqual(["one", "two"]);
  });

  test("with a listener that throws disturbs neither the others nor the inbox", async () => {
    const complain = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const world = makeWorld();
    const client = await started(world, bob);
    const got: string[] = [];
    client.getMessageClient().addEventListener({
      onIncomingMessage() {
        throw new Error("of the page");
      },
    });
    client.getMessageClient().addEventListener({ onIncomingMessage: ({ textBody }) => got.push(textBody) });
    world.server.messages.write(alice, bob, "one");
    world.server.messages.write(alice, bob, "two");
    await pass(1_000);
    expect(got).toEqual(["one", "two"]);
    expect(complain).toHaveBeenCalledTimes(2);
    complain.mockRestore();
  });

  test("may name one to ten recipients, and sends only when it has started", async () => {
    const world = makeWorld();
    const client = makeSinch(world, alice);
    const messageClient = client.getMessageClient();
    const eleven = Array.from({ length: 11 }, (_, index) => `user${index}`);
    for (const recipients of [[], eleven]) {
      expect(() => messageClient.newMessage(recipients, "x")).toThrow(expect.objectContaining({ code: 107 }));
    }
    expect(messageClient.newMessage(eleven.slice(1), "x").recipientIds).toHaveLength(10);
    const failed = vi.fn();
    messageClient.send(messageClient.newMessage("bob", "too early")).fail(failed);
    await pass(1);
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ errorCode: 105 }));
  });

  test("is warned of unsent messages at sign-out, and stays signed in", async () => {
    const world = makeWorld();
    const client = await started(world, alice);
    world.server.down = true;
    world.server.crash();
    void client.messages.conversation("bob").send("unsent");
    await pass(50);
    expect(client.unsentCount).toBe(1);
    await expect(client.signOut()).rejects.toMatchObject({ errorCode: 910 });
    expect(client.state).toBe("connecting");
    await Promise.all([client.signOut({ discardUnsent: true }), pass(2_000)]);
    expect(client.state).toBe("disconnected");
  });
});
