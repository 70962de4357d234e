#include "dpdk/suite/flow_work.hpp"

#include "dpdk/counter.hpp"
#include "nf/checksum.hpp"
#include "packet/parse.hpp"
#include "reframer/dpdk.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace reframer::dpdk {

namespace {

constexpr uint8_t verdict_allow = 1, verdict_deny = 2;
constexpr uint8_t tcp = 6, udp = 17;
// An entry's other half is refreshed so often: a unit is 2^30 ns, timeouts are many of them.
constexpr unsigned touch_shift = 30;
// Endpoints that are tried for a new flow: so many in a row are taken only where nearly all are.
constexpr uint32_t most_tries = 32;
constexpr uint64_t sweep_interval_ns = 1'000'000;

using Key = std::array<uint8_t, CONNTRACK_KEY_IPV4>;

bool in_prefix(const uint8_t *address, const std::array<uint8_t, 4> &prefix, uint8_t bits)
{
	for (uint32_t i = 0; i < 4 && bits > 0; i++) {
		const uint8_t n = std::min<uint8_t>(bits, 8), mask = uint8_t(0xff00 >> n);
		if ((address[i] ^ prefix[i]) & mask)
			return false;
		bits = uint8_t(bits - n);
	}
	return true;
}

uint16_t word_at(const uint8_t *at)
{
	uint16_t word;
	std::memcpy(&word, at, sizeof(word));
	return word;
}

} // namespace

// An IPv4 packet with ports, as far as the functions need it.
struct FlowWork::Packet {
	uint8_t *l3 = nullptr, *l4 = nullptr;
	uint8_t protocol = 0;

	static Packet of(rte_mbuf *mbuf)
	{
		Packet p;
		auto *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
		const packet::Headers h = packet::parse(data, mbuf->data_len, mbuf->pkt_len,
		                                        packet::LinkType::ethernet, packet::Depth::outer);
		const bool whole = h.version == 4 && h.flags & packet::header_ports &&
		                   !(h.flags & packet::header_fragment);
		const uint32_t needed = h.protocol == tcp ? 20 : 8;
		if (!whole || (h.protocol != tcp && h.protocol != udp) || h.l4 + needed > mbuf->data_len)
			return p;
		p.l3 = data + h.l3;
		p.l4 = data + h.l4;
		p.protocol = h.protocol;
		return p;
	}
	explicit operator bool() const { return l3 != nullptr; }
	const uint8_t *source() const { return l3 + 12; }
	const uint8_t *destination() const { return l3 + 16; }
	// What answers it, once its source is `address`:`port`.
	Key reply_key(const uint8_t *address, uint16_t port) const
	{
		Key key;
		conntrack_key_ipv4(key.data(), destination(), address, word_at(l4 + 2), port, protocol);
		return key;
	}
	uint32_t reply_hash(const packet::Toeplitz &toeplitz, const uint8_t *address,
	                    uint16_t port) const
	{
		uint8_t addresses[8], ports[4];
		std::memcpy(addresses, destination(), 4);
		std::memcpy(addresses + 4, address, 4);
		std::memcpy(ports, l4 + 2, 2);
		std::memcpy(ports + 2, &port, 2);
		return toeplitz.ipv4(addresses, ports);
	}
	Key key() const
	{
		Key key;
		conntrack_key_ipv4(key.data(), source(), destination(), word_at(l4), word_at(l4 + 2),
		                   protocol);
		return key;
	}
};

FlowWork::FlowWork(const FlowWorkConfig &config, const NatPorts *ports, Travelling &travelling,
                   uint64_t seed)
	: config_(config), ports_(ports), travelling_(travelling), draws_(seed | 1)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.key_size = CONNTRACK_KEY_IPV4;
	p.state_size = sizeof(State);
	p.nb_groups = config_.nb_buckets;
	p.seed = seed; // the same for all cores: groups move between their tables
	p.initial_flows = std::min<uint64_t>(65536, config_.max_flows);
	p.max_flows = config_.max_flows;
	p.flags = CONNTRACK_NIC_HASH | (config_.both_ways ? CONNTRACK_SYMMETRIC : 0) |
	          (ports ? CONNTRACK_NO_EVICTION : 0); // half of a translation is worse than none
	for (uint64_t &timeout : p.timeout_ns)
		timeout = config_.timeout_ns;
	table_ = api::create<api::FlowTable>(conntrack_create, p);
	if (!table_)
		throw std::bad_alloc();
}

bool FlowWork::has(FlowFunction function) const
{
	return std::find(config_.chain.begin(), config_.chain.end(), function) != config_.chain.end();
}

uint64_t FlowWork::live_flows() const
{
	conntrack_stats stats;
	conntrack_get_stats(table_.get(), &stats);
	return stats.flows;
}

void FlowWork::give_up(uint32_t bucket, uint64_t now_ns)
{
	travelling_[bucket] = conntrack_detach_group(table_.get(), bucket, now_ns);
}

