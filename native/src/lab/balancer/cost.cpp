// Job `balancer-cost`: what a packet costs in a load balancer on one core.
//
// spec   {"contender": "cookie"|"tracker"|"maglev"|"keyed-hash"|"rss-hash"|"crc-hash"|"rte-hash",
//         "connections": 1000000, "slf": 1 (packets of a connection in a row), "servers": 64,
//         "pieces": 64 (of 8192 packets), "seed": 1}
// record {"contender","connections","slf","packets","nsPerPacket","cyclesPerPacket","bytesPerConnection",
//         "tscGhz"}   medians of the pieces; or {"contender","unavailable"}
//
// The first four are libreframer.so's balancer, called by balancer_process() with bursts of 32; the
// others stand beside it with the same reader of headers and the same rewriting of addresses, a packet
// at a time: by the hash that a NIC computed, by a CRC of addresses and ports, by a look-up in DPDK's
// rte_hash. All packets are data of clients, with timestamps; only the cookie rewrites those.
// Buffers lie as a mempool lays them; before each piece their headers are written and flushed to memory.
// Afterwards each packet's server is compared with that of its connection's SYN, its sums are computed
// anew, and with the cookie the echo must be what the server sent.
#include "base/cores.hpp"
#include "base/random.hpp"
#include "base/region.hpp"
#include "conntrack/contenders/tracker.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/balancer/frames.hpp"
#include "lab/balancer/jobs.hpp"
#include "lab/cores.hpp"
#include "measure/median.hpp"
#include "measure/tsc.hpp"
#include "nf/mbuf.hpp"

#include <nmmintrin.h>

#include <vector>

