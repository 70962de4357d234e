#include "lab/rsspp/pipeline.hpp"

#include "api/owned.hpp"
#include "jobs/job.hpp"
#include "lab/udp_frame.hpp"
#include "nf/chain.hpp"
#include "nf/mbuf.hpp"
#include "packet/bytes.hpp"
#include "packet/toeplitz.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace reframer::lab {

namespace {

constexpr uint32_t burst_size = 32, out_room = 128, ring_size = 1024, pool_size = 8192;

// What the packet says of itself, in its payload.
struct Tag {
	uint32_t flow, sequence;
};

struct FlowState {
	uint64_t packets;
	uint32_t last; // sequence number
	uint32_t unused;
};

// One producer, one consumer.
class MbufRing {
public:
	explicit MbufRing(uint32_t capacity) : slot(capacity) {}
	bool push(nf::Mbuf *m)
	{
		const uint32_t at = tail.load(std::memory_order_relaxed);
		if (at - head.load(std::memory_order_acquire) == slot.size())
			return false;
		slot[at % slot.size()] = m;
		tail.store(at + 1, std::memory_order_release);
		return true;
	}
	nf::Mbuf *pop()
	{
		const uint32_t at = head.load(std::memory_order_relaxed);
		if (at == tail.load(std::memory_order_acquire))
			return nullptr;
		nf::Mbuf *m = slot[at % slot.size()];
		head.store(at + 1, std::memory_order_release);
		return m;
	}
	uint32_t length() const
	{
		return tail.load(std::memory_order_acquire) - head.load(std::memory_order_relaxed);
	}

private:
	std::vector<nf::Mbuf *> slot;
	alignas(64) std::atomic<uint32_t> head{0};
	alignas(64) std::atomic<uint32_t> tail{0};
};

uint64_t clock_ns()
{
	return uint64_t(std::chrono::steady_clock::now().time_since_epoch().count());
}

Tag tag_of(const nf::Mbuf *m)
{
	Tag tag;
	std::memcpy(&tag, m->data() + udp_payload_at, sizeof(tag));
	return tag;
}

// What all cores share. A group of flows on its way between tables lies in `travelling`; the owner of the
// bucket, stored with release and read with acquire by the hand-over, says whose that is.
struct Shared {
	api::HandOver owned;
	rsspp_handover *handover = nullptr;
	std::vector<conntrack_group *> travelling;
	std::atomic<bool> stop{false};
	uint32_t mask;
};

class PipelineCore {
public:
	PipelineCore(uint16_t id, const PipelineSpec &spec, Shared &shared,
	             const nf::ChainFactory &chains)
		: ring(ring_size), done(pool_size), chain(chains.make(nf::Form::run, id)), shared(shared),
		  id(id), buckets(spec.buckets)
	{
		reframer_params r;
		reframer_default_params(&r);
		r.delay_ns = spec.delay_ns;
		conntrack_params c;
		conntrack_default_params(&c);
		c.state_size = sizeof(FlowState);
		c.nb_groups = spec.buckets;
		c.flags = CONNTRACK_NIC_HASH;
		c.initial_flows = 4096;
		c.seed = spec.seed | 1;
		for (uint64_t &timeout : c.timeout_ns)
			timeout = 0;
		stage = api::create<api::Stage>(reframer_create, r);
		table = api::create<api::FlowTable>(conntrack_create, c);
		if (!stage || !table)
			throw JobError("out-of-memory", "the stages or tables of the cores could not be made");
		// A table begins with all groups; those of other cores' buckets are of no use here.
		for (uint32_t b = 0; b < spec.buckets; b++)
			if (rsspp_handover_owner(shared.handover, b) != id)
				conntrack_free_group(conntrack_detach_group(table.get(), b, 0));
	}

	void run()
	{
		while (!shared.stop.load(std::memory_order_acquire))
			if (!poll())
				std::this_thread::yield();
	}