bool FlowWork::take_up(uint32_t bucket, uint64_t now_ns)
{
	conntrack_group *&group = travelling_[bucket];
	const bool there = group && conntrack_attach_group(table_.get(), group, now_ns) == 0;
	group = nullptr;
	return there;
}

void FlowWork::sweep(uint64_t now_ns)
{
	if (now_ns - swept_ns_ < sweep_interval_ns)
		return;
	const uint64_t since = std::min(now_ns - swept_ns_, 10 * sweep_interval_ns);
	swept_ns_ = now_ns;
	add(counts_.left,
	    conntrack_expire(table_.get(), now_ns,
	                     conntrack_sweep_budget(table_.get(), since, config_.timeout_ns)));
}

FlowWork::State *FlowWork::find(const Key &key, uint32_t hash, uint64_t now_ns, bool insert)
{
	uint64_t digest;
	void *state = nullptr;
	uint8_t result = 0;
	conntrack_digest_burst(table_.get(), key.data(), &hash, 1, &digest);
	if (insert)
		conntrack_find_or_insert_burst(table_.get(), key.data(), &digest, 1, now_ns, &state,
		                               &result);
	else
		conntrack_find_burst(table_.get(), key.data(), &digest, 1, now_ns, &state);
	return static_cast<State *>(state);
}

// An endpoint whose replies come to this bucket and are nobody's yet. The flow's entry and that of its
// replies then name each other.
bool FlowWork::give_endpoint(const Packet &packet, uint32_t bucket, uint64_t now_ns)
{
	const uint32_t rss = packet.reply_hash(toeplitz_, config_.nat_address.data(), 0);
	uint32_t hash = rss;
	for (uint32_t i = 0; i < most_tries; i++) {
		draws_ ^= draws_ << 13; // xorshift64
		draws_ ^= draws_ >> 7;
		draws_ ^= draws_ << 17;
		std::array<uint8_t, 4> address = config_.nat_address;
		const uint32_t host = uint32_t(draws_ >> 40) % config_.nat_addresses;
		address[3] = uint8_t(address[3] + host);
		address[2] = uint8_t(address[2] + (host >> 8));
		hash = host == 0 ? rss : packet.reply_hash(toeplitz_, address.data(), 0);
		const std::vector<uint16_t> &ports = ports_->that_lead_to(bucket, hash);
		if (ports.empty())
			continue;
		const uint16_t port = rte_cpu_to_be_16(ports[size_t(draws_ >> 8) % ports.size()]);
		const Key key = packet.reply_key(address.data(), port);
		hash = packet.reply_hash(toeplitz_, address.data(), port);
		State *reply = find(key, hash, CONNTRACK_NO_TIME, false);
		if (reply)
			continue; // another flow's
		if (!(reply = find(key, hash, now_ns, true)))
			return false;
		reply->kind = 1;
		std::memcpy(reply->address.data(), packet.source(), 4);
		reply->port = word_at(packet.l4);
		reply->touched = uint32_t(now_ns >> touch_shift);
		const uint32_t own = toeplitz_.ipv4(packet.l3 + 12, packet.l4);
		State *flow = find(packet.key(), own, now_ns, true);
		if (!flow)
			return false;
		flow->address = address;
		flow->port = port;
		flow->touched = reply->touched;
		return true;
	}
	return false;
}

// Both entries of a translated flow live as long as one of them is used.
void FlowWork::touch_other(const Packet &packet, State &state, uint64_t now_ns)
{
	const uint32_t now = uint32_t(now_ns >> touch_shift);
	if (state.touched == now)
		return;
	state.touched = now;
	if (state.kind == 0)
		find(packet.reply_key(state.address.data(), state.port),
		     packet.reply_hash(toeplitz_, state.address.data(), state.port), now_ns, false);
	else {
		uint8_t fields[12];
		std::memcpy(fields, state.address.data(), 4);
		std::memcpy(fields + 4, packet.source(), 4);
		std::memcpy(fields + 8, &state.port, 2);
		std::memcpy(fields + 10, packet.l4, 2);
		Key key;
		conntrack_key_ipv4(key.data(), fields, fields + 4, word_at(fields + 8),
		                   word_at(fields + 10), packet.protocol);
		find(key, toeplitz_.ipv4(fields, fields + 8), now_ns, false);
	}
}

bool FlowWork::from_inside(const rte_mbuf *packet) const
{
	return packet->port == config_.inside_port;
}

uint8_t FlowWork::judge(const Packet &packet, const State &state, bool translated) const
{
	if (state.kind == 1) // what answers a flow that passed
		return verdict_allow;
	const uint8_t *source =
		translated && state.port && state.kind == 0 ? state.address.data() : packet.source();
	const uint16_t port = rte_be_to_cpu_16(word_at(packet.l4 + 2));
	for (const FirewallRule &r : config_.rules)
		if ((r.protocol == 0 || r.protocol == packet.protocol) &&
		    in_prefix(source, r.source, r.source_bits) &&
		    in_prefix(packet.destination(), r.destination, r.destination_bits) &&
		    port >= r.first_port && port <= r.last_port)
			return r.allow ? verdict_allow : verdict_deny;
	return verdict_allow;
}

