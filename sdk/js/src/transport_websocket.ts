/** The WebSocket transport. */
import type { Transport, TransportEvents } from "./transport.js";

export const subprotocol = "countersign.v1.json";

export function openWebSocket(url: string, events: TransportEvents): Transport {
  const socket = new WebSocket(url, subprotocol);
  socket.onopen = () => events.opened();
  socket.onmessage = (message: MessageEvent<unknown>) => {
    // The protocol is text: a binary frame is handed on as one that does not parse.
    events.frame(typeof message.data === "string" ? message.data : "\u0000");
  };
  // An error is always followed by the close, which tells as much as a page may know.
  socket.onclose = (event: CloseEvent) => {
    socket.onopen = socket.onmessage = socket.onclose = null;
    events.closed(event.code);
  };
  return {
    send(frame) {
      if (socket.readyState === WebSocket.OPEN) socket.send(frame);
    },
    close(code) {
      socket.close(code);
    },
  };
}