	MbufRing ring, done;
	api::Stage stage;
	api::FlowTable table;
	std::unique_ptr<nf::Chain> chain;
	uint64_t passed = 0, dropped = 0, reordered = 0, state_errors = 0, runs_seen = 0;

private:
	// Packets that the hand-over has not taken yet come first.
	uint32_t receive()
	{
		while (nb_in < burst_size) {
			nf::Mbuf *m = ring.pop();
			if (!m)
				break;
			hashes[nb_in] = m->rss;
			in[nb_in++] = m;
		}
		return nb_in;
	}
	void took(uint32_t taken)
	{
		received += taken;
		nb_in -= taken;
		std::memmove(in, in + taken, nb_in * sizeof(in[0]));
		std::memmove(hashes, hashes + taken, nb_in * sizeof(hashes[0]));
	}

	// Buckets whose queue is empty: what Reframer holds of them is served, their flows leave the table.
	bool give_up(uint64_t now)
	{
		const uint32_t gone = rsspp_handover_poll(shared.handover, id, received,
		                                          int64_t(ring.length() + nb_in), buckets.data());
		if (gone == 0)
			return false;
		for (uint32_t i = 0; i < gone; i++)
			reframer_release_bucket(stage.get(), shared.mask, buckets[i]);
		serve(now);
		for (uint32_t i = 0; i < gone; i++)
			shared.travelling[buckets[i]] = conntrack_detach_group(table.get(), buckets[i], now);
		rsspp_handover_release(shared.handover, id);
		return true;
	}

	bool poll()
	{
		const uint64_t now = clock_ns();
		while (rsspp_handover_draining(shared.handover, id)) {
			const uint32_t nb = receive();
			took(rsspp_handover_absorb(shared.handover, id, in, hashes, nb));
			if (!give_up(now) && nb == 0)
				break;
		}
		if (rsspp_handover_backlog(shared.handover, id) < burst_size)
			receive();
		uint32_t nb = 0;
		took(rsspp_handover_admit(shared.handover, id, in, hashes, nb_in, admitted, admitted_hashes,
		                          out_room, &nb));
		for (uint32_t n = rsspp_handover_gained(shared.handover, id, buckets.data()); n > 0; n--) {
			conntrack_group *&group = shared.travelling[buckets[n - 1]];
			state_errors += !group || conntrack_attach_group(table.get(), group, now) != 0;
			group = nullptr;
		}
		const uint8_t *data[out_room];
		uint32_t captured[out_room];
		for (uint32_t i = 0; i < nb; i++) {
			data[i] = static_cast<nf::Mbuf *>(admitted[i])->data();
			captured[i] = udp_frame_bytes;
		}
		for (uint32_t at = 0; at < nb;) {
			const reframer_burst burst = {admitted + at,        data + at, captured + at, nullptr,
			                              admitted_hashes + at, nb - at};
			at += reframer_push(stage.get(), &burst, now);
			serve(now);
		}
		const bool worked = serve(now) || nb > 0;
		return give_up(now) || worked;
	}

	// What is due: one look at the flow's state a packet, then the chain, a run at a time.
	bool serve(uint64_t now)
	{
		bool any = false;
		for (;;) {
			uint32_t nb_runs = out_room;
			const uint32_t n = reframer_poll(stage.get(), now, out, out_room, runs, &nb_runs);
			if (n == 0)
				return any;
			any = true;
			runs_seen += nb_runs;
			track(n, now);
			nf::Mbuf *packets[out_room], *refused[out_room];
			for (uint32_t i = 0; i < n; i++)
				packets[i] = static_cast<nf::Mbuf *>(out[i]);
			const uint32_t kept = chain->process({runs, nb_runs}, packets, n, refused);
			passed += kept;
			dropped += n - kept;
			for (uint32_t i = 0; i < n; i++)
				done.push(static_cast<nf::Mbuf *>(out[i])); // has room for every buffer there is
		}
	}