// The flow's source becomes its endpoint; the destination of what comes back becomes the source again.
void FlowWork::translate(const Packet &packet, const State &state)
{
	uint8_t *const address = packet.l3 + (state.kind == 0 ? 12 : 16);
	uint8_t *const port = packet.l4 + (state.kind == 0 ? 0 : 2);
	uint32_t before, after;
	std::memcpy(&before, address, 4);
	std::memcpy(&after, state.address.data(), 4);
	const uint32_t of_address = nf::change32(before, after);
	const uint32_t of_port = nf::change16(word_at(port), state.port);
	std::memcpy(address, &after, 4);
	std::memcpy(port, &state.port, 2);
	nf::update_checksum(packet.l3 + 10, nf::fold(of_address));
	nf::update_l4_checksum(packet.l4 + (packet.protocol == tcp ? 16 : 6),
	                       nf::fold(nf::fold(of_address) + uint32_t{nf::fold(of_port)}),
	                       packet.protocol == udp ? 0xffff : 0);
}

uint32_t FlowWork::process(rte_mbuf **packets, uint32_t n, uint64_t now_ns, rte_mbuf **dropped)
{
	uint32_t kept = 0, nb_dropped = 0;
	for (uint32_t first = 0; first < n; first += CONNTRACK_DPDK_BURST) {
		const uint32_t count = std::min<uint32_t>(CONNTRACK_DPDK_BURST, n - first);
		uint8_t drops[CONNTRACK_DPDK_BURST] = {};
		process_chunk(packets + first, count, now_ns, drops);
		for (uint32_t i = 0; i < count; i++) {
			rte_mbuf *packet = packets[first + i];
			(drops[i] ? dropped[nb_dropped++] : packets[kept++]) = packet;
		}
	}
	sweep(now_ns);
	return kept;
}

uint32_t FlowWork::process_chunk(rte_mbuf **packets, uint32_t n, uint64_t now_ns, uint8_t *drops)
{
	void *states[CONNTRACK_DPDK_BURST];
	uint8_t results[CONNTRACK_DPDK_BURST];
	Packet parsed[CONNTRACK_DPDK_BURST];
	conntrack_dpdk_burst(table_.get(), packets, n, now_ns, states, results);
	const bool nat = has(FlowFunction::nat);
	if (!config_.chain.empty())
		for (uint32_t i = 0; i < n; i++)
			parsed[i] = Packet::of(packets[i]);
	uint32_t nb_new = 0;
	bool again = false;
	for (uint32_t i = 0; i < n; i++) {
		nb_new += (results[i] & CONNTRACK_NEW) != 0;
		const auto *state = static_cast<const State *>(states[i]);
		if (!nat || !parsed[i] || !state || state->port != 0 || !from_inside(packets[i]))
			continue;
		// Inserting may move entries: all are looked up anew behind it.
		again = true;
		const State *now = find(parsed[i].key(), packets[i]->hash.rss, now_ns, false);
		if (now && now->port == 0 &&
		    !give_endpoint(parsed[i], packets[i]->hash.rss & (config_.nb_buckets - 1), now_ns))
			drops[i] = 1;
	}
	if (again)
		conntrack_dpdk_burst(table_.get(), packets, n, now_ns, states, results);
	uint64_t tracked = 0, translated = 0, denied = 0, no_room = 0;
	for (uint32_t i = 0; i < n; i++) {
		auto *state = static_cast<State *>(states[i]);
		if (drops[i] || (!state && parsed[i] && nat && from_inside(packets[i]))) {
			drops[i] = 1;
			no_room++;
			continue;
		}
		if (!state)
			continue; // no flow that the table can name: it passes
		tracked++;
		state->packets++;
		state->bytes += packets[i]->pkt_len;
		if (!parsed[i])
			continue;
		bool behind_nat = false;
		for (const FlowFunction function : config_.chain) {
			if (function == FlowFunction::nat) {
				behind_nat = true;
				continue;
			}
			if (state->verdict == 0)
				state->verdict = judge(parsed[i], *state, behind_nat);
			drops[i] |= state->verdict == verdict_deny;
		}
		denied += drops[i];
		if (nat && !drops[i] && state->port != 0) {
			const State as_is = *state;
			touch_other(parsed[i], *state, now_ns);
			translate(parsed[i], as_is);
			translated++;
		}
	}
	add(counts_.tracked, tracked);
	add(counts_.flows, nb_new);
	add(counts_.translated, translated);
	add(counts_.denied, denied);
	add(counts_.no_room, no_room);
	return n;
}

} // namespace reframer::dpdk
