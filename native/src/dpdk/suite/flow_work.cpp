#include "dpdk/suite/flow_work.hpp"

#include "dpdk/counter.hpp"
#include "nf/checksum.hpp"
#include "reframer/dpdk.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace reframer::dpdk {

namespace {

constexpr uint8_t verdict_allow = 1, verdict_deny = 2;
// An entry's other half is refreshed so often: a unit is 2^30 ns, timeouts are many of them.
constexpr unsigned touch_shift = 30;
// Endpoints that are tried for a new flow: so many in a row are taken only where nearly all are.
constexpr uint32_t most_tries = 32;
constexpr uint64_t sweep_interval_ns = 1'000'000;

std::array<uint8_t, 4> network_order(uint32_t address)
{
	return {uint8_t(address >> 24), uint8_t(address >> 16), uint8_t(address >> 8),
	        uint8_t(address)};
}

} // namespace

FlowWork::FlowWork(const FlowWorkConfig &config, const NatPorts *ports, Travelling &travelling,
                   uint64_t seed)
	: config_(config), ports_(ports), firewall_(config.rules), travelling_(travelling),
	  draws_(seed | 1)
{
	for (const FlowFunction function : config_.chain) {
		behind_nat_ |= function == FlowFunction::firewall && nat_;
		nat_ |= function == FlowFunction::nat;
		guarded_ |= function == FlowFunction::firewall;
	}
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
	if (ports) {
		p.on_removed = on_removed;
		p.context = this;
	}
	table_ = api::create<api::FlowTable>(conntrack_create, p);
	if (!table_)
		throw std::bad_alloc();
}

void FlowWork::on_removed(void *work, const void *, void *state, int)
{
	if (static_cast<const State *>(state)->kind & kind_reply)
		add(static_cast<FlowWork *>(work)->counts_.replies_left, 1);
}

FlowTotals FlowWork::totals() const
{
	conntrack_stats stats;
	conntrack_get_stats(table_.get(), &stats);
	const auto began = int64_t(counts_.replies_began.load(std::memory_order_relaxed));
	const auto left = int64_t(counts_.replies_left.load(std::memory_order_relaxed));
	return {int64_t(stats.inserted) - began, int64_t(stats.expired + stats.evicted) - left,
	        int64_t(stats.flows) - (began - left)};
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
	conntrack_expire(table_.get(), now_ns,
	                 conntrack_sweep_budget(table_.get(), since, config_.timeout_ns));
}

FlowWork::State *FlowWork::find(const FlowKeyBytes &key, uint32_t hash, uint64_t now_ns,
                                bool insert)
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
bool FlowWork::give_endpoint(const FlowPacket &packet, uint32_t bucket, uint64_t now_ns)
{
	for (uint32_t i = 0; i < most_tries; i++) {
		draws_ ^= draws_ << 13; // xorshift64
		draws_ ^= draws_ >> 7;
		draws_ ^= draws_ << 17;
		const std::array<uint8_t, 4> address =
			network_order(config_.nat_address + uint32_t(draws_ >> 40) % config_.nat_addresses);
		const std::vector<uint16_t> &ports =
			ports_->that_lead_to(bucket, packet.reply_hash(toeplitz_, address.data(), 0));
		if (ports.empty())
			continue;
		const uint16_t port = rte_cpu_to_be_16(ports[size_t(draws_ >> 8) % ports.size()]);
		const FlowKeyBytes key = packet.reply_key(address.data(), port);
		const uint32_t hash = packet.reply_hash(toeplitz_, address.data(), port);
		State *reply = find(key, hash, CONNTRACK_NO_TIME, false);
		if (reply)
			continue; // another flow's
		if (!(reply = find(key, hash, now_ns, true)))
			return false;
		add(counts_.replies_began, 1);
		reply->kind = uint8_t(kind_reply | (turned(key) ? kind_turned : 0));
		std::memcpy(reply->address.data(), packet.source(), 4);
		reply->port = packet.source_word();
		reply->touched = uint32_t(now_ns >> touch_shift);
		const FlowKeyBytes own = packet.key();
		State *flow = find(own, packet.hash(toeplitz_), now_ns, true);
		if (!flow)
			return false;
		flow->kind = turned(own) ? kind_turned : 0;
		flow->address = address;
		flow->port = port;
		flow->touched = uint32_t(now_ns >> touch_shift);
		return true;
	}
	return false;
}