	void track(uint32_t n, uint64_t now)
	{
		uint8_t keys[out_room][CONNTRACK_KEY_IPV4];
		uint32_t nic[out_room];
		uint64_t digests[out_room];
		void *states[out_room];
		uint8_t results[out_room];
		for (uint32_t i = 0; i < n; i++) {
			const auto *m = static_cast<const nf::Mbuf *>(out[i]);
			const uint8_t *d = m->data();
			conntrack_key_ipv4(keys[i], d + udp_source_at, d + udp_source_at + 4,
			                   packet::load<uint16_t>(d + udp_ports_at),
			                   packet::load<uint16_t>(d + udp_ports_at + 2), 17);
			nic[i] = m->rss;
		}
		conntrack_digest_burst(table.get(), keys, nic, n, digests);
		conntrack_find_or_insert_burst(table.get(), keys, digests, n, now, states, results);
		for (uint32_t i = 0; i < n; i++) {
			auto *state = static_cast<FlowState *>(states[i]);
			const Tag tag = tag_of(static_cast<nf::Mbuf *>(out[i]));
			if (!state || ((results[i] & CONNTRACK_NEW) != 0) != (tag.sequence == 1)) {
				state_errors++; // not ours, or left behind on another core
				continue;
			}
			reordered += tag.sequence != state->last + 1;
			state->last = tag.sequence;
			state->packets++;
		}
	}

	Shared &shared;
	const uint16_t id;
	uint64_t received = 0;
	uint32_t nb_in = 0;
	std::vector<uint16_t> buckets;
	void *in[burst_size], *admitted[out_room], *out[out_room];
	uint32_t hashes[burst_size], admitted_hashes[out_room];
	reframer_run runs[out_room];
};

// The port: makes frames, hashes them as a NIC, spreads them by the table, and moves buckets.
class PipelinePort {
public:
	explicit PipelinePort(const PipelineSpec &s)
		: spec(s), random(s.seed), hash(packet::toeplitz_key_microsoft), pool(pool_size),
		  sent(s.flows)
	{
		for (uint32_t i = 0; i < pool_size; i++)
			free_list.push_back(new (&pool[i]) nf::Mbuf{});
		rsspp_handover_params h;
		rsspp_handover_default_params(&h);
		h.nb_buckets = spec.buckets;
		h.nb_cores = spec.cores;
		h.hold_capacity = pool_size;
		shared.owned = api::create<api::HandOver>(rsspp_handover_create, h);
		shared.handover = shared.owned.get();
		if (!shared.handover)
			throw JobError("bad-spec", "buckets is a power of two up to 4096, cores up to 256", 2);
		shared.mask = spec.buckets - 1;
		shared.travelling.resize(spec.buckets);
		for (uint32_t b = 0; b < spec.buckets; b++)
			table.push_back(rsspp_handover_owner(shared.handover, b));
		nf::Config config;
		config.kind = nf::ChainKind::modern;
		config.nb_rules = 500;
		config.deny_share = 0.1;
		config.table_capacity = 1u << 16;
		const nf::ChainFactory chains(config);
		for (uint32_t c = 0; c < spec.cores; c++)
			cores.push_back(std::make_unique<PipelineCore>(uint16_t(c), spec, shared, chains));
	}
	~PipelinePort()
	{
		for (conntrack_group *group : shared.travelling)
			conntrack_free_group(group);
	}
	PipelinePort(const PipelinePort &) = delete;
	PipelinePort &operator=(const PipelinePort &) = delete;

