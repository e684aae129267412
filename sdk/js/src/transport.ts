/**
 * The pipe under the protocol: text frames in both directions, and an end. The protocol does not care
 * what carries it; today that is a WebSocket (`transport_websocket.ts`).
 */
export interface TransportEvents {
  opened(): void;
  frame(text: string): void;
  /** Called once, last. `code` is a WebSocket close code; 1006 when the pipe just broke. */
  closed(code: number): void;
}

export interface Transport {
  /** Sends a frame; one that cannot be sent any more is dropped, and `closed` follows. */
  send(frame: string): void;
  /** Asks for a close. Frames and the end may still be reported afterwards. */
  close(code: number): void;
}

/** @throws when the page may not open such a pipe at all (for instance `ws:` from an `https:` page). */
export type TransportFactory = (url: string, events: TransportEvents) => Transport;
