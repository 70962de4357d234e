#include "lab/balancer/cost_contenders.hpp"

#include "base/random.hpp"
#include "conntrack/contenders/tracker.hpp"
#include "jobs/job.hpp"
#include "lab/balancer/frames.hpp"
#include "nf/balancer/usual.hpp"

#include <nmmintrin.h>

#include <algorithm>
#include <type_traits>
#include <vector>

namespace reframer::lab {

namespace {

class Ours final : public Cost {
public:
	Ours(const CostSpec &t, balancer_memory memory, balancer_policy policy)
		: cookie_(memory == BALANCER_COOKIE), ipv6_(t.ipv6)
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
	CostConnection open(uint32_t number) override
	{
		const LbEndpoint client = lb_client(number);
		const uint32_t server = lb_open(b_.get(), client, cost_now_ns, ipv6_);
		return {lb_answer(b_.get(), server, client, 0x12, cost_server_clock, cost_now_ns, ipv6_),
		        static_cast<uint16_t>(server)};
	}
	void process(uint8_t *const *frames, const uint32_t *) override
	{
		balancer_frame f[cost_burst];
		for (uint32_t i = 0; i < cost_burst; i++)
			f[i] = {frames[i], lb_frame_size(ipv6_), 0, 0};
		balancer_process(b_.get(), f, cost_burst, cost_now_ns);
	}
	bool restores() const override { return cookie_; }

private:
	Lb b_;
	const bool cookie_, ipv6_;
};

// Beside the library, and made like its short way: headers asked for as far ahead, told by the same
// masked compares, addresses written by the same code. Only how a server is found differs.
template <typename Usual> class Plain : public Cost {
public:
	explicit Plain(const CostSpec &t) : servers_(t.servers)
	{
		for (uint32_t i = 0; i < t.servers; i++) {
			balance::Server s;
			s.address = __builtin_bswap32(lb_server_net + i);
			s.state = balance::ServerState::active;
			s.change = nf::fold(nf::change32(__builtin_bswap32(lb_service), s.address));
			put_lb_address6(s.address6.data(), lb_server_net + i);
			s.change6 = s.change; // but for the last word nothing is another
			servers_[i] = s;
		}
		put_lb_address6(service_, lb_service);
	}

protected:
	static constexpr bool v6 = std::is_same_v<Usual, balance::UsualV6>;

	// Calls `each(frame, i)` for those that are for the service.
	template <typename Each> void each_usual(uint8_t *const *frames, Each each) const
	{
		constexpr uint32_t ahead = 16; // as the library
		const balance::Pattern ip = Usual::ip(v6 ? balance::Address{service_, true}
		                                         : balance::Address{service_ + 12, false});
		for (uint32_t i = 0; i < ahead; i++)
			__builtin_prefetch(frames[i] + Usual::type_at, 1);
		for (uint32_t i = 0; i < cost_burst; i++) {
			if (i + ahead < cost_burst)
				__builtin_prefetch(frames[i + ahead] + Usual::type_at, 1);
			if (Usual::is(frames[i]) && ip.fits(frames[i])) [[likely]]
				each(frames[i], i);
		}
	}
	void send(uint8_t *f, uint32_t server) const
	{
		const balance::Server &s = servers_[server];
		balance::add_change(f + Usual::sum_at, Usual::rewrite(f, s));
		if (s.has_mac)
			std::memcpy(f, s.mac, sizeof(s.mac));
	}
	uint32_t nb_servers() const { return static_cast<uint32_t>(servers_.size()); }

private:
	std::vector<balance::Server> servers_;
	uint8_t service_[16];
};

nf::Ipv4Tuple key_of(const uint8_t *f)
{
	nf::Ipv4Tuple key{};
	std::memcpy(&key.source, f + lb_ip_at + 12, 8);
	std::memcpy(&key.source_port, f + lb_tcp_at(false), 4);
	key.protocol = 6;
	key.used = 1;
	return key;
}
nf::Ipv4Tuple key_of(uint32_t number)
{
	uint8_t frame[lb_most_frame];
	write_lb_frame(frame, lb_client(number), {lb_service, lb_port}, 0x02, 1, 0);
	return key_of(frame);
}

template <typename Usual> class RssHash final : public Plain<Usual> {
public:
	using Plain<Usual>::Plain;
	CostConnection open(uint32_t number) override
	{
		return {1, static_cast<uint16_t>(cost_rss_of(number) % this->nb_servers())};
	}
	void process(uint8_t *const *frames, const uint32_t *rss) override
	{
		const uint32_t n = this->nb_servers();
		this->each_usual(frames, [&](uint8_t *f, uint32_t i) { this->send(f, rss[i] % n); });
	}
};

class CrcHash final : public Plain<balance::UsualV4> {
public:
	using Plain::Plain;
	CostConnection open(uint32_t number) override
	{
		return {1, static_cast<uint16_t>(server(key_of(number)))};
	}
	void process(uint8_t *const *frames, const uint32_t *) override
	{
		each_usual(frames, [&](uint8_t *f, uint32_t) { send(f, server(key_of(f))); });
	}

private:
	uint32_t server(const nf::Ipv4Tuple &key) const
	{
		uint64_t w[2];
		std::memcpy(w, &key, sizeof(w));
		return static_cast<uint32_t>(_mm_crc32_u64(_mm_crc32_u64(0, w[0]), w[1])) % nb_servers();
	}
};

// One key after the other, or those of a burst at once.
class RteHash final : public Plain<balance::UsualV4> {
public:
	RteHash(const CostSpec &t, std::unique_ptr<conntrack::Tracker> table)
		: Plain(t), table_(std::move(table))
	{
	}
	CostConnection open(uint32_t number) override
	{
		const nf::Ipv4Tuple key = key_of(number);
		const uint32_t to = number % nb_servers();
		uint8_t result;
		table_->track(reinterpret_cast<const uint8_t *>(&key), 1, to, &result);
		return {1, static_cast<uint16_t>(to)};
	}
	void process(uint8_t *const *frames, const uint32_t *) override
	{
		uint8_t *of[cost_burst];
		nf::Ipv4Tuple keys[cost_burst];
		uint64_t servers[cost_burst];
		uint8_t found[cost_burst];
		uint32_t n = 0;
		each_usual(frames, [&](uint8_t *f, uint32_t) {
			of[n] = f;
			keys[n++] = key_of(f);
		});
		table_->find(reinterpret_cast<const uint8_t *>(keys), n, servers, found);
		for (uint32_t i = 0; i < n; i++)
			if (found[i])
				send(of[i], static_cast<uint32_t>(servers[i]));
	}

private:
	std::unique_ptr<conntrack::Tracker> table_;
};

} // namespace

uint32_t cost_rss_of(uint32_t number)
{
	return static_cast<uint32_t>(base::mix64(number) >> 32);
}

std::unique_ptr<Cost> make_cost(const CostSpec &t)
{
	if (t.contender == "cookie")
		return std::make_unique<Ours>(t, BALANCER_COOKIE, BALANCER_ROUND_ROBIN);
	if (t.contender == "tracker")
		return std::make_unique<Ours>(t, BALANCER_TRACK, BALANCER_ROUND_ROBIN);
	if (t.contender == "maglev")
		return std::make_unique<Ours>(t, BALANCER_FORGET, BALANCER_MAGLEV);
	if (t.contender == "keyed-hash")
		return std::make_unique<Ours>(t, BALANCER_FORGET, BALANCER_HASH);
	if (t.contender == "rss-hash" && t.ipv6)
		return std::make_unique<RssHash<balance::UsualV6>>(t);
	if (t.contender == "rss-hash")
		return std::make_unique<RssHash<balance::UsualV4>>(t);
	if (t.contender == "crc-hash")
		return std::make_unique<CrcHash>(t);
	conntrack::TrackerOptions options;
	options.flows = t.connections;
	options.seed = t.seed;
	options.depth = t.contender == "rte-hash" ? 1 : cost_burst;
	auto table =
		conntrack::make_tracker(t.contender == "rte-hash" ? "rte-hash" : "rte-hash-burst", options);
	return table ? std::make_unique<RteHash>(t, std::move(table)) : nullptr;
}

} // namespace reframer::lab
