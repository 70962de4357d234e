// Chains whose functions are known at run time. (Those of native/src/nf/block know theirs when they
// are compiled.)
#include "api/owned.hpp"
#include "conntrack/parameters.hpp"
#include "reframer/conntrack_chain.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>

namespace {

constexpr uint32_t most_block = 512, line = 64;
// As nf::block::Table: some pages of a table of a million flows at a time, and not all of it after a
// pause.
constexpr uint64_t sweep_interval_ns = 100'000, most_swept_ns = 10 * sweep_interval_ns;

} // namespace

struct conntrack_chain {
	struct Function {
		conntrack_chain_fn fn;
		conntrack_chain_ended_fn ended;
		void *context;
		uint32_t offset;
	};

	struct Burst {
		uint8_t keys[CONNTRACK_CHAIN_BURST * CONNTRACK_KEY_IPV6]; // of the runs
		uint64_t digests[CONNTRACK_CHAIN_BURST];
		void *blocks[CONNTRACK_CHAIN_BURST];
		uint8_t results[CONNTRACK_CHAIN_BURST];
		uint32_t first[CONNTRACK_CHAIN_BURST + 1]; // packet of each run; then their number
		void *packets[CONNTRACK_CHAIN_BURST];
		uint8_t verdicts[CONNTRACK_CHAIN_BURST];
		uint32_t nb_runs = 0, count = 0;
		uint64_t now_ns = 0;
		bool looked_up = false;
	};

	conntrack_params params;
	reframer::api::FlowTable table;
	Function functions[CONNTRACK_CHAIN_FUNCTIONS];
	uint32_t nb_functions = 0, block_bytes = 0;
	uint64_t period_ns = 0, swept_ns = 0;
	Burst bursts[CONNTRACK_CHAIN_WAITING];
	uint32_t at = 0, waiting = 0; // burst that is processed next; how many wait
};

namespace {

using Burst = conntrack_chain::Burst;
using Function = conntrack_chain::Function;

void leaves(void *context, const void *key, void *block, int reason)
{
	const auto &c = *static_cast<const conntrack_chain *>(context);
	for (uint32_t i = 0; i < c.nb_functions; i++)
		if (const Function &f = c.functions[i]; f.ended)
			f.ended(f.context, key, static_cast<uint8_t *>(block) + f.offset, reason);
}

void sweep(conntrack_chain &c, uint64_t now_ns)
{
	if (!c.period_ns || now_ns == CONNTRACK_NO_TIME || now_ns < c.swept_ns ||
	    now_ns - c.swept_ns < sweep_interval_ns)
		return;
	const uint64_t interval = std::min(now_ns - c.swept_ns, most_swept_ns);
	c.swept_ns = now_ns;
	conntrack_expire(c.table.get(), now_ns,
	                 conntrack_sweep_budget(c.table.get(), interval, c.period_ns));
}

void look_up(conntrack_chain &c, Burst &b, uint64_t now_ns)
{
	sweep(c, now_ns);
	conntrack_find_or_insert_burst(c.table.get(), b.keys, b.digests, b.nb_runs, now_ns, b.blocks,
	                               b.results);
	b.looked_up = true;
}

void work(const conntrack_chain &c, Burst &b)
{
	for (uint32_t r = 0; r < b.nb_runs; r++) {
		const uint32_t first = b.first[r], count = b.first[r + 1] - first;
		uint8_t *const verdicts = b.verdicts + first;
		if (!b.blocks[r]) {
			std::fill_n(verdicts, count, uint8_t{CONNTRACK_CHAIN_NO_ROOM});
			continue;
		}
		const conntrack_run run = {b.keys + size_t{r} * c.params.key_size,
		                           b.packets + first,
		                           verdicts,
		                           count,
		                           b.results[r],
		                           b.now_ns};
		for (uint32_t i = 0; i < c.nb_functions; i++) {
			const Function &f = c.functions[i];
			f.fn(f.context, &run, static_cast<uint8_t *>(b.blocks[r]) + f.offset);
			if (std::none_of(verdicts, verdicts + count,
			                 [](uint8_t v) { return v == CONNTRACK_CHAIN_PASS; }))
				break;
		}
	}
}

} // namespace

