#include "dpdk/suite/balancing.hpp"

#include "dpdk/counter.hpp"
#include "dpdk/pollers.hpp"
#include "dpdk/ports.hpp"

#include <rte_cycles.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace reframer::dpdk {

namespace {

constexpr auto tick = std::chrono::milliseconds(5);
// How long a shuffle leaves the number of cores as it is.
constexpr double shuffle_stays_s = 0.5;

uint64_t cycles_of_ms(double ms)
{
	return uint64_t(ms * 1e-3 * double(rte_get_tsc_hz()));
}

} // namespace

Balancing::Balancing(const BalancingParams &params, SuiteShared &shared,
                     std::vector<const Lane *> lanes)
	: params_(params), shared_(shared), lanes_(std::move(lanes)), packets_(shared.nb_buckets),
	  cycles_(lanes_.size()), loads_(lanes_.size()), active_(uint32_t(lanes_.size())),
	  random_(params.seed), nb_active_(active_)
{
	const auto nb_cores = uint32_t(lanes_.size());
	owners_.resize(shared.nb_buckets);
	if (shared.table == BalanceTable::reta) {
		if (const int error = rsspp_dpdk_reta_open(shared.in, nb_cores, &table_); error != 0)
			throw port_failure(port_name(shared.in) +
			                       " has no indirection table; --balance software needs none",
			                   error);
		rsspp_dpdk_table_read(table_, owners_.data());
	} else {
		for (uint32_t b = 0; b < shared.nb_buckets; b++)
			owners_[b] = shared.steering->at(b);
	}
	rsspp_balancer_params p;
	rsspp_balancer_default_params(&p);
	p.nb_buckets = shared.nb_buckets;
	p.nb_cores = nb_cores;
	p.autoscale = params.autoscale;
	p.method = params.method;
	p.interval_us = params.interval_ms * 1000;
	p.busy_interval_us = std::min(p.busy_interval_us, p.interval_us);
	char why[256];
	if (rsspp_balancer_check(&p, why, sizeof(why)) != 0)
		throw lab::JobError("bad-spec", std::string("the balancer: ") + why, 2);
	balancer_ = api::create<api::Balancer>(rsspp_balancer_create, p);
	if (!balancer_ || rsspp_balancer_set_table(balancer_.get(), owners_.data()) != 0)
		throw lab::JobError("out-of-memory", "no memory for the balancer");
}

Balancing::~Balancing()
{
	stop();
	if (table_)
		rsspp_dpdk_table_restore(table_);
	rsspp_dpdk_table_close(table_);
}

void Balancing::start()
{
	sampled_at_ = rte_rdtsc();
	next_at_ = sampled_at_ + cycles_of_ms(params_.interval_ms);
	thread_ = std::thread([this] { run(); });
	pthread_setname_np(thread_.native_handle(), "balancer");
}

void Balancing::stop()
{
	if (!thread_.joinable())
		return;
	stopping_.store(true, std::memory_order_relaxed);
	thread_.join();
}

void Balancing::run()
{
	while (!stopping_.load(std::memory_order_relaxed)) {
		std::this_thread::sleep_for(tick);
		if (params_.shuffle > 0)
			shuffle();
		else if (rte_rdtsc() >= next_at_)
			epoch();
	}
	// Cores poll until this has ended.
	while (rsspp_handover_in_progress(shared_.handover.get()) > 0)
		std::this_thread::sleep_for(tick);
}

void Balancing::epoch()
{
	const uint64_t now = rte_rdtsc();
	const double all = double(std::max<uint64_t>(1, now - sampled_at_));
	sampled_at_ = now;
	rsspp_handover_counters(shared_.handover.get(), packets_.data());
	for (size_t c = 0; c < lanes_.size(); c++) {
		const uint64_t useful = lanes_[c]->work_cycles.load(std::memory_order_relaxed);
		loads_[c] = std::min(1.0f, float(double(useful - cycles_[c]) / all));
		cycles_[c] = useful;
	}
	rsspp_epoch input = {};
	input.packets = packets_.data();
	input.core_load = loads_.data();
	std::vector<rsspp_move> moves(shared_.nb_buckets);
	rsspp_report report;
	const int n = rsspp_balancer_step(balancer_.get(), &input, moves.data(), &report);
	next_at_ = now + cycles_of_ms(report.next_epoch_us / 1000.0);
	add(epochs_, 1);
	nb_active_.store(report.nb_active, std::memory_order_relaxed);
	imbalance_.store(report.imbalance_before_percent, std::memory_order_relaxed);
	if (report.cores_changed != 0)
		add(cores_changed_, 1);
	if (n <= 0)
		return;
	moves.resize(size_t(n));
	move(moves);
}

