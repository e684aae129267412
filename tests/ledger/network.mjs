// A network of the test's own: one namespace with a bridge, and one for every process, so that any of
// them can be cut off. Wants root. Everything is named after the process that made it and goes with it.
import { execFileSync } from "node:child_process";

const prefix = `cs${process.pid}`;

function ip(...args) {
  return execFileSync("ip", args, { stdio: ["ignore", "pipe", "pipe"] }).toString();
}

/** Without root: addresses of the loopback, which nobody can be cut off from. */
export class Loopback {
  #count = 0;
  subnet = `127.77.${1 + (process.pid % 250)}`;
  canPart = false;

  namespace() {
    return undefined;
  }

  add() {
    return `${this.subnet}.${++this.#count}`;
  }

  mendAll() {}
}

export class Network {
  subnet = "10.77.0";
  canPart = true;
  #names = [];
  #addresses = new Map();
  #cut = new Set();

  constructor() {
    ip("netns", "add", this.#bridgeSpace);
    process.on("exit", () => this.remove());
    this.#inBridge("link", "add", "br0", "type", "bridge");
    this.#inBridge("link", "set", "br0", "up");
    this.#inBridge("link", "set", "lo", "up");
  }

  get #bridgeSpace() {
    return `${prefix}-lan`;
  }

  #inBridge(...args) {
    ip("-n", this.#bridgeSpace, ...args);
  }

  namespace(name) {
    return `${prefix}-${name}`;
  }

  /** Adds a host. @return its address */
  add(name) {
    const space = this.namespace(name);
    const address = `${this.subnet}.${this.#names.length + 1}`;
    this.#names.push(name);
    this.#addresses.set(name, address);
    ip("netns", "add", space);
    this.#inBridge("link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", space);
    this.#inBridge("link", "set", "dev", name, "master", "br0", "up");
    ip("-n", space, "link", "set", "lo", "up");
    ip("-n", space, "address", "add", `${address}/24`, "dev", "eth0");
    ip("-n", space, "link", "set", "eth0", "up");
    return address;
  }

  /** Nothing reaches the host any more, and nobody is told. */
  cut(name) {
    this.#inBridge("link", "set", "dev", name, "nomaster");
    this.#cut.add(name);
  }

  /** Two hosts no longer hear each other, but everybody else. */
  separate(one, other) {
    for (const [here, there] of [[one, other], [other, one]]) {
      ip("-n", this.namespace(here), "route", "add", "blackhole", `${this.#addresses.get(there)}/32`);
    }
  }

  join(one, other) {
    for (const [here, there] of [[one, other], [other, one]]) {
      ip("-n", this.namespace(here), "route", "del", "blackhole", `${this.#addresses.get(there)}/32`);
    }
  }

  mend(name) {
    this.#inBridge("link", "set", "dev", name, "master", "br0");
    this.#cut.delete(name);
  }

  mendAll() {
    for (const name of [...this.#cut]) this.mend(name);
  }

  remove() {
    for (const name of [...this.#names.map((host) => this.namespace(host)), this.#bridgeSpace]) {
      try {
        ip("netns", "del", name);
      } catch {
        // it is gone already
      }
    }
    this.#names = [];
  }
}
