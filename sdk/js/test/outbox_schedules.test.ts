/**
 * The queues of several tabs in random schedules against a model of gateway, storage, lock and channel: tabs write,
 * lose their connection and die, most of all while they send; news and listings take their time.
 */
import { expect, test } from "vitest";

import { CountersignError } from "../src/errors.js";
import { OutboxMachine, type OutboxAction, type OutboxInput, type OutboxRecord } from "../src/outbox.js";
import { seeded } from "./helpers.js";

const schedules = Number(process.env["COUNTERSIGN_SDK_SCHEDULES"] ?? 400);
const tabs = 3;
const conversations = 3;

class Tab {
  readonly machine: OutboxMachine;
  /** What other tabs have told and this one has not heard yet. */
  readonly news: OutboxInput[] = [];
  readonly inFlight: OutboxRecord[] = [];
  connected = false;
  /** What the storage had when the tab got the lock, until it hears of it. */
  listing: OutboxInput | null = null;
  sends = false;
  due: number | null = null;

  constructor(random: () => number) {
    this.machine = new OutboxMachine(random);
  }
}

class World {
  readonly random: () => number;
  readonly tabs: Tab[];
  readonly stored = new Map<string, OutboxRecord>();
  /** Ids by conversation, in the order of their first commit. */
  readonly committed = new Map<string, string[]>();
  /** Ids by writer and conversation, in the order in which they were written. */
  readonly written = new Map<string, string[]>();
  /** Who may send, and who waits for it. */
  readonly lock: Tab[] = [];
  now = 0;
  made = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    this.tabs = Array.from({ length: tabs }, () => new Tab(this.random));
  }

  pick(count: number): number {
    return Math.floor(this.random() * count);
  }

  feed(tab: Tab, input: OutboxInput): void {
    for (const action of tab.machine.step(input, { now: this.now, time: this.now })) this.perform(tab, action);
  }

  perform(tab: Tab, action: OutboxAction): void {
    switch (action.do) {
      case "send":
        expect(tab).toBe(this.lock[0]);
        expect(this.stored.get(action.record.id)?.attempted ?? true).toBe(true);
        tab.inFlight.push(action.record);
        this.tell(tab, { type: "sendsElsewhere", id: action.record.id });
        break;
      case "queued":
        if (action.ours) this.tell(tab, { type: "queuedElsewhere", id: action.id });
        break;
      case "accepted":
        this.tell(tab, { type: "accepted", id: action.record.id, acceptance: action.acceptance });
        break;
      case "keep":
        this.stored.set(action.record.id, action.record);
        break;
      case "remove":
        this.stored.delete(action.id);
        break;
      case "startTimer":
        tab.due = this.now + action.ms;
        break;
      case "stopTimer":
        tab.due = null;
        break;
      case "failed":
        throw new Error(`${action.record.id} failed`);
    }
  }

  tell(from: Tab, input: OutboxInput): void {
    for (const tab of this.tabs) if (tab !== from) tab.news.push(input);
  }

  write(tab: Tab, writer: number): void {
    const conv = `c-${this.pick(conversations)}`;
    const id = String(++this.made).padStart(4, "0");
    const record = { id, target: { conv }, content: { text: id }, created: this.now, attempted: false, failure: null };
    const key = `${writer} ${conv}`;
    this.written.set(key, [...(this.written.get(key) ?? []), id]);
    this.stored.set(id, record);
    this.feed(tab, { type: "add", record });
    this.tell(tab, { type: "add", record });
  }

  connect(tab: Tab): void {
    if (tab.connected) return;
    tab.connected = true;
    this.lock.push(tab);
    this.grant();
  }

  /** The first in the row has the lock, and asks the storage what there is. */
  grant(): void {
    const [tab] = this.lock;
    if (tab === undefined || tab.sends || tab.listing !== null) return;
    const records = [...this.stored.values()];
    const gone = tab.machine.records.map(({ id }) => id).filter((id) => !this.stored.has(id));
    tab.listing = { type: "loaded", records, gone };
  }

  listed(tab: Tab): void {
    if (tab.listing === null) return;
    this.feed(tab, tab.listing);
    tab.listing = null;
    tab.sends = true;
    this.feed(tab, { type: "ready" });
  }

  disconnect(tab: Tab): void {
    if (!tab.connected) return;
    this.lose(tab);
    this.feed(tab, { type: "unready" });
    this.leave(tab);
  }

  /** The page goes, and the tab shows it anew. */
  die(tab: Tab): void {
    this.lose(tab);
    const next = new Tab(this.random);
    this.tabs.splice(this.tabs.indexOf(tab), 1, next);
    this.leave(tab);
    this.feed(next, { type: "loaded", records: [...this.stored.values()], gone: [] });
  }

  leave(tab: Tab): void {
    tab.connected = tab.sends = false;
    tab.listing = null;
    const place = this.lock.indexOf(tab);
    if (place >= 0) this.lock.splice(place, 1);
    this.grant();
  }

  /** What was on its way may have arrived. */
  lose(tab: Tab): void {
    for (const record of tab.inFlight.splice(0)) if (this.random() < 0.5) this.commit(record);
  }

  commit({ id, target }: OutboxRecord): { conversation: string; seq: number; leftOut: [] } {
    const conversation = "conv" in target ? target.conv : "";
    const ids = this.committed.get(conversation) ?? [];
    if (!ids.includes(id)) ids.push(id);
    this.committed.set(conversation, ids);
    return { conversation, seq: ids.indexOf(id) + 1, leftOut: [] };
  }

  answer(tab: Tab, honest: boolean): void {
    const record = tab.inFlight.shift();
    if (record === undefined) return;
    const { id } = record;
    if (honest || this.random() < 0.5) this.feed(tab, { type: "accepted", id, acceptance: this.commit(record) });
    else this.feed(tab, { type: "refused", id, error: new CountersignError(113, "", { retryAfterMs: this.pick(2_000) }) });
  }

  hear(tab: Tab): void {
    const input = tab.news.shift();
    if (input !== undefined) this.feed(tab, input);
  }

  fire(tab: Tab): void {
    if (tab.due === null || tab.due > this.now) return;
    tab.due = null;
    this.feed(tab, { type: "timer" });
  }

  step(): void {
    this.now += this.pick(1_000);
    const index = this.pick(tabs);
    const tab = this.tabs[index];
    if (tab === undefined) return;
    const event = this.pick(16);
    if (event < 3) this.write(tab, index);
    else if (event < 5) this.connect(tab);
    else if (event < 7) this.listed(tab);
    else if (event < 10) this.hear(tab);
    else if (event < 13) this.answer(tab, false);
    else if (event === 13) this.fire(tab);
    else if (event === 14 && this.random() < 0.4) this.disconnect(tab);
    else if (event === 15 && this.random() < 0.4) this.die(tab);
  }

  /** Everything heals, and nobody reconnects who is connected. @return whether all has been sent. */
  settle(): boolean {
    for (let round = 0; round < 300 && this.stored.size > 0; ++round) {
      this.now += 20_000;
      for (const tab of this.tabs) {
        this.connect(tab);
        this.listed(tab);
        while (tab.news.length > 0) this.hear(tab);
        this.fire(tab);
        while (tab.inFlight.length > 0) this.answer(tab, true);
      }
    }
    for (const tab of this.tabs) while (tab.news.length > 0) this.hear(tab);
    return this.stored.size === 0 && (this.lock[0]?.machine.count ?? 0) === 0;
  }
}

test("Whichever tab dies when, every message is sent, in the order in which its writer wrote it", () => {
  for (let seed = 1; seed <= schedules; ++seed) {
    const world = new World(seed);
    try {
      for (let step = 0; step < 200; ++step) world.step();
      expect(world.settle()).toBe(true);
      expect([...world.committed.values()].flat()).toHaveLength(world.made);
      for (const [key, ids] of world.written) {
        const all = world.committed.get(key.split(" ")[1] ?? "") ?? [];
        expect(all.filter((id) => ids.includes(id))).toEqual(ids);
      }
    } catch (thrown) {
      throw new Error(`seed ${seed}`, { cause: thrown });
    }
  }
});
