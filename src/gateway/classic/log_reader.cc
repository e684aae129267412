#include "gateway/classic/log_reader.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "protocol/mxp_frame.h"
#include "protocol/mxp_message.h"

namespace countersign::gateway::classic {
namespace {

constexpr std::string_view kMessageType = "msg";
constexpr std::size_t kHistoryPage = 64;

bool is_text(const storage::Entry& entry) {
  const bool kind =
      entry.kind == storage::EntryKind::kMessage || entry.kind == storage::EntryKind::kSent;
  return kind && entry.message.kind == storage::MessageKind::kText && !entry.message.gone;
}

/// What this user can never fetch (a group they have left), or nobody can (a broken body), is
/// passed over; whatever else goes wrong is tried again.
Result<void> pass_over(ErrorCode code) {
  if (code != ErrorCode::kAbsent && code != ErrorCode::kPermissionDenied &&
      code != ErrorCode::kBadRequest) {
    return fail(code, "transport or messages of a conversation");
  }
  base::log_warning("classic_entry_passed_over", {{"error", error_name(code)}});
  return {};
}

std::size_t bytes_of(const LogPage& page) {
  std::size_t bytes = 0;
  for (const auto& item : page.items) bytes += item.text.size();
  return bytes;
}

}  // namespace

LogReader::LogReader(Options options, const ClassicKeys& keys, TransportDesk& transports,
                     storage::ClassicStore& classic, storage::MessageStore& messages,
                     base::Random& random)
    : options_(options),
      keys_(keys),
      transports_(transports),
      classic_(classic),
      messages_(messages),
      random_(random) {}

// The receipts are read once more after the entries: what is appended meanwhile stands behind all
// entries that were read, and no entry is given a position too low.
Result<LogPage> LogReader::read(const storage::UserKey& user, std::int64_t position) {
  const auto place = classic_.read_log(user, position, 0);
  if (!place) return place.failure();
  LogPage out;
  out.offset = std::max<std::int64_t>(0, position - place->before);
  out.start = out.offset;
  auto page = messages_.read_inbox(user, out.offset, options_.page_entries, options_.page_bytes);
  if (!page) return page.failure();
  if (out.offset > page->top) {
    out.astray = true;
    return out;
  }
  if (out.offset < page->floor) {  // older than what is kept
    const auto moved = classic_.position_of(user, page->floor);
    if (!moved) return moved.failure();
    out.offset = page->floor;
    position = *moved;
    page = messages_.read_inbox(user, out.offset, options_.page_entries, options_.page_bytes);
    if (!page) return page.failure();
  }
  const auto log = classic_.read_log(user, position, options_.page_receipts);
  if (!log) return log.failure();
  out.position = position;

  std::size_t receipt = 0, entry = 0;
  const bool all_receipts = log->receipts.size() < options_.page_receipts;
  for (;;) {
    if (bytes_of(out) >= options_.page_bytes) {
      out.more = true;
      return out;
    }
    const bool receipt_left = receipt < log->receipts.size();
    if (receipt_left && log->receipts[receipt].position == out.position + 1) {
      if (auto done = write_receipt(user, log->receipts[receipt], out); !done)
        return done.failure();
      ++receipt;
    } else if ((receipt_left || all_receipts) && entry < page->entries.size()) {
      if (auto done = write_entry(user, page->entries[entry], out); !done) return done.failure();
      out.offset = page->entries[entry].offset;
      ++entry;
    } else {
      out.more = receipt_left || entry < page->entries.size() || out.offset < page->top;
      return out;
    }
    ++out.position;
  }
}

Result<LogReader::Stretch> LogReader::unreceipted(const storage::UserKey& user,
                                                  std::int64_t after) {
  Stretch stretch{{}, after};
  const auto page =
      messages_.read_inbox(user, after, 4 * options_.page_entries, 4 * options_.page_bytes);
  if (!page) return page.failure();
  for (const storage::Entry& entry : page->entries) {
    if (entry.kind == storage::EntryKind::kMessage && is_text(entry)) {
      stretch.unreceipted.push_back({entry.offset, entry.message.sender, entry.message.id});
    }
    stretch.until = entry.offset;
  }
  return stretch;
}

Result<void> LogReader::write_entry(const storage::UserKey& user, const storage::Entry& entry,
                                    LogPage& page) {
  if (!is_text(entry)) return {};
  const storage::Message& stored = entry.message;
  const auto transport = transports_.id_of(user, stored.conversation);
  const auto text = protocol::mxp_text_of_body(stored.body);
  if (!transport || !text) {
    return pass_over(transport ? text.code() : transport.code());
  }
  protocol::MxpMessage message;
  message.code = protocol::kMxpText;
  message.type = kMessageType;
  message.body = text->bd;
  message.headers = text->headers;
  message.user = stored.sender.endpoint;
  message.channel = keys_.transport_channel({user.application, stored.sender});
  if (entry.kind == storage::EntryKind::kMessage) {
    page.unreceipted.push_back({entry.offset, stored.sender, stored.id});
  }
  return append(user, stored.id, *transport, protocol::encode_mxp_message(message), page);
}

// One receipt frame for each of the user's messages that the horizon has passed, oldest first; a
// tombstone may stand for one that this member never got.
Result<void> LogReader::write_receipt(const storage::UserKey& user,
                                      const storage::ClassicReceipt& receipt, LogPage& page) {
  const auto transport = transports_.id_of(user, receipt.conversation);
  if (!transport) return pass_over(transport.code());
  std::vector<std::string> sessions;
  std::int64_t before = receipt.seq + 1;
  while (before > receipt.after + 1 && sessions.size() < options_.messages_of_receipt) {
    const auto past = messages_.history(user, receipt.conversation, before, kHistoryPage);
    if (!past) return pass_over(past.code());
    for (const storage::Message& message : *past) {
      before = message.seq;
      if (message.seq <= receipt.after) break;
      if (message.sender == user.identity && message.kind == storage::MessageKind::kText &&
          !message.gone) {
        sessions.push_back(message.id);
      }
    }
    if (past->size() < kHistoryPage) break;
  }
  protocol::MxpMessage message;
  message.code = protocol::kMxpReceipt;
  message.type = kMessageType;
  message.user = receipt.member.endpoint;
  message.channel = keys_.transport_channel({user.application, receipt.member});
  const std::string text = protocol::encode_mxp_message(message);
  for (auto session = sessions.rbegin(); session != sessions.rend(); ++session) {
    if (auto done = append(user, *session, *transport, text, page); !done) return done;
  }
  return {};
}

Result<void> LogReader::append(const storage::UserKey& reader, std::string_view session,
                               std::string_view transport, std::string_view text, LogPage& page) {
  protocol::MxpIv iv{};
  random_.fill(iv);
  const auto payload =
      protocol::encrypt_mxp(keys_.transport_key(reader.application, transport), iv, text);
  if (!payload) return payload.failure();
  const std::uint32_t mark = random_.below(2'000'000'000);
  const std::string channel = keys_.transport_channel(reader);
  for (std::string& frame : protocol::split_mxp_payload(session, transport, *payload, mark)) {
    page.items.push_back({channel, std::move(frame)});
  }
  return {};
}

}  // namespace countersign::gateway::classic