extern "C" {

int conntrack_chain_create(const struct conntrack_params *params, struct conntrack_chain **out)
{
	reframer::api::Why why;
	if (!params || !out)
		return -EINVAL;
	std::unique_ptr<conntrack_chain> c(new (std::nothrow) conntrack_chain);
	if (!c)
		return -ENOMEM;
	conntrack_params with_some_state = *params;
	with_some_state.state_size = 8;
	if (!reframer::conntrack::take_params(&with_some_state, c->params, why))
		return -EINVAL;
	c->params.on_removed = leaves;
	c->params.context = c.get();
	*out = c.release();
	return 0;
}

void conntrack_chain_free(struct conntrack_chain *chain)
{
	delete chain;
}

int conntrack_chain_add(struct conntrack_chain *chain, uint32_t state_bytes, conntrack_chain_fn fn,
                        conntrack_chain_ended_fn ended, void *context)
{
	if (!chain || !fn || state_bytes > most_block)
		return -EINVAL;
	if (chain->table)
		return -EBUSY;
	const uint32_t bytes = (state_bytes + 7) / 8 * 8;
	if (chain->nb_functions == CONNTRACK_CHAIN_FUNCTIONS || bytes > most_block - chain->block_bytes)
		return -ENOSPC;
	chain->functions[chain->nb_functions] = {fn, ended, context, chain->block_bytes};
	chain->block_bytes += bytes;
	return static_cast<int>(chain->nb_functions++);
}

int conntrack_chain_start(struct conntrack_chain *chain)
{
	if (!chain || chain->nb_functions == 0)
		return -EINVAL;
	if (chain->table)
		return -EBUSY;
	conntrack_params &p = chain->params;
	// A word lies in the table's own line; more has lines of its own.
	p.state_size = chain->block_bytes <= 8 ? 8 : (chain->block_bytes + line - 1) / line * line;
	int error;
	chain->table = reframer::api::create<reframer::api::FlowTable>(conntrack_create, p, &error);
	if (!chain->table)
		return error;
	for (const uint64_t timeout : p.timeout_ns)
		if (timeout && (!chain->period_ns || timeout < chain->period_ns))
			chain->period_ns = timeout;
	return 0;
}

int conntrack_chain_submit(struct conntrack_chain *chain, const void *keys,
                           const uint32_t *nic_hashes, void *const *packets, uint32_t count,
                           uint64_t now_ns)
{
	if (!chain || !chain->table || (count > 0 && (!keys || !packets)) ||
	    count > CONNTRACK_CHAIN_BURST || (chain->params.flags & CONNTRACK_NIC_HASH && !nic_hashes))
		return -EINVAL;
	if (chain->waiting == CONNTRACK_CHAIN_WAITING)
		return -ENOBUFS;
	if (chain->waiting)
		look_up(*chain, chain->bursts[chain->at], now_ns);
	Burst &b = chain->bursts[chain->at ^ chain->waiting];
	const uint32_t size = chain->params.key_size;
	const auto *key = static_cast<const uint8_t *>(keys);
	uint32_t hashes[CONNTRACK_CHAIN_BURST];
	b.nb_runs = 0;
	b.count = count;
	b.now_ns = now_ns;
	for (uint32_t i = 0; i < count; i++, key += size) {
		b.packets[i] = packets[i];
		b.verdicts[i] = CONNTRACK_CHAIN_PASS;
		if (i > 0 && std::memcmp(key, key - size, size) == 0)
			continue;
		std::memcpy(b.keys + size_t{b.nb_runs} * size, key, size);
		hashes[b.nb_runs] = nic_hashes ? nic_hashes[i] : 0;
		b.first[b.nb_runs++] = i;
	}
	b.first[b.nb_runs] = count;
	conntrack_digest_burst(chain->table.get(), b.keys, nic_hashes ? hashes : nullptr, b.nb_runs,
	                       b.digests);
	chain->waiting++;
	return 0;
}

int conntrack_chain_process(struct conntrack_chain *chain, uint64_t now_ns, void **packets,
                            uint8_t *verdicts)
{
	if (!chain)
		return -EINVAL;
	if (!chain->waiting)
		return -EAGAIN;
	Burst &b = chain->bursts[chain->at];
	if (b.count > 0 && (!packets || !verdicts))
		return -EINVAL;
	if (!b.looked_up)
		look_up(*chain, b, now_ns);
	b.looked_up = false;
	work(*chain, b);
	chain->waiting--;
	chain->at ^= 1;
	std::copy_n(b.packets, b.count, packets);
	std::copy_n(b.verdicts, b.count, verdicts);
	return static_cast<int>(b.count);
}

int conntrack_chain_offset(const struct conntrack_chain *chain, uint32_t function)
{
	if (!chain || function >= chain->nb_functions)
		return -EINVAL;
	return static_cast<int>(chain->functions[function].offset);
}

uint32_t conntrack_chain_block_bytes(const struct conntrack_chain *chain)
{
	return chain && chain->table ? chain->params.state_size : 0;
}

void *conntrack_chain_find(struct conntrack_chain *chain, uint32_t function, const void *key)
{
	if (!chain || !chain->table || !key || function >= chain->nb_functions ||
	    chain->params.flags & CONNTRACK_NIC_HASH)
		return nullptr;
	void *block = conntrack_find(chain->table.get(), key, nullptr, CONNTRACK_NO_TIME);
	return block ? static_cast<uint8_t *>(block) + chain->functions[function].offset : nullptr;
}

struct conntrack_table *conntrack_chain_table(struct conntrack_chain *chain)
{
	return chain ? chain->table.get() : nullptr;
}

} // extern "C"
