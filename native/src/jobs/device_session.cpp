#include "jobs/device_session.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace reframer::lab {

namespace {

// A hand-over under way can keep an entry for some milliseconds.
constexpr int restore_tries = 100;
constexpr useconds_t restore_pause_us = 10'000;

sigset_t stopping_signals()
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return set;
}

Json table_record(engine::TableDevice &device)
{
	std::vector<uint16_t> table(device.table_size());
	const int error = device.read_table(table);
	if (error != 0)
		return {{"failed", std::strerror(-error)}};
	return {{"table", table}};
}

Json write_record(engine::TableDevice &device, const Json &entries)
{
	std::vector<uint16_t> table(device.table_size()), changed;
	if (const int error = device.read_table(table); error != 0)
		return {{"failed", std::strerror(-error)}};
	for (const Json &entry : entries) {
		const uint32_t bucket = entry.at(0).get<uint32_t>(), queue = entry.at(1).get<uint32_t>();
		if (bucket >= table.size() || queue >= device.nb_queues())
			return {{"failed", "entry " + std::to_string(bucket) + " or queue " +
			                       std::to_string(queue) + " does not exist"}};
		table[bucket] = uint16_t(queue);
		changed.push_back(uint16_t(bucket));
	}
	const engine::WriteOutcome outcome = engine::write_verified(device, table, changed);
	Json record = {{"written", changed.size() - outcome.refused.size()},
	               {"refused", outcome.refused}};
	if (outcome.error != 0)
		record["error"] = std::strerror(-outcome.error);
	return record;
}

Json sample_record(engine::TableDevice &device, const SessionHooks &hooks)
{
	std::vector<uint64_t> packets(device.table_size());
	std::vector<float> loads(device.nb_queues());
	const int error = device.sample(packets, loads);
	if (error != 0)
		return {{"failed", std::strerror(-error)}};
	return {{"packets", packets}, {"loads", loads}, {"details", hooks.details()}};
}

Json answer(engine::TableDevice &device, const SessionHooks &hooks, const Json &command)
{
	const std::string what = command.at("do").get<std::string>();
	if (what == "table")
		return table_record(device);
	if (what == "write")
		return write_record(device, command.at("entries"));
	if (what == "sample")
		return sample_record(device, hooks);
	return {{"failed", "'" + what + "' is no command"}};
}

} // namespace

SessionInput::SessionInput()
{
	std::signal(SIGPIPE, SIG_IGN);
	std::signal(SIGINT, SIG_IGN);
	std::signal(SIGHUP, SIG_IGN);
	const sigset_t set = stopping_signals();
	pthread_sigmask(SIG_BLOCK, &set, nullptr);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
}

SessionInput::~SessionInput()
{
	close(signals);
}

std::optional<std::string> SessionInput::line()
{
	for (;;) {
		if (const size_t end = buffered.find('\n'); end != std::string::npos) {
			std::string text = buffered.substr(0, end);
			buffered.erase(0, end + 1);
			return text;
		}
		pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {signals, POLLIN, 0}};
		if (poll(fds, 2, -1) < 0 && errno == EINTR)
			continue;
		if (fds[1].revents)
			return std::nullopt;
		char bytes[4096];
		const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
		if (n <= 0)
			return std::nullopt;
		buffered.append(bytes, size_t(n));
	}
}

std::optional<SessionCommand> SessionInput::command()
{
	const std::optional<std::string> text = line();
	if (!text)
		return std::nullopt;
	SessionCommand command = {Json::parse(*text, nullptr, false), *text};
	if (!command.whole.is_object())
		command.whole = Json::object();
	if (const auto what = command.whole.find("do");
	    what != command.whole.end() && what->is_string())
		command.what = what->get<std::string>();
	return command;
}

void serve_device(SessionInput &input, engine::TableDevice &device, const SessionHooks &hooks)
{
	engine::FirstTable first(device);
	emit({{"ready",
	       {{"name", device.name()},
	        {"entries", device.table_size()},
	        {"queues", device.nb_queues()}}}});
	while (const std::optional<std::string> line = input.line()) {
		Json record;
		try {
			const Json command = Json::parse(*line);
			if (command.at("do") == "stop")
				break;
			record = answer(device, hooks, command);
		} catch (const Json::exception &e) {
			record = {{"failed", e.what()}};
		}
		emit(record);
	}
	uint32_t refused = first.restore();
	for (int i = 0; i < restore_tries && refused > 0; i++) {
		usleep(restore_pause_us);
		refused = first.restore();
	}
	Json summary = hooks.finish();
	summary["refused"] = refused;
	emit({{"summary", summary}});
}

} // namespace reframer::lab