namespace reframer::lab {

namespace {

constexpr uint32_t piece = 8192, burst = 32;
constexpr uint32_t server_clock = 0x89abcdef;
constexpr uint64_t now_ns = 1'000'000'000;

struct CostSpec {
	std::string contender = "cookie";
	uint32_t connections = 1'000'000, slf = 1, servers = 64, pieces = 64;
	uint64_t seed = 1;
};

struct Connection {
	uint32_t word; // that the client echoes
	uint16_t server;
};

class Cost {
public:
	virtual ~Cost() = default;
	virtual Connection open(uint32_t number) = 0;
	virtual void process(uint8_t *const *frames, const uint32_t *rss) = 0; // a burst
	virtual uint64_t bytes() const { return 0; }
	virtual bool restores() const { return false; }
};

class Ours final : public Cost {
public:
	Ours(const CostSpec &t, balancer_memory memory, balancer_policy policy)
		: cookie_(memory == BALANCER_COOKIE)
	{
		balancer_params p = lb_params(t.seed);
		p.memory = memory;
		p.policy = policy;
		p.max_servers = t.servers;
		p.max_connections = std::max(t.connections * 2u, 65536u);
		balancer *made = nullptr;
		if (balancer_create(&p, &made) != 0)
			throw JobError("failed", "the balancer refuses its parameters");
		b_.reset(made);
		for (uint32_t i = 0; i < t.servers; i++)
			lb_add_server(made, i);
	}
	Connection open(uint32_t number) override
	{
		const LbEndpoint client = lb_client(number);
		const uint32_t server = lb_open(b_.get(), client, now_ns);
		return {lb_answer(b_.get(), server, client, 0x12, server_clock, now_ns),
		        static_cast<uint16_t>(server)};
	}
	void process(uint8_t *const *frames, const uint32_t *) override
	{
		balancer_frame f[burst];
		for (uint32_t i = 0; i < burst; i++)
			f[i] = {frames[i], lb_frame_size, 0, 0};
		balancer_process(b_.get(), f, burst, now_ns);
	}
	bool restores() const override { return cookie_; }

private:
	Lb b_;
	bool cookie_;
};

// Another address, as the balancer writes it.
class Plain : public Cost {
public:
	explicit Plain(const CostSpec &t) : servers_(t.servers) {}
	void process(uint8_t *const *frames, const uint32_t *rss) override
	{
		for (uint32_t i = 0; i < burst; i++) {
			balance::Packet p;
			if (balance::read_packet(frames[i], lb_frame_size, p) != nf::verdict_pass ||
			    balance::load_be32(p.ip + 16) != lb_service)
				continue;
			balance::rewrite_address(
				p, balance::destination_at,
				__builtin_bswap32(lb_server_net + server(p.key, rss ? rss[i] : 0)));
		}
	}

protected:
	virtual uint32_t server(const nf::Ipv4Tuple &key, uint32_t rss) = 0;
	static nf::Ipv4Tuple key_of(uint32_t number)
	{
		const LbEndpoint client = lb_client(number);
		nf::Ipv4Tuple key{};
		key.source = __builtin_bswap32(client.address);
		key.destination = __builtin_bswap32(lb_service);
		key.source_port = __builtin_bswap16(client.port);
		key.destination_port = __builtin_bswap16(lb_port);
		key.protocol = 6;
		key.used = 1;
		return key;
	}
	const uint32_t servers_;
};

// What a NIC would have put into the descriptor.
uint32_t rss_of(uint32_t number)
{
	return static_cast<uint32_t>(base::mix64(number) >> 32);
}

class RssHash final : public Plain {
public:
	using Plain::Plain;
	Connection open(uint32_t number) override
	{
		return {1, static_cast<uint16_t>(rss_of(number) % servers_)};
	}

private:
	uint32_t server(const nf::Ipv4Tuple &, uint32_t rss) override { return rss % servers_; }
};

class CrcHash final : public Plain {
public:
	using Plain::Plain;
	Connection open(uint32_t number) override
	{
		return {1, static_cast<uint16_t>(server(key_of(number), 0))};
	}

private:
	uint32_t server(const nf::Ipv4Tuple &key, uint32_t) override
	{
		uint64_t w[2];
		std::memcpy(w, &key, sizeof(w));
		return static_cast<uint32_t>(_mm_crc32_u64(_mm_crc32_u64(0, w[0]), w[1])) % servers_;
	}
};

class RteHash final : public Plain {
public:
	RteHash(const CostSpec &t, std::unique_ptr<conntrack::Tracker> table)
		: Plain(t), table_(std::move(table))
	{
	}
	Connection open(uint32_t number) override
	{
		const nf::Ipv4Tuple key = key_of(number);
		const uint32_t to = number % servers_;
		uint8_t result;
		table_->track(reinterpret_cast<const uint8_t *>(&key), 1, to, &result);
		return {1, static_cast<uint16_t>(to)};
	}
	uint64_t bytes() const override { return table_->bytes(); }

private:
	uint32_t server(const nf::Ipv4Tuple &key, uint32_t) override
	{
		uint64_t value = 0;
		uint8_t found = 0;
		table_->find(reinterpret_cast<const uint8_t *>(&key), 1, &value, &found);
		return static_cast<uint32_t>(value);
	}
	std::unique_ptr<conntrack::Tracker> table_;
};

std::unique_ptr<Cost> make(const CostSpec &t)
{
	if (t.contender == "cookie")
		return std::make_unique<Ours>(t, BALANCER_COOKIE, BALANCER_ROUND_ROBIN);
	if (t.contender == "tracker")
		return std::make_unique<Ours>(t, BALANCER_TRACK, BALANCER_ROUND_ROBIN);
	if (t.contender == "maglev")
		return std::make_unique<Ours>(t, BALANCER_FORGET, BALANCER_MAGLEV);
	if (t.contender == "keyed-hash")
		return std::make_unique<Ours>(t, BALANCER_FORGET, BALANCER_HASH);
	if (t.contender == "rss-hash")
		return std::make_unique<RssHash>(t);
	if (t.contender == "crc-hash")
		return std::make_unique<CrcHash>(t);
	conntrack::TrackerOptions options;
	options.flows = t.connections;
	options.seed = t.seed;
	options.depth = 1;
	auto table = conntrack::make_tracker("rte-hash", options);
	return table ? std::make_unique<RteHash>(t, std::move(table)) : nullptr;
}

void wrong(const std::string &contender, const char *what)
{
	throw JobError("check-failed", contender + ": " + what);
}

} // namespace

void run_balancer_cost(const Json &json)
{
	SpecReader in(json, "");
	CostSpec t;
	in.read("contender", t.contender);
	const std::initializer_list<const char *> known = {
		"cookie", "tracker", "maglev", "keyed-hash", "rss-hash", "crc-hash", "rte-hash"};
	if (std::find(known.begin(), known.end(), t.contender) == known.end())
		in.fail("contender", "is none that there is");
	in.read("connections", t.connections, 100, 1u << 24);
	in.read("slf", t.slf, 1, 1024);
	in.read("servers", t.servers, 1, 4096);
	in.read("pieces", t.pieces, 1, 4096);
	in.read("seed", t.seed, 0, 1ull << 53);
	in.finish();
	pin_job(base::allowed_cores().at(0));
	raise_priority();
	const std::unique_ptr<Cost> cost = make(t);
	if (!cost) {
		emit({{"contender", t.contender}, {"unavailable", "DPDK is not in this build"}});
		return;
	}
	std::vector<Connection> connections;
	for (uint32_t i = 0; i < t.connections; i++)
		connections.push_back(cost->open(i));

	base::Region<uint8_t> memory(size_t{piece} * nf::Mbuf::stride);
	std::vector<uint8_t *> frames;
	for (uint32_t i = 0; i < piece; i++)
		frames.push_back(memory.data() + size_t{i} * nf::Mbuf::stride + nf::Mbuf::data_offset);
	std::vector<uint32_t> drawn(piece), rss(piece);
	std::vector<uint64_t> ticks;
	base::Random random{t.seed};
	for (uint32_t n = 0; n < t.pieces; n++) {
		for (uint32_t i = 0; i < piece; i++) {
			drawn[i] = i % t.slf ? drawn[i - 1] : random.below(t.connections);
			rss[i] = rss_of(drawn[i]);
			write_lb_frame(frames[i], lb_client(drawn[i]), {lb_service, lb_port}, 0x10, 77,
			               connections[drawn[i]].word);
		}
		for (uint8_t *f : frames)
			for (uint32_t line = 0; line < lb_frame_size; line += 64)
				_mm_clflush(f + line);
		_mm_mfence();
		const uint64_t start = engine::tsc_start();
		for (uint32_t i = 0; i < piece; i += burst)
			cost->process(&frames[i], &rss[i]);
		ticks.push_back(engine::tsc_stop() - start);
		for (uint32_t i = 0; i < piece; i++) {
			const Connection &c = connections[drawn[i]];
			if (lb_destination(frames[i]) != lb_server_net + c.server)
				wrong(t.contender, "a packet went to another server than its SYN");
			if (!lb_sums_right(frames[i]))
				wrong(t.contender, "a sum is wrong");
			if (cost->restores() && balance::load_be32(frames[i] + lb_tcp_at + 28) != server_clock)
				wrong(t.contender, "a server gets back what it did not send");
		}
	}
	const double tsc_ghz = engine::measure_tsc_hz() * 1e-9;
	const double cycles_per_packet = double(engine::quantile(ticks, 0.5)) / piece;
	const double ns_per_packet = cycles_per_packet / tsc_ghz;
	const uint64_t packets = uint64_t{piece} * t.pieces;
	emit(NAMED(t.contender, t.connections, t.slf, packets, ns_per_packet, cycles_per_packet,
	           tsc_ghz));
}

} // namespace reframer::lab
