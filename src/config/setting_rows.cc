// The table of settings. The documentation of each is what `config doc` prints.
#include "config/settings.h"

namespace countersign::config {
namespace {

using S = Settings;

const std::vector<SettingRow>& rows() {
  static const std::vector<SettingRow> table = {
      {"data_dir", &S::data_dir,
       "Folder for everything the server keeps: the SQLite file, the default application's key and "
       "secret, the master key. Made with mode 0700. One server at a time may use it."},
      {"master_key_file", &S::master_key_file,
       "File with the master key, 32 bytes in base64url, mode 0600. It seals secrets at rest and "
       "derives instance secrets. Default: master.key in data_dir, made at the first start. Keep "
       "a copy apart from the database's backups."},

      {"server.listen", &S::server_listen,
       "Address to serve on, HOST:PORT. `localhost` is 127.0.0.1 and ::1; port 0 picks a free "
       "one."},
      {"server.public_url", &S::server_public_url,
       "The URL people use, without a path. Origins are compared with it, and an https URL turns "
       "on Strict-Transport-Security. Default: made from server.listen."},
      {"server.tls_certificate", &S::server_tls_certificate,
       "PEM file with the certificate chain. With server.tls_key: serve TLS. SIGHUP reads both "
       "files again."},
      {"server.tls_key", &S::server_tls_key, "PEM file with the certificate's private key."},
      {"server.allowed_origins", &S::server_allowed_origins,
       "Origins besides public_url whose pages may post to /api/auth and open the gateway, for "
       "instance `https://app.example.org`."},
      {"server.trusted_proxies", &S::server_trusted_proxies,
       "Networks whose X-Forwarded-For and X-Forwarded-Proto are believed, for instance "
       "`10.0.0.0/8`. Empty: nobody's."},
      {"server.insecure_cookies", &S::server_insecure_cookies,
       "For development only: cookies without Secure and without the __Host- prefix, so that "
       "sign-in works over plain http on an address that is not this machine."},
      {"server.shards",
       &S::server_shards,
       "Threads that serve connections. 0: one a core.",
       {},
       0,
       256},
      {"server.drain_seconds",
       &S::server_drain_seconds,
       "At SIGTERM: how long open requests and connections may take to end.",
       {},
       0,
       600},

      {"metrics.listen", &S::metrics_listen,
       "Address that serves /metrics, HOST:PORT. Empty: none. If it is taken, the server warns and "
       "goes on without."},
      {"log.level",
       &S::log_level,
       "Lowest level that is written.",
       {"debug", "info", "warning", "error"}},

      {"storage.url", &S::storage_url,
       "Where durable state lives: `sqlite:PATH`, or "
       "`postgresql://USER:PASSWORD@HOST:PORT/DATABASE` "
       "as libpq reads it (docs/operations/postgresql.md). It may hold a password: set it in a "
       "file "
       "or the environment rather than on the command line, which others on the machine can read. "
       "Default: countersign.db in data_dir."},
      {"storage.workers",
       &S::storage_workers,
       "Threads that wait for the store: so many for pages and tickets, and as many for the "
       "gateway. "
       "Of PostgreSQL a server takes at most four sessions more.",
       {},
       2,
       256},
      {"bus.url", &S::bus_url,
       "How nodes hasten news to each other: `local:` is within this process; "
       "`nats://[USER@]HOST[:PORT]` (`tls://` for TLS) names NATS servers, the members of one "
       "cluster "
       "separated by commas."},
      {"bus.password_file", &S::bus_password_file,
       "File with the password of the user that bus.url names or, if it names none, with a token."},
      {"bus.ca_file", &S::bus_ca_file,
       "Certificate authorities of the NATS servers, in PEM; asks for TLS. Default: the system's."},

      {"application.key", &S::application_key,
       "Public key of the default application. With application.secret_file; together they may be "
       "those of a hosted platform, and the tickets then are that platform's. Default: app.key in "
       "data_dir, made at the first start."},
      {"application.secret_file", &S::application_secret_file,
       "File with the default application's secret in base64 (at least 16 bytes). Default: "
       "app.secret in data_dir, made at the first start with mode 0600."},

      {"accounts.sign_up",
       &S::accounts_sign_up,
       "Whether people may make accounts for themselves. Closed: `countersign user add`.",
       {"open", "closed"}},
      {"accounts.password_min_length",
       &S::accounts_password_min_length,
       "Shortest password, in code points. 15 is what NIST SP 800-63B-4 asks of a password that is "
       "the only factor.",
       {},
       8,
       128},
      {"accounts.argon2_memory_kib",
       &S::accounts_argon2_memory_kib,
       "Memory of one argon2id hash. The default, 19 MiB with 2 passes, is also the floor: about "
       "15 ms alone. Raise it (65536 with 2 passes: about 45 ms) when sign-ins are rare enough "
       "that two cores at about 30 sign-ins a second suffice.",
       {},
       19456,
       1048576},
      {"accounts.argon2_passes",
       &S::accounts_argon2_passes,
       "Passes of one argon2id hash.",
       {},
       2,
       10},
      {"accounts.password_pool_memory_mib",
       &S::accounts_password_pool_memory_mib,
       "Memory that hashes under way may use together. Hashes at once: as many as fit, at most one "
       "a core.",
       {},
       19,
       65536},
      {"accounts.sign_ups_per_hour",
       &S::accounts_sign_ups_per_hour,
       "Sign-ups from one address (IPv6: /64) in an hour.",
       {},
       1,
       1000000},
      {"accounts.answer_floor_ms",
       &S::accounts_answer_floor_ms,
       "Sign-in and sign-up answer no sooner than this, so that the time tells nothing.",
       {},
       0,
       1000},
      {"accounts.answer_jitter_ms",
       &S::accounts_answer_jitter_ms,
       "Random time added to the floor.",
       {},
       0,
       1000},
      {"accounts.throttle_ipv4_bits",
       &S::accounts_throttle_ipv4_bits,
       "Prefix of IPv4 addresses that throttles count as one place: 32, or 24.",
       {},
       8,
       32},

      {"sessions.idle_minutes",
       &S::sessions_idle_minutes,
       "A sign-in session ends after this time without a request or a connected client.",
       {},
       1,
       1440},
      {"sessions.absolute_hours",
       &S::sessions_absolute_hours,
       "A sign-in session ends this long after the sign-in, whatever happens.",
       {},
       1,
       720},
      {"sessions.max_per_account",
       &S::sessions_max_per_account,
       "Sessions a person may have at once; the oldest ends.",
       {},
       1,
       1000},

      {"issuing.identity",
       &S::issuing_identity,
       "What a ticket says who the person is. `username`: the user name. `email`: the e-mail "
       "address, as an identity of type email. `email_as_username`: the e-mail address, as an "
       "identity of type username. The last two make the address required and unique.",
       {"username", "email", "email_as_username"}},
      {"issuing.session_member", &S::issuing_session_member,
       "Tickets carry the handle of the sign-in session, so that they die with it. Turn it off for "
       "other platforms that refuse unknown members."},
      {"issuing.ticket_seconds",
       &S::issuing_ticket_seconds,
       "Lifetime of a ticket.",
       {},
       60,
       86400},

      {"gateway.ticket_policy",
       &S::gateway_ticket_policy,
       "How strictly tickets are read. `default` takes what every known producer writes; `strict` "
       "wants the canonical form.",
       {"default", "strict"}},
      {"gateway.replay_cache", &S::gateway_replay_cache,
       "Refuse a ticket that another device presented before."},
      {"gateway.ping_seconds", &S::gateway_ping_seconds, "Pause between pings.", {}, 5, 300},

      {"messages.unknown_users",
       &S::messages_unknown_users,
       "What becomes of a message to somebody who has no account here and never connected. "
       "`refuse`: the sender hears 102. `keep`: it waits for them, in an inbox that is small until "
       "they connect.",
       {"refuse", "keep"}},
      {"messages.presence",
       &S::messages_presence,
       "Who may see whether somebody is there: `contacts`, people who share a conversation with "
       "them; `everybody` of the application; `off`, nobody.",
       {"contacts", "everybody", "off"}},
      {"messages.retention_days",
       &S::messages_retention_days,
       "Messages are kept this long, and no longer. A device that was away for longer reloads what "
       "it shows.",
       {},
       1,
       3650},
      {"messages.inbox_entries",
       &S::messages_inbox_entries,
       "Entries one inbox takes; beyond it senders hear 212. Nothing accepted leaves early.",
       {},
       100,
       100000000},
      {"messages.inbox_mebibytes",
       &S::messages_inbox_mebibytes,
       "The same in MiB of messages.",
       {},
       1,
       1048576},
      {"messages.inbox_entries_of_sender",
       &S::messages_inbox_entries_of_sender,
       "Of an inbox's entries, how many may be one sender's.",
       {},
       10,
       100000000},

      {"callbacks.url", &S::callbacks_url,
       "Where the server tells your own backend what happens: an http or https URL, without user "
       "name and fragment (docs/guides/callbacks.md). Empty: nobody is told, and nothing is kept "
       "to "
       "be told."},
      {"callbacks.allowed_private_hosts", &S::callbacks_allowed_private_hosts,
       "Hosts, as callbacks.url writes them, that may have an address of this machine or of a "
       "private network."},
      {"callbacks.ca_file", &S::callbacks_ca_file,
       "Certificate authorities of the backend, in PEM. Default: the system's."},
      {"callbacks.max_rows",
       &S::callbacks_max_rows,
       "Callbacks that may wait, and dead letters that are kept. Beyond it the oldest is given up.",
       {},
       100,
       100000000},

      {"limits.max_connections",
       &S::limits_max_connections,
       "Connections in all.",
       {},
       1,
       10000000},
      {"limits.max_connections_per_address",
       &S::limits_max_connections_per_address,
       "Connections from one address (IPv6: /64).",
       {},
       1,
       10000000},
      {"limits.max_header_bytes",
       &S::limits_max_header_bytes,
       "Request line and headers together.",
       {},
       1024,
       1048576},
      {"limits.header_timeout_seconds",
       &S::limits_header_timeout_seconds,
       "From a request's first byte to the end of its headers.",
       {},
       1,
       3600},
      {"limits.body_timeout_seconds",
       &S::limits_body_timeout_seconds,
       "From the end of the headers to the end of the body.",
       {},
       1,
       3600},
      {"limits.idle_timeout_seconds",
       &S::limits_idle_timeout_seconds,
       "Between two requests of a connection.",
       {},
       1,
       3600},
      {"limits.write_timeout_seconds",
       &S::limits_write_timeout_seconds,
       "For an answer to be taken.",
       {},
       1,
       3600},
      {"limits.max_frame_bytes",
       &S::limits_max_frame_bytes,
       "One WebSocket message of a client.",
       {},
       1024,
       16777216},
      {"limits.max_queued_bytes",
       &S::limits_max_queued_bytes,
       "What may wait to be sent to one client for 10 seconds; twice as much may not wait at all.",
       {},
       4096,
       1073741824},
      {"limits.max_instances_per_user",
       &S::limits_max_instances_per_user,
       "Instances of one identity at once.",
       {},
       1,
       100000},
      {"limits.commands_per_second",
       &S::limits_commands_per_second,
       "Commands of one client a second, on average.",
       {},
       1,
       100000},
      {"limits.messages_per_second",
       &S::limits_messages_per_second,
       "Messages of one user a second, on average and over all connections to this node, each "
       "recipient counting one; five times as many at once.",
       {},
       1,
       1000000},
      {"limits.max_devices_per_user",
       &S::limits_max_devices_per_user,
       "Devices whose place in the inbox is kept for one user; beyond it the one longest away is "
       "forgotten.",
       {},
       1,
       10000},
      {"limits.server_api_per_second",
       &S::limits_server_api_per_second,
       "Requests to the server API of one application a second, on average and to this node; five "
       "times as many at once.",
       {},
       1,
       1000000},

      {"compat.query_credentials", &S::compat_query_credentials,
       "POST /api/auth takes user name and password from the query string, as the C# tutorial "
       "sends "
       "them. They end up in the logs of every proxy on the way: for trying the tutorial only."},
      {"compat.sinch_sdk", &S::compat_sinch_sdk,
       "The door for the classic, unmodified Sinch JavaScript SDK (sinch-rtc 1.4): REST below "
       "/sinch/v1/, publish and subscribe at the root. That SDK insists on https."},
      {"compat.sinch_hosts", &S::compat_sinch_hosts,
       "Further names under which clients of that door reach this server: NAME, NAME:PORT, or "
       ":PORT "
       "alone, where the server then listens as well. Browsers open six connections to one name "
       "and "
       "port, and every page holds one all the time. Named in turn; empty: the host of "
       "server.public_url alone. Names must not begin with `ps` or `pubsub`, which the SDK "
       "rewrites."},
      {"compat.sinch_accounts", &S::compat_sinch_accounts,
       "Clients of that door may sign up and sign in with a password, as that SDK's newUser() and "
       "start({username, password}) do. Sign-up also wants accounts.sign_up."},
      {"compat.sinch_instance_hours",
       &S::compat_sinch_instance_hours,
       "How long an instance of that door lives after it was given a ticket: that SDK cannot show "
       "a "
       "new one while a page runs. It ends sooner with the sign-in session behind the ticket.",
       {},
       1,
       720},
      {"compat.sinch_path_prefix", &S::compat_sinch_path_prefix,
       "What a reverse proxy takes away from the front of this door's paths, `/gateway` for "
       "instance: "
       "that SDK signs the path that it asked for. Empty: nothing."},
  };
  return table;
}

}  // namespace

std::span<const SettingRow> setting_rows() { return rows(); }

}  // namespace countersign::config
