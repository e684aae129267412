/**
 * What outlives a page: small records under text keys, in IndexedDB; where that is missing in local storage;
 * where that is forbidden too in memory, for as long as the page lives.
 *
 * A store that begins to fail is replaced by memory (`SteadyStore`), so that nothing waits for it for ever and
 * nothing that the page knows is lost with it.
 * Operations settle when they are done, and are done in the order of the calls.
 */
import type { KeyValueStore } from "./environment.js";

export type StoreKind = "indexeddb" | "localstorage" | "memory";

export interface DurableStore {
  readonly kind: StoreKind;
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
  remove(key: string): Promise<void>;
  /** All records whose key begins so, in order of the keys. */
  list(prefix: string): Promise<[key: string, value: unknown][]>;
  removeAll(prefix: string): Promise<void>;
}

const databaseName = "countersign";
const storeName = "records";
/** Above every character that keys are made of. */
const afterAll = "\uffff";
/** Some browsers never answer a request to open a database. */
export const openLimitMs = 2_000;

export class MemoryStore implements DurableStore {
  readonly kind = "memory";
  readonly #records = new Map<string, unknown>();

  get(key: string): Promise<unknown> {
    return Promise.resolve(this.#records.get(key));
  }
  put(key: string, value: unknown): Promise<void> {
    this.#records.set(key, value);
    return Promise.resolve();
  }
  remove(key: string): Promise<void> {
    this.#records.delete(key);
    return Promise.resolve();
  }
  list(prefix: string): Promise<[string, unknown][]> {
    const found = [...this.#records].filter(([key]) => key.startsWith(prefix));
    return Promise.resolve(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  removeAll(prefix: string): Promise<void> {
    for (const key of [...this.#records.keys()]) if (key.startsWith(prefix)) this.#records.delete(key);
    return Promise.resolve();
  }
}

/** Records as JSON in local storage. */
export class LocalStore implements DurableStore {
  readonly kind = "localstorage";
  readonly #storage: KeyValueStore;

  constructor(storage: KeyValueStore) {
    this.#storage = storage;
  }

  // `async` turns what the storage throws into a rejection.
  async get(key: string): Promise<unknown> {
    return parse(this.#storage.getItem(root + key));
  }
  async put(key: string, value: unknown): Promise<void> {
    this.#storage.setItem(root + key, JSON.stringify(value));
  }
  async remove(key: string): Promise<void> {
    this.#storage.removeItem(root + key);
  }
  async list(prefix: string): Promise<[string, unknown][]> {
    const keys = this.#keys(prefix).sort();
    return keys.map((key) => [key, parse(this.#storage.getItem(root + key))]);
  }
  async removeAll(prefix: string): Promise<void> {
    for (const key of this.#keys(prefix)) this.#storage.removeItem(root + key);
  }

  #keys(prefix: string): string[] {
    const keys: string[] = [];
    for (let index = 0; index < this.#storage.length; ++index) {
      const key = this.#storage.key(index);
      if (key?.startsWith(root + prefix)) keys.push(key.slice(root.length));
    }
    return keys;
  }
}

const root = "countersign/";

function parse(text: string | null): unknown {
  try {
    return text === null ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}

export class IndexedDbStore implements DurableStore {
  readonly kind = "indexeddb";
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
    // A later version of this SDK in another tab must not wait for this one.
    database.onversionchange = () => database.close();
  }

  /** @throws when there is no usable database within two seconds. */
  static open(factory: IDBFactory): Promise<IndexedDbStore> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer")), openLimitMs);
      const request = factory.open(databaseName, 1);
      request.onupgradeneeded = () => void request.result.createObjectStore(storeName);
      request.onblocked = () => reject(new Error("blocked"));
      request.onerror = () => reject(request.error ?? new Error("refused"));
      request.onsuccess = () => {
        clearTimeout(timer);
        resolve(new IndexedDbStore(request.result));
      };
    });
  }

  get(key: string): Promise<unknown> {
    return this.#run("readonly", (records) => {
      const request = records.get(key) as IDBRequest<unknown>;
      return () => request.result;
    });
  }
  put(key: string, value: unknown): Promise<void> {
    return this.#change((records) => records.put(value, key));
  }
  remove(key: string): Promise<void> {
    return this.#change((records) => records.delete(key));
  }
  list(prefix: string): Promise<[string, unknown][]> {
    const range = IDBKeyRange.bound(prefix, prefix + afterAll);
    return this.#run("readonly", (records) => {
      const keys = records.getAllKeys(range);
      const values = records.getAll(range) as IDBRequest<unknown[]>;
      return () => keys.result.map((key, index): [string, unknown] => [String(key), values.result[index]]);
    });
  }
  removeAll(prefix: string): Promise<void> {
    return this.#change((records) => records.delete(IDBKeyRange.bound(prefix, prefix + afterAll)));
  }

  #change(make: (records: IDBObjectStore) => unknown): Promise<void> {
    return this.#run("readwrite", (records) => {
      make(records);
      return () => undefined;
    });
  }

