// Job `linux-listen`: opens a TCP port whose connections send at a rate of their own, a segment at a
// time, and becomes a server that inherits it. nginx takes over such a port from one that it replaces:
// its number stands in the environment variable NGINX. Connections have what the port was set to.
//
// Specification: {"address": "10.77.0.1", "port": 80, "bytesPerSecond": of a connection (0: no limit),
// "command": ["nginx", ...]}. No record where it succeeds: the server is this process.
#include "lab/linux/listen.hpp"

#include "jobs/spec_reader.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace reframer::lab {

namespace {

[[noreturn]] void fail_errno(const std::string &what)
{
	throw JobError("linux-listen", what + ": " + std::strerror(errno));
}

// What nginx itself asks for.
constexpr int backlog = 511;

int listening(const sockaddr_in &at, uint64_t bytes_per_second)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0); // stays open over exec
	if (fd < 0)
		fail_errno("a socket");
	const int yes = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0)
		fail_errno("SO_REUSEADDR");
	if (bytes_per_second != 0 && setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &bytes_per_second,
	                                        sizeof(bytes_per_second)) != 0)
		fail_errno("SO_MAX_PACING_RATE");
	if (bind(fd, reinterpret_cast<const sockaddr *>(&at), sizeof(at)) != 0)
		fail_errno("binding");
	if (listen(fd, backlog) != 0)
		fail_errno("listening");
	return fd;
}

} // namespace

void run_linux_listen(const Json &spec)
{
	SpecReader in(spec, "");
	const std::string address = in.text("address", "");
	const auto port = in.integer<uint16_t>("port", 80, 1, UINT16_MAX);
	const uint64_t rate = in.integer<uint64_t>("bytesPerSecond", 0, 0, 1ull << 40);
	const Json *given = in.take("command");
	in.finish();
	sockaddr_in at = {};
	at.sin_family = AF_INET;
	at.sin_port = htons(port);
	if (inet_pton(AF_INET, address.c_str(), &at.sin_addr) != 1)
		throw JobError("bad-spec", "address: '" + address + "' is no IPv4 address", 2);
	if (given == nullptr || !given->is_array() || given->empty())
		throw JobError("bad-spec", "command: a program and its arguments are needed", 2);
	std::vector<std::string> words;
	for (const Json &word : *given)
		words.push_back(word.is_string() ? word.get<std::string>() : "");
	std::vector<char *> argv;
	for (std::string &word : words)
		argv.push_back(word.data());
	argv.push_back(nullptr);

	const int fd = listening(at, rate);
	if (setenv("NGINX", (std::to_string(fd) + ";").c_str(), 1) != 0)
		fail_errno("the environment");
	execvp(argv[0], argv.data());
	fail_errno(words[0]);
}

} // namespace reframer::lab
