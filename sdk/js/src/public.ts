/** Everything the SDK offers, for both entry points. */
export { Client } from "./client.js";
export { closeCodes, errorCodes } from "./codes.js";
export type { CloseRow, CodeRow } from "./codes.js";
export type { Broadcast, Environment, KeyValueStore, LockKeeper } from "./environment.js";
export { clientCodes, CountersignError, describeCode } from "./errors.js";
export type { Listener } from "./events.js";
export type { LogEntry, LogLevel } from "./log.js";
export type {
  Attachment,
  Conversation,
  ConversationInfo,
  ConversationInput,
  FailedEvent,
  GoneEvent,
  GroupChange,
  HistoryOptions,
  HistoryPage,
  Horizon,
  ListOptions,
  MembersPage,
  Message,
  MessageContent,
  MessageEvents,
  MessageListener,
  Messages,
  Page,
  Presence,
  ReceiptEvent,
  RecoveredEvent,
  ResetEvent,
  Sending,
  SentEvents,
  SentMessage,
  SentState,
  TypingEvent,
  UnsentEvent,
  UserInput,
} from "./message_types.js";
export type {
  ClassicMessage,
  MessageClient,
  MessageClientListener,
  MessageDeliveryInfo,
  MessageFailureInfo,
  Recipient,
} from "./message_client.js";
export type { ClientOptions, Credentials, SignOutOptions } from "./options.js";
export type { ProgressPromise } from "./promise.js";
export { SinchClient } from "./sinch_client.js";
export type { Capabilities, SinchClientConfig, StartInput } from "./sinch_client.js";
export { readTicket } from "./ticket.js";
export type { TicketClaims } from "./ticket.js";
export type { Transport, TransportEvents, TransportFactory } from "./transport.js";
export type {
  ClientEvents,
  ConnectionInfo,
  ConnectionState,
  End,
  EndKind,
  Identity,
  Session,
  StateChange,
  TicketAnswer,
} from "./types.js";
export { version } from "./version.js";
