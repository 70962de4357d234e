// Serves a device with an indirection table to a balancer in another process: commands come as JSON
// lines on stdin, each gets one record on stdout. At the end, however it comes, the device gets
// its first table back.
//
//   {"do":"table"}                          {"table":[QUEUE, ...]}
//   {"do":"write","entries":[[BUCKET,QUEUE], ...]}  {"written":N,"refused":[BUCKET, ...],"error"?}
//   {"do":"sample"}                         {"packets":[...],"loads":[...],"details":{...}}
//   {"do":"stop"}, end of input, SIGTERM    {"summary":{"refused":N, ...}}: entries not put back
//
// The first record is {"ready":{"name","entries","queues"}}.
#pragma once

#include "devices/table_device.hpp"
#include "jobs/job.hpp"

#include <functional>
#include <optional>
#include <string>

namespace reframer::lab {

// {"do": WHAT, ...}; of a line that is nothing of the kind, `what` is the line, which nobody asks for.
struct SessionCommand {
	Json whole;
	std::string what;
	Json unknown() const { return {{"failed", "'" + what + "' is no command"}}; }
};

// Lines of stdin until it ends or SIGTERM comes. Made before any thread is: those inherit that
// SIGTERM is blocked. SIGINT and SIGHUP, which a terminal sends to both, are left to the
// process that talks to this one and says stop; a broken pipe must not keep the table from being put
// back.
class SessionInput {
public:
	SessionInput();
	~SessionInput();
	SessionInput(const SessionInput &) = delete;
	SessionInput &operator=(const SessionInput &) = delete;

	std::optional<std::string> line();
	std::optional<SessionCommand> command();

private:
	int signals;
	std::string buffered;
};

struct SessionHooks {
	std::function<Json()> details; // with every sample
	std::function<Json()> finish;  // once, before the summary
};

// @throws JobError
void serve_device(SessionInput &input, engine::TableDevice &device, const SessionHooks &hooks);

} // namespace reframer::lab
