// The balancer: for each packet which server it belongs to, and what changes in it.
#pragma once

#include "nf/balancer/cookie.hpp"
#include "nf/balancer/masks.hpp"
#include "nf/balancer/packet.hpp"
#include "nf/balancer/policy.hpp"
#include "nf/balancer/quic_ids.hpp"
#include "nf/balancer/recent.hpp"
#include "nf/balancer/timestamps.hpp"
#include "nf/balancer/tracker.hpp"

namespace reframer::balance {

class Quote; // engine_icmp.cpp

struct Outcome {
	balancer_verdict verdict;
	uint32_t server = UINT32_MAX;
};

class Engine {
public:
	// Of checked parameters. Throws std::bad_alloc.
	explicit Engine(const balancer_params &params);
	Engine(const Engine &) = delete;

	// -EEXIST, -ENOSPC or the id.
	int add(const balancer_server &server);
	void set_state(uint32_t id, ServerState state);
	void remove(uint32_t id);
	void set_weight(uint32_t id, uint32_t weight);

	// As read_packet(), with the whole key of an IPv6 packet.
	uint8_t read(uint8_t *frame, uint32_t captured, Packet &p) const;
	// Decides on frames and rewrites them, in order; engine_burst.cpp.
	void process_burst(balancer_frame *frames, uint32_t n, uint64_t now);
	// A packet that parsed. `digest`: of the key in the flow table, null where it was not computed.
	Outcome process(Packet &p, const uint64_t *digest, uint64_t now);
	// For one server whatever the packet says; false where it is none that could be for us.
	bool direct(Packet &p, uint32_t id);
	void count(balancer_verdict verdict) { verdicts[verdict]++; }
	balancer_stats snapshot() const;

	// What a run of packets of one client's connection has in common.
	uint32_t mask(const Client &client) const
	{
		const Address &a = client.address;
		const uint64_t ports = client.key.source_port | uint64_t{client.key.destination_port} << 16;
		if (!a.v6) [[likely]]
			return static_cast<uint32_t>(hash_(a.v4() | ports << 32));
		const auto [high, low] = a.words();
		return static_cast<uint32_t>(hash_(high, low, ports));
	}
	uint64_t hash(const Key &key) const
	{
		uint64_t words[2];
		std::memcpy(words, &key, sizeof(words));
		return hash_(words[0], words[1]);
	}

	const balancer_params params;
	Pool pool;
	Policy policy;
	Tracker tracker;
	QuicIds quic_ids;
	balancer_stats stats = {};

private:
	// Packets whose headers and flow table entries are asked for together.
	static constexpr uint32_t burst = 64;
	void process_by_cookie(balancer_frame *frames, uint32_t n, uint64_t now);
	void process_by_hash(balancer_frame *frames, uint32_t n, uint64_t now);
	void process_by_key(balancer_frame *frames, uint32_t n, uint64_t now);
	void process_one(balancer_frame &frame, uint64_t now);
	// To servers.
	Outcome from_client(Packet &p, const uint64_t *digest, uint64_t now);
	Outcome opens(Packet &p, const Timestamps &ts, const uint64_t *digest, uint64_t now);
	Outcome segment(Packet &p, const uint64_t *digest, uint64_t now);
	Outcome tracked(Packet &p, const uint64_t *digest, uint64_t now);
	Outcome datagram(Packet &p, const uint64_t *digest, uint64_t now);
	Outcome by_hash(Packet &p);
	// engine_quic.cpp
	Outcome quic(Packet &p, const uint64_t *digest, uint64_t now);
	Outcome tracked_datagram(Packet &p, const uint64_t *digest, uint64_t now);
	uint64_t hash_of(const QuicHeader &header) const;
	Outcome to_server(Packet &p, uint32_t id, uint32_t change = 0);
	Outcome nowhere(Packet &p, uint64_t now);
	uint32_t server_clock(const Packet &p, uint32_t echo, uint32_t id, const uint64_t *digest,
	                      uint64_t now);
	// To clients.
	Outcome from_server(Packet &p, uint32_t id, uint64_t now);
	uint32_t word_for(const Client &client, uint32_t clock, uint32_t id, bool opens, uint64_t now);
	// ICMP errors, engine_icmp.cpp.
	Outcome error_to_server(Packet &p, uint64_t now);
	bool error_for(Packet &p, uint32_t id, uint64_t now);
	void error_to_client(Packet &p, uint32_t id);
	Outcome error_between(Packet &p);
	Client client_of_answer(const Quote &quote) const;
	void restore_request(Quote &quote, uint32_t id);
	void renew(Connection *c, const Connection &as);
	void close(Connection *c, uint64_t now);
	bool keeps_clock(const Connection &c, uint32_t id) const;
	void see(Connection *c, uint8_t flags, uint64_t now);

	Address service(bool v6) const { return service_.get(v6); }
	bool is_service(Address a) const { return a == service(a.v6) && serves(a.v6); }
	// Families that the service has.
	bool serves(bool v6) const { return v6 ? service_.has_v6() : serves_v4_; }
	// IPv6 addresses take part in a key by 64 bits of a keyed hash.
	void put_addresses(Key &key, Address source, Address destination) const;
	// The connection whose client is at `client`, of ports as they lie in a packet to the service.
	Client client(Address client, uint16_t port, uint16_t service_port, uint8_t protocol) const;
	void carry_on(const Packet &p, uint32_t clock, uint32_t id, const uint64_t *digest,
	              uint64_t now);
	uint64_t datagram_hash(const Packet &p) const;
	bool may_flood(uint64_t now);
	static void left(void *engine, const Connection &c);

	const KeyedHash hash_;
	const Cookie cookie_;
	const MaskKernels masks_;
	const Addresses service_;
	const bool serves_v4_;
	const uint16_t quic_port_; // network order
	Recent syns_, fragments_, first_ids_;
	uint64_t flood_second_ = 0; // the one that is counted
	uint32_t floods_ = 0;       // in it
	uint64_t verdicts[BALANCER_DROP + 1] = {};
};

} // namespace reframer::balance
