// Job `balance-servers`: the balancer between two Linux interfaces, one to clients and one to servers,
// as a program of its own.
//
// spec    {"clients": "IF", "servers": "IF", "blurredBits": 0 (low bits of each echo that servers get as
//          zeros: a defect, for comparison), and what jobs/served_pool.hpp says}
// Commands come as JSON lines on stdin, each gets one record on stdout: those of served_pool.hpp, and
//   {"do":"stats"}                   {"stats":{...}}
//   {"do":"stop"}, end of input      {"summary":{...}}
// The first record is {"ready":{"clients","servers"}}.
//
// Frames are taken and sent by AF_PACKET: segments must be no longer than the MTU and have their sums, so
// offloads of both interfaces' senders are off. ARP is not answered: neighbours are entered by hand.
#include "jobs/device_session.hpp"
#include "jobs/record.hpp"
#include "jobs/served_pool.hpp"
#include "lab/balancer/jobs.hpp"
#include "lab/balancer/live_path.hpp"

#include <thread>

namespace reframer::lab {

void run_balance_servers(const Json &json)
{
	SpecReader in(json, "");
	const std::string to_clients = in.needed("clients"), to_servers = in.needed("servers");
	ServedPool pool(in);
	const auto blurred = in.integer<uint32_t>("blurredBits", 0, 0, 31);
	in.finish();

	SessionInput input;
	pool.open();
	const Interface clients(to_clients), servers(to_servers);
	Live live(pool.get(), clients, servers, pool.client_mac(), blurred);
	std::thread worker([&] { live.run(); });
	const auto stats = [&] {
		Json all = pool.stats();
		all["unsent"] = clients.unsent() + servers.unsent();
		return all;
	};
	emit({{"ready", {{"clients", to_clients}, {"servers", to_servers}}}});
	while (const std::optional<std::string> line = input.line()) {
		const Json command = Json::parse(*line, nullptr, false);
		Json said;
		if (!command.is_object()) {
			said = {{"failed", "'" + *line + "' is no command"}};
		} else if (command.value("do", Json()) == "stop") {
			break;
		} else {
			const std::lock_guard lock(live.mutex);
			said = command.value("do", Json()) == "stats" ? Json{{"stats", stats()}}
			                                              : pool.obey(command);
		}
		emit(said);
	}
	live.stopping = true;
	worker.join();
	emit({{"summary", stats()}});
}

} // namespace reframer::lab
