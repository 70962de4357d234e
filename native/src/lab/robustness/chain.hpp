// The chain that job `robustness-trial` attacks: a flow table behind the whole parser.
#pragma once

#include "api/owned.hpp"
#include "conntrack/contenders/burst_stats.hpp"
#include "conntrack/tcp_state.hpp"
#include "jobs/job.hpp"
#include "nf/chain.hpp"
#include "packet/flow_key.hpp"
#include "packet/parse.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace reframer::lab {

inline constexpr uint64_t second = 1'000'000'000;

enum FlowClass : uint32_t { class_unproven, class_established };

// Connection tracking by the suite's own parser and table.
class TrackerChain final : public nf::Chain {
public:
	TrackerChain(uint32_t table_flows, uint64_t seed)
	{
		conntrack_params p;
		conntrack_default_params(&p);
		p.key_size = CONNTRACK_KEY_IPV6;
		p.initial_flows = p.max_flows = table_flows;
		p.flags = CONNTRACK_NIC_HASH | CONNTRACK_FIXED_SIZE;
		p.protected_classes = 1u << class_established;
		p.timeout_ns[class_unproven] = 5 * second;
		p.timeout_ns[class_established] = 300 * second;
		p.seed = seed | 1;
		p.on_removed = [](void *context, const void *, void *state, int reason) {
			uint64_t flow_state;
			std::memcpy(&flow_state, state, sizeof(flow_state));
			auto &self = *static_cast<TrackerChain *>(context);
			self.established_evicted_ +=
				reason == CONNTRACK_EVICTED &&
				conntrack::TcpState(flow_state) == conntrack::TcpState::established;
		};
		p.context = this;
		table_ = api::create<api::FlowTable>(conntrack_create, p);
		if (!table_)
			throw std::bad_alloc();
	}

	uint32_t process(std::span<const reframer_run>, nf::Mbuf **packets, uint32_t n,
	                 nf::Mbuf **) override
	{
		for (uint32_t first = 0; first < n; first += burst) {
			const uint32_t count = std::min(burst, n - first);
			for (uint32_t i = 0; i < count; i++) {
				const nf::Mbuf &m = *packets[first + i];
				read(m.data(), m.captured, m.rss, i);
			}
			track(count);
		}
		now_ns_ += n; // the clock of timeouts; a trial is too short for any of them
		verdicts_[nf::verdict_pass] += n;
		return n;
	}
	// A connection whose handshake is over.
	void establish(const uint8_t *frame, uint32_t captured, uint32_t rss)
	{
		read(frame, captured, rss, 0);
		flags_[0] = 0x02;
		track(1);
		const auto state = uint64_t(conntrack::TcpState::established);
		void *entry = conntrack_find(table_.get(), keys_, digests(1), now_ns_);
		if (!entry)
			throw JobError("failed",
			               "a legitimate flow found no place in the table; raise tableFlows");
		std::memcpy(entry, &state, sizeof(state));
		conntrack_set_class(table_.get(), entry, class_established, now_ns_);
	}
	bool knows(const uint8_t *frame, uint32_t captured, uint32_t rss)
	{
		read(frame, captured, rss, 0);
		void *entry = conntrack_find(table_.get(), keys_, digests(1), now_ns_);
		uint64_t state = 0;
		if (entry)
			std::memcpy(&state, entry, sizeof(state));
		return conntrack::TcpState(state) == conntrack::TcpState::established;
	}

	void learn(const uint8_t *, uint32_t) override {}
	void add_idle_flows(uint32_t) override {}
	nf::Counters counters() const override { return {}; }
	uint64_t counted_packets() const override { return 0; }
	uint64_t table_digest() const override { return 0; }
	uint64_t established_evicted() const { return established_evicted_; }
	conntrack_stats stats() const { return conntrack::stats_of(table_.get()); }

private:
	static constexpr uint32_t burst = 32;

	void read(const uint8_t *frame, uint32_t captured, uint32_t rss, uint32_t i)
	{
		const packet::Headers h = packet::parse(
			frame, captured, captured, packet::LinkType::ethernet, packet::Depth::innermost);
		const packet::FlowKey k = packet::flow_key_of(h, frame);
		uint8_t *key = keys_ + i * CONNTRACK_KEY_IPV6;
		conntrack_key_ipv6(key, k.source.data(), k.destination.data(), k.source_port,
		                   k.destination_port, k.protocol);
		std::memcpy(key + CONNTRACK_KEY_IPV6 - 2, &k.id, 2); // of a fragment
		rss_[i] = rss;
		flags_[i] = h.flags & packet::header_tcp_flags ? uint8_t(h.tcp_flags) : 0;
		tcp_[i] = k.protocol == 6;
	}
	static uint64_t step(uint64_t state, uint8_t flags, bool is_new)
	{
		using conntrack::TcpState;
		constexpr uint8_t syn = 0x02, ack = 0x10, syn_ack = syn | ack;
		const bool opens = (flags & syn_ack) == syn;
		if (is_new && !opens)
			return uint64_t(TcpState::none);
		auto at = TcpState(state);
		if (at == TcpState::none && !opens)
			return state;                                         // began in the middle
		if (at == TcpState::syn_sent && (flags & syn_ack) == ack) // answered on another queue
			at = conntrack::tcp_step(at, syn_ack, true).state;
		return uint64_t(conntrack::tcp_step(at, flags, false).state);
	}
	const uint64_t *digests(uint32_t n)
	{
		conntrack_digest_burst(table_.get(), keys_, rss_, n, digests_);
		return digests_;
	}
	void track(uint32_t n)
	{
		void *states[burst];
		uint8_t results[burst];
		digests(n);
		conntrack_prefetch_burst(table_.get(), digests_, n);
		conntrack_find_or_insert_burst(table_.get(), keys_, digests_, n, now_ns_, states, results);
		for (uint32_t i = 0; i < n; i++) {
			if (!states[i] || !tcp_[i])
				continue;
			uint64_t state;
			std::memcpy(&state, states[i], sizeof(state));
			const uint64_t next = step(state, flags_[i], results[i] & CONNTRACK_NEW);
			if (next == state)
				continue;
			std::memcpy(states[i], &next, sizeof(next));
			if (conntrack::TcpState(next) == conntrack::TcpState::established)
				conntrack_set_class(table_.get(), states[i], class_established, now_ns_);
		}
	}

	api::FlowTable table_;
	alignas(64) uint8_t keys_[burst * CONNTRACK_KEY_IPV6];
	uint32_t rss_[burst];
	uint64_t digests_[burst];
	uint8_t flags_[burst];
	bool tcp_[burst];
	uint64_t now_ns_ = second, established_evicted_ = 0;
};

} // namespace reframer::lab
