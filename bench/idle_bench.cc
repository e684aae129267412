// Yardstick of an idle connection: a bare Asio coroutine each, which waits for its socket to become
// readable and reads into a buffer that all share. A child process holds the other ends.
//
//   idle_bench CONNECTIONS      prints {"bytes_per_connection":…}, proportional set size
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

std::array<char, 16 * 1024> shared_buffer;

asio::awaitable<void> serve(tcp::socket socket) {
  for (;;) {
    co_await socket.async_wait(tcp::socket::wait_read, asio::use_awaitable);
    boost::system::error_code error;
    const auto got = socket.read_some(asio::buffer(shared_buffer), error);
    if (error == asio::error::would_block) continue;
    if (error || got == 0) co_return;
  }
}

long pss_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  long kilobytes = 0;
  while (file >> word) {
    if (word == "Pss:" && file >> kilobytes) return kilobytes * 1024;
  }
  std::abort();
}

/// Opens `count` connections from addresses of 127.0.0.0/8, a thousand from each, and holds them.
[[noreturn]] void hold_connections(tcp::endpoint server, std::size_t count) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  asio::io_context context;
  std::vector<tcp::socket> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    sockets.emplace_back(context, tcp::v4());
    const auto source = static_cast<asio::ip::address_v4::uint_type>(0x7F030001 + i / 1000);
    sockets.back().bind({asio::ip::address_v4(source), 0});
    sockets.back().connect(server);
  }
  pause();
  std::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc == 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  if (count == 0) {
    std::fprintf(stderr, "usage: idle_bench CONNECTIONS\n");
    return 2;
  }
  asio::io_context context(1);
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  const tcp::endpoint address = acceptor.local_endpoint();
  const pid_t child = fork();
  if (child == 0) hold_connections(address, count);

  const long before = pss_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    tcp::socket socket = acceptor.accept();
    socket.non_blocking(true);
    asio::co_spawn(context, serve(std::move(socket)), asio::detached);
    context.poll();
  }
  const long each = (pss_bytes() - before) / static_cast<long>(count);
  std::printf("{\"bytes_per_connection\":%ld}\n", each);
  kill(child, SIGKILL);
  return 0;
}