// Of a translated flow the entry of its replies, and the other way round.
FlowWork::State *FlowWork::other_of(const FlowPacket &packet, const State &state, uint64_t now_ns)
{
	if (!(state.kind & kind_reply))
		return find(packet.reply_key(state.address.data(), state.port),
		            packet.reply_hash(toeplitz_, state.address.data(), state.port), now_ns, false);
	uint8_t fields[12];
	std::memcpy(fields, state.address.data(), 4);
	std::memcpy(fields + 4, packet.source(), 4);
	std::memcpy(fields + 8, &state.port, 2);
	std::memcpy(fields + 10, packet.l4, 2);
	FlowKeyBytes key;
	conntrack_key_ipv4(key.data(), fields, fields + 4, FlowPacket::word_at(fields + 8),
	                   FlowPacket::word_at(fields + 10), packet.protocol);
	return find(key, toeplitz_.ipv4(fields, fields + 8), now_ns, false);
}

bool FlowWork::from_inside(const rte_mbuf *packet) const
{
	return packet->port == config_.inside_port;
}

// A flow is judged once, whichever way its first packet went; what has no flow, each time.
bool FlowWork::denies(const FlowPacket &packet, State *state, uint64_t now_ns)
{
	if (state && state->verdict != 0)
		return state->verdict == verdict_deny;
	if (state && state->kind & kind_reply) // what answers a flow that passed
		return false;
	const bool translated = behind_nat_ && state && state->port != 0;
	const bool allowed = firewall_.allows(packet, packet.version != 4 ? nullptr
	                                              : translated        ? state->address.data()
	                                                                  : packet.source());
	if (!state)
		return !allowed;
	state->verdict = allowed ? verdict_allow : verdict_deny;
	if (!allowed && state->port != 0)
		if (State *reply = other_of(packet, *state, now_ns))
			reply->verdict = verdict_deny; // nobody asked for it
	return !allowed;
}

// The flow's source becomes its endpoint; the destination of what comes back becomes the source again.
void FlowWork::translate(const FlowPacket &packet, const State &state)
{
	const bool reply = state.kind & kind_reply;
	uint8_t *const address = packet.l3 + (reply ? 16 : 12);
	uint8_t *const port = packet.l4 + (reply ? 2 : 0);
	uint32_t before, after;
	std::memcpy(&before, address, 4);
	std::memcpy(&after, state.address.data(), 4);
	const uint32_t of_address = nf::change32(before, after);
	const uint32_t of_port = nf::change16(FlowPacket::word_at(port), state.port);
	std::memcpy(address, &after, 4);
	std::memcpy(port, &state.port, 2);
	nf::update_checksum(packet.l3 + 10, nf::fold(of_address));
	nf::update_l4_checksum(packet.l4 + (packet.protocol == FlowPacket::tcp ? 16 : 6),
	                       nf::fold(nf::fold(of_address) + uint32_t{nf::fold(of_port)}),
	                       packet.protocol == FlowPacket::udp ? 0xffff : 0);
}

uint32_t FlowWork::process(rte_mbuf **packets, uint32_t n, uint64_t now_ns, rte_mbuf **dropped)
{
	uint32_t kept = 0, nb_dropped = 0;
	for (uint32_t first = 0; first < n; first += CONNTRACK_DPDK_BURST) {
		const uint32_t count = std::min<uint32_t>(CONNTRACK_DPDK_BURST, n - first);
		Fate fates[CONNTRACK_DPDK_BURST] = {};
		process_chunk(packets + first, count, now_ns, fates);
		for (uint32_t i = 0; i < count; i++) {
			rte_mbuf *packet = packets[first + i];
			(fates[i] == Fate::passes ? packets[kept++] : dropped[nb_dropped++]) = packet;
		}
	}
	sweep(now_ns);
	return kept;
}

// States of flows, begun where they are new; with NAT only of what it can translate, and from outside
// none.
void FlowWork::look_up(rte_mbuf **packets, const FlowPacket *parsed, uint32_t n, uint64_t now_ns,
                       void **states)
{
	if (!nat_) {
		conntrack_dpdk_burst(table_.get(), packets, n, now_ns, states, nullptr);
		return;
	}
	rte_mbuf *inside[CONNTRACK_DPDK_BURST];
	uint32_t inside_at[CONNTRACK_DPDK_BURST], outside_at[CONNTRACK_DPDK_BURST];
	FlowKeyBytes keys[CONNTRACK_DPDK_BURST];
	uint32_t hashes[CONNTRACK_DPDK_BURST], nb_inside = 0, nb_outside = 0;
	for (uint32_t i = 0; i < n; i++) {
		states[i] = nullptr;
		if (!parsed[i].l4)
			continue;
		if (from_inside(packets[i])) {
			inside_at[nb_inside] = i;
			inside[nb_inside++] = packets[i];
		} else {
			outside_at[nb_outside] = i;
			hashes[nb_outside] = packets[i]->hash.rss;
			keys[nb_outside++] = parsed[i].key();
		}
	}
	void *found[CONNTRACK_DPDK_BURST];
	// These first: what is inserted moves others, of which none may have been handed out yet.
	if (nb_inside > 0) {
		conntrack_dpdk_burst(table_.get(), inside, nb_inside, now_ns, found, nullptr);
		for (uint32_t i = 0; i < nb_inside; i++)
			states[inside_at[i]] = found[i];
	}
	if (nb_outside > 0) {
		uint64_t digests[CONNTRACK_DPDK_BURST];
		conntrack_digest_burst(table_.get(), keys, hashes, nb_outside, digests);
		conntrack_find_burst(table_.get(), keys, digests, nb_outside, now_ns, found);
		for (uint32_t i = 0; i < nb_outside; i++)
			states[outside_at[i]] = found[i];
	}
}

