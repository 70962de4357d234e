// A load balancer with memory, without DPDK: connections go to the backend with the fewest of them, and
// stay there. Packets come from the first argument, one "FLOW" number a line, as a stand-in for a port.
//
//   c++ -std=c++17 load_balancer.cpp -o load_balancer $(pkg-config --cflags --libs reframer)
//   seq 1 100 | ./load_balancer 3
#include <reframer/conntrack.h>
#include <reframer/reframer.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace {

struct State { // of a connection, in the table
	uint32_t backend_plus_one;
	uint32_t packets;
};
static_assert(sizeof(State) == 8);

struct Packet {
	uint32_t flow;
	std::array<uint8_t, CONNTRACK_KEY_IPV4> key;
};

using Stage = std::unique_ptr<reframer_stage, decltype(&reframer_free)>;
using Table = std::unique_ptr<conntrack_table, decltype(&conntrack_free)>;

Stage make_stage()
{
	reframer_params params;
	reframer_default_params(&params);
	reframer_stage *stage = nullptr;
	return {reframer_create(&params, &stage) == 0 ? stage : nullptr, reframer_free};
}

Table make_table()
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.state_size = sizeof(State);
	conntrack_table *table = nullptr;
	return {conntrack_create(&params, &table) == 0 ? table : nullptr, conntrack_free};
}

// One lookup a run of packets: that is what Reframer is for.
void balance(conntrack_table *table, void *const *packets, const reframer_run *runs,
             uint32_t nb_runs, uint64_t now, std::vector<uint32_t> &connections)
{
	for (uint32_t r = 0; r < nb_runs; r++)
		for (uint32_t i = runs[r].first, end = i + runs[r].count; i < end;) {
			const Packet &first = *static_cast<const Packet *>(packets[i]);
			uint32_t same = 1; // flows with equal hashes share a run: keys tell them apart
			while (i + same < end &&
			       static_cast<const Packet *>(packets[i + same])->key == first.key)
				same++;
			i += same;
			auto *state = static_cast<State *>(
				conntrack_find_or_insert(table, first.key.data(), nullptr, now, nullptr));
			if (state == nullptr)
				continue; // no room: these packets have no backend
			if (state->backend_plus_one == 0) {
				const auto least = std::min_element(connections.begin(), connections.end());
				++*least;
				state->backend_plus_one = uint32_t(least - connections.begin()) + 1;
			}
			state->packets += same;
			std::printf("%u packets of flow %u to backend %u\n", same, first.flow,
			            state->backend_plus_one - 1);
		}
}

} // namespace

int main(int argc, char **argv)
{
	const int nb_backends = argc > 1 ? std::atoi(argv[1]) : 0;
	if (nb_backends < 1) {
		std::fprintf(stderr, "usage: load_balancer BACKENDS < flows\n");
		return 2;
	}
	const Stage stage = make_stage();
	const Table table = make_table();
	if (!stage || !table)
		return 1;
	std::vector<Packet> packets;
	for (uint32_t flow; std::scanf("%u", &flow) == 1;) {
		Packet packet = {flow, {}};
		const uint8_t source[4] = {10, uint8_t(flow >> 16), uint8_t(flow >> 8), uint8_t(flow)},
					  service[4] = {192, 0, 2, 1};
		conntrack_key_ipv4(packet.key.data(), source, service, 1024, 80, 6);
		packets.push_back(packet);
	}
	std::vector<uint32_t> connections(std::size_t(nb_backends), 0);
	uint64_t now = 0;
	std::size_t nb_out = 0;
	constexpr uint32_t burst = 32;
	void *out[burst];
	reframer_run runs[burst];
	const auto give = [&](auto poll) {
		for (uint32_t n = burst; n == burst; nb_out += n) {
			uint32_t nb_runs = burst;
			n = poll(stage.get(), now, out, burst, runs, &nb_runs);
			balance(table.get(), out, runs, nb_runs, now, connections);
		}
	};
	for (std::size_t at = 0; at < packets.size(); at += burst) {
		void *in[burst];
		uint32_t hash[burst];
		const uint32_t n = uint32_t(std::min<std::size_t>(burst, packets.size() - at));
		for (uint32_t i = 0; i < n; i++) {
			in[i] = &packets[at + i];
			hash[i] = packets[at + i].flow * 2654435761u; // a NIC would give it
		}
		const reframer_burst arrivals = {in, nullptr, nullptr, nullptr, hash, n};
		reframer_push(stage.get(), &arrivals, now);
		give(reframer_poll);
		now += 10'000;
	}
	give(reframer_drain);
	for (int b = 0; b < nb_backends; b++)
		std::printf("backend %d: %u connections\n", b, connections[std::size_t(b)]);
	return nb_out == packets.size() ? 0 : 1;
}