  /** Runs one transaction; settles when it is complete, with what the requests in it brought. */
  #run<T>(mode: IDBTransactionMode, ask: (records: IDBObjectStore) => () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(storeName, mode);
      const read = ask(transaction.objectStore(storeName));
      transaction.oncomplete = () => resolve(read());
      transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
    });
  }
}

/**
 * A store that turns into memory when it fails: what waits for it then goes on. The memory has all that this page
 * has read of the store and written to it; what is removed later is removed from the store as well, if that lets it.
 */
export class SteadyStore implements DurableStore {
  readonly #store: DurableStore;
  readonly #failed: (kind: StoreKind, thrown: unknown) => void;
  readonly #known = new MemoryStore();
  #givenUp = false;

  /** @param failed  told once, when the store is given up. */
  constructor(store: DurableStore, failed: (kind: StoreKind, thrown: unknown) => void) {
    this.#store = store;
    this.#failed = failed;
  }

  get kind(): StoreKind {
    return this.#givenUp ? "memory" : this.#store.kind;
  }

  async get(key: string): Promise<unknown> {
    const value = await this.#try((store) => store.get(key));
    if (!this.#givenUp) await this.#known.put(key, value);
    return this.#known.get(key);
  }
  async put(key: string, value: unknown): Promise<void> {
    await this.#try((store) => store.put(key, value));
    await this.#known.put(key, value);
  }
  async list(prefix: string): Promise<[string, unknown][]> {
    const found = await this.#try((store) => store.list(prefix));
    if (!this.#givenUp) {
      void this.#known.removeAll(prefix);
      for (const [key, value] of found ?? []) void this.#known.put(key, value);
    }
    return this.#known.list(prefix);
  }
  async remove(key: string): Promise<void> {
    await this.#try((store) => store.remove(key), true);
    await this.#known.remove(key);
  }
  async removeAll(prefix: string): Promise<void> {
    await this.#try((store) => store.removeAll(prefix), true);
    await this.#known.removeAll(prefix);
  }

  /** @return what the store answers; `undefined` when it has been given up. */
  async #try<T>(use: (store: DurableStore) => Promise<T>, always = false): Promise<T | undefined> {
    try {
      if (!this.#givenUp || always) return await use(this.#store);
    } catch (thrown) {
      if (!this.#givenUp) this.#failed(this.#store.kind, thrown);
      this.#givenUp = true;
    }
    return undefined;
  }
}

/** The best store there is; never rejects. */
export async function openDurableStore(
  factory: IDBFactory | null,
  storage: KeyValueStore | null,
): Promise<DurableStore> {
  try {
    if (factory !== null) return await IndexedDbStore.open(factory);
  } catch {
    // Forbidden, as in some private windows, or broken: the next best.
  }
  try {
    const probe = `${root}probe`;
    storage?.setItem(probe, "1");
    storage?.removeItem(probe);
    if (storage !== null) return new LocalStore(storage);
  } catch {
    // Forbidden as well.
  }
  return new MemoryStore();
}
