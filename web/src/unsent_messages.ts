/**
 * Signing out on pages without a message client: what the person has written on this device and the server has
 * not stored is deleted with them, and nobody loses it without having been asked. The chat page does the same
 * through its client, which knows more.
 */
import { openDurableStore } from "../../sdk/js/src/durable_store.js";
import { outboxPrefix } from "../../sdk/js/src/outbox_runner.js";

/** `…/gateway/application/type/endpoint/id`, each escaped. */
function endpointOf(key: string): string {
  return decodeURIComponent(key.split("/").at(-2) ?? "");
}

/**
 * Asks, and deletes, if messages of this person wait here.
 * @param names  what the person is called: user name, e-mail address.
 * @return whether the page may go on to sign out.
 */
export async function giveUpUnsent(names: readonly string[]): Promise<boolean> {
  const store = await openDurableStore(globalThis.indexedDB ?? null, storage());
  const everybody = outboxPrefix("").slice(0, -1);
  const waiting = (await store.list(everybody)).map(([key]) => key).filter((key) => names.includes(endpointOf(key)));
  if (waiting.length === 0) return true;
  const many = waiting.length === 1 ? "One message has" : `${waiting.length} messages have`;
  if (!confirm(`${many} not been stored by the server yet. Signing out deletes what waits on this device.`)) return false;
  for (const key of waiting) await store.remove(key);
  return true;
}

function storage(): Storage | null {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}
