// Job `telemetry`: asks a DPDK program by its telemetry socket, whose kind (SOCK_SEQPACKET) Node
// cannot open. Without "commands" they are lines of stdin, each a JSON string, answered one by one.
//
// spec    {"socket": "/run/dpdk/rte/dpdk_telemetry.v2", "commands": ["/reframer/list", ...]}
// records {"command","answer"}; the first is {"program":{"version","pid","max_output_len"}}
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"

#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace reframer::lab {

namespace {

class Telemetry {
public:
	explicit Telemetry(const std::string &path)
	{
		sockaddr_un address = {};
		address.sun_family = AF_UNIX;
		if (path.size() >= sizeof(address.sun_path))
			throw JobError("bad-spec", path + " is too long for a socket's name", 2);
		std::memcpy(address.sun_path, path.c_str(), path.size());
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		// A program that answers takes milliseconds; one that does not must not be waited for.
		const timeval patience = {patience_s, 0};
		if (fd >= 0) {
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); // connect() too
		}
		if (fd < 0 ||
		    connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0) {
			const std::string reason = std::strerror(errno);
			if (fd >= 0)
				close(fd);
			throw JobError("no-telemetry",
			               path + ": " + reason +
			                   "; is a DPDK program running there, without --no-telemetry?",
			               3);
		}
		program = receive();
	}
	~Telemetry() { close(fd); }
	Telemetry(const Telemetry &) = delete;
	Telemetry &operator=(const Telemetry &) = delete;

	Json ask(const std::string &command)
	{
		if (send(fd, command.data(), command.size(), MSG_NOSIGNAL) != ssize_t(command.size()))
			throw ended(errno);
		return receive();
	}

	Json program;

private:
	static constexpr time_t patience_s = 5;

	// By errno, after a call that failed; 0 where the other end closed.
	static JobError ended(int error)
	{
		if (error == EAGAIN || error == EWOULDBLOCK)
			return JobError("telemetry-silent",
			                "the DPDK program does not answer within " +
			                    std::to_string(patience_s) + " s; is it stopped?",
			                1);
		return JobError("program-ended", "the DPDK program closed its telemetry", 1);
	}

	Json receive()
	{
		std::string text(64 * 1024, '\0'); // DPDK sends at most 16 KiB at a time
		const ssize_t n = recv(fd, text.data(), text.size(), 0);
		if (n <= 0)
			throw ended(n < 0 ? errno : 0);
		text.resize(size_t(n));
		const Json answer = Json::parse(text, nullptr, false);
		if (answer.is_discarded())
			throw JobError("telemetry-answer", "an answer that is no JSON: " + text.substr(0, 200),
			               1);
		return answer;
	}

	int fd;
};

} // namespace

void run_telemetry(const Json &spec)
{
	SpecReader in(spec, "");
	const std::string path = in.text("socket", "");
	std::vector<std::string> commands;
	const Json *given = in.take("commands");
	if (given)
		commands = given->get<std::vector<std::string>>();
	in.finish();
	if (path.empty())
		in.fail("socket", "is missing");
	Telemetry telemetry(path);
	emit({{"program", telemetry.program}});
	const auto answer = [&](const std::string &command) {
		emit({{"command", command}, {"answer", telemetry.ask(command)}});
	};
	for (const std::string &command : commands)
		answer(command);
	if (given)
		return;
	for (std::string line; std::getline(std::cin, line);)
		answer(Json::parse(line).get<std::string>());
}

} // namespace reframer::lab
