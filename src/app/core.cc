#include "app/core.h"

#include <charconv>

#include "base/log.h"

namespace countersign::app {
namespace {

constexpr std::string_view kTimeMark = "time_high_water_us";
/// A clock that stands further behind the mark than this deserves a word.
constexpr auto kNoticeableStep = std::chrono::minutes(1);

}  // namespace

accounts::HashOptions hash_options(const config::Settings& settings) {
  return {static_cast<std::size_t>(settings.accounts_argon2_memory_kib),
          static_cast<std::uint32_t>(settings.accounts_argon2_passes)};
}

accounts::PasswordPolicyOptions password_policy_options(const config::Settings& settings) {
  return {static_cast<std::size_t>(settings.accounts_password_min_length), {"countersign"}};
}

accounts::ThrottleOptions throttle_options(const config::Settings& settings) {
  accounts::ThrottleOptions options;
  options.sign_ups_per_hour = static_cast<std::uint32_t>(settings.accounts_sign_ups_per_hour);
  return options;
}

Result<std::optional<base::SystemTime>> read_time_mark(storage::MetaStore& meta) {
  const auto stored = meta.get(kTimeMark);
  if (!stored) return stored.failure();
  if (!*stored) return std::optional<base::SystemTime>();
  base::SystemTime::rep mark = 0;
  const auto& text = **stored;
  std::from_chars(text.data(), text.data() + text.size(), mark);
  return base::SystemTime{std::chrono::microseconds(mark)};
}

Result<std::unique_ptr<Core>> Core::open(config::Settings settings, Purpose purpose) {
  std::unique_ptr<Core> core(new Core(std::move(settings)));
  const auto& s = core->settings_;
  if (auto made = make_data_directory(s.data_dir); !made) return made.failure();
  if (purpose == Purpose::kServe) {
    auto lock = DataDirectoryLock::take(s.data_dir);
    if (!lock) return lock.failure();
    core->lock_.emplace(std::move(*lock));
  }
  // Two first starts at once would each make keys of their own.
  const auto opening = DataDirectoryLock::wait_to_open(s.data_dir);
  if (!opening) return opening.failure();
  auto store = open_store(s, core->clock_, core->metrics_);
  if (!store) return store.failure();
  core->store_ = std::move(*store);
  if (auto marked = core->exchange_time_mark(); !marked) return marked.failure();
  auto key = load_master_key(s.master_key_file, core->store_->meta(), core->random_);
  if (!key) return key.failure();
  core->master_key_ = std::move(*key);
  auto applications = Applications::load(s, *core->master_key_, *core->store_, core->random_);
  if (!applications) return applications.failure();
  core->applications_ = std::move(*applications);
  return core;
}

Result<void> Core::check_store_clock() {
  if (!store_is_shared(settings_)) return {};
  return store_clock_.check(*store_);
}

Result<void> Core::exchange_time_mark() {
  const auto stored = read_time_mark(store_->meta());
  if (!stored) return stored.failure();
  if (*stored) {
    const base::SystemTime time = **stored;
    clock_.raise_to(time);
    if (const auto behind = time - clock_.raw_now(); behind > kNoticeableStep && !told_behind_) {
      told_behind_ = true;
      base::log_warning(
          "clock_behind_the_store",
          {{"seconds", std::chrono::duration_cast<std::chrono::seconds>(behind).count()},
           {"what_it_means", "the server's time goes on from the later of the two"}});
    }
  }
  if (auto checked = check_store_clock(); !checked) return checked.failure();
  if (!store_clock_.agrees()) return {};
  return store_->meta().set(kTimeMark, std::to_string(clock_.now().time_since_epoch().count()));
}

AccountTools::AccountTools(Core& core)
    : keys_(accounts::AccountKeys::derive(core.master_key().id, core.master_key().bytes.bytes())),
      policy_(password_policy_options(core.settings())),
      throttle_(core.store().throttles(), core.clock(), keys_.throttle_key.clone(),
                throttle_options(core.settings())) {}

Result<std::unique_ptr<AccountTools>> AccountTools::create(Core& core) {
  std::unique_ptr<AccountTools> tools(new AccountTools(core));
  auto hasher = accounts::PasswordHasher::create(
      hash_options(core.settings()), std::move(tools->keys_.password_keys), core.random());
  if (!hasher) return hasher.failure();
  tools->hasher_.emplace(std::move(*hasher));
  tools->directory_.emplace(core.store(), core.clock(), core.random(), *tools->hasher_,
                            tools->policy_, tools->throttle_);
  return tools;
}

}  // namespace countersign::app
