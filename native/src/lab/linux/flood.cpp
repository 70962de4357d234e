// Job `linux-flood`: UDP packets of many flows at a fixed rate, through the kernel's stack, until it is
// told to stop, input ends or SIGTERM comes; see device_session.hpp.
//
//   {"do":"sent"}  {"sent":N}
//   {"do":"stop"}  {"summary":{"sent":N}}
//
// Specification: {"network": "10.9.0.0", "flows": 256, "packetsPerSecond": 50000, "cpu": 0 (-1: any),
// "seed": 1}. Destinations are addresses of the network's /16, from its .1.1 on. The first record is
// {"ready":{}}.
#include "lab/linux/flood.hpp"

#include "devices/udp_sender.hpp"
#include "jobs/device_session.hpp"
#include "jobs/spec_reader.hpp"

#include <arpa/inet.h>
#include <sched.h>

namespace reframer::lab {

void run_linux_flood(const Json &spec)
{
	SpecReader in(spec, "");
	engine::SenderParams params;
	const std::string network = in.text("network", "10.9.0.0");
	in.read("flows", params.nb_flows, 1, 40'000);
	params.packets_per_second = in.integer<uint64_t>("packetsPerSecond", 50'000, 1, 10'000'000);
	const auto cpu = in.integer<int>("cpu", -1, -1, CPU_SETSIZE - 1);
	in.read("seed", params.seed, 0, UINT32_MAX);
	in.finish();
	in_addr address = {};
	if (inet_pton(AF_INET, network.c_str(), &address) != 1)
		throw JobError("bad-spec", "network: '" + network + "' is no IPv4 address", 2);
	params.network = ntohl(address.s_addr) & 0xffff0000;
	params.skew = 0;
	if (cpu >= 0) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(size_t(cpu), &one);
		sched_setaffinity(0, sizeof(one), &one); // the sender's thread inherits it
	}
	SessionInput input;
	engine::UdpSender sender(params, nullptr);
	emit({{"ready", Json::object()}});
	while (const std::optional<SessionCommand> command = input.command()) {
		if (command->what == "stop")
			break;
		emit(command->what == "sent" ? Json{{"sent", sender.sent()}} : command->unknown());
	}
	sender.stop();
	emit({{"summary", {{"sent", sender.sent()}}}});
}

} // namespace reframer::lab