// So many moves a second, and every half second another number of cores.
void Balancing::shuffle()
{
	const uint64_t now = rte_rdtsc();
	const double seconds = double(now - sampled_at_) / double(rte_get_tsc_hz());
	sampled_at_ = now;
	std::vector<rsspp_move> moves;
	const auto nb_cores = uint32_t(lanes_.size());
	if (now >= active_until_ && nb_cores > 1) {
		active_until_ = now + cycles_of_ms(1000 * shuffle_stays_s);
		active_ = active_ == nb_cores ? 1 + uint32_t(random_() % (nb_cores - 1)) : nb_cores;
		nb_active_.store(active_, std::memory_order_relaxed);
		add(cores_changed_, 1);
		// A core that goes gives all of its buckets up at once; one that comes gets them by and by.
		for (uint32_t b = 0; b < shared_.nb_buckets; b++)
			if (owners_[b] >= active_)
				moves.push_back({uint16_t(b), owners_[b], uint16_t(random_() % active_), 0});
	}
	for (owed_ += seconds * params_.shuffle; owed_ >= 1; owed_--) {
		const auto b = uint16_t(random_() % shared_.nb_buckets);
		if (active_ < 2)
			continue; // nowhere to go
		const auto to = uint16_t((owners_[b] + 1 + random_() % (active_ - 1)) % active_);
		const bool known = std::any_of(moves.begin(), moves.end(),
		                               [&](const rsspp_move &m) { return m.bucket == b; });
		if (!known && owners_[b] < active_)
			moves.push_back({b, owners_[b], to, 0});
	}
	if (!moves.empty())
		move(moves);
}

// The port's table, or ours; false: the NIC kept some entries, which are moved to `refused`.
bool Balancing::write_table(std::vector<rsspp_move> &moves, std::vector<rsspp_move> &refused)
{
	if (table_ == nullptr) {
		for (const rsspp_move &m : moves)
			shared_.steering->set(m.bucket, m.to);
		const std::vector<uint64_t> marks = shared_.steering->mark();
		while (!shared_.steering->settled(marks))
			std::this_thread::sleep_for(std::chrono::microseconds(20));
		return true;
	}
	std::vector<uint16_t> wanted = owners_;
	for (const rsspp_move &m : moves)
		wanted[m.bucket] = m.to;
	if (rsspp_dpdk_table_write(table_, wanted.data(), nullptr) == 0)
		return true;
	const bool known = rsspp_dpdk_table_read(table_, wanted.data()) == 0;
	const auto kept = std::stable_partition(moves.begin(), moves.end(), [&](const rsspp_move &m) {
		return known && wanted[m.bucket] == m.to;
	});
	refused.insert(refused.end(), kept, moves.end());
	moves.erase(kept, moves.end());
	return false;
}

void Balancing::move(std::vector<rsspp_move> &moves)
{
	rsspp_handover *handover = shared_.handover.get();
	std::vector<rsspp_move> refused;
	// What is on its way still, or finds no room, waits for another epoch.
	const auto begun = std::stable_partition(moves.begin(), moves.end(), [&](const rsspp_move &m) {
		return rsspp_handover_begin(handover, m.bucket, m.to) == 0;
	});
	refused.insert(refused.end(), begun, moves.end());
	moves.erase(begun, moves.end());
	const size_t nb_before = refused.size();
	if (!moves.empty() && !write_table(moves, refused))
		for (size_t i = nb_before; i < refused.size(); i++)
			rsspp_handover_cancel(handover, refused[i].bucket);
	rsspp_handover_written(handover);
	for (const rsspp_move &m : moves)
		owners_[m.bucket] = m.to;
	if (!refused.empty() && params_.shuffle == 0)
		rsspp_balancer_reject(balancer_.get(), refused.data(), uint32_t(refused.size()));
	add(moves_, moves.size());
	add(refused_, refused.size());
}

lab::Json Balancing::sample() const
{
	const auto relaxed = [](const auto &of) { return of.load(std::memory_order_relaxed); };
	return {{"table", table_ ? "reta" : "software"},
	        {"buckets", shared_.nb_buckets},
	        {"epochs", relaxed(epochs_)},
	        {"moves", relaxed(moves_)},
	        {"refused", relaxed(refused_)},
	        {"activeCores", relaxed(nb_active_)},
	        {"coresChanged", relaxed(cores_changed_)},
	        {"imbalancePercent", relaxed(imbalance_)},
	        {"stateErrors", relaxed(shared_.state_errors)}};
}

} // namespace reframer::dpdk