	PipelineResult run()
	{
		const uint64_t start = clock_ns();
		std::vector<std::thread> threads;
		for (auto &core : cores)
			threads.emplace_back([&core] { core->run(); });
		for (uint64_t n = 0; n < spec.packets; n++) {
			if (n % spec.moves_every == 0)
				move_buckets();
			send();
		}
		// Every buffer comes back and every move ends, or something is lost: two seconds without one.
		uint64_t last = clock_ns();
		for (size_t before = 0;
		     free_list.size() < pool_size || rsspp_handover_in_progress(shared.handover) > 0;) {
			collect();
			if (free_list.size() != before)
				last = clock_ns();
			else if (clock_ns() - last > 2'000'000'000)
				break;
			before = free_list.size();
			std::this_thread::yield();
		}
		shared.stop.store(true, std::memory_order_release);
		for (std::thread &t : threads)
			t.join();
		return result(double(clock_ns() - start) * 1e-9);
	}

private:
	void move_buckets()
	{
		for (uint32_t i = 0; i < spec.moves; i++) {
			const uint32_t bucket = uint32_t(random() % spec.buckets);
			const uint16_t to = uint16_t(random() % spec.cores);
			if (rsspp_handover_begin(shared.handover, bucket, to) == 0)
				table[bucket] = to;
		}
		rsspp_handover_written(shared.handover);
	}

	void collect()
	{
		for (auto &core : cores)
			while (nf::Mbuf *m = core->done.pop())
				free_list.push_back(m);
	}

	void send()
	{
		while (free_list.empty()) {
			collect();
			if (free_list.empty())
				std::this_thread::yield();
		}
		nf::Mbuf *m = free_list.back();
		free_list.pop_back();
		// A tenth of the flows brings half of the packets.
		const uint32_t flow =
			uint32_t(random() % (random() % 2 ? spec.flows : std::max(1u, spec.flows / 10)));
		write_frame(m, {flow, ++sent[flow]});
		MbufRing &ring = cores[table[m->rss & shared.mask]]->ring;
		while (!ring.push(m)) {
			collect();
			std::this_thread::yield();
		}
	}

	void write_frame(nf::Mbuf *m, Tag tag)
	{
		write_udp_frame(m, tag.flow);
		uint8_t *d = m->data();
		std::memcpy(d + udp_payload_at, &tag, sizeof(tag));
		m->rss = hash.ipv4(d + udp_source_at, d + udp_ports_at);
	}

	PipelineResult result(double seconds)
	{
		PipelineResult r = {};
		r.packets = spec.packets;
		r.seconds = seconds;
		for (uint16_t c = 0; c < spec.cores; c++) {
			PipelineCore &core = *cores[c];
			r.passed += core.passed;
			r.dropped += core.dropped;
			r.reordered += core.reordered;
			r.state_errors += core.state_errors;
			r.runs += core.runs_seen;
			// Groups that were released and not yet taken up belong to their new core all the same.
			for (uint32_t b = 0; b < spec.buckets; b++)
				if (shared.travelling[b] && rsspp_handover_owner(shared.handover, b) == c &&
				    conntrack_attach_group(core.table.get(), shared.travelling[b], clock_ns()) == 0)
					shared.travelling[b] = nullptr;
			rsspp_handover_stats s;
			rsspp_handover_get_stats(shared.handover, c, &s);
			r.moves += s.moves;
			r.held += s.held;
			r.forwarded += s.forwarded;
			r.handed_over += s.handed_over;
		}
		r.lost = int64_t(spec.packets) - int64_t(r.passed + r.dropped);
		// Each flow's state is in one table, and has counted all that was sent.
		uint64_t flows_sent = 0, counted = 0;
		for (uint32_t n : sent)
			flows_sent += n > 0;
		for (auto &core : cores)
			r.flows += conntrack_iterate(
				core->table.get(), clock_ns(),
				[](void *sum, const void *, void *state, int) {
					*static_cast<uint64_t *>(sum) += static_cast<const FlowState *>(state)->packets;
				},
				&counted);
		r.state_errors += r.flows > flows_sent ? r.flows - flows_sent : flows_sent - r.flows;
		r.state_errors += counted != r.passed + r.dropped;
		return r;
	}

	const PipelineSpec spec;
	std::mt19937_64 random;
	packet::Toeplitz hash;
	std::vector<PacketBuffer> pool;
	std::vector<nf::Mbuf *> free_list;
	std::vector<uint32_t> sent;
	std::vector<uint16_t> table;
	Shared shared;
	std::vector<std::unique_ptr<PipelineCore>> cores;
};

} // namespace

PipelineResult run_pipeline(const PipelineSpec &spec)
{
	return PipelinePort(spec).run();
}

} // namespace reframer::lab
