/** Ids of messages: UUIDs of version 7 (RFC 9562, section 5.7), which sort by the time they were made. */

/** @param time  milliseconds since 1970.  @param random  ten unguessable bytes. */
export function uuid7(time: number, random: Uint8Array): string {
  const bytes = new Uint8Array(16);
  let rest = Math.max(0, Math.floor(time));
  for (let index = 5; index >= 0; --index) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(random.subarray(0, 10), 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** When an id was made, in milliseconds since 1970; 0 for what is no such id. */
export function timeOfUuid7(id: string): number {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-7/.exec(id);
  return match === null ? 0 : Number.parseInt(`${match[1]}${match[2]}`, 16);
}