// Endpoints for flows that have none. True: entries have moved, and states are to be looked up anew.
bool FlowWork::begin_flows(rte_mbuf **packets, const FlowPacket *parsed, uint32_t n,
                           uint64_t now_ns, void **states, Fate *fates)
{
	bool moved = false;
	for (uint32_t i = 0; i < n; i++) {
		if (!parsed[i].l4 || !from_inside(packets[i]) || !states[i])
			continue;
		State *now = moved ? find(parsed[i].key(), packets[i]->hash.rss, now_ns, false)
		                   : static_cast<State *>(states[i]);
		if (!now || now->port != 0)
			continue;
		// A flow that is refused before it is translated needs no endpoint.
		if (guarded_ && !behind_nat_ && denies(parsed[i], now, now_ns))
			continue;
		moved = true;
		if (!give_endpoint(parsed[i], packets[i]->hash.rss & (config_.nb_buckets - 1), now_ns))
			fates[i] = Fate::no_room;
	}
	return moved;
}

FlowWork::Fate FlowWork::decide(const FlowPacket &packet, bool inside, State *state,
                                uint64_t now_ns)
{
	if (packet.version == 0)
		return Fate::passes;
	const bool translates = nat_ && packet.version == 4;
	if (translates) {
		if (!packet.l4 || (!inside && !state))
			return Fate::untranslated;
		if (!state)
			return Fate::no_room;
		// The other way along a flow is none of its packets: to an endpoint from inside, or around one
		// from outside.
		if (config_.both_ways && state->port != 0 &&
		    (inside == bool(state->kind & kind_reply) ||
		     turned(packet.key()) != bool(state->kind & kind_turned)))
			return Fate::untranslated;
	}
	if (guarded_ && denies(packet, state, now_ns))
		return Fate::denied;
	return translates && state->port == 0 ? Fate::no_room : Fate::passes;
}

void FlowWork::process_chunk(rte_mbuf **packets, uint32_t n, uint64_t now_ns, Fate *fates)
{
	void *states[CONNTRACK_DPDK_BURST];
	FlowPacket parsed[CONNTRACK_DPDK_BURST];
	if (nat_ || guarded_)
		for (uint32_t i = 0; i < n; i++)
			parsed[i] = FlowPacket::of(packets[i]);
	look_up(packets, parsed, n, now_ns, states);
	if (nat_ && begin_flows(packets, parsed, n, now_ns, states, fates))
		look_up(packets, parsed, n, now_ns, states);
	uint64_t tracked = 0, translated = 0, by_fate[4] = {};
	for (uint32_t i = 0; i < n; i++) {
		auto *state = static_cast<State *>(states[i]);
		if (fates[i] == Fate::passes)
			fates[i] = decide(parsed[i], from_inside(packets[i]), state, now_ns);
		by_fate[size_t(fates[i])]++;
		if (fates[i] == Fate::no_room || fates[i] == Fate::untranslated || !state)
			continue; // not a packet of the flow, or of none that the table can name
		tracked++;
		state->packets++;
		state->bytes += packets[i]->pkt_len;
		if (fates[i] != Fate::passes || state->port == 0)
			continue;
		// Both entries of a translated flow live as long as one of them is used.
		if (const auto now = uint32_t(now_ns >> touch_shift); state->touched != now) {
			state->touched = now;
			other_of(parsed[i], *state, now_ns);
		}
		translate(parsed[i], *state);
		translated++;
	}
	add(counts_.tracked, tracked);
	add(counts_.translated, translated);
	add(counts_.denied, by_fate[size_t(Fate::denied)]);
	add(counts_.untranslated, by_fate[size_t(Fate::untranslated)]);
	add(counts_.no_room, by_fate[size_t(Fate::no_room)]);
}

} // namespace reframer::dpdk
