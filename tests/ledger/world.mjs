// The people of a ledger run: users with devices, the conversations they have, the rate at which
// they talk, and the faults that befall them.
import { Device } from "./device.mjs";
import { FaultPlan } from "./faults.mjs";
import { Ledger } from "./ledger.mjs";
import { Random } from "./random.mjs";

const tickMs = 20;
const maxQueue = 100; // of a device: while nobody accepts anything, people stop talking

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class World {
  /**
   * @param rig      what serves: {nodes, application, faults (kinds as in faults.mjs), inflict(deed, choice), heal()}
   * @param options  {users, devices (of each), groups, groupSize, largeGroupSize, rate (messages a second), seed}
   */
  constructor(rig, options) {
    this.rig = rig;
    this.options = { users: 20, devices: 2, groups: 2, groupSize: 5, largeGroupSize: 0, rate: 200, ...options };
    const seed = new Random(this.options.seed ?? 1);
    this.random = seed.fork(); // what people say, which depends on how quickly they are answered
    this.faultRandom = seed.fork(); // what befalls the servers, which does not
    this.ledger = new Ledger({ receiptsMayCross: rig.nodes.length > 1 });
    this.users = [];
    this.devices = [];
    this.groups = [];
    this.faults = {};
  }

  async begin() {
    const { users, devices } = this.options;
    for (let u = 0; u < users; u++) {
      const user = `user${u}`;
      this.users.push(user);
      this.ledger.addUser(user);
      for (let d = 0; d < devices; d++) {
        const name = `${user}-${d}`;
        this.ledger.addDevice(name, user);
        this.devices.push(
          new Device({
            name,
            user,
            ledger: this.ledger,
            nodes: this.rig.nodes,
            application: this.rig.application,
            random: this.random.fork(),
          }),
        );
      }
    }
    for (const device of this.devices) {
      device.start();
      await pause(2); // not all in one breath: the limits for an address are what they are
    }
    await this.#until(() => this.devices.every((device) => device.live), "every device is connected");
    const { groups, groupSize, largeGroupSize } = this.options;
    for (let g = 0; g < groups; g++) await this.#makeGroup(g, this.#some(groupSize));
    if (largeGroupSize > 0) await this.#makeGroup(groups, this.users.slice(0, largeGroupSize));
  }

  #some(count) {
    const chosen = new Set();
    while (chosen.size < count) chosen.add(this.random.pick(this.users));
    return [...chosen];
  }

  async #makeGroup(number, members) {
    const maker = this.devices.find((device) => device.user === members[0]);
    const users = members.slice(1).map((endpoint) => ({ type: "username", endpoint }));
    const reply = await maker.connection.command("group", { msg_id: `g${number}`, action: "create", name: `Group ${number}`, users });
    if (reply?.group === undefined) throw new Error(`no group was made: ${JSON.stringify(reply)}`);
    this.groups.push({ conv: reply.group.conv, members });
  }

  /**
   * Lets people talk for a while, whatever befalls the servers meanwhile.
   * @param seconds   at least this long
   * @param messages  until at least so many were accepted
   * @param faultEvery  seconds between faults; 0: none. With faults it goes on until each kind has happened
   */
  async talk({ seconds, messages = 0, faultEvery = 0, deathChance = 0.0002, dropChance = 0.02, report }) {
    const began = performance.now();
    const end = began + seconds * 1000;
    const plan = faultEvery > 0 ? new FaultPlan(this.rig.faults, this.faultRandom, faultEvery) : undefined;
    let coming = plan?.next();
    let nextFault = began + (coming?.wait ?? 0);
    let lasting; // the fault that lasts
    let broken; // what went wrong with it
    const allHappened = () => plan === undefined || this.rig.faults.every(({ name }) => this.faults[name] > 0);
    let nextReport = began + 10_000;
    let debt = 0;
    let last = began;
    for (const device of this.devices) device.deathChance = deathChance;
    while (performance.now() < end || this.ledger.counts.accepted < messages || !allHappened()) {
      await pause(tickMs);
      const now = performance.now();
      debt = Math.min(debt + ((now - last) / 1000) * this.options.rate, this.options.rate);
      last = now;
      for (; debt >= 1; debt--) this.#say();
      if (this.random.chance(dropChance)) this.random.pick(this.devices).drop();
      if (plan && !lasting && now >= nextFault) {
        lasting = this.#befall(coming, report)
          .catch((error) => (broken = error))
          .then(() => {
            coming = plan.next();
            nextFault = performance.now() + coming.wait;
            lasting = undefined;
          });
      }
      if (broken) throw broken;
      if (report && now >= nextReport) {
        nextReport = now + 10_000;
        report(this.summary((now - began) / 1000));
      }
      if (this.ledger.violations.length > 0) break;
    }
    await lasting;
    if (broken) throw broken;
    for (const device of this.devices) device.deathChance = 0;
  }

  #say() {
    const device = this.random.pick(this.devices);
    if (device.queue.length >= maxQueue) return;
    const groups = this.groups.filter((group) => group.members.includes(device.user));
    // A large group costs as much as all its members: it speaks seldom.
    const group = groups.length > 0 && this.random.chance(0.1) ? this.random.pick(groups) : undefined;
    if (group !== undefined && (group.members.length < 50 || this.random.chance(0.05))) return device.send(group);
    const other = this.random.pick(this.users);
    device.send({ users: other === device.user ? [this.users[(this.users.indexOf(other) + 1) % this.users.length]] : [other] });
  }

  async #befall({ name, deed, choice }, report) {
    report?.(`fault: ${[name, ...choice].join(", ")}`);
    await this.rig.inflict(deed, choice);
    this.faults[name] = (this.faults[name] ?? 0) + 1;
  }

  /** Ends all faults, waits until every device has everything, and judges. @return the violations */
  async settle({ seconds = 120, report } = {}) {
    await this.rig.heal();
    const end = performance.now() + seconds * 1000;
    let rounds = 0;
    while (performance.now() < end && this.ledger.violations.length === 0) {
      await pause(200);
      if (!this.devices.every((device) => device.idle)) continue;
      if (this.ledger.missing() === 0 && rounds >= 2) break;
      rounds++;
      await Promise.all(this.devices.map((device) => device.refreshTop()));
    }
    const behind = this.devices.filter((device) => !device.idle);
    for (const device of behind.slice(0, 5)) {
      report?.(`${device.name}: live ${device.live}, unsent ${device.queue.length}, at ${device.note?.offset} of ${device.top}`);
    }
    return this.ledger.settle();
  }

  stop() {
    for (const device of this.devices) device.stop();
  }

  summary(seconds) {
    const { sent, accepted, duplicates, handled, redelivered, connects, receipts, reads } = this.ledger.counts;
    const rate = seconds ? `, ${Math.round(accepted / seconds)}/s` : "";
    return `${sent} sent, ${accepted} accepted${rate}, ${duplicates} repeats, ${handled} handled, ${redelivered} redelivered, ${reads} reads, ${receipts} receipts, ${connects} connects`;
  }

  async #until(condition, what, ms = 30_000) {
    const end = performance.now() + ms;
    while (!condition()) {
      if (performance.now() > end) throw new Error(`waited ${ms} ms until ${what}`);
      await pause(50);
    }
  }
}
